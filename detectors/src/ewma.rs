//! Exponentially weighted mean and variance with control limits (Roberts, 1959; MacGregor & Harris, 1993).
//!
//! The memory is given as a half-life in clock time, so the scrape interval does not change it: a sample that is older by
//! one half-life weighs half as much. With regular steps the mean is the textbook's EWMA with λ = 1 − 2^(−step ∕ half-life) once warm,
//! and an exact weighted mean before. A gap, or samples kept out of the baseline, age the memory by at most one
//! half-life, so the limits never come to rest on a handful of new samples.
//!
//! Cost: O(1) a point, with one power of two where steps vary. No allocation. Fewer samples than asked for have no
//! moments; a constant series has a standard deviation of exactly 0. Samples beyond the lookback are taken out again, so
//! the result depends on the lookback only.

use bellwether_model::time::Span;

use crate::band::Moments;
use crate::past::Past;

/// After this many half-lives a sample's weight, 2^-64, is no longer seen by a double.
const FORGOTTEN: i64 = 64;

/// Exponentially weighted moments of the window `[t - lookback, end)`.
#[derive(Clone, Debug)]
pub struct Decaying {
    half_life: i64,
    lookback: i64,
    min_samples: usize,
    floor: usize,
    low: usize,
    high: usize,
    /// Samples in the window.
    n: usize,
    /// Time of the oldest and newest sample in the window.
    oldest: i64,
    newest: i64,
    /// Memory's age between them: steps, each at most a half-life.
    age: i64,
    weight: f64,
    weight_squares: f64,
    mean: f64,
    squares: f64,
    /// The latest step and its decay, for series with regular steps.
    step: i64,
    decay: f64,
}

impl Decaying {
    /// An empty memory; it has moments from `min_samples` (at least 2) on.
    pub fn new(half_life: Span, lookback: Span, min_samples: usize) -> Self {
        Self {
            half_life: half_life.micros().max(1),
            lookback: lookback.micros(),
            min_samples: min_samples.max(2),
            floor: 0,
            low: 0,
            high: 0,
            n: 0,
            oldest: 0,
            newest: 0,
            age: 0,
            weight: 0.0,
            weight_squares: 0.0,
            mean: 0.0,
            squares: 0.0,
            step: 0,
            decay: 1.0,
        }
    }

    /// Moments of the samples before position `end` that are at most a lookback older than `t`, each weighted by its age.
    /// `samples` is the effective number (Kish). `None` for too few.
    pub fn at(&mut self, past: &Past<'_>, t: i64, end: usize) -> Option<Moments> {
        self.advance(past, t, end);
        self.moments()
    }

    /// Whether `x` lies within the square root of `limit` standard deviations by a margin; false is no answer. Costs no division.
    #[inline]
    pub(crate) fn is_well_inside(&self, x: f64, limit: f64) -> bool {
        let from_mean = x - self.mean;
        let divisor = self.weight * self.weight - self.weight_squares;
        self.n >= self.min_samples && from_mean * from_mean * divisor < 0.98 * limit * self.squares * self.weight
    }

    /// Moves the window. Cheap when `t` and `end` rise from call to call; otherwise it is read anew.
    #[inline]
    pub(crate) fn advance(&mut self, past: &Past<'_>, t: i64, end: usize) {
        let from = t.saturating_sub(self.lookback);
        if end < self.high || past.floor != self.floor {
            self.rebuild(past, from, end);
        }
        while self.high < end {
            if past.feeds[self.high] {
                self.add(past.ts[self.high], past.values[self.high]);
            }
            self.high += 1;
        }
        while self.low < self.high && past.ts[self.low] < from {
            let gone = self.low;
            self.low += 1;
            if past.feeds[gone] && !self.remove(past, gone) {
                self.rebuild(past, from, end);
            }
        }
    }

    #[inline]
    fn add(&mut self, t: i64, x: f64) {
        self.n += 1;
        if self.n == 1 {
            (self.oldest, self.newest, self.age) = (t, t, 0);
            (self.weight, self.weight_squares, self.mean, self.squares) = (1.0, 1.0, x, 0.0);
            return;
        }
        let step = t.saturating_sub(self.newest).min(self.half_life);
        if step != self.step {
            (self.step, self.decay) = (step, (-(step as f64) / self.half_life as f64).exp2());
        }
        let d = self.decay;
        (self.newest, self.age) = (t, self.age + step);
        self.weight = self.weight * d + 1.0;
        self.weight_squares = self.weight_squares * d * d + 1.0;
        let from_mean = x - self.mean;
        self.mean += from_mean / self.weight;
        self.squares = self.squares * d + from_mean * (x - self.mean);
    }

    /// Takes the oldest sample out; false when that would cost digits, so that the memory must be read anew.
    fn remove(&mut self, past: &Past<'_>, position: usize) -> bool {
        self.n -= 1;
        let age = self.age;
        if self.n == 0 {
            return true;
        }
        let next = (position + 1..self.high).find(|i| past.feeds[*i]).map_or(self.newest, |i| past.ts[i]);
        self.age -= next.saturating_sub(self.oldest).min(self.half_life);
        self.oldest = next;
        if age / self.half_life >= FORGOTTEN {
            return true;
        }
        let w = (-(age as f64) / self.half_life as f64).exp2();
        if w > 1e-3 * self.weight {
            return false;
        }
        let squares = self.squares;
        let from_mean = past.values[position] - self.mean;
        self.weight -= w;
        self.weight_squares -= w * w;
        self.mean -= from_mean * w / self.weight;
        self.squares -= w * from_mean * (past.values[position] - self.mean);
        self.squares >= 1e-4 * squares
    }

    #[cold]
    fn rebuild(&mut self, past: &Past<'_>, from: i64, end: usize) {
        (self.floor, self.low, self.high, self.n) = (past.floor, past.position(from, end), end, 0);
        for i in self.low..end {
            if past.feeds[i] {
                self.add(past.ts[i], past.values[i]);
            }
        }
    }

    /// The moments where [`Self::advance`] came to.
    #[inline]
    pub(crate) fn moments(&self) -> Option<Moments> {
        if self.n < self.min_samples {
            return None;
        }
        // Unbiased for reliability weights; the divisor is above 0 for two samples or more, as no step decays by more than half.
        let divisor = self.weight - self.weight_squares / self.weight;
        let samples = self.weight * self.weight / self.weight_squares;
        Some(Moments { mean: self.mean, sd: (self.squares.max(0.0) / divisor).sqrt(), samples })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MIN: i64 = 60_000_000;

    fn direct(ts: &[i64], values: &[f64], half_life: i64) -> (f64, f64) {
        let mut weights = vec![1.0; ts.len()];
        for i in (0..ts.len().saturating_sub(1)).rev() {
            weights[i] = weights[i + 1] * (-((ts[i + 1] - ts[i]).min(half_life) as f64) / half_life as f64).exp2();
        }
        let total: f64 = weights.iter().sum();
        let first = values[0];
        let shift = values.iter().zip(&weights).map(|(v, w)| (v - first) * w).sum::<f64>() / total;
        let squares: f64 = values.iter().zip(&weights).map(|(v, w)| w * (v - first - shift).powi(2)).sum();
        (first + shift, (squares / (total - weights.iter().map(|w| w * w).sum::<f64>() / total)).sqrt())
    }

    fn smooth(ts: &[i64], values: &[f64], half_life: i64) -> Vec<Option<Moments>> {
        let feeds = vec![true; ts.len()];
        let past = Past { ts, values, feeds: &feeds, floor: 0 };
        let mut memory = Decaying::new(Span::from_micros(half_life), Span::from_days(7), 2);
        (0..ts.len()).map(|i| memory.at(&past, ts[i], i)).collect()
    }

    #[test]
    fn once_warm_it_is_the_textbook_recursion() {
        let (half_life, step) = (30 * MIN, 5 * MIN);
        let lambda = 1.0 - (-1.0f64 / 6.0).exp2();
        let ts: Vec<i64> = (0..2_000).map(|i| i * step).collect();
        let values: Vec<f64> = (0..2_000).map(|i| f64::from(i * 37 % 101)).collect();
        let mut textbook = values[0];
        for x in &values[1..1_999] {
            textbook += lambda * (x - textbook);
        }
        assert!((smooth(&ts, &values, half_life)[1_999].unwrap().mean - textbook).abs() < 1e-9);
    }

    #[test]
    fn the_scrape_interval_does_not_change_the_memory() {
        // A step from 0 to 1, seen every 10 s or every minute: the same after one half-life, but for the first sample's share.
        for step in [10_000_000, MIN] {
            let ts: Vec<i64> = (0..600 * MIN / step).map(|i| i * step).collect();
            let values: Vec<f64> = ts.iter().map(|t| f64::from(u8::from(*t >= 300 * MIN))).collect();
            let at = (330 * MIN / step) as usize;
            assert!((smooth(&ts, &values, 30 * MIN)[at].unwrap().mean - 0.5).abs() < 0.002);
        }
    }

    #[test]
    fn constant_empty_and_gapped() {
        assert!(smooth(&[0, MIN], &[1.0, 2.0], MIN).iter().all(Option::is_none));
        let constant = smooth(&(0..50).map(|i| i * MIN).collect::<Vec<_>>(), &[0.1; 50], MIN);
        assert!(constant[2..].iter().all(|m| m.is_some_and(|m| m.mean == 0.1 && m.sd == 0.0)));
        // After a gap of days the memory has aged by one half-life only.
        let mut ts: Vec<i64> = (0..100).map(|i| i * MIN).collect();
        ts.extend((0..2).map(|i| (3_000 + i) * MIN));
        let values: Vec<f64> = (0..102).map(|i| f64::from(i % 2)).collect();
        assert!(smooth(&ts, &values, 30 * MIN)[101].unwrap().samples > 40.0);
    }

    proptest! {
        #[test]
        fn moments_are_those_of_the_weighted_window(
            points in prop::collection::vec((1i64..40, prop_oneof![4 => -1.0..1.0f64, 1 => -1e6..1e6f64], any::<bool>()), 3..150),
            offset in prop_oneof![Just(0.0), Just(1e9)], half_life in 5i64..200, lives in 4i64..90,
        ) {
            let ts: Vec<i64> = points.iter().scan(0, |t, p| { *t += p.0; Some(*t) }).collect();
            let values: Vec<f64> = points.iter().map(|p| p.1 + offset).collect();
            let feeds: Vec<bool> = points.iter().map(|p| p.2).collect();
            let past = Past { ts: &ts, values: &values, feeds: &feeds, floor: 0 };
            let mut memory = Decaying::new(Span::from_micros(half_life), Span::from_micros(half_life * lives), 2);
            for i in 0..ts.len() {
                let inside: Vec<usize> = (0..i).filter(|j| feeds[*j] && ts[*j] >= ts[i] - half_life * lives).collect();
                let got = memory.at(&past, ts[i], i);
                prop_assert_eq!(got.is_some(), inside.len() >= 2);
                if let Some(m) = got {
                    let (t, v): (Vec<i64>, Vec<f64>) = inside.iter().map(|j| (ts[*j], values[*j])).unzip();
                    let (mean, sd) = direct(&t, &v, half_life);
                    prop_assert!((m.mean - mean).abs() <= 1e-9 * sd.max(mean.abs() * 1e-6) && (m.sd - sd).abs() <= 1e-8 * sd + 8.0 * f64::EPSILON * mean.abs(), "{m:?} {mean} {sd}");
                }
            }
        }
    }
}
