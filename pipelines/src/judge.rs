//! Judging: from signals to decisions. Thinking without effects: no clock, no network, no file.
//!
//! signals → incidents → neighbours → recommendation → plan → decision. The same evidence gives the same conclusions, so a
//! round can be replayed.

use std::collections::{BTreeMap, BTreeSet};

use bellwether_embeddings::{Calibration, Embedder, Grounds, Index, IndexError, Runs, neighbours, rank};
use bellwether_executor::journal::transition::OURSELVES;
use bellwether_governance::binding::Governance;
use bellwether_governance::history::History;
use bellwether_governance::plan::{At, Proposal, Unplannable};
use bellwether_lineage::{Graph, correlate};
use bellwether_model::decision::Decision;
use bellwether_model::digest::Digest;
use bellwether_model::execution::{Execution, ExecutionState};
use bellwether_model::id::{IncidentId, PlaybookId, RoundId, ServiceName};
use bellwether_model::incident::Incident;
use bellwether_model::inventory::{Change, Inventory};
use bellwether_model::outcome::{Effect, Outcome};
use bellwether_model::plan::Plan;
use bellwether_model::playbook::Playbook;
use bellwether_model::recommendation::{Candidate, Exclusion, Match, Recommendation};
use bellwether_model::signal::Signal;
use bellwether_model::suppression::Suppression;
use bellwether_model::time::{Span, Timestamp};
use serde::Deserialize;

use crate::sift::Sifted;
use crate::vectors::Embedding;

/// By what is judged.
pub struct Standards<'a> {
    /// Blueprints, playbooks, checks.
    pub governance: &'a Governance,
    /// What turns text into vectors.
    pub embedding: &'a Embedding,
    /// How many playbooks to recommend at most.
    pub top: usize,
    /// Related signals that are closer in time than this are one incident.
    pub incident_gap: Span,
}

/// What is known, at the time of judging.
pub struct Evidence<'a> {
    /// What flows where.
    pub graph: &'a Graph,
    /// The fleet.
    pub inventory: &'a Inventory,
    /// What changed lately.
    pub changes: &'a [Change],
    /// Incidents that are open, or closed only just now.
    pub open_incidents: &'a [Incident],
    /// Signals that are open, and those of open incidents.
    pub open_signals: &'a [Signal],
    /// Past runs by text.
    pub index: &'a Index,
    /// Past runs.
    pub experience: &'a Runs,
    /// How stated scores came true so far.
    pub calibration: &'a Calibration,
    /// When open incidents were last recommended for, and under which configuration.
    pub recommended: &'a BTreeMap<IncidentId, Thought>,
    /// The configuration in force: what it names, playbooks and blueprints, decides what is recommended.
    pub config_digest: Digest,
    /// Where the executions for open incidents stand.
    pub executions: &'a [Execution],
    /// What came of them.
    pub outcomes: &'a [Outcome],
    /// What the journal knows of each service.
    pub histories: &'a BTreeMap<ServiceName, History>,
}

/// What a round concludes: rows of the ledger.
#[derive(Debug, Default)]
pub struct Conclusions {
    /// Transitions of signals.
    pub signals: Vec<Signal>,
    /// Transitions of suppressions: signals that nobody is told of.
    pub suppressions: Vec<Suppression>,
    /// How many signals are open and not told after the round.
    pub silent: usize,
    /// Transitions of incidents.
    pub incidents: Vec<Incident>,
    /// Past runs that resemble them.
    pub matches: Vec<Match>,
    /// What is recommended.
    pub recommendations: Vec<Recommendation>,
    /// The best candidate, bound to live objects.
    pub plans: Vec<Plan>,
    /// What governance says of each plan, in the same order.
    pub decisions: Vec<Decision>,
    /// Recommended playbooks that have no plan, and why.
    pub unplanned: Vec<Unplanned>,
}

/// When an incident was last recommended for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Thought {
    /// When.
    pub at: Timestamp,
    /// Digest of the configuration that was in force.
    pub config_digest: Digest,
}

/// A recommended playbook that has no plan.
#[derive(Debug)]
pub struct Unplanned {
    /// The incident.
    pub incident_id: IncidentId,
    /// The playbook.
    pub playbook_id: PlaybookId,
    /// Why: often advice that a person must follow.
    pub reason: Unplannable,
}

/// The incidents that these signals make, as they stand after them.
pub fn incidents(
    standards: &Standards<'_>,
    evidence: &Evidence<'_>,
    signals: &[Signal],
    round_id: &RoundId,
    now: Timestamp,
) -> Vec<Incident> {
    let moment = bellwether_lineage::Moment { round_id: round_id.clone(), now, gap: standards.incident_gap };
    correlate(evidence.graph, evidence.inventory, evidence.changes, evidence.open_incidents, signals, evidence.open_signals, &moment)
}

/// Judges what these signals, and the incidents that those make that are told, mean; the others are kept, with why nobody is told. `texts` has
/// the vectors of what is [`due`].
///
/// An incident is recommended for when a signal of it opened or worsened, when an attempt to mend it ended without success, or when the configuration
/// has changed since and nothing has helped yet: there may be new playbooks.
/// While an execution for it is under way nothing new is proposed. A playbook that was tried for it in vain, that a person
/// refused, or that was refused twice, is not proposed again.
///
/// # Errors
/// When the index is of another embedder than the texts.
pub fn judge(
    standards: &Standards<'_>,
    evidence: &Evidence<'_>,
    texts: &Embedder,
    sifted: Sifted,
    incidents: Vec<Incident>,
    round_id: &RoundId,
    now: Timestamp,
) -> Result<Conclusions, IndexError> {
    let Sifted { signals, told, suppressions, silent } = sifted;
    let mut conclusions = Conclusions { signals, suppressions, silent, ..Conclusions::default() };
    for incident in due(&incidents, &told, evidence) {
        let moment = rank::Moment { round_id: round_id.clone(), now };
        let matches = neighbours::neighbours(evidence.index, texts, incident, evidence.experience, rank::NEIGHBOURS, &moment)?;
        recommend(standards, evidence, incident, matches, &moment, &mut conclusions);
    }
    conclusions.incidents = incidents;
    Ok(conclusions)
}

/// The incidents for which something is to be recommended now, by id.
pub fn due<'a>(transitions: &'a [Incident], signals: &[Signal], evidence: &'a Evidence<'_>) -> Vec<&'a Incident> {
    let of = |incident: &Incident| {
        let id = incident.incident_id.clone();
        evidence.executions.iter().filter(move |e| e.incident_id == id)
    };
    let grew = |incident: &Incident| {
        let treated = of(incident).filter(|e| e.state == ExecutionState::Succeeded).map(|e| e.recorded_at).max();
        signals.iter().any(|s| s.is_open() && incident.signals.contains(&s.signal_id) && treated.is_none_or(|t| s.last_at > t))
    };
    let touched: BTreeSet<&IncidentId> = transitions.iter().map(|i| &i.incident_id).collect();
    let untouched = evidence.open_incidents.iter().filter(|i| i.is_open() && !touched.contains(&i.incident_id));
    // Ended in vain since it was last thought about: think again.
    let thought = |incident: &Incident| evidence.recommended.get(&incident.incident_id).copied();
    let retried = |incident: &Incident| of(incident).any(|e| ended_in_vain(e) && thought(incident).is_none_or(|t| e.recorded_at > t.at));
    let outdated = |incident: &Incident| {
        thought(incident).is_some_and(|t| t.config_digest != evidence.config_digest)
            && !of(incident).any(|e| e.state == ExecutionState::Succeeded)
    };
    let changed = transitions.iter().filter(|i| i.is_open() && (grew(i) || retried(i) || outdated(i)));
    let mut due: Vec<&Incident> = changed.chain(untouched.filter(|i| retried(i) || outdated(i))).collect();
    due.retain(|incident| !of(incident).any(is_under_way));
    due.sort_by(|a, b| a.incident_id.cmp(&b.incident_id));
    due
}

/// Whether an attempt is over and mended nothing.
fn ended_in_vain(execution: &Execution) -> bool {
    execution.state.is_terminal() && execution.state != ExecutionState::Succeeded
}

/// Whether something is being done: a mere suggestion that nobody took up does not count.
fn is_under_way(execution: &Execution) -> bool {
    matches!(
        execution.state,
        ExecutionState::AwaitingApproval
            | ExecutionState::Approved
            | ExecutionState::Executing
            | ExecutionState::Verifying
            | ExecutionState::RollingBack
    )
}

/// Playbooks that were tried for this incident in vain.
fn tried_in_vain(incident: &Incident, evidence: &Evidence<'_>) -> Vec<Exclusion> {
    let tried =
        |id: &PlaybookId, how: String| Exclusion { playbook_id: id.clone(), reason: format!("was tried for this incident and {how}") };
    let attempts = || evidence.executions.iter().filter(|e| e.incident_id == incident.incident_id);
    let refused = |e: &Execution| attempts().filter(|o| o.playbook_id == e.playbook_id && o.state == ExecutionState::Refused).count();
    let undone = attempts().filter_map(|e| match e.state {
        ExecutionState::RolledBack => Some(tried(&e.playbook_id, "was rolled back".into())),
        ExecutionState::Failed | ExecutionState::NeedsHuman => Some(tried(&e.playbook_id, format!("ended as {}", e.state))),
        // The program refuses a plan when the ground under it has moved, too: then a new plan is worth a try, once.
        ExecutionState::Refused if e.actor.as_str() != OURSELVES || refused(e) > 1 => {
            Some(Exclusion { playbook_id: e.playbook_id.clone(), reason: format!("was refused for this incident: {}", e.detail) })
        }
        _ => None,
    });
    let vain = evidence.outcomes.iter().filter(|o| o.incident_id == incident.incident_id && o.effect != Effect::Effective);
    undone.chain(vain.map(|o| tried(&o.playbook_id, format!("was {}", o.effect)))).collect()
}

fn recommend(
    standards: &Standards<'_>,
    evidence: &Evidence<'_>,
    incident: &Incident,
    matches: Vec<Match>,
    moment: &rank::Moment,
    conclusions: &mut Conclusions,
) {
    let playbooks: Vec<Playbook> = standards.governance.playbooks().map(|p| p.playbook.clone()).collect();
    let mut exclusions = standards.governance.exclusions(incident, evidence.inventory);
    exclusions.extend(tried_in_vain(incident, evidence));
    let grounds = Grounds {
        matches: &matches,
        experience: evidence.experience,
        playbooks: &playbooks,
        exclusions: &exclusions,
        calibration: evidence.calibration,
    };
    let recommendation = rank::rank(incident, &grounds, moment, standards.top);
    if let Some(best) = recommendation.candidates.first() {
        match plan_and_decide(standards.governance, evidence, incident, &recommendation, best, &moment.round_id, moment.now) {
            Ok((plan, decision)) => {
                conclusions.plans.push(plan);
                conclusions.decisions.push(decision);
            }
            Err(reason) => conclusions.unplanned.push(Unplanned {
                incident_id: incident.incident_id.clone(),
                playbook_id: best.playbook_id.clone(),
                reason,
            }),
        }
    }
    conclusions.matches.extend(matches);
    conclusions.recommendations.push(recommendation);
}

/// Binds one candidate to live objects and asks governance.
///
/// # Errors
/// There is no plan, and why.
pub fn plan_and_decide(
    governance: &Governance,
    evidence: &Evidence<'_>,
    incident: &Incident,
    recommendation: &Recommendation,
    candidate: &Candidate,
    round_id: &RoundId,
    now: Timestamp,
) -> Result<(Plan, Decision), Unplannable> {
    let proposal = Proposal { recommendation_id: &recommendation.recommendation_id, candidate, incident };
    let plan = bellwether_governance::plan::plan(governance, &proposal, evidence.inventory, At { round_id, now })?;
    let history = evidence.histories.get(&plan.body.service).cloned().unwrap_or_default();
    let decision = bellwether_governance::decide::decide(governance, &plan, &history, At { round_id, now });
    Ok((plan, decision))
}

#[cfg(test)]
mod tests;
