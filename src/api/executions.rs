//! `GET /executions` and `GET /executions/{id}`: what is being done and was done, as the journal has it this moment.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use bellwether_executor::drivers::DryRun;
use bellwether_executor::journal::record::Record;
use bellwether_model::decision::{Approval, Decision};
use bellwether_model::digest::Digest;
use bellwether_model::execution::{Execution, ExecutionState};
use bellwether_model::id::{ExecutionId, IncidentId, PlanId, PlaybookId, ServiceName};
use bellwether_model::outcome::Outcome;
use bellwether_model::plan::Plan;
use bellwether_model::time::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::Services;
use super::body::Params;
use super::problem::{Problem, ProblemBody};
use super::wire::{ApprovalRow, DecisionRow, ExecutionRow, OutcomeRow, PlanRow};

/// Executions of a list at most.
const MOST: usize = 500;

/// Where an execution stands.
#[derive(Debug, Serialize, ToSchema)]
pub struct Standing {
    /// The execution.
    #[schema(value_type = String)]
    pub execution_id: ExecutionId,
    /// The plan that it carries out.
    #[schema(value_type = String)]
    pub plan_id: PlanId,
    /// The plan's SHA-256: what an approval names.
    #[schema(value_type = String)]
    pub plan_digest: Digest,
    /// The incident that it answers.
    #[schema(value_type = String)]
    pub incident_id: IncidentId,
    /// The playbook.
    #[schema(value_type = String)]
    pub playbook_id: PlaybookId,
    /// The service whose blueprint governs it.
    #[schema(value_type = String)]
    pub service: ServiceName,
    /// suggested, dry_run, awaiting_approval, approved, executing, verifying, rolling_back, succeeded, rolled_back, failed, refused or
    /// needs_human.
    #[schema(value_type = String)]
    pub state: ExecutionState,
    /// When it entered that state.
    #[schema(value_type = String)]
    pub entered_at: Timestamp,
    /// What it does, one line for each step.
    pub steps: Vec<String>,
}

impl Standing {
    /// Where this execution stands.
    pub fn of(record: &Record) -> Self {
        let body = &record.plan.body;
        Self {
            execution_id: record.execution_id.clone(),
            plan_id: record.plan.plan_id.clone(),
            plan_digest: record.plan.digest,
            incident_id: body.incident_id.clone(),
            playbook_id: body.playbook_id.clone(),
            service: body.service.clone(),
            state: record.state,
            entered_at: record.entered_at,
            steps: body.steps.iter().map(|s| format!("{}: {}", s.object, s.summary)).collect(),
        }
    }
}

/// Executions.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExecutionList {
    /// The executions, the newest first.
    executions: Vec<Standing>,
}

/// All that the journal knows of one execution.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExecutionStory {
    /// Where it stands.
    execution: Standing,
    /// The plan.
    #[schema(value_type = PlanRow)]
    plan: Plan,
    /// What governance said of the plan when it was suggested.
    #[schema(value_type = DecisionRow)]
    decision: Decision,
    /// What the cluster's dry run would change; null when there was none.
    #[schema(value_type = Option<Object>)]
    dry_run: Option<DryRun>,
    /// What a person said of it; null when nobody did.
    #[schema(value_type = Option<ApprovalRow>)]
    approval: Option<Approval>,
    /// Every state that it entered, in order.
    #[schema(value_type = Vec<ExecutionRow>)]
    transitions: Vec<Execution>,
    /// What came of it; null while that is not known.
    #[schema(value_type = Option<OutcomeRow>)]
    outcome: Option<Outcome>,
}

/// Executions, newest first.
#[utoipa::path(
    get, path = "/executions", tag = "act",
    params(
        ("state" = Option<String>, Query, description = "Only those in this state, or `open` for all that have not ended."),
        ("incident_id" = Option<String>, Query, description = "Only those for this incident."),
        ("limit" = Option<usize>, Query, description = "At most so many, 1 to 500; 100 when absent."),
    ),
    responses((status = 200, body = ExecutionList), (status = "4XX", body = ProblemBody, content_type = "application/problem+json")),
)]
pub async fn list(State(services): State<Arc<Services>>, mut params: Params) -> Result<Json<ExecutionList>, Problem> {
    let open = params.one("state", |word| {
        if word == "open" {
            Ok(None)
        } else {
            word.parse().map(Some).map_err(|e: bellwether_model::execution::ParseStateError| e.to_string())
        }
    })?;
    let incident = params.one("incident_id", |id| Ok(IncidentId::new(id)))?;
    let limit = params.one("limit", |n| {
        n.parse().ok().filter(|n| (1..=MOST).contains(n)).ok_or_else(|| format!("{n:?} is not a number from 1 to {MOST}"))
    })?;
    params.finish("state, incident_id and limit")?;
    let is_wanted = |record: &&Record| {
        let state = open.is_none_or(|wanted| wanted.map_or(!record.state.is_terminal(), |state: ExecutionState| record.state == state));
        state && incident.as_ref().is_none_or(|id| record.plan.body.incident_id == *id)
    };
    let records = services.journal.list(10_000).await?;
    let executions = records.iter().filter(is_wanted).take(limit.unwrap_or(100)).map(Standing::of).collect();
    Ok(Json(ExecutionList { executions }))
}

/// One execution with its plan, decision, dry run, approval, transitions and outcome.
#[utoipa::path(
    get, path = "/executions/{id}", tag = "act",
    params(("id" = String, Path, description = "Its id.")),
    responses((status = 200, body = ExecutionStory), (status = "4XX", body = ProblemBody, content_type = "application/problem+json")),
)]
pub async fn show(State(services): State<Arc<Services>>, Path(id): Path<String>) -> Result<Json<ExecutionStory>, Problem> {
    let id = ExecutionId::new(id);
    let record = services.journal.get(&id).await?.ok_or_else(|| Problem::missing("execution", id.as_str()))?;
    let (transitions, outcome) = (services.journal.transitions(&id).await?, services.journal.outcome(&id).await?);
    let execution = Standing::of(&record);
    Ok(Json(ExecutionStory {
        execution,
        plan: record.plan,
        decision: record.decision,
        dry_run: record.dry_run,
        approval: record.approval,
        transitions,
        outcome,
    }))
}
