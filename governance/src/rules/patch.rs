//! Each patch is what its operation says, with an undo: the operation that a plan claims is not believed.

use bellwether_model::decision::{Reason, Tier};

use super::{Case, reason};
use crate::verbs;

pub(super) fn reasons(case: &Case<'_>) -> Vec<Reason> {
    let scaling = &case.service.blueprint.spec.scaling;
    let mut found = Vec::new();
    for step in &case.plan.body.steps {
        match verbs::read(step, scaling) {
            Some(reading) if reading.operation == step.operation => {}
            Some(reading) => {
                let text = format!("the patch of {} is {}, not {}", step.object, reading.operation, step.operation);
                found.push(reason("patch", Tier::Forbidden, text));
            }
            None => found.push(reason("patch", Tier::Forbidden, format!("no verb makes such a change of {}", step.object))),
        }
    }
    found
}
