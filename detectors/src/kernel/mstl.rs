//! Level, day and week of a series, one taken off after the other, shortest season first (Bandara, Hyndman & Bergmeir, *MSTL*, 2021), in a form
//! that never looks ahead: the level is the median of the latest week, and each season is the running median of what is left
//! at the same phase before ([`super::seasonal`]), where MSTL smooths by loess to both sides and goes over the series twice.
//!
//! A week is the window of the level because that is the longest season: over a whole week the pattern of neither season moves it.
//! Cost: O(log points + seasons × log points). State: the values of a week, and of the lookback twice. Without a day of history there
//! is no answer, and without a week of it no pattern of the week. Gaps leave fewer values to a median. On values that are no measurements see
//! [`crate::band::is_measurement`]: they are kept out.

use bellwether_model::time::Span;
use serde::{Deserialize, Serialize};

use super::seasonal::Seasonal;
use super::window::Window;
use crate::calendar::{Calendar, Cycle};
use crate::phases::Phases;

/// The level is that of so long.
const LEVEL: Span = Span::from_days(7);
/// So many earlier days say what is usual at a time of day, at most.
const DAYS: i64 = 7;
/// The most values of the level's window: a week of minutes.
const MOST: usize = 10_080;

/// The state of one series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mstl {
    level: Window,
    day: Seasonal,
    week: Seasonal,
}

impl Mstl {
    /// Day and week as clocks of the calendar show them, from as many weeks as the lookback holds.
    pub fn new(calendar: &Calendar, lookback: Span) -> Self {
        let season = |cycle: Cycle, span: Span| Seasonal::by(Phases::new(cycle, calendar.clone(), span));
        Self {
            level: Window::new(LEVEL.micros(), MOST),
            day: season(Cycle::HourOfDay, Cycle::HourOfDay.length().times(DAYS)),
            week: season(Cycle::HourOfWeek, lookback),
        }
    }

    /// What was to be expected of the value at time `t` (microseconds, not before the latest), and takes the measurement in.
    /// `None` without a day of history; level and day alone before a week is known.
    pub fn push(&mut self, t: i64, x: f64) -> Option<f64> {
        self.level.forget(t);
        let level = self.level.ordered().median();
        self.level.push(t, x);
        let level = level?;
        let of_day = self.day.push(t, x - level)?;
        // A pattern of the week that is not known yet is none.
        let of_week = self.week.push(t, x - level - of_day).unwrap_or(0.0);
        Some(level + of_day + of_week)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000_000;

    /// A pattern of the day that Sundays do not have, on a level; 1 January 1970 was a Thursday.
    fn value(hour: i64) -> f64 {
        let (day, weekday) = ((hour % 24 - 12).abs() as f64, (hour / 24 + 3) % 7);
        50.0 + if weekday == 6 { 1.0 } else { day }
    }

    #[test]
    fn day_and_week_together_are_expected_exactly() {
        let mut mstl = Mstl::new(&Calendar::default(), Span::from_days(28));
        let expected: Vec<Option<f64>> = (0..24 * 42).map(|h| mstl.push(h * HOUR, value(h))).collect();
        assert!(expected[..26].iter().all(Option::is_none) && expected[26].is_some(), "a day is needed");
        for h in 35 * 24..42 * 24 {
            let got = expected[h as usize].unwrap();
            // A neighbour of each slot counts, so a corner of the pattern is cut by no more than a step of it.
            assert!((got - value(h)).abs() <= 1.0, "{h}: {got} and {}", value(h));
        }
        // The day alone expects a busy Sunday.
        let mut day = Seasonal::new(24 * HOUR, 7);
        let alone: Vec<Option<f64>> = (0..24 * 42).map(|h| day.push(h * HOUR, value(h))).collect();
        let sunday = (38 * 24..39 * 24).find(|h| (h / 24 + 3) % 7 == 6).unwrap_or(38 * 24) / 24 * 24;
        assert!((alone[sunday as usize].unwrap() - value(sunday)).abs() > 8.0);
    }

    /// What statsmodels 0.15.0 fits, which may look at both sides of a point, and this expects from before it, differ by little more than the noise
    /// (uniform, -1 to 1): `MSTL(x, periods=(24, 168)).fit()`, `trend + seasonal.sum(axis=1)` at these hours.
    #[test]
    fn it_is_near_what_looks_both_ways() {
        let turn = |h: i64, period: i64| (h as f64 / period as f64 * std::f64::consts::TAU).sin();
        let value = |h: i64| 50.0 + 10.0 * turn(h, 24) + 5.0 * turn(h, 168) + (h * 7_919 % 101) as f64 / 50.0 - 1.0;
        let mut mstl = Mstl::new(&Calendar::default(), Span::from_days(28));
        let expected: Vec<Option<f64>> = (0..24 * 42).map(|h| mstl.push(h * HOUR, value(h))).collect();
        for (hour, fitted) in [(984, 45.923), (990, 57.337), (996, 47.567), (1_002, 38.917), (1_006, 44.528)] {
            let got = expected[hour].unwrap();
            assert!((got - fitted).abs() < 1.2, "{hour}: {got} and {fitted}");
        }
    }

    #[test]
    fn what_comes_later_changes_nothing_before() {
        let run = |last: f64| {
            let mut mstl = Mstl::new(&Calendar::default(), Span::from_days(28));
            (0..24 * 30).map(|h| mstl.push(h * HOUR, if h > 700 { last } else { value(h) })).take(701).collect::<Vec<_>>()
        };
        assert_eq!(run(1e6), run(-3.0));
    }
}
