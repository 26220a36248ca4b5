//! The table `costs`.

use super::TableDef;
use super::column::*;

/// What was spent.
pub static COSTS: TableDef = TableDef {
    name: "costs",
    doc: "One row for each endpoint's part of a pool's cost in one period, and one for the rest. All of them add up to the pool's cost. Hours in which nobody looked have none.",
    columns: &[
        time("period_start", "Start of the period, an hour."),
        time("period_end", "End of the period."),
        text("pool", "The pool."),
        text("endpoint", "The endpoint; null for the rest.").or_null(),
        text("kind", "workload, idle, or unknown: nobody knows who held it."),
        float("gpu_hours", "GPU-hours."),
        int("usd_per_gpu_hour", "Price of one GPU-hour then, in millionths of a dollar."),
        int("cost_micro_usd", "Cost in millionths of a dollar."),
        RECORDED_AT,
    ],
    partition_by: &[],
    sort_by: &["period_start", "pool"],
    key: &["period_start", "pool", "endpoint", "kind"],
    newest: &["recorded_at"],
    event_time: Some("period_start"),
};
