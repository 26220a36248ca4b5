//! The inbox: small events that are acknowledged at once and reach the ledger together, a few seconds later.

use bellwether_model::time::Timestamp;
use sqlx::Row;

use super::Journal;
use super::store::{StoreError, time};

/// Events that may wait at once. More are refused, so that a ledger that cannot be written does not fill the disk unseen.
pub const INBOX_LIMIT: i64 = 100_000;

/// One event that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboxItem {
    /// Its place in the order of arrival. Never used twice.
    pub sequence: i64,
    /// Where it came from: `openlineage`.
    pub source: String,
    /// When it came.
    pub received_at: Timestamp,
    /// The event as text, already redacted.
    pub content: String,
}

/// The events were not taken.
#[derive(Debug, thiserror::Error)]
pub enum InboxError {
    /// Too many wait already: try again later.
    #[error("{waiting} events wait for the ledger already; try again later")]
    Full {
        /// How many wait.
        waiting: i64,
    },
    /// The journal could not be written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for InboxError {
    fn from(e: sqlx::Error) -> Self {
        Self::Store(e.into())
    }
}

impl Journal {
    /// Takes events, all or none. When this returns, they are on disk and may be acknowledged. Gives the last one's sequence.
    pub async fn receive(&self, source: &str, contents: &[String], now: Timestamp) -> Result<i64, InboxError> {
        let mut tx = self.write().await?;
        let waiting: i64 = sqlx::query("SELECT count(*) FROM inbox").fetch_one(&mut *tx).await?.get(0);
        if waiting + contents.len() as i64 > INBOX_LIMIT {
            return Err(InboxError::Full { waiting });
        }
        let mut last = 0;
        for content in contents {
            let added = sqlx::query("INSERT INTO inbox (source, received_at, content) VALUES (?, ?, ?)")
                .bind(source)
                .bind(now.micros())
                .bind(content);
            last = added.execute(&mut *tx).await?.last_insert_rowid();
        }
        tx.commit().await?;
        Ok(last)
    }

    /// At most `limit` waiting events in order of arrival. Write them to the ledger under (journal id, last sequence), then
    /// call [`Journal::drained`]: a crash in between repeats a batch that the ledger already knows.
    pub async fn waiting(&self, limit: i64) -> Result<Vec<InboxItem>, StoreError> {
        let rows = sqlx::query("SELECT * FROM inbox ORDER BY sequence LIMIT ?").bind(limit).fetch_all(&self.pool).await?;
        let item = |row: &sqlx::sqlite::SqliteRow| InboxItem {
            sequence: row.get("sequence"),
            source: row.get("source"),
            received_at: time(row, "received_at"),
            content: row.get("content"),
        };
        Ok(rows.iter().map(item).collect())
    }

    /// Forgets the events up to this sequence, which are in the ledger.
    pub async fn drained(&self, upto: i64) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        sqlx::query("DELETE FROM inbox WHERE sequence <= ?").bind(upto).execute(&mut *tx).await?;
        Ok(tx.commit().await?)
    }
}
