//! A metric's identity and its samples.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use crate::id::SeriesId;

/// Labels, sorted by name, without the metric name.
pub type Labels = BTreeMap<String, String>;

/// What a series is: its metric and labels. A row of the table `series`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Series {
    /// Hash of metric and labels; see [`Series::new`].
    pub series_id: SeriesId,
    /// Metric name: the name of the rule that asked for it.
    pub metric: String,
    /// All labels of the series.
    pub labels: Labels,
}

impl Series {
    /// The series of this metric and these labels, with its id.
    pub fn new(metric: impl Into<String>, labels: Labels) -> Self {
        let metric = metric.into();
        let mut hash = Xxh3::new();
        let mut feed = |text: &str| {
            hash.update(&(text.len() as u64).to_le_bytes());
            hash.update(text.as_bytes());
        };
        feed(&metric);
        for (name, value) in &labels {
            feed(name);
            feed(value);
        }
        Self { series_id: SeriesId(hash.digest() as i64), metric, labels }
    }
}

impl fmt::Display for Series {
    /// As Prometheus writes it: `latency_p95{namespace="ml", service="iris"}`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.metric)?;
        if self.labels.is_empty() {
            return Ok(());
        }
        f.write_str("{")?;
        for (i, (name, value)) in self.labels.iter().enumerate() {
            write!(f, "{}{name}={value:?}", if i == 0 { "" } else { ", " })?;
        }
        f.write_str("}")
    }
}

/// Samples on their way in, in any order: sample `i` belongs to `series[index[i]]`.
#[derive(Clone, Debug, Default)]
pub struct Samples {
    /// The series, each once.
    pub series: Vec<Series>,
    /// For each sample, the position of its series in `series`.
    pub index: Vec<u32>,
    /// Times, microseconds since the epoch.
    pub ts: Vec<i64>,
    /// Values, finite.
    pub values: Vec<f64>,
}

impl Samples {
    /// How many samples there are.
    pub fn len(&self) -> usize {
        self.ts.len()
    }
    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.ts.is_empty()
    }
    /// Adds a series with its samples.
    pub fn push(&mut self, series: Series, ts: &[i64], values: &[f64]) {
        debug_assert_eq!(ts.len(), values.len());
        let position = u32::try_from(self.series.len()).expect("fewer than 2^32 series in one batch");
        self.series.push(series);
        self.index.resize(self.index.len() + ts.len(), position);
        self.ts.extend_from_slice(ts);
        self.values.extend_from_slice(values);
    }
}

/// Several series in one block: each series' samples lie together, in order of time. No NaN and no infinity.
#[derive(Clone, Debug, Default)]
pub struct Window {
    /// The series, in order of `series_id`.
    pub series: Vec<Series>,
    /// Series `i` owns the samples `offsets[i]..offsets[i + 1]`; one longer than `series`.
    pub offsets: Vec<usize>,
    /// Times of the samples, microseconds since the epoch, strictly ascending within a series.
    pub ts: Vec<i64>,
    /// Values of the samples.
    pub values: Vec<f64>,
}

/// One series of a [`Window`].
#[derive(Clone, Copy, Debug)]
pub struct SeriesSlice<'a> {
    /// What it is.
    pub series: &'a Series,
    /// Times of its samples, microseconds since the epoch, strictly ascending.
    pub ts: &'a [i64],
    /// Values of its samples, finite.
    pub values: &'a [f64],
}

impl Window {
    /// An empty window, to be filled with [`Window::push`].
    pub fn new() -> Self {
        Self { offsets: vec![0], ..Self::default() }
    }
    /// Adds a series after those already here.
    pub fn push(&mut self, series: Series, ts: &[i64], values: &[f64]) {
        debug_assert_eq!(ts.len(), values.len());
        if self.offsets.is_empty() {
            self.offsets.push(0);
        }
        self.series.push(series);
        self.ts.extend_from_slice(ts);
        self.values.extend_from_slice(values);
        self.offsets.push(self.ts.len());
    }
    /// Adds the series of another window after those already here.
    pub fn extend(&mut self, other: &Self) {
        for slice in other.iter() {
            self.push(slice.series.clone(), slice.ts, slice.values);
        }
    }
    /// A window of the series that are wanted.
    pub fn only(&self, wanted: impl Fn(&Series) -> bool) -> Self {
        let mut only = Self::new();
        for slice in self.iter().filter(|slice| wanted(slice.series)) {
            only.push(slice.series.clone(), slice.ts, slice.values);
        }
        only
    }
    /// How many series there are.
    pub fn len(&self) -> usize {
        self.series.len()
    }
    /// Whether there is no series.
    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }
    /// The series in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = SeriesSlice<'_>> {
        self.series.iter().zip(self.offsets.windows(2)).map(|(series, o)| SeriesSlice {
            series,
            ts: &self.ts[o[0]..o[1]],
            values: &self.values[o[0]..o[1]],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identity_is_in_names_and_values_and_their_boundaries() {
        let labels = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect::<Labels>();
        let a = Series::new("up", labels(&[("a", "1"), ("b", "2")]));
        assert_eq!(a, Series::new("up", labels(&[("b", "2"), ("a", "1")])));
        assert_ne!(a.series_id, Series::new("up", labels(&[("a", "1b"), ("", "2")])).series_id);
        assert_eq!(a.to_string(), r#"up{a="1", b="2"}"#);
        // Stored ledgers depend on this number: it may never change.
        assert_eq!(Series::new("up", Labels::new()).series_id.0, Series::new("up", Labels::new()).series_id.0);
    }
}
