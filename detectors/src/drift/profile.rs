//! Drift between profiles of a column: counts and quantiles, without the values.
//!
//! A profile is read as a distribution function that is linear between its quantiles. Where several quantiles are one value,
//! the column has an atom there, and the profile says of it and its neighbours only between which two levels the function
//! is; then a difference counts only as far as it is certain, so that coarse quantiles of a column with few distinct
//! values raise no false alarm.

use bellwether_model::dataset::ColumnProfile;

use crate::band::is_measurement;
use crate::detect::SkipReason;
use crate::drift::column::{Note, Statistic, rows_and_nulls};
use crate::drift::examine::{Examination, Test};
use crate::drift::learned::{self, Usual};
use crate::drift::measure::Measure;
use crate::drift::rule::DriftRule;
use crate::drift::shape::Bar;
use crate::drift::{ks, psi};

/// A value and the levels that the distribution function has at it: just below it, and with it.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Knot {
    value: f64,
    below: f64,
    upto: f64,
    /// Several levels have this value.
    is_atom: bool,
    /// It or a neighbour is an atom, so that only limits are known.
    is_vague: bool,
}

/// One profile, or several pooled by their counts, as a distribution function.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Distribution {
    /// Each profile's share of the pool, and its knots in order of value.
    members: Vec<(f64, Vec<Knot>)>,
    count: u64,
    nulls: u64,
    not_numbers: u64,
}

impl Distribution {
    /// Reads a profile. One of a column that is all null is an empty distribution with nulls.
    ///
    /// # Errors
    /// Why the profile cannot be compared with others: no rows, no count, or no quantiles.
    pub fn of(profile: &ColumnProfile) -> Result<Self, SkipReason> {
        let (count, nulls) = (profile.count.max(0) as u64, profile.null_count.max(0) as u64);
        let levels = profile.quantiles.iter().filter_map(|(level, value)| Some((level.parse::<f64>().ok()?, *value)));
        let levels = levels.filter(|(level, _)| (0.0..=1.0).contains(level));
        let ends = [(0.0, profile.min), (1.0, profile.max)].into_iter().filter_map(|(level, v)| Some((level, v?)));
        let all: Vec<(f64, f64)> = levels.chain(ends).collect();
        let mut points: Vec<(f64, f64)> = all.iter().copied().filter(|(_, v)| is_measurement(*v)).collect();
        let not_numbers = (all.len() - points.len()) as u64;
        points.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
        let inner = points.iter().filter(|(level, _)| *level > 0.0 && *level < 1.0).count();
        let is_constant = points.len() >= 2 && points[0].1 == points[points.len() - 1].1;
        match (count, inner > 0 || is_constant) {
            (0, false) if nulls == 0 => return Err(SkipReason::NoData),
            (0, true) => return Err(SkipReason::NoCount),
            (0, false) => return Ok(Self { nulls, ..Self::default() }),
            (_, false) => return Err(SkipReason::NoQuantiles),
            (_, true) => {}
        }
        Ok(Self { members: vec![(1.0, knots(&points))], count, nulls, not_numbers })
    }

    /// The distribution of all values of these profiles together.
    pub fn pooled<'a>(parts: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut pool = Self::default();
        for part in parts {
            pool.members.extend(part.members.iter().map(|(share, knots)| (share * part.count as f64, knots.clone())));
            pool.count += part.count;
            pool.nulls += part.nulls;
            pool.not_numbers += part.not_numbers;
        }
        let total = pool.count.max(1) as f64;
        pool.members.iter_mut().for_each(|(share, _)| *share /= total);
        pool
    }

    /// How many values it was made of, nulls not counted.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The value below which half of the values lie; `None` without values.
    pub fn median(&self) -> Option<f64> {
        let values = self.values();
        let level = |v: f64| self.at(v, Side::With).1;
        values.get(values.partition_point(|v| level(*v) < 0.5)).or(values.last()).copied()
    }

    /// All values of knots, ascending, each once.
    fn values(&self) -> Vec<f64> {
        let mut values: Vec<f64> = self.members.iter().flat_map(|(_, knots)| knots.iter().map(|k| k.value)).collect();
        values.sort_by(f64::total_cmp);
        values.dedup();
        values
    }

    /// Between which two levels the function is at a value.
    fn at(&self, value: f64, side: Side) -> (f64, f64) {
        let levels = self.levels(&[value])[0];
        match side {
            Side::Below => levels.below,
            Side::With => levels.with,
        }
    }

    /// The same for values in ascending order, on both sides of each: every profile is walked through once.
    fn levels(&self, values: &[f64]) -> Vec<Levels> {
        let mut levels = vec![Levels::default(); values.len()];
        for (share, knots) in &self.members {
            let mut next = 0;
            for (value, level) in values.iter().zip(&mut levels) {
                while next < knots.len() && knots[next].value < *value {
                    next += 1;
                }
                level.add(*share, knots, next, *value);
            }
        }
        levels
    }
}

/// Between which levels a function is just below a value, and with it.
#[derive(Clone, Copy, Debug, Default)]
struct Levels {
    below: (f64, f64),
    with: (f64, f64),
}

impl Levels {
    /// Adds a profile's share; `next` is its first knot that is not below the value.
    fn add(&mut self, share: f64, knots: &[Knot], next: usize, value: f64) {
        for (sum, side) in [(&mut self.below, Side::Below), (&mut self.with, Side::With)] {
            let (low, high) = level(knots, next, value, side);
            *sum = (sum.0 + share * low, sum.1 + share * high);
        }
    }
}

/// Just below a value, or with it.
#[derive(Clone, Copy)]
enum Side {
    Below,
    With,
}

fn knots(points: &[(f64, f64)]) -> Vec<Knot> {
    let mut knots: Vec<Knot> = Vec::new();
    for &(level, value) in points {
        match knots.last_mut() {
            // A quantile below an earlier one is a rounding: the function may not fall.
            Some(last) if value <= last.value => {
                last.is_atom |= level > last.below;
                last.upto = level;
            }
            _ => knots.push(Knot { value, below: level, upto: level, is_atom: false, is_vague: false }),
        }
    }
    // Without a minimum or maximum the lowest and highest quantile hold the rest.
    if let Some(first) = knots.first_mut() {
        first.is_atom |= first.below > 0.0;
        first.below = 0.0;
    }
    if let Some(last) = knots.last_mut() {
        last.is_atom |= last.upto < 1.0;
        last.upto = 1.0;
    }
    let atoms: Vec<bool> = knots.iter().map(|k| k.is_atom).collect();
    for (i, knot) in knots.iter_mut().enumerate() {
        knot.is_vague = atoms[i.saturating_sub(1)..atoms.len().min(i + 2)].contains(&true);
    }
    knots
}

fn level(knots: &[Knot], next: usize, value: f64, side: Side) -> (f64, f64) {
    let (before, after) = (next.checked_sub(1).map(|i| knots[i]), knots.get(next).copied());
    match (before, after) {
        (before, Some(knot)) if knot.value == value => {
            let follower = knots.get(next + 1).map_or(1.0, |k| k.below);
            match side {
                Side::With if knot.is_vague => (knot.upto, follower.max(knot.upto)),
                Side::Below if knot.is_vague => (before.map_or(0.0, |k| k.upto).min(knot.below), knot.below),
                Side::With => (knot.upto, knot.upto),
                Side::Below => (knot.below, knot.below),
            }
        }
        (None, _) => (0.0, 0.0),
        (_, None) => (1.0, 1.0),
        (Some(a), Some(b)) => {
            let at = a.upto + (b.below - a.upto) * ((value - a.value) / (b.value - a.value)).clamp(0.0, 1.0);
            if a.is_atom || b.is_atom { (a.upto, b.below) } else { (at, at) }
        }
    }
}

/// Profiles that a line is learned from, the newest of the reference.
const LEARNED_FROM: usize = 30;
/// Standard deviations above the mean of a statistic that are usual.
const WIDTH: f64 = 3.0;

/// Compares a profile with those before it. Its tests are by population stability index and by Kolmogorov–Smirnov distance. A line is the rule's,
/// or what is usual between the profiles of the reference where that is more: what the column has always done is no drift.
pub fn examine(reference: &[&Distribution], current: &Distribution, rule: &DriftRule) -> Examination {
    let pool = Distribution::pooled(reference.iter().copied());
    let mut found = compare(&pool, current, rule);
    if found.tests().any(Test::matters) {
        for test in &mut found.values {
            test.line = usual(reference, test.measure, rule).map_or(test.line, |u| u.upper.max(test.line));
        }
    }
    found
}

/// What is usual between the newest profiles of a reference: each against the others together. `None` with too few of them.
fn usual(reference: &[&Distribution], measure: Measure, rule: &DriftRule) -> Option<Usual> {
    let newest = &reference[reference.len().saturating_sub(LEARNED_FROM)..];
    let of = |i: usize| {
        let others = newest.iter().enumerate().filter(|(j, _)| *j != i).map(|(_, d)| *d);
        let found = compare(&Distribution::pooled(others), newest[i], rule);
        found.values.iter().find(|t| t.measure == measure).map(|t| t.effect)
    };
    let effects: Vec<f64> = (0..newest.len()).filter_map(of).collect();
    learned::learn(&effects, WIDTH)
}

/// Compares a profile with a pool of others, by the rule's lines.
pub fn compare(reference: &Distribution, current: &Distribution, rule: &DriftRule) -> Examination {
    let mut notes = rows_and_nulls((reference.count, reference.nulls), (current.count, current.nulls));
    if current.not_numbers > 0 {
        notes.push(Note::NotNumbers { count: current.not_numbers });
    }
    let (before, now) = (knots_of(reference), current.values());
    if let (true, [value]) = (before.len() > 1, &now[..]) {
        notes.push(Note::BecameConstant { value: *value });
    }
    let levels = reference.levels(&before);
    let mut ks = None;
    if reference.count > 0 && current.count > 0 {
        let apart = farthest(&levels, &current.levels(&before)).max(farthest(&reference.levels(&now), &current.levels(&now)));
        ks = Some(Statistic { value: apart, p_value: ks::p_value(apart, reference.count as f64, current.count as f64) });
    }
    let psi = index(reference, current, &before, &levels, rule.bins);
    let lines = [(Measure::Psi, psi, rule.psi), (Measure::KolmogorovSmirnov, ks, rule.ks)];
    let tests = lines.into_iter().filter_map(|(measure, statistic, line)| Some(Test::new(measure, statistic?, line)));
    Examination { values: tests.collect(), nulls: None, notes }
}

/// The largest distance that is certain.
fn farthest(a: &[Levels], b: &[Levels]) -> f64 {
    let apart = |(a_low, a_high): (f64, f64), (b_low, b_high): (f64, f64)| (a_low - b_high).max(b_low - a_high);
    a.iter().zip(b).fold(0.0_f64, |d, (a, b)| d.max(apart(a.with, b.with)).max(apart(a.below, b.below)))
}

/// PSI over bins whose edges are among `values`; `levels` are the reference's there.
fn index(reference: &Distribution, current: &Distribution, values: &[f64], levels: &[Levels], bins: usize) -> Option<Statistic> {
    let (n, m) = (reference.count + reference.nulls, current.count + current.nulls);
    if n == 0 || m == 0 {
        return None;
    }
    let steps = steps(current, values, levels, bins);
    let weigh = |level: fn(&Step) -> f64, count: u64, nulls: u64| {
        let rows = (count + nulls) as f64;
        let mut shares: Vec<f64> = shares(&steps, level).map(|share| share * count as f64 / rows).collect();
        if reference.nulls + current.nulls > 0 {
            shares.push(nulls as f64 / rows);
        }
        shares
    };
    let (p, q) = (weigh(|s| s.before, reference.count, reference.nulls), weigh(|s| s.now, current.count, current.nulls));
    Some(Statistic { value: psi::of_shares(&p, &q), p_value: psi::p_value(&p, &q, n as f64, m as f64) })
}

/// Where a bin begins: the position of its edge, none of the first, and both functions there.
struct Step {
    edge: Option<usize>,
    before: f64,
    now: f64,
}

/// The bins of the index: their edges are the knots nearest to equal shares, levels that the reference is certain of.
fn steps(current: &Distribution, values: &[f64], levels: &[Levels], bins: usize) -> Vec<Step> {
    let level = |i: usize| levels[i].with.0;
    let mut edges: Vec<usize> = (1..bins)
        .filter_map(|k| {
            let wanted = k as f64 / bins as f64;
            let after = levels.partition_point(|l| l.with.0 < wanted);
            let near = after.saturating_sub(1)..values.len().min(after + 1);
            near.min_by(|a, b| (level(*a) - wanted).abs().total_cmp(&(level(*b) - wanted).abs()))
        })
        .filter(|edge| level(*edge) < 1.0)
        .collect();
    edges.dedup();
    let step = |edge: usize| {
        let ((low, high), (now_low, now_high)) = (levels[edge].with, current.at(values[edge], Side::With));
        // Where either is known within limits only, the current level is taken as near to the reference's as it can be.
        let was = if high > low { low.max(now_low.min(high)) } else { low };
        Step { edge: Some(edge), before: was, now: was.clamp(now_low, now_high) }
    };
    std::iter::once(Step { edge: None, before: 0.0, now: 0.0 }).chain(edges.into_iter().map(step)).collect()
}

/// The share of each bin by one of both functions.
fn shares(steps: &[Step], level: fn(&Step) -> f64) -> impl Iterator<Item = f64> + '_ {
    let ends = steps.iter().skip(1).map(level).chain([1.0]);
    steps.iter().map(level).zip(ends).map(|(from, to)| (to - from).max(0.0))
}

/// The bins that the index of two distributions is made of, in order of value, with the share of values that each has on either side; nulls are
/// not among them. Nothing where a side has no values.
pub fn bars(reference: &Distribution, current: &Distribution, bins: usize) -> Vec<Bar> {
    if reference.count == 0 || current.count == 0 {
        return Vec::new();
    }
    let (values, now) = (knots_of(reference), current.values());
    let (Some(low), Some(high)) = (values.first().zip(now.first()), values.last().zip(now.last())) else { return Vec::new() };
    let steps = steps(current, &values, &reference.levels(&values), bins);
    let starts = steps.iter().map(|s| s.edge.map_or(low.0.min(*low.1), |edge| values[edge]));
    let ends = steps.iter().skip(1).filter_map(|s| s.edge.map(|edge| values[edge])).chain([high.0.max(*high.1)]);
    let (before, after) = (shares(&steps, |s| s.before), shares(&steps, |s| s.now));
    starts.zip(ends).zip(before.zip(after)).map(|((from, to), (before, now))| Bar { from, to, before, now }).collect()
}

/// The values of a reference's knots. A pool of many profiles has thousands of them; a few hundred tell the same.
fn knots_of(reference: &Distribution) -> Vec<f64> {
    let values = reference.values();
    values.iter().copied().step_by(values.len() / 256 + 1).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use bellwether_model::time::Timestamp;
    use proptest::prelude::*;

    /// The profile that a job would report of these values.
    pub(crate) fn profile(values: &[f64], nulls: i64, levels: &[f64], at: i64) -> ColumnProfile {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let place = |level: f64| sorted.get((level * (sorted.len().max(1) - 1) as f64).round() as usize).copied();
        ColumnProfile {
            dataset_namespace: "s3://raw".into(),
            dataset_name: "orders".into(),
            column: "amount".into(),
            event_time: Timestamp::from_secs(at),
            count: values.len() as i64,
            null_count: nulls,
            distinct_count: None,
            min: sorted.first().copied(),
            max: sorted.last().copied(),
            sum: Some(values.iter().sum()),
            quantiles: levels.iter().filter_map(|l| Some((l.to_string(), place(*l)?))).collect(),
            event_id: String::new(),
            recorded_at: Timestamp::from_secs(at),
        }
    }

    pub(crate) const DECILES: [f64; 9] = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9];

    fn read(values: &[f64], levels: &[f64]) -> Distribution {
        Distribution::of(&profile(values, 0, levels, 0)).unwrap()
    }

    /// The index and the distance.
    fn effects(reference: &Distribution, current: &Distribution) -> (f64, f64) {
        let found = compare(reference, current, &DriftRule::default());
        let of = |measure| found.values.iter().find(|t| t.measure == measure).map_or(0.0, |t| t.effect);
        (of(Measure::Psi), of(Measure::KolmogorovSmirnov))
    }

    #[test]
    fn profiles_tell_about_what_the_values_tell() {
        // A skewed column, and the same half a deviation to the right.
        let a: Vec<f64> = (0..5_000).map(|i| (f64::from(i * 3_571 % 5_003) / 5_003.0 + 0.01).powi(3) * 10.0).collect();
        let b: Vec<f64> = a.iter().map(|v| v * 1.3 + 0.1).collect();
        let (found_psi, found_ks) = effects(&read(&a, &DECILES), &read(&b, &DECILES));
        let (mut x, mut y) = (a.clone(), b.clone());
        x.sort_by(f64::total_cmp);
        y.sort_by(f64::total_cmp);
        let exact = ks::of_sorted(&x, &y).unwrap();
        assert!((found_ks - exact).abs() < 0.06, "{found_ks} {exact}");
        let cut = psi::edges(&x, 10);
        let exact = psi::of_shares(&psi::shares(&psi::counts(&cut, &x)), &psi::shares(&psi::counts(&cut, &y)));
        assert!((found_psi - exact).abs() < 0.3 * exact + 0.02, "{found_psi} {exact}");
        assert!((read(&a, &DECILES).median().unwrap() - x[2_500]).abs() < 0.01);
        // Two halves pooled are the whole.
        let pool = Distribution::pooled([&read(&a[..2_500], &DECILES), &read(&a[2_500..], &DECILES)]);
        let same = effects(&pool, &read(&a, &DECILES));
        assert!(same.1 < 0.02 && same.0 < 0.01, "{same:?}");
        assert_eq!(pool.count(), 5_000);
    }

    #[test]
    fn few_distinct_values_are_judged_by_what_is_certain() {
        let flips = |ones: usize| (0..1_000).map(|i| f64::from(u8::from(i < ones))).collect::<Vec<_>>();
        let quarters = [0.25, 0.5, 0.75];
        let small = effects(&read(&flips(300), &quarters), &read(&flips(200), &quarters));
        assert!(small.1 < 0.1 && small.0 < 0.2, "{small:?}");
        let large = effects(&read(&flips(100), &quarters), &read(&flips(900), &quarters));
        assert!(large.1 >= 0.25, "{large:?}");
        let (five, six) = (read(&[5.0; 100], &quarters), read(&[6.0; 100], &quarters));
        assert_eq!((effects(&five, &five).1, effects(&five, &six).1), (0.0, 1.0));
        let constant = compare(&read(&flips(300), &quarters), &five, &DriftRule::default());
        assert!(constant.notes.contains(&Note::BecameConstant { value: 5.0 }));
    }

    /// A column whose days differ by a deviation is usual at a deviation, and not at five.
    #[test]
    fn what_a_column_has_always_done_is_no_drift() {
        let day = |shift: f64| read(&(0..2_000).map(|i| f64::from(i * 7_919 % 2_003) / 2_003.0 + shift).collect::<Vec<_>>(), &DECILES);
        let verdicts = |shifts: &[f64], now: f64| {
            let days: Vec<Distribution> = shifts.iter().map(|s| day(*s)).collect();
            let found = examine(&days.iter().collect::<Vec<_>>(), &day(now), &DriftRule::default());
            (found.values.iter().any(Test::matters), found.values.iter().map(|t| t.line).fold(0.0, f64::max))
        };
        let (restless, calm) = ([0.0, 0.3, 0.1, 0.25, 0.05, 0.2, 0.3, 0.0], [0.0; 8]);
        assert!(verdicts(&calm, 0.3).0 && !verdicts(&restless, 0.3).0, "{:?}", verdicts(&restless, 0.3));
        assert!(verdicts(&restless, 3.0).0);
        assert_eq!(verdicts(&restless[..2], 3.0).1, DriftRule::default().psi, "two profiles teach nothing");
    }

    #[test]
    fn what_cannot_be_compared_says_why() {
        let values = [1.0, 2.0, 3.0];
        let reason = |change: fn(&mut ColumnProfile)| {
            let mut p = profile(&values, 0, &[0.5], 0);
            change(&mut p);
            Distribution::of(&p).map(|d| d.count())
        };
        assert_eq!(reason(|_| ()), Ok(3));
        assert_eq!(reason(|p| p.count = 0), Err(SkipReason::NoCount));
        assert_eq!(reason(|p| p.quantiles.clear()), Err(SkipReason::NoQuantiles));
        assert_eq!(Distribution::of(&profile(&[], 0, &[0.5], 0)), Err(SkipReason::NoData));
        let all_null = Distribution::of(&profile(&[], 7, &[0.5], 0)).unwrap();
        let was = read(&values, &[0.5]);
        let found = compare(&was, &all_null, &DriftRule::default());
        let [psi] = &found.values[..] else { panic!("{found:?}") };
        assert!(psi.measure == Measure::Psi && psi.effect > 1.0 && found.notes.contains(&Note::AllNull));
    }

    proptest! {
        #[test]
        fn nothing_but_numbers(a in prop::collection::vec(prop::num::f64::ANY, 0..30), b in prop::collection::vec(-3..3i8, 0..30), nulls in 0i64..5) {
            let b: Vec<f64> = b.into_iter().map(f64::from).collect();
            let read = |v: &[f64]| Distribution::of(&profile(v, nulls, &DECILES, 0));
            if let (Ok(a), Ok(b)) = (read(&a), read(&b)) {
                let rule = DriftRule { bins: 7, ..DriftRule::default() };
                for c in [compare(&a, &b, &rule), compare(&b, &a, &rule), examine(&[&a, &b, &a], &b, &rule)] {
                    for t in c.tests() {
                        prop_assert!(t.effect.is_finite() && t.effect >= 0.0 && t.line > 0.0 && (0.0..=1.0).contains(&t.p_value), "{t:?}");
                    }
                }
                prop_assert_eq!(effects(&b, &b).1, 0.0);
            }
        }
    }
}
