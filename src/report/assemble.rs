//! Rows of the ledger become incident cards: the join that the report is made of.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use bellwether_model::decision::{Approval, Decision};
use bellwether_model::execution::{Execution, ExecutionState};
use bellwether_model::id::{IncidentId, RunId, SignalId};
use bellwether_model::incident::Incident;
use bellwether_model::inventory::{Change, Entity};
use bellwether_model::label::Label;
use bellwether_model::outcome::Outcome;
use bellwether_model::plan::Plan;
use bellwether_model::recommendation::{Match, Recommendation};
use bellwether_model::run::Run;
use bellwether_model::signal::Signal;

use super::chart::Chart;
use super::data::{Attempt, IncidentCard, PastRun, rank};
use super::words;

/// The rows that cards are made of. Any order; rows of other incidents do no harm. Of logs of transitions either all rows
/// or only the newest of each may be given.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rows {
    /// Incidents.
    pub incidents: Vec<Incident>,
    /// Signals.
    pub signals: Vec<Signal>,
    /// Recommendations.
    pub recommendations: Vec<Recommendation>,
    /// Stored neighbours.
    pub matches: Vec<Match>,
    /// Past runs.
    pub runs: Vec<Run>,
    /// Plans.
    pub plans: Vec<Plan>,
    /// Decisions.
    pub decisions: Vec<Decision>,
    /// Approvals.
    pub approvals: Vec<Approval>,
    /// Transitions of executions, all of them.
    pub executions: Vec<Execution>,
    /// Outcomes.
    pub outcomes: Vec<Outcome>,
    /// Changes of the fleet.
    pub changes: Vec<Change>,
    /// Labels by people.
    pub labels: Vec<Label>,
    /// Drawn series of each incident.
    pub charts: BTreeMap<IncidentId, Vec<Chart>>,
    /// The way from root to endpoints of each incident.
    pub lineage_paths: BTreeMap<IncidentId, String>,
}

const MOST_PAST_RUNS: usize = 5;
const MOST_CHANGES: usize = 6;

/// One card for each incident, ranked.
pub(crate) fn cards(rows: &Rows) -> Vec<IncidentCard> {
    let mut newest: BTreeMap<&IncidentId, &Incident> = BTreeMap::new();
    for row in &rows.incidents {
        let kept = newest.entry(&row.incident_id).or_insert(row);
        if row.recorded_at >= kept.recorded_at {
            *kept = row;
        }
    }
    let mut cards: Vec<_> = newest.into_values().map(|incident| card(rows, incident)).collect();
    rank(&mut cards);
    cards
}

fn card(rows: &Rows, incident: &Incident) -> IncidentCard {
    let id = &incident.incident_id;
    IncidentCard {
        signals: signals(rows, incident),
        charts: rows.charts.get(id).cloned().unwrap_or_default(),
        recommendation: rows.recommendations.iter().filter(|r| &r.incident_id == id).max_by_key(|r| r.recorded_at).cloned(),
        attempts: attempts(rows, id),
        past: past(rows, id),
        also_changed: also_changed(rows, incident),
        lineage_path: rows.lineage_paths.get(id).cloned(),
        label: rows.labels.iter().filter(|l| l.subject_id == id.as_str()).max_by_key(|l| l.recorded_at).cloned(),
        incident: incident.clone(),
    }
}

fn signals(rows: &Rows, incident: &Incident) -> Vec<Signal> {
    let wanted: BTreeSet<&SignalId> = incident.signals.iter().collect();
    let mut newest: BTreeMap<&SignalId, &Signal> = BTreeMap::new();
    for row in rows.signals.iter().filter(|s| wanted.contains(&s.signal_id)) {
        let kept = newest.entry(&row.signal_id).or_insert(row);
        if row.recorded_at >= kept.recorded_at {
            *kept = row;
        }
    }
    let mut signals: Vec<_> = newest.into_values().cloned().collect();
    signals.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.signal_id.cmp(&b.signal_id)));
    signals
}

/// Every plan that a person approved or is asked to approve, and the newest one.
fn attempts(rows: &Rows, id: &IncidentId) -> Vec<Attempt> {
    let mut plans: BTreeMap<_, &Plan> = BTreeMap::new();
    for plan in rows.plans.iter().filter(|p| &p.body.incident_id == id) {
        plans.entry(&plan.plan_id).or_insert(plan);
    }
    let mut attempts: Vec<_> = plans.into_values().map(|plan| attempt(rows, plan)).collect();
    attempts.sort_by(|a, b| a.plan.recorded_at.cmp(&b.plan.recorded_at).then_with(|| a.plan.plan_id.cmp(&b.plan.plan_id)));
    let last = attempts.len().saturating_sub(1);
    let mut at = 0;
    attempts.retain(|a| {
        at += 1;
        let approved = a.entered(ExecutionState::Approved).is_some() || !a.approvals.is_empty();
        at > last || approved || a.state() == Some(ExecutionState::AwaitingApproval)
    });
    attempts
}

fn attempt(rows: &Rows, plan: &Plan) -> Attempt {
    let mut transitions: Vec<_> = rows.executions.iter().filter(|e| e.plan_id == plan.plan_id).cloned().collect();
    transitions.sort_by_key(|t| (t.sequence, t.recorded_at));
    transitions.dedup_by_key(|t| t.sequence);
    let mut approvals: Vec<_> =
        rows.approvals.iter().filter(|a| a.plan_id == plan.plan_id && a.plan_digest == plan.digest).cloned().collect();
    approvals.sort_by_key(|a| a.recorded_at);
    Attempt {
        decision: rows.decisions.iter().filter(|d| d.plan_id == plan.plan_id).max_by_key(|d| d.recorded_at).cloned(),
        outcome: rows.outcomes.iter().filter(|o| o.plan_id == plan.plan_id).max_by_key(|o| o.recorded_at).cloned(),
        plan: plan.clone(),
        approvals,
        transitions,
    }
}

fn past(rows: &Rows, id: &IncidentId) -> Vec<PastRun> {
    let mut matches: BTreeMap<&RunId, &Match> = BTreeMap::new();
    for row in rows.matches.iter().filter(|m| &m.incident_id == id) {
        let kept = matches.entry(&row.run_id).or_insert(row);
        if row.recorded_at >= kept.recorded_at {
            *kept = row;
        }
    }
    let mut matches: Vec<_> = matches.into_values().collect();
    matches.sort_by(|a, b| {
        b.similarity.total_cmp(&a.similarity).then_with(|| Reverse(a.ran_at).cmp(&Reverse(b.ran_at))).then_with(|| a.run_id.cmp(&b.run_id))
    });
    matches.truncate(MOST_PAST_RUNS);
    let summary = |run: &RunId| rows.runs.iter().filter(|r| &r.run_id == run).max_by_key(|r| r.updated_at).map(|r| r.summary.clone());
    let past = |m: &Match| PastRun {
        run_id: m.run_id.clone(),
        playbook_id: m.playbook_id.clone(),
        outcome: m.outcome.clone(),
        ran_at: m.ran_at,
        similarity: m.similarity,
        summary: summary(&m.run_id).unwrap_or_default(),
    };
    matches.into_iter().map(past).collect()
}

/// Changes of what the incident is about, from its opening to its last evidence.
fn also_changed(rows: &Rows, incident: &Incident) -> Vec<String> {
    let end = incident.closed_at.unwrap_or(incident.last_at);
    let about = |e: &Entity| {
        incident.entities.contains(e)
            || incident.root.as_ref() == Some(e)
            || matches!(e, Entity::Endpoint(id) if incident.endpoints.contains(id))
    };
    let mut changes: Vec<_> = rows.changes.iter().filter(|c| incident.opened_at < c.at && c.at <= end && about(&c.entity)).collect();
    changes.sort_by(|a, b| (a.at, &a.entity, &a.summary).cmp(&(b.at, &b.entity, &b.summary)));
    changes.dedup_by(|a, b| (a.at, &a.entity, &a.summary) == (b.at, &b.entity, &b.summary));
    changes.truncate(MOST_CHANGES);
    changes.into_iter().map(|c| format!("{} {}: {}", words::when(c.at), words::entity(&c.entity), c.summary)).collect()
}

#[cfg(test)]
mod tests {
    use bellwether_model::incident::IncidentState;
    use bellwether_model::time::Span;

    use super::*;
    use crate::report::fixture;

    /// Takes the fixture apart into rows, as they lie in the ledger.
    fn rows() -> Rows {
        let mut rows = Rows::default();
        for card in fixture::fleet().incidents {
            let mut opened = card.incident.clone();
            opened.recorded_at = opened.recorded_at - Span::from_hours(1);
            (opened.state, opened.score) = (IncidentState::Opened, 1.1);
            rows.incidents.extend([card.incident.clone(), opened]);
            rows.signals.extend(card.signals);
            rows.charts.insert(card.incident.incident_id.clone(), card.charts);
            rows.recommendations.extend(card.recommendation);
            rows.labels.extend(card.label);
            for attempt in card.attempts {
                rows.plans.push(attempt.plan);
                rows.decisions.extend(attempt.decision);
                rows.approvals.extend(attempt.approvals);
                rows.executions.extend(attempt.transitions.into_iter().rev());
                rows.outcomes.extend(attempt.outcome);
            }
        }
        rows
    }

    #[test]
    fn rows_in_any_order_become_the_same_cards() {
        let mut rows = rows();
        let told = |cards: &[IncidentCard]| {
            cards.iter().map(|c| (c.incident.clone(), c.signals.clone(), c.attempts.clone(), c.recommendation.clone())).collect::<Vec<_>>()
        };
        let cards_once = cards(&rows);
        let expected = fixture::fleet().incidents;
        assert_eq!(told(&cards_once), told(&expected));
        rows.incidents.reverse();
        rows.executions.reverse();
        rows.signals.reverse();
        assert_eq!(cards(&rows), cards_once);
        assert!(cards(&Rows::default()).is_empty());
    }

    #[test]
    fn plans_that_nobody_saw_are_left_out_but_for_the_newest() {
        let mut rows = rows();
        let id = rows.plans[0].body.incident_id.clone();
        let before = cards(&rows).iter().find(|c| c.incident.incident_id == id).unwrap().attempts.len();
        for i in 0..3 {
            let mut plan = rows.plans[0].clone();
            plan.plan_id = format!("plan-again-{i}").as_str().into();
            plan.recorded_at = plan.recorded_at + Span::from_hours(i + 10);
            rows.plans.push(plan);
        }
        let after = cards(&rows);
        let card = after.iter().find(|c| c.incident.incident_id == id).unwrap();
        assert_eq!(card.attempts.len(), before + 1);
        assert_eq!(card.attempts.last().unwrap().plan.plan_id.as_str(), "plan-again-2");
    }

    #[test]
    fn only_changes_of_its_own_entities_while_it_lasted_are_named() {
        let mut rows = rows();
        let incident = rows.incidents[0].clone();
        let change = |minutes: i64, entity: &str, summary: &str| Change {
            at: incident.opened_at + Span::from_mins(minutes),
            kind: "replicas".into(),
            entity: entity.parse().unwrap(),
            summary: summary.into(),
            recorded_at: incident.opened_at,
        };
        let own = incident.entities[0].to_string();
        rows.changes = vec![
            change(5, &own, "replicas 2 → 3"),
            change(5, "endpoint:other/thing", "replicas 1 → 2"),
            change(600_000, &own, "much later"),
            change(0, &own, "at the opening"),
        ];
        let card = cards(&rows).into_iter().find(|c| c.incident.incident_id == incident.incident_id).unwrap();
        assert_eq!(card.also_changed.len(), 1);
        assert!(card.also_changed[0].ends_with("replicas 2 → 3"), "{:?}", card.also_changed);
    }
}
