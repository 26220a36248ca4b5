//! From an incident to a change of the cluster: planned, approved, carried out; and everything that is refused on the way.

use bellwether_model::digest::Digest;
use bellwether_pipelines::act::Reach;
use serde_json::{Value, json};

use super::world::{Answer, NOW, World};
use crate::api::jobs::{act_once, drain_once};

async fn orchestrate(world: &World, body: Value) -> Answer {
    world.post("operator", "/orchestrate", body).await
}

#[tokio::test]
async fn a_plan_waits_for_approval_and_is_then_carried_out_once() {
    let world = World::new(Reach::Execute).await;
    let planned = orchestrate(&world, json!({"incident_id": "inc-1"})).await;
    assert_eq!(planned.status, 200, "{}", planned.text);
    let (execution, plan) = (&planned.json["execution"], &planned.json["plan"]);
    assert_eq!(
        (&planned.json["decision"]["tier"], &execution["state"]),
        (&json!("restricted"), &json!("awaiting_approval")),
        "{}",
        planned.text
    );
    assert!(planned.json["dry_run"].to_string().contains("spec.predictor.maxReplicas"), "{}", planned.text);
    assert!(planned.json["next"].as_str().unwrap().starts_with("POST /approve"));
    // Asking again changes nothing.
    let again = orchestrate(&world, json!({"signal_id": "sig-4", "playbook_id": "scale-out"})).await;
    assert_eq!(again.json["execution"], *execution, "{}", again.text);
    assert_eq!(again.json["plan"]["digest"], plan["digest"]);

    let word =
        json!({"plan_id": plan["plan_id"], "plan_digest": plan["digest"], "approved": true, "comment": "call me at ann@example.com"});
    let other = json!({"plan_id": plan["plan_id"], "plan_digest": Digest::ZERO, "approved": true});
    assert_eq!(world.post("operator", "/approve", word.clone()).await.problem(), (403, "missing-role"));
    assert_eq!(world.post("org-admin", "/approve", other).await.problem(), (409, "other-plan"));
    let unknown = json!({"plan_id": "plan-0", "plan_digest": Digest::ZERO, "approved": true});
    assert_eq!(world.post("org-admin", "/approve", unknown).await.problem(), (404, "not-found"));
    let approved = world.post("org-admin", "/approve", word.clone()).await;
    assert_eq!(
        (approved.status.as_u16(), &approved.json["execution"]["state"], &approved.json["approver"]),
        (200, &json!("approved"), &json!("org-admin@example.com")),
        "{}",
        approved.text
    );
    assert_eq!(world.post("org-admin", "/approve", word).await.problem(), (409, "conflict"));

    act_once(&world.services, NOW).await.unwrap();
    act_once(&world.services, NOW).await.unwrap();
    let iris = world.server.get("InferenceService", Some("ml"), "iris").unwrap();
    assert_eq!(iris["spec"]["predictor"]["maxReplicas"], 7);
    let id = execution["execution_id"].as_str().unwrap();
    let story = world.get("viewer", &format!("/executions/{id}")).await.json;
    let states: Vec<&str> = story["transitions"].as_array().unwrap().iter().map(|t| t["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["suggested", "dry_run", "awaiting_approval", "approved", "executing", "verifying"]);
    assert!(!story["approval"]["comment"].as_str().unwrap().contains("ann@example.com"), "{story}");
    act_once(&world.services, NOW).await.unwrap();
    assert_eq!(world.server.log().iter().filter(|m| m.changed && !m.dry_run).count(), 1);

    let busy = orchestrate(&world, json!({"incident_id": "inc-1", "playbook_id": "delete-deployment"})).await;
    assert_eq!((busy.problem(), &busy.json["execution_id"]), ((409, "conflict"), &json!(id)));
    let list = world.get("viewer", "/executions?state=verifying&incident_id=inc-1").await.json;
    assert_eq!(list["executions"][0]["execution_id"], id);
    assert_eq!(world.get("viewer", "/executions?state=failed").await.json, json!({"executions": []}));

    // The ledger tells the same story.
    drain_once(&world.services).await.unwrap();
    let sql = "SELECT i.incident_id, r.best_playbook_id, d.tier, a.approver, e.state FROM incidents_current i JOIN plans_current p ON p.incident_id = i.incident_id \
        JOIN recommendations_current r ON r.incident_id = i.incident_id JOIN decisions_current d ON d.plan_id = p.plan_id JOIN approvals a ON a.plan_id = p.plan_id \
        JOIN executions_current e ON e.plan_id = p.plan_id";
    let expected = json!({"incident_id": "inc-1", "best_playbook_id": "scale-out", "tier": "restricted", "approver": "org-admin@example.com", "state": "verifying"});
    assert_eq!(world.rows(sql).await, [expected]);
    let why = world.get("viewer", "/incidents/inc-1").await.json["recommendation"]["recommendation_id"].as_str().unwrap().to_owned();
    assert_eq!(
        world.get("viewer", &format!("/recommendations/{why}/why")).await.json["recommendation"]["candidates"][0]["playbook_id"],
        "scale-out"
    );
    assert!(world.services.journal.verify_audit().await.is_ok());
}

#[tokio::test]
async fn a_forbidden_verb_is_refused_at_once_and_every_time() {
    let world = World::new(Reach::Execute).await;
    for _ in 0..2 {
        let began = std::time::Instant::now();
        let answer = orchestrate(&world, json!({"incident_id": "inc-1", "playbook_id": "delete-deployment"})).await;
        assert_eq!(answer.problem(), (403, "refused"), "{}", answer.text);
        assert_eq!(answer.json["decision"]["tier"], "forbidden");
        assert!(began.elapsed().as_secs() < 5, "{:?}", began.elapsed());
    }
    let list = world.get("viewer", "/executions").await.json;
    assert_eq!((list["executions"].as_array().unwrap().len(), &list["executions"][0]["state"]), (1, &json!("refused")));
    assert!(world.server.log().is_empty(), "the cluster was not even asked");
}

#[tokio::test]
async fn what_cannot_be_planned_says_why() {
    let world = World::new(Reach::Suggest).await;
    let cases = [
        (json!({"incident_id": "inc-9"}), 404, "not-found"),
        (json!({"incident_id": "inc-1", "signal_id": "sig-4"}), 400, "bad-request"),
        (json!({"incident_id": "inc-1", "playbook_id": "dance"}), 422, "no-plan"),
        (json!({"signal_id": "sig-1"}), 422, "no-plan"),
    ];
    for (body, status, kind) in cases {
        let answer = orchestrate(&world, body.clone()).await;
        assert_eq!(answer.problem(), (status, kind), "{body}: {}", answer.text);
    }
    let planned = orchestrate(&world, json!({"incident_id": "inc-1"})).await.json;
    assert_eq!((&planned["execution"]["state"], &planned["dry_run"]), (&json!("suggested"), &Value::Null), "act.mode is plan");
    let word = json!({"plan_id": planned["plan"]["plan_id"], "plan_digest": planned["plan"]["digest"], "approved": true});
    assert_eq!(world.post("org-admin", "/approve", word).await.problem(), (409, "conflict"));
}

#[tokio::test]
async fn a_rejected_plan_stays_rejected() {
    let world = World::new(Reach::Execute).await;
    let planned = orchestrate(&world, json!({"incident_id": "inc-1"})).await.json;
    let word = json!({"plan_id": planned["plan"]["plan_id"], "plan_digest": planned["plan"]["digest"], "approved": false});
    let rejected = world.post("org-admin", "/approve", word).await;
    assert_eq!(rejected.json["execution"]["state"], "refused", "{}", rejected.text);
    assert_eq!(orchestrate(&world, json!({"incident_id": "inc-1"})).await.problem(), (409, "conflict"));
    act_once(&world.services, NOW).await.unwrap();
    assert!(world.server.log().iter().all(|m| m.dry_run));
}
