//! A suppression: a signal that is kept and not told, and why.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::{Fingerprint, RoundId, RuleName, SignalId};
use crate::signal::{Severity, Signal, Subject};
use crate::time::Timestamp;

/// Why a signal is not told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SuppressionKind {
    /// A maintenance window covers it.
    Maintenance,
    /// Its series deviated so much of the time that another signal of it says nothing new.
    AutoSilence,
    /// Signals of its rule and series open and close again and again.
    Flapping,
}

impl fmt::Display for SuppressionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Maintenance => "maintenance",
            Self::AutoSilence => "auto_silence",
            Self::Flapping => "flapping",
        })
    }
}

/// Where a suppression stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SuppressionState {
    /// The signal is open and nobody is told.
    Silenced,
    /// Its cause ended before the signal did, so the signal was told then.
    Told,
    /// The signal ended before its cause did: it was never told.
    Ended,
}

impl fmt::Display for SuppressionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Silenced => "silenced",
            Self::Told => "told",
            Self::Ended => "ended",
        })
    }
}

/// One transition of the suppression of a signal. A row of the table `suppressions`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Suppression {
    /// The signal that is not told: its rows are in `signals` as always.
    pub signal_id: SignalId,
    /// The signal's fingerprint.
    pub fingerprint: Fingerprint,
    /// The rule that judged.
    pub rule: RuleName,
    /// What deviates.
    pub subject: Subject,
    /// This transition.
    pub state: SuppressionState,
    /// Why.
    pub kind: SuppressionKind,
    /// The name of the maintenance window, or the rule's key: `auto_silence` or `flapping`.
    pub cause: String,
    /// The same in words, with numbers.
    pub detail: String,
    /// Since when the signal is not told: when it opened.
    pub since: Timestamp,
    /// Until when at least, where that is known; of one that is over, when it was told or ended.
    pub until: Option<Timestamp>,
    /// The signal's score at this transition.
    pub score: f64,
    /// The signal's severity.
    pub severity: Severity,
    /// What a person would have read.
    pub hint: String,
    /// The round that saw it.
    pub round_id: RoundId,
    /// When the row was written.
    pub recorded_at: Timestamp,
}

impl Suppression {
    /// The first row of a suppression of this signal.
    pub fn of(signal: &Signal, kind: SuppressionKind, cause: String, detail: String, until: Option<Timestamp>) -> Self {
        Self {
            signal_id: signal.signal_id.clone(),
            fingerprint: signal.fingerprint.clone(),
            rule: signal.rule.clone(),
            subject: signal.subject.clone(),
            state: SuppressionState::Silenced,
            kind,
            cause,
            detail,
            since: signal.opened_at,
            until,
            score: signal.score,
            severity: signal.severity,
            hint: signal.hint.clone(),
            round_id: signal.round_id.clone(),
            recorded_at: signal.recorded_at,
        }
    }

    /// Whether the signal is open and not told.
    pub fn holds(&self) -> bool {
        self.state == SuppressionState::Silenced
    }
}
