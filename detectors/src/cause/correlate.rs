//! Which series changed together with one: each against its own past, the rate of false finds limited over all of them, with the lag.

use bellwether_model::series::{SeriesSlice, Window};
use bellwether_model::time::{Span, TimeRange, Timestamp};

use super::lag::{Lag, lag};
use super::shift::{BASELINE, Shift, shift};
use crate::drift::correction::adjusted;

/// No window is shorter: below fifteen seconds there is nothing to compare.
pub const SHORTEST: Span = Span::from_secs(15);
/// Of the series that are told, at most this share is expected to be told by chance (Benjamini & Hochberg).
pub const FALSE_FINDS: f64 = 0.05;
/// A change is told from this many robust standard deviations of the baseline on …
const EFFECT: f64 = 1.0;
/// … or, where only the shape changed, from this distance of the distributions on.
const SHAPE: f64 = 0.5;
/// For the effect of a change no more than this counts in the order: beyond, all have plainly changed.
const PLAIN: f64 = 20.0;
/// A lag is told from this correlation on.
const ALIKE: f64 = 0.5;
/// Lags are looked for this far before and after the beginning, at least and at most.
const AROUND: (Span, Span) = (Span::from_mins(10), Span::from_hours(1));

/// A series that changed in the window.
#[derive(Clone, Debug, PartialEq)]
pub struct Together {
    /// Its place in the window of series.
    pub index: usize,
    /// How it changed.
    pub shift: Shift,
    /// Its p-value, corrected for the number of series compared.
    pub adjusted_p: f64,
    /// By how much it moved later than the one asked about; `None` where the two do not resemble each other.
    pub lag: Option<Lag>,
}

/// What comparing found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// The series that changed, the plainest first.
    pub together: Vec<Together>,
    /// How many had enough samples before and within to be compared.
    pub compared: usize,
    /// Places of those that had a baseline and not one sample in the window.
    pub silent: Vec<usize>,
    /// How many had too few samples to say anything.
    pub thin: usize,
}

/// The four times as long range just before a window.
pub fn baseline(window: TimeRange) -> TimeRange {
    TimeRange::new(window.start - window.end.since(window.start).times(i64::from(BASELINE)), window.start)
}

/// All series but the `asked` one (a place in `series`), compared in `window` with the [`baseline`] before it; samples outside of both
/// are not looked at, but for lags. Cost: sorting every series once, one grid of at most 360 steps for every series that changed.
pub fn correlate(series: &Window, asked: Option<usize>, window: TimeRange) -> Found {
    let before = baseline(window);
    let mut found = Found::default();
    let mut shifts: Vec<(usize, Shift)> = Vec::new();
    for (index, one) in series.iter().enumerate().filter(|(index, _)| Some(*index) != asked) {
        let (past, now) = (within(&one, before), within(&one, window));
        match shift(past, now) {
            Some(shift) => shifts.push((index, shift)),
            None if now.is_empty() && past.len() >= super::shift::LEAST_BASELINE => found.silent.push(index),
            None => found.thin += 1,
        }
    }
    found.compared = shifts.len();
    let p_values = adjusted(&shifts.iter().map(|(_, s)| s.p_value).collect::<Vec<_>>());
    let slices: Vec<SeriesSlice<'_>> = series.iter().collect();
    let asked = asked.and_then(|i| slices.get(i));
    for ((index, shift), adjusted_p) in shifts.into_iter().zip(p_values) {
        let plain = shift.effect.abs() >= EFFECT || shift.ks >= SHAPE;
        if adjusted_p <= FALSE_FINDS && plain {
            let lag = asked.and_then(|asked| lag_around(asked, &slices[index], window));
            found.together.push(Together { index, shift, adjusted_p, lag });
        }
    }
    found.together.sort_by(|a, b| {
        let effect = |t: &Together| t.shift.effect.abs().min(PLAIN);
        let alike = |t: &Together| t.lag.map_or(0.0, |l| l.correlation.abs());
        let key = |t: &Together| effect(t) * t.shift.ks * (1.0 + alike(t));
        key(b).total_cmp(&key(a)).then_with(|| slices[a.index].series.series_id.cmp(&slices[b.index].series.series_id))
    });
    found
}

/// The lag of a series behind another where the window begins.
fn lag_around(asked: &SeriesSlice<'_>, other: &SeriesSlice<'_>, window: TimeRange) -> Option<Lag> {
    let around = window.end.since(window.start).clamp(AROUND.0, AROUND.1);
    let range = TimeRange::new(window.start - around, window.start + around);
    let step = typical_step(asked, range).max(typical_step(other, range));
    lag((asked.ts, asked.values), (other.ts, other.values), range, step).filter(|l| l.correlation.abs() >= ALIKE)
}

/// The median distance between samples.
fn typical_step(one: &SeriesSlice<'_>, range: TimeRange) -> Span {
    let mut steps: Vec<i64> = one.ts[bounds(one, range)].windows(2).map(|w| w[1] - w[0]).collect();
    steps.sort_unstable();
    Span::from_micros(steps.get(steps.len() / 2).copied().unwrap_or_default())
}

fn within<'a>(one: &SeriesSlice<'a>, range: TimeRange) -> &'a [f64] {
    &one.values[bounds(one, range)]
}

fn bounds(one: &SeriesSlice<'_>, range: TimeRange) -> std::ops::Range<usize> {
    let at = |t: Timestamp| one.ts.partition_point(|s| *s < t.micros());
    at(range.start)..at(range.end).max(at(range.start))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_model::series::{Labels, Series};
    use bellwether_model::signal::Direction;

    const MINUTE: i64 = 60;

    /// Five hours by the minute: `value(minute, noise)`; the window is the last hour.
    fn series(fleet: &mut Window, name: &str, value: impl Fn(i64, f64) -> f64) {
        let seed = name.bytes().fold(7u64, |a, b| a.wrapping_mul(31).wrapping_add(u64::from(b)));
        let mut state = seed;
        let mut noise = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as f64 / f64::from(1u32 << 31)
        };
        let (ts, values): (Vec<i64>, Vec<f64>) = (0..300).map(|i| (i * MINUTE * 1_000_000, value(i, noise()))).unzip();
        fleet.push(Series::new(name, Labels::new()), &ts, &values);
    }

    fn last_hour() -> TimeRange {
        TimeRange::new(Timestamp::from_secs(240 * MINUTE), Timestamp::from_secs(300 * MINUTE))
    }

    #[test]
    fn the_changed_are_found_with_lag_and_direction_and_the_calm_are_not() {
        let mut fleet = Window::new();
        let step = |at: i64, by: f64| move |i: i64, noise: f64| 10.0 + noise + if i >= at { by } else { 0.0 };
        series(&mut fleet, "latency", step(240, 8.0));
        series(&mut fleet, "memory", step(234, 20.0));
        series(&mut fleet, "availability", step(243, -6.0));
        for calm in 0..60 {
            series(&mut fleet, &format!("calm{calm}"), step(999, 0.0));
        }
        series(&mut fleet, "gone", step(999, 0.0));
        let last = fleet.len() - 1;
        // Its samples end before the window.
        let (from, until) = (fleet.offsets[last], fleet.offsets[last] + 230);
        fleet.ts.truncate(until);
        fleet.values.truncate(until);
        fleet.offsets[last + 1] = until;
        assert!(from < until);
        let found = correlate(&fleet, Some(0), last_hour());
        let names: Vec<&str> = found.together.iter().map(|t| fleet.series[t.index].metric.as_str()).collect();
        assert_eq!(names, ["memory", "availability"]);
        let minutes: Vec<i64> = found.together.iter().map(|t| t.lag.unwrap().micros / 60_000_000).collect();
        assert_eq!(minutes, [-6, 3]);
        let ways: Vec<Direction> = found.together.iter().map(|t| t.shift.direction).collect();
        assert_eq!(ways, [Direction::Up, Direction::Down]);
        assert!(found.together.iter().all(|t| t.adjusted_p < 1e-6));
        assert_eq!((found.compared, found.silent.as_slice(), found.thin), (62, [last].as_slice(), 0));
    }

    #[test]
    fn nothing_is_an_answer_too() {
        assert_eq!(correlate(&Window::new(), None, last_hour()), Found::default());
        let mut fleet = Window::new();
        series(&mut fleet, "flat", |_, _| 3.0);
        fleet.push(Series::new("short", Labels::new()), &[1, 2], &[1.0, 2.0]);
        let found = correlate(&fleet, Some(7), last_hour());
        assert_eq!((found.together.len(), found.compared, found.thin), (0, 1, 1));
    }

    #[test]
    fn of_many_calm_series_almost_none_is_told() {
        let mut fleet = Window::new();
        for calm in 0..400 {
            series(&mut fleet, &format!("calm{calm}"), |_, noise| noise);
        }
        assert!(correlate(&fleet, None, last_hour()).together.len() <= 1);
    }
}
