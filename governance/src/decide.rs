//! What governance says of a plan: advisory, replayable, with every reason. Admission decides again.

use std::collections::BTreeSet;

use bellwether_model::decision::{Decision, Reason, Tier};
use bellwether_model::id::DecisionId;
use bellwether_model::plan::Plan;
use bellwether_model::playbook::Operation;

use crate::binding::Governance;
use crate::history::History;
use crate::plan::At;
use crate::playbook::ORG_ADMIN;
use crate::rules::Case;

/// What governance says of a plan, given what the journal knows of its service.
///
/// The strictest reason decides. It may run without a person only when that is *allowed*, and the playbook is `auto`, names
/// `org-admin` among its roles, and has an owner. A plan whose service is not bound is forbidden.
pub fn decide(governance: &Governance, plan: &Plan, history: &History, at: At<'_>) -> Decision {
    let Some(case) = Case::of(governance, plan, history, at.now) else {
        let text = format!("service {} is not bound to a blueprint", plan.body.service);
        let reasons = vec![Reason { rule: "blueprint".to_owned(), tier: Tier::Forbidden, text }];
        return decision(plan, Tier::Forbidden, false, reasons, Vec::new(), Vec::new(), at);
    };
    let mut reasons = case.policy();
    reasons.extend(case.limits());
    let tier = reasons.iter().map(|r| r.tier).max().unwrap_or(Tier::Forbidden);
    let unattended = tier == Tier::Allowed && case.playbook.is_some_and(|p| p.may_run_unattended());
    let approvers = if tier == Tier::Forbidden || unattended { Vec::new() } else { approvers(&case) };
    let alternatives = if tier == Tier::Forbidden { alternatives(&case) } else { Vec::new() };
    decision(plan, tier, unattended, reasons, approvers, alternatives, at)
}

fn decision(
    plan: &Plan,
    tier: Tier,
    unattended: bool,
    reasons: Vec<Reason>,
    approvers: Vec<String>,
    alternatives: Vec<Operation>,
    at: At<'_>,
) -> Decision {
    let mut parts = vec![plan.plan_id.as_str()];
    parts.extend(reasons.iter().flat_map(|r| [r.rule.as_str(), r.text.as_str()]));
    Decision {
        decision_id: DecisionId::of(&parts),
        plan_id: plan.plan_id.clone(),
        tier,
        unattended,
        reasons,
        approvers,
        alternatives,
        round_id: at.round_id.clone(),
        recorded_at: at.now,
    }
}

/// Who is asked: the approvers of every step that needs one, or else whoever has the role that every approval needs.
pub(crate) fn approvers(case: &Case<'_>) -> Vec<String> {
    let named: BTreeSet<String> = case.plan.body.steps.iter().flat_map(|s| case.place_step(s).approvers).collect();
    if named.is_empty() { vec![ORG_ADMIN.to_owned()] } else { named.into_iter().collect() }
}

/// What could be done instead of the forbidden steps: only operations that this blueprint does not forbid in turn.
pub(crate) fn alternatives(case: &Case<'_>) -> Vec<Operation> {
    let mut found: BTreeSet<Operation> = BTreeSet::new();
    for step in &case.plan.body.steps {
        if case.place_step(step).tier == Tier::Forbidden {
            found.extend(
                instead_of(step.operation)
                    .iter()
                    .filter(|(op, replicas)| case.place(*op, *replicas).tier != Tier::Forbidden)
                    .map(|(op, _)| *op),
            );
        }
    }
    found.into_iter().collect()
}

/// Milder operations with the same aim, each with the replicas (wanted, current) that it would ask for, where it has any.
const fn instead_of(operation: Operation) -> &'static [(Operation, Option<(u32, u32)>)] {
    match operation {
        Operation::DeleteDeployment => &[(Operation::ScaleToZero, Some((0, 1))), (Operation::DisableIngress, None)],
        Operation::ScaleBeyondLimits | Operation::ScaleToZero => &[(Operation::ScaleWithinLimits, None)],
        _ => &[],
    }
}
