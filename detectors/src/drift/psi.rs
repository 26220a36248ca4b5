//! The population stability index: Σ (q − p) · ln(q ∕ p) over bins with shares p before and q now.
//!
//! Bins are the reference's quantiles, closed on the right, each once; a share is at least [`FLOOR`], so an empty bin costs
//! a finite amount. Without drift PSI is distributed as (1/n + 1/m) · χ² with one degree of freedom less than there are bins
//! (Yurdakul & Naranjo, 2020), which gives it a p-value. An empty bin makes the index overstate what a few values prove, so the
//! p-value is never smaller than that of Pearson's χ² test of the same counts. Cost: sorting the reference, then O(log bins)
//! a value.

use crate::special::chi2_sf;

/// The smallest share that a bin is taken to have.
pub const FLOOR: f64 = 1e-4;

/// PSI of two lists of shares; each should sum to one. Bins that only one list has do not count.
pub fn of_shares(reference: &[f64], current: &[f64]) -> f64 {
    parts(reference, current).sum()
}

/// What each bin adds to the index: which of them moved.
pub fn parts(reference: &[f64], current: &[f64]) -> impl Iterator<Item = f64> {
    reference.iter().zip(current).map(|(p, q)| {
        let (p, q) = (p.max(FLOOR), q.max(FLOOR));
        (q - p) * (q / p).ln()
    })
}

/// Probability of at least the PSI of these shares without drift, for `n` and `m` values. 1 when nothing can be said.
pub fn p_value(reference: &[f64], current: &[f64], n: f64, m: f64) -> f64 {
    if n <= 0.0 || m <= 0.0 {
        return 1.0;
    }
    let (mut bins, mut pearson) = (0.0, 0.0);
    for (p, q) in reference.iter().zip(current) {
        let both = n * p + m * q;
        if both > 0.0 {
            bins += 1.0;
            pearson += (p - q) * (p - q) / both;
        }
    }
    if bins < 2.0 {
        return 1.0;
    }
    let of_index = chi2_sf(of_shares(reference, current) / (1.0 / n + 1.0 / m), bins - 1.0);
    of_index.max(chi2_sf(n * m * pearson, bins - 1.0))
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

/// The same of ascending values, without looking at most of them.
pub fn counts_sorted(edges: &[f64], sorted: &[f64]) -> Vec<u64> {
    let ends = edges.iter().map(|e| sorted.partition_point(|v| v <= e)).chain([sorted.len()]);
    ends.scan(0, |start, end| Some((end - std::mem::replace(start, end)) as u64)).collect()
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
        let (p, q) = (shares(&men), shares(&women));
        assert!((of_shares(&p, &q) - 0.04250172648404407).abs() < 1e-12);
        let p_value_of_scipy = 4.401401289798168e-81;
        assert!((p_value(&p, &q, 32_650.0, 16_192.0) / p_value_of_scipy - 1.0).abs() < 1e-6);
        let even = [689, 898, 352, 127, 270, 459, 384, 781, 1067, 3929, 288, 7871, 1363, 33, 419, 5491];
        let odd = [700, 914, 305, 120, 239, 496, 372, 820, 994, 4096, 306, 7913, 1294, 50, 415, 5387];
        let (p, q) = (shares(&even), shares(&odd));
        assert!((of_shares(&p, &q) - 0.0017458473071651742).abs() < 1e-12);
        assert!((p_value(&p, &q, 24_421.0, 24_421.0) - 0.12883360899650323).abs() < 1e-9);
        // Without empty bins the two p-values are nearly one.
        assert!((chi2_sf(0.0017458473071651742 * 24_421.0 / 2.0, 15.0) - 0.1288).abs() < 0.002);
        // Six values against six others prove nothing, however large the index.
        assert!(p_value(&shares(&[6, 0]), &shares(&[3, 3]), 6.0, 6.0) > 0.04);
        assert_eq!((p_value(&[1.0], &[1.0], 5.0, 5.0), p_value(&[], &[], 0.0, 5.0)), (1.0, 1.0));
    }

    /// numpy: edges by `quantile`, bins by `searchsorted(side="left")`.
    #[test]
    fn bins_are_quantiles_closed_on_the_right() {
        let reference: Vec<f64> = (1..=20).map(f64::from).collect();
        let cut = edges(&reference, 4);
        assert_eq!(cut, [5.75, 10.5, 15.25]);
        assert_eq!(counts(&cut, &[5.75, 5.76, 10.5, 99.0, -1.0]), [2, 2, 0, 1]);
        assert_eq!(counts_sorted(&cut, &[-1.0, 5.75, 5.76, 10.5, 99.0]), [2, 2, 0, 1]);
        assert_eq!(edges(&[1.0, 1.0, 1.0, 2.0], 4), [1.0, 1.25]);
        assert_eq!((edges(&[], 4), edges(&[7.0], 4)), (vec![], vec![7.0]));
        assert_eq!(of_shares(&shares(&[0, 0]), &shares(&[0, 0])), 0.0);
    }
}
