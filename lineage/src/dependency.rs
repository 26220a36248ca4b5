//! What a thing of the fleet rests on: the pool that its pods run on, the nodes of the pool, the model that it serves, the data that the
//! model was made from.

use std::collections::{BTreeMap, BTreeSet};

use bellwether_model::inventory::{Entity, Inventory};
use bellwether_model::time::Timestamp;

use crate::graph::Graph;
use crate::vertex::Vertex;

/// How far upstream data is followed: from dataset to dataset is 2.
const DEPTH: usize = 12;

/// Pairs (what depends, what it depends on) that lead away from these entities, sorted. Jobs are left out: a dataset depends on what the
/// job that wrote it has read. `as_of` cuts the lineage, and not the inventory, which is as it is.
pub fn dependencies(graph: &Graph, inventory: &Inventory, of: &[Entity], as_of: Timestamp) -> Vec<(Entity, Entity)> {
    let mut found = BTreeSet::new();
    for entity in of {
        upstream(graph, entity, as_of, &mut found);
        let pool = match entity {
            Entity::Endpoint(id) => inventory.endpoint(id).and_then(|e| e.pool.clone()),
            Entity::Pool(pool) => Some(pool.clone()),
            Entity::Node(_) | Entity::Dataset(_) | Entity::Other(..) => None,
        };
        let Some(pool) = pool else { continue };
        let nodes = inventory.nodes.iter().filter(|n| n.pool.as_ref() == Some(&pool));
        found.extend(nodes.map(|n| (Entity::Pool(pool.clone()), Entity::Node(n.node.clone()))));
        if matches!(entity, Entity::Endpoint(_)) {
            found.insert((entity.clone(), Entity::Pool(pool)));
        }
    }
    found.into_iter().collect()
}

fn upstream(graph: &Graph, entity: &Entity, as_of: Timestamp, found: &mut BTreeSet<(Entity, Entity)>) {
    let Some(start) = Vertex::of_entity(entity) else { return };
    // Of each job, whatever depends on it by the shortest way: the dataset that it wrote.
    let mut writes: BTreeMap<Vertex, Entity> = BTreeMap::new();
    for hop in graph.upstream(&start, DEPTH, as_of) {
        let dependent = writes.get(&hop.via).cloned().unwrap_or_else(|| hop.via.entity());
        if matches!(hop.vertex, Vertex::Job(_)) {
            writes.insert(hop.vertex, dependent);
        } else {
            found.insert((dependent, hop.vertex.entity()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_model::dataset::{Flow, RunIo};
    use bellwether_model::inventory::{Endpoint, Node};
    use bellwether_model::unit::Replicas;

    fn io(job: &str, flow: Flow, dataset: &str) -> RunIo {
        RunIo {
            run_id: format!("run-{job}"),
            job_namespace: "etl".into(),
            job_name: job.into(),
            flow,
            dataset_namespace: "s3://lake".into(),
            dataset_name: dataset.into(),
            dataset_version: None,
            event_time: Timestamp::EPOCH,
            event_id: format!("{job}-{dataset}"),
            recorded_at: Timestamp::EPOCH,
        }
    }

    fn endpoint(model: Option<&str>, pool: Option<&str>) -> Endpoint {
        Endpoint {
            endpoint: "ml/iris".parse().unwrap(),
            uid: String::new(),
            resource_version: String::new(),
            labels: Default::default(),
            runtime: String::new(),
            model_uri: model.map(str::to_owned),
            min_replicas: Replicas(1),
            max_replicas: Replicas(3),
            ready_replicas: None,
            canary_percent: None,
            revision: None,
            gpus_per_replica: 1.0,
            pool: pool.map(Into::into),
            ready: None,
            recorded_at: Timestamp::EPOCH,
        }
    }

    #[test]
    fn an_endpoint_rests_on_its_pool_its_nodes_its_model_and_the_data() {
        let endpoints = vec![endpoint(Some("s3://lake/model"), Some("gpu-a"))];
        let node = |name: &str, pool: &str| Node {
            node: name.into(),
            uid: String::new(),
            resource_version: String::new(),
            pool: Some(pool.into()),
            gpus: Replicas(8),
            cordoned: false,
            recorded_at: Timestamp::EPOCH,
        };
        let rows = [
            io("train", Flow::Input, "features"),
            io("train", Flow::Output, "model"),
            io("build", Flow::Input, "raw"),
            io("build", Flow::Output, "features"),
        ];
        let graph = Graph::build(&rows, &endpoints);
        let inventory = Inventory { endpoints, nodes: vec![node("a-1", "gpu-a"), node("b-1", "gpu-b")], ..Inventory::default() };
        let pairs = |of: &str| -> Vec<String> {
            let found = dependencies(&graph, &inventory, &[of.parse().unwrap()], Graph::LATEST);
            found.iter().map(|(a, b)| format!("{a} > {b}")).collect()
        };
        assert_eq!(
            pairs("endpoint:ml/iris"),
            [
                "endpoint:ml/iris > pool:gpu-a",
                "endpoint:ml/iris > dataset:s3://lake:model",
                "pool:gpu-a > node:a-1",
                "dataset:s3://lake:features > dataset:s3://lake:raw",
                "dataset:s3://lake:model > dataset:s3://lake:features",
            ]
        );
        assert_eq!(pairs("node:a-1"), Vec::<String>::new());
        assert_eq!(pairs("endpoint:ml/other"), Vec::<String>::new());
    }
}
