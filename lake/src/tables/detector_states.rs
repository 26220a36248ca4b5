//! The table `detector_states`.

use super::TableDef;
use super::column::*;

/// What ready-made detectors knew of series.
pub static DETECTOR_STATES: TableDef = TableDef {
    name: "detector_states",
    doc: "One row for each mark that a ready-made detector passed on a series, with what it knew by then: the next round goes on from there.",
    columns: &[
        text("rule", "The rule that judges."),
        text("basis", "Digest of the rule and of the detector's version; a state of another one is not continued."),
        int("series_id", "The series."),
        time("until", "All samples before this count in the state, and none from it on."),
        text("state", "The state, as the detector writes it."),
        ROUND_ID,
        RECORDED_AT,
    ],
    partition_by: &[],
    sort_by: &["until", "rule", "series_id"],
    key: &["rule", "basis", "series_id", "until"],
    newest: &["recorded_at"],
    event_time: Some("until"),
};
