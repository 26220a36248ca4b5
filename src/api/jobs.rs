//! What `serve` does by itself: jobs by the clock, the inbox into the ledger, and executions carried on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bellwether_executor::journal::lease::Lease;
use bellwether_executor::journal::outbox::Kind as OutboxKind;
use bellwether_model::execution::ExecutionState;
use bellwether_model::id::IncidentId;
use bellwether_model::time::{Span, Timestamp};
use bellwether_pipelines::act::Acted;
use bellwether_pipelines::ingest::{Ingest, drain_inbox};
use bellwether_pipelines::relay::relay;
use bellwether_pipelines::schedule::{Job, Task};
use futures::future::BoxFuture;
use serde::Deserialize;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::Services;
use super::ledger::{self, text};
use super::problem::{Kind, Problem};
use crate::failure::{Failure, chain};

/// How a task of the schedule is done, and what it says afterwards.
pub type Runner = Arc<dyn Fn(Task) -> BoxFuture<'static, Result<String, Failure>> + Send + Sync>;

/// How long a job is held before it must be held anew.
const LEASE: Span = Span::from_secs(60);
/// How often it is held anew.
const HEARTBEAT: Duration = Duration::from_secs(20);
/// How often the inbox and the outbox are emptied.
const DRAIN: Duration = Duration::from_secs(3);
/// How often executions are looked at when nothing says sooner.
const LOOK: Duration = Duration::from_secs(5);
/// The clock is looked at least so often, so that a sleep over a clock change or a suspended machine is short.
const NAP: Duration = Duration::from_secs(30);

/// Says when to stop.
#[derive(Clone, Debug)]
pub struct Stop(pub watch::Receiver<bool>);

impl Stop {
    /// Waits for it, at most so long; true when it came.
    async fn within(&mut self, time: Duration) -> bool {
        tokio::time::timeout(time, self.0.wait_for(|stop| *stop)).await.is_ok()
    }
}

/// Runs everything until told to stop; then what is under way ends first.
pub async fn run(services: Arc<Services>, jobs: Vec<Job>, runner: Runner, stop: Stop) {
    let mut loops = JoinSet::new();
    for job in jobs {
        loops.spawn(keep(services.clone(), job, runner.clone(), stop.clone()));
    }
    loops.spawn(drain(services.clone(), stop.clone()));
    loops.spawn(act(services, stop));
    while loops.join_next().await.is_some() {}
}

/// Runs one job whenever it is due, one run at a time.
async fn keep(services: Arc<Services>, job: Job, runner: Runner, mut stop: Stop) {
    let name = format!("job:{}", job.name);
    let mut last = last_run(&services, &name).await;
    loop {
        let now = services.now();
        let due = job.due(last, now);
        if due.skipped > 0 {
            tracing::warn!(job = job.name, skipped = due.skipped, "runs were due while nothing ran; they are not made up for");
        }
        match due.run {
            Some(at) => {
                last = at;
                run_once(&services, &job, &name, at, &runner).await;
            }
            None => {
                last = if due.skipped > 0 { now } else { last };
                let wait = due.next.map_or(NAP, |next| next.since(now).to_std().min(NAP));
                if stop.within(wait).await {
                    return;
                }
            }
        }
        if stop.within(Duration::ZERO).await {
            return;
        }
    }
}

/// When the job last ran, in whichever process; now when it never did.
async fn last_run(services: &Services, name: &str) -> Timestamp {
    let leases = services.journal.leases().await.unwrap_or_default();
    leases.into_iter().find(|lease| lease.job == name).map_or_else(|| services.now(), |lease| lease.renewed_at)
}

/// Runs the job once for this due time, if nobody else does or did.
async fn run_once(services: &Services, job: &Job, name: &str, due: Timestamp, runner: &Runner) {
    if last_run(services, name).await >= due && services.journal.leases().await.is_ok_and(|all| all.iter().any(|l| l.job == name)) {
        return;
    }
    let owner = services.journal.session();
    let lease = match services.journal.lease(name, owner, LEASE, services.now()).await {
        Ok(Some(lease)) => lease,
        Ok(None) => return tracing::info!(job = job.name, "another process runs this job"),
        Err(error) => return tracing::error!(job = job.name, error = chain(&error), "the job cannot be taken"),
    };
    let began = Instant::now();
    let mut held = lease.clone();
    let result = tokio::select! {
        done = tokio::time::timeout(job.timeout.to_std(), runner(job.task)) => match done {
            Ok(Ok(words)) => {
                tracing::info!(job = job.name, took = ?began.elapsed(), "{words}");
                "done"
            }
            Ok(Err(failure)) => {
                tracing::error!(job = job.name, hint = failure.hint, "{}", failure.message);
                "failed"
            }
            Err(_) => {
                tracing::error!(job = job.name, timeout = %job.timeout, "the job took too long and was stopped");
                "timed_out"
            }
        },
        () = hold(services, &mut held) => {
            tracing::error!(job = job.name, "another process took this job over; this run was stopped");
            "lost"
        }
    };
    if let Err(error) = services.journal.release(&lease).await {
        tracing::warn!(job = job.name, error = chain(&error), "the job was not given back; it can be taken in a minute");
    }
    services.meter.job(&job.name, result, began.elapsed(), services.now());
}

/// Holds a lease; ends only when it is lost.
async fn hold(services: &Services, lease: &mut Lease) {
    loop {
        tokio::time::sleep(HEARTBEAT).await;
        match services.journal.heartbeat(lease, LEASE, services.now()).await {
            Ok(true) => {}
            Ok(false) => return,
            // It may pass before the lease expires; then nothing was lost.
            Err(error) => tracing::warn!(job = lease.job, error = chain(&error), "the lease was not prolonged"),
        }
    }
}

/// Moves what waits into the ledger every few seconds.
async fn drain(services: Arc<Services>, mut stop: Stop) {
    loop {
        let stopping = stop.within(DRAIN).await;
        let began = Instant::now();
        match drain_once(&services).await {
            Ok(0) => {}
            Ok(rows) => {
                tracing::debug!(rows, "moved into the ledger");
                services.meter.job("drain", "done", began.elapsed(), services.now());
            }
            Err(problem) => {
                tracing::error!(problem = problem.detail, "what waits could not be moved into the ledger; it waits on");
                services.meter.job("drain", "failed", began.elapsed(), services.now());
            }
        }
        if stopping {
            return;
        }
    }
}

/// Moves accepted events, refused events, and the journal's news into the ledger. Gives the number of rows.
///
/// # Errors
/// When the ledger or the journal cannot be used; nothing that waits is lost.
pub async fn drain_once(services: &Services) -> Result<usize, Problem> {
    let now = services.now();
    let mut rows = services.rejects.store(&services.lake, now).await?;
    let journal = &services.journal;
    let mut waits = !journal.waiting(1).await?.is_empty();
    for kind in OutboxKind::ALL {
        waits = waits || journal.pending(kind, 1).await?.is_some();
    }
    if !waits {
        return Ok(rows);
    }
    // Two processes that drain at once would only be in each other's way.
    let Some(lease) = journal.lease("drain", journal.session(), LEASE, now).await? else { return Ok(rows) };
    let moved = move_all(services, now).await;
    journal.release(&lease).await?;
    rows += moved?;
    Ok(rows)
}

async fn move_all(services: &Services, now: Timestamp) -> Result<usize, Problem> {
    let ingest = Ingest { lake: &services.lake, redactor: &services.redactor, now, backfill: None, progress: &|_| {} };
    let summary = drain_inbox(ingest, &services.journal).await;
    if let Some(error) = summary.errors.first() {
        return Err(Problem::of(Kind::Unavailable, error));
    }
    let relayed = relay(&services.journal, &services.lake).await.map_err(|e| Problem::of(Kind::Unavailable, &e))?;
    Ok(summary.new_rows() + relayed)
}

/// Carries executions on: when one is due, when something was approved or planned, and every few seconds.
async fn act(services: Arc<Services>, mut stop: Stop) {
    let mut wait = Duration::ZERO;
    loop {
        tokio::select! {
            stopping = stop.within(wait) => if stopping { return },
            () = services.wake.notified() => {}
        }
        let began = Instant::now();
        let now = services.now();
        match act_once(&services, now).await {
            Ok(acted) => {
                for (id, why) in &acted.held {
                    tracing::info!(execution = %id, why, "held back");
                }
                wait = acted.next_at.map_or(LOOK, |at| at.since(now).to_std().min(LOOK));
            }
            Err(problem) => {
                tracing::error!(problem = problem.detail, "executions could not be carried on");
                services.meter.job("act", "failed", began.elapsed(), services.now());
                wait = LOOK;
            }
        }
    }
}

/// Does what can be done now, and assesses what ended.
///
/// # Errors
/// When the journal or the ledger cannot be used.
pub async fn act_once(services: &Services, now: Timestamp) -> Result<Acted, Problem> {
    let acting = services.acting();
    let acted = acting.carry_on(now).await.map_err(|e| Problem::of(Kind::Unavailable, &e))?;
    if !acted.executions.is_empty() {
        let ended: Vec<_> = acted.executions.iter().filter(|(_, state)| state.is_terminal()).collect();
        tracing::debug!(open = acted.executions.len(), ended = ended.len(), "carried on");
        if ended.iter().any(|(_, state)| *state != ExecutionState::Refused) {
            acting.assess(&summaries(services, now).await?, now).await.map_err(|e| Problem::of(Kind::Unavailable, &e))?;
        }
    }
    Ok(acted)
}

/// The texts of the incidents that executions are for.
async fn summaries(services: &Services, now: Timestamp) -> Result<BTreeMap<IncidentId, String>, Problem> {
    #[derive(Deserialize)]
    struct Summary {
        incident_id: IncidentId,
        summary: String,
    }
    let ids: BTreeSet<String> = services.journal.list(200).await?.iter().map(|r| text(r.plan.body.incident_id.as_str())).collect();
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let session = ledger::session(&services.lake, now).await?;
    let listed = ids.into_iter().collect::<Vec<_>>().join(", ");
    let found: Vec<Summary> = session.rows(&format!("SELECT incident_id, summary FROM incidents_current WHERE incident_id IN ({listed}) ORDER BY incident_id")).await?;
    Ok(found.into_iter().map(|s| (s.incident_id, s.summary)).collect())
}
