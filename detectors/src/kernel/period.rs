//! Whether a series repeats itself, and after how long: the highest peak of its autocorrelation (Box & Jenkins, 1970) beyond the first
//! lag at which it is no longer like itself, that comes again at twice the lag.
//!
//! The series is put on a grid of at most 2,016 cells, without its linear trend, and no further from its median than five robust standard deviations,
//! so that neither a trend nor a spike repeats. At least three seasons must have been seen. Whoever asks at time `t` gives the points before `t`
//! and no others: a period never depends on what it will be used to judge. Cost: cells² / 3 at most. No state.
//!
//! `None` for fewer than 64 points, a constant series, one that is mostly gaps, and one that does not repeat itself.

use super::ordered::Ordered;
use super::robust::NORMAL;

/// Fewer points say nothing.
pub const LEAST: usize = 64;
/// The most cells of the grid: a fortnight of ten minutes.
const CELLS: i64 = 2_016;
/// An autocorrelation that is lower is none: the season explains a third of the variance at least.
const WEAKEST: f64 = 0.33;
/// A shorter lag is the season where its peak is this share of the highest, which may be that of two or three seasons.
const NEARLY: f64 = 0.9;
/// No value counts as further from the median, in robust standard deviations.
const REACH: f64 = 5.0;
const HOUR: i64 = 3_600_000_000;

/// The length of the season, in the unit of the times (microseconds), which ascend.
pub fn period(ts: &[i64], values: &[f64]) -> Option<i64> {
    let (first, last) = (*ts.first()?, *ts.last()?);
    if ts.len() < LEAST || ts.len() != values.len() {
        return None;
    }
    let mut steps: Vec<i64> = ts.windows(2).map(|w| w[1].saturating_sub(w[0])).filter(|s| *s > 0).collect();
    steps.sort_unstable();
    let cell = (*steps.get(steps.len() / 2)?).max(last.saturating_sub(first) / CELLS + 1);
    let grid = flat(on_grid(ts, values, first, cell)?)?;
    let correlations: Vec<f64> = (0..=grid.len() * 2 / 3).map(|lag| correlation(&grid, lag)).collect();
    let unlike = correlations.iter().position(|c| *c <= 0.0)?;
    let repeats = |lag: usize| {
        let here = correlations[lag];
        let peak = here >= correlations[lag - 1] && here >= correlations[lag + 1];
        peak && here >= WEAKEST && around(&correlations, 2 * lag, 1 + lag / 20).is_some_and(|(_, again)| again >= 0.5 * here)
    };
    let peaks: Vec<usize> = (unlike.max(2)..=grid.len() / 3).filter(|lag| *lag + 1 < correlations.len() && repeats(*lag)).collect();
    let highest = peaks.iter().map(|lag| correlations[*lag]).fold(0.0, f64::max);
    let lag = *peaks.iter().find(|lag| correlations[**lag] >= NEARLY * highest)?;
    Some(snapped(&correlations, lag, cell))
}

/// The mean of each cell; `None` where it has no value. `None` when there is nothing to tell apart.
fn on_grid(ts: &[i64], values: &[f64], first: i64, cell: i64) -> Option<Vec<Option<f64>>> {
    let mut ordered = Ordered::default();
    values.iter().for_each(|x| ordered.insert(*x));
    let median = ordered.median()?;
    let spread = NORMAL * ordered.mad(median)?;
    let wide = ordered.quantile(0.98)? - ordered.quantile(0.02)?;
    let reach = REACH * spread.max(0.2 * wide);
    if !(reach.is_finite() && reach > 0.0) {
        return None;
    }
    let cells = ((ts.last()? - first) / cell) as usize + 1;
    let mut sums = vec![(0.0, 0u32); cells];
    for (t, x) in ts.iter().zip(values) {
        let (sum, n) = &mut sums[((t - first) / cell) as usize];
        *sum += ((x - median) / reach).clamp(-1.0, 1.0);
        *n += 1;
    }
    Some(sums.into_iter().map(|(sum, n)| (n > 0).then(|| sum / f64::from(n))).collect())
}

/// Without the line of least squares, gaps as 0. `None` when more than half is gaps.
fn flat(grid: Vec<Option<f64>>) -> Option<Vec<f64>> {
    let points: Vec<(f64, f64)> = grid.iter().enumerate().filter_map(|(i, x)| Some((i as f64, (*x)?))).collect();
    if points.len() * 2 < grid.len() {
        return None;
    }
    let n = points.len() as f64;
    let (at, level) = (points.iter().map(|p| p.0).sum::<f64>() / n, points.iter().map(|p| p.1).sum::<f64>() / n);
    let along: f64 = points.iter().map(|p| (p.0 - at) * (p.1 - level)).sum();
    let slope = along / points.iter().map(|p| (p.0 - at).powi(2)).sum::<f64>().max(f64::MIN_POSITIVE);
    Some(grid.iter().enumerate().map(|(i, x)| x.map_or(0.0, |x| x - level - slope * (i as f64 - at))).collect())
}

fn correlation(grid: &[f64], lag: usize) -> f64 {
    let (early, late) = (&grid[..grid.len() - lag], &grid[lag..]);
    let of = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
    let size = (of(early, early) * of(late, late)).sqrt();
    if size > 1e-12 { of(early, late) / size } else { 0.0 }
}

/// The highest correlation this near to a lag, and where.
fn around(correlations: &[f64], lag: usize, near: usize) -> Option<(usize, f64)> {
    let from = lag.saturating_sub(near);
    let found = correlations.get(from..=(lag + near).min(correlations.len().checked_sub(1)?))?;
    found.iter().enumerate().map(|(i, c)| (from + i, *c)).max_by(|a, b| a.1.total_cmp(&b.1))
}

/// The lag as time, by the last of its multiples that is seen, and a whole hour, day or week where it is one to the grid's precision.
fn snapped(correlations: &[f64], lag: usize, cell: i64) -> i64 {
    let (mut times, mut at) = (1, lag);
    while let Some((next, c)) = around(correlations, (at as f64 * (times + 1) as f64 / times as f64).round() as usize, 1 + lag / 20) {
        if c < 0.5 * correlations[lag] || next <= at || next + 1 >= correlations.len() {
            break;
        }
        (times, at) = (times + 1, next);
    }
    let period = (at as i64).saturating_mul(cell) / times;
    let precise = (cell / times).max(period / 100);
    [HOUR, 24 * HOUR, 7 * 24 * HOUR].into_iter().find(|round| (period - round).abs() <= precise).unwrap_or(period)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drift::stream::Stream;

    fn series(n: i64, step: i64, value: impl Fn(i64, f64) -> f64) -> (Vec<i64>, Vec<f64>) {
        let mut noise = Stream::new(7);
        let ts: Vec<i64> = (0..n).map(|i| i * step).collect();
        let values = ts.iter().map(|t| value(*t, noise.normal())).collect();
        (ts, values)
    }

    fn found(n: i64, step: i64, value: impl Fn(i64, f64) -> f64) -> Option<i64> {
        let (ts, values) = series(n, step, value);
        period(&ts, &values)
    }

    fn wave(t: i64, length: i64) -> f64 {
        (t as f64 / length as f64 * std::f64::consts::TAU).sin()
    }

    #[test]
    fn a_season_is_found_through_noise_trend_and_spikes() {
        let day = 24 * HOUR;
        assert_eq!(found(14 * 24, HOUR, |t, e| wave(t, day) + 0.5 * e), Some(day));
        assert_eq!(found(14 * 24, HOUR, |t, e| wave(t, day) + 0.3 * e + t as f64 / day as f64), Some(day));
        assert_eq!(found(14 * 288, HOUR / 12, |t, e| wave(t, day) + 0.5 * e + if t % 313 == 0 { 90.0 } else { 0.0 }), Some(day));
        // Busy on weekdays alone: a week.
        assert_eq!(found(35 * 24, HOUR, |t, e| if t / day % 7 < 5 { 3.0 + wave(t, day) } else { 0.0 } + 0.2 * e), Some(7 * day));
        // None of the round ones: 7 hours and 20 minutes, to a hundredth.
        let odd = found(14 * 144, HOUR / 6, |t, e| wave(t, 22 * HOUR / 3) + 0.3 * e).unwrap();
        assert!((odd - 22 * HOUR / 3).abs() < HOUR * 22 / 300, "{odd}");
    }

    #[test]
    fn what_does_not_repeat_has_no_period() {
        assert_eq!(found(1_000, HOUR, |_, e| e), None);
        assert_eq!(found(1_000, HOUR, |_, _| 5.0), None);
        assert_eq!(found(1_000, HOUR, |t, _| t as f64), None);
        assert_eq!(found(63, HOUR, |t, _| wave(t, 6 * HOUR)), None);
        assert_eq!((period(&[], &[]), period(&[0; 100], &[1.0; 100])), (None, None));
        let mut level = 0.0;
        let mut steps = Stream::new(3);
        let walk: Vec<f64> = (0..2_000)
            .map(|_| {
                level += steps.normal();
                level
            })
            .collect();
        let ts: Vec<i64> = (0..2_000).map(|i| i * HOUR).collect();
        assert_eq!(period(&ts, &walk), None);
        // Two short stretches with a month between them are mostly a gap.
        let (mut ts, values) = series(200, HOUR, |t, _| wave(t, 24 * HOUR));
        ts[100..].iter_mut().for_each(|t| *t += 1_000 * HOUR);
        assert_eq!(period(&ts, &values), None);
    }

    #[test]
    fn shift_and_scale_change_nothing() {
        let (ts, values) = series(500, HOUR, |t, e| wave(t, 24 * HOUR) + 0.5 * e);
        let moved: Vec<f64> = values.iter().map(|v| v * 8.0 + 1_024.0).collect();
        assert_eq!(period(&ts, &moved), period(&ts, &values));
    }
}
