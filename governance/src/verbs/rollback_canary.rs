//! `rollback_canary`: all traffic back to the previous revision.

use bellwether_model::inventory::Endpoint;
use bellwether_model::plan::Step;
use bellwether_model::playbook::Operation;
use serde_json::{Value, json};

use super::{Reading, endpoint_object};
use crate::blueprint::Scaling;
use crate::plan::Unplannable;

/// Owns the traffic share of the canary.
pub(super) const MANAGER: &str = "bellwether/rollout";

pub(super) fn step(endpoint: &Endpoint) -> Result<Step, Unplannable> {
    let object = endpoint_object(endpoint);
    let share = match endpoint.canary_percent {
        None | Some(100) => return Err(Unplannable::NoChange { object: object.to_string(), state: "no canary is running".into() }),
        Some(0) => return Err(Unplannable::NoChange { object: object.to_string(), state: "the canary gets no traffic".into() }),
        Some(share) => share,
    };
    Ok(Step {
        operation: Operation::RollbackRelease,
        object,
        field_manager: MANAGER.to_owned(),
        patch: fields(0),
        before: fields(share),
        summary: format!("canaryTrafficPercent {share} → 0"),
    })
}

pub(super) fn read(step: &Step, _: &Scaling) -> Option<Reading> {
    let share = u32::try_from(step.before.pointer("/spec/predictor/canaryTrafficPercent")?.as_u64()?).ok()?;
    let own =
        step.object.kind == "InferenceService" && step.field_manager == MANAGER && step.patch == fields(0) && step.before == fields(share);
    own.then_some(Reading::of(Operation::RollbackRelease))
}

fn fields(share: u32) -> Value {
    json!({"spec": {"predictor": {"canaryTrafficPercent": share}}})
}
