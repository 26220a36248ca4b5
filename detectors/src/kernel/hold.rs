//! The highest of the latest scores, and their mean: two ways to let a score last.
//!
//! Cost: amortised O(1) both. State: a window of scores.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::band::is_measurement;

/// The highest of the latest `width` scores.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hold {
    width: u64,
    now: u64,
    /// Positions and scores, falling.
    falling: VecDeque<(u64, f64)>,
}

impl Hold {
    /// Holds a score for `width` points, its own included.
    pub fn new(width: usize) -> Self {
        Self { width: width.max(1) as u64, now: 0, falling: VecDeque::new() }
    }

    /// Takes in a score and gives the highest of the window; what is no measurement counts as 0.
    #[inline]
    pub fn push(&mut self, score: f64) -> f64 {
        let score = if is_measurement(score) { score } else { 0.0 };
        self.now += 1;
        while self.falling.back().is_some_and(|(_, s)| *s <= score) {
            self.falling.pop_back();
        }
        self.falling.push_back((self.now, score));
        while self.falling.front().is_some_and(|(at, _)| at + self.width <= self.now) {
            self.falling.pop_front();
        }
        self.falling.front().map_or(0.0, |(_, s)| *s)
    }
}

/// The mean of the latest `width` scores (of all, while there are fewer): range metrics double with it, see the reference figures of TSB-AD.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Smooth {
    width: usize,
    window: VecDeque<f64>,
    sum: f64,
    pushed: usize,
}

impl Smooth {
    /// A trailing mean over `width` scores.
    pub fn new(width: usize) -> Self {
        Self { width: width.max(1), window: VecDeque::new(), sum: 0.0, pushed: 0 }
    }

    /// Takes in a score and gives the mean; what is no measurement counts as 0.
    #[inline]
    pub fn push(&mut self, score: f64) -> f64 {
        let score = if is_measurement(score) { score } else { 0.0 };
        self.window.push_back(score);
        self.sum += score;
        if self.window.len() > self.width {
            self.sum -= self.window.pop_front().unwrap_or_default();
        }
        self.pushed += 1;
        // Roundings do not pile up: the sum is taken anew once a window, at positions that only the series decides.
        if self.pushed.is_multiple_of(self.width) {
            self.sum = self.window.iter().sum();
        }
        self.sum / self.window.len() as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn both_are_what_they_say(scores in prop::collection::vec(0.0f64..10.0, 1..50), width in 1usize..9) {
            let (mut hold, mut smooth) = (Hold::new(width), Smooth::new(width));
            for i in 0..scores.len() {
                let window = &scores[(i + 1).saturating_sub(width)..=i];
                prop_assert_eq!(hold.push(scores[i]), window.iter().copied().fold(0.0, f64::max));
                prop_assert!((smooth.push(scores[i]) - window.iter().sum::<f64>() / window.len() as f64).abs() < 1e-9);
            }
        }
    }

    #[test]
    fn what_is_no_number_counts_as_zero() {
        let (mut hold, mut smooth) = (Hold::new(2), Smooth::new(2));
        assert_eq!([f64::NAN, 2.0, f64::NAN, f64::NAN].map(|s| hold.push(s)), [0.0, 2.0, 2.0, 0.0]);
        assert_eq!([2.0, f64::NAN, f64::INFINITY].map(|s| smooth.push(s)), [2.0, 1.0, 0.0]);
    }
}
