//! From the ledger to the report: the rows of a span of time, and the series of each incident with their bands.

use std::collections::BTreeMap;

use bellwether_detectors::bands::bands;
use bellwether_detectors::rule::Rule;
use bellwether_executor::Journal;
use bellwether_executor::journal::audit::AuditError;
use bellwether_lineage::{Graph, is_headline, vertex::Vertex};
use bellwether_model::cost::Cost;
use bellwether_model::execution::Execution;
use bellwether_model::id::{IncidentId, SeriesId};
use bellwether_model::incident::Incident;
use bellwether_model::inventory::{Change, Entity};
use bellwether_model::series::{SeriesSlice, Window};
use bellwether_model::signal::{Signal, Subject};
use bellwether_model::time::{Span, TimeRange, Timestamp};
use bellwether_sql::literal::{instant, text};
use bellwether_sql::{Evidence, Session, SqlError, WindowSpec};
use serde::Deserialize;

use super::assemble::{Rows, cards};
use super::chart::{Band, Chart, Point};
use super::data::{AuditStanding, Fleet, IncidentCard, NextCommand, ReportData, cost_lines};
use crate::program::Program;

/// Series drawn for one incident.
const CHARTS: usize = 2;
/// Incidents that get charts.
const DRAWN: usize = 40;
/// How much is drawn before an incident opened and after it closed.
const BEFORE: Span = Span::from_hours(20);
const AFTER: Span = Span::from_hours(4);

/// What the report is about.
pub(crate) struct Scope {
    /// Its title.
    pub title: String,
    /// Which time it tells of.
    pub range: TimeRange,
    /// When it is made.
    pub now: Timestamp,
    /// Whether the configuration names a cluster, endpoints or pools.
    pub has_inventory: bool,
    /// What to type next.
    pub next_commands: Vec<NextCommand>,
    /// What commands in it begin with.
    pub program: Program,
}

/// Gathers the report. The audit chain is verified on the way where a journal is given.
pub(crate) async fn gather(session: &Session, journal: Option<&Journal>, rules: &[Rule], scope: Scope) -> Result<ReportData, SqlError> {
    let start = instant(scope.range.start);
    let known = session.evidence().await?;
    let mut rows = rows(session, &known, scope.range).await?;
    rows.charts = charts(session, rules, &rows, scope.range).await?;
    let end = instant(scope.range.end);
    let costs: Vec<Cost> = session
        .rows(&format!(
            "SELECT * FROM costs_current WHERE period_start >= {start} AND period_end <= {end} ORDER BY period_start, pool, endpoint"
        ))
        .await?;
    Ok(ReportData {
        title: scope.title,
        generated_at: scope.now,
        as_of: scope.range.end,
        range: scope.range,
        fleet: fleet(session, &known.inventory, rules, scope.range, scope.has_inventory).await?,
        incidents: cards(&rows),
        costs: cost_lines(&costs),
        audit: audit(journal).await,
        skipped: skipped(session).await?,
        rejects: count(session, "SELECT count(*) AS n FROM rejects").await?,
        against_labels: None,
        next_commands: scope.next_commands,
        program: scope.program,
    })
}

/// The incidents of a stretch of time with all that is known of them, ranked, without drawings.
pub(crate) async fn gather_cards(session: &Session, range: TimeRange) -> Result<Vec<IncidentCard>, SqlError> {
    let known = session.evidence().await?;
    Ok(cards(&rows(session, &known, range).await?))
}

/// The rows that the cards of a stretch of time are made of, without drawings.
async fn rows(session: &Session, known: &Evidence, range: TimeRange) -> Result<Rows, SqlError> {
    let (start, end) = (instant(range.start), instant(range.end));
    let incidents: Vec<Incident> = session
        .rows(&format!("SELECT * FROM incidents_current WHERE (closed_at IS NULL OR closed_at >= {start}) AND opened_at <= {end} ORDER BY opened_at, incident_id"))
        .await?;
    let signals: Vec<Signal> = session
        .rows(&format!("SELECT * FROM signals_current WHERE (closed_at IS NULL OR closed_at >= {start}) AND opened_at <= {end} ORDER BY opened_at, signal_id"))
        .await?;
    let changes: Vec<Change> = session
        .rows(&format!(
            "SELECT * FROM changes_current WHERE at BETWEEN {} AND {end} ORDER BY at, kind, entity, summary",
            instant(range.start - Span::from_days(1))
        ))
        .await?;
    let mut rows = Rows {
        recommendations: of_range(session, "recommendations", &start).await?,
        matches: of_range(session, "matches", &start).await?,
        runs: session.rows("SELECT * FROM runs_current ORDER BY updated_at, run_id").await?,
        plans: of_range(session, "plans", &start).await?,
        decisions: of_range(session, "decisions", &start).await?,
        approvals: of_range(session, "approvals", &start).await?,
        executions: of_range(session, "executions", &start).await?,
        outcomes: of_range(session, "outcomes", &start).await?,
        labels: session.rows("SELECT * FROM labels_current ORDER BY subject_id").await?,
        incidents,
        signals,
        changes,
        ..Rows::default()
    };
    let graph = Graph::build(&known.run_io, &known.inventory.endpoints);
    rows.lineage_paths = lineage_paths(&graph, &rows.incidents, range.end);
    Ok(rows)
}

async fn of_range<T: serde::de::DeserializeOwned>(session: &Session, table: &str, start: &str) -> Result<Vec<T>, SqlError> {
    session.rows(&format!("SELECT * FROM {table} WHERE recorded_at >= {start} ORDER BY recorded_at")).await
}

#[derive(Deserialize)]
struct Count {
    n: i64,
}

async fn count(session: &Session, sql: &str) -> Result<i64, SqlError> {
    Ok(session.rows::<Count>(sql).await?.first().map_or(0, |c| c.n))
}

/// How much was looked at: a series counts as judged when one of the rules is of its metric.
async fn fleet(
    session: &Session,
    inventory: &bellwether_model::inventory::Inventory,
    rules: &[Rule],
    range: TimeRange,
    configured: bool,
) -> Result<Fleet, SqlError> {
    let metrics: Vec<String> = rules.iter().map(|r| text(&r.metric)).collect();
    let judged = if metrics.is_empty() {
        0
    } else {
        count(session, &format!("SELECT count(*) AS n FROM series WHERE metric IN ({})", metrics.join(", "))).await?
    };
    let (start, end) = (instant(range.start), instant(range.end));
    Ok(Fleet {
        // What an earlier configuration told is known still.
        has_inventory: configured || !inventory.endpoints.is_empty() || !inventory.pools.is_empty(),
        endpoints: inventory.endpoints.len() as i64,
        pools: inventory.pools.len() as i64,
        series: count(session, "SELECT count(*) AS n FROM series").await?,
        judged,
        samples: count(session, &format!("SELECT count(*) AS n FROM samples WHERE ts BETWEEN {start} AND {end}")).await?,
    })
}

async fn skipped(session: &Session) -> Result<BTreeMap<String, i64>, SqlError> {
    let rounds: Vec<bellwether_model::round::Round> = session.rows("SELECT * FROM rounds ORDER BY as_of DESC LIMIT 1").await?;
    Ok(rounds.into_iter().next().map(|r| r.skipped).unwrap_or_default())
}

async fn audit(journal: Option<&Journal>) -> AuditStanding {
    let Some(journal) = journal else { return AuditStanding::Empty };
    match journal.verify_audit().await {
        Ok(head) => AuditStanding::of(Ok((head.sequence, head.digest))),
        Err(AuditError::Broken(broken)) => AuditStanding::of(Err(broken)),
        Err(other) => AuditStanding::of(Err(bellwether_model::audit::BrokenChain { sequence: 0, problem: crate::failure::chain(&other) })),
    }
}

/// From the dataset at fault to the endpoints that feel it.
fn lineage_paths(graph: &Graph, incidents: &[Incident], as_of: Timestamp) -> BTreeMap<IncidentId, String> {
    let path = |incident: &Incident| {
        let root = incident.root.as_ref().filter(|r| matches!(r, Entity::Dataset(_)))?;
        let start = Vertex::of_entity(root)?;
        graph.paths(&start, as_of).into_iter().next().map(|text| (incident.incident_id.clone(), text))
    };
    incidents.iter().filter_map(path).collect()
}

/// Of each incident the series of its title, and then the strongest, drawn with the band of the rule that raised it.
async fn charts(session: &Session, rules: &[Rule], rows: &Rows, range: TimeRange) -> Result<BTreeMap<IncidentId, Vec<Chart>>, SqlError> {
    let mut charts: BTreeMap<IncidentId, Vec<Chart>> = BTreeMap::new();
    let mut incidents: Vec<&Incident> = rows.incidents.iter().collect();
    incidents.sort_by(|a, b| b.is_open().cmp(&a.is_open()).then(b.severity.cmp(&a.severity)).then(b.score.total_cmp(&a.score)));
    let lookback = rules.iter().map(|r| r.lookback).max().unwrap_or(Span::from_days(1));
    let mut drawn: BTreeMap<SeriesId, (TimeRange, Window)> = BTreeMap::new();
    for incident in incidents.into_iter().take(DRAWN) {
        let mut strongest: Vec<&Signal> = rows.signals.iter().filter(|s| incident.signals.contains(&s.signal_id)).collect();
        strongest.sort_by(|a, b| {
            let in_title = |s: &Signal| is_headline(incident, s);
            in_title(b).cmp(&in_title(a)).then_with(|| b.score.total_cmp(&a.score)).then_with(|| a.signal_id.cmp(&b.signal_id))
        });
        let mut metrics = Vec::new();
        for signal in strongest {
            let Subject::Series { series_id, metric, .. } = &signal.subject else { continue };
            let Some(rule) = rules.iter().find(|r| r.name == signal.rule) else { continue };
            if metrics.contains(metric) {
                continue;
            }
            let picture = TimeRange::new(incident.opened_at - BEFORE, (incident.closed_at.unwrap_or(range.end) + AFTER).min(range.end));
            if !drawn.contains_key(series_id) {
                let spec = WindowSpec {
                    metrics: Some(vec![metric.clone()]),
                    series: bellwether_sql::windows::Which::All,
                    range: TimeRange::new(picture.start - lookback, range.end),
                };
                for window in session.windows(&spec).await? {
                    for slice in window.iter() {
                        let mut one = Window::new();
                        one.push(slice.series.clone(), slice.ts, slice.values);
                        drawn.insert(slice.series.series_id, (spec.range, one));
                    }
                }
            }
            let Some((_, window)) = drawn.get(series_id) else { continue };
            let points = window.iter().next().map(|slice| points(rule, slice, picture)).unwrap_or_default();
            let transitions: Vec<Execution> = rows.executions.iter().filter(|e| e.incident_id == incident.incident_id).cloned().collect();
            let changes: Vec<Change> = rows.changes.iter().filter(|c| incident.entities.contains(&c.entity)).cloned().collect();
            charts.entry(incident.incident_id.clone()).or_default().push(Chart::of_signal(signal, points, picture, &changes, &transitions));
            metrics.push(metric.clone());
            if metrics.len() == CHARTS {
                break;
            }
        }
    }
    Ok(charts)
}

/// Every sample in the picture, with its band where there is one.
fn points(rule: &Rule, slice: SeriesSlice<'_>, picture: TimeRange) -> Vec<Point> {
    let judged: BTreeMap<i64, Band> =
        bands(rule, slice).into_iter().map(|b| (b.ts.micros(), Band { expected: b.expected, lower: b.lower, upper: b.upper })).collect();
    let samples = slice.ts.iter().zip(slice.values);
    samples
        .filter(|(ts, _)| picture.contains(Timestamp::from_micros(**ts)))
        .map(|(ts, value)| Point { at: Timestamp::from_micros(*ts), value: *value, band: judged.get(ts).copied() })
        .collect()
}
