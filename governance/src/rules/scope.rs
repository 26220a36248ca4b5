//! Every object belongs to the service whose blueprint rules: a lenient blueprint says nothing about others' objects.

use bellwether_model::decision::{Reason, Tier};
use bellwether_model::plan::ObjectRef;

use super::{Case, reason};
use crate::binding::Bound;

pub(super) fn reasons(case: &Case<'_>) -> Vec<Reason> {
    let foreign = |object: &&ObjectRef| !belongs(object, &case.service.object);
    let steps = case.plan.body.steps.iter().map(|s| &s.object);
    steps
        .filter(foreign)
        .map(|object| reason("scope", Tier::Forbidden, format!("{object} does not belong to service {}", case.service.name)))
        .collect()
}

/// A pool's nodes belong to it too; which ones they are was settled when the plan was made.
fn belongs(object: &ObjectRef, bound: &Bound) -> bool {
    match bound {
        Bound::Endpoint(id) => {
            object.kind == "InferenceService" && object.namespace.as_deref() == Some(&id.namespace) && object.name == id.name
        }
        Bound::Pool(pool) => object.kind == "Node" || (object.kind == "NodePool" && object.name == pool.as_str()),
    }
}
