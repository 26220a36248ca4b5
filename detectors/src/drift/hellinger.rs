//! Hellinger distance: √(½ Σ (√p − √q)²), from 0 to 1 (Hellinger, 1909).

/// The distance of two lists of shares, each of which sums to one.
pub fn of_shares(reference: &[f64], current: &[f64]) -> f64 {
    let squares: f64 = reference.iter().zip(current).map(|(p, q)| (p.max(0.0).sqrt() - q.max(0.0).sqrt()).powi(2)).sum();
    (squares / 2.0).clamp(0.0, 1.0).sqrt()
}
