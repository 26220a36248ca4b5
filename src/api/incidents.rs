//! `GET /incidents`, `GET /incidents/{id}` and `GET /incidents/{id}/explain`

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use bellwether_model::decision::{Approval, Decision};
use bellwether_model::execution::Execution;
use bellwether_model::id::IncidentId;
use bellwether_model::incident::Incident;
use bellwether_model::label::Label;
use bellwether_model::outcome::Outcome;
use bellwether_model::plan::Plan;
use bellwether_model::recommendation::Recommendation;
use bellwether_model::signal::Signal;
use bellwether_model::time::{TimeRange, Timestamp};
use bellwether_pipelines::explain::{self, Cause, ChangedSeries, Compared, Explanation, Neighbour, PrecedingChange};
use bellwether_sql::literal::text;
use serde::Serialize;
use utoipa::ToSchema;

use super::Services;
use super::body::Params;
use super::ledger::{self, PageQuery};
use super::problem::{Problem, ProblemBody};
use super::wire::{ApprovalRow, DecisionRow, ExecutionRow, IncidentRow, LabelRow, OutcomeRow, PlanRow, RecommendationRow, SignalRow};

/// A page of incidents.
#[derive(Debug, Serialize, ToSchema)]
pub struct IncidentPage {
    /// The incidents in their newest state, the newest first.
    #[schema(value_type = Vec<IncidentRow>)]
    incidents: Vec<Incident>,
    /// `cursor` of the next page; null on the last.
    next: Option<String>,
}

/// An incident with all that is known of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct IncidentStory {
    /// Its newest state.
    #[schema(value_type = IncidentRow)]
    incident: Incident,
    /// Its signals, in order of opening.
    #[schema(value_type = Vec<SignalRow>)]
    signals: Vec<Signal>,
    /// The newest recommendation; null when none was made.
    #[schema(value_type = Option<RecommendationRow>)]
    recommendation: Option<Recommendation>,
    /// Plans for it, newest first.
    #[schema(value_type = Vec<PlanRow>)]
    plans: Vec<Plan>,
    /// What governance said of them.
    #[schema(value_type = Vec<DecisionRow>)]
    decisions: Vec<Decision>,
    /// What people said of them.
    #[schema(value_type = Vec<ApprovalRow>)]
    approvals: Vec<Approval>,
    /// Every state that their executions entered, in order.
    #[schema(value_type = Vec<ExecutionRow>)]
    executions: Vec<Execution>,
    /// What came of them.
    #[schema(value_type = Vec<OutcomeRow>)]
    outcomes: Vec<Outcome>,
    /// What people said of the incident itself, newest first.
    #[schema(value_type = Vec<LabelRow>)]
    labels: Vec<Label>,
}

/// What may have caused an incident: all that was found, ranked, with its numbers. docs/explain.md says what each number means.
#[derive(Debug, Serialize, ToSchema)]
pub struct IncidentExplanation {
    /// The incident.
    #[schema(value_type = String)]
    incident_id: IncidentId,
    /// Its title.
    title: String,
    /// When it opened.
    #[schema(value_type = String, format = DateTime)]
    opened_at: Timestamp,
    /// The likeliest explanation in one sentence; says so where there is none.
    headline: String,
    /// The series that the others are compared with; null for an incident of columns alone.
    series: Option<String>,
    /// The stretch of time in which series are looked at: `start` and `end`.
    #[schema(value_type = Object)]
    window: TimeRange,
    /// The four times as long one before it.
    #[schema(value_type = Object)]
    baseline: TimeRange,
    /// How much was compared: `compared`, `changed`, `thin` (too few samples), `silent` (no sample any more), `left_out`.
    #[schema(value_type = Object)]
    compared: Compared,
    /// Things that deviate, as causes, the likeliest first: `entity`, `score`, `deviation`, `path`, `explained_by`, `evidence`.
    #[schema(value_type = Vec<Object>)]
    causes: Vec<Cause>,
    /// Series that changed in the window, its own first, then those it rests on, those that rest on it, and others: `series`, `entity`,
    /// `relation`, `signalled`, `direction`, `before`, `after`, `unit`, `effect`, `volume`, `ks`, `adjusted_p`, `lag_seconds`, `correlation`.
    #[schema(value_type = Vec<Object>)]
    together: Vec<ChangedSeries>,
    /// Changes that precede it, the likeliest first: `at`, `lead_seconds`, `kind`, `entity`, `summary`, `relation`, `score`.
    #[schema(value_type = Vec<Object>)]
    changes: Vec<PrecedingChange>,
    /// Signals of what it rests on, the nearest in time first: `signal_id`, `entity`, `score`, `opened_at`, `lead_seconds`, `hint`.
    #[schema(value_type = Vec<Object>)]
    neighbours: Vec<Neighbour>,
    /// What was not found or could not be looked at.
    notes: Vec<String>,
}

impl From<Explanation> for IncidentExplanation {
    fn from(found: Explanation) -> Self {
        let Explanation { incident_id, title, opened_at, headline, series, window, baseline, compared, .. } = found;
        let Explanation { causes, together, changes, neighbours, notes, .. } = found;
        Self { incident_id, title, opened_at, headline, series, window, baseline, compared, causes, together, changes, neighbours, notes }
    }
}

/// Incidents: signals that belong together, newest first.
#[utoipa::path(
    get, path = "/incidents", tag = "judge",
    params(
        ("since" = Option<String>, Query, description = "Only those with evidence at or after this time, RFC 3339."),
        ("until" = Option<String>, Query, description = "Only those that opened before this time, RFC 3339."),
        ("severity" = Option<String>, Query, description = "Only these severities, separated by commas: info, warning, critical."),
        ("status" = Option<String>, Query, description = "Only those that are `open` or `closed`."),
        ("limit" = Option<usize>, Query, description = "Most incidents of a page, 1 to 1,000; 100 when absent."),
        ("cursor" = Option<String>, Query, description = "`next` of the page before."),
    ),
    responses((status = 200, body = IncidentPage), (status = "4XX", body = ProblemBody, content_type = "application/problem+json")),
)]
pub async fn list(State(services): State<Arc<Services>>, mut params: Params) -> Result<Json<IncidentPage>, Problem> {
    let query = PageQuery::read(&mut params, "incident_id")?;
    params.finish("since, until, severity, status, limit and cursor")?;
    let session = ledger::session(&services.lake, services.now()).await?;
    let mut incidents: Vec<Incident> = session.rows(&query.sql("incidents_current", "incident_id")).await?;
    let next = query.cut(&mut incidents, |i| (i.opened_at, i.incident_id.to_string()));
    Ok(Json(IncidentPage { incidents, next }))
}

/// One incident with its signals, recommendation, plans, decisions, executions and outcomes. What was done in the last seconds may be
/// missing: the ledger is told a little later. `GET /executions` has it at once.
#[utoipa::path(
    get, path = "/incidents/{id}", tag = "judge",
    params(("id" = String, Path, description = "Its id.")),
    responses((status = 200, body = IncidentStory), (status = "4XX", body = ProblemBody, content_type = "application/problem+json")),
)]
pub async fn show(State(services): State<Arc<Services>>, Path(id): Path<String>) -> Result<Json<IncidentStory>, Problem> {
    let session = ledger::session(&services.lake, services.now()).await?;
    let incident = ledger::incident(&session, &id).await?;
    let id = text(&id);
    let signals = format!(
        "SELECT s.* FROM signals_current s JOIN incident_signals i ON i.signal_id = s.signal_id WHERE i.incident_id = {id} ORDER BY s.opened_at, s.signal_id"
    );
    let recommendation = format!("SELECT * FROM recommendations_current WHERE incident_id = {id}");
    let plans = format!("SELECT * FROM plans_current WHERE incident_id = {id} ORDER BY recorded_at DESC, plan_id");
    let of_plans = |table: &str| {
        format!(
            "SELECT t.* FROM {table} t JOIN plans_current p ON p.plan_id = t.plan_id WHERE p.incident_id = {id} ORDER BY t.recorded_at, t.plan_id"
        )
    };
    let executions = format!("SELECT * FROM executions WHERE incident_id = {id} ORDER BY recorded_at, execution_id, sequence");
    let outcomes = format!("SELECT * FROM outcomes_current WHERE incident_id = {id} ORDER BY recorded_at, execution_id");
    let labels = format!("SELECT * FROM labels WHERE subject_id = {id} ORDER BY recorded_at DESC");
    Ok(Json(IncidentStory {
        signals: session.rows(&signals).await?,
        recommendation: session.rows(&recommendation).await?.pop(),
        plans: session.rows(&plans).await?,
        decisions: session.rows(&of_plans("decisions_current")).await?,
        approvals: session.rows(&of_plans("approvals")).await?,
        executions: session.rows(&executions).await?,
        outcomes: session.rows(&outcomes).await?,
        labels: session.rows(&labels).await?,
        incident,
    }))
}

/// What may have caused an incident: series that changed together with it, changes that precede it, what drifted below it, and where it may
/// have begun. `no data` is never `no cause`: `notes` says what could not be looked at.
#[utoipa::path(
    get, path = "/incidents/{id}/explain", tag = "judge",
    params(("id" = String, Path, description = "Its id.")),
    responses((status = 200, body = IncidentExplanation), (status = "4XX", body = ProblemBody, content_type = "application/problem+json")),
)]
pub async fn explain(State(services): State<Arc<Services>>, Path(id): Path<String>) -> Result<Json<IncidentExplanation>, Problem> {
    let session = ledger::session(&services.lake, services.now()).await?;
    let incident = ledger::incident(&session, &id).await?;
    Ok(Json(explain::explain(&session, &incident).await?.into()))
}
