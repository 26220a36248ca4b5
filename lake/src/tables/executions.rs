//! The table `executions`.

use super::TableDef;
use super::column::*;

/// Transitions of executions.
pub static EXECUTIONS: TableDef = TableDef {
    name: "executions",
    doc: "One row for each state that an execution entered, relayed from the journal.",
    columns: &[
        text("execution_id", "The execution: one for each plan."),
        text("plan_id", "The plan."),
        text("incident_id", "The incident it answers."),
        text("playbook_id", "The playbook."),
        text("service", "The service whose blueprint governs it."),
        text("state", "The state it entered: suggested, dry_run, awaiting_approval, approved, executing, verifying, rolling_back, succeeded, rolled_back, failed, refused or needs_human."),
        int("sequence", "How many transitions came before."),
        text("detail", "Why, in words."),
        text("actor", "Who moved it: an approver, or bellwether."),
        json("checks", "What was measured, where this transition rests on measurements."),
        RECORDED_AT,
    ],
    partition_by: &[],
    sort_by: &["recorded_at", "execution_id", "sequence"],
    key: &["execution_id"],
    newest: &["sequence", "recorded_at"],
    event_time: Some("recorded_at"),
};
