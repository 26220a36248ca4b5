//! The blueprint's three lists and their conditions, for each step.

use bellwether_model::decision::Reason;

use super::{Case, reason};

pub(super) fn reasons(case: &Case<'_>) -> Vec<Reason> {
    case.plan
        .body
        .steps
        .iter()
        .map(|step| {
            let placed = case.place_step(step);
            reason("tier", placed.tier, format!("{}: {}", step.object, placed.text))
        })
        .collect()
}
