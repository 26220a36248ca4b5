//! The two-sample Kolmogorov–Smirnov test: the largest distance between two empirical distribution functions.
//!
//! The statistic is exact, ties included: both functions step past a value before they are compared. The p-value is exact
//! for small samples and Kolmogorov's for one sample of n·m/(n + m) values otherwise, which is what scipy calls
//! asymptotic and close already from a few dozen values. Cost: sorting, then one pass.

use crate::drift::between::distances;
use crate::drift::kolmogorov::{two_sample_sf, two_sided_sf};

/// Up to this product of sizes paths are counted, which costs as many steps.
const COUNTED: f64 = 100_000.0;

/// The statistic of two sorted lists of numbers; `None` when one is empty.
pub fn of_sorted(a: &[f64], b: &[f64]) -> Option<f64> {
    distances(a, b).map(|d| d.ks)
}

/// Probability of at least this distance without drift, for `n` and `m` values. 1 when nothing can be said.
pub fn p_value(distance: f64, n: f64, m: f64) -> f64 {
    if n <= 0.0 || m <= 0.0 {
        return 1.0;
    }
    if n * m <= COUNTED {
        return two_sample_sf(n as usize, m as usize, distance);
    }
    p_value_asymptotic(distance, n, m)
}

/// The same for large samples of any size.
pub fn p_value_asymptotic(distance: f64, n: f64, m: f64) -> f64 {
    if n <= 0.0 || m <= 0.0 {
        return 1.0;
    }
    two_sided_sf((n * m / (n + m)).max(1.0), distance)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// scipy.stats.ks_2samp, method exact.
    #[test]
    fn ties_are_stepped_over_together() {
        let a = [1.0, 2.0, 2.0, 3.0, 3.0, 3.0, 4.0, 5.0, 6.0, 9.0];
        let b = [2.0, 3.0, 3.0, 5.0, 5.0, 7.0, 8.0, 8.0, 9.0, 10.0, 11.0, 12.0];
        assert!((of_sorted(&a, &b).unwrap() - 0.48333333333333334).abs() < 1e-15);
        assert!((p_value(0.48333333333333334, 10.0, 12.0) / 0.11127881406519177 - 1.0).abs() < 1e-12);
        assert_eq!((of_sorted(&a, &a), of_sorted(&[], &a), of_sorted(&[1.0], &[2.0])), (Some(0.0), None, Some(1.0)));
    }

    /// scipy on the token counts of Azure's language models (first against second half, even against odd rows) and on UCI Adult.
    #[test]
    fn p_values_of_real_columns() {
        for (d, n, want) in [
            (0.08261902303005264, 9_683.0, 3.364513015714258e-29),
            (0.017453268615098605, 9_683.0, 0.10345705592206556),
            (0.011153568109057155, 9_683.0, 0.5794908433557435),
            (0.007206912083862149, 24_421.0, 0.5476301404276485),
            (0.0038900945907211007, 24_421.0, 0.9923333915936338),
        ] {
            assert!((p_value(d, n, n) / want - 1.0).abs() < 1e-9, "{d}: {} is not {want}", p_value(d, n, n));
        }
    }

    proptest! {
        #[test]
        fn the_distance_is_the_largest_over_all_values(mut a in prop::collection::vec(0..20i32, 1..40), mut b in prop::collection::vec(0..20i32, 1..40)) {
            a.sort();
            b.sort();
            let share = |list: &[i32], v: i32| list.iter().filter(|x| **x <= v).count() as f64 / list.len() as f64;
            let want = (0..20).map(|v| (share(&a, v) - share(&b, v)).abs()).fold(0.0, f64::max);
            let real = |list: &[i32]| list.iter().map(|v| f64::from(*v)).collect::<Vec<_>>();
            prop_assert!((of_sorted(&real(&a), &real(&b)).unwrap() - want).abs() < 1e-12);
        }
    }
}
