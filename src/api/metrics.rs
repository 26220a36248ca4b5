//! `GET /metrics`: numbers for Prometheus, about this process, the ledger and the journal.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use bellwether_executor::Journal;
use bellwether_lake::tables::{ENDPOINTS, INCIDENTS, LINEAGE_EVENTS, POOLS, ROUNDS, RUNS, SAMPLES, SIGNALS, TableDef};
use bellwether_lake::{Lake, Snapshot};
use bellwether_model::execution::ExecutionState;
use bellwether_model::signal::Signal;
use bellwether_model::time::{Span, Timestamp};
use bellwether_pipelines::freshness::silences;
use bellwether_pipelines::rules::MetricRule;
use prometheus::core::Collector;
use prometheus::proto::MetricFamily;
use prometheus::{GaugeVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, TextEncoder};
use serde::Deserialize;
use tokio::sync::Mutex;

use super::Services;
use super::ledger;
use super::problem::{Kind, Problem, ProblemBody};

/// Open signals whose bands are shown at most.
const BANDS: usize = 200;
/// How long numbers count while the ledger does not change.
const RECOUNT: Span = Span::from_mins(1);

/// Numbers in Prometheus' text format. The names `neuralops_signals_total` and `neuralops_anomaly_total` are those of the source documents.
#[utoipa::path(
    get, path = "/metrics", tag = "operate",
    responses((status = 200, description = "Prometheus' text format 0.0.4.", body = String, content_type = "text/plain"), (status = "4XX", body = ProblemBody, content_type = "application/problem+json")),
)]
pub async fn show(State(services): State<Arc<Services>>) -> Result<impl IntoResponse, Problem> {
    let mut families = services.meter.gather();
    let ledger = services.counted.families(&services.lake, &services.rules, services.now()).await;
    let journal = of_journal(&services.journal).await;
    for (what, found) in [("ledger", ledger), ("journal", journal)] {
        let up = gauge("bellwether_up", "Whether the ledger and the journal could be read.", &["part"]);
        up.with_label_values(&[what]).set(i64::from(found.is_ok()));
        merge(&mut families, up.collect());
        match found {
            Ok(found) => merge(&mut families, found),
            // A part that is down must not hide the numbers of the others.
            Err(problem) => tracing::warn!(part = what, problem = problem.detail, "numbers are missing"),
        }
    }
    let text = render(families)?;
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text))
}

/// The families in text, by name; those without a number are left out, because the format has no place for them.
fn render(mut families: Vec<MetricFamily>) -> Result<String, Problem> {
    families.retain(|family| !family.get_metric().is_empty());
    families.sort_by(|a, b| a.name().cmp(b.name()));
    TextEncoder::new().encode_to_string(&families).map_err(|e| Problem::of(Kind::Internal, &e))
}

/// Adds families, those of one name together.
fn merge(families: &mut Vec<MetricFamily>, more: Vec<MetricFamily>) {
    for mut family in more {
        match families.iter_mut().find(|f| f.name() == family.name()) {
            Some(known) => known.mut_metric().extend(family.take_metric()),
            None => families.push(family),
        }
    }
}

/// The ledger's numbers, counted again only when it has changed, or after a minute.
#[derive(Debug, Default)]
pub struct Counted(Mutex<Option<(Versions, Timestamp, Vec<MetricFamily>)>>);

/// The versions of the tables that were counted.
type Versions = [Option<i64>; 4];

/// What each source fills, so that the newest row tells how fresh the source is.
const SOURCES: [(&str, &[&TableDef]); 5] = [
    ("prometheus", &[&SAMPLES]),
    ("runs", &[&RUNS]),
    ("lineage", &[&LINEAGE_EVENTS]),
    ("inventory", &[&ENDPOINTS, &POOLS]),
    ("rounds", &[&ROUNDS]),
];

#[derive(Deserialize)]
struct SignalCount {
    severity: String,
    method: String,
    is_open: bool,
    n: i64,
}

#[derive(Deserialize)]
struct IncidentCount {
    severity: String,
    is_open: bool,
    n: i64,
}

impl Counted {
    async fn families(&self, lake: &Lake, rules: &[MetricRule], now: Timestamp) -> Result<Vec<MetricFamily>, Problem> {
        let snapshot = lake.snapshot().await?;
        let versions = [&SIGNALS, &INCIDENTS, &ROUNDS, &SAMPLES].map(|table| snapshot.table(table).map(|t| t.version));
        let mut kept = self.0.lock().await;
        // Time alone makes a metric silent.
        if let Some((of, at, families)) = kept.as_ref()
            && *of == versions
            && now.since(*at) < RECOUNT
        {
            return Ok(families.clone());
        }
        let mut families = count(lake, now).await?;
        families.extend(freshness(&snapshot));
        families.extend(silent(lake, rules, now).await?);
        *kept = Some((versions, now, families.clone()));
        Ok(families)
    }
}

/// The newest event time of each source, as far as the tables' logs say.
fn freshness(snapshot: &Snapshot) -> Vec<MetricFamily> {
    let newest = GaugeVec::new(
        Opts::new("bellwether_source_newest_timestamp_seconds", "Time of the newest fact of a source; no line where there is none."),
        &["source"],
    )
    .expect("the names and labels are constants");
    let stat = snapshot.stat();
    for (source, tables) in SOURCES {
        let of_tables = stat.iter().filter(|t| tables.iter().any(|table| table.name == t.table));
        if let Some(t) = of_tables.filter_map(|t| t.newest).max() {
            newest.with_label_values(&[source]).set(t.secs_f64());
        }
    }
    newest.collect()
}

/// Which metrics have no samples within what their rules allow.
async fn silent(lake: &Lake, rules: &[MetricRule], now: Timestamp) -> Result<Vec<MetricFamily>, Problem> {
    let session = ledger::session(lake, now).await?;
    let found = silences(&session, rules, now).await?;
    let silent = gauge("bellwether_metric_silent", "Whether a metric that had samples has none within the gap of its rules.", &["metric"]);
    let things = gauge("bellwether_metric_silent_entities", "Endpoints, nodes and others of which a metric fell silent.", &["metric"]);
    for rule in rules {
        silent.with_label_values(&[&rule.name]);
        things.with_label_values(&[&rule.name]);
    }
    for silence in found.iter().filter(|s| s.fell_silent()) {
        match &silence.entity {
            None => silent.with_label_values(&[&silence.metric]).set(1),
            Some(_) => things.with_label_values(&[&silence.metric]).inc(),
        }
    }
    Ok([silent.collect(), things.collect()].concat())
}

async fn count(lake: &Lake, now: Timestamp) -> Result<Vec<MetricFamily>, Problem> {
    let session = ledger::session(lake, now).await?;
    let sql = "SELECT severity, method, state <> 'closed' AS is_open, count(*) AS n FROM signals_current GROUP BY ALL ORDER BY severity, method, is_open";
    let signals: Vec<SignalCount> = session.rows(sql).await?;
    let sql = "SELECT severity, state <> 'closed' AS is_open, count(*) AS n FROM incidents_current GROUP BY ALL ORDER BY severity, is_open";
    let incidents: Vec<IncidentCount> = session.rows(sql).await?;
    let sql = format!("SELECT * FROM signals_current WHERE state <> 'closed' ORDER BY score DESC, signal_id LIMIT {BANDS}");
    let open: Vec<Signal> = session.rows(&sql).await?;

    let total = counter("bellwether_signals_total", "Signals in the ledger.", &["severity", "method"]);
    let theirs = counter("neuralops_signals_total", "Signals in the ledger.", &["severity"]);
    let anomalies = counter("neuralops_anomaly_total", "Signals of metrics in the ledger; drift of columns does not count.", &["severity"]);
    let now_open = gauge("bellwether_signals_open", "Signals that are open.", &["severity"]);
    for severity in ["info", "warning", "critical"] {
        theirs.with_label_values(&[severity]);
        anomalies.with_label_values(&[severity]);
        now_open.with_label_values(&[severity]);
    }
    for row in &signals {
        let n = u64::try_from(row.n).unwrap_or_default();
        total.with_label_values(&[&row.severity, &row.method]).inc_by(n);
        theirs.with_label_values(&[&row.severity]).inc_by(n);
        if !matches!(row.method.as_str(), "psi" | "ks") {
            anomalies.with_label_values(&[&row.severity]).inc_by(n);
        }
        if row.is_open {
            now_open.with_label_values(&[&row.severity]).add(row.n);
        }
    }
    let incidents_total = counter("bellwether_incidents_total", "Incidents in the ledger.", &["severity"]);
    let incidents_open = gauge("bellwether_incidents_open", "Incidents that are open.", &["severity"]);
    for row in &incidents {
        incidents_total.with_label_values(&[&row.severity]).inc_by(u64::try_from(row.n).unwrap_or_default());
        if row.is_open {
            incidents_open.with_label_values(&[&row.severity]).add(row.n);
        }
    }
    let mut families = Vec::new();
    for collected in
        [total.collect(), theirs.collect(), anomalies.collect(), now_open.collect(), incidents_total.collect(), incidents_open.collect()]
    {
        families.extend(collected);
    }
    families.extend(bands(&open));
    Ok(families)
}

/// The band of each open signal where its score was highest, so that a dashboard can lay it over the metric.
fn bands(open: &[Signal]) -> Vec<MetricFamily> {
    let labels = ["rule", "method", "subject"];
    let made = ["score", "value", "expected", "lower", "upper"].map(|what| {
        let help = format!("The {what} of an open signal where its score was highest.");
        GaugeVec::new(Opts::new(format!("bellwether_signal_{what}"), help), &labels).expect("the names and labels are constants")
    });
    for signal in open {
        let (method, subject) = (signal.method.to_string(), signal.subject.to_string());
        for (gauge, value) in made.iter().zip([signal.score, signal.value, signal.expected, signal.lower, signal.upper]) {
            gauge.with_label_values(&[signal.rule.as_str(), &method, &subject]).set(value);
        }
    }
    made.iter().flat_map(Collector::collect).collect()
}

async fn of_journal(journal: &Journal) -> Result<Vec<MetricFamily>, Problem> {
    let executions = gauge("bellwether_executions", "Executions in the journal by state.", &["state"]);
    for state in ExecutionState::ALL {
        executions.with_label_values(&[state.name()]);
    }
    for record in journal.list(i64::MAX).await? {
        executions.with_label_values(&[record.state.name()]).inc();
    }
    let waiting = plain("bellwether_inbox_waiting", "Events that wait for the ledger, counted up to 10,000.");
    waiting.set(i64::try_from(journal.waiting(10_000).await?.len()).unwrap_or(i64::MAX));
    let audit = plain("bellwether_audit_entries", "Entries in the audit chain.");
    audit.set(journal.audit_head().await?.sequence);
    Ok([executions.collect(), waiting.collect(), audit.collect()].concat())
}

fn counter(name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    IntCounterVec::new(Opts::new(name, help), labels).expect("the names and labels are constants")
}

fn gauge(name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
    IntGaugeVec::new(Opts::new(name, help), labels).expect("the names and labels are constants")
}

fn plain(name: &str, help: &str) -> IntGauge {
    IntGauge::new(name, help).expect("the names are constants")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_empty_ledger_has_numbers_too() {
        let folder = tempfile::tempdir().unwrap();
        let lake = Lake::open(folder.path().to_str().unwrap(), &Default::default()).await.unwrap();
        let text = render(count(&lake, Timestamp::EPOCH).await.unwrap()).unwrap();
        assert!(text.contains("neuralops_signals_total{severity=\"critical\"} 0\n"), "{text}");
    }
}
