//! Maximum mean discrepancy of two sets of rows (Gretton et al., 2012): how far their means are apart where every smooth difference shows.
//!
//! Kernel: exp(−γ · ‖x − y‖²), with γ one over the median squared distance of all pairs. The p-value is that of a permutation test:
//! exact in level whatever the rows are. Cost of [`mmd`]: (n + m)² · width once, then (n + m)² a permutation, so it is for some hundred
//! rows. [`mmd_of_many`] replaces the kernel by random features (Rahimi & Recht, 2007): (n + m) · features · width once, then (n + m) ·
//! features a permutation.

use crate::drift::column::Statistic;
use crate::drift::embedding::{Rows, product, squared_distance};
use crate::drift::stream::Stream;

/// Pairs of rows from which the kernel's width is taken where there are too many rows for all pairs.
const SAMPLED: usize = 2_000;

/// The unbiased estimate of the squared discrepancy, which is about 0, and may be below, without drift. `None` with fewer than two rows on
/// a side or rows of different width. `permutations` of usually 200; the p-value is never below one over one more than that.
pub fn mmd(a: Rows<'_>, b: Rows<'_>, permutations: usize, seed: u64) -> Option<Statistic> {
    if a.len() < 2 || b.len() < 2 || a.width() != b.width() {
        return None;
    }
    let kernel = kernel(a, b);
    let total = a.len() + b.len();
    let mut is_first: Vec<bool> = (0..total).map(|i| i < a.len()).collect();
    let value = discrepancy(&kernel, &is_first);
    let mut stream = Stream::new(seed);
    let mut as_large = 1;
    for _ in 0..permutations {
        stream.shuffle(&mut is_first);
        as_large += usize::from(discrepancy(&kernel, &is_first) >= value);
    }
    Some(Statistic { value, p_value: as_large as f64 / (permutations + 1) as f64 })
}

/// As [`mmd`], for many rows, up to the error of `features` random features (usually 256; at least 2), about one over their root.
pub fn mmd_of_many(a: Rows<'_>, b: Rows<'_>, features: usize, permutations: usize, seed: u64) -> Option<Statistic> {
    if a.len() < 2 || b.len() < 2 || a.width() != b.width() {
        return None;
    }
    let mut stream = Stream::new(seed);
    let rows: Vec<&[f64]> = a.iter().chain(b.iter()).collect();
    let pairs = (0..SAMPLED).map(|_| (stream.below(rows.len()), stream.below(rows.len()))).filter(|(i, j)| i != j);
    let mut distances: Vec<f64> = pairs.map(|(i, j)| squared_distance(rows[i], rows[j])).collect();
    let spread = (2.0 / typical(&mut distances)).sqrt();
    let waves: Vec<Vec<f64>> =
        (0..features.div_ceil(2).max(1)).map(|_| (0..a.width()).map(|_| spread * stream.normal()).collect()).collect();
    // Cosine and sine of each wave: every row has length 1, as under the kernel itself.
    let length = (waves.len() as f64).sqrt();
    let wave = |row: &[f64], wave: &[f64]| {
        let (sine, cosine) = product(row, wave).sin_cos();
        [cosine / length, sine / length]
    };
    let mapped: Vec<Vec<f64>> = rows.iter().map(|row| waves.iter().flat_map(|w| wave(row, w)).collect()).collect();
    let mut all = vec![0.0; 2 * waves.len()];
    mapped.iter().for_each(|row| add(&mut all, row));
    let (n, m) = (a.len() as f64, b.len() as f64);
    let of = |first: &[usize]| {
        let mut sum = vec![0.0; all.len()];
        first.iter().for_each(|i| add(&mut sum, &mapped[*i]));
        let rest: Vec<f64> = all.iter().zip(&sum).map(|(all, own)| all - own).collect();
        let within = |sum: &[f64], count: f64| (product(sum, sum) - count) / (count * (count - 1.0));
        within(&sum, n) + within(&rest, m) - 2.0 * product(&sum, &rest) / (n * m)
    };
    let mut order: Vec<usize> = (0..rows.len()).collect();
    let value = of(&order[..a.len()]);
    let mut as_large = 1;
    for _ in 0..permutations {
        stream.shuffle(&mut order);
        as_large += usize::from(of(&order[..a.len()]) >= value);
    }
    Some(Statistic { value, p_value: as_large as f64 / (permutations + 1) as f64 })
}

fn add(sum: &mut [f64], row: &[f64]) {
    sum.iter_mut().zip(row).for_each(|(s, r)| *s += r);
}

/// The median of squared distances, as what the kernel divides by: never 0, and never so large that it is none.
fn typical(distances: &mut [f64]) -> f64 {
    if distances.is_empty() { 1.0 } else { middle(distances).clamp(f64::MIN_POSITIVE, f64::MAX) }
}

/// The kernel of all pairs, row after row.
fn kernel(a: Rows<'_>, b: Rows<'_>) -> Vec<f64> {
    let rows: Vec<&[f64]> = a.iter().chain(b.iter()).collect();
    let total = rows.len();
    let mut kernel = vec![0.0; total * total];
    let mut distances = Vec::with_capacity(total * (total - 1) / 2);
    for i in 0..total {
        for j in 0..i {
            let distance = squared_distance(rows[i], rows[j]);
            kernel[i * total + j] = distance;
            distances.push(distance);
        }
    }
    let gamma = 1.0 / typical(&mut distances);
    for i in 0..total {
        kernel[i * total + i] = 1.0;
        for j in 0..i {
            let similarity = (-gamma * kernel[i * total + j]).exp();
            kernel[i * total + j] = similarity;
            kernel[j * total + i] = similarity;
        }
    }
    kernel
}

/// The median; of an even number the mean of the middle two.
fn middle(values: &mut [f64]) -> f64 {
    let half = values.len() / 2;
    let is_even = values.len().is_multiple_of(2);
    let (below, upper, _) = values.select_nth_unstable_by(half, f64::total_cmp);
    match below.iter().copied().reduce(f64::max) {
        Some(lower) if is_even => f64::midpoint(lower, *upper),
        _ => *upper,
    }
}

fn discrepancy(kernel: &[f64], is_first: &[bool]) -> f64 {
    let total = is_first.len();
    let n = is_first.iter().filter(|f| **f).count() as f64;
    let m = total as f64 - n;
    let (mut within_first, mut within_second, mut between) = (0.0, 0.0, 0.0);
    let weights: Vec<f64> = is_first.iter().map(|f| f64::from(u8::from(*f))).collect();
    for (similarities, own) in kernel.chunks_exact(total).zip(is_first) {
        let to_all: f64 = similarities.iter().sum();
        let to_first: f64 = similarities.iter().zip(&weights).map(|(k, w)| k * w).sum();
        if *own {
            within_first += to_first - 1.0;
            between += to_all - to_first;
        } else {
            within_second += to_all - to_first - 1.0;
        }
    }
    within_first / (n * (n - 1.0)) + within_second / (m * (m - 1.0)) - 2.0 * between / (n * m)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drift::embedding::RowsError;

    fn cloud(n: usize, width: usize, shift: f64, seed: u64) -> Vec<f64> {
        let mut stream = Stream::new(seed);
        (0..n * width).map(|_| stream.normal() + shift).collect()
    }

    #[test]
    fn a_small_shift_in_many_columns_is_found() {
        let find = |shift: f64, seed: u64| {
            let (a, b) = (cloud(100, 16, 0.0, seed), cloud(120, 16, shift, seed + 100));
            mmd(Rows::new(&a, 16).unwrap(), Rows::new(&b, 16).unwrap(), 199, seed).unwrap()
        };
        assert!(find(0.3, 1).p_value < 0.01);
        let false_alarms = (0..40).filter(|s| find(0.0, *s).p_value <= 0.05).count();
        assert!(false_alarms <= 6, "{false_alarms} of 40 at a level of 0.05");
    }

    #[test]
    fn features_stand_for_the_kernel() {
        let (a, b) = (cloud(150, 8, 0.0, 1), cloud(200, 8, 0.3, 2));
        let (a, b) = (Rows::new(&a, 8).unwrap(), Rows::new(&b, 8).unwrap());
        let (exact, many) = (mmd(a, b, 99, 3).unwrap(), mmd_of_many(a, b, 4_096, 99, 3).unwrap());
        assert!((exact.value / many.value - 1.0).abs() < 0.2 && many.p_value == 0.01, "{exact:?} {many:?}");
        let alike = |seed: u64| {
            let (a, b) = (cloud(300, 4, 0.0, seed), cloud(200, 4, 0.0, seed + 100));
            mmd_of_many(Rows::new(&a, 4).unwrap(), Rows::new(&b, 4).unwrap(), 64, 99, seed).unwrap()
        };
        let false_alarms = (0..40).filter(|s| alike(*s).p_value <= 0.05).count();
        assert!(false_alarms <= 6, "{false_alarms} of 40 at a level of 0.05");
        let (far, near) = ([1e200, -1e200, 1e200, 0.0], [0.0; 4]);
        let wild = |x, y| [mmd(x, y, 9, 0), mmd_of_many(x, y, 8, 9, 0)];
        let rows = |values| Rows::new(values, 2).unwrap();
        assert!(wild(rows(&far), rows(&near)).into_iter().flatten().all(|s| s.value.is_finite()));
    }

    #[test]
    fn what_cannot_be_compared_says_so() {
        let values = [1.0, 2.0, 3.0, 4.0];
        let rows = |width| Rows::new(&values, width);
        assert_eq!(rows(3), Err(RowsError::Width { values: 4, width: 3 }));
        assert_eq!(Rows::new(&[0.0, 1.0, f64::NAN, 2.0], 2), Err(RowsError::NotFinite { row: 1 }));
        assert_eq!(mmd(rows(4).unwrap(), rows(4).unwrap(), 10, 0), None, "one row on each side");
        let alike = Rows::new(&[2.0; 6], 2).unwrap();
        let found = mmd(alike, alike, 10, 0).unwrap();
        assert_eq!((found.value, found.p_value), (0.0, 1.0));
    }
}
