//! One column looked at: its measure, its nulls, and everything that is odd about it.

use std::collections::BTreeMap;
use std::fmt;

use bellwether_model::verdict::Verdict;
use serde::{Deserialize, Serialize};

use crate::band::is_measurement;
use crate::drift::column::{Column, Note, Statistic, category_notes, few_rows, number_notes, rows_and_nulls};
use crate::drift::contingency;
use crate::drift::identifier::names_rows;
use crate::drift::measure::{self, FEW, Measure};
use crate::drift::order::{Scratch, sort};

/// How a column is to be looked at; every key may be left out.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The measure. Default: by type and size. One that does not take the column's type is as good as none.
    pub measure: Option<Measure>,
    /// The effect from which a change matters. Default: the measure's own.
    pub line: Option<f64>,
    /// Bins of the population stability index of numbers. Default 10.
    pub bins: usize,
    /// The change of the share of nulls that matters. Default 0.05.
    pub nulls: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { measure: None, line: None, bins: 10, nulls: 0.05 }
    }
}

/// A test of whether something changed, and by how much.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Test {
    /// What was measured.
    pub measure: Measure,
    /// How large the change is; does not grow with the sample.
    pub effect: f64,
    /// From where it matters.
    pub line: f64,
    /// Probability of such a change without drift.
    pub p_value: f64,
}

impl Test {
    pub(crate) fn new(measure: Measure, Statistic { value, p_value }: Statistic, line: f64) -> Self {
        Self { measure, effect: value, line, p_value }
    }

    /// Whether the change is large enough to matter.
    pub fn matters(&self) -> bool {
        self.effect >= self.line
    }
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { measure, effect, line, p_value } = self;
        let p = if *p_value < 1e-3 { format!("{p_value:.0e}") } else { format!("{p_value:.3}") };
        write!(f, "{measure} {effect:.3} (line {line}; {}), p {p}", measure.unit())
    }
}

/// What was found in one column. Holds no NaN.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Examination {
    /// The tests of its values: one, or two where only quantiles are known; none where there is nothing to compare.
    pub values: Vec<Test>,
    /// The test of its share of nulls; `None` where there are none, or no rows.
    pub nulls: Option<Test>,
    /// What is odd.
    pub notes: Vec<Note>,
}

impl Examination {
    /// Its tests.
    pub fn tests(&self) -> impl Iterator<Item = &Test> {
        self.values.iter().chain(&self.nulls)
    }

    /// What is to say where its tests found no change, or there are none: `fail` when the type changed, `no_data` without rows or values now,
    /// `inconclusive` without any to compare with or with too few to tell, otherwise `pass`.
    pub fn verdict_without_change(&self) -> Verdict {
        let has = |note: &Note| self.notes.contains(note);
        match () {
            () if has(&Note::TypeChanged) => Verdict::Fail,
            () if has(&Note::Empty) || has(&Note::AllNull) => Verdict::NoData,
            () if self.values.is_empty() || self.notes.iter().any(|n| matches!(n, Note::FewRows { .. })) => Verdict::Inconclusive,
            () => Verdict::Pass,
        }
    }
}

/// Looks at two samples of a column.
pub fn examine(reference: Column<'_>, current: Column<'_>, settings: &Settings) -> Examination {
    let names_them = names_rows(&reference) && names_rows(&current);
    match (reference, current) {
        (a, b) if names_them && a.is_numbers() == b.is_numbers() => {
            let mut found = Examination { notes: vec![Note::NamesRows], ..Examination::default() };
            finish(&mut found, a.values_and_nulls(), b.values_and_nulls(), settings);
            found
        }
        (Column::Numbers { values: a, nulls: a_nulls }, Column::Numbers { values: b, nulls: b_nulls }) => {
            let mut found = numbers(a, b, settings);
            finish(&mut found, (a.len() as u64, a_nulls), (b.len() as u64, b_nulls), settings);
            found
        }
        (Column::Categories { counts: a, nulls: a_nulls }, Column::Categories { counts: b, nulls: b_nulls }) => {
            let names: Vec<&String> = a.keys().chain(b.keys().filter(|k| !a.contains_key(*k))).collect();
            let count = |counts: &BTreeMap<String, u64>| names.iter().map(|n| counts.get(*n).copied().unwrap_or(0)).collect::<Vec<u64>>();
            let values = categories(&count(a), &count(b), settings).into_iter().collect();
            let mut found = Examination { values, nulls: None, notes: category_notes(a, b) };
            finish(&mut found, (a.values().sum(), a_nulls), (b.values().sum(), b_nulls), settings);
            found
        }
        _ => Examination { notes: vec![Note::TypeChanged], ..Examination::default() },
    }
}

fn numbers(a: &[f64], b: &[f64], settings: &Settings) -> Examination {
    let mut scratch = Scratch::default();
    let mut finite = |values: &[f64]| {
        let mut kept: Vec<f64> = values.iter().copied().filter(|v| is_measurement(*v)).collect();
        sort(&mut kept, &mut scratch);
        kept
    };
    let (before, now) = (finite(a), finite(b));
    let notes = number_notes(&before, &now, b.len());
    let few = few_values(&before, &now);
    let chosen = settings.measure.filter(|m| m.takes_numbers());
    let values = match (chosen, few) {
        (None, Some((x, y))) => categories(&x, &y, settings),
        (chosen, _) => {
            let measure = chosen.unwrap_or_else(|| Measure::for_numbers(before.len()));
            let line = settings.line.unwrap_or(measure.line());
            let measured = measure::numbers(measure, &before, &now, settings.bins).map(|s| Test::new(measure, s, line));
            // Without a deviation to measure in, ranks still tell.
            let ranks = Measure::KolmogorovSmirnov;
            measured.or_else(|| Some(Test::new(ranks, measure::numbers(ranks, &before, &now, settings.bins)?, ranks.line())))
        }
    };
    Examination { values: values.into_iter().collect(), nulls: None, notes }
}

/// Counts of the different values of both sorted lists, where they are few.
fn few_values(a: &[f64], b: &[f64]) -> Option<(Vec<u64>, Vec<u64>)> {
    let mut different: Vec<f64> = Vec::new();
    for sorted in [a, b] {
        let mut rest = sorted;
        while let Some(value) = rest.first() {
            if !different.contains(value) {
                different.push(*value);
            }
            if different.len() > FEW {
                return None;
            }
            rest = &rest[rest.partition_point(|v| v <= value)..];
        }
    }
    let count = |sorted: &[f64], d: f64| (sorted.partition_point(|v| *v <= d) - sorted.partition_point(|v| *v < d)) as u64;
    let counts = |sorted: &[f64]| different.iter().map(|d| count(sorted, *d)).collect();
    Some((counts(a), counts(b)))
}

fn categories(a: &[u64], b: &[u64], settings: &Settings) -> Option<Test> {
    let fits = |m: &Measure| m.takes_categories() && (*m != Measure::Z || a.len() <= 2);
    let chosen = settings.measure.filter(fits);
    let measure = chosen.unwrap_or_else(|| Measure::for_categories(a.len(), a.iter().sum::<u64>() as usize));
    let line = settings.line.filter(|_| settings.measure.is_none() || chosen.is_some()).unwrap_or(measure.line());
    Some(Test::new(measure, measure::categories(measure, a, b)?, line))
}

/// Adds what rows and nulls tell.
fn finish(found: &mut Examination, reference: (u64, u64), current: (u64, u64), settings: &Settings) {
    let mut notes = rows_and_nulls(reference, current);
    notes.extend(few_rows(reference.0, current.0));
    notes.append(&mut found.notes);
    found.notes = notes;
    found.nulls = null_test(reference, current, settings.nulls);
}

/// The test of the share of nulls, of numbers of values and of nulls; `None` without nulls, and without rows on a side.
pub(crate) fn null_test((n, n_nulls): (u64, u64), (m, m_nulls): (u64, u64), line: f64) -> Option<Test> {
    if n_nulls + m_nulls == 0 {
        return None;
    }
    let z = contingency::z((n_nulls, n + n_nulls), (m_nulls, m + m_nulls))?;
    let share = |values: u64, nulls: u64| nulls as f64 / (values + nulls) as f64;
    let value = (share(m, m_nulls) - share(n, n_nulls)).abs();
    Some(Test::new(Measure::Z, Statistic { value, p_value: z.p_value }, line))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn numbers(values: &[f64], nulls: u64) -> Column<'_> {
        Column::Numbers { values, nulls }
    }

    fn look(a: Column<'_>, b: Column<'_>) -> Examination {
        examine(a, b, &Settings::default())
    }

    fn ramp(n: usize, shift: f64) -> Vec<f64> {
        (0..n).map(|i| (i * 7_919 % n) as f64 + shift).collect()
    }

    #[test]
    fn the_measure_is_chosen_or_asked_for() {
        let measure =
            |a: &[f64], b: &[f64], settings: Settings| examine(numbers(a, 0), numbers(b, 0), &settings).values.first().map(|t| t.measure);
        let default = Settings::default();
        assert_eq!(measure(&ramp(500, 0.0), &ramp(500, 9.0), default), Some(Measure::KolmogorovSmirnov));
        assert_eq!(measure(&ramp(5_000, 0.0), &ramp(500, 9.0), default), Some(Measure::Wasserstein));
        let flags = [0.0, 1.0, 1.0, 0.0, 1.0];
        assert_eq!(measure(&flags, &flags, default), Some(Measure::Z));
        let asked = |m| Settings { measure: Some(m), line: Some(0.3), ..default };
        assert_eq!(measure(&ramp(500, 0.0), &ramp(500, 9.0), asked(Measure::Energy)), Some(Measure::Energy));
        assert_eq!(
            measure(&ramp(500, 0.0), &ramp(500, 9.0), asked(Measure::ChiSquare)),
            Some(Measure::KolmogorovSmirnov),
            "numbers have no χ²"
        );
        // A constant has no deviation to measure in.
        let moved = look(numbers(&[3.0; 2_000], 0), numbers(&ramp(2_000, 0.0), 0)).values[0];
        assert!(moved.measure == Measure::KolmogorovSmirnov && moved.matters() && moved.p_value < 1e-9);
        let words = moved.to_string();
        assert!(words.starts_with("kolmogorov_smirnov 0.998 (line 0.1; largest difference of shares), p "), "{words}");
        let text: Settings = serde_json::from_str(r#"{"measure": "psi", "line": 0.25}"#).unwrap();
        assert_eq!(text, Settings { measure: Some(Measure::Psi), line: Some(0.25), ..default });
    }

    #[test]
    fn what_is_odd_has_a_name_and_a_verdict() {
        let varied = ramp(500, 0.0);
        let verdict = |a, b| look(a, b).verdict_without_change();
        assert_eq!(verdict(numbers(&[], 0), numbers(&varied, 0)), Verdict::Inconclusive);
        assert_eq!(verdict(numbers(&varied, 0), numbers(&[], 0)), Verdict::NoData);
        assert_eq!(verdict(numbers(&[], 0), numbers(&[], 0)), Verdict::NoData);
        assert_eq!(verdict(numbers(&varied, 0), numbers(&varied, 0)), Verdict::Pass);
        let none = BTreeMap::new();
        assert_eq!(verdict(numbers(&varied, 0), Column::Categories { counts: &none, nulls: 0 }), Verdict::Fail);
        assert_eq!(verdict(numbers(&[], 9), numbers(&[], 9)), Verdict::NoData);
        assert_eq!(verdict(numbers(&[], 9), numbers(&varied, 0)), Verdict::Inconclusive);
        let all_null = look(numbers(&varied, 0), numbers(&[], 500));
        assert!(all_null.values.is_empty() && all_null.nulls.is_some_and(|t| t.matters() && t.p_value < 1e-9));
        assert!(all_null.notes.contains(&Note::AllNull) && all_null.notes.contains(&Note::NullShare { before: 0.0, now: 1.0 }));
        let broken = look(numbers(&varied, 0), numbers(&[f64::NAN, f64::INFINITY, 3.0], 0));
        assert!(broken.notes.contains(&Note::NotNumbers { count: 2 }));
        let of = |pairs: &[(&str, u64)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), *v)).collect::<BTreeMap<_, _>>();
        let (a, b) = (of(&[("x", 500), ("y", 500)]), of(&[("x", 500), ("z", 500)]));
        let found = look(Column::Categories { counts: &a, nulls: 0 }, Column::Categories { counts: &b, nulls: 0 });
        assert!(
            found.notes.len() == 2
                && found.values.first().is_some_and(|t| t.measure == Measure::ChiSquare && t.matters() && t.p_value < 1e-9)
        );
    }

    proptest! {
        #[test]
        fn an_examination_never_holds_nan(a in prop::collection::vec(prop::num::f64::ANY, 0..50), b in prop::collection::vec(prop::num::f64::ANY, 0..50), nulls in (0u64..9, 0u64..9), measure in 0..Measure::ALL.len()) {
            let settings = Settings { measure: Some(Measure::ALL[measure]), ..Settings::default() };
            for found in [look(numbers(&a, nulls.0), numbers(&b, nulls.1)), examine(numbers(&a, nulls.0), numbers(&b, nulls.1), &settings)] {
                prop_assert!(found.tests().all(|t| t.effect.is_finite() && (0.0..=1.0).contains(&t.p_value)), "{found:?}");
            }
        }
    }
}
