//! The parts of the scenario, and how they hang together.
//!
//! Four model endpoints run in the cluster, simulated or real. What they measure was backfilled into a real Prometheus, which goes on scraping them:
//! `iris` is overloaded for the last two hours, and recovers when its InferenceService has more replicas, unless the world was told to get worse.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use bellwether_model::digest::Digest;
use bellwether_model::time::Timestamp;
use serde_json::{Value, json};

use crate::bellwether::Desk;
use crate::cluster::{Cluster, Write, object_at};
use crate::servers::{OpenMetrics, Postgres, Prometheus, Served, noise, now, wait_for};

/// The endpoints, by name.
pub(crate) const SERVICES: [&str; 4] = ["fraud", "iris", "rank", "wine"];
/// The metrics of each: its name, and its level on a good day and under overload.
const METRICS: [(&str, &str, f64, f64); 4] = [
    ("latency_p95", "seconds", 0.12, 0.9),
    ("queue_depth", "number", 2.0, 45.0),
    ("request_rate", "per_second", 50.0, 140.0),
    ("error_ratio", "ratio", 0.002, 0.004),
];
/// For how many seconds `iris` has been overloaded: whatever the time of day, one whole hour of it is past, so that its cost is known.
const OVERLOADED: i64 = 7_200;
/// Seconds between the samples of the history.
const EVERY: i64 = 300;

/// The parts, running until dropped.
pub(crate) struct World {
    /// Where the binary is run, with a configuration that names all the others.
    pub(crate) desk: Desk,
    /// The cluster.
    pub(crate) cluster: Cluster,
    /// Whether more replicas make `iris` slower instead of faster.
    pub(crate) perverse: Arc<AtomicBool>,
    prometheus: Prometheus,
    _postgres: Postgres,
    _metrics: Served,
}

impl World {
    /// Starts all parts.
    pub(crate) fn start() -> Self {
        let until = now() / EVERY * EVERY;
        let cluster = Cluster::start();
        for service in SERVICES {
            cluster.apply("helm", service, &predictor(service));
            // The deploy pipeline leaves the replicas to whoever scales.
            cluster.apply("bellwether/scale", service, &scaled(1, 3));
        }

        let perverse = Arc::new(AtomicBool::new(false));
        let scraped = Scraped { address: cluster.address(), iris: cluster.path("iris"), namespace: cluster.namespace().to_owned() };
        let worse = perverse.clone();
        let show = move || {
            let (scraped, worse) = (scraped.clone(), worse.load(Ordering::Relaxed));
            async move { tokio::task::spawn_blocking(move || scraped.exposition(worse)).await.unwrap_or_default() }
        };
        let metrics = Served::start(Router::new().route("/metrics", get(show)));
        let prometheus = Prometheus::start(history(cluster.namespace(), until), Some(metrics.address()));
        let postgres = Postgres::start();
        postgres.sql(&past_runs(cluster.namespace()));

        let desk = Desk::new();
        cluster.write_kubeconfig(&desk.path().join("kubeconfig.yaml"));
        write_files(&desk);
        desk.write("bellwether.yaml", &config(cluster.namespace(), &prometheus.url(), &postgres.dsn()));
        wait_for("live scrapes arrive", Duration::from_secs(60), || {
            let arrived = prometheus.values("count_over_time(latency_p95{service=\"iris\"}[10s])");
            arrived.first().is_some_and(|n| *n >= 1.0)
        });
        Self { desk, cluster, perverse, prometheus, _postgres: postgres, _metrics: metrics }
    }

    /// The endpoint `iris` as the ledger names it.
    pub(crate) fn endpoint(&self) -> String {
        format!("{}/iris", self.cluster.namespace())
    }
    /// The least and most replicas of `iris`, as the cluster has them.
    pub(crate) fn replicas(&self) -> (i64, i64) {
        replicas(&self.cluster.inference_service("iris"))
    }
    /// Requests that changed an object for good, in order.
    pub(crate) fn effects(&self) -> Vec<Write> {
        self.cluster.gateway().effects()
    }
    /// The p95 latency of iris as Prometheus has it now.
    pub(crate) fn latency(&self) -> f64 {
        self.prometheus.values("latency_p95{service=\"iris\"}").first().copied().unwrap_or(f64::NAN)
    }
    /// Sets how far acting may go: `plan`, `dry_run` or `execute`.
    pub(crate) fn set_mode(&self, mode: &str) {
        let config = self.desk.read("bellwether.yaml");
        let kept: String = config.lines().filter(|line| !line.starts_with("act: ")).map(|line| format!("{line}\n")).collect();
        self.desk.write("bellwether.yaml", &format!("{kept}act: {{mode: {mode}}}\n"));
    }
    /// A token of Ann's with this role.
    pub(crate) fn token(&self, role: &str, ttl: &str) -> String {
        self.desk.run(&format!("token issue --subject ann --role {role} --ttl {ttl}")).expect(0).out
    }
    /// The one incident of iris after a first ingest and a round that plans and carries nothing out: its id.
    pub(crate) fn judged_only(&self) -> String {
        self.desk.run("ingest").expect(0);
        // Times are told in whole seconds: the round's must not lie before what was ingested just now.
        let ingested = now();
        wait_for("the next second", Duration::from_secs(10), || now() > ingested);
        self.desk.run(&format!("round --as-of {}", Timestamp::from_secs(now()))).expect(0);
        self.incident()
    }
    /// The one incident of iris after a first ingest and round: its id.
    pub(crate) fn judged(&self) -> String {
        self.desk.run("round").expect(0);
        self.incident()
    }
    fn incident(&self) -> String {
        let incidents = self.desk.sql("SELECT incident_id FROM incidents_current");
        assert_eq!(incidents.len(), 1, "the overload is one incident: {incidents:#?}");
        incidents[0]["incident_id"].as_str().expect("ids are text").to_owned()
    }
    /// Every execution and its state, oldest first.
    pub(crate) fn executions(&self) -> Vec<Value> {
        self.desk.sql("SELECT execution_id, playbook_id, state, detail FROM executions_current ORDER BY recorded_at")
    }
    /// Runs rounds until every execution has ended, as the scheduler would, and gives the state of the first.
    pub(crate) fn settled(&self) -> String {
        let mut state = String::new();
        wait_for("the execution ends", Duration::from_secs(120), || {
            self.desk.run("round --no-ingest").expect(0);
            let executions = self.executions();
            state = executions.first().map_or_else(String::new, |e| e["state"].as_str().unwrap_or_default().to_owned());
            ["succeeded", "rolled_back", "failed", "refused", "needs_human"].contains(&state.as_str())
        });
        state
    }
}

fn replicas(object: &Value) -> (i64, i64) {
    let number = |field: &str| object["spec"]["predictor"][field].as_i64().expect("the field is a number");
    (number("minReplicas"), number("maxReplicas"))
}

fn predictor(name: &str) -> Value {
    let model = json!({"modelFormat": {"name": "sklearn"}, "storageUri": format!("s3://models/{name}/3"), "resources": {"limits": {"nvidia.com/gpu": "1"}}});
    json!({"nodeSelector": {"pool": "gpu-a"}, "model": model})
}

/// The fields of an InferenceService that scaling owns.
pub(crate) fn scaled(least: u32, most: u32) -> Value {
    json!({"minReplicas": least, "maxReplicas": most})
}

fn history(namespace: &str, until: i64) -> OpenMetrics {
    let mut text = OpenMetrics::default();
    let steps = 14 * 86_400 / EVERY;
    for (m, (metric, _, good, bad)) in METRICS.iter().enumerate() {
        text.family(metric, "gauge");
        for (s, service) in SERVICES.iter().enumerate() {
            for step in 0..=steps {
                let at = until - (steps - step) * EVERY;
                let overloaded = *service == "iris" && at > until - OVERLOADED;
                let level = if overloaded { *bad } else { *good };
                text.sample(
                    &format!("{metric}{{namespace=\"{namespace}\",service=\"{service}\"}}"),
                    level * (1.0 + 0.1 * noise(m * 10 + s, step)),
                    at,
                );
            }
        }
    }
    // What costs are worked out from; nothing judges it.
    text.family("replicas_ready", "gauge");
    for service in SERVICES {
        for step in 0..=steps {
            text.sample(&format!("replicas_ready{{namespace=\"{namespace}\",service=\"{service}\"}}"), 1.0, until - (steps - step) * EVERY);
        }
    }
    text
}

/// Where the endpoints' measurements come from.
#[derive(Clone)]
struct Scraped {
    address: SocketAddr,
    iris: String,
    namespace: String,
}

impl Scraped {
    /// What the endpoints measure now.
    fn exposition(&self, perverse: bool) -> String {
        let least = object_at(self.address, &self.iris).map_or(1, |object| replicas(&object).0);
        let mut text = String::new();
        for (metric, _, good, bad) in METRICS {
            for service in SERVICES {
                let value = match (service, least > 1, perverse) {
                    ("iris", true, true) => bad * 2.0,
                    ("iris", false, _) => bad,
                    _ => good,
                };
                let _ = writeln!(text, "{metric}{{namespace=\"{}\",service=\"{service}\"}} {value}", self.namespace);
            }
        }
        for service in SERVICES {
            let replicas = if service == "iris" { least } else { 1 };
            let _ = writeln!(text, "replicas_ready{{namespace=\"{}\",service=\"{service}\"}} {replicas}", self.namespace);
        }
        text
    }
}

/// 120 past runs: scaling out mostly helped against overload, restarting did not, and other things were done for other reasons.
fn past_runs(namespace: &str) -> String {
    let mut sql = "CREATE TABLE workflow_runs (run_id text PRIMARY KEY, workflow_id text, playbook_id text, status text, outcome text,
        started_at timestamptz, finished_at timestamptz, target text, summary text, updated_at timestamptz NOT NULL);\n"
        .to_owned();
    let overload = "latency_p95 and queue_depth are high while request_rate is above its usual level: the endpoint is overloaded";
    let kinds = [
        ("scale-out", overload, 9),
        ("restart-service", overload, 2),
        ("ask-data-owner", "a column of the features drifted: its values are mostly null since the last load", 8),
    ];
    for (k, (playbook, summary, of_ten)) in kinds.iter().enumerate() {
        for n in 0..40 {
            let (status, outcome) = if n % 10 < *of_ten { ("succeeded", "resolved") } else { ("failed", "no_change") };
            let _ = writeln!(
                sql,
                "INSERT INTO workflow_runs VALUES ('run-{k}-{n}', '{playbook}', '{playbook}', '{status}', '{outcome}', now() - interval '{days} days',
                 now() - interval '{days} days' + interval '5 minutes', 'endpoint:{namespace}/{service}', '{summary}', now() - interval '{days} days' + interval '5 minutes');",
                days = 20 + n,
                service = SERVICES[n % SERVICES.len()],
            );
        }
    }
    sql
}

const PLAYBOOKS: [(&str, &str); 5] = [
    (
        "scale-out",
        "description: The endpoint is overloaded. Adds a replica and raises the ceiling when latency and queue rise with the request rate.\n\
         symptoms: [latency_p95, queue_depth, request_rate]\n\
         safety: {mode: auto, allowed_roles: [org-admin], owner: ann@example.com}\n\
         actions: [{verb: scale_endpoint, add_min: 1, add_max: 2}]\n",
    ),
    (
        "scale-far",
        "description: Raises the ceiling far beyond what the service is allowed on its own.\n\
         safety: {mode: auto, allowed_roles: [org-admin], owner: ann@example.com}\n\
         actions: [{verb: scale_endpoint, add_min: 1, add_max: 9}]\n",
    ),
    ("restart-service", "description: Asks for a restart.\nactions: [{verb: advise, text: Restart it.}]\n"),
    (
        "ask-data-owner",
        "description: A column of the features drifted. Asks its owner.\nactions: [{verb: advise, text: Ask the owner of the data.}]\n",
    ),
    ("delete-deployment", "description: Exists to be refused.\nactions: [{verb: delete_deployment}]\n"),
];

fn playbook(id: &str, rest: &str) -> String {
    format!("id: {id}\nname: {id}\nversion: 1.0.0\ntarget: endpoint\n{rest}")
}

const BLUEPRINT: &str = "metadata: {name: iris, version: 1.0.0}
spec:
  scaling: {min_replicas: 1, max_replicas: 6}
  performance: {latency_target_p95: 200ms}
governance:
  agent_authority:
    allowed_operations: [scale_within_limits]
    requires_approval:
      - operation: scale_beyond_limits
        condition: target_replicas > max_replicas
        approvers: [ml-team]
    forbidden_operations: [delete_deployment, modify_namespace, change_rbac]
verification:
  enabled: true
  stabilization_period: 5s
  checks:
    - {name: latency_p95, type: threshold, target: \"< 200ms\", critical: true, rollback_trigger: true}
  rollback: {enabled: true, automatic: true, trigger_on_critical_failure: true}
safety: {cooldown: 60s, max_operations_per_hour: 10}
";

const CHECKS: &str = "latency_p95:
  unit: seconds
  runtimes:
    default: latency_p95{namespace=\"$namespace\",service=\"$service\"}
";

fn write_files(desk: &Desk) {
    let mut rules = "rules:\n".to_owned();
    for (metric, unit, _, _) in METRICS {
        let _ = writeln!(
            rules,
            "  - name: {metric}\n    expr: {metric}\n    step: 5m\n    unit: {unit}\n    labels: {{keep: [namespace, service]}}\n    detect: [{{method: zscore, watch: up, min_ratio: 50%}}]"
        );
    }
    rules.push_str("  - {name: replicas_ready, expr: replicas_ready, step: 5m, unit: number, labels: {keep: [namespace, service]}}\n");
    desk.write("rules.yaml", &rules);
    desk.write("checks.yaml", CHECKS);
    desk.write("blueprints/iris.yaml", BLUEPRINT);
    for (id, rest) in PLAYBOOKS {
        desk.write(&format!("playbooks/{id}.yaml"), &playbook(id, rest));
    }
}

fn config(namespace: &str, prometheus: &str, dsn: &str) -> String {
    let pins: Vec<String> =
        PLAYBOOKS.iter().map(|(id, rest)| format!("{id}: {}", Digest::of_bytes(playbook(id, rest).as_bytes()))).collect();
    format!(
        "version: 1
prometheus: {{url: '{prometheus}', rules: [rules.yaml]}}
runs: {{postgres: {{dsn: '{dsn}'}}}}
kubernetes: {{kubeconfig: kubeconfig.yaml}}
pools: [{{name: gpu-a, gpu_model: A100, gpus: 16, usd_per_gpu_hour: 2.5}}]
governance:
  blueprints: blueprints
  playbooks: playbooks
  checks: checks.yaml
  services:
    iris: {{blueprint: iris, namespace: {namespace}, object: InferenceService/iris}}
  pins: {{{}}}
act: {{mode: execute}}
",
        pins.join(", ")
    )
}
