//! A small world: a ledger with one incident of the endpoint `ml/iris`, past runs that fit it, a simulated cluster, and a Prometheus.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Form;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use axum::response::IntoResponse as _;
use axum::routing::{get, post};
use bellwether_embeddings::Redactor;
use bellwether_executor::apiserver::ApiServer;
use bellwether_executor::{Cluster, Journal};
use bellwether_governance::binding::{Governance, Parts};
use bellwether_governance::blueprint::Draft;
use bellwether_governance::checks::CheckMap;
use bellwether_governance::{playbook, yaml};
use bellwether_lake::{Lake, tables};
use bellwether_model::digest::Digest;
use bellwether_model::id::{EndpointId, RoundId};
use bellwether_model::incident::{Incident, IncidentState};
use bellwether_model::inventory::{Endpoint, Entity};
use bellwether_model::round::Round;
use bellwether_model::run::{Run, RunStatus};
use bellwether_model::series::{Labels, Series};
use bellwether_model::signal::{Direction, Method as Detector, Severity, Signal, SignalState, Subject};
use bellwether_model::suppression::{Suppression, SuppressionKind, SuppressionState};
use bellwether_model::time::{Span, Timestamp};
use bellwether_model::unit::{Replicas, Unit};
use bellwether_pipelines::act::Reach;
use bellwether_pipelines::prometheus::{Prometheus, PrometheusSettings};
use bellwether_pipelines::rules;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::api::routes::router;
use crate::api::{Services, Settings};
use crate::auth::{self, LOCAL_ISSUER, Verifier};

/// What the clock says.
pub(super) const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

fn clock() -> Timestamp {
    NOW
}

const RULES: &str = "
rules:
  - name: latency_p95
    expr: p95
    step: 60s
    unit: seconds
    labels: {keep: [namespace, service]}
    detect:
      - {method: zscore, threshold: 4, lookback: 2h}
";

/// A round of `rnd-1` found the incident `inc-1` of the signals `sig-0` to `sig-4` on `ml/iris`; `sig-0` is the oldest, `sig-4` is open.
pub(super) struct World {
    pub(super) services: Arc<Services>,
    pub(super) server: ApiServer,
    folder: tempfile::TempDir,
}

impl World {
    /// A world where acting goes this far.
    pub(super) async fn new(reach: Reach) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let server = ApiServer::new(NOW);
        let iris = json!({"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService", "metadata": {"name": "iris", "namespace": "ml"},
            "spec": {"predictor": {"minReplicas": 2, "maxReplicas": 5}}});
        let iris = server.apply("bellwether/scale", &iris).unwrap();
        let lake = Arc::new(Lake::open(path("ledger").to_str().unwrap(), &BTreeMap::new()).await.unwrap());
        fill(&lake, &iris).await;
        let key = path("key.pem");
        auth::issue(&key, "nobody", &["viewer".to_owned()], Span::from_hours(1), NOW).unwrap();
        let verifier = Verifier::new(LOCAL_ISSUER, &auth::local_public_key(&key).unwrap().unwrap()).unwrap();
        let services = Services {
            lake,
            journal: Journal::open(&path("journal.db")).await.unwrap(),
            governance: governance(),
            rules: rules::parse(RULES, "rules.yaml").unwrap(),
            drift: Default::default(),
            prometheus: Some(Prometheus::new(PrometheusSettings::at(prometheus().await)).unwrap()),
            cluster: Cluster::Kubernetes(server.client()),
            reach,
            redactor: Arc::new(Redactor::new(&[7; 32], &[]).unwrap()),
            verifier: Arc::new(verifier),
            clock,
            settings: Settings { sql_rows: 50, only_here: true },
            workers: crate::api::workers::Workers::start().unwrap(),
            meter: Arc::default(),
            news: Default::default(),
            remembered: Default::default(),
            counted: Default::default(),
            ready: Default::default(),
            rejects: Default::default(),
            wake: Default::default(),
        };
        Self { services: Arc::new(services), server, folder }
    }

    /// A token of `ROLE@example.com` with this role.
    pub(super) fn token(&self, role: &str) -> String {
        auth::issue(&self.folder.path().join("key.pem"), &format!("{role}@example.com"), &[role.to_owned()], Span::from_hours(1), NOW)
            .unwrap()
    }

    /// Sends a request as a bearer of this role; of no token for an empty one.
    pub(super) async fn send(&self, role: &str, method: Method, path: &str, body: impl Into<Body>) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if !role.is_empty() {
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", self.token(role)));
        }
        self.raw(request.body(body.into()).unwrap()).await
    }

    /// Sends a request as it is.
    pub(super) async fn raw(&self, request: Request<Body>) -> Answer {
        let response = router(self.services.clone()).oneshot(request).await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = axum::body::to_bytes(response.into_body(), 64 << 20).await.unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let json = serde_json::from_str(&text).unwrap_or(Value::Null);
        Answer { status, headers, json, text }
    }

    pub(super) async fn get(&self, role: &str, path: &str) -> Answer {
        self.send(role, Method::GET, path, Body::empty()).await
    }

    pub(super) async fn post(&self, role: &str, path: &str, body: Value) -> Answer {
        self.send(role, Method::POST, path, body.to_string()).await
    }

    /// The rows of a query over the ledger.
    pub(super) async fn rows(&self, sql: &str) -> Vec<Value> {
        crate::api::ledger::session(&self.services.lake, NOW).await.unwrap().rows(sql).await.unwrap()
    }
}

/// What was answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) json: Value,
    pub(super) text: String,
}

impl Answer {
    /// Its last word of a problem's type, with its status; checks that it is a whole problem.
    pub(super) fn problem(&self) -> (u16, &str) {
        assert_eq!(self.headers[header::CONTENT_TYPE], "application/problem+json", "{}", self.text);
        for member in ["title", "detail"] {
            assert!(self.json[member].as_str().is_some_and(|t| !t.is_empty()), "{}", self.text);
        }
        assert_eq!(self.json["status"], self.status.as_u16());
        (self.status.as_u16(), self.json["type"].as_str().unwrap().strip_prefix("urn:bellwether:problem:").unwrap())
    }
}

fn governance() -> Governance {
    macro_rules! sample {
        ($name:literal) => {
            include_str!(concat!("../../../governance/samples/", $name))
        };
    }
    let blueprints = [("iris.yaml", sample!("iris.yaml")), ("gpu-pool.yaml", sample!("gpu-pool.yaml"))];
    let playbooks =
        [("scale-out.yaml", sample!("playbooks/scale-out.yaml")), ("delete-deployment.yaml", sample!("playbooks/delete-deployment.yaml"))];
    let parts = Parts {
        global: vec![],
        blueprints: blueprints.map(|(file, text)| Draft::parse(file, text).unwrap()).into(),
        services: yaml::parse("services.yaml", sample!("services.yaml")).unwrap(),
        checks: CheckMap::builtin(),
        playbooks: playbooks.map(|(file, text)| playbook::load(file, text).unwrap()).into(),
        pins: None,
    };
    Governance::assemble(parts).unwrap()
}

/// Answers `p95` with two series, of which the latest point of `iris` is far out; refuses `sum(`; anything else has no data.
async fn prometheus() -> url::Url {
    let range = post(|Form(form): Form<HashMap<String, String>>| async move {
        let [start, end, step] = ["start", "end", "step"].map(|k| form[k].parse::<f64>().unwrap() as i64);
        let times: Vec<i64> = (start..=end).step_by(usize::try_from(step).unwrap()).collect();
        let last = *times.last().unwrap();
        let series = |service: &str, out: f64| {
            let values: Vec<Value> = times
                .iter()
                .map(|t| json!([t, (0.1 + 0.001 * ((t / step) % 7) as f64 + if *t > last - 3 * step { out } else { 0.0 }).to_string()]))
                .collect();
            json!({"metric": {"__name__": "p95", "namespace": "ml", "service": service, "pod": "x"}, "values": values})
        };
        let result = match form["query"].as_str() {
            "sum(" => {
                return (
                    StatusCode::BAD_REQUEST,
                    axum::Json(json!({"status": "error", "errorType": "bad_data", "error": "1:5: parse error: unclosed left parenthesis"})),
                )
                    .into_response();
            }
            "p95" => json!([series("iris", 1.0), series("rose", 0.0)]),
            _ => json!([]),
        };
        axum::Json(json!({"status": "success", "data": {"resultType": "matrix", "result": result}})).into_response()
    });
    let instant = post(|| async { axum::Json(json!({"status": "success", "data": {"resultType": "vector", "result": []}})) });
    let info = get(|| async { axum::Json(json!({"status": "success", "data": {"version": "3.0.0"}})) });
    let router = Router::new().route("/api/v1/query_range", range).route("/api/v1/query", instant).route("/api/v1/status/buildinfo", info);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    format!("http://{address}/").parse().unwrap()
}

fn labels(service: &str) -> Labels {
    Labels::from([("namespace".to_owned(), "ml".to_owned()), ("service".to_owned(), service.to_owned())])
}

async fn fill(lake: &Lake, iris: &Value) {
    let round_id = RoundId::new("rnd-1");
    let signal = |i: i64| {
        let Series { series_id, metric, labels } = Series::new("latency_p95", labels(if i == 1 { "o'rose" } else { "iris" }));
        let opened_at = NOW - Span::from_hours(5 - i);
        let closed_at = (i < 4).then(|| opened_at + Span::from_mins(10));
        Signal {
            signal_id: format!("sig-{i}").as_str().into(),
            fingerprint: "fp".into(),
            rule: "latency_p95".into(),
            method: Detector::Zscore,
            subject: Subject::Series { series_id, metric, labels },
            state: if closed_at.is_some() { SignalState::Closed } else { SignalState::Opened },
            opened_at,
            last_at: closed_at.unwrap_or(NOW),
            closed_at,
            score: 2.0,
            value: 0.6,
            expected: 0.1,
            lower: 0.05,
            upper: 0.2,
            p_value: None,
            direction: Direction::Up,
            severity: if i == 0 { Severity::Info } else { Severity::Critical },
            unit: Unit::Seconds,
            hint: "latency_p95 of ml/iris is 600 ms, 6 x its expected 100 ms".into(),
            round_id: round_id.clone(),
            recorded_at: NOW,
        }
    };
    let signals: Vec<Signal> = (0..5).map(signal).collect();
    let detail = "maintenance window \"nightly\"".to_owned();
    let silenced = Suppression {
        state: SuppressionState::Ended,
        ..Suppression::of(&signals[1], SuppressionKind::Maintenance, "nightly".into(), detail, signals[1].closed_at)
    };
    let target = Entity::Endpoint(EndpointId::new("ml", "iris"));
    let incident = Incident {
        incident_id: "inc-1".into(),
        state: IncidentState::Opened,
        opened_at: NOW - Span::from_hours(5),
        last_at: NOW,
        closed_at: None,
        severity: Severity::Critical,
        score: 2.0,
        title: "ml/iris: latency_p95 6 x expected".into(),
        summary: "latency_p95 of ml/iris is six times its expected value, queue_depth grows, request_rate doubled".into(),
        root: Some(target.clone()),
        entities: vec![target],
        endpoints: vec![EndpointId::new("ml", "iris")],
        signals: ["sig-0", "sig-2", "sig-3", "sig-4"].map(Into::into).into(),
        symptoms: ["latency_p95", "queue_depth", "request_rate"].map(str::to_owned).into(),
        preceding_changes: vec![],
        round_id: round_id.clone(),
        recorded_at: NOW,
    };
    let run = |i: i64| Run {
        run_id: format!("run-{i}").as_str().into(),
        workflow_id: "remedy".into(),
        playbook_id: Some("scale-out".into()),
        status: RunStatus::Succeeded,
        source_status: "success".into(),
        started_at: Some(NOW - Span::from_days(i)),
        finished_at: Some(NOW - Span::from_days(i)),
        trigger: None,
        actor: None,
        target: Some("ml/rose".into()),
        summary: format!("latency_p95 of ml/rose is five times its expected value, queue_depth grows, request_rate doubled, ticket {i}"),
        outcome: Some("effective".into()),
        error: None,
        attributes: json!({}),
        updated_at: NOW - Span::from_days(i),
        source: "files".into(),
        recorded_at: NOW,
    };
    let runs: Vec<Run> = (1..=25).map(run).collect();
    let endpoint = Endpoint {
        endpoint: EndpointId::new("ml", "iris"),
        uid: iris["metadata"]["uid"].as_str().unwrap().to_owned(),
        resource_version: iris["metadata"]["resourceVersion"].as_str().unwrap().to_owned(),
        labels: Labels::new(),
        runtime: "kserve-vllmserver".into(),
        model_uri: None,
        min_replicas: Replicas(2),
        max_replicas: Replicas(5),
        ready_replicas: Some(Replicas(2)),
        canary_percent: None,
        revision: None,
        gpus_per_replica: 1.0,
        pool: None,
        ready: Some(true),
        recorded_at: NOW,
    };
    let round = Round {
        round_id,
        as_of: NOW,
        versions: BTreeMap::new(),
        seed: 0,
        config_digest: Digest::ZERO,
        result_digest: Digest::ZERO,
        series: 2,
        samples: 100,
        signals: 5,
        incidents: 1,
        recommendations: 0,
        skipped: BTreeMap::new(),
        started_at: NOW,
        recorded_at: NOW,
    };
    lake.append_rows(&tables::SIGNALS, &signals, &[]).await.unwrap();
    lake.append_rows(&tables::SUPPRESSIONS, &[silenced], &[]).await.unwrap();
    lake.append_rows(&tables::INCIDENTS, &[incident], &[]).await.unwrap();
    lake.append_rows(&tables::RUNS, &runs, &[]).await.unwrap();
    lake.append_rows(&tables::ENDPOINTS, &[endpoint], &[]).await.unwrap();
    lake.append_rows(&tables::ROUNDS, &[round], &[]).await.unwrap();
}
