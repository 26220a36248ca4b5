//! The table `samples`.

use super::TableDef;
use super::column::*;

/// Measurements.
pub static SAMPLES: TableDef = TableDef {
    name: "samples",
    doc: "One row for each sample of a series. Of rows with equal series_id and ts the one written last counts; compaction removes the others.",
    columns: &[
        int("series_id", "The series."),
        time("ts", "Time of the sample."),
        float("value", "Its value in the base unit of the metric: seconds, bytes, a share of one."),
        date("day", "The day of ts in UTC."),
    ],
    partition_by: &["day"],
    sort_by: &["series_id", "ts"],
    key: &["series_id", "ts"],
    newest: &[],
    event_time: Some("ts"),
};
