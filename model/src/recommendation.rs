//! A recommendation: which playbook fits an incident, why, and how sure.

use serde::{Deserialize, Serialize};

use crate::id::{IncidentId, PlaybookId, RecommendationId, RoundId, RunId};
use crate::time::Timestamp;

/// A past run that resembles an incident. A row of the table `matches`: the stored result of the one step that needs an
/// index, so that ranking can be replayed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Match {
    /// The incident.
    pub incident_id: IncidentId,
    /// The past run.
    pub run_id: RunId,
    /// The playbook it ran.
    pub playbook_id: PlaybookId,
    /// Cosine similarity, 0 to 1.
    pub similarity: f64,
    /// Its outcome as [`crate::outcome::Effect`] text; empty when unknown.
    pub outcome: String,
    /// When it ran.
    pub ran_at: Timestamp,
    /// Name, dimension and digest of the embedder; vectors of different embedders are never compared.
    pub embedder_id: String,
    /// The round that looked.
    pub round_id: RoundId,
    /// When the row was written.
    pub recorded_at: Timestamp,
}

/// One playbook proposed for an incident.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// The playbook.
    pub playbook_id: PlaybookId,
    /// Estimated probability, 0 to 1, that it will be effective.
    pub score: f64,
    /// Why, in words: past runs, their outcomes, what matched.
    pub justification: String,
    /// Mean similarity of the past runs that count.
    pub similarity: f64,
    /// Smoothed success rate of those runs, weighted by similarity.
    pub success_rate: f64,
    /// The past runs, most similar first.
    pub evidence: Vec<RunId>,
}

/// What is recommended for an incident in one round. A row of the table `recommendations`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recommendation {
    /// Hash of incident, candidates and embedder.
    pub recommendation_id: RecommendationId,
    /// The incident.
    pub incident_id: IncidentId,
    /// Best first; empty when it abstains.
    pub candidates: Vec<Candidate>,
    /// Why nothing is recommended, when nothing is.
    pub abstained: Option<String>,
    /// What came nearest without being good enough, best first.
    pub near_misses: Vec<Candidate>,
    /// Playbooks that do not apply, and why.
    pub excluded: Vec<Exclusion>,
    /// The round that made it.
    pub round_id: RoundId,
    /// When the row was written.
    pub recorded_at: Timestamp,
}

/// A playbook that does not apply to an incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exclusion {
    /// The playbook.
    pub playbook_id: PlaybookId,
    /// The precondition that does not hold.
    pub reason: String,
}
