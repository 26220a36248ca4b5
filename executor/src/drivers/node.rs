//! Nodes.

use bellwether_model::id::NodeName;
use bellwether_model::inventory::Node;
use bellwether_model::time::Timestamp;
use bellwether_model::unit::Replicas;
use serde_json::{Value, json};

use super::Kind;
use super::inventory::{gpus, labels, pool, text};

pub(super) const KIND: Kind =
    Kind { group: "", version: "v1", kind: "Node", plural: "nodes", defaults: || json!({"spec": {"unschedulable": false}}) };

/// What a Node says of itself.
pub(super) fn read(object: &Value, now: Timestamp) -> Node {
    Node {
        node: NodeName::new(text(object, "/metadata/name")),
        uid: text(object, "/metadata/uid"),
        resource_version: text(object, "/metadata/resourceVersion"),
        pool: pool(&labels(object, "/metadata/labels")),
        gpus: Replicas(gpus(object.pointer("/status/capacity")).round() as u32),
        cordoned: object.pointer("/spec/unschedulable").and_then(Value::as_bool).unwrap_or(false),
        recorded_at: now,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_read_from_what_is_there() {
        let object = json!({"metadata": {"name": "gpu-3", "labels": {"karpenter.sh/nodepool": "gpu-a"}}, "spec": {"unschedulable": true}, "status": {"capacity": {"cpu": "96", "nvidia.com/gpu": "8"}}});
        let node = read(&object, Timestamp::EPOCH);
        assert_eq!((node.pool.unwrap().as_str(), node.gpus.0, node.cordoned), ("gpu-a", 8, true));
        let bare = read(&json!({"metadata": {"name": "cpu-1"}}), Timestamp::EPOCH);
        assert_eq!((bare.pool, bare.gpus.0, bare.cordoned), (None, 0, false));
    }
}
