//! A new series among series like it: what is usual of its peers judges it until it has a history of its own.
//!
//! Peers are series of the same metric with the same labels, but for those that only tell instances apart ([`Peers`]). Time is cut into
//! slots of a quarter of the rule's gap. Of each slot it is kept how many grown-up series there were ([`Crowd`]: those with as many samples in
//! the lookback as the rule wants), the mean and variance of their means, and the mean of the variances within them. A point of a newcomer
//! is held against the slot before its own: the band is the prediction interval for one more series of such a crowd, by Student's t with
//! as many degrees of freedom as there are peers less one, as wide in probability as the rule's threshold is for a normal variable. With
//! few peers it is wide, and with fewer than [`LEAST`] there is none.
//!
//! Crowds follow from samples alone and can be added up over windows, so newcomers can be judged when all windows were seen.

use std::collections::{BTreeMap, BTreeSet};

use bellwether_model::id::RuleName;
use bellwether_model::series::{Labels, Window};
use bellwether_model::signal::Signal;
use serde::{Deserialize, Serialize};

use crate::band::{Band, Moments, is_measurement};
use crate::detect::{Evaluation, judged_from};
use crate::rule::Rule;

/// With fewer peers a newcomer is not judged.
pub const LEAST: u32 = 3;

/// The labels that only tell instances apart: series that differ in nothing else are peers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Peers(pub BTreeSet<String>);

impl Default for Peers {
    fn default() -> Self {
        let labels =
            ["instance", "pod", "pod_name", "pod_template_hash", "replica", "revision", "revision_name", "node", "hostname", "gpu"];
        Self(labels.map(str::to_owned).into())
    }
}

impl Peers {
    /// What a series has in common with its peers; none when it has no label that tells instances apart, and so no peers.
    pub fn group(&self, labels: &Labels) -> Option<Labels> {
        let kept: Labels = labels.iter().filter(|(name, _)| !self.0.contains(*name)).map(|(n, v)| (n.clone(), v.clone())).collect();
        (kept.len() < labels.len()).then_some(kept)
    }
}

/// What the peers did in one slot.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Crowd {
    /// How many there were.
    count: u32,
    /// Mean of their means.
    mean: f64,
    /// Sum of the squared distances of their means from it.
    squares: f64,
    /// Sum of the variances within each.
    within: f64,
}

impl Crowd {
    /// One series with this mean and variance.
    fn one(mean: f64, within: f64) -> Self {
        Self { count: 1, mean, squares: 0.0, within }
    }

    /// Both crowds together (Chan, Golub and LeVeque 1979).
    fn add(&mut self, other: Self) {
        let (a, b) = (f64::from(self.count), f64::from(other.count));
        let n = a + b;
        if n == 0.0 {
            return;
        }
        let distance = other.mean - self.mean;
        self.count += other.count;
        self.mean += distance * (b / n);
        self.squares += other.squares + distance * distance * (a * b / n);
        self.within += other.within;
    }

    /// The band for a value of one more series.
    fn band(&self, rule: &Rule, threshold: f64) -> Option<Band> {
        if self.count < LEAST {
            return None;
        }
        let n = f64::from(self.count);
        let sd = (self.squares / (n - 1.0) + self.within / n).sqrt();
        let moments = Moments { mean: self.mean, sd, samples: n };
        let wide = student_quantile(threshold, n - 1.0) * (1.0 + 1.0 / n).sqrt();
        Some(Band::around(rule, wide, moments))
    }
}

/// The value that Student's t exceeds as seldom as a normal variable exceeds `z` (Wallace 1959, inverted).
fn student_quantile(z: f64, dof: f64) -> f64 {
    let z = z * (8.0 * dof + 3.0) / (8.0 * dof + 1.0);
    (dof * (z * z / dof).min(300.0).exp_m1()).sqrt()
}

/// Whom a newcomer was compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Among {
    /// How many peers.
    pub peers: u32,
    /// How long its own history was, in microseconds.
    pub history: i64,
}

/// The crowds of every rule that compares newcomers with peers.
#[derive(Clone, Debug, Default)]
pub struct Crowds {
    by_rule: BTreeMap<RuleName, Slots>,
}

/// The crowds of one rule.
#[derive(Clone, Debug)]
struct Slots {
    /// Width of a slot in microseconds.
    width: i64,
    /// First and last slot that can matter.
    range: (i64, i64),
    groups: BTreeMap<(String, Labels), BTreeMap<i64, Crowd>>,
}

/// The width of a rule's slots: a quarter of its gap, so that a series that is alive usually has samples in each.
fn width(rule: &Rule) -> i64 {
    (rule.gap.micros() / 4).max(1)
}

impl Crowds {
    /// No crowd yet, for these rules. `known`: the signals that are open, of all windows.
    pub fn new(rules: &[Rule], known: &[Signal], at: &Evaluation) -> Self {
        let slots = |rule: &Rule| {
            let from = rule.pends_from(judged_from(rule, known, at.since));
            let (width, slot) = (width(rule), |t: i64| t.div_euclid(width(rule)));
            Slots { width, range: (slot(from.micros()) - 1, slot(at.now.micros()) - 1), groups: BTreeMap::new() }
        };
        let by_rule = rules.iter().filter(|r| r.peers.is_some()).map(|r| (r.name.clone(), slots(r)));
        Self { by_rule: by_rule.collect() }
    }

    /// Takes in what the grown-up series of a window did.
    pub fn take_in(&mut self, rules: &[Rule], window: &Window) {
        for rule in rules {
            let (Some(peers), Some(slots)) = (&rule.peers, self.by_rule.get_mut(&rule.name)) else { continue };
            for (i, series) in window.series.iter().enumerate().filter(|(_, s)| s.metric == rule.metric) {
                let Some(group) = peers.group(&series.labels) else { continue };
                let range = window.offsets[i]..window.offsets[i + 1];
                let (ts, values) = (&window.ts[range.clone()], &window.values[range]);
                let crowds = slots.groups.entry((series.metric.clone(), group)).or_default();
                each_slot(rule, (slots.width, slots.range), ts, values, |slot, crowd| crowds.entry(slot).or_default().add(crowd));
            }
        }
    }

    /// Adds the crowds of other windows, for the same rules.
    pub fn merge(&mut self, other: Self) {
        for (rule, theirs) in other.by_rule {
            let Some(ours) = self.by_rule.get_mut(&rule) else { continue };
            for (group, slots) in theirs.groups {
                let into = ours.groups.entry(group).or_default();
                slots.into_iter().for_each(|(slot, crowd)| into.entry(slot).or_default().add(crowd));
            }
        }
    }

    /// The company of a series under a rule; none where it has no peers at all.
    pub(crate) fn of(&self, rule: &Rule, metric: &str, labels: &Labels) -> Option<Company<'_>> {
        let slots = self.by_rule.get(&rule.name)?;
        let group = rule.peers.as_ref()?.group(labels)?;
        let crowds = slots.groups.get(&(metric.to_owned(), group))?;
        Some(Company { width: slots.width, crowds })
    }
}

/// Mean and variance of a series in each slot of a range in which it is grown up.
fn each_slot(rule: &Rule, (width, range): (i64, (i64, i64)), ts: &[i64], values: &[f64], mut sink: impl FnMut(i64, Crowd)) {
    let mut at = ts.partition_point(|t| t.div_euclid(width) < range.0);
    while at < ts.len() {
        let slot = ts[at].div_euclid(width);
        if slot > range.1 {
            return;
        }
        let ends = slot.saturating_add(1).saturating_mul(width);
        let end = at + ts[at..].partition_point(|t| *t < ends);
        let begins = ts.partition_point(|t| *t < ends.saturating_sub(rule.lookback.micros()));
        let measured = || values[at..end].iter().copied().filter(|v| is_measurement(*v));
        let count = measured().count();
        if count > 0 && grown_up(&values[begins..end], rule.min_samples as usize) {
            let mean = measured().sum::<f64>() / count as f64;
            let within = measured().map(|v| (v - mean) * (v - mean)).sum::<f64>() / count as f64;
            sink(slot, Crowd::one(mean, within));
        }
        at = end;
    }
}

/// Whether there are so many measurements.
fn grown_up(values: &[f64], wanted: usize) -> bool {
    values.iter().filter(|v| is_measurement(**v)).take(wanted).count() >= wanted
}

/// The crowds around one series.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Company<'a> {
    width: i64,
    crowds: &'a BTreeMap<i64, Crowd>,
}

impl Company<'_> {
    /// The band at time `t` for a series whose first sample is at `begins`.
    pub(crate) fn band(&self, rule: &Rule, threshold: f64, t: i64, begins: i64) -> Option<Band> {
        let crowd = self.crowds.get(&(t.div_euclid(self.width) - 1))?;
        let band = crowd.band(rule, threshold)?;
        Some(Band { among: Some(Among { peers: crowd.count, history: t.saturating_sub(begins) }), ..band })
    }
}

#[cfg(test)]
mod tests;
