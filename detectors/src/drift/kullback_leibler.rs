//! Kullback–Leibler divergence: Σ q · ln(q ∕ p), the nats by which the reference misleads about what is now (1951).

use crate::drift::psi::FLOOR;

/// The divergence of the current shares from the reference's. A bin that the reference does not have is taken to hold
/// [`FLOOR`], so the result is finite; never below 0.
pub fn of_shares(reference: &[f64], current: &[f64]) -> f64 {
    let parts = reference.iter().zip(current).filter(|(_, q)| **q > 0.0);
    parts.map(|(p, q)| q * (q / p.max(FLOOR)).ln()).sum::<f64>().max(0.0)
}
