//! The table `matches`.

use super::TableDef;
use super::column::*;

/// Past runs that resemble incidents.
pub static MATCHES: TableDef = TableDef {
    name: "matches",
    doc: "One row for each past run that resembles an incident: the stored result of the search, so that ranking can be replayed.",
    columns: &[
        text("incident_id", "The incident."),
        text("run_id", "The past run."),
        text("playbook_id", "The playbook it ran."),
        float("similarity", "Cosine similarity, 0 to 1."),
        text("outcome", "Its outcome; empty when unknown."),
        time("ran_at", "When it ran."),
        text("embedder_id", "Name, dimension and digest of the embedder."),
        ROUND_ID,
        RECORDED_AT,
    ],
    partition_by: &[],
    sort_by: &["recorded_at", "incident_id"],
    key: &["incident_id", "run_id", "embedder_id"],
    newest: &["recorded_at"],
    event_time: Some("recorded_at"),
};
