//! The verbs that exist only to be refused. Their steps have no patch, so that there is nothing that could be sent.

use bellwether_model::plan::Step;
use bellwether_model::playbook::Operation;
use serde_json::Value;

use super::{Reading, endpoint_object, node_object, pool_object};
use crate::blueprint::{NEVER, Scaling};
use crate::plan::Unplannable;
use crate::target::Target;

pub(super) fn step(operation: Operation, target: &Target<'_>) -> Result<Step, Unplannable> {
    let object = match target {
        Target::Endpoint(endpoint) => endpoint_object(endpoint),
        Target::Pool(pool) => pool_object(pool),
        Target::Node(node) => node_object(node),
        Target::Dataset(_) => return Err(Unplannable::WrongTarget { verb: operation.name(), entity: target.entity() }),
    };
    Ok(Step {
        operation,
        object,
        field_manager: String::new(),
        patch: Value::Null,
        before: Value::Null,
        summary: format!("{operation}: never carried out"),
    })
}

pub(super) fn read(step: &Step, _: &Scaling) -> Option<Reading> {
    (NEVER.contains(&step.operation) && step.patch.is_null() && step.before.is_null()).then_some(Reading::of(step.operation))
}
