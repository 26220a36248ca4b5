//! Ready-made detectors: scores for a series without a setting, point by point, never looking ahead.
//!
//! Every score is 1.0 at the decision line. A scorer is a value: saved, read again and continued it gives the same scores as one that
//! never stopped. A value that is no measurement scores 0 and changes nothing.
//!
//! * [`novelty`] — wide events, by several [`votes`] on what is new; [`telemetry`] — short spikes;
//! * [`Preset::Auto`] — one of the two, by the series' own step: novelty looks at windows of 26 to 52 points, which must
//!   cover some hours. Of rarer points each counts by itself, and of denser ones a window shows little but noise. Where labels
//!   say better, both are weighted ([`Scorer::mixed`]).

pub mod novelty;
pub mod telemetry;
pub mod votes;

use std::str::FromStr;

use bellwether_model::signal::Method;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::band::is_measurement;
use novelty::NoveltyScorer;
use telemetry::TelemetryScorer;

/// A day in microseconds, the unit of all times here.
const DAY: i64 = 86_400_000_000;
/// How many days say what is usual at a time of day.
const DAYS: u32 = 7;
/// The typical steps at which novelty is chosen: from two minutes to three quarters of an hour.
const STEPS_OF_NOVELTY: std::ops::RangeInclusive<i64> = 2 * 60_000_000..=45 * 60_000_000;
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

impl From<Preset> for Method {
    fn from(preset: Preset) -> Self {
        match preset {
            Preset::Novelty => Self::Novelty,
            Preset::Telemetry => Self::Telemetry,
            Preset::Auto => Self::Auto,
        }
    }
}

impl Preset {
    /// How many samples it only learns from, at least.
    pub const fn warm_up(self) -> u32 {
        match self {
            Self::Novelty => novelty::WARM_UP as u32,
            Self::Telemetry | Self::Auto => telemetry::WARM_UP as u32,
        }
    }

    /// Novelty or telemetry, by the typical step between measurements at these times; `None` while there are too few of them.
    pub fn suited_to(mut times: impl Iterator<Item = i64>) -> Option<Self> {
        let mut latest = times.next()?;
        let mut steps: Vec<i64> = Vec::with_capacity(POINTS_FOR_STEP);
        for t in times.take(POINTS_FOR_STEP - 1) {
            steps.push(t.saturating_sub(latest));
            latest = t;
        }
        let full = steps.len() == POINTS_FOR_STEP - 1;
        steps.sort_unstable();
        full.then(|| if STEPS_OF_NOVELTY.contains(&steps[steps.len() / 2]) { Self::Novelty } else { Self::Telemetry })
    }
}

/// What a preset says of a value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judgement {
    /// How unusual it is, 0 or more; 1.0 is the decision line. What is left of the scores before it counts too.
    pub score: f64,
    /// How unusual it is by itself.
    pub alone: f64,
    /// What was expected.
    pub expected: f64,
    /// The lowest value that would have been nothing new.
    pub lower: f64,
    /// The highest value that would have been nothing new.
    pub upper: f64,
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
    /// Both, and the share of novelty in the score.
    Mixed(f64, Box<NoveltyScorer>, Box<TelemetryScorer>),
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

    /// A scorer whose score is the sum of novelty's, weighted with `share` (0..=1), and telemetry's, weighted with what is left.
    pub fn mixed(share: f64) -> Self {
        match share {
            _ if share >= 1.0 => Self::new(Preset::Novelty),
            _ if share > 0.0 => Self::Mixed(share, Box::default(), Box::default()),
            _ => Self::new(Preset::Telemetry),
        }
    }

    /// What is to say of a value at time `t` (microseconds, not before the latest); `None` while warming up, and for what is no
    /// measurement.
    pub fn judge(&mut self, t: i64, x: f64) -> Option<Judgement> {
        if !is_measurement(x) {
            return None;
        }
        match self {
            Self::Novelty(scorer) => scorer.judge(t, x),
            Self::Telemetry(scorer) => scorer.judge(t, x),
            Self::Mixed(share, novelty, telemetry) => mix(*share, novelty.judge(t, x), telemetry.judge(t, x)),
            Self::Waiting(points) => {
                points.push((t, x));
                let preset = Preset::suited_to(points.iter().map(|(t, _)| *t))?;
                let points = std::mem::take(points);
                *self = Self::new(preset);
                points.into_iter().fold(None, |_, (t, x)| self.judge(t, x))
            }
        }
    }

    /// The score of a value, as [`Self::judge`] says; 0 where it says nothing.
    pub fn push(&mut self, t: i64, x: f64) -> f64 {
        self.judge(t, x).map_or(0.0, |j| j.score)
    }
}

/// Both scores added up; what was expected is said by the one that counts more.
fn mix(share: f64, novelty: Option<Judgement>, telemetry: Option<Judgement>) -> Option<Judgement> {
    let sum = |of: fn(Judgement) -> f64| share * novelty.map_or(0.0, of) + (1.0 - share) * telemetry.map_or(0.0, of);
    let said = if share > 0.5 { novelty.or(telemetry) } else { telemetry.or(novelty) };
    said.map(|j| Judgement { score: sum(|j| j.score), alone: sum(|j| j.alone), ..j })
}

/// What a scorer says of each point of a whole series, as if each were given when its point came.
pub fn judgements(mut scorer: Scorer, ts: &[i64], values: &[f64]) -> Vec<Option<Judgement>> {
    ts.iter().zip(values).map(|(t, x)| scorer.judge(*t, *x)).collect()
}

/// The scores of a whole series, as if each were given when its point came.
pub fn scores(preset: Preset, ts: &[i64], values: &[f64]) -> Vec<f64> {
    let mut scorer = Scorer::new(preset);
    ts.iter().zip(values).map(|(t, x)| scorer.push(*t, *x)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MINUTE: i64 = 60_000_000;

    /// A daily wave with noise that repeats itself, every `step` minutes.
    fn wave(n: usize, step: i64) -> (Vec<i64>, Vec<f64>) {
        let ts: Vec<i64> = (0..n as i64).map(|i| i * step * MINUTE).collect();
        let value =
            |(i, t): (usize, &i64)| 50.0 + 10.0 * (*t as f64 / DAY as f64 * std::f64::consts::TAU).sin() + (i * 7919 % 101) as f64 / 50.0;
        let values = ts.iter().enumerate().map(value).collect();
        (ts, values)
    }

    #[test]
    fn an_hourly_spike_and_a_new_level_are_seen() {
        let (ts, mut values) = wave(800, 60);
        values[700] = 110.0;
        let scores_of_spike = scores(Preset::Auto, &ts, &values);
        assert!(scores_of_spike[700] > 1.0 && scores_of_spike[..700].iter().all(|s| *s < 1.0));
        let (ts, mut values) = wave(3_000, 5);
        values[2_000..2_200].iter_mut().for_each(|v| *v = *v * 0.2 + 70.0);
        let scores_of_level = scores(Preset::Auto, &ts, &values);
        assert!(scores_of_level[2_000..2_200].iter().any(|s| *s > 1.0), "found");
        let later: Vec<usize> = (1_000..2_000).filter(|i| scores_of_level[*i] > 1.0).collect();
        assert!(later.is_empty(), "nothing is invented before: {later:?}");
    }

    #[test]
    fn what_is_empty_constant_or_no_number_scores_nothing() {
        for preset in [Preset::Novelty, Preset::Telemetry, Preset::Auto] {
            assert!(scores(preset, &[], &[]).is_empty());
            let ts: Vec<i64> = (0..1_500).map(|t| t * 5 * MINUTE).collect();
            assert_eq!(scores(preset, &ts, &[7.0; 1_500]), [0.0; 1_500]);
            assert_eq!(scores(preset, &ts, &[f64::NAN; 1_500]), [0.0; 1_500]);
            let mut wild = vec![f64::INFINITY; 1_500];
            wild.iter_mut().step_by(3).for_each(|v| *v = 1e119);
            wild[900] = -1e119;
            assert!(scores(preset, &ts, &wild).iter().all(|s| s.is_finite()));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        /// Saved and read again in the middle, with irregular steps and gaps, a scorer gives what one that never stopped gives; and
        /// no score depends on what comes after it.
        #[test]
        fn saved_and_continued_is_the_same(
            steps in prop::collection::vec(prop_oneof![Just(5i64), Just(60), 1i64..200], 700),
            noise in prop::collection::vec(-1.0f64..1.0, 700),
            cut in 1usize..699,
            which in 0usize..3,
        ) {
            let preset = [Preset::Novelty, Preset::Telemetry, Preset::Auto][which];
            let ts: Vec<i64> = steps.iter().scan(0, |t, step| { *t += step * MINUTE; Some(*t) }).collect();
            let values: Vec<f64> = noise.iter().enumerate().map(|(i, e)| if i % 97 == 0 { f64::NAN } else { 5.0 + e + f64::from(u8::from(i > 600)) * 4.0 }).collect();
            let whole = scores(preset, &ts, &values);
            let mut scorer = Scorer::new(preset);
            let mut parts: Vec<f64> = (0..cut).map(|i| scorer.push(ts[i], values[i])).collect();
            let saved = serde_json::to_string(&scorer).unwrap();
            let mut scorer: Scorer = serde_json::from_str(&saved).unwrap();
            parts.extend((cut..700).map(|i| scorer.push(ts[i], values[i])));
            prop_assert_eq!(&whole[..cut], &scores(preset, &ts[..cut], &values[..cut])[..]);
            for (a, b) in whole.iter().zip(&parts) {
                prop_assert!((a - b).abs() < 1e-9);
            }
        }

        #[test]
        fn scale_and_shift_change_nothing(scale in 0.01f64..100.0, shift in -1e3f64..1e3) {
            let (ts, values) = wave(1_200, 60);
            let moved: Vec<f64> = values.iter().map(|v| v * scale + shift).collect();
            for (a, b) in scores(Preset::Telemetry, &ts, &values).iter().zip(scores(Preset::Telemetry, &ts, &moved)) {
                prop_assert!((a - b).abs() < 1e-6);
            }
        }
    }
}
