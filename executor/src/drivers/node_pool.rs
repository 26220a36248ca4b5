//! NodePools of Karpenter: GPU pools.

use bellwether_model::id::PoolName;
use bellwether_model::inventory::{Node, Pool};
use bellwether_model::time::Timestamp;
use bellwether_model::unit::{MicroUsd, Replicas};
use serde_json::Value;

use super::Kind;
use super::inventory::{count, labels, quantity, text};

pub(super) const KIND: Kind =
    Kind { group: "karpenter.sh", version: "v1", kind: "NodePool", plural: "nodepools", defaults: || Value::Null };

/// Annotation of a NodePool with the price of one GPU for one hour in dollars. Prices of the configuration come before it.
const PRICE: &str = "bellwether.dev/usd-per-gpu-hour";

/// What a NodePool and its nodes say of the pool.
pub(super) fn read(object: &Value, nodes: &[Node], now: Timestamp) -> Pool {
    let pool = PoolName::new(text(object, "/metadata/name"));
    let on_nodes = nodes.iter().filter(|node| node.pool.as_ref() == Some(&pool)).map(|node| node.gpus.0).sum();
    let price = object.pointer("/metadata/annotations").and_then(|annotations| annotations.get(PRICE)).and_then(quantity);
    let own = labels(object, "/metadata/labels");
    let template = labels(object, "/spec/template/metadata/labels");
    let product = [&template, &own].iter().find_map(|labels| labels.get("nvidia.com/gpu.product")).cloned();
    Pool {
        uid: text(object, "/metadata/uid"),
        resource_version: text(object, "/metadata/resourceVersion"),
        labels: own,
        gpu_model: product.unwrap_or_else(|| required_model(object)),
        gpu_limit: count(object, "/spec/limits/nvidia.com~1gpu"),
        gpus: count(object, "/status/resources/nvidia.com~1gpu").unwrap_or(Replicas(on_nodes)),
        usd_per_gpu_hour: MicroUsd::from_usd(price.unwrap_or(0.0)),
        recorded_at: now,
        pool,
    }
}

/// The GPU model that the pool's requirements name, where they name exactly one.
fn required_model(object: &Value) -> String {
    let requirements = object.pointer("/spec/template/spec/requirements").and_then(Value::as_array).into_iter().flatten();
    let mut named = requirements
        .filter(|r| r["key"].as_str().is_some_and(|key| key.ends_with("/instance-gpu-name") || key == "nvidia.com/gpu.product"));
    match named.next().and_then(|r| r["values"].as_array()).map(Vec::as_slice) {
        Some([one]) => one.as_str().unwrap_or_default().to_owned(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pool_is_read_from_what_is_there() {
        let object = json!({
            "metadata": {"name": "gpu-a", "annotations": {"bellwether.dev/usd-per-gpu-hour": "2.5"}},
            "spec": {"limits": {"nvidia.com/gpu": "16"}, "template": {"spec": {"requirements": [{"key": "karpenter.k8s.aws/instance-gpu-name", "operator": "In", "values": ["a100"]}]}}},
            "status": {"resources": {"nvidia.com/gpu": "8"}}});
        let pool = read(&object, &[], Timestamp::EPOCH);
        assert_eq!(
            (pool.gpu_limit, pool.gpus, pool.usd_per_gpu_hour.usd(), pool.gpu_model.as_str()),
            (Some(Replicas(16)), Replicas(8), 2.5, "a100")
        );
        let bare = read(&json!({"metadata": {"name": "gpu-b"}, "spec": {"limits": {"cpu": "10"}}}), &[], Timestamp::EPOCH);
        assert_eq!((bare.gpu_limit, bare.gpus, bare.usd_per_gpu_hour.0), (None, Replicas(0), 0));
    }
}
