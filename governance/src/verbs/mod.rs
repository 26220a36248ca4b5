//! The verbs of playbooks: one file for each says how an action becomes a step, and what operation a step amounts to.
//!
//! The second half lets decision and admission read a plan's patch instead of believing the operation that it claims. To
//! add a verb: a file here, an arm in [`step`], a line in [`READINGS`].

mod cordon_node;
mod refused;
mod rollback_canary;
mod scale_endpoint;
mod scale_pool;

use bellwether_model::inventory::{Endpoint, Node, Pool};
use bellwether_model::plan::{ObjectRef, Step};
use bellwether_model::playbook::{Action, Operation};

use crate::blueprint::Scaling;
use crate::plan::Unplannable;
use crate::target::Target;

/// What a step's patch amounts to under a blueprint's bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    /// The operation.
    pub operation: Operation,
    /// For scaling: the bound that is asked for, and the same bound as it is now.
    pub replicas: Option<(u32, u32)>,
}

impl Reading {
    const fn of(operation: Operation) -> Self {
        Self { operation, replicas: None }
    }
}

/// How each verb reads a step; `None` when the step is not exactly one of its own.
const READINGS: [fn(&Step, &Scaling) -> Option<Reading>; 5] =
    [scale_endpoint::read, rollback_canary::read, scale_pool::read, cordon_node::read, refused::read];

/// The step that an action amounts to for a live target; none for advice.
pub(crate) fn step(action: &Action, target: &Target<'_>, scaling: &Scaling) -> Result<Option<Step>, Unplannable> {
    match (action, target) {
        (Action::ScaleEndpoint { add_min, add_max, min_replicas, max_replicas }, Target::Endpoint(endpoint)) => {
            let wanted = scale_endpoint::Wanted { add_min: *add_min, add_max: *add_max, min: *min_replicas, max: *max_replicas };
            scale_endpoint::step(wanted, endpoint, scaling).map(Some)
        }
        (Action::RollbackCanary {}, Target::Endpoint(endpoint)) => rollback_canary::step(endpoint).map(Some),
        (Action::ScalePool { add_gpus, gpu_limit }, Target::Pool(pool)) => scale_pool::step(*add_gpus, *gpu_limit, pool, scaling).map(Some),
        (Action::CordonNode {}, Target::Node(node)) => cordon_node::step(node).map(Some),
        (Action::Advise { .. }, _) => Ok(None),
        (Action::DeleteDeployment {}, _) => refused::step(Operation::DeleteDeployment, target).map(Some),
        (Action::ModifyNamespace {}, _) => refused::step(Operation::ModifyNamespace, target).map(Some),
        (Action::ChangeRbac {}, _) => refused::step(Operation::ChangeRbac, target).map(Some),
        (other, _) => Err(Unplannable::WrongTarget { verb: other.verb(), entity: target.entity() }),
    }
}

/// What a step amounts to, read from its patch alone; `None` when no verb makes such a step.
pub(crate) fn read(step: &Step, scaling: &Scaling) -> Option<Reading> {
    READINGS.iter().find_map(|read| read(step, scaling))
}

fn endpoint_object(endpoint: &Endpoint) -> ObjectRef {
    let id = &endpoint.endpoint;
    object("serving.kserve.io/v1beta1", "InferenceService", Some(&id.namespace), &id.name, &endpoint.uid, &endpoint.resource_version)
}

fn pool_object(pool: &Pool) -> ObjectRef {
    object("karpenter.sh/v1", "NodePool", None, pool.pool.as_str(), &pool.uid, &pool.resource_version)
}

fn node_object(node: &Node) -> ObjectRef {
    object("v1", "Node", None, node.node.as_str(), &node.uid, &node.resource_version)
}

fn object(api_version: &str, kind: &str, namespace: Option<&str>, name: &str, uid: &str, resource_version: &str) -> ObjectRef {
    ObjectRef {
        api_version: api_version.to_owned(),
        kind: kind.to_owned(),
        namespace: namespace.map(str::to_owned),
        name: name.to_owned(),
        uid: uid.to_owned(),
        resource_version: resource_version.to_owned(),
    }
}

/// `n` changed by `by`; an error in words when that is below zero or too large.
fn shifted(object: &ObjectRef, field: &'static str, n: u32, by: i32) -> Result<u32, Unplannable> {
    n.checked_add_signed(by).ok_or_else(|| Unplannable::OutOfRange { object: object.to_string(), field, from: n, change: by })
}
