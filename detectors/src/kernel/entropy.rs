//! Relative-entropy novelty: has the window's distribution been seen before? (Wang et al., *Statistical Techniques for Online
//! Anomaly Detection in Data Centers*, HPL-2011-8.)
//!
//! The last W values are counted in bins of a fixed range, and compared with the distributions seen so far, the
//! hypotheses. A window agrees with a hypothesis when `2 W KL(window ‖ hypothesis)` is below the chi-square quantile with bins − 1
//! degrees of freedom. It is new when it agrees with none, which makes it a hypothesis, or with one seen only once before.
//!
//! Cost: O(bins × hypotheses) a point; hypotheses are few, at most [`MOST_HYPOTHESES`]. State: window, hypotheses.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::special::chi2_sf;

/// The oldest are forgotten beyond this many, so that a series which is new all the time has a bounded cost.
pub const MOST_HYPOTHESES: usize = 512;

/// The distributions seen so far, and the window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Novelty {
    bins: usize,
    width: usize,
    low: f64,
    step: f64,
    limit: f64,
    /// The window's bins, oldest first, and how often each occurs.
    window: VecDeque<u8>,
    counts: Vec<u32>,
    hypotheses: Vec<Hypothesis>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Hypothesis {
    /// Logarithm of each bin's share; `None` for an empty one.
    ln_shares: Vec<Option<f64>>,
    seen: u32,
}

impl Novelty {
    /// Windows of `width` points in `bins` (2 to 255) bins over a range; values beyond it fall into the outermost bins.
    /// `alpha`: how often a window of a known distribution may be called new; default in presets 0.01.
    pub fn new(bins: usize, width: usize, (low, high): (f64, f64), alpha: f64) -> Self {
        let bins = bins.clamp(2, 255);
        let step = (high - low) / bins as f64;
        Self {
            bins,
            width: width.max(1),
            low,
            step: if step > 0.0 && step.is_finite() { step } else { 0.0 },
            limit: chi_square_quantile(alpha, (bins - 1) as f64),
            window: VecDeque::with_capacity(width + 1),
            counts: vec![0; bins],
            hypotheses: Vec::new(),
        }
    }

    /// Takes in a value; whether the window that ends with it is new. Never before the window is full, for a range without
    /// width, and for NaN, which is not taken in.
    pub fn push(&mut self, x: f64) -> bool {
        if x.is_nan() || self.step == 0.0 {
            return false;
        }
        let bin = (((x - self.low) / self.step).max(0.0) as usize).min(self.bins - 1);
        self.window.push_back(bin as u8);
        self.counts[bin] += 1;
        if self.window.len() > self.width
            && let Some(oldest) = self.window.pop_front()
        {
            self.counts[usize::from(oldest)] -= 1;
        }
        self.window.len() == self.width && self.is_new()
    }

    fn is_new(&mut self) -> bool {
        let width = self.width as f64;
        let shares = self.counts.iter().map(|c| f64::from(*c) / width);
        let own: f64 = shares.clone().filter(|s| *s > 0.0).map(|s| s * s.ln()).sum();
        let mut nearest: Option<(f64, usize)> = None;
        for (k, hypothesis) in self.hypotheses.iter().enumerate() {
            let mut cross = 0.0;
            for (share, ln_share) in shares.clone().zip(&hypothesis.ln_shares).filter(|(share, _)| *share > 0.0) {
                cross += ln_share.map_or(f64::NEG_INFINITY, |ln| share * ln);
            }
            let distance = own - cross;
            if 2.0 * width * distance < self.limit && nearest.is_none_or(|(d, _)| distance < d) {
                nearest = Some((distance, k));
            }
        }
        match nearest {
            Some((_, k)) => {
                let hypothesis = &mut self.hypotheses[k];
                hypothesis.seen = hypothesis.seen.saturating_add(1);
                hypothesis.seen <= 2
            }
            None => {
                if self.hypotheses.len() == MOST_HYPOTHESES {
                    self.hypotheses.remove(0);
                }
                let ln_shares = shares.map(|s| (s > 0.0).then(|| s.ln())).collect();
                let is_first = self.hypotheses.is_empty();
                self.hypotheses.push(Hypothesis { ln_shares, seen: 1 });
                !is_first
            }
        }
    }
}

/// The value that chi-square with these degrees of freedom exceeds with this probability, by bisection.
fn chi_square_quantile(alpha: f64, dof: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1e4);
    for _ in 0..100 {
        let mid = 0.5 * (low + high);
        (low, high) = if chi2_sf(mid, dof) > alpha { (mid, high) } else { (low, mid) };
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_the_tables() {
        for (dof, value) in [(4.0, 13.276_704_135_987_6), (6.0, 16.811_893_829_770_9), (8.0, 20.090_235_029_663_2)] {
            assert!((chi_square_quantile(0.01, dof) - value).abs() < 1e-6, "{dof}");
        }
    }

    #[test]
    fn a_new_distribution_is_new_once_and_known_afterwards() {
        let mut novelty = Novelty::new(5, 20, (0.0, 10.0), 0.01);
        let mut flags = Vec::new();
        for i in 0..400 {
            let x = if (200..260).contains(&i) { 8.0 } else { f64::from(i % 4) };
            flags.push(novelty.push(x));
        }
        assert!(!flags[21..200].contains(&true), "the usual is not new, once it was seen a second time");
        assert!(flags[200..225].contains(&true), "the level is");
        assert!(!flags[300..].contains(&true), "and the way back is not, once seen");
    }

    #[test]
    fn nothing_is_new_of_a_range_without_width_or_of_no_number() {
        let mut flat = Novelty::new(5, 4, (3.0, 3.0), 0.01);
        assert!((0..50).all(|i| !flat.push(f64::from(i))));
        let mut novelty = Novelty::new(5, 4, (0.0, 1.0), 0.01);
        assert!((0..50).all(|_| !novelty.push(f64::NAN)));
        assert_eq!(novelty.window.len(), 0);
    }
}
