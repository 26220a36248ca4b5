//! What this process counts of itself: requests and jobs.

use std::time::Duration;

use bellwether_model::time::Timestamp;
use prometheus::{CounterVec, GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry};

/// The process' own numbers.
#[derive(Debug)]
pub struct Meter {
    registry: Registry,
    requests: IntCounterVec,
    request_seconds: HistogramVec,
    job_runs: IntCounterVec,
    job_seconds: CounterVec,
    last_success: GaugeVec,
}

const KNOWN: &str = "the names, labels and buckets are constants of this file, and a test makes them";

impl Meter {
    /// Counts from zero.
    pub fn new() -> Self {
        let registry = Registry::new();
        let counter = |name: &str, help: &str, labels: &[&str]| register(&registry, IntCounterVec::new(Opts::new(name, help), labels));
        let requests = counter("bellwether_http_requests_total", "Requests answered.", &["route", "method", "status"]);
        let job_runs = counter("bellwether_job_runs_total", "Runs of jobs by result: done, failed, stopped.", &["job", "result"]);
        let buckets = vec![0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0];
        let opts = HistogramOpts::new("bellwether_http_request_seconds", "Time to answer a request.").buckets(buckets);
        let request_seconds = register(&registry, HistogramVec::new(opts, &["route"]));
        let job_seconds = register(&registry, CounterVec::new(Opts::new("bellwether_job_seconds_total", "Time that jobs ran."), &["job"]));
        let opts = Opts::new("bellwether_last_success_timestamp_seconds", "When a job last ended well, in seconds since 1970.");
        let last_success = register(&registry, GaugeVec::new(opts, &["job"]));
        let build =
            register(&registry, IntGaugeVec::new(Opts::new("bellwether_build_info", "Always 1; the version is the label."), &["version"]));
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        Self { registry, requests, request_seconds, job_runs, job_seconds, last_success }
    }

    /// A request was answered.
    pub fn request(&self, route: &str, method: &str, status: u16, took: Duration) {
        self.requests.with_label_values(&[route, method, &status.to_string()]).inc();
        self.request_seconds.with_label_values(&[route]).observe(took.as_secs_f64());
    }

    /// A job ended: `done`, `failed`, or `stopped` after its time limit.
    pub fn job(&self, job: &str, result: &str, took: Duration, now: Timestamp) {
        self.job_runs.with_label_values(&[job, result]).inc();
        self.job_seconds.with_label_values(&[job]).inc_by(took.as_secs_f64());
        if result == "done" {
            self.last_success.with_label_values(&[job]).set(now.secs_f64());
        }
    }

    /// All of it.
    pub fn gather(&self) -> Vec<prometheus::proto::MetricFamily> {
        self.registry.gather()
    }
}

impl Default for Meter {
    fn default() -> Self {
        Self::new()
    }
}

fn register<C: prometheus::core::Collector + Clone + 'static>(registry: &Registry, made: prometheus::Result<C>) -> C {
    let collector = made.expect(KNOWN);
    registry.register(Box::new(collector.clone())).expect(KNOWN);
    collector
}
