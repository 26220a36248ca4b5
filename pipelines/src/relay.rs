//! From the journal to the ledger: what was done becomes rows that the next round can read.

use bellwether_executor::journal::outbox::{Kind, Rows};
use bellwether_executor::{Journal, StoreError};
use bellwether_lake::{Lake, LakeError, Lane, tables};

/// Rows relayed in one commit at most.
const PAGE: i64 = 10_000;

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

/// Appends everything that the journal holds and the ledger does not. Gives the number of rows.
///
/// *Guarantees:* each row is stored once, however often this is interrupted: the lane is the journal's id and the row's
/// sequence. *Errors:* as [`RelayError`].
pub async fn relay(journal: &Journal, lake: &Lake) -> Result<usize, RelayError> {
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
