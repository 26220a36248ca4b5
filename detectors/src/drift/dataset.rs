//! Many columns, one decision.
//!
//! The p-values of all tests of all columns are corrected together (Benjamini & Hochberg, 1995), so that a share of at most `q` of
//! what is called changed is expected to be wrong, whatever the number of columns. A column drifted when a change of it is both
//! real and large; a dataset drifted when a large enough share of its columns did, each column with its weight.

use bellwether_model::verdict::Verdict;
use serde::{Deserialize, Serialize};

use crate::drift::correction::{adjusted, holm};
use crate::drift::examine::Examination;

/// How the columns of a dataset are judged together; every key may be left out.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DatasetRule {
    /// The share of false discoveries among changed columns that is tolerated, above 0 and at most 1. Default 0.05.
    pub q: f64,
    /// The share of drifted columns, by weight, from which the dataset drifted. Default 0.5.
    pub share: f64,
}

impl Default for DatasetRule {
    fn default() -> Self {
        Self { q: 0.05, share: 0.5 }
    }
}

/// A column's part in the decision.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ColumnDecision {
    /// The smallest of its p-values, corrected for all tests of the dataset; 1 without a test.
    pub adjusted_p: f64,
    /// Whether a change is real at the rule's rate of false discoveries.
    pub significant: bool,
    /// `fail` when a change is real and large, or the type changed.
    pub verdict: Verdict,
    /// The largest effect as a multiple of its line; at most 1.0 unless it is real.
    pub score: f64,
}

/// What is to say of the dataset.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DatasetDecision {
    /// In the order of the columns.
    pub columns: Vec<ColumnDecision>,
    /// How many drifted.
    pub drifted: usize,
    /// The share of weight that drifted; 0 without columns that can be judged.
    pub share: f64,
    /// `fail` when the share reaches the rule's; `no_data` when no column could be judged.
    pub verdict: Verdict,
    /// The probability that any column seems changed so much when none did (Holm, 1979): the smallest p-value times the number of tests.
    pub family_p: f64,
}

/// Decides. `weights` say how much each column counts (its importance to the model, say); where there are none, or fewer than columns, a
/// column without one counts 1. Negative weights and those that are not finite count 0.
pub fn decide(columns: &[Examination], weights: &[f64], rule: &DatasetRule) -> DatasetDecision {
    let p_values: Vec<f64> = columns.iter().flat_map(|c| c.tests().map(|t| t.p_value)).collect();
    let mut corrected = adjusted(&p_values).into_iter();
    let decisions: Vec<ColumnDecision> = columns.iter().map(|c| judged(c, &mut corrected, rule.q)).collect();
    let (mut weight, mut drifted) = (0.0, 0.0);
    for (i, decision) in decisions.iter().enumerate() {
        let own = weights.get(i).map_or(1.0, |w| if w.is_finite() { w.max(0.0) } else { 0.0 });
        match decision.verdict {
            Verdict::Fail => (weight, drifted) = (weight + own, drifted + own),
            Verdict::Pass => weight += own,
            Verdict::NoData | Verdict::Inconclusive => {}
        }
    }
    let share = if weight > 0.0 { drifted / weight } else { 0.0 };
    let verdict = match weight {
        0.0 => Verdict::NoData,
        _ if share >= rule.share => Verdict::Fail,
        _ => Verdict::Pass,
    };
    DatasetDecision {
        drifted: decisions.iter().filter(|d| d.verdict == Verdict::Fail).count(),
        columns: decisions,
        share,
        verdict,
        family_p: holm(&p_values).into_iter().fold(1.0, f64::min),
    }
}

fn judged(column: &Examination, corrected: &mut impl Iterator<Item = f64>, q: f64) -> ColumnDecision {
    let (mut adjusted_p, mut drifted, mut score) = (1.0_f64, false, 0.0_f64);
    for (test, p) in column.tests().zip(corrected) {
        let relative = (test.effect / test.line.max(f64::MIN_POSITIVE)).min(crate::band::SCORE_CAP);
        adjusted_p = adjusted_p.min(p);
        drifted |= p <= q && test.matters();
        score = score.max(if p <= q { relative } else { relative.min(1.0) });
    }
    let verdict = if drifted { Verdict::Fail } else { column.verdict_without_change() };
    ColumnDecision { adjusted_p, significant: adjusted_p <= q, verdict, score }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drift::column::{Column, Note};
    use crate::drift::examine::{Settings, examine};
    use crate::drift::stream::Stream;

    fn columns(shifts: &[f64], n: usize) -> Vec<Examination> {
        let mut stream = Stream::new(3);
        let mut sample = |shift: f64| (0..n).map(|_| stream.normal() + shift).collect::<Vec<f64>>();
        let of = |values: &[f64], other: &[f64]| {
            examine(Column::Numbers { values, nulls: 0 }, Column::Numbers { values: other, nulls: 0 }, &Settings::default())
        };
        shifts.iter().map(|s| of(&sample(0.0), &sample(*s))).collect()
    }

    #[test]
    fn real_and_large_are_two_things() {
        let found = decide(&columns(&[0.0, 0.5, 0.0, 0.05, 0.0, 0.0], 20_000), &[], &DatasetRule::default());
        let of = |f: fn(&ColumnDecision) -> bool| found.columns.iter().map(f).collect::<Vec<_>>();
        assert_eq!(of(|c| c.significant), [false, true, false, true, false, false], "both shifts are real");
        assert_eq!(of(|c| c.verdict == Verdict::Fail), [false, true, false, false, false, false], "one of them is large");
        assert!(found.drifted == 1 && found.verdict == Verdict::Pass && found.family_p < 1e-6 && (found.share - 1.0 / 6.0).abs() < 1e-12);
        assert!(found.columns[1].score > 1.0 && found.columns[3].score < 1.0);
    }

    #[test]
    fn columns_have_weights() {
        let found = columns(&[0.0, 1.0, 0.0], 500);
        let verdict = |weights: &[f64]| decide(&found, weights, &DatasetRule::default());
        assert_eq!((verdict(&[]).verdict, verdict(&[0.2, 0.7, 0.1]).verdict), (Verdict::Pass, Verdict::Fail));
        assert!((verdict(&[0.2, 0.7, 0.1]).share - 0.7).abs() < 1e-12);
        assert_eq!(verdict(&[0.0, f64::NAN, -1.0]).verdict, Verdict::NoData);
        let nothing = [Examination { notes: vec![Note::Empty], ..Examination::default() }];
        let decision = decide(&nothing, &[], &DatasetRule::default());
        assert_eq!((decision.verdict, decision.share, decision.family_p, decision.columns[0].adjusted_p), (Verdict::NoData, 0.0, 1.0, 1.0));
    }
}
