//! What was usual at each point of one series, to draw it.

use bellwether_model::series::SeriesSlice;
use bellwether_model::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::past::measurements;
use crate::rule::Rule;
use crate::scan::{Seen, scan};

/// A judged point and its band.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BandPoint {
    /// Time of the sample.
    pub ts: Timestamp,
    /// Its value.
    pub value: f64,
    /// What was expected.
    pub expected: f64,
    /// Lower bound of the band; for a rule that bounds only above, the bound.
    pub lower: f64,
    /// Upper bound of the band; for a rule that bounds only below, the bound.
    pub upper: f64,
    /// Score of the value; beyond 1.0 it deviates.
    pub score: f64,
    /// Whether a signal was open then.
    pub in_signal: bool,
}

/// The judged points of one series in order of time, by the same scan that [`crate::detect::detect`] runs from the
/// slice's beginning. Samples without enough history before them, and those that are no numbers, are left out; so give the slice a
/// lookback more than is to be drawn.
pub fn bands(rule: &Rule, slice: SeriesSlice<'_>) -> Vec<BandPoint> {
    let (ts, values) = measurements(slice.ts, slice.values);
    let mut points = Vec::new();
    scan::<true, _>(rule, (&ts, &values), &[], (i64::MIN, ts.last().copied().unwrap_or_default()), None, &mut Vec::new(), |seen| {
        if let Seen::Point { position, band, in_signal } = seen {
            let value = values[position];
            points.push(BandPoint {
                ts: Timestamp::from_micros(ts[position]),
                value,
                expected: band.expected,
                lower: band.lower,
                upper: band.upper,
                score: band.score(rule.watch, value),
                in_signal,
            });
        }
    });
    points
}
