//! The table `column_profiles`.

use super::TableDef;
use super::column::*;

/// What runs saw of columns.
pub static COLUMN_PROFILES: TableDef = TableDef {
    name: "column_profiles",
    doc: "One row for each column that a run measured (OpenLineage dataQualityMetrics).",
    columns: &[
        text("dataset_namespace", "Namespace of the dataset."),
        text("dataset_name", "Name of the dataset."),
        text("column", "Name of the column."),
        time("event_time", "Time of the event."),
        int("count", "Values seen, nulls not counted; 0 when the event does not say."),
        int("null_count", "Nulls seen."),
        int("distinct_count", "Distinct values seen, where given.").or_null(),
        float("min", "Smallest value.").or_null(),
        float("max", "Largest value.").or_null(),
        float("sum", "Sum of the values.").or_null(),
        json("quantiles", "Values by quantile: keys between 0 and 1."),
        text("event_id", "The event it came from."),
        RECORDED_AT,
    ],
    partition_by: &[],
    sort_by: &["event_time"],
    key: &["dataset_namespace", "dataset_name", "column", "event_id"],
    newest: &["recorded_at"],
    event_time: Some("event_time"),
};
