//! `POST /orchestrate`: from an incident to a plan that is written down, tried out and decided on. What is carried out, and when, is then up
//! to governance and approval.

use std::sync::Arc;

use axum::extract::{Extension, State};
use bellwether_executor::drivers::DryRun;
use bellwether_executor::journal::record::Record;
use bellwether_executor::journal::transition::OURSELVES;
use bellwether_governance::plan::{At, Proposal, plan};
use bellwether_lake::tables;
use bellwether_model::decision::{Decision, Tier};
use bellwether_model::execution::ExecutionState;
use bellwether_model::id::{Actor, ExecutionId, IncidentId, PlaybookId, SignalId};
use bellwether_model::incident::Incident;
use bellwether_model::plan::Plan;
use bellwether_model::recommendation::{Candidate, Recommendation};
use bellwether_model::time::Timestamp;
use bellwether_pipelines::act::{ActError, Acting};
use bellwether_pipelines::stored::Stored;
use bellwether_sql::Session;
use bellwether_sql::literal::text;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Services;
use super::body::Json;
use super::executions::Standing;
use super::ledger;
use super::problem::{Kind, Problem, ProblemBody};
use super::recommend::{Newest, newest, of_signal_id};
use super::wire::{DecisionRow, PlanRow};
use crate::auth::Principal;

/// What to do something about: exactly one of `incident_id` and `signal_id`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OrchestrateRequest {
    /// An incident.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    incident_id: Option<IncidentId>,
    /// A signal; its incident counts.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    signal_id: Option<SignalId>,
    /// The playbook; the one that is recommended first when absent.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    playbook_id: Option<PlaybookId>,
}

/// Where it stands.
#[derive(Debug, Serialize, ToSchema)]
pub struct OrchestrateAnswer {
    /// The plan: exact patches, undo, checks; its digest is what an approval names.
    #[schema(value_type = PlanRow)]
    plan: Plan,
    /// What governance says of it, with every reason.
    #[schema(value_type = DecisionRow)]
    decision: Decision,
    /// What the cluster's dry run would change; null when there was none.
    #[schema(value_type = Option<Object>)]
    dry_run: Option<DryRun>,
    /// The execution.
    execution: Standing,
    /// What comes next, in words.
    next: String,
}

/// Plans for an incident, tries the plan out on the cluster, and asks governance.
///
/// Asking again for the same changes nothing. Answers 403 when governance forbids the plan, 409 when something is being done for the
/// incident already, the same plan has ended or the incident is over, and 422 when no plan can be made.
#[utoipa::path(
    post, path = "/orchestrate", tag = "act",
    request_body = OrchestrateRequest,
    responses(
        (status = 200, body = OrchestrateAnswer),
        (status = 403, description = "Governance forbids it, or the token lacks a role.", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "Something is being done already, or was.", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "No plan can be made.", body = ProblemBody, content_type = "application/problem+json"),
        (status = "4XX", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub async fn orchestrate(
    State(services): State<Arc<Services>>,
    Extension(principal): Extension<Principal>,
    Json(request): Json<OrchestrateRequest>,
) -> Result<axum::Json<OrchestrateAnswer>, Problem> {
    let now = services.now();
    let session = ledger::session(&services.lake, now).await?;
    let incident = match (&request.incident_id, &request.signal_id) {
        (Some(id), None) => ledger::incident(&session, id.as_str()).await?,
        (None, Some(id)) => of_signal_id(&session, id).await?,
        _ => return Err(Problem::bad("give exactly one of incident_id and signal_id")),
    };
    let found = newest(&services, &session, &incident).await?;
    let candidate = candidate(&found.recommendation, request.playbook_id.as_ref(), &principal)?;
    let (plan, decision) = bind(&services, &incident, &found.recommendation, &candidate, now).await?;
    let id = ExecutionId::of(&[plan.plan_id.as_str(), &plan.digest.to_string()]);
    refuse_second(&services, &incident, &id).await?;
    keep(&services, &session, &found, &plan, &decision).await?;
    let acting = services.acting();
    acting.suggest(std::slice::from_ref(&plan), std::slice::from_ref(&decision), now).await.map_err(failed)?;
    if decision.tier == Tier::Forbidden {
        return Err(forbid(&services, &id, decision, now).await?);
    }
    acting.carry_on(now).await.map_err(failed)?;
    services.wake.notify_one();
    let record = services.journal.get(&id).await?.ok_or_else(|| Problem::missing("execution", id.as_str()))?;
    let next = next(&record);
    Ok(axum::Json(OrchestrateAnswer {
        execution: Standing::of(&record),
        plan: record.plan,
        decision: record.decision,
        dry_run: record.dry_run,
        next,
    }))
}

/// The candidate that is to be bound: the one asked for, or the best.
fn candidate(recommendation: &Recommendation, wanted: Option<&PlaybookId>, principal: &Principal) -> Result<Candidate, Problem> {
    let Some(wanted) = wanted else {
        let why = recommendation.abstained.clone().unwrap_or_else(|| "nothing fits".to_owned());
        let nothing = || Problem::new(Kind::NoPlan, format!("nothing is recommended: {why}")).hint("name a playbook_id");
        return recommendation.candidates.first().cloned().ok_or_else(nothing);
    };
    let known = recommendation.candidates.iter().chain(&recommendation.near_misses).find(|c| c.playbook_id == *wanted).cloned();
    Ok(known.unwrap_or_else(|| Candidate {
        playbook_id: wanted.clone(),
        score: 0.0,
        justification: format!("asked for by {}; nothing recommends it", principal.actor),
        similarity: 0.0,
        success_rate: 0.0,
        evidence: Vec::new(),
        reckoning: None,
    }))
}

/// Binds the candidate to live objects and asks governance.
async fn bind(
    services: &Services,
    incident: &Incident,
    recommendation: &Recommendation,
    candidate: &Candidate,
    now: Timestamp,
) -> Result<(Plan, Decision), Problem> {
    let inventory = Stored::open(&services.lake, now).await?.inventory().await?;
    let proposal = Proposal { recommendation_id: &recommendation.recommendation_id, candidate, incident };
    let at = At { round_id: &incident.round_id, now };
    let plan = plan(&services.governance, &proposal, &inventory, at).map_err(|e| Problem::of(Kind::NoPlan, &e))?;
    let service = &plan.body.service;
    let limits = services.governance.service(service).map(|s| s.blueprint.safety).unwrap_or_default();
    let history = services.journal.history(service, &limits, now).await?;
    let decision = bellwether_governance::decide::decide(&services.governance, &plan, &history, at);
    Ok((plan, decision))
}

/// Refuses while something else is being done for the incident, when this very plan has ended, and when the incident is over.
async fn refuse_second(services: &Services, incident: &Incident, id: &ExecutionId) -> Result<(), Problem> {
    use ExecutionState::{Approved, AwaitingApproval, Executing, RollingBack, Verifying};
    if let Some(record) = services.journal.get(id).await?
        && record.state.is_terminal()
        && record.decision.tier != Tier::Forbidden
    {
        return Err(Problem::new(Kind::Conflict, format!("this plan has ended already: execution {id} is {}", record.state))
            .with("execution_id", id));
    }
    let open = services.journal.open_executions().await?;
    let busy = open.iter().find(|r| {
        r.plan.body.incident_id == incident.incident_id
            && r.execution_id != *id
            && matches!(r.state, AwaitingApproval | Approved | Executing | Verifying | RollingBack)
    });
    match busy {
        None if !incident.is_open() => {
            let since = incident.closed_at.unwrap_or(incident.last_at);
            Err(Problem::new(Kind::Conflict, format!("{} is over since {since}: there is nothing to mend", incident.incident_id)))
        }
        None => Ok(()),
        Some(other) => {
            let detail = format!("execution {} for this incident is {}", other.execution_id, other.state);
            Err(Problem::new(Kind::Conflict, detail).hint("reject it or wait until it has ended").with("execution_id", &other.execution_id))
        }
    }
}

/// Stores what no round has stored: the recommendation where it was made just now, the plan and the decision.
async fn keep(services: &Services, session: &Session, found: &Newest, plan: &Plan, decision: &Decision) -> Result<(), Problem> {
    let sql = format!("SELECT * FROM plans_current WHERE plan_id = {}", text(plan.plan_id.as_str()));
    if !session.rows::<Plan>(&sql).await?.is_empty() {
        return Ok(());
    }
    if !found.is_stored {
        services.lake.append_rows(&tables::RECOMMENDATIONS, std::slice::from_ref(&found.recommendation), &[]).await?;
    }
    services.lake.append_rows(&tables::PLANS, std::slice::from_ref(plan), &[]).await?;
    services.lake.append_rows(&tables::DECISIONS, std::slice::from_ref(decision), &[]).await?;
    Ok(())
}

/// Writes down, once, that governance forbids it, and says so.
async fn forbid(services: &Services, id: &ExecutionId, decision: Decision, now: Timestamp) -> Result<Problem, Problem> {
    let why: Vec<&str> = decision.reasons.iter().filter(|r| r.tier == Tier::Forbidden).map(|r| r.text.as_str()).collect();
    let why = why.join("; ");
    let ended = services.journal.get(id).await?.is_some_and(|r| r.state.is_terminal());
    if !ended {
        services.journal.refuse(id, &Actor::new(OURSELVES), &why, now).await?;
    }
    let problem = Problem::new(Kind::Refused, why).with("execution_id", id);
    let permitted: Vec<String> = decision.alternatives.iter().map(ToString::to_string).collect();
    let problem = if permitted.is_empty() { problem } else { problem.hint(format!("permitted instead: {}", permitted.join(", "))) };
    Ok(problem.with("decision", decision))
}

fn failed(error: ActError) -> Problem {
    match error {
        ActError::Journal(e) => e.into(),
        ActError::Transition(e) => e.into(),
    }
}

fn next(record: &Record) -> String {
    match record.state {
        ExecutionState::Suggested => "nothing: no cluster is configured, or `act.mode` is plan".to_owned(),
        ExecutionState::DryRun => "nothing: `act.mode` is dry_run".to_owned(),
        ExecutionState::AwaitingApproval => {
            format!("POST /approve with plan_id {} and plan_digest {}", record.plan.plan_id, record.plan.digest)
        }
        ExecutionState::Refused => "nothing: it was refused".to_owned(),
        state => format!("GET /executions/{}: it is {state}", record.execution_id),
    }
}

impl Services {
    /// What acts.
    pub fn acting(&self) -> Acting<'_> {
        Acting {
            journal: &self.journal,
            cluster: &self.cluster,
            prometheus: self.prometheus.as_ref(),
            governance: &self.governance,
            reach: self.reach,
        }
    }
}
