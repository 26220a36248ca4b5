//! What the fleet is: endpoints, pools and nodes, observed from Kubernetes, declared in the configuration, or both.
//!
//! Rows are made when something changed, and of a pool once a day: the ledger holds the history of the fleet, not of each look at it.
//! What changed in a way that may explain later trouble is a [`Change`] of its own.

use std::collections::BTreeMap;

use bellwether_embeddings::Redactor;
use bellwether_model::id::{EndpointId, PoolName};
use bellwether_model::inventory::{Change, Endpoint, Entity, Inventory, Node, Pool};
use bellwether_model::series::Labels;
use bellwether_model::time::Timestamp;
use bellwether_model::unit::{MicroUsd, Replicas};
use serde::{Deserialize, Serialize};

use crate::cost::LOOKS;

/// A model endpoint that the configuration declares.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndpointSettings {
    /// Namespace and name, as `ml/iris`: the labels `namespace` and `service` of its series.
    pub name: EndpointId,
    /// Labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: Labels,
    /// Serving runtime, such as `kserve-vllmserver`.
    #[serde(default)]
    pub runtime: String,
    /// Storage URI of its model, such as `s3://models/iris/3`: joins it to lineage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_uri: Option<String>,
    /// Fewest replicas. Default 1.
    #[serde(default = "one")]
    pub min_replicas: Replicas,
    /// Most replicas. Default 1.
    #[serde(default = "one")]
    pub max_replicas: Replicas,
    /// GPUs of one replica. Default 0.
    #[serde(default)]
    pub gpus_per_replica: f64,
    /// The pool it runs on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<PoolName>,
}

fn one() -> Replicas {
    Replicas(1)
}

/// A GPU pool that the configuration declares. For a pool that Kubernetes knows, it adds what Kubernetes does not say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PoolSettings {
    /// Name: the label `pool` of its series.
    pub name: PoolName,
    /// Labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: Labels,
    /// GPU model, such as `A100`.
    #[serde(default)]
    pub gpu_model: String,
    /// GPUs that exist. Default 0; what Kubernetes says counts more.
    #[serde(default)]
    pub gpus: Replicas,
    /// Upper limit of GPUs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu_limit: Option<Replicas>,
    /// Price of one GPU for one hour, in US dollars.
    #[serde(default)]
    pub usd_per_gpu_hour: f64,
}

/// The inventory that the configuration declares, sorted by id.
pub fn declared(endpoints: &[EndpointSettings], pools: &[PoolSettings], now: Timestamp) -> Inventory {
    let endpoint = |e: &EndpointSettings| Endpoint {
        endpoint: e.name.clone(),
        uid: String::new(),
        resource_version: String::new(),
        labels: e.labels.clone(),
        runtime: e.runtime.clone(),
        model_uri: e.model_uri.clone(),
        min_replicas: e.min_replicas,
        max_replicas: e.max_replicas,
        ready_replicas: None,
        canary_percent: None,
        revision: None,
        gpus_per_replica: e.gpus_per_replica,
        pool: e.pool.clone(),
        ready: None,
        recorded_at: now,
    };
    let pool = |p: &PoolSettings| Pool {
        pool: p.name.clone(),
        uid: String::new(),
        resource_version: String::new(),
        labels: p.labels.clone(),
        gpu_model: p.gpu_model.clone(),
        gpu_limit: p.gpu_limit,
        gpus: p.gpus,
        usd_per_gpu_hour: MicroUsd::from_usd(p.usd_per_gpu_hour),
        recorded_at: now,
    };
    let mut declared =
        Inventory { endpoints: endpoints.iter().map(endpoint).collect(), pools: pools.iter().map(pool).collect(), nodes: Vec::new() };
    declared.endpoints.sort_by(|a, b| a.endpoint.cmp(&b.endpoint));
    declared.pools.sort_by(|a, b| a.pool.cmp(&b.pool));
    declared
}

/// What was observed, completed by what is declared: an observed object keeps what it says, and takes from its declaration what it leaves
/// open (the price, the GPU model, the model's URI, the pool); a declared object that was not observed is added.
pub fn merged(observed: Inventory, declared: Inventory) -> Inventory {
    let mut endpoints: BTreeMap<EndpointId, Endpoint> = declared.endpoints.into_iter().map(|e| (e.endpoint.clone(), e)).collect();
    for mut seen in observed.endpoints {
        if let Some(said) = endpoints.get(&seen.endpoint) {
            seen.model_uri = seen.model_uri.or_else(|| said.model_uri.clone());
            seen.pool = seen.pool.or_else(|| said.pool.clone());
            if seen.gpus_per_replica == 0.0 {
                seen.gpus_per_replica = said.gpus_per_replica;
            }
            if seen.runtime.is_empty() {
                seen.runtime.clone_from(&said.runtime);
            }
            let own = std::mem::take(&mut seen.labels);
            seen.labels = said.labels.clone();
            seen.labels.extend(own);
        }
        endpoints.insert(seen.endpoint.clone(), seen);
    }
    let mut pools: BTreeMap<PoolName, Pool> = declared.pools.into_iter().map(|p| (p.pool.clone(), p)).collect();
    for mut seen in observed.pools {
        if let Some(said) = pools.get(&seen.pool) {
            if seen.usd_per_gpu_hour == MicroUsd(0) {
                seen.usd_per_gpu_hour = said.usd_per_gpu_hour;
            }
            if seen.gpu_model.is_empty() {
                seen.gpu_model.clone_from(&said.gpu_model);
            }
            let own = std::mem::take(&mut seen.labels);
            seen.labels = said.labels.clone();
            seen.labels.extend(own);
        }
        pools.insert(seen.pool.clone(), seen);
    }
    Inventory { endpoints: endpoints.into_values().collect(), pools: pools.into_values().collect(), nodes: observed.nodes }
}

/// The inventory as it may be stored: people's words in labels, runtimes and URIs redacted, names kept.
pub fn redacted(mut inventory: Inventory, redactor: &Redactor) -> Inventory {
    let clean = |text: &mut String| *text = redactor.text(text).into_owned();
    for endpoint in &mut inventory.endpoints {
        endpoint.labels.values_mut().for_each(clean);
        endpoint.model_uri.iter_mut().for_each(clean);
        clean(&mut endpoint.runtime);
    }
    for pool in &mut inventory.pools {
        pool.labels.values_mut().for_each(clean);
        clean(&mut pool.gpu_model);
    }
    inventory
}

/// What is new since the last known inventory.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct News {
    /// Rows of objects that are new, differ, or are gone.
    pub rows: Inventory,
    /// What changed in a way that may explain what follows.
    pub changes: Vec<Change>,
}

/// Compares what is seen now with what is known. A pool that did not change has a row when its last one is half of [`LOOKS`] old. `whole` says that everything there is was looked at; then an observed object that is
/// known and not seen is gone: its row says that it holds nothing any more (no ready replicas, no GPUs, cordoned), so that it costs nothing
/// and nothing is planned for it.
pub fn news(known: &Inventory, seen: &Inventory, whole: bool, now: Timestamp) -> News {
    let mut news = News::default();
    let mut change = |kind: &str, entity: Entity, summary: String| {
        news.changes.push(Change { at: now, kind: kind.to_owned(), entity, summary, recorded_at: now })
    };
    for new in &seen.endpoints {
        let entity = || Entity::Endpoint(new.endpoint.clone());
        match known.endpoint(&new.endpoint) {
            Some(old) if same(old, new, |e| &mut e.recorded_at) => continue,
            Some(old) => {
                // A revision that was unknown and is known now is no deployment.
                if let (Some(before), Some(after)) = (&old.revision, &new.revision)
                    && before != after
                {
                    change("revision", entity(), format!("revision {before} → {after}"));
                }
                if (old.min_replicas, old.max_replicas) != (new.min_replicas, new.max_replicas) {
                    change(
                        "replicas",
                        entity(),
                        format!("replicas {}–{} → {}–{}", old.min_replicas, old.max_replicas, new.min_replicas, new.max_replicas),
                    );
                }
                if let Some(summary) = moved("canary traffic in percent", &old.canary_percent, &new.canary_percent) {
                    change("canary", entity(), summary);
                }
                if let Some(summary) = moved("model", &old.model_uri, &new.model_uri) {
                    change("model_uri", entity(), summary);
                }
            }
            None => {}
        }
        news.rows.endpoints.push(new.clone());
    }
    for new in &seen.pools {
        match known.pool(&new.pool) {
            // Written anew once a day: without a look at it, nobody knows what a pool costs.
            Some(old) if same(old, new, |p| &mut p.recorded_at) && now.since(old.recorded_at).times(2) < LOOKS => continue,
            Some(old) => {
                if let Some(summary) = moved("GPU limit", &old.gpu_limit, &new.gpu_limit) {
                    change("pool_limit", Entity::Pool(new.pool.clone()), summary);
                }
            }
            None => {}
        }
        news.rows.pools.push(new.clone());
    }
    for new in &seen.nodes {
        match known.node(&new.node) {
            Some(old) if same(old, new, |n| &mut n.recorded_at) => continue,
            Some(old) if old.cordoned != new.cordoned => {
                change("cordon", Entity::Node(new.node.clone()), if new.cordoned { "cordoned" } else { "no longer cordoned" }.to_owned());
            }
            _ => {}
        }
        news.rows.nodes.push(new.clone());
    }
    if whole {
        news.rows.endpoints.extend(
            known
                .endpoints
                .iter()
                .filter(|e| !e.uid.is_empty() && seen.endpoint(&e.endpoint).is_none())
                .filter_map(|e| gone_endpoint(e, now)),
        );
        news.rows
            .pools
            .extend(known.pools.iter().filter(|p| !p.uid.is_empty() && seen.pool(&p.pool).is_none()).filter_map(|p| gone_pool(p, now)));
        news.rows
            .nodes
            .extend(known.nodes.iter().filter(|n| !n.uid.is_empty() && seen.node(&n.node).is_none()).filter_map(|n| gone_node(n, now)));
    }
    news
}

/// Whether two rows say the same, whenever they were recorded.
fn same<T: Clone + PartialEq>(old: &T, new: &T, recorded_at: impl Fn(&mut T) -> &mut Timestamp) -> bool {
    let mut old = old.clone();
    *recorded_at(&mut old) = *recorded_at(&mut new.clone());
    old == *new
}

/// A sentence on a setting that changed; none when it did not.
fn moved<T: PartialEq + std::fmt::Display>(what: &str, old: &Option<T>, new: &Option<T>) -> Option<String> {
    match (old, new) {
        (Some(old), Some(new)) if old != new => Some(format!("{what} {old} → {new}")),
        (None, Some(new)) => Some(format!("{what} {new}, none before")),
        (Some(old), None) => Some(format!("{what} no longer set, {old} before")),
        _ => None,
    }
}

fn gone_endpoint(known: &Endpoint, now: Timestamp) -> Option<Endpoint> {
    let gone = Endpoint { ready: Some(false), ready_replicas: Some(Replicas(0)), ..known.clone() };
    (gone != *known).then_some(Endpoint { recorded_at: now, ..gone })
}

fn gone_pool(known: &Pool, now: Timestamp) -> Option<Pool> {
    (known.gpus != Replicas(0)).then(|| Pool { gpus: Replicas(0), recorded_at: now, ..known.clone() })
}

fn gone_node(known: &Node, now: Timestamp) -> Option<Node> {
    let gone = Node { gpus: Replicas(0), cordoned: true, ..known.clone() };
    (gone != *known).then_some(Node { recorded_at: now, ..gone })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> (Vec<EndpointSettings>, Vec<PoolSettings>) {
        let endpoints =
            "- {name: ml/iris, model_uri: 's3://models/iris/3', gpus_per_replica: 1, max_replicas: 4, pool: gpu-a}\n- {name: ml/bert}\n";
        let pools = "- {name: gpu-a, gpu_model: A100, gpus: 8, usd_per_gpu_hour: 2.5}\n";
        (serde_saphyr::from_str(endpoints).unwrap(), serde_saphyr::from_str(pools).unwrap())
    }

    fn inventory(now: i64) -> Inventory {
        let (endpoints, pools) = settings();
        let mut inventory = declared(&endpoints, &pools, Timestamp::from_secs(now));
        let node = Node {
            node: "n1".into(),
            uid: "u".into(),
            resource_version: "1".into(),
            pool: None,
            gpus: Replicas(8),
            cordoned: false,
            recorded_at: Timestamp::from_secs(now),
        };
        inventory.nodes.push(node);
        inventory
    }

    #[test]
    fn what_did_not_change_gives_no_row() {
        assert_eq!(news(&inventory(1), &inventory(2), true, Timestamp::from_secs(2)), News::default());
        let first = news(&Inventory::default(), &inventory(1), true, Timestamp::from_secs(1));
        assert_eq!((first.rows, first.changes.len()), (inventory(1), 0));
    }

    #[test]
    fn changes_are_rows_and_sentences() {
        let (old, mut new) = (inventory(1), inventory(2));
        let iris = new.endpoints.iter_mut().find(|e| e.endpoint.name == "iris").unwrap();
        (iris.max_replicas, iris.model_uri, iris.canary_percent, iris.revision) =
            (Replicas(6), Some("s3://models/iris/4".into()), Some(10), Some("iris-2".into()));
        new.pools[0].gpu_limit = Some(Replicas(16));
        new.nodes[0].cordoned = true;
        let found = news(&old, &new, true, Timestamp::from_secs(2));
        assert_eq!((found.rows.endpoints.len(), found.rows.pools.len(), found.rows.nodes.len()), (1, 1, 1));
        let told: Vec<_> = found.changes.iter().map(|c| format!("{} {}: {}", c.kind, c.entity, c.summary)).collect();
        assert_eq!(
            told,
            [
                "replicas endpoint:ml/iris: replicas 1–4 → 1–6",
                "canary endpoint:ml/iris: canary traffic in percent 10, none before",
                "model_uri endpoint:ml/iris: model s3://models/iris/3 → s3://models/iris/4",
                "pool_limit pool:gpu-a: GPU limit 16, none before",
                "cordon node:n1: cordoned",
            ]
        );
    }

    #[test]
    fn what_is_gone_holds_nothing_any_more_and_is_told_once() {
        let (old, mut new) = (inventory(1), inventory(2));
        new.nodes.clear();
        assert_eq!(news(&old, &new, false, Timestamp::from_secs(2)), News::default());
        let found = news(&old, &new, true, Timestamp::from_secs(2));
        let [gone] = found.rows.nodes.as_slice() else { panic!("{found:?}") };
        assert_eq!((gone.gpus, gone.cordoned, gone.recorded_at), (Replicas(0), true, Timestamp::from_secs(2)));
        let known = Inventory { nodes: vec![gone.clone()], ..inventory(1) };
        assert_eq!(news(&known, &new, true, Timestamp::from_secs(3)), News::default());
    }

    #[test]
    fn kubernetes_counts_more_than_declarations_and_is_completed_by_them() {
        let mut observed = inventory(2);
        observed.endpoints.retain(|e| e.endpoint.name == "iris");
        (observed.endpoints[0].model_uri, observed.endpoints[0].max_replicas) = (None, Replicas(9));
        (observed.pools[0].usd_per_gpu_hour, observed.pools[0].gpus) = (MicroUsd(0), Replicas(12));
        let (endpoints, pools) = settings();
        let all = merged(observed, declared(&endpoints, &pools, Timestamp::from_secs(2)));
        let iris = all.endpoint(&EndpointId::new("ml", "iris")).unwrap();
        assert_eq!((iris.model_uri.as_deref(), iris.max_replicas, all.endpoints.len()), (Some("s3://models/iris/3"), Replicas(9), 2));
        assert_eq!((all.pools[0].usd_per_gpu_hour.usd(), all.pools[0].gpus), (2.5, Replicas(12)));
    }

    #[test]
    fn a_password_in_a_uri_is_not_stored() {
        let mut all = inventory(1);
        all.endpoints[0].model_uri = Some("https://ann:s3cret@models.example/iris".into());
        let clean = redacted(all, &Redactor::new(b"a key of the tests", &[]).unwrap());
        assert!(!format!("{clean:?}").contains("s3cret"));
    }
}
