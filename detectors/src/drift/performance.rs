//! How well a classifier does, with labels and without.
//!
//! Without labels by its own confidence: where it says 0.9 and is calibrated, it is right nine times of ten, so the confusion matrix can
//! be expected (confidence-based performance estimation; Guillory et al., 2021). That holds while the meaning of the inputs stays what it was; where it
//! changes, only labels tell, which is why both are shown beside each other. [`Calibration`] makes confidences out of scores.

use serde::{Deserialize, Serialize};

use crate::drift::interval::{Interval, deviate};

/// The probability with which a true figure lies outside its limits.
pub const DOUBT: f64 = 0.05;

/// One prediction.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scored {
    /// The probability that the true label is positive, as the classifier says, 0 to 1.
    pub probability: f64,
    /// The true label, once it is known.
    pub label: Option<bool>,
}

/// Figures of a classifier with limits. A figure is `None` where it has no meaning: precision when nothing was called positive, and so on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Performance {
    /// How many predictions.
    pub rows: u64,
    /// Share of right predictions.
    pub accuracy: Option<Interval>,
    /// Share of true ones among those called positive.
    pub precision: Option<Interval>,
    /// Share of positive ones that were called so.
    pub recall: Option<Interval>,
    /// Share of negative ones that were called so.
    pub specificity: Option<Interval>,
    /// The harmonic mean of precision and recall.
    pub f1: Option<Interval>,
}

/// What is estimated beside what is true.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BothWays {
    /// Estimated over all rows.
    pub estimated: Performance,
    /// Estimated over the rows that have labels, to be compared with the truth.
    pub estimated_of_labelled: Performance,
    /// True over the rows that have labels.
    pub realised: Performance,
}

impl BothWays {
    /// Whether estimate and truth of the same rows contradict each other: their limits of accuracy do not touch. Then the classifier is
    /// no longer calibrated, and its estimates are not to be believed. `None` without labels.
    pub fn contradict(&self) -> Option<bool> {
        let (estimated, realised) = (self.estimated_of_labelled.accuracy?, self.realised.accuracy?);
        Some(estimated.upper < realised.lower || realised.upper < estimated.lower)
    }
}

/// Estimates and counts. Predictions at or above `threshold` are called positive; probabilities that are not from 0 to 1 are passed over.
pub fn both_ways(rows: &[Scored], threshold: f64) -> BothWays {
    of_calls(rows.iter().map(|row| (row.probability >= threshold, *row)))
}

/// The same of predictions that come with whether they were called positive, which may rest on another score than the probability.
pub fn of_calls(rows: impl IntoIterator<Item = (bool, Scored)>) -> BothWays {
    let (mut all, mut labelled, mut true_ones) = (Confusion::default(), Confusion::default(), Confusion::default());
    for (is_called, row) in rows.into_iter().filter(|(_, r)| (0.0..=1.0).contains(&r.probability)) {
        all.add(is_called, row.probability);
        if let Some(label) = row.label {
            labelled.add(is_called, row.probability);
            true_ones.add(is_called, f64::from(u8::from(label)));
        }
    }
    BothWays { estimated: all.estimated(), estimated_of_labelled: labelled.estimated(), realised: true_ones.realised() }
}

/// Expected numbers of each kind, and their variance.
#[derive(Clone, Copy, Default)]
struct Confusion {
    rows: u64,
    called: f64,
    true_positive: f64,
    false_negative: f64,
    called_variance: f64,
    passed_variance: f64,
}

impl Confusion {
    fn add(&mut self, is_called: bool, probability: f64) {
        self.rows += 1;
        let variance = probability * (1.0 - probability);
        if is_called {
            self.called += 1.0;
            self.true_positive += probability;
            self.called_variance += variance;
        } else {
            self.false_negative += probability;
            self.passed_variance += variance;
        }
    }

    /// The variance is that of labels drawn with the stated probabilities, carried through each figure by its derivatives.
    fn estimated(&self) -> Performance {
        let (v, w) = (self.called_variance, self.passed_variance);
        self.figures(|value, by_positive, by_negative| normal(value, by_positive * by_positive * v + by_negative * by_negative * w))
    }

    /// The variance is that of a sample of rows: Wilson's for shares, and for F1 that of a share of as many rows as it rests on.
    fn realised(&self) -> Performance {
        let negative = self.rows as f64 - self.true_positive - self.false_negative;
        let wilson = |value: f64, of: f64| crate::drift::interval::share((value * of).round() as u64, of.round() as u64, deviate(DOUBT));
        let figures = self.figures(|value, _, _| Interval { value, lower: value, upper: value });
        let positive = self.true_positive + self.false_negative;
        let limits = |figure: Option<Interval>, of: f64| figure.and_then(|f| wilson(f.value, of).map(|w| Interval { value: f.value, ..w }));
        Performance {
            accuracy: limits(figures.accuracy, self.rows as f64),
            precision: limits(figures.precision, self.called),
            recall: limits(figures.recall, positive),
            specificity: limits(figures.specificity, negative),
            f1: limits(figures.f1, f64::midpoint(self.called, positive)),
            ..figures
        }
    }

    /// All figures; `with(value, derivative by true positives, derivative by false negatives)` gives them limits.
    fn figures(&self, with: impl Fn(f64, f64, f64) -> Interval) -> Performance {
        let (rows, called, tp, missed) = (self.rows as f64, self.called, self.true_positive, self.false_negative);
        let positive = tp + missed;
        let (negative, true_negative) = (rows - positive, rows - called - missed);
        let sum = called + positive;
        let some = |is_meant: bool, figure: (f64, f64, f64)| is_meant.then(|| with(figure.0, figure.1, figure.2));
        Performance {
            rows: self.rows,
            accuracy: some(rows > 0.0, ((tp + true_negative) / rows, 1.0 / rows, -1.0 / rows)),
            precision: some(called > 0.0, (tp / called, 1.0 / called, 0.0)),
            recall: some(positive > 0.0, (tp / positive, missed / (positive * positive), -tp / (positive * positive))),
            specificity: some(
                negative > 0.0,
                (true_negative / negative, true_negative / (negative * negative), (true_negative - negative) / (negative * negative)),
            ),
            f1: some(sum > 0.0, (2.0 * tp / sum, 2.0 * (sum - tp) / (sum * sum), -2.0 * tp / (sum * sum))),
        }
    }
}

fn normal(value: f64, variance: f64) -> Interval {
    let value = value.clamp(0.0, 1.0);
    let half = deviate(DOUBT) * variance.max(0.0).sqrt();
    Interval { value, lower: (value - half).max(0.0), upper: (value + half).min(1.0) }
}

/// Scores into probabilities: isotonic regression by pooling neighbours (Ayer et al., 1955).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// From this score on (ascending), this probability (ascending).
    steps: Vec<(f64, f64)>,
}

impl Calibration {
    /// Learns from scores with labels; scores that are not finite are passed over. `None` without any.
    pub fn learn(scores: &[f64], labels: &[bool]) -> Option<Self> {
        let mut pairs: Vec<(f64, f64)> =
            scores.iter().zip(labels).filter(|(s, _)| s.is_finite()).map(|(s, l)| (*s, f64::from(u8::from(*l)))).collect();
        pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
        // Score it begins at, sum of labels, how many.
        let mut blocks: Vec<(f64, f64, f64)> = Vec::new();
        for equal in pairs.chunk_by(|a, b| a.0 == b.0) {
            let mut block = (equal[0].0, equal.iter().map(|p| p.1).sum::<f64>(), equal.len() as f64);
            while let Some(last) = blocks.pop_if(|last| last.1 / last.2 >= block.1 / block.2) {
                block = (last.0, last.1 + block.1, last.2 + block.2);
            }
            blocks.push(block);
        }
        let steps: Vec<(f64, f64)> = blocks.into_iter().map(|(from, sum, count)| (from, sum / count)).collect();
        (!steps.is_empty()).then_some(Self { steps })
    }

    /// The probability of a score. One below all that were learned from has that of the lowest.
    pub fn probability(&self, score: f64) -> f64 {
        let step = self.steps.partition_point(|(from, _)| *from <= score).saturating_sub(1);
        self.steps.get(step).map_or(0.5, |(_, p)| *p)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drift::stream::Stream;
    use proptest::prelude::*;

    fn world(n: usize, seed: u64, truth: impl Fn(f64) -> f64) -> Vec<Scored> {
        let mut stream = Stream::new(seed);
        let mut row = || {
            let probability = 1.0 / (1.0 + (-1.5 * stream.normal()).exp());
            Scored { probability, label: Some(stream.share() < truth(probability)) }
        };
        (0..n).map(|_| row()).collect()
    }

    #[test]
    fn a_calibrated_classifier_knows_how_well_it_does() {
        let mut within = [0; 5];
        for seed in 0..300 {
            let found = both_ways(&world(400, seed, |p| p), 0.5);
            assert_eq!(found.estimated, found.estimated_of_labelled);
            let figures =
                |p: &Performance| [p.accuracy, p.precision, p.recall, p.specificity, p.f1].map(|f| f.expect("there are rows of each kind"));
            for ((count, estimated), truth) in within.iter_mut().zip(figures(&found.estimated)).zip(figures(&found.realised)) {
                *count += usize::from((estimated.lower..=estimated.upper).contains(&truth.value));
            }
        }
        assert!(within.iter().all(|w| (270..=296).contains(w)), "of 300, 285 should hold: {within:?}");
    }

    #[test]
    fn truth_contradicts_when_the_world_has_changed() {
        let changed = both_ways(&world(2_000, 1, |p| 0.5 + (p - 0.5) / 3.0), 0.5);
        assert_eq!(changed.contradict(), Some(true));
        assert_eq!(both_ways(&world(2_000, 1, |p| p), 0.5).contradict(), Some(false));
        let unlabelled: Vec<Scored> = world(50, 1, |p| p).into_iter().map(|s| Scored { label: None, ..s }).collect();
        let found = both_ways(&unlabelled, 0.5);
        assert_eq!((found.contradict(), found.realised.rows, found.estimated.rows), (None, 0, 50));
    }

    #[test]
    fn a_small_matrix_by_hand() {
        let rows: Vec<Scored> = [(0.9, true), (0.8, false), (0.3, true), (0.1, false), (f64::NAN, true)]
            .map(|(probability, label)| Scored { probability, label: Some(label) })
            .into();
        let found = both_ways(&rows, 0.5);
        let value = |f: Option<Interval>| f.unwrap().value;
        let (e, r) = (found.estimated, found.realised);
        let estimated = [value(e.accuracy), value(e.precision), value(e.recall), value(e.specificity), value(e.f1)];
        let want = [3.3 / 4.0, 1.7 / 2.0, 1.7 / 2.1, 1.6 / 1.9, 3.4 / 4.1];
        assert!(estimated.iter().zip(want).all(|(e, w)| (e - w).abs() < 1e-12), "{estimated:?}");
        assert_eq!([value(r.accuracy), value(r.precision), value(r.recall), value(r.specificity), value(r.f1)], [0.5; 5]);
        let none = both_ways(&[Scored { probability: 0.2, label: None }], 0.5).estimated;
        assert!(none.precision.is_none() && none.recall.is_some());
    }

    #[test]
    fn scores_become_probabilities() {
        let calibration = Calibration::learn(&[1.0, 2.0, 3.0, 4.0, 5.0, f64::NAN], &[false, true, false, true, true, true]).unwrap();
        assert_eq!([0.0, 1.0, 2.5, 3.0, 9.0].map(|s| calibration.probability(s)), [0.0, 0.0, 0.5, 0.5, 1.0]);
        assert_eq!(Calibration::learn(&[], &[]), None);
        let over_sure = world(5_000, 3, |p| 0.5 + (p - 0.5) / 2.0);
        let labels: Vec<bool> = over_sure.iter().filter_map(|s| s.label).collect();
        let learned = Calibration::learn(&over_sure.iter().map(|s| s.probability).collect::<Vec<_>>(), &labels).unwrap();
        let mended: Vec<Scored> = world(5_000, 4, |p| 0.5 + (p - 0.5) / 2.0)
            .into_iter()
            .map(|s| Scored { probability: learned.probability(s.probability), ..s })
            .collect();
        assert_eq!(both_ways(&mended, 0.5).contradict(), Some(false));
    }

    proptest! {
        #[test]
        fn figures_are_shares(rows in prop::collection::vec((prop::num::f64::ANY, prop::option::of(prop::bool::ANY)), 0..40), threshold in 0.0..1.0f64) {
            let rows: Vec<Scored> = rows.into_iter().map(|(p, label)| Scored { probability: if p.abs() > 1.0 { p } else { p.abs() }, label }).collect();
            let found = both_ways(&rows, threshold);
            for p in [found.estimated, found.estimated_of_labelled, found.realised] {
                for f in [p.accuracy, p.precision, p.recall, p.specificity, p.f1].into_iter().flatten() {
                    prop_assert!(0.0 <= f.lower && f.lower <= f.value + 1e-9 && f.value <= f.upper + 1e-9 && f.upper <= 1.0, "{f:?}");
                }
            }
        }
    }
}
