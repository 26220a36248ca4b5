//! The table `signals`.

use super::TableDef;
use super::column::*;

/// Transitions of signals.
pub static SIGNALS: TableDef = TableDef {
    name: "signals",
    doc: "One row for each transition (opened, worsened, closed) of a deviation of one series or column.",
    columns: &[
        text("signal_id", "Same for all transitions of one signal."),
        text("fingerprint", "Same for all signals of this rule, method and subject."),
        text("rule", "The rule that judged."),
        text("method", "zscore, ewma, psi, ks, bound, seasonal, mstl, peers, novelty, telemetry or auto."),
        json("subject", "What deviates: a series with metric and labels, or a column of a dataset."),
        text("state", "opened, worsened or closed."),
        time("opened_at", "Time of the first sample outside the band."),
        time("last_at", "Time of the latest sample that was judged."),
        time("closed_at", "Time of the first sample of the calm that ended it.").or_null(),
        float("score", "Highest score so far; 1.0 is the decision line of every method."),
        float("value", "The value at the highest score, in unit."),
        float("expected", "What was expected there."),
        float("lower", "Lower bound of the band there."),
        float("upper", "Upper bound of the band there."),
        float("p_value", "Probability of such a value without a change, where the method gives one.").or_null(),
        text("direction", "up, down or shape."),
        text("severity", "info, warning or critical."),
        text("unit", "Unit of value, expected and bounds."),
        text("hint", "What a person should read."),
        ROUND_ID,
        RECORDED_AT,
    ],
    partition_by: &[],
    sort_by: &["recorded_at", "last_at"],
    key: &["signal_id"],
    newest: &["recorded_at", "last_at", "closed_at"],
    event_time: Some("last_at"),
};
