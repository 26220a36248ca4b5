//! Rolling mean and standard deviation over a window of clock time (Shewhart, 1931), plain or of one phase of a season.
//!
//! Sums of differences from a pivot are added and removed (Chan, Golub & LeVeque, 1983, on shifted data), and taken anew
//! around the window's mean whenever cancellation could cost more than four of a double's sixteen digits: an outlier
//! left the window, or the level moved away. So data at an offset of 1e9 is as good as data around 0.
//!
//! Cost: amortised O(1) a point; a season costs O(seasons in the lookback). No allocation once built. An empty window and
//! one with fewer samples than asked for have no moments; a constant one has a standard deviation of exactly 0; gaps are
//! simply absent samples, because the window is one of time and not of count.

use bellwether_model::time::Span;

use crate::band::Moments;
use crate::past::Past;
use crate::phases::Phases;

/// Sums are taken anew when their largest value is this much above what is left of it.
const CANCELLATION: f64 = 1e4;
/// Sums are taken anew after this many additions and removals, so that roundings do not pile up.
const REFRESH: u32 = 1 << 16;

/// Sum and sum of squares of differences from a pivot.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    n: usize,
    pivot: f64,
    first: f64,
    second: f64,
    peak: f64,
    touched: u32,
}

impl Sums {
    #[inline]
    fn add(&mut self, x: f64) {
        if self.n == 0 {
            *self = Self { pivot: x, ..Self::default() };
        }
        let d = x - self.pivot;
        self.n += 1;
        self.first += d;
        self.second += d * d;
        self.peak = self.peak.max(self.second);
        self.touched += 1;
    }
    #[inline]
    fn remove(&mut self, x: f64) {
        let d = x - self.pivot;
        self.n -= 1;
        self.first -= d;
        self.second -= d * d;
        self.touched += 1;
    }
    /// Sum of the squares of differences from the mean, times the number of samples: no division.
    #[inline]
    fn scaled_squares(&self) -> f64 {
        self.n as f64 * self.second - self.first * self.first
    }
    #[inline]
    fn is_worn(&self) -> bool {
        self.n as f64 * self.peak > CANCELLATION * self.scaled_squares() || self.touched > REFRESH
    }
    /// Whether `x` is closer to the mean than 0.99 of the square root of `limit` standard deviations; never with too few samples.
    #[inline]
    fn is_well_inside(&self, x: f64, limit: f64, min_samples: usize) -> bool {
        let n = self.n as f64;
        let from_mean = n * (x - self.pivot) - self.first;
        self.n >= min_samples && from_mean * from_mean * (n - 1.0) < 0.98 * limit * n * self.scaled_squares()
    }
    fn take(values: impl Iterator<Item = f64> + Clone) -> Self {
        let Some(first) = values.clone().next() else { return Self::default() };
        let (mut n, mut shift) = (0usize, 0.0);
        for x in values.clone() {
            n += 1;
            shift += x - first;
        }
        let mut sums = Self { pivot: first + shift / n as f64, ..Self::default() };
        for x in values {
            let d = x - sums.pivot;
            sums.first += d;
            sums.second += d * d;
        }
        Self { n, peak: sums.second, ..sums }
    }
    #[inline]
    fn moments(&self, min_samples: usize) -> Option<Moments> {
        if self.n < min_samples {
            return None;
        }
        let n = self.n as f64;
        let squares = self.second - self.first * self.first / n;
        Some(Moments { mean: self.pivot + self.first / n, sd: (squares.max(0.0) / (n - 1.0)).sqrt(), samples: n })
    }
}

/// The window `[t - lookback, end)`: from a time up to a position.
#[derive(Clone, Debug)]
pub struct Rolling {
    lookback: i64,
    min_samples: usize,
    floor: usize,
    low: usize,
    high: usize,
    sums: Sums,
}

impl Rolling {
    /// An empty window of this length; it has moments from `min_samples` (at least 2) on.
    pub fn new(lookback: Span, min_samples: usize) -> Self {
        Self { lookback: lookback.micros(), min_samples: min_samples.max(2), floor: 0, low: 0, high: 0, sums: Sums::default() }
    }

    /// Moments of the samples before position `end` that are at most a lookback older than `t`; `None` for too few.
    pub fn at(&mut self, past: &Past<'_>, t: i64, end: usize) -> Option<Moments> {
        self.advance(past, t, end);
        self.sums.moments(self.min_samples)
    }

    /// Whether `x` lies within the square root of `limit` standard deviations by a margin; false is no answer. Costs no division.
    #[inline]
    pub(crate) fn is_well_inside(&self, x: f64, limit: f64) -> bool {
        self.sums.is_well_inside(x, limit, self.min_samples)
    }

    /// The moments where [`Self::advance`] came to.
    #[inline]
    pub(crate) fn moments(&self) -> Option<Moments> {
        self.sums.moments(self.min_samples)
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
                self.sums.add(past.values[self.high]);
            }
            self.high += 1;
        }
        while self.low < self.high && past.ts[self.low] < from {
            if past.feeds[self.low] {
                self.sums.remove(past.values[self.low]);
            }
            self.low += 1;
        }
        if self.sums.is_worn() {
            self.rebuild(past, from, end);
        }
    }

    #[cold]
    fn rebuild(&mut self, past: &Past<'_>, from: i64, end: usize) {
        (self.floor, self.low, self.high) = (past.floor, past.position(from, end), end);
        self.sums = Sums::take(fed(past, self.low, end));
    }
}

fn fed<'a>(past: &Past<'a>, low: usize, high: usize) -> impl Iterator<Item = f64> + Clone + 'a {
    past.values[low..high].iter().zip(&past.feeds[low..high]).filter_map(|(v, feeds)| feeds.then_some(*v))
}

/// The samples of the same phase in each earlier season of the lookback.
#[derive(Clone, Debug)]
pub struct Seasonal {
    phases: Phases,
    slot: i64,
    min_samples: usize,
    floor: usize,
    end: usize,
    t: i64,
    /// Positions `low..high` of the slot around each of the phases.
    ranges: Vec<(usize, usize)>,
    sums: Sums,
}

impl Seasonal {
    /// Empty slots around these phases; there are moments from `min_samples` (at least 2) on.
    pub fn new(phases: Phases, slot: Span, min_samples: usize) -> Self {
        let ranges = vec![(0, 0); phases.distances().len()];
        Self { phases, slot: slot.micros(), min_samples: min_samples.max(2), floor: 0, end: 0, t: i64::MIN, ranges, sums: Sums::default() }
    }

    /// Moments of the samples before position `end` that are within a slot of the same phase as `t` in earlier seasons; `None` for too few.
    pub fn at(&mut self, past: &Past<'_>, t: i64, end: usize) -> Option<Moments> {
        self.advance(past, t, end);
        self.sums.moments(self.min_samples)
    }

    /// As [`Rolling::is_well_inside`].
    #[inline]
    pub(crate) fn is_well_inside(&self, x: f64, limit: f64) -> bool {
        self.sums.is_well_inside(x, limit, self.min_samples)
    }

    /// The moments where [`Self::advance`] came to.
    #[inline]
    pub(crate) fn moments(&self) -> Option<Moments> {
        self.sums.moments(self.min_samples)
    }

    /// Moves the slots. Cheap when `t` and `end` rise from call to call; otherwise they are read anew.
    pub(crate) fn advance(&mut self, past: &Past<'_>, t: i64, end: usize) {
        if self.phases.turn_to(t) || end < self.end || t < self.t || past.floor != self.floor {
            self.rebuild(past, t, end);
        } else {
            (self.end, self.t) = (end, t);
            for (distance, (low, high)) in self.phases.distances().iter().zip(&mut self.ranges) {
                let centre = t.saturating_sub(*distance);
                let (from, to) = (centre.saturating_sub(self.slot), centre.saturating_add(self.slot));
                while *high < end && past.ts[*high] <= to {
                    if past.feeds[*high] && *high >= past.floor {
                        self.sums.add(past.values[*high]);
                    }
                    *high += 1;
                }
                while *low < *high && past.ts[*low] < from {
                    if past.feeds[*low] && *low >= past.floor {
                        self.sums.remove(past.values[*low]);
                    }
                    *low += 1;
                }
            }
            if self.sums.is_worn() {
                self.rebuild(past, t, end);
            }
        }
    }

    #[cold]
    fn rebuild(&mut self, past: &Past<'_>, t: i64, end: usize) {
        (self.floor, self.end, self.t) = (past.floor, end, t);
        self.ranges.clear();
        self.ranges.extend(self.phases.distances().iter().map(|distance| {
            let centre = t.saturating_sub(*distance);
            let low = past.position(centre.saturating_sub(self.slot), end);
            (low, past.position(centre.saturating_add(self.slot).saturating_add(1), end).max(low))
        }));
        self.sums = Sums::take(self.ranges.iter().flat_map(|(low, high)| fed(past, *low, *high)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::{Calendar, Cycle};
    use proptest::prelude::*;

    fn two_pass(values: &[f64]) -> (f64, f64) {
        let (n, first) = (values.len() as f64, values[0]);
        let shift = values.iter().map(|v| v - first).sum::<f64>() / n;
        let squares: f64 = values.iter().map(|v| (v - first - shift).powi(2)).sum();
        (first + shift, (squares / (n - 1.0)).sqrt())
    }

    fn roll(ts: &[i64], values: &[f64], lookback: i64) -> Vec<Option<Moments>> {
        let feeds = vec![true; ts.len()];
        let past = Past { ts, values, feeds: &feeds, floor: 0 };
        let mut window = Rolling::new(Span::from_micros(lookback), 2);
        (0..ts.len()).map(|i| window.at(&past, ts[i], i)).collect()
    }

    #[test]
    fn empty_constant_gapped_and_far_from_zero() {
        assert_eq!(roll(&[1, 2], &[5.0, 5.0], 10), [None, None]);
        let constant = roll(&(0..100).collect::<Vec<_>>(), &[0.1; 100], 10);
        assert!(constant[2..].iter().all(|m| m.is_some_and(|m| m.sd == 0.0 && m.mean == 0.1)));
        assert_eq!(roll(&[0, 1, 2, 50, 51, 52], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 10)[3], None);
        let values: Vec<f64> = (0..500).map(|i| 1e9 + f64::from(i * 7 % 13) * 1e-3).collect();
        let got = roll(&(0..500).collect::<Vec<_>>(), &values, 100);
        let (mean, sd) = two_pass(&values[300..400]);
        assert!((got[400].unwrap().sd / sd - 1.0).abs() < 1e-9 && got[400].unwrap().mean == mean);
    }

    #[test]
    fn an_outlier_leaves_nothing_behind() {
        let mut values: Vec<f64> = (0..200).map(|i| f64::from(i % 5) * 1e-3).collect();
        values[20] = 1e12;
        let got = roll(&(0..200).collect::<Vec<_>>(), &values, 50);
        assert!((got[120].unwrap().sd / two_pass(&values[70..120]).1 - 1.0).abs() < 1e-9);
    }

    #[test]
    fn a_season_compares_with_the_same_phase_only() {
        // Ten days of hourly points: 100 at noon, 1 otherwise; day 3 was part of a signal.
        const HOUR: i64 = 3_600_000_000;
        let ts: Vec<i64> = (0..240).map(|h| h * HOUR).collect();
        let values: Vec<f64> = (0..240).map(|h| if h % 24 == 12 { 100.0 + f64::from(h / 24) } else { 1.0 }).collect();
        let mut feeds = vec![true; 240];
        feeds[72..96].fill(false);
        let past = Past { ts: &ts, values: &values, feeds: &feeds, floor: 0 };
        let phases = Phases::new(Cycle::Every(Span::from_days(1)), Calendar::default(), Span::from_days(7));
        let mut slots = Seasonal::new(phases, Span::from_mins(30), 2);
        let got: Vec<_> = (0..240).map(|i| slots.at(&past, ts[i], i)).collect();
        assert_eq!(got[24 + 12], None);
        let want = two_pass(&[102.0, 104.0, 105.0, 106.0, 107.0, 108.0]);
        let noon = got[9 * 24 + 12].unwrap();
        assert!((noon.mean - want.0).abs() < 1e-12 && (noon.sd - want.1).abs() < 1e-12 && noon.samples == 6.0);
        assert_eq!(got[9 * 24 + 13].unwrap(), Moments { mean: 1.0, sd: 0.0, samples: 6.0 });
        // Frozen at the end of day 5, and back again.
        let frozen = slots.at(&past, ts[9 * 24 + 12], 5 * 24).unwrap();
        assert_eq!((frozen.samples, frozen.mean), (2.0, 103.0));
    }

    proptest! {
        #[test]
        fn the_window_is_what_two_passes_over_it_give(
            points in prop::collection::vec((1i64..20, prop_oneof![4 => -1.0..1.0f64, 1 => -1e8..1e8f64], any::<bool>()), 3..200),
            offset in prop_oneof![Just(0.0), Just(1e9)], lookback in 5i64..300,
        ) {
            let ts: Vec<i64> = points.iter().scan(0, |t, p| { *t += p.0; Some(*t) }).collect();
            let values: Vec<f64> = points.iter().map(|p| p.1 + offset).collect();
            let feeds: Vec<bool> = points.iter().map(|p| p.2).collect();
            let past = Past { ts: &ts, values: &values, feeds: &feeds, floor: 0 };
            let mut window = Rolling::new(Span::from_micros(lookback), 2);
            for i in 0..ts.len() {
                let inside: Vec<f64> = (0..i).filter(|j| feeds[*j] && ts[*j] >= ts[i] - lookback).map(|j| values[j]).collect();
                let got = window.at(&past, ts[i], i);
                prop_assert_eq!(got.is_some(), inside.len() >= 2);
                if let Some(m) = got {
                    let (mean, sd) = two_pass(&inside);
                    prop_assert!((m.mean - mean).abs() <= 1e-12 * mean.abs().max(sd) && (m.sd - sd).abs() <= 1e-9 * sd + 1e-300, "{m:?} {mean} {sd}");
                }
            }
        }
    }
}
