//! How good answers are: how often the right playbook comes first, whether stated probabilities come true, and what abstaining gains.

use bellwether_model::outcome::Effect;
use serde::Serialize;

use super::{Answer, Episode};

/// Bins of the reliability curve.
const BINS: usize = 10;
/// Steps of the abstention curve.
const LEVELS: usize = 20;

/// What a method is measured at.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Measured {
    /// Incidents for which a right playbook exists.
    pub incidents: usize,
    /// Share of them with the right one first.
    pub top_1: f64,
    /// Share of them with the right one among the first three.
    pub top_3: f64,
    /// Mean of one over the place of the right one; 0 where it is not named.
    pub mrr: f64,
    /// Share of all incidents for which something was recommended.
    pub answered: f64,
    /// Share of first recommendations that would have helped.
    pub helped: f64,
    /// Expected calibration error: the mean distance, over recommendations, of what a bin stated from what came true (Naeini et al., 2015).
    pub ece: f64,
    /// The reliability curve.
    pub reliability: Vec<Bin>,
    /// The abstention curve, from few recommendations to all.
    pub abstention: Vec<Level>,
}

/// First recommendations that stated much the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Bin {
    /// How many.
    pub count: usize,
    /// Mean of what they stated.
    pub stated: f64,
    /// Share of them that would have helped.
    pub realised: f64,
}

/// What is left when only the surest recommendations are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Level {
    /// Share of all incidents that are answered.
    pub coverage: f64,
    /// The lowest score that is recommended then.
    pub least: f64,
    /// Share of first recommendations that are the right playbook.
    pub right: f64,
    /// Share of first recommendations that would have helped.
    pub helped: f64,
}

/// Measures answers. All zeros without any.
pub fn measure(answers: &[(&Episode, &Answer)]) -> Measured {
    let places: Vec<Option<usize>> = answers
        .iter()
        .filter_map(|(episode, answer)| episode.right.as_ref().map(|right| answer.iter().position(|(id, _)| id == right)))
        .collect();
    let mean = |worth: &dyn Fn(usize) -> f64| places.iter().flatten().map(|place| worth(*place)).sum::<f64>() / places.len().max(1) as f64;
    let mut first: Vec<First> = answers.iter().filter_map(|(episode, answer)| First::of(episode, answer)).collect();
    first.sort_by(|a, b| b.stated.total_cmp(&a.stated));
    let reliability = bins(&first);
    let gap = |bin: &Bin| bin.count as f64 * (bin.stated - bin.realised).abs();
    Measured {
        incidents: places.len(),
        top_1: mean(&|place| if place == 0 { 1.0 } else { 0.0 }),
        top_3: mean(&|place| if place < 3 { 1.0 } else { 0.0 }),
        mrr: mean(&|place| 1.0 / (place as f64 + 1.0)),
        answered: first.len() as f64 / answers.len().max(1) as f64,
        helped: share(&first, |f| f.helped),
        ece: reliability.iter().map(gap).sum::<f64>() / first.len().max(1) as f64,
        abstention: levels(&first, answers.len()),
        reliability,
    }
}

/// A first recommendation.
struct First {
    stated: f64,
    right: bool,
    helped: bool,
}

impl First {
    fn of(episode: &Episode, answer: &Answer) -> Option<Self> {
        let (id, stated) = answer.first()?;
        let helped = episode.effects.get(id) == Some(&Effect::Effective);
        Some(Self { stated: *stated, right: episode.right.as_ref() == Some(id), helped })
    }
}

fn share(of: &[First], is: impl Fn(&First) -> bool) -> f64 {
    of.iter().filter(|f| is(f)).count() as f64 / of.len().max(1) as f64
}

/// Ten bins of equal width; those without recommendations are left out.
fn bins(first: &[First]) -> Vec<Bin> {
    let of = |n: usize| {
        let within: Vec<&First> = first.iter().filter(|f| ((f.stated * BINS as f64) as usize).min(BINS - 1) == n).collect();
        let mean = |worth: &dyn Fn(&First) -> f64| within.iter().map(|f| worth(f)).sum::<f64>() / within.len().max(1) as f64;
        Bin { count: within.len(), stated: mean(&|f| f.stated), realised: mean(&|f| f64::from(u8::from(f.helped))) }
    };
    (0..BINS).map(of).filter(|bin| bin.count > 0).collect()
}

/// The surest 5 %, 10 %, … of `asked`, as far as there are recommendations, and all.
fn levels(first: &[First], asked: usize) -> Vec<Level> {
    let mut counts: Vec<usize> = (1..=LEVELS).map(|n| asked * n / LEVELS).filter(|n| (1..=first.len()).contains(n)).collect();
    counts.push(first.len());
    counts.dedup();
    let of = |n: usize| {
        let surest = &first[..n];
        let least = surest.last()?.stated;
        Some(Level {
            coverage: n as f64 / asked.max(1) as f64,
            least,
            right: share(surest, |f| f.right),
            helped: share(surest, |f| f.helped),
        })
    };
    counts.into_iter().filter_map(of).collect()
}
