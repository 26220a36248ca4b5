//! Rolling z-score and EWMA chart of many series at once: the fastest way through a table of regular series.
//!
//! Within one series each point waits for the one before it, and a division and a square root take long. So [`LANES`] series go
//! side by side, one in each lane of the vector unit; they are transposed in pieces that stay in the cache. No lane looks at
//! another; only when sums are taken anew is common to a block, so neighbours change a score by roundings at most.
//!
//! The z-score is that of the last point of a window of `width` points, itself included, with n − 1 degrees of freedom
//! (Shewhart, 1931); the EWMA score is the distance from the mean before it in standard deviations before it (Roberts, 1959). Sums are of
//! differences from a pivot, and taken anew around the window's mean every few windows and whenever an outlier leaves, so they
//! neither drift nor remember it. A value that is no measurement scores 0 in both and stands in for itself as the mean of its window.
//!
//! Cost: O(1) a point. Memory: a window for each lane, whatever the length.

pub use super::lanes::LANES;

use super::lanes::Lanes;
use crate::band::{LARGEST, is_measurement};

/// Points that are transposed at a time.
pub const PIECE: usize = 64;
/// Sums are taken anew at once when what leaves the window was this much above what stays: an outlier.
const CANCELLATION: f64 = 1e6;
/// A variance below this share of the squared level is rounding.
const ROUNDING: f64 = 1e-24;

/// Settings of [`rolling_z_ewma`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Charts {
    /// Points in the window of the z-score, 2 to 4096. Default 60.
    pub width: usize,
    /// Weight of a new point in the mean and variance, above 0 and below 1. Default 0.1.
    pub alpha: f64,
}

impl Default for Charts {
    fn default() -> Self {
        Self { width: 60, alpha: 0.1 }
    }
}

/// Scores of a table: `values` holds series after series, each `length` long; `z` and `ewma` are written in the same layout.
/// Where lengths do not fit, what is beyond the shortest is left alone. No score is NaN or infinite.
pub fn rolling_z_ewma(values: &[f64], length: usize, charts: Charts, z: &mut [f64], ewma: &mut [f64]) {
    if length == 0 {
        return;
    }
    let mut block = Block::new(charts);
    let block_length = LANES * length;
    for ((values, z), ewma) in values.chunks(block_length).zip(z.chunks_mut(block_length)).zip(ewma.chunks_mut(block_length)) {
        block.run(values, length, z, ewma);
    }
}

/// A block of series, and where it is.
struct Block {
    charts: Charts,
    /// Values in order of time, [`Self::end`] of them, of which the latest `width` are in the window.
    history: Vec<Lanes>,
    end: usize,
    /// How many of them are in the window.
    filled: usize,
    since_refresh: usize,
    sums: Sums,
    chart: Chart,
    z: [Lanes; PIECE],
    ewma: [Lanes; PIECE],
}

/// Sums of differences from a pivot over the window.
#[derive(Clone, Copy)]
struct Sums {
    pivot: Lanes,
    first: Lanes,
    second: Lanes,
}

/// Exponentially weighted mean and variance.
#[derive(Clone, Copy)]
struct Chart {
    mean: Lanes,
    variance: Lanes,
}

const ZERO: Lanes = Lanes([0.0; LANES]);
/// The history is moved to its beginning once in so many pieces.
const PIECES_HELD: usize = 16;

impl Block {
    fn new(charts: Charts) -> Self {
        let charts = Charts { width: charts.width.clamp(2, 4096), alpha: charts.alpha.clamp(f64::MIN_POSITIVE, 1.0) };
        Self {
            charts,
            history: vec![ZERO; charts.width + PIECES_HELD * PIECE],
            end: 0,
            filled: 0,
            since_refresh: 0,
            sums: Sums { pivot: ZERO, first: ZERO, second: ZERO },
            chart: Chart { mean: ZERO, variance: ZERO },
            z: [ZERO; PIECE],
            ewma: [ZERO; PIECE],
        }
    }

    /// One block of series from their beginning. Lanes without a series compute along with what they hold.
    fn run(&mut self, values: &[f64], length: usize, z: &mut [f64], ewma: &mut [f64]) {
        self.begin(values, length);
        for from in (0..length).step_by(PIECE) {
            let points = PIECE.min(length - from);
            self.make_room();
            let mut are_numbers = true;
            for (lane, series) in values.chunks(length).enumerate() {
                let Some(series) = series.get(from..from + points) else { continue };
                for (row, x) in self.history[self.end..].iter_mut().zip(series) {
                    row.0[lane] = *x;
                    are_numbers &= x.abs() <= LARGEST;
                }
            }
            let is_smooth = are_numbers && self.filled == self.charts.width && self.score_smooth(points);
            if !is_smooth {
                self.score_carefully(points);
            }
            for (lane, (z, ewma)) in z.chunks_mut(length).zip(ewma.chunks_mut(length)).enumerate() {
                let (Some(z), Some(ewma)) = (z.get_mut(from..from + points), ewma.get_mut(from..from + points)) else { continue };
                for (out, row) in z.iter_mut().zip(&self.z) {
                    *out = row.0[lane];
                }
                for (out, row) in ewma.iter_mut().zip(&self.ewma) {
                    *out = row.0[lane];
                }
            }
        }
    }

    /// An empty window, whose pivot and mean are the first measurement of each series.
    fn begin(&mut self, values: &[f64], length: usize) {
        let mut pivot = ZERO;
        for (pivot, series) in pivot.0.iter_mut().zip(values.chunks(length)) {
            *pivot = series.iter().copied().find(|x| is_measurement(*x)).unwrap_or_default();
        }
        (self.end, self.filled, self.since_refresh) = (0, 0, 0);
        self.sums = Sums { pivot, first: ZERO, second: ZERO };
        self.chart = Chart { mean: pivot, variance: ZERO };
        self.history.fill(pivot);
    }

    /// Room for a piece beyond the end.
    fn make_room(&mut self) {
        if self.end + PIECE > self.history.len() {
            self.history.copy_within(self.end - self.filled..self.end, 0);
            self.end = self.filled;
        }
        if self.since_refresh >= (4 * self.charts.width).max(256) {
            self.refresh();
        }
    }

    /// Takes the sums anew around the window's mean.
    fn refresh(&mut self) {
        self.since_refresh = 0;
        let share = 1.0 / self.filled.max(1) as f64;
        let pivot = self.sums.pivot + self.sums.first * share;
        let (mut first, mut second) = (ZERO, ZERO);
        for row in &self.history[self.end - self.filled..self.end] {
            let d = *row - pivot;
            first = first + d;
            second = second + d * d;
        }
        self.sums = Sums { pivot, first, second };
    }

    /// Scores a piece of numbers with a full window; false, and nothing done, where an outlier leaves the window.
    fn score_smooth(&mut self, points: usize) -> bool {
        let Charts { width, alpha } = self.charts;
        let (share, share_less_one, remains) = (1.0 / width as f64, 1.0 / (width - 1) as f64, 1.0 - alpha);
        let Sums { pivot, mut first, mut second } = self.sums;
        let Chart { mut mean, mut variance } = self.chart;
        let mut worn = ZERO;
        let rounding = pivot * pivot * ROUNDING;
        let (olds, news) = (&self.history[self.end - width..][..points], &self.history[self.end..][..points]);
        for ((old, new), (z, ewma)) in olds.iter().zip(news).zip(self.z.iter_mut().zip(&mut self.ewma)) {
            let (d, gone) = (*new - pivot, *old - pivot);
            let gone_squares = gone * gone;
            first = first + (d - gone);
            second = second + (d * d - gone_squares);
            let squares = second - first * first * share;
            worn = worn.larger(gone_squares - squares * CANCELLATION);
            *z = (d - first * share).over_root(squares * share_less_one, rounding);
            let diff = *new - mean;
            *ewma = diff.over_root(variance, ZERO);
            let gain = diff * alpha;
            mean = mean + gain;
            variance = (variance + diff * gain) * remains;
        }
        if worn.0.iter().any(|w| *w > 0.0) {
            return false;
        }
        self.sums = Sums { pivot, first, second };
        self.chart = Chart { mean, variance };
        self.end += points;
        self.since_refresh += points;
        true
    }

    /// Scores a piece whatever is in it: the window may fill, values may be none, outliers may leave.
    fn score_carefully(&mut self, points: usize) {
        let Charts { width, alpha } = self.charts;
        for i in 0..points {
            let usual = self.sums.pivot + self.sums.first * (1.0 / self.filled.max(1) as f64);
            let old = if self.filled == width { self.history[self.end - width] } else { self.sums.pivot };
            let new = &mut self.history[self.end];
            let mut is_number = [true; LANES];
            for ((is_number, new), usual) in is_number.iter_mut().zip(&mut new.0).zip(usual.0) {
                *is_number = new.abs() <= LARGEST;
                if !*is_number {
                    *new = usual;
                }
            }
            let (new, pivot) = (*new, self.sums.pivot);
            let (d, gone) = (new - pivot, old - pivot);
            self.sums.first = self.sums.first + (d - gone);
            self.sums.second = self.sums.second + (d * d - gone * gone);
            self.end += 1;
            self.filled = (self.filled + 1).min(width);
            self.since_refresh += 1;
            let share = 1.0 / self.filled as f64;
            let squares = self.sums.second - self.sums.first * self.sums.first * share;
            let worn = gone * gone - squares * CANCELLATION;
            if worn.0.iter().any(|w| *w > 0.0) {
                self.refresh();
            }
            let Sums { pivot, first, second } = self.sums;
            let variance = (second - first * first * share) * (1.0 / (self.filled.max(2) - 1) as f64);
            self.z[i] = (new - pivot - first * share).over_root(variance, pivot * pivot * ROUNDING);
            let diff = new - self.chart.mean;
            self.ewma[i] = diff.over_root(self.chart.variance, ZERO);
            for lane in (0..LANES).filter(|lane| !is_number[*lane]) {
                (self.z[i].0[lane], self.ewma[i].0[lane]) = (0.0, 0.0);
            }
            for lane in (0..LANES).filter(|lane| is_number[*lane]) {
                let gain = alpha * diff.0[lane];
                self.chart.mean.0[lane] += gain;
                self.chart.variance.0[lane] = (1.0 - alpha) * (self.chart.variance.0[lane] + diff.0[lane] * gain);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definition, point by point.
    fn by_definition(values: &[f64], charts: Charts) -> (Vec<f64>, Vec<f64>) {
        let (z, ewma, _) = with_spreads(values, charts);
        (z, ewma)
    }

    /// The same, and the standard deviation of each window.
    fn with_spreads(values: &[f64], charts: Charts) -> (Vec<f64>, Vec<f64>, Vec<f64>) {
        let (mut mean, mut variance) = (values[0], 0.0);
        let mut scores = (Vec::new(), Vec::new(), Vec::new());
        for i in 0..values.len() {
            let window = &values[(i + 1).saturating_sub(charts.width)..=i];
            let n = window.len() as f64;
            let centre = values[i] + window.iter().map(|v| v - values[i]).sum::<f64>() / n;
            let spread = (window.iter().map(|v| (v - centre).powi(2)).sum::<f64>() / (n - 1.0).max(1.0)).sqrt();
            scores.2.push(spread);
            scores.0.push(if spread > 1e-11 * centre.abs() { (values[i] - centre) / spread } else { 0.0 });
            let diff: f64 = values[i] - mean;
            scores.1.push(if variance > 0.0 { diff / f64::sqrt(variance) } else { 0.0 });
            mean += charts.alpha * diff;
            variance = (1.0 - charts.alpha) * (variance + charts.alpha * diff * diff);
        }
        scores
    }

    fn run(values: &[f64], length: usize, charts: Charts) -> (Vec<f64>, Vec<f64>) {
        let (mut z, mut ewma) = (vec![9.0; values.len()], vec![9.0; values.len()]);
        rolling_z_ewma(values, length, charts, &mut z, &mut ewma);
        (z, ewma)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn each_lane_is_the_definition(
            values in prop::collection::vec(-100.0f64..100.0, 700),
            series in 1usize..20,
            width in 2usize..40,
            offset in prop_oneof![Just(0.0), Just(1e6)],
        ) {
            let values: Vec<f64> = values.iter().map(|v| v + offset).collect();
            let length = values.len() / series;
            let values = &values[..series * length];
            let charts = Charts { width, alpha: 0.1 };
            let (z, ewma) = run(values, length, charts);
            for (k, series) in values.chunks(length).enumerate() {
                let wanted = with_spreads(series, charts);
                for i in 0..length {
                    // Sums that slide cancel: what two hundred between values leave of a far smaller spread is less exact.
                    let cancelled = (200.0 / wanted.2[i].max(1e-9)).powi(2);
                    prop_assert!((z[k * length + i] - wanted.0[i]).abs() < 1e-8 + 1e-11 * cancelled, "z of {} at {}", k, i);
                    prop_assert!((ewma[k * length + i] - wanted.1[i]).abs() < 1e-8, "ewma of {} at {}", k, i);
                }
            }
        }
    }

    #[test]
    fn an_outlier_leaves_nothing_behind_and_a_constant_scores_nothing() {
        let charts = Charts { width: 50, alpha: 0.1 };
        let mut values: Vec<f64> = (0..400).map(|i| f64::from(i % 5) * 1e-3).collect();
        values[20] = 1e12;
        let (z, _) = run(&values, 400, charts);
        let wanted = by_definition(&values[70..], charts).0;
        assert!((120..400).all(|i| (z[i] - wanted[i - 70]).abs() < 1e-9));
        let (z, ewma) = run(&[0.1; 600], 600, charts);
        assert!(z.iter().chain(&ewma).all(|s| *s == 0.0));
    }

    #[test]
    fn what_is_no_number_scores_nothing_and_changes_no_neighbour() {
        let charts = Charts::default();
        let clean: Vec<f64> = (0..900).map(|i| f64::from(i * 37 % 101)).collect();
        let mut broken = clean.clone();
        broken[300..600].fill(f64::NAN);
        (broken[310], broken[320], broken[330]) = (f64::INFINITY, 1e300, 5.0);
        let (a, b) = (run(&clean, 300, charts), run(&broken, 300, charts));
        let same = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-9);
        assert!(same(&a.0[..300], &b.0[..300]) && same(&a.0[600..], &b.0[600..]) && same(&a.1[600..], &b.1[600..]));
        assert!(b.0.iter().chain(&b.1).all(|s| s.is_finite()));
        assert!(run(&[], 10, charts).0.is_empty() && run(&[1.0], 0, charts).0 == [9.0]);
    }
}
