//! Acting: the only effects on the outside world, driven from the journal.
//!
//! Each call does what can be done now and says when to look again; nothing here waits. What runs, and in which order, is
//! in the journal, so a crash anywhere loses nothing but time: the next call goes on where the journal stands.

use std::collections::BTreeMap;

use bellwether_executor::journal::record::Record;
use bellwether_executor::journal::transition::{OURSELVES, TransitionError};
use bellwether_executor::{ClaimError, Cluster, Journal, Next, Observations, StepError, StoreError, dry_run, observe, step};
use bellwether_governance::admit::{Authority, Refusal, RefusalKind, admit, standing};
use bellwether_governance::assess::{Measured, assess};
use bellwether_governance::binding::Governance;
use bellwether_model::decision::{Decision, Tier};
use bellwether_model::execution::{CheckResult, ExecutionState};
use bellwether_model::id::{Actor, CheckName, ExecutionId, IncidentId};
use bellwether_model::outcome::Outcome;
use bellwether_model::plan::{Plan, PlannedCheck};
use bellwether_model::time::{Span, Timestamp};
use bellwether_model::verdict::Verdict;

use crate::prometheus::Prometheus;

/// How far acting may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// Plans are written down.
    Suggest,
    /// The API server is asked whether it would accept them.
    DryRun,
    /// What governance admits is carried out.
    Execute,
}

/// How many of the newest executions are looked through for an outcome that is still to be assessed.
const RECENT: i64 = 200;

/// When to look again at an execution that a limit or an outage holds back.
const LATER: Span = Span::from_secs(5);

/// The role under which the journal records a standing approval.
const STANDING: &str = "standing";

/// What acting needs.
pub struct Acting<'a> {
    /// Where it is written down.
    pub journal: &'a Journal,
    /// What is acted on.
    pub cluster: &'a Cluster,
    /// What verification measures with.
    pub prometheus: Option<&'a Prometheus>,
    /// By what is admitted.
    pub governance: &'a Governance,
    /// How far it may go.
    pub reach: Reach,
}

/// Acting could not go on at all.
#[derive(Debug, thiserror::Error)]
pub enum ActError {
    /// The journal cannot be read or written, so nothing happens.
    #[error("the journal cannot be used, so nothing is carried out")]
    Journal(#[from] StoreError),
    /// The journal refused a transition.
    #[error("an execution could not be moved on")]
    Transition(#[from] TransitionError),
}

/// Where acting stands after a call.
#[derive(Debug, Default)]
pub struct Acted {
    /// Every execution that was looked at, with the state it is in now.
    pub executions: Vec<(ExecutionId, ExecutionState)>,
    /// What held something back, in words.
    pub held: Vec<(ExecutionId, String)>,
    /// When to call again; none when nothing is under way.
    pub next_at: Option<Timestamp>,
}

impl Acting<'_> {
    /// Writes plans down. A plan that is already in the journal is left as it is.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub async fn suggest(&self, plans: &[Plan], decisions: &[Decision], now: Timestamp) -> Result<Vec<ExecutionId>, ActError> {
        let mut ids = Vec::with_capacity(plans.len());
        for (plan, decision) in plans.iter().zip(decisions) {
            ids.push(self.journal.suggest(plan, decision, now).await?);
        }
        Ok(ids)
    }

    /// Assesses every execution that ended without an assessment, and writes the outcome down as experience. `summaries` holds the
    /// texts of incidents: what future incidents are compared with.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub async fn assess(&self, summaries: &BTreeMap<IncidentId, String>, now: Timestamp) -> Result<Vec<Outcome>, ActError> {
        let mut outcomes = Vec::new();
        for record in self.journal.list(RECENT).await? {
            let ended = matches!(
                record.state,
                ExecutionState::Succeeded | ExecutionState::RolledBack | ExecutionState::Failed | ExecutionState::NeedsHuman
            );
            if !ended || record.claimed_at.is_none() || self.journal.outcome(&record.execution_id).await?.is_some() {
                continue;
            }
            let transitions = self.journal.transitions(&record.execution_id).await?;
            let after: Vec<CheckResult> =
                transitions.iter().rev().find(|t| !t.checks.is_empty()).map(|t| t.checks.clone()).unwrap_or_default();
            let checks = &record.plan.body.verification.checks;
            let before: Vec<CheckResult> = checks.iter().map(|c| CheckResult::judge(c, record.baseline.get(&c.name).copied())).collect();
            let verdicts: Vec<Verdict> =
                transitions.iter().filter(|t| !t.checks.is_empty()).map(|t| Verdict::all(t.checks.iter().map(|c| c.verdict))).collect();
            let assessment = assess(&Measured { checks, before: &before, after: &after, verdicts: &verdicts });
            let outcome = Outcome {
                execution_id: record.execution_id.clone(),
                plan_id: record.plan.plan_id.clone(),
                incident_id: record.plan.body.incident_id.clone(),
                playbook_id: record.plan.body.playbook_id.clone(),
                effect: assessment.effect,
                checks: after,
                summary: summaries.get(&record.plan.body.incident_id).cloned().unwrap_or_default(),
                detail: assessment.text,
                recorded_at: now,
            };
            if self.journal.record_outcome(&outcome, now).await? {
                outcomes.push(outcome);
            }
        }
        Ok(outcomes)
    }

    /// Carries on everything that is open, as far as it goes now.
    ///
    /// # Errors
    /// When the journal cannot be used. What one execution meets holds up no other.
    pub async fn carry_on(&self, now: Timestamp) -> Result<Acted, ActError> {
        self.carry_on_those(|_| true, now).await
    }

    /// Carries on those open executions that are wanted; otherwise as [`Acting::carry_on`].
    ///
    /// # Errors
    /// As [`Acting::carry_on`].
    pub async fn carry_on_those(&self, wanted: impl Fn(&Record) -> bool, now: Timestamp) -> Result<Acted, ActError> {
        let mut acted = Acted::default();
        for record in self.journal.open_executions().await?.into_iter().filter(wanted) {
            let id = record.execution_id.clone();
            match self.carry_one(record, now, &mut acted).await {
                Ok(Some(at)) => acted.next_at = Some(acted.next_at.map_or(at, |t| t.min(at))),
                Ok(None) => {}
                // Someone else moved it meanwhile: theirs counts.
                Err(ActError::Transition(TransitionError::Overtaken { .. })) => {}
                Err(other) => return Err(other),
            }
            if let Some(record) = self.journal.get(&id).await? {
                acted.executions.push((id, record.state));
            }
        }
        Ok(acted)
    }

    /// Carries one execution on; says when to look again, where looking again helps.
    async fn carry_one(&self, mut record: Record, now: Timestamp, acted: &mut Acted) -> Result<Option<Timestamp>, ActError> {
        let id = record.execution_id.clone();
        if record.state == ExecutionState::Suggested {
            match self.try_out(&record, now, acted).await? {
                Some(next) => record = next,
                None => return Ok(None),
            }
        }
        if record.state == ExecutionState::DryRun {
            if self.reach < Reach::Execute {
                return Ok(None);
            }
            if !record.decision.unattended {
                let why: Vec<&str> =
                    record.decision.reasons.iter().filter(|r| r.tier == Tier::Restricted).map(|r| r.text.as_str()).collect();
                let why = if why.is_empty() { "the playbook does not run unattended".to_owned() } else { why.join("; ") };
                self.journal.await_approval(&id, &why, now).await?;
                return Ok(None);
            }
        }
        if record.state == ExecutionState::AwaitingApproval || self.reach < Reach::Execute {
            return Ok(None);
        }
        if matches!(record.state, ExecutionState::DryRun | ExecutionState::Approved)
            && let Some(at) = self.admit_and_claim(&record, now, acted).await?
        {
            return Ok(at);
        }
        self.go_on(&id, now, acted).await
    }

    /// Asks the API server whether it would accept the plan.
    async fn try_out(&self, record: &Record, now: Timestamp, acted: &mut Acted) -> Result<Option<Record>, ActError> {
        let id = &record.execution_id;
        let ourselves = Actor::new(OURSELVES);
        if record.decision.tier == Tier::Forbidden {
            let why: Vec<&str> = record.decision.reasons.iter().filter(|r| r.tier == Tier::Forbidden).map(|r| r.text.as_str()).collect();
            self.journal.refuse(id, &ourselves, &why.join("; "), now).await?;
            return Ok(None);
        }
        if self.reach < Reach::DryRun || matches!(self.cluster, Cluster::None) {
            return Ok(None);
        }
        match dry_run(self.cluster, &record.plan).await {
            Ok(outcome) => self.journal.record_dry_run(id, &outcome, now).await?,
            Err(e) if e.is_transient() => {
                acted.held.push((id.clone(), format!("the dry run got no answer: {}", words(&e))));
                return Ok(None);
            }
            Err(e) => {
                self.journal.refuse(id, &ourselves, &format!("the dry run was refused: {}", words(&e)), now).await?;
                return Ok(None);
            }
        }
        Ok(self.journal.get(id).await?)
    }

    /// Admits the plan and claims its execution, anew where another session had claimed it. Gives when to look again if it was
    /// not claimed.
    async fn admit_and_claim(&self, record: &Record, now: Timestamp, acted: &mut Acted) -> Result<Option<Option<Timestamp>>, ActError> {
        let id = &record.execution_id;
        let again = record.state == ExecutionState::Executing;
        let by_a_person = record.approval.clone().filter(|a| a.role != STANDING).map(Authority::Approval);
        let Some(authority) = by_a_person.or_else(|| standing(self.governance, &record.plan)) else {
            self.journal.await_approval(id, "nobody stands in for an approver", now).await?;
            return Ok(Some(None));
        };
        let sent = self.journal.sent(id).await?;
        let live = match observe(self.cluster, &record.plan, &sent).await {
            Ok(live) => live,
            Err(e) => {
                acted.held.push((id.clone(), format!("the cluster gave no answer: {}", words(&e))));
                return Ok(Some(Some(now + LATER)));
            }
        };
        let service = &record.plan.body.service;
        let limits = self.governance.service(service).map(|s| s.blueprint.safety).unwrap_or_default();
        let history = self.journal.history_beside(id, service, &limits, now).await?;
        let admitted = match admit(self.governance, record.plan.clone(), authority, &history, &live, now) {
            Ok(admitted) => admitted,
            Err(refusal) => return self.refused(record, refusal, now, acted).await,
        };
        if !again {
            self.measure_baseline(record, now).await?;
        }
        let claimed = if again { self.journal.claim_again(&admitted, now).await } else { self.journal.claim(&admitted, now).await };
        match claimed {
            Ok(_) => Ok(None),
            Err(ClaimError::Refused(refusal)) => self.refused(record, refusal, now, acted).await,
            Err(e @ ClaimError::Busy { .. }) => {
                acted.held.push((id.clone(), words(&e)));
                Ok(Some(Some(now + LATER)))
            }
            Err(e @ ClaimError::NotRecorded { .. }) => {
                self.journal.refuse(id, &Actor::new(OURSELVES), &words(&e), now).await?;
                Ok(Some(None))
            }
            Err(ClaimError::Transition(e)) => Err(e.into()),
        }
    }

    /// What becomes of an execution that was refused: limits pass, everything else is final.
    async fn refused(
        &self,
        record: &Record,
        refusal: Refusal,
        now: Timestamp,
        acted: &mut Acted,
    ) -> Result<Option<Option<Timestamp>>, ActError> {
        let id = &record.execution_id;
        match refusal.kind() {
            RefusalKind::Limit => {
                acted.held.push((id.clone(), words(&refusal)));
                Ok(Some(Some(now + LATER)))
            }
            RefusalKind::ApprovalNeeded => {
                acted.held.push((id.clone(), words(&refusal)));
                Ok(Some(None))
            }
            // Steps were sent before a restart, and the rest may not be sent any more: take them back.
            _ if record.state == ExecutionState::Executing => {
                self.journal.rollback(id, &Actor::new(OURSELVES), &words(&refusal), now).await?;
                Ok(None)
            }
            RefusalKind::Policy | RefusalKind::Stale | RefusalKind::Integrity => {
                self.journal.refuse(id, &Actor::new(OURSELVES), &words(&refusal), now).await?;
                Ok(Some(None))
            }
        }
    }

    /// Steps the execution until it waits or ends, measuring what it asks for.
    async fn go_on(&self, id: &ExecutionId, now: Timestamp, acted: &mut Acted) -> Result<Option<Timestamp>, ActError> {
        let mut observed = Observations::default();
        loop {
            match step(self.journal, self.cluster, id, &observed, now).await {
                Ok(Next::Wait { at }) => return Ok(Some(at)),
                Ok(Next::Measure { at, .. }) if at > now => return Ok(Some(at)),
                Ok(Next::Measure { checks, .. }) => {
                    if observed.measured_at == now && !observed.values.is_empty() {
                        return Ok(Some(now + LATER));
                    }
                    observed = Observations { measured_at: now, values: self.measure(&checks, now).await };
                }
                Ok(Next::Admit | Next::Readmit) => {
                    let Some(record) = self.journal.get(id).await? else { return Ok(None) };
                    if let Some(at) = self.admit_and_claim(&record, now, acted).await? {
                        return Ok(at);
                    }
                }
                Ok(Next::Done(_)) => return Ok(None),
                Err(StepError::Journal(e)) => return Err(e.into()),
                Err(e @ (StepError::NotApproved { .. } | StepError::NoCluster { .. })) => {
                    acted.held.push((id.clone(), words(&e)));
                    return Ok(None);
                }
            }
        }
    }

    /// Measures the plan's checks before anything is changed, so that the outcome can be told from what was there.
    async fn measure_baseline(&self, record: &Record, now: Timestamp) -> Result<(), ActError> {
        if record.baseline.is_empty() {
            let values = self.measure(&record.plan.body.verification.checks, now).await;
            self.journal.record_baseline(&record.execution_id, &values).await?;
        }
        Ok(())
    }

    /// What each check's query gives now. A query that gives nothing, gives several values, or fails, is no data.
    async fn measure(&self, checks: &[PlannedCheck], now: Timestamp) -> BTreeMap<CheckName, Option<f64>> {
        let mut values = BTreeMap::new();
        for check in checks {
            let answer = match self.prometheus {
                Some(prometheus) => prometheus.query(&check.query, now).await,
                None => Ok(Vec::new()),
            };
            let value = match answer.as_deref() {
                Ok([one]) => Some(one.value),
                Ok(several) => {
                    if several.len() > 1 {
                        tracing::warn!(check = %check.name, results = several.len(), "a check's query must give one value");
                    }
                    None
                }
                Err(e) => {
                    tracing::warn!(check = %check.name, error = %e, "a check could not be measured");
                    None
                }
            };
            values.insert(check.name.clone(), value);
        }
        values
    }
}

/// An error's message with those of its sources.
fn words(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        source = inner.source();
    }
    text
}
