//! Energy distance: √(2 ∫ (F − G)²) (Székely & Rizzo, 2004). Unlike Wasserstein's it weighs large gaps more than wide ones.

use crate::drift::between::distances;

/// The distance of two sorted lists of finite numbers, in the square root of the column's unit; `None` when one is empty.
pub fn of_sorted(a: &[f64], b: &[f64]) -> Option<f64> {
    distances(a, b).map(|d| d.energy)
}
