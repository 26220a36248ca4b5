//! The population stability index: Σ (q − p) · ln(q ∕ p) over bins with shares p before and q now.
//!
//! Bins are the reference's quantiles, closed on the right, each once; a share is at least [`FLOOR`], so an empty bin costs
//! a finite amount. Without drift PSI is distributed as (1/n + 1/m) · χ² with one degree of freedom less than there are bins
//! (Yurdakul & Naranjo, 2020), which gives it a p-value. Cost: sorting the reference, then O(log bins) a value.

use crate::special::chi2_sf;

/// The smallest share that a bin is taken to have.
pub const FLOOR: f64 = 1e-4;

/// PSI of two lists of shares; each should sum to one. Bins that only one list has do not count.
pub fn of_shares(reference: &[f64], current: &[f64]) -> f64 {
    reference
        .iter()
        .zip(current)
        .map(|(p, q)| {
            let (p, q) = (p.max(FLOOR), q.max(FLOOR));
            (q - p) * (q / p).ln()
        })
        .sum()
}

/// Probability of at least this PSI without drift, for `n` and `m` values in `bins` bins. 1 when nothing can be said.
pub fn p_value(psi: f64, n: f64, m: f64, bins: usize) -> f64 {
    if bins < 2 || n <= 0.0 || m <= 0.0 {
        return 1.0;
    }
    chi2_sf(psi / (1.0 / n + 1.0 / m), (bins - 1) as f64)
}

/// The inner quantiles of a sorted list that cut it into `bins` bins (linear between values), each once.
pub fn edges(sorted: &[f64], bins: usize) -> Vec<f64> {
    let Some(last) = sorted.len().checked_sub(1) else { return Vec::new() };
    let mut edges: Vec<f64> = (1..bins)
        .map(|k| {
            let place = k as f64 / bins as f64 * last as f64;
            let low = (place.floor() as usize).min(last);
            let high = (low + 1).min(last);
            sorted[low] + (sorted[high] - sorted[low]) * (place - low as f64)
        })
        .collect();
    edges.dedup();
    edges
}

/// How many values fall into each bin between these ascending edges; a value on an edge belongs to the bin below it.
pub fn counts(edges: &[f64], values: &[f64]) -> Vec<u64> {
    let mut counts = vec![0; edges.len() + 1];
    for value in values {
        counts[edges.partition_point(|e| e < value)] += 1;
    }
    counts
}

/// Counts as shares; all 0 when there is nothing.
pub fn shares(counts: &[u64]) -> Vec<f64> {
    let total = counts.iter().sum::<u64>().max(1) as f64;
    counts.iter().map(|c| *c as f64 / total).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// scipy and numpy on UCI Adult, education of men against women, and even against odd rows.
    #[test]
    fn categories_of_a_real_column() {
        let men = [932, 1162, 446, 186, 382, 716, 536, 974, 1327, 5548, 481, 10687, 1812, 59, 702, 6700];
        let women = [457, 650, 211, 61, 127, 239, 220, 627, 734, 2477, 113, 5097, 845, 24, 132, 4178];
        let psi = of_shares(&shares(&men), &shares(&women));
        assert!((psi - 0.04250172648404407).abs() < 1e-12);
        assert!(p_value(psi, 32_650.0, 16_192.0, 16) < 1e-50);
        let even = [689, 898, 352, 127, 270, 459, 384, 781, 1067, 3929, 288, 7871, 1363, 33, 419, 5491];
        let odd = [700, 914, 305, 120, 239, 496, 372, 820, 994, 4096, 306, 7913, 1294, 50, 415, 5387];
        let psi = of_shares(&shares(&even), &shares(&odd));
        assert!((psi - 0.0017458473071651742).abs() < 1e-12);
        // Close to what the chi-square test of the same table says: 0.1288.
        assert!((p_value(psi, 24_421.0, 24_421.0, 16) - 0.1288).abs() < 0.01);
    }

    /// numpy: edges by `quantile`, bins by `searchsorted(side="left")`.
    #[test]
    fn bins_are_quantiles_closed_on_the_right() {
        let reference: Vec<f64> = (1..=20).map(f64::from).collect();
        let cut = edges(&reference, 4);
        assert_eq!(cut, [5.75, 10.5, 15.25]);
        assert_eq!(counts(&cut, &[5.75, 5.76, 10.5, 99.0, -1.0]), [2, 2, 0, 1]);
        assert_eq!(edges(&[1.0, 1.0, 1.0, 2.0], 4), [1.0, 1.25]);
        assert_eq!((edges(&[], 4), edges(&[7.0], 4)), (vec![], vec![7.0]));
        assert_eq!(of_shares(&shares(&[0, 0]), &shares(&[0, 0])), 0.0);
    }
}
