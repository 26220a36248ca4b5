//! A detector that scores along a series whose history is kept elsewhere: what it says of a sample follows from the samples of the lookback
//! before it, and never from when rounds ran.
//!
//! Time is cut into stretches as long as the lookback, at its multiples since the epoch. A scorer begins with a stretch, only
//! learns in it, and judges in the next one, while its successor learns. So a sample is judged by the history of one to two lookbacks,
//! and a round that begins anywhere gives what one from the beginning gives. Cost: two scorers a sample.

use bellwether_model::time::{Span, Timestamp};

use crate::band::{Band, Said};
use crate::kernel::tail::Tail;
use crate::preset::{self, Judgement};
use crate::rule::{MethodSpec, Rule};
use crate::seasons::SeasonScorer;

/// How many scores a p-value is taken among.
const MEMORY: usize = 3_000;

/// What a detector says of each sample of a series.
#[derive(Clone, Debug)]
pub(crate) struct Scored {
    bands: Vec<Option<Band>>,
}

impl Scored {
    /// These bands, one for each sample of a series.
    pub(crate) fn of(bands: Vec<Option<Band>>) -> Self {
        Self { bands }
    }

    /// The earliest sample that counts for one at time `t`.
    pub(crate) fn begins(lookback: Span, t: Timestamp) -> Timestamp {
        let length = lookback.micros().max(1);
        Timestamp::from_micros((t.micros().div_euclid(length) - 1).saturating_mul(length))
    }

    /// Goes along a series of measurements in order of time. A rule whose method takes more than one series says nothing.
    pub(crate) fn along(rule: &Rule, ts: &[i64], values: &[f64]) -> Self {
        let length = rule.lookback.micros().max(1);
        let (Some(mut judging), Some(mut learning)) = (Judge::of(rule), Judge::of(rule)) else {
            return Self { bands: vec![None; ts.len()] };
        };
        let mut stretch = None;
        let one = |(t, x): (&i64, &f64)| {
            let here = t.div_euclid(length);
            if stretch != Some(here) {
                let next = std::mem::replace(&mut learning, Judge::of(rule)?);
                judging = if stretch == Some(here - 1) { next } else { Judge::of(rule)? };
                stretch = Some(here);
            }
            learning.push(*t, *x);
            let (judgement, p_value) = judging.push(*t, *x).filter(|_| judging.samples > rule.min_samples)?;
            Some(band(rule, *x, judgement, p_value))
        };
        Self { bands: ts.iter().zip(values).map(one).collect() }
    }

    /// What is said of the sample at this position; `None` where there is too little history before it.
    pub(crate) fn at(&self, position: usize) -> Option<Band> {
        self.bands[position]
    }
}

/// What scores one series.
enum Scorer {
    Preset(Box<preset::Scorer>),
    Season(Box<SeasonScorer>),
}

/// A scorer, and the scores it gave.
struct Judge {
    scorer: Scorer,
    threshold: f64,
    given: Tail,
    samples: u32,
}

impl Judge {
    fn of(rule: &Rule) -> Option<Self> {
        let (scorer, threshold) = match rule.method {
            MethodSpec::Preset { preset, weight, threshold } => {
                let scorer = weight.map_or_else(|| preset::Scorer::new(preset), preset::Scorer::mixed);
                (Scorer::Preset(Box::new(scorer)), threshold)
            }
            MethodSpec::Seasonal { threshold, season } => {
                (Scorer::Season(Box::new(SeasonScorer::of(season, &rule.calendar, rule.lookback, threshold))), 1.0)
            }
            MethodSpec::Mstl { threshold } => (Scorer::Season(Box::new(SeasonScorer::mstl(&rule.calendar, rule.lookback, threshold))), 1.0),
            MethodSpec::Zscore { .. } | MethodSpec::Ewma { .. } | MethodSpec::Bound { .. } | MethodSpec::Peers { .. } => return None,
        };
        Some(Self { scorer, threshold, given: Tail::new(MEMORY), samples: 0 })
    }

    /// What is to say of a value alone, with its score in terms of the threshold, and how often one was as high. A signal lasts by its
    /// rule, so it needs no score that does.
    fn push(&mut self, t: i64, x: f64) -> Option<(Judgement, f64)> {
        self.samples = self.samples.saturating_add(1);
        let judgement = match &mut self.scorer {
            Scorer::Preset(scorer) => scorer.judge(t, x),
            Scorer::Season(scorer) => scorer.judge(t, x),
        }?;
        let alone = judgement.alone / self.threshold;
        Some((Judgement { alone, ..judgement }, self.given.push(alone)))
    }
}

/// The band of a value. A deviation that the rule calls too small is held at the line.
pub(crate) fn band(rule: &Rule, value: f64, judgement: Judgement, p_value: f64) -> Band {
    let Judgement { alone, expected, lower, upper, .. } = judgement;
    let is_small = (value - expected).abs() < rule.min_deviation.max(rule.min_ratio * expected.abs());
    let said = Said { score: if is_small { alone.min(1.0) } else { alone }, p_value };
    Band { preset: Some(said), ..Band::between(expected, lower, upper) }
}
