//! The conformal tail of a score: how often it was as high before (Laxhammar & Falkman, 2014; Vovk et al., 2005).
//!
//! `p = (1 + scores at least as high among the last M) / (M + 1)`. Where scores are exchangeable the chance of `p ≤ a` is at
//! most `a`, whatever their distribution. Cost: O(log M) and a move in the cache. State: the last M scores.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::ordered::Ordered;

/// The latest scores.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tail {
    memory: usize,
    latest: VecDeque<f64>,
    ordered: Ordered,
}

impl Tail {
    /// Compares with up to this many earlier scores. Default in presets: 3,000.
    pub fn new(memory: usize) -> Self {
        Self { memory: memory.max(1), latest: VecDeque::new(), ordered: Ordered::default() }
    }

    /// The p-value of this score among those before it, and takes it in. 1 for the first and for NaN, which is not taken in.
    #[inline]
    pub fn push(&mut self, score: f64) -> f64 {
        if score.is_nan() {
            return 1.0;
        }
        let p = (1 + self.ordered.at_least(score)) as f64 / (1 + self.ordered.len()) as f64;
        match (self.latest.len() == self.memory).then(|| self.latest.pop_front()).flatten() {
            Some(oldest) => self.ordered.replace(oldest, score),
            None => self.ordered.insert(score),
        }
        self.latest.push_back(score);
        p
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn by_hand() {
        let mut tail = Tail::new(3);
        let p: Vec<f64> = [1.0, 2.0, 2.0, f64::NAN, 0.0, 9.0].iter().map(|s| tail.push(*s)).collect();
        assert_eq!(p, [1.0, 0.5, 2.0 / 3.0, 1.0, 1.0, 0.25]);
    }

    proptest! {
        /// The tail depends on the order of scores only, so any growing transformation leaves it as it is.
        #[test]
        fn scale_and_shift_change_nothing(scores in prop::collection::vec(-50i32..50, 1..60), scale in 1i32..9, shift in -9i32..9) {
            let (mut a, mut b) = (Tail::new(20), Tail::new(20));
            for s in scores {
                prop_assert_eq!(a.push(f64::from(s)), b.push(f64::from(s * scale + shift)));
            }
        }
    }
}
