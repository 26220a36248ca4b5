//! `bellwether audit`

use bellwether_executor::Journal;
use bellwether_executor::journal::audit::AuditError;
use serde::Serialize;

use crate::cli::{AuditArgs, AuditCommand, Output};
use crate::config::Config;
use crate::failure::{Failure, Kind};
use crate::{open, output};

/// Where the audit chain stands.
#[derive(Debug, Serialize)]
pub struct Standing {
    /// Entries in the chain.
    pub entries: i64,
    /// Digest of the last entry.
    pub head: String,
    /// Whether every entry follows from the one before.
    pub verified: bool,
}

/// Runs the command.
pub async fn run(config: &Config, args: AuditArgs, output: Output) -> Result<(), Failure> {
    let journal = open::journal(config).await?;
    match args.command {
        AuditCommand::Verify => {
            let standing = verify(&journal).await?;
            output::print(output, &standing, || format!("the audit chain holds: {} entries, head {}", standing.entries, standing.head))
        }
        AuditCommand::Log { limit } => {
            let head = journal.audit_head().await.map_err(|e| open::upstream(&e))?;
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let entries = journal.audit((head.sequence - limit).max(0), limit).await.map_err(|e| open::upstream(&e))?;
            let rows = entries.iter().map(output::row).collect::<Result<Vec<_>, _>>()?;
            output::print_rows(output, &rows, &["sequence", "at", "actor", "action", "subject", "detail"])
        }
    }
}

/// Checks the whole chain.
///
/// # Errors
/// The first entry that was edited, removed, inserted or moved; or the journal cannot be read.
pub async fn verify(journal: &Journal) -> Result<Standing, Failure> {
    match journal.verify_audit().await {
        Ok(head) => Ok(Standing { entries: head.sequence, head: head.digest.to_string(), verified: true }),
        Err(AuditError::Broken(broken)) => Err(Failure::user(format!("the audit chain is broken: {broken}")).hint(
            "someone changed the journal behind the program's back; keep the file, and compare with the table `audit` of the ledger",
        )),
        Err(other) => Err(Failure::of(Kind::Upstream, &other)),
    }
}
