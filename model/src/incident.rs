//! An incident: signals that belong together.

use serde::{Deserialize, Serialize};

use crate::id::{EndpointId, IncidentId, RoundId, SignalId};
use crate::inventory::Entity;
use crate::signal::Severity;
use crate::time::Timestamp;

/// Where an incident stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IncidentState {
    /// It began.
    Opened,
    /// Signals joined or worsened.
    Updated,
    /// All its signals are over.
    Closed,
}

/// One transition of an incident. A row of the table `incidents`; the view `incidents_current` has the newest row of each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    /// Same for all transitions: hash of the first signal's id.
    pub incident_id: IncidentId,
    /// This transition.
    pub state: IncidentState,
    /// Opening of its earliest signal.
    pub opened_at: Timestamp,
    /// Time of its latest evidence.
    pub last_at: Timestamp,
    /// Closing of its last signal.
    pub closed_at: Option<Timestamp>,
    /// Highest severity of its signals.
    pub severity: Severity,
    /// Highest score of its signals.
    pub score: f64,
    /// One line for a person: `ml/iris: p95 latency 3.4 × expected, and 4 more`.
    pub title: String,
    /// What all its signals say, in words: the text that is embedded. Redacted.
    pub summary: String,
    /// The thing that most likely is at fault, where one stands out.
    pub root: Option<Entity>,
    /// Everything its signals are about.
    pub entities: Vec<Entity>,
    /// Live endpoints that it affects, through lineage too.
    pub endpoints: Vec<EndpointId>,
    /// Its signals, in order of opening.
    pub signals: Vec<SignalId>,
    /// The metrics or columns that deviate, sorted, each once: the features that recommendation matches.
    pub symptoms: Vec<String>,
    /// Changes shortly before it opened, newest first, in words.
    pub preceding_changes: Vec<String>,
    /// The round that saw it.
    pub round_id: RoundId,
    /// When the row was written.
    pub recorded_at: Timestamp,
}

impl Incident {
    /// Whether it has not ended.
    pub fn is_open(&self) -> bool {
        self.state != IncidentState::Closed
    }
    /// The id of the incident that this signal began.
    pub fn id_of(first: &SignalId) -> IncidentId {
        IncidentId::of(&[first.as_str()])
    }
}
