//! Leases: one run of a job at a time, over all processes that share the journal.

use bellwether_model::time::{Span, Timestamp};
use sqlx::Row;

use super::Journal;
use super::store::{StoreError, time};

/// The right to run a job until it expires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The job.
    pub job: String,
    /// Who holds it.
    pub owner: String,
    /// Counts the times the job changed hands or was taken again: a later term fences off an earlier one.
    pub term: i64,
    /// When it was taken or last renewed: the heartbeat.
    pub renewed_at: Timestamp,
    /// From then on, others may take it.
    pub expires_at: Timestamp,
}

impl Journal {
    /// Takes the job if nobody holds it; none when someone does, be it `owner` itself under an earlier term.
    ///
    /// *Caveat:* a holder that was paused past its expiry does not know that it lost the job; what it then does in the journal
    /// is stopped by compare-and-swap, not by the lease.
    pub async fn lease(&self, job: &str, owner: &str, length: Span, now: Timestamp) -> Result<Option<Lease>, StoreError> {
        let mut tx = self.write().await?;
        let held = sqlx::query("SELECT term, expires_at FROM leases WHERE job = ?").bind(job).fetch_optional(&mut *tx).await?;
        let term = match held {
            Some(row) if now < time(&row, "expires_at") => return Ok(None),
            Some(row) => row.get::<i64, _>("term") + 1,
            None => 1,
        };
        let lease = Lease { job: job.to_owned(), owner: owner.to_owned(), term, renewed_at: now, expires_at: now + length };
        sqlx::query("INSERT OR REPLACE INTO leases VALUES (?, ?, ?, ?, ?)")
            .bind(job)
            .bind(owner)
            .bind(term)
            .bind(now.micros())
            .bind(lease.expires_at.micros())
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(Some(lease))
    }

    /// Prolongs a lease from now on; false when it was lost meanwhile, and the job must stop.
    pub async fn heartbeat(&self, lease: &mut Lease, length: Span, now: Timestamp) -> Result<bool, StoreError> {
        let mut tx = self.write().await?;
        let renewed = sqlx::query("UPDATE leases SET renewed_at = ?, expires_at = ? WHERE job = ? AND owner = ? AND term = ?")
            .bind(now.micros())
            .bind((now + length).micros())
            .bind(&lease.job)
            .bind(&lease.owner)
            .bind(lease.term)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        if renewed.rows_affected() == 0 {
            return Ok(false);
        }
        (lease.renewed_at, lease.expires_at) = (now, now + length);
        Ok(true)
    }

    /// Gives a job back, so that the next need not wait for the expiry. Does nothing when it was lost already.
    pub async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        sqlx::query("UPDATE leases SET expires_at = 0 WHERE job = ? AND owner = ? AND term = ?")
            .bind(&lease.job)
            .bind(&lease.owner)
            .bind(lease.term)
            .execute(&mut *tx)
            .await?;
        Ok(tx.commit().await?)
    }

    /// Every lease, by job.
    pub async fn leases(&self) -> Result<Vec<Lease>, StoreError> {
        let rows = sqlx::query("SELECT * FROM leases ORDER BY job").fetch_all(&self.pool).await?;
        let lease = |row: &sqlx::sqlite::SqliteRow| Lease {
            job: row.get("job"),
            owner: row.get("owner"),
            term: row.get("term"),
            renewed_at: time(row, "renewed_at"),
            expires_at: time(row, "expires_at"),
        };
        Ok(rows.iter().map(lease).collect())
    }
}
