//! The fleet as its users see it: over its Kubernetes API and its Prometheus.

use bellwether_model::inventory::Entity;
use http::Request;
use http_body_util::{BodyExt, Full};
use kube::Api;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams};
use serde_json::json;
use tower::ServiceExt;

use super::script::FaultKind;
use super::*;

fn fleet(seed: u64) -> Fleet {
    Fleet::new(FleetSpec { seed, ..FleetSpec::default() })
}

fn at_the_end(seed: u64) -> Fleet {
    let fleet = fleet(seed);
    fleet.advance(fleet.range().end);
    fleet
}

fn fault(fleet: &Fleet, kind: FaultKind) -> Fault {
    fleet.faults().iter().find(|f| f.kind == kind).unwrap().clone()
}

/// Sends a form to the fleet's Prometheus; the status code and the JSON.
async fn ask(fleet: &Fleet, path: &str, params: &[(&str, &str)]) -> (u16, Value) {
    let escape = |text: &str| text.bytes().map(|b| format!("%{b:02x}")).collect::<String>();
    let form: Vec<String> = params.iter().map(|(k, v)| format!("{}={}", escape(k), escape(v))).collect();
    let request = Request::post(path).body(Full::new(bytes::Bytes::from(form.join("&")))).unwrap();
    let reply = fleet.prometheus().oneshot(request).await.unwrap();
    let code = reply.status().as_u16();
    let body = reply.into_body().collect().await.unwrap().to_bytes();
    (code, serde_json::from_slice(&body).unwrap_or_else(|_| json!(String::from_utf8_lossy(&body))))
}

/// All values of an expression over a range at five minutes, of all its series together.
async fn values(fleet: &Fleet, query: &str, range: TimeRange) -> Vec<f64> {
    let (start, end) = (range.start.secs().to_string(), range.end.secs().to_string());
    let (code, body) = ask(fleet, "/api/v1/query_range", &[("query", query), ("start", &start), ("end", &end), ("step", "5m")]).await;
    assert_eq!(code, 200, "{body}");
    let series = body["data"]["result"].as_array().unwrap();
    series.iter().flat_map(|s| s["values"].as_array().unwrap()).map(|p| p[1].as_str().unwrap().parse().unwrap()).collect()
}

fn median(mut values: Vec<f64>) -> f64 {
    assert!(!values.is_empty());
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Five minutes after the fault began to be felt, to just before it ends.
fn felt(fault: &Fault) -> TimeRange {
    TimeRange::new(fault.start + Span::from_mins(20), fault.end - Span::from_mins(20))
}

/// The same hours one day before.
fn day_before(range: TimeRange) -> TimeRange {
    TimeRange::new(range.start - Span::from_days(1), range.end - Span::from_days(1))
}

/// `latency_p95{namespace="ml",service="iris"}`
fn of(metric: &str, entity: &Entity) -> String {
    match entity {
        Entity::Endpoint(id) => format!("{metric}{{namespace=\"{}\",service=\"{}\"}}", id.namespace, id.name),
        Entity::Node(name) => format!("{metric}{{node=\"{name}\"}}"),
        Entity::Pool(name) => format!("{metric}{{pool=\"{name}\"}}"),
        other => panic!("{other} has no series"),
    }
}

/// Applies a few fields to the object of an entity, as an executor would.
async fn apply(fleet: &Fleet, entity: &Entity, manager: &str, spec: Value) {
    let client = fleet.api().client();
    let (group, version, kind, plural, namespace, name) = match entity {
        Entity::Endpoint(id) => {
            ("serving.kserve.io", "v1beta1", "InferenceService", "inferenceservices", Some(id.namespace.clone()), id.name.clone())
        }
        Entity::Node(name) => ("", "v1", "Node", "nodes", None, name.to_string()),
        Entity::Pool(name) => ("karpenter.sh", "v1", "NodePool", "nodepools", None, name.to_string()),
        other => panic!("{other} is no object"),
    };
    let resource = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural);
    let api: Api<DynamicObject> = match namespace {
        Some(ns) => Api::namespaced_with(client, &ns, &resource),
        None => Api::all_with(client, &resource),
    };
    let body = json!({"apiVersion": resource.api_version, "kind": kind, "metadata": {"name": name}, "spec": spec});
    api.patch(&name, &PatchParams::apply(manager), &Patch::Apply(&body)).await.unwrap();
}

/// The endpoint's or node's series that a fault shows in, and the change that cures it.
fn symptom_and_cure(fleet: &Fleet, fault: &Fault) -> (String, &'static str, Value) {
    let spec = |entity: &Entity| match entity {
        Entity::Endpoint(id) => fleet.cast().endpoints.iter().find(|e| e.id == *id).unwrap(),
        other => panic!("{other} is no endpoint"),
    };
    match fault.kind {
        FaultKind::TrafficSurge => {
            let e = spec(&fault.entity);
            let scaled = json!({"predictor": {"minReplicas": e.min_replicas + 1, "maxReplicas": e.max_replicas + 4}});
            (of("latency_p95", &fault.entity), "bellwether/scale", scaled)
        }
        FaultKind::BadCanary => (of("error_ratio", &fault.entity), "bellwether/rollout", json!({"predictor": {"canaryTrafficPercent": 0}})),
        FaultKind::SickNode => (of("gpu_throttle_ratio", &fault.entity), "bellwether/node", json!({"unschedulable": true})),
        FaultKind::IdlePool => (of("pool_gpu_utilization", &fault.entity), "bellwether/pool", json!({"limits": {"nvidia.com/gpu": "8"}})),
        FaultKind::FeatureDrift => panic!("drift shows in lineage"),
    }
}

#[tokio::test]
async fn every_fault_is_plain_to_see_and_nothing_else_looks_like_one() {
    for seed in 1..=6 {
        let fleet = at_the_end(seed);
        assert_eq!(fleet.faults().len(), 5);
        for fault in fleet.faults().iter().filter(|f| f.kind != FaultKind::FeatureDrift) {
            assert!(fault.range().length() >= Span::from_mins(90) && fault.end <= fleet.range().end);
            let (query, ..) = symptom_and_cure(&fleet, fault);
            let (during, before) =
                (median(values(&fleet, &query, felt(fault)).await), median(values(&fleet, &query, day_before(felt(fault))).await));
            let plain = if fault.kind == FaultKind::IdlePool { during < 0.05 && before > 0.4 } else { during > before * 3.0 };
            assert!(plain, "seed {seed}: {:?} {during} after {before}", fault.kind);
        }
        let ill = fault(&fleet, FaultKind::SickNode);
        let mut slowed = 0;
        for guest in ill.entities.iter().skip(1) {
            let query = of("latency_p95", guest);
            slowed += usize::from(
                median(values(&fleet, &query, felt(&ill)).await) > 1.8 * median(values(&fleet, &query, day_before(felt(&ill))).await),
            );
        }
        assert!(slowed >= 1, "seed {seed}: no endpoint suffers from {}", ill.entity);

        let named: Vec<&Entity> = fleet.faults().iter().flat_map(|f| &f.entities).collect();
        let last_day = TimeRange::before(fleet.range().end, Span::from_days(1));
        for e in fleet.cast().endpoints.iter().filter(|e| e.tremble < 4.0) {
            let entity = Entity::Endpoint(e.id.clone());
            if named.contains(&&entity) {
                continue;
            }
            let latencies = values(&fleet, &of("latency_p95", &entity), last_day).await;
            let lasting = latencies.windows(3).map(|w| w.iter().copied().fold(f64::INFINITY, f64::min)).fold(0.0, f64::max);
            assert!(lasting < e.promised_latency(), "seed {seed}: {entity} took {lasting} s for a quarter of an hour");
        }
    }
}

#[tokio::test]
async fn the_right_action_cures_within_minutes_and_the_past_stays_as_it_was() {
    for seed in 1..=4 {
        for kind in [FaultKind::TrafficSurge, FaultKind::BadCanary, FaultKind::SickNode, FaultKind::IdlePool] {
            let fleet = fleet(seed);
            let fault = fault(&fleet, kind);
            let (query, manager, spec) = symptom_and_cure(&fleet, &fault);
            let acted = fault.start + Span::from_mins(30);
            fleet.advance(acted);
            let past = TimeRange::new(fault.start - Span::from_hours(6), acted);
            let (ill, all) =
                (values(&fleet, &query, TimeRange::before(acted, Span::from_mins(10))).await, values(&fleet, "{pool=~\".+\"}", past).await);
            apply(&fleet, &fault.entity, manager, spec).await;
            fleet.advance(acted + Span::from_mins(30));
            let cured = values(&fleet, &query, TimeRange::before(fleet.now(), Span::from_mins(20))).await;
            let (ill, cured) = (median(ill), median(cured));
            let better = if kind == FaultKind::IdlePool { cured > ill * 1.8 } else { cured < ill / 2.0 };
            assert!(better, "seed {seed}: {kind:?} {ill} then {cured}");
            assert_eq!(values(&fleet, "{pool=~\".+\"}", past).await, all, "seed {seed}: {kind:?} rewrote the past");
            if kind == FaultKind::IdlePool {
                assert_eq!(fleet.api().list("Node").len(), fleet.cast().nodes.len() - 3);
                let Entity::Pool(pool) = &fault.entity else { panic!() };
                assert_eq!(fleet.api().get("NodePool", None, pool.as_str()).unwrap()["status"]["resources"]["nvidia.com/gpu"], "8");
            }
        }
    }
}

#[tokio::test]
async fn scaling_down_under_load_makes_things_worse() {
    let fleet = fleet(2);
    let e = fleet.cast().endpoints.iter().find(|e| e.pool == 1 && e.max_replicas >= 5).unwrap().clone();
    let entity = Entity::Endpoint(e.id.clone());
    let noon = fleet.range().start + Span::from_days(2) + Span::from_mins((e.peak_hour * 60.0) as i64);
    fleet.advance(noon);
    let before = median(values(&fleet, &of("latency_p95", &entity), TimeRange::before(noon, Span::from_mins(30))).await);
    apply(&fleet, &entity, "bellwether/scale", json!({"predictor": {"minReplicas": 1, "maxReplicas": 1}})).await;
    assert_eq!(fleet.api().log().len(), 1, "only requests over the API are logged");
    fleet.advance(noon + Span::from_mins(30));
    let after = median(values(&fleet, &of("latency_p95", &entity), TimeRange::before(fleet.now(), Span::from_mins(20))).await);
    assert!(after > 3.0 * before, "{before} then {after}");
}

#[tokio::test]
async fn statuses_follow_what_was_asked() {
    let fleet = fleet(1);
    let e = fleet.cast().endpoints[0].clone();
    let entity = Entity::Endpoint(e.id.clone());
    let now = fleet.range().start + Span::from_days(1);
    fleet.advance(now);
    let status = || fleet.api().get("InferenceService", Some(&e.id.namespace), &e.id.name).unwrap();
    let ready = |object: &Value| {
        object["status"]["conditions"].as_array().unwrap().iter().find(|c| c["type"] == "Ready").unwrap()["status"].clone()
    };
    assert_eq!(ready(&status()), "True");
    apply(&fleet, &entity, "bellwether/scale", json!({"predictor": {"minReplicas": 2, "maxReplicas": 9}})).await;
    fleet.advance(now + Span::from_secs(5));
    assert_eq!(ready(&status()), "Unknown");
    fleet.advance(now + Span::from_mins(4));
    let object = status();
    assert_eq!(ready(&object), "True");
    assert_eq!(object["status"]["observedGeneration"], object["metadata"]["generation"]);
    let predictor = &object["status"]["components"]["predictor"];
    assert_eq!(predictor["latestReadyRevision"], predictor["latestCreatedRevision"]);
}

#[tokio::test]
async fn a_canary_that_nobody_rolls_back_is_taken_back_by_its_owners() {
    let fleet = at_the_end(4);
    let fault = fault(&fleet, FaultKind::BadCanary);
    let Entity::Endpoint(id) = &fault.entity else { panic!() };
    let predictor = fleet.api().get("InferenceService", Some(&id.namespace), &id.name).unwrap()["spec"]["predictor"].clone();
    assert!(predictor["canaryTrafficPercent"].is_null(), "{predictor}");
    let after = TimeRange::new(fault.end + Span::from_mins(10), fault.end + Span::from_mins(40));
    assert!(median(values(&fleet, &of("error_ratio", &fault.entity), after).await) < 0.01);
}

#[test]
fn its_services_can_be_served_by_any_http_server() {
    fn servable<S: tower::Service<Request<Full<bytes::Bytes>>, Error = std::convert::Infallible> + Clone + Send + Sync + 'static>(_: S) {}
    let fleet = fleet(1);
    servable(fleet.prometheus());
    servable(fleet.api().service());
}

#[tokio::test]
async fn one_seed_is_one_fleet() {
    let (a, b, c) = (at_the_end(5), fleet(5), at_the_end(6));
    // The same fleet in many small steps.
    while b.now() < b.range().end {
        b.advance(b.now() + Span::from_hours(7));
    }
    let range = TimeRange::before(a.range().end, Span::from_hours(20));
    let all = "{namespace=~\".+\"}";
    let of_a = values(&a, all, range).await;
    assert_eq!(of_a, values(&b, all, range).await);
    assert_ne!(of_a, values(&c, all, range).await);
    assert_eq!(a.faults(), b.faults());
    assert_eq!(a.past_runs(), b.past_runs());
    assert_eq!(a.lineage_events(range), b.lineage_events(range));
}

#[tokio::test]
async fn prometheus_answers_in_its_own_words() {
    let fleet = fleet(1);
    fleet.advance(fleet.range().start + Span::from_days(1));
    let now = fleet.now().secs();
    let (start, end) = ((now - 600).to_string(), (now + 3_600).to_string());

    let (code, body) = ask(&fleet, "/api/v1/query", &[("query", "latency_p95{service=\"card-fraud\"}")]).await;
    assert_eq!((code, &body["status"], &body["data"]["resultType"]), (200, &json!("success"), &json!("vector")));
    let sample = &body["data"]["result"][0];
    assert_eq!(
        sample["metric"],
        json!({"__name__": "latency_p95", "namespace": "risk", "pool": "gpu-eu-west", "runtime": "kserve-xgbserver", "service": "card-fraud"})
    );
    assert_eq!(sample["value"][0], now);
    assert!(sample["value"][1].as_str().unwrap().parse::<f64>().unwrap() > 0.0);

    let range = [("query", "sum by (pool) (replicas_ready)"), ("start", &start), ("end", &end), ("step", "60")];
    let (_, body) = ask(&fleet, "/api/v1/query_range", &range).await;
    assert_eq!((&body["data"]["resultType"], body["data"]["result"].as_array().unwrap().len()), (&json!("matrix"), 3));
    assert_eq!(body["data"]["result"][0]["metric"], json!({"pool": "gpu-batch"}));
    assert_eq!(body["data"]["result"][0]["values"].as_array().unwrap().len(), 11, "there is nothing after now");

    for (query, series) in [
        ("{__name__=~\"latency.*\",namespace!=\"risk\",pool!~\"gpu-batch|gpu-us-.*\"}", 6),
        ("avg_over_time(latency_p95{namespace=\"vision\"}[10m])", 5),
        ("max(max_over_time(gpu_throttle_ratio{pool=\"gpu-batch\"}[5m]))", 1),
        ("avg without (runtime, pool, service) (gpu_utilization)", 4),
        ("latency_p95{service=\"nothing\"}", 0),
    ] {
        let (code, body) = ask(&fleet, "/api/v1/query", &[("query", query)]).await;
        assert_eq!((code, body["data"]["result"].as_array().map(Vec::len)), (200, Some(series)), "{query}: {body}");
    }
    let (_, body) = ask(&fleet, "/api/v1/query", &[("query", "request_rate{service=\"intent\"}[5m]")]).await;
    assert_eq!((&body["data"]["resultType"], body["data"]["result"][0]["values"].as_array().unwrap().len()), (&json!("matrix"), 5));

    for (path, params, what) in [
        ("/api/v1/query", vec![("query", "latency_p95{")], "parse error"),
        ("/api/v1/query", vec![("query", "rate(request_rate[5m])")], "not supported"),
        ("/api/v1/query", vec![("query", "up"), ("time", "noon")], "valid timestamp"),
        (
            "/api/v1/query_range",
            vec![("query", "up"), ("start", "0"), ("end", "11001"), ("step", "1")],
            "exceeded maximum resolution of 11,000 points",
        ),
        ("/api/v1/query_range", vec![("query", "up"), ("start", "5"), ("end", "4"), ("step", "1")], "end timestamp must not be before"),
        ("/api/v1/query_range", vec![("query", "up"), ("start", "0"), ("end", "4"), ("step", "0")], "zero or negative"),
        ("/api/v1/series", vec![], "no match[] parameter provided"),
    ] {
        let (code, body) = ask(&fleet, path, &params).await;
        assert_eq!((code, &body["status"], &body["errorType"]), (400, &json!("error"), &json!("bad_data")), "{path} {params:?}");
        assert!(body["error"].as_str().unwrap().contains(what), "{body}");
    }

    let (_, body) = ask(&fleet, "/api/v1/label/namespace/values", &[]).await;
    assert_eq!(body["data"], json!(["language", "ranking", "risk", "vision"]));
    let (_, body) = ask(&fleet, "/api/v1/labels", &[("match[]", "gpu_xid_errors")]).await;
    assert_eq!(body["data"], json!(["__name__", "node", "pool"]));
    let (_, body) = ask(&fleet, "/api/v1/series", &[("match[]", "pool_gpu_utilization")]).await;
    assert_eq!(body["data"].as_array().unwrap().len(), 3);
    let (_, body) = ask(&fleet, "/api/v1/metadata", &[]).await;
    assert_eq!(body["data"].as_object().unwrap().len(), 9);
    assert_eq!(ask(&fleet, "/api/v1/status/buildinfo", &[]).await.0, 200);
    assert_eq!(ask(&fleet, "/-/ready", &[]).await.0, 200);
    assert_eq!(ask(&fleet, "/api/v1/nothing", &[]).await.0, 404);
}

#[tokio::test]
async fn a_fortnight_of_every_series_is_served_quickly() {
    let fleet = at_the_end(1);
    let begun = std::time::Instant::now();
    let mut samples = 0;
    for metric in metrics::Metric::ALL {
        samples += values(&fleet, metric.name(), fleet.range()).await.len();
    }
    let wanted = fleet.shared.series.len() * 4_033;
    assert!(samples < wanted && samples > wanted * 99 / 100, "{samples} of {wanted}: some scrapes fail, most do not");
    assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
}

#[test]
fn text_formats_hold_the_same_samples() {
    let fleet = fleet(1);
    let range = TimeRange::new(fleet.range().start, fleet.range().start + Span::from_hours(1));
    fleet.advance(range.end);
    let text = fleet.exposition();
    assert!(text.contains("# TYPE latency_p95 gauge\n") && text.contains("pool_gpu_utilization{pool=\"gpu-batch\"} 0."));
    let mut out = Vec::new();
    fleet.write_open_metrics(range, Span::from_mins(5), &mut out).unwrap();
    let out = String::from_utf8(out).unwrap();
    assert!(out.ends_with("# EOF\n"));
    let lines = out.lines().filter(|l| !l.starts_with('#')).count();
    assert!(lines > fleet.shared.series.len() * 11 && lines <= fleet.shared.series.len() * 12, "{lines}");
}

#[test]
fn drift_shows_in_the_quantiles_of_its_columns_alone() {
    for seed in 1..=5 {
        let fleet = fleet(seed);
        let fault = fault(&fleet, FaultKind::FeatureDrift);
        let profiles = |range: TimeRange| -> BTreeMap<String, Vec<[f64; 2]>> {
            let mut found: BTreeMap<String, Vec<[f64; 2]>> = BTreeMap::new();
            for event in fleet.lineage_events(range) {
                for output in event["outputs"].as_array().unwrap() {
                    let columns = output["facets"]["dataQualityMetrics"]["columnMetrics"].as_object();
                    for (column, m) in columns.into_iter().flatten() {
                        let q = |key: &str| m["quantiles"][key].as_f64().unwrap();
                        let key =
                            format!("dataset:{}:{}#{column}", output["namespace"].as_str().unwrap(), output["name"].as_str().unwrap());
                        found.entry(key).or_default().push([q("0.5"), q("0.75") - q("0.25")]);
                    }
                }
            }
            found
        };
        let during = TimeRange::new(fault.start + Span::from_mins(50), fault.end + Span::from_mins(20));
        let (now, then) = (profiles(during), profiles(day_before(during)));
        assert_eq!(now.len(), 60);
        let moved: Vec<&String> = now
            .iter()
            .filter(|(key, m)| {
                let before = &then[*key];
                let (a, b) = (median(m.iter().map(|p| p[0]).collect()), median(before.iter().map(|p| p[0]).collect()));
                (a - b).abs() > 0.4 * before[0][1]
            })
            .map(|(key, _)| key)
            .collect();
        assert!(!moved.is_empty() && moved.len() <= 4, "seed {seed}: {moved:?}");
        let labelled: Vec<String> = fault.entities.iter().map(ToString::to_string).collect();
        assert!(moved.iter().all(|key| labelled.contains(&key.split('#').next().unwrap().to_owned())), "seed {seed}: {moved:?}");
        assert!(moved.iter().any(|key| key.starts_with(&fault.entity.to_string())), "seed {seed}: {moved:?} {}", fault.entity);
    }
}

#[test]
fn lineage_reaches_every_endpoint_and_splits_anywhere() {
    let fleet = fleet(3);
    let range = TimeRange::new(fleet.range().start, fleet.range().start + Span::from_days(1));
    let events = fleet.lineage_events(range);
    let middle = range.start + Span::from_secs(40_000);
    let mut halves = fleet.lineage_events(TimeRange::new(range.start, middle));
    halves.extend(fleet.lineage_events(TimeRange::new(middle, range.end)));
    assert_eq!(events, halves);
    let written: std::collections::BTreeSet<String> = events
        .iter()
        .flat_map(|e| e["outputs"].as_array().unwrap())
        .map(|d| format!("{}/{}", d["namespace"].as_str().unwrap(), d["name"].as_str().unwrap()))
        .collect();
    for object in fleet.api().list("InferenceService") {
        let uri = object["spec"]["predictor"]["model"]["storageUri"].as_str().unwrap();
        assert!(written.contains(uri), "nothing wrote {uri}");
    }
    assert!(events.iter().all(|e| e["schemaURL"].as_str().unwrap().contains("2-0-2") && e["run"]["runId"].is_string()));
}

#[test]
fn the_past_teaches_which_playbook_helps() {
    let fleet = fleet(1);
    let runs = fleet.past_runs();
    assert_eq!(runs.len(), history::RUNS);
    let text = |run: &Value, key: &str| run[key].as_str().unwrap_or_default().to_owned();
    assert!(runs.windows(2).all(|w| text(&w[0], "updated_at").parse::<Timestamp>().unwrap() <= text(&w[1], "updated_at").parse().unwrap()));
    let playbooks: std::collections::BTreeSet<String> = runs.iter().map(|r| text(r, "playbook_id")).collect();
    assert_eq!(playbooks.len(), 12);
    let rate = |playbook: &str, word: &str| {
        let chosen: Vec<&Value> = runs
            .iter()
            .filter(|r| text(r, "playbook_id") == playbook && text(r, "summary").contains(word) && r["outcome"].is_string())
            .collect();
        assert!(chosen.len() >= 5, "{playbook} {word}: {}", chosen.len());
        chosen.iter().filter(|r| r["outcome"] == "effective").count() as f64 / chosen.len() as f64
    };
    for (playbook, word) in [
        ("scale-out-endpoint", "surge"),
        ("rollback-canary", "canary"),
        ("cordon-gpu-node", "XID"),
        ("shrink-idle-pool", "idle"),
        ("retrain-model", "drift"),
    ] {
        assert!((0.75..0.97).contains(&rate(playbook, word)), "{playbook}: {}", rate(playbook, word));
    }
    assert!(rate("scale-out-endpoint", "canary") < 0.35);
    assert!(runs.iter().all(|r| text(r, "actor").ends_with("@example.com")));
}

#[test]
fn its_files_are_what_their_loaders_expect() {
    let fleet = fleet(1);
    let files = world::files(&fleet);
    let mut playbooks = 0;
    for (path, text) in &files {
        if path.starts_with("playbooks/") {
            let playbook: bellwether_model::playbook::Playbook = serde_saphyr::from_str(text).unwrap_or_else(|e| panic!("{path}: {e}"));
            assert_eq!(format!("playbooks/{}.yaml", playbook.id), *path);
            playbooks += 1;
        } else {
            let value: Value = serde_saphyr::from_str(text).unwrap_or_else(|e| panic!("{path}: {e}"));
            assert!(!value.is_null() && !text.contains("${"), "{path}");
        }
    }
    assert_eq!((playbooks, files.len()), (12, 12 + 3 + 24 + 3));
    let rules: Value = serde_saphyr::from_str(&files.iter().find(|(p, _)| p == "rules.yaml").unwrap().1).unwrap();
    let metrics: Vec<&str> = rules["rules"].as_array().unwrap().iter().map(|r| r["name"].as_str().unwrap()).collect();
    assert_eq!(metrics.len(), metrics::Metric::ALL.len());
    assert!(metrics::Metric::ALL.iter().all(|m| metrics.contains(&m.name())));
}
