//! The table `recommendations`.

use super::TableDef;
use super::column::*;

/// What was recommended.
pub static RECOMMENDATIONS: TableDef = TableDef {
    name: "recommendations",
    doc: "One row for each recommendation: what was proposed for an incident in one round, or why nothing was.",
    columns: &[
        text("recommendation_id", "Hash of incident, candidates and embedder."),
        text("incident_id", "The incident."),
        json("candidates", "Playbooks, best first, each with score, justification and evidence; empty when it abstains."),
        text("abstained", "Why nothing is recommended, when nothing is.").or_null(),
        json("near_misses", "What came nearest without being good enough, best first."),
        json("excluded", "Playbooks that do not apply, and why."),
        ROUND_ID,
        RECORDED_AT,
    ],
    partition_by: &[],
    sort_by: &["recorded_at"],
    key: &["incident_id"],
    newest: &["recorded_at"],
    event_time: Some("recorded_at"),
};
