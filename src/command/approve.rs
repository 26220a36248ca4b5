//! `bellwether approve`

use bellwether_model::decision::Approval;
use bellwether_model::execution::ExecutionState;
use bellwether_pipelines::relay::relay;
use serde_json::json;

use crate::api::approve::VALID;
use crate::auth::{APPROVER, Principal, TokenError, Verifier};
use crate::cli::{ApproveArgs, Output};
use crate::clock;
use crate::config::{ActMode, Config};
use crate::failure::{Failure, Kind, chain};
use crate::{open, output};

/// Runs the command.
pub async fn run(config: &Config, args: ApproveArgs, output: Output) -> Result<(), Failure> {
    let now = clock::now();
    let token = read_token(&args.token_file)?;
    let verifier = open::verifier(config)?;
    let journal = open::journal(config).await?;
    let records = journal.list(10_000).await.map_err(|e| open::upstream(&e))?;
    let plan_id = open::pick(&args.plan, records.iter().map(|r| r.plan.plan_id.as_str()), "plan").map_err(|f| {
        if f.message.starts_with("there is no") {
            f.hint("only plans that a round suggested can be approved: list them with `bellwether plan`")
        } else {
            f
        }
    })?;
    if plan_id != args.plan {
        return Err(Failure::user(format!("{:?} is only the beginning of {plan_id}, and an approval names its plan whole", args.plan))
            .hint(format!("read it with `bellwether plan {plan_id}` first, then approve {plan_id}")));
    }
    let record = records
        .iter()
        .find(|r| r.plan.plan_id.as_str() == plan_id)
        .ok_or_else(|| Failure::new(Kind::Internal, "a plan that was listed is gone"))?;
    let principal = match verifier.require(&token, APPROVER, now) {
        Ok(principal) => principal,
        Err(error) => {
            // Who tried and may not is worth knowing; a token that is not valid names nobody.
            if let TokenError::MissingRole { actor, .. } = &error {
                let detail = json!({"plan_id": plan_id, "why": error.to_string()});
                journal
                    .record(actor, "approval_denied", record.execution_id.as_str(), detail, now)
                    .await
                    .map_err(|e| open::upstream(&e))?;
            }
            return Err(token_failure(&error, &verifier, &token));
        }
    };
    if !matches!(record.state, ExecutionState::AwaitingApproval | ExecutionState::DryRun) {
        return Err(not_waiting(&plan_id, record.state, config.act.mode));
    }
    let redactor = open::redactor(config)?;
    let approval = Approval {
        plan_id: record.plan.plan_id.clone(),
        plan_digest: record.plan.digest,
        approver: principal.actor.clone(),
        role: APPROVER.to_owned(),
        approved: !args.reject,
        comment: args.comment.as_deref().map(|c| redactor.text(c).into_owned()),
        expires_at: now + VALID,
        recorded_at: now,
    };
    journal.approve(&record.execution_id, &approval, now).await.map_err(|e| Failure::of(Kind::User, &e))?;
    // The journal has it; the ledger gets it now, or with the next `act`.
    match open::lake(config).await {
        Ok(lake) => {
            if let Err(e) = relay(&journal, &lake, now).await {
                tracing::warn!(error = chain(&e), "the ledger gets the approval later");
            }
        }
        Err(e) => tracing::warn!(error = e.message, "the ledger gets the approval later"),
    }
    output::print(output, &approval, || {
        if approval.approved {
            format!(
                "{plan_id} is approved by {}, until {}; digest {}\nnext: `bellwether act`",
                approval.approver, approval.expires_at, approval.plan_digest
            )
        } else {
            format!("{plan_id} is rejected by {}: nothing will be carried out", approval.approver)
        }
    })
}

fn read_token(path: &std::path::Path) -> Result<String, Failure> {
    let text = std::fs::read_to_string(path).map_err(|e| {
        Failure::user(format!("cannot read the token file {}: {e}", path.display()))
            .hint("make a token with `bellwether token issue --subject YOU --role org-admin > token.jwt`")
    })?;
    let token = text.trim();
    if token.is_empty() {
        return Err(Failure::user(format!("the token file {} is empty", path.display())));
    }
    Ok(token.to_owned())
}

/// A token's error in words. Only a missing role is a refusal by policy.
fn token_failure(error: &TokenError, verifier: &Verifier, token: &str) -> Failure {
    match error {
        TokenError::MissingRole { .. } => {
            let roles = verifier.verify(token, clock::now()).map(|p: Principal| p.roles.join(", ")).unwrap_or_default();
            Failure::new(Kind::Refused, error.to_string()).hint(format!("its roles are {roles}; approvals need {APPROVER}"))
        }
        TokenError::Expired(_) => Failure::user(error.to_string()).hint("ask for a new one, or sign one with `bellwether token issue`"),
        TokenError::Invalid => {
            Failure::user("the token is not valid: its signature, algorithm, issuer or audience is not what is required, or it is no JWT")
                .hint("tokens are checked with serve.key_file, or with serve.public_key_file and serve.issuer where these are set")
        }
        TokenError::BadKey => Failure::of(Kind::Config, error),
        TokenError::Early(_) => Failure::user(error.to_string()),
    }
}

/// Why a plan in this state cannot be approved.
fn not_waiting(plan_id: &str, state: ExecutionState, mode: ActMode) -> Failure {
    let failure = Failure::user(format!("{plan_id} does not wait for approval: it is {state}"));
    match state {
        ExecutionState::Suggested if mode == ActMode::Plan => {
            failure.hint("act.mode is plan, so nothing is carried out; set it to execute, run `bellwether act`, and approve then")
        }
        ExecutionState::Suggested => failure.hint("run `bellwether act` first: the cluster is asked whether it would accept the plan"),
        ExecutionState::Approved => failure.hint("it is approved already: `bellwether act` carries it out"),
        _ => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_that_does_not_wait_says_why() {
        let failure = not_waiting("plan-1", ExecutionState::Suggested, ActMode::Plan);
        assert!(failure.to_string().contains("act.mode is plan"), "{failure}");
        assert!(not_waiting("plan-1", ExecutionState::Succeeded, ActMode::Execute).message.contains("succeeded"));
    }

    #[test]
    fn a_token_file_is_read_without_white_space() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t");
        assert!(read_token(&path).unwrap_err().to_string().contains("token issue"));
        std::fs::write(&path, "\n").unwrap();
        assert!(read_token(&path).unwrap_err().message.contains("empty"));
        std::fs::write(&path, "abc\n").unwrap();
        assert_eq!(read_token(&path).unwrap(), "abc");
    }
}
