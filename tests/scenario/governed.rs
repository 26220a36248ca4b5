//! What governance holds back: plans beyond limits, forbidden verbs, tokens that do not count.

use std::time::{Duration, Instant};

use super::world::World;
use crate::servers::{now, wait_for};

/// Writes a token with this role, valid for so long, to a file of that name.
fn token(world: &World, file: &str, role: &str, ttl: &str) {
    world.desk.write(file, &world.token(role, ttl));
}

#[test]
fn a_plan_beyond_the_limit_waits_for_an_approval_that_only_an_org_admin_can_give() {
    let world = World::start();
    let desk = &world.desk;
    let incident = world.judged_only();
    let planned = desk.run_args(&["plan", &incident, "--playbook", "scale-far", "--output", "json"]);
    assert!([0, 5].contains(&planned.code), "{}{}", planned.out, planned.err);
    let plan = desk.sql("SELECT plan_id FROM plans WHERE playbook_id = 'scale-far'").remove(0);
    let plan = plan["plan_id"].as_str().expect("ids are text").to_owned();

    desk.run_args(&["act", "--plan", &plan]).expect(5);
    assert!(world.effects().is_empty(), "nothing happens before the approval");

    token(&world, "viewer.jwt", "viewer", "1h");
    desk.run_args(&["approve", &plan, "--token-file", "viewer.jwt"]).expect(4).says(&["org-admin"]);
    token(&world, "expired.jwt", "org-admin", "1s");
    let issued = now();
    wait_for("the token expires", Duration::from_secs(30), || now() > issued + 1);
    desk.run_args(&["approve", &plan, "--token-file", "expired.jwt"]).expect(1).says(&["expired"]);
    token(&world, "admin.jwt", "org-admin", "1h");
    let forged = desk.read("admin.jwt").trim().trim_end_matches(|c: char| c != '.').to_owned() + "AAAA";
    desk.write("forged.jwt", &forged);
    desk.run_args(&["approve", &plan, "--token-file", "forged.jwt"]).expect(1).says(&["not valid"]);
    assert!(world.effects().is_empty());

    let listed = desk.run("plan").expect(0).out;
    assert!(listed.contains(&format!("bellwether approve {plan}")), "what waits is listed with the next command: {listed}");
    desk.run_args(&["approve", &plan[..12], "--token-file", "admin.jwt"]).expect(1).says(&["names its plan whole", &plan]);
    desk.run_args(&["approve", &plan, "--token-file", "admin.jwt", "--comment", "for the sale"]).expect(0);
    desk.run_args(&["act", "--plan", &plan]).expect(0).says(&["waiting until"]);
    assert_eq!(world.replicas(), (2, 12));
    let approvals = desk.sql("SELECT approver, role, approved FROM approvals");
    assert_eq!(serde_json::Value::from(approvals), serde_json::json!([{"approver": "ann", "role": "org-admin", "approved": true}]));
    let denied = desk.count("SELECT count(*) FROM audit_logs WHERE action = 'approval_denied'");
    assert_eq!(denied, 1, "who tried without the role is on record");
    desk.run("audit verify").expect(0);
}

#[test]
fn a_forbidden_verb_is_refused_within_a_second() {
    let world = World::start();
    let desk = &world.desk;
    let incident = world.judged_only();
    let begin = Instant::now();
    let ran = desk.run_args(&["plan", &incident, "--playbook", "delete-deployment"]);
    let took = begin.elapsed();
    let words = format!("{}{}", ran.out, ran.err);
    assert!(words.contains("delete_deployment") && words.contains("forbidden"), "{}: {words}", ran.code);
    assert!(took < Duration::from_secs(1), "{took:?}");
    let plans = desk.sql("SELECT plan_id FROM plans WHERE playbook_id = 'delete-deployment'");
    if let Some(plan) = plans.first().and_then(|p| p["plan_id"].as_str()) {
        desk.run_args(&["act", "--plan", plan]).expect(4);
    }
    assert!(world.effects().is_empty());
}
