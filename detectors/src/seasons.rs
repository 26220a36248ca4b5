//! How far a value is from what its season leads to expect, in robust standard deviations of such distances.
//!
//! Expected is the median around the same phase of up to seven earlier seasons ([`crate::kernel::seasonal`]), or level, day and week
//! together ([`crate::kernel::mstl`]); and what the distances from it usually are is their median and 1.4826 MAD over the lookback, no less than a
//! fifth of the distance between their quantiles .02 and .98, because distances of a quiet series are nearly 0 at most times.
//!
//! With `season: auto` the length of the season is looked for ([`crate::kernel::period`]) in the points so far, again each time a quarter more of
//! them have come; the point that is judged, and what comes after it, is never among them. While none is found, expected is the
//! median of the lookback. Cost: that of the kernel, O(log points). State: the values of the lookback.

use std::collections::VecDeque;

use bellwether_model::time::Span;
use serde::{Deserialize, Serialize};

use crate::calendar::{Calendar, Cycle};
use crate::kernel::mstl::Mstl;
use crate::kernel::period;
use crate::kernel::seasonal::Seasonal;
use crate::kernel::window::Window;
use crate::phases::Phases;
use crate::preset::Judgement;

/// So many earlier seasons say what is usual, at most.
pub const SEASONS: i64 = 7;
/// The scale is no less than this share of the distance between the quantiles .02 and .98.
const FLOOR: f64 = 0.2;
/// Distances before anything is scored.
const LEAST: usize = 24;
/// The most values that are held: 28 days of minutes.
const MOST: usize = 40_320;

/// What is expected of the next value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Usual {
    Season(Seasonal),
    Mstl(Mstl),
    Auto(Auto),
}

/// A season whose length is looked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Auto {
    held: VecDeque<(i64, f64)>,
    seen: usize,
    /// How many points must have been seen for the next look.
    next: usize,
    season: Option<(i64, Seasonal)>,
}

/// The state of one series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SeasonScorer {
    usual: Usual,
    lookback: Span,
    threshold: f64,
    distances: Window,
}

impl SeasonScorer {
    /// By this season; `None` looks for one. `threshold`: robust standard deviations at the decision line.
    pub fn of(cycle: Option<Cycle>, calendar: &Calendar, lookback: Span, threshold: f64) -> Self {
        let usual = match cycle {
            Some(cycle) => Usual::Season(season(cycle, calendar.clone(), lookback)),
            None => Usual::Auto(Auto { held: VecDeque::new(), seen: 0, next: period::LEAST, season: None }),
        };
        Self::new(usual, lookback, threshold)
    }

    /// By level, day and week together.
    pub fn mstl(calendar: &Calendar, lookback: Span, threshold: f64) -> Self {
        Self::new(Usual::Mstl(Mstl::new(calendar, lookback)), lookback, threshold)
    }

    fn new(usual: Usual, lookback: Span, threshold: f64) -> Self {
        Self { usual, lookback, threshold, distances: Window::new(lookback.micros(), MOST) }
    }

    /// What is to say of a measurement at time `t` in microseconds, not before the latest; `None` without enough history. Its score is 1.0
    /// at the threshold.
    pub fn judge(&mut self, t: i64, x: f64) -> Option<Judgement> {
        self.distances.forget(t);
        let expected = match &mut self.usual {
            Usual::Season(seasonal) => seasonal.push(t, x),
            Usual::Mstl(mstl) => mstl.push(t, x),
            Usual::Auto(auto) => auto.push(t, x, self.lookback, &mut self.distances),
        };
        let expected = expected?;
        let known = self.distances.robust(FLOOR).filter(|_| self.distances.len() >= LEAST);
        self.distances.push(t, x - expected);
        let (shift, scale) = known?;
        let usual = expected + shift;
        let reach = (self.threshold * scale).max(1e-6 * usual.abs()).max(1e-9);
        let score = (x - usual).abs() / reach;
        Some(Judgement { score, alone: score, expected: usual, lower: usual - reach, upper: usual + reach })
    }
}

/// The running median around the same phase of as many seasons as the lookback holds, seven at most.
fn season(cycle: Cycle, calendar: Calendar, lookback: Span) -> Seasonal {
    let seasons = (lookback.micros() / cycle.length().micros().max(1)).clamp(1, SEASONS);
    Seasonal::by(Phases::new(cycle, calendar, cycle.length().times(seasons)))
}

impl Auto {
    /// What is expected at `t`; 0 while there is no season, so that distances are the values themselves.
    fn push(&mut self, t: i64, x: f64, lookback: Span, distances: &mut Window) -> Option<f64> {
        while self.held.front().is_some_and(|(at, _)| t.saturating_sub(*at) > lookback.micros()) || self.held.len() >= MOST {
            self.held.pop_front();
        }
        if self.seen >= self.next {
            self.next = self.seen + self.seen / 4;
            self.look(lookback, distances);
        }
        self.held.push_back((t, x));
        self.seen += 1;
        match &mut self.season {
            Some((_, seasonal)) => seasonal.push(t, x),
            None => Some(0.0),
        }
    }

    /// Looks for a season in what is held; where it is another one, everything held is gone through by it.
    fn look(&mut self, lookback: Span, distances: &mut Window) {
        let (ts, values): (Vec<i64>, Vec<f64>) = self.held.iter().copied().unzip();
        let found = period::period(&ts, &values);
        if found == self.season.as_ref().map(|(length, _)| *length) {
            return;
        }
        self.season = found.map(|length| (length, season(Cycle::Every(Span::from_micros(length)), Calendar::default(), lookback)));
        *distances = Window::new(lookback.micros(), MOST);
        for (t, x) in &self.held {
            let expected = self.season.as_mut().map_or(Some(0.0), |(_, seasonal)| seasonal.push(*t, *x));
            if let Some(expected) = expected {
                distances.push(*t, x - expected);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drift::stream::Stream;
    use proptest::prelude::*;

    const HOUR: i64 = 3_600_000_000;
    const FOUR_WEEKS: Span = Span::from_days(28);

    fn scorers() -> [SeasonScorer; 3] {
        let calendar = Calendar { zone: "Europe/Berlin".parse().unwrap(), holidays: Vec::new() };
        [
            SeasonScorer::of(Some(Cycle::HourOfDay), &calendar, FOUR_WEEKS, 5.0),
            SeasonScorer::of(None, &calendar, FOUR_WEEKS, 5.0),
            SeasonScorer::mstl(&calendar, FOUR_WEEKS, 5.0),
        ]
    }

    /// A wave of the day with noise, hourly.
    fn wave(n: usize) -> Vec<f64> {
        let mut noise = Stream::new(11);
        (0..n).map(|h| 50.0 + 20.0 * (h as f64 / 24.0 * std::f64::consts::TAU).sin() + noise.normal()).collect()
    }

    fn scores(scorer: &mut SeasonScorer, values: &[f64]) -> Vec<f64> {
        (0i64..).zip(values).map(|(h, x)| scorer.judge(h * HOUR, *x).map_or(0.0, |j| j.score)).collect()
    }

    #[test]
    fn a_daytime_value_at_night_stands_out_and_nothing_else_does() {
        let mut values = wave(24 * 40);
        let night = 24 * 35 + 18;
        values[night] = 70.0;
        for (i, scorer) in scorers().iter_mut().enumerate() {
            let scores = scores(scorer, &values);
            let out: Vec<usize> = (0..scores.len()).filter(|h| scores[*h] > 1.0).collect();
            assert!(out == [night] && scores[night] > 2.0, "{i}: {out:?}");
            let mut plain =
                SeasonScorer::new(Usual::Auto(Auto { held: VecDeque::new(), seen: 0, next: usize::MAX, season: None }), FOUR_WEEKS, 5.0);
            assert!(
                (0i64..).zip(&values).all(|(h, x)| plain.judge(h * HOUR, *x).is_none_or(|j| j.score < 1.0)),
                "without a season it is common"
            );
        }
    }

    #[test]
    fn what_is_empty_constant_or_far_away_is_borne() {
        for mut scorer in scorers() {
            assert_eq!(scores(&mut scorer.clone(), &[]), [0.0; 0]);
            assert_eq!(scores(&mut scorer.clone(), &[7.0; 900]), [0.0; 900]);
            let mut wild = vec![-1e119; 900];
            wild.iter_mut().step_by(3).for_each(|x| *x = 1e119);
            assert!(scores(&mut scorer.clone(), &wild).iter().all(|s| s.is_finite()));
            // After a gap of more than everything, history begins anew.
            let _ = scores(&mut scorer, &wave(24 * 30));
            assert_eq!(scorer.judge(24 * 365 * HOUR, 9e9), None);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn saved_and_continued_shifted_and_scaled(cut in 1usize..900, power in -3i32..6, shift in -64i32..64, gap in 0i64..400) {
            let values = wave(900);
            let at = |h: usize| (h as i64 + if h > 500 { gap } else { 0 }) * HOUR;
            for (mut whole, mut other) in scorers().into_iter().zip(scorers()) {
                for (h, x) in values.iter().enumerate() {
                    if h == cut {
                        other = serde_json::from_str(&serde_json::to_string(&other).unwrap()).unwrap();
                    }
                    let moved = x * 2f64.powi(power) + f64::from(shift);
                    let (a, b) = (whole.judge(at(h), *x), other.judge(at(h), moved));
                    prop_assert_eq!(a.is_some(), b.is_some());
                    let (a, b) = (a.map_or(0.0, |j| j.score), b.map_or(0.0, |j| j.score));
                    prop_assert!((a - b).abs() < 1e-6 * a.max(1.0), "{} {} {}", h, a, b);
                }
            }
        }
    }
}
