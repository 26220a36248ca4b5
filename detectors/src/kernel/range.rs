//! The new-range rule: a value beyond everything seen so far, by a margin (NAB's spatial anomaly; Ahmad et al., 2017).
//!
//! Cost: O(1). State: lowest and highest; two states merge by taking the lower and the higher.

use serde::{Deserialize, Serialize};

/// The range so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Range {
    seen: Option<(f64, f64)>,
}

impl Range {
    /// Lowest and highest so far.
    pub fn seen(&self) -> Option<(f64, f64)> {
        self.seen
    }

    /// How far the value lies beyond the range so far, in widths of the range: 0 within it, 1 for a whole width, at most 1e6. Takes
    /// it in. 0 for the first, for NaN, and while all values were equal.
    #[inline]
    pub fn push(&mut self, x: f64) -> f64 {
        if x.is_nan() {
            return 0.0;
        }
        let Some((low, high)) = self.seen else {
            self.seen = Some((x, x));
            return 0.0;
        };
        self.seen = Some((low.min(x), high.max(x)));
        let beyond = (x - high).max(low - x).max(0.0) / (high - low);
        if beyond.is_finite() { beyond.min(1e6) } else { 0.0 }
    }

    /// The range of both.
    pub fn merge(self, other: Self) -> Self {
        let seen = match (self.seen, other.seen) {
            (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
            (a, b) => a.or(b),
        };
        Self { seen }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        let mut range = Range::default();
        let beyond: Vec<f64> = [2.0, 2.0, 4.0, f64::NAN, 5.0, 1.4, 3.0].iter().map(|x| range.push(*x)).collect();
        assert_eq!(beyond[..5], [0.0, 0.0, 0.0, 0.0, 0.5]);
        assert!((beyond[5] - 0.2).abs() < 1e-12 && beyond[6] == 0.0);
        assert_eq!(range.merge(Range { seen: Some((0.0, 3.0)) }).seen(), Some((0.0, 5.0)));
        assert_eq!(Range::default().merge(range), range);
    }
}
