use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;
use crate::binding::Governance;
use crate::history::{Breaker, PastOperation};
use crate::live::LiveObject;
use crate::playbook;
use crate::testing::{IRIS, governance, governance_with, now, parts, resealed, sample_plan};

fn approval(plan: &Plan) -> Approval {
    Approval {
        plan_id: plan.plan_id.clone(),
        plan_digest: plan.digest,
        approver: "ann@example.com".into(),
        role: ORG_ADMIN.into(),
        approved: true,
        comment: None,
        expires_at: now() + Span::from_mins(30),
        recorded_at: now(),
    }
}

fn standing() -> Authority {
    Authority::Standing { owner: "ann@example.com".into() }
}

fn as_planned(plan: &Plan) -> LiveState {
    LiveState { steps: plan.body.steps.iter().map(|s| LiveObject::Seen { uid: s.object.uid.clone(), fields: s.before.clone() }).collect() }
}

fn ask(governance: &Governance, plan: &Plan, authority: Authority, history: &History) -> Result<Admitted, Refusal> {
    admit(governance, plan.clone(), authority, history, &as_planned(plan), now())
}

fn iris(playbook: &str) -> (Governance, Plan) {
    let rules = governance();
    let plan = sample_plan(&rules, playbook, "endpoint:ml/iris");
    (rules, plan)
}

#[test]
fn an_allowed_auto_plan_runs_by_its_owners_word() {
    let (rules, plan) = iris("scale-out");
    let admitted = ask(&rules, &plan, standing(), &History::default()).unwrap();
    assert_eq!((admitted.plan(), admitted.approver().as_str(), admitted.passage()), (&plan, "ann@example.com", Passage::Normal));
    assert_eq!(super::standing(&rules, &plan), Some(standing()));
    let stranger = ask(&rules, &plan, Authority::Standing { owner: "eve".into() }, &History::default()).unwrap_err();
    assert_eq!(stranger.to_string(), "the approval does not count: eve is not the owner of playbook scale-out");
}

#[test]
fn a_restricted_or_manual_plan_needs_an_approval_of_exactly_this_plan() {
    let rules = governance_with(&IRIS.replace("max_replicas: 6", "max_replicas: 5"));
    let plan = sample_plan(&rules, "scale-out", "endpoint:ml/iris");
    let refusal = ask(&rules, &plan, standing(), &History::default()).unwrap_err();
    assert_eq!(refusal.kind(), RefusalKind::ApprovalNeeded);
    assert!(
        refusal.to_string().starts_with("needs approval by devops-team: InferenceService ml/iris: scale_beyond_limits requires approval"),
        "{refusal}"
    );
    assert_eq!(
        ask(&rules, &plan, Authority::Approval(approval(&plan)), &History::default()).unwrap().approver().as_str(),
        "ann@example.com"
    );

    let mut parts = parts(IRIS);
    let manual = include_str!("../../samples/playbooks/scale-out.yaml").replace("mode: auto", "mode: manual");
    parts.playbooks = vec![playbook::load("p.yaml", &manual).unwrap()];
    let rules = Governance::assemble(parts).unwrap();
    let plan = sample_plan(&rules, "scale-out", "endpoint:ml/iris");
    let refusal = ask(&rules, &plan, standing(), &History::default()).unwrap_err();
    assert_eq!(refusal.to_string(), "needs approval by org-admin: playbook scale-out is manual: a person approves each run");
    assert!(ask(&rules, &plan, Authority::Approval(approval(&plan)), &History::default()).is_ok());
}

#[test]
fn no_other_approval_counts() {
    let (rules, plan) = iris("scale-out");
    let other = sample_plan(&rules, "rollback-canary", "endpoint:ml/iris");
    type Change<'a> = &'a dyn Fn(&mut Approval);
    let table: [(Change<'_>, &str); 8] = [
        (&|a| a.plan_digest = Digest::ZERO, "it is of another plan"),
        (&|a| *a = approval(&other), "it is of another plan"),
        (&|a| a.approved = false, "ann@example.com rejected the plan"),
        (&|a| a.role = "org-viewer".into(), "role \"org-viewer\" may not approve; org-admin may"),
        (&|a| a.role = "Org-Admin".into(), "role \"Org-Admin\" may not approve"),
        (&|a| a.expires_at = now(), "it expired at"),
        (&|a| a.expires_at = Timestamp::EPOCH, "it expired at"),
        (&|a| a.approver = " ".into(), "it names no approver"),
    ];
    for (change, expected) in table {
        let mut approval = approval(&plan);
        change(&mut approval);
        let refusal = ask(&rules, &plan, Authority::Approval(approval), &History::default()).unwrap_err();
        assert_eq!(refusal.kind(), RefusalKind::ApprovalNeeded);
        assert!(refusal.to_string().starts_with(&format!("the approval does not count: {expected}")), "{refusal}");
    }
}

#[test]
fn a_forbidden_plan_is_refused_whoever_approves() {
    let (rules, plan) = iris("delete-deployment");
    let refusal = ask(&rules, &plan, Authority::Approval(approval(&plan)), &History::default()).unwrap_err();
    assert_eq!(refusal.to_string(), "forbidden: InferenceService ml/iris: delete_deployment is never carried out");
    assert!(matches!(&refusal, Refusal::Forbidden { alternatives, .. } if *alternatives == [Operation::ScaleToZero]));
    assert_eq!(refusal.kind(), RefusalKind::Policy);
}

#[test]
fn a_plan_whose_ground_has_moved_is_stale() {
    let (rules, plan) = iris("scale-out");
    let bounds = |min: u32, max: Value| json!({"spec": {"predictor": {"minReplicas": min, "maxReplicas": max}}});
    let seen = |uid: &str, fields: Value| LiveState { steps: vec![LiveObject::Seen { uid: uid.into(), fields }] };
    let table = [
        (
            seen("uid-iris", bounds(2, 5.into())),
            "stale: InferenceService ml/iris: spec.predictor.maxReplicas was 4 when the plan was made and is 5 now",
        ),
        (
            seen("uid-iris", bounds(2, Value::Null)),
            "stale: InferenceService ml/iris: spec.predictor.maxReplicas was 4 when the plan was made and is null now",
        ),
        (
            seen("uid-other", bounds(2, 4.into())),
            "stale: InferenceService ml/iris is another object of the same name (uid-iris then, uid-other now)",
        ),
        (LiveState { steps: vec![LiveObject::Gone] }, "stale: InferenceService ml/iris does not exist any more"),
        (LiveState::default(), "stale: InferenceService ml/iris was not looked at"),
    ];
    for (live, expected) in table {
        let refusal = admit(&rules, plan.clone(), Authority::Approval(approval(&plan)), &History::default(), &live, now()).unwrap_err();
        assert_eq!((refusal.to_string().as_str(), refusal.kind()), (expected, RefusalKind::Stale));
    }
    let declared = resealed(&plan, |b| b.steps[0].object.uid.clear());
    let refusal = ask(&rules, &declared, standing(), &History::default()).unwrap_err();
    assert_eq!(refusal.to_string(), "stale: InferenceService ml/iris has no UID in the plan: it was never seen in the cluster");
    let resumed = LiveState { steps: vec![LiveObject::Sent] };
    assert!(admit(&rules, plan.clone(), standing(), &History::default(), &resumed, now()).is_ok(), "a step that was sent is not compared");
}

#[test]
fn changed_rules_stop_a_plan_that_was_approved_under_others() {
    let (_, plan) = iris("scale-out");
    let refused = |rules: &Governance| ask(rules, &plan, Authority::Approval(approval(&plan)), &History::default()).unwrap_err();
    assert!(matches!(refused(&governance_with(&IRIS.replace("max_replicas: 6", "max_replicas: 7"))), Refusal::BlueprintChanged { .. }));
    let with = |change: &dyn Fn(&mut crate::binding::Parts)| {
        let mut parts = parts(IRIS);
        change(&mut parts);
        Governance::assemble(parts).unwrap()
    };
    let text = include_str!("../../samples/playbooks/scale-out.yaml");
    let edited = with(&|p| p.playbooks = vec![playbook::load("p.yaml", &text.replace("add_max: 2", "add_max: 20")).unwrap()]);
    assert!(matches!(refused(&edited), Refusal::PlaybookChanged { .. }), "the same version, other bytes");
    assert!(matches!(refused(&with(&|p| p.playbooks.clear())), Refusal::UnknownPlaybook { .. }));
    assert!(matches!(refused(&with(&|p| p.services.clear())), Refusal::UnknownService { .. }));
    let unpinned = refused(&with(&|p| p.pins = Some(BTreeMap::new())));
    assert_eq!(unpinned.to_string(), format!("playbook scale-out is not pinned with SHA-256 {}", plan.body.playbook_digest));
    let pinned = with(&|p| p.pins = Some([("scale-out".into(), plan.body.playbook_digest)].into()));
    assert!(ask(&pinned, &plan, standing(), &History::default()).is_ok());
}

#[test]
fn any_edit_of_an_approved_plan_is_found() {
    let (rules, plan) = iris("scale-out");
    let body = serde_json::to_value(&plan.body).unwrap();
    let mut paths = Vec::new();
    leaves("", &body, &mut paths);
    assert!(paths.len() > 25, "{paths:?}");
    for path in paths {
        let mut changed = body.clone();
        let leaf = changed.pointer_mut(&path).unwrap();
        *leaf = match leaf.take() {
            Value::Number(n) => json!(n.as_f64().unwrap() + 1.0),
            Value::Bool(b) => json!(!b),
            Value::String(s) if s.len() == 64 => json!(Digest::ZERO),
            _ => json!("changed"),
        };
        let Ok(altered) = serde_json::from_value::<bellwether_model::plan::PlanBody>(changed) else { continue };
        let edited = Plan { body: altered.clone(), ..plan.clone() };
        assert!(matches!(ask(&rules, &edited, standing(), &History::default()), Err(Refusal::Altered { .. })), "{path}");
        let resealed = resealed(&plan, |b| *b = altered);
        let refusal = ask(&rules, &resealed, Authority::Approval(approval(&plan)), &History::default());
        assert!(refusal.is_err(), "{path}: an approval of the old digest admits nothing else");
    }
}

fn leaves(path: &str, value: &Value, into: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(k, v)| leaves(&format!("{path}/{}", k.replace('~', "~0").replace('/', "~1")), v, into))
        }
        Value::Array(items) => items.iter().enumerate().for_each(|(i, v)| leaves(&format!("{path}/{i}"), v, into)),
        _ => into.push(path.to_owned()),
    }
}

#[test]
fn limits_bind_every_approval_and_no_rollback() {
    let op = |secs: i64| PastOperation { at: now() - Span::from_secs(secs), object: String::new(), safety: false };
    let table = [
        (History { operations: vec![op(18)], ..History::default() }, "service iris rests for another 42s"),
        (
            History { operations: (1..=10).map(|i| op(i * 300)).collect(), ..History::default() },
            "service iris had its 10 operations of the hour; the next is possible in 10m",
        ),
        (
            History { breaker: Breaker::Open { since: now() }, consecutive_failures: 3, ..History::default() },
            "the breaker of iris is open after 3 failures, for another 10m",
        ),
        (
            History { breaker: Breaker::HalfOpen { since: now() }, consecutive_failures: 3, ..History::default() },
            "the breaker of iris is open after 3 failures, and one operation is already trying",
        ),
    ];
    let (rules, plan) = iris("scale-out");
    let rollback = sample_plan(&rules, "rollback-canary", "endpoint:ml/iris");
    for (history, expected) in table {
        let refusal = ask(&rules, &plan, Authority::Approval(approval(&plan)), &history).unwrap_err();
        assert_eq!((refusal.to_string().as_str(), refusal.kind()), (expected, RefusalKind::Limit));
        let admitted = ask(&rules, &rollback, standing(), &history).unwrap();
        assert_eq!((admitted.passage(), admitted.is_safety()), (Passage::Safety, true));
        let early = ask(&rules, &plan, standing(), &History::default()).unwrap();
        assert_eq!(early.recheck_limits(&history, now()), Err(refusal), "what changed between admission and claim is found in the claim");
    }
    let probe = History { breaker: Breaker::Open { since: now() - Span::from_mins(10) }, consecutive_failures: 3, ..History::default() };
    assert_eq!(ask(&rules, &plan, standing(), &probe).unwrap().passage(), Passage::Probe);
}
