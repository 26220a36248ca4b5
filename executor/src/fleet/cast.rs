//! Who is in the fleet: pools, nodes and endpoints. The names are fixed; sizes, speeds and shapes vary with the seed.

use bellwether_model::id::{EndpointId, NodeName, PoolName};
use bellwether_model::unit::MicroUsd;

use super::noise::Noise;

/// A GPU pool.
#[derive(Clone, Debug, PartialEq)]
pub struct PoolSpec {
    /// Name of the NodePool.
    pub name: PoolName,
    /// GPU model.
    pub gpu_model: &'static str,
    /// How many nodes it begins with, and returns to when its limit allows.
    pub nodes: usize,
    /// GPUs of one node.
    pub gpus_per_node: u32,
    /// Its limit in the beginning, in GPUs.
    pub gpu_limit: u32,
    /// Price of one GPU for one hour.
    pub usd_per_gpu_hour: MicroUsd,
    /// Share of its GPUs that batch jobs use on an ordinary day; 0 for pools that only serve.
    pub batch_share: f64,
}

impl PoolSpec {
    /// GPUs in the beginning.
    pub fn gpus(&self) -> u32 {
        self.gpus_per_node * self.nodes as u32
    }
}

/// A node of a pool.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeSpec {
    /// Its name.
    pub name: NodeName,
    /// Position of its pool among the pools.
    pub pool: usize,
}

/// A model endpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct EndpointSpec {
    /// Namespace and name.
    pub id: EndpointId,
    /// Position of its pool among the pools.
    pub pool: usize,
    /// Serving runtime.
    pub runtime: &'static str,
    /// Model format in the InferenceService.
    pub format: &'static str,
    /// Domain whose data it learns from: a row of [`DOMAINS`].
    pub domain: &'static str,
    /// GPUs of one replica.
    pub gpus: u32,
    /// `minReplicas` in the beginning.
    pub min_replicas: u32,
    /// `maxReplicas` in the beginning.
    pub max_replicas: u32,
    /// p95 latency without load, in seconds.
    pub base_latency: f64,
    /// Requests a second that one replica can answer at most.
    pub capacity: f64,
    /// Requests a second at the top of an ordinary working day.
    pub peak: f64,
    /// Hour of the day, UTC, at which load is highest.
    pub peak_hour: f64,
    /// Share of the peak that is left at night.
    pub night: f64,
    /// Share of the load that is left on Saturday and Sunday.
    pub weekend: f64,
    /// Share of requests that fail on an ordinary day.
    pub base_errors: f64,
    /// How much its latency trembles: 1 for most, far more for the one that is always noisy.
    pub tremble: f64,
    /// First version of its model.
    pub first_version: u32,
}

impl EndpointSpec {
    /// The p95 that its owners promise, in seconds: a round number well above an ordinary day.
    pub fn promised_latency(&self) -> f64 {
        let wanted = self.base_latency * 2.2;
        let step = if wanted < 0.2 {
            0.01
        } else if wanted < 1.0 {
            0.05
        } else {
            0.25
        };
        (wanted / step).ceil() * step
    }
}

/// All of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Cast {
    /// GPU pools.
    pub pools: Vec<PoolSpec>,
    /// Nodes, pool by pool.
    pub nodes: Vec<NodeSpec>,
    /// Endpoints.
    pub endpoints: Vec<EndpointSpec>,
}

/// Domains whose events become features.
pub const DOMAINS: [&str; 6] = ["catalog", "clicks", "payments", "support", "logistics", "media"];

const POOLS: [(&str, &str, usize, u32, f64, f64); 3] =
    [("gpu-us-east", "A100", 8, 8, 3.06, 0.0), ("gpu-eu-west", "L4", 6, 8, 0.81, 0.0), ("gpu-batch", "H100", 4, 8, 6.88, 0.64)];

const VLLM: (&str, &str) = ("kserve-vllmserver", "huggingface");
const TRITON: (&str, &str) = ("kserve-tritonserver", "triton");
const SKLEARN: (&str, &str) = ("kserve-sklearnserver", "sklearn");
const XGB: (&str, &str) = ("kserve-xgbserver", "xgboost");

/// Namespace, name, pool, runtime, domain, GPUs a replica, p95 without load in ms, capacity of a replica in requests a second.
type Row = (&'static str, &'static str, usize, (&'static str, &'static str), &'static str, u32, f64, f64);

const ENDPOINTS: [Row; 24] = [
    ("language", "assistant", 0, VLLM, "support", 2, 900.0, 6.0),
    ("language", "summarizer", 0, VLLM, "support", 1, 620.0, 8.0),
    ("language", "translator", 0, VLLM, "media", 1, 480.0, 11.0),
    ("language", "code-helper", 0, VLLM, "support", 2, 750.0, 7.0),
    ("language", "embedder", 0, TRITON, "media", 1, 38.0, 140.0),
    ("language", "moderation", 0, TRITON, "media", 1, 46.0, 110.0),
    ("language", "intent", 1, SKLEARN, "support", 1, 24.0, 180.0),
    ("ranking", "home-feed", 0, TRITON, "clicks", 1, 42.0, 160.0),
    ("ranking", "search-ranker", 0, TRITON, "clicks", 1, 35.0, 190.0),
    ("ranking", "related-items", 0, TRITON, "catalog", 1, 55.0, 120.0),
    ("ranking", "ads-ctr", 0, TRITON, "clicks", 1, 22.0, 260.0),
    ("ranking", "price-suggest", 1, XGB, "catalog", 1, 31.0, 150.0),
    ("ranking", "bundle-offers", 1, XGB, "catalog", 1, 36.0, 130.0),
    ("ranking", "nightly-scoring", 2, TRITON, "clicks", 1, 210.0, 60.0),
    ("risk", "card-fraud", 1, XGB, "payments", 1, 18.0, 240.0),
    ("risk", "account-takeover", 1, XGB, "payments", 1, 21.0, 210.0),
    ("risk", "credit-score", 1, SKLEARN, "payments", 1, 44.0, 90.0),
    ("risk", "chargeback", 1, XGB, "payments", 1, 28.0, 120.0),
    ("risk", "aml-review", 2, TRITON, "payments", 1, 340.0, 30.0),
    ("vision", "defect-detector", 1, TRITON, "logistics", 1, 85.0, 55.0),
    ("vision", "parcel-reader", 1, TRITON, "logistics", 1, 72.0, 65.0),
    ("vision", "photo-tagger", 1, TRITON, "catalog", 1, 96.0, 48.0),
    ("vision", "id-check", 0, TRITON, "payments", 1, 120.0, 40.0),
    ("vision", "video-digest", 2, VLLM, "media", 1, 880.0, 5.0),
];

/// Utilisation of a replica that the autoscaler aims at.
pub(crate) const TARGET_UTILIZATION: f64 = 0.6;

impl Cast {
    /// The fleet of this seed.
    pub fn new(seed: u64) -> Self {
        let pools: Vec<PoolSpec> = POOLS
            .iter()
            .map(|(name, gpu_model, nodes, gpus, usd, batch_share)| PoolSpec {
                name: PoolName::new(*name),
                gpu_model,
                nodes: *nodes,
                gpus_per_node: *gpus,
                gpu_limit: *nodes as u32 * gpus,
                usd_per_gpu_hour: MicroUsd::from_usd(*usd),
                batch_share: *batch_share,
            })
            .collect();
        let nodes = pools
            .iter()
            .enumerate()
            .flat_map(|(i, pool)| (1..=pool.nodes).map(move |n| NodeSpec { name: NodeName::new(format!("{}-{n}", POOLS[i].0)), pool: i }));
        let noise = Noise::new(seed, "cast");
        let noisy = (noise.bits(-1) % ENDPOINTS.len() as u64) as usize;
        let endpoints = ENDPOINTS.iter().enumerate().map(|(i, row)| endpoint(row, noise.stream(i as u64), i == noisy)).collect();
        Self { nodes: nodes.collect(), pools, endpoints }
    }

    /// Positions of a pool's nodes.
    pub(crate) fn nodes_of(&self, pool: usize) -> impl Iterator<Item = usize> + '_ {
        self.nodes.iter().enumerate().filter(move |(_, n)| n.pool == pool).map(|(i, _)| i)
    }
    /// Positions of a pool's endpoints.
    pub(crate) fn endpoints_of(&self, pool: usize) -> impl Iterator<Item = usize> + '_ {
        self.endpoints.iter().enumerate().filter(move |(_, e)| e.pool == pool).map(|(i, _)| i)
    }
}

fn endpoint(row: &Row, noise: Noise, noisy: bool) -> EndpointSpec {
    let (namespace, name, pool, (runtime, format), domain, gpus, latency_ms, capacity) = *row;
    let between = |draw: i64, low: f64, high: f64| low + (high - low) * noise.uniform(draw);
    let batch = pool == 2;
    let capacity = capacity * between(0, 0.85, 1.2);
    let max_replicas = if batch { 2 } else { 4 + (noise.bits(1) % 3) as u32 };
    // The busiest hour needs most of the replicas, never all: an ordinary day leaves headroom.
    let peak = if batch {
        between(2, 0.16, 0.28) * capacity
    } else {
        between(2, 0.62, 0.8) * f64::from(max_replicas) * capacity * TARGET_UTILIZATION
    };
    let peak_hour = match pool {
        0 => between(3, 18.0, 21.0),
        1 => between(3, 11.0, 15.0),
        _ => between(3, 2.0, 5.0),
    };
    EndpointSpec {
        id: EndpointId::new(namespace, name),
        pool,
        runtime,
        format,
        domain,
        gpus,
        min_replicas: if batch { 1 } else { 1 + (noise.bits(4) % 2) as u32 },
        max_replicas,
        base_latency: latency_ms / 1e3 * between(5, 0.9, 1.15),
        capacity,
        peak,
        peak_hour,
        night: if batch { 0.8 } else { between(6, 0.2, 0.42) },
        weekend: if batch { 1.0 } else { between(7, 0.62, 0.95) },
        base_errors: between(8, 0.0008, 0.0035),
        tremble: if noisy { 5.0 } else { between(9, 0.8, 1.3) },
        first_version: 3 + (noise.bits(10) % 40) as u32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cast_is_what_the_demo_promises_for_every_seed() {
        for seed in 0..20 {
            let cast = Cast::new(seed);
            assert_eq!((cast.endpoints.len(), cast.pools.len(), cast.nodes.len()), (24, 3, 18));
            let namespaces: std::collections::BTreeSet<_> = cast.endpoints.iter().map(|e| &e.id.namespace).collect();
            assert_eq!(namespaces.len(), 4);
            assert_eq!(cast.endpoints.iter().filter(|e| e.tremble > 4.0).count(), 1);
            assert!(cast.endpoints.iter().all(|e| DOMAINS.contains(&e.domain) && e.min_replicas < e.max_replicas));
            for (p, pool) in cast.pools.iter().enumerate() {
                let most: u32 = cast.endpoints_of(p).map(|i| cast.endpoints[i].max_replicas * cast.endpoints[i].gpus).sum();
                assert!(most <= pool.gpus() * 3 / 2, "{}: {most} of {}", pool.name, pool.gpus());
            }
        }
        assert_ne!(Cast::new(1), Cast::new(2));
    }
}
