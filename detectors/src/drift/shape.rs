//! What a column looked like before and looks like now: enough to draw it and to put it in words, whether its values are at hand or
//! only a sketch of them.

use std::collections::BTreeMap;

use bellwether_model::unit::Unit;
use serde::{Deserialize, Serialize};

use crate::band::is_measurement;
use crate::drift::measure::FEW;
use crate::drift::order::sorted;
use crate::drift::quantiles::Quantiles;

/// Bars that numbers are drawn with, at most; whole numbers of a small range have one each, up to [`WHOLE`].
const BARS: usize = 32;
/// The most whole numbers that have a bar each.
const WHOLE: f64 = 40.0;
/// Categories that have a bar of their own.
const NAMED: usize = 8;
/// The share of values on either side of the bars that belongs to the outermost of them.
const TAIL: f64 = 0.005;

/// Numbers in ascending order, each with the share of numbers up to it. There is at least one, and the last share is 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Steps {
    steps: Vec<(f64, f64)>,
    low: f64,
    high: f64,
}

impl Steps {
    /// The steps of values; those that are no measurements are passed over. `None` without any.
    pub fn of_values(values: &[f64]) -> Option<Self> {
        let finite: Vec<f64> = values.iter().copied().filter(|v| is_measurement(*v)).collect();
        let ordered = sorted(&finite);
        let (low, high) = (*ordered.first()?, *ordered.last()?);
        let count = ordered.len() as f64;
        let mut steps: Vec<(f64, f64)> = Vec::new();
        for (i, value) in ordered.into_iter().enumerate() {
            let share = (i + 1) as f64 / count;
            match steps.last_mut() {
                Some(last) if last.0 == value => last.1 = share,
                _ => steps.push((value, share)),
            }
        }
        Some(Self { steps, low, high })
    }

    /// The steps that a sketch knows. `None` without values.
    pub fn of_sketch(quantiles: &Quantiles) -> Option<Self> {
        let (low, high) = quantiles.range()?;
        let steps = quantiles.steps();
        (!steps.is_empty()).then_some(Self { steps, low, high })
    }

    /// The share of numbers up to a value, 0 to 1.
    pub fn upto(&self, value: f64) -> f64 {
        let passed = self.steps.partition_point(|(v, _)| *v <= value);
        passed.checked_sub(1).map_or(0.0, |i| self.steps[i].1)
    }

    /// The smallest number that has at least this share of numbers up to it.
    pub fn quantile(&self, share: f64) -> f64 {
        self.steps.get(self.steps.partition_point(|(_, s)| *s < share)).map_or(self.high, |(v, _)| *v)
    }

    /// The different numbers.
    pub(crate) fn values(&self) -> impl Iterator<Item = f64> + '_ {
        self.steps.iter().map(|(v, _)| *v)
    }

    /// Each number with its share.
    fn weighted(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        let before = std::iter::once(0.0).chain(self.steps.iter().map(|(_, s)| *s));
        self.steps.iter().zip(before).map(|((value, share), before)| (*value, share - before))
    }

    /// What is to be known of it in five numbers.
    pub fn summary(&self) -> Summary {
        let pivot = self.steps[0].0;
        let mean = pivot + self.weighted().map(|(v, w)| (v - pivot) * w).sum::<f64>();
        let deviation = self.weighted().map(|(v, w)| (v - mean) * (v - mean) * w).sum::<f64>().max(0.0).sqrt();
        Summary { mean, deviation, median: self.quantile(0.5), low: self.low, high: self.high }
    }

    /// Whether all of them are whole.
    pub fn is_whole(&self) -> bool {
        self.steps.iter().all(|(v, _)| v.fract() == 0.0)
    }
}

/// A column of numbers in five numbers, all in its own unit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)] // the fields say what their names say
pub struct Summary {
    pub mean: f64,
    pub deviation: f64,
    pub median: f64,
    pub low: f64,
    pub high: f64,
}

/// A stretch of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bar {
    /// Numbers above this; those below the first bar belong to it.
    pub from: f64,
    /// Up to this; those above the last bar belong to it.
    pub to: f64,
    /// Share of the reference's values, 0 to 1.
    pub before: f64,
    /// Share of the current values, 0 to 1.
    pub now: f64,
}

/// A category.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Named {
    /// Its name.
    pub name: String,
    /// Share of the reference's values, 0 to 1.
    pub before: f64,
    /// Share of the current values, 0 to 1.
    pub now: f64,
}

/// How a column's values are spread. A side without values has shares of 0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Shape {
    /// Numbers.
    Numbers {
        /// Of the reference.
        before: Option<Summary>,
        /// Of now.
        now: Option<Summary>,
        /// Their histogram, over the same bars.
        bars: Vec<Bar>,
    },
    /// Categories, and numbers of which there are only a few.
    Categories {
        /// Those with the largest shares on either side, largest first.
        named: Vec<Named>,
        /// How many more there are, and what they hold together.
        others: Option<(u64, Named)>,
    },
}

/// The shape of numbers; `None` when neither side has any.
pub fn of_numbers(before: Option<&Steps>, now: Option<&Steps>) -> Option<Shape> {
    let sides: Vec<&Steps> = before.into_iter().chain(now).collect();
    let first = *sides.first()?;
    if sides.iter().all(|s| s.steps.len() <= FEW) {
        let mut different: Vec<f64> = sides.iter().flat_map(|s| s.steps.iter().map(|(v, _)| *v)).collect();
        different.sort_by(f64::total_cmp);
        different.dedup();
        if different.len() <= FEW {
            let share = |side: Option<&Steps>, v: f64| side.and_then(|s| s.weighted().find(|(x, _)| *x == v)).map_or(0.0, |(_, w)| w);
            let named = |v: &f64| Named { name: Unit::Number.show(*v), before: share(before, *v), now: share(now, *v) };
            return Some(Shape::Categories { named: different.iter().map(named).collect(), others: None });
        }
    }
    let reach = |share: f64, pick: fn(f64, f64) -> f64| sides.iter().map(|s| s.quantile(share)).fold(first.quantile(share), pick);
    let (mut low, mut high) = (reach(TAIL, f64::min), reach(1.0 - TAIL, f64::max));
    let mut count = BARS;
    if sides.iter().all(|s| s.is_whole()) {
        // Each bar holds the same number of whole numbers.
        let all = high - low + 1.0;
        let wide = if all <= WHOLE { 1.0 } else { (all / BARS as f64).ceil() };
        count = (all / wide).ceil() as usize;
        (low, high) = (low - 0.5, low - 0.5 + wide * count as f64);
    }
    if low >= high {
        let room = low.abs().max(1.0) / 2.0;
        (low, high) = (low - room, high + room);
    }
    let edge = |i: usize| low + (high - low) * i as f64 / count as f64;
    let share = |side: Option<&Steps>, i: usize| {
        side.map_or(0.0, |s| {
            let (below, upto) = (if i == 0 { 0.0 } else { s.upto(edge(i)) }, if i + 1 == count { 1.0 } else { s.upto(edge(i + 1)) });
            (upto - below).max(0.0)
        })
    };
    let bars = (0..count).map(|i| Bar { from: edge(i), to: edge(i + 1), before: share(before, i), now: share(now, i) }).collect();
    Some(Shape::Numbers { before: before.map(Steps::summary), now: now.map(Steps::summary), bars })
}

/// The shape of categories and their counts; `None` when neither side has any.
pub fn of_categories(before: &BTreeMap<String, u64>, now: &BTreeMap<String, u64>) -> Option<Shape> {
    let (n, m) = (before.values().sum::<u64>(), now.values().sum::<u64>());
    if n + m == 0 {
        return None;
    }
    let share = |counts: &BTreeMap<String, u64>, name: &str, total: u64| counts.get(name).map_or(0.0, |c| *c as f64 / total.max(1) as f64);
    let names = before.keys().chain(now.keys().filter(|k| !before.contains_key(*k)));
    let mut named: Vec<Named> =
        names.map(|name| Named { name: name.clone(), before: share(before, name, n), now: share(now, name, m) }).collect();
    let size = |c: &Named| c.before.max(c.now);
    named.sort_by(|a, b| size(b).total_cmp(&size(a)).then_with(|| a.name.cmp(&b.name)));
    let rest = if named.len() > NAMED + 1 { named.split_off(NAMED) } else { Vec::new() };
    let sum = |side: fn(&Named) -> f64| rest.iter().map(side).sum::<f64>();
    let others = (!rest.is_empty()).then(|| {
        let name = format!("{} others", rest.len());
        (rest.len() as u64, Named { name, before: sum(|c| c.before), now: sum(|c| c.now) })
    });
    Some(Shape::Categories { named, others })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn steps(values: &[f64]) -> Option<Steps> {
        Steps::of_values(values)
    }

    #[test]
    fn bars_hold_all_values() {
        let values: Vec<f64> = (0..10_000).map(|i| (f64::from(i) / 10_000.0).powi(3) * 50.0).collect();
        let moved: Vec<f64> = values.iter().map(|v| v + 500.0).collect();
        let Some(Shape::Numbers { before, now, bars }) = of_numbers(steps(&values).as_ref(), steps(&moved).as_ref()) else { panic!() };
        assert_eq!(bars.len(), BARS);
        assert!((before.unwrap().mean - 12.5).abs() < 0.01 && (now.unwrap().mean - 512.5).abs() < 0.01);
        assert!((before.unwrap().deviation - now.unwrap().deviation).abs() < 1e-9);
        let whole: Vec<f64> = (0..100).map(|i| f64::from(i % 12)).collect();
        let Some(Shape::Numbers { bars, .. }) = of_numbers(steps(&whole).as_ref(), None) else { panic!() };
        assert_eq!((bars.len(), bars[0].from, bars[11].to, bars[3].now), (12, -0.5, 11.5, 0.0));
        assert!((bars[0].before - 0.09).abs() < 1e-12, "{bars:?}");
        let ages: Vec<f64> = (0..5_900).map(|i| f64::from(17 + i % 59)).collect();
        let Some(Shape::Numbers { bars, .. }) = of_numbers(steps(&ages).as_ref(), None) else { panic!() };
        assert!(bars.len() == 30 && bars[..29].iter().all(|b| (b.before - 2.0 / 59.0).abs() < 1e-12), "two ages a bar: {bars:?}");
    }

    #[test]
    fn few_numbers_are_categories_and_many_categories_are_summed_up() {
        let Some(Shape::Categories { named, others: None }) = of_numbers(steps(&[0.0, 1.0, 1.0, 0.0]).as_ref(), steps(&[1.0]).as_ref())
        else {
            panic!()
        };
        assert_eq!((named[0].name.as_str(), named[0].before, named[0].now, named[1].now), ("0", 0.5, 0.0, 1.0));
        let counts: BTreeMap<String, u64> = (1..=20).map(|i| (format!("c{i:02}"), i)).collect();
        let Some(Shape::Categories { named, others: Some((12, rest)) }) = of_categories(&counts, &BTreeMap::new()) else { panic!() };
        assert_eq!((named.len(), named[0].name.as_str(), rest.name.as_str(), rest.now), (NAMED, "c20", "12 others", 0.0));
        assert_eq!((of_categories(&BTreeMap::new(), &BTreeMap::new()), of_numbers(None, None)), (None, None));
    }

    proptest! {
        #[test]
        fn shares_add_up_and_nothing_is_nan(a in prop::collection::vec(prop::num::f64::ANY, 0..60), b in prop::collection::vec(-9..9i8, 0..60)) {
            let b: Vec<f64> = b.into_iter().map(f64::from).collect();
            let (before, now) = (steps(&a), steps(&b));
            for shape in [of_numbers(before.as_ref(), now.as_ref()), of_numbers(now.as_ref(), before.as_ref())].into_iter().flatten() {
                let shares: Vec<(f64, f64)> = match &shape {
                    Shape::Numbers { before, now, bars } => {
                        for s in before.iter().chain(now) {
                            prop_assert!([s.mean, s.deviation, s.median, s.low, s.high].iter().all(|v| v.is_finite()), "{s:?}");
                        }
                        prop_assert!(bars.iter().all(|b| b.from.is_finite() && b.to.is_finite()));
                        bars.iter().map(|b| (b.before, b.now)).collect()
                    }
                    Shape::Categories { named, .. } => named.iter().map(|c| (c.before, c.now)).collect(),
                };
                for side in [shares.iter().map(|s| s.0).sum::<f64>(), shares.iter().map(|s| s.1).sum()] {
                    prop_assert!(side.abs() < 1e-9 || (side - 1.0).abs() < 1e-9, "{shape:?}");
                }
            }
        }
    }
}
