//! The table `series`.

use super::TableDef;
use super::column::*;

/// Which series exist.
pub static SERIES: TableDef = TableDef {
    name: "series",
    doc: "One row for each metric series: its metric name and labels. Rows repeat only where two writers met the same series at once.",
    columns: &[
        int("series_id", "64-bit hash of metric name and sorted labels."),
        text("metric", "Metric name: the name of the rule that asked for it."),
        labels("labels", "All labels of the series."),
    ],
    partition_by: &[],
    sort_by: &["series_id"],
    key: &["series_id"],
    newest: &[],
    event_time: None,
};
