//! The audit chain in the journal: appended to inside the transaction of what it records, read, and verified.

use bellwether_model::audit::{AuditEntry, BrokenChain, verify};
use bellwether_model::digest::Digest;
use bellwether_model::id::Actor;
use bellwether_model::time::Timestamp;
use serde_json::Value;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::Journal;
use super::store::{StoreError, json, parse, time, word};

/// Entries read at once while verifying: bounds memory, whatever the length of the chain.
const PAGE: i64 = 1_000;

/// Where a chain ends: its last sequence (0 when it is empty) and digest (zeros when it is empty).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Sequence of the last entry.
    pub sequence: i64,
    /// Digest of the last entry.
    pub digest: Digest,
}

/// The chain does not hold, or could not be read.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// An entry was edited, removed, inserted or moved.
    #[error("the audit chain is broken")]
    Broken(#[from] BrokenChain),
    /// The journal could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Journal {
    /// Records something that is no transition of an execution: a recommendation, a token issued, a configuration loaded.
    pub async fn record(
        &self,
        actor: &Actor,
        action: &str,
        subject: &str,
        detail: Value,
        now: Timestamp,
    ) -> Result<AuditEntry, StoreError> {
        let mut tx = self.write().await?;
        let entry = append(&mut tx, actor, action, subject, detail, now).await?;
        tx.commit().await?;
        Ok(entry)
    }

    /// At most `limit` entries after the sequence `after`, in order.
    pub async fn audit(&self, after: i64, limit: i64) -> Result<Vec<AuditEntry>, StoreError> {
        let mut connection = self.pool.acquire().await?;
        page(&mut connection, after, limit).await
    }

    /// Where the chain ends by the journal's own account.
    pub async fn audit_head(&self) -> Result<Head, StoreError> {
        let mut connection = self.pool.acquire().await?;
        head(&mut connection).await
    }

    /// Checks the whole chain, first entry to last, and gives its end.
    ///
    /// *Guarantees:* finds any edit, removal, insertion or reorder by whoever does not also recompute every later digest and
    /// the recorded end. *Caveats:* someone with the file can rewrite all of it; the copies of the head that went to the ledger
    /// and to people show that. *Errors:* names the first entry that does not fit.
    pub async fn verify_audit(&self) -> Result<Head, AuditError> {
        // One read transaction: entries appended meanwhile are not looked at.
        let mut tx = self.pool.begin().await.map_err(StoreError::from)?;
        let end = head(&mut tx).await?;
        let mut last = (0, Digest::ZERO);
        loop {
            let entries = page(&mut tx, last.0, PAGE).await.map_err(|e| unreadable(last.0 + 1, e))?;
            if entries.is_empty() {
                break;
            }
            last = verify(last, &entries)?;
        }
        if last != (end.sequence, end.digest) {
            let sequence = last.0.min(end.sequence) + 1;
            let problem = format!(
                "the chain should end at entry {} ({}) and ends at {} ({})",
                end.sequence,
                end.digest.short(),
                last.0,
                last.1.short()
            );
            return Err(BrokenChain { sequence, problem }.into());
        }
        Ok(end)
    }
}

/// A row that is no entry at all is a broken chain, not a broken journal.
fn unreadable(sequence: i64, error: StoreError) -> AuditError {
    match error {
        StoreError::Unreadable { .. } | StoreError::Unknown { .. } => {
            BrokenChain { sequence, problem: format!("this or a following entry was edited: {error}") }.into()
        }
        other => other.into(),
    }
}

/// Adds an entry at the end of the chain. Call it inside the write that it records.
pub(crate) async fn append(
    tx: &mut SqliteConnection,
    actor: &Actor,
    action: &str,
    subject: &str,
    detail: Value,
    now: Timestamp,
) -> Result<AuditEntry, StoreError> {
    let last = head(&mut *tx).await?;
    let entry = AuditEntry::following((last.sequence, last.digest), now, actor.clone(), action, subject, detail)?;
    sqlx::query("INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?, ?)")
        .bind(entry.sequence)
        .bind(entry.at.micros())
        .bind(entry.actor.as_str())
        .bind(&entry.action)
        .bind(&entry.subject)
        .bind(json(&entry.detail)?)
        .bind(entry.previous.to_string())
        .bind(entry.digest.to_string())
        .execute(&mut *tx)
        .await?;
    sqlx::query("UPDATE journal SET audit_sequence = ?, audit_digest = ?")
        .bind(entry.sequence)
        .bind(entry.digest.to_string())
        .execute(&mut *tx)
        .await?;
    Ok(entry)
}

async fn head(connection: &mut SqliteConnection) -> Result<Head, StoreError> {
    let row = sqlx::query("SELECT audit_sequence, audit_digest FROM journal").fetch_one(connection).await?;
    Ok(Head { sequence: row.get(0), digest: word("digest", row.get(1))? })
}

pub(crate) async fn page(connection: &mut SqliteConnection, after: i64, limit: i64) -> Result<Vec<AuditEntry>, StoreError> {
    let rows = sqlx::query("SELECT * FROM audit WHERE sequence > ? ORDER BY sequence LIMIT ?")
        .bind(after)
        .bind(limit)
        .fetch_all(connection)
        .await?;
    rows.iter().map(entry).collect()
}

fn entry(row: &SqliteRow) -> Result<AuditEntry, StoreError> {
    Ok(AuditEntry {
        sequence: row.get("sequence"),
        at: time(row, "at"),
        actor: Actor::new(row.get::<&str, _>("actor")),
        action: row.get("action"),
        subject: row.get("subject"),
        detail: parse("audit entry", row.get("detail"))?,
        previous: word("digest", row.get("previous"))?,
        digest: word("digest", row.get("digest"))?,
    })
}
