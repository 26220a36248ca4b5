//! The table `labels`.

use super::TableDef;
use super::column::*;

/// Persons' words on incidents and signals.
pub static LABELS: TableDef = TableDef {
    name: "labels",
    doc: "One row for each word of a person on an incident or signal; the newest counts.",
    columns: &[
        text("subject_id", "Id of the incident or signal."),
        text("label", "incident or not-an-incident."),
        text("comment", "Why, in the person's words, redacted.").or_null(),
        text("actor", "Who said so."),
        RECORDED_AT,
    ],
    partition_by: &[],
    sort_by: &["recorded_at"],
    key: &["subject_id"],
    newest: &["recorded_at"],
    event_time: Some("recorded_at"),
};
