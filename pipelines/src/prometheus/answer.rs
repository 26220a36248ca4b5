//! Reading what Prometheus answers: typed, in one pass over the bytes, straight into columns.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use bellwether_model::series::Labels;
use bellwether_model::time::{Span, Timestamp};
use serde::de::{DeserializeOwned, DeserializeSeed, IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::PrometheusError;

/// Samples that were not taken, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// No values: NaN, as of a ratio without traffic, which is 0/0, or of a series that ended.
    pub nan: u64,
    /// Values that are infinite.
    pub infinite: u64,
    /// Native histograms, which have no single value.
    pub histograms: u64,
    /// Samples that came a second time or out of order; the later of two at one time was kept.
    pub repeated: u64,
}

/// One series of a range: times in microseconds, strictly ascending; values finite.
#[derive(Clone, Debug, PartialEq)]
pub struct RangeSeries {
    /// All labels, `__name__` too where Prometheus gave it.
    pub labels: Labels,
    /// Times, microseconds since the epoch.
    pub ts: Vec<i64>,
    /// Values.
    pub values: Vec<f64>,
}

/// What a range query gave.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RangeAnswer {
    /// The series that have at least one sample, in order of their labels.
    pub series: Vec<RangeSeries>,
    /// What was left out.
    pub dropped: Dropped,
    /// What Prometheus warned of, each once.
    pub warnings: BTreeSet<String>,
}

impl RangeAnswer {
    /// How many samples there are.
    pub fn samples(&self) -> usize {
        self.series.iter().map(|s| s.ts.len()).sum()
    }
}

/// One sample of an instant query.
#[derive(Clone, Debug, PartialEq)]
pub struct InstantSample {
    /// All labels.
    pub labels: Labels,
    /// The value; may be a NaN or infinite.
    pub value: f64,
}

/// The envelope of every good answer.
#[derive(Debug)]
pub(super) struct Envelope<T> {
    pub(super) data: T,
    pub(super) warnings: Vec<String>,
}

#[derive(Deserialize)]
struct RawEnvelope<T> {
    #[serde(default = "Option::default")]
    data: Option<T>,
    #[serde(default)]
    warnings: Vec<String>,
    #[serde(default)]
    infos: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawRefusal {
    #[serde(default)]
    error_type: String,
    error: String,
}

/// The `data` of a query.
#[derive(Debug, Deserialize)]
#[serde(tag = "resultType", content = "result", rename_all = "lowercase")]
pub(super) enum Query {
    Matrix(Vec<MatrixSeries>),
    Vector(Vec<VectorSample>),
    Scalar(Point),
    String(IgnoredAny),
}

#[derive(Debug, Deserialize)]
pub(super) struct MatrixSeries {
    metric: Labels,
    #[serde(default)]
    values: Points,
    #[serde(default)]
    histograms: Vec<IgnoredAny>,
}

#[derive(Debug, Deserialize)]
pub(super) struct VectorSample {
    metric: Labels,
    #[serde(default)]
    value: Option<Point>,
}

/// Reads the envelope of a good answer.
pub(super) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<Envelope<T>, PrometheusError> {
    let unreadable = |message: String| PrometheusError::Upstream { status: 200, message };
    let raw: RawEnvelope<T> =
        serde_json::from_slice(body).map_err(|e| unreadable(format!("this is not an answer of the Prometheus API: {e}")))?;
    let data = raw.data.ok_or_else(|| unreadable("the answer has no data".into()))?;
    Ok(Envelope { data, warnings: raw.warnings.into_iter().chain(raw.infos).collect() })
}

/// What an answer with another status than 200 means.
pub(super) fn refusal(status: u16, body: &[u8]) -> PrometheusError {
    let Ok(raw) = serde_json::from_slice::<RawRefusal>(body) else {
        let hint = match status {
            300..=399 => "it redirects; write the address that it redirects to".to_owned(),
            401 | 403 => "it wants other credentials: see bearer_token_file and basic_auth".to_owned(),
            _ => String::from_utf8_lossy(body).chars().take(500).collect(),
        };
        return PrometheusError::Upstream { status, message: hint };
    };
    let message = raw.error;
    match (status, raw.error_type.as_str()) {
        _ if message.contains("too many samples") || message.contains("maximum resolution") => PrometheusError::Limit { message },
        (503, _) | (_, "timeout" | "canceled") => PrometheusError::Timeout { message },
        (400 | 422, _) => PrometheusError::BadQuery { message },
        _ => PrometheusError::Upstream { status, message },
    }
}

/// The samples of an instant answer.
pub(super) fn instant(envelope: Envelope<Query>) -> Vec<InstantSample> {
    match envelope.data {
        Query::Vector(samples) => samples.into_iter().filter_map(|s| Some(InstantSample { labels: s.metric, value: s.value?.1 })).collect(),
        Query::Scalar(point) => vec![InstantSample { labels: Labels::new(), value: point.1 }],
        // An instant query of a range selector: the newest sample of each series.
        Query::Matrix(series) => {
            series.into_iter().filter_map(|s| Some(InstantSample { value: *s.values.values.last()?, labels: s.metric })).collect()
        }
        Query::String(_) => Vec::new(),
    }
}

/// Joins the answers of chunks that follow each other in time.
#[derive(Default)]
pub(super) struct Join {
    series: BTreeMap<Labels, Points>,
    answer: RangeAnswer,
}

impl Join {
    pub(super) fn add(&mut self, part: Envelope<Query>) {
        self.answer.warnings.extend(part.warnings);
        let Query::Matrix(series) = part.data else { return };
        for MatrixSeries { metric, values, histograms } in series {
            self.answer.dropped.histograms += histograms.len() as u64;
            match self.series.entry(metric) {
                std::collections::btree_map::Entry::Vacant(place) => {
                    place.insert(values);
                }
                std::collections::btree_map::Entry::Occupied(mut known) => known.get_mut().append(values),
            }
        }
    }

    /// The answer from `start` on, without the values of windows that are not full.
    pub(super) fn finish(mut self, start: Timestamp, window: Span) -> RangeAnswer {
        for (labels, mut points) in self.series {
            if window > Span::ZERO {
                points.settle(start.micros(), window.micros());
            }
            points.clean(&mut self.answer.dropped);
            if !points.ts.is_empty() {
                self.answer.series.push(RangeSeries { labels, ts: points.ts, values: points.values });
            }
        }
        self.answer
    }
}

/// Samples in columns, as they come.
#[derive(Debug, Default)]
pub(super) struct Points {
    ts: Vec<i64>,
    values: Vec<f64>,
}

impl Points {
    fn append(&mut self, mut other: Self) {
        self.ts.append(&mut other.ts);
        self.values.append(&mut other.values);
    }

    /// Leaves what is not before `start` and at least `window` after the series came, or came back after longer than `window`. A NaN
    /// counts as being there.
    fn settle(&mut self, start: i64, window: i64) {
        let (mut kept, mut came, mut last) = (0, None, None);
        for i in 0..self.ts.len() {
            let (t, value) = (self.ts[i], self.values[i]);
            if last.is_none_or(|last| t - last > window) {
                came = Some(t);
            }
            last = Some(t);
            if t >= start && came.is_some_and(|came| t - came >= window) {
                (self.ts[kept], self.values[kept]) = (t, value);
                kept += 1;
            }
        }
        self.ts.truncate(kept);
        self.values.truncate(kept);
    }

    /// Leaves finite values at strictly ascending times. Of two values at one time the later in the answer wins.
    fn clean(&mut self, dropped: &mut Dropped) {
        let mut kept = 0;
        let mut ordered = true;
        for i in 0..self.ts.len() {
            let (t, value) = (self.ts[i], self.values[i]);
            if value.is_nan() {
                dropped.nan += 1;
            } else if value.is_infinite() {
                dropped.infinite += 1;
            } else {
                ordered &= kept == 0 || self.ts[kept - 1] < t;
                (self.ts[kept], self.values[kept]) = (t, value);
                kept += 1;
            }
        }
        self.ts.truncate(kept);
        self.values.truncate(kept);
        if !ordered {
            let latest: BTreeMap<i64, f64> = self.ts.iter().copied().zip(self.values.iter().copied()).collect();
            dropped.repeated += (self.ts.len() - latest.len()) as u64;
            (self.ts, self.values) = latest.into_iter().unzip();
        }
    }
}

impl<'de> Deserialize<'de> for Points {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Columns;
        impl<'de> Visitor<'de> for Columns {
            type Value = Points;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of [time, value]")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Points, A::Error> {
                let mut points = Points::default();
                while let Some(Point(t, value)) = list.next_element()? {
                    points.ts.push(t);
                    points.values.push(value);
                }
                Ok(points)
            }
        }
        deserializer.deserialize_seq(Columns)
    }
}

/// One `[time, "value"]`: microseconds and the number that the text means.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point(i64, f64);

impl<'de> Deserialize<'de> for Point {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pair;
        impl<'de> Visitor<'de> for Pair {
            type Value = Point;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("[time, value]")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut pair: A) -> Result<Point, A::Error> {
                let short = || serde::de::Error::custom("a sample is [time, value]");
                let seconds: f64 = pair.next_element()?.ok_or_else(short)?;
                let value = pair.next_element_seed(Number)?.ok_or_else(short)?;
                // Prometheus keeps milliseconds; a float of seconds is exact to them after rounding.
                Ok(Point((seconds * 1e3).round() as i64 * 1_000, value))
            }
        }
        deserializer.deserialize_seq(Pair)
    }
}

/// A number that is written as text, `"NaN"` and `"+Inf"` among them.
struct Number;

impl<'de> DeserializeSeed<'de> for Number {
    type Value = f64;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<f64, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = f64;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number in quotes")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<f64, E> {
                text.parse().map_err(|_| E::custom(format_args!("{:?} is not a number", Cow::from(text))))
            }
        }
        deserializer.deserialize_str(Text)
    }
}
