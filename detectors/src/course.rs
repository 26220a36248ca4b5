//! A detector with a course of its own along one series, a preset or a season: a value that can be saved and continued, so that a round reads what is new and not the
//! whole lookback.
//!
//! Time is cut into stretches as long as the lookback, at its multiples since the epoch. A scorer begins with a stretch, only
//! learns in it, and judges in the next one, while its successor learns. So a sample is judged by the history of one to two lookbacks,
//! and a round that begins anywhere gives what one from the beginning gives. Cost: two scorers a sample.
//!
//! A course is saved at marks, a quarter of a lookback apart, once they are an hour old: what arrives later than that does not change
//! a course that is saved, only one that starts from the samples.

use std::collections::BTreeMap;

use bellwether_model::id::{RuleName, SeriesId};
use bellwether_model::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};

use crate::band::{Band, Said};
use crate::kernel::tail::Tail;
use crate::preset::{self, Judgement};
use crate::rule::{MethodSpec, Rule};
use crate::seasons::SeasonScorer;

/// How many scores a p-value is taken among.
const MEMORY: usize = 3_000;
/// How many marks there are in a lookback.
const MARKS: i64 = 4;
/// How old a mark must be before a course is saved at it.
const SETTLED: Span = Span::from_hours(1);

/// What a detector knows of a series after some of its samples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Course {
    stretch: Option<i64>,
    judging: Judge,
    learning: Judge,
}

impl Course {
    /// Changes whenever what is saved means something else, so that a course of another version is not continued.
    pub const VERSION: u32 = 1;

    /// Before the first sample. None for a rule whose method has no course.
    fn of(rule: &Rule) -> Option<Self> {
        Some(Self { stretch: None, judging: Judge::of(rule)?, learning: Judge::of(rule)? })
    }

    /// Takes the next sample in; what the detector says of it, once it has enough history.
    fn push(&mut self, rule: &Rule, t: i64, x: f64) -> Option<Band> {
        let here = t.div_euclid(rule.lookback.micros().max(1));
        if self.stretch != Some(here) {
            let next = std::mem::replace(&mut self.learning, Judge::of(rule)?);
            self.judging = if self.stretch == Some(here - 1) { next } else { Judge::of(rule)? };
            self.stretch = Some(here);
        }
        self.learning.push(t, x);
        let (judgement, p_value) = self.judging.push(t, x).filter(|_| self.judging.samples > rule.min_samples)?;
        Some(band(rule, x, judgement, p_value))
    }
}

/// Whether what a rule's detector knows is smaller than the samples it knows it from, and so worth saving. Seasons keep the samples.
pub fn is_worth_saving(rule: &Rule) -> bool {
    matches!(rule.method, MethodSpec::Preset { .. })
}

/// The earliest sample that counts for one at time `t`, where no course is saved.
pub(crate) fn begins(lookback: Span, t: Timestamp) -> Timestamp {
    let length = lookback.micros().max(1);
    Timestamp::from_micros((t.micros().div_euclid(length) - 1).saturating_mul(length))
}

/// How far the marks of a rule with this lookback are apart.
pub fn apart(lookback: Span) -> Span {
    Span::from_micros((lookback.micros() / MARKS).max(1))
}

/// The latest mark of a rule with this lookback at or before `t`.
fn mark(lookback: Span, t: Timestamp) -> Timestamp {
    let apart = apart(lookback).micros();
    Timestamp::from_micros(t.micros().div_euclid(apart).saturating_mul(apart))
}

/// A course, and the mark up to which it has taken samples in: those before it, and not the one at it.
#[derive(Clone, Debug, PartialEq)]
pub struct Saved {
    /// The mark.
    pub until: Timestamp,
    /// What was known by then.
    pub course: Course,
}

/// Courses of many series: those to continue, and those that reached another mark.
#[derive(Clone, Debug, Default)]
pub struct Courses {
    /// Where to go on. Each must have been saved at or before the first sample that is asked about (see [`crate::detect::detect`]).
    pub saved: BTreeMap<(RuleName, SeriesId), Saved>,
    /// The latest mark that each passed, where it is a later one.
    pub reached: Vec<(RuleName, SeriesId, Saved)>,
}

/// Goes along a series of measurements in order of time, from where the course was saved or from the first.
///
/// Gives what the detector says of each sample — nothing of those before the mark — and the course at the latest mark that was passed,
/// where it is worth saving.
pub(crate) fn along(rule: &Rule, saved: Option<Saved>, (ts, values): (&[i64], &[f64]), now: i64) -> (Vec<Option<Band>>, Option<Saved>) {
    let from = saved.as_ref().map_or(0, |s| ts.partition_point(|t| *t < s.until.micros()));
    let mut marked = saved.as_ref().map(|s| s.until);
    let Some(mut course) = saved.map(|s| s.course).or_else(|| Course::of(rule)) else { return (vec![None; ts.len()], None) };
    let settled = Timestamp::from_micros(now.saturating_sub(SETTLED.micros()));
    let mut reached = None;
    let mut bands = vec![None; from];
    for (t, x) in ts[from..].iter().zip(&values[from..]) {
        let passed = mark(rule.lookback, Timestamp::from_micros(*t));
        if is_worth_saving(rule) && passed <= settled && marked.is_some_and(|m| passed > m) {
            reached = Some(Saved { until: passed, course: course.clone() });
        }
        marked = marked.max(Some(passed));
        bands.push(course.push(rule, *t, *x));
    }
    (bands, reached)
}

/// What scores one series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Scorer {
    Preset(Box<preset::Scorer>),
    Season(Box<SeasonScorer>),
}

/// A scorer, and the scores it gave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
