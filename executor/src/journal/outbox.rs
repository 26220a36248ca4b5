//! The outbox: journal rows that have yet to reach the ledger.
//!
//! For each kind: take [`Journal::pending`], append its rows under the lane (journal id and kind, [`Batch::upto`]), then say
//! [`Journal::relayed`]. A crash in between offers the same rows again, and the ledger knows the lane's sequence already.

use bellwether_model::audit::AuditEntry;
use bellwether_model::decision::Approval;
use bellwether_model::execution::Execution;
use bellwether_model::outcome::Outcome;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::Journal;
use super::audit::page;
use super::store::{StoreError, parse};

/// The kinds of rows that go to the ledger, named as its tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Approvals and rejections.
    Approvals,
    /// Transitions of executions.
    Executions,
    /// Verified effects.
    Outcomes,
    /// The audit chain.
    Audit,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Approvals, Self::Executions, Self::Outcomes, Self::Audit];

    /// The ledger's table.
    pub const fn table(self) -> &'static str {
        match self {
            Self::Approvals => "approvals",
            Self::Executions => "executions",
            Self::Outcomes => "outcomes",
            Self::Audit => "audit",
        }
    }
}

/// Rows of one kind, in the order in which they were written.
#[derive(Clone, Debug, PartialEq)]
pub enum Rows {
    /// Approvals and rejections.
    Approvals(Vec<Approval>),
    /// Transitions of executions.
    Executions(Vec<Execution>),
    /// Verified effects.
    Outcomes(Vec<Outcome>),
    /// The audit chain.
    Audit(Vec<AuditEntry>),
}

/// Rows that have yet to reach the ledger.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// Sequence of the last row: the lane's sequence, and what to say to [`Journal::relayed`].
    pub upto: i64,
    /// The rows; never empty.
    pub rows: Rows,
}

impl Journal {
    /// The next rows of this kind, at most `limit`; none when all have been relayed.
    pub async fn pending(&self, kind: Kind, limit: i64) -> Result<Option<Batch>, StoreError> {
        let mut tx = self.pool.begin().await?;
        let position = sqlx::query("SELECT upto FROM outbox WHERE kind = ?").bind(kind.table()).fetch_optional(&mut *tx).await?;
        let after = position.map_or(0, |row| row.get(0));
        if kind == Kind::Audit {
            let entries = page(&mut tx, after, limit).await?;
            return Ok(entries.last().map(|e| e.sequence).map(|upto| Batch { upto, rows: Rows::Audit(entries) }));
        }
        let rows = after_sequence(&mut tx, kind, after, limit).await?;
        let Some(upto) = rows.last().map(|row| row.get("sequence")) else { return Ok(None) };
        let rows = match kind {
            Kind::Approvals => Rows::Approvals(read(&rows, "approval")?),
            Kind::Executions => Rows::Executions(read(&rows, "transition")?),
            Kind::Outcomes | Kind::Audit => Rows::Outcomes(read(&rows, "outcome")?),
        };
        Ok(Some(Batch { upto, rows }))
    }

    /// Notes that the rows of this kind up to this sequence are in the ledger. Never goes back.
    pub async fn relayed(&self, kind: Kind, upto: i64) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        sqlx::query("INSERT INTO outbox VALUES (?, ?) ON CONFLICT (kind) DO UPDATE SET upto = max(upto, excluded.upto)")
            .bind(kind.table())
            .bind(upto)
            .execute(&mut *tx)
            .await?;
        Ok(tx.commit().await?)
    }
}

async fn after_sequence(connection: &mut SqliteConnection, kind: Kind, after: i64, limit: i64) -> Result<Vec<SqliteRow>, StoreError> {
    let query = match kind {
        Kind::Approvals => "SELECT sequence, row FROM approvals WHERE sequence > ? ORDER BY sequence LIMIT ?",
        Kind::Executions => "SELECT sequence, row FROM transitions WHERE sequence > ? ORDER BY sequence LIMIT ?",
        Kind::Outcomes | Kind::Audit => "SELECT sequence, row FROM outcomes WHERE sequence > ? ORDER BY sequence LIMIT ?",
    };
    Ok(sqlx::query(query).bind(after).bind(limit).fetch_all(connection).await?)
}

fn read<T: serde::de::DeserializeOwned>(rows: &[SqliteRow], what: &'static str) -> Result<Vec<T>, StoreError> {
    rows.iter().map(|row| parse(what, row.get("row"))).collect()
}
