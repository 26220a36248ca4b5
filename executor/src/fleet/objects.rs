//! What Kubernetes shows of the fleet: its objects, and their statuses following what was asked.
//!
//! Everything but the knobs belongs to the managers `gitops`, `deploy-pipeline` and `karpenter`. The knobs were handed
//! over: `minReplicas` and `maxReplicas` to `bellwether/scale`, `canaryTrafficPercent` to `bellwether/rollout`, the GPU
//! limit to `bellwether/pool`; nobody owns `unschedulable` of a node.

use bellwether_model::time::Timestamp;
use serde_json::{Value, json};

use super::cast::{Cast, EndpointSpec};
use super::moment::nodes_now;
use super::script::Act;
use super::timeline::{Knobs, Timeline};
use crate::apiserver::{ApiServer, Event, EventType, Key};

const GPU: &str = "nvidia.com/gpu";

/// An object whose change has not taken effect yet.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Pending {
    pub(crate) key: Key,
    pub(crate) due: Timestamp,
}

/// Puts all objects into a fresh API server.
pub(crate) fn create(api: &ApiServer, cast: &Cast) {
    for namespace in cast.endpoints.iter().map(|e| &e.id.namespace).collect::<std::collections::BTreeSet<_>>() {
        put(
            api,
            "gitops",
            &json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}, "status": {"phase": "Active"}}),
        );
    }
    for (i, pool) in cast.pools.iter().enumerate() {
        let requirements = json!([{"key": "karpenter.sh/capacity-type", "operator": "In", "values": ["on-demand"]}]);
        put(
            api,
            "gitops",
            &json!({"apiVersion": "karpenter.sh/v1", "kind": "NodePool",
                "metadata": {"name": pool.name.as_str(), "labels": {"nvidia.com/gpu.product": pool.gpu_model},
                    "annotations": {"bellwether.dev/usd-per-gpu-hour": format!("{}", pool.usd_per_gpu_hour.usd())}},
                "spec": {"weight": 10, "disruption": {"consolidationPolicy": "WhenEmptyOrUnderutilized", "consolidateAfter": "1m"},
                    "template": {"metadata": {"labels": {"pool": pool.name.as_str()}},
                        "spec": {"nodeClassRef": {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "gpu"}, "requirements": requirements}}}}),
        );
        put(
            api,
            "bellwether/pool",
            &json!({"apiVersion": "karpenter.sh/v1", "kind": "NodePool", "metadata": {"name": pool.name.as_str()},
                "spec": {"limits": {GPU: pool.gpu_limit.to_string()}}}),
        );
        for node in cast.nodes_of(i) {
            put_node(api, cast, node);
        }
        pool_status(api, cast, i, pool.nodes);
    }
    for e in &cast.endpoints {
        put(api, "deploy-pipeline", &service(cast, e, e.first_version));
        let scale = json!({"minReplicas": e.min_replicas, "maxReplicas": e.max_replicas});
        put(api, "bellwether/scale", &partial(e, scale));
        let key = Key::new("InferenceService", Some(&e.id.namespace), &e.id.name);
        endpoint_status(api, &key, true);
    }
}

/// Does what a pipeline does at this point of the script.
pub(crate) fn perform(api: &ApiServer, cast: &Cast, act: &Act) {
    match *act {
        Act::Deploy { endpoint, version } => put(api, "deploy-pipeline", &service(cast, &cast.endpoints[endpoint], version)),
        Act::StartCanary { endpoint, version, percent } => {
            let e = &cast.endpoints[endpoint];
            put(api, "bellwether/rollout", &partial(e, json!({"canaryTrafficPercent": percent})));
            put(api, "deploy-pipeline", &service(cast, e, version));
        }
        Act::EndCanary { endpoint, version } => {
            let e = &cast.endpoints[endpoint];
            put(api, "deploy-pipeline", &service(cast, e, version));
            put(api, "bellwether/rollout", &partial(e, json!({})));
        }
    }
}

/// Reads a change into the timeline; what is pending from then on, if it asks for anything new.
pub(crate) fn take_note(cast: &Cast, timeline: &mut Timeline, change: &Event) -> Option<Pending> {
    let key = &change.key;
    let gone = change.event == EventType::Deleted;
    let due = match key.kind.as_str() {
        "InferenceService" => {
            let i =
                cast.endpoints.iter().position(|e| Some(e.id.namespace.as_str()) == key.namespace.as_deref() && e.id.name == key.name)?;
            let mut knobs = Knobs::of(&change.object);
            knobs.stopped |= gone;
            timeline.set_endpoint(i, change.at, knobs)?
        }
        "NodePool" if !gone => {
            let i = cast.pools.iter().position(|p| p.name.as_str() == key.name)?;
            let quantity = &change.object["spec"]["limits"][GPU];
            let limit = quantity.as_str().map_or_else(|| quantity.as_u64(), |text| text.parse().ok());
            timeline.set_limit(i, change.at, limit.map_or(u32::MAX, |n| u32::try_from(n).unwrap_or(u32::MAX)))?
        }
        "Node" if !gone => {
            let i = cast.nodes.iter().position(|n| n.name.as_str() == key.name)?;
            timeline.set_cordon(i, change.at, change.object["spec"]["unschedulable"] == true)?
        }
        _ => return None,
    };
    (!gone).then(|| Pending { key: key.clone(), due })
}

/// The status while a change is under way.
pub(crate) fn begin(api: &ApiServer, pending: &Pending) {
    if pending.key.kind == "InferenceService" {
        endpoint_status(api, &pending.key, false);
    }
}

/// The status, and the nodes that come and go, once a change is in effect.
pub(crate) fn finish(api: &ApiServer, cast: &Cast, timeline: &Timeline, pending: &Pending, at: Timestamp) {
    if pending.key.kind == "InferenceService" {
        endpoint_status(api, &pending.key, true);
        return;
    }
    for pool in 0..cast.pools.len() {
        let there: Vec<usize> = nodes_now(cast, timeline, pool, at).into_iter().map(|(n, _)| n).collect();
        for node in cast.nodes_of(pool) {
            let name = cast.nodes[node].name.as_str();
            match (api.get("Node", None, name).is_some(), there.contains(&node)) {
                (true, false) => {
                    api.delete("Node", None, name);
                }
                (false, true) => put_node(api, cast, node),
                _ => {}
            }
        }
        pool_status(api, cast, pool, there.len());
    }
}

fn put(api: &ApiServer, manager: &str, object: &Value) {
    let made = api.apply(manager, object);
    debug_assert!(made.is_ok(), "the fleet's own objects are valid: {made:?}");
}

fn put_node(api: &ApiServer, cast: &Cast, node: usize) {
    let spec = &cast.nodes[node];
    let pool = &cast.pools[spec.pool];
    let name = spec.name.as_str();
    put(
        api,
        "karpenter",
        &json!({"apiVersion": "v1", "kind": "Node",
            "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, "karpenter.sh/nodepool": pool.name.as_str(),
                "karpenter.sh/capacity-type": "on-demand", "nvidia.com/gpu.product": pool.gpu_model, "pool": pool.name.as_str()}},
            "spec": {"providerID": format!("simulated:///{name}")}}),
    );
    let gpus = pool.gpus_per_node.to_string();
    let capacity = json!({"cpu": "96", "memory": "1152Gi", GPU: gpus});
    let ready = json!([{"type": "Ready", "status": "True", "reason": "KubeletReady"}]);
    let status = json!({"capacity": capacity, "allocatable": capacity, "conditions": ready});
    let made = api.set_status("kubelet", "Node", None, name, status);
    debug_assert!(made.is_ok(), "the node was just made: {made:?}");
}

fn pool_status(api: &ApiServer, cast: &Cast, pool: usize, nodes: usize) {
    let spec = &cast.pools[pool];
    let gpus = nodes as u32 * spec.gpus_per_node;
    let status = json!({"resources": {GPU: gpus.to_string(), "nodes": nodes.to_string()}, "nodes": nodes,
        "conditions": [{"type": "Ready", "status": "True"}]});
    // A deleted pool has no status; that is all there is to it.
    let _ = api.set_status("karpenter", "NodePool", None, spec.name.as_str(), status);
}

/// What the deploy pipeline applies: everything but the knobs.
fn service(cast: &Cast, e: &EndpointSpec, version: u32) -> Value {
    let resources = json!({"limits": {GPU: e.gpus.to_string()}, "requests": {"cpu": "4", "memory": "32Gi", GPU: e.gpus.to_string()}});
    json!({
        "apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService",
        "metadata": {"name": e.id.name, "namespace": e.id.namespace,
            "labels": {"team": e.id.namespace, "domain": e.domain, "pool": cast.pools[e.pool].name.as_str()},
            "annotations": {"serving.kserve.io/deploymentMode": "Knative", "serving.kserve.io/autoscalerClass": "kpa"}},
        "spec": {"predictor": {
            "nodeSelector": {"karpenter.sh/nodepool": cast.pools[e.pool].name.as_str()},
            "scaleMetric": "rps",
            "model": {"modelFormat": {"name": e.format}, "runtime": e.runtime, "storageUri": format!("s3://models/{}/{version}", e.id.name),
                "resources": resources}}},
    })
}

/// An apply of a few fields of the predictor.
fn partial(e: &EndpointSpec, predictor: Value) -> Value {
    json!({"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService",
        "metadata": {"name": e.id.name, "namespace": e.id.namespace}, "spec": {"predictor": predictor}})
}

fn endpoint_status(api: &ApiServer, key: &Key, ready: bool) {
    let Some(object) = api.get(&key.kind, key.namespace.as_deref(), &key.name) else { return };
    let generation = object["metadata"]["generation"].as_i64().unwrap_or(1);
    let revision = |n: i64| format!("{}-predictor-{n:05}", key.name);
    let before = &object["status"]["components"]["predictor"];
    let created = revision(generation);
    let rolled_out = |field: &str| before[field].as_str().map_or_else(|| created.clone(), str::to_owned);
    let canary = object["spec"]["predictor"]["canaryTrafficPercent"].as_i64();
    let previous = rolled_out("latestRolledoutRevision");
    let traffic = match canary {
        Some(percent) if previous != created => json!([
            {"revisionName": created, "percent": percent, "latestRevision": true},
            {"revisionName": previous, "percent": 100 - percent, "latestRevision": false, "tag": "prev"}]),
        _ => json!([{"revisionName": created, "percent": 100, "latestRevision": true}]),
    };
    let predictor = json!({
        "latestCreatedRevision": created,
        "latestReadyRevision": if ready { created.clone() } else { rolled_out("latestReadyRevision") },
        "latestRolledoutRevision": if ready && canary.is_none() { created.clone() } else { previous },
        "traffic": if ready { traffic } else { before["traffic"].clone() },
    });
    let condition = |kind: &str| json!({"type": kind, "status": if ready { "True" } else { "Unknown" }});
    let model = json!({"transitionStatus": if ready { "UpToDate" } else { "InProgress" },
        "states": {"activeModelState": "Loaded", "targetModelState": if ready { "Loaded" } else { "Loading" }}});
    let status = json!({
        "observedGeneration": generation, "deploymentMode": "Knative",
        "url": format!("http://{}.{}.example.com", key.name, key.namespace.as_deref().unwrap_or_default()),
        "servingRuntimeName": object["spec"]["predictor"]["model"]["runtime"],
        "conditions": [condition("IngressReady"), condition("PredictorReady"), condition("Ready")],
        "components": {"predictor": predictor}, "modelStatus": model,
    });
    let set = api.set_status("kserve-controller", &key.kind, key.namespace.as_deref(), &key.name, status);
    debug_assert!(set.is_ok(), "the object was just read: {set:?}");
}
