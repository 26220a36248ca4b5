//! Outcomes: what an execution did to the incident, as governance assessed it.

use bellwether_model::execution::ExecutionState;
use bellwether_model::id::{Actor, CheckName, ExecutionId};
use bellwether_model::outcome::Outcome;
use bellwether_model::time::Timestamp;
use serde_json::json;
use sqlx::Row;
use std::collections::BTreeMap;

use super::Journal;
use super::audit::append;
use super::record::expect;
use super::store::{StoreError, json as text, parse};
use super::transition::{OURSELVES, TransitionError};

impl Journal {
    /// Writes down an outcome, once for each execution; false when there was one already, which stays.
    pub async fn record_outcome(&self, outcome: &Outcome, now: Timestamp) -> Result<bool, TransitionError> {
        let mut tx = self.write().await?;
        let record = expect(&mut tx, &outcome.execution_id).await?;
        let added = sqlx::query("INSERT INTO outcomes (execution_id, service, row) VALUES (?, ?, ?) ON CONFLICT DO NOTHING")
            .bind(outcome.execution_id.as_str())
            .bind(record.plan.body.service.as_str())
            .bind(text(outcome)?)
            .execute(&mut *tx)
            .await?;
        if added.rows_affected() != 1 {
            return Ok(false);
        }
        let detail = json!({ "effect": outcome.effect, "why": outcome.detail, "plan_id": outcome.plan_id });
        append(&mut tx, &Actor::new(OURSELVES), "assess", outcome.execution_id.as_str(), detail, now).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// The outcome of an execution, once there is one.
    pub async fn outcome(&self, id: &ExecutionId) -> Result<Option<Outcome>, StoreError> {
        let row = sqlx::query("SELECT row FROM outcomes WHERE execution_id = ?").bind(id.as_str()).fetch_optional(&self.pool).await?;
        row.map(|row| parse("outcome", row.get(0))).transpose()
    }

    /// Writes down what an execution's checks say before anything is changed, so that results can be told beside it. Values
    /// that are not numbers are left out. Only before it executes.
    pub async fn record_baseline(&self, id: &ExecutionId, values: &BTreeMap<CheckName, Option<f64>>) -> Result<(), TransitionError> {
        let known: BTreeMap<&CheckName, f64> =
            values.iter().filter_map(|(name, value)| Some((name, value.filter(|v| v.is_finite())?))).collect();
        let mut tx = self.write().await?;
        let record = expect(&mut tx, id).await?;
        if record.state >= ExecutionState::Executing {
            return Err(TransitionError::Illegal { execution_id: id.clone(), from: record.state, to: record.state });
        }
        sqlx::query("UPDATE executions SET baseline = ? WHERE execution_id = ?")
            .bind(text(&known)?)
            .bind(id.as_str())
            .execute(&mut *tx)
            .await?;
        Ok(tx.commit().await?)
    }
}
