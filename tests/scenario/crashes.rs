//! What a kill -9 leaves: in whatever state the journal stands, the next start goes on, and nothing is done twice.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use bellwether_executor::Journal;
use bellwether_model::execution::ExecutionState;
use serde_json::json;

use super::story::limit_replicas;
use super::world::World;
use crate::cluster::Fate;
use crate::servers::wait_for;
use crate::serving::Serving;

/// The state of the newest execution, as the journal has it.
fn state(desk: &Path) -> Option<ExecutionState> {
    let path = desk.join("journal.db");
    if !path.exists() {
        return None;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
    runtime.block_on(async {
        let journal = Journal::open(&path).await.expect("the journal opens beside its writer");
        let newest = journal.list(1).await.expect("the journal can be read");
        journal.close().await;
        newest.first().map(|record| record.state)
    })
}

fn reaches(world: &World, wanted: ExecutionState) {
    wait_for(&format!("the execution is {wanted}"), Duration::from_secs(120), || state(world.desk.path()) == Some(wanted));
}

/// Kills the binary when it asks the cluster for something in a certain state.
struct Snare {
    /// The binary's process id; 0 while it is not known.
    victim: Arc<AtomicU32>,
    /// Whether it was killed.
    sprung: Arc<AtomicBool>,
}

impl Snare {
    /// Sets the snare for the first request in this state: the first that writes, or the first of all. `fate` is that request's.
    fn set(world: &World, in_state: ExecutionState, at_write: bool, fate: Fate) -> Self {
        let (victim, sprung) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicBool::new(false)));
        let (pid, dead, desk) = (victim.clone(), sprung.clone(), world.desk.path().to_owned());
        world.cluster.gateway().set_trap(Box::new(move |writes| {
            if dead.load(Ordering::SeqCst) || (at_write && !writes) || state(&desk) != Some(in_state) {
                return Fate::Lands;
            }
            wait_for("the process id is known", Duration::from_secs(10), || pid.load(Ordering::SeqCst) != 0);
            let killed = Command::new("kill").args(["-9", &pid.load(Ordering::SeqCst).to_string()]).status();
            dead.store(killed.is_ok_and(|status| status.success()), Ordering::SeqCst);
            fate
        }));
        Self { victim, sprung }
    }
    /// Whether the binary was killed.
    fn has_sprung(&self) -> bool {
        self.sprung.load(Ordering::SeqCst)
    }
    /// Serves, until the snare springs.
    fn catch_serving(&self, world: &World) {
        let serving = Serving::begin(&world.desk);
        self.victim.store(serving.id(), Ordering::SeqCst);
        serving.killed();
        assert!(self.has_sprung());
    }
}

/// Asserts that the change was made once and taken back once, whatever happened between.
fn assert_exactly_once(world: &World, case: &str) {
    assert_eq!(world.replicas(), (1, 3), "{case}");
    let mut times: BTreeMap<String, u32> = BTreeMap::new();
    for effect in world.effects() {
        *times.entry(effect.action_id.unwrap_or_default()).or_default() += 1;
    }
    assert_eq!(times.values().copied().collect::<Vec<_>>(), [1, 1], "{case}: each action takes effect exactly once: {times:?}");
    assert_eq!(world.desk.count("SELECT count(*) FROM outcomes"), 1, "{case}: it is assessed once");
    world.desk.run("audit verify").expect(0);
}

#[test]
fn killed_in_every_state_an_approved_execution_goes_on_exactly_once() {
    use ExecutionState::{Approved, AwaitingApproval, DryRun, Executing, RolledBack, RollingBack, Suggested, Verifying};
    let world = World::start();
    let desk = &world.desk;
    world.perverse.store(true, Ordering::Relaxed);
    limit_replicas(desk, 4);
    let incident = world.judged_only();
    let admin = world.token("org-admin", "1h");
    let left_in = |wanted| assert_eq!(state(desk.path()), Some(wanted), "the state that the crash left");

    // While the dry run is on its way.
    let snare = Snare::set(&world, Suggested, true, Fate::GetsLost);
    let serving = Serving::start(desk);
    snare.victim.store(serving.id(), Ordering::SeqCst);
    serving.post("/orchestrate", &admin, &json!({"incident_id": incident}));
    serving.killed();
    assert!(snare.has_sprung());
    left_in(Suggested);

    // Where acting goes no further than dry runs, it stays there.
    world.set_mode("dry_run");
    let serving = Serving::start(desk);
    reaches(&world, DryRun);
    serving.crash();
    left_in(DryRun);

    world.set_mode("execute");
    let serving = Serving::start(desk);
    reaches(&world, AwaitingApproval);
    serving.crash();
    left_in(AwaitingApproval);

    // Between the approval and the claim, the cluster is looked at.
    let serving = Serving::start(desk);
    let snare = Snare::set(&world, Approved, false, Fate::Lands);
    snare.victim.store(serving.id(), Ordering::SeqCst);
    let waiting = serving.get("/executions", &admin).expect(200)["executions"][0].clone();
    serving.post("/approve", &admin, &json!({"plan_id": waiting["plan_id"], "plan_digest": waiting["plan_digest"], "approved": true}));
    serving.killed();
    assert!(snare.has_sprung());
    left_in(Approved);

    // The change takes effect, and nobody hears of it.
    Snare::set(&world, Executing, true, Fate::Lands).catch_serving(&world);
    left_in(Executing);

    let serving = Serving::begin(desk);
    reaches(&world, Verifying);
    serving.crash();
    left_in(Verifying);

    // The undoing gets lost.
    Snare::set(&world, RollingBack, true, Fate::GetsLost).catch_serving(&world);
    left_in(RollingBack);

    let serving = Serving::begin(desk);
    reaches(&world, RolledBack);
    wait_for("the end is in the ledger", Duration::from_secs(60), || desk.count("SELECT count(*) FROM outcomes") == 1);
    drop(serving);
    assert_exactly_once(&world, "killed in every state");
    let passed = desk.sql("SELECT state FROM raw.executions GROUP BY state ORDER BY min(sequence)");
    let passed: Vec<&str> = passed.iter().filter_map(|row| row["state"].as_str()).collect();
    let every = [Suggested, DryRun, AwaitingApproval, Approved, Executing, Verifying, RollingBack, RolledBack].map(|s| s.to_string());
    assert_eq!(passed, every);
}

/// Has rounds carry an execution out that nobody needs to approve, with a kill at the first write in this state.
fn killed_in(in_state: ExecutionState, fate: Fate) {
    let case = format!("killed while {in_state}, and its write {fate:?}");
    let world = World::start();
    world.perverse.store(true, Ordering::Relaxed);
    world.desk.run("ingest").expect(0);
    let snare = Snare::set(&world, in_state, true, fate);
    wait_for(&case, Duration::from_secs(120), || {
        snare.victim.store(0, Ordering::SeqCst);
        let mut command = world.desk.command(&["round", "--no-ingest"]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the binary starts");
        snare.victim.store(child.id(), Ordering::SeqCst);
        child.wait().expect("the binary ends");
        snare.has_sprung()
    });
    assert_eq!(world.settled(), "rolled_back", "{case}: {:#?}", world.executions());
    assert_exactly_once(&world, &case);
}

#[test]
fn killed_at_the_dry_run_it_goes_on_exactly_once() {
    killed_in(ExecutionState::Suggested, Fate::Lands);
}

#[test]
fn killed_at_the_change_it_goes_on_exactly_once() {
    std::thread::scope(|scope| {
        for fate in [Fate::Lands, Fate::GetsLost] {
            scope.spawn(move || killed_in(ExecutionState::Executing, fate));
        }
    });
}

#[test]
fn killed_at_the_undoing_it_goes_on_exactly_once() {
    std::thread::scope(|scope| {
        for fate in [Fate::Lands, Fate::GetsLost] {
            scope.spawn(move || killed_in(ExecutionState::RollingBack, fate));
        }
    });
}
