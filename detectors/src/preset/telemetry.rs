//! For short spikes: how far is this value from what four weeks call usual?
//!
//! The score is the distance from the median of 28 days in robust standard deviations, with a floor under the scale
//! ([`Window::robust`]), at most [`CAP`]. Where there is history enough to know the time of day, it is no more than 2 above the
//! same score of the distance from the daily median: what comes every day is no anomaly. A score fades by [`FADE`] a point, because
//! what people call one event does not end with its highest point.

use serde::{Deserialize, Serialize};

use super::DAY;
use crate::kernel::seasonal::Seasonal;
use crate::kernel::window::Window;

/// How far back the baseline reaches, and the most points of it (28 days of minutes).
const SPAN: i64 = 28 * DAY;
const MOST: usize = 40_320;
/// Points before anything is scored.
const WARM_UP: usize = 24;
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
    seasonal: Seasonal,
    distances: Window,
    score: f64,
}

impl TelemetryScorer {
    /// Nothing seen yet.
    pub fn new() -> Self {
        Self { values: Window::new(SPAN, MOST), seasonal: Seasonal::new(DAY, 7), distances: Window::new(SPAN, MOST), score: 0.0 }
    }

    /// Score of a measurement at time `t` in microseconds: 0 to about 2.3, 1 at the decision line. 0 while warming up.
    pub fn push(&mut self, t: i64, x: f64) -> f64 {
        let mut score = distance(&self.values, x).unwrap_or(0.0);
        self.values.push(t, x);
        if let Some(usual) = self.seasonal.push(t, x) {
            if let Some(seasonal) = distance(&self.distances, x - usual) {
                score = score.min(seasonal + SEASONAL_SLACK);
            }
            self.distances.push(t, x - usual);
        }
        self.score = score.max(FADE * self.score);
        self.score / LINE
    }
}

impl Default for TelemetryScorer {
    fn default() -> Self {
        Self::new()
    }
}

/// How many robust standard deviations from the median, 0..=[`CAP`]; `None` while there are too few values.
fn distance(window: &Window, x: f64) -> Option<f64> {
    let (median, scale) = window.robust(FLOOR).filter(|_| window.len() >= WARM_UP)?;
    let distance = (x - median).abs();
    Some(if distance == 0.0 { 0.0 } else { (distance / scale).min(CAP) })
}
