//! Cumulative sums against a slow shift of the mean, in both directions, reset at each alarm (Page, 1954).
//!
//! Each sum adds up by how much a standardised value exceeds the slack `k`, and never falls below 0; an alarm is a sum beyond `h`. With
//! k = 0.5 and h = 5 a shift of one standard deviation is found after about 10 points, and noise alone alarms once in about
//! 465 (Montgomery, *Introduction to Statistical Quality Control*, table 9.3). Without the reset one shift would alarm for ever. Cost: O(1).
//! State: two sums. NaN changes nothing; values beyond 1e6 count as 1e6.

use serde::{Deserialize, Serialize};

/// The two sums.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cusum {
    slack: f64,
    limit: f64,
    up: f64,
    down: f64,
}

impl Default for Cusum {
    fn default() -> Self {
        Self::new(0.5, 5.0)
    }
}

impl Cusum {
    /// Slack `k` and limit `h` (above 0), in standard deviations.
    pub fn new(slack: f64, limit: f64) -> Self {
        Self { slack: slack.max(0.0), limit: limit.max(f64::MIN_POSITIVE), up: 0.0, down: 0.0 }
    }

    /// Takes in a standardised value and gives the larger sum over the limit, negative for downwards: beyond ±1 it is an alarm, after
    /// which both begin anew.
    #[inline]
    pub fn push(&mut self, z: f64) -> f64 {
        if z.is_nan() {
            return 0.0;
        }
        let z = z.clamp(-1e6, 1e6);
        self.up = (self.up + z - self.slack).max(0.0);
        self.down = (self.down - z - self.slack).max(0.0);
        let larger = if self.up >= self.down { self.up } else { -self.down };
        let score = larger / self.limit;
        if score.abs() > 1.0 {
            (self.up, self.down) = (0.0, 0.0);
        }
        score
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        let mut cusum = Cusum::new(0.5, 2.0);
        let scores: Vec<f64> = [1.0, 1.5, f64::NAN, 1.5, 0.5, -2.0, -2.0].iter().map(|z| cusum.push(*z)).collect();
        assert_eq!(scores, [0.25, 0.75, 0.0, 1.25, 0.0, -0.75, -1.5]);
    }

    #[test]
    fn a_shift_of_one_deviation_takes_about_ten_points() {
        let mut cusum = Cusum::default();
        assert_eq!((1..).find(|_| cusum.push(1.0).abs() > 1.0), Some(11));
        assert!((0..10_000).all(|i| cusum.push(if i % 2 == 0 { 0.9 } else { -0.9 }).abs() < 1.0));
    }
}
