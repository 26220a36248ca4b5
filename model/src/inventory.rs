//! What the fleet is: endpoints, pools, nodes. Observed from Kubernetes or declared in the configuration.

use serde::{Deserialize, Serialize};

use crate::id::{EndpointId, NodeName, PoolName};
use crate::series::Labels;
use crate::time::Timestamp;
use crate::unit::{MicroUsd, Replicas};

/// A model endpoint as it was seen. A row of the table `endpoints`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Namespace and name of the InferenceService.
    pub endpoint: EndpointId,
    /// Kubernetes UID; empty when declared in the configuration.
    pub uid: String,
    /// Kubernetes resource version; empty when declared in the configuration.
    pub resource_version: String,
    /// Labels of the object.
    pub labels: Labels,
    /// Serving runtime, such as `kserve-vllmserver`; empty when unknown.
    pub runtime: String,
    /// Storage URI of the model: an OpenLineage dataset name in URI form. Joins the endpoint to lineage.
    pub model_uri: Option<String>,
    /// `spec.predictor.minReplicas`.
    pub min_replicas: Replicas,
    /// `spec.predictor.maxReplicas`.
    pub max_replicas: Replicas,
    /// Replicas that are ready, where known.
    pub ready_replicas: Option<Replicas>,
    /// `spec.predictor.canaryTrafficPercent`: the share of traffic of the newest revision during a canary.
    pub canary_percent: Option<u32>,
    /// Newest ready revision, where known.
    pub revision: Option<String>,
    /// GPUs that one replica asks for.
    pub gpus_per_replica: f64,
    /// The pool its pods run on, where known.
    pub pool: Option<PoolName>,
    /// Whether its Ready condition is true, where known.
    pub ready: Option<bool>,
    /// When it was seen.
    pub recorded_at: Timestamp,
}

/// A GPU pool as it was seen. A row of the table `pools`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pool {
    /// Name of the pool (of the NodePool, where Karpenter runs it).
    pub pool: PoolName,
    /// Kubernetes UID; empty when declared in the configuration.
    pub uid: String,
    /// Kubernetes resource version; empty when declared in the configuration.
    pub resource_version: String,
    /// Labels of the object.
    pub labels: Labels,
    /// GPU model, such as `A100`; empty when unknown.
    pub gpu_model: String,
    /// Upper limit of GPUs (`spec.limits["nvidia.com/gpu"]`), where there is one.
    pub gpu_limit: Option<Replicas>,
    /// GPUs that exist now.
    pub gpus: Replicas,
    /// Price of one GPU for one hour.
    pub usd_per_gpu_hour: MicroUsd,
    /// When it was seen.
    pub recorded_at: Timestamp,
}

/// A node as it was seen. A row of the table `nodes`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// Name of the node.
    pub node: NodeName,
    /// Kubernetes UID.
    pub uid: String,
    /// Kubernetes resource version.
    pub resource_version: String,
    /// The pool it belongs to, where known.
    pub pool: Option<PoolName>,
    /// GPUs on it.
    pub gpus: Replicas,
    /// Whether new pods are kept off it (`spec.unschedulable`).
    pub cordoned: bool,
    /// When it was seen.
    pub recorded_at: Timestamp,
}

/// Something that happened to the fleet and may explain what followed: a deployment, a scale action, a new dataset
/// version. A row of the table `changes`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// When it happened, or was first seen.
    pub at: Timestamp,
    /// `revision`, `replicas`, `canary`, `pool_limit`, `cordon`, `model_uri`.
    pub kind: String,
    /// The object: an [`Entity`] as text.
    pub entity: Entity,
    /// What changed, in words: `revision iris-00041 → iris-00042`.
    pub summary: String,
    /// When the row was written.
    pub recorded_at: Timestamp,
}

/// The inventory at one instant: the newest row of each object.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Inventory {
    /// Model endpoints, by id.
    pub endpoints: Vec<Endpoint>,
    /// GPU pools, by name.
    pub pools: Vec<Pool>,
    /// Nodes, by name.
    pub nodes: Vec<Node>,
}

impl Inventory {
    /// The endpoint of this id.
    pub fn endpoint(&self, id: &EndpointId) -> Option<&Endpoint> {
        self.endpoints.iter().find(|e| &e.endpoint == id)
    }
    /// The pool of this name.
    pub fn pool(&self, name: &PoolName) -> Option<&Pool> {
        self.pools.iter().find(|p| &p.pool == name)
    }
    /// The node of this name.
    pub fn node(&self, name: &NodeName) -> Option<&Node> {
        self.nodes.iter().find(|n| &n.node == name)
    }
}

/// A thing of the fleet that signals and changes can be about. Text form `endpoint:ml/iris`, `pool:gpu-us-east`,
/// `node:gpu-3`, `dataset:s3://raw:orders`, `job:etl:features`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Entity {
    /// A model endpoint.
    Endpoint(EndpointId),
    /// A GPU pool.
    Pool(PoolName),
    /// A node.
    Node(NodeName),
    /// A dataset; a model is the dataset its storage URI names.
    Dataset(crate::dataset::DatasetId),
    /// Anything else, by the label and value that name it.
    Other(String, String),
}

impl Entity {
    /// The entities that a series' labels name, most specific first: endpoint, node, pool; or else job and instance.
    ///
    /// Labels looked at: `namespace` (or `exported_namespace`) with `service`, `inference_service`, `isvc`,
    /// `serving_kserve_io_inferenceservice` or `service_name`; `node`, `hostname` or `Hostname`; `pool` or `nodepool`;
    /// `model_name`; and, when none of those is there, `instance`, then `job`.
    pub fn of_labels(labels: &Labels) -> Vec<Self> {
        let get = |names: &[&str]| names.iter().find_map(|n| labels.get(*n)).filter(|v| !v.is_empty()).cloned();
        let mut found = Vec::new();
        let service = get(&["service", "inference_service", "isvc", "serving_kserve_io_inferenceservice", "service_name"]);
        match (get(&["namespace", "exported_namespace", "namespace_name"]), service) {
            (Some(ns), Some(name)) => found.push(Self::Endpoint(EndpointId::new(ns, name))),
            (None, Some(name)) => found.push(Self::Other("service".into(), name)),
            _ => {}
        }
        if let Some(node) = get(&["node", "hostname", "Hostname"]) {
            found.push(Self::Node(NodeName::new(node)));
        }
        if let Some(pool) = get(&["pool", "nodepool", "karpenter_sh_nodepool"]) {
            found.push(Self::Pool(PoolName::new(pool)));
        }
        if let (true, Some(model)) = (found.is_empty(), get(&["model_name", "model"])) {
            found.push(Self::Other("model".into(), model));
        }
        if found.is_empty()
            && let Some((label, value)) = ["instance", "job"].iter().find_map(|l| labels.get(*l).map(|v| (*l, v)))
        {
            found.push(Self::Other(label.into(), value.clone()));
        }
        found
    }
}

impl std::fmt::Display for Entity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Endpoint(id) => write!(f, "endpoint:{id}"),
            Self::Pool(name) => write!(f, "pool:{name}"),
            Self::Node(name) => write!(f, "node:{name}"),
            Self::Dataset(id) => write!(f, "dataset:{id}"),
            Self::Other(label, value) => write!(f, "{label}:{value}"),
        }
    }
}

/// The text names no entity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an entity; write it as endpoint:namespace/name, pool:name, node:name or dataset:namespace:name")]
pub struct ParseEntityError(pub String);

impl std::str::FromStr for Entity {
    type Err = ParseEntityError;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let wrong = || ParseEntityError(s.to_owned());
        let (kind, rest) = s.split_once(':').filter(|(k, r)| !k.is_empty() && !r.is_empty()).ok_or_else(wrong)?;
        Ok(match kind {
            "endpoint" => Self::Endpoint(rest.parse().map_err(|_| wrong())?),
            "pool" => Self::Pool(PoolName::new(rest)),
            "node" => Self::Node(NodeName::new(rest)),
            "dataset" => {
                // Namespaces hold colons (`s3://raw`, `postgres://db:5432`): the name begins after a colon that is followed by neither // nor a digit.
                let cut = rest.char_indices().filter(|(_, c)| *c == ':').map(|(i, _)| i).find(|i| {
                    let after = &rest[i + 1..];
                    !after.starts_with("//") && !after.starts_with(|c: char| c.is_ascii_digit())
                });
                let cut = cut.or_else(|| rest.rfind(':').filter(|i| !rest[i + 1..].starts_with("//"))).ok_or_else(wrong)?;
                Self::Dataset(crate::dataset::DatasetId::new(&rest[..cut], &rest[cut + 1..]))
            }
            other => Self::Other(other.to_owned(), rest.to_owned()),
        })
    }
}

impl Serialize for Entity {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Entity {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entities_read_back_as_written() {
        for text in [
            "endpoint:ml/iris",
            "pool:gpu-us-east",
            "node:gpu-3",
            "dataset:s3://raw:orders/2026",
            "dataset:postgres://db:5432:shop.orders",
            "dataset:file:/data/x",
            "job:node-exporter",
        ] {
            assert_eq!(text.parse::<Entity>().unwrap().to_string(), text);
        }
        assert!("iris".parse::<Entity>().is_err());
        assert!("endpoint:iris".parse::<Entity>().is_err());
    }

    #[test]
    fn labels_name_entities() {
        let labels: Labels =
            [("namespace", "ml"), ("service", "iris"), ("pool", "gpu-a")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        let found: Vec<_> = Entity::of_labels(&labels).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["endpoint:ml/iris", "pool:gpu-a"]);
        let labels: Labels = [("instance", "h:9100"), ("job", "node")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        assert_eq!(Entity::of_labels(&labels)[0].to_string(), "instance:h:9100");
    }
}
