//! A round: one pass of judging over one pinned snapshot, and its rows in the ledger.
//!
//! A round reads one version of every table and concludes; its rows are appended; its row in `rounds` comes last and makes
//! the others count. The same versions, time, seed and configuration give the same conclusions: [`replay`] shows it.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error as _;

use bellwether_detectors::course::is_worth_saving;
use bellwether_detectors::detect::{Evaluation, Findings, reaches_back_to};
use bellwether_detectors::drift::{DriftRule, detect_drift};
use bellwether_detectors::rule::Rule;
use bellwether_embeddings::{IndexError, Past};
use bellwether_lake::tables::StoredVector;
use bellwether_lake::{Lake, LakeError, Lane, Snapshot, tables};
use bellwether_lineage::Graph;
use bellwether_model::digest::{CanonicalError, Digest};
use bellwether_model::execution::Execution;
use bellwether_model::id::{IncidentId, RoundId};
use bellwether_model::incident::Incident;
use bellwether_model::round::Round;
use bellwether_model::signal::{Signal, Subject};
use bellwether_model::state::DetectorState;
use bellwether_model::suppression::Suppression;
use bellwether_model::time::{Span, TimeRange, Timestamp};
use bellwether_sql::literal::{instant, text};
use bellwether_sql::windows::Which;
use bellwether_sql::{Session, SessionOptions, SqlError, WindowSpec};
use futures::StreamExt as _;
use serde::{Deserialize, Serialize};

use crate::courses;
use crate::experience;
use crate::history::histories;
use crate::judge::{self, Conclusions, Evidence, Standards, Thought};
use crate::maintenance::Maintenance;
use crate::sift::{self, Before, Sieve};
use crate::turns::Turns;
use crate::vectors::{self, Embedding, VectorError};

/// The lane in which rounds append.
const LANE: &str = "round";

/// By what a round judges.
pub struct RoundSpec<'a> {
    /// How metrics are judged.
    pub rules: &'a [Rule],
    /// How columns are judged.
    pub drift: &'a DriftRule,
    /// When which signals are kept and not told.
    pub maintenance: &'a [Maintenance],
    /// How the rest is judged.
    pub standards: &'a Standards<'a>,
    /// How far back the first round judges.
    pub first_round: Span,
    /// Seed of everything random.
    pub seed: i64,
    /// Digest of the configuration in force.
    pub config_digest: Digest,
}

/// What a round concluded, with its own row.
#[derive(Debug)]
pub struct Judged {
    /// The row of the table `rounds`.
    pub round: Round,
    /// The rows of the other tables.
    pub conclusions: Conclusions,
    /// What detectors know by now: nothing is concluded from it but where the next round goes on.
    pub states: Vec<DetectorState>,
    /// Vectors that the ledger did not have.
    pub vectors: Vec<StoredVector>,
}

/// A round could not be judged or recorded.
#[derive(Debug, thiserror::Error)]
pub enum RoundError {
    /// The ledger cannot be read or written.
    #[error("the ledger cannot be used")]
    Lake(#[from] LakeError),
    /// The ledger cannot be queried.
    #[error("the ledger cannot be read")]
    Sql(#[from] SqlError),
    /// Vectors of different embedders met.
    #[error("past runs cannot be compared")]
    Index(#[from] IndexError),
    /// There are no vectors to compare with.
    #[error("incidents cannot be compared with past runs")]
    Vectors(#[from] VectorError),
    /// A conclusion has no canonical form.
    #[error("a conclusion has no canonical form; this is a bug, please report it")]
    Canonical(#[from] CanonicalError),
    /// There is no such round.
    #[error("there is no round {0}")]
    Unknown(RoundId),
}

/// What is kept from round to round only because it is costly to make: leaving it out changes no conclusion.
#[derive(Default)]
pub struct Memory {
    past: Option<Past>,
    /// Where vectors are looked up, where not in the snapshot that is judged: a replay sees those that its round made.
    vectors: Option<Snapshot>,
}

impl Memory {
    /// The past runs that the last round saw, with their vectors.
    pub fn past(&self) -> Option<&Past> {
        self.past.as_ref()
    }

    /// Takes the past runs that are kept, where they are of this embedder.
    fn take(&mut self, embedding: &Embedding) -> Past {
        let kept = self.past.take().filter(|past| past.index().embedder_id() == embedding.id());
        kept.unwrap_or_else(|| Past::new(embedding.id(), embedding.dimensions()))
    }
}

/// The time up to which the last finished round judged, as this session sees it.
pub async fn last_judged(session: &Session) -> Result<Option<Timestamp>, SqlError> {
    #[derive(Deserialize)]
    struct Last {
        as_of: Option<Timestamp>,
    }
    Ok(session.rows::<Last>("SELECT max(as_of) AS as_of FROM rounds").await?.pop().and_then(|l| l.as_of))
}

/// Judges a snapshot as of an instant. Records nothing.
///
/// # Errors
/// The snapshot cannot be read.
pub async fn judge_round(
    spec: &RoundSpec<'_>,
    snapshot: &Snapshot,
    as_of: Timestamp,
    started_at: Timestamp,
    memory: &mut Memory,
) -> Result<Judged, RoundError> {
    let versions = snapshot.versions();
    let version_text = serde_json::to_string(&versions).unwrap_or_default();
    let round_id = RoundId::of(&[&version_text, &as_of.micros().to_string(), &spec.seed.to_string(), &spec.config_digest.to_string()]);
    let session = Session::open(snapshot, SessionOptions::as_of(as_of)).await?;
    let known = session.evidence().await?;
    let since = last_judged(&session).await?.unwrap_or(as_of - spec.first_round);
    let at = Evaluation { round_id: round_id.clone(), since, now: as_of };

    let (mut findings, states) = metrics(spec.rules, &session, &known.open_signals, &at).await?;
    let drift_back = bellwether_detectors::drift::detect::reaches_back_to(spec.drift, &known.open_signals, since);
    let drifted = with_closed_since(&session, &known.open_signals, drift_back).await?;
    let open_columns = drifted.iter().filter_map(|s| match &s.subject {
        Subject::Column { dataset, .. } => Some(dataset.clone()),
        Subject::Series { .. } => None,
    });
    let profiles = session.column_profiles(drift_back, since, &open_columns.collect()).await?;
    findings.extend(detect_drift(spec.drift, &drifted, &profiles, &at));
    let skipped = findings.skipped_by_reason();
    bellwether_lineage::tell_changes(&mut findings.signals, &known.changes, &known.inventory);
    let sieve = Sieve { rules: spec.rules, windows: spec.maintenance };
    let silenced = sift::holding(&session).await?;
    let past = match sieve.reaches_back_to(&silenced, &findings.signals) {
        Some(from) => sift::lives(&session, from).await?,
        None => BTreeMap::new(),
    };
    let before = Before { open: known.open_signals.clone(), silenced, past };
    let (series, samples) = (findings.series, findings.samples);
    let sifted = sieve.sift(before, findings.signals, &at);

    let graph = Graph::build(&known.run_io, &known.inventory.endpoints);
    let flickering = as_of - spec.standards.incident_gap;
    let recent_incidents: Vec<Incident> = session
        .rows(&format!(
            "SELECT * FROM incidents_current WHERE state = 'closed' AND closed_at >= {} ORDER BY opened_at, incident_id",
            instant(flickering)
        ))
        .await?;
    let incidents: Vec<Incident> = known.open_incidents.iter().cloned().chain(recent_incidents).collect();
    let members = signals_of(&session, &incidents, &known.open_signals).await?;
    let transitions: Vec<Execution> = session
        .rows(&format!(
            "SELECT * FROM executions WHERE recorded_at >= {} ORDER BY recorded_at, execution_id, sequence",
            instant(as_of - Span::from_days(1))
        ))
        .await?;
    let recommended = last_recommended(&session).await?;
    let embedding = spec.standards.embedding;
    let stored = Session::open(memory.vectors.as_ref().unwrap_or(snapshot), SessionOptions::at(started_at)).await?;
    let mut past = memory.take(embedding);
    let learned = experience::experience(&session, &known.runs, &known.outcomes).await?;
    let calibration = experience::calibration(&session, &known.outcomes).await?;
    let mut made = vectors::complete(&mut past, learned, &vectors::executed(&known.outcomes), embedding, &stored, started_at).await?;
    let histories = histories(spec.standards.governance, &transitions, as_of);
    let evidence = Evidence {
        graph: &graph,
        inventory: &known.inventory,
        changes: &known.changes,
        open_incidents: &incidents,
        open_signals: &members,
        index: past.index(),
        experience: past.runs(),
        calibration: &calibration,
        recommended: &recommended,
        config_digest: spec.config_digest,
        executions: &known.executions,
        outcomes: &known.outcomes,
        histories: &histories,
    };
    let incidents = judge::incidents(spec.standards, &evidence, &sifted.told, &round_id, as_of);
    let due = judge::due(&incidents, &sifted.told, &evidence);
    let (texts, asked) = vectors::recall(&due, embedding, &stored, started_at).await?;
    if let Some(why) = made.without.take().or(asked.without) {
        let why = why.source().map_or_else(|| why.to_string(), |source| format!("{why}: {source}"));
        tracing::warn!(why, "not all past runs are compared with the incidents of this round");
    }
    made.new.extend(asked.new);
    let conclusions = judge::judge(spec.standards, &evidence, &texts, sifted, incidents, &round_id, as_of)?;
    let round = Round {
        round_id,
        as_of,
        versions,
        seed: spec.seed,
        config_digest: spec.config_digest,
        result_digest: conclusions.digest()?,
        series: count(series),
        samples: count(samples),
        signals: count(conclusions.signals.len() as u64),
        incidents: count(conclusions.incidents.len() as u64),
        recommendations: count(conclusions.recommendations.len() as u64),
        skipped,
        started_at,
        recorded_at: started_at,
    };
    memory.past = Some(past);
    Ok(Judged { round, conclusions, states, vectors: made.new })
}

fn count(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// Judges the metrics, window by window. Also gives the states to save.
///
/// Where a metric has ready-made detectors alone, a series with a saved state is read from there on, and others for their whole lookback.
async fn metrics(
    rules: &[Rule],
    session: &Session,
    open: &[Signal],
    at: &Evaluation,
) -> Result<(Findings, Vec<DetectorState>), RoundError> {
    let mut findings = Findings::default();
    if rules.is_empty() {
        return Ok((findings, Vec::new()));
    }
    let mut courses = courses::saved(session, rules, open, at).await?;
    let along: Vec<Rule> = rules.iter().filter(|r| rules.iter().all(|o| o.metric != r.metric || is_worth_saving(o))).cloned().collect();
    let plain: Vec<Rule> = rules.iter().filter(|r| !along.contains(r)).cloned().collect();
    let mut passes = vec![(plain.as_slice(), Which::All, reaches_back_to(&plain, open, at.since))];
    match courses::continued(&courses, &along) {
        None => passes.push((&along, Which::All, reaches_back_to(&along, open, at.since))),
        Some((series, from)) => {
            passes.push((&along, Which::Only(series.clone()), from));
            passes.push((&along, Which::Except(series), reaches_back_to(&along, open, at.since)));
        }
    }
    let mut turns = Turns::new(rules, with_closed_since(session, open, reaches_back_to(rules, open, at.since)).await?, at);
    for (rules, series, back) in passes.into_iter().filter(|(rules, ..)| !rules.is_empty()) {
        let metrics: BTreeSet<String> = rules.iter().map(|r| r.metric.clone()).collect();
        let range = TimeRange::new(back, Timestamp::from_micros(at.now.micros().saturating_add(1)));
        let spec = WindowSpec { metrics: Some(metrics.into_iter().collect()), series, range };
        let mut windows = std::pin::pin!(bellwether_sql::windows::windows(session, &spec).await?);
        while let Some(window) = windows.next().await {
            findings.extend(turns.judge(&window?, &mut courses));
        }
    }
    findings.extend(turns.end());
    findings.signals.sort_by(|a, b| (a.last_at, &a.signal_id, a.opened_at).cmp(&(b.last_at, &b.signal_id, b.opened_at)));
    Ok((findings, courses::rows(courses, rules, at)?))
}

/// The open signals and those that closed since.
async fn with_closed_since(session: &Session, open: &[Signal], back: Timestamp) -> Result<Vec<Signal>, SqlError> {
    let sql =
        format!("SELECT * FROM signals_current WHERE state = 'closed' AND closed_at >= {} ORDER BY opened_at, signal_id", instant(back));
    let closed: Vec<Signal> = session.rows(&sql).await?;
    Ok(open.iter().cloned().chain(closed).collect())
}

/// The newest rows of the signals of these incidents, beside those that are open.
async fn signals_of(session: &Session, incidents: &[Incident], open: &[Signal]) -> Result<Vec<Signal>, SqlError> {
    let mut ids: Vec<&str> = incidents
        .iter()
        .flat_map(|i| &i.signals)
        .map(|s| s.as_str())
        .filter(|id| !open.iter().any(|s| s.signal_id.as_str() == *id))
        .collect();
    ids.sort_unstable();
    ids.dedup();
    let mut all = open.to_vec();
    if !ids.is_empty() {
        let list: Vec<String> = ids.iter().map(|id| text(id)).collect();
        all.extend(
            session
                .rows::<Signal>(&format!("SELECT * FROM signals_current WHERE signal_id IN ({}) ORDER BY signal_id", list.join(",")))
                .await?,
        );
    }
    Ok(all)
}

/// When open incidents were last recommended for.
async fn last_recommended(session: &Session) -> Result<BTreeMap<IncidentId, Thought>, SqlError> {
    #[derive(Deserialize)]
    struct Last {
        incident_id: IncidentId,
        #[serde(flatten)]
        thought: Thought,
    }
    let sql = "SELECT r.incident_id, r.recorded_at AS at, d.config_digest FROM recommendations r JOIN incidents_current i USING (incident_id) \
               JOIN rounds d ON d.round_id = r.round_id WHERE i.state <> 'closed' ORDER BY r.recorded_at, r.recommendation_id";
    Ok(session.rows::<Last>(sql).await?.into_iter().map(|last| (last.incident_id, last.thought)).collect())
}

impl Conclusions {
    /// SHA-256 over the canonical JSON of all rows.
    pub fn digest(&self) -> Result<Digest, CanonicalError> {
        #[derive(Serialize)]
        struct All<'a> {
            signals: &'a [Signal],
            // Absent where there are none, so that rounds of before there was such a table still replay.
            #[serde(skip_serializing_if = "<[_]>::is_empty")]
            suppressions: &'a [Suppression],
            incidents: &'a [Incident],
            matches: &'a [bellwether_model::recommendation::Match],
            recommendations: &'a [bellwether_model::recommendation::Recommendation],
            plans: &'a [bellwether_model::plan::Plan],
            decisions: &'a [bellwether_model::decision::Decision],
        }
        Digest::of(&All {
            signals: &self.signals,
            suppressions: &self.suppressions,
            incidents: &self.incidents,
            matches: &self.matches,
            recommendations: &self.recommendations,
            plans: &self.plans,
            decisions: &self.decisions,
        })
    }
}

/// Appends a round's rows, and last the round itself.
///
/// *Guarantees:* a round of which not all was appended is not seen by any view. *Errors:* the ledger cannot be written; then
/// judging again later loses nothing.
pub async fn record(lake: &Lake, judged: &Judged) -> Result<(), RoundError> {
    let wanted = judged.round.as_of.micros();
    // A round that crashed half-way has used its sequence: go past it.
    let mut sequence = wanted;
    for table in [
        &tables::DETECTOR_STATES,
        &tables::SIGNALS,
        &tables::SUPPRESSIONS,
        &tables::INCIDENTS,
        &tables::MATCHES,
        &tables::RECOMMENDATIONS,
        &tables::PLANS,
        &tables::DECISIONS,
        &tables::ROUNDS,
    ] {
        if let Some(stored) = lake.sequence(table, LANE).await? {
            sequence = sequence.max(stored + 1);
        }
    }
    let lane = [Lane::new(LANE, sequence)];
    let c = &judged.conclusions;
    lake.append_rows(&tables::DETECTOR_STATES, &judged.states, &lane).await?;
    lake.append_vectors(&judged.vectors, &[]).await?;
    lake.append_rows(&tables::SIGNALS, &c.signals, &lane).await?;
    lake.append_rows(&tables::SUPPRESSIONS, &c.suppressions, &lane).await?;
    lake.append_rows(&tables::INCIDENTS, &c.incidents, &lane).await?;
    lake.append_rows(&tables::MATCHES, &c.matches, &lane).await?;
    lake.append_rows(&tables::RECOMMENDATIONS, &c.recommendations, &lane).await?;
    lake.append_rows(&tables::PLANS, &c.plans, &lane).await?;
    lake.append_rows(&tables::DECISIONS, &c.decisions, &lane).await?;
    lake.append_rows(&tables::ROUNDS, std::slice::from_ref(&judged.round), &lane).await?;
    Ok(())
}

/// Judges again what a round judged.
///
/// # Errors
/// There is no such round, or the versions it read are gone.
pub async fn replay(spec: &RoundSpec<'_>, lake: &Lake, id: &RoundId, now: Timestamp) -> Result<(Round, Judged), RoundError> {
    let newest = lake.snapshot().await?;
    let session = Session::open(&newest, SessionOptions::at(now)).await?;
    let found: Vec<Round> = session.rows(&format!("SELECT * FROM rounds WHERE round_id = {}", text(id.as_str()))).await?;
    let original = found.into_iter().next().ok_or_else(|| RoundError::Unknown(id.clone()))?;
    let snapshot = lake.snapshot_at(&original.versions).await?;
    let spec = RoundSpec { seed: original.seed, config_digest: original.config_digest, ..*spec };
    let judged = judge_round(&spec, &snapshot, original.as_of, now, &mut Memory { vectors: Some(newest), ..Memory::default() }).await?;
    Ok((original, judged))
}

#[cfg(test)]
mod tests;
