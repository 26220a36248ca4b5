//! Ingest: every configured source is pulled, redacted, compared with what is stored, and appended. The only way into the ledger.
//!
//! # Guarantees
//! Repeating an ingest adds nothing. A source that fails does not stop the others. What was appended before a failure stays, and the next
//! ingest carries on after it, because cursors are derived from stored rows.

mod fleet;
mod history;
mod lineage;
mod metrics;

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use bellwether_embeddings::Redactor;
use bellwether_executor::drivers::{Cluster, DriverError};
use bellwether_executor::journal::StoreError;
use bellwether_lake::tables::{REJECTS, TableDef};
use bellwether_lake::{Appended, Lake, LakeError, Lane};
use bellwether_model::reject::Reject;
use bellwether_model::time::{Span, Timestamp};
use bellwether_sql::SqlError;
use serde::Serialize;

use crate::file::FileError;
use crate::inventory::{EndpointSettings, PoolSettings};
use crate::prometheus::{Prometheus, PrometheusSettings};
use crate::pull::RuleFailure;
use crate::rules::MetricRule;
use crate::runs::postgres::{PostgresError, PostgresSettings};
use crate::stored::Stored;

pub use lineage::drain_inbox;

/// Everything there is to pull from. What is not configured is left empty.
#[derive(Debug)]
pub struct Sources {
    /// A Prometheus, and what is asked of it.
    pub prometheus: Option<Metrics>,
    /// A PostgreSQL table of past runs.
    pub postgres: Option<PostgresSettings>,
    /// Files of past runs.
    pub run_files: Vec<PathBuf>,
    /// Files of OpenLineage events.
    pub lineage_files: Vec<PathBuf>,
    /// Declared endpoints.
    pub endpoints: Vec<EndpointSettings>,
    /// Declared pools.
    pub pools: Vec<PoolSettings>,
    /// A cluster whose inventory is read.
    pub cluster: Cluster,
}

impl Default for Sources {
    fn default() -> Self {
        Self {
            prometheus: None,
            postgres: None,
            run_files: vec![],
            lineage_files: vec![],
            endpoints: vec![],
            pools: vec![],
            cluster: Cluster::None,
        }
    }
}

/// A Prometheus, and what is asked of it.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// The client.
    pub client: Prometheus,
    /// How far back to ask, and how much at a time.
    pub settings: PrometheusSettings,
    /// What to ask.
    pub rules: Vec<MetricRule>,
}

/// What every ingest needs.
#[derive(Clone, Copy)]
pub struct Ingest<'a> {
    /// Where rows go.
    pub lake: &'a Lake,
    /// What texts pass through on the way.
    pub redactor: &'a Arc<Redactor>,
    /// The present. Nothing later is asked for.
    pub now: Timestamp,
    /// Ask for the whole of this span again, whatever is stored; without it, carry on where the ledger ends.
    pub backfill: Option<Span>,
    /// Told of progress, for people who wait.
    pub progress: &'a (dyn Fn(Progress) + Sync),
}

/// How far a source is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The source.
    pub source: &'static str,
    /// Parts done.
    pub done: u64,
    /// Parts in all, as far as is known.
    pub total: u64,
}

/// What came of one source.
#[derive(Debug, Default)]
pub struct SourceSummary {
    /// The source: `prometheus`, `postgres`, `run files`, `lineage files`, `inventory`, `costs`, `inbox`.
    pub source: &'static str,
    /// New rows by table.
    pub rows: BTreeMap<&'static str, usize>,
    /// What was offered and not taken: samples and rows.
    pub rejected: u64,
    /// How often a series was there and had no value (NaN): nothing was lost.
    pub no_value: u64,
    /// What the source warned of.
    pub warnings: Vec<String>,
    /// What went wrong. The rows above are stored all the same.
    pub errors: Vec<SourceError>,
}

impl SourceSummary {
    fn of(source: &'static str) -> Self {
        Self { source, ..Self::default() }
    }
    /// New rows in all tables.
    pub fn new_rows(&self) -> usize {
        self.rows.values().sum()
    }
}

/// What came of an ingest.
#[derive(Debug, Default)]
pub struct Summary {
    /// One for each source that is configured.
    pub sources: Vec<SourceSummary>,
}

impl Summary {
    /// New rows in all tables.
    pub fn new_rows(&self) -> usize {
        self.sources.iter().map(SourceSummary::new_rows).sum()
    }
    /// Whether every source answered.
    pub fn is_whole(&self) -> bool {
        self.sources.iter().all(|s| s.errors.is_empty())
    }
}

/// What went wrong with a source.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// Prometheus did not answer a rule.
    #[error(transparent)]
    Rule(#[from] RuleFailure),
    /// PostgreSQL gave no rows.
    #[error(transparent)]
    Postgres(#[from] PostgresError),
    /// A file of runs gave no rows.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file of lineage events cannot be read.
    #[error("{} cannot be read", path.display())]
    Events {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The cluster's inventory cannot be read.
    #[error("the cluster's inventory cannot be read")]
    Cluster(#[source] DriverError),
    /// The ledger cannot be read.
    #[error(transparent)]
    Read(#[from] SqlError),
    /// The ledger cannot be written.
    #[error(transparent)]
    Write(#[from] LakeError),
    /// The journal cannot be used.
    #[error(transparent)]
    Journal(#[from] StoreError),
    /// Two ingests ran at once.
    #[error("another ingest of {source_name} ran at the same time; run it again, it carries on where the ledger ends")]
    Overtaken {
        /// The source.
        source_name: String,
    },
    /// Reading a file stopped: a bug of this program, please report it.
    #[error("reading {} stopped unexpectedly; please report this", path.display())]
    Stopped {
        /// The file.
        path: PathBuf,
        /// Why.
        source: tokio::task::JoinError,
    },
}

/// Pulls every configured source, one after the other; costs come last, because they are made of what the others brought.
pub async fn ingest(ingest: Ingest<'_>, sources: &Sources) -> Summary {
    let mut summary = Summary::default();
    if let Some(metrics) = &sources.prometheus {
        summary.sources.push(metrics::ingest(ingest, metrics).await);
    }
    if let Some(settings) = &sources.postgres {
        summary.sources.push(history::postgres(ingest, settings).await);
    }
    if !sources.run_files.is_empty() {
        summary.sources.push(history::files(ingest, &sources.run_files).await);
    }
    if !sources.lineage_files.is_empty() {
        summary.sources.push(lineage::files(ingest, &sources.lineage_files).await);
    }
    let has_fleet = !sources.endpoints.is_empty() || !sources.pools.is_empty() || matches!(sources.cluster, Cluster::Kubernetes(_));
    if has_fleet {
        summary.sources.push(fleet::inventory(ingest, sources).await);
        summary.sources.push(fleet::costs(ingest, sources.prometheus.as_ref().map(|m| m.settings.late_tail)).await);
    }
    summary
}

impl Ingest<'_> {
    async fn stored(&self) -> Result<Stored, SourceError> {
        Ok(Stored::open(self.lake, self.now).await?)
    }

    /// Appends rows that are new, as the next batch of this source.
    async fn append<T: Serialize>(
        &self,
        table: &'static TableDef,
        source: &str,
        rows: &[T],
        summary: &mut SourceSummary,
    ) -> Result<(), SourceError> {
        if rows.is_empty() {
            return Ok(());
        }
        let lane = self.next_lane(table, source).await?;
        self.note(table, source, self.lake.append_rows(table, rows, &[lane]).await?, summary)
    }

    async fn next_lane(&self, table: &'static TableDef, source: &str) -> Result<Lane, SourceError> {
        Ok(Lane::new(source, self.lake.sequence(table, source).await?.unwrap_or(0) + 1))
    }

    fn note(&self, table: &'static TableDef, source: &str, appended: Appended, summary: &mut SourceSummary) -> Result<(), SourceError> {
        match appended {
            // Its sequence was free a moment ago.
            Appended::AlreadyThere => Err(SourceError::Overtaken { source_name: source.to_owned() }),
            Appended::Added { .. } | Appended::Empty => {
                *summary.rows.entry(table.name).or_default() += appended.rows();
                Ok(())
            }
        }
    }

    /// Appends the rejects that are not known.
    async fn append_rejects(
        &self,
        known: &mut HashSet<String>,
        source: &str,
        mut rejects: Vec<Reject>,
        summary: &mut SourceSummary,
    ) -> Result<(), SourceError> {
        rejects.retain(|r| known.insert(r.reject_id.clone()));
        self.append(&REJECTS, source, &rejects, summary).await
    }
}

#[cfg(test)]
mod tests;
