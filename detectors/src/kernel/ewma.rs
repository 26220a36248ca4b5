//! Exponentially weighted mean and variance with a half-life in any unit of time (Roberts, 1959; MacGregor & Harris, 1993), as a
//! state that is saved and continued. [`crate::ewma`] is the same chart over a stored window.
//!
//! A step of `dt` leaves the past a weight of `2^(-dt / half-life)`. The first value is the first mean. Cost: O(1), a power of
//! two where steps vary. State: mean, variance, latest time.

use serde::{Deserialize, Serialize};

/// Mean and variance, the newest counting most.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ewma {
    half_life: f64,
    latest: Option<i64>,
    step: i64,
    decay: f64,
    mean: f64,
    variance: f64,
}

impl Ewma {
    /// Weights halve in `half_life` (above 0), in the unit of the times.
    pub fn new(half_life: f64) -> Self {
        Self { half_life: half_life.max(f64::MIN_POSITIVE), latest: None, step: -1, decay: 1.0, mean: 0.0, variance: 0.0 }
    }

    /// The distance of the value from the mean of those before it, in their standard deviations, with its sign; takes the
    /// value in. 0 for the first, for NaN and infinities, which change nothing, and where nothing varied before.
    #[inline]
    pub fn push(&mut self, t: i64, x: f64) -> f64 {
        if !crate::band::is_measurement(x) {
            return 0.0;
        }
        let Some(latest) = self.latest.replace(t) else {
            self.mean = x;
            return 0.0;
        };
        let step = t.saturating_sub(latest).max(0);
        if step != self.step {
            (self.step, self.decay) = (step, (-(step as f64) / self.half_life).exp2());
        }
        let d = x - self.mean;
        let z = if self.variance > 0.0 { d / self.variance.sqrt() } else { 0.0 };
        let gain = (1.0 - self.decay) * d;
        self.mean += gain;
        self.variance = self.decay * (self.variance + d * gain);
        if z.is_finite() { z } else { 0.0 }
    }

    /// The mean so far; `None` before the first value.
    pub fn mean(&self) -> Option<f64> {
        self.latest.map(|_| self.mean)
    }

    /// The standard deviation so far; `None` before the first value.
    pub fn sd(&self) -> Option<f64> {
        self.latest.map(|_| self.variance.sqrt())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn by_hand() {
        let mut ewma = Ewma::new(10.0);
        assert_eq!((ewma.mean(), ewma.push(0, 2.0), ewma.push(10, f64::NAN), ewma.push(10, 4.0)), (None, 0.0, 0.0, 0.0));
        // Half of the past is left: mean 3, variance ½ (0 + 2 · 1) = 1.
        assert_eq!((ewma.mean(), ewma.sd(), ewma.push(20, 5.0)), (Some(3.0), Some(1.0), 2.0));
        assert_eq!((0..9).map(|t| Ewma::new(1.0).push(t, 7.0)).sum::<f64>(), 0.0);
    }

    proptest! {
        #[test]
        fn scale_and_shift_change_nothing(values in prop::collection::vec(-1e3f64..1e3, 3..60), scale in 0.1f64..9.0, shift in -1e3f64..1e3) {
            let (mut a, mut b) = (Ewma::new(5.0), Ewma::new(5.0));
            for (t, x) in values.iter().enumerate() {
                let (p, q) = (a.push(t as i64, *x), b.push(t as i64, x * scale + shift));
                prop_assert!((p - q).abs() <= 1e-6 * (1.0 + p.abs()), "{} {}", p, q);
            }
        }
    }
}
