//! The table `approvals`.

use super::TableDef;
use super::column::*;

/// Persons' words on plans.
pub static APPROVALS: TableDef = TableDef {
    name: "approvals",
    doc: "One row for each word of a person on a plan, relayed from the journal.",
    columns: &[
        text("plan_id", "The plan."),
        text("plan_digest", "The plan's digest that was approved: another digest is another plan."),
        text("approver", "The subject of a verified token, or the owner of a standing approval."),
        text("role", "The role by which."),
        boolean("approved", "Approved or rejected."),
        text("comment", "Why, in the person's words, redacted.").or_null(),
        time("expires_at", "After this it no longer counts."),
        RECORDED_AT,
    ],
    partition_by: &[],
    sort_by: &["recorded_at"],
    key: &["plan_id", "approver"],
    newest: &["recorded_at"],
    event_time: Some("recorded_at"),
};
