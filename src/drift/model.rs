//! How the data that feeds a model stands: the newest profile of every column of the datasets upstream of it, judged as the newest round
//! judges.

use std::collections::{BTreeMap, BTreeSet};

use bellwether_detectors::drift::DriftRule;
use bellwether_detectors::drift::detect::reaches_back_to;
use bellwether_detectors::drift::detect::standing::{Judged, Standing, standings};
use bellwether_detectors::drift::measure::Measure;
use bellwether_governance::yaml::nearest;
use bellwether_lineage::{Graph, Vertex};
use bellwether_model::dataset::{ColumnProfile, DatasetId};
use bellwether_model::digest::{CanonicalError, Digest};
use bellwether_model::id::{EndpointId, RoundId, SignalId};
use bellwether_model::inventory::Endpoint;
use bellwether_model::signal::{Severity, Signal, Subject};
use bellwether_model::time::Timestamp;
use bellwether_model::verdict::Verdict;
use bellwether_sql::literal::{instant, text};
use bellwether_sql::{Session, SqlError};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use utoipa::ToSchema;

/// Bins that are named as evidence.
const MOVED: usize = 3;
/// Names that are listed where one would be right.
const NAMED: usize = 8;

/// How the data that feeds a model stands.
#[derive(Debug, Serialize, ToSchema)]
pub struct ModelDrift {
    /// What was meant: `endpoint:ml/iris`, or `dataset:s3://models:iris/3` for a model by its address.
    model: String,
    /// `fail` when a column has drifted, otherwise `pass` when one could be judged; `inconclusive` or `no_data` when none could.
    #[schema(value_type = String)]
    pub(crate) verdict: Verdict,
    /// Why nothing can be said; null where something can.
    pub(crate) why: Option<String>,
    /// As of when.
    #[schema(value_type = String)]
    as_of: Timestamp,
    /// The newest round; null before the first.
    pub(crate) last_evaluation: Option<Evaluated>,
    /// How columns are judged: `judge.drift` of the configuration, with its defaults.
    #[schema(value_type = Object)]
    pub(crate) thresholds: DriftRule,
    /// The datasets that the model is made of, by name, whether they were profiled or not.
    pub(crate) datasets: Vec<String>,
    /// Their columns: what drifted first, then by dataset and name.
    pub(crate) columns: Vec<ColumnDrift>,
    /// The drift of these columns that rounds have found and that has not ended, the oldest first.
    pub(crate) signals: Vec<OpenDrift>,
}

/// A round.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Evaluated {
    /// Its id.
    #[schema(value_type = String)]
    pub(crate) round_id: RoundId,
    /// Up to when it judged.
    #[schema(value_type = String)]
    pub(crate) as_of: Timestamp,
}

/// A column.
#[derive(Debug, Serialize, ToSchema)]
pub struct ColumnDrift {
    /// Its dataset.
    pub(crate) dataset: String,
    /// Its name.
    pub(crate) column: String,
    /// `pass`, `fail`, `no_data` or `inconclusive`.
    #[schema(value_type = String)]
    pub(crate) verdict: Verdict,
    /// Why it was not judged; null where it was.
    pub(crate) why: Option<String>,
    /// What was measured.
    pub(crate) tests: Vec<Tested>,
    /// The smallest p-value, corrected for all columns that were profiled together; null without a test.
    pub(crate) p_corrected: Option<f64>,
    /// The largest effect as a multiple of its line; null without a test.
    score: Option<f64>,
    /// The profiles that it is compared with; null without any.
    pub(crate) reference: Option<Profiles>,
    /// Its newest profile.
    pub(crate) current: Profiles,
    /// The bins whose share of the values moved most, the largest move first.
    pub(crate) evidence: Vec<Moved>,
    /// What else is odd, in words.
    pub(crate) findings: Vec<String>,
}

/// One statistic.
#[derive(Debug, Serialize, ToSchema)]
pub struct Tested {
    /// `psi` or `kolmogorov_smirnov`.
    #[schema(value_type = String)]
    pub(crate) method: Measure,
    /// How large the change is.
    pub(crate) value: f64,
    /// From where it matters: the rule's, or more where more is usual for the column.
    pub(crate) threshold: f64,
    /// The probability of such a change without drift.
    p_value: f64,
}

/// Profiles of a column.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
pub struct Profiles {
    /// Time of the first.
    #[schema(value_type = String)]
    from: Timestamp,
    /// Time of the last.
    #[schema(value_type = String)]
    pub(crate) until: Timestamp,
    /// How many.
    profiles: usize,
    /// Values in all of them, nulls not counted.
    pub(crate) values: i64,
    /// Nulls.
    nulls: i64,
    /// The value below which half of them lie.
    median: Option<f64>,
    /// The id of the event that brought the profile; of several profiles the SHA-256 of the list of these ids.
    profile_id: String,
}

/// A stretch of values.
#[derive(Debug, Serialize, ToSchema)]
pub struct Moved {
    /// Values above this.
    pub(crate) from: f64,
    /// Up to this.
    pub(crate) to: f64,
    /// Share of the reference's values, 0 to 1.
    pub(crate) before: f64,
    /// Share of the current values, 0 to 1.
    pub(crate) now: f64,
}

/// Drift that has not ended.
#[derive(Debug, Serialize, ToSchema)]
pub struct OpenDrift {
    /// Its signal.
    #[schema(value_type = String)]
    pub(crate) signal_id: SignalId,
    /// The column, as `dataset#column`.
    pub(crate) column: String,
    /// Since when.
    #[schema(value_type = String)]
    pub(crate) opened_at: Timestamp,
    /// `info`, `warning` or `critical`.
    #[schema(value_type = String)]
    severity: Severity,
    /// 1.0 is the decision line.
    score: f64,
    /// In words.
    hint: String,
    /// Every live endpoint that the dataset reaches.
    pub(crate) endpoints: Vec<String>,
}

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum ModelError {
    /// Nothing has this name.
    #[error("there is no model or endpoint {name:?}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// What would be right.
        hint: String,
    },
    /// The name is that of several.
    #[error("{name:?} names several: {}", .all.join(", "))]
    Several {
        /// What was asked for.
        name: String,
        /// What it may mean.
        all: Vec<String>,
    },
    /// The ledger cannot be read.
    #[error("the ledger cannot be read")]
    Sql(#[from] SqlError),
    /// A list of event ids has no digest.
    #[error("a list of profiles has no digest; this is a bug, please report it")]
    Digest(#[from] CanonicalError),
}

/// How the data that feeds a model stands, as this session sees it. `name` is an endpoint (`ml/iris`, or `iris` where there is only one) or
/// the address of a model as lineage names it.
///
/// # Errors
/// Nothing has this name, or several have, or the ledger cannot be read.
pub async fn drift(session: &Session, rule: &DriftRule, name: &str) -> Result<ModelDrift, ModelError> {
    let now = session.horizon();
    let known = session.evidence().await?;
    let graph = Graph::build(&known.run_io, &known.inventory.endpoints);
    let model = meant(&graph, &known.inventory.endpoints, name)?;
    let upstream = graph.upstream(&model, usize::MAX, now).into_iter().map(|hop| hop.vertex);
    let datasets: BTreeSet<DatasetId> = std::iter::once(model.clone())
        .chain(upstream)
        .filter_map(|vertex| match vertex {
            Vertex::Dataset(id) => Some(id),
            Vertex::Job(_) | Vertex::Endpoint(_) => None,
        })
        .collect();
    let is_of = |signal: &Signal| matches!(&signal.subject, Subject::Column { dataset, .. } if datasets.contains(dataset));
    let open: Vec<Signal> = known.open_signals.into_iter().filter(|s| s.rule == rule.name && is_of(s)).collect();
    let (signals, profiles) = past(session, rule, &datasets, &open).await?;
    let mut columns = Vec::new();
    for standing in standings(rule, &signals, &profiles, now) {
        columns.push(column(&standing, rule, now)?);
    }
    columns.sort_by_key(|c| c.verdict != Verdict::Fail);
    let verdict = whole(&columns);
    let affected = |dataset: &DatasetId| graph.impact(dataset, now).iter().map(ToString::to_string).collect();
    Ok(ModelDrift {
        why: matches!(verdict, Verdict::NoData | Verdict::Inconclusive).then(|| why(&model, &datasets, &columns)),
        model: model.to_string(),
        verdict,
        as_of: now,
        last_evaluation: session.rows("SELECT round_id, as_of FROM rounds ORDER BY as_of DESC, round_id LIMIT 1").await?.pop(),
        thresholds: rule.clone(),
        datasets: datasets.iter().map(ToString::to_string).collect(),
        columns,
        signals: open.iter().filter_map(|signal| open_drift(signal, affected)).collect(),
    })
}

/// The endpoint or model that a name means.
fn meant(graph: &Graph, endpoints: &[Endpoint], name: &str) -> Result<Vertex, ModelError> {
    let several = |all: Vec<String>| ModelError::Several { name: name.to_owned(), all };
    let ids: BTreeSet<&EndpointId> = endpoints.iter().map(|e| &e.endpoint).collect();
    let named: Vec<&EndpointId> = ids.iter().copied().filter(|id| id.to_string() == name || id.name == name).collect();
    match named.as_slice() {
        [one] => return Ok(Vertex::Endpoint((*one).clone())),
        [] => {}
        many => return Err(several(many.iter().map(ToString::to_string).collect())),
    }
    let exact = graph.find(name);
    let mut found = if exact.is_empty() { graph.ending(name) } else { exact };
    found.retain(|vertex| !matches!(vertex, Vertex::Job(_)));
    match found.as_slice() {
        [one] => Ok((*one).clone()),
        [] => {
            let known: Vec<String> = ids.iter().map(ToString::to_string).collect();
            let short = |whole: &str| whole.split_once('/').map_or(whole.to_owned(), |(_, name)| name.to_owned());
            let near = nearest(name, known.iter().map(String::as_str)).map(str::to_owned);
            let near = near.or_else(|| known.iter().find(|whole| nearest(name, [short(whole).as_str()]).is_some()).cloned());
            let hint = match near {
                Some(near) => format!("did you mean {near}?"),
                None if known.is_empty() => "no endpoint is known yet: the source `kubernetes` brings them in".to_owned(),
                None => format!("known endpoints: {}", known.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ")),
            };
            Err(ModelError::Unknown { name: name.to_owned(), hint })
        }
        many => Err(several(many.iter().take(NAMED).map(ToString::to_string).collect())),
    }
}

/// The signals and profiles of these datasets that their newest profiles are judged by.
async fn past(
    session: &Session,
    rule: &DriftRule,
    datasets: &BTreeSet<DatasetId>,
    open: &[Signal],
) -> Result<(Vec<Signal>, Vec<ColumnProfile>), SqlError> {
    #[derive(Deserialize)]
    struct Newest {
        dataset_namespace: String,
        dataset_name: String,
        at: Timestamp,
    }
    let sql = "SELECT dataset_namespace, dataset_name, max(event_time) AS at FROM column_profiles_current \
               GROUP BY dataset_namespace, dataset_name, \"column\"";
    let newest = session.rows::<Newest>(sql).await?.into_iter();
    let oldest = newest.filter(|n| datasets.contains(&DatasetId::new(&n.dataset_namespace, &n.dataset_name))).map(|n| n.at).min();
    let Some(oldest) = oldest else { return Ok((Vec::new(), Vec::new())) };
    let from = reaches_back_to(rule, open, oldest);
    let closed: Vec<Signal> = session
        .rows(&format!(
            "SELECT * FROM signals_current WHERE rule = {} AND state = 'closed' AND closed_at >= {} ORDER BY opened_at, signal_id",
            text(rule.name.as_str()),
            instant(from)
        ))
        .await?;
    // What ended since may have been open then, and its reference lies before it.
    let from = reaches_back_to(rule, open, closed.iter().map(|s| s.opened_at).fold(oldest, Timestamp::min));
    let profiles = session.column_profiles(from, session.horizon(), datasets).await?;
    Ok((open.iter().cloned().chain(closed).collect(), profiles))
}

fn column(standing: &Standing<'_>, rule: &DriftRule, now: Timestamp) -> Result<ColumnDrift, CanonicalError> {
    let judged = standing.judged.as_ref();
    let mut row = ColumnDrift {
        dataset: standing.profile.dataset().to_string(),
        column: standing.profile.column.clone(),
        verdict: Verdict::NoData,
        why: None,
        tests: Vec::new(),
        p_corrected: None,
        score: None,
        reference: profiles(&standing.reference, judged.ok().and_then(|j| j.median_before))?,
        current: of_profiles(standing.profile, &[standing.profile], judged.ok().and_then(|j| j.median_now))?,
        evidence: Vec::new(),
        findings: Vec::new(),
    };
    match judged {
        Ok(judged) => judge(&mut row, judged),
        Err(reason) => {
            row.verdict = if standing.reference.is_empty() { Verdict::Inconclusive } else { Verdict::NoData };
            row.why = Some(format!("its newest profile was not judged: {}", reason.to_string().replace('_', " ")));
        }
    }
    if now.since(standing.profile.event_time) >= rule.gap {
        row.verdict = Verdict::NoData;
        row.why = Some(format!("no profile since {}: how it is now is not known", standing.profile.event_time));
    }
    Ok(row)
}

fn judge(row: &mut ColumnDrift, judged: &Judged) {
    let tests = judged.examination.tests();
    row.tests = tests.map(|t| Tested { method: t.measure, value: t.effect, threshold: t.line, p_value: t.p_value }).collect();
    row.verdict = judged.decision.verdict;
    (row.p_corrected, row.score) = match row.tests.is_empty() {
        true => (None, None),
        false => (Some(judged.decision.adjusted_p), Some(judged.decision.score)),
    };
    let mut moved: Vec<Moved> =
        judged.bars.iter().map(|b| Moved { from: b.from, to: b.to, before: b.before, now: b.now }).filter(|m| m.now != m.before).collect();
    moved.sort_by(|a, b| (b.now - b.before).abs().total_cmp(&(a.now - a.before).abs()));
    moved.truncate(MOVED);
    row.evidence = moved;
    row.findings = judged.examination.notes.iter().map(ToString::to_string).collect();
}

fn profiles(of: &[&ColumnProfile], median: Option<f64>) -> Result<Option<Profiles>, CanonicalError> {
    of.first().map(|first| of_profiles(first, of, median)).transpose()
}

/// What several profiles of a column are together; `first` is the earliest of them.
fn of_profiles(first: &ColumnProfile, all: &[&ColumnProfile], median: Option<f64>) -> Result<Profiles, CanonicalError> {
    let ids: Vec<&str> = all.iter().map(|p| p.event_id.as_str()).collect();
    let sum = |of: fn(&ColumnProfile) -> i64| all.iter().map(|p| of(p)).fold(0, i64::saturating_add);
    Ok(Profiles {
        from: first.event_time,
        until: all.last().map_or(first.event_time, |p| p.event_time),
        profiles: all.len(),
        values: sum(|p| p.count),
        nulls: sum(|p| p.null_count),
        median,
        profile_id: match ids.as_slice() {
            [one] => (*one).to_owned(),
            many => Digest::of(&many)?.to_string(),
        },
    })
}

fn whole(columns: &[ColumnDrift]) -> Verdict {
    let some = |verdict| columns.iter().any(|c| c.verdict == verdict);
    [Verdict::Fail, Verdict::Pass, Verdict::Inconclusive].into_iter().find(|v| some(*v)).unwrap_or(Verdict::NoData)
}

/// Why nothing can be said.
fn why(model: &Vertex, datasets: &BTreeSet<DatasetId>, columns: &[ColumnDrift]) -> String {
    if datasets.is_empty() {
        return format!("no lineage leads to {model}: a run whose output is its model says what feeds it");
    }
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    columns.iter().filter_map(|c| c.why.as_deref()).for_each(|why| *reasons.entry(why).or_default() += 1);
    match reasons.into_iter().max_by_key(|(_, n)| *n) {
        Some((most, n)) => format!("of {n} of {} columns: {most}", columns.len()),
        None if columns.is_empty() => {
            let names: Vec<String> = datasets.iter().take(NAMED).map(ToString::to_string).collect();
            format!("nothing was profiled yet: no event with dataQualityMetrics of {}", names.join(", "))
        }
        None => "no column has values to compare".to_owned(),
    }
}

fn open_drift(signal: &Signal, affected: impl Fn(&DatasetId) -> Vec<String>) -> Option<OpenDrift> {
    let Subject::Column { dataset, .. } = &signal.subject else { return None };
    Some(OpenDrift {
        signal_id: signal.signal_id.clone(),
        column: signal.subject.to_string(),
        opened_at: signal.opened_at,
        severity: signal.severity,
        score: signal.score,
        hint: signal.hint.clone(),
        endpoints: affected(dataset),
    })
}
