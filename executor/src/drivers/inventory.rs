//! The fleet as the cluster has it: endpoints, pools and nodes.

use bellwether_model::id::PoolName;
use bellwether_model::inventory::Inventory;
use bellwether_model::time::Timestamp;
use bellwether_model::unit::Replicas;
use kube::Api;
use kube::api::ListParams;
use kube::core::DynamicObject;
use serde_json::Value;

use super::error::DriverError;
use super::{Cluster, Kind, as_json, inference_service, node, node_pool};

/// Objects asked for at once.
const PAGE: u32 = 500;

/// Reads every InferenceService, NodePool and Node. Kinds that the cluster does not have give none. Sorted by id.
///
/// *Errors:* no cluster, no answer, or no right to list.
pub async fn inventory(cluster: &Cluster, now: Timestamp) -> Result<Inventory, DriverError> {
    let client = cluster.client()?;
    let mut nodes: Vec<_> = list(&client, &node::KIND).await?.iter().map(|object| node::read(object, now)).collect();
    nodes.sort_by(|a, b| a.node.cmp(&b.node));
    let mut pools: Vec<_> = list(&client, &node_pool::KIND).await?.iter().map(|object| node_pool::read(object, &nodes, now)).collect();
    pools.sort_by(|a, b| a.pool.cmp(&b.pool));
    let mut endpoints: Vec<_> =
        list(&client, &inference_service::KIND).await?.iter().map(|object| inference_service::read(object, now)).collect();
    endpoints.sort_by(|a, b| a.endpoint.cmp(&b.endpoint));
    Ok(Inventory { endpoints, pools, nodes })
}

async fn list(client: &kube::Client, kind: &Kind) -> Result<Vec<Value>, DriverError> {
    let api: Api<DynamicObject> = Api::all_with(client.clone(), &kind.resource(None));
    let mut objects = Vec::new();
    let mut params = ListParams::default().limit(PAGE);
    loop {
        let page = match api.list(&params).await {
            Ok(page) => page,
            Err(kube::Error::Api(status)) if status.code == 404 => return Ok(Vec::new()),
            Err(e) => return Err(DriverError::of(&kind.plural, e)),
        };
        for object in &page.items {
            objects.push(as_json(object)?);
        }
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => return Ok(objects),
        }
    }
}

/// The text at a JSON pointer; empty when there is none.
pub(super) fn text(object: &Value, pointer: &str) -> String {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// The count at a JSON pointer, written as a number or as text.
pub(super) fn count(object: &Value, pointer: &str) -> Option<Replicas> {
    quantity(object.pointer(pointer)?).map(|n| Replicas(n.round() as u32))
}

/// A Kubernetes quantity without a suffix, as GPUs are counted. Never negative.
pub(super) fn quantity(value: &Value) -> Option<f64> {
    let number = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())?;
    (number.is_finite() && number >= 0.0).then_some(number)
}

/// The labels at a JSON pointer.
pub(super) fn labels(object: &Value, pointer: &str) -> bellwether_model::series::Labels {
    let found = object.pointer(pointer).and_then(Value::as_object);
    found.into_iter().flatten().filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect()
}

/// The pool that labels or a node selector name.
pub(super) fn pool(labels: &bellwether_model::series::Labels) -> Option<PoolName> {
    ["karpenter.sh/nodepool", "pool"].iter().find_map(|name| labels.get(*name)).filter(|name| !name.is_empty()).map(PoolName::new)
}

/// The GPUs in a resource list such as `limits` or `capacity`: whole devices and MIG slices of every vendor.
pub(super) fn gpus(resources: Option<&Value>) -> f64 {
    let named = resources.and_then(Value::as_object).into_iter().flatten();
    named.filter(|(name, _)| name.ends_with("/gpu") || name.starts_with("nvidia.com/mig-")).filter_map(|(_, value)| quantity(value)).sum()
}

#[cfg(test)]
mod tests {
    use bellwether_model::id::{EndpointId, NodeName};
    use bellwether_model::plan::{ObjectRef, Plan, Step};
    use bellwether_model::playbook::Operation;
    use serde_json::json;

    use super::*;
    use crate::apiserver::ApiServer;
    use crate::fleet::{Fleet, FleetSpec};

    #[tokio::test]
    async fn the_fleet_is_read_as_the_cluster_has_it() {
        let server = ApiServer::new(Timestamp::EPOCH);
        for name in ["wine", "iris"] {
            let object = json!({"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService", "metadata": {"name": name, "namespace": "ml"},
                "spec": {"predictor": {"minReplicas": 2, "maxReplicas": 4, "nodeSelector": {"pool": "gpu-a"}, "model": {"storageUri": "s3://models/iris/3"}}}});
            server.apply("helm", &object).unwrap();
        }
        let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "gpu-3", "labels": {"karpenter.sh/nodepool": "gpu-a"}}, "spec": {"unschedulable": true}});
        server.apply("kubelet", &node).unwrap();
        server.set_status("kubelet", "Node", None, "gpu-3", json!({"capacity": {"nvidia.com/gpu": "8"}})).unwrap();
        let pool = json!({"apiVersion": "karpenter.sh/v1", "kind": "NodePool", "metadata": {"name": "gpu-a"}, "spec": {"limits": {"nvidia.com/gpu": "16"}}});
        server.apply("helm", &pool).unwrap();

        let found = inventory(&Cluster::Kubernetes(server.client()), Timestamp::from_secs(7)).await.unwrap();
        assert_eq!(found.endpoints.iter().map(|e| e.endpoint.name.as_str()).collect::<Vec<_>>(), ["iris", "wine"]);
        let iris = found.endpoint(&EndpointId::new("ml", "iris")).unwrap();
        assert!(!iris.uid.is_empty() && !iris.resource_version.is_empty() && iris.recorded_at == Timestamp::from_secs(7));
        assert!(found.node(&NodeName::new("gpu-3")).unwrap().cordoned);
        let pool = found.pool(&PoolName::new("gpu-a")).unwrap();
        assert_eq!((pool.gpu_limit, pool.gpus), (Some(Replicas(16)), Replicas(8)), "without a status, its nodes' GPUs count");
    }

    #[tokio::test]
    async fn the_simulated_fleet_is_seen_whole_and_lets_us_act() {
        let fleet = Fleet::new(FleetSpec { days: 3, ..FleetSpec::default() });
        let cluster = Cluster::Kubernetes(fleet.api().client());
        let found = inventory(&cluster, fleet.now()).await.unwrap();
        assert_eq!((found.endpoints.len(), found.pools.len()), (fleet.cast().endpoints.len(), fleet.cast().pools.len()));
        assert!(found.endpoints.iter().all(|e| e.model_uri.is_some() && e.gpus_per_replica > 0.0 && e.ready == Some(true)));
        assert!(found.endpoints.iter().all(|e| e.pool.as_ref().is_some_and(|pool| found.pool(pool).is_some())));
        assert!(found.pools.iter().all(|p| p.gpus.0 > 0 && p.gpu_limit.is_some() && p.usd_per_gpu_hour.0 > 0 && !p.gpu_model.is_empty()));
        assert!(found.nodes.iter().all(|n| n.gpus.0 > 0 && n.pool.is_some() && !n.cordoned));

        let (endpoint, pool, node) = (&found.endpoints[0], &found.pools[0], &found.nodes[0]);
        let step = |kind: &str, version: &str, namespace: Option<&str>, name: &str, uid: &str, manager: &str, patch: Value| Step {
            operation: Operation::ScaleWithinLimits,
            object: ObjectRef {
                api_version: version.into(),
                kind: kind.into(),
                namespace: namespace.map(str::to_owned),
                name: name.into(),
                uid: uid.into(),
                resource_version: String::new(),
            },
            field_manager: manager.into(),
            patch,
            before: Value::Null,
            summary: String::new(),
        };
        let id = &endpoint.endpoint;
        let mut body = crate::journal::tests::plan("iris", "").body;
        body.steps = vec![
            step(
                "InferenceService",
                "serving.kserve.io/v1beta1",
                Some(&id.namespace),
                &id.name,
                &endpoint.uid,
                "bellwether/scale",
                json!({"spec": {"predictor": {"minReplicas": endpoint.min_replicas.0 + 1, "maxReplicas": endpoint.max_replicas.0 + 1}}}),
            ),
            step(
                "NodePool",
                "karpenter.sh/v1",
                None,
                pool.pool.as_str(),
                &pool.uid,
                "bellwether/pool",
                json!({"spec": {"limits": {"nvidia.com/gpu": "1"}}}),
            ),
            step("Node", "v1", None, node.node.as_str(), &node.uid, "bellwether/node", json!({"spec": {"unschedulable": true}})),
        ];
        let plan = Plan::seal(body, "rnd-1".into(), fleet.now()).unwrap();
        let dry = crate::drivers::dry_run(&cluster, &plan).await.unwrap();
        let fields: Vec<&str> = dry.steps.iter().flat_map(|s| &s.changes).map(|c| c.field.as_str()).collect();
        assert_eq!(
            fields,
            ["spec.predictor.maxReplicas", "spec.predictor.minReplicas", "spec.limits[nvidia.com/gpu]", "spec.unschedulable"]
        );
        assert!(fleet.api().log().iter().all(|m| m.dry_run && !m.changed));
    }

    #[tokio::test]
    async fn kinds_that_the_cluster_lacks_are_empty_and_missing_rights_are_told() {
        let client = |code: u16| {
            let service = tower::service_fn(move |_: http::Request<kube::client::Body>| async move {
                let status =
                    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": "", "message": "no"});
                let body = http_body_util::Full::new(bytes::Bytes::from(status.to_string()));
                Ok::<_, std::convert::Infallible>(http::Response::builder().status(code).body(body).expect("the parts are valid"))
            });
            Cluster::Kubernetes(kube::Client::new(service, "default"))
        };
        assert_eq!(inventory(&client(404), Timestamp::EPOCH).await.unwrap(), Inventory::default());
        assert!(matches!(inventory(&client(403), Timestamp::EPOCH).await, Err(DriverError::Denied { .. })));
        assert!(matches!(inventory(&client(503), Timestamp::EPOCH).await, Err(DriverError::Unreachable { .. })));
        assert!(matches!(inventory(&Cluster::None, Timestamp::EPOCH).await, Err(DriverError::NoCluster)));
    }
}
