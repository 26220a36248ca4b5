//! Adaptive windowing: a window that grows while nothing changes and lets go of its old part when the means of two parts differ
//! (Bifet & Gavaldà, *Learning from Time-Changing Data with Adaptive Windowing*, 2007: ADWIN2).
//!
//! The window is kept as an exponential histogram, at most [`BUCKETS`] buckets of each size 1, 2, 4, …. A cut between an old part
//! of n₀ and a new part of n₁ points is a change when the means differ by more than
//! `√(2 σ² ln(2 ln n ∕ δ) ∕ m) + 2 ln(2 ln n ∕ δ) ∕ (3 m)`, with `1 ∕ m = 1 ∕ n₀ + 1 ∕ n₁`. The bound is for values in a range of 1, so give
//! the expected range as `range`. Cuts are tried every [`EVERY`] points, as in the reference implementation. Cost: amortised
//! O(log n). State: O(log n) buckets. A value that is no measurement changes nothing.

use serde::{Deserialize, Serialize};

use crate::band::is_measurement;

/// Buckets of one size; one more and the two oldest become one of the next size.
pub const BUCKETS: usize = 5;
/// Cuts are looked for each so many points.
pub const EVERY: u64 = 32;
/// Neither part of a cut is shorter.
const SHORTEST: f64 = 5.0;

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Bucket {
    n: f64,
    sum: f64,
    /// Sum of the squares of differences from the bucket's mean.
    squares: f64,
}

impl Bucket {
    /// Both together (Chan, Golub & LeVeque, 1983).
    fn with(self, other: Self) -> Self {
        let n = self.n + other.n;
        let apart = if self.n > 0.0 && other.n > 0.0 { self.sum / self.n - other.sum / other.n } else { 0.0 };
        Self { n, sum: self.sum + other.sum, squares: self.squares + other.squares + apart * apart * self.n * other.n / n.max(1.0) }
    }
}

/// The window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Adwin {
    delta: f64,
    range: f64,
    seen: u64,
    /// By size, the smallest first; within one size the newest first.
    rows: Vec<Vec<Bucket>>,
}

impl Adwin {
    /// `delta`: how likely a change may be reported where there is none; default .002. `range`: the expected distance between the
    /// lowest and the highest value.
    pub fn new(delta: f64, range: f64) -> Self {
        let range = if range > 0.0 && range.is_finite() { range } else { 1.0 };
        Self { delta: delta.clamp(1e-12, 0.999), range, seen: 0, rows: Vec::new() }
    }

    /// Points in the window.
    pub fn len(&self) -> u64 {
        self.total().n as u64
    }

    /// Whether nothing was seen yet.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The mean of the window; `None` when empty.
    pub fn mean(&self) -> Option<f64> {
        let total = self.total();
        (total.n > 0.0).then(|| total.sum / total.n * self.range)
    }

    /// Takes in a value; whether the old part of the window was let go because the mean changed.
    pub fn push(&mut self, x: f64) -> bool {
        if !is_measurement(x) {
            return false;
        }
        self.insert(Bucket { n: 1.0, sum: x / self.range, squares: 0.0 });
        self.seen += 1;
        if !self.seen.is_multiple_of(EVERY) {
            return false;
        }
        let mut changed = false;
        while self.has_cut() {
            changed = true;
            self.drop_oldest();
        }
        changed
    }

    fn insert(&mut self, mut bucket: Bucket) {
        for size in 0.. {
            if size == self.rows.len() {
                self.rows.push(Vec::with_capacity(BUCKETS + 1));
            }
            let row = &mut self.rows[size];
            row.insert(0, bucket);
            if row.len() <= BUCKETS {
                return;
            }
            let (Some(oldest), Some(second)) = (row.pop(), row.pop()) else { return };
            bucket = oldest.with(second);
        }
    }

    fn drop_oldest(&mut self) {
        if let Some(row) = self.rows.last_mut() {
            row.pop();
        }
        while self.rows.last().is_some_and(Vec::is_empty) {
            self.rows.pop();
        }
    }

    fn newest_first(&self) -> impl Iterator<Item = Bucket> + '_ {
        self.rows.iter().flatten().copied()
    }

    fn total(&self) -> Bucket {
        self.newest_first().fold(Bucket::default(), Bucket::with)
    }

    fn has_cut(&self) -> bool {
        let total = self.total();
        let variance = total.squares / total.n.max(1.0);
        let confidence = (2.0 * total.n.max(2.0).ln() / self.delta).ln().max(0.0);
        let (mut n, mut sum) = (0.0, 0.0);
        self.newest_first().any(|bucket| {
            (n, sum) = (n + bucket.n, sum + bucket.sum);
            let n_old = total.n - n;
            if n < SHORTEST || n_old < SHORTEST {
                return false;
            }
            let one_over_m = 1.0 / n + 1.0 / n_old;
            let bound = (2.0 * one_over_m * variance * confidence).sqrt() + 2.0 / 3.0 * one_over_m * confidence;
            (sum / n - (total.sum - sum) / n_old).abs() > bound
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A fixed sequence in 0..1 without a trend.
    fn noise(i: u64) -> f64 {
        (i.wrapping_mul(2_654_435_761) % 10_007) as f64 / 10_007.0
    }

    #[test]
    fn it_grows_without_change_and_shrinks_after_one() {
        let mut adwin = Adwin::new(0.002, 1.0);
        assert!((0..5_000).all(|i| !adwin.push(noise(i))));
        assert_eq!(adwin.len(), 5_000);
        assert!((adwin.mean().unwrap() - 0.5).abs() < 0.02);
        let found = (0..1_000).position(|i| adwin.push(0.5 * noise(i))).unwrap();
        assert!(found < 250, "{found}");
        for i in 0..2_000 {
            adwin.push(0.5 * noise(i));
        }
        assert!((adwin.mean().unwrap() - 0.25).abs() < 0.02 && adwin.len() < 4_000);
        assert!(adwin.rows.iter().map(Vec::len).sum::<usize>() < 80);
    }

    #[test]
    fn range_is_a_scale_and_what_is_no_number_changes_nothing() {
        let (mut a, mut b) = (Adwin::new(0.01, 1.0), Adwin::new(0.01, 8.0));
        assert!(a.is_empty() && a.mean().is_none() && !a.push(f64::NAN) && a.is_empty());
        for i in 0..4_000 {
            let x = noise(i) + f64::from(u8::from(i > 2_000)) * 0.3;
            assert_eq!(a.push(x), b.push(8.0 * x + 0.0));
        }
        assert_eq!(a.len(), b.len());
        let mut constant = Adwin::new(0.002, 1.0);
        assert!((0..500).all(|_| !constant.push(3.0)));
    }
}
