//! The table `runs`.

use super::TableDef;
use super::column::*;

/// Past runs of workflows.
pub static RUNS: TableDef = TableDef {
    name: "runs",
    doc: "One row for each state in which a run of a workflow was seen. The view workflow_runs has the newest row of each run.",
    columns: &[
        text("run_id", "The run's id at its source."),
        text("workflow_id", "The workflow it ran."),
        text("playbook_id", "The playbook it ran, where it was one.").or_null(),
        text("status", "queued, running, succeeded, failed, cancelled, skipped, timed_out or unknown."),
        text("source_status", "The source's own word."),
        time("started_at", "When it started.").or_null(),
        time("finished_at", "When it ended.").or_null(),
        text("trigger", "What started it.").or_null(),
        text("actor", "Who started it, as a pseudonym.").or_null(),
        text("target", "What it worked on: a service or model.").or_null(),
        text("summary", "The symptom it was started for, in words, redacted."),
        text("outcome", "effective, ineffective, harmful, or the source's word.").or_null(),
        text("error", "Its error, redacted.").or_null(),
        json("attributes", "The source's further columns, redacted."),
        time("updated_at", "The source's time of last change."),
        text("source", "The source it came from."),
        RECORDED_AT,
    ],
    partition_by: &[],
    sort_by: &["updated_at"],
    key: &["source", "run_id"],
    newest: &["updated_at", "recorded_at"],
    event_time: Some("updated_at"),
};
