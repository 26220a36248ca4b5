//! `GET /signals`

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use bellwether_model::signal::Signal;
use bellwether_model::suppression::Suppression;
use bellwether_sql::literal::text;
use serde::Serialize;
use utoipa::ToSchema;

use super::Services;
use super::body::Params;
use super::ledger::{self, PageQuery};
use super::problem::{Problem, ProblemBody};
use super::wire::{SignalRow, SuppressionRow};

/// A page of signals.
#[derive(Debug, Serialize, ToSchema)]
pub struct SignalPage {
    /// The signals in their newest state, the newest first.
    #[schema(value_type = Vec<SignalRow>)]
    signals: Vec<Signal>,
    /// Of those that made no incident because they were silenced, why; in order of their ids.
    #[schema(value_type = Vec<SuppressionRow>)]
    suppressions: Vec<Suppression>,
    /// `cursor` of the next page; null on the last.
    next: Option<String>,
}

/// Signals: deviations of single series and columns, newest first.
#[utoipa::path(
    get, path = "/signals", tag = "judge",
    params(
        ("since" = Option<String>, Query, description = "Only those with evidence at or after this time, RFC 3339."),
        ("until" = Option<String>, Query, description = "Only those that opened before this time, RFC 3339."),
        ("severity" = Option<String>, Query, description = "Only these severities, separated by commas: info, warning, critical."),
        ("status" = Option<String>, Query, description = "Only those that are `open` or `closed`."),
        ("silenced" = Option<bool>, Query, description = "`true`: only those that nobody was told of; `false`: only the others."),
        ("label" = Option<Vec<String>>, Query, description = "Only those of series with this label, `name=value`; may be given several times."),
        ("limit" = Option<usize>, Query, description = "Most signals of a page, 1 to 1,000; 100 when absent."),
        ("cursor" = Option<String>, Query, description = "`next` of the page before."),
    ),
    responses((status = 200, body = SignalPage), (status = "4XX", body = ProblemBody, content_type = "application/problem+json")),
)]
pub async fn list(State(services): State<Arc<Services>>, mut params: Params) -> Result<Json<SignalPage>, Problem> {
    let mut query = PageQuery::read(&mut params, "signal_id")?;
    for label in params.all("label") {
        query.conditions.push(labelled(&label)?);
    }
    query.conditions.extend(params.one("silenced", silenced)?);
    params.finish("since, until, severity, status, silenced, label, limit and cursor")?;
    let session = ledger::session(&services.lake, services.now()).await?;
    let mut signals: Vec<Signal> = session.rows(&query.sql("signals_current", "signal_id")).await?;
    let next = query.cut(&mut signals, |s| (s.opened_at, s.signal_id.to_string()));
    let ids: Vec<String> = signals.iter().map(|s| text(s.signal_id.as_str())).collect();
    let suppressions = if ids.is_empty() {
        Vec::new()
    } else {
        session.rows(&format!("SELECT * FROM suppressions_current WHERE signal_id IN ({}) ORDER BY signal_id", ids.join(","))).await?
    };
    Ok(Json(SignalPage { signals, suppressions, next }))
}

/// The condition that nobody was told of a signal, or that somebody was.
fn silenced(word: &str) -> Result<String, String> {
    let quiet = "IN (SELECT signal_id FROM suppressions_current WHERE state <> 'told')";
    match word {
        "true" => Ok(format!("signal_id {quiet}")),
        "false" => Ok(format!("signal_id NOT {quiet}")),
        _ => Err(format!("{word:?} is neither true nor false")),
    }
}

/// The condition that a signal's series has this label.
fn labelled(label: &str) -> Result<String, Problem> {
    let is_name = |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    match label.split_once('=') {
        Some((name, value)) if is_name(name) => Ok(format!("json_get(subject, 'labels.{name}') = {}", text(value))),
        _ => Err(Problem::bad(format!("parameter label: {label:?} is not name=value"))),
    }
}
