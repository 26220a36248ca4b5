//! Bins of equal width over two samples, for the statistics that compare shares.

/// The edges of `bins` bins of equal width from `low` to `high`, one more than there are bins. Where there is no width, half a unit
/// is added on each side.
pub fn edges(low: f64, high: f64, bins: usize) -> Vec<f64> {
    let (low, high) = if low < high { (low, high) } else { (low - 0.5, high + 0.5) };
    let width = (high - low) / bins.max(1) as f64;
    (0..bins.max(1)).map(|i| low + i as f64 * width).chain([high]).collect()
}

/// How many of the ascending values lie in each bin: closed on the left, the last on both sides. Values outside count nowhere.
pub fn counts(edges: &[f64], sorted: &[f64]) -> Vec<u64> {
    let Some((last, inner)) = edges.split_last() else { return Vec::new() };
    let ends: Vec<usize> = inner.iter().map(|e| sorted.partition_point(|v| v < e)).chain([sorted.partition_point(|v| v <= last)]).collect();
    ends.windows(2).map(|w| (w[1] - w[0]) as u64).collect()
}

/// The shares of two ascending samples in `bins` bins over the range of both; `None` when one is empty.
pub fn shares(a: &[f64], b: &[f64], bins: usize) -> Option<(Vec<f64>, Vec<f64>)> {
    let low = a.first()?.min(*b.first()?);
    let high = a.last()?.max(*b.last()?);
    let edges = edges(low, high, bins);
    let of = |sorted: &[f64]| counts(&edges, sorted).iter().map(|c| *c as f64 / sorted.len() as f64).collect();
    Some((of(a), of(b)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// numpy: `histogram`.
    #[test]
    fn bins_are_those_of_numpy() {
        let cut = edges(0.0, 1.0, 4);
        assert_eq!(cut, [0.0, 0.25, 0.5, 0.75, 1.0]);
        assert_eq!(counts(&cut, &[-1.0, 0.0, 0.25, 0.3, 0.75, 1.0, 1.1]), [1, 2, 0, 2]);
        assert_eq!(edges(3.0, 3.0, 2), [2.5, 3.0, 3.5]);
        assert_eq!(shares(&[1.0], &[1.0], 2), Some((vec![0.0, 1.0], vec![0.0, 1.0])));
        assert_eq!(shares(&[], &[1.0], 2), None);
    }
}
