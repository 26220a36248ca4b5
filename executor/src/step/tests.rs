//! Executions against the simulated API server: once, verified, taken back, and never over someone else's change.

use std::cell::Cell;
use std::future::Future;
use std::pin::pin;
use std::task::Poll;

use bellwether_model::execution::ExecutionState::{self, *};
use bellwether_model::id::{Actor, ExecutionId};
use bellwether_model::plan::Plan;
use bellwether_model::time::{Span, Timestamp};
use serde_json::{Value, json};

use super::{Next, Observations, StepError};
use crate::apiserver::ApiServer;
use crate::drivers::{self, ActionId, Cluster, DriverError};
use crate::journal::effect::Direction;
use crate::journal::tests::{NOW, Scratch, approval, claim, claimed, decision, outside, plan};
use crate::journal::transition::TransitionError;
use crate::journal::{Journal, StoreError};

/// What callers do: what was sent is looked at again at once.
async fn step(journal: &Journal, cluster: &Cluster, id: &ExecutionId, observed: &Observations, now: Timestamp) -> Result<Next, StepError> {
    loop {
        match super::step(journal, cluster, id, observed, now).await? {
            Next::Wait { at } if at <= now => {}
            next => return Ok(next),
        }
    }
}

#[tokio::test]
async fn stabilisation_begins_after_the_last_step_was_seen() {
    let (scratch, (_server, cluster, plan)) = (Scratch::new(), world());
    let journal = scratch.open().await;
    let id = claimed(&journal, &plan).await;
    assert_eq!(super::step(&journal, &cluster, &id, &nothing(), NOW).await.unwrap(), Next::Wait { at: NOW });
    assert_eq!(journal.get(&id).await.unwrap().unwrap().state, Executing);
    // The cluster took three seconds to answer, so the caller's next instant is later.
    let Next::Measure { at: due, .. } = super::step(&journal, &cluster, &id, &nothing(), at(3)).await.unwrap() else {
        panic!("asks for no measurement")
    };
    assert_eq!(due, at(63));
}

fn at(secs: i64) -> Timestamp {
    NOW + Span::from_secs(secs)
}

/// A server with the endpoint `ml/iris`, 2 to 4 replicas, whose bounds are ours; and a plan for it.
fn world() -> (ApiServer, Cluster, Plan) {
    let server = ApiServer::new(NOW);
    let object = |spec: Value| json!({"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService", "metadata": {"name": "iris", "namespace": "ml"}, "spec": {"predictor": spec}});
    server.apply("helm", &object(json!({"model": {"storageUri": "s3://models/iris/3"}}))).unwrap();
    server.apply("bellwether/scale", &object(json!({"minReplicas": 2, "maxReplicas": 4}))).unwrap();
    let plan = plan("iris", iris(&server)["metadata"]["uid"].as_str().unwrap());
    let cluster = Cluster::Kubernetes(server.client());
    (server, cluster, plan)
}

/// The plan with a second step, which takes the canary to no traffic; the field was absent.
fn two_steps(plan: Plan) -> Plan {
    let mut body = plan.body;
    let mut second = body.steps[0].clone();
    second.field_manager = "bellwether/rollout".into();
    second.patch = json!({"spec": {"predictor": {"canaryTrafficPercent": 0}}});
    second.before = json!({"spec": {"predictor": {"canaryTrafficPercent": null}}});
    body.steps.push(second);
    Plan::seal(body, plan.round_id, plan.recorded_at).unwrap()
}

fn iris(server: &ApiServer) -> Value {
    server.get("InferenceService", Some("ml"), "iris").unwrap()
}

fn bounds(server: &ApiServer) -> (i64, i64) {
    let predictor = &iris(server)["spec"]["predictor"];
    (predictor["minReplicas"].as_i64().unwrap(), predictor["maxReplicas"].as_i64().unwrap())
}

/// Writes that changed something, by action id, in order.
fn effects(server: &ApiServer) -> Vec<String> {
    server.log().iter().filter(|m| m.changed && !m.dry_run).map(|m| m.action_id().unwrap_or("none").to_owned()).collect()
}

fn measured(at: Timestamp, latency: Option<f64>) -> Observations {
    Observations { measured_at: at, values: [("latency_p95".into(), latency), ("error_ratio".into(), Some(0.001))].into() }
}

fn nothing() -> Observations {
    Observations::default()
}

/// One step of an execution, measuring when asked and claiming anew when asked; the state it ended in, if it did.
async fn advance(
    journal: &Journal,
    cluster: &Cluster,
    id: &ExecutionId,
    clock: &Cell<Timestamp>,
    latency: Option<f64>,
) -> Option<ExecutionState> {
    match step(journal, cluster, id, &measured(clock.get(), latency), clock.get()).await.unwrap() {
        Next::Wait { at } | Next::Measure { at, .. } => clock.set(at),
        Next::Admit | Next::Readmit => claim(journal, id, clock.get()).await,
        Next::Done(state) => return Some(state),
    }
    None
}

/// Carries an execution to its end.
async fn drive(journal: &Journal, cluster: &Cluster, id: &ExecutionId, clock: &Cell<Timestamp>, latency: Option<f64>) -> ExecutionState {
    loop {
        if let Some(state) = advance(journal, cluster, id, clock, latency).await {
            return state;
        }
    }
}

#[tokio::test]
async fn a_change_is_made_measured_and_kept() {
    let (scratch, (server, cluster, plan)) = (Scratch::new(), world());
    let journal = scratch.open().await;
    let id = claimed(&journal, &plan).await;

    let Next::Measure { at: due, checks } = step(&journal, &cluster, &id, &nothing(), NOW).await.unwrap() else {
        panic!("asks for no measurement")
    };
    assert_eq!((due, checks.len(), bounds(&server)), (at(60), 2, (3, 6)));
    let early = step(&journal, &cluster, &id, &measured(at(59), Some(0.1)), at(59)).await.unwrap();
    assert_eq!(early, Next::Measure { at: at(60), checks: checks.clone() }, "what is measured before the change settled proves nothing");
    let stale = step(&journal, &cluster, &id, &measured(at(59), Some(0.1)), at(61)).await.unwrap();
    assert_eq!(stale, Next::Measure { at: at(61), checks });
    assert_eq!(step(&journal, &cluster, &id, &measured(at(61), Some(0.125)), at(61)).await.unwrap(), Next::Done(Succeeded));

    assert_eq!(effects(&server), [format!("{id}.apply.0")]);
    assert_eq!(iris(&server)["spec"]["predictor"]["model"]["storageUri"], "s3://models/iris/3");
    let last = journal.transitions(&id).await.unwrap().pop().unwrap();
    assert_eq!(last.detail, "verified: latency_p95 125 ms < 200ms; error_ratio 0.1 % < 1%");
    let audit: Vec<String> = journal.audit(0, 100).await.unwrap().into_iter().map(|entry| entry.action).collect();
    assert_eq!(audit, ["suggest", "dry_run", "await_approval", "approve", "execute", "send", "observe", "verify", "succeed"]);
    journal.verify_audit().await.unwrap();
}

#[tokio::test]
async fn a_change_that_makes_it_worse_is_taken_back_at_once() {
    let (scratch, (server, cluster, plan)) = (Scratch::new(), world());
    let journal = scratch.open().await;
    let id = claimed(&journal, &two_steps(plan)).await;
    step(&journal, &cluster, &id, &nothing(), NOW).await.unwrap();
    assert_eq!(iris(&server)["spec"]["predictor"]["canaryTrafficPercent"], 0);
    assert_eq!(step(&journal, &cluster, &id, &measured(at(60), Some(0.28)), at(60)).await.unwrap(), Next::Done(RolledBack));
    assert_eq!(bounds(&server), (2, 4));
    assert_eq!(iris(&server)["spec"]["predictor"].get("canaryTrafficPercent"), None, "what was absent is absent again");
    let order = ["apply.0", "apply.1", "undo.1", "undo.0"].map(|action| format!("{id}.{action}"));
    assert_eq!(effects(&server), order);
    let told = journal.transitions(&id).await.unwrap();
    let rolling = told.iter().find(|t| t.state == RollingBack).unwrap();
    assert!(rolling.detail.contains("latency_p95 280 ms is not < 200ms"), "{}", rolling.detail);
    assert_eq!(rolling.recorded_at, at(60));

    let again = journal.rollback(&id, &Actor::new("ann"), "no, keep it", at(61)).await.unwrap_err();
    assert!(matches!(again, TransitionError::RollbackOfRollback { state: RolledBack, .. }));
}

#[tokio::test]
async fn silence_is_asked_again_and_then_rolled_back() {
    for silence in [None, Some(f64::NAN), Some(f64::INFINITY)] {
        let (scratch, (server, cluster, plan)) = (Scratch::new(), world());
        let journal = scratch.open().await;
        let id = claimed(&journal, &plan).await;
        step(&journal, &cluster, &id, &nothing(), NOW).await.unwrap();
        let mut asked = Vec::new();
        let mut now = at(60);
        let end = loop {
            match step(&journal, &cluster, &id, &measured(now, silence), now).await.unwrap() {
                Next::Measure { at, .. } => {
                    asked.push(at.since(NOW).secs());
                    now = at;
                }
                end => break end,
            }
        };
        assert_eq!((asked, end), (vec![70, 80, 90, 100, 110, 120], Next::Done(RolledBack)));
        assert_eq!(bounds(&server), (2, 4));
    }
}

#[tokio::test]
async fn results_are_told_beside_what_was_measured_before() {
    let (scratch, (_server, cluster, plan)) = (Scratch::new(), world());
    let journal = scratch.open().await;
    let id = journal.suggest(&plan, &decision(&plan), NOW).await.unwrap();
    journal.record_baseline(&id, &[("latency_p95".into(), Some(0.28)), ("error_ratio".into(), Some(f64::NAN))].into()).await.unwrap();
    claimed(&journal, &plan).await;
    assert!(journal.record_baseline(&id, &[].into()).await.is_err(), "too late once it executes");
    drive(&journal, &cluster, &id, &Cell::new(NOW), Some(0.125)).await;
    let checks = journal.transitions(&id).await.unwrap().pop().unwrap().checks;
    assert_eq!((checks[0].before, checks[0].value, checks[1].before), (Some(0.28), Some(0.125), None));
}

#[tokio::test]
async fn fields_of_another_manager_are_never_taken() {
    let (scratch, (server, cluster, plan)) = (Scratch::new(), world());
    let journal = scratch.open().await;
    let theirs = json!({"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService", "metadata": {"name": "iris", "namespace": "ml"}, "spec": {"predictor": {"minReplicas": 2}}});
    server.apply("argocd-controller", &theirs).unwrap();
    match drivers::dry_run(&cluster, &plan).await {
        Err(DriverError::Owned { conflicts, .. }) => {
            assert_eq!((conflicts[0].manager.as_str(), conflicts[0].field.as_str()), ("argocd-controller", ".spec.predictor.minReplicas"));
        }
        other => panic!("{other:?}"),
    }
    let id = claimed(&journal, &plan).await;
    assert_eq!(step(&journal, &cluster, &id, &nothing(), NOW).await.unwrap(), Next::Done(Failed));
    assert_eq!((effects(&server).len(), bounds(&server)), (0, (2, 4)));
    let why = journal.transitions(&id).await.unwrap().pop().unwrap().detail;
    assert_eq!(why, "InferenceService ml/iris: .spec.predictor.minReplicas is owned by argocd-controller");
}

#[tokio::test]
async fn a_half_done_plan_is_taken_back() {
    let (scratch, (server, cluster, plan)) = (Scratch::new(), world());
    let journal = scratch.open().await;
    server.inject(|f| {
        f.admission = Some(Box::new(|o| o["spec"]["predictor"].get("canaryTrafficPercent").map(|_| "no canaries here".into())))
    });
    let id = claimed(&journal, &two_steps(plan)).await;
    assert_eq!(step(&journal, &cluster, &id, &nothing(), NOW).await.unwrap(), Next::Done(RolledBack));
    assert_eq!(bounds(&server), (2, 4));
    assert_eq!(effects(&server), [format!("{id}.apply.0"), format!("{id}.undo.0")]);
}

#[tokio::test]
async fn someone_elses_later_change_is_left_alone() {
    let (scratch, (server, cluster, plan)) = (Scratch::new(), world());
    let journal = scratch.open().await;
    let id = claimed(&journal, &plan).await;
    step(&journal, &cluster, &id, &nothing(), NOW).await.unwrap();
    let mut theirs =
        json!({"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService", "metadata": {"name": "iris", "namespace": "ml"}});
    theirs["spec"] = json!({"predictor": {"maxReplicas": 9}});
    server.apply("kubectl", &theirs).unwrap();
    assert_eq!(step(&journal, &cluster, &id, &measured(at(60), Some(0.28)), at(60)).await.unwrap(), Next::Done(NeedsHuman));
    assert_eq!(bounds(&server), (3, 9));
    let why = journal.transitions(&id).await.unwrap().pop().unwrap().detail;
    assert!(why.contains("spec.predictor.maxReplicas is 9, not 6"), "{why}");
}

#[tokio::test]
async fn nothing_is_written_to_an_object_that_is_not_the_plans() {
    for (case, meddle) in [
        ("changed", (|s: &ApiServer| s.apply("bellwether/scale", &scaled(1)).map(drop).unwrap()) as fn(&ApiServer)),
        ("made anew", |s| {
            s.delete("InferenceService", Some("ml"), "iris");
            s.apply("bellwether/scale", &scaled(2)).unwrap();
        }),
        ("gone", |s| assert!(s.delete("InferenceService", Some("ml"), "iris"))),
    ] {
        let (scratch, (server, cluster, plan)) = (Scratch::new(), world());
        let journal = scratch.open().await;
        let id = claimed(&journal, &plan).await;
        meddle(&server);
        assert_eq!(step(&journal, &cluster, &id, &nothing(), NOW).await.unwrap(), Next::Done(Failed), "{case}");
        assert!(server.log().is_empty(), "{case}");
    }
}

fn scaled(min: u32) -> Value {
    json!({"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService", "metadata": {"name": "iris", "namespace": "ml"},
        "spec": {"predictor": {"minReplicas": min, "maxReplicas": 4}}})
}

#[tokio::test]
async fn a_lost_reply_is_no_second_change() {
    let (scratch, (server, cluster, plan)) = (Scratch::new(), world());
    let journal = scratch.open().await;
    let id = claimed(&journal, &plan).await;
    server.inject(|f| f.lose_replies = 1);
    assert_eq!(step(&journal, &cluster, &id, &nothing(), NOW).await.unwrap(), Next::Wait { at: at(1) });
    assert!(matches!(step(&journal, &cluster, &id, &nothing(), at(1)).await.unwrap(), Next::Measure { .. }));
    server.inject(|f| f.lose_replies = 1);
    assert_eq!(step(&journal, &cluster, &id, &measured(at(61), Some(0.28)), at(61)).await.unwrap(), Next::Wait { at: at(62) });
    assert_eq!(step(&journal, &cluster, &id, &nothing(), at(62)).await.unwrap(), Next::Done(RolledBack));
    assert_eq!(effects(&server), [format!("{id}.apply.0"), format!("{id}.undo.0")]);
    assert_eq!(bounds(&server), (2, 4));
}

#[tokio::test]
async fn a_cluster_that_does_not_answer_is_tried_for_a_while() {
    for (refusals, end, writes) in [(5, Succeeded, 1), (10_000, RolledBack, 0)] {
        let (scratch, (server, cluster, plan)) = (Scratch::new(), world());
        let journal = scratch.open().await;
        let id = claimed(&journal, &plan).await;
        server.inject(|f| f.refuse = Some((refusals, 503)));
        let clock = Cell::new(NOW);
        let reached = loop {
            // The server comes back while it is being rolled back.
            if clock.get() > at(62) {
                server.inject(|f| f.refuse = None);
            }
            match step(&journal, &cluster, &id, &measured(clock.get(), Some(0.1)), clock.get()).await.unwrap() {
                Next::Wait { at } | Next::Measure { at, .. } => clock.set(at),
                Next::Done(state) => break state,
                Next::Admit | Next::Readmit => panic!("no restart"),
            }
        };
        assert_eq!(reached, end);
        assert_eq!(effects(&server).iter().filter(|a| a.contains("apply")).count(), writes);
    }
}

#[tokio::test]
async fn without_an_audit_entry_nothing_reaches_the_cluster() {
    let (scratch, (server, cluster, plan)) = (Scratch::new(), world());
    let journal = scratch.open().await;
    let id = claimed(&journal, &plan).await;
    outside(&scratch.path(), "CREATE TRIGGER broken BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'no'); END").await;
    let error = step(&journal, &cluster, &id, &nothing(), NOW).await.unwrap_err();
    assert!(matches!(error, StepError::Journal(TransitionError::Store(StoreError::Database(_)))), "{error:?}");
    assert!(server.log().is_empty());
    outside(&scratch.path(), "DROP TRIGGER broken").await;
    assert_eq!(drive(&journal, &cluster, &id, &Cell::new(NOW), Some(0.1)).await, Succeeded);
    assert_eq!(effects(&server).len(), 1);
}

#[tokio::test]
async fn what_is_not_approved_and_claimed_is_not_carried_out() {
    let (scratch, (server, cluster, plan)) = (Scratch::new(), world());
    let journal = scratch.open().await;
    let id = journal.suggest(&plan, &decision(&plan), NOW).await.unwrap();
    assert!(matches!(step(&journal, &cluster, &id, &nothing(), NOW).await, Err(StepError::NotApproved { state: Suggested, .. })));
    let dry = drivers::dry_run(&cluster, &plan).await.unwrap();
    assert_eq!(dry.to_string(), "InferenceService ml/iris: spec.predictor.maxReplicas 4 → 6, spec.predictor.minReplicas 2 → 3");
    journal.record_dry_run(&id, &dry, NOW).await.unwrap();
    assert_eq!(journal.get(&id).await.unwrap().unwrap().dry_run, Some(dry));
    journal.await_approval(&id, "restricted", NOW).await.unwrap();
    journal.approve(&id, &approval(&plan, true), NOW).await.unwrap();
    assert_eq!(step(&journal, &cluster, &id, &nothing(), NOW).await.unwrap(), Next::Admit);
    assert!(effects(&server).is_empty());
    assert!(matches!(drivers::dry_run(&Cluster::None, &plan).await, Err(DriverError::NoCluster)));
    claim(&journal, &id, NOW).await;
    assert!(matches!(step(&journal, &Cluster::None, &id, &nothing(), NOW).await, Err(StepError::NoCluster { .. })));
}

#[tokio::test]
async fn a_write_that_is_still_on_its_way_is_fenced_off_by_rolling_back() {
    let (scratch, (server, cluster, plan)) = (Scratch::new(), world());
    let journal = scratch.open().await;
    let id = claimed(&journal, &plan).await;
    // Written down and sent, but the network holds it back; then a person stops the execution.
    let late = drivers::read(&cluster, &plan.body.steps[0].object).await.unwrap();
    let position = journal.get(&id).await.unwrap().unwrap().position();
    let action = journal.intend(&position, Direction::Apply, 0, &plan.body.steps[0].before, json!({}), NOW).await.unwrap();
    journal.rollback(&id, &Actor::new("ann"), "stop", NOW).await.unwrap();
    assert_eq!(step(&journal, &cluster, &id, &nothing(), NOW).await.unwrap(), Next::Done(RolledBack));
    let arrived = drivers::apply(&cluster, &plan.body.steps[0], &action, &late).await.unwrap_err();
    assert!(matches!(arrived, DriverError::Moved { .. }), "{arrived:?}");
    assert_eq!(bounds(&server), (2, 4));
}

#[tokio::test]
async fn an_earlier_change_of_the_same_manager_survives() {
    let (scratch, (server, cluster, plan)) = (Scratch::new(), world());
    let journal = scratch.open().await;
    let mut body = plan.body.clone();
    body.steps[0].patch = json!({"spec": {"predictor": {"minReplicas": 3}}});
    body.steps[0].before = json!({"spec": {"predictor": {"minReplicas": 2}}});
    let narrow = Plan::seal(body, plan.round_id, NOW).unwrap();
    let id = claimed(&journal, &narrow).await;
    assert_eq!(drive(&journal, &cluster, &id, &Cell::new(NOW), Some(0.1)).await, Succeeded);
    assert_eq!(bounds(&server), (3, 4), "maxReplicas is ours too, and was sent again");
}

#[tokio::test]
async fn fields_that_were_left_to_their_defaults_are_left_to_them_again() {
    let (scratch, server) = (Scratch::new(), ApiServer::new(NOW));
    let object = json!({"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService", "metadata": {"name": "iris", "namespace": "ml"},
        "spec": {"predictor": {"model": {"storageUri": "s3://models/iris/3"}}}});
    server.apply("helm", &object).unwrap();
    let cluster = Cluster::Kubernetes(server.client());
    let mut body = plan("iris", iris(&server)["metadata"]["uid"].as_str().unwrap()).body;
    // As a plan has it: the inventory reads absent bounds as what they mean.
    body.steps[0].before = json!({"spec": {"predictor": {"minReplicas": 1, "maxReplicas": 0}}});
    let plan = Plan::seal(body, "rnd-1".into(), NOW).unwrap();
    let journal = scratch.open().await;
    let id = claimed(&journal, &plan).await;
    assert_eq!(drive(&journal, &cluster, &id, &Cell::new(NOW), Some(0.28)).await, RolledBack);
    assert_eq!(effects(&server).len(), 2);
    assert_eq!(iris(&server)["spec"], object["spec"]);
}

/// Lets a future run for some polls, then drops it, as a crash would. A write that was handed to the connection may still land.
async fn crash_after<T>(polls: usize, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let mut left = polls;
    std::future::poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        future.as_mut().poll(context).map(Some)
    })
    .await
}

/// Every place to crash: after some whole steps, and some polls into the next. How many polls a step takes is the scheduler's choice,
/// so the sweep is made again, a few times at most, until a crash has come in every state.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_anywhere_neither_loses_nor_repeats_an_effect() {
    for (latency, end, passed) in
        [(0.1, Succeeded, vec![Executing, Verifying]), (0.28, RolledBack, vec![Executing, Verifying, RollingBack])]
    {
        let mut crashed_in = Vec::new();
        for _sweep in 0..20 {
            for steps in 0..2 {
                for polls in 0.. {
                    let (finished, state) = crash_and_carry_on(steps, polls, latency, end).await;
                    crashed_in.push(state);
                    if finished {
                        break;
                    }
                }
            }
            if passed.iter().all(|state| crashed_in.contains(state)) {
                break;
            }
        }
        assert!(passed.iter().all(|state| crashed_in.contains(state)), "no crash came in one of {passed:?}: {crashed_in:?}");
    }
}

/// Crashes there, crashes once more soon after, then runs to the end. Whether the step was over before the first crash, and the state it left.
async fn crash_and_carry_on(steps: usize, polls: usize, latency: f64, end: ExecutionState) -> (bool, ExecutionState) {
    let (scratch, (server, cluster, plan)) = (Scratch::new(), world());
    let plan = two_steps(plan);
    let journal = scratch.open().await;
    let id = claimed(&journal, &plan).await;
    let clock = Cell::new(NOW);
    for _ in 0..steps {
        assert_eq!(advance(&journal, &cluster, &id, &clock, Some(latency)).await, None);
    }
    // Every third run loses a reply on top.
    server.inject(|f| f.lose_replies = u32::from(polls.is_multiple_of(3)));
    let finished = crash_after(polls, advance(&journal, &cluster, &id, &clock, Some(latency))).await.is_some();
    drop(journal);
    let journal = scratch.open().await;
    let state = journal.get(&id).await.unwrap().unwrap().state;
    crash_after(1 + polls * 7 % 23, drive(&journal, &cluster, &id, &clock, Some(latency))).await;
    drop(journal);
    let journal = scratch.open().await;
    assert_eq!(drive(&journal, &cluster, &id, &clock, Some(latency)).await, end, "crash after {steps} steps and {polls} polls");

    let mut expected = vec![format!("{id}.apply.0"), format!("{id}.apply.1")];
    if end == RolledBack {
        expected.extend([format!("{id}.undo.1"), format!("{id}.undo.0")]);
    }
    assert_eq!(effects(&server), expected, "crash after {steps} steps and {polls} polls");
    assert_eq!(bounds(&server), if end == RolledBack { (2, 4) } else { (3, 6) });
    assert!(journal.effects(&id).await.unwrap().iter().all(|e| e.settled.is_some()));
    assert!(journal.open_executions().await.unwrap().is_empty());
    journal.verify_audit().await.unwrap();
    (finished, state)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_who_carry_on_at_once_make_one_change() {
    for _ in 0..20 {
        let (scratch, (server, cluster, plan)) = (Scratch::new(), world());
        let journal = scratch.open().await;
        let id = claimed(&journal, &plan).await;
        let both = (0..2).map(|_| {
            let (journal, cluster, id) = (journal.clone(), cluster.clone(), id.clone());
            tokio::spawn(async move { step(&journal, &cluster, &id, &nothing(), NOW).await })
        });
        for result in futures::future::join_all(both).await {
            match result.unwrap() {
                Ok(_) | Err(StepError::Journal(TransitionError::Overtaken { .. })) => {}
                Err(other) => panic!("{other:?}"),
            }
        }
        assert_eq!(drive(&journal, &cluster, &id, &Cell::new(at(1)), Some(0.1)).await, Succeeded);
        assert_eq!(effects(&server), [ActionId::of(&id, "apply", 0).to_string()]);
        journal.verify_audit().await.unwrap();
    }
}
