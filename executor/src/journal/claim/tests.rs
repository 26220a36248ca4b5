//! The gate under a clock of our own: once, within limits, and with an approval that still counts.

use bellwether_governance::admit::{Admitted, Authority, Passage, Refusal, admit};
use bellwether_governance::binding::{Binding, Governance, Parts};
use bellwether_governance::blueprint::{Draft, Safety};
use bellwether_governance::history::Breaker;
use bellwether_governance::playbook;
use bellwether_model::decision::Approval;
use bellwether_model::execution::ExecutionState::{self, *};
use bellwether_model::id::{Actor, ExecutionId, RoundId};
use bellwether_model::outcome::{Effect, Outcome};
use bellwether_model::plan::Plan;
use bellwether_model::time::{Span, Timestamp};
use serde_json::json;

use super::ClaimError;
use crate::apiserver::ApiServer;
use crate::drivers::{Cluster, DryRun, observe};
use crate::journal::Journal;
use crate::journal::outbox::{Kind, Rows};
use crate::journal::record::execution_id;
use crate::journal::tests::{NOW, Scratch, decision, plan};
use crate::journal::transition::TransitionError;
use crate::step::{Next, Observations, step};

const BLUEPRINT: &str = "
metadata: {name: iris, version: 1.0.0}
spec:
  scaling: {min_replicas: 1, max_replicas: 10, target_cpu_utilization: 70%, scale_up_threshold: 80%, scale_down_threshold: 40%}
governance: {agent_authority: {allowed_operations: [scale_within_limits]}}
verification: {enabled: false}
";
const PLAYBOOK: &str = "
id: scale-out
name: Scale out
description: Adds replicas.
target: endpoint
safety: {mode: auto, allowed_roles: [org-admin], owner: ann}
actions: [{verb: scale_endpoint, add_min: 1, add_max: 2}]
";

/// A journal, a cluster with the endpoint `ml/iris`, the rules, and a clock.
struct World {
    scratch: Scratch,
    journal: Journal,
    server: ApiServer,
    cluster: Cluster,
    rules: Governance,
    now: Timestamp,
    plans: u32,
}

impl World {
    async fn new() -> Self {
        let (scratch, server) = (Scratch::new(), ApiServer::new(NOW));
        let object = json!({"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService", "metadata": {"name": "iris", "namespace": "ml"},
            "spec": {"predictor": {"minReplicas": 2, "maxReplicas": 4}}});
        server.apply("bellwether/scale", &object).unwrap();
        let binding = Binding {
            blueprint: "iris".into(),
            namespace: Some("ml".into()),
            object: "InferenceService/iris".parse().unwrap(),
            runtime: None,
        };
        let rules = Governance::assemble(Parts {
            blueprints: vec![Draft::parse("iris.yaml", BLUEPRINT).unwrap()],
            services: [("iris".into(), binding)].into(),
            playbooks: vec![playbook::load("scale-out.yaml", PLAYBOOK).unwrap()],
            ..Parts::default()
        })
        .unwrap();
        let (journal, cluster) = (scratch.open().await, Cluster::Kubernetes(server.client()));
        Self { scratch, journal, server, cluster, rules, now: NOW, plans: 0 }
    }

    /// Another plan, from the bounds as they are to one replica more or less.
    fn plan(&mut self) -> Plan {
        self.plans += 1;
        let object = self.server.get("InferenceService", Some("ml"), "iris").unwrap();
        let mut body = plan("iris", object["metadata"]["uid"].as_str().unwrap()).body;
        let min = object["spec"]["predictor"]["minReplicas"].as_i64().unwrap();
        let fields = |min: i64| json!({"spec": {"predictor": {"minReplicas": min, "maxReplicas": 4}}});
        (body.steps[0].before, body.steps[0].patch) = (fields(min), fields(5 - min));
        body.incident_id = format!("inc-{}", self.plans).as_str().into();
        body.playbook_digest = self.rules.playbook(&"scale-out".into()).unwrap().playbook.digest;
        body.blueprint_digest = self.rules.service(&"iris".into()).unwrap().digest;
        body.confidence = 0.9;
        Plan::seal(body, RoundId::new("rnd-1"), self.now).unwrap()
    }

    fn approval(&self, plan: &Plan) -> Approval {
        Approval { expires_at: self.now + Span::from_hours(1), recorded_at: self.now, ..crate::journal::tests::approval(plan, true) }
    }

    async fn dry_run(&mut self) -> (Plan, ExecutionId) {
        let plan = self.plan();
        let id = self.journal.suggest(&plan, &decision(&plan), self.now).await.unwrap();
        self.journal.record_dry_run(&id, &DryRun::default(), self.now).await.unwrap();
        (plan, id)
    }

    async fn approved(&mut self) -> (Plan, ExecutionId, Authority) {
        let (plan, id) = self.dry_run().await;
        let approval = self.approval(&plan);
        self.journal.await_approval(&id, "restricted", self.now).await.unwrap();
        self.journal.approve(&id, &approval, self.now).await.unwrap();
        (plan, id, Authority::Approval(approval))
    }

    fn limits(&self) -> Safety {
        self.rules.service(&"iris".into()).unwrap().blueprint.safety
    }

    async fn admit(&self, plan: &Plan, authority: Authority) -> Result<Admitted, Refusal> {
        let id = execution_id(plan);
        let history = self.journal.history_beside(&id, &plan.body.service, &self.limits(), self.now).await.unwrap();
        let live = observe(&self.cluster, plan, &self.journal.sent(&id).await.unwrap()).await.unwrap();
        admit(&self.rules, plan.clone(), authority, &history, &live, self.now)
    }

    /// Carries a claimed execution to its end; the clock goes along.
    async fn finish(&mut self, id: &ExecutionId, latency: f64) -> ExecutionState {
        loop {
            let observed = Observations {
                measured_at: self.now,
                values: [("latency_p95".into(), Some(latency)), ("error_ratio".into(), Some(0.0))].into(),
            };
            match step(&self.journal, &self.cluster, id, &observed, self.now).await.unwrap() {
                Next::Wait { at } | Next::Measure { at, .. } => self.now = at,
                Next::Done(state) => return state,
                other => panic!("{other:?}"),
            }
        }
    }

    /// A whole execution: approved, admitted, claimed, carried out.
    async fn run(&mut self, latency: f64) -> Result<(ExecutionState, Passage), Refusal> {
        let (plan, id, authority) = self.approved().await;
        let admitted = self.admit(&plan, authority).await?;
        self.journal.claim(&admitted, self.now).await.unwrap();
        Ok((self.finish(&id, latency).await, admitted.passage()))
    }

    fn wait(&mut self, secs: i64) {
        self.now = self.now + Span::from_secs(secs);
    }

    async fn restart(&mut self) {
        self.journal.close().await;
        self.journal = self.scratch.open().await;
    }
}

#[tokio::test]
async fn of_fifty_claims_one_wins() {
    let mut world = World::new().await;
    let (plan, id, authority) = world.approved().await;
    let admitted = world.admit(&plan, authority).await.unwrap();
    let other = world.scratch.open().await;
    let claims = (0..50).map(|i| {
        let (journal, admitted, now) = (if i % 2 == 0 { world.journal.clone() } else { other.clone() }, admitted.clone(), world.now);
        tokio::spawn(async move { journal.claim(&admitted, now).await })
    });
    let results: Vec<_> = futures::future::join_all(claims).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(results.iter().filter(|r| r.is_ok()).count(), 1);
    assert!(
        results
            .iter()
            .flat_map(|r| r.as_ref().err())
            .all(|e| matches!(e, ClaimError::Transition(TransitionError::Illegal { from: Executing, .. })))
    );
    assert_eq!(world.journal.get(&id).await.unwrap().unwrap().state, Executing);
}

#[tokio::test]
async fn one_execution_of_a_service_at_a_time() {
    let mut world = World::new().await;
    let ((one, _, a), (two, id, b)) = (world.approved().await, world.approved().await);
    let (one, two) = (world.admit(&one, a).await.unwrap(), world.admit(&two, b).await.unwrap());
    let (first, second) = tokio::join!(world.journal.claim(&one, NOW), world.journal.claim(&two, NOW));
    let (won, lost) = match (first, second) {
        (Ok(won), lost) | (lost, Ok(won)) => (won, lost),
        (Err(a), Err(b)) => panic!("nobody won: {a}; {b}"),
    };
    assert!(matches!(lost, Err(ClaimError::Busy { other, .. }) if other == won));
    assert!(won == id || world.journal.get(&id).await.unwrap().unwrap().state == Approved, "the other may try again later");
}

#[tokio::test]
async fn a_service_rests_sixty_seconds_between_operations() {
    let mut world = World::new().await;
    assert_eq!(world.run(0.28).await.unwrap().0, RolledBack);
    // Undoing was an operation too, a moment ago.
    let (plan, id, authority) = world.approved().await;
    for left in [60, 1] {
        match world.admit(&plan, authority.clone()).await {
            Err(Refusal::Cooldown { left: found, .. }) => assert_eq!(found.secs(), left),
            other => panic!("{other:?}"),
        }
        world.wait(59);
        world.restart().await;
    }
    world.wait(60 - 2 * 59);
    let admitted = world.admit(&plan, authority).await.unwrap();
    world.journal.claim(&admitted, world.now).await.unwrap();
    assert_eq!(world.finish(&id, 0.1).await, Succeeded);
}

#[tokio::test]
async fn what_was_admitted_is_judged_again_when_it_is_claimed() {
    let mut world = World::new().await;
    let (plan, _, authority) = world.approved().await;
    let admitted = world.admit(&plan, authority).await.unwrap();
    world.run(0.28).await.unwrap();
    assert!(matches!(world.journal.claim(&admitted, world.now).await, Err(ClaimError::Refused(Refusal::Cooldown { .. }))));
    world.wait(3_600);
    assert!(matches!(world.journal.claim(&admitted, world.now).await, Err(ClaimError::Transition(TransitionError::Expired { .. }))));
    let unsaid = Approval { comment: Some("another".into()), ..world.approval(&plan) };
    let admitted = world.admit(&plan, Authority::Approval(unsaid)).await.unwrap();
    assert!(matches!(world.journal.claim(&admitted, world.now).await, Err(ClaimError::NotRecorded { .. })));
}

#[tokio::test]
async fn ten_operations_an_hour_and_no_eleventh() {
    let mut world = World::new().await;
    for _ in 0..10 {
        assert_eq!(world.run(0.1).await.unwrap().0, Succeeded);
    }
    let first = NOW;
    world.restart().await;
    let wait = match world.run(0.1).await {
        Err(Refusal::RateLimit { limit: 10, wait, .. }) => wait,
        other => panic!("{other:?}"),
    };
    assert_eq!(world.now + wait, first + Span::from_hours(1));
    world.wait(wait.secs() - 1);
    assert!(matches!(world.run(0.1).await, Err(Refusal::RateLimit { .. })));
    world.wait(1);
    assert_eq!(world.run(0.1).await.unwrap().0, Succeeded);
}

#[tokio::test]
async fn three_failures_open_the_breaker_and_a_probe_closes_it() {
    let mut world = World::new().await;
    for _ in 0..3 {
        assert_eq!(world.run(0.28).await.unwrap().0, RolledBack, "rolling back is never blocked");
        world.wait(60);
    }
    world.restart().await;
    assert!(matches!(world.run(0.1).await, Err(Refusal::Breaker { failures: 3, .. })));
    world.wait(600 - 60);
    // The probe fails, and the breaker opens anew; the next one helps, and it closes.
    assert_eq!(world.run(0.28).await.unwrap(), (RolledBack, Passage::Probe));
    world.wait(599);
    assert!(matches!(world.run(0.1).await, Err(Refusal::Breaker { failures: 4, .. })));
    world.wait(1);
    assert_eq!(world.run(0.1).await.unwrap(), (Succeeded, Passage::Probe));
    let history = world.journal.history(&"iris".into(), &world.limits(), world.now).await.unwrap();
    assert_eq!((history.breaker, history.consecutive_failures), (Breaker::Closed, 0));
}

#[tokio::test]
async fn changes_that_did_not_help_count_and_a_person_may_close_the_breaker() {
    let mut world = World::new().await;
    for _ in 0..3 {
        let (plan, id, authority) = world.approved().await;
        let admitted = world.admit(&plan, authority).await.unwrap();
        world.journal.claim(&admitted, world.now).await.unwrap();
        assert_eq!(world.finish(&id, 0.1).await, Succeeded);
        let outcome = Outcome {
            execution_id: id,
            plan_id: plan.plan_id.clone(),
            incident_id: plan.body.incident_id.clone(),
            playbook_id: plan.body.playbook_id.clone(),
            effect: Effect::Ineffective,
            checks: Vec::new(),
            summary: String::new(),
            detail: "nothing changed".into(),
            recorded_at: world.now,
        };
        world.journal.record_outcome(&outcome, world.now).await.unwrap();
    }
    assert!(matches!(world.run(0.1).await, Err(Refusal::Breaker { failures: 3, .. })));
    world.journal.reset_breaker(&"iris".into(), &Actor::new("ann"), "fixed by hand", world.now).await.unwrap();
    assert_eq!(world.run(0.1).await.unwrap(), (Succeeded, Passage::Normal));
    let entries = world.journal.audit(0, 1_000).await.unwrap();
    assert!(entries.iter().any(|e| e.action == "reset_breaker" && e.actor.as_str() == "ann" && e.detail["why"] == "fixed by hand"));
}

#[tokio::test]
async fn a_standing_approval_records_its_owner_as_approver() {
    let mut world = World::new().await;
    let (plan, id) = world.dry_run().await;
    let admitted = world.admit(&plan, Authority::Standing { owner: Actor::new("ann") }).await.unwrap();
    world.journal.claim(&admitted, world.now).await.unwrap();
    let approved = world.journal.transitions(&id).await.unwrap().into_iter().find(|t| t.state == Approved).unwrap();
    assert_eq!(approved.actor.as_str(), "ann");
    let Some(batch) = world.journal.pending(Kind::Approvals, 9).await.unwrap() else { panic!("no approval to relay") };
    assert!(matches!(batch.rows, Rows::Approvals(rows) if rows[0].approver.as_str() == "ann" && rows[0].role == "standing"));
    assert_eq!(world.finish(&id, 0.1).await, Succeeded);
    // What a person is asked about does not run by itself after all.
    world.wait(60);
    let (plan, id) = world.dry_run().await;
    let admitted = world.admit(&plan, Authority::Standing { owner: Actor::new("ann") }).await.unwrap();
    world.journal.await_approval(&id, "ask", world.now).await.unwrap();
    assert!(matches!(world.journal.claim(&admitted, world.now).await, Err(ClaimError::NotRecorded { .. })));
}

#[tokio::test]
async fn after_a_restart_unsent_steps_are_admitted_anew_and_the_old_session_is_fenced() {
    let mut world = World::new().await;
    let (plan, id) = world.dry_run().await;
    let standing = Authority::Standing { owner: Actor::new("ann") };
    let admitted = world.admit(&plan, standing.clone()).await.unwrap();
    world.journal.claim(&admitted, world.now).await.unwrap();
    let old = std::mem::replace(&mut world.journal, world.scratch.open().await);
    assert_eq!(step(&world.journal, &world.cluster, &id, &Observations::default(), world.now).await.unwrap(), Next::Readmit);
    assert!(matches!(world.journal.claim(&admitted, world.now).await, Err(ClaimError::Transition(TransitionError::Illegal { .. }))));
    world.wait(5);
    let again = world.admit(&plan, standing).await.unwrap();
    world.journal.claim_again(&again, world.now).await.unwrap();
    assert_eq!(
        step(&old, &world.cluster, &id, &Observations::default(), world.now).await.unwrap(),
        Next::Readmit,
        "the old session sends nothing"
    );
    assert_eq!(world.finish(&id, 0.1).await, Succeeded);

    // Where it is refused, it is stopped safely.
    let (plan, id, authority) = {
        world.wait(60);
        world.approved().await
    };
    let admitted = world.admit(&plan, authority.clone()).await.unwrap();
    world.journal.claim(&admitted, world.now).await.unwrap();
    world.restart().await;
    world.wait(3_600);
    assert!(matches!(world.admit(&plan, authority).await, Err(Refusal::Approval(_))));
    world.journal.rollback(&id, &Actor::new("bellwether"), "the approval expired", world.now).await.unwrap();
    assert_eq!(world.finish(&id, 0.1).await, RolledBack);
    assert_eq!(world.server.log().len(), 1);
}
