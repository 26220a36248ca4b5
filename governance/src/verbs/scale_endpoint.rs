//! `scale_endpoint`: `minReplicas` and `maxReplicas` of an InferenceService.

use bellwether_model::inventory::Endpoint;
use bellwether_model::plan::Step;
use bellwether_model::playbook::Operation;
use serde_json::{Value, json};

use super::{Reading, endpoint_object, shifted};
use crate::blueprint::Scaling;
use crate::plan::Unplannable;

/// Owns both bounds, and sends both each time: a field that a manager leaves out is deleted.
pub(super) const MANAGER: &str = "bellwether/scale";

/// What a playbook asks for.
pub(super) struct Wanted {
    pub add_min: i32,
    pub add_max: i32,
    pub min: Option<u32>,
    pub max: Option<u32>,
}

pub(super) fn step(wanted: Wanted, endpoint: &Endpoint, scaling: &Scaling) -> Result<Step, Unplannable> {
    let object = endpoint_object(endpoint);
    let old = (endpoint.min_replicas.0, endpoint.max_replicas.0);
    if old.1 == 0 && wanted.add_max != 0 {
        return Err(Unplannable::NoLimit { object: object.to_string(), field: "maxReplicas" });
    }
    let min = wanted.min.map_or_else(|| shifted(&object, "minReplicas", old.0, wanted.add_min), Ok)?;
    let max = wanted.max.map_or_else(|| shifted(&object, "maxReplicas", old.1, wanted.add_max), Ok)?;
    if max == 0 && old.1 != 0 {
        return Err(Unplannable::OutOfRange { object: object.to_string(), field: "maxReplicas", from: old.1, change: wanted.add_max });
    }
    if max != 0 && min > max {
        return Err(Unplannable::Crossed { object: object.to_string(), min, max });
    }
    if (min, max) == old {
        return Err(Unplannable::NoChange { object: object.to_string(), state: format!("minReplicas is {min} and maxReplicas is {max}") });
    }
    let operation = classify(old, (min, max), scaling).operation;
    let changes = [("minReplicas", old.0, min), ("maxReplicas", old.1, max)];
    let summary: Vec<String> = changes.iter().filter(|(_, a, b)| a != b).map(|(name, a, b)| format!("{name} {a} → {b}")).collect();
    Ok(Step {
        operation,
        object,
        field_manager: MANAGER.to_owned(),
        patch: fields((min, max)),
        before: fields(old),
        summary: summary.join(", "),
    })
}

pub(super) fn read(step: &Step, scaling: &Scaling) -> Option<Reading> {
    let (old, new) = (bounds(&step.before)?, bounds(&step.patch)?);
    let own = step.object.kind == "InferenceService"
        && step.field_manager == MANAGER
        && step.patch == fields(new)
        && step.before == fields(old)
        && old != new;
    own.then(|| classify(old, new, scaling))
}

fn fields((min, max): (u32, u32)) -> Value {
    json!({"spec": {"predictor": {"minReplicas": min, "maxReplicas": max}}})
}

fn bounds(fields: &Value) -> Option<(u32, u32)> {
    let number = |name: &str| u32::try_from(fields.pointer(&format!("/spec/predictor/{name}"))?.as_u64()?).ok();
    Some((number("minReplicas")?, number("maxReplicas")?))
}

/// A changed bound that ends outside the blueprint's bounds is beyond them, above and below; a minimum of nothing is scaling
/// to zero. A bound that stays as it is says nothing.
fn classify(old: (u32, u32), new: (u32, u32), scaling: &Scaling) -> Reading {
    let (least, most) = (scaling.min_replicas.0, scaling.max_replicas.0);
    let (min_changed, max_changed) = (old.0 != new.0, old.1 != new.1);
    let of = |operation, target, current| Reading { operation, replicas: Some((target, current)) };
    if max_changed && (new.1 > most || new.1 < least || new.1 == 0) {
        of(Operation::ScaleBeyondLimits, new.1, old.1)
    } else if min_changed && new.0 > most {
        of(Operation::ScaleBeyondLimits, new.0, old.0)
    } else if min_changed && new.0 == 0 {
        of(Operation::ScaleToZero, 0, old.0)
    } else if min_changed && new.0 < least {
        of(Operation::ScaleBeyondLimits, new.0, old.0)
    } else if max_changed {
        of(Operation::ScaleWithinLimits, new.1, old.1)
    } else {
        of(Operation::ScaleWithinLimits, new.0, old.0)
    }
}
