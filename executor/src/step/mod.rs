//! Carrying an execution on: one call does what can be done now and says what comes next.
//!
//! [`step`] never measures and never waits: it says which checks it needs and when, and its caller measures them and calls
//! again. Called again after any crash, it goes on where the journal stands.
//!
//! Modules in reading order: `send` (executing), `verify` (judging), `undo` (rolling back).

mod send;
#[cfg(test)]
mod tests;
mod undo;
mod verify;

use std::collections::BTreeMap;

use bellwether_model::execution::{CheckResult, ExecutionState};
use bellwether_model::id::{Actor, CheckName, ExecutionId};
use bellwether_model::plan::PlannedCheck;
use bellwether_model::time::{Span, Timestamp};
use serde_json::Value;

use crate::drivers::Cluster;
use crate::journal::record::Record;
use crate::journal::transition::{Move, OURSELVES, TransitionError, advance};
use crate::journal::{Journal, StoreError};

/// When to try again after the cluster gave no answer, or an object changed under our hands.
const RETRY: Span = Span::from_secs(1);

/// What was measured for an execution.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observations {
    /// When it was measured.
    pub measured_at: Timestamp,
    /// What each check's query gave; none where it gave nothing or failed. Checks that were not asked are not here.
    pub values: BTreeMap<CheckName, Option<f64>>,
}

/// What comes next.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// Call again at this time.
    Wait {
        /// When.
        at: Timestamp,
    },
    /// Measure these checks at this time, then call again with the results.
    Measure {
        /// When.
        at: Timestamp,
        /// What.
        checks: Vec<PlannedCheck>,
    },
    /// It is approved and needs admission: ask `governance::admit`, then [`Journal::claim`].
    Admit,
    /// The program was restarted before every step was sent, and those that were not need admission anew: ask
    /// `governance::admit`, then [`Journal::claim_again`]; or, when it is refused, [`Journal::rollback`].
    Readmit,
    /// Nothing more will happen.
    Done(ExecutionState),
}

/// The execution could not be carried on now. What was done so far is in the journal.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// It waits for a dry run or an approval.
    #[error("execution {execution_id} is {state}: nothing is to be carried out yet")]
    NotApproved {
        /// The execution.
        execution_id: ExecutionId,
        /// Where it stands.
        state: ExecutionState,
    },
    /// No cluster is configured.
    #[error("execution {execution_id} cannot be carried on: no cluster is configured")]
    NoCluster {
        /// The execution.
        execution_id: ExecutionId,
    },
    /// The journal refused, or someone else carried the execution on.
    #[error(transparent)]
    Journal(#[from] TransitionError),
}

impl From<StoreError> for StepError {
    fn from(e: StoreError) -> Self {
        Self::Journal(e.into())
    }
}

/// Carries an execution on as far as it can go now.
///
/// *Guarantees:* every effect on the cluster happens at most once, whatever crashes or gets lost, and none that is not in the
/// journal; a change that someone else made is never written over; silence is never success. *Assumptions:* one caller at
/// a time for each execution is enough (hold a lease); two at once are safe, and one of them gets
/// [`TransitionError::Overtaken`]. *Errors:* the journal could not be written, so the next thing did not happen; or the
/// execution is not at a point where anything can be done.
pub async fn step(
    journal: &Journal,
    cluster: &Cluster,
    id: &ExecutionId,
    observed: &Observations,
    now: Timestamp,
) -> Result<Next, StepError> {
    loop {
        let record = journal.get(id).await?.ok_or_else(|| TransitionError::Unknown { execution_id: id.clone() })?;
        let next = match record.state {
            ExecutionState::Suggested | ExecutionState::DryRun | ExecutionState::AwaitingApproval => {
                return Err(StepError::NotApproved { execution_id: id.clone(), state: record.state });
            }
            ExecutionState::Approved => Some(Next::Admit),
            ExecutionState::Executing => send::go_on(journal, cluster, &record, now).await?,
            ExecutionState::Verifying => verify::go_on(journal, &record, observed, now).await?,
            ExecutionState::RollingBack => undo::go_on(journal, cluster, &record, now).await?,
            ended => Some(Next::Done(ended)),
        };
        if let Some(next) = next {
            return Ok(next);
        }
    }
}

/// Moves the execution from where it was read, in our own name.
async fn enter(
    journal: &Journal,
    record: &Record,
    to: ExecutionState,
    detail: String,
    checks: Vec<CheckResult>,
    now: Timestamp,
) -> Result<(), TransitionError> {
    let actor = Actor::new(OURSELVES);
    let mut tx = journal.write().await?;
    advance(&mut tx, &record.position(), &record.plan, &Move { to, actor: &actor, detail, checks, particulars: Value::Null }, now).await?;
    Ok(tx.commit().await?)
}
