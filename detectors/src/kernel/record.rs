//! The record rule: of a series of high scores only those that beat all recent ones are let through, so that one event gives
//! one alarm, and another when it becomes worse.
//!
//! Cost: O(1). State: the latest record, which is the highest of all that were let through in the memory.

use serde::{Deserialize, Serialize};

use crate::band::is_measurement;

/// The highest score let through of late.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    memory: u64,
    now: u64,
    /// Position and score of the latest that was let through.
    latest: Option<(u64, f64)>,
}

impl Record {
    /// A score is held against the next `memory` points.
    pub fn new(memory: usize) -> Self {
        Self { memory: memory as u64, now: 0, latest: None }
    }

    /// The score if it is higher than all let through in the memory, otherwise 0; what is no measurement is never let through.
    #[inline]
    pub fn push(&mut self, score: f64) -> f64 {
        self.now += 1;
        let beaten = |(at, record): (u64, f64)| at + self.memory < self.now || record < score;
        if !is_measurement(score) || !self.latest.is_none_or(beaten) {
            return 0.0;
        }
        self.latest = Some((self.now, score));
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
