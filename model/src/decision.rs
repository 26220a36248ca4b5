//! What governance says of a plan, with all reasons.

use serde::{Deserialize, Serialize};

use crate::id::{Actor, DecisionId, PlanId, RoundId};
use crate::playbook::Operation;
use crate::time::Timestamp;

/// The three tiers, ordered by strictness: the strictest reason decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// May run; unattended only where the playbook says so too.
    Allowed,
    /// Needs a person's approval.
    Restricted,
    /// Never runs.
    Forbidden,
}

impl std::fmt::Display for Tier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Allowed => "allowed",
            Self::Restricted => "restricted",
            Self::Forbidden => "forbidden",
        })
    }
}

/// One thing that governance looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// Which rule: `tier`, `safety_mode`, `cooldown`, `breaker`, `rate_limit`, `blueprint`, `confidence`.
    pub rule: String,
    /// What the rule alone would say.
    pub tier: Tier,
    /// In words, with the numbers.
    pub text: String,
}

/// What governance says of a plan. Advisory: admission decides again. A row of the table `decisions`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// Hash of plan and reasons.
    pub decision_id: DecisionId,
    /// The plan.
    pub plan_id: PlanId,
    /// The strictest of the reasons.
    pub tier: Tier,
    /// Whether it may run without a person.
    pub unattended: bool,
    /// Every reason, the lenient ones too.
    pub reasons: Vec<Reason>,
    /// Who may approve, where approval is needed.
    pub approvers: Vec<String>,
    /// For a forbidden plan: operations that would be permitted instead.
    pub alternatives: Vec<Operation>,
    /// The round that decided.
    pub round_id: RoundId,
    /// When.
    pub recorded_at: Timestamp,
}

/// A person's word on a plan. A row of the table `approvals`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// The plan.
    pub plan_id: PlanId,
    /// The plan's digest that was approved: another digest is another plan.
    pub plan_digest: crate::digest::Digest,
    /// Who approved: the subject of a verified token, or the owner of a standing approval.
    pub approver: Actor,
    /// The role by which.
    pub role: String,
    /// Approved or rejected.
    pub approved: bool,
    /// Why, in the person's words, redacted.
    pub comment: Option<String>,
    /// After this it no longer counts.
    pub expires_at: Timestamp,
    /// When.
    pub recorded_at: Timestamp,
}
