//! What is usual at this time of the season: the median of the values around the same phase of earlier seasons (a running
//! form of the seasonal component of Cleveland et al., *STL*, 1990, that never looks ahead).
//!
//! A slot reaches one step to both sides, so a season gives three values where points come regularly; gaps give fewer, and
//! fewer than [`LEAST`] in all give no answer: not enough history is a state of its own. Cost: O(seasons × log points). State: the
//! values of all seasons.

use std::collections::VecDeque;

use bellwether_model::time::Span;
use serde::{Deserialize, Serialize};

use crate::calendar::{Calendar, Cycle};
use crate::phases::{MOST, Phases};

/// A median of fewer values is none.
pub const LEAST: usize = 3;
/// The step is the shortest of so many first distances between points.
const STEPS_WATCHED: u32 = 16;

/// The values of the latest seasons.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Seasonal {
    phases: Phases,
    step: Option<i64>,
    watched: u32,
    held: VecDeque<(i64, f64)>,
}

impl Seasonal {
    /// Compares with this many earlier seasons, each `period` long (any unit of time). Default in presets: 7 days.
    pub fn new(period: i64, seasons: u32) -> Self {
        let period = Span::from_micros(period.max(1));
        Self::by(Phases::new(Cycle::Every(period), Calendar::default(), period.times(i64::from(seasons))))
    }

    /// Compares with these phases, in microseconds.
    pub fn by(phases: Phases) -> Self {
        Self { phases, step: None, watched: 0, held: VecDeque::new() }
    }

    /// What was usual at this phase before, and takes the measurement in. `None` without enough history.
    pub fn push(&mut self, t: i64, x: f64) -> Option<f64> {
        if let Some((latest, _)) = self.held.back()
            && self.watched < STEPS_WATCHED
            && t > *latest
        {
            let step = t - latest;
            self.step = Some(self.step.map_or(step, |s| s.min(step)));
            self.watched += 1;
        }
        let step = self.step.unwrap_or(0);
        let oldest = t.saturating_sub(self.phases.reach()).saturating_sub(step);
        while self.held.front().is_some_and(|(at, _)| *at < oldest) {
            self.held.pop_front();
        }
        self.phases.turn_to(t);
        let usual = self.usual(t, step);
        self.held.push_back((t, x));
        usual
    }

    fn usual(&self, t: i64, step: i64) -> Option<f64> {
        // Room for three values a season; where points are denser than their first steps, the earliest of a slot count.
        let mut values = [0.0; 3 * MOST];
        let mut n = 0;
        for distance in self.phases.distances() {
            let centre = t.saturating_sub(*distance);
            let from = self.held.partition_point(|(at, _)| *at < centre.saturating_sub(step));
            let slot = self.held.range(from..).take_while(|(at, _)| *at <= centre.saturating_add(step)).take(3);
            for (_, x) in slot {
                values[n] = *x;
                n += 1;
            }
        }
        let values = &mut values[..n];
        values.sort_unstable_by(f64::total_cmp);
        match n {
            _ if n < LEAST => None,
            _ if n % 2 == 1 => Some(values[n / 2]),
            _ => Some(0.5 * values[n / 2 - 1] + 0.5 * values[n / 2]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_hour_of_earlier_days() {
        let mut seasonal = Seasonal::new(24, 7);
        let at = |t: i64| if t % 24 == 12 { 100.0 } else { (t % 24) as f64 };
        let usual: Vec<Option<f64>> = (0..240).map(|t| seasonal.push(t, at(t))).collect();
        assert_eq!((usual[24], usual[25]), (None, Some(1.0)), "the first hour of a second day has two neighbours only");
        assert_eq!((usual[60], usual[100], usual[239]), (Some(13.0), Some(4.0), Some(22.0)));
        assert!(seasonal.held.len() <= 7 * 24 + 2);
    }

    #[test]
    fn gaps_leave_fewer_values_and_then_none() {
        let mut seasonal = Seasonal::new(24, 7);
        let usual: Vec<Option<f64>> = (0..72).filter(|t| !(30..60).contains(t)).map(|t| seasonal.push(t, 1.0)).collect();
        // Of the hours 24..30 the first has two neighbours, and the last three have three; of 60..72, whose day before is missing
        // from 36 on, none is known but by the day before that, in full.
        let known: Vec<usize> = (0..usual.len()).filter(|i| usual[*i].is_some()).collect();
        assert_eq!(known, [25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41]);
    }
}
