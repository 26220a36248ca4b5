//! Executing: each step of the plan is written down, sent, and seen on its object, in order.
//!
//! A call that sent something ends there, so that stabilisation is counted from an instant after the last step was seen.

use bellwether_model::execution::ExecutionState;
use bellwether_model::plan::Step;
use bellwether_model::time::{Span, Timestamp};
use serde_json::json;

use super::{Next, RETRY, StepError, enter};
use crate::drivers::{ActionId, Cluster, DriverError, apply, read};
use crate::journal::Journal;
use crate::journal::effect::{Direction, Effect, Settled};
use crate::journal::record::Record;

/// How long an effect is tried while the cluster gives no answer.
const PATIENCE: Span = Span::from_secs(60);

/// What came of trying to send one step.
enum Sent {
    /// It is on the object.
    Observed,
    /// The execution was moved to another state.
    Moved,
    /// Try again later.
    Later,
}

pub(super) async fn go_on(journal: &Journal, cluster: &Cluster, record: &Record, now: Timestamp) -> Result<Option<Next>, StepError> {
    let effects = journal.effects(&record.execution_id).await?;
    let mut sent_now = false;
    for (i, step) in record.plan.body.steps.iter().enumerate() {
        let effect = effects.iter().find(|e| e.direction == Direction::Apply && e.step == i);
        let sent = match effect {
            Some(effect) if effect.settled == Some(Settled::Observed) => continue,
            Some(effect) if effect.settled.is_some() => stop(journal, record, "a step was refused".into(), now).await?,
            Some(effect) => recover(journal, cluster, record, (effect, i, step), now).await?,
            None if record.session.as_deref() != Some(journal.session()) => return Ok(Some(Next::Readmit)),
            None => begin(journal, cluster, record, (i, step), now).await?,
        };
        match sent {
            Sent::Observed => sent_now = true,
            Sent::Moved => return Ok(None),
            Sent::Later => return Ok(Some(Next::Wait { at: now + RETRY })),
        }
    }
    if sent_now {
        return Ok(Some(Next::Wait { at: now }));
    }
    let wait = record.plan.body.verification.stabilization;
    enter(journal, record, ExecutionState::Verifying, format!("every step is in; measuring after {wait}"), Vec::new(), now).await?;
    Ok(None)
}

/// Sends a step for the first time.
async fn begin(
    journal: &Journal,
    cluster: &Cluster,
    record: &Record,
    (i, step): (usize, &Step),
    now: Timestamp,
) -> Result<Sent, StepError> {
    let live = match read(cluster, &step.object).await {
        Ok(live) => live,
        Err(e) => return unanswered(journal, record, record.entered_at, e, now).await,
    };
    if let Some(difference) = live.first_difference(&step.before) {
        // Intent comes before effect: a change that another caller of ours made meanwhile is in the journal by now.
        let ours = journal.effects(&record.execution_id).await?.iter().any(|e| e.direction == Direction::Apply && e.step == i);
        if ours {
            return Ok(Sent::Later);
        }
        return stop(journal, record, format!("{} changed since the plan was made: {difference}", step.object), now).await;
    }
    let before = live.fields(&step.patch);
    let change = json!({ "object": step.object, "field_manager": step.field_manager, "patch": step.patch, "before": before, "resource_version": live.resource_version() });
    let action = journal.intend(&record.position(), Direction::Apply, i, &before, change, now).await?;
    match apply(cluster, step, &action, &live).await {
        Ok(after) => observed(journal, record, &action, after.resource_version(), now).await,
        Err(e) => failed(journal, record, &action, now, e, now).await,
    }
}

/// Finds out what became of a step that was written down and not seen since, and sends it again only if it never arrived.
async fn recover(
    journal: &Journal,
    cluster: &Cluster,
    record: &Record,
    (effect, i, step): (&Effect, usize, &Step),
    now: Timestamp,
) -> Result<Sent, StepError> {
    let action = ActionId::of(&record.execution_id, Direction::Apply.name(), i);
    let live = match read(cluster, &step.object).await {
        Ok(live) => live,
        Err(e) => return unanswered(journal, record, effect.intended_at, e, now).await,
    };
    let arrived = live.carries(&step.field_manager, &action);
    if arrived && live.stands_at(&step.patch) {
        return observed(journal, record, &action, live.resource_version(), now).await;
    }
    if arrived || !live.stands_at(&effect.before) {
        let difference = live.first_difference(if arrived { &step.patch } else { &effect.before }).unwrap_or_default();
        let why = format!("{} was changed by someone else while our change was on its way: {difference}", step.object);
        enter(journal, record, ExecutionState::NeedsHuman, why, Vec::new(), now).await?;
        return Ok(Sent::Moved);
    }
    match apply(cluster, step, &action, &live).await {
        Ok(after) => observed(journal, record, &action, after.resource_version(), now).await,
        Err(e) => failed(journal, record, &action, effect.intended_at, e, now).await,
    }
}

async fn observed(journal: &Journal, record: &Record, action: &ActionId, version: &str, now: Timestamp) -> Result<Sent, StepError> {
    journal.settle(&record.execution_id, action, Settled::Observed, &format!("resource version {version}"), now).await?;
    Ok(Sent::Observed)
}

/// A write did not go through: with an answer, it is settled as refused; without one, it stays open.
async fn failed(
    journal: &Journal,
    record: &Record,
    action: &ActionId,
    since: Timestamp,
    error: DriverError,
    now: Timestamp,
) -> Result<Sent, StepError> {
    if !error.is_transient() {
        journal.settle(&record.execution_id, action, Settled::Rejected, &error.to_string(), now).await?;
    }
    unanswered(journal, record, since, error, now).await
}

/// What to do about an error: wait while there may yet be an answer, stop otherwise.
async fn unanswered(journal: &Journal, record: &Record, since: Timestamp, error: DriverError, now: Timestamp) -> Result<Sent, StepError> {
    if matches!(error, DriverError::NoCluster) {
        return Err(StepError::NoCluster { execution_id: record.execution_id.clone() });
    }
    if error.is_transient() && now < since + PATIENCE {
        tracing::warn!(execution = %record.execution_id, %error, "the cluster gave no answer; trying again");
        return Ok(Sent::Later);
    }
    stop(journal, record, error.to_string(), now).await
}

/// Ends executing: rolls back what was sent or may have been, or fails when nothing was.
async fn stop(journal: &Journal, record: &Record, why: String, now: Timestamp) -> Result<Sent, StepError> {
    let effects = journal.effects(&record.execution_id).await?;
    let sent = effects.iter().any(|e| e.direction == Direction::Apply && e.settled != Some(Settled::Rejected));
    let to = if sent { ExecutionState::RollingBack } else { ExecutionState::Failed };
    enter(journal, record, to, why, Vec::new(), now).await?;
    Ok(Sent::Moved)
}
