//! From a deviation to an outcome: judged, recommended, planned, decided, carried out, verified.

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use serde_json::Value;

use super::world::{World, scaled};
use crate::servers::wait_for;

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
    assert_eq!(effects[0].manager, "bellwether/scale", "server-side apply under our own field manager");
    assert!(world.latency() < 0.2, "and it helped: {}", world.latency());
    desk.run("audit verify").expect(0);

    let told = desk.sql(STORY);
    assert_eq!(told.len(), 1, "one query tells the story: {told:#?}");
    assert_eq!(told[0]["playbook_id"], "scale-out");
    assert_eq!(told[0]["effect"], "effective", "{:#?}", told[0]);
}

/// Signal → incident → recommendation → decision → execution → outcome → endpoint.
const STORY: &str = "
    SELECT i.incident_id, r.best_playbook_id AS playbook_id, d.tier, e.state, o.effect, n.endpoint, n.model_uri, min(s.opened_at) AS since
    FROM incidents_current i
    JOIN signals_current s ON strpos(i.signals, s.signal_id) > 0
    JOIN recommendations_current r ON r.incident_id = i.incident_id
    JOIN plans p ON p.recommendation_id = r.recommendation_id
    JOIN decisions d ON d.plan_id = p.plan_id
    JOIN executions_current e ON e.plan_id = p.plan_id
    JOIN outcomes o ON o.execution_id = e.execution_id
    JOIN endpoints_current n ON p.target = 'endpoint:' || n.endpoint
    GROUP BY ALL";

#[test]
fn a_change_that_makes_latency_worse_is_rolled_back() {
    let world = World::start();
    world.perverse.store(true, Ordering::Relaxed);
    world.judged();
    assert_eq!(world.replicas().0, 2, "scaling out was tried: {:#?}", world.executions());
    assert_eq!(world.settled(), "rolled_back", "{:#?}", world.executions());
    assert_eq!(world.replicas(), (1, 3), "the recorded state is restored");
    world.desk.run("audit verify").expect(0);
}

#[test]
fn fields_that_someone_else_owns_are_left_alone() {
    let world = World::start();
    world.api.apply("helm", &scaled("iris", 1, 3)).expect("the object is valid");
    world.judged();
    assert_eq!(world.settled(), "refused");
    assert!(world.executions()[0]["detail"].as_str().is_some_and(|d| d.contains("owned by helm")), "{:#?}", world.executions());
    assert!(world.effects().is_empty() && world.replicas() == (1, 3));
}

/// Kills a process as a crash would: it gets no chance to tidy up.
fn kill(pid: u32) -> bool {
    Command::new("kill").args(["-9", &pid.to_string()]).status().is_ok_and(|status| status.success())
}

/// Begins a command of the binary that nobody reads the output of.
fn begin(world: &World, args: &[&str]) -> Child {
    world.desk.command(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the binary starts")
}

/// Asserts that the change was made once and taken back once, whatever happened between.
fn assert_exactly_once(world: &World, case: &str) {
    assert_eq!(world.settled(), "rolled_back", "{case}: {:#?}", world.executions());
    assert_eq!(world.replicas(), (1, 3), "{case}");
    let mut times: BTreeMap<String, u32> = BTreeMap::new();
    for effect in world.effects() {
        *times.entry(effect.action_id().unwrap_or("none").to_owned()).or_default() += 1;
    }
    assert_eq!(times.values().copied().collect::<Vec<_>>(), [1, 1], "{case}: each action takes effect exactly once: {times:?}");
    world.desk.run("audit verify").expect(0);
}

/// Kills the binary while its write of this number is at the API server, and lets the write take effect or not.
fn killed_at_write(number: u32, lands: bool) {
    let case = format!("killed at write {number}, which {}", if lands { "took effect" } else { "did not take effect" });
    let world = World::start();
    world.perverse.store(true, Ordering::Relaxed);
    world.desk.run("ingest").expect(0);
    let (victim, dead) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicBool::new(false)));
    let (pid, died, writes) = (victim.clone(), dead.clone(), AtomicU32::new(0));
    world.api.inject(|faults| {
        faults.admission = Some(Box::new(move |_| {
            if writes.fetch_add(1, Ordering::SeqCst) + 1 != number {
                return None;
            }
            died.store(kill(pid.load(Ordering::SeqCst)), Ordering::SeqCst);
            (!lands).then(|| "the server went away".to_owned())
        }));
    });
    wait_for(&case, Duration::from_secs(60), || {
        let mut child = begin(&world, &["round", "--no-ingest"]);
        victim.store(child.id(), Ordering::SeqCst);
        child.wait().expect("the binary ends");
        dead.load(Ordering::SeqCst)
    });
    assert_exactly_once(&world, &case);
}

#[test]
fn killed_while_verifying_it_goes_on_exactly_once() {
    let world = World::start();
    world.perverse.store(true, Ordering::Relaxed);
    world.judged();
    assert_eq!(world.effects().len(), 1, "{:#?}", world.executions());
    assert_eq!(world.executions()[0]["state"], "verifying");
    let mut child = begin(&world, &["act"]);
    std::thread::sleep(Duration::from_secs(1));
    assert!(kill(child.id()), "act waits for the verification");
    child.wait().expect("the binary ends");
    assert_exactly_once(&world, "killed while verifying");
}

#[test]
fn killed_at_its_first_write_it_goes_on_exactly_once() {
    killed_at_write(1, true);
}

#[test]
fn killed_at_its_second_write_it_goes_on_exactly_once() {
    std::thread::scope(|scope| {
        for lands in [true, false] {
            scope.spawn(move || killed_at_write(2, lands));
        }
    });
}

#[test]
fn killed_while_rolling_back_it_goes_on_exactly_once() {
    std::thread::scope(|scope| {
        for lands in [true, false] {
            scope.spawn(move || killed_at_write(3, lands));
        }
    });
}
