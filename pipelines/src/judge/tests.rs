//! When an incident is thought about again, and which playbooks are left out then.

use bellwether_model::time::Timestamp;
use serde_json::{Value, json};

use super::*;

fn at(minute: i64) -> Timestamp {
    Timestamp::from_secs(1_780_000_000 + 60 * minute)
}

fn of<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn incident(state: &str, minute: i64) -> Incident {
    of(json!({"incident_id": "inc-1", "state": state, "opened_at": at(0), "last_at": at(minute), "closed_at": null, "severity": "warning",
        "score": 2.0, "title": "slow", "summary": "slow", "root": null, "entities": [], "endpoints": [], "signals": ["sig-1", "sig-2"],
        "symptoms": ["latency_p95"], "preceding_changes": [], "round_id": "rnd-1", "recorded_at": at(minute)}))
}

fn signal(id: &str, state: &str, minute: i64) -> Signal {
    of(json!({"signal_id": id, "fingerprint": "f", "rule": "latency", "method": "zscore",
        "subject": {"kind": "series", "series_id": 1, "metric": "latency_p95", "labels": {}}, "state": state, "opened_at": at(0),
        "last_at": at(minute), "closed_at": null, "score": 2.0, "value": 0.9, "expected": 0.1, "lower": 0.0, "upper": 0.3, "p_value": null,
        "direction": "up", "severity": "warning", "unit": "seconds", "hint": "slow", "round_id": "rnd-1", "recorded_at": at(minute)}))
}

fn execution(playbook: &str, state: &str, actor: &str, minute: i64) -> Execution {
    of(json!({"execution_id": format!("exe-{playbook}-{minute}"), "plan_id": "pln-1", "incident_id": "inc-1", "playbook_id": playbook,
        "service": "iris", "state": state, "sequence": 1, "detail": "not now", "actor": actor, "checks": [], "recorded_at": at(minute)}))
}

/// What `due` and `tried_in_vain` say of the one incident, in this state of affairs.
fn thought(transition: Option<Incident>, signals: &[Signal], executions: &[Execution]) -> (bool, Vec<String>) {
    thought_under(Digest::ZERO, transition, signals, executions)
}

/// The same under this configuration; the incident was thought about under another one.
fn thought_under(config_digest: Digest, transition: Option<Incident>, signals: &[Signal], executions: &[Execution]) -> (bool, Vec<String>) {
    let (graph, inventory, index) = (Graph::default(), Inventory::default(), Index::new("none", 1));
    let stored = [incident("opened", 1)];
    let evidence = Evidence {
        graph: &graph,
        inventory: &inventory,
        changes: &[],
        open_incidents: &stored,
        open_signals: &[],
        index: &index,
        experience: &bellwether_embeddings::Runs::default(),
        calibration: &bellwether_embeddings::Calibration::default(),
        recommended: &BTreeMap::from([(IncidentId::new("inc-1"), Thought { at: at(1), config_digest: Digest::ZERO })]),
        config_digest,
        executions,
        outcomes: &[],
        histories: &BTreeMap::new(),
    };
    let transitions: Vec<Incident> = transition.into_iter().collect();
    let is_due = !due(&transitions, signals, &evidence).is_empty();
    (is_due, tried_in_vain(&stored[0], &evidence).iter().map(|e| format!("{} {}", e.playbook_id, e.reason)).collect())
}

#[test]
fn what_grows_is_thought_about_again_and_what_calms_is_not() {
    let updated = || Some(incident("updated", 15));
    assert!(thought(Some(incident("opened", 1)), &[signal("sig-1", "opened", 1)], &[]).0);
    assert!(thought(updated(), &[signal("sig-1", "closed", 15), signal("sig-2", "opened", 15)], &[]).0);
    assert!(thought(updated(), &[signal("sig-1", "worsened", 15)], &[]).0);
    assert!(!thought(updated(), &[signal("sig-1", "closed", 15)], &[]).0, "one of its signals is over");
    assert!(!thought(updated(), &[signal("sig-9", "opened", 15)], &[]).0, "a signal of another incident");
    assert!(!thought(Some(incident("closed", 15)), &[signal("sig-1", "closed", 15)], &[]).0);
    assert!(!thought(None, &[], &[]).0, "nothing is new");
    let new = Digest::of(&"new playbooks").unwrap();
    assert!(thought_under(new, None, &[], &[]).0, "there may be a playbook for it now");
    for (state, is_due) in [("succeeded", false), ("executing", false), ("suggested", true)] {
        assert_eq!(thought_under(new, None, &[], &[execution("scale-out", state, "bellwether", 10)]).0, is_due, "{state}");
    }
}

#[test]
fn while_something_is_done_and_after_it_helped_nothing_new_is_proposed() {
    let worse = |minute| (Some(incident("updated", minute)), [signal("sig-1", "worsened", minute)]);
    let (row, signals) = worse(15);
    for state in ["awaiting_approval", "approved", "executing", "verifying", "rolling_back"] {
        assert!(!thought(row.clone(), &signals, &[execution("scale-out", state, "bellwether", 10)]).0, "{state}");
    }
    let helped = [execution("scale-out", "succeeded", "bellwether", 20)];
    assert!(!thought(row, &signals, &helped).0, "what it tells of was before the change");
    let (row, signals) = worse(45);
    assert!(thought(row, &signals, &helped).0, "it got worse after all");
}

#[test]
fn what_ended_in_vain_is_left_out_and_the_next_best_is_looked_for() {
    for (state, reason) in [
        ("rolled_back", "scale-out was tried for this incident and was rolled back"),
        ("failed", "scale-out was tried for this incident and ended as failed"),
        ("needs_human", "scale-out was tried for this incident and ended as needs_human"),
    ] {
        assert_eq!(thought(None, &[], &[execution("scale-out", state, "bellwether", 10)]), (true, vec![reason.to_owned()]));
    }
    assert!(!thought(None, &[], &[execution("scale-out", "rolled_back", "bellwether", 0)]).0, "it was thought about since");
}

#[test]
fn a_persons_no_counts_at_once_and_the_programs_own_when_it_is_repeated() {
    let no = vec!["scale-out was refused for this incident: not now".to_owned()];
    assert_eq!(thought(None, &[], &[execution("scale-out", "refused", "ann", 10)]), (true, no.clone()));
    let moved = execution("scale-out", "refused", OURSELVES, 10);
    assert_eq!(thought(None, &[], std::slice::from_ref(&moved)), (true, vec![]), "a plan on the ground as it is now may pass");
    let twice = thought(None, &[], &[moved, execution("scale-out", "refused", OURSELVES, 25)]);
    assert_eq!((twice.0, twice.1[0].as_str()), (true, no[0].as_str()));
}
