//! How the findings compare with the labels. Nothing else of the demo reads them.

use bellwether_executor::fleet::script::{Fault, FaultKind};
use bellwether_model::execution::ExecutionState;
use bellwether_model::id::IncidentId;
use bellwether_model::incident::Incident;
use bellwether_model::time::{Span, TimeRange};
use serde::Serialize;

use super::day::Told;
use crate::report::data::{AgainstLabels, IncidentCard, ReportData};

/// An incident that opened this long before a fault began may still be about it.
const BEFORE: Span = Span::from_mins(5);
/// And one that opened this long after it ended.
const AFTER: Span = Span::from_mins(30);

/// The score.
pub(super) struct Score {
    /// The faults in order of time.
    pub(super) faults: Vec<Scored>,
    /// Titles of incidents that answer to no fault.
    pub(super) false_incidents: Vec<String>,
}

/// One fault, and what was found of it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Scored {
    /// What it was.
    pub(super) kind: FaultKind,
    /// The thing at fault.
    pub(super) entity: String,
    /// When it began and ended.
    pub(super) range: TimeRange,
    /// The first incident that names it.
    pub(super) incident: Option<IncidentId>,
    /// The incident in words.
    pub(super) title: Option<String>,
    /// Seconds from its beginning to that incident's opening.
    pub(super) seconds_to_open: Option<i64>,
    /// The playbook that was tried first for it, or else the best of the newest recommendation.
    pub(super) recommended: Option<String>,
    /// What was done, and what came of it, attempt by attempt.
    pub(super) attempts: Vec<Tried>,
}

/// One attempt to mend it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Tried {
    /// The playbook.
    pub(super) playbook: String,
    /// Where its execution ended.
    pub(super) state: Option<ExecutionState>,
    /// What it did.
    pub(super) effect: Option<String>,
    /// In words.
    pub(super) detail: Option<String>,
}

/// Whether an incident is about a fault.
fn answers(incident: &Incident, fault: &Fault) -> bool {
    let felt = TimeRange::new(fault.start - BEFORE, fault.end + AFTER);
    felt.contains(incident.opened_at) && incident.entities.iter().any(|e| fault.entities.contains(e))
}

/// Compares the report with the labels.
pub(super) fn score(faults: &[Fault], report: &ReportData, told: &Told) -> Score {
    let judged = |incident: &Incident| told.judged.is_none_or(|range| range.contains(incident.opened_at));
    let cards: Vec<&IncidentCard> = report.incidents.iter().filter(|c| judged(&c.incident)).collect();
    let scored = |fault: &Fault| {
        let mut about: Vec<&&IncidentCard> = cards.iter().filter(|c| answers(&c.incident, fault)).collect();
        about.sort_by_key(|c| c.incident.opened_at);
        let first = about.first().map(|c| &c.incident);
        let attempts: Vec<Tried> = about
            .iter()
            .flat_map(|c| &c.attempts)
            .map(|a| Tried {
                playbook: a.plan.body.playbook_id.to_string(),
                state: a.state(),
                effect: a.outcome.as_ref().map(|o| o.effect.to_string()),
                detail: a.transitions.last().map(|t| t.detail.clone()),
            })
            .collect();
        let recommended = about.iter().find_map(|c| c.recommendation.as_ref()?.candidates.first());
        Scored {
            kind: fault.kind,
            entity: fault.entity.to_string(),
            range: fault.range(),
            incident: first.map(|i| i.incident_id.clone()),
            title: first.map(|i| i.title.clone()),
            seconds_to_open: first.map(|i| i.opened_at.since(fault.start).secs()),
            recommended: attempts.first().map(|a| a.playbook.clone()).or(recommended.map(|c| c.playbook_id.to_string())),
            attempts,
        }
    };
    let missed = cards.iter().filter(|c| !faults.iter().any(|f| answers(&c.incident, f)));
    let told = missed.map(|c| format!("{} {}", c.incident.opened_at, c.incident.title));
    Score { faults: faults.iter().map(scored).collect(), false_incidents: told.collect() }
}

impl Score {
    /// How many faults were found.
    pub(super) fn found(&self) -> usize {
        self.faults.iter().filter(|f| f.incident.is_some()).count()
    }

    /// The score as the report tells it.
    pub(super) fn against_labels(&self) -> AgainstLabels {
        let words = |f: &Scored| {
            let kind = match f.kind {
                FaultKind::TrafficSurge => "traffic surge on",
                FaultKind::FeatureDrift => "feature drift in",
                FaultKind::SickNode => "sick GPU node",
                FaultKind::BadCanary => "bad canary of",
                FaultKind::IdlePool => "idle pool",
            };
            format!("{kind} {}", f.entity)
        };
        AgainstLabels {
            faults: self.faults.iter().map(|f| (words(f), f.incident.clone())).collect(),
            false_incidents: self.false_incidents.len() as i64,
        }
    }
}
