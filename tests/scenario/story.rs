//! The whole job over the HTTP API, and the one query that tells it.

use std::time::{Duration, Instant};

use serde_json::json;

use super::origin::{assert_traced, emit};
use super::world::World;
use crate::bellwether::Desk;
use crate::servers::wait_for;
use crate::serving::Serving;

/// The saved query that tells the whole story.
const STORY: &str = include_str!("../../sql/queries/story.sql");

#[test]
fn what_was_asked_approved_and_done_over_http_is_told_by_one_query() {
    let world = World::start();
    let desk = &world.desk;
    limit_replicas(desk, 4);
    let incident = world.judged_only();
    let (viewer, operator, admin) = (world.token("viewer", "1h"), world.token("operator", "1h"), world.token("org-admin", "1h"));
    let expired = world.token("org-admin", "1s");
    let serving = Serving::start(desk);

    // The real client posts events, the end of a run before its start, and all of them twice. They reach the ledger through the inbox.
    let auth = json!({"type": "api_key", "apiKey": operator.trim()});
    let transport = json!({"type": "http", "url": serving.url(), "endpoint": "api/v1/lineage", "auth": auth});
    for _ in 0..2 {
        emit(desk, &transport);
        wait_for("the events arrive", Duration::from_secs(60), || desk.count("SELECT count(*) FROM lineage_events") == 4);
    }
    assert_traced(&world);

    // What the blueprint forbids is refused at once.
    let begin = Instant::now();
    let refused =
        serving.post("/orchestrate", &operator, &json!({"incident_id": incident, "playbook_id": "delete-deployment"})).expect(403);
    let took = begin.elapsed();
    assert!(took < Duration::from_secs(1), "{took:?}");
    assert!(refused.to_string().contains("delete_deployment"), "{refused:#}");

    // The recommended plan goes beyond the limit, so it waits.
    serving.post("/orchestrate", &viewer, &json!({"incident_id": incident})).expect(403);
    let asked = serving.post("/orchestrate", &operator, &json!({"incident_id": incident})).expect(200);
    assert_eq!(asked["decision"]["tier"], "restricted", "{asked:#}");
    let execution = &asked["execution"];
    assert_eq!((&execution["state"], &execution["playbook_id"]), (&json!("awaiting_approval"), &json!("scale-out")), "{asked:#}");
    assert!(world.effects().is_empty(), "nothing happens before the approval");

    // Only a valid token of an org-admin counts.
    let word =
        json!({"plan_id": execution["plan_id"], "plan_digest": execution["plan_digest"], "approved": true, "comment": "for the sale"});
    let lacking = serving.post("/approve", &operator, &word).expect(403);
    assert!(lacking.to_string().contains("org-admin"), "{lacking:#}");
    wait_for("the token expires", Duration::from_secs(30), || serving.get("/signals", &expired).status == 401);
    for token in [expired, forged(&admin), of_another_key(), String::new()] {
        serving.post("/approve", &token, &word).expect(401);
    }
    assert!(world.effects().is_empty());
    serving.post("/approve", &admin, &word).expect(200);

    let path = format!("/executions/{}", execution["execution_id"].as_str().expect("ids are text"));
    wait_for("the execution ends", Duration::from_secs(120), || {
        let now = serving.get(&path, &viewer).expect(200);
        let state = now["execution"]["state"].as_str().unwrap_or_default();
        assert!(!["failed", "refused", "rolled_back", "needs_human"].contains(&state), "{now:#}");
        state == "succeeded"
    });
    assert_eq!(world.replicas(), (2, 5));
    assert_eq!(world.effects().len(), 1);
    wait_for("the outcome is in the ledger", Duration::from_secs(60), || desk.count("SELECT count(*) FROM outcomes") == 1);
    assert_eq!(desk.count("SELECT count(*) FROM lineage_events"), 4, "what came a second time was stored once");
    desk.run("audit verify").expect(0);
    assert_told(&world, &incident);
}

/// Asserts that the story's rows are whole, and say what happened.
fn assert_told(world: &World, incident: &str) {
    let told = world.desk.sql(&format!("SELECT * FROM ({STORY}) WHERE effect IS NOT NULL"));
    let signals = world.desk.count("SELECT count(*) FROM incident_signals");
    assert_eq!(told.len() as i64, signals, "one row a signal: {told:#?}");
    assert!(signals >= 1);
    for row in &told {
        let fields = row.as_object().expect("a row is an object");
        // The incident goes on until the metrics of later rounds say otherwise.
        let unknown: Vec<_> = fields.iter().filter(|(name, value)| value.is_null() && *name != "closed_at").collect();
        assert!(unknown.is_empty(), "{unknown:?} in {row:#}");
        let expected = [
            ("incident_id", json!(incident)),
            ("recommended", json!("scale-out")),
            ("target", json!(format!("endpoint:{}", world.endpoint()))),
            ("tier", json!("restricted")),
            ("approver", json!("ann")),
            ("approved_as", json!("org-admin")),
            ("approved", json!(true)),
            ("execution_state", json!("succeeded")),
            ("effect", json!("effective")),
            ("made_by", json!("airflow:train")),
            ("made_from", json!("s3://features:iris")),
            ("endpoint", json!(world.endpoint())),
            ("model_uri", json!("s3://models/iris/3")),
        ];
        for (column, value) in expected {
            assert_eq!(row[column], value, "{column} in {row:#}");
        }
        let number = |column: &str| row[column].as_f64().unwrap_or_else(|| panic!("{column} is no number in {row:#}"));
        assert!(number("signal_score") >= 1.0 && number("recommendation_score") >= 0.1, "{row:#}");
        // Whole hours of one replica with one GPU at 2.5 dollars.
        let (hours, usd) = (number("gpu_hours"), number("usd"));
        assert!((1.0..=4.0).contains(&hours) && (usd - 2.5 * hours).abs() < 0.01, "{hours} GPU-hours cost {usd}: {row:#}");
        let words = row["hint"].as_str().expect("a hint is text");
        assert!(words.contains("expected") || words.contains("usual"), "{words}");
    }
}

/// Lowers the most replicas that the blueprint allows without a person.
pub(super) fn limit_replicas(desk: &Desk, most: u32) {
    let blueprint = desk.read("blueprints/iris.yaml");
    desk.write("blueprints/iris.yaml", &blueprint.replace("max_replicas: 6", &format!("max_replicas: {most}")));
}

/// A token whose signature is another one.
fn forged(token: &str) -> String {
    let (signed, _) = token.trim().rsplit_once('.').expect("a token has three parts");
    format!("{signed}.{}", "A".repeat(86))
}

/// A token of the same name and role, signed with a key that this house does not know.
fn of_another_key() -> String {
    Desk::with("version: 1\n").run("token issue --subject ann --role org-admin").expect(0).out
}
