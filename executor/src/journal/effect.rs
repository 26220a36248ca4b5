//! Effects: every call that changes the cluster, written down before it is sent and settled when its result is known.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use bellwether_model::id::{Actor, ExecutionId};
use bellwether_model::time::Timestamp;
use serde_json::{Value, json};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::Journal;
use super::audit::append;
use super::record::{Position, expect};
use super::store::{StoreError, json as text, parse, time, word};
use super::transition::{OURSELVES, TransitionError};
use crate::drivers::ActionId;

/// Whether an effect does a step of the plan or takes it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// The step's patch is applied.
    Apply,
    /// What was there before is restored.
    Undo,
}

/// What came of an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Settled {
    /// It was seen on the object.
    Observed,
    /// It was not sent: the object stood as it should already.
    Needless,
    /// The cluster refused it, or it never arrived and no longer can.
    Rejected,
}

/// One effect.
#[derive(Clone, Debug, PartialEq)]
pub struct Effect {
    /// Makes it happen once.
    pub action_id: String,
    /// Doing or undoing.
    pub direction: Direction,
    /// The plan's step, from 0.
    pub step: usize,
    /// The step's fields as they stood when it was written down; null where a field was absent. What undoing it restores.
    pub before: Value,
    /// When it was written down, before it was first sent.
    pub intended_at: Timestamp,
    /// What came of it; none while that is not known.
    pub settled: Option<Settled>,
}

impl Direction {
    /// The name as it is stored.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Apply => "apply",
            Self::Undo => "undo",
        }
    }
}

impl Settled {
    /// The name as it is stored.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Observed => "observed",
            Self::Needless => "needless",
            Self::Rejected => "rejected",
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Direction {
    type Err = ();
    fn from_str(s: &str) -> Result<Self, ()> {
        [Self::Apply, Self::Undo].into_iter().find(|d| d.name() == s).ok_or(())
    }
}

impl FromStr for Settled {
    type Err = ();
    fn from_str(s: &str) -> Result<Self, ()> {
        [Self::Observed, Self::Needless, Self::Rejected].into_iter().find(|d| d.name() == s).ok_or(())
    }
}

impl Journal {
    /// Every effect of an execution, in the order in which they were written down.
    pub async fn effects(&self, id: &ExecutionId) -> Result<Vec<Effect>, StoreError> {
        let rows =
            sqlx::query("SELECT * FROM effects WHERE execution_id = ? ORDER BY rowid").bind(id.as_str()).fetch_all(&self.pool).await?;
        rows.iter().map(effect).collect()
    }

    /// The steps of an execution that were sent already, or may have been: they need no admission any more.
    pub async fn sent(&self, id: &ExecutionId) -> Result<BTreeSet<usize>, StoreError> {
        Ok(self.effects(id).await?.into_iter().filter(|e| e.direction == Direction::Apply).map(|e| e.step).collect())
    }

    /// Writes an effect down with the fields that it will change, before it is sent. The execution must stand exactly where
    /// the sender thinks it does, and applying is only for the session that claimed it.
    pub(crate) async fn intend(
        &self,
        at: &Position,
        direction: Direction,
        step: usize,
        before: &Value,
        detail: Value,
        now: Timestamp,
    ) -> Result<ActionId, TransitionError> {
        let action = ActionId::of(&at.execution_id, direction.name(), step);
        let mut tx = self.write().await?;
        let record = expect(&mut tx, &at.execution_id).await?;
        let ours = direction == Direction::Undo || record.session.as_deref() == Some(self.session());
        if record.position() != *at || !ours {
            return Err(TransitionError::Overtaken { execution_id: at.execution_id.clone(), state: at.state });
        }
        let added = sqlx::query(
            "INSERT INTO effects (action_id, execution_id, direction, step, before, intended_at) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        )
        .bind(action.as_str())
        .bind(at.execution_id.as_str())
        .bind(direction.name())
        .bind(step as i64)
        .bind(text(before)?)
        .bind(now.micros())
        .execute(&mut *tx)
        .await?;
        if added.rows_affected() != 1 {
            return Err(TransitionError::Overtaken { execution_id: at.execution_id.clone(), state: at.state });
        }
        let detail = json!({ "action_id": action.as_str(), "direction": direction.name(), "step": step, "change": detail });
        append(&mut tx, &Actor::new(OURSELVES), "send", at.execution_id.as_str(), detail, now).await?;
        tx.commit().await?;
        Ok(action)
    }

    /// Writes down what came of an effect. What was settled stays as it was settled first.
    pub(crate) async fn settle(
        &self,
        id: &ExecutionId,
        action: &ActionId,
        settled: Settled,
        detail: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        let changed = sqlx::query("UPDATE effects SET result = ?, settled_at = ? WHERE action_id = ? AND result IS NULL")
            .bind(settled.name())
            .bind(now.micros())
            .bind(action.as_str())
            .execute(&mut *tx)
            .await?;
        if changed.rows_affected() == 1 {
            let detail = json!({ "action_id": action.as_str(), "result": settled.name(), "detail": detail });
            append(&mut tx, &Actor::new(OURSELVES), "observe", id.as_str(), detail, now).await?;
        }
        Ok(tx.commit().await?)
    }
}

fn effect(row: &SqliteRow) -> Result<Effect, StoreError> {
    Ok(Effect {
        action_id: row.get("action_id"),
        direction: word("direction", row.get("direction"))?,
        step: row.get::<i64, _>("step") as usize,
        before: parse("effect", row.get("before"))?,
        intended_at: time(row, "intended_at"),
        settled: row.get::<Option<&str>, _>("result").map(|text| word("result", text)).transpose()?,
    })
}
