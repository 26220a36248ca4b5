//! What a person says of a signal or an incident.

use serde::{Deserialize, Serialize};

use crate::id::Actor;
use crate::time::Timestamp;

/// A person's word on an incident or signal. A row of the table `labels`; the newest counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    /// Id of the incident or signal.
    pub subject_id: String,
    /// `incident` or `not-an-incident`.
    pub label: LabelKind,
    /// Why, in the person's words, redacted.
    pub comment: Option<String>,
    /// Who said so.
    pub actor: Actor,
    /// When.
    pub recorded_at: Timestamp,
}

/// The two things a person can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LabelKind {
    /// It was real.
    Incident,
    /// It was a false alarm.
    NotAnIncident,
}
