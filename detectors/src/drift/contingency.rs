//! Counts of categories, before and now: Pearson's χ² (1900), the likelihood ratio G (Wilks, 1938), and Z for one share of two.

use crate::drift::column::Statistic;
use crate::special::{chi2_sf, erfc};

/// Cells in which fewer than this are expected are put together before they are tested (Cochran, 1954).
pub const EXPECTED: f64 = 5.0;

/// Pearson's χ² of two lists of counts, without a correction for continuity; `None` when a side has no count. With fewer than two
/// categories nothing can differ: the statistic is 0 and p is 1.
pub fn chi_square(reference: &[u64], current: &[u64]) -> Option<Statistic> {
    tested(reference, current, |observed, expected| (observed - expected).powi(2) / expected)
}

/// G, twice the logarithm of the likelihood ratio, of two lists of counts; as [`chi_square`].
pub fn g(reference: &[u64], current: &[u64]) -> Option<Statistic> {
    let part = |observed: f64, expected: f64| if observed > 0.0 { 2.0 * observed * (observed / expected).ln() } else { 0.0 };
    tested(reference, current, part)
}

fn tested(reference: &[u64], current: &[u64], part: impl Fn(f64, f64) -> f64) -> Option<Statistic> {
    let (n, m) = (reference.iter().sum::<u64>() as f64, current.iter().sum::<u64>() as f64);
    if n == 0.0 || m == 0.0 {
        return None;
    }
    let (mut value, mut cells) = (0.0, 0.0);
    for (a, b) in reference.iter().zip(current).map(|(a, b)| (*a as f64, *b as f64)).filter(|(a, b)| a + b > 0.0) {
        cells += 1.0;
        value += part(a, (a + b) * n / (n + m)) + part(b, (a + b) * m / (n + m));
    }
    if cells < 2.0 {
        return Some(Statistic { value: 0.0, p_value: 1.0 });
    }
    let value = value.max(0.0);
    Some(Statistic { value, p_value: chi2_sf(value, cells - 1.0) })
}

/// Counts with the rare categories put together, so that χ² is a fair approximation: those of which fewer than [`EXPECTED`]
/// are expected on either side, rarest first, until what is put together is expected often enough itself.
pub fn without_rare(reference: &[u64], current: &[u64]) -> (Vec<u64>, Vec<u64>) {
    let (n, m) = (reference.iter().sum::<u64>() as f64, current.iter().sum::<u64>() as f64);
    let smaller = n.min(m) / (n + m).max(1.0);
    let enough = |both: u64| both as f64 * smaller >= EXPECTED;
    let mut pairs: Vec<(u64, u64)> = reference.iter().copied().zip(current.iter().copied()).filter(|(a, b)| a + b > 0).collect();
    pairs.sort_by_key(|(a, b)| (a + b, *a));
    let mut rest = (0, 0);
    let mut kept = 0;
    for (a, b) in &pairs {
        if enough(a + b) && (rest == (0, 0) || enough(rest.0 + rest.1)) {
            break;
        }
        rest = (rest.0 + a, rest.1 + b);
        kept += 1;
    }
    let all = pairs[kept..].iter().copied().chain((kept > 0).then_some(rest));
    all.unzip()
}

/// The p-value of Pearson's χ² of all cells, however rare they are. Which names the rare cells have counts too, so that categories that
/// were all replaced do not pass for the same. Under no drift the statistic has the mean and the variance of a table with these margins
/// (Haldane, 1940; Dawson, 1954), and about a gamma distribution. 1 where nothing can differ, as when no category occurs twice.
pub fn sparse_p(reference: &[u64], current: &[u64]) -> Option<f64> {
    let statistic = chi_square(reference, current)?;
    let (n, m) = (reference.iter().sum::<u64>() as f64, current.iter().sum::<u64>() as f64);
    let all = n + m;
    let cells: Vec<f64> = reference.iter().zip(current).map(|(a, b)| (a + b) as f64).filter(|c| *c > 0.0).collect();
    let many = cells.len() as f64;
    if many < 2.0 || all < 4.0 {
        return Some(1.0);
    }
    let spread = |count: f64, inverse: f64| ((count - 1.0) * (all - count) / (all - 1.0), (all * inverse - count * count) / (all - 2.0));
    let (of_sides, uneven_sides) = spread(2.0, 1.0 / n + 1.0 / m);
    let (of_cells, uneven_cells) = spread(many, cells.iter().map(|c| 1.0 / c).sum());
    let mean = all * (many - 1.0) / (all - 1.0);
    let variance = 2.0 * all / (all - 3.0) * (of_sides - uneven_sides) * (of_cells - uneven_cells)
        + all * all / (all - 1.0) * uneven_sides * uneven_cells;
    if variance <= mean * 1e-9 {
        return Some(1.0);
    }
    // A gamma distribution of this mean and variance is χ² of another number of degrees, stretched.
    let p = chi2_sf(2.0 * statistic.value * mean / variance, 2.0 * mean * mean / variance);
    Some(if p.is_finite() { p.clamp(0.0, 1.0) } else { 1.0 })
}

/// Z of one share before and now, with the variance of both together; p is two-sided. `None` when a side has no row. Where no row
/// or every row has it, nothing differs.
pub fn z((of_reference, n): (u64, u64), (of_current, m): (u64, u64)) -> Option<Statistic> {
    if n == 0 || m == 0 {
        return None;
    }
    let (p, q) = (of_reference as f64 / n as f64, of_current as f64 / m as f64);
    let both = (of_reference + of_current) as f64 / (n + m) as f64;
    let variance = both * (1.0 - both) * (1.0 / n as f64 + 1.0 / m as f64);
    if variance <= 0.0 {
        return Some(Statistic { value: 0.0, p_value: 1.0 });
    }
    let value = (q - p) / variance.sqrt();
    Some(Statistic { value, p_value: erfc(value.abs() / std::f64::consts::SQRT_2).clamp(0.0, 1.0) })
}
