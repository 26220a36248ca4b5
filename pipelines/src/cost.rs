//! What was spent, and on what: GPUs × time × rate, for each pool and hour, shared out to the endpoints that held the GPUs.
//!
//! Allocation is by what replicas hold, not by how busy they keep it: a GPU that a replica holds is paid for whether it works or not.
//! What nobody held is idle and keeps a row of its own, so for each pool and period workloads and idle add up to exactly the pool's
//! cost, in millionths of a dollar.

use std::collections::BTreeMap;

use bellwether_model::cost::{Cost, CostKind};
use bellwether_model::id::{EndpointId, PoolName};
use bellwether_model::inventory::{Endpoint, Entity, Pool};
use bellwether_model::series::Window;
use bellwether_model::time::{Span, TimeRange, Timestamp};
use bellwether_model::unit::MicroUsd;

/// The length of a period.
pub const PERIOD: Span = Span::from_hours(1);

/// The GPU-hours that one endpoint's replicas held of one pool.
#[derive(Clone, Debug, PartialEq)]
pub struct Held {
    /// The endpoint.
    pub endpoint: EndpointId,
    /// The pool.
    pub pool: PoolName,
    /// GPU-hours, finite, not negative.
    pub gpu_hours: f64,
}

/// The whole hours that ended after `since` and not after `until`, in order of time.
pub fn periods(since: Timestamp, until: Timestamp) -> Vec<TimeRange> {
    let mut start = since.floor(PERIOD);
    let mut periods = Vec::new();
    while start + PERIOD <= until {
        periods.push(TimeRange::new(start, start + PERIOD));
        start = start + PERIOD;
    }
    periods
}

/// What each endpoint held in `period`: mean of its ready replicas × GPUs a replica × length of the period.
///
/// `replicas` are the samples of the metric `replicas_ready`; a series belongs to the endpoint that its labels name. An endpoint without
/// samples in the period is taken at the ready replicas of its inventory row; one whose replicas or pool are unknown holds nothing.
pub fn held(endpoints: &[Endpoint], replicas: &[Window], period: TimeRange) -> Vec<Held> {
    let mut means: BTreeMap<EndpointId, f64> = BTreeMap::new();
    for slice in replicas.iter().flat_map(Window::iter) {
        let from = slice.ts.partition_point(|t| *t < period.start.micros());
        let to = slice.ts.partition_point(|t| *t < period.end.micros());
        let inside = &slice.values[from..to.max(from)];
        if inside.is_empty() {
            continue;
        }
        let mean = inside.iter().map(|v| v.max(0.0)).sum::<f64>() / inside.len() as f64;
        for entity in Entity::of_labels(&slice.series.labels) {
            if let Entity::Endpoint(id) = entity {
                // Several series of one endpoint are its revisions: their replicas add up.
                *means.entry(id).or_default() += mean;
            }
        }
    }
    endpoints
        .iter()
        .filter_map(|e| {
            let replicas = means.get(&e.endpoint).copied().or_else(|| e.ready_replicas.map(|r| f64::from(r.0)))?;
            let gpu_hours = replicas * e.gpus_per_replica.max(0.0) * period.length().hours_f64();
            (gpu_hours > 0.0 && gpu_hours.is_finite()).then(|| Held {
                endpoint: e.endpoint.clone(),
                pool: e.pool.clone().unwrap_or_else(|| PoolName::new("")),
                gpu_hours,
            })
        })
        .filter(|h| !h.pool.as_str().is_empty())
        .collect()
}

/// The cost rows of one period: for each pool one row for each endpoint that held GPUs of it, and one for what was idle.
///
/// `pools` are the inventory rows of the pools, any number for each: a row holds from its `recorded_at` until the next one of the same
/// pool, and the first one also before. Where more was held than the pool had (a pool that shares GPUs, or samples of a moment when
/// it shrank), endpoints share its cost in proportion and nothing is idle.
pub fn costs(pools: &[Pool], held: &[Held], period: TimeRange, recorded_at: Timestamp) -> Vec<Cost> {
    let mut histories: BTreeMap<&PoolName, Vec<&Pool>> = BTreeMap::new();
    for pool in pools {
        histories.entry(&pool.pool).or_default().push(pool);
    }
    let mut rows = Vec::new();
    for (name, mut history) in histories {
        history.sort_by_key(|p| p.recorded_at);
        let spent = spent(&history, period);
        let row = |endpoint: Option<EndpointId>, gpu_hours: f64, cost: i64| Cost {
            period_start: period.start,
            period_end: period.end,
            pool: name.clone(),
            kind: if endpoint.is_some() { CostKind::Workload } else { CostKind::Idle },
            endpoint,
            gpu_hours,
            usd_per_gpu_hour: spent.rate,
            cost_micro_usd: MicroUsd(cost),
            recorded_at,
        };
        let mut shares: BTreeMap<&EndpointId, f64> = BTreeMap::new();
        for h in held.iter().filter(|h| &h.pool == name) {
            *shares.entry(&h.endpoint).or_default() += h.gpu_hours;
        }
        let weights: Vec<i128> = shares.values().map(|h| micro(*h)).collect();
        let whole = micro(spent.gpu_hours).max(weights.iter().sum());
        let mut before = 0i128;
        let mut given = 0i64;
        for ((endpoint, gpu_hours), weight) in shares.into_iter().zip(weights) {
            // Shares of the running total, rounded down: each row is within one millionth of its due and they never pass the whole.
            before += weight;
            let upto = if whole == 0 { 0 } else { (i128::from(spent.cost) * before / whole) as i64 };
            rows.push(row(Some(endpoint.clone()), gpu_hours, upto - given));
            given = upto;
        }
        let idle = (whole - before).max(0) as f64 / 1e6;
        if idle > 0.0 || given != spent.cost {
            rows.push(row(None, idle, spent.cost - given));
        }
    }
    rows
}

struct Spent {
    gpu_hours: f64,
    cost: i64,
    rate: MicroUsd,
}

/// What a pool cost in a period, from its rows in order of time.
fn spent(history: &[&Pool], period: TimeRange) -> Spent {
    let mut spent = Spent { gpu_hours: 0.0, cost: 0, rate: MicroUsd(0) };
    for (i, pool) in history.iter().enumerate() {
        let from = if i == 0 { period.start } else { pool.recorded_at.max(period.start) };
        let to = history.get(i + 1).map_or(period.end, |next| next.recorded_at.min(period.end));
        if from >= to {
            continue;
        }
        let gpu_hours = f64::from(pool.gpus.0) * to.since(from).hours_f64();
        spent.gpu_hours += gpu_hours;
        spent.cost += (gpu_hours * pool.usd_per_gpu_hour.0 as f64).round() as i64;
        spent.rate = pool.usd_per_gpu_hour;
    }
    spent
}

/// Millionths of a GPU-hour, so that shares are whole numbers.
fn micro(gpu_hours: f64) -> i128 {
    (gpu_hours * 1e6).round() as i128
}

#[cfg(test)]
mod tests {
    use bellwether_model::series::Series;
    use bellwether_model::unit::Replicas;
    use proptest::prelude::*;

    use super::*;

    fn pool(gpus: u32, usd: f64, recorded_at: i64) -> Pool {
        Pool {
            pool: "gpu-a".into(),
            uid: String::new(),
            resource_version: String::new(),
            labels: Default::default(),
            gpu_model: "A100".into(),
            gpu_limit: None,
            gpus: Replicas(gpus),
            usd_per_gpu_hour: MicroUsd::from_usd(usd),
            recorded_at: Timestamp::from_secs(recorded_at),
        }
    }

    fn endpoint(name: &str, ready: Option<u32>, gpus: f64) -> Endpoint {
        Endpoint {
            endpoint: EndpointId::new("ml", name),
            uid: String::new(),
            resource_version: String::new(),
            labels: Default::default(),
            runtime: String::new(),
            model_uri: None,
            min_replicas: Replicas(1),
            max_replicas: Replicas(9),
            ready_replicas: ready.map(Replicas),
            canary_percent: None,
            revision: None,
            gpus_per_replica: gpus,
            pool: Some("gpu-a".into()),
            ready: None,
            recorded_at: Timestamp::EPOCH,
        }
    }

    const HOUR: TimeRange = TimeRange { start: Timestamp::from_secs(3_600), end: Timestamp::from_secs(7_200) };

    #[test]
    fn a_known_hour() {
        let labels = [("namespace", "ml"), ("service", "iris")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        let mut replicas = Window::new();
        replicas.push(Series::new("replicas_ready", labels), &[0, 3_600_000_000, 5_400_000_000, 7_200_000_000], &[50.0, 2.0, 4.0, 50.0]);
        let held =
            held(&[endpoint("iris", Some(9), 1.0), endpoint("bert", Some(1), 2.0), endpoint("unknown", None, 1.0)], &[replicas], HOUR);
        assert_eq!(held.iter().map(|h| (h.endpoint.name.as_str(), h.gpu_hours)).collect::<Vec<_>>(), [("iris", 3.0), ("bert", 2.0)]);
        // Eight GPUs at $2 until half past, then four.
        let rows = costs(&[pool(4, 2.0, 5_400), pool(8, 2.0, 0)], &held, HOUR, HOUR.end);
        let shown: Vec<_> =
            rows.iter().map(|r| (r.endpoint.as_ref().map(|e| e.name.as_str()), r.gpu_hours, r.cost_micro_usd.usd())).collect();
        assert_eq!(shown, [(Some("bert"), 2.0, 4.0), (Some("iris"), 3.0, 6.0), (None, 1.0, 2.0)]);
    }

    #[test]
    fn hours_are_whole() {
        let periods = periods(Timestamp::from_secs(3_600), Timestamp::from_secs(3 * 3_600 - 1));
        assert_eq!(periods, [HOUR]);
    }

    proptest! {
        #[test]
        fn workloads_and_idle_are_the_pools_cost_exactly(
            gpus in 0u32..200, usd in 0.0f64..40.0, later in 0u32..200, at in 0i64..10_000,
            loads in proptest::collection::vec(0.0f64..90.0, 0..12),
        ) {
            let held: Vec<Held> = loads.iter().enumerate().map(|(i, h)| Held { endpoint: EndpointId::new("ml", format!("e{i}")), pool: "gpu-a".into(), gpu_hours: *h }).collect();
            let pools = [pool(gpus, usd, 0), pool(later, usd / 2.0, at)];
            let rows = costs(&pools, &held, HOUR, HOUR.end);
            let total = spent(&[&pools[0], &pools[1]], HOUR).cost;
            prop_assert_eq!(rows.iter().map(|r| r.cost_micro_usd.0).sum::<i64>(), total);
            prop_assert!(rows.iter().all(|r| r.cost_micro_usd.0 >= 0 && r.gpu_hours >= 0.0));
            prop_assert!(rows.iter().filter(|r| r.kind == CostKind::Idle).count() <= 1);
        }
    }
}
