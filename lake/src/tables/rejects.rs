//! The table `rejects`.

use super::TableDef;
use super::column::*;

/// Rows that were refused on the way in.
pub static REJECTS: TableDef = TableDef {
    name: "rejects",
    doc: "One row for each piece of input that was not taken, with the reason.",
    columns: &[
        text("reject_id", "Hash of source and content: the same reject has the same id."),
        text("source", "The source it came from."),
        text("place", "Where in the source: file and line, series and time."),
        text("reason", "Why it was refused, and what would be right."),
        text("content", "The row, redacted, at most 4,096 characters."),
        RECORDED_AT,
    ],
    partition_by: &[],
    sort_by: &["recorded_at"],
    key: &["reject_id"],
    newest: &["recorded_at"],
    event_time: Some("recorded_at"),
};
