//! When it was the same time of the season before, as distances into the past.
//!
//! They are the same for every moment of a quarter of an hour, because clocks in use today are changed at a quarter of an hour, and
//! no day begins between two. Cost: nothing within a quarter of an hour; else some conversions of time zones for each
//! season of the lookback. State: the distances.

use bellwether_model::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};

use crate::calendar::{Calendar, Cycle};

/// A time is compared with no more earlier seasons.
pub const MOST: usize = 64;
/// What a change of clocks can add to the distance of equal times of day: three hours is more than any in use.
const CLOCK_CHANGE: Span = Span::from_hours(3);
const QUARTER: i64 = 15 * 60_000_000;

/// The same phase of earlier seasons, seen from a moment that moves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Phases {
    cycle: Cycle,
    calendar: Calendar,
    reach: i64,
    quarter: Option<i64>,
    distances: Vec<i64>,
}

impl Phases {
    /// The same phases within a lookback, which holds at least one season.
    pub fn new(cycle: Cycle, calendar: Calendar, lookback: Span) -> Self {
        let reach = Self::reach_of(cycle, lookback).micros();
        let length = cycle.length().micros().max(1);
        let every = if cycle.is_of_calendar() { 0 } else { (reach / length).clamp(0, MOST as i64) };
        Self { cycle, calendar, reach, quarter: None, distances: (1..=every).map(|n| n.saturating_mul(length)).collect() }
    }

    /// The longest distance there can be within this lookback.
    pub const fn reach_of(cycle: Cycle, lookback: Span) -> Span {
        if cycle.is_of_calendar() { Span::from_micros(lookback.micros() + CLOCK_CHANGE.micros()) } else { lookback }
    }

    /// The longest distance there can be, in microseconds.
    pub fn reach(&self) -> i64 {
        self.reach
    }

    /// How long ago the same phase was, in microseconds, ascending, as of where [`Self::turn_to`] came to.
    pub fn distances(&self) -> &[i64] {
        &self.distances
    }

    /// Looks from this time on, in microseconds; true when that changed distances.
    #[inline]
    pub fn turn_to(&mut self, t: i64) -> bool {
        let quarter = t.div_euclid(QUARTER);
        self.cycle.is_of_calendar() && self.quarter != Some(quarter) && self.look(quarter)
    }

    #[cold]
    fn look(&mut self, quarter: i64) -> bool {
        self.quarter = Some(quarter);
        let start = Timestamp::from_micros(quarter.saturating_mul(QUARTER));
        let local = self.calendar.zone.local(start);
        let distance = |day: chrono::NaiveDate| start.micros() - self.calendar.zone.instant(day.and_time(local.time())).micros();
        let earlier = self.calendar.earlier(self.cycle, local.date());
        let distances = earlier.into_iter().flatten().map(distance).take_while(|d| *d <= self.reach).filter(|d| *d > 0).take(MOST);
        let distances: Vec<i64> = distances.collect();
        let changed = distances != self.distances;
        self.distances = distances;
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000_000;

    fn hours(phases: &mut Phases, at: &str) -> Vec<i64> {
        phases.turn_to(at.parse::<Timestamp>().unwrap().micros());
        phases.distances().iter().map(|d| d / HOUR).collect()
    }

    #[test]
    fn the_wall_clock_counts_where_clocks_are_changed() {
        let berlin = Calendar { zone: "Europe/Berlin".parse().unwrap(), holidays: Vec::new() };
        let mut days = Phases::new(Cycle::HourOfDay, berlin.clone(), Span::from_days(3));
        assert_eq!(hours(&mut days, "2026-03-28T13:00:00Z"), [24, 48, 72]);
        assert_eq!(hours(&mut days, "2026-03-29T12:00:00Z"), [23, 47, 71], "the night was an hour shorter");
        assert_eq!(hours(&mut days, "2026-03-31T12:00:00Z"), [24, 48, 71]);
        assert_eq!(hours(&mut days, "2026-10-25T13:00:00Z"), [25, 49, 73], "and longer in autumn");
        let mut weeks = Phases::new(Cycle::HourOfWeek, berlin.clone(), Span::from_days(14));
        assert_eq!(hours(&mut weeks, "2026-03-31T12:00:00Z"), [7 * 24 - 1, 14 * 24 - 1]);
        let mut months = Phases::new(Cycle::DayOfMonth, berlin, Span::from_days(62));
        assert_eq!(hours(&mut months, "2026-03-15T12:00:00Z"), [28 * 24, 59 * 24]);
        let mut plain = Phases::new(Cycle::Every(Span::from_days(1)), Calendar::default(), Span::from_days(2));
        assert_eq!((hours(&mut plain, "2026-03-29T12:00:00Z"), plain.turn_to(0)), (vec![24, 48], false));
    }

    #[test]
    fn a_quarter_of_an_hour_has_one_answer() {
        let zone = "Australia/Lord_Howe".parse().unwrap();
        let mut phases = Phases::new(Cycle::HourOfDay, Calendar { zone, holidays: Vec::new() }, Span::from_days(2));
        // Clocks change by half an hour on 4 April 2026 at 15:00 UTC.
        let noon = "2026-04-05T01:00:00Z".parse::<Timestamp>().unwrap().micros();
        assert!(phases.turn_to(noon));
        assert_eq!(phases.distances()[0], 24 * HOUR + HOUR / 2);
        assert!(!phases.turn_to(noon + QUARTER - 1) && !phases.turn_to(noon + QUARTER));
    }
}
