//! The gate to acting: an admitted plan becomes an execution that may send, or is told why not.

use bellwether_governance::admit::{Admitted, Authority, Passage, Refusal};
use bellwether_model::decision::Approval;
use bellwether_model::execution::ExecutionState;
use bellwether_model::id::{Actor, ExecutionId, ServiceName};
use bellwether_model::time::Timestamp;
use serde_json::{Value, json};
use sqlx::{Row, SqliteConnection};

#[cfg(test)]
mod tests;

use super::Journal;
use super::audit::append;
use super::history::{probe, read};
use super::record::{Record, execution_id, expect};
use super::store::{StoreError, json as text};
use super::transition::{Move, OURSELVES, TransitionError, advance, fits};

/// The role under which a standing approval is recorded.
const STANDING: &str = "standing";

/// The plan was not claimed; nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// Since admission, a limit was reached or the breaker opened.
    #[error("not now: {0}")]
    Refused(#[from] Refusal),
    /// Another execution of the service is under way: its verification would measure both.
    #[error("execution {other} of service {service} is under way")]
    Busy {
        /// The service.
        service: ServiceName,
        /// What is under way.
        other: ExecutionId,
    },
    /// The approval that the plan was admitted by is not the one that the journal holds.
    #[error("the approval of execution {execution_id} is not in the journal")]
    NotRecorded {
        /// The execution.
        execution_id: ExecutionId,
    },
    /// The execution is not where it can be claimed, or the journal could not be written.
    #[error(transparent)]
    Transition(#[from] TransitionError),
}

impl From<StoreError> for ClaimError {
    fn from(e: StoreError) -> Self {
        Self::Transition(e.into())
    }
}

impl From<sqlx::Error> for ClaimError {
    fn from(e: sqlx::Error) -> Self {
        Self::Transition(e.into())
    }
}

impl Journal {
    /// Claims an admitted plan for this session: from now on [`crate::step()`] sends its steps.
    ///
    /// An execution that a person approved goes on from `approved`; one that runs by its playbook's standing approval goes on
    /// from `dry_run`, and the owner is recorded as approver.
    ///
    /// *Guarantees:* in one transaction that nobody writes beside, breaker, cooldown and rate are judged again on what was done
    /// up to now, the approval is compared with the journal's and its expiry with `now`, and intent and audit entry are
    /// written. Of many who claim at once, those succeed whom the limits permit one after the other. *Errors:* nothing was
    /// written.
    pub async fn claim(&self, admitted: &Admitted, now: Timestamp) -> Result<ExecutionId, ClaimError> {
        self.gate(admitted, false, now).await
    }

    /// Takes over an execution that another session claimed and did not finish sending, admitted anew. From then on the other
    /// session can send nothing for it. Otherwise as [`Journal::claim`].
    pub async fn claim_again(&self, admitted: &Admitted, now: Timestamp) -> Result<ExecutionId, ClaimError> {
        self.gate(admitted, true, now).await
    }

    async fn gate(&self, admitted: &Admitted, again: bool, now: Timestamp) -> Result<ExecutionId, ClaimError> {
        let plan = admitted.plan();
        let id = execution_id(plan);
        let service = &plan.body.service;
        let mut tx = self.write().await?;
        let mut record = expect(&mut tx, &id).await?;
        if (record.state == ExecutionState::Executing) != again {
            return Err(TransitionError::Illegal { execution_id: id, from: record.state, to: ExecutionState::Executing }.into());
        }
        if let Some(other) = under_way(&mut tx, service, &id).await? {
            return Err(ClaimError::Busy { service: service.clone(), other });
        }
        let history = read(&mut tx, service, Some(&id), admitted.limits(), now).await?;
        let passage = admitted.recheck_limits(&history, now)?;
        match admitted.authority() {
            Authority::Approval(approval) if record.approval.as_ref() == Some(approval) => fits(&record, approval, now)?,
            Authority::Standing { owner } if record.state == ExecutionState::DryRun => {
                stand(&mut tx, &record, owner, now).await?;
                record = expect(&mut tx, &id).await?;
            }
            // The owner was recorded when it was first claimed.
            Authority::Standing { owner } if record.approval.as_ref().is_some_and(|a| a.role == STANDING && a.approver == *owner) => {}
            Authority::Approval(_) | Authority::Standing { .. } => return Err(ClaimError::NotRecorded { execution_id: id }),
        }
        if passage == Passage::Probe && record.claimed_at.is_none() {
            probe(&mut tx, service, &id, now).await?;
        }
        let how = match passage {
            Passage::Normal => "within all limits",
            Passage::Probe => "as the one that an open breaker lets through to try",
            Passage::Safety => "as a safety operation, which waits for no limit",
        };
        let particulars = json!({ "approver": admitted.approver(), "passage": how, "admitted_at": admitted.admitted_at() });
        take(&mut tx, &record, self.session(), format!("admitted by the word of {}, {how}", admitted.approver()), particulars, now).await?;
        tx.commit().await?;
        Ok(id)
    }
}

/// Another execution of this service that has begun and not ended.
async fn under_way(tx: &mut SqliteConnection, service: &ServiceName, id: &ExecutionId) -> Result<Option<ExecutionId>, StoreError> {
    let begun = [ExecutionState::Executing, ExecutionState::Verifying, ExecutionState::RollingBack];
    let row = sqlx::query("SELECT execution_id FROM executions WHERE service = ? AND execution_id != ? AND state IN (?, ?, ?) LIMIT 1")
        .bind(service.as_str())
        .bind(id.as_str())
        .bind(begun[0].name())
        .bind(begun[1].name())
        .bind(begun[2].name())
        .fetch_optional(tx)
        .await?;
    Ok(row.map(|row| ExecutionId::new(row.get::<&str, _>(0))))
}

/// Records the owner of a standing approval as approver. It counts for this claim alone.
async fn stand(tx: &mut SqliteConnection, record: &Record, owner: &Actor, now: Timestamp) -> Result<(), TransitionError> {
    let approval = Approval {
        plan_id: record.plan.plan_id.clone(),
        plan_digest: record.plan.digest,
        approver: owner.clone(),
        role: STANDING.to_owned(),
        approved: true,
        comment: None,
        expires_at: now,
        recorded_at: now,
    };
    let (id, said) = (record.execution_id.as_str(), text(&approval)?);
    let detail = format!("runs unattended by the standing approval of {owner}");
    let step =
        Move { to: ExecutionState::Approved, actor: owner, detail, checks: Vec::new(), particulars: json!({ "approval": approval }) };
    advance(tx, &record.position(), &record.plan, &step, now).await?;
    sqlx::query("UPDATE executions SET approval = ? WHERE execution_id = ?").bind(&said).bind(id).execute(&mut *tx).await?;
    sqlx::query("INSERT INTO approvals (execution_id, row) VALUES (?, ?)").bind(id).bind(&said).execute(&mut *tx).await?;
    Ok(())
}

/// Takes an approved execution for a session: it begins to execute, or, after a restart, its unsent steps go on.
pub(crate) async fn take(
    tx: &mut SqliteConnection,
    record: &Record,
    session: &str,
    detail: String,
    particulars: Value,
    now: Timestamp,
) -> Result<(), TransitionError> {
    let actor = Actor::new(OURSELVES);
    let id = &record.execution_id;
    if record.state == ExecutionState::Executing {
        append(tx, &actor, "execute", id.as_str(), json!({ "why": format!("taken over: {detail}"), "admission": particulars }), now)
            .await?;
    } else {
        let step = Move {
            to: ExecutionState::Executing,
            actor: &actor,
            detail,
            checks: Vec::new(),
            particulars: json!({ "admission": particulars }),
        };
        advance(tx, &record.position(), &record.plan, &step, now).await?;
    }
    sqlx::query("UPDATE executions SET session = ?, claimed_at = coalesce(claimed_at, ?) WHERE execution_id = ?")
        .bind(session)
        .bind(now.micros())
        .bind(id.as_str())
        .execute(&mut *tx)
        .await?;
    Ok(())
}
