//! The table `suppressions`.

use super::TableDef;
use super::column::*;

/// Signals that were kept and not told.
pub static SUPPRESSIONS: TableDef = TableDef {
    name: "suppressions",
    doc: "One row for each transition (silenced, told, ended) of a signal that made no incident, and why it made none.",
    columns: &[
        text("signal_id", "The signal that is not told; its rows are in signals as always."),
        text("fingerprint", "Same for all signals of this rule, method and subject."),
        text("rule", "The rule that judged."),
        json("subject", "What deviates: a series with metric and labels, or a column of a dataset."),
        text("state", "silenced: open, and nobody is told; told: its cause ended first, and it was told then; ended: it was never told."),
        text("kind", "maintenance, auto_silence or flapping."),
        text("cause", "The name of the maintenance window, or the rule's key: auto_silence or flapping."),
        text("detail", "The cause in words, with numbers."),
        time("since", "Since when the signal is not told: when it opened."),
        time("until", "Until when at least, where that is known; of one that is over, when it was told or ended.").or_null(),
        float("score", "The signal's score at this transition."),
        text("severity", "The signal's severity: info, warning or critical."),
        text("hint", "What a person would have read."),
        ROUND_ID,
        RECORDED_AT,
    ],
    partition_by: &[],
    sort_by: &["recorded_at", "since"],
    key: &["signal_id"],
    newest: &["recorded_at"],
    event_time: Some("since"),
};
