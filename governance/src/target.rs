//! The live thing that a playbook acts on: found in the inventory for an incident, and described to preconditions.

use std::collections::BTreeSet;

use bellwether_model::dataset::DatasetId;
use bellwether_model::incident::Incident;
use bellwether_model::inventory::{Endpoint, Entity, Inventory, Node, Pool};
use bellwether_model::playbook::TargetKind;

use crate::condition::{Sample, Value, Variable, Variables};

/// A live target.
#[derive(Clone, Copy, Debug)]
pub enum Target<'a> {
    /// A model endpoint.
    Endpoint(&'a Endpoint),
    /// A GPU pool.
    Pool(&'a Pool),
    /// A node.
    Node(&'a Node),
    /// A dataset; nothing can be done to it but give advice.
    Dataset(&'a DatasetId),
}

/// Why there is nothing to act on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoTarget {
    /// The incident is about nothing of this kind.
    #[error("the incident names no {kind}")]
    None {
        /// The kind, as `endpoint`.
        kind: &'static str,
    },
    /// The incident is about several, and none of them stands out as its root.
    #[error("the incident names several and none stands out as its root: {}", names.join(", "))]
    Several {
        /// Them all, sorted.
        names: Vec<String>,
    },
    /// The inventory does not have it.
    #[error("{entity} is not in the inventory")]
    Unknown {
        /// What was looked for.
        entity: String,
    },
}

const ENDPOINT: &[Variable] = &[
    Variable { name: "min_replicas", meaning: "minReplicas of the InferenceService", sample: Sample::Int },
    Variable { name: "max_replicas", meaning: "maxReplicas of the InferenceService", sample: Sample::Int },
    Variable { name: "ready_replicas", meaning: "replicas that are ready; unknown where not observed", sample: Sample::Int },
    Variable { name: "canary_percent", meaning: "traffic share of a canary, 0 to 100; 0 without a canary", sample: Sample::Int },
    Variable { name: "gpus_per_replica", meaning: "GPUs that one replica asks for", sample: Sample::Double },
    Variable { name: "runtime", meaning: "serving runtime; empty when unknown", sample: Sample::Text },
    Variable { name: "ready", meaning: "whether its Ready condition is true; unknown where not observed", sample: Sample::Bool },
];
const POOL: &[Variable] = &[
    Variable { name: "gpu_limit", meaning: "upper limit of GPUs; unknown where there is none", sample: Sample::Int },
    Variable { name: "gpus", meaning: "GPUs that exist now", sample: Sample::Int },
    Variable { name: "gpu_model", meaning: "GPU model; empty when unknown", sample: Sample::Text },
];
const NODE: &[Variable] = &[
    Variable { name: "gpus", meaning: "GPUs on the node", sample: Sample::Int },
    Variable { name: "cordoned", meaning: "whether new pods are kept off it", sample: Sample::Bool },
    Variable { name: "nodes_in_pool", meaning: "nodes of its pool that take new pods; unknown without a pool", sample: Sample::Int },
];

/// The variables of preconditions for targets of this kind.
pub const fn variables_of(kind: TargetKind) -> &'static [Variable] {
    match kind {
        TargetKind::Endpoint => ENDPOINT,
        TargetKind::Pool => POOL,
        TargetKind::Node => NODE,
        TargetKind::Dataset => &[],
    }
}

/// The kind with its article, as in "acts on a pool".
pub(crate) const fn name(kind: TargetKind) -> &'static str {
    match kind {
        TargetKind::Endpoint => "an endpoint",
        TargetKind::Pool => "a pool",
        TargetKind::Node => "a node",
        TargetKind::Dataset => "a dataset",
    }
}

/// The target of this kind for an incident: its root when that is of the kind; else the only entity of the kind; else,
/// for a pool, the pool of its root endpoint or node. Nothing is chosen among several.
pub fn resolve<'a>(kind: TargetKind, incident: &'a Incident, inventory: &'a Inventory) -> Result<Target<'a>, NoTarget> {
    let of_kind = |e: &Entity| {
        matches!(
            (kind, e),
            (TargetKind::Endpoint, Entity::Endpoint(_))
                | (TargetKind::Pool, Entity::Pool(_))
                | (TargetKind::Node, Entity::Node(_))
                | (TargetKind::Dataset, Entity::Dataset(_))
        )
    };
    if let Some(root) = incident.root.as_ref().filter(|e| of_kind(e)) {
        return live(root, inventory);
    }
    if kind == TargetKind::Pool
        && let Some(pool) = incident.root.as_ref().and_then(|root| pool_of(root, inventory))
    {
        return Ok(Target::Pool(pool));
    }
    let named: BTreeSet<&Entity> = incident.entities.iter().filter(|e| of_kind(e)).collect();
    match (named.len(), named.first()) {
        (1, Some(only)) => live(only, inventory),
        (0, _) => Err(NoTarget::None { kind: name(kind).rsplit(' ').next().unwrap_or_default() }),
        _ => Err(NoTarget::Several { names: named.iter().map(ToString::to_string).collect() }),
    }
}

fn live<'a>(entity: &'a Entity, inventory: &'a Inventory) -> Result<Target<'a>, NoTarget> {
    let found = match entity {
        Entity::Endpoint(id) => inventory.endpoint(id).map(Target::Endpoint),
        Entity::Pool(name) => inventory.pool(name).map(Target::Pool),
        Entity::Node(name) => inventory.node(name).map(Target::Node),
        Entity::Dataset(id) => Some(Target::Dataset(id)),
        Entity::Other(..) => None,
    };
    found.ok_or_else(|| NoTarget::Unknown { entity: entity.to_string() })
}

fn pool_of<'a>(entity: &Entity, inventory: &'a Inventory) -> Option<&'a Pool> {
    let name = match entity {
        Entity::Endpoint(id) => inventory.endpoint(id)?.pool.as_ref()?,
        Entity::Node(name) => inventory.node(name)?.pool.as_ref()?,
        _ => return None,
    };
    inventory.pool(name)
}

impl Target<'_> {
    /// What it is called.
    pub fn entity(&self) -> Entity {
        match self {
            Self::Endpoint(e) => Entity::Endpoint(e.endpoint.clone()),
            Self::Pool(p) => Entity::Pool(p.pool.clone()),
            Self::Node(n) => Entity::Node(n.node.clone()),
            Self::Dataset(id) => Entity::Dataset((*id).clone()),
        }
    }

    /// Its live values for preconditions. What was not observed has no value, so that a precondition about it fails.
    pub fn variables(&self, inventory: &Inventory) -> Variables {
        let int = |n: u32| Value::Int(i64::from(n));
        let mut values = Variables::new();
        match self {
            Self::Endpoint(e) => {
                values.insert("min_replicas", int(e.min_replicas.0));
                values.insert("max_replicas", int(e.max_replicas.0));
                values.extend(e.ready_replicas.map(|n| ("ready_replicas", int(n.0))));
                values.insert("canary_percent", int(e.canary_percent.unwrap_or(0)));
                values.insert("gpus_per_replica", Value::Double(e.gpus_per_replica));
                values.insert("runtime", Value::Text(e.runtime.clone()));
                values.extend(e.ready.map(|r| ("ready", Value::Bool(r))));
            }
            Self::Pool(p) => {
                values.extend(p.gpu_limit.map(|n| ("gpu_limit", int(n.0))));
                values.insert("gpus", int(p.gpus.0));
                values.insert("gpu_model", Value::Text(p.gpu_model.clone()));
            }
            Self::Node(n) => {
                values.insert("gpus", int(n.gpus.0));
                values.insert("cordoned", Value::Bool(n.cordoned));
                if n.pool.is_some() {
                    let open = inventory.nodes.iter().filter(|other| other.pool == n.pool && !other.cordoned).count();
                    values.insert("nodes_in_pool", Value::Int(i64::try_from(open).unwrap_or(i64::MAX)));
                }
            }
            Self::Dataset(_) => {}
        }
        values
    }
}
