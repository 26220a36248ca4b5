//! Ready-made detectors: scores for a series without a setting, point by point, never looking ahead.
//!
//! Every score is 1.0 at the decision line. A scorer is a value: saved, read again and continued it gives the same scores as one that
//! never stopped. A value that is no measurement scores 0 and changes nothing.
//!
//! * [`novelty`] — wide events, by several [`votes`] on what is new; [`telemetry`] — short spikes;
//! * [`Preset::Auto`] — one of the two, by the series' own step: an hour's aggregate is an event in itself, while of points
//!   that come every few minutes only a stretch is.

pub mod novelty;
pub mod telemetry;
pub mod votes;

use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::band::is_measurement;
use novelty::NoveltyScorer;
use telemetry::TelemetryScorer;

/// A day in microseconds, the unit of all times here.
const DAY: i64 = 86_400_000_000;
/// From this typical step on a point counts by itself: 45 minutes.
const COARSE: i64 = 45 * 60_000_000;
/// How many points it takes to know the typical step.
const POINTS_FOR_STEP: usize = 17;

/// Which ready-made detector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// Changes of distribution over stretches of time.
    Novelty,
    /// Single points far from the usual.
    Telemetry,
    /// By the series' typical step.
    Auto,
}

/// A name that is no preset.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("no preset is called {0:?}; there are novelty, telemetry and auto")]
pub struct UnknownPreset(String);

impl FromStr for Preset {
    type Err = UnknownPreset;
    fn from_str(name: &str) -> Result<Self, UnknownPreset> {
        match name {
            "novelty" => Ok(Self::Novelty),
            "telemetry" => Ok(Self::Telemetry),
            "auto" => Ok(Self::Auto),
            _ => Err(UnknownPreset(name.to_owned())),
        }
    }
}

/// The state of a preset on one series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Scorer {
    /// See [`novelty`].
    Novelty(Box<NoveltyScorer>),
    /// See [`telemetry`].
    Telemetry(Box<TelemetryScorer>),
    /// Not decided yet: the points so far.
    Waiting(Vec<(i64, f64)>),
}

impl Scorer {
    /// A scorer that has seen nothing.
    pub fn new(preset: Preset) -> Self {
        match preset {
            Preset::Novelty => Self::Novelty(Box::default()),
            Preset::Telemetry => Self::Telemetry(Box::default()),
            Preset::Auto => Self::Waiting(Vec::new()),
        }
    }

    /// The score of a value at time `t` (microseconds, not before the latest); 1.0 is the decision line.
    pub fn push(&mut self, t: i64, x: f64) -> f64 {
        if !is_measurement(x) {
            return 0.0;
        }
        match self {
            Self::Novelty(scorer) => scorer.push(t, x),
            Self::Telemetry(scorer) => scorer.push(t, x),
            Self::Waiting(points) => {
                points.push((t, x));
                if points.len() < POINTS_FOR_STEP {
                    return 0.0;
                }
                let points = std::mem::take(points);
                let mut steps: Vec<i64> = points.windows(2).map(|pair| pair[1].0.saturating_sub(pair[0].0)).collect();
                steps.sort_unstable();
                *self = Self::new(if steps[steps.len() / 2] >= COARSE { Preset::Telemetry } else { Preset::Novelty });
                points.into_iter().fold(0.0, |_, (t, x)| self.push(t, x))
            }
        }
    }
}

/// The scores of a whole series, as if each were given when its point came.
pub fn scores(preset: Preset, ts: &[i64], values: &[f64]) -> Vec<f64> {
    let mut scorer = Scorer::new(preset);
    ts.iter().zip(values).map(|(t, x)| scorer.push(*t, *x)).collect()
}
