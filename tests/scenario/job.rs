//! From a deviation to an outcome: judged, recommended, planned, decided, carried out, verified.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::Value;

use super::world::{World, scaled};

/// The JSON that a column holds as text.
fn parsed(row: &Value, column: &str) -> Value {
    serde_json::from_str(row[column].as_str().expect("the column is text")).expect("the column is JSON")
}

#[test]
fn an_overload_is_one_incident_that_scaling_out_ends() {
    let world = World::start();
    assert!(world.latency() > 0.5, "iris is overloaded at first: {}", world.latency());
    world.judged();
    let desk = &world.desk;

    let recommendation = desk.sql("SELECT * FROM recommendations_current").remove(0);
    let best = &parsed(&recommendation, "candidates")[0];
    assert_eq!(best["playbook_id"], "scale-out");
    assert!(best["score"].as_f64().is_some_and(|score| score >= 0.1), "{best}");
    let words = best["justification"].as_str().expect("a justification");
    assert!(words.contains("run-0-"), "the justification names past runs: {words}");

    assert_eq!(world.settled(), "succeeded", "{:#?}", world.executions());
    assert_eq!(world.replicas(), (2, 5));
    let effects = world.effects();
    assert_eq!(effects.len(), 1, "{effects:#?}");
    assert_eq!(effects[0].manager, "bellwether/scale", "under our own field manager");
    assert!(effects[0].content_type.starts_with("application/apply-patch"), "by server-side apply: {effects:#?}");
    assert!(world.latency() < 0.2, "and it helped: {}", world.latency());
    desk.run("audit verify").expect(0);
}

#[test]
fn a_change_that_makes_latency_worse_is_rolled_back() {
    let world = World::start();
    world.perverse.store(true, Ordering::Relaxed);
    world.judged();
    assert_eq!(world.replicas().0, 2, "scaling out was tried: {:#?}", world.executions());
    assert_eq!(world.settled(), "rolled_back", "{:#?}", world.executions());
    assert_eq!(world.replicas(), (1, 3), "the recorded state is restored");
    let effects = world.effects();
    assert_eq!(effects.len(), 2, "{effects:#?}");
    let took = effects[1].at - effects[0].at;
    assert!(took >= Duration::from_secs(5), "the change was given its stabilisation: {took:?}");
    assert!(took < Duration::from_secs(60), "from the change to its undoing: {took:?}");
    world.desk.run("audit verify").expect(0);
}

#[test]
fn fields_that_someone_else_owns_are_left_alone() {
    let world = World::start();
    world.cluster.apply("helm", "iris", &scaled(1, 3));
    world.judged();
    assert_eq!(world.settled(), "refused");
    assert!(world.executions()[0]["detail"].as_str().is_some_and(|d| d.contains("owned by helm")), "{:#?}", world.executions());
    assert!(world.effects().is_empty() && world.replicas() == (1, 3));
}
