//! The table `plans`.

use super::TableDef;
use super::column::*;

/// Plans.
pub static PLANS: TableDef = TableDef {
    name: "plans",
    doc: "One row for each plan: a playbook bound to live objects, with patches, undo and digest.",
    columns: &[
        text("plan_id", "Begins with the digest's first digits."),
        text("digest", "SHA-256 over the canonical JSON of body: what an approval is bound to."),
        json("body", "All of it: incident, recommendation, playbook, target, steps, verification."),
        ROUND_ID,
        RECORDED_AT,
    ],
    partition_by: &[],
    sort_by: &["recorded_at"],
    key: &["plan_id"],
    newest: &["recorded_at"],
    event_time: Some("recorded_at"),
};
