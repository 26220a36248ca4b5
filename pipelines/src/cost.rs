//! What was spent, and on what: GPUs × time × rate, for each pool and hour, shared out to the endpoints that held the GPUs.
//!
//! Allocation is by what replicas hold, not by how busy they keep it: a GPU that a replica holds is paid for whether it works or not.
//! What nobody held is idle and keeps a row of its own; where nobody knows who held it, the rest is unknown and not idle. For each pool
//! and period the rows add up to exactly the pool's cost, in millionths of a dollar. A period in which neither the pool was looked at
//! nor its use was sampled has no row.

use std::collections::{BTreeMap, BTreeSet};

use bellwether_model::cost::{Cost, CostKind};
use bellwether_model::id::{EndpointId, PoolName};
use bellwether_model::inventory::{Endpoint, Entity, Pool};
use bellwether_model::series::Window;
use bellwether_model::time::{Span, TimeRange, Timestamp};
use bellwether_model::unit::MicroUsd;

/// The length of a period.
pub const PERIOD: Span = Span::from_hours(1);

/// The metric that says how many replicas of an endpoint there are.
pub const REPLICAS: &str = "replicas_ready";

/// The metrics that show that a pool was in use or at least there, by the label of its name. They say nothing of who held its GPUs.
pub const POOL_USE: [&str; 2] = ["pool_gpu_utilization", "pool_gpu_requested_ratio"];

/// Two looks at a pool that are further apart than this say nothing of the time between them. Ingest writes a pool's row anew after
/// half of it.
pub const LOOKS: Span = Span::from_days(2);

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

/// What is known of who used the pools in a period.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Usage {
    /// What each endpoint held.
    pub held: Vec<Held>,
    /// Pools of which some sample tells that they were in use, or ready to be.
    pub sampled: BTreeSet<PoolName>,
    /// Pools of which it is not known what all endpoints held: their rest is not called idle.
    pub unknown: BTreeSet<PoolName>,
}

/// Who used the pools in `period`. An endpoint holds the mean of its ready replicas × GPUs a replica × length of the period.
///
/// `samples` are those of [`REPLICAS`] and [`POOL_USE`]; a series belongs to the endpoint or pool that its labels name. An endpoint without
/// samples in the period is taken at the ready replicas of its inventory row, which only a cluster tells. One whose replicas are known from
/// neither holds nothing that is known, and a pool that only the configuration tells of needs at least one endpoint that does.
pub fn usage(pools: &[Pool], endpoints: &[Endpoint], samples: &[Window], period: TimeRange) -> Usage {
    let mut usage = Usage::default();
    let mut means: BTreeMap<EndpointId, f64> = BTreeMap::new();
    for slice in samples.iter().flat_map(Window::iter) {
        let from = slice.ts.partition_point(|t| *t < period.start.micros());
        let to = slice.ts.partition_point(|t| *t < period.end.micros());
        let inside = &slice.values[from..to.max(from)];
        if inside.is_empty() {
            continue;
        }
        let mean = inside.iter().map(|v| v.max(0.0)).sum::<f64>() / inside.len() as f64;
        for entity in Entity::of_labels(&slice.series.labels) {
            match entity {
                // Several series of one endpoint are its revisions: their replicas add up.
                Entity::Endpoint(id) if slice.series.metric == REPLICAS => *means.entry(id).or_default() += mean,
                Entity::Pool(name) if slice.series.metric != REPLICAS => {
                    usage.sampled.insert(name);
                }
                _ => {}
            }
        }
    }
    let mut known = BTreeSet::new();
    for endpoint in endpoints {
        let Some(pool) = endpoint.pool.clone().filter(|p| !p.as_str().is_empty()) else { continue };
        let sampled = means.get(&endpoint.endpoint).copied();
        if sampled.is_some() {
            usage.sampled.insert(pool.clone());
        }
        if endpoint.gpus_per_replica <= 0.0 {
            continue;
        }
        let Some(replicas) = sampled.or_else(|| endpoint.ready_replicas.map(|r| f64::from(r.0))) else {
            usage.unknown.insert(pool);
            continue;
        };
        known.insert(pool.clone());
        let gpu_hours = replicas * endpoint.gpus_per_replica * period.length().hours_f64();
        if gpu_hours > 0.0 && gpu_hours.is_finite() {
            usage.held.push(Held { endpoint: endpoint.endpoint.clone(), pool, gpu_hours });
        }
    }
    // A cluster shows every endpoint of its pools; the configuration need not.
    let only_declared = pools.iter().filter(|p| p.uid.is_empty() && !known.contains(&p.pool));
    usage.unknown.extend(only_declared.map(|p| p.pool.clone()));
    usage
}

/// Whether all of a period lies between looks at a pool that follow each other closely enough; `looks` in order of time, and one just now
/// when the last is at most half of [`LOOKS`] old.
fn looked_at(looks: &[Timestamp], period: TimeRange, now: Timestamp) -> bool {
    let now = now.max(period.end);
    let last = looks.last().copied().filter(|last| now.since(*last).times(2) <= LOOKS).map(|_| now);
    let looks: Vec<Timestamp> = looks.iter().copied().chain(last).collect();
    let from = looks.partition_point(|look| *look <= period.start).saturating_sub(1);
    let to = looks.partition_point(|look| *look < period.end);
    looks.first().is_some_and(|first| *first <= period.start)
        && to < looks.len()
        && looks[from..=to].windows(2).all(|pair| pair[1].since(pair[0]) <= LOOKS)
}

/// The cost rows of one period: for each pool one row for each endpoint that held GPUs of it, and one for the rest, which is idle where it
/// is known what all endpoints held, and unknown otherwise.
///
/// `pools` are the inventory rows of the pools, any number for each, each of them a look at the pool: a row holds from its `recorded_at`
/// until the next one of the same pool. A pool without samples has no rows for a period in which it was not looked at; for one
/// before the first look, samples count and the first row tells how many GPUs there were. Where more was held than the pool had (a
/// pool that shares GPUs, or samples of a moment when it shrank), endpoints share its cost in proportion and nothing is left.
pub fn costs(pools: &[Pool], usage: &Usage, period: TimeRange, now: Timestamp) -> Vec<Cost> {
    let mut histories: BTreeMap<&PoolName, Vec<&Pool>> = BTreeMap::new();
    for pool in pools {
        histories.entry(&pool.pool).or_default().push(pool);
    }
    let mut rows = Vec::new();
    for (name, mut history) in histories {
        history.sort_by_key(|p| p.recorded_at);
        let looks: Vec<Timestamp> = history.iter().map(|p| p.recorded_at).collect();
        if !usage.sampled.contains(name) && !looked_at(&looks, period, now) {
            continue;
        }
        let spent = spent(&history, period);
        let row = |endpoint: Option<EndpointId>, gpu_hours: f64, cost: i64| Cost {
            period_start: period.start,
            period_end: period.end,
            pool: name.clone(),
            kind: match endpoint {
                Some(_) => CostKind::Workload,
                None if usage.unknown.contains(name) => CostKind::Unknown,
                None => CostKind::Idle,
            },
            endpoint,
            gpu_hours,
            usd_per_gpu_hour: spent.rate,
            cost_micro_usd: MicroUsd(cost),
            recorded_at: now,
        };
        let mut shares: BTreeMap<&EndpointId, f64> = BTreeMap::new();
        for h in usage.held.iter().filter(|h| &h.pool == name) {
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
        let rest = (whole - before).max(0) as f64 / 1e6;
        if rest > 0.0 || given != spent.cost {
            rows.push(row(None, rest, spent.cost - given));
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
        let pools = [pool(4, 2.0, 5_400), pool(8, 2.0, 0)];
        let fleet = [endpoint("iris", Some(9), 1.0), endpoint("bert", Some(1), 2.0), endpoint("cpu", None, 0.0)];
        let usage = usage(&pools, &fleet, &[replicas], HOUR);
        assert_eq!(usage.held.iter().map(|h| (h.endpoint.name.as_str(), h.gpu_hours)).collect::<Vec<_>>(), [("iris", 3.0), ("bert", 2.0)]);
        // Eight GPUs at $2 until half past, then four.
        let rows = costs(&pools, &usage, HOUR, HOUR.end);
        let shown: Vec<_> =
            rows.iter().map(|r| (r.endpoint.as_ref().map(|e| e.name.as_str()), r.gpu_hours, r.cost_micro_usd.usd())).collect();
        assert_eq!(shown, [(Some("bert"), 2.0, 4.0), (Some("iris"), 3.0, 6.0), (None, 1.0, 2.0)]);
    }

    /// The kinds and costs of the rows of one hour.
    fn shown(rows: &[Cost]) -> Vec<(CostKind, f64)> {
        rows.iter().map(|r| (r.kind, r.cost_micro_usd.usd())).collect()
    }

    #[test]
    fn what_nobody_knows_is_not_called_idle() {
        let pools = [pool(8, 2.0, 0)];
        // A declared pool without any sign of use; with an endpoint of which nothing is known; and with one that is known beside it.
        for fleet in [vec![], vec![endpoint("iris", None, 1.0)], vec![endpoint("cpu", None, 0.0)]] {
            let rows = costs(&pools, &usage(&pools, &fleet, &[], HOUR), HOUR, HOUR.end);
            assert_eq!(shown(&rows), [(CostKind::Unknown, 16.0)]);
        }
        let fleet = [endpoint("iris", None, 1.0), endpoint("bert", Some(2), 1.0)];
        let rows = costs(&pools, &usage(&pools, &fleet, &[], HOUR), HOUR, HOUR.end);
        assert_eq!(shown(&rows), [(CostKind::Workload, 4.0), (CostKind::Unknown, 12.0)]);
        // A cluster shows all that runs on its pools: nothing is idle then.
        let seen = [Pool { uid: "7".into(), ..pool(8, 2.0, 0) }];
        assert_eq!(shown(&costs(&seen, &usage(&seen, &[], &[], HOUR), HOUR, HOUR.end)), [(CostKind::Idle, 16.0)]);
    }

    #[test]
    fn time_in_which_nobody_looked_costs_nothing() {
        let hour = |h: i64| TimeRange::new(Timestamp::from_secs(h * 3_600), Timestamp::from_secs((h + 1) * 3_600));
        let charged = |looks: &[i64], h: i64, now: i64, usage: &Usage| {
            let pools: Vec<Pool> = looks.iter().map(|look| pool(8, 2.0, look * 3_600)).collect();
            !costs(&pools, usage, hour(h), Timestamp::from_secs(now * 3_600)).is_empty()
        };
        let silent = Usage::default();
        // Looks at the hours 10, 30 and 3,000: between the first two, and for a day after the last.
        let looks = [10, 30, 3_000];
        for (h, now, expected) in [
            (9, 31, false),
            (10, 31, true),
            (29, 31, true),
            (30, 3_001, false),
            (500, 3_001, false),
            (2_999, 3_001, false),
            (3_000, 3_001, true),
        ] {
            assert_eq!(charged(&looks, h, now, &silent), expected, "hour {h} as of {now}");
        }
        assert!(charged(&[10], 11, 12, &silent) && !charged(&[10], 11, 40, &silent), "the last look was too long ago to tell");
        // A sample of use tells of any hour.
        let sampled = Usage { sampled: ["gpu-a".into()].into(), ..Usage::default() };
        assert!(charged(&looks, 500, 3_001, &sampled) && charged(&looks, 3, 31, &sampled));
    }

    #[test]
    fn use_of_a_pool_is_told_by_its_own_metrics_too() {
        let mut windows = Window::new();
        let labels = [("pool", "gpu-a")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        windows.push(Series::new("pool_gpu_utilization", labels), &[4_000_000_000], &[0.9]);
        let usage = usage(&[pool(8, 2.0, 0)], &[], &[windows], HOUR);
        assert_eq!((usage.sampled.len(), usage.unknown.len()), (1, 1), "it was used, and nobody knows by whom");
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
            let usage = Usage { held, ..Usage::default() };
            let rows = costs(&pools, &usage, HOUR, HOUR.end);
            let total = spent(&[&pools[0], &pools[1]], HOUR).cost;
            prop_assert_eq!(rows.iter().map(|r| r.cost_micro_usd.0).sum::<i64>(), total);
            prop_assert!(rows.iter().all(|r| r.cost_micro_usd.0 >= 0 && r.gpu_hours >= 0.0));
            prop_assert!(rows.iter().filter(|r| r.kind == CostKind::Idle).count() <= 1);
        }
    }
}
