//! An execution as it stands: its plan, what was said of it, and how far it is.

use std::collections::BTreeMap;

use bellwether_model::decision::{Approval, Decision};
use bellwether_model::execution::{Execution, ExecutionState};
use bellwether_model::id::{CheckName, ExecutionId, PlanId};
use bellwether_model::plan::Plan;
use bellwether_model::time::Timestamp;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::Journal;
use super::store::{StoreError, parse, time, word};
use super::transition::TransitionError;
use crate::drivers::diff::DryRun;

/// One execution as the journal has it now.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// The execution.
    pub execution_id: ExecutionId,
    /// What it carries out.
    pub plan: Plan,
    /// What governance said when the plan was suggested.
    pub decision: Decision,
    /// What the cluster's dry run would change, once there was one.
    pub dry_run: Option<DryRun>,
    /// A person's word, once there was one.
    pub approval: Option<Approval>,
    /// Its checks as measured before anything was changed, where that was recorded. Checks without a value are left out.
    pub baseline: BTreeMap<CheckName, f64>,
    /// Where it stands.
    pub state: ExecutionState,
    /// How many transitions came before.
    pub sequence: i64,
    /// When it entered the state.
    pub entered_at: Timestamp,
    /// The session that claimed it last, if any did.
    pub session: Option<String>,
    /// When it was first claimed.
    pub claimed_at: Option<Timestamp>,
}

/// The place of an execution that a transition must find unchanged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The execution.
    pub execution_id: ExecutionId,
    /// Where it stands.
    pub state: ExecutionState,
    /// How many transitions came before.
    pub sequence: i64,
}

/// The id of the execution of a plan: the same for the same plan, everywhere.
pub fn execution_id(plan: &Plan) -> ExecutionId {
    ExecutionId::of(&[plan.plan_id.as_str(), &plan.digest.to_string()])
}

impl Record {
    /// Where it stands, for a compare-and-swap.
    pub fn position(&self) -> Position {
        Position { execution_id: self.execution_id.clone(), state: self.state, sequence: self.sequence }
    }
}

impl Journal {
    /// The execution of this id.
    pub async fn get(&self, id: &ExecutionId) -> Result<Option<Record>, StoreError> {
        fetch(&mut *self.pool.acquire().await?, id).await
    }

    /// Every execution that has not ended, oldest first: what to go on with after a start.
    pub async fn open_executions(&self) -> Result<Vec<Record>, StoreError> {
        let rows = sqlx::query(
            "SELECT * FROM executions WHERE state NOT IN ('succeeded', 'rolled_back', 'failed', 'refused', 'needs_human') ORDER BY rowid",
        )
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(record).collect()
    }

    /// The execution of the plan of this id.
    pub async fn of_plan(&self, plan: &PlanId) -> Result<Option<Record>, StoreError> {
        let row = sqlx::query("SELECT * FROM executions WHERE plan_id = ?").bind(plan.as_str()).fetch_optional(&self.pool).await?;
        row.as_ref().map(record).transpose()
    }

    /// The newest executions, newest first, at most `limit`.
    pub async fn list(&self, limit: i64) -> Result<Vec<Record>, StoreError> {
        let rows = sqlx::query("SELECT * FROM executions ORDER BY rowid DESC LIMIT ?").bind(limit).fetch_all(&self.pool).await?;
        rows.iter().map(record).collect()
    }

    /// Every state that an execution entered, in order.
    pub async fn transitions(&self, id: &ExecutionId) -> Result<Vec<Execution>, StoreError> {
        let rows = sqlx::query("SELECT row FROM transitions WHERE execution_id = ? ORDER BY position")
            .bind(id.as_str())
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(|row| parse("transition", row.get(0))).collect()
    }
}

pub(crate) async fn fetch(connection: &mut SqliteConnection, id: &ExecutionId) -> Result<Option<Record>, StoreError> {
    let row = sqlx::query("SELECT * FROM executions WHERE execution_id = ?").bind(id.as_str()).fetch_optional(connection).await?;
    row.as_ref().map(record).transpose()
}

/// The execution of this id, which must be there.
pub(crate) async fn expect(connection: &mut SqliteConnection, id: &ExecutionId) -> Result<Record, TransitionError> {
    fetch(connection, id).await?.ok_or_else(|| TransitionError::Unknown { execution_id: id.clone() })
}

fn record(row: &SqliteRow) -> Result<Record, StoreError> {
    let optional = |column: &str| row.get::<Option<&str>, _>(column);
    Ok(Record {
        execution_id: ExecutionId::new(row.get::<&str, _>("execution_id")),
        plan: parse("plan", row.get("plan"))?,
        decision: parse("decision", row.get("decision"))?,
        dry_run: optional("dry_run").map(|text| parse("dry run", text)).transpose()?,
        approval: optional("approval").map(|text| parse("approval", text)).transpose()?,
        baseline: optional("baseline").map(|text| parse("baseline", text)).transpose()?.unwrap_or_default(),
        state: word("state", row.get("state"))?,
        sequence: row.get("sequence"),
        entered_at: time(row, "entered_at"),
        session: optional("session").map(str::to_owned),
        claimed_at: row.get::<Option<i64>, _>("claimed_at").map(Timestamp::from_micros),
    })
}
