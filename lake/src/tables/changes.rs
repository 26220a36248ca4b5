//! The table `changes`.

use super::TableDef;
use super::column::*;

/// What happened to the fleet.
pub static CHANGES: TableDef = TableDef {
    name: "changes",
    doc: "One row for each event that may explain what followed: a deployment, a scale action, a new dataset version.",
    columns: &[
        time("at", "When it happened, or was first seen."),
        text("kind", "revision, replicas, canary, pool_limit, cordon or model_uri."),
        text("entity", "The object, as endpoint:ml/iris or pool:gpu-a."),
        text("summary", "What changed, in words."),
        RECORDED_AT,
    ],
    partition_by: &[],
    sort_by: &["at"],
    key: &["at", "kind", "entity", "summary"],
    newest: &["recorded_at"],
    event_time: Some("at"),
};
