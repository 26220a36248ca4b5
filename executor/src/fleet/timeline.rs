//! What the cluster's objects said, and since when the fleet behaves accordingly.
//!
//! A change of an object takes effect one to three minutes after it was made. What was in effect at any instant up to now
//! is settled for ever: later changes only add to the end.

use bellwether_model::time::{Span, Timestamp};
use serde_json::Value;

use super::cast::Cast;
use super::noise::Noise;

/// What matters of an InferenceService.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Knobs {
    pub(crate) min: u32,
    pub(crate) max: u32,
    /// Share of traffic for the newest revision, where there is a canary.
    pub(crate) canary: Option<u32>,
    /// Version at the end of the storage URI.
    pub(crate) version: u32,
    /// Deleted, or stopped by its annotation.
    pub(crate) stopped: bool,
}

/// `maxReplicas: 0` means no limit; nothing here ever needs more.
const NO_LIMIT: u32 = 64;

impl Knobs {
    pub(crate) fn of(object: &Value) -> Self {
        let predictor = &object["spec"]["predictor"];
        let count = |name: &str| predictor[name].as_u64().map(|n| n.min(u64::from(NO_LIMIT)) as u32);
        let min = count("minReplicas").unwrap_or(1);
        let max = match count("maxReplicas") {
            None | Some(0) => NO_LIMIT,
            Some(max) => max,
        };
        let uri = predictor["model"]["storageUri"].as_str().unwrap_or_default();
        Self {
            min,
            max: max.max(min),
            canary: count("canaryTrafficPercent").map(|p| p.min(100)),
            version: uri.rsplit('/').next().and_then(|v| v.parse().ok()).unwrap_or(0),
            stopped: object["metadata"]["annotations"]["serving.kserve.io/stop"] == "true",
        }
    }
}

/// The values of one thing, each since an instant.
#[derive(Clone, Debug)]
struct Line<T>(Vec<(Timestamp, T)>);

impl<T: Copy + PartialEq> Line<T> {
    fn at(&self, t: Timestamp) -> T {
        let next = self.0.partition_point(|(since, _)| *since <= t);
        self.0[next.saturating_sub(1)].1
    }
    fn newest(&self) -> T {
        self.0[self.0.len() - 1].1
    }
    /// Adds a value that differs from the newest; since when it counts, if it does differ.
    fn push(&mut self, since: Timestamp, value: T) -> Option<Timestamp> {
        if self.newest() == value {
            return None;
        }
        let since = since.max(self.0[self.0.len() - 1].0);
        self.0.push((since, value));
        Some(since)
    }
}

/// All objects over time.
#[derive(Clone, Debug)]
pub(crate) struct Timeline {
    delays: Noise,
    endpoints: Vec<Line<Knobs>>,
    limits: Vec<Line<u32>>,
    cordons: Vec<Line<bool>>,
}

impl Timeline {
    pub(crate) fn new(seed: u64, cast: &Cast) -> Self {
        let forever = Timestamp::from_micros(i64::MIN);
        let knobs = |e: &super::cast::EndpointSpec| Knobs {
            min: e.min_replicas,
            max: e.max_replicas,
            canary: None,
            version: e.first_version,
            stopped: false,
        };
        Self {
            delays: Noise::new(seed, "delays"),
            endpoints: cast.endpoints.iter().map(|e| Line(vec![(forever, knobs(e))])).collect(),
            limits: cast.pools.iter().map(|p| Line(vec![(forever, p.gpu_limit)])).collect(),
            cordons: cast.nodes.iter().map(|_| Line(vec![(forever, false)])).collect(),
        }
    }

    pub(crate) fn endpoint(&self, i: usize, at: Timestamp) -> Knobs {
        self.endpoints[i].at(at)
    }
    pub(crate) fn limit(&self, pool: usize, at: Timestamp) -> u32 {
        self.limits[pool].at(at)
    }
    pub(crate) fn cordoned(&self, node: usize, at: Timestamp) -> bool {
        self.cordons[node].at(at)
    }

    /// Takes note of an InferenceService as it is since `at`; when that takes effect, if it changes anything.
    pub(crate) fn set_endpoint(&mut self, i: usize, at: Timestamp, knobs: Knobs) -> Option<Timestamp> {
        let since = at + self.delay(i as u64, at);
        self.endpoints[i].push(since, knobs)
    }
    pub(crate) fn set_limit(&mut self, pool: usize, at: Timestamp, limit: u32) -> Option<Timestamp> {
        let since = at + self.delay(1_000 + pool as u64, at);
        self.limits[pool].push(since, limit)
    }
    pub(crate) fn set_cordon(&mut self, node: usize, at: Timestamp, cordoned: bool) -> Option<Timestamp> {
        let since = at + self.delay(2_000 + node as u64, at);
        self.cordons[node].push(since, cordoned)
    }

    /// One to three minutes: pods start, the autoscaler looks, the router follows.
    fn delay(&self, thing: u64, at: Timestamp) -> Span {
        Span::from_secs(60 + (self.delays.stream(thing).bits(at.micros()) % 120) as i64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_counts_after_its_delay_and_never_before() {
        let cast = Cast::new(1);
        let mut timeline = Timeline::new(1, &cast);
        let now = Timestamp::from_secs(1_000_000);
        let changed = Knobs { max: 9, ..timeline.endpoint(0, now) };
        let since = timeline.set_endpoint(0, now, changed).unwrap();
        assert!((60..=180).contains(&since.since(now).secs()));
        assert_ne!(timeline.endpoint(0, now), changed);
        assert_eq!(timeline.endpoint(0, since), changed);
        assert_eq!(timeline.set_endpoint(0, since, changed), None);
    }

    #[test]
    fn objects_are_read_as_kserve_reads_them() {
        let object = serde_json::json!({"spec": {"predictor": {"maxReplicas": 0, "canaryTrafficPercent": 20, "model": {"storageUri": "s3://models/iris/7"}}}});
        assert_eq!(Knobs::of(&object), Knobs { min: 1, max: NO_LIMIT, canary: Some(20), version: 7, stopped: false });
    }
}
