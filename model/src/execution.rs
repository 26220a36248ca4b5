//! What was done, step by step.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::{Actor, CheckName, ExecutionId, IncidentId, PlanId, PlaybookId, ServiceName};
use crate::plan::PlannedCheck;
use crate::time::Timestamp;
use crate::verdict::Verdict;

/// The states of the journal, in order of life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExecutionState {
    /// A plan was written down.
    Suggested,
    /// The API server accepted the patches in a dry run.
    DryRun,
    /// A person must approve.
    AwaitingApproval,
    /// A person, or a standing approval, said yes.
    Approved,
    /// Patches are being sent.
    Executing,
    /// Patches are in; waiting and measuring.
    Verifying,
    /// The recorded pre-state is being restored.
    RollingBack,
    /// Verified.
    Succeeded,
    /// The recorded pre-state is restored.
    RolledBack,
    /// It could not be carried out.
    Failed,
    /// Governance, a person, or the cluster said no before anything was changed.
    Refused,
    /// Someone else changed the object since: a person must look.
    NeedsHuman,
}

impl ExecutionState {
    /// Every state, in order.
    pub const ALL: [Self; 12] = [
        Self::Suggested,
        Self::DryRun,
        Self::AwaitingApproval,
        Self::Approved,
        Self::Executing,
        Self::Verifying,
        Self::RollingBack,
        Self::Succeeded,
        Self::RolledBack,
        Self::Failed,
        Self::Refused,
        Self::NeedsHuman,
    ];

    /// The name as it is stored and shown.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Suggested => "suggested",
            Self::DryRun => "dry_run",
            Self::AwaitingApproval => "awaiting_approval",
            Self::Approved => "approved",
            Self::Executing => "executing",
            Self::Verifying => "verifying",
            Self::RollingBack => "rolling_back",
            Self::Succeeded => "succeeded",
            Self::RolledBack => "rolled_back",
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::NeedsHuman => "needs_human",
        }
    }

    /// Whether nothing more will happen by itself.
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Succeeded | Self::RolledBack | Self::Failed | Self::Refused | Self::NeedsHuman)
    }

    /// Whether the journal permits this transition.
    pub const fn may_become(self, next: Self) -> bool {
        use ExecutionState::*;
        matches!(
            (self, next),
            (Suggested, DryRun | Refused | Failed)
                | (DryRun, AwaitingApproval | Approved | Refused | Failed)
                | (AwaitingApproval, Approved | Refused | Failed)
                | (Approved, Executing | Refused | Failed)
                | (Executing, Verifying | RollingBack | Failed | NeedsHuman)
                | (Verifying, Succeeded | RollingBack | Failed | NeedsHuman)
                | (RollingBack, RolledBack | Failed | NeedsHuman)
        )
    }
}

impl fmt::Display for ExecutionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl std::str::FromStr for ExecutionState {
    type Err = ParseStateError;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|state| state.name() == s).ok_or_else(|| ParseStateError(s.to_owned()))
    }
}

/// The text is no state of the journal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a state of an execution")]
pub struct ParseStateError(pub String);

/// One transition of one execution. A row of the table `executions`, relayed from the journal; the view
/// `executions_current` has the newest row of each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Execution {
    /// The execution: one for each plan.
    pub execution_id: ExecutionId,
    /// The plan.
    pub plan_id: PlanId,
    /// The incident it answers.
    pub incident_id: IncidentId,
    /// The playbook.
    pub playbook_id: PlaybookId,
    /// The service whose blueprint governs it.
    pub service: ServiceName,
    /// The state it entered.
    pub state: ExecutionState,
    /// How many transitions came before.
    pub sequence: i64,
    /// Why, in words.
    pub detail: String,
    /// Who moved it: an approver, or `bellwether`.
    pub actor: Actor,
    /// What was measured, where this transition rests on measurements.
    pub checks: Vec<CheckResult>,
    /// When it entered the state.
    pub recorded_at: Timestamp,
}

/// The result of one check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CheckResult {
    /// The check.
    pub name: CheckName,
    /// What it says.
    pub verdict: Verdict,
    /// What was measured, where anything was.
    pub value: Option<f64>,
    /// The value before the change, where known.
    pub before: Option<f64>,
    /// In words.
    pub text: String,
}

impl CheckResult {
    /// Judges a measurement against a check's bound. Nothing measured is no data; not a number is inconclusive.
    pub fn judge(check: &PlannedCheck, measured: Option<f64>) -> Self {
        let (verdict, text) = match measured {
            None => (Verdict::NoData, format!("{}: the query returned nothing", check.name)),
            Some(v) if !v.is_finite() => (Verdict::Inconclusive, format!("{}: the query returned {v}", check.name)),
            Some(v) if check.target.holds(v) => (Verdict::Pass, format!("{} {} {}", check.name, check.target.unit.show(v), check.target)),
            Some(v) => (Verdict::Fail, format!("{} {} is not {}", check.name, check.target.unit.show(v), check.target)),
        };
        Self { name: check.name.clone(), verdict, value: measured.filter(|v| v.is_finite()), before: None, text }
    }
}
