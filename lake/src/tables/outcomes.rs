//! The table `outcomes`.

use super::TableDef;
use super::column::*;

/// Verified effects.
pub static OUTCOMES: TableDef = TableDef {
    name: "outcomes",
    doc: "One row for the verified effect of an execution on the metrics that raised its incident.",
    columns: &[
        text("execution_id", "The execution."),
        text("plan_id", "The plan."),
        text("incident_id", "The incident."),
        text("playbook_id", "The playbook."),
        text("effect", "effective, ineffective, harmful or no_data."),
        json("checks", "The measurements it rests on, with the values before."),
        text("summary", "The incident's text, redacted: what future incidents are compared with."),
        text("detail", "In words."),
        RECORDED_AT,
    ],
    partition_by: &[],
    sort_by: &["recorded_at"],
    key: &["execution_id"],
    newest: &["recorded_at"],
    event_time: Some("recorded_at"),
};
