//! The table `run_io`.

use super::TableDef;
use super::column::*;

/// Which runs read and wrote which datasets.
pub static RUN_IO: TableDef = TableDef {
    name: "run_io",
    doc: "One row for each dataset that a run read or wrote, as one event said it.",
    columns: &[
        text("run_id", "OpenLineage run id."),
        text("job_namespace", "Namespace of the job."),
        text("job_name", "Name of the job."),
        text("flow", "input or output."),
        text("dataset_namespace", "Namespace of the dataset."),
        text("dataset_name", "Name of the dataset."),
        text("dataset_version", "The dataset's version, where the event gave one.").or_null(),
        time("event_time", "Time of the event."),
        text("event_id", "The event it came from."),
        RECORDED_AT,
    ],
    partition_by: &[],
    sort_by: &["event_time"],
    key: &["run_id", "job_namespace", "job_name", "flow", "dataset_namespace", "dataset_name"],
    newest: &["event_time", "recorded_at"],
    event_time: Some("event_time"),
};
