//! A classifier that tries to tell reference rows from current ones; how well it does on rows it has not seen is how far they drifted
//! (Ben-David et al., 2007).
//!
//! Logistic regression on standardised columns and their squares, with a small ridge, fitted by Newton's method on all folds but one and
//! judged on that one. The measure is the area under the ROC curve: 0.5 is chance. Its p-value is that of Mann & Whitney (1947) with ties.
//! Cost: rows · width² a step of Newton, about eight steps a fold.

use serde::{Deserialize, Serialize};

use crate::drift::column::Statistic;
use crate::drift::embedding::{Rows, product};
use crate::drift::stream::Stream;
use crate::special::normal_sf;

/// The area from which a difference matters.
pub const LINE: f64 = 0.55;
const FOLDS: usize = 5;
const RIDGE: f64 = 1.0;
const STEPS: usize = 12;

/// How well the two sets of rows can be told apart, and by which columns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Telling {
    /// The area under the ROC curve over rows that were held out; the p-value is of at least this without drift.
    pub area: Statistic,
    /// For each column the root of its two squared weights, mean over folds: which columns tell.
    pub columns: Vec<f64>,
}

/// Tells rows apart. `None` with fewer than ten rows on a side or rows of different width.
pub fn tell_apart(a: Rows<'_>, b: Rows<'_>, seed: u64) -> Option<Telling> {
    if a.len() < 2 * FOLDS || b.len() < 2 * FOLDS || a.width() != b.width() {
        return None;
    }
    let width = a.width();
    let features = features(a, b);
    let labels: Vec<bool> = (0..a.len() + b.len()).map(|i| i >= a.len()).collect();
    let folds = folds(a.len(), b.len(), &mut Stream::new(seed));
    let mut ranks_above = 0.0;
    let (mut variance, mut mean, mut columns) = (0.0, 0.0, vec![0.0; width]);
    for held_out in 0..FOLDS {
        let training: Vec<usize> = (0..labels.len()).filter(|i| folds[*i] != held_out).collect();
        let weights = fit(&features, &labels, &training);
        for (column, total) in columns.iter_mut().enumerate() {
            *total += weights[1 + column].hypot(weights[1 + width + column]) / FOLDS as f64;
        }
        let judged = (0..labels.len()).filter(|i| folds[*i] == held_out);
        let scores: Vec<(f64, bool)> = judged.map(|i| (product(&features[i], &weights), labels[i])).collect();
        let (u, pairs, spread) = rank_sum(scores);
        ranks_above += u;
        mean += pairs;
        variance += spread;
    }
    // Scores of different folds do not compare, so pairs are counted within folds only.
    let value = ranks_above / mean;
    let p_value = if variance > 0.0 { normal_sf((ranks_above - mean / 2.0 - 0.5) / variance.sqrt()) } else { 1.0 };
    Some(Telling { area: Statistic { value, p_value: p_value.clamp(0.0, 1.0) }, columns })
}

/// One, each column, and its square, all standardised over both sets.
fn features(a: Rows<'_>, b: Rows<'_>) -> Vec<Vec<f64>> {
    let mut features: Vec<Vec<f64>> =
        a.iter().chain(b.iter()).map(|row| std::iter::once(1.0).chain(row.iter().copied()).collect()).collect();
    standardise(&mut features, 1);
    let width = a.width();
    for row in &mut features {
        let squares: Vec<f64> = row[1..].iter().map(|v| v * v).collect();
        row.extend(squares);
    }
    standardise(&mut features, 1 + width);
    features
}

/// Gives every column from `first` on mean 0 and deviation 1; one that does not vary becomes 0.
fn standardise(rows: &mut [Vec<f64>], first: usize) {
    let count = rows.len() as f64;
    for column in first..rows[0].len() {
        // Scaled by the largest value first, so that no square is too large.
        let largest = rows.iter().map(|r| r[column].abs()).fold(0.0, f64::max).max(f64::MIN_POSITIVE);
        let mean = rows.iter().map(|r| r[column] / largest / count).sum::<f64>();
        let deviation = (rows.iter().map(|r| (r[column] / largest - mean).powi(2)).sum::<f64>() / count).sqrt();
        for row in rows.iter_mut() {
            row[column] = if deviation > 1e-12 { (row[column] / largest - mean) / deviation } else { 0.0 };
        }
    }
}

/// A fold for each row, each with its share of both sets.
fn folds(n: usize, m: usize, stream: &mut Stream) -> Vec<usize> {
    let mut one = |count: usize| {
        let mut folds: Vec<usize> = (0..count).map(|i| i % FOLDS).collect();
        stream.shuffle(&mut folds);
        folds
    };
    let mut folds = one(n);
    folds.append(&mut one(m));
    folds
}

/// The weights of a logistic regression with both sets weighing the same.
fn fit(features: &[Vec<f64>], labels: &[bool], training: &[usize]) -> Vec<f64> {
    let size = features[0].len();
    let positive = training.iter().filter(|i| labels[**i]).count() as f64;
    let (own, other) = (training.len() as f64 / (2.0 * positive), training.len() as f64 / (2.0 * (training.len() as f64 - positive)));
    let mut weights = vec![0.0; size];
    for _ in 0..STEPS {
        let mut gradient: Vec<f64> = weights.iter().map(|w| -RIDGE * w).collect();
        let mut curvature = vec![0.0; size * size];
        for &i in training {
            let (row, weight) = (&features[i], if labels[i] { own } else { other });
            let p = 1.0 / (1.0 + (-product(row, &weights)).exp());
            let (pull, bend) = (weight * (f64::from(u8::from(labels[i])) - p), weight * p * (1.0 - p));
            for (j, x) in row.iter().enumerate() {
                gradient[j] += pull * x;
                curvature[j * size..=j * size + j].iter_mut().zip(row).for_each(|(c, y)| *c += bend * x * y);
            }
        }
        for j in 0..size {
            curvature[j * size + j] += RIDGE;
        }
        let step = solve(curvature, gradient, size);
        let length = step.iter().map(|s| s * s).sum::<f64>().sqrt();
        // A step that is too long overshoots where rows can be told apart without doubt.
        let shrink = if length > 5.0 { 5.0 / length } else { 1.0 };
        weights.iter_mut().zip(&step).for_each(|(w, s)| *w += shrink * s);
        if length < 1e-8 {
            break;
        }
    }
    weights
}

/// Solves a positive definite system whose lower triangle is given (Cholesky).
fn solve(mut matrix: Vec<f64>, mut right: Vec<f64>, size: usize) -> Vec<f64> {
    for i in 0..size {
        for j in 0..=i {
            let inner = product(&matrix[i * size..i * size + j], &matrix[j * size..j * size + j]);
            let rest = matrix[i * size + j] - inner;
            matrix[i * size + j] = if i == j { rest.max(1e-12).sqrt() } else { rest / matrix[j * size + j] };
        }
        let inner = product(&matrix[i * size..i * size + i], &right[..i]);
        right[i] = (right[i] - inner) / matrix[i * size + i];
    }
    for i in (0..size).rev() {
        let inner: f64 = (i + 1..size).map(|j| matrix[j * size + i] * right[j]).sum();
        right[i] = (right[i] - inner) / matrix[i * size + i];
    }
    right
}

/// How many pairs are in the right order (ties count half), how many pairs there are, and the variance of the first without a difference.
fn rank_sum(mut scores: Vec<(f64, bool)>) -> (f64, f64, f64) {
    scores.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut below, mut ordered, mut ties) = (0.0, 0.0, 0.0);
    for equal in scores.chunk_by(|a, b| a.0 == b.0) {
        let current = equal.iter().filter(|s| s.1).count() as f64;
        let reference = equal.len() as f64 - current;
        ordered += current * (below + reference / 2.0);
        below += reference;
        ties += (equal.len() as f64).powi(3) - equal.len() as f64;
    }
    let total = scores.len() as f64;
    let pairs = below * (total - below);
    (ordered, pairs, pairs / 12.0 * (total + 1.0 - ties / (total * (total - 1.0)).max(1.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cloud(n: usize, scale: [f64; 3], shift: [f64; 3], seed: u64) -> Vec<f64> {
        let mut stream = Stream::new(seed);
        (0..n).flat_map(|_| [0, 1, 2].map(|c| scale[c] * stream.normal() + shift[c])).collect()
    }

    fn telling(a: &[f64], b: &[f64]) -> Telling {
        tell_apart(Rows::new(a, 3).unwrap(), Rows::new(b, 3).unwrap(), 9).unwrap()
    }

    #[test]
    fn a_moved_column_tells_and_a_wider_one_too() {
        let a = cloud(400, [1.0; 3], [0.0; 3], 1);
        let moved = telling(&a, &cloud(300, [1.0; 3], [0.0, 1.0, 0.0], 2));
        // Two normal distributions a deviation apart: an area of Φ(1/√2) = 0.76.
        assert!((moved.area.value - 0.76).abs() < 0.05 && moved.area.p_value < 1e-9, "{moved:?}");
        assert!(moved.columns[1] > 3.0 * moved.columns[0].max(moved.columns[2]), "{moved:?}");
        let wider = telling(&a, &cloud(300, [1.0, 1.0, 2.0], [0.0; 3], 3));
        assert!(wider.area.value > LINE && wider.area.p_value < 1e-6, "{wider:?}");
        let apart = telling(&a, &cloud(300, [1.0; 3], [1e6, 0.0, 0.0], 4));
        assert!(apart.area.value > 0.999, "{apart:?}");
    }

    #[test]
    fn without_a_difference_it_is_chance() {
        let false_alarms =
            (0..40).filter(|s| telling(&cloud(150, [1.0; 3], [5.0; 3], *s), &cloud(150, [1.0; 3], [5.0; 3], s + 100)).area.p_value <= 0.05);
        assert!(false_alarms.count() <= 6);
        let constant = telling(&[7.0; 60], &[7.0; 90]);
        assert!((constant.area.value - 0.5).abs() < 1e-12 && constant.area.p_value > 0.4 && constant.columns == [0.0; 3], "{constant:?}");
        assert_eq!(tell_apart(Rows::new(&[1.0; 9], 3).unwrap(), Rows::new(&[1.0; 90], 3).unwrap(), 0), None);
    }
}
