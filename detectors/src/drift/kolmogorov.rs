//! Kolmogorov's distribution for samples of any size: the probability that an empirical distribution function strays at
//! least this far.
//!
//! One sample against a continuous distribution, by regions as in Simard & L'Ecuyer (2011): Ruben & Gambino (1982) at the
//! ends, Durbin's matrix as in Marsaglia, Tsang & Wang (2003) for few values, twice Smirnov's one-sided sum in the tail, and the series
//! of Pelz & Good (1976) elsewhere. Two samples exactly, by counting paths (Hodges, 1958) in a form that keeps small tails.

use std::f64::consts::PI;

use crate::special::ln_gamma;

/// Above this many values Smirnov's sum is replaced by its expansion, whose relative error is then below 1e-4 for p above 1e-50.
const MANY: f64 = 20_000.0;

/// Probability that the largest distance between the empirical distribution function of `n` values and the true one is at
/// least `d`. Relative error below 1e-9 for `n` up to 20,000; 1 without values.
pub fn two_sided_sf(n: f64, d: f64) -> f64 {
    let n = n.round_ties_even();
    let t = n * d;
    if d.is_nan() || n < 1.0 || t <= 0.5 {
        return 1.0;
    }
    if d >= 1.0 {
        return 0.0;
    }
    let p = if t <= 1.0 {
        1.0 - (ln_gamma(n + 1.0) + n * ((2.0 * t - 1.0) / n).ln()).exp()
    } else if t >= n - 1.0 {
        2.0 * (1.0 - d).powf(n)
    } else if d >= 0.5 || t * d >= if n <= 140.0 { 4.0 } else { 2.2 } {
        2.0 * one_sided_sf(n, d)
    } else if n > 140.0 && t * d < 0.033 {
        1.0
    } else if n <= 140.0 || (n <= 100_000.0 && t * d.sqrt() <= 1.4) {
        1.0 - durbin(n, d)
    } else {
        1.0 - pelz_good(n, d)
    };
    p.clamp(0.0, 1.0)
}

/// Probability that the empirical distribution function of `n` values exceeds the true one somewhere by at least `d`, 0 < d < 1.
fn one_sided_sf(n: f64, d: f64) -> f64 {
    if n > MANY {
        // Maag & Dicaire (1971).
        let z = (6.0 * n * d + 1.0).powi(2) / (18.0 * n);
        return ((1.0 - (2.0 * z * z - 4.0 * z - 1.0) / (18.0 * n)) * (-z).exp()).max(0.0);
    }
    let (mut sum, mut ln_choose, mut j) = (0.0, 0.0_f64, 0.0);
    while j / n < 1.0 - d {
        let (up, down) = (d + j / n, 1.0 - d - j / n);
        sum += (ln_choose + (j - 1.0) * up.ln() + (n - j) * down.ln()).exp();
        ln_choose += ((n - j) / (j + 1.0)).ln();
        j += 1.0;
    }
    d * sum
}

/// Probability of a distance below `d`, exactly: one entry of a power of a matrix of 2⌈n·d⌉ − 1 rows.
fn durbin(n: f64, d: f64) -> f64 {
    let k = (n * d).floor() as usize + 1;
    let h = k as f64 - n * d;
    let size = 2 * k - 1;
    let mut inverse_factorial = vec![1.0; size + 2];
    for i in 1..inverse_factorial.len() {
        inverse_factorial[i] = inverse_factorial[i - 1] / i as f64;
    }
    let mut matrix = vec![0.0; size * size];
    for row in 0..size {
        for column in 0..size.min(row + 2) {
            matrix[row * size + column] = 1.0;
        }
    }
    for i in 0..size {
        matrix[i * size] -= h.powi(i as i32 + 1);
        matrix[(size - 1) * size + i] -= h.powi((size - i) as i32);
    }
    matrix[(size - 1) * size] += (2.0 * h - 1.0).max(0.0).powi(size as i32);
    for row in 0..size {
        for column in 0..size.min(row + 2) {
            matrix[row * size + column] *= inverse_factorial[row + 1 - column];
        }
    }
    let (power, mut exponent) = powered(&matrix, size, n as u64);
    let mut entry = power[(k - 1) * size + k - 1];
    for i in 1..=n as u64 {
        entry *= i as f64 / n;
        if entry < 1e-140 {
            entry *= 1e140;
            exponent -= 140;
        }
    }
    entry * 10_f64.powi(exponent)
}

/// A square matrix to a power of at least 1, as a matrix and a power of ten to multiply it with.
fn powered(matrix: &[f64], size: usize, mut power: u64) -> (Vec<f64>, i32) {
    let times = |a: &[f64], b: &[f64]| {
        let mut product = vec![0.0; size * size];
        for (row, out) in product.chunks_exact_mut(size).enumerate() {
            for (weight, b) in a[row * size..][..size].iter().zip(b.chunks_exact(size)) {
                out.iter_mut().zip(b).for_each(|(o, b)| *o += weight * b);
            }
        }
        product
    };
    let scale = |matrix: &mut Vec<f64>, exponent: &mut i32| {
        if matrix[(size / 2) * size + size / 2] > 1e140 {
            matrix.iter_mut().for_each(|v| *v *= 1e-140);
            *exponent += 140;
        }
    };
    let (mut base, mut base_exponent) = (matrix.to_vec(), 0);
    let mut result: Option<(Vec<f64>, i32)> = None;
    while power > 0 {
        if power & 1 == 1 {
            let (mut product, mut exponent) = match &result {
                Some((sofar, exponent)) => (times(sofar, &base), exponent + base_exponent),
                None => (base.clone(), base_exponent),
            };
            scale(&mut product, &mut exponent);
            result = Some((product, exponent));
        }
        power >>= 1;
        if power > 0 {
            base = times(&base, &base);
            base_exponent *= 2;
            scale(&mut base, &mut base_exponent);
        }
    }
    result.unwrap_or((base, base_exponent))
}

/// Probability of a distance below `d`: four terms of an expansion in 1/√n, each a theta series that converges for small √n·d.
fn pelz_good(n: f64, d: f64) -> f64 {
    let z = n.sqrt() * d;
    let (z2, pi2) = (z * z, PI * PI);
    let (mut k0, mut k1, mut k2, mut k3) = (0.0, 0.0, 0.0, 0.0);
    for k in 0..=(16.0 * z / PI).ceil() as u32 + 1 {
        let odd = f64::from(2 * k + 1);
        // (π·odd/2)², the variable of all four polynomials.
        let s = pi2 * odd * odd / 4.0;
        let weight = (-s / (2.0 * z2)).exp();
        k0 += weight;
        k1 += weight * (s - z2);
        k2 += weight * (6.0 * z2.powi(3) + 2.0 * z2 * z2 + s * (2.0 * z2 * z2 - 5.0 * z2) + s * s * (1.0 - 2.0 * z2));
        k3 += weight
            * (-30.0 * z2.powi(3) - 90.0 * z2.powi(4)
                + s * (135.0 * z2 * z2 - 96.0 * z2.powi(3))
                + s * s * (212.0 * z2 * z2 - 60.0 * z2)
                + s.powi(3) * (5.0 - 30.0 * z2));
    }
    let (mut even2, mut even3) = (0.0, 0.0);
    for k in 1..=(16.0 * z / PI).ceil() as u32 + 1 {
        let s = pi2 * f64::from(k * k);
        let weight = (-s / (2.0 * z2)).exp();
        even2 += weight * s;
        even3 += weight * s * (3.0 * z2 - s);
    }
    let k2 = k2 / (72.0 * z.powi(7)) - even2 / (36.0 * z.powi(3));
    let k3 = k3 / (6_480.0 * z.powi(10)) + even3 / (216.0 * z.powi(6));
    (2.0 * PI).sqrt() * (k0 / z + k1 / (6.0 * z2 * z2 * n.sqrt()) + k2 / n + k3 / (n * n.sqrt()))
}

/// Probability that the empirical distribution functions of `n` and `m` values of one continuous distribution differ somewhere by at least
/// `d`. Exact; with ties it is an upper limit. Cost: O(n·m).
pub fn two_sample_sf(n: usize, m: usize, d: f64) -> f64 {
    if n == 0 || m == 0 || d.is_nan() || d <= 0.0 {
        return 1.0;
    }
    let (whole_n, whole_m) = (n as i64, m as i64);
    let limit = (d * n as f64 * m as f64).round() as i64;
    // Of the paths through (i, j), the share that has touched the limit on the way.
    let mut touched = vec![0.0; m + 1];
    for i in 0..=whole_n {
        for j in 0..=whole_m {
            let at = j as usize;
            touched[at] = if (i * whole_m - j * whole_n).abs() >= limit {
                1.0
            } else if i + j == 0 {
                0.0
            } else {
                let left = if j > 0 { j as f64 * touched[at - 1] } else { 0.0 };
                let above = if i > 0 { i as f64 * touched[at] } else { 0.0 };
                (left + above) / (i + j) as f64
            };
        }
    }
    touched[m]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// scipy 1.17.1: `kstwo.sf`.
    #[test]
    fn one_sample_is_that_of_scipy() {
        for (n, d, want) in [
            (1.0, 0.7, 0.6000000000000001),
            (5.0, 0.11, 0.999999616),
            (5.0, 0.3, 0.664),
            (5.0, 0.85, 0.0001518750000000001),
            (10.0, 0.4, 0.05898924519999926),
            (20.0, 0.2, 0.352720173623415),
            (50.0, 0.1, 0.6623112704658186),
            (100.0, 0.05, 0.9532159710635725),
            (140.0, 0.1, 0.11353657290090946),
            (141.0, 0.1, 0.11128445516467944),
            (141.0, 0.2, 2.0276784223976912e-05),
            (500.0, 0.03, 0.7473166700457021),
            (1000.0, 0.02, 0.8108971656895577),
            (1000.0, 0.045, 0.03378304014546085),
            (1000.0, 0.06, 0.001428597887952891),
            (4842.0, 0.0826, 3.468852674172455e-29),
            (4842.0, 0.01745, 0.10357160705218982),
            (12210.0, 0.0039, 0.992092087633616),
            (100000.0, 0.004, 0.08130148920222469),
        ] {
            let got = two_sided_sf(n, d);
            assert!((got / want - 1.0).abs() < 1e-9, "{n} {d}: {got} is not {want}");
        }
        for (n, d, want) in [
            (20001.0, 0.02, 2.216353057360147e-07),
            (100000.0, 0.006, 0.0014871489301131564),
            (500000.0, 0.003, 0.00024632301239186754),
            (500000.0, 0.005, 2.767991769909747e-11),
        ] {
            let got = two_sided_sf(n, d);
            assert!((got / want - 1.0).abs() < 1e-4, "{n} {d}: {got} is not {want}");
        }
        assert_eq!((two_sided_sf(0.0, 0.5), two_sided_sf(10.0, 1.0), two_sided_sf(10.0, f64::NAN)), (1.0, 0.0, 1.0));
    }

    /// scipy 1.17.1: `ks_2samp`, method exact.
    #[test]
    fn two_samples_are_those_of_scipy() {
        for (n, m, h, want) in [
            (1, 1, 1.0, 1.0),
            (3, 4, 9.0, 0.22857142857142862),
            (10, 12, 58.0, 0.11127881406519177),
            (20, 20, 200.0, 0.012298612583953778),
            (30, 50, 600.0, 0.0035259049194001565),
            (100, 80, 1600.0, 0.04985661008315778),
            (300, 300, 9000.0, 0.09956251966128941),
            (300, 200, 30000.0, 9.273102849374078e-28),
        ] {
            let got = two_sample_sf(n, m, h / (n * m) as f64);
            assert!((got / want - 1.0).abs() < 1e-9, "{n} {m} {h}: {got} is not {want}");
        }
    }

    #[test]
    fn where_methods_meet_they_agree() {
        for (n, d) in [(20_000.0, 0.012), (20_000.0, 0.02), (20_000.0, 0.025)] {
            let (sum, expansion) = (one_sided_sf(n, d), one_sided_sf(n + 1.0, d * (n / (n + 1.0)).sqrt()));
            assert!((sum / expansion - 1.0).abs() < 1e-3, "{n} {d}: {sum} {expansion}");
        }
        for (n, d) in [(5_000.0, 0.0042), (50_000.0, 0.0009)] {
            assert!((durbin(n, d) - pelz_good(n, d)).abs() < 1e-8, "{n} {d}: {} {}", durbin(n, d), pelz_good(n, d));
        }
    }

    proptest! {
        #[test]
        fn a_farther_distance_is_less_probable(n in 1..3_000u32, d in 0.0..1.1f64, more in 0.0..0.2f64) {
            let (near, far) = (two_sided_sf(f64::from(n), d), two_sided_sf(f64::from(n), d + more));
            prop_assert!((0.0..=1.0).contains(&near) && far <= near + 1e-6, "{n} {d} {more}: {near} {far}");
        }

        #[test]
        fn the_exact_probability_has_two_equal_sides(n in 1..40usize, m in 1..40usize, d in 0.0..1.0f64) {
            let (one, other) = (two_sample_sf(n, m, d), two_sample_sf(m, n, d));
            prop_assert!((one - other).abs() < 1e-12 && (0.0..=1.0).contains(&one));
        }
    }
}
