//! `POST /approve`: a person's word on a plan.

use std::sync::Arc;

use axum::extract::{Extension, State};
use bellwether_embeddings::Redactor;
use bellwether_executor::Journal;
use bellwether_executor::journal::record::Record;
use bellwether_model::decision::Approval;
use bellwether_model::digest::Digest;
use bellwether_model::execution::ExecutionState;
use bellwether_model::id::{ExecutionId, PlanId};
use bellwether_model::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Services;
use super::body::Json;
use super::executions::Standing;
use super::problem::{Kind, Problem, ProblemBody};
use crate::auth::{APPROVER, Principal};

/// How long an approval counts.
pub const VALID: Span = Span::from_hours(1);
/// Longest comment in characters.
const COMMENT: usize = 2_000;

/// A person's word.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ApproveRequest {
    /// The plan.
    #[schema(value_type = String)]
    pub plan_id: PlanId,
    /// The plan's SHA-256, as it was shown: another digest is another plan.
    #[schema(value_type = String)]
    pub plan_digest: Digest,
    /// Approved, or rejected.
    pub approved: bool,
    /// Why, in the person's words. Stored redacted.
    #[serde(default)]
    pub comment: Option<String>,
}

/// What became of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct ApproveAnswer {
    /// Where the execution stands.
    execution: Standing,
    /// Who said it: the token's subject.
    approver: String,
    /// After this the approval no longer counts; what was not begun by then needs another.
    #[schema(value_type = String)]
    expires_at: Timestamp,
}

/// Approves or rejects a plan. What is approved is carried out a moment later, if governance still admits it then.
#[utoipa::path(
    post, path = "/approve", tag = "act",
    request_body = ApproveRequest,
    responses(
        (status = 200, body = ApproveAnswer),
        (status = 404, description = "There is no such plan in the journal.", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "The digest is another plan's, or the plan is past approval.", body = ProblemBody, content_type = "application/problem+json"),
        (status = "4XX", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub async fn approve(
    State(services): State<Arc<Services>>,
    Extension(principal): Extension<Principal>,
    Json(request): Json<ApproveRequest>,
) -> Result<axum::Json<ApproveAnswer>, Problem> {
    let record = say(&services.journal, &services.redactor, &principal, request, services.now()).await?;
    services.wake.notify_one();
    let expires_at = record.approval.as_ref().map_or(services.now(), |a| a.expires_at);
    Ok(axum::Json(ApproveAnswer { execution: Standing::of(&record), approver: principal.actor.to_string(), expires_at }))
}

/// Writes a person's word down. Whether the person may say it was checked before.
///
/// # Errors
/// There is no such plan; the digest is another; the plan is not waiting for approval; or the journal cannot be written.
pub async fn say(
    journal: &Journal,
    redactor: &Redactor,
    principal: &Principal,
    request: ApproveRequest,
    now: Timestamp,
) -> Result<Record, Problem> {
    let record = find(journal, &request.plan_id).await?;
    if record.plan.digest != request.plan_digest {
        let detail = format!("plan {} has the digest {}, not {}", request.plan_id, record.plan.digest, request.plan_digest);
        return Err(Problem::new(Kind::OtherPlan, detail).hint("look at the plan as it is now, and approve that").at("/plan_digest"));
    }
    if !matches!(record.state, ExecutionState::DryRun | ExecutionState::AwaitingApproval) {
        return Err(not_waiting(&record));
    }
    let comment = request.comment.as_deref().map(str::trim).filter(|c| !c.is_empty());
    if comment.is_some_and(|c| c.chars().count() > COMMENT) {
        return Err(Problem::bad(format!("a comment has at most {COMMENT} characters")).at("/comment"));
    }
    let approval = Approval {
        plan_id: request.plan_id,
        plan_digest: request.plan_digest,
        approver: principal.actor.clone(),
        role: APPROVER.to_owned(),
        approved: request.approved,
        comment: comment.map(|c| redactor.text(c).into_owned()),
        expires_at: now + VALID,
        recorded_at: now,
    };
    journal.approve(&record.execution_id, &approval, now).await?;
    let after: Option<Record> = journal.get(&record.execution_id).await?;
    after.ok_or_else(|| Problem::missing("execution", record.execution_id.as_str()))
}

/// The execution of a plan.
async fn find(journal: &Journal, plan: &PlanId) -> Result<Record, Problem> {
    journal
        .of_plan(plan)
        .await?
        .ok_or_else(|| Problem::missing("plan", plan.as_str()).hint("GET /executions lists the plans that are in the journal"))
}

fn not_waiting(record: &Record) -> Problem {
    let id: &ExecutionId = &record.execution_id;
    let problem = Problem::new(
        Kind::Conflict,
        format!(
            "execution {id} of this plan is {}, and only a plan that was tried out and waits can be approved or rejected",
            record.state
        ),
    );
    match record.state {
        ExecutionState::Suggested => problem.hint("it has not been tried out on the cluster yet; see `act.mode` in the configuration"),
        _ => problem,
    }
}
