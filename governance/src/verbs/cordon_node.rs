//! `cordon_node`: keeps new pods off a node; what runs there stays.

use bellwether_model::inventory::Node;
use bellwether_model::plan::Step;
use bellwether_model::playbook::Operation;
use serde_json::{Value, json};

use super::{Reading, node_object};
use crate::blueprint::Scaling;
use crate::plan::Unplannable;

/// Owns `spec.unschedulable`.
pub(super) const MANAGER: &str = "bellwether/node";

pub(super) fn step(node: &Node) -> Result<Step, Unplannable> {
    let object = node_object(node);
    if node.cordoned {
        return Err(Unplannable::NoChange { object: object.to_string(), state: "it is cordoned".into() });
    }
    Ok(Step {
        operation: Operation::CordonNode,
        object,
        field_manager: MANAGER.to_owned(),
        patch: fields(true),
        before: fields(false),
        summary: "unschedulable false → true".into(),
    })
}

pub(super) fn read(step: &Step, _: &Scaling) -> Option<Reading> {
    let own = step.object.kind == "Node" && step.field_manager == MANAGER && step.patch == fields(true) && step.before == fields(false);
    own.then_some(Reading::of(Operation::CordonNode))
}

fn fields(unschedulable: bool) -> Value {
    json!({"spec": {"unschedulable": unschedulable}})
}
