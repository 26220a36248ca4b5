//! The table `nodes`.

use super::TableDef;
use super::column::*;

/// Nodes as they were seen.
pub static NODES: TableDef = TableDef {
    name: "nodes",
    doc: "One row for each state in which a node was seen.",
    columns: &[
        text("node", "Name of the node."),
        text("uid", "Kubernetes UID."),
        text("resource_version", "Kubernetes resource version."),
        text("pool", "The pool it belongs to, where known.").or_null(),
        int("gpus", "GPUs on it."),
        boolean("cordoned", "Whether new pods are kept off it."),
        RECORDED_AT,
    ],
    partition_by: &[],
    sort_by: &["recorded_at", "node"],
    key: &["node"],
    newest: &["recorded_at"],
    event_time: Some("recorded_at"),
};
