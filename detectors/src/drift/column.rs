//! Two samples of one column: how far apart they are, and everything that is odd about them, by name.

use std::collections::BTreeMap;
use std::fmt;

use bellwether_model::verdict::Verdict;
use serde::{Deserialize, Serialize};

use crate::band::is_measurement;
use crate::drift::correction::benjamini_hochberg;
use crate::drift::rule::DriftRule;
use crate::drift::{ks, psi};

/// A sample of a column.
#[derive(Clone, Copy, Debug)]
pub enum Column<'a> {
    /// Numbers; NaN and infinities may be among them, and are counted apart.
    Numbers {
        /// The values that are not null.
        values: &'a [f64],
        /// How many nulls there are.
        nulls: u64,
    },
    /// Categories.
    Categories {
        /// How often each occurs.
        counts: &'a BTreeMap<String, u64>,
        /// How many nulls there are.
        nulls: u64,
    },
}

/// Something odd about a column. Each is worth saying, whether or not the column drifted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "note", rename_all = "snake_case")]
#[allow(missing_docs)] // the fields say what their names say
pub enum Note {
    /// The reference has no row.
    NoReference,
    /// There is no row at all.
    Empty,
    /// There are rows, but only nulls.
    AllNull,
    /// All values are the same, and those of the reference are not.
    BecameConstant { value: f64 },
    /// Values that are NaN or infinite, which take no part in the statistics.
    NotNumbers { count: u64 },
    /// The share of nulls changed by five points or more.
    NullShare { before: f64, now: f64 },
    /// A category that the reference does not have.
    NewCategory { name: String, share: f64 },
    /// A category of the reference that is gone.
    VanishedCategory { name: String, share_before: f64 },
    /// Numbers became categories or the other way round.
    TypeChanged,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |share: f64| bellwether_model::unit::Unit::Ratio.show(share);
        match self {
            Self::NoReference => f.write_str("nothing to compare with"),
            Self::Empty => f.write_str("no rows"),
            Self::AllNull => f.write_str("only nulls"),
            Self::BecameConstant { value } => write!(f, "all values are {value}"),
            Self::NotNumbers { count } => write!(f, "{count} values are NaN or infinite"),
            Self::NullShare { before, now } => write!(f, "nulls {}, were {}", percent(*now), percent(*before)),
            Self::NewCategory { name, share } => write!(f, "new category {name:?} ({})", percent(*share)),
            Self::VanishedCategory { name, share_before } => write!(f, "category {name:?} is gone (was {})", percent(*share_before)),
            Self::TypeChanged => f.write_str("the type changed"),
        }
    }
}

/// A statistic with its p-value.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Statistic {
    /// Its value.
    pub value: f64,
    /// Probability of at least this value without drift.
    pub p_value: f64,
}

/// How a column compares with its reference. Holds no NaN.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Population stability index; nulls are a bin of their own.
    pub psi: Option<Statistic>,
    /// Kolmogorov–Smirnov distance, of numbers.
    pub ks: Option<Statistic>,
    /// What is odd.
    pub notes: Vec<Note>,
}

/// A column's comparison, judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ColumnReport {
    /// The comparison.
    pub comparison: Comparison,
    /// The larger of the two effects as a multiple of its threshold; at most 1.0 unless it is significant.
    pub score: f64,
    /// `fail` when the column drifted or its type changed; `no_data` when there are no values; `inconclusive` without a
    /// reference; otherwise `pass`.
    pub verdict: Verdict,
}

/// Compares two samples of a column.
pub fn compare(reference: Column<'_>, current: Column<'_>, bins: usize) -> Comparison {
    match (reference, current) {
        (Column::Numbers { values: a, nulls: a_nulls }, Column::Numbers { values: b, nulls: b_nulls }) => {
            numbers((a, a_nulls), (b, b_nulls), bins)
        }
        (Column::Categories { counts: a, nulls: a_nulls }, Column::Categories { counts: b, nulls: b_nulls }) => {
            categories((a, a_nulls), (b, b_nulls))
        }
        _ => Comparison { notes: vec![Note::TypeChanged], ..Comparison::default() },
    }
}

/// Judges the columns of one dataset together, so that many columns do not make for many false alarms.
pub fn judge(comparisons: Vec<Comparison>, rule: &DriftRule) -> Vec<ColumnReport> {
    let p = |s: Option<Statistic>| s.map_or(f64::NAN, |s| s.p_value);
    let p_values: Vec<f64> = comparisons.iter().flat_map(|c| [p(c.psi), p(c.ks)]).collect();
    let significant = benjamini_hochberg(&p_values, rule.q);
    comparisons
        .into_iter()
        .zip(significant.chunks_exact(2))
        .map(|(comparison, significant)| {
            let score = score(&comparison, rule, [significant[0], significant[1]]);
            let has = |note: &Note| comparison.notes.contains(note);
            let verdict = match score {
                _ if has(&Note::TypeChanged) || score.0 => Verdict::Fail,
                _ if has(&Note::Empty) || has(&Note::AllNull) => Verdict::NoData,
                _ if has(&Note::NoReference) => Verdict::Inconclusive,
                _ => Verdict::Pass,
            };
            ColumnReport { score: score.1, verdict, comparison }
        })
        .collect()
}

/// Whether it drifted, and the score.
fn score(comparison: &Comparison, rule: &DriftRule, significant: [bool; 2]) -> (bool, f64) {
    let effects = [(comparison.psi, rule.psi), (comparison.ks, rule.ks)];
    effects.into_iter().zip(significant).fold((false, 0.0), |(drifted, score), ((statistic, line), significant)| {
        let Some(Statistic { value, .. }) = statistic else { return (drifted, score) };
        let effect = value / line;
        (drifted || (significant && effect >= 1.0), score.max(if significant { effect } else { effect.min(1.0) }))
    })
}

fn numbers((a, a_nulls): (&[f64], u64), (b, b_nulls): (&[f64], u64), bins: usize) -> Comparison {
    let finite = |values: &[f64]| {
        let mut kept: Vec<f64> = values.iter().copied().filter(|v| is_measurement(*v)).collect();
        kept.sort_by(f64::total_cmp);
        kept
    };
    let (before, now) = (finite(a), finite(b));
    let mut notes = rows_and_nulls((a.len() as u64, a_nulls), (b.len() as u64, b_nulls));
    notes.extend(number_notes(&before, &now, b.len()));
    let edges = psi::edges(&before, bins);
    let psi = statistic(psi::counts(&edges, &before), a_nulls, psi::counts(&edges, &now), b_nulls);
    let (n, m) = (before.len() as f64, now.len() as f64);
    let ks = ks::of_sorted(&before, &now).map(|d| Statistic { value: d, p_value: ks::p_value(d, n, m) });
    Comparison { psi, ks, notes }
}

fn categories((a, a_nulls): (&BTreeMap<String, u64>, u64), (b, b_nulls): (&BTreeMap<String, u64>, u64)) -> Comparison {
    let (n, m) = (a.values().sum::<u64>(), b.values().sum::<u64>());
    let mut notes = rows_and_nulls((n, a_nulls), (m, b_nulls));
    notes.extend(category_notes(a, b));
    let names: Vec<&String> = a.keys().chain(b.keys().filter(|k| !a.contains_key(*k))).collect();
    let of = |counts: &BTreeMap<String, u64>| names.iter().map(|name| counts.get(*name).copied().unwrap_or(0)).collect();
    Comparison { psi: statistic(of(a), a_nulls, of(b), b_nulls), ks: None, notes }
}

/// What is odd about the sorted finite numbers of a column that now has `rows` values that are not null.
pub(crate) fn number_notes(before: &[f64], now: &[f64], rows: usize) -> Vec<Note> {
    let mut notes = Vec::new();
    if now.len() < rows {
        notes.push(Note::NotNumbers { count: (rows - now.len()) as u64 });
    }
    let varies = |sorted: &[f64]| sorted.first() != sorted.last();
    if let (true, false, Some(value)) = (varies(before), varies(now), now.first()) {
        notes.push(Note::BecameConstant { value: *value });
    }
    notes
}

/// Which categories are gone, and which are new; nothing while a side has none at all.
pub(crate) fn category_notes(before: &BTreeMap<String, u64>, now: &BTreeMap<String, u64>) -> Vec<Note> {
    let (n, m) = (before.values().sum::<u64>(), now.values().sum::<u64>());
    if n == 0 || m == 0 {
        return Vec::new();
    }
    let there = |counts: &BTreeMap<String, u64>, name: &str| counts.get(name).is_some_and(|c| *c > 0);
    let only = |one: &BTreeMap<String, u64>, other: &BTreeMap<String, u64>, total: u64| {
        let missing = one.iter().filter(|(name, count)| **count > 0 && !there(other, name));
        missing.map(|(name, count)| (name.clone(), *count as f64 / total as f64)).collect::<Vec<_>>()
    };
    let gone = only(before, now, n).into_iter().map(|(name, share_before)| Note::VanishedCategory { name, share_before });
    gone.chain(only(now, before, m).into_iter().map(|(name, share)| Note::NewCategory { name, share })).collect()
}

/// What is odd about numbers of values and nulls.
pub(crate) fn rows_and_nulls((n, n_nulls): (u64, u64), (m, m_nulls): (u64, u64)) -> Vec<Note> {
    let mut notes = Vec::new();
    let share = |values: u64, nulls: u64| nulls as f64 / (values + nulls) as f64;
    if n + n_nulls == 0 {
        notes.push(Note::NoReference);
    }
    if m + m_nulls == 0 {
        notes.push(Note::Empty);
    } else if m == 0 {
        notes.push(Note::AllNull);
    }
    if n + n_nulls > 0 && m + m_nulls > 0 {
        let (before, now) = (share(n, n_nulls), share(m, m_nulls));
        if (now - before).abs() >= 0.05 {
            notes.push(Note::NullShare { before, now });
        }
    }
    notes
}

/// PSI over counts and a bin for nulls, where there are any; `None` when a side has no row.
fn statistic(mut before: Vec<u64>, nulls_before: u64, mut now: Vec<u64>, nulls_now: u64) -> Option<Statistic> {
    if nulls_before + nulls_now > 0 {
        before.push(nulls_before);
        now.push(nulls_now);
    }
    let (n, m) = (before.iter().sum::<u64>(), now.iter().sum::<u64>());
    if n == 0 || m == 0 {
        return None;
    }
    let (before, now) = (psi::shares(&before), psi::shares(&now));
    Some(Statistic { value: psi::of_shares(&before, &now), p_value: psi::p_value(&before, &now, n as f64, m as f64) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn judge_numbers(a: &[f64], a_nulls: u64, b: &[f64], b_nulls: u64) -> ColumnReport {
        let of = |values, nulls| Column::Numbers { values, nulls };
        judge(vec![compare(of(a, a_nulls), of(b, b_nulls), 10)], &DriftRule::default()).remove(0)
    }

    #[test]
    fn a_shift_is_drift_and_a_split_is_not() {
        let values: Vec<f64> = (0..2_000).map(|i| f64::from(i * 7_919 % 2_003)).collect();
        let (a, b) = values.split_at(1_000);
        assert_eq!(judge_numbers(a, 0, b, 0).verdict, Verdict::Pass);
        let moved: Vec<f64> = b.iter().map(|v| v + 500.0).collect();
        let report = judge_numbers(a, 0, &moved, 0);
        assert_eq!(report.verdict, Verdict::Fail);
        assert!((report.comparison.ks.unwrap().value - 0.25).abs() < 0.02 && report.score > 2.0);
        // The same shift in a handful of values proves nothing.
        let few = judge_numbers(&a[..6], 0, &moved[..6], 0);
        assert_eq!((few.verdict, few.score), (Verdict::Pass, 1.0));
    }

    #[test]
    fn odd_columns_have_names() {
        let varied: Vec<f64> = (0..100).map(f64::from).collect();
        let of = |report: ColumnReport| (report.verdict, report.comparison.notes);
        assert_eq!(of(judge_numbers(&varied, 0, &[], 0)), (Verdict::NoData, vec![Note::Empty]));
        assert_eq!(of(judge_numbers(&[], 0, &varied, 0)), (Verdict::Inconclusive, vec![Note::NoReference]));
        let (verdict, notes) = of(judge_numbers(&varied, 0, &[], 50));
        assert_eq!((verdict, &notes[0], &notes[1]), (Verdict::Fail, &Note::AllNull, &Note::NullShare { before: 0.0, now: 1.0 }));
        assert_eq!(of(judge_numbers(&varied, 0, &[3.0; 100], 0)), (Verdict::Fail, vec![Note::BecameConstant { value: 3.0 }]));
        assert_eq!(of(judge_numbers(&[3.0; 100], 0, &[3.0; 100], 0)), (Verdict::Pass, vec![]));
        assert_eq!(judge_numbers(&[3.0; 100], 0, &[2.0; 100], 0).verdict, Verdict::Fail);
        let mut broken = varied.clone();
        broken[0] = f64::NAN;
        broken[1] = f64::INFINITY;
        assert_eq!(of(judge_numbers(&varied, 0, &broken, 0)), (Verdict::Pass, vec![Note::NotNumbers { count: 2 }]));
        assert_eq!(judge_numbers(&varied, 1, &varied, 60).verdict, Verdict::Fail, "a rise of nulls is drift");
        let none = BTreeMap::new();
        let type_changed = compare(Column::Numbers { values: &varied, nulls: 0 }, Column::Categories { counts: &none, nulls: 0 }, 10);
        assert_eq!(judge(vec![type_changed], &DriftRule::default())[0].verdict, Verdict::Fail);
    }

    #[test]
    fn categories_come_and_go() {
        let of = |pairs: &[(&str, u64)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), *v)).collect::<BTreeMap<_, _>>();
        let (a, b) = (of(&[("x", 500), ("y", 500)]), of(&[("x", 500), ("z", 500)]));
        let found = compare(Column::Categories { counts: &a, nulls: 0 }, Column::Categories { counts: &b, nulls: 0 }, 10);
        let names: Vec<String> = found.notes.iter().map(ToString::to_string).collect();
        assert_eq!(names, [r#"category "y" is gone (was 50 %)"#, r#"new category "z" (50 %)"#]);
        assert_eq!(judge(vec![found], &DriftRule::default())[0].verdict, Verdict::Fail);
    }

    proptest! {
        #[test]
        fn a_report_never_holds_nan(a in prop::collection::vec(prop::num::f64::ANY, 0..50), b in prop::collection::vec(prop::num::f64::ANY, 0..50), nulls in (0u64..9, 0u64..9)) {
            let report = judge_numbers(&a, nulls.0, &b, nulls.1);
            let numbers = [report.comparison.psi, report.comparison.ks].into_iter().flatten().flat_map(|s| [s.value, s.p_value]);
            prop_assert!(numbers.chain([report.score]).all(f64::is_finite), "{report:?}");
        }
    }
}
