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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bellwether_model::digest::Digest;
    use bellwether_model::id::RoundId;
    use bellwether_model::time::{Span, Timestamp};
    use bellwether_model::unit::Replicas;

    use super::*;
    use crate::history::{Breaker, PastOperation};
    use crate::playbook;
    use crate::testing::{IRIS, governance, governance_with, incident, inventory, now, parts, planned, resealed, sample_plan};

    fn said(governance: &Governance, plan: &Plan, history: &History) -> Decision {
        decide(governance, plan, history, At { round_id: &RoundId::new("rnd-2"), now: now() })
    }

    fn why<'a>(decision: &'a Decision, rule: &str) -> Vec<&'a Reason> {
        decision.reasons.iter().filter(|r| r.rule == rule).collect()
    }

    fn with_lists(lists: &str) -> Governance {
        governance_with(&format!(
            "metadata: {{name: iris, version: 1}}\nspec: {{scaling: {{min_replicas: 1, max_replicas: 6}}}}\ngovernance: {{agent_authority: {lists}}}"
        ))
    }

    /// A plan whose only step is this operation, made by a playbook where a verb exists and by hand where none does.
    fn plan_of(governance: &Governance, operation: Operation) -> Plan {
        let rules = |action: &str| {
            let text = format!("id: probe\nname: a\ndescription: a\ntarget: endpoint\nactions: [{action}]");
            let mut parts = parts(IRIS);
            parts.playbooks = vec![playbook::load("probe.yaml", &text).unwrap()];
            planned(&Governance::assemble(parts).unwrap(), &inventory(), "probe", &incident("endpoint:ml/iris")).unwrap().body.steps
        };
        let steps = match operation {
            Operation::ScaleWithinLimits => rules("{verb: scale_endpoint, max_replicas: 6}"),
            Operation::ScaleBeyondLimits => rules("{verb: scale_endpoint, max_replicas: 7}"),
            Operation::ScaleToZero => rules("{verb: scale_endpoint, min_replicas: 0}"),
            Operation::RollbackRelease => rules("{verb: rollback_canary}"),
            Operation::DeleteDeployment => rules("{verb: delete_deployment}"),
            Operation::ModifyNamespace => rules("{verb: modify_namespace}"),
            Operation::ChangeRbac => rules("{verb: change_rbac}"),
            Operation::CordonNode | Operation::AdjustResourcesWithinBounds | Operation::RestartPods | Operation::DisableIngress => {
                let mut steps = rules("{verb: rollback_canary}");
                steps[0].operation = operation;
                steps[0].patch = serde_json::json!({"spec": {"something": true}});
                steps
            }
        };
        resealed(&sample_plan(governance, "scale-out", "endpoint:ml/iris"), |body| body.steps = steps)
    }

    #[test]
    fn every_operation_in_every_tier_is_decided_as_placed() {
        let made = [Operation::ScaleWithinLimits, Operation::ScaleBeyondLimits, Operation::ScaleToZero, Operation::RollbackRelease];
        let never = [Operation::DeleteDeployment, Operation::ModifyNamespace, Operation::ChangeRbac];
        let mut cases = 0;
        for operation in Operation::ALL {
            let placements = [
                (format!("{{allowed_operations: [{operation}]}}"), Tier::Allowed),
                (format!("{{requires_approval: [{{operation: {operation}, approvers: [a-team]}}]}}"), Tier::Restricted),
                (format!("{{requires_approval: [{{operation: {operation}, condition: min_replicas == 1}}]}}"), Tier::Restricted),
                (format!("{{requires_approval: [{{operation: {operation}, condition: min_replicas == 2}}]}}"), Tier::Forbidden),
                (
                    format!(
                        "{{allowed_operations: [{operation}], requires_approval: [{{operation: {operation}, condition: min_replicas == 2}}]}}"
                    ),
                    Tier::Allowed,
                ),
                (
                    format!(
                        "{{allowed_operations: [{operation}], requires_approval: [{{operation: {operation}, condition: min_replicas == 1}}]}}"
                    ),
                    Tier::Restricted,
                ),
                (
                    format!(
                        "{{allowed_operations: [{operation}], requires_approval: [{{operation: {operation}, condition: 10 / (max_replicas - 6) > 0}}]}}"
                    ),
                    Tier::Restricted,
                ),
                (format!("{{forbidden_operations: [{operation}]}}"), Tier::Forbidden),
                ("{}".to_owned(), Tier::Forbidden),
            ];
            for (lists, placed) in placements {
                cases += 1;
                let rules = with_lists(&lists);
                let plan = plan_of(&rules, operation);
                let decision = said(&rules, &plan, &History::default());
                let listed = if never.contains(&operation) { Tier::Forbidden } else { placed };
                assert_eq!(why(&decision, "tier")[0].tier, listed, "{operation} under {lists}");
                // What no verb can do is forbidden wherever it is listed.
                let whole = if made.contains(&operation) { listed } else { Tier::Forbidden };
                assert_eq!(decision.tier, whole, "{operation} under {lists}: {:?}", decision.reasons);
                assert_eq!(decision.unattended, whole == Tier::Allowed, "{operation} under {lists}");
            }
        }
        assert_eq!(cases, 99);
    }

    #[test]
    fn five_to_six_over_a_maximum_of_five_awaits_the_devops_team() {
        let rules = governance_with(&IRIS.replace("max_replicas: 6", "max_replicas: 5"));
        let mut fleet = inventory();
        fleet.endpoints[0].max_replicas = Replicas(4);
        let plan = planned(&rules, &fleet, "scale-out", &incident("endpoint:ml/iris")).unwrap();
        let decision = said(&rules, &plan, &History::default());
        assert_eq!(
            (decision.tier, decision.unattended, decision.approvers.as_slice()),
            (Tier::Restricted, false, &["devops-team".to_owned()][..])
        );
        assert!(
            why(&decision, "tier")[0].text.ends_with("target_replicas > max_replicas (max_replicas = 5, target_replicas = 6)"),
            "{:?}",
            decision.reasons
        );
    }

    #[test]
    fn only_allowed_and_auto_with_owner_and_role_runs_unattended() {
        let text = include_str!("../samples/playbooks/scale-out.yaml");
        let with = |text: &str| {
            let mut parts = parts(IRIS);
            parts.playbooks = vec![playbook::load("p.yaml", text).unwrap()];
            let rules = Governance::assemble(parts).unwrap();
            let plan = sample_plan(&rules, "scale-out", "endpoint:ml/iris");
            said(&rules, &plan, &History::default())
        };
        let auto = with(text);
        assert_eq!((auto.tier, auto.unattended, auto.approvers.len()), (Tier::Allowed, true, 0));
        let manual = with(&text.replace("mode: auto", "mode: manual"));
        assert_eq!((manual.tier, manual.unattended, manual.approvers.as_slice()), (Tier::Allowed, false, &["org-admin".to_owned()][..]));
        assert_eq!(why(&manual, "safety_mode")[0].text, "playbook scale-out is manual: a person approves each run");
    }

    #[test]
    fn a_forbidden_verb_is_refused_with_permitted_alternatives_only() {
        let rules = governance();
        let decision = said(&rules, &sample_plan(&rules, "delete-deployment", "endpoint:ml/iris"), &History::default());
        assert_eq!((decision.tier, decision.unattended), (Tier::Forbidden, false));
        assert_eq!(decision.alternatives, [Operation::ScaleToZero], "disable_ingress is in no list, so it is forbidden in turn");
        let rules = with_lists("{allowed_operations: [disable_ingress], forbidden_operations: [scale_to_zero]}");
        let decision = said(&rules, &sample_plan(&rules, "delete-deployment", "endpoint:ml/iris"), &History::default());
        assert_eq!(decision.alternatives, [Operation::DisableIngress]);
    }

    #[test]
    fn limits_and_doubts_hold_an_allowed_plan_back() {
        let rules = governance();
        let plan = sample_plan(&rules, "scale-out", "endpoint:ml/iris");
        let op = |secs: i64| PastOperation { at: now() - Span::from_secs(secs), object: String::new(), safety: false };
        let rested = History { operations: vec![op(18)], ..History::default() };
        let full = History { operations: (1..=10).map(|i| op(i * 300)).collect(), ..History::default() };
        let open = History { breaker: Breaker::Open { since: now() }, consecutive_failures: 3, ..History::default() };
        let table = [
            (rested, "cooldown", "the service rests for another 42s (cooldown 1m)"),
            (full, "rate_limit", "10 operations in the last hour are the limit; the next is possible in 10m"),
            (open, "breaker", "the breaker is open after 3 failures, for another 10m"),
        ];
        for (history, rule, text) in table {
            let decision = said(&rules, &plan, &history);
            assert_eq!((decision.tier, decision.unattended), (Tier::Restricted, false), "{rule}");
            assert_eq!(why(&decision, rule)[0].text, text);
            let rollback = said(&rules, &sample_plan(&rules, "rollback-canary", "endpoint:ml/iris"), &history);
            assert_eq!((rollback.tier, rollback.unattended), (Tier::Allowed, true), "a rollback never waits: {rule}");
        }
        let unsure = resealed(&plan, |body| body.confidence = 0.2);
        let decision = said(&rules, &unsure, &History::default());
        assert_eq!(
            (decision.tier, why(&decision, "confidence")[0].text.as_str()),
            (Tier::Restricted, "score 0.20 is below min_confidence 0.5")
        );
    }

    #[test]
    fn what_is_not_what_it_says_is_forbidden() {
        let rules = governance();
        let plan = sample_plan(&rules, "scale-out", "endpoint:ml/iris");
        let verdict = |plan: &Plan, rule: &str| {
            let decision = said(&rules, plan, &History::default());
            assert_eq!(decision.tier, Tier::Forbidden, "{rule}");
            assert!(why(&decision, rule).iter().any(|r| r.tier == Tier::Forbidden), "{rule}: {:?}", decision.reasons);
        };
        verdict(&resealed(&plan, |b| b.steps[0].patch["spec"]["predictor"]["maxReplicas"] = 60.into()), "patch");
        verdict(&resealed(&plan, |b| b.steps[0].patch["spec"]["predictor"]["containers"] = serde_json::json!([])), "patch");
        verdict(&resealed(&plan, |b| b.steps[0].before = serde_json::Value::Null), "patch");
        verdict(&resealed(&plan, |b| b.steps[0].field_manager = "kubectl".into()), "patch");
        verdict(&resealed(&plan, |b| b.steps[0].object.name = "rose".into()), "scope");
        verdict(&resealed(&plan, |b| b.steps.clear()), "blast_radius");
        verdict(
            &resealed(&plan, |b| {
                b.steps = (0..4)
                    .map(|i| {
                        let mut s = b.steps[0].clone();
                        s.object.name = format!("iris-{i}");
                        s
                    })
                    .collect()
            }),
            "blast_radius",
        );
        verdict(&resealed(&plan, |b| b.playbook_digest = Digest::ZERO), "pin");
        verdict(&resealed(&plan, |b| b.blueprint_digest = Digest::ZERO), "blueprint");
        verdict(&resealed(&plan, |b| b.service = "unbound".into()), "blueprint");
        let mut edited = plan.clone();
        edited.body.confidence = 1.0;
        verdict(&edited, "integrity");
    }

    #[test]
    fn where_pins_are_required_other_bytes_are_forbidden() {
        let plan = sample_plan(&governance(), "scale-out", "endpoint:ml/iris");
        let tier = |pins: &[(&str, Digest)]| {
            let mut parts = parts(IRIS);
            parts.pins = Some(pins.iter().map(|(id, d)| ((*id).into(), *d)).collect::<BTreeMap<_, _>>());
            said(&Governance::assemble(parts).unwrap(), &plan, &History::default()).tier
        };
        assert_eq!(tier(&[("scale-out", plan.body.playbook_digest)]), Tier::Allowed);
        assert_eq!(tier(&[("scale-out", Digest::ZERO)]), Tier::Forbidden);
        assert_eq!(tier(&[]), Tier::Forbidden);
    }

    #[test]
    fn the_same_question_has_the_same_answer_and_id() {
        let rules = governance();
        let plan = sample_plan(&rules, "scale-out", "endpoint:ml/iris");
        assert_eq!(said(&rules, &plan, &History::default()), said(&rules, &plan, &History::default()));
        let later = decide(
            &rules,
            &plan,
            &History {
                operations: vec![PastOperation { at: Timestamp::EPOCH, object: String::new(), safety: false }],
                ..History::default()
            },
            At { round_id: &RoundId::new("rnd-2"), now: now() },
        );
        assert_ne!(
            later.decision_id,
            said(&rules, &plan, &History { breaker: Breaker::HalfOpen { since: now() }, ..History::default() }).decision_id
        );
    }
}
