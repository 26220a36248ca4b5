//! InferenceServices of KServe: model endpoints.

use bellwether_model::id::EndpointId;
use bellwether_model::inventory::Endpoint;
use bellwether_model::time::Timestamp;
use bellwether_model::unit::Replicas;
use serde_json::{Value, json};

use super::Kind;
use super::inventory::{count, gpus, labels, pool, text};

pub(super) const KIND: Kind = Kind {
    group: "serving.kserve.io",
    version: "v1beta1",
    kind: "InferenceService",
    plural: "inferenceservices",
    defaults: || json!({"spec": {"predictor": {"minReplicas": 1, "maxReplicas": 0}}}),
};

/// What an InferenceService says of its endpoint. Absent replica bounds read as KServe means them: a minimum of 1, and a
/// maximum of 0, which is no limit.
pub(super) fn read(object: &Value, now: Timestamp) -> Endpoint {
    let predictor = &object["spec"]["predictor"];
    let own = labels(object, "/metadata/labels");
    let model = model(predictor);
    let nonempty = |text: String| (!text.is_empty()).then_some(text);
    Endpoint {
        endpoint: EndpointId::new(text(object, "/metadata/namespace"), text(object, "/metadata/name")),
        uid: text(object, "/metadata/uid"),
        resource_version: text(object, "/metadata/resourceVersion"),
        runtime: nonempty(text(model, "/runtime")).unwrap_or_else(|| text(object, "/status/servingRuntimeName")),
        model_uri: nonempty(text(model, "/storageUri")),
        min_replicas: count(predictor, "/minReplicas").unwrap_or(Replicas(1)),
        max_replicas: count(predictor, "/maxReplicas").unwrap_or_default(),
        ready_replicas: None,
        canary_percent: count(predictor, "/canaryTrafficPercent").map(|percent| percent.0),
        revision: nonempty(text(object, "/status/components/predictor/latestReadyRevision")),
        gpus_per_replica: gpus_of(model).max(containers(predictor).map(gpus_of).sum()),
        pool: pool(&labels(predictor, "/nodeSelector")).or_else(|| pool(&own)),
        ready: condition(object, "Ready"),
        labels: own,
        recorded_at: now,
    }
}

/// The model's block: `model`, or one of the older blocks named after a framework.
fn model(predictor: &Value) -> &Value {
    let blocks = predictor.as_object().into_iter().flatten().map(|(_, block)| block);
    predictor.get("model").or_else(|| blocks.into_iter().find(|block| block.get("storageUri").is_some())).unwrap_or(&Value::Null)
}

fn containers(predictor: &Value) -> impl Iterator<Item = &Value> {
    predictor["containers"].as_array().into_iter().flatten()
}

fn gpus_of(container: &Value) -> f64 {
    gpus(container.pointer("/resources/limits")).max(gpus(container.pointer("/resources/requests")))
}

/// Whether a condition of the status is true; none when it is unknown or missing.
fn condition(object: &Value, name: &str) -> Option<bool> {
    let conditions = object.pointer("/status/conditions")?.as_array()?;
    match conditions.iter().find(|c| c["type"] == name)?["status"].as_str()? {
        "True" => Some(true),
        "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_read_from_what_is_there() {
        let object = json!({
            "metadata": {"namespace": "ml", "name": "iris", "uid": "u", "resourceVersion": "7", "labels": {"team": "x", "pool": "gpu-b"}},
            "spec": {"predictor": {"minReplicas": 2, "maxReplicas": 4, "canaryTrafficPercent": 10, "nodeSelector": {"karpenter.sh/nodepool": "gpu-a"},
                "model": {"runtime": "kserve-tritonserver", "storageUri": "s3://models/iris/3", "resources": {"limits": {"nvidia.com/gpu": "1"}, "requests": {"nvidia.com/gpu": 1}}}}},
            "status": {"conditions": [{"type": "Ready", "status": "True"}], "components": {"predictor": {"latestReadyRevision": "iris-00041"}}}});
        let e = read(&object, Timestamp::EPOCH);
        assert_eq!((e.endpoint.to_string().as_str(), e.min_replicas.0, e.max_replicas.0, e.canary_percent), ("ml/iris", 2, 4, Some(10)));
        assert_eq!((e.model_uri.as_deref(), e.gpus_per_replica, e.ready), (Some("s3://models/iris/3"), 1.0, Some(true)));
        assert_eq!(
            (e.pool.unwrap().as_str(), e.revision.as_deref(), e.runtime.as_str()),
            ("gpu-a", Some("iris-00041"), "kserve-tritonserver")
        );

        let bare = read(
            &json!({"metadata": {"namespace": "ml", "name": "old"}, "spec": {"predictor": {"sklearn": {"storageUri": "gs://m/1"}}}}),
            Timestamp::EPOCH,
        );
        assert_eq!((bare.min_replicas.0, bare.max_replicas.0, bare.model_uri.as_deref()), (1, 0, Some("gs://m/1")));
        assert_eq!((bare.ready, bare.pool, bare.gpus_per_replica), (None, None, 0.0));
    }
}
