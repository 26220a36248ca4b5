//! Jensen–Shannon distance: the root of the mean divergence from the middle, in base 2, so from 0 to 1 (Endres & Schindelin, 2003).

/// The distance of two lists of shares, each of which sums to one.
pub fn of_shares(reference: &[f64], current: &[f64]) -> f64 {
    let part = |share: f64, middle: f64| if share > 0.0 { share * (share / middle).log2() } else { 0.0 };
    let twice: f64 = reference.iter().zip(current).map(|(p, q)| part(*p, (p + q) / 2.0) + part(*q, (p + q) / 2.0)).sum();
    (twice / 2.0).clamp(0.0, 1.0).sqrt()
}
