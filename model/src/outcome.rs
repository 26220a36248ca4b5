//! The verified effect of an execution on the metrics that raised its incident.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::execution::CheckResult;
use crate::id::{ExecutionId, IncidentId, PlanId, PlaybookId};
use crate::time::Timestamp;

/// What an execution did to the incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// The metrics came back.
    Effective,
    /// Nothing changed.
    Ineffective,
    /// It got worse.
    Harmful,
    /// Nothing could be measured.
    NoData,
}

impl Effect {
    /// The effect that a run history's word means, where it means one.
    pub fn of_word(word: &str) -> Option<Self> {
        match word.trim().to_ascii_lowercase().as_str() {
            "effective" | "success" | "succeeded" | "resolved" | "fixed" => Some(Self::Effective),
            "ineffective" | "no_effect" | "failure" | "failed" | "unresolved" => Some(Self::Ineffective),
            "harmful" | "rolled_back" | "worse" => Some(Self::Harmful),
            "no_data" | "unknown" => Some(Self::NoData),
            _ => None,
        }
    }
    /// The name as it is stored and shown.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Effective => "effective",
            Self::Ineffective => "ineffective",
            Self::Harmful => "harmful",
            Self::NoData => "no_data",
        }
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The verified effect of one execution. A row of the table `outcomes`, and experience for the next recommendation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The execution.
    pub execution_id: ExecutionId,
    /// The plan.
    pub plan_id: PlanId,
    /// The incident.
    pub incident_id: IncidentId,
    /// The playbook.
    pub playbook_id: PlaybookId,
    /// What it did.
    pub effect: Effect,
    /// The measurements it rests on, with the values before.
    pub checks: Vec<CheckResult>,
    /// The incident's text, which is what future incidents are compared with. Redacted.
    pub summary: String,
    /// In words.
    pub detail: String,
    /// When it was verified.
    pub recorded_at: Timestamp,
}
