//! Wasserstein-1, the earth mover's distance: how far a value has to move on average (Vallender, 1974).

use crate::drift::between::distances;

/// The distance of two sorted lists of finite numbers, in the column's unit; `None` when one is empty.
pub fn of_sorted(a: &[f64], b: &[f64]) -> Option<f64> {
    distances(a, b).map(|d| d.wasserstein)
}

/// The distance in standard deviations of the reference, which makes columns comparable. Where the reference does not vary: 0 when
/// nothing moved, else `None`, for there is no measure of how far.
pub fn in_deviations(reference: &[f64], current: &[f64]) -> Option<f64> {
    let distance = of_sorted(reference, current)?;
    let count = reference.len() as f64;
    let mean = reference.iter().sum::<f64>() / count;
    let deviation = (reference.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / count).sqrt();
    let is_constant = reference.first() == reference.last();
    if distance == 0.0 {
        return Some(0.0);
    }
    (!is_constant && deviation > 0.0).then(|| distance / deviation).filter(|d| d.is_finite())
}
