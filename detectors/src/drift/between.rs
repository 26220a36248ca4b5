//! What lies between two empirical distribution functions: one walk over two sorted lists.
//!
//! Kolmogorov–Smirnov, Wasserstein and energy distance are the largest, the mean and the squared difference of the two
//! functions, so one walk finds all three. The difference is kept as a whole number (`i·m − j·n` for `i` of `n` and `j` of `m`
//! values passed), so nothing is rounded before the end. Cost: O(n + m), no allocation, no branch that depends on the data.

/// Distances between two samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Distances {
    /// Kolmogorov–Smirnov: the largest difference, 0 to 1.
    pub ks: f64,
    /// Wasserstein-1, the earth mover's distance: the area between the functions, in the column's unit.
    pub wasserstein: f64,
    /// Energy distance √(2 ∫ (F − G)²) of Székely (2003), in the square root of the column's unit.
    pub energy: f64,
}

/// The distances between two sorted lists of finite numbers; `None` when one is empty. Each list may hold up to 2³¹ values.
pub fn distances(a: &[f64], b: &[f64]) -> Option<Distances> {
    let (mut ks, mut area, mut squares) = (0_i64, 0.0_f64, 0.0_f64);
    walk(a, b, |gap, width| {
        ks = ks.max(if width > 0.0 { gap } else { 0 });
        let gap = gap as f64;
        area += gap * width;
        squares += gap * gap * width;
    })?;
    let whole = a.len() as f64 * b.len() as f64;
    Some(Distances { ks: ks as f64 / whole, wasserstein: area / whole, energy: (2.0 * squares).sqrt() / whole })
}

/// Calls `step(|i·m − j·n|, width)` for each stretch between neighbouring values of both sorted lists together; equal
/// values make stretches of width 0, at which the difference is not final. `None` when a list is empty.
#[inline]
pub(crate) fn walk(a: &[f64], b: &[f64], mut step: impl FnMut(i64, f64)) -> Option<()> {
    let (up, down) = (b.len() as i64, a.len() as i64);
    let (first_a, first_b) = (*a.first()?, *b.first()?);
    let (mut i, mut j, mut gap, mut at) = (0, 0, 0_i64, first_a.min(first_b));
    while i < a.len() && j < b.len() {
        let (from_a, from_b) = (a[i] <= b[j], b[j] <= a[i]);
        let next = if from_a { a[i] } else { b[j] };
        step(gap.abs(), next - at);
        at = next;
        i += usize::from(from_a);
        j += usize::from(from_b);
        gap += up * i64::from(from_a) - down * i64::from(from_b);
    }
    for next in &a[i..] {
        step(gap.abs(), next - at);
        at = *next;
        gap += up;
    }
    for next in &b[j..] {
        step(gap.abs(), next - at);
        at = *next;
        gap -= down;
    }
    Some(())
}
