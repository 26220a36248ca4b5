//! What limits are judged from: the operations of a service, and how its breaker stands, both derived from the log of what
//! was done, so that a restart forgets nothing.

use bellwether_governance::blueprint::Safety;
use bellwether_governance::history::{BreakerEvent, History, PastOperation, RATE_WINDOW, is_safety};
use bellwether_model::execution::ExecutionState;
use bellwether_model::id::{Actor, ExecutionId, ServiceName};
use bellwether_model::outcome::Effect;
use bellwether_model::plan::Plan;
use bellwether_model::time::Timestamp;
use serde_json::json;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::Journal;
use super::audit::append;
use super::effect::Direction;
use super::store::{StoreError, parse, time, word};

impl Journal {
    /// What was done to a service, for `governance::decide` and `governance::admit`: its operations of the last hour (of the
    /// cooldown, where that is longer), and its breaker under these limits.
    pub async fn history(&self, service: &ServiceName, limits: &Safety, now: Timestamp) -> Result<History, StoreError> {
        let mut tx = self.pool.begin().await?;
        read(&mut tx, service, None, limits, now).await
    }

    /// What was done to the service of an execution, without what that execution did itself: for admitting it anew.
    pub async fn history_beside(
        &self,
        id: &ExecutionId,
        service: &ServiceName,
        limits: &Safety,
        now: Timestamp,
    ) -> Result<History, StoreError> {
        let mut tx = self.pool.begin().await?;
        read(&mut tx, service, Some(id), limits, now).await
    }

    /// Closes a service's breaker by a person's word.
    pub async fn reset_breaker(&self, service: &ServiceName, actor: &Actor, reason: &str, now: Timestamp) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        log(&mut tx, service, "reset", None, now).await?;
        append(&mut tx, actor, "reset_breaker", service.as_str(), json!({ "why": reason }), now).await?;
        Ok(tx.commit().await?)
    }
}

/// The history of a service as this transaction sees it.
pub(crate) async fn read(
    tx: &mut SqliteConnection,
    service: &ServiceName,
    beside: Option<&ExecutionId>,
    limits: &Safety,
    now: Timestamp,
) -> Result<History, StoreError> {
    let mut history = History::default();
    let beside = beside.map_or("", ExecutionId::as_str);
    let events = sqlx::query(
        "SELECT b.event, b.at, e.state, json_extract(o.row, '$.effect') AS effect FROM breaker b \
         LEFT JOIN executions e ON e.execution_id = b.execution_id LEFT JOIN outcomes o ON o.execution_id = b.execution_id \
         WHERE b.service = ? AND coalesce(b.execution_id, '') != ? ORDER BY b.sequence",
    )
    .bind(service.as_str())
    .bind(beside)
    .fetch_all(&mut *tx)
    .await?;
    for row in &events {
        (history.breaker, history.consecutive_failures) = history.breaker_after(event(row)?, limits, time(row, "at"));
    }
    let sent = sqlx::query(
        "SELECT f.direction, f.step, f.intended_at, e.plan FROM effects f JOIN executions e ON e.execution_id = f.execution_id \
         WHERE e.service = ? AND e.execution_id != ? AND f.intended_at > ? ORDER BY f.rowid",
    )
    .bind(service.as_str())
    .bind(beside)
    .bind((now - RATE_WINDOW.max(limits.cooldown)).micros())
    .fetch_all(&mut *tx)
    .await?;
    for row in &sent {
        history.operations.extend(operation(row)?);
    }
    Ok(history)
}

/// Notes that a claimed execution ended. One that was never claimed did nothing, and says nothing about the service.
pub(crate) async fn ended(tx: &mut SqliteConnection, id: &ExecutionId, now: Timestamp) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO breaker (service, at, event, execution_id) SELECT service, ?, 'ended', execution_id FROM executions WHERE execution_id = ? AND claimed_at IS NOT NULL")
        .bind(now.micros())
        .bind(id.as_str())
        .execute(tx)
        .await?;
    Ok(())
}

/// Notes that an open breaker lets this execution through to try.
pub(crate) async fn probe(tx: &mut SqliteConnection, service: &ServiceName, id: &ExecutionId, now: Timestamp) -> Result<(), StoreError> {
    log(tx, service, "probe", Some(id), now).await
}

async fn log(
    tx: &mut SqliteConnection,
    service: &ServiceName,
    event: &str,
    id: Option<&ExecutionId>,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO breaker (service, at, event, execution_id) VALUES (?, ?, ?, ?)")
        .bind(service.as_str())
        .bind(now.micros())
        .bind(event)
        .bind(id.map(ExecutionId::as_str))
        .execute(tx)
        .await?;
    Ok(())
}

/// A verified execution is a success until its outcome says that it did not help; everything else that was claimed and ended
/// is a failure.
fn event(row: &SqliteRow) -> Result<BreakerEvent, StoreError> {
    match row.get("event") {
        "probe" => return Ok(BreakerEvent::ProbeStarted),
        "reset" => return Ok(BreakerEvent::Reset),
        _ => {}
    }
    let state: ExecutionState = word("state", row.get("state"))?;
    let helped = match row.get::<Option<&str>, _>("effect").and_then(Effect::of_word) {
        Some(Effect::Ineffective | Effect::Harmful) => false,
        Some(Effect::Effective | Effect::NoData) | None => state == ExecutionState::Succeeded,
    };
    Ok(if helped { BreakerEvent::Succeeded } else { BreakerEvent::Failed })
}

fn operation(row: &SqliteRow) -> Result<Option<PastOperation>, StoreError> {
    let plan: Plan = parse("plan", row.get("plan"))?;
    let undo = word::<Direction>("direction", row.get("direction"))? == Direction::Undo;
    let step = usize::try_from(row.get::<i64, _>("step")).ok().and_then(|i| plan.body.steps.get(i));
    Ok(step.map(|step| PastOperation {
        at: time(row, "intended_at"),
        object: step.object.to_string(),
        safety: undo || is_safety(step.operation),
    }))
}
