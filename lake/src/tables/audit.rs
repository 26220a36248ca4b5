//! The table `audit`.

use super::TableDef;
use super::column::*;

/// The audit chain.
pub static AUDIT: TableDef = TableDef {
    name: "audit",
    doc: "One row for each entry of the audit chain, relayed from the journal; the view audit_logs has the same rows in order.",
    columns: &[
        int("sequence", "Position in the chain, from 1 without gaps."),
        time("at", "When."),
        text("actor", "Who did it."),
        text("action", "What: recommend, plan, dry_run, approve, execute, verify, rollback, refuse, and so on."),
        text("subject", "On what: the id of a plan, execution or object."),
        json("detail", "Particulars."),
        text("previous", "Digest of the entry before; zeros for the first."),
        text("digest", "SHA-256 over previous and the canonical JSON of the columns above."),
    ],
    partition_by: &[],
    sort_by: &["sequence"],
    key: &["sequence", "digest"],
    newest: &["at"],
    event_time: Some("at"),
};
