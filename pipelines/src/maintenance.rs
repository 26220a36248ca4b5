//! Maintenance windows: spans of time in which some signals are kept and not told.
//!
//! ```yaml
//! maintenance:
//!   - name: driver update
//!     reason: CHG-1234
//!     from: 2026-03-03T22:00:00Z
//!     until: 2026-03-04T02:00:00Z
//!     covers: labels.pool == "a100" && severity != "critical"
//!   - name: nightly batch
//!     cron: "0 2 * * *"
//!     timezone: Europe/Berlin
//!     duration: 90m
//!     covers: metric == "gpu_utilization"
//! ```

use std::fmt;

use bellwether_detectors::silence::Hold;
use bellwether_governance::condition::{Condition, Sample, Value, Variable, Variables};
use bellwether_model::signal::{Signal, Subject};
use bellwether_model::suppression::SuppressionKind;
use bellwether_model::time::{Span, Timestamp};
use bellwether_model::zone::Zone;
use serde::{Deserialize, Deserializer, Serialize};

use crate::schedule::Schedule;

/// What a filter may ask of a signal.
pub const VARIABLES: &[Variable] = &[
    Variable {
        name: "labels",
        meaning: "labels of the series, as in labels.pool; empty where it has none of that name",
        sample: Sample::Texts,
    },
    Variable { name: "metric", meaning: "name of the metric; empty for a column", sample: Sample::Text },
    Variable { name: "rule", meaning: "name of the rule that judged", sample: Sample::Text },
    Variable { name: "method", meaning: "method of the rule, such as zscore", sample: Sample::Text },
    Variable { name: "severity", meaning: "info, warning or critical", sample: Sample::Text },
    Variable { name: "dataset", meaning: "namespace and name of the column's dataset; empty for a series", sample: Sample::Text },
    Variable { name: "column", meaning: "name of the column; empty for a series", sample: Sample::Text },
];

/// One maintenance window, once or again and again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Maintenance {
    /// What people call it.
    pub name: String,
    /// Why there is one, in words.
    pub reason: Option<String>,
    /// When it is.
    pub when: When,
    /// Which signals it covers; all when there is none.
    pub covers: Option<Filter>,
}

/// When a window is.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::large_enum_variant)] // a configuration has a handful of them
pub enum When {
    /// Once, from the first instant up to, but without, the second.
    Once(Timestamp, Timestamp),
    /// As often as the expression matches, for so long each time.
    Often {
        /// When it begins.
        cron: Schedule,
        /// In this time zone.
        timezone: Zone,
        /// For how long.
        duration: Span,
    },
}

/// A condition on signals.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Filter(Condition);

impl<'de> Deserialize<'de> for Filter {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        Condition::compile(&text, VARIABLES).map(Self).map_err(|e| {
            let hint = e.hint().map(|hint| format!("; {hint}")).unwrap_or_default();
            serde::de::Error::custom(format!("{e}{hint}"))
        })
    }
}

impl Filter {
    /// Whether it holds for a signal. One that cannot say does not hold: what is doubtful is told.
    fn holds(&self, signal: &Signal) -> bool {
        self.0.holds(&variables(signal)).unwrap_or(false)
    }
}

fn variables(signal: &Signal) -> Variables {
    let (labels, metric, dataset, column) = match &signal.subject {
        Subject::Series { metric, labels, .. } => (labels.clone(), metric.clone(), String::new(), String::new()),
        Subject::Column { dataset, column } => (Default::default(), String::new(), dataset.to_string(), column.clone()),
    };
    [
        ("labels", Value::Texts(labels)),
        ("metric", Value::Text(metric)),
        ("rule", Value::Text(signal.rule.to_string())),
        ("method", Value::Text(signal.method.to_string())),
        ("severity", Value::Text(signal.severity.to_string())),
        ("dataset", Value::Text(dataset)),
        ("column", Value::Text(column)),
    ]
    .into()
}

/// A window as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cron: Option<Schedule>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timezone: Option<Zone>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    duration: Option<Span>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    covers: Option<Filter>,
}

/// A window that says nothing, or two things.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MaintenanceError {
    /// It has no name to be told by.
    #[error("a maintenance window needs a name")]
    Nameless,
    /// Neither once nor again and again, or both.
    #[error("maintenance window {name:?} has {written}: it needs either from and until, or cron and duration with or without timezone")]
    When {
        /// Its name.
        name: String,
        /// What it says of its time.
        written: String,
    },
    /// The next begins before it is over, always.
    #[error("maintenance window {name:?} lasts {duration} and begins anew before it ends: it would cover everything, for good")]
    Endless {
        /// Its name.
        name: String,
        /// How long it lasts.
        duration: Span,
    },
    /// It ends before it begins.
    #[error("maintenance window {name:?} ends at {until}, which is not after its beginning at {from}")]
    Backwards {
        /// Its name.
        name: String,
        /// Its beginning.
        from: Timestamp,
        /// Its end.
        until: Timestamp,
    },
    /// It lasts no time.
    #[error("maintenance window {0:?} has a duration of zero; write it as 90m")]
    Instant(String),
}

impl TryFrom<Written> for Maintenance {
    type Error = MaintenanceError;
    fn try_from(text: Written) -> Result<Self, MaintenanceError> {
        let Written { name, reason, from, until, cron, timezone, duration, covers } = text;
        if name.trim().is_empty() {
            return Err(MaintenanceError::Nameless);
        }
        let when = match (from, until, cron, duration) {
            (Some(from), Some(until), None, None) if timezone.is_none() => {
                if until <= from {
                    return Err(MaintenanceError::Backwards { name, from, until });
                }
                When::Once(from, until)
            }
            (None, None, Some(cron), Some(duration)) => {
                if duration <= Span::ZERO {
                    return Err(MaintenanceError::Instant(name));
                }
                let timezone = timezone.unwrap_or_default();
                if is_endless(&cron, timezone, duration) {
                    return Err(MaintenanceError::Endless { name, duration });
                }
                When::Often { cron, timezone, duration }
            }
            (from, until, cron, duration) => {
                let keys = [
                    ("from", from.is_some()),
                    ("until", until.is_some()),
                    ("cron", cron.is_some()),
                    ("timezone", timezone.is_some()),
                    ("duration", duration.is_some()),
                ];
                let written: Vec<&str> = keys.into_iter().filter(|(_, is_written)| *is_written).map(|(key, _)| key).collect();
                let written = if written.is_empty() { "no time".to_owned() } else { written.join(", ") };
                return Err(MaintenanceError::When { name, written });
            }
        };
        Ok(Self { name, reason, when, covers })
    }
}

/// Whether each of the next windows begins before the one before is over, as far as a month of days tells.
fn is_endless(cron: &Schedule, timezone: Zone, duration: Span) -> bool {
    let mut begins = cron.next_after(Timestamp::from_secs(1_767_225_600), timezone);
    for _ in 0..31 {
        let Some(from) = begins else { return false };
        begins = cron.next_after(from, timezone);
        if begins.is_none_or(|next| next.since(from) > duration) {
            return false;
        }
    }
    true
}

impl From<Maintenance> for Written {
    fn from(window: Maintenance) -> Self {
        let (mut from, mut until, mut cron, mut timezone, mut duration) = (None, None, None, None, None);
        match window.when {
            When::Once(begins, ends) => (from, until) = (Some(begins), Some(ends)),
            When::Often { cron: c, timezone: z, duration: d } => (cron, timezone, duration) = (Some(c), Some(z), Some(d)),
        }
        Self { name: window.name, reason: window.reason, from, until, cron, timezone, duration, covers: window.covers }
    }
}

impl fmt::Display for Maintenance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reason {
            Some(reason) => write!(f, "maintenance window {:?}: {reason}", self.name),
            None => write!(f, "maintenance window {:?}", self.name),
        }
    }
}

impl Maintenance {
    /// When it holds this signal back between its opening and `to`; nothing when it does not cover the signal.
    pub fn holds(&self, signal: &Signal, to: Timestamp) -> Vec<Hold> {
        let spans = self.spans(signal.opened_at, to);
        if spans.is_empty() || self.covers.as_ref().is_some_and(|filter| !filter.holds(signal)) {
            return Vec::new();
        }
        let hold = |(from, until)| Hold {
            kind: SuppressionKind::Maintenance,
            cause: self.name.clone(),
            detail: self.to_string(),
            from,
            until: Some(until),
        };
        spans.into_iter().map(hold).collect()
    }

    /// The spans of the window that share an instant with `from` to `to`, both included, in order.
    fn spans(&self, from: Timestamp, to: Timestamp) -> Vec<(Timestamp, Timestamp)> {
        match &self.when {
            When::Once(begins, ends) => Some((*begins, *ends)).filter(|_| *begins <= to && from < *ends).into_iter().collect(),
            When::Often { cron, timezone, duration } => {
                let mut spans = Vec::new();
                // The latest that began by then, and what begins later.
                let mut next = cron.latest_until(from, *timezone).filter(|begins| from < *begins + *duration);
                if next.is_none() {
                    next = cron.next_after(from, *timezone);
                }
                while let Some(begins) = next.filter(|begins| *begins <= to) {
                    spans.push((begins, begins + *duration));
                    next = cron.next_after(begins, *timezone);
                }
                spans
            }
        }
    }
}

#[cfg(test)]
mod tests;
