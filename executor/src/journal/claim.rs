//! The gate to acting.

use bellwether_model::execution::ExecutionState;
use bellwether_model::id::Actor;
use bellwether_model::time::Timestamp;
use serde_json::{Value, json};
use sqlx::SqliteConnection;

use super::audit::append;
use super::record::Record;
use super::transition::{Move, OURSELVES, TransitionError, advance};

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
        append(
            tx,
            &actor,
            "execute",
            id.as_str(),
            json!({ "why": format!("admitted anew after a restart: {detail}"), "admission": particulars }),
            now,
        )
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
