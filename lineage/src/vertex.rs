//! What the lineage graph joins.

use std::fmt;
use std::str::FromStr;

use bellwether_model::dataset::{DatasetId, JobId};
use bellwether_model::id::EndpointId;
use bellwether_model::inventory::Entity;
use serde::{Deserialize, Serialize};

/// One vertex of the lineage graph. Text form `dataset:s3://raw:orders`, `job:etl:features`, `endpoint:ml/iris`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Vertex {
    /// A dataset; a model is the dataset that its storage URI names.
    Dataset(DatasetId),
    /// A job: what the runs of one name have in common.
    Job(JobId),
    /// A live model endpoint.
    Endpoint(EndpointId),
}

impl Vertex {
    /// The vertex that stands for this entity; pools, nodes and other entities have no lineage.
    pub fn of_entity(entity: &Entity) -> Option<Self> {
        match entity {
            Entity::Dataset(id) => Some(Self::Dataset(id.clone())),
            Entity::Endpoint(id) => Some(Self::Endpoint(id.clone())),
            Entity::Other(kind, rest) if kind == "job" => {
                let Ok(Entity::Dataset(id)) = format!("dataset:{rest}").parse() else { return None };
                Some(Self::Job(JobId { namespace: id.namespace, name: id.name }))
            }
            Entity::Pool(_) | Entity::Node(_) | Entity::Other(..) => None,
        }
    }

    /// The entity that this vertex stands for.
    pub fn entity(&self) -> Entity {
        match self {
            Self::Dataset(id) => Entity::Dataset(id.clone()),
            Self::Job(id) => Entity::Other("job".into(), id.to_string()),
            Self::Endpoint(id) => Entity::Endpoint(id.clone()),
        }
    }
}

impl fmt::Display for Vertex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dataset(id) => write!(f, "dataset:{id}"),
            Self::Job(id) => write!(f, "job:{id}"),
            Self::Endpoint(id) => write!(f, "endpoint:{id}"),
        }
    }
}

/// The text names no vertex of a lineage graph.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} has no lineage; write it as dataset:namespace:name, job:namespace:name or endpoint:namespace/name")]
pub struct ParseVertexError(pub String);

impl FromStr for Vertex {
    type Err = ParseVertexError;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        s.parse::<Entity>().ok().and_then(|entity| Self::of_entity(&entity)).ok_or_else(|| ParseVertexError(s.to_owned()))
    }
}

impl Serialize for Vertex {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Vertex {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vertices_read_back_as_written() {
        for text in ["dataset:s3://raw:orders/2026", "job:etl:features", "job:airflow://prod:orders.count", "endpoint:ml/iris"] {
            let vertex: Vertex = text.parse().unwrap();
            assert_eq!(vertex.to_string(), text);
            assert_eq!(Vertex::of_entity(&vertex.entity()), Some(vertex));
        }
    }

    #[test]
    fn what_has_no_lineage_is_refused_with_the_right_form() {
        for text in ["pool:gpu-a", "node:gpu-3", "iris", "job:alone"] {
            let error = text.parse::<Vertex>().unwrap_err().to_string();
            assert!(error.contains("dataset:namespace:name"), "{error}");
        }
    }
}
