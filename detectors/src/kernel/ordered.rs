//! A multiset of numbers kept in order: exact median, quantiles and median absolute deviation of what slides through it.
//!
//! A sorted array on purpose: replacing one number moves only those between the old and the new place, one `memmove` in
//! the cache, which for windows up to some ten thousand points beats trees and heaps. A replacement costs two binary
//! searches and that move; a median O(1); a quantile O(1); a MAD one more binary search, because the numbers nearest to the
//! median stand side by side.

use serde::{Deserialize, Serialize};

/// Numbers in ascending order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ordered {
    sorted: Vec<f64>,
}

impl Ordered {
    /// Empty, with room for this many.
    pub fn with_capacity(numbers: usize) -> Self {
        Self { sorted: Vec::with_capacity(numbers) }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.sorted.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.sorted.is_empty()
    }

    /// All of them, ascending.
    pub fn as_slice(&self) -> &[f64] {
        &self.sorted
    }

    /// Takes in a number, which must not be NaN.
    #[inline]
    pub fn insert(&mut self, x: f64) {
        let at = self.sorted.partition_point(|y| *y < x);
        self.sorted.insert(at, x);
    }

    /// Takes out one number equal to `x`, if there is one.
    #[inline]
    pub fn remove(&mut self, x: f64) {
        let at = self.sorted.partition_point(|y| *y < x);
        if self.sorted.get(at) == Some(&x) {
            self.sorted.remove(at);
        }
    }

    /// Takes out `old`, which must be there, and takes in `new`: one move instead of two.
    #[inline]
    pub fn replace(&mut self, old: f64, new: f64) {
        let sorted = self.sorted.as_mut_slice();
        let (from, to) = (sorted.partition_point(|y| *y < old), sorted.partition_point(|y| *y < new));
        if from >= sorted.len() {
            return;
        }
        if to > from {
            sorted.copy_within(from + 1..to, from);
            sorted[to - 1] = new;
        } else {
            sorted.copy_within(to..from, to + 1);
            sorted[to] = new;
        }
    }

    /// How many are at least `x`.
    #[inline]
    pub fn at_least(&self, x: f64) -> usize {
        self.sorted.len() - self.sorted.partition_point(|y| *y < x)
    }

    /// The median: the mean of the middle two where their number is even. `None` when empty.
    #[inline]
    pub fn median(&self) -> Option<f64> {
        let n = self.sorted.len();
        match n {
            0 => None,
            _ if n % 2 == 1 => Some(self.sorted[n / 2]),
            _ => Some(middle(self.sorted[n / 2 - 1], self.sorted[n / 2])),
        }
    }

    /// The quantile `q` in 0..=1, linear between neighbours (type 7 of Hyndman & Fan, 1996). `None` when empty.
    #[inline]
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let last = self.sorted.len().checked_sub(1)?;
        let place = q.clamp(0.0, 1.0) * last as f64;
        let (low, high) = (self.sorted[place as usize], self.sorted[(place as usize + 1).min(last)]);
        Some(low + (high - low) * place.fract())
    }

    /// The median of the distances from `centre`, which should be the median. `None` when empty.
    ///
    /// The k numbers nearest to a centre are neighbours in order: they begin at the first `low` where the number just beyond
    /// them on the right is no nearer than the one at `low`.
    #[inline]
    pub fn mad(&self, centre: f64) -> Option<f64> {
        let n = self.sorted.len();
        let sorted = self.sorted.as_slice();
        let k = n.div_ceil(2);
        if n == 0 {
            return None;
        }
        let (mut low, mut size) = (0, n - k);
        while size > 0 {
            let half = size / 2;
            let nearer_right = centre - sorted[low + half] > sorted[low + half + k] - centre;
            (low, size) = if nearer_right { (low + half + 1, size - half - 1) } else { (low, half) };
        }
        let near = (centre - sorted[low]).max(sorted[low + k - 1] - centre);
        if n % 2 == 1 {
            return Some(near);
        }
        // The next one out, on either side.
        let left = if low > 0 { centre - sorted[low - 1] } else { f64::INFINITY };
        let right = if low + k < n { sorted[low + k] - centre } else { f64::INFINITY };
        Some(middle(near, left.min(right)))
    }
}

/// The mean of two numbers, without overflow.
fn middle(a: f64, b: f64) -> f64 {
    0.5 * a + 0.5 * b
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn median_of(mut values: Vec<f64>) -> f64 {
        values.sort_by(f64::total_cmp);
        let n = values.len();
        if n % 2 == 1 { values[n / 2] } else { middle(values[n / 2 - 1], values[n / 2]) }
    }

    #[test]
    fn empty_single_and_by_hand() {
        let mut set = Ordered::default();
        assert_eq!((set.median(), set.mad(0.0), set.quantile(0.5), set.at_least(0.0)), (None, None, None, 0));
        set.remove(1.0);
        set.insert(4.0);
        assert_eq!((set.median(), set.mad(4.0), set.quantile(0.9)), (Some(4.0), Some(0.0), Some(4.0)));
        for x in [1.0, 1.0, 2.0, 2.0, 6.0, 9.0] {
            set.insert(x);
        }
        // 1 1 2 2 4 6 9: distances from 2 are 1 1 0 0 2 4 7 (the textbook's example).
        assert_eq!((set.median(), set.mad(2.0)), (Some(2.0), Some(1.0)));
        assert_eq!((set.quantile(0.0), set.quantile(0.25), set.quantile(1.0)), (Some(1.0), Some(1.5), Some(9.0)));
        assert_eq!((set.at_least(2.0), set.at_least(9.5)), (5, 0));
    }

    proptest! {
        #[test]
        fn sliding_is_the_same_as_sorting(values in prop::collection::vec(-5i32..5, 2..80), width in 1usize..20) {
            let values: Vec<f64> = values.into_iter().map(f64::from).collect();
            let mut set = Ordered::with_capacity(width);
            for (i, x) in values.iter().enumerate() {
                if i < width { set.insert(*x) } else { set.replace(values[i - width], *x) }
                let window = &values[(i + 1).saturating_sub(width)..=i];
                let median = median_of(window.to_vec());
                prop_assert_eq!(set.median(), Some(median));
                prop_assert_eq!(set.mad(median), Some(median_of(window.iter().map(|v| (v - median).abs()).collect())));
                prop_assert!(set.as_slice().is_sorted());
            }
        }
    }
}
