//! For wide events: has this stretch of time been seen before?
//!
//! The score is the share of [`Votes`] that find the distribution of the latest values new, plus the share that find the
//! distribution of the distances from the daily median new, plus 1 beyond the range so far, plus a little for a rare distance from the
//! exponentially weighted mean, which decides between equals. Then only records count: one event, one alarm.

use serde::{Deserialize, Serialize};

use super::votes::Votes;
use super::{DAY, DAYS, Judgement};
use crate::kernel::ewma::Ewma;
use crate::kernel::hold::Hold;
use crate::kernel::range::Range;
use crate::kernel::record::Record;
use crate::kernel::seasonal::Seasonal;
use crate::kernel::tail::Tail;

/// Points that are only learned from.
pub const WARM_UP: usize = 500;
/// Distances from the daily median that are only learned from.
const WARM_UP_OF_DISTANCES: usize = 250;
/// How much wider than what was seen in the warm-up the range of the bins is, on each side.
const PAD: f64 = 1.25;
/// A vote counts for so many points, so that voters need not agree on the very point.
const VOTE_HOLD: usize = 10;
/// A value beyond the range, or a rare distance, counts for so many points.
const HOLD: usize = 20;
/// An alarm is not repeated for so many points unless it becomes worse.
const RECORD: usize = 150;
/// How far beyond the range so far a value must lie, in widths of the range.
const BEYOND: f64 = 0.1;
/// Half-life in points of the mean and variance, and how many scores their tail remembers.
const HALF_LIFE: f64 = 69.0;
const TAIL: usize = 3_000;
/// The most that a rare distance adds, where one in a million would be rare in full.
const TAIL_WEIGHT: f64 = 0.15;
/// The score at the decision line.
pub const LINE: f64 = 0.54;

/// The state of one series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NoveltyScorer {
    points: usize,
    values: Votes,
    daily: Seasonal,
    distances: Votes,
    range: Range,
    beyond: Hold,
    ewma: Ewma,
    tail: Tail,
    rare: Hold,
    record: Record,
}

impl Default for NoveltyScorer {
    fn default() -> Self {
        Self {
            points: 0,
            values: Votes::new(WARM_UP, PAD, VOTE_HOLD),
            daily: Seasonal::new(DAY, DAYS),
            distances: Votes::new(WARM_UP_OF_DISTANCES, PAD, VOTE_HOLD),
            range: Range::default(),
            beyond: Hold::new(HOLD),
            ewma: Ewma::new(HALF_LIFE),
            tail: Tail::new(TAIL),
            rare: Hold::new(HOLD),
            record: Record::new(RECORD),
        }
    }
}

impl NoveltyScorer {
    /// What is to say of a measurement at time `t` in microseconds; `None` while warming up. The score is 0 to about 6. Expected is the
    /// weighted mean; the bounds are those of the range so far, and [`BEYOND`] of its width more.
    pub fn judge(&mut self, t: i64, x: f64) -> Option<Judgement> {
        self.points += 1;
        let new_values = self.values.push(x);
        let new_distances = self.daily.push(t, x).map_or(0.0, |usual| self.distances.push(x - usual));
        let expected = self.ewma.mean().unwrap_or(x);
        let z = self.ewma.push(self.points as i64, x).abs();
        let rare = self.rare.push((-self.tail.push(z).log10() / 6.0).min(1.0));
        let (low, high) = self.range.seen().unwrap_or((x, x));
        let is_beyond = self.range.push(x) >= BEYOND && self.points > WARM_UP;
        let beyond = self.beyond.push(f64::from(u8::from(is_beyond)));
        if self.points <= WARM_UP {
            return None;
        }
        let score = self.record.push(new_values + new_distances + beyond + TAIL_WEIGHT * rare) / LINE;
        let margin = BEYOND * (high - low);
        Some(Judgement { score, alone: score, expected, lower: low - margin, upper: high + margin })
    }
}
