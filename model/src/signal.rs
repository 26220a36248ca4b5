//! A signal: one deviation of one series or column, with open and close time. One row per transition, never per evaluation.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::dataset::DatasetId;
use crate::id::{Fingerprint, RoundId, RuleName, SeriesId, SignalId};
use crate::series::Labels;
use crate::time::{Span, Timestamp};
use crate::unit::Unit;

/// The method that raised a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Distance from the mean of a window in standard deviations.
    Zscore,
    /// Exponentially weighted moving average with control limits.
    Ewma,
    /// Population stability index.
    Psi,
    /// Kolmogorov–Smirnov statistic.
    Ks,
    /// A fixed bound that the rule gives.
    Bound,
    /// The ready-made detector of new distributions.
    Novelty,
    /// The ready-made detector of short spikes.
    Telemetry,
    /// One of the two, or both weighted.
    Auto,
    /// Distance from the median of the same phase of earlier seasons.
    Seasonal,
    /// Distance from level, day and week together.
    Mstl,
    /// Departure from what the other series of a group explain.
    Peers,
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Zscore => "zscore",
            Self::Ewma => "ewma",
            Self::Psi => "psi",
            Self::Ks => "ks",
            Self::Bound => "bound",
            Self::Novelty => "novelty",
            Self::Telemetry => "telemetry",
            Self::Auto => "auto",
            Self::Seasonal => "seasonal",
            Self::Mstl => "mstl",
            Self::Peers => "peers",
        })
    }
}

/// Which way a value left its band.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Above the upper bound.
    Up,
    /// Below the lower bound.
    Down,
    /// The distribution changed shape; there is no up or down.
    Shape,
}

/// How bad it is. Ordered: `Info < Warning < Critical`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Worth looking at.
    Warning,
    /// Users feel it.
    Critical,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        })
    }
}

/// What deviates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Subject {
    /// A metric series.
    Series {
        /// Its identity.
        series_id: SeriesId,
        /// Its metric name.
        metric: String,
        /// Its labels.
        labels: Labels,
    },
    /// A column of a dataset.
    Column {
        /// The dataset.
        dataset: DatasetId,
        /// The column's name.
        column: String,
    },
}

impl Subject {
    /// A text that is equal exactly for equal subjects.
    pub fn key(&self) -> String {
        match self {
            Self::Series { series_id, .. } => format!("series:{series_id}"),
            Self::Column { dataset, column } => format!("column:{dataset}:{column}"),
        }
    }
    /// The label's value, where the subject is a series that has it.
    pub fn label(&self, name: &str) -> Option<&str> {
        match self {
            Self::Series { labels, .. } => labels.get(name).map(String::as_str),
            Self::Column { .. } => None,
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Series { metric, labels, .. } => {
                f.write_str(metric)?;
                if !labels.is_empty() {
                    let shown: Vec<_> = labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
                    write!(f, "{{{}}}", shown.join(","))?;
                }
                Ok(())
            }
            Self::Column { dataset, column } => write!(f, "{dataset}#{column}"),
        }
    }
}

/// Where a signal stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignalState {
    /// It began.
    Opened,
    /// It is still open, and its score rose enough to be worth a row.
    Worsened,
    /// It is over.
    Closed,
}

/// One transition of a signal. A row of the table `signals`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Signal {
    /// Same for all transitions of one signal: hash of fingerprint and opening time.
    pub signal_id: SignalId,
    /// Same for all signals of this rule, method and subject.
    pub fingerprint: Fingerprint,
    /// The rule that judged.
    pub rule: RuleName,
    /// The method that judged.
    pub method: Method,
    /// What deviates.
    pub subject: Subject,
    /// This transition.
    pub state: SignalState,
    /// Time of the first sample outside the band.
    pub opened_at: Timestamp,
    /// Time of the latest sample that was judged.
    pub last_at: Timestamp,
    /// Time of the first sample of the calm that ended it.
    pub closed_at: Option<Timestamp>,
    /// Highest score so far; 1.0 is the decision line of every method.
    pub score: f64,
    /// The value at the highest score, in `unit`.
    pub value: f64,
    /// What was expected there.
    pub expected: f64,
    /// Lower bound of the band there.
    pub lower: f64,
    /// Upper bound of the band there.
    pub upper: f64,
    /// Probability of such a value without a change, where the method gives one.
    pub p_value: Option<f64>,
    /// Which way it left the band.
    pub direction: Direction,
    /// How bad it is.
    pub severity: Severity,
    /// Unit of value, expected and bounds.
    pub unit: Unit,
    /// What a person should read: with numbers, units, and for how long.
    pub hint: String,
    /// The round that saw it.
    pub round_id: RoundId,
    /// When the row was written.
    pub recorded_at: Timestamp,
}

impl Signal {
    /// The fingerprint of a rule and method on a subject.
    pub fn fingerprint_of(rule: &RuleName, method: Method, subject: &Subject) -> Fingerprint {
        Fingerprint::of(&[rule.as_str(), &method.to_string(), &subject.key()])
    }
    /// The id of the signal with this fingerprint that opened then.
    pub fn id_of(fingerprint: &Fingerprint, opened_at: Timestamp) -> SignalId {
        SignalId::of(&[fingerprint.as_str(), &opened_at.micros().to_string()])
    }
    /// Whether it has not ended.
    pub fn is_open(&self) -> bool {
        self.state != SignalState::Closed
    }
    /// How a hint of a series ends that says for how long: ` for 4m`; nothing for no time at all.
    pub fn lasting(from: Timestamp, until: Timestamp) -> String {
        let span = until.since(from);
        if span == Span::ZERO { String::new() } else { format!(" for {span}") }
    }
    /// The hint as of a later time. The stored one speaks of its transition; an open signal lasts until `at`, and one that ended
    /// stays as it was told.
    pub fn hint_at(&self, at: Timestamp) -> String {
        if !self.is_open() || matches!(self.subject, Subject::Column { .. }) {
            return self.hint.clone();
        }
        let told = Self::lasting(self.opened_at, self.last_at);
        let words = self.hint.strip_suffix(told.as_str()).unwrap_or(&self.hint);
        format!("{words}{}", Self::lasting(self.opened_at, at.max(self.last_at)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::DatasetId;

    #[test]
    fn an_open_signal_lasts_until_the_time_that_is_asked_for() {
        let minute = |n: i64| Timestamp::from_secs(n * 60);
        let subject = Subject::Series { series_id: SeriesId(1), metric: "queue".into(), labels: Labels::new() };
        let fingerprint = Signal::fingerprint_of(&"queue".into(), Method::Zscore, &subject);
        let mut signal = Signal {
            signal_id: Signal::id_of(&fingerprint, minute(0)),
            fingerprint,
            rule: "queue".into(),
            method: Method::Zscore,
            subject,
            state: SignalState::Opened,
            opened_at: minute(0),
            last_at: minute(4),
            closed_at: None,
            score: 2.0,
            value: 40.0,
            expected: 1.0,
            lower: 0.0,
            upper: 3.0,
            p_value: None,
            direction: Direction::Up,
            severity: Severity::Warning,
            unit: Unit::Number,
            hint: "queue is 40, 40 x its expected 1 (usual up to 3) for 4m".into(),
            round_id: RoundId::new("rnd"),
            recorded_at: minute(5),
        };
        assert_eq!(signal.hint_at(minute(155)), "queue is 40, 40 x its expected 1 (usual up to 3) for 2h 35m");
        assert_eq!(signal.hint_at(minute(0)), signal.hint, "never before what is known");
        signal.hint = "queue is 40".into();
        assert_eq!(signal.hint_at(minute(155)), "queue is 40 for 2h 35m");
        (signal.state, signal.closed_at) = (SignalState::Closed, Some(minute(9)));
        assert_eq!(signal.hint_at(minute(155)), "queue is 40");
        let dataset = DatasetId { namespace: "s3://raw".into(), name: "orders".into() };
        (signal.state, signal.subject) = (SignalState::Opened, Subject::Column { dataset, column: "amount".into() });
        assert_eq!(signal.hint_at(minute(155)), "queue is 40", "of a column each profile says what it saw");
    }
}
