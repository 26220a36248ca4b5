//! One turn of the three loops: ingest, judge, act. What `round`, `demo` and the scheduler of `serve` have in common.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use bellwether_detectors::rule::Rule;
use bellwether_embeddings::qdrant::Point;
use bellwether_embeddings::{Past, Redactor};
use bellwether_executor::journal::record::Record;
use bellwether_executor::{Cluster, Journal};
use bellwether_governance::binding::Governance;
use bellwether_lake::Lake;
use bellwether_lake::tables::StoredVector;
use bellwether_model::digest::Digest;
use bellwether_model::id::{IncidentId, PlanId, RoundId, RunId, ServiceName};
use bellwether_model::incident::Incident;
use bellwether_model::outcome::Outcome;
use bellwether_model::round::Round;
use bellwether_model::time::{Span, Timestamp};
use bellwether_pipelines::act::{Acted, Acting, Reach};
use bellwether_pipelines::ingest::{Ingest, Progress, Sources, Summary, drain_inbox, ingest};
use bellwether_pipelines::judge::Standards;
use bellwether_pipelines::relay::relay;
use bellwether_pipelines::round::{Judged, Memory, RoundError, RoundSpec, judge_round, record, replay};
use bellwether_pipelines::rules::MetricRule;
use bellwether_pipelines::vectors::Embedding;
use bellwether_sql::{Session, SessionOptions};

use crate::config::{ActMode, Config};
use crate::failure::{Failure, Kind, chain};
use crate::open;

/// Everything that a turn needs, opened once.
pub struct Cycle {
    /// The configuration in force.
    pub config: Config,
    /// The ledger.
    pub lake: Lake,
    /// The journal.
    pub journal: Journal,
    /// Blueprints, playbooks, checks.
    pub governance: Governance,
    /// How metrics are judged.
    pub rules: Vec<Rule>,
    /// What to pull from.
    pub sources: Sources,
    redactor: Arc<Redactor>,
    /// Opened when first needed.
    embedding: OnceLock<Embedding>,
    memory: Memory,
    config_digest: Digest,
}

impl Cycle {
    /// Opens everything that the configuration names.
    ///
    /// # Errors
    /// The first thing that cannot be opened, with what would be right.
    pub async fn open(config: Config) -> Result<Self, Failure> {
        let metrics = open::rules(&config)?;
        let rules = open::detection(&metrics)?;
        let governance = open::governance(&config)?;
        let sources = open::sources(&config, metrics).await?;
        let playbooks: Vec<&Digest> = governance.playbooks().map(|p| &p.playbook.digest).collect();
        let blueprints: Vec<(&ServiceName, &Digest)> = governance.services().map(|s| (&s.name, &s.digest)).collect();
        let config_digest = Digest::of(&(&config, playbooks, blueprints)).map_err(|e| Failure::of(Kind::Internal, &e))?;
        Ok(Self {
            lake: open::lake(&config).await?,
            journal: open::journal(&config).await?,
            redactor: Arc::new(open::redactor(&config)?),
            embedding: OnceLock::new(),
            memory: Memory::default(),
            config,
            governance,
            rules,
            sources,
            config_digest,
        })
    }

    /// Digest of the configuration in force.
    pub fn config_digest(&self) -> Digest {
        self.config_digest
    }

    /// What is asked of Prometheus, and how it is judged.
    pub fn metric_rules(&self) -> &[MetricRule] {
        self.sources.prometheus.as_ref().map_or(&[], |metrics| &metrics.rules)
    }

    fn cluster(&self) -> &Cluster {
        &self.sources.cluster
    }

    /// Brings in what is new in every source, and what waits in the inbox.
    pub async fn ingest(&self, now: Timestamp, backfill: Option<Span>, progress: &(dyn Fn(Progress) + Sync)) -> Summary {
        let call = Ingest { lake: &self.lake, redactor: &self.redactor, now, backfill, progress };
        let mut summary = ingest(call, &self.sources).await;
        summary.sources.push(drain_inbox(call, &self.journal).await);
        summary
    }

    /// Judges the ledger as of an instant, and records the conclusions when asked to.
    ///
    /// # Errors
    /// The ledger cannot be read or written.
    pub async fn judge(&mut self, as_of: Timestamp, now: Timestamp, keep: bool) -> Result<Judged, Failure> {
        let snapshot = self.lake.snapshot().await.map_err(|e| open::lake_failure(&e))?;
        let embedding = self.embedding()?.clone();
        let standards = standards(&self.config, &self.governance, &embedding);
        let spec = round_spec(&self.config, &self.rules, &standards, self.config_digest);
        let judged = judge_round(&spec, &snapshot, as_of, now, &mut self.memory).await.map_err(|e| round_failure(&e))?;
        if keep {
            record(&self.lake, &judged).await.map_err(|e| round_failure(&e))?;
            self.mirror(&judged, &embedding).await?;
            for recommendation in &judged.conclusions.recommendations {
                let detail = serde_json::json!({
                    "incident_id": recommendation.incident_id,
                    "candidates": recommendation.candidates.iter().map(|c| &c.playbook_id).collect::<Vec<_>>(),
                    "abstained": recommendation.abstained,
                });
                let actor = bellwether_model::id::Actor::new("bellwether");
                self.journal
                    .record(&actor, "recommend", recommendation.recommendation_id.as_str(), detail, now)
                    .await
                    .map_err(|e| open::upstream(&e))?;
            }
        }
        Ok(judged)
    }

    fn embedding(&self) -> Result<&Embedding, Failure> {
        match self.embedding.get() {
            Some(embedding) => Ok(embedding),
            None => open::vectors::embedding(&self.config).map(|opened| self.embedding.get_or_init(|| opened)),
        }
    }

    /// Sends the vectors that a round made to Qdrant, where one is configured. What does not arrive is sent by the next
    /// `embeddings sync`; until then the API answers from memory.
    async fn mirror(&self, judged: &Judged, embedding: &Embedding) -> Result<(), Failure> {
        let (Some(qdrant), Some(past)) = (open::vectors::qdrant(&self.config, embedding)?, self.memory.past()) else { return Ok(()) };
        let points: Vec<Point> = judged.vectors.iter().filter_map(|stored| point(stored, past)).collect();
        if points.is_empty() {
            return Ok(());
        }
        let sending = async {
            qdrant.prepare().await?;
            qdrant.put(points).await
        };
        if let Err(error) = sending.await {
            tracing::warn!(why = chain(&error), "new vectors did not reach Qdrant; `bellwether embeddings sync` sends them");
        }
        Ok(())
    }

    /// Judges again what a round judged.
    ///
    /// # Errors
    /// There is no such round, or what it read is gone.
    pub async fn replay(&self, id: &RoundId, now: Timestamp) -> Result<(Round, Judged), Failure> {
        let standards = standards(&self.config, &self.governance, self.embedding()?);
        let spec = round_spec(&self.config, &self.rules, &standards, self.config_digest);
        replay(&spec, &self.lake, id, now).await.map_err(|e| round_failure(&e))
    }

    /// What acting needs.
    pub fn acting(&self) -> Acting<'_> {
        Acting {
            journal: &self.journal,
            cluster: self.cluster(),
            prometheus: self.sources.prometheus.as_ref().map(|m| &m.client),
            governance: &self.governance,
            reach: match self.config.act.mode {
                ActMode::Plan => Reach::Suggest,
                ActMode::DryRun => Reach::DryRun,
                ActMode::Execute => Reach::Execute,
            },
        }
    }

    /// Writes the plans of a round down.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub async fn suggest(&self, judged: &Judged, now: Timestamp) -> Result<(), Failure> {
        let c = &judged.conclusions;
        self.acting().suggest(&c.plans, &c.decisions, now).await.map(|_| ()).map_err(|e| Failure::of(Kind::Upstream, &e))
    }

    /// Carries on everything that is open, assesses what ended, and relays the journal to the ledger.
    ///
    /// # Errors
    /// The journal cannot be used, or the ledger cannot be written.
    pub async fn act(&self, now: Timestamp) -> Result<(Acted, Vec<Outcome>), Failure> {
        self.act_on(None, now).await
    }

    /// As [`Cycle::act`], for this plan only where one is given.
    ///
    /// # Errors
    /// As [`Cycle::act`].
    pub async fn act_on(&self, plan: Option<&PlanId>, now: Timestamp) -> Result<(Acted, Vec<Outcome>), Failure> {
        let acting = self.acting();
        let wanted = |record: &Record| plan.is_none_or(|id| record.plan.plan_id == *id);
        let acted = acting.carry_on_those(wanted, now).await.map_err(|e| Failure::of(Kind::Upstream, &e))?;
        let outcomes = if acted.executions.is_empty() {
            Vec::new()
        } else {
            let summaries = self.summaries(now).await?;
            acting.assess(&summaries, now).await.map_err(|e| Failure::of(Kind::Upstream, &e))?
        };
        relay(&self.journal, &self.lake, now).await.map_err(|e| Failure::of(Kind::Upstream, &e))?;
        Ok((acted, outcomes))
    }

    /// The texts of all incidents.
    async fn summaries(&self, now: Timestamp) -> Result<BTreeMap<IncidentId, String>, Failure> {
        let snapshot = self.lake.snapshot().await.map_err(|e| open::lake_failure(&e))?;
        let session = Session::open(&snapshot, SessionOptions::at(now)).await.map_err(|e| open::upstream(&e))?;
        let incidents: Vec<Incident> = session.rows("SELECT * FROM incidents_current").await.map_err(|e| open::upstream(&e))?;
        Ok(incidents.into_iter().map(|i| (i.incident_id, i.summary)).collect())
    }
}

/// A run's vector as Qdrant keeps it; none of what is no run.
fn point(stored: &StoredVector, past: &Past) -> Option<Point> {
    let run_id = RunId::new(&stored.subject_id);
    let ran_at = past.runs().get(&run_id)?.ran_at;
    Some(Point { run_id, ran_at, text_digest: stored.text_digest.clone(), vector: stored.vector.clone() })
}

fn standards<'a>(config: &Config, governance: &'a Governance, embedding: &'a Embedding) -> Standards<'a> {
    Standards { governance, embedding, top: config.judge.top, incident_gap: config.judge.incident_gap }
}

fn round_spec<'a>(config: &'a Config, rules: &'a [Rule], standards: &'a Standards<'a>, config_digest: Digest) -> RoundSpec<'a> {
    let judge = &config.judge;
    RoundSpec {
        rules,
        drift: &judge.drift,
        maintenance: &config.maintenance,
        standards,
        first_round: judge.first_round,
        seed: judge.seed,
        config_digest,
    }
}

/// A round's error in words.
fn round_failure(error: &RoundError) -> Failure {
    match error {
        RoundError::Lake(e) => open::lake_failure(e),
        RoundError::Unknown(_) => {
            Failure::of(Kind::User, error).hint("list rounds with `bellwether sql \"SELECT round_id, as_of FROM rounds ORDER BY as_of\"`")
        }
        RoundError::Vectors(e) => open::vectors::vector_failure(e),
        RoundError::Sql(_) | RoundError::Index(_) | RoundError::Canonical(_) => Failure::of(Kind::Internal, error),
    }
}
