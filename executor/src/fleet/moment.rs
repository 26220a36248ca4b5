//! The whole fleet at one minute: replicas, placement, utilisation.
//!
//! A pure function of cast, script, timeline and time. The autoscaler has no memory of its own: it sizes an endpoint for
//! the load of the last quarter of an hour as it was seen two minutes late, which is what its real counterpart does.

use bellwether_model::time::{Span, Timestamp};

use super::cast::{Cast, DOMAINS, TARGET_UTILIZATION};
use super::demand::{demand, smooth_step};
use super::noise::Noise;
use super::placement::Placement;
use super::script::Script;
use super::timeline::Timeline;

/// One endpoint at one minute.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub(crate) struct EndpointNow {
    /// Requests a second, without noise.
    pub(crate) demand: f64,
    /// Replicas that are ready.
    pub(crate) replicas: u32,
    /// Load over capacity: above 1 requests pile up.
    pub(crate) load: f64,
    /// How many times slower than usual its slowest twentieth is, for sick nodes and bad revisions.
    pub(crate) slowdown: f64,
    /// Share of requests that fail for a bad revision or drifted features.
    pub(crate) bad_errors: f64,
    /// Deleted or stopped: it has no series.
    pub(crate) gone: bool,
}

/// One pool at one minute.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub(crate) struct PoolNow {
    /// GPUs that exist.
    pub(crate) gpus: u32,
    /// Share of them at work.
    pub(crate) utilization: f64,
}

/// One node at one minute.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub(crate) struct NodeNow {
    /// Whether it exists.
    pub(crate) present: bool,
    /// Whether it takes pods; when not, it is empty.
    pub(crate) open: bool,
    /// Share of time its GPUs throttle.
    pub(crate) throttle: f64,
    /// XID errors in five minutes, on average.
    pub(crate) xid: f64,
}

/// The fleet at one minute.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Moment {
    pub(crate) endpoints: Vec<EndpointNow>,
    pub(crate) pools: Vec<PoolNow>,
    pub(crate) nodes: Vec<NodeNow>,
}

/// What a moment is computed from.
#[derive(Clone, Copy)]
pub(crate) struct Stage<'a> {
    pub(crate) cast: &'a Cast,
    pub(crate) script: &'a Script,
    pub(crate) placement: &'a Placement,
    pub(crate) timeline: &'a Timeline,
    pub(crate) noise: Noise,
}

/// Nodes of a pool that exist under its limit, and which of them take pods.
pub(crate) fn nodes_now(cast: &Cast, timeline: &Timeline, pool: usize, at: Timestamp) -> Vec<(usize, bool)> {
    let spec = &cast.pools[pool];
    let limit = timeline.limit(pool, at).min(spec.gpus());
    // The last node stays: consolidation never empties a pool that serves.
    let keep = ((limit / spec.gpus_per_node) as usize).max(1);
    let mut nodes: Vec<(bool, usize)> = cast.nodes_of(pool).map(|n| (timeline.cordoned(n, at), n)).collect();
    nodes.sort_unstable();
    nodes.truncate(keep);
    nodes.into_iter().map(|(cordoned, n)| (n, !cordoned)).collect()
}

impl Stage<'_> {
    pub(crate) fn moment(&self, at: Timestamp) -> Moment {
        let Self { cast, script, .. } = *self;
        let mut endpoints = vec![EndpointNow::default(); cast.endpoints.len()];
        let mut pools = vec![PoolNow::default(); cast.pools.len()];
        let mut nodes = vec![NodeNow::default(); cast.nodes.len()];
        for p in 0..cast.pools.len() {
            let there = nodes_now(cast, self.timeline, p, at);
            let open: Vec<usize> = there.iter().filter(|(_, open)| *open).map(|(n, _)| *n).collect();
            let room = open.len() as u32 * cast.pools[p].gpus_per_node;
            let wanted: Vec<(usize, u32)> = cast.endpoints_of(p).map(|e| (e, self.wanted(e, at))).collect();
            let asked: u32 = wanted.iter().map(|(e, n)| n * cast.endpoints[*e].gpus).sum();
            // Where GPUs are short, everyone gets a share.
            let granted = |n: u32| if asked <= room { n } else { (n * room / asked.max(1)).max(u32::from(room > 0 && n > 0)) };
            let mut busy = 0.0;
            for (e, n) in wanted {
                endpoints[e] = self.endpoint(e, granted(n), &open, at);
                busy += endpoints[e].load.min(1.0) * 0.9 * f64::from(endpoints[e].replicas * cast.endpoints[e].gpus);
            }
            let held: u32 = cast.endpoints_of(p).map(|e| endpoints[e].replicas * cast.endpoints[e].gpus).sum();
            busy += (self.batch(p, at) * f64::from(cast.pools[p].gpus())).min(f64::from(room.saturating_sub(held)));
            let gpus = there.len() as u32 * cast.pools[p].gpus_per_node;
            pools[p] = PoolNow { gpus, utilization: (busy / f64::from(gpus.max(1))).min(1.0) };
            for (n, open) in there {
                let ill = open && script.sick.node == n && script.sick.range.contains(at);
                nodes[n] = NodeNow {
                    present: true,
                    open,
                    throttle: if ill { script.sick.throttle } else { 0.012 },
                    xid: if ill { script.sick.xid } else { 0.0 },
                };
            }
        }
        Moment { endpoints, pools, nodes }
    }

    /// Replicas that the autoscaler wants.
    fn wanted(&self, e: usize, at: Timestamp) -> u32 {
        let knobs = self.timeline.endpoint(e, at);
        if knobs.stopped {
            return 0;
        }
        let spec = &self.cast.endpoints[e];
        let seen =
            [2, 7, 12].map(|minutes| demand(self.cast, self.script, e, at - Span::from_mins(minutes))).into_iter().fold(0.0, f64::max);
        let needed = (seen / (spec.capacity * TARGET_UTILIZATION)).ceil() as u32;
        needed.clamp(knobs.min, knobs.max)
    }

    fn endpoint(&self, e: usize, mut replicas: u32, open: &[usize], at: Timestamp) -> EndpointNow {
        let Self { cast, script, timeline, .. } = *self;
        let knobs = timeline.endpoint(e, at);
        if knobs.stopped {
            return EndpointNow { gone: true, ..EndpointNow::default() };
        }
        let placed = replicas;
        let restarting = script.restarts.iter().any(|(who, when)| *who == e && *when <= at && at < *when + Span::from_mins(2));
        if restarting {
            replicas = replicas.div_ceil(2);
        }
        let spec = &cast.endpoints[e];
        let demand = demand(cast, script, e, at);
        let mut slowdown = 1.0;
        if script.sick.range.contains(at) && open.contains(&script.sick.node) {
            // A twentieth of the requests on slow replicas is enough to be the 95th percentile.
            let share = self.placement.share(e, placed, script.sick.node, open);
            slowdown += (script.sick.slowdown - 1.0) * smooth_step(share / 0.18);
        }
        let mut bad_errors = 0.0;
        let bad = &script.bad;
        if bad.endpoint == e && knobs.version == bad.version && bad.range.contains(at) {
            let share = f64::from(knobs.canary.unwrap_or(100)) / 100.0;
            slowdown *= 1.0 + (bad.slowdown - 1.0) * smooth_step(share / 0.15);
            bad_errors = bad.errors * share;
        }
        if script.drift.range.contains(at) && spec.domain == DOMAINS[script.drift.domain] {
            // A model that sees what it never learned fails a little more often.
            bad_errors += 0.35 * spec.base_errors;
        }
        let load = if replicas == 0 { 2.0 } else { demand / (f64::from(replicas) * spec.capacity) };
        EndpointNow { demand, replicas, load, slowdown, bad_errors, gone: false }
    }

    /// Share of a pool's first GPUs that batch jobs keep busy.
    fn batch(&self, pool: usize, at: Timestamp) -> f64 {
        let usual = self.cast.pools[pool].batch_share;
        if usual == 0.0 {
            return 0.0;
        }
        if pool == self.script.idle_pool && self.script.idle.contains(at) {
            return 0.0;
        }
        let peak = self.script.batch_peaks.iter().any(|r| r.contains(at));
        let wander = self.noise.stream(77).smooth(at.secs().div_euclid(60), 180);
        (usual * (1.0 + 0.1 * wander) + if peak { 0.2 } else { 0.0 }).clamp(0.0, 1.0)
    }
}
