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
    #[error("it only advises a person: {0}")]
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

#[cfg(test)]
mod tests {
    use bellwether_model::playbook::Operation;
    use bellwether_model::unit::Replicas;
    use serde_json::json;

    use super::*;
    use crate::testing::{governance, incident, inventory, planned, sample_plan};
    use crate::{playbook, verbs};

    #[test]
    fn plans_hold_the_exact_patches_and_their_undo() {
        let table = [
            (
                "scale-out",
                "endpoint:ml/iris",
                Operation::ScaleWithinLimits,
                "bellwether/scale",
                json!({"spec": {"predictor": {"minReplicas": 3, "maxReplicas": 6}}}),
                json!({"spec": {"predictor": {"minReplicas": 2, "maxReplicas": 4}}}),
                "InferenceService ml/iris: minReplicas 2 → 3, maxReplicas 4 → 6",
            ),
            (
                "rollback-canary",
                "endpoint:ml/iris",
                Operation::RollbackRelease,
                "bellwether/rollout",
                json!({"spec": {"predictor": {"canaryTrafficPercent": 0}}}),
                json!({"spec": {"predictor": {"canaryTrafficPercent": 10}}}),
                "InferenceService ml/iris: canaryTrafficPercent 10 → 0",
            ),
            (
                "shrink-pool",
                "pool:gpu-a",
                Operation::ScaleWithinLimits,
                "bellwether/pool",
                json!({"spec": {"limits": {"nvidia.com/gpu": "8"}}}),
                json!({"spec": {"limits": {"nvidia.com/gpu": "12"}}}),
                "NodePool gpu-a: GPU limit 12 → 8",
            ),
            (
                "cordon-node",
                "node:gpu-3",
                Operation::CordonNode,
                "bellwether/node",
                json!({"spec": {"unschedulable": true}}),
                json!({"spec": {"unschedulable": false}}),
                "Node gpu-3: unschedulable false → true",
            ),
        ];
        for (playbook, root, operation, manager, patch, before, words) in table {
            let plan = sample_plan(&governance(), playbook, root);
            let step = &plan.body.steps[0];
            assert_eq!((plan.body.steps.len(), step.operation, step.field_manager.as_str()), (1, operation, manager));
            assert_eq!((&step.patch, &step.before), (&patch, &before), "{playbook}");
            assert_eq!(format!("{}: {}", step.object, step.summary), words);
            assert!(plan.is_intact() && step.object.uid.starts_with("uid-"));
        }
    }

    #[test]
    fn a_plan_carries_its_basis_and_its_measurements() {
        let rules = governance();
        let plan = sample_plan(&rules, "scale-out", "endpoint:ml/iris");
        let service = rules.service(&"iris".into()).unwrap();
        assert_eq!((plan.body.blueprint_digest, plan.body.blueprint_version.as_str()), (service.digest, "1.4.0"));
        assert_eq!(plan.body.playbook_digest, rules.playbook(&"scale-out".into()).unwrap().playbook.digest);
        let checks = &plan.body.verification.checks;
        assert_eq!(
            checks.iter().map(|c| format!("{} {}", c.name, c.target)).collect::<Vec<_>>(),
            ["latency_p95 < 200ms", "error_rate < 1%"]
        );
        assert!(
            checks[0].query.contains("vllm:e2e_request_latency_seconds_bucket{namespace=\"ml\",pod=~\"iris-predictor-.*\"}[60s]"),
            "{}",
            checks[0].query
        );
        assert!(plan.body.verification.automatic_rollback && checks.iter().all(|c| c.rollback_trigger));
        assert_eq!(sample_plan(&rules, "scale-out", "endpoint:ml/iris").plan_id, plan.plan_id, "the same inputs give the same plan");
        let node = sample_plan(&rules, "cordon-node", "node:gpu-3");
        assert!(node.body.verification.checks[0].query.contains("node=\"gpu-3\""));
        assert_eq!(node.body.service.as_str(), "gpu-a", "a node falls under the service of its pool");
    }

    #[test]
    fn a_forbidden_verb_has_a_plan_with_nothing_to_send() {
        let plan = sample_plan(&governance(), "delete-deployment", "endpoint:ml/iris");
        assert_eq!((plan.body.steps[0].operation, plan.body.steps[0].patch.is_null()), (Operation::DeleteDeployment, true));
    }

    #[test]
    fn what_has_no_plan_says_why() {
        let rules = governance();
        let fails = |change: &dyn Fn(&mut Inventory), playbook: &str, root: &str| {
            let mut fleet = inventory();
            change(&mut fleet);
            planned(&rules, &fleet, playbook, &incident(root)).unwrap_err().to_string()
        };
        let same = |_: &mut Inventory| {};
        assert!(
            fails(&same, "ask-data-owner", "dataset:s3://raw:orders").starts_with("it only advises a person: Compare the newest version")
        );
        assert_eq!(fails(&same, "vanished", "endpoint:ml/iris"), "playbook vanished is not loaded");
        assert_eq!(fails(&same, "scale-out", "endpoint:ml/rose"), "no blueprint governs endpoint:ml/rose: bind one under services");
        assert_eq!(fails(&same, "scale-out", "endpoint:ml/lily"), "there is nothing to act on: endpoint:ml/lily is not in the inventory");
        assert_eq!(fails(&same, "scale-out", "node:gpu-3"), "there is nothing to act on: the incident names no endpoint");
        assert_eq!(fails(&same, "cordon-node", "node:gpu-4"), "a precondition does not hold: !cordoned (cordoned = true) does not hold");
        assert_eq!(
            fails(&|i| i.endpoints[0].canary_percent = None, "rollback-canary", "endpoint:ml/iris"),
            "a precondition does not hold: canary_percent > 0 && canary_percent < 100 (canary_percent = 0) does not hold"
        );
        assert_eq!(
            fails(&|i| i.pools[0].gpu_limit = None, "shrink-pool", "pool:gpu-a"),
            "a precondition does not hold: gpu_limit > 8 cannot be evaluated: gpu_limit is not known"
        );
    }

    #[test]
    fn steps_that_lead_nowhere_say_why() {
        let scale = |action: &str, min: u32, max: u32| {
            let text = format!("id: a\nname: a\ndescription: a\ntarget: endpoint\nactions: [{{verb: scale_endpoint, {action}}}]");
            let loaded = playbook::load("a.yaml", &text).unwrap();
            let mut fleet = inventory();
            (fleet.endpoints[0].min_replicas, fleet.endpoints[0].max_replicas) = (Replicas(min), Replicas(max));
            let rules = governance();
            let scaling = &rules.service(&"iris".into()).unwrap().blueprint.spec.scaling;
            verbs::step(&loaded.playbook.actions[0], &Target::Endpoint(&fleet.endpoints[0]), scaling)
                .map(|s| s.unwrap().operation)
                .map_err(|e| e.to_string())
        };
        assert_eq!(
            scale("add_min: -3", 2, 4).unwrap_err(),
            "InferenceService ml/iris: minReplicas is 2, and changing it by -3 leaves its range"
        );
        assert_eq!(
            scale("add_max: -4", 2, 4).unwrap_err(),
            "InferenceService ml/iris: maxReplicas is 4, and changing it by -4 leaves its range"
        );
        assert_eq!(scale("add_min: 3", 2, 4).unwrap_err(), "InferenceService ml/iris: minReplicas 5 would be above maxReplicas 4");
        assert_eq!(
            scale("max_replicas: 4", 2, 4).unwrap_err(),
            "InferenceService ml/iris needs no change: minReplicas is 2 and maxReplicas is 4"
        );
        assert_eq!(scale("add_max: 1", 2, 0).unwrap_err(), "InferenceService ml/iris has no maxReplicas to change");
        // Bounds of the blueprint: 1 to 6.
        assert_eq!(scale("max_replicas: 6", 2, 4).unwrap(), Operation::ScaleWithinLimits);
        assert_eq!(scale("max_replicas: 7", 2, 4).unwrap(), Operation::ScaleBeyondLimits);
        assert_eq!(scale("min_replicas: 0", 2, 4).unwrap(), Operation::ScaleToZero);
        assert_eq!(scale("min_replicas: 3", 2, 9).unwrap(), Operation::ScaleWithinLimits, "a bound that stays says nothing");
        assert_eq!(scale("max_replicas: 8", 2, 9).unwrap(), Operation::ScaleBeyondLimits, "still beyond");
    }

    static RULES: std::sync::LazyLock<Governance> = std::sync::LazyLock::new(governance);

    proptest::proptest! {
        #[test]
        fn a_patch_reads_as_the_operation_that_was_planned(min in 0u32..20, max in 0u32..20, add_min in -10i32..10, add_max in -10i32..10) {
            let scaling = &RULES.service(&"iris".into()).unwrap().blueprint.spec.scaling;
            let mut fleet = inventory();
            (fleet.endpoints[0].min_replicas, fleet.endpoints[0].max_replicas) = (Replicas(min), Replicas(max));
            let action = bellwether_model::playbook::Action::ScaleEndpoint { add_min, add_max, min_replicas: None, max_replicas: None };
            if let Ok(Some(step)) = verbs::step(&action, &Target::Endpoint(&fleet.endpoints[0]), scaling) {
                let reading = verbs::read(&step, scaling).unwrap();
                proptest::prop_assert_eq!(reading.operation, step.operation);
                let outside = reading.replicas.is_some_and(|(target, _)| target < scaling.min_replicas.0 || target > scaling.max_replicas.0);
                proptest::prop_assert_eq!(outside, step.operation != Operation::ScaleWithinLimits);
                let mut swapped = step.clone();
                swapped.patch["spec"]["predictor"]["image"] = "evil".into();
                proptest::prop_assert_eq!(verbs::read(&swapped, scaling), None, "no field can be smuggled in");
            }
        }
    }
}
