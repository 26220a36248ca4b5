//! The parts of the scenario, and how they hang together.
//!
//! Four model endpoints run in the simulated cluster. What they measure was backfilled into a real Prometheus, which goes on scraping them:
//! `iris` is overloaded for the last hour, and recovers when its InferenceService has more replicas, unless the world was told to get worse.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::routing::get;
use bellwether_executor::apiserver::{ApiServer, Mutation};
use bellwether_model::digest::Digest;
use bellwether_model::time::Timestamp;
use serde_json::{Value, json};

use crate::bellwether::Desk;
use crate::servers::{OpenMetrics, Postgres, Prometheus, Served, kubernetes, wait_for, write_kubeconfig};

/// The endpoints, all in the namespace `ml`, by name.
pub(crate) const SERVICES: [&str; 4] = ["fraud", "iris", "rank", "wine"];
/// The metrics of each: its name, and its level on a good day and under overload.
const METRICS: [(&str, &str, f64, f64); 4] = [
    ("latency_p95", "seconds", 0.12, 0.9),
    ("queue_depth", "number", 2.0, 45.0),
    ("request_rate", "per_second", 50.0, 140.0),
    ("error_ratio", "ratio", 0.002, 0.004),
];
/// Seconds between the samples of the history.
const EVERY: i64 = 300;

/// The parts, running until dropped.
pub(crate) struct World {
    /// Where the binary is run, with a configuration that names all the others.
    pub(crate) desk: Desk,
    /// The simulated cluster.
    pub(crate) api: ApiServer,
    /// When the history ends.
    pub(crate) until: Timestamp,
    /// Whether more replicas make `iris` slower instead of faster.
    pub(crate) perverse: Arc<AtomicBool>,
    prometheus: Prometheus,
    _postgres: Postgres,
    _served: [Served; 2],
}

/// The present in seconds since the epoch, on the grid of the history.
#[expect(clippy::disallowed_methods, reason = "a real Prometheus keeps what is recent by the wall clock")]
fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock stands after 1970").as_secs() as i64
}

impl World {
    /// Starts all parts.
    pub(crate) fn start() -> Self {
        let until = now() / EVERY * EVERY;
        let api = ApiServer::new(Timestamp::from_secs(now()));
        for service in SERVICES {
            api.apply("helm", &inference_service(service)).expect("the object is valid");
            // The deploy pipeline leaves the replicas to whoever scales.
            api.apply("bellwether/scale", &scaled(service, 1, 3)).expect("the object is valid");
        }
        let pool = json!({"apiVersion": "karpenter.sh/v1", "kind": "NodePool", "metadata": {"name": "gpu-a"}, "spec": {"limits": {"nvidia.com/gpu": "16"}}});
        api.apply("helm", &pool).expect("the object is valid");

        let perverse = Arc::new(AtomicBool::new(false));
        let (scraped, worse) = (api.clone(), perverse.clone());
        let metrics =
            Served::start(Router::new().route("/metrics", get(move || async move { exposition(&scraped, worse.load(Ordering::Relaxed)) })));
        let cluster = Served::start(kubernetes(&api));
        let prometheus = Prometheus::start(history(until), Some(metrics.address()));
        let postgres = Postgres::start();
        postgres.sql(&past_runs());

        let desk = Desk::new();
        write_kubeconfig(&desk.path().join("kubeconfig.yaml"), cluster.address());
        write_files(&desk);
        desk.write("bellwether.yaml", &config(&prometheus.url(), &postgres.dsn()));
        wait_for("live scrapes arrive", Duration::from_secs(20), || {
            let arrived = prometheus.values("count_over_time(latency_p95{service=\"iris\"}[10s])");
            arrived.first().is_some_and(|n| *n >= 1.0)
        });
        Self { desk, api, until: Timestamp::from_secs(until), perverse, prometheus, _postgres: postgres, _served: [metrics, cluster] }
    }

    /// The InferenceService `iris` as the cluster has it.
    pub(crate) fn iris(&self) -> Value {
        self.api.get("InferenceService", Some("ml"), "iris").expect("iris is in the cluster")
    }
    /// Its least and most replicas.
    pub(crate) fn replicas(&self) -> (i64, i64) {
        replicas(&self.iris())
    }
    /// Requests that changed an object for good, in order.
    pub(crate) fn effects(&self) -> Vec<Mutation> {
        self.api.log().into_iter().filter(|m| !m.dry_run && m.changed).collect()
    }
    /// The p95 latency of iris as Prometheus has it now.
    pub(crate) fn latency(&self) -> f64 {
        self.prometheus.values("latency_p95{service=\"iris\"}").first().copied().unwrap_or(f64::NAN)
    }
    /// The one incident of iris after a first ingest and round: its id.
    pub(crate) fn judged(&self) -> String {
        self.desk.run("round").expect(0);
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
        wait_for("the execution ends", Duration::from_secs(60), || {
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

fn inference_service(name: &str) -> Value {
    let model = json!({"modelFormat": {"name": "sklearn"}, "storageUri": format!("s3://models/{name}/3"), "resources": {"limits": {"nvidia.com/gpu": "1"}}});
    json!({"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService", "metadata": {"name": name, "namespace": "ml", "labels": {"team": "ml"}},
        "spec": {"predictor": {"nodeSelector": {"pool": "gpu-a"}, "model": model}}})
}

/// The fields of an InferenceService that scaling owns.
pub(crate) fn scaled(name: &str, least: u32, most: u32) -> Value {
    json!({"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService", "metadata": {"name": name, "namespace": "ml"},
        "spec": {"predictor": {"minReplicas": least, "maxReplicas": most}}})
}

/// A number in -1..1 that looks random and is the same every time.
fn noise(series: usize, step: i64) -> f64 {
    let mixed = (series as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (step as u64).wrapping_mul(0xD1B5_4A32_D192_ED03);
    let mixed = (mixed ^ (mixed >> 31)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((mixed >> 40) as f64 / (1 << 23) as f64) - 1.0
}

fn history(until: i64) -> OpenMetrics {
    let mut text = OpenMetrics::default();
    let steps = 14 * 86_400 / EVERY;
    for (m, (metric, _, good, bad)) in METRICS.iter().enumerate() {
        text.family(metric, "gauge");
        for (s, service) in SERVICES.iter().enumerate() {
            for step in 0..=steps {
                let at = until - (steps - step) * EVERY;
                let overloaded = *service == "iris" && at > until - 3_600;
                let level = if overloaded { *bad } else { *good };
                text.sample(
                    &format!("{metric}{{namespace=\"ml\",service=\"{service}\"}}"),
                    level * (1.0 + 0.1 * noise(m * 10 + s, step)),
                    at,
                );
            }
        }
    }
    text
}

/// What the endpoints measure now.
fn exposition(api: &ApiServer, perverse: bool) -> String {
    let least = api.get("InferenceService", Some("ml"), "iris").map_or(1, |object| replicas(&object).0);
    let mut text = String::new();
    for (metric, _, good, bad) in METRICS {
        for service in SERVICES {
            let value = match (service, least > 1, perverse) {
                ("iris", true, true) => bad * 2.0,
                ("iris", false, _) => bad,
                _ => good,
            };
            let _ = writeln!(text, "{metric}{{namespace=\"ml\",service=\"{service}\"}} {value}");
        }
    }
    text
}

/// 120 past runs: scaling out mostly helped against overload, restarting did not, and other things were done for other reasons.
fn past_runs() -> String {
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
                 now() - interval '{days} days' + interval '5 minutes', 'endpoint:ml/{service}', '{summary}', now() - interval '{days} days' + interval '5 minutes');",
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
    desk.write("rules.yaml", &rules);
    desk.write("checks.yaml", CHECKS);
    desk.write("blueprints/iris.yaml", BLUEPRINT);
    for (id, rest) in PLAYBOOKS {
        desk.write(&format!("playbooks/{id}.yaml"), &playbook(id, rest));
    }
}

fn config(prometheus: &str, dsn: &str) -> String {
    let pins: Vec<String> =
        PLAYBOOKS.iter().map(|(id, rest)| format!("{id}: {}", Digest::of_bytes(playbook(id, rest).as_bytes()))).collect();
    format!(
        "version: 1
prometheus: {{url: '{prometheus}', rules: [rules.yaml]}}
runs: {{postgres: {{dsn: '{dsn}'}}}}
kubernetes: {{kubeconfig: kubeconfig.yaml}}
governance:
  blueprints: blueprints
  playbooks: playbooks
  checks: checks.yaml
  services:
    iris: {{blueprint: iris, namespace: ml, object: InferenceService/iris}}
  pins: {{{}}}
act: {{mode: execute}}
",
        pins.join(", ")
    )
}
