//! From the journal to the ledger: what was done becomes rows that the next round can read.

use bellwether_executor::journal::outbox::{Kind, Rows};
use bellwether_executor::{Journal, StoreError};
use bellwether_lake::{Lake, LakeError, Lane, tables};
use bellwether_model::time::{Span, Timestamp};

/// Rows relayed in one commit at most.
const PAGE: i64 = 10_000;
/// The journal's lease that keeps relaying to one process at a time, and its length: longer than any relay takes.
const LEASE: (&str, Span) = ("relay", Span::from_mins(5));

/// Journal rows could not be relayed. Nothing is lost: the next relay offers them again.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// The journal cannot be used.
    #[error("the journal cannot be used")]
    Journal(#[from] StoreError),
    /// The ledger cannot be written.
    #[error("the ledger cannot be written")]
    Lake(#[from] LakeError),
}

/// Appends everything that the journal holds and the ledger does not. Gives the number of rows; 0 while another process does it.
///
/// *Guarantees:* each row is stored once, however often this is interrupted: the lane is the journal's id and the row's
/// sequence. *Errors:* as [`RelayError`].
pub async fn relay(journal: &Journal, lake: &Lake, now: Timestamp) -> Result<usize, RelayError> {
    if !is_any_pending(journal).await? {
        return Ok(0);
    }
    // Two that relay at once could begin pages at one row and end them at two, and a lane would take both pages.
    let Some(lease) = journal.lease(LEASE.0, journal.session(), LEASE.1, now).await? else { return Ok(0) };
    let relayed = relay_all(journal, lake).await;
    journal.release(&lease).await?;
    relayed
}

async fn is_any_pending(journal: &Journal) -> Result<bool, StoreError> {
    for kind in Kind::ALL {
        if journal.pending(kind, 1).await?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn relay_all(journal: &Journal, lake: &Lake) -> Result<usize, RelayError> {
    let mut relayed = 0;
    for kind in Kind::ALL {
        while let Some(batch) = journal.pending(kind, PAGE).await? {
            let lane = [Lane::new(format!("journal/{}/{}", journal.id(), kind.table()), batch.upto)];
            let appended = match &batch.rows {
                Rows::Approvals(rows) => lake.append_rows(&tables::APPROVALS, rows, &lane).await?,
                Rows::Executions(rows) => lake.append_rows(&tables::EXECUTIONS, rows, &lane).await?,
                Rows::Outcomes(rows) => lake.append_rows(&tables::OUTCOMES, rows, &lane).await?,
                Rows::Audit(rows) => lake.append_rows(&tables::AUDIT, rows, &lane).await?,
            };
            relayed += appended.rows();
            journal.relayed(kind, batch.upto).await?;
        }
    }
    Ok(relayed)
}
