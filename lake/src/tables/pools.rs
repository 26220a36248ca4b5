//! The table `pools`.

use super::TableDef;
use super::column::*;

/// GPU pools as they were seen.
pub static POOLS: TableDef = TableDef {
    name: "pools",
    doc: "One row for each state in which a GPU pool was seen.",
    columns: &[
        text("pool", "Name of the pool."),
        text("uid", "Kubernetes UID; empty when declared in the configuration."),
        text("resource_version", "Kubernetes resource version; empty when declared in the configuration."),
        labels("labels", "Labels of the object."),
        text("gpu_model", "GPU model; empty when unknown."),
        int("gpu_limit", "Upper limit of GPUs, where there is one.").or_null(),
        int("gpus", "GPUs that exist."),
        int("usd_per_gpu_hour", "Price of one GPU for one hour, in millionths of a dollar."),
        RECORDED_AT,
    ],
    partition_by: &[],
    sort_by: &["recorded_at", "pool"],
    key: &["pool"],
    newest: &["recorded_at"],
    event_time: Some("recorded_at"),
};
