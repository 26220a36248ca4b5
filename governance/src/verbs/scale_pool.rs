//! `scale_pool`: the GPU limit of a Karpenter NodePool. Lowering it evicts nothing; consolidation empties nodes later.

use bellwether_model::inventory::Pool;
use bellwether_model::plan::Step;
use bellwether_model::playbook::Operation;
use serde_json::{Value, json};

use super::{Reading, pool_object, shifted};
use crate::blueprint::Scaling;
use crate::plan::Unplannable;

/// Owns the GPU limit; other limits of the pool belong to others.
pub(super) const MANAGER: &str = "bellwether/pool";

const RESOURCE: &str = "nvidia.com/gpu";

pub(super) fn step(add_gpus: i32, gpu_limit: Option<u32>, pool: &Pool, scaling: &Scaling) -> Result<Step, Unplannable> {
    let object = pool_object(pool);
    let old = pool.gpu_limit.map(|n| n.0);
    let new = match (gpu_limit, old) {
        (Some(limit), _) => limit,
        (None, Some(old)) => shifted(&object, "nvidia.com/gpu limit", old, add_gpus)?,
        (None, None) => return Err(Unplannable::NoLimit { object: object.to_string(), field: "nvidia.com/gpu limit" }),
    };
    if old == Some(new) {
        return Err(Unplannable::NoChange { object: object.to_string(), state: format!("its GPU limit is {new}") });
    }
    let was = old.map_or_else(|| "none".to_owned(), |n| n.to_string());
    Ok(Step {
        operation: classify(old, new, scaling).operation,
        object,
        field_manager: MANAGER.to_owned(),
        patch: fields(Some(new)),
        before: fields(old),
        summary: format!("GPU limit {was} → {new}"),
    })
}

pub(super) fn read(step: &Step, scaling: &Scaling) -> Option<Reading> {
    let (old, new) = (limit(&step.before)?, limit(&step.patch)??);
    let own = step.object.kind == "NodePool"
        && step.field_manager == MANAGER
        && step.patch == fields(Some(new))
        && step.before == fields(old)
        && old != Some(new);
    own.then(|| classify(old, new, scaling))
}

/// Kubernetes quantities are text.
fn fields(limit: Option<u32>) -> Value {
    json!({"spec": {"limits": {RESOURCE: limit.map(|n| n.to_string())}}})
}

/// The limit; `Some(None)` where the pool has none, `None` where this is not a limit at all.
fn limit(fields: &Value) -> Option<Option<u32>> {
    match fields.get("spec")?.get("limits")?.get(RESOURCE)? {
        Value::Null => Some(None),
        Value::String(text) => text.parse().ok().map(Some),
        _ => None,
    }
}

fn classify(old: Option<u32>, new: u32, scaling: &Scaling) -> Reading {
    let operation = if new == 0 {
        Operation::ScaleToZero
    } else if new > scaling.max_replicas.0 || new < scaling.min_replicas.0 {
        Operation::ScaleBeyondLimits
    } else {
        Operation::ScaleWithinLimits
    };
    Reading { operation, replicas: Some((new, old.unwrap_or(0))) }
}
