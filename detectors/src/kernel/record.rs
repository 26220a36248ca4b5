//! The record rule: of a series of high scores only those that beat all recent ones are let through, so that one event gives
//! one alarm, and another when it becomes worse.
//!
//! Cost: amortised O(1), by a queue of falling scores. State: that queue.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// The highest score let through of late.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    memory: u64,
    now: u64,
    /// Position and score of what was let through, falling.
    held: VecDeque<(u64, f64)>,
}

impl Record {
    /// A score is held against the next `memory` points.
    pub fn new(memory: usize) -> Self {
        Self { memory: memory as u64, now: 0, held: VecDeque::new() }
    }

    /// The score if it is higher than all let through in the memory, otherwise 0.
    #[inline]
    pub fn push(&mut self, score: f64) -> f64 {
        self.now += 1;
        while self.held.front().is_some_and(|(at, _)| at + self.memory < self.now) {
            self.held.pop_front();
        }
        if score.is_nan() || self.held.front().is_some_and(|(_, s)| *s >= score) {
            return 0.0;
        }
        self.held.clear();
        self.held.push_back((self.now, score));
        score
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        let mut record = Record::new(3);
        let out: Vec<f64> = [1.0, 1.0, 2.0, 1.5, f64::NAN, 1.5, 1.5, 0.5].iter().map(|s| record.push(*s)).collect();
        assert_eq!(out, [1.0, 0.0, 2.0, 0.0, 0.0, 0.0, 1.5, 0.0]);
    }
}
