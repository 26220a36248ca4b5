//! `bellwether serve`: the HTTP API, and the jobs of the schedule.
//!
//! Modules in reading order: [`routes`] (what there is, and who may), [`access`] (the guard), [`edge`] (what every request passes through),
//! [`body`] (reading requests), [`problem`] (saying what is wrong), [`ledger`] (asking the ledger), [`wire`] (its rows); one file for each
//! path; [`listen`] (connections), [`jobs`] (what happens by itself), [`openapi`] (the description).

pub mod access;
pub mod analyze;
pub mod approve;
pub mod body;
pub mod drift;
pub mod edge;
pub mod executions;
pub mod experience;
pub mod health;
pub mod incidents;
pub mod jobs;
pub mod ledger;
pub mod lineage;
pub mod listen;
pub mod meter;
pub mod metrics;
pub mod openapi;
pub mod orchestrate;
pub mod problem;
pub mod recommend;
pub mod routes;
pub mod signals;
pub mod sql;
pub mod wire;
pub mod workers;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bellwether_detectors::drift::DriftRule;
use bellwether_embeddings::Redactor;
use bellwether_executor::{Cluster, Journal};
use bellwether_governance::binding::Governance;
use bellwether_lake::Lake;
use bellwether_model::time::Timestamp;
use bellwether_pipelines::act::Reach;
use bellwether_pipelines::prometheus::Prometheus;
use bellwether_pipelines::rules::MetricRule;
use bellwether_pipelines::schedule::Job;
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};

use crate::auth::Verifier;
use crate::clock::now;
use crate::config::{ActMode, Config};
use crate::failure::{Failure, Kind};
use crate::open;

use jobs::{Runner, Stop};
use listen::Bounds;

/// How long jobs that are under way may take to end after shutdown began.
const GRACE: Duration = Duration::from_secs(25);

/// What the API is made of: what is opened once, and what is remembered between requests.
pub struct Services {
    /// The ledger.
    pub lake: Arc<Lake>,
    /// The journal.
    pub journal: Journal,
    /// Blueprints, playbooks, checks.
    pub governance: Governance,
    /// How metrics are asked for and judged.
    pub rules: Vec<MetricRule>,
    /// How columns of datasets are judged.
    pub drift: DriftRule,
    /// The Prometheus, where one is configured.
    pub prometheus: Option<Prometheus>,
    /// What is acted on.
    pub cluster: Cluster,
    /// How far acting goes.
    pub reach: Reach,
    /// What hides personal data and secrets.
    pub redactor: Arc<Redactor>,
    /// What tokens are checked with.
    pub verifier: Arc<Verifier>,
    /// The clock.
    pub clock: fn() -> Timestamp,
    /// What is set.
    pub settings: Settings,
    /// Threads for queries.
    pub workers: workers::Workers,
    /// What the process counts of itself.
    pub meter: Arc<meter::Meter>,
    /// Past runs by text.
    pub remembered: experience::Remembered,
    /// The ledger's numbers.
    pub counted: metrics::Counted,
    /// The latest word on readiness.
    pub ready: health::Ready,
    /// Refused events that have yet to be stored.
    pub rejects: lineage::Rejects,
    /// Rung when there is something to carry on.
    pub wake: Notify,
    /// Rung when the ledger may have news.
    pub news: Notify,
}

/// What is set for the API.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Rows that one SQL query may return.
    pub sql_rows: usize,
    /// Whether only this host can ask: then metrics need no token.
    pub only_here: bool,
}

impl Services {
    /// Opens everything that the configuration names.
    ///
    /// # Errors
    /// What cannot be opened, with what would be right.
    pub async fn open(config: &Config, listen: SocketAddr) -> Result<Self, Failure> {
        let embedding = open::vectors::embedding(config)?;
        let qdrant = open::vectors::qdrant(config, &embedding)?;
        Ok(Self {
            lake: Arc::new(open::lake(config).await?),
            journal: open::journal(config).await?,
            governance: open::governance(config)?,
            rules: open::rules(config)?,
            drift: config.judge.drift.clone(),
            prometheus: config.prometheus.is_some().then(|| open::prometheus(config)).transpose()?,
            cluster: open::cluster(config).await?,
            reach: match config.act.mode {
                ActMode::Plan => Reach::Suggest,
                ActMode::DryRun => Reach::DryRun,
                ActMode::Execute => Reach::Execute,
            },
            redactor: Arc::new(open::redactor(config)?),
            verifier: Arc::new(open::verifier(config)?),
            clock: now,
            settings: Settings { sql_rows: config.serve.sql_rows, only_here: listen.ip().is_loopback() && !config.serve.behind_tls },
            workers: workers::Workers::start().map_err(|e| Failure::new(Kind::Upstream, format!("cannot start threads: {e}")))?,
            meter: Arc::default(),
            remembered: experience::Remembered::new(embedding, qdrant),
            counted: metrics::Counted::default(),
            ready: health::Ready::default(),
            rejects: lineage::Rejects::default(),
            wake: Notify::new(),
            news: Notify::new(),
        })
    }

    /// The time now.
    pub fn now(&self) -> Timestamp {
        (self.clock)()
    }
}

/// Serves the API at this address and runs the jobs, until the process is told to stop. Requests and jobs that are
/// under way end first.
///
/// # Errors
/// The address may not be served or is taken, or something that the configuration names cannot be opened.
pub async fn serve(config: &Config, address: SocketAddr, runner: Runner) -> Result<(), Failure> {
    permit(address, config.serve.behind_tls)?;
    let services = Arc::new(Services::open(config, address).await?);
    let listener = TcpListener::bind(address).await.map_err(|e| {
        Failure::new(Kind::User, format!("cannot listen on {address}: {e}"))
            .hint("another process may serve there; choose another address with --listen")
    })?;
    let bound = listener.local_addr().unwrap_or(address);
    eprintln!("serving on http://{bound} (describes itself at /openapi.json); stop with ctrl-c");
    run(services, config.schedule.clone(), runner, listener, told_to_stop()).await;
    Ok(())
}

/// Serves on an open listener until `shutdown` ends.
pub async fn run(services: Arc<Services>, schedule: Vec<Job>, runner: Runner, listener: TcpListener, shutdown: impl Future<Output = ()>) {
    let (stop, stopped) = watch::channel(false);
    let working = tokio::spawn(jobs::run(services.clone(), schedule, runner, Stop(stopped)));
    listen::listen(listener, routes::router(services.clone()), Bounds::default(), shutdown).await;
    let _ = stop.send(true);
    let stop_working = working.abort_handle();
    match tokio::time::timeout(GRACE, working).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!(%error, "the jobs ended unexpectedly; this is a bug, please report it"),
        Err(_) => {
            // What it appended stays, and the next run carries on after it.
            tracing::warn!("a job is still running and is stopped");
            stop_working.abort();
        }
    }
    services.journal.close().await;
}

/// Refuses addresses that other hosts reach, unless TLS is in front of them.
fn permit(address: SocketAddr, behind_tls: bool) -> Result<(), Failure> {
    if address.ip().is_loopback() || behind_tls {
        return Ok(());
    }
    Err(Failure::config(format!("{address} can be reached from other hosts, and tokens would cross the network in clear"))
        .hint("put a proxy that speaks TLS in front and set `serve.behind_tls: true`, or listen on 127.0.0.1"))
}

/// Waits for ctrl-c or SIGTERM.
async fn told_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    let interrupted = tokio::signal::ctrl_c();
    match signal(SignalKind::terminate()) {
        Ok(mut terminated) => {
            tokio::select! {
                _ = interrupted => {}
                _ = terminated.recv() => {}
            }
        }
        Err(_) => {
            let _ = interrupted.await;
        }
    }
    eprintln!("stopping: what is under way ends first");
}
