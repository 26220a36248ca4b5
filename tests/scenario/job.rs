//! From a deviation to an outcome: judged, recommended, planned, decided, carried out, verified.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

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

/// Kills the binary with SIGKILL while its `nth` write is at the API server, which lets the write take effect or not; then goes on.
fn killed_at_write(nth: u32, lands: bool) {
    let case = format!("killed at write {nth}, which {}", if lands { "took effect" } else { "did not take effect" });
    let world = World::start();
    world.perverse.store(true, Ordering::Relaxed);
    let victim = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
    let (mut left, pid) = (nth, victim.clone());
    let dead = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let died = dead.clone();
    let seen = std::sync::Mutex::new(());
    let counter = std::sync::atomic::AtomicU32::new(0);
    left -= 1;
    world.api.inject(|faults| {
        faults.admission = Some(Box::new(move |_| {
            let _one_at_a_time = seen.lock();
            if counter.fetch_add(1, Ordering::SeqCst) != left {
                return None;
            }
            let status = std::process::Command::new("kill").args(["-9", &pid.load(Ordering::SeqCst).to_string()]).status();
            died.store(status.is_ok_and(|s| s.success()), Ordering::SeqCst);
            (!lands).then(|| "the server went away".to_owned())
        }));
    });
    world.desk.run("ingest").expect(0);
    for _ in 0..40 {
        let mut child = world
            .desk
            .command(&["round", "--no-ingest"])
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .expect("the binary starts");
        victim.store(child.id(), Ordering::SeqCst);
        child.wait().expect("the binary ends");
        if dead.load(Ordering::SeqCst) {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(500));
    }
    assert!(dead.load(Ordering::SeqCst), "{case}: there was no such write");
    let state = world.settled();
    assert_eq!(state, "rolled_back", "{case}: {:#?}", world.executions());
    assert_eq!(world.replicas(), (1, 3), "{case}");
    let mut times = BTreeMap::new();
    for effect in world.effects() {
        *times.entry(effect.action_id().unwrap_or("none").to_owned()).or_insert(0) += 1;
    }
    assert_eq!(times.values().copied().collect::<Vec<_>>(), [1, 1], "{case}: each action takes effect exactly once: {times:?}");
    world.desk.run("audit verify").expect(0);
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
