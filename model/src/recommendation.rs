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
    /// How the score came about; none where a person chose the playbook, and in rows of before there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reckoning: Option<Reckoning>,
}

/// How a score came about, in numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reckoning {
    /// The probability before calibration.
    pub before: f64,
    /// What the calibration rests on, in words.
    pub calibration: String,
    /// Log-odds to begin with, before any feature.
    pub intercept: f64,
    /// What each feature adds.
    pub terms: Vec<Term>,
    /// What speaks for the playbook: its past runs that helped, by weight.
    pub helped: f64,
    /// What speaks against it, by weight.
    pub failed: f64,
    /// The past runs that weigh most, heaviest first: at most ten.
    pub cited: Vec<Cited>,
}

/// What one feature adds to a score.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Term {
    /// The feature.
    pub feature: String,
    /// Its value.
    pub value: f64,
    /// Log-odds that it adds; below 0 where it speaks against.
    pub adds: f64,
}

/// A past run that a score rests on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cited {
    /// The run; an execution of our own, or a plan where a person rejected or chose it.
    pub run_id: RunId,
    /// What came of it: an [`crate::outcome::Effect`], `chosen` or `rejected`.
    pub outcome: String,
    /// When it ran.
    pub ran_at: Timestamp,
    /// Cosine similarity of its text, 0 to 1.
    pub similarity: f64,
    /// What it weighs: by similarity, age, and what it has in common with the incident.
    pub weight: f64,
    /// What else is the same: `ml/iris`, `A100`, `xid 79`.
    pub same: Vec<String>,
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
