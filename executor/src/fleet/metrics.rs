//! The series of the fleet and their value at each minute.

use bellwether_model::series::Labels;
use bellwether_model::time::Timestamp;
use bellwether_model::unit::Unit;

use super::cast::Cast;
use super::moment::{EndpointNow, Moment};
use super::noise::Noise;
use super::script::Script;

/// A metric of the fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Metric {
    /// Requests a second of an endpoint.
    RequestRate,
    /// 95th percentile of an endpoint's answer times, in seconds.
    LatencyP95,
    /// Share of an endpoint's requests that fail.
    ErrorRatio,
    /// Requests that wait at an endpoint, on average over the scrape interval.
    QueueDepth,
    /// Share of an endpoint's GPUs at work.
    GpuUtilization,
    /// Replicas of an endpoint that are ready.
    ReplicasReady,
    /// Share of a pool's GPUs at work.
    PoolGpuUtilization,
    /// Share of time in which a node's GPUs throttle.
    GpuThrottleRatio,
    /// XID errors of a node's GPUs in the last five minutes.
    GpuXidErrors,
}

impl Metric {
    /// Every metric, in order.
    pub const ALL: [Self; 9] = [
        Self::RequestRate,
        Self::LatencyP95,
        Self::ErrorRatio,
        Self::QueueDepth,
        Self::GpuUtilization,
        Self::ReplicasReady,
        Self::PoolGpuUtilization,
        Self::GpuThrottleRatio,
        Self::GpuXidErrors,
    ];

    /// Its name in Prometheus.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RequestRate => "request_rate",
            Self::LatencyP95 => "latency_p95",
            Self::ErrorRatio => "error_ratio",
            Self::QueueDepth => "queue_depth",
            Self::GpuUtilization => "gpu_utilization",
            Self::ReplicasReady => "replicas_ready",
            Self::PoolGpuUtilization => "pool_gpu_utilization",
            Self::GpuThrottleRatio => "gpu_throttle_ratio",
            Self::GpuXidErrors => "gpu_xid_errors",
        }
    }
    /// Its unit.
    pub const fn unit(self) -> Unit {
        match self {
            Self::RequestRate => Unit::PerSecond,
            Self::LatencyP95 => Unit::Seconds,
            Self::ErrorRatio | Self::GpuUtilization | Self::PoolGpuUtilization | Self::GpuThrottleRatio => Unit::Ratio,
            Self::QueueDepth | Self::ReplicasReady | Self::GpuXidErrors => Unit::Number,
        }
    }
    /// What it says, in words.
    pub const fn help(self) -> &'static str {
        match self {
            Self::RequestRate => "Requests a second that the endpoint receives.",
            Self::LatencyP95 => "95th percentile of the endpoint's answer times, in seconds.",
            Self::ErrorRatio => "Share of the endpoint's requests that fail.",
            Self::QueueDepth => "Requests that wait at the endpoint, on average over the scrape interval.",
            Self::GpuUtilization => "Share of the endpoint's GPUs at work.",
            Self::ReplicasReady => "Replicas of the endpoint that are ready.",
            Self::PoolGpuUtilization => "Share of the pool's GPUs at work.",
            Self::GpuThrottleRatio => "Share of time in which the node's GPUs throttle.",
            Self::GpuXidErrors => "XID errors of the node's GPUs in the last five minutes.",
        }
    }
}

/// Whose series it is, by position in the cast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    Endpoint(usize),
    Node(usize),
    Pool(usize),
}

/// One series.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FleetSeries {
    pub(crate) metric: Metric,
    /// Its labels, without the metric name.
    pub(crate) labels: Labels,
    owner: Owner,
    /// Where its trembling comes from.
    noise: Noise,
    /// Where the gaps of its target come from: all series of one target miss a scrape together.
    target: Noise,
}

/// Every series, in order of metric, then of cast.
pub(crate) fn all_series(seed: u64, cast: &Cast) -> Vec<FleetSeries> {
    let noise = Noise::new(seed, "metrics");
    let labels = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect::<Labels>();
    let mut found = Vec::new();
    for (m, metric) in Metric::ALL.into_iter().enumerate() {
        let mut push = |owner, thing: u64, labels| {
            let target = noise.stream(1_000_000 + thing);
            found.push(FleetSeries { metric, labels, owner, noise: noise.stream(thing).stream(m as u64), target });
        };
        match metric {
            Metric::PoolGpuUtilization => {
                for (i, pool) in cast.pools.iter().enumerate() {
                    push(Owner::Pool(i), 2_000 + i as u64, labels(&[("pool", pool.name.as_str())]));
                }
            }
            Metric::GpuThrottleRatio | Metric::GpuXidErrors => {
                for (i, node) in cast.nodes.iter().enumerate() {
                    let pool = cast.pools[node.pool].name.as_str();
                    push(Owner::Node(i), 1_000 + i as u64, labels(&[("node", node.name.as_str()), ("pool", pool)]));
                }
            }
            _ => {
                for (i, e) in cast.endpoints.iter().enumerate() {
                    let pool = cast.pools[e.pool].name.as_str();
                    let pairs =
                        [("namespace", e.id.namespace.as_str()), ("service", e.id.name.as_str()), ("pool", pool), ("runtime", e.runtime)];
                    push(Owner::Endpoint(i), i as u64, labels(&pairs));
                }
            }
        }
    }
    found
}

impl FleetSeries {
    /// The value scraped at a minute (whole minutes since the epoch); none where the scrape failed or the thing is gone.
    pub(crate) fn value(&self, cast: &Cast, script: &Script, minute: i64, moment: &Moment) -> Option<f64> {
        if self.missing(script, minute) {
            return None;
        }
        match self.owner {
            Owner::Endpoint(i) => {
                let now = &moment.endpoints[i];
                (!now.gone).then(|| self.of_endpoint(cast, i, minute, now))
            }
            Owner::Pool(i) => Some((moment.pools[i].utilization * (1.0 + 0.015 * self.noise.normal(minute))).clamp(0.0, 1.0)),
            Owner::Node(i) => {
                let now = &moment.nodes[i];
                now.present.then(|| match self.metric {
                    Metric::GpuThrottleRatio => {
                        let idle = if now.open { now.throttle } else { 0.002 };
                        (idle * (1.0 + 0.25 * self.noise.normal(minute)) + 0.05 * self.blip(minute, 2_500.0)).clamp(0.0, 1.0)
                    }
                    // A lone XID error now and then is nothing.
                    _ if now.xid == 0.0 => f64::from(u8::from(self.noise.uniform(minute.div_euclid(5)) < 1.0 / 900.0)),
                    _ => (now.xid * (1.0 + 0.3 * self.noise.normal(minute.div_euclid(5)))).round().max(1.0),
                })
            }
        }
    }

    fn of_endpoint(&self, cast: &Cast, i: usize, minute: i64, now: &EndpointNow) -> f64 {
        let spec = &cast.endpoints[i];
        let tremble = |wander: f64, white: f64| 1.0 + wander * self.noise.stream(1).smooth(minute, 25) + white * self.noise.normal(minute);
        match self.metric {
            Metric::RequestRate => (now.demand * tremble(0.03, 0.02)).max(0.0),
            Metric::LatencyP95 => {
                let noisy = tremble(0.035 * spec.tremble, 0.03 * spec.tremble).max(0.4);
                let blips = 1.0 + self.blip(minute, 900.0 / spec.tremble);
                spec.base_latency * waiting(now.load) * now.slowdown * noisy * blips
            }
            Metric::ErrorRatio => {
                let overflow = if now.load > 1.0 { 0.45 * (1.0 - 1.0 / now.load) } else { 0.0 };
                let usual = spec.base_errors * (0.22 * self.noise.normal(minute) + 0.12 * self.noise.stream(1).smooth(minute, 40)).exp();
                let blips = 0.01 * self.blip(minute, 1_800.0);
                (usual + blips + overflow + now.bad_errors * tremble(0.05, 0.05)).clamp(0.0, 1.0)
            }
            Metric::QueueDepth => {
                let replicas = f64::from(now.replicas.max(1));
                let waiting = if now.load < 0.95 { now.load.powi(3) / (1.0 - now.load) } else { 17.0 + 260.0 * (now.load - 0.95) };
                waiting.min(64.0) * replicas * tremble(0.08, 0.1).max(0.0)
            }
            Metric::GpuUtilization => (0.05 + 0.88 * now.load.min(1.0) * tremble(0.02, 0.02)).clamp(0.0, 1.0),
            _ => f64::from(now.replicas),
        }
    }

    /// A heavy-tailed outlier of one scrape, about once in `every` minutes; else 0.
    fn blip(&self, minute: i64, every: f64) -> f64 {
        let draw = self.noise.stream(2).uniform(minute);
        // Pareto with exponent 2, cut at 4.
        if draw * every < 1.0 { (0.4 / (draw * every).max(0.01).sqrt()).min(4.0) } else { 0.0 }
    }

    /// Whether the scrape of this target failed: now and then one, on some days for a while, and once for everything.
    fn missing(&self, script: &Script, minute: i64) -> bool {
        if self.target.uniform(minute) < 0.003 || script.blackout.contains(Timestamp::from_secs(minute * 60)) {
            return true;
        }
        let day = minute.div_euclid(1_440);
        let outage = self.target.stream(1).bits(day);
        if !outage.is_multiple_of(6) {
            return false;
        }
        let begin = (outage >> 8) % 1_400;
        let length = 6 + (outage >> 32) % 29;
        (begin..begin + length).contains(&(minute.rem_euclid(1_440) as u64))
    }
}

/// How many times longer the slowest twentieth takes under this load: near 1 when calm, 1.3 where the autoscaler keeps
/// it, steep from 0.9 on, and cut by time-outs at 15.
fn waiting(load: f64) -> f64 {
    let queued = if load < 0.92 { load * load / (1.0 - load) } else { 10.58 + 60.0 * (load - 0.92) };
    1.0 + 0.35 * queued.min(40.0)
}
