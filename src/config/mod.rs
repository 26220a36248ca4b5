//! The configuration: one versioned tree with working defaults. Unknown keys are refused with the nearest known one.
//!
//! Precedence: defaults, then the file, then `BELLWETHER__SECTION__KEY` in the environment (also `PROM_URL` and
//! `POSTGRES_DSN`), then flags. Relative paths are relative to the file. Secrets are never in it: a setting that needs
//! one names a file or an environment variable.

mod embeddings;
mod load;

use std::collections::BTreeMap;
use std::path::PathBuf;

use bellwether_detectors::drift::DriftRule;
use bellwether_governance::binding::Binding;
use bellwether_model::digest::Digest;
use bellwether_model::id::{PlaybookId, ServiceName};
use bellwether_model::time::Span;
use bellwether_pipelines::inventory::{EndpointSettings, PoolSettings};
use bellwether_pipelines::maintenance::Maintenance;
use bellwether_pipelines::notify::NotifySettings;
use bellwether_pipelines::prometheus::PrometheusSettings;
use bellwether_pipelines::runs::postgres::PostgresSettings;
use bellwether_pipelines::schedule::Job;
use serde::{Deserialize, Serialize};

pub use embeddings::EmbeddingsConfig;
pub use load::{load, read, setting};

/// The whole configuration.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Version of this tree: 1.
    pub version: u32,
    /// Where the ledger lies.
    pub lake: LakeConfig,
    /// Where the journal lies: approvals, executions, audit.
    pub journal: JournalConfig,
    /// The Prometheus to read, and what is asked of it; none when only files are ingested.
    pub prometheus: Option<PrometheusSettings>,
    /// Where run history comes from.
    pub runs: RunsConfig,
    /// Where lineage comes from, beside the API.
    pub lineage: LineageConfig,
    /// The cluster to read, and to act on where `act.mode` says so.
    pub kubernetes: Option<KubernetesConfig>,
    /// Endpoints that no cluster tells of.
    pub endpoints: Vec<EndpointSettings>,
    /// Pools that no cluster tells of, or what a cluster does not say of them, such as the price.
    pub pools: Vec<PoolSettings>,
    /// How rounds judge.
    pub judge: JudgeConfig,
    /// When which signals are kept and not told.
    pub maintenance: Vec<Maintenance>,
    /// Blueprints, checks, playbooks and what they are bound to.
    pub governance: GovernanceConfig,
    /// What may be done to the cluster.
    pub act: ActConfig,
    /// Whom to tell.
    pub notify: Option<NotifySettings>,
    /// The HTTP API.
    pub serve: ServeConfig,
    /// Jobs of `serve`, by cron expression.
    pub schedule: Vec<Job>,
    /// What is hidden before anything is stored.
    pub redaction: RedactionConfig,
    /// What turns texts into vectors, and where they are searched.
    pub embeddings: EmbeddingsConfig,
}

impl Config {
    /// Whether anything tells which endpoints and pools there are: a cluster, or the lists of this configuration.
    pub fn has_inventory(&self) -> bool {
        self.kubernetes.is_some() || !self.endpoints.is_empty() || !self.pools.is_empty()
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            version: 1,
            lake: LakeConfig::default(),
            journal: JournalConfig::default(),
            prometheus: None,
            runs: RunsConfig::default(),
            lineage: LineageConfig::default(),
            kubernetes: None,
            endpoints: Vec::new(),
            pools: Vec::new(),
            judge: JudgeConfig::default(),
            maintenance: Vec::new(),
            governance: GovernanceConfig::default(),
            act: ActConfig::default(),
            notify: None,
            serve: ServeConfig::default(),
            schedule: Vec::new(),
            redaction: RedactionConfig::default(),
            embeddings: EmbeddingsConfig::default(),
        }
    }
}

/// Where the ledger lies.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LakeConfig {
    /// A folder, or the URL of a bucket and folder: `s3://bucket/ledger`. Default `ledger`.
    pub url: String,
    /// Options of the object store, such as `aws_endpoint_url`. Credentials come from the environment.
    pub options: BTreeMap<String, String>,
}

impl Default for LakeConfig {
    fn default() -> Self {
        Self { url: "ledger".into(), options: BTreeMap::new() }
    }
}

/// Where the journal lies.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JournalConfig {
    /// A SQLite file. Default `journal.db`.
    pub path: PathBuf,
}

impl Default for JournalConfig {
    fn default() -> Self {
        Self { path: "journal.db".into() }
    }
}

/// Where run history comes from.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RunsConfig {
    /// A PostgreSQL table of past runs. `POSTGRES_DSN` in the environment alone is enough for the defaults.
    pub postgres: Option<PostgresSettings>,
    /// Files of past runs: JSONL, CSV or Parquet.
    pub files: Vec<PathBuf>,
}

/// The cluster.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KubernetesConfig {
    /// The kubeconfig; by default what kubectl would use, or the pod's service account.
    pub kubeconfig: Option<PathBuf>,
    /// Context in the kubeconfig; its current one by default.
    pub context: Option<String>,
}

/// Where lineage comes from, beside the API.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LineageConfig {
    /// Files of OpenLineage events, JSON or JSONL.
    pub files: Vec<PathBuf>,
}

/// How rounds judge.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JudgeConfig {
    /// How far back the first round judges. Later rounds judge what is new since the one before. Default 7d.
    pub first_round: Span,
    /// Signals of related things that are closer in time than this are one incident. Default 30m.
    pub incident_gap: Span,
    /// How columns of datasets are judged.
    pub drift: DriftRule,
    /// How many playbooks are recommended at most. Default 3.
    pub top: usize,
    /// Seed of everything random. Default 0.
    pub seed: i64,
}

impl Default for JudgeConfig {
    fn default() -> Self {
        Self { first_round: Span::from_days(7), incident_gap: Span::from_mins(30), drift: DriftRule::default(), top: 3, seed: 0 }
    }
}

/// Blueprints, checks, playbooks and what they are bound to.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GovernanceConfig {
    /// Folder of blueprints; `global/` in it holds rules for all services.
    pub blueprints: Option<PathBuf>,
    /// Folder of playbooks.
    pub playbooks: Option<PathBuf>,
    /// File that maps check names to PromQL for each serving runtime; the built-in map when absent.
    pub checks: Option<PathBuf>,
    /// Services: each binds a blueprint to an object of the cluster.
    pub services: BTreeMap<ServiceName, Binding>,
    /// SHA-256 of the playbooks that may run. Required on a real cluster.
    pub pins: BTreeMap<PlaybookId, Digest>,
}

/// What may be done to the cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActMode {
    /// Nothing: judge and plan only.
    #[default]
    Plan,
    /// Ask the API server whether it would accept the patches, and change nothing.
    DryRun,
    /// Change what governance admits.
    Execute,
}

/// What may be done to the cluster.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ActConfig {
    /// `plan` (default), `dry_run` or `execute`.
    pub mode: ActMode,
}

/// The HTTP API.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServeConfig {
    /// Address to listen on. Default 127.0.0.1:8000. Another host than this one needs TLS in front and `behind_tls: true`.
    pub listen: std::net::SocketAddr,
    /// Says that a proxy in front of this address speaks TLS. Without it only loopback addresses are served.
    pub behind_tls: bool,
    /// File of the local signing key, made by `bellwether token issue`. Default `token-key.pem`.
    pub key_file: PathBuf,
    /// Issuer of tokens of an identity provider, with `public_key_file`.
    pub issuer: Option<String>,
    /// Public key of the identity provider in PEM form: Ed25519, P-256 or RSA.
    pub public_key_file: Option<PathBuf>,
    /// Rows that one SQL query may return. Default 10,000.
    pub sql_rows: usize,
}

impl Default for ServeConfig {
    fn default() -> Self {
        Self {
            listen: std::net::SocketAddr::from(([127, 0, 0, 1], 8000)),
            behind_tls: false,
            key_file: "token-key.pem".into(),
            issuer: None,
            public_key_file: None,
            sql_rows: 10_000,
        }
    }
}

/// What is hidden before anything is stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RedactionConfig {
    /// Names of people and customers to hide in texts.
    pub names: Vec<String>,
    /// File of the key that pseudonyms are made with, made on first use. Default `redaction.key`. The same key keeps
    /// pseudonyms joinable.
    pub key_file: PathBuf,
}

impl Default for RedactionConfig {
    fn default() -> Self {
        Self { names: Vec::new(), key_file: "redaction.key".into() }
    }
}
