//! The table `lineage_events`.

use super::TableDef;
use super::column::*;

/// OpenLineage events, whole.
pub static LINEAGE_EVENTS: TableDef = TableDef {
    name: "lineage_events",
    doc: "One row for each accepted OpenLineage event, with every facet kept.",
    columns: &[
        text("event_id", "Digest of the event's canonical JSON."),
        text("event_type", "START, RUNNING, COMPLETE, ABORT, FAIL or OTHER; DATASET or JOB for events without a run."),
        time("event_time", "When it happened."),
        text("run_id", "OpenLineage run id; empty for events without a run."),
        text("job_namespace", "Namespace of the job; empty for dataset events."),
        text("job_name", "Name of the job; empty for dataset events."),
        text("producer", "The tool that sent it."),
        text("body", "The event's JSON, redacted."),
        RECORDED_AT,
    ],
    partition_by: &[],
    sort_by: &["event_time"],
    key: &["event_id"],
    newest: &["recorded_at"],
    event_time: Some("event_time"),
};
