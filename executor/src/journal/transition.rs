//! The states of an execution: who may move it where, each move with its audit entry, or not at all.

use bellwether_model::decision::{Approval, Decision};
use bellwether_model::execution::{CheckResult, Execution, ExecutionState};
use bellwether_model::id::{Actor, ExecutionId, PlanId};
use bellwether_model::plan::Plan;
use bellwether_model::time::Timestamp;
use serde_json::{Value, json};
use sqlx::SqliteConnection;

use super::Journal;
use super::audit::append;
use super::history::ended;
use super::record::{Position, Record, execution_id, expect, fetch};
use super::store::{StoreError, json as text};
use crate::drivers::diff::DryRun;

/// Who moves an execution when no person does.
pub const OURSELVES: &str = "bellwether";

/// The execution was not moved.
#[derive(Debug, thiserror::Error)]
pub enum TransitionError {
    /// There is no such execution.
    #[error("there is no execution {execution_id}")]
    Unknown {
        /// The id asked for.
        execution_id: ExecutionId,
    },
    /// The states do not follow each other.
    #[error("execution {execution_id} is {from} and cannot become {to}")]
    Illegal {
        /// The execution.
        execution_id: ExecutionId,
        /// Where it stands.
        from: ExecutionState,
        /// Where it was to go.
        to: ExecutionState,
    },
    /// Someone else moved it first.
    #[error("execution {execution_id} was moved by someone else while it was {state}")]
    Overtaken {
        /// The execution.
        execution_id: ExecutionId,
        /// Where it was thought to stand.
        state: ExecutionState,
    },
    /// It is being rolled back, or was. What a rollback restored is changed by a new plan, not by taking the rollback back.
    #[error("execution {execution_id} is {state}: a rollback is not rolled back")]
    RollbackOfRollback {
        /// The execution.
        execution_id: ExecutionId,
        /// Where it stands.
        state: ExecutionState,
    },
    /// The plan was changed after it was sealed.
    #[error("plan {plan_id} does not fit its digest")]
    Tampered {
        /// The plan.
        plan_id: PlanId,
    },
    /// The approval is for another plan, or for another version of this one.
    #[error("the approval is for {approved}, and execution {execution_id} carries out {plan_id}")]
    OtherPlan {
        /// The execution.
        execution_id: ExecutionId,
        /// Its plan and digest.
        plan_id: PlanId,
        /// The approval's plan and digest.
        approved: String,
    },
    /// The approval no longer counts.
    #[error("the approval expired at {expired_at}")]
    Expired {
        /// When.
        expired_at: Timestamp,
    },
    /// The journal could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for TransitionError {
    fn from(e: sqlx::Error) -> Self {
        Self::Store(e.into())
    }
}

/// Where an execution is to go, and what is written about it.
pub(crate) struct Move<'a> {
    pub(crate) to: ExecutionState,
    pub(crate) actor: &'a Actor,
    pub(crate) detail: String,
    pub(crate) checks: Vec<CheckResult>,
    /// Particulars for the audit entry beyond those every transition has.
    pub(crate) particulars: Value,
}

impl Journal {
    /// Writes a plan down as a suggestion. The same plan always gives the same execution: suggesting it again changes nothing,
    /// whatever has become of it since.
    pub async fn suggest(&self, plan: &Plan, decision: &Decision, now: Timestamp) -> Result<ExecutionId, TransitionError> {
        if !plan.is_intact() {
            return Err(TransitionError::Tampered { plan_id: plan.plan_id.clone() });
        }
        let id = execution_id(plan);
        let mut tx = self.write().await?;
        if fetch(&mut tx, &id).await?.is_some() {
            return Ok(id);
        }
        sqlx::query("INSERT INTO executions (execution_id, plan_id, service, state, sequence, entered_at, plan, decision) VALUES (?, ?, ?, ?, 0, ?, ?, ?)")
            .bind(id.as_str())
            .bind(plan.plan_id.as_str())
            .bind(plan.body.service.as_str())
            .bind(ExecutionState::Suggested.name())
            .bind(now.micros())
            .bind(text(plan)?)
            .bind(text(decision)?)
            .execute(&mut *tx)
            .await?;
        let actor = Actor::new(OURSELVES);
        let summary: Vec<&str> = plan.body.steps.iter().map(|step| step.summary.as_str()).collect();
        let step = Move {
            to: ExecutionState::Suggested,
            actor: &actor,
            detail: summary.join("; "),
            checks: Vec::new(),
            particulars: json!({ "tier": decision.tier, "decision_id": decision.decision_id, "blueprint_version": plan.body.blueprint_version }),
        };
        enter(&mut tx, &id, plan, 0, &step, now).await?;
        tx.commit().await?;
        Ok(id)
    }

    /// Records that the cluster accepted the patches in a dry run, and what they would change.
    pub async fn record_dry_run(&self, id: &ExecutionId, dry_run: &DryRun, now: Timestamp) -> Result<(), TransitionError> {
        let mut tx = self.write().await?;
        let record = expect(&mut tx, id).await?;
        sqlx::query("UPDATE executions SET dry_run = ? WHERE execution_id = ?")
            .bind(text(dry_run)?)
            .bind(id.as_str())
            .execute(&mut *tx)
            .await?;
        let particulars = json!({ "changes": dry_run.steps });
        self.by_ourselves(&mut tx, &record, ExecutionState::DryRun, dry_run.to_string(), particulars, now).await?;
        Ok(tx.commit().await?)
    }

    /// Says that a person must approve.
    pub async fn await_approval(&self, id: &ExecutionId, why: &str, now: Timestamp) -> Result<(), TransitionError> {
        let mut tx = self.write().await?;
        let record = expect(&mut tx, id).await?;
        let particulars = json!({ "approvers": record.decision.approvers });
        self.by_ourselves(&mut tx, &record, ExecutionState::AwaitingApproval, why.to_owned(), particulars, now).await?;
        Ok(tx.commit().await?)
    }

    /// Takes a person's word: approved, or refused when the approval says no. Whether the person may say so is for governance.
    pub async fn approve(&self, id: &ExecutionId, approval: &Approval, now: Timestamp) -> Result<(), TransitionError> {
        let mut tx = self.write().await?;
        let record = expect(&mut tx, id).await?;
        fits(&record, approval, now)?;
        let said = text(approval)?;
        let to = if approval.approved { ExecutionState::Approved } else { ExecutionState::Refused };
        let step = Move {
            to,
            actor: &approval.approver,
            detail: approval
                .comment
                .clone()
                .unwrap_or_else(|| format!("{} as {}", if approval.approved { "approved" } else { "rejected" }, approval.role)),
            checks: Vec::new(),
            particulars: json!({ "approval": approval }),
        };
        advance(&mut tx, &record.position(), &record.plan, &step, now).await?;
        sqlx::query("UPDATE executions SET approval = ? WHERE execution_id = ?").bind(&said).bind(id.as_str()).execute(&mut *tx).await?;
        sqlx::query("INSERT INTO approvals (execution_id, row) VALUES (?, ?)").bind(id.as_str()).bind(&said).execute(&mut *tx).await?;
        Ok(tx.commit().await?)
    }

    /// Says no before anything was changed: by governance, the cluster's dry run, or whoever `actor` is.
    pub async fn refuse(&self, id: &ExecutionId, actor: &Actor, why: &str, now: Timestamp) -> Result<(), TransitionError> {
        let mut tx = self.write().await?;
        let record = expect(&mut tx, id).await?;
        let step = Move { to: ExecutionState::Refused, actor, detail: why.to_owned(), checks: Vec::new(), particulars: Value::Null };
        advance(&mut tx, &record.position(), &record.plan, &step, now).await?;
        Ok(tx.commit().await?)
    }

    /// Stops an execution that was begun: what it sent is taken back by the next steps. Needs no admission.
    pub async fn rollback(&self, id: &ExecutionId, actor: &Actor, why: &str, now: Timestamp) -> Result<(), TransitionError> {
        let mut tx = self.write().await?;
        let record = expect(&mut tx, id).await?;
        if matches!(record.state, ExecutionState::RollingBack | ExecutionState::RolledBack) {
            return Err(TransitionError::RollbackOfRollback { execution_id: id.clone(), state: record.state });
        }
        let step = Move { to: ExecutionState::RollingBack, actor, detail: why.to_owned(), checks: Vec::new(), particulars: Value::Null };
        advance(&mut tx, &record.position(), &record.plan, &step, now).await?;
        Ok(tx.commit().await?)
    }

    async fn by_ourselves(
        &self,
        tx: &mut SqliteConnection,
        record: &Record,
        to: ExecutionState,
        detail: String,
        particulars: Value,
        now: Timestamp,
    ) -> Result<Position, TransitionError> {
        let actor = Actor::new(OURSELVES);
        advance(tx, &record.position(), &record.plan, &Move { to, actor: &actor, detail, checks: Vec::new(), particulars }, now).await
    }
}

/// Whether this approval is for this execution and still counts.
pub(crate) fn fits(record: &Record, approval: &Approval, now: Timestamp) -> Result<(), TransitionError> {
    if (&approval.plan_id, approval.plan_digest) != (&record.plan.plan_id, record.plan.digest) {
        return Err(TransitionError::OtherPlan {
            execution_id: record.execution_id.clone(),
            plan_id: record.plan.plan_id.clone(),
            approved: format!("{} ({})", approval.plan_id, approval.plan_digest.short()),
        });
    }
    if approval.expires_at <= now {
        return Err(TransitionError::Expired { expired_at: approval.expires_at });
    }
    Ok(())
}

/// Moves an execution from exactly this position, and writes the transition and its audit entry.
pub(crate) async fn advance(
    tx: &mut SqliteConnection,
    from: &Position,
    plan: &Plan,
    step: &Move<'_>,
    now: Timestamp,
) -> Result<Position, TransitionError> {
    let execution_id = from.execution_id.clone();
    if !from.state.may_become(step.to) {
        return Err(TransitionError::Illegal { execution_id, from: from.state, to: step.to });
    }
    let sequence = from.sequence + 1;
    let swapped =
        sqlx::query("UPDATE executions SET state = ?, sequence = ?, entered_at = ? WHERE execution_id = ? AND state = ? AND sequence = ?")
            .bind(step.to.name())
            .bind(sequence)
            .bind(now.micros())
            .bind(execution_id.as_str())
            .bind(from.state.name())
            .bind(from.sequence)
            .execute(&mut *tx)
            .await?;
    if swapped.rows_affected() != 1 {
        return Err(TransitionError::Overtaken { execution_id, state: from.state });
    }
    if step.to.is_terminal() {
        ended(tx, &execution_id, now).await?;
    }
    enter(tx, &execution_id, plan, sequence, step, now).await?;
    Ok(Position { execution_id, state: step.to, sequence })
}

async fn enter(
    tx: &mut SqliteConnection,
    id: &ExecutionId,
    plan: &Plan,
    sequence: i64,
    step: &Move<'_>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let row = Execution {
        execution_id: id.clone(),
        plan_id: plan.plan_id.clone(),
        incident_id: plan.body.incident_id.clone(),
        playbook_id: plan.body.playbook_id.clone(),
        service: plan.body.service.clone(),
        state: step.to,
        sequence,
        detail: step.detail.clone(),
        actor: step.actor.clone(),
        checks: step.checks.clone(),
        recorded_at: now,
    };
    sqlx::query("INSERT INTO transitions (execution_id, position, row) VALUES (?, ?, ?)")
        .bind(id.as_str())
        .bind(sequence)
        .bind(text(&row)?)
        .execute(&mut *tx)
        .await?;
    let mut detail = json!({
        "state": step.to,
        "sequence": sequence,
        "plan_id": plan.plan_id,
        "plan_digest": plan.digest,
        "playbook_id": plan.body.playbook_id,
        "service": plan.body.service,
        "why": step.detail,
    });
    if !step.checks.is_empty() {
        detail["checks"] = serde_json::to_value(&step.checks).map_err(|source| StoreError::Unreadable { what: "check", source })?;
    }
    if let (Some(all), Value::Object(more)) = (detail.as_object_mut(), &step.particulars) {
        all.extend(more.clone());
    }
    append(tx, step.actor, action(step.to), id.as_str(), detail, now).await?;
    Ok(())
}

/// What the audit chain calls the entering of a state.
const fn action(state: ExecutionState) -> &'static str {
    match state {
        ExecutionState::Suggested => "suggest",
        ExecutionState::DryRun => "dry_run",
        ExecutionState::AwaitingApproval => "await_approval",
        ExecutionState::Approved => "approve",
        ExecutionState::Executing => "execute",
        ExecutionState::Verifying => "verify",
        ExecutionState::RollingBack => "rollback",
        ExecutionState::Succeeded => "succeed",
        ExecutionState::RolledBack => "rolled_back",
        ExecutionState::Failed => "fail",
        ExecutionState::Refused => "refuse",
        ExecutionState::NeedsHuman => "needs_human",
    }
}
