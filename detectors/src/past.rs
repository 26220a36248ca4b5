//! The samples of one series that a baseline may use.

use std::borrow::Cow;

use crate::band::is_measurement;

/// A series in order of time, with what is kept out of the baseline.
#[derive(Clone, Copy, Debug)]
pub struct Past<'a> {
    /// Times, microseconds since the epoch, strictly ascending.
    pub ts: &'a [i64],
    /// Values, all measurements ([`crate::band::is_measurement`]).
    pub values: &'a [f64],
    /// Whether the sample belongs to the baseline: not while it is part of a signal.
    pub feeds: &'a [bool],
    /// Samples before this position are of a former normal and do not count.
    pub floor: usize,
}

impl Past<'_> {
    /// The position of the first sample at `from` or later, not below the floor and not beyond `end`.
    pub(crate) fn position(&self, from: i64, end: usize) -> usize {
        self.ts[..end].partition_point(|t| *t < from).max(self.floor).min(end)
    }
}

/// The samples of a series that are measurements. Usually all, and then nothing is copied.
pub(crate) fn measurements<'a>(ts: &'a [i64], values: &'a [f64]) -> (Cow<'a, [i64]>, Cow<'a, [f64]>) {
    if values.iter().all(|v| is_measurement(*v)) {
        return (Cow::Borrowed(ts), Cow::Borrowed(values));
    }
    let (ts, values): (Vec<i64>, Vec<f64>) = ts.iter().zip(values).filter(|(_, v)| is_measurement(**v)).map(|(t, v)| (*t, *v)).unzip();
    (Cow::Owned(ts), Cow::Owned(values))
}
