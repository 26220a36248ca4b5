//! Which of two series moved first: the shift in time at which they resemble each other most.
//!
//! Both are put on one grid as robust z-scores, cut off so that one spike does not decide, and correlated at every shift of up to a third
//! of the range (the cross-correlation function, Box & Jenkins). A value is carried on until the next one, so series that are sampled
//! at different times compare.

use bellwether_model::time::{Span, TimeRange};

use super::shift::{Past, Usual, sorted};

/// A grid has at most this many steps.
const STEPS: i64 = 360;
/// A score counts no more than this.
const CUT: f64 = 8.0;
/// A value is carried on over this many steps without one.
const CARRIED: usize = 5;
/// Fewer common steps say nothing.
const LEAST: usize = 12;

/// How two series lie in time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lag {
    /// Microseconds by which the second moved later than the first; negative: it came first. Exact to one step of the grid.
    pub micros: i64,
    /// Their correlation when shifted by that much, -1 to 1; negative: they moved opposite ways.
    pub correlation: f64,
}

/// Times (ascending microseconds) and values of one series.
pub type Track<'a> = (&'a [i64], &'a [f64]);

/// The lag of the second series behind the first within a range, on a grid of `step` or coarser; `None` where they have too little in
/// common or one of them does not move at all. Of equal correlations the smallest shift counts. Cost: O(n + steps²), at most 360 steps.
pub fn lag(first: Track<'_>, second: Track<'_>, range: TimeRange, step: Span) -> Option<Lag> {
    let length = range.end.since(range.start).micros();
    let step = step.micros().max(length / STEPS).max(1);
    let steps = usize::try_from(length / step).ok()?;
    let (a, b) = (grid(first, range, step, steps)?, grid(second, range, step, steps)?);
    let most = steps as i64 / 3;
    let mut shifts: Vec<i64> = (-most..=most).collect();
    shifts.sort_by_key(|s| (s.abs(), *s));
    let mut best: Option<Lag> = None;
    for by in shifts {
        let Some(r) = correlation(&a, &b, by) else { continue };
        if best.is_none_or(|found| r.abs() > found.correlation.abs() + 1e-9) {
            best = Some(Lag { micros: by * step, correlation: r });
        }
    }
    best
}

/// The series as scores, step by step; `None` where it does not move.
fn grid((ts, values): Track<'_>, range: TimeRange, step: i64, steps: usize) -> Option<Vec<Option<f64>>> {
    let (from, until) = (ts.partition_point(|t| *t < range.start.micros()), ts.partition_point(|t| *t < range.end.micros()));
    let (ts, values) = (ts.get(from..until)?, values.get(from..until)?);
    let usual = Usual::of_sorted(&sorted(values), Past::Recent).filter(|u| u.scale > 0.0)?;
    let mut grid = vec![None; steps];
    for (t, value) in ts.iter().zip(values).filter(|(_, v)| v.is_finite()) {
        if let Some(slot) = usize::try_from((t - range.start.micros()) / step).ok().and_then(|i| grid.get_mut(i)) {
            *slot = Some(usual.z(*value).clamp(-CUT, CUT));
        }
    }
    let mut last: Option<(usize, f64)> = None;
    for (i, slot) in grid.iter_mut().enumerate() {
        match *slot {
            Some(value) => last = Some((i, value)),
            None => *slot = last.filter(|(at, _)| i - at <= CARRIED).map(|(_, value)| value),
        }
    }
    Some(grid)
}

/// Pearson's correlation of `a[i]` and `b[i + by]`.
fn correlation(a: &[Option<f64>], b: &[Option<f64>], by: i64) -> Option<f64> {
    let (skip_a, skip_b) = if by >= 0 { (0, by as usize) } else { (by.unsigned_abs() as usize, 0) };
    let pairs = || a.iter().skip(skip_a).zip(b.iter().skip(skip_b)).filter_map(|(x, y)| Some(((*x)?, (*y)?)));
    let n = pairs().count();
    if n < LEAST.max(a.len() / 2) {
        return None;
    }
    let (mean_a, mean_b) = pairs().fold((0.0, 0.0), |(x, y), (p, q)| (x + p / n as f64, y + q / n as f64));
    let (mut both, mut of_a, mut of_b) = (0.0, 0.0, 0.0);
    for (x, y) in pairs() {
        let (x, y) = (x - mean_a, y - mean_b);
        both += x * y;
        of_a += x * x;
        of_b += y * y;
    }
    let of = (of_a * of_b).sqrt();
    (of > 1e-9).then(|| (both / of).clamp(-1.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_model::time::Timestamp;
    use proptest::prelude::*;

    const MINUTE: i64 = 60_000_000;

    /// Two hours by the minute, a wave of small noise, and a step up at this minute.
    fn step(at: i64, by: f64, seed: i64) -> (Vec<i64>, Vec<f64>) {
        let noise = |i: i64| ((i * 7919 + seed * 104_729) % 97) as f64 / 97.0;
        (0..120).map(|i| (i * MINUTE, noise(i) + if i >= at { by } else { 0.0 })).unzip()
    }

    fn of(a: &(Vec<i64>, Vec<f64>), b: &(Vec<i64>, Vec<f64>)) -> Option<Lag> {
        lag((&a.0, &a.1), (&b.0, &b.1), TimeRange::new(Timestamp::EPOCH, Timestamp::from_secs(7_200)), Span::from_secs(60))
    }

    #[test]
    fn the_sign_says_who_came_first_and_opposite_ways_count() {
        let queue = step(70, 9.0, 1);
        for (at, by) in [(76, 6), (70, 0), (58, -12)] {
            let found = of(&queue, &step(at, 5.0, 2)).unwrap();
            assert_eq!(found.micros / MINUTE, by, "{found:?}");
            assert!(found.correlation > 0.9, "{found:?}");
        }
        let falling = of(&queue, &step(74, -5.0, 3)).unwrap();
        assert!(falling.micros == 4 * MINUTE && falling.correlation < -0.9, "{falling:?}");
    }

    #[test]
    fn a_coarser_series_and_gaps_still_compare() {
        let fine = step(60, 9.0, 1);
        let (mut ts, mut values) = step(66, 9.0, 2);
        ts.retain(|t| (t / MINUTE) % 3 == 0);
        values = values.into_iter().enumerate().filter(|(i, _)| i % 3 == 0).map(|(_, v)| v).collect();
        values[3] = f64::NAN;
        let found = of(&fine, &(ts, values)).unwrap();
        assert!((5..=8).contains(&(found.micros / MINUTE)), "{found:?}");
    }

    #[test]
    fn what_does_not_move_or_is_not_there_has_no_lag() {
        let moving = step(70, 9.0, 1);
        assert_eq!(of(&moving, &(moving.0.clone(), vec![4.0; 120])), None);
        assert_eq!(of(&moving, &(vec![], vec![])), None);
        assert_eq!(of(&moving, &(vec![1, 2, 3], vec![1.0, 9.0, 1.0])), None);
        let empty = TimeRange::new(Timestamp::EPOCH, Timestamp::EPOCH);
        assert_eq!(lag((&moving.0, &moving.1), (&moving.0, &moving.1), empty, Span::ZERO), None);
    }

    proptest! {
        #[test]
        fn nothing_is_nan_and_turning_the_pair_round_turns_the_sign(at in 50i64..80, later in -8i64..8, seed in 0i64..50) {
            let (a, b) = (step(at, 9.0, seed), step(at + later, 9.0, seed + 1));
            let (one, other) = (of(&a, &b).unwrap(), of(&b, &a).unwrap());
            prop_assert!(one.correlation.is_finite() && one.correlation.abs() <= 1.0);
            prop_assert_eq!(one.micros, -other.micros);
        }
    }
}
