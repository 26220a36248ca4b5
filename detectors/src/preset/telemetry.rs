//! For short spikes: how far is this value from what four weeks call usual?
//!
//! The score is the distance from the median of 28 days in robust standard deviations, with a floor under the scale
//! ([`Window::robust`]), at most [`CAP`]. Where there is history enough to know the time of day, it is no more than 2 above the
//! same score of the distance from the daily median: what comes every day is no anomaly. A score fades by [`FADE`] a point, because
//! what people call one event does not end with its highest point.

use serde::{Deserialize, Serialize};

use super::{DAY, DAYS, Judgement};
use crate::kernel::seasonal::Seasonal;
use crate::kernel::window::Window;

/// How far back the baseline reaches, and the most points of it (28 days of minutes).
const SPAN: i64 = 28 * DAY;
const MOST: usize = 40_320;
/// Points before anything is scored.
pub const WARM_UP: usize = 24;
/// The scale is no less than this share of the distance between the quantiles .02 and .98.
const FLOOR: f64 = 0.2;
/// No distance counts for more robust standard deviations than this.
const CAP: f64 = 12.0;
/// How much more unusual a value may be than it is for its time of day.
const SEASONAL_SLACK: f64 = 2.0;
/// What is left of a score one point later.
const FADE: f64 = 0.6;
/// Robust standard deviations at the decision line.
pub const LINE: f64 = 5.3;

/// The state of one series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TelemetryScorer {
    values: Window,
    daily: Seasonal,
    distances: Window,
    score: f64,
}

impl Default for TelemetryScorer {
    fn default() -> Self {
        Self { values: Window::new(SPAN, MOST), daily: Seasonal::new(DAY, DAYS), distances: Window::new(SPAN, MOST), score: 0.0 }
    }
}

impl TelemetryScorer {
    /// What is to say of a measurement at time `t` in microseconds; `None` while warming up. The score is 0 to about 2.3. Expected is the
    /// median, and the bounds are at the decision line; those of the time of day where they decided.
    pub fn judge(&mut self, t: i64, x: f64) -> Option<Judgement> {
        let known = usual(&self.values);
        self.values.push(t, x);
        let mut nearest = known.map(|(median, scale)| (distance(x - median, scale), median, LINE * scale));
        if let Some(of_day) = self.daily.push(t, x) {
            let offset = x - of_day;
            if let (Some((score, ..)), Some((median, scale))) = (nearest, usual(&self.distances)) {
                let allowed = distance(offset - median, scale) + SEASONAL_SLACK;
                if allowed < score {
                    nearest = Some((allowed, of_day + median, (LINE - SEASONAL_SLACK) * scale));
                }
            }
            self.distances.push(t, offset);
        }
        self.score = nearest.map_or(0.0, |(score, ..)| score).max(FADE * self.score);
        nearest.map(|(alone, expected, reach)| Judgement {
            score: self.score / LINE,
            alone: alone / LINE,
            expected,
            lower: expected - reach,
            upper: expected + reach,
        })
    }
}

/// The median of a window, and a robust standard deviation; `None` while there are too few values.
fn usual(window: &Window) -> Option<(f64, f64)> {
    window.robust(FLOOR).filter(|_| window.len() >= WARM_UP)
}

/// A distance from the median in robust standard deviations, 0..=[`CAP`].
fn distance(from_median: f64, scale: f64) -> f64 {
    let distance = from_median.abs();
    if distance == 0.0 { 0.0 } else { (distance / scale).min(CAP) }
}
