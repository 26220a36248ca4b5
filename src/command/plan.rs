//! `bellwether plan`

use bellwether_executor::journal::record::Record;
use bellwether_governance::plan::{At, Proposal, Unplannable};
use bellwether_lake::{Lake, tables};
use bellwether_model::decision::{Decision, Tier};
use bellwether_model::execution::{Execution, ExecutionState};
use bellwether_model::id::{PlaybookId, RecommendationId};
use bellwether_model::plan::Plan;
use bellwether_model::recommendation::{Candidate, Recommendation};
use bellwether_pipelines::history::histories;
use bellwether_sql::{Session, literal};
use serde::{Deserialize, Serialize};

use super::incidents::{card, open_cards};
use super::{session, sql_failure};
use crate::cli::{Output, PlanArgs};
use crate::clock;
use crate::config::{ActMode, Config};
use crate::failure::{Failure, Kind, chain};
use crate::report::data::IncidentCard;
use crate::{open, output};

/// A plan with what governance says of it and where its execution stands.
#[derive(Debug, Serialize)]
struct Shown {
    plan: Plan,
    decision: Option<Decision>,
    state: Option<ExecutionState>,
    next: String,
}

/// Runs the command.
pub async fn run(config: &Config, args: PlanArgs, output: Output) -> Result<(), Failure> {
    let lake = open::lake(config).await?;
    let session = session(&lake, None).await?;
    let found = match (&args.id, &args.playbook) {
        (None, _) => under_way(config, open_cards(&session).await?.into_iter().filter_map(newest).collect()).await?,
        (Some(id), None) => vec![of_id(config, &session, id).await?],
        (Some(id), Some(playbook)) => vec![bind(config, &lake, &session, id, playbook).await?],
    };
    let mut shown = Vec::new();
    for (plan, decision) in found {
        let record = record_of(config, &plan).await?;
        let state = record.as_ref().map(|r| r.state);
        let next = next(&plan, decision.as_ref(), state, config.act.mode);
        shown.push(Shown { plan, decision, state, next });
    }
    output::print(output, &shown, || {
        if shown.is_empty() {
            return "no open incident has a plan, and none waits; `bellwether recommend` says what is recommended, and why not".to_owned();
        }
        shown.iter().map(text).collect::<Vec<_>>().join("\n\n")
    })
}

/// These plans, and those that are not done though their incident is over: they wait for a person, or are being carried out.
async fn under_way(config: &Config, mut plans: Vec<(Plan, Option<Decision>)>) -> Result<Vec<(Plan, Option<Decision>)>, Failure> {
    if config.journal.path.exists() {
        let open = open::journal(config).await?.open_executions().await.map_err(|e| open::upstream(&e))?;
        let missing: Vec<Record> = open.into_iter().filter(|r| plans.iter().all(|(p, _)| p.plan_id != r.plan.plan_id)).collect();
        plans.extend(missing.into_iter().map(|r| (r.plan, Some(r.decision))));
    }
    Ok(plans)
}

fn newest(card: IncidentCard) -> Option<(Plan, Option<Decision>)> {
    card.attempts.into_iter().next_back().map(|a| (a.plan, a.decision))
}

async fn record_of(config: &Config, plan: &Plan) -> Result<Option<Record>, Failure> {
    if !config.journal.path.exists() {
        return Ok(None);
    }
    open::journal(config).await?.of_plan(&plan.plan_id).await.map_err(|e| open::upstream(&e))
}

/// The plan of this id, or the newest of the incident of this id.
async fn of_id(config: &Config, session: &Session, wanted: &str) -> Result<(Plan, Option<Decision>), Failure> {
    #[derive(Deserialize)]
    struct Id {
        id: String,
    }
    let known: Vec<Id> = session
        .rows("SELECT plan_id AS id FROM plans UNION SELECT incident_id AS id FROM incidents_current ORDER BY id")
        .await
        .map_err(|e| sql_failure(&e))?;
    let id = open::pick(wanted, known.iter().map(|k| k.id.as_str()), "incident or plan").map_err(|f| Failure {
        hint: Some("list incidents with `bellwether incidents`, and the plans of open ones with `bellwether plan`".into()),
        ..f
    })?;
    let quoted = literal::text(&id);
    let plans: Vec<Plan> = session
        .rows(&format!("SELECT * FROM plans WHERE plan_id = {quoted} ORDER BY recorded_at DESC LIMIT 1"))
        .await
        .map_err(|e| sql_failure(&e))?;
    if let Some(plan) = plans.into_iter().next() {
        let decisions: Vec<Decision> = session
            .rows(&format!("SELECT * FROM decisions WHERE plan_id = {quoted} ORDER BY recorded_at DESC LIMIT 1"))
            .await
            .map_err(|e| sql_failure(&e))?;
        return Ok((plan, decisions.into_iter().next()));
    }
    let card = card(session, &id).await?;
    let why = match &card.recommendation {
        Some(r) if r.candidates.is_empty() => {
            format!("nothing is recommended for it: {}", r.abstained.as_deref().unwrap_or("no playbook fits"))
        }
        Some(r) => format!("{} is recommended for it, {}", r.candidates[0].playbook_id, unplanned(config, session, &card, r).await?),
        None => "nothing is recommended for it yet".to_owned(),
    };
    newest(card).ok_or_else(|| {
        Failure::user(format!("incident {id} has no plan: {why}")).hint("bind a playbook of your choice to it with --playbook ID")
    })
}

/// Why the playbook that is recommended first has no plan.
async fn unplanned(config: &Config, session: &Session, card: &IncidentCard, recommendation: &Recommendation) -> Result<String, Failure> {
    let governance = open::governance(config)?;
    let evidence = session.evidence().await.map_err(|e| sql_failure(&e))?;
    let (recommendation_id, candidate) = (&recommendation.recommendation_id, &recommendation.candidates[0]);
    let proposal = Proposal { recommendation_id, candidate, incident: &card.incident };
    let at = At { round_id: &card.incident.round_id, now: clock::now() };
    Ok(because(bellwether_governance::plan::plan(&governance, &proposal, &evidence.inventory, at).err().as_ref()))
}

/// The same in words: advice is not a failure to plan.
fn because(reason: Option<&Unplannable>) -> String {
    match reason {
        Some(Unplannable::Advice(text)) => format!("and is advice for a person: {text}"),
        Some(reason) => format!("and cannot be planned: {}", chain(reason)),
        None => "and could not be planned when it was; it can be now".to_owned(),
    }
}

/// What a rule of this tier does to a plan.
const fn verb(tier: Tier) -> &'static str {
    match tier {
        Tier::Allowed => "permits",
        Tier::Restricted => "restricts",
        Tier::Forbidden => "forbids",
    }
}

/// Binds a playbook of a person's choice to an incident, and writes the plan down so that it can be approved.
async fn bind(config: &Config, lake: &Lake, session: &Session, wanted: &str, playbook: &str) -> Result<(Plan, Option<Decision>), Failure> {
    let governance = open::governance(config)?;
    let id = super::incidents::pick(session, wanted).await?;
    let known: Vec<&str> = governance.playbooks().map(|p| p.playbook.id.as_str()).collect();
    let playbook_id = PlaybookId::new(playbook);
    if governance.playbook(&playbook_id).is_none() {
        let failure = Failure::user(format!("there is no playbook {playbook:?}"));
        return Err(if known.is_empty() {
            failure.hint("none is loaded: set `governance: {playbooks: FOLDER}`")
        } else {
            failure.hint(bellwether_governance::yaml::suggestion(playbook, known.iter().copied()))
        });
    }
    let card = card(session, &id).await?;
    let evidence = session.evidence().await.map_err(|e| sql_failure(&e))?;
    let now = clock::now();
    let recommendation_id =
        card.recommendation.as_ref().map_or_else(|| RecommendationId::of(&["by hand", &id]), |r| r.recommendation_id.clone());
    let scored =
        card.recommendation.iter().flat_map(|r| r.candidates.iter().chain(&r.near_misses)).find(|c| c.playbook_id == playbook_id).cloned();
    let candidate = scored.unwrap_or_else(|| Candidate {
        playbook_id: playbook_id.clone(),
        score: 0.0,
        justification: "chosen by a person".into(),
        similarity: 0.0,
        success_rate: 0.0,
        evidence: Vec::new(),
        reckoning: None,
    });
    // Rows of the ledger count with the round that saw the incident.
    let round_id = card.incident.round_id.clone();
    let at = At { round_id: &round_id, now };
    let proposal = Proposal { recommendation_id: &recommendation_id, candidate: &candidate, incident: &card.incident };
    let plan = bellwether_governance::plan::plan(&governance, &proposal, &evidence.inventory, at)
        .map_err(|e| Failure::user(format!("{playbook} cannot be planned for {id}: {}", chain(&e))))?;
    let transitions: Vec<Execution> =
        session.rows("SELECT * FROM executions ORDER BY recorded_at, execution_id, sequence").await.map_err(|e| sql_failure(&e))?;
    let history = histories(&governance, &transitions, now).remove(&plan.body.service).unwrap_or_default();
    let decision = bellwether_governance::decide::decide(&governance, &plan, &history, at);
    let known: Vec<Plan> = session
        .rows(&format!("SELECT * FROM plans WHERE plan_id = {}", literal::text(plan.plan_id.as_str())))
        .await
        .map_err(|e| sql_failure(&e))?;
    if known.is_empty() {
        lake.append_rows(&tables::PLANS, std::slice::from_ref(&plan), &[]).await.map_err(|e| open::lake_failure(&e))?;
        lake.append_rows(&tables::DECISIONS, std::slice::from_ref(&decision), &[]).await.map_err(|e| open::lake_failure(&e))?;
    }
    let journal = open::journal(config).await?;
    journal.suggest(&plan, &decision, now).await.map_err(|e| Failure::of(Kind::Upstream, &e))?;
    Ok((plan, Some(decision)))
}

/// What a plan is, in lines.
pub fn lines(plan: &Plan, decision: Option<&Decision>) -> Vec<String> {
    let body = &plan.body;
    let mut lines = vec![
        format!("{} for {} ({}), confidence {:.2}", body.playbook_id, body.target, body.service, body.confidence),
        format!("digest {}", plan.digest),
    ];
    for (i, step) in body.steps.iter().enumerate() {
        lines.push(format!("step {}  {}  as {}", i + 1, step.summary, step.field_manager));
        lines.push(format!("  becomes  {}", step.patch));
        lines.push(format!("  undo     {}", step.before));
    }
    let verification = &body.verification;
    if verification.checks.is_empty() {
        lines.push("verified by nothing: the blueprint names no check".into());
    } else {
        let undo = if verification.automatic_rollback { "undone when they fail" } else { "not undone by itself" };
        lines.push(format!("verified {} after the change, {undo}:", verification.stabilization));
        lines.extend(
            verification
                .checks
                .iter()
                .map(|c| format!("  {} {}{}", c.name, c.target, if c.rollback_trigger { ", or rolled back" } else { "" })),
        );
    }
    if let Some(decision) = decision {
        let how = match (decision.tier, decision.unattended) {
            (Tier::Allowed, true) => "allowed, unattended".to_owned(),
            (Tier::Allowed, false) => "allowed, when a person approves".to_owned(),
            (tier, _) => tier.to_string(),
        };
        lines.push(format!("governance says: {how}"));
        lines.extend(decision.reasons.iter().map(|r| format!("  {:<10} {}: {}", verb(r.tier), r.rule, r.text)));
        if !decision.approvers.is_empty() {
            lines.push(format!("  may be approved by {}", decision.approvers.join(", ")));
        }
        if !decision.alternatives.is_empty() {
            let names: Vec<String> = decision.alternatives.iter().map(ToString::to_string).collect();
            lines.push(format!("  permitted instead: {}", names.join(", ")));
        }
    }
    lines
}

fn text(shown: &Shown) -> String {
    let plan = &shown.plan;
    let state = shown.state.map_or_else(String::new, |s| format!("  [{s}]"));
    format!(
        "{}{state}  for {}\n  {}\n  next: {}",
        plan.plan_id,
        plan.body.incident_id,
        lines(plan, shown.decision.as_ref()).join("\n  "),
        shown.next
    )
}

/// What a person does next about a plan.
pub fn next(plan: &Plan, decision: Option<&Decision>, state: Option<ExecutionState>, mode: ActMode) -> String {
    use ExecutionState as S;
    let id = &plan.plan_id;
    match (state, mode) {
        (Some(S::AwaitingApproval), _) => format!("`bellwether approve {id} --token-file FILE`, then `bellwether act`"),
        (Some(S::Executing | S::Verifying | S::RollingBack), _) => "`bellwether act` carries it on and verifies it".into(),
        (Some(S::Approved), _) => "`bellwether act` carries it out".into(),
        (Some(state), _) if state.is_terminal() => format!("nothing: it is {state}"),
        _ if decision.is_some_and(|d| d.tier == Tier::Forbidden) => "nothing: governance forbids it".into(),
        (_, ActMode::Plan) => "nothing is carried out while act.mode is plan".into(),
        (Some(S::DryRun), ActMode::DryRun) => "the cluster would accept it; with act.mode: execute it can be carried out".into(),
        _ => "`bellwether act`".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    #[test]
    fn a_plan_shows_its_patches_undo_and_every_reason() {
        let data = fixture::fleet();
        let attempt = data.incidents.iter().flat_map(|c| &c.attempts).next().unwrap();
        let text = lines(&attempt.plan, attempt.decision.as_ref()).join("\n");
        for step in &attempt.plan.body.steps {
            assert!(text.contains(&step.patch.to_string()) && text.contains(&step.before.to_string()), "{text}");
        }
        for reason in &attempt.decision.as_ref().unwrap().reasons {
            assert!(text.contains(&reason.text), "{text}");
        }
        assert!(text.contains(&attempt.plan.digest.to_string()));
    }

    #[test]
    fn advice_is_not_told_as_a_failure() {
        assert_eq!(because(Some(&Unplannable::Advice("retrain it".into()))), "and is advice for a person: retrain it");
        let unknown = Unplannable::UnknownPlaybook("gone".into());
        assert_eq!(because(Some(&unknown)), "and cannot be planned: playbook gone is not loaded");
    }

    #[test]
    fn what_comes_next_follows_from_state_and_mode() {
        let data = fixture::fleet();
        let plan = &data.incidents.iter().flat_map(|c| &c.attempts).next().unwrap().plan;
        let say = |state, mode| next(plan, None, state, mode);
        assert!(say(Some(ExecutionState::AwaitingApproval), ActMode::Execute).contains(plan.plan_id.as_str()));
        assert!(say(Some(ExecutionState::Suggested), ActMode::Plan).contains("act.mode is plan"));
        assert!(say(Some(ExecutionState::Suggested), ActMode::Execute).contains("act"));
        assert!(say(Some(ExecutionState::RolledBack), ActMode::Execute).contains("rolled_back"));
    }
}
