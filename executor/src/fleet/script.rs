//! What will happen: the five labelled faults, and the harmless things that must not be taken for faults.
//!
//! All of it is drawn from the seed before the fleet's clock starts, so that what happens never depends on what is asked.

use bellwether_model::dataset::DatasetId;
use bellwether_model::inventory::Entity;
use bellwether_model::time::{Span, TimeRange, Timestamp};
use rand::seq::SliceRandom;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use super::cast::{Cast, DOMAINS, TARGET_UTILIZATION};
use super::lineage::drift_columns;
use super::placement::Placement;

/// The kinds of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// More traffic than an endpoint's most replicas can answer. Cured by `scale_endpoint`.
    TrafficSurge,
    /// Columns upstream of a model change their distribution. Nothing the executor does cures it; a person must.
    FeatureDrift,
    /// A node's GPUs throttle and report XID errors. Cured by `cordon_node`.
    SickNode,
    /// A new revision fails and is slow. Cured by `rollback_canary`.
    BadCanary,
    /// The batch jobs of a pool stop, its GPUs stay paid. Cured by `scale_pool` downwards.
    IdlePool,
}

/// A labelled fault: for scoring only, never for detection.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Fault {
    /// What it is.
    pub kind: FaultKind,
    /// The thing at fault.
    pub entity: Entity,
    /// Everything that may rightly be named for it: the thing itself, and what suffers from it.
    pub entities: Vec<Entity>,
    /// When it begins.
    pub start: Timestamp,
    /// When it ends by itself.
    pub end: Timestamp,
}

impl Fault {
    /// From start to end.
    pub fn range(&self) -> TimeRange {
        TimeRange::new(self.start, self.end)
    }
}

/// A planned happening that a pipeline or a person would bring about in the cluster.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Act {
    /// A new model version, at once with all traffic.
    Deploy { endpoint: usize, version: u32 },
    /// A new model version with a share of the traffic.
    StartCanary { endpoint: usize, version: u32, percent: u32 },
    /// The canary's owners give up: the old version again.
    EndCanary { endpoint: usize, version: u32 },
}

/// An extra load on an endpoint.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Load {
    pub(crate) endpoint: usize,
    pub(crate) range: TimeRange,
    /// How long it takes to build up, and to go away.
    pub(crate) ramp: Span,
    /// Requests a second at its height, the ordinary load included, where that is not more already.
    pub(crate) peak: f64,
}

/// Columns of a domain's data that drift.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Drift {
    pub(crate) domain: usize,
    pub(crate) range: TimeRange,
    /// Positions of the raw columns.
    pub(crate) columns: Vec<usize>,
    /// Whether raw data drifts too, or only what the feature job makes of it.
    pub(crate) raw: bool,
    /// How far, in standard deviations.
    pub(crate) shift: f64,
    /// How much wider the distribution becomes.
    pub(crate) stretch: f64,
}

/// A node whose GPUs misbehave.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sick {
    pub(crate) node: usize,
    pub(crate) range: TimeRange,
    /// How many times slower its replicas answer.
    pub(crate) slowdown: f64,
    /// Share of time its GPUs throttle.
    pub(crate) throttle: f64,
    /// XID errors in five minutes.
    pub(crate) xid: f64,
}

/// A revision that is worse than the one before.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct BadVersion {
    pub(crate) endpoint: usize,
    pub(crate) version: u32,
    pub(crate) range: TimeRange,
    /// Share of its requests that fail.
    pub(crate) errors: f64,
    /// How many times slower it answers.
    pub(crate) slowdown: f64,
}

/// Everything that will happen.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Script {
    pub(crate) faults: Vec<Fault>,
    /// In order of time.
    pub(crate) acts: Vec<(Timestamp, Act)>,
    pub(crate) loads: Vec<Load>,
    pub(crate) drift: Drift,
    pub(crate) sick: Sick,
    pub(crate) bad: BadVersion,
    pub(crate) idle_pool: usize,
    pub(crate) idle: TimeRange,
    /// Endpoint, and when its pods restart: two minutes with half of them.
    pub(crate) restarts: Vec<(usize, Timestamp)>,
    /// When nothing at all was scraped.
    pub(crate) blackout: TimeRange,
    /// The hours of the weekly batch peak.
    pub(crate) batch_peaks: Vec<TimeRange>,
    /// For each endpoint, its model versions and since when each serves.
    pub(crate) versions: Vec<Vec<(Timestamp, u32)>>,
}

impl Script {
    pub(crate) fn new(seed: u64, cast: &Cast, placement: &Placement, start: Timestamp, days: i64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x5c12_1f70);
        let last = start + Span::from_days(days - 1);
        // Five slots four hours apart: faults may touch, and come in any order.
        let mut slots = [0, 1, 2, 3, 4];
        slots.shuffle(&mut rng);
        let mut ranges = slots.map(|slot| {
            let begin = last + Span::from_mins(60 + 240 * slot + rng.random_range(0..90));
            TimeRange::new(begin, begin + Span::from_mins(rng.random_range(90..=240)))
        });
        // Profiles come by the hour: a drift lasts for at least three of them.
        ranges[1] = TimeRange::new(ranges[1].start, ranges[1].start + ranges[1].length().max(Span::from_hours(3)));
        let [surge, drift, sick, canary, idle] = ranges;

        let serving = |pool: usize| cast.endpoints_of(pool).filter(|i| cast.endpoints[*i].gpus == 1 && cast.endpoints[*i].tremble < 4.0);
        let first = usize::from(rng.random_bool(0.5));
        let surged = pick(&mut rng, serving(first).collect());
        let cured = pick(&mut rng, serving(1 - first).collect());
        let (ill, hosted) = sick_node(&mut rng, cast, placement, &[surged, cured]);
        let domain = rng.random_range(0..DOMAINS.len());

        let mut versions: Vec<Vec<(Timestamp, u32)>> =
            cast.endpoints.iter().map(|e| vec![(start - Span::from_days(400), e.first_version)]).collect();
        let mut acts = Vec::new();
        let calm: Vec<usize> = (0..cast.endpoints.len()).filter(|i| ![surged, cured].contains(i) && !hosted.contains(i)).collect();
        // Ordinary releases, two of them on the last day, none of which changes anything anyone could measure.
        for n in 0..12 {
            let endpoint = pick(&mut rng, calm.clone());
            let day = if n < 2 { days - 1 } else { rng.random_range(1..days - 1) };
            let at = start + Span::from_days(day) + Span::from_mins(rng.random_range(8 * 60..17 * 60));
            acts.push((at, Act::Deploy { endpoint, version: 0 }));
        }
        acts.sort_by_key(|(at, _)| *at);
        for (at, act) in &mut acts {
            if let Act::Deploy { endpoint, version } = act {
                *version = versions[*endpoint].last().map_or(1, |(_, v)| v + 1);
                versions[*endpoint].push((*at, *version));
            }
        }
        let old = versions[cured].last().map_or(1, |(_, v)| *v);
        let percent = rng.random_range(20..=35);
        acts.push((canary.start, Act::StartCanary { endpoint: cured, version: old + 1, percent }));
        acts.push((canary.end, Act::EndCanary { endpoint: cured, version: old }));
        acts.sort_by_key(|(at, _)| *at);
        let bad = BadVersion {
            endpoint: cured,
            version: old + 1,
            range: canary,
            errors: rng.random_range(0.18..0.36),
            slowdown: rng.random_range(2.2..3.4),
        };

        let e = &cast.endpoints[surged];
        let most = f64::from(e.max_replicas) + rng.random_range(0.55..0.95);
        let surge_load = Load { endpoint: surged, range: surge, ramp: Span::from_mins(rng.random_range(6..14)), peak: most * e.capacity };
        let tested = pick(&mut rng, calm.iter().copied().filter(|i| cast.endpoints[*i].pool != 2).collect());
        let t = &cast.endpoints[tested];
        // A planned load test on the last day stays within what the autoscaler can follow.
        let test_start = last + Span::from_mins(rng.random_range(7 * 60..19 * 60));
        let test = Load {
            endpoint: tested,
            range: TimeRange::new(test_start, test_start + Span::from_mins(45)),
            ramp: Span::from_mins(20),
            peak: (f64::from(t.max_replicas) - 0.5) * t.capacity * TARGET_UTILIZATION,
        };
        let nightly = cast.endpoints.iter().position(|e| e.id.name == "nightly-scoring").unwrap_or(0);
        let mut loads = vec![surge_load, test];
        let mut batch_peaks = Vec::new();
        for week in 1..=(days / 7) {
            let begin = start + Span::from_days(week * 7 - 1) + Span::from_hours(2);
            let range = TimeRange::new(begin, begin + Span::from_hours(4));
            let n = &cast.endpoints[nightly];
            let peak = f64::from(n.max_replicas) * n.capacity * TARGET_UTILIZATION * 0.9;
            loads.push(Load { endpoint: nightly, range, ramp: Span::from_mins(30), peak });
            batch_peaks.push(range);
        }

        let restarts = (0..6)
            .map(|n| {
                let day = if n == 0 { days - 1 } else { rng.random_range(0..days - 1) };
                (pick(&mut rng, calm.clone()), start + Span::from_days(day) + Span::from_mins(rng.random_range(0..1_400)))
            })
            .collect();
        let gone = start + Span::from_days(days / 3) + Span::from_mins(rng.random_range(0..1_300));
        let raw = rng.random_bool(0.5);
        let drifted = Drift {
            domain,
            range: drift,
            columns: drift_columns(domain, &mut rng),
            raw,
            shift: rng.random_range(0.9..1.6) * if rng.random_bool(0.5) { 1.0 } else { -1.0 },
            stretch: rng.random_range(1.05..1.4),
        };
        let ill = Sick {
            node: ill,
            range: sick,
            slowdown: rng.random_range(2.3..3.6),
            throttle: rng.random_range(0.35..0.7),
            xid: rng.random_range(4.0..12.0),
        };

        let endpoint = |i: usize| Entity::Endpoint(cast.endpoints[i].id.clone());
        let label = |kind, entity: Entity, others: Vec<Entity>, range: TimeRange| {
            let mut entities = vec![entity.clone()];
            entities.extend(others);
            Fault { kind, entity, entities, start: range.start, end: range.end }
        };
        let dataset = |bucket: &str| Entity::Dataset(DatasetId::new(format!("s3://{bucket}"), format!("{}/events", DOMAINS[domain])));
        let (root, mut touched) = if raw { (dataset("raw"), vec![dataset("features")]) } else { (dataset("features"), Vec::new()) };
        touched.extend((0..cast.endpoints.len()).filter(|i| cast.endpoints[*i].domain == DOMAINS[domain]).flat_map(|i| {
            let name = &cast.endpoints[i].id.name;
            let version = versions[i].last().map_or(1, |(_, v)| *v);
            [
                Entity::Dataset(DatasetId::new("s3://training", name.clone())),
                Entity::Dataset(DatasetId::new("s3://models", format!("{name}/{version}"))),
                endpoint(i),
            ]
        }));
        let mut faults = vec![
            label(FaultKind::TrafficSurge, endpoint(surged), Vec::new(), surge),
            label(FaultKind::FeatureDrift, root, touched, drift),
            label(
                FaultKind::SickNode,
                Entity::Node(cast.nodes[ill.node].name.clone()),
                guests(cast, placement, ill.node).map(endpoint).collect(),
                sick,
            ),
            label(FaultKind::BadCanary, endpoint(cured), Vec::new(), canary),
            label(FaultKind::IdlePool, Entity::Pool(cast.pools[2].name.clone()), Vec::new(), idle),
        ];
        faults.sort_by_key(|f| f.start);
        Self {
            faults,
            acts,
            loads,
            drift: drifted,
            sick: ill,
            bad,
            idle_pool: 2,
            idle,
            restarts,
            blackout: TimeRange::new(gone, gone + Span::from_mins(12)),
            batch_peaks,
            versions,
        }
    }

    /// The version of an endpoint's model that was newest then.
    pub(crate) fn version_at(&self, endpoint: usize, at: Timestamp) -> u32 {
        self.versions[endpoint].iter().rev().find(|(since, _)| *since <= at).map_or(1, |(_, v)| *v)
    }
}

fn pick(rng: &mut impl Rng, from: Vec<usize>) -> usize {
    // The lists are never empty: every pool serves, and most endpoints are calm.
    if from.is_empty() { 0 } else { from[rng.random_range(0..from.len())] }
}

/// A serving node that matters: it holds a replica of several endpoints at any size, and none of `not`'s. With all
/// endpoints that it always holds a good share of.
fn sick_node(rng: &mut impl Rng, cast: &Cast, placement: &Placement, not: &[usize]) -> (usize, Vec<usize>) {
    let mut best: (i64, usize, Vec<usize>) = (i64::MIN, 0, Vec::new());
    for (node, spec) in cast.nodes.iter().enumerate().filter(|(_, n)| n.pool != 2) {
        let all: Vec<usize> = cast.nodes_of(spec.pool).collect();
        let holds = |e: usize, n: u32| placement.share(e, n, node, &all) >= 0.16;
        let hosted: Vec<usize> = cast
            .endpoints_of(spec.pool)
            .filter(|e| {
                cast.endpoints[*e].tremble < 4.0
                    && (cast.endpoints[*e].min_replicas..=cast.endpoints[*e].max_replicas).all(|n| holds(*e, n))
            })
            .collect();
        let clash = hosted.iter().filter(|e| not.contains(e)).count() as i64;
        let score = (hosted.len().min(3) as i64 - 3 * clash) * 100 + i64::from(rng.random_range(0..90));
        if score > best.0 {
            best = (score, node, hosted);
        }
    }
    (best.1, best.2)
}

/// Endpoints that may have a replica on this node.
fn guests<'a>(cast: &'a Cast, placement: &'a Placement, node: usize) -> impl Iterator<Item = usize> + 'a {
    let pool = cast.nodes[node].pool;
    let all: Vec<usize> = cast.nodes_of(pool).collect();
    cast.endpoints_of(pool).filter(move |e| placement.share(*e, cast.endpoints[*e].max_replicas, node, &all) > 0.0)
}
