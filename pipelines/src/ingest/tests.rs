use std::collections::HashMap;
use std::path::Path;
use std::sync::Mutex;

use axum::Router;
use axum::extract::Form;
use axum::routing::post;
use bellwether_executor::journal::Journal;
use bellwether_model::cost::CostKind;
use bellwether_model::id::EndpointId;
use bellwether_model::unit::Replicas;
use bellwether_sql::{Session, SessionOptions};
use serde_json::{Value, json};

use super::*;
use crate::test_server::{nowhere, serve};
use crate::{openlineage, rules};

const NOW: Timestamp = Timestamp::from_secs(1_800_003_600);

/// A ledger in a folder of its own, and what an ingest needs.
struct House {
    lake: Lake,
    redactor: Arc<Redactor>,
    dir: tempfile::TempDir,
}

fn silent(_: Progress) {}

impl House {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let lake = Lake::open(dir.path().join("lake").to_str().unwrap(), &BTreeMap::new()).await.unwrap();
        Self { lake, redactor: Arc::new(Redactor::new(b"a key of the tests", &[]).unwrap()), dir }
    }

    async fn ingest(&self, sources: &Sources, now: Timestamp) -> Summary {
        ingest(self.at(now), sources).await
    }

    fn at(&self, now: Timestamp) -> Ingest<'_> {
        Ingest { lake: &self.lake, redactor: &self.redactor, now, backfill: None, progress: &silent }
    }

    async fn versions(&self) -> BTreeMap<String, i64> {
        self.lake.snapshot().await.unwrap().versions()
    }

    async fn rows<T: serde::de::DeserializeOwned>(&self, sql: &str) -> Vec<T> {
        let session = Session::open(&self.lake.snapshot().await.unwrap(), SessionOptions::at(NOW)).await.unwrap();
        session.rows(sql).await.unwrap()
    }

    async fn count(&self, table: &str) -> i64 {
        let rows: Vec<Value> = self.rows(&format!("SELECT count(*) AS n FROM raw.{table}")).await;
        rows[0]["n"].as_i64().unwrap()
    }

    fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }
}

/// What the fake Prometheus does; tests turn its knobs.
#[derive(Default)]
struct Knobs {
    /// This expression is refused.
    broken: Option<&'static str>,
    /// Added to the value of every sample of the last ten minutes before `now`, and later ones.
    late: f64,
    asked: usize,
}

/// A Prometheus that has three endpoints for every expression, a NaN at each full hour, and knobs.
async fn prometheus(now: Timestamp) -> (Prometheus, Arc<Mutex<Knobs>>) {
    let knobs = Arc::new(Mutex::new(Knobs::default()));
    let turned = knobs.clone();
    let answer = post(move |Form(form): Form<HashMap<String, String>>| async move {
        let mut knobs = turned.lock().unwrap();
        knobs.asked += 1;
        if knobs.broken == Some(form["query"].as_str()) {
            return (
                axum::http::StatusCode::BAD_REQUEST,
                axum::Json(json!({"status": "error", "errorType": "bad_data", "error": "it is broken"})),
            );
        }
        let [start, end, step] = ["start", "end", "step"].map(|k| form[k].parse::<f64>().unwrap() as i64);
        let value = |t: i64| match t % 3_600 {
            0 => "NaN".to_owned(),
            _ if t > now.secs() - 600 => (t as f64 % 97.0 + knobs.late).to_string(),
            _ => (t as f64 % 97.0).to_string(),
        };
        let values: Vec<Value> = (start..=end).step_by(step as usize).map(|t| json!([t, value(t)])).collect();
        let series: Vec<Value> =
            ["iris", "bert", "gpt"].iter().map(|name| json!({"metric": {"namespace": "ml", "service": name}, "values": values})).collect();
        (axum::http::StatusCode::OK, axum::Json(json!({"status": "success", "data": {"resultType": "matrix", "result": series}})))
    });
    let url = serve(Router::new().route("/api/v1/query_range", answer)).await;
    (Prometheus::new(PrometheusSettings::at(url)).unwrap(), knobs)
}

fn metrics(client: Prometheus, rules: &str) -> Sources {
    let settings = PrometheusSettings { backfill: Span::from_days(5), ..PrometheusSettings::at("http://unused".parse().unwrap()) };
    Sources { prometheus: Some(Metrics { client, settings, rules: rules::parse(rules, "r.yaml").unwrap() }), ..Sources::default() }
}

const TWO_RULES: &str = "rules: [{name: latency_p95, expr: a, step: 5m}, {name: error_ratio, expr: b, step: 5m}]";
/// Samples of one series in five days, both ends included, without the full hours.
const FIVE_DAYS: usize = 5 * 288 + 1 - 121;

#[tokio::test(flavor = "multi_thread")]
async fn asking_prometheus_again_adds_nothing() {
    let house = House::new().await;
    let (client, knobs) = prometheus(NOW).await;
    let sources = metrics(client, TWO_RULES);
    let first = house.ingest(&sources, NOW).await;
    assert!(first.is_whole(), "{first:?}");
    assert_eq!(first.sources[0].rows, BTreeMap::from([("samples", 2 * 3 * FIVE_DAYS)]));
    assert!(first.sources[0].no_value > 0 && first.sources[0].rejected == 0, "a NaN is no value, and no mistake: {first:?}");
    assert_eq!(house.count("series").await, 6);

    // Carrying on, and asking for everything again, change no table.
    let versions = house.versions().await;
    for backfill in [None, Some(Span::from_days(5))] {
        let again = ingest(Ingest { backfill, ..house.at(NOW) }, &sources).await;
        assert_eq!((again.new_rows(), again.is_whole()), (0, true), "{again:?}");
    }
    assert_eq!(house.versions().await, versions);

    // Samples that came late, or were corrected, are found in the tail; the others are not even asked for.
    knobs.lock().unwrap().late = 0.5;
    knobs.lock().unwrap().asked = 0;
    let corrected = house.ingest(&sources, NOW).await;
    assert_eq!(corrected.sources[0].rows["samples"], 2 * 3);
    let later = house.ingest(&sources, NOW + Span::from_mins(10)).await;
    assert_eq!(later.sources[0].rows["samples"], 2 * 3 * 2);
    assert_eq!(knobs.lock().unwrap().asked, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_fails_is_made_up_for() {
    let house = House::new().await;
    let (client, knobs) = prometheus(NOW).await;
    let sources = metrics(client, TWO_RULES);
    knobs.lock().unwrap().broken = Some("b");
    let first = house.ingest(&sources, NOW).await;
    assert_eq!(first.sources[0].rows["samples"], 3 * FIVE_DAYS);
    let [error] = first.sources[0].errors.as_slice() else { panic!("{first:?}") };
    assert_eq!(error.to_string(), "r.yaml:1: rule error_ratio");
    knobs.lock().unwrap().broken = None;
    let second = house.ingest(&sources, NOW + Span::from_mins(5)).await;
    // The missing rule comes whole, from five days before now (which holds one full hour less); the other one has one new sample a series.
    assert_eq!((second.sources[0].rows["samples"], second.is_whole()), (3 * (FIVE_DAYS + 1) + 3, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_and_events_of_files_come_once() {
    let house = House::new().await;
    let runs = house.file("runs.jsonl", "{\"run_id\": \"a\", \"updated_at\": \"2026-01-01\", \"actor\": \"ann@example.org\"}\nbroken\n");
    let event = json!({"eventType": "COMPLETE", "eventTime": "2026-01-01T00:00:00Z", "producer": "p", "run": {"runId": "r1"}, "job": {"namespace": "etl", "name": "j"},
        "inputs": [{"namespace": "s3://raw", "name": "x", "facets": {"dataQualityMetrics": {"columnMetrics": {"a": {"count": 3}}}}}], "outputs": [{"namespace": "s3://raw", "name": "y"}]});
    let events = house.file("events.jsonl", &format!("{event}\n{event}\n{{}}\n"));
    let sources = Sources { run_files: vec![runs.clone()], lineage_files: vec![events.clone()], ..Sources::default() };
    let first = house.ingest(&sources, NOW).await;
    assert!(first.is_whole(), "{first:?}");
    assert_eq!(first.sources[0].rows, BTreeMap::from([("runs", 1), ("rejects", 1)]));
    assert_eq!(first.sources[1].rows, BTreeMap::from([("lineage_events", 1), ("run_io", 2), ("column_profiles", 1), ("rejects", 1)]));
    let versions = house.versions().await;
    assert_eq!(house.ingest(&sources, NOW + Span::from_mins(1)).await.new_rows(), 0);
    assert_eq!(house.versions().await, versions);
    // A changed run is a new version of it; nothing else is new.
    std::fs::write(&runs, "{\"run_id\": \"a\", \"updated_at\": \"2026-01-01\"}\n{\"run_id\": \"a\", \"updated_at\": \"2026-01-02\"}\n")
        .unwrap();
    assert_eq!(house.ingest(&sources, NOW).await.new_rows(), 1);
    let stored = format!("{:?}", house.rows::<Value>("SELECT * FROM raw.runs").await);
    assert!(!stored.contains("ann@example.org"), "{stored}");
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_the_inbox_come_once_even_when_posted_twice_or_drained_twice() {
    let house = House::new().await;
    let journal = Journal::open(&house.dir.path().join("journal.db")).await.unwrap();
    let event = |run: &str| json!({"eventTime": "2026-01-01T00:00:00Z", "run": {"runId": run}, "job": {"namespace": "etl", "name": "j"}, "outputs": [{"namespace": "s3://raw", "name": "y"}]});
    let content = |run: &str| serde_json::to_string(&openlineage::parse(&event(run), &house.redactor, NOW).unwrap()).unwrap();
    journal.receive("openlineage", &[content("r1"), content("r1"), content("r2"), "nonsense".into()], NOW).await.unwrap();
    let drained = drain_inbox(house.at(NOW), &journal).await;
    assert_eq!(drained.rows, BTreeMap::from([("lineage_events", 2), ("run_io", 2), ("rejects", 1)]), "{drained:?}");
    assert!(journal.waiting(10).await.unwrap().is_empty());
    let versions = house.versions().await;
    // The client did not hear the answer and posts again; or the process died before it emptied the inbox.
    journal.receive("openlineage", &[content("r1"), content("r2")], NOW).await.unwrap();
    assert_eq!(drain_inbox(house.at(NOW), &journal).await.new_rows(), 0);
    assert_eq!(house.versions().await, versions);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fleet_is_written_when_it_changes_and_costs_once_an_hour() {
    let house = House::new().await;
    let endpoints = "[{name: ml/iris, gpus_per_replica: 1, max_replicas: 4, pool: gpu-a, model_uri: 's3://models/iris/3'}]";
    let pools = "[{name: gpu-a, gpus: 8, usd_per_gpu_hour: 2.0}]";
    let (client, _) = prometheus(NOW).await;
    let mut sources = metrics(client, "rules: [{name: replicas_ready, expr: a, step: 5m}]");
    sources.endpoints = serde_saphyr::from_str(endpoints).unwrap();
    sources.pools = serde_saphyr::from_str(pools).unwrap();
    let first = house.ingest(&sources, NOW).await;
    assert!(first.is_whole(), "{first:?}");
    assert_eq!(first.sources[1].rows, BTreeMap::from([("endpoints", 1), ("pools", 1)]));
    let costs: Vec<bellwether_model::cost::Cost> = house.rows("SELECT * FROM raw.costs").await;
    assert_eq!(costs.iter().map(|c| c.cost_micro_usd).sum::<bellwether_model::unit::MicroUsd>().usd(), 16.0 * (5 * 24 - 1) as f64);
    assert!(costs.iter().any(|c| c.kind == CostKind::Workload && c.endpoint == Some(EndpointId::new("ml", "iris"))));

    let versions = house.versions().await;
    assert_eq!(house.ingest(&sources, NOW).await.new_rows(), 0);
    assert_eq!(house.versions().await, versions);

    // A pool that did not change is written anew once a day, so that it is known to have been there.
    let next_day = house.ingest(&sources, NOW + Span::from_days(1)).await;
    assert_eq!(next_day.sources[1].rows, BTreeMap::from([("pools", 1)]));
    // Two months in which nobody looked cost nothing: the next hour that is charged is one of those that Prometheus still knows.
    let later = house.ingest(&sources, NOW + Span::from_days(60)).await;
    let charged: Vec<bellwether_model::cost::Cost> = house.rows("SELECT * FROM raw.costs WHERE kind <> 'workload'").await;
    let (before, after) = (NOW + Span::from_days(2), NOW + Span::from_days(54));
    assert!(later.is_whole() && charged.iter().all(|c| c.period_end <= before || c.period_start >= after), "{charged:?}");

    sources.endpoints[0].max_replicas = Replicas(6);
    let changed = house.ingest(&sources, NOW + Span::from_days(60) + Span::from_hours(1)).await;
    assert_eq!(changed.sources[1].rows, BTreeMap::from([("changes", 1), ("endpoints", 1)]));
    assert!(!changed.sources[2].rows.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_not_there_does_not_stop_the_others() {
    let house = House::new().await;
    let nowhere = nowhere().await;
    let dsn = format!("postgresql://{}:{}/ops", nowhere.host_str().unwrap(), nowhere.port().unwrap());
    let mut sources = metrics(Prometheus::new(PrometheusSettings::at(nowhere)).unwrap(), TWO_RULES);
    sources.postgres = Some(PostgresSettings { dsn: Some(dsn.parse().unwrap()), ..PostgresSettings::default() });
    sources.run_files = vec![Path::new("/nowhere/runs.csv").into(), house.file("runs.csv", "run_id,updated_at\na,2026-01-01\n")];
    let summary = house.ingest(&sources, NOW).await;
    let shown: Vec<_> = summary.sources.iter().map(|s| (s.source, s.new_rows(), s.errors.len())).collect();
    assert_eq!(shown, [("prometheus", 0, 2), ("postgres", 0, 1), ("run files", 1, 1)]);
    assert!(!summary.is_whole());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_read_and_completed_by_the_configuration() {
    let house = House::new().await;
    let server = bellwether_executor::apiserver::ApiServer::new(NOW);
    let isvc = json!({"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService", "metadata": {"name": "iris", "namespace": "ml"},
        "spec": {"predictor": {"minReplicas": 1, "maxReplicas": 3, "model": {"storageUri": "s3://models/iris/3"}}}});
    server.apply("kubectl", &isvc).unwrap();
    let mut sources = Sources { cluster: Cluster::Kubernetes(server.client()), ..Sources::default() };
    sources.endpoints = serde_saphyr::from_str("[{name: ml/iris, pool: gpu-a}, {name: ml/other}]").unwrap();
    let first = house.ingest(&sources, NOW).await;
    assert!(first.is_whole(), "{first:?}");
    assert_eq!(first.sources[0].rows, BTreeMap::from([("endpoints", 2)]));
    let rows: Vec<bellwether_model::inventory::Endpoint> = house.rows("SELECT * FROM endpoints_current WHERE endpoint = 'ml/iris'").await;
    assert_eq!(
        (rows[0].max_replicas, rows[0].pool.as_ref().map(|p| p.as_str()), rows[0].uid.is_empty()),
        (Replicas(3), Some("gpu-a"), false)
    );
    assert_eq!(house.ingest(&sources, NOW).await.new_rows(), 0);
}
