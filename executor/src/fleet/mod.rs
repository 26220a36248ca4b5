//! The simulated fleet: 24 model endpoints on three GPU pools, behind the simulated Kubernetes API, with metrics that
//! answer to what is done to its objects.
//!
//! It is for the demo, for shadow runs and for tests. It knows nothing of detectors, and nobody but a score may read its
//! labels ([`Fleet::faults`]). Every value is a function of the seed, the series, the time and the objects' history: the
//! same question always has the same answer, and what happens later never changes the past.
//!
//! Modules in reading order: [`cast`] — who is in it; [`script`] — what will happen; `demand`, `timeline`, `placement`,
//! `moment` — how it behaves; [`metrics`] — what is measured; `objects` — what Kubernetes shows of it; `promql`,
//! [`prometheus`], `exposition` — how metrics are asked for; [`lineage`], [`history`], [`world`] — the events, the past
//! and the files that its users have; `noise` — randomness by seed.

pub mod cast;
pub mod history;
pub mod lineage;
pub mod metrics;
pub mod prometheus;
pub mod script;
pub mod world;

mod demand;
mod exposition;
mod moment;
mod noise;
mod objects;
mod placement;
mod promql;
mod timeline;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use bellwether_model::time::{Span, TimeRange, Timestamp};
use serde_json::Value;

use crate::apiserver::ApiServer;

use self::cast::Cast;
use self::metrics::FleetSeries;
use self::moment::{Moment, Stage};
use self::noise::Noise;
use self::placement::Placement;
use self::prometheus::PrometheusService;
use self::script::{Fault, Script};
use self::timeline::Timeline;

/// Which fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FleetSpec {
    /// All randomness comes from it.
    pub seed: u64,
    /// Where its metrics begin. A midnight; the default is a Monday.
    pub start: Timestamp,
    /// Days until the end of the script, at least 3; the faults are on the last. Default 14.
    pub days: i64,
}

impl Default for FleetSpec {
    fn default() -> Self {
        // 2026-06-01
        Self { seed: 1, start: Timestamp::from_secs(1_780_272_000), days: 14 }
    }
}

/// A handle on the simulated fleet. Clones share one fleet.
#[derive(Clone)]
pub struct Fleet {
    shared: Arc<Shared>,
}

struct Shared {
    spec: FleetSpec,
    cast: Cast,
    script: Script,
    placement: Placement,
    series: Vec<FleetSeries>,
    api: ApiServer,
    state: RwLock<State>,
    /// Moments already computed, by minute since the epoch. They never change, because they lie in the past.
    moments: Mutex<BTreeMap<i64, Arc<Moment>>>,
}

struct State {
    now: Timestamp,
    timeline: Timeline,
    /// Newest resource version whose changes are in the timeline.
    seen: u64,
    /// How many of the script's acts are done.
    acts_done: usize,
    /// Objects whose status follows when their change takes effect.
    pending: Vec<objects::Pending>,
}

/// A fortnight of moments and then some: about 15 MB.
const MOST_MOMENTS: usize = 6_000;

impl Fleet {
    /// A fleet at its start, its objects in a fresh API server.
    ///
    /// # Panics
    /// With fewer than 3 days.
    pub fn new(spec: FleetSpec) -> Self {
        assert!(spec.days >= 3, "a fleet's script needs three days");
        let cast = Cast::new(spec.seed);
        let placement = Placement::new(spec.seed);
        let script = Script::new(spec.seed, &cast, &placement, spec.start, spec.days);
        let api = ApiServer::new(spec.start);
        let timeline = Timeline::new(spec.seed, &cast);
        objects::create(&api, &cast);
        let seen = api.changes_since(0).last().map_or(0, |e| e.resource_version);
        let state = State { now: spec.start, timeline, seen, acts_done: 0, pending: Vec::new() };
        let series = metrics::all_series(spec.seed, &cast);
        Self {
            shared: Arc::new(Shared { spec, cast, script, placement, series, api, state: RwLock::new(state), moments: Mutex::default() }),
        }
    }

    /// Lets time pass up to `to`: the script's deploys happen, changes of objects take effect, statuses follow. Going back
    /// does nothing.
    pub fn advance(&self, to: Timestamp) {
        let mut state = self.write();
        self.take_note(&mut state);
        while let Some(at) = self.next_event(&state).filter(|at| *at <= to) {
            self.shared.api.set_now(at);
            state.now = state.now.max(at);
            if let Some((_, act)) = self.shared.script.acts.get(state.acts_done).filter(|(when, _)| *when <= at) {
                objects::perform(&self.shared.api, &self.shared.cast, act);
                state.acts_done += 1;
            }
            self.take_note(&mut state);
            self.settle(&mut state, at);
        }
        self.shared.api.set_now(to);
        state.now = state.now.max(to);
    }

    /// The instant up to which there is data.
    pub fn now(&self) -> Timestamp {
        self.read().now
    }
    /// What it was made from.
    pub fn spec(&self) -> FleetSpec {
        self.shared.spec
    }
    /// The range of the script: from the start to the end of its last day.
    pub fn range(&self) -> TimeRange {
        TimeRange::new(self.shared.spec.start, self.shared.spec.start + Span::from_days(self.shared.spec.days))
    }
    /// Who is in it.
    pub fn cast(&self) -> &Cast {
        &self.shared.cast
    }
    /// Its Kubernetes API.
    pub fn api(&self) -> &ApiServer {
        &self.shared.api
    }
    /// Its Prometheus as a `tower` service over any body.
    pub fn prometheus(&self) -> PrometheusService {
        PrometheusService::new(self.clone())
    }
    /// The labelled faults in order of time. For scoring only.
    pub fn faults(&self) -> &[Fault] {
        &self.shared.script.faults
    }
    /// 2,000 past runs of its playbooks, from about 200 days before the start: rows of a `workflow_runs` table, oldest change first.
    pub fn past_runs(&self) -> Vec<Value> {
        history::past_runs(self.shared.spec.seed, &self.shared.cast, self.shared.spec.start)
    }
    /// The OpenLineage events of a range of time, in order of time.
    pub fn lineage_events(&self, range: TimeRange) -> Vec<Value> {
        lineage::events(self.shared.spec.seed, &self.shared.cast, &self.shared.script, range)
    }

    /// The samples of all series at one instant as Prometheus' text format, for a real Prometheus to scrape.
    pub fn exposition(&self) -> String {
        exposition::text(self)
    }
    /// All samples of a range at a step as OpenMetrics text, for `promtool tsdb create-blocks-from openmetrics`.
    ///
    /// # Errors
    /// Writing failed.
    pub fn write_open_metrics(&self, range: TimeRange, step: Span, out: &mut impl std::io::Write) -> std::io::Result<()> {
        exposition::write_open_metrics(self, range, step, out)
    }

    /// The next instant at which something happens by itself.
    fn next_event(&self, state: &State) -> Option<Timestamp> {
        let act = self.shared.script.acts.get(state.acts_done).map(|(at, _)| *at);
        let pending = state.pending.iter().map(|p| p.due).min();
        [act, pending].into_iter().flatten().min()
    }

    /// Reads what was changed in the API since last time into the timeline.
    fn take_note(&self, state: &mut State) {
        loop {
            let changes = self.shared.api.changes_since(state.seen);
            let Some(last) = changes.last() else { return };
            state.seen = last.resource_version;
            for change in &changes {
                let pending = objects::take_note(&self.shared.cast, &mut state.timeline, change);
                if let Some(pending) = pending {
                    objects::begin(&self.shared.api, &pending);
                    state.pending.retain(|p| p.key != pending.key);
                    state.pending.push(pending);
                }
            }
        }
    }

    /// Lets the statuses of changes that took effect follow.
    fn settle(&self, state: &mut State, at: Timestamp) {
        let (due, later) = std::mem::take(&mut state.pending).into_iter().partition(|p| p.due <= at);
        state.pending = later;
        for pending in due {
            objects::finish(&self.shared.api, &self.shared.cast, &state.timeline, &pending, at);
        }
        self.take_note(state);
    }

    /// The fleet at a minute since the epoch, which must not be after now.
    fn moment(&self, state: &State, minute: i64) -> Arc<Moment> {
        let mut moments = self.moments();
        if let Some(known) = moments.get(&minute) {
            return known.clone();
        }
        let Shared { spec, cast, script, placement, .. } = &*self.shared;
        let stage = Stage { cast, script, placement, timeline: &state.timeline, noise: Noise::new(spec.seed, "moment") };
        let moment = Arc::new(stage.moment(Timestamp::from_secs(minute * 60)));
        if moments.len() >= MOST_MOMENTS {
            moments.pop_first();
        }
        moments.insert(minute, moment.clone());
        moment
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.shared.state.read().unwrap_or_else(PoisonError::into_inner)
    }
    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.shared.state.write().unwrap_or_else(PoisonError::into_inner)
    }
    fn moments(&self) -> MutexGuard<'_, BTreeMap<i64, Arc<Moment>>> {
        self.shared.moments.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
