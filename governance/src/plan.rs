//! Binding a playbook to live objects: exact patches, their undo, and how success will be measured.

use bellwether_model::digest::CanonicalError;
use bellwether_model::id::{PlaybookId, RecommendationId, RoundId};
use bellwether_model::incident::Incident;
use bellwether_model::inventory::{Entity, Inventory};
use bellwether_model::plan::{Plan, PlanBody, PlannedCheck, Verification};
use bellwether_model::recommendation::Candidate;
use bellwether_model::time::Timestamp;

use crate::binding::{Governance, Service};
use crate::checks::CheckError;
use crate::target::{self, NoTarget, Target};
use crate::verbs;

/// The round in which something is judged, and its time.
#[derive(Clone, Copy, Debug)]
pub struct At<'a> {
    /// The round.
    pub round_id: &'a RoundId,
    /// Its time.
    pub now: Timestamp,
}

/// A candidate of a recommendation for an incident.
#[derive(Clone, Copy, Debug)]
pub struct Proposal<'a> {
    /// The recommendation.
    pub recommendation_id: &'a RecommendationId,
    /// The playbook and how sure the recommendation is of it.
    pub candidate: &'a Candidate,
    /// The incident.
    pub incident: &'a Incident,
}

/// Why a candidate has no plan. None of these is a failure of the program except the last.
#[derive(Debug, thiserror::Error)]
pub enum Unplannable {
    /// The playbook changes nothing: this is what it tells a person.
    #[error("{0}")]
    Advice(String),
    /// The playbook is not loaded any more.
    #[error("playbook {0} is not loaded")]
    UnknownPlaybook(PlaybookId),
    /// There is nothing to act on.
    #[error("there is nothing to act on: {0}")]
    NoTarget(#[from] NoTarget),
    /// A precondition does not hold.
    #[error("a precondition does not hold: {reason}")]
    Excluded {
        /// The precondition with its values.
        reason: String,
    },
    /// No service is bound to the target.
    #[error("no blueprint governs {entity}: bind one under services")]
    Ungoverned {
        /// The target.
        entity: Entity,
    },
    /// The object is already as it would become.
    #[error("{object} needs no change: {state}")]
    NoChange {
        /// The object.
        object: String,
        /// How it is.
        state: String,
    },
    /// A relative change would leave the range of the field.
    #[error("{object}: {field} is {from}, and changing it by {change:+} leaves its range")]
    OutOfRange {
        /// The object.
        object: String,
        /// The field.
        field: &'static str,
        /// Its value.
        from: u32,
        /// The change.
        change: i32,
    },
    /// The minimum would pass the maximum.
    #[error("{object}: minReplicas {min} would be above maxReplicas {max}")]
    Crossed {
        /// The object.
        object: String,
        /// The minimum asked for.
        min: u32,
        /// The maximum asked for.
        max: u32,
    },
    /// A relative change of a limit that is not there.
    #[error("{object} has no {field} to change")]
    NoLimit {
        /// The object.
        object: String,
        /// The field.
        field: &'static str,
    },
    /// The verb does not act on such a thing.
    #[error("{verb} cannot act on {entity}")]
    WrongTarget {
        /// The verb.
        verb: &'static str,
        /// The target.
        entity: Entity,
    },
    /// A check of the blueprint cannot be measured for this target.
    #[error("success could not be measured")]
    Check(#[from] CheckError),
    /// The plan has no canonical form. A bug: please report it.
    #[error("the plan has no canonical form; this is a bug, please report it")]
    Internal(#[from] CanonicalError),
}

/// The plan of a candidate.
///
/// The target is the incident's root, or else the only thing of the playbook's kind that it names. Every step sends all
/// fields that its field manager owns, and holds the same fields as they are now, which is what undo restores. The plan
/// rests on the digests of the playbook and of the blueprint with the global rules merged in.
pub fn plan(governance: &Governance, proposal: &Proposal<'_>, inventory: &Inventory, at: At<'_>) -> Result<Plan, Unplannable> {
    let id = &proposal.candidate.playbook_id;
    let loaded = governance.playbook(id).ok_or_else(|| Unplannable::UnknownPlaybook(id.clone()))?;
    if let Some(advice) = loaded.advice_only() {
        return Err(Unplannable::Advice(advice));
    }
    let target = target::resolve(loaded.playbook.target, proposal.incident, inventory)?;
    if let Some(reason) = loaded.precondition_failure(&target, inventory) {
        return Err(Unplannable::Excluded { reason });
    }
    let entity = target.entity();
    let service = governance.service_of(&entity, inventory).ok_or_else(|| Unplannable::Ungoverned { entity: entity.clone() })?;
    let mut steps = Vec::new();
    let mut unchanged = None;
    for action in &loaded.playbook.actions {
        match verbs::step(action, &target, &service.blueprint.spec.scaling) {
            Ok(step) => steps.extend(step),
            Err(e @ Unplannable::NoChange { .. }) => unchanged = unchanged.or(Some(e)),
            Err(e) => return Err(e),
        }
    }
    if steps.is_empty() {
        return Err(
            unchanged.unwrap_or(Unplannable::NoChange { object: entity.to_string(), state: "the playbook has nothing to do".into() })
        );
    }
    let score = proposal.candidate.score;
    let body = PlanBody {
        incident_id: proposal.incident.incident_id.clone(),
        recommendation_id: proposal.recommendation_id.clone(),
        playbook_id: id.clone(),
        playbook_digest: loaded.playbook.digest,
        service: service.name.clone(),
        blueprint_version: service.blueprint.metadata.version.clone(),
        blueprint_digest: service.digest,
        verification: verification(governance, service, &target)?,
        target: entity,
        steps,
        confidence: if score.is_finite() { score.clamp(0.0, 1.0) } else { 0.0 },
    };
    Ok(Plan::seal(body, at.round_id.clone(), at.now)?)
}

/// The blueprint's checks with their complete queries for this target.
fn verification(governance: &Governance, service: &Service, target: &Target<'_>) -> Result<Verification, CheckError> {
    let rules = &service.blueprint.verification;
    let (runtimes, names) = service.measured(target);
    let mut checks = Vec::new();
    for check in rules.checks.iter().filter(|_| rules.enabled) {
        checks.push(PlannedCheck {
            name: check.name.clone(),
            target: check.target,
            query: governance.checks().query(&check.name, &runtimes, &names, rules.stabilization_period)?,
            critical: check.critical,
            rollback_trigger: check.rollback_trigger || (check.critical && rules.rollback.trigger_on_critical_failure),
        });
    }
    let automatic_rollback = rules.enabled && rules.rollback.enabled && rules.rollback.automatic;
    Ok(Verification { stabilization: rules.stabilization_period, checks, automatic_rollback })
}
