//! Several novelty detectors vote, because one alone depends too much on its bins and window.

use serde::{Deserialize, Serialize};

use crate::kernel::entropy::Novelty;
use crate::kernel::hold::Hold;

/// Bins and windows of the voters (see [`crate::kernel::entropy`]).
const VOTERS: [(usize, usize); 6] = [(5, 26), (5, 52), (7, 26), (7, 52), (9, 26), (9, 52)];
/// How often a voter may call a known distribution new.
const ALPHA: f64 = 0.01;

/// The voters, or what they wait for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Votes {
    warm_up: usize,
    pad: f64,
    hold: usize,
    waiting: Vec<f64>,
    voters: Vec<(Novelty, Hold)>,
}

impl Votes {
    /// The first `warm_up` values give the range of the bins, widened by `pad` of it on both sides, and the first known
    /// distributions; a vote counts for `hold` points.
    pub fn new(warm_up: usize, pad: f64, hold: usize) -> Self {
        Self { warm_up, pad, hold, waiting: Vec::new(), voters: Vec::new() }
    }

    /// The share of voters that find the latest window new, 0..=1; 0 while warming up.
    pub fn push(&mut self, x: f64) -> f64 {
        if self.voters.is_empty() {
            self.waiting.push(x);
            if self.waiting.len() >= self.warm_up {
                self.begin();
            }
            return 0.0;
        }
        self.vote(x)
    }

    fn begin(&mut self) {
        let waiting = std::mem::take(&mut self.waiting);
        let (low, high) = waiting.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(*x), high.max(*x)));
        let pad = self.pad * (high - low);
        let range = (low - pad, high + pad);
        self.voters = VOTERS.iter().map(|(bins, width)| (Novelty::new(*bins, *width, range, ALPHA), Hold::new(self.hold))).collect();
        for x in waiting {
            self.vote(x);
        }
    }

    fn vote(&mut self, x: f64) -> f64 {
        let votes = self.voters.iter_mut().map(|(voter, hold)| hold.push(f64::from(u8::from(voter.push(x))))).sum::<f64>();
        votes / self.voters.len() as f64
    }
}
