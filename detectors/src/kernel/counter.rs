//! What a counter counted between two samples, resets included (the rule of Prometheus' `increase`).
//!
//! A counter that falls has begun anew at 0, so its new value is what it counted since. Cost: O(1). State: the latest value.

use serde::{Deserialize, Serialize};

use crate::band::is_measurement;

/// The latest value of a counter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Counter {
    latest: Option<(i64, f64)>,
}

impl Counter {
    /// What was counted a second since the sample before, for times in microseconds. `None` for the first sample, for one that
    /// is no measurement or below 0, and for one at no later time; those change nothing but the first.
    #[inline]
    pub fn push(&mut self, t: i64, x: f64) -> Option<f64> {
        if !is_measurement(x) || x < 0.0 {
            return None;
        }
        let Some((before, latest)) = self.latest else {
            self.latest = Some((t, x));
            return None;
        };
        let seconds = t.saturating_sub(before) as f64 / 1e6;
        if seconds <= 0.0 {
            return None;
        }
        self.latest = Some((t, x));
        let counted = if x >= latest { x - latest } else { x };
        Some(counted / seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resets_gaps_and_what_is_no_number() {
        let mut counter = Counter::default();
        let second = 1_000_000;
        let samples = [(0, 10.0), (1, 14.0), (2, f64::NAN), (3, 20.0), (3, 25.0), (4, 5.0), (14, 25.0), (15, -1.0)];
        let rates: Vec<Option<f64>> = samples.iter().map(|(t, x)| counter.push(t * second, *x)).collect();
        assert_eq!(rates, [None, Some(4.0), None, Some(3.0), None, Some(5.0), Some(2.0), None]);
    }
}
