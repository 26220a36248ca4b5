//! The tables and views that a session offers.
//!
//! For each table of the ledger, `<table>` is what counts: rows whose event time is not after the session's `as_of`, and of
//! rows that a round concluded, those of finished rounds only. `<table>_current` has one row for each key, the newest.
//! `raw.<table>` is everything in the snapshot, uncut, for looking into what went wrong.

use bellwether_lake::tables::{self, TableDef};
use bellwether_model::time::Timestamp;

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

/// All views of a session, each after those it needs.
pub fn all(as_of: Option<Timestamp>) -> Vec<View> {
    // What counts first: the views of the newest rows and of the story are built on it.
    let counted = tables::ALL.iter().map(|t| counted(t, as_of));
    let current = tables::ALL.iter().map(|t| current(t));
    counted.chain(current).chain(story()).collect()
}

/// What counts of a table, with columns that are useful in joins drawn out of its JSON.
fn counted(table: &TableDef, as_of: Option<Timestamp>) -> View {
    let mut conditions = Vec::new();
    if let (Some(column), Some(at)) = (table.event_time, as_of) {
        conditions.push(format!("\"{column}\" <= {}", literal(at)));
    }
    if table.is_judged() {
        let until = as_of.map(|at| format!(" WHERE as_of <= {}", literal(at))).unwrap_or_default();
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
        "recommendations" => &[("best_playbook_id", "json_get(candidates, '0.playbook_id')"), ("best_score", "CAST(json_get(candidates, '0.score') AS DOUBLE)")],
        _ => &[],
    }
}

fn current(table: &TableDef) -> View {
    let written_at: &[&str] = &[WRITTEN_AT];
    let newest = if *table == tables::SAMPLES { written_at } else { table.newest };
    let key = quoted(table.key, "");
    let order = if newest.is_empty() { key.clone() } else { quoted(newest, " DESC NULLS LAST") };
    let ranked = format!("SELECT *, row_number() OVER (PARTITION BY {key} ORDER BY {order}) AS age_rank FROM {}", table.name);
    View::new(format!("{}_current", table.name), format!("SELECT * EXCEPT (age_rank) FROM ({ranked}) WHERE age_rank = 1"), format!("The newest row of {} for each {}.", table.name, table.key.join(", ")))
}

fn quoted(columns: &[&str], suffix: &str) -> String {
    columns.iter().map(|c| format!("\"{c}\"{suffix}")).collect::<Vec<_>>().join(", ")
}

fn literal(at: Timestamp) -> String {
    format!("arrow_cast({}, 'Timestamp(Microsecond, Some(\"UTC\"))')", at.micros())
}

/// Views that tell the story across tables, and those that keep the names people know.
fn story() -> Vec<View> {
    vec![
        View::new(
            "insight_signals",
            "SELECT signal_id, rule, method, metric, series_id, dataset, column_name, state, severity, score, value, expected, lower, upper, unit, opened_at, last_at, closed_at, hint, round_id \
             FROM signals_current",
            "One row for each signal, flat: what deviates, how far, since when.",
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
