//! Change points of the mean: the cuts that cost least, exactly (Killick, Fearnhead & Eckley, *Optimal Detection of Changepoints With a
//! Linear Computational Cost*, 2012: PELT).
//!
//! A segment costs the sum of squares around its mean over the noise's variance, and each cut a penalty, by default twice `ln n`
//! (Schwarz's criterion for a mean and a place). The variance is that of the differences between neighbours, robustly, so that
//! the changes themselves do not count as noise; a saw-tooth, whose differences are nearly all equal, has too little of it. Cost: O(n) on average where changes keep coming, O(n²) where there is none; memory O(n). It looks at
//! the whole slice: it explains a past, it does not raise an alarm.

use super::ordered::Ordered;
use super::robust::NORMAL;
use crate::band::is_measurement;

/// Positions at which a new mean begins, ascending; none for fewer than four measurements or a constant slice. Values that are no
/// measurements are passed over. `penalty`: what a cut costs; `None` for twice `ln n`.
pub fn change_points(values: &[f64], penalty: Option<f64>) -> Vec<usize> {
    let (places, kept): (Vec<usize>, Vec<f64>) = values.iter().copied().enumerate().filter(|(_, x)| is_measurement(*x)).unzip();
    let n = kept.len();
    let scale = noise(&kept);
    if n < 4 || scale <= 0.0 {
        return Vec::new();
    }
    let penalty = penalty.unwrap_or(2.0 * (n as f64).ln()).max(0.0);
    let pivot = kept[0];
    let mut sums = vec![(0.0, 0.0)];
    for x in &kept {
        let d = (x - pivot) / scale;
        let (first, second) = sums[sums.len() - 1];
        sums.push((first + d, second + d * d));
    }
    let cost = |from: usize, to: usize| {
        let (first, second) = (sums[to].0 - sums[from].0, sums[to].1 - sums[from].1);
        (second - first * first / (to - from) as f64).max(0.0)
    };
    // The least cost of the first `to` values, and where its last segment begins.
    let mut best = vec![-penalty; n + 1];
    let mut begins = vec![0; n + 1];
    let mut candidates = vec![0];
    for to in 1..=n {
        let (least, from) = candidates
            .iter()
            .map(|from| (best[*from] + cost(*from, to) + penalty, *from))
            .fold((f64::INFINITY, 0), |least, next| if next.0 < least.0 { next } else { least });
        (best[to], begins[to]) = (least, from);
        candidates.retain(|from| best[*from] + cost(*from, to) <= least);
        candidates.push(to);
    }
    let mut points = Vec::new();
    let mut at = begins[n];
    while at > 0 {
        points.push(places[at]);
        at = begins[at];
    }
    points.reverse();
    points
}

/// The standard deviation of the noise, from the differences between neighbours.
fn noise(values: &[f64]) -> f64 {
    let mut differences = Ordered::with_capacity(values.len());
    let mut spread = 0.0;
    for pair in values.windows(2) {
        differences.insert(pair[1] - pair[0]);
        spread += (pair[1] - pair[0]).powi(2);
    }
    let median = differences.median().unwrap_or_default();
    let robust = NORMAL * differences.mad(median).unwrap_or_default() / std::f64::consts::SQRT_2;
    // Where most neighbours are equal, a mean over all differences is left.
    if robust > 0.0 { robust } else { (spread / (2.0 * values.len().max(1) as f64)).sqrt() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The same by trying every cut: optimal partitioning without pruning.
    fn unpruned(values: &[f64], penalty: f64) -> f64 {
        let scale = noise(values);
        let n = values.len();
        let mut best = vec![-penalty; n + 1];
        for to in 1..=n {
            best[to] = (0..to).map(|from| best[from] + segment(&values[from..to], scale) + penalty).fold(f64::INFINITY, f64::min);
        }
        best[n]
    }

    fn segment(values: &[f64], scale: f64) -> f64 {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        values.iter().map(|v| ((v - mean) / scale).powi(2)).sum()
    }

    #[test]
    fn levels_are_cut_where_they_change() {
        let mut state = 7_u64;
        let mut noise = |_: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as f64 / (1u64 << 31) as f64
        };
        let values: Vec<f64> = (0..300).map(|i| noise(i) + if (100..180).contains(&i) { 4.0 } else { 0.0 }).collect();
        assert_eq!(change_points(&values, None), [100, 180]);
        let mut gapped = values.clone();
        gapped[50..60].fill(f64::NAN);
        assert_eq!(change_points(&gapped, None), [100, 180]);
        assert!(change_points(&values[..100], None).is_empty());
        assert!(
            change_points(&[], None).is_empty()
                && change_points(&[5.0; 50], None).is_empty()
                && change_points(&[f64::NAN; 9], None).is_empty()
        );
    }

    proptest! {
        #[test]
        fn pruning_loses_nothing_and_scale_changes_nothing(
            values in prop::collection::vec(-5.0f64..5.0, 5..40), level in 0.0f64..20.0, at in 1usize..4, scale in 0.5f64..4.0,
        ) {
            let mut values = values;
            values.iter_mut().skip(at).for_each(|v| *v += level);
            let points = change_points(&values, Some(4.0));
            let mut edges = vec![0];
            edges.extend(&points);
            edges.push(values.len());
            let spread = noise(&values);
            let cost: f64 = edges.windows(2).map(|e| segment(&values[e[0]..e[1]], spread)).sum::<f64>() + 4.0 * points.len() as f64;
            let least = unpruned(&values, 4.0);
            prop_assert!((cost - least).abs() < 1e-6 * (1.0 + least.abs()), "{} {}", cost, least);
            let scaled: Vec<f64> = values.iter().map(|v| v * scale + 3.0).collect();
            prop_assert_eq!(change_points(&scaled, Some(4.0)).len(), points.len());
        }
    }
}
