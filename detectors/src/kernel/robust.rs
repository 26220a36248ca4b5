//! Robust z-score over a window of points: exact median and MAD (Hampel, 1974; Iglewicz & Hoaglin, 1993), with a floor under
//! the scale.
//!
//! The score of a point is against the window that ends with it. Cost: see [`super::ordered`]; no allocation once the window is full.
//! State: the window. A value that is no measurement scores 0 and changes nothing; a window without spread scores 0 for
//! its median and the cap for anything else.

use serde::{Deserialize, Serialize};

use super::ordered::Ordered;
use crate::band::is_measurement;

/// 1.4826 times the MAD of normal values is their standard deviation.
pub const NORMAL: f64 = 1.482_602_218_505_602;

/// The latest points of one series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RobustZ {
    width: usize,
    floor: f64,
    cap: f64,
    ring: Vec<f64>,
    at: usize,
    ordered: Ordered,
}

impl RobustZ {
    /// A window of `width` points (at least 3). The scale is no less than `floor` of the distance between the quantiles .02 and
    /// .98 (0: no floor); no score is above `cap`.
    pub fn new(width: usize, floor: f64, cap: f64) -> Self {
        let width = width.max(3);
        Self { width, floor, cap, ring: Vec::with_capacity(width), at: 0, ordered: Ordered::with_capacity(width) }
    }

    /// The score of a value in the window that ends with it, with its sign. 0 for fewer than three points.
    #[inline]
    pub fn push(&mut self, x: f64) -> f64 {
        if !is_measurement(x) {
            return 0.0;
        }
        if self.ring.len() < self.width {
            self.ring.push(x);
            self.ordered.insert(x);
        } else {
            self.ordered.replace(std::mem::replace(&mut self.ring[self.at], x), x);
            self.at = if self.at + 1 == self.width { 0 } else { self.at + 1 };
        }
        let Some(median) = self.ordered.median().filter(|_| self.ring.len() >= 3) else { return 0.0 };
        let mut scale = NORMAL * self.ordered.mad(median).unwrap_or_default();
        if self.floor > 0.0 {
            let (low, high) = (self.ordered.quantile(0.02).unwrap_or_default(), self.ordered.quantile(0.98).unwrap_or_default());
            scale = scale.max(self.floor * (high - low));
        }
        let distance = x - median;
        if distance == 0.0 { 0.0 } else { (distance / scale).clamp(-self.cap, self.cap) }
    }
}

/// Scores of a whole series into `out`, as long as the shorter of both.
pub fn robust_z(values: &[f64], width: usize, floor: f64, cap: f64, out: &mut [f64]) {
    let mut window = RobustZ::new(width, floor, cap);
    for (out, x) in out.iter_mut().zip(values) {
        *out = window.push(*x);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn by_hand() {
        let mut window = RobustZ::new(5, 0.0, 50.0);
        let scores: Vec<f64> = [1.0, 2.0, 3.0, f64::NAN, 4.0, 100.0, 3.0].iter().map(|x| window.push(*x)).collect();
        // 1 2 3: median 2, MAD 1. 1 2 3 4 100: median 3, MAD 1.
        assert_eq!((scores[1], scores[3]), (0.0, 0.0));
        assert!((scores[2] - 1.0 / NORMAL).abs() < 1e-12 && scores[5] == 50.0);
        let mut flat = RobustZ::new(9, 0.0, 8.0);
        assert!((0..20).all(|_| flat.push(3.0) == 0.0) && flat.push(3.1) == 8.0 && flat.push(-9.0) == -8.0);
    }

    proptest! {
        #[test]
        fn scale_and_shift_change_nothing_and_it_can_be_saved(
            values in prop::collection::vec(-100i32..100, 5..80), shift in -64i32..64, cut in 1usize..5,
        ) {
            let (mut a, mut b) = (RobustZ::new(11, 0.1, 20.0), RobustZ::new(11, 0.1, 20.0));
            for (i, x) in values.iter().enumerate() {
                if i == cut {
                    a = serde_json::from_str(&serde_json::to_string(&a).unwrap()).unwrap();
                }
                let (p, q) = (a.push(f64::from(*x)), b.push(f64::from(x * 4 + shift)));
                prop_assert!((p - q).abs() < 1e-9);
            }
        }
    }
}
