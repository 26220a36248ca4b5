//! The tables and views that a session offers.
//!
//! For each table of the ledger, `<table>` is what counts: rows whose event time is not after the session's `as_of`, and of
//! rows that a round concluded, those of finished rounds only. `<table>_current` has one row for each key, the newest.
//! `raw.<table>` is everything in the snapshot, uncut, for looking into what went wrong.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bellwether_lake::file::{Bound, DataFile};
use bellwether_lake::tables::{self, TableDef};
use bellwether_model::time::Timestamp;

use datafusion::catalog::{SchemaProvider, TableProvider};
use datafusion::datasource::ViewTable;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::SessionState;

use crate::literal::{instant, text};
use crate::pinned::WRITTEN_AT;

/// A view: its name, the SELECT behind it, and what a row is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// Its name.
    pub name: String,
    /// The SELECT that it stands for.
    pub sql: String,
    /// What a row is, for the SQL reference.
    pub doc: String,
}

impl View {
    fn new(name: impl Into<String>, sql: impl Into<String>, doc: impl Into<String>) -> Self {
        Self { name: name.into(), sql: sql.into(), doc: doc.into() }
    }
}

/// All views of a session. `doubled` are the days whose files of samples overlap, so that a sample may be in several.
pub fn all(as_of: Option<Timestamp>, doubled: &[i32]) -> Vec<View> {
    let counted = tables::ALL.iter().map(|t| counted(t, as_of));
    let current = tables::ALL.iter().map(|t| if **t == tables::SAMPLES { current_samples(doubled) } else { current(t) });
    counted.chain(current).chain(story()).collect()
}

/// The SELECT that `SHOW TABLES` stands for: what can be asked, and what a row of it is.
pub fn list(views: &[View]) -> String {
    let rows: Vec<String> = views.iter().map(|v| format!("({}, {})", text(&v.name), text(&v.doc))).collect();
    format!("SELECT column1 AS table_name, column2 AS a_row_is FROM (VALUES {}) ORDER BY table_name", rows.join(", "))
}

/// The days whose files of samples overlap in series and time.
pub fn doubled_days(files: &[Arc<DataFile>]) -> Vec<i32> {
    let mut days: BTreeMap<i32, Vec<&DataFile>> = BTreeMap::new();
    for file in files {
        days.entry(file.day.unwrap_or_default()).or_default().push(file);
    }
    let overlaps = |files: &[&DataFile]| {
        files.iter().enumerate().any(|(i, a)| files[..i].iter().any(|b| ["series_id", "ts"].iter().all(|c| meet(a, b, c))))
    };
    days.into_iter().filter(|(_, files)| overlaps(files)).map(|(day, _)| day).collect()
}

/// Whether a column of two files may share a value.
fn meet(a: &DataFile, b: &DataFile, column: &str) -> bool {
    let before = |low: &DataFile, high: &DataFile| match (
        low.stats.columns.get(column).and_then(|c| c.max.as_ref()),
        high.stats.columns.get(column).and_then(|c| c.min.as_ref()),
    ) {
        (Some(Bound::Int(max)), Some(Bound::Int(min))) => max < min,
        (Some(Bound::Time(max)), Some(Bound::Time(min))) => max < min,
        _ => false,
    };
    !before(a, b) && !before(b, a)
}

/// What counts of a table, with columns that are useful in joins drawn out of its JSON.
fn counted(table: &TableDef, as_of: Option<Timestamp>) -> View {
    let mut conditions = Vec::new();
    if let (Some(column), Some(at)) = (table.event_time, as_of) {
        conditions.push(format!("\"{column}\" <= {}", instant(at)));
    }
    if table.is_judged() {
        let until = as_of.map(|at| format!(" WHERE as_of <= {}", instant(at))).unwrap_or_default();
        conditions.push(format!("round_id IN (SELECT round_id FROM raw.rounds{until})"));
    }
    let filter = if conditions.is_empty() { String::new() } else { format!(" WHERE {}", conditions.join(" AND ")) };
    let drawn: String = drawn_out(table.name).iter().map(|(name, sql)| format!(", {sql} AS {name}")).collect();
    View::new(table.name, format!("SELECT *{drawn} FROM raw.{}{filter}", table.name), table.doc)
}

/// Columns drawn out of JSON columns: name and expression.
fn drawn_out(table: &str) -> &'static [(&'static str, &'static str)] {
    match table {
        "signals" => &[
            ("series_id", "CAST(json_get(subject, 'series_id') AS BIGINT)"),
            ("metric", "json_get(subject, 'metric')"),
            ("dataset", "json_get(subject, 'dataset.namespace') || ':' || json_get(subject, 'dataset.name')"),
            ("column_name", "json_get(subject, 'column')"),
        ],
        "plans" => &[
            ("incident_id", "json_get(body, 'incident_id')"),
            ("recommendation_id", "json_get(body, 'recommendation_id')"),
            ("playbook_id", "json_get(body, 'playbook_id')"),
            ("service", "json_get(body, 'service')"),
            ("target", "json_get(body, 'target')"),
        ],
        "recommendations" => &[
            ("best_playbook_id", "json_get(candidates, '0.playbook_id')"),
            ("best_score", "CAST(json_get(candidates, '0.score') AS DOUBLE)"),
        ],
        _ => &[],
    }
}

fn current(table: &TableDef) -> View {
    let key = quoted(table.key, "");
    let order = if table.newest.is_empty() { key.clone() } else { quoted(table.newest, " DESC NULLS LAST") };
    let ranked = format!("SELECT *, row_number() OVER (PARTITION BY {key} ORDER BY {order}) AS age_rank FROM {}", table.name);
    View::new(
        format!("{}_current", table.name),
        format!("SELECT * EXCEPT (age_rank) FROM ({ranked}) WHERE age_rank = 1"),
        format!("The newest row of {} for each {}.", table.name, table.key.join(", ")),
    )
}

/// Each sample once. Only days whose files overlap are compared; all others are read as they are.
fn current_samples(doubled: &[i32]) -> View {
    let columns = "series_id, ts, value, day";
    let all = format!("SELECT {columns} FROM samples");
    let days = doubled
        .iter()
        .map(|day| format!("DATE '{}'", Timestamp::from_secs(i64::from(*day) * 86_400).utc().format("%Y-%m-%d")))
        .collect::<Vec<_>>()
        .join(", ");
    let sql = if doubled.is_empty() {
        all
    } else {
        let next = format!(
            "SELECT {columns}, lead(ts) OVER (PARTITION BY day, series_id ORDER BY ts, {WRITTEN_AT}) AS next_ts FROM samples WHERE day IN ({days})"
        );
        format!("{all} WHERE day NOT IN ({days}) UNION ALL SELECT {columns} FROM ({next}) WHERE next_ts IS NULL OR next_ts <> ts")
    };
    View::new("samples_current", sql, "Each sample once, with the value that was written last.")
}

fn quoted(columns: &[&str], suffix: &str) -> String {
    columns.iter().map(|c| format!("\"{c}\"{suffix}")).collect::<Vec<_>>().join(", ")
}

/// Views that tell the story across tables, and those that keep the names people know.
fn story() -> Vec<View> {
    vec![
        View::new(
            "insight_signals",
            "SELECT s.signal_id, s.rule, s.method, s.metric, s.series_id, s.dataset, s.column_name, s.state, s.severity, s.score, s.value, s.expected, s.lower, s.upper, s.unit, s.opened_at, s.last_at, s.closed_at, s.hint, s.round_id, \
             q.kind AS silenced_by, q.cause AS silence_cause, q.state AS silence_state, q.until AS silent_until \
             FROM signals_current s LEFT JOIN suppressions_current q ON q.signal_id = s.signal_id",
            "One row for each signal, flat: what deviates, how far, since when, and what it was silenced by, where it was.",
        ),
        View::new("workflow_runs", "SELECT * FROM runs_current", "One row for each run of a workflow, in its newest state."),
        View::new("audit_logs", "SELECT * FROM audit_current ORDER BY sequence", "The audit chain in order."),
        View::new(
            "incident_signals",
            "SELECT incident_id, unnest(json_list(signals, '')) AS signal_id FROM incidents_current",
            "One row for each signal of each incident: joins signals to incidents.",
        ),
        View::new(
            "incident_endpoints",
            "SELECT incident_id, unnest(json_list(endpoints, '')) AS endpoint FROM incidents_current",
            "One row for each live endpoint that an incident affects.",
        ),
        View::new(
            "metric_samples",
            "SELECT s.metric, s.labels, x.series_id, x.ts, x.value, x.day FROM samples_current x JOIN series_current s ON x.series_id = s.series_id",
            "Samples with their metric name and labels, each once.",
        ),
    ]
}

/// Gives the state of the session that views belong to, while that session lives.
pub(crate) type StateOf = Box<dyn Fn() -> Option<SessionState> + Send + Sync>;

/// The views of a session as a schema. A view is planned when a query names it, so that opening a session costs little.
pub(crate) struct Views {
    views: BTreeMap<String, View>,
    state: StateOf,
}

impl Views {
    pub(crate) fn new(views: Vec<View>, state: StateOf) -> Self {
        Self { views: views.into_iter().map(|v| (v.name.clone(), v)).collect(), state }
    }
}

impl fmt::Debug for Views {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.views.keys()).finish()
    }
}

#[async_trait]
impl SchemaProvider for Views {
    fn table_names(&self) -> Vec<String> {
        self.views.keys().cloned().collect()
    }

    fn table_exist(&self, name: &str) -> bool {
        self.views.contains_key(name)
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let Some(view) = self.views.get(name) else { return Ok(None) };
        let state = (self.state)().ok_or_else(|| DataFusionError::Internal("a view outlived its session".into()))?;
        let plan = state.create_logical_plan(&view.sql).await?;
        Ok(Some(Arc::new(ViewTable::new(plan, Some(view.sql.clone())))))
    }
}
