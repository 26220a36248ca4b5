//! The table `incidents`.

use super::TableDef;
use super::column::*;

/// Transitions of incidents.
pub static INCIDENTS: TableDef = TableDef {
    name: "incidents",
    doc: "One row for each transition (opened, updated, closed) of signals that belong together.",
    columns: &[
        text("incident_id", "Same for all transitions of one incident."),
        text("state", "opened, updated or closed."),
        time("opened_at", "Opening of its earliest signal."),
        time("last_at", "Time of its latest evidence."),
        time("closed_at", "Closing of its last signal.").or_null(),
        text("severity", "Highest severity of its signals."),
        float("score", "Highest score of its signals."),
        text("title", "One line for a person."),
        text("summary", "What all its signals say, in words, redacted."),
        text("root", "The thing that most likely is at fault, where one stands out.").or_null(),
        json("entities", "Everything its signals are about."),
        json("endpoints", "Live endpoints that it affects, through lineage too."),
        json("signals", "Ids of its signals, in order of opening."),
        json("symptoms", "The metrics or columns that deviate, sorted, each once."),
        json("preceding_changes", "Changes shortly before it opened, newest first, in words."),
        ROUND_ID,
        RECORDED_AT,
    ],
    partition_by: &[],
    sort_by: &["recorded_at", "last_at"],
    key: &["incident_id"],
    newest: &["recorded_at", "last_at", "closed_at"],
    event_time: Some("last_at"),
};
