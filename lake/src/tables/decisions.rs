//! The table `decisions`.

use super::TableDef;
use super::column::*;

/// What governance said.
pub static DECISIONS: TableDef = TableDef {
    name: "decisions",
    doc: "One row for each decision on a plan, with every reason.",
    columns: &[
        text("decision_id", "Hash of plan and reasons."),
        text("plan_id", "The plan."),
        text("tier", "allowed, restricted or forbidden."),
        boolean("unattended", "Whether it may run without a person."),
        json("reasons", "Every reason, the lenient ones too."),
        json("approvers", "Who may approve, where approval is needed."),
        json("alternatives", "For a forbidden plan: operations that would be permitted instead."),
        ROUND_ID,
        RECORDED_AT,
    ],
    partition_by: &[],
    sort_by: &["recorded_at"],
    key: &["plan_id"],
    newest: &["recorded_at"],
    event_time: Some("recorded_at"),
};
