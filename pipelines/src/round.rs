//! A round: one pass of judging over one pinned snapshot, and its rows in the ledger.
//!
//! A round reads one version of every table and concludes; its rows are appended; its row in `rounds` comes last and makes
//! the others count. The same versions, time, seed and configuration give the same conclusions: [`replay`] shows it.

use std::collections::BTreeMap;

use bellwether_detectors::detect::{Evaluation, Findings, reaches_back_to};
use bellwether_detectors::drift::{DriftRule, detect_drift};
use bellwether_detectors::rule::Rule;
use bellwether_embeddings::{Experience, Index, IndexError};
use bellwether_lake::{Lake, LakeError, Lane, Snapshot, tables};
use bellwether_lineage::Graph;
use bellwether_model::digest::{CanonicalError, Digest};
use bellwether_model::execution::Execution;
use bellwether_model::id::{IncidentId, RoundId, RunId};
use bellwether_model::incident::Incident;
use bellwether_model::round::Round;
use bellwether_model::signal::{Signal, Subject};
use bellwether_model::suppression::Suppression;
use bellwether_model::time::{Span, TimeRange, Timestamp};
use bellwether_sql::literal::{instant, text};
use bellwether_sql::{Session, SessionOptions, SqlError, WindowSpec};
use futures::StreamExt as _;
use serde::{Deserialize, Serialize};

use crate::history::histories;
use crate::judge::{Conclusions, Evidence, Standards, judge};
use crate::maintenance::Maintenance;
use crate::sift::{self, Before, Sieve};
use crate::turns::Turns;

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
    experience: Option<(Vec<Experience>, Index, BTreeMap<RunId, Experience>)>,
}

impl Memory {
    fn experience(
        &mut self,
        standards: &Standards<'_>,
        found: Vec<Experience>,
    ) -> Result<(&Index, &BTreeMap<RunId, Experience>), IndexError> {
        let slot = match self.experience.take() {
            Some(kept) if kept.0 == found && kept.1.embedder_id() == standards.embedder.id() => kept,
            _ => {
                let (index, by_run) = Experience::index(standards.embedder, found.clone())?;
                (found, index, by_run)
            }
        };
        let kept = self.experience.insert(slot);
        Ok((&kept.1, &kept.2))
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

    let mut findings = metrics(spec.rules, &session, &known.open_signals, &at).await?;
    let drift_back = bellwether_detectors::drift::detect::reaches_back_to(spec.drift, &known.open_signals, since);
    let drifted = with_closed_since(&session, &known.open_signals, drift_back).await?;
    let open_columns = drifted.iter().filter_map(|s| match &s.subject {
        Subject::Column { dataset, .. } => Some(dataset.clone()),
        Subject::Series { .. } => None,
    });
    let profiles = session.column_profiles(drift_back, since, &open_columns.collect()).await?;
    findings.extend(detect_drift(spec.drift, &drifted, &profiles, &at));
    let skipped = findings.skipped_by_reason();
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
    let past = known.runs.iter().filter_map(Experience::of_run).chain(known.outcomes.iter().map(Experience::of_outcome)).collect();
    let (index, experience) = memory.experience(spec.standards, past)?;
    let histories = histories(spec.standards.governance, &transitions, as_of);
    let evidence = Evidence {
        graph: &graph,
        inventory: &known.inventory,
        changes: &known.changes,
        open_incidents: &incidents,
        open_signals: &members,
        index,
        experience,
        recommended: &recommended,
        executions: &known.executions,
        outcomes: &known.outcomes,
        histories: &histories,
    };
    let conclusions = judge(spec.standards, &evidence, sifted, &round_id, as_of)?;
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
    Ok(Judged { round, conclusions })
}

fn count(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// Judges the metrics, window by window.
async fn metrics(rules: &[Rule], session: &Session, open: &[Signal], at: &Evaluation) -> Result<Findings, RoundError> {
    let mut findings = Findings::default();
    if rules.is_empty() {
        return Ok(findings);
    }
    let back = reaches_back_to(rules, open, at.since);
    let known = with_closed_since(session, open, back).await?;
    let mut names: Vec<String> = rules.iter().map(|r| r.metric.clone()).collect();
    names.sort();
    names.dedup();
    let range = TimeRange::new(back, Timestamp::from_micros(at.now.micros().saturating_add(1)));
    let mut windows = std::pin::pin!(bellwether_sql::windows::windows(session, &WindowSpec { metrics: Some(names), range }).await?);
    let mut turns = Turns::new(rules, known, at);
    while let Some(window) = windows.next().await {
        findings.extend(turns.judge(&window?));
    }
    findings.extend(turns.end());
    findings.signals.sort_by(|a, b| (a.last_at, &a.signal_id, a.opened_at).cmp(&(b.last_at, &b.signal_id, b.opened_at)));
    Ok(findings)
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
async fn last_recommended(session: &Session) -> Result<BTreeMap<IncidentId, Timestamp>, SqlError> {
    #[derive(Deserialize)]
    struct Last {
        incident_id: IncidentId,
        at: Timestamp,
    }
    let sql = "SELECT r.incident_id, max(r.recorded_at) AS at FROM recommendations r JOIN incidents_current i USING (incident_id) \
               WHERE i.state <> 'closed' GROUP BY r.incident_id";
    Ok(session.rows::<Last>(sql).await?.into_iter().map(|last| (last.incident_id, last.at)).collect())
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
    let session = Session::open(&lake.snapshot().await?, SessionOptions::at(now)).await?;
    let found: Vec<Round> = session.rows(&format!("SELECT * FROM rounds WHERE round_id = {}", text(id.as_str()))).await?;
    let original = found.into_iter().next().ok_or_else(|| RoundError::Unknown(id.clone()))?;
    let snapshot = lake.snapshot_at(&original.versions).await?;
    let spec = RoundSpec { seed: original.seed, config_digest: original.config_digest, ..*spec };
    let judged = judge_round(&spec, &snapshot, original.as_of, now, &mut Memory::default()).await?;
    Ok((original, judged))
}
