//! What `serve` does by itself: jobs by the clock, the inbox into the ledger, executions carried on, and past runs remembered.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bellwether_model::execution::ExecutionState;
use bellwether_model::id::IncidentId;
use bellwether_model::time::Timestamp;
use bellwether_pipelines::act::Acted;
use bellwether_pipelines::ingest::{Ingest, drain_inbox};
use bellwether_pipelines::relay::relay;
use bellwether_pipelines::schedule::{Job, Task, runner};
use bellwether_sql::literal::text;
use futures::future::BoxFuture;
use serde::Deserialize;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::Services;
use super::ledger;
use super::problem::{Kind, Problem};
use crate::failure::Failure;

/// How a task of the schedule is done for a due time.
pub type Runner = Arc<dyn Fn(Task, Timestamp) -> BoxFuture<'static, Result<(), Failure>> + Send + Sync>;

/// How often the inbox and the outbox are emptied.
const DRAIN: Duration = Duration::from_secs(3);
/// How often executions are looked at when nothing says sooner.
const LOOK: Duration = Duration::from_secs(5);

/// Says when to stop.
#[derive(Clone, Debug)]
pub struct Stop(pub watch::Receiver<bool>);

impl Stop {
    /// Waits for it, at most so long; true when it came.
    async fn within(&mut self, time: Duration) -> bool {
        tokio::time::timeout(time, self.0.wait_for(|stop| *stop)).await.is_ok()
    }

    /// Waits for it.
    async fn came(&mut self) {
        // An error means that nobody can say it any more, which is as good.
        let _ = self.0.wait_for(|stop| *stop).await;
    }
}

/// Runs everything until told to stop; then what is under way ends first.
pub async fn run(services: Arc<Services>, jobs: Vec<Job>, runner: Runner, stop: Stop) {
    let mut loops = JoinSet::new();
    loops.spawn(scheduled(services.clone(), jobs, runner, stop.clone()));
    loops.spawn(drain(services.clone(), stop.clone()));
    loops.spawn(remember(services.clone(), stop.clone()));
    loops.spawn(act(services, stop));
    while loops.join_next().await.is_some() {}
}

/// Runs the jobs of the schedule when they are due, each counted.
async fn scheduled(services: Arc<Services>, jobs: Vec<Job>, runner: Runner, mut stop: Stop) {
    let (running, mut under_way) = watch::channel(0usize);
    let (stopping, clock) = (stop.0.clone(), services.clock);
    let work = |task: Task, due: Timestamp| {
        let (runner, running, stopping, services) = (runner.clone(), &running, stopping.clone(), &services);
        async move {
            if *stopping.borrow() {
                return Err("this process is stopping".to_owned());
            }
            running.send_modify(|n| *n += 1);
            let mut run = Run { running, services, task, began: Instant::now(), result: "stopped" };
            let ended = runner(task, due).await;
            run.result = if ended.is_ok() { "done" } else { "failed" };
            ended.map_err(|failure| failure.to_string())
        }
    };
    tokio::select! {
        () = runner::run(&jobs, &services.journal, services.journal.session(), clock, work) => stop.came().await,
        () = async {
            stop.came().await;
            let _ = under_way.wait_for(|n| *n == 0).await;
        } => {}
    }
}

/// A run that is under way; counted when it is dropped, however it ended.
struct Run<'a> {
    running: &'a watch::Sender<usize>,
    services: &'a Services,
    task: Task,
    began: Instant,
    result: &'static str,
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        let took = self.began.elapsed();
        tracing::info!(job = self.task.name(), result = self.result, seconds = took.as_secs_f64(), "job ended");
        self.services.meter.job(self.task.name(), self.result, took, self.services.now());
        self.services.news.notify_one();
        self.running.send_modify(|n| *n -= 1);
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
                services.news.notify_one();
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

/// Keeps past runs at hand for recommendations: at the start, and when a job or the inbox brought news. The first question would wait for
/// seconds where there are many. Without playbooks nothing is ever recommended, and nothing is kept.
async fn remember(services: Arc<Services>, mut stop: Stop) {
    while services.governance.playbooks().next().is_some() {
        let (began, asked) = (Instant::now(), services.clone());
        // It computes for long, and the API's threads must stay free.
        let thread = tokio::task::spawn_blocking(move || {
            tokio::runtime::Handle::current().block_on(async {
                let snapshot = asked.lake.snapshot().await?;
                asked.remembered.keep_up(&snapshot, asked.now()).await
            })
        });
        let learned = thread.await.unwrap_or_else(|e| Err(Problem::new(Kind::Internal, format!("remembering stopped unexpectedly: {e}"))));
        if let Err(problem) = &learned {
            tracing::warn!(problem = problem.detail, "past runs could not be brought to mind; whoever asks next waits for them");
        }
        services.meter.job("remember", if learned.is_ok() { "done" } else { "failed" }, began.elapsed(), services.now());
        tokio::select! {
            () = stop.came() => return,
            () = services.news.notified() => {}
        }
    }
}

/// Moves accepted events, refused events, and the journal's news into the ledger. Gives the number of rows.
///
/// # Errors
/// When the ledger or the journal cannot be used; nothing that waits is lost.
pub async fn drain_once(services: &Services) -> Result<usize, Problem> {
    let now = services.now();
    let refused = services.rejects.store(&services.lake, now).await?;
    let ingest = Ingest { lake: &services.lake, redactor: &services.redactor, now, backfill: None, progress: &|_| {} };
    let summary = drain_inbox(ingest, &services.journal).await;
    if let Some(error) = summary.errors.first() {
        return Err(Problem::of(Kind::Unavailable, error));
    }
    let relayed = relay(&services.journal, &services.lake, now).await.map_err(|e| Problem::of(Kind::Unavailable, &e))?;
    Ok(refused + summary.new_rows() + relayed)
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
    let found: Vec<Summary> = session
        .rows(&format!("SELECT incident_id, summary FROM incidents_current WHERE incident_id IN ({listed}) ORDER BY incident_id"))
        .await?;
    Ok(found.into_iter().map(|s| (s.incident_id, s.summary)).collect())
}
