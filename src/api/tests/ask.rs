//! Questions: signals, incidents, analysis, recommendations, SQL, health and numbers.

use bellwether_model::series::{Labels, Samples, Series};
use bellwether_model::time::Span;
use bellwether_pipelines::act::Reach;
use serde_json::{Value, json};

use super::world::{NOW, World};

fn ids(answer: &Value, list: &str, id: &str) -> Vec<String> {
    answer[list].as_array().unwrap().iter().map(|s| s[id].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn signals_are_filtered_and_paged() {
    let world = World::new(Reach::Suggest).await;
    let cases = [
        ("", "sig-4 sig-3 sig-2 sig-1 sig-0"),
        ("?status=open", "sig-4"),
        ("?status=closed&severity=info,warning", "sig-0"),
        ("?label=service%3Do%27rose", "sig-1"),
        ("?label=service%3Diris&label=namespace%3Dml&severity=critical", "sig-4 sig-3 sig-2"),
        ("?until=2027-01-15T05:30:00Z", "sig-2 sig-1 sig-0"),
        ("?since=2027-01-15T05:30:00Z&status=closed", "sig-3"),
        ("?label=service%3D%27%20OR%201%3D1", ""),
        ("?silenced=true", "sig-1"),
        ("?silenced=false&status=closed", "sig-3 sig-2 sig-0"),
    ];
    for (query, expected) in cases {
        let answer = world.get("viewer", &format!("/signals{query}")).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert_eq!(ids(&answer.json, "signals", "signal_id").join(" "), expected, "{query}");
    }
    let first = world.get("viewer", "/signals?limit=2").await.json;
    let second = world.get("viewer", &format!("/signals?limit=2&cursor={}", first["next"].as_str().unwrap())).await.json;
    let third = world.get("viewer", &format!("/signals?limit=2&cursor={}", second["next"].as_str().unwrap())).await.json;
    assert_eq!(
        [first, second, third.clone()].map(|page| ids(&page, "signals", "signal_id").join(" ")),
        ["sig-4 sig-3", "sig-2 sig-1", "sig-0"]
    );
    assert_eq!(third["next"], Value::Null);
    let told = world.get("viewer", "/signals").await.json;
    assert_eq!(ids(&told, "suppressions", "signal_id"), ["sig-1"]);
    assert_eq!((&told["suppressions"][0]["kind"], &told["suppressions"][0]["cause"]), (&json!("maintenance"), &json!("nightly")));
    for wrong in [
        "?limit=0",
        "?severity=bad",
        "?status=maybe",
        "?since=yesterday",
        "?cursor=x",
        "?label=x",
        "?label=a.b%3Dc",
        "?colour=red",
        "?silenced=perhaps",
        "?limit=1&limit=2",
    ] {
        let answer = world.get("viewer", &format!("/signals{wrong}")).await;
        assert_eq!(answer.problem(), (400, "bad-request"), "{wrong}");
    }
}

#[tokio::test]
async fn an_incident_is_told_whole() {
    let world = World::new(Reach::Suggest).await;
    assert_eq!(ids(&world.get("viewer", "/incidents?status=open").await.json, "incidents", "incident_id"), ["inc-1"]);
    let story = world.get("viewer", "/incidents/inc-1").await.json;
    assert_eq!(ids(&story, "signals", "signal_id"), ["sig-0", "sig-2", "sig-3", "sig-4"]);
    assert_eq!((story["incident"]["root"].as_str(), &story["recommendation"]), (Some("endpoint:ml/iris"), &Value::Null));
    assert_eq!(world.get("viewer", "/incidents/inc-2").await.problem(), (404, "not-found"));
    // This ledger has no samples: that is said, and is not "no cause".
    let explained = world.get("viewer", "/incidents/inc-1/explain").await.json;
    assert_eq!((&explained["incident_id"], &explained["together"]), (&json!("inc-1"), &json!([])), "{explained:#}");
    assert!(explained["notes"].to_string().contains("no data"), "{explained:#}");
    assert_eq!(world.get("viewer", "/incidents/inc-2/explain").await.problem(), (404, "not-found"));
}

#[tokio::test]
async fn a_query_is_judged_as_in_rounds() {
    let world = World::new(Reach::Suggest).await;
    let answer = world.post("viewer", "/analyze", json!({"prom_query": "p95"})).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let worst = &answer.json;
    assert!(worst["score"].as_f64().unwrap() > 1.0, "{worst}");
    assert_eq!(
        (&worst["method"], &worst["verdict"], &worst["series_total"], &worst["rules"]),
        (&json!("zscore"), &json!("fail"), &json!(2), &json!(["latency_p95_zscore"]))
    );
    // The rule's labels, not those of the query.
    assert_eq!(worst["labels"], json!({"namespace": "ml", "service": "iris"}));
    assert!(worst["hint"].as_str().unwrap().starts_with("latency_p95 of ml/iris is 1"), "{worst}");
    for known in ["z", "ewma", "expected", "lower", "upper"] {
        assert!(worst[known].is_number(), "{known}: {worst}");
    }
    let by_name = world.post("viewer", "/analyze", json!({"query": "latency_p95", "labels": {"service": "rose"}})).await.json;
    assert_eq!((&by_name["verdict"], &by_name["series_total"]), (&json!("pass"), &json!(1)));
    let ewma =
        world.post("viewer", "/analyze", json!({"query": "p95", "prom_query": "p95", "lookback": "1h", "method": "ewma"})).await.json;
    assert_eq!(ewma["method"], "ewma");
    let short = world.post("viewer", "/analyze", json!({"query": "p95", "lookback": "5m", "method": "zscore"})).await.json;
    assert_eq!(short["verdict"], "inconclusive", "five points are not enough: {short}");
    let nothing = world.post("viewer", "/analyze", json!({"query": "absent"})).await.json;
    assert_eq!((&nothing["verdict"], &nothing["score"], &nothing["z"]), (&json!("no_data"), &json!(0.0), &Value::Null));
}

#[tokio::test]
async fn wrong_questions_are_answered_with_what_is_wrong() {
    let world = World::new(Reach::Suggest).await;
    let cases = [
        (json!({"query": "sum("}), "bad-query", "1:5: parse error: unclosed left parenthesis"),
        (json!({"query": "a", "prom_query": "b"}), "bad-request", "differ"),
        (json!({"lookback": "5m"}), "bad-request", "no prom_query"),
        (json!({"query": "p95", "lookback": "99y"}), "bad-request", "is not a duration"),
        (json!({"query": "p95", "lookback": "120d"}), "bad-request", "from 1m to 90d"),
        (json!({"query": "p95", "method": "psi"}), "bad-request", "psi"),
        (json!({"query": "p95", "lokback": "5m"}), "bad-request", "lokback"),
        (json!("p95"), "bad-request", "does not fit"),
    ];
    for (body, kind, detail) in cases {
        let answer = world.post("viewer", "/analyze", body.clone()).await;
        assert_eq!(answer.problem(), (400, kind), "{body}");
        assert!(answer.json["detail"].as_str().unwrap().contains(detail), "{body}: {}", answer.text);
    }
}

#[tokio::test]
async fn a_playbook_is_recommended_with_reasons_or_none_with_a_reason() {
    let world = World::new(Reach::Suggest).await;
    for body in [
        json!({"incident_id": "inc-1"}),
        json!({"signal_id": "sig-4"}),
        json!({"payload": "latency_p95 of ml/rose is high, queue_depth grows, request_rate doubled"}),
    ] {
        let answer = world.post("viewer", "/recommend", body.clone()).await;
        let best = &answer.json[0];
        assert_eq!(best["playbook_id"], "scale-out", "{body}: {}", answer.text);
        assert!(best["score"].as_f64().unwrap() >= 0.1);
        assert!(best["justification"].as_str().unwrap().contains("run-"), "{best}");
    }
    let unknown = world.post("viewer", "/recommend", json!({"signal_id": "sig-1"})).await;
    assert_eq!(unknown.json, json!([]), "nothing is known of its endpoint, so no precondition holds");
    assert!(unknown.headers["bellwether-abstained"].to_str().unwrap().contains("applies"), "{:?}", unknown.headers);
    let nothing = world.post("viewer", "/recommend", json!({"payload": {"summary": "the coffee machine is on fire"}})).await;
    assert_eq!((nothing.status.as_u16(), &nothing.json), (200, &json!([])));
    assert!(nothing.headers["bellwether-abstained"].to_str().unwrap().contains("nothing like this is known"));
    let why = unknown.headers["bellwether-abstained"].to_str().unwrap();
    assert!(why.contains("scale-out would score 0.") && why.contains("but "), "{why}");
    for (wrong, says) in [
        (json!({}), "exactly one of"),
        (json!({"signal_id": "sig-1", "incident_id": "inc-1"}), "exactly one of"),
        (json!({"payload": " "}), "1 to 20000 characters of text, and this one has 0"),
        (json!({"payload": "slow", "top": 50}), "a number from 1 to 20"),
        (json!({"payload": "slow", "top": 0}), "a number from 1 to 20"),
        (json!({"payload": 5}), "a text, or an object with summary, symptoms and labels"),
        (json!({"payload": {"summry": "slow"}}), "unknown field `summry`"),
        (json!({"payload": {"summary": "slow", "symptoms": "latency_p95"}}), "expected a sequence"),
    ] {
        let answer = world.post("viewer", "/recommend", wrong).await;
        assert_eq!(answer.problem(), (400, "bad-request"), "{}", answer.text);
        assert!(answer.json["detail"].as_str().unwrap().contains(says), "{says:?} is not in {}", answer.text);
    }
    assert_eq!(world.post("viewer", "/recommend", json!({"signal_id": "sig-9"})).await.problem(), (404, "not-found"));
}

#[tokio::test]
async fn sql_reads_within_limits_and_writes_nothing() {
    let world = World::new(Reach::Suggest).await;
    let answer = world
        .post("viewer", "/api/v1/sql", json!({"query": "SELECT signal_id, score FROM insight_signals ORDER BY signal_id", "limit": 2}))
        .await;
    let expected = json!({"columns": [{"name": "signal_id", "type": "Utf8"}, {"name": "score", "type": "Float64"}],
        "rows": [{"signal_id": "sig-0", "score": 2.0}, {"signal_id": "sig-1", "score": 2.0}], "truncated": true});
    assert_eq!(answer.json, expected, "{}", answer.text);
    let all = world.post("viewer", "/api/v1/sql", json!({"query": "SELECT * FROM generate_series(1, 51)", "limit": 1_000})).await.json;
    assert_eq!((all["rows"].as_array().unwrap().len(), &all["truncated"]), (50, &json!(true)), "the configuration bounds the limit");
    let cases = [
        "INSERT INTO signals SELECT * FROM signals",
        "CREATE TABLE x AS SELECT 1",
        "CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '/etc/passwd'",
        "COPY (SELECT 1) TO '/tmp/x.csv'",
        "SET datafusion.execution.target_partitions = 1",
        "EXPLAIN ANALYZE COPY (SELECT 1) TO '/tmp/x.csv'",
        "DROP VIEW signals",
        "SELECT 1; SELECT 2",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM nothing",
        "SELECT repeat('x', 2000000000)",
        "SELEC",
        "",
    ];
    for query in cases {
        let answer = world.post("viewer", "/api/v1/sql", json!({ "query": query })).await;
        assert_eq!(answer.problem(), (400, "bad-query"), "{query}");
        assert_eq!(answer.json["pointer"], "/query");
    }
    let deep = format!("SELECT {}1{}", "(".repeat(5_000), ")".repeat(5_000));
    assert_eq!(world.post("viewer", "/api/v1/sql", json!({"query": deep})).await.problem(), (400, "bad-query"));
    let long = format!("SELECT '{}'", "x".repeat(100_000));
    assert_eq!(world.post("viewer", "/api/v1/sql", json!({"query": long})).await.problem(), (413, "too-large"));
}

#[tokio::test]
async fn numbers_and_health_are_there_for_machines() {
    let world = World::new(Reach::Suggest).await;
    world.get("viewer", "/signals").await;
    let text = world.get("", "/metrics").await.text;
    for line in [
        "neuralops_signals_total{severity=\"critical\"} 4",
        "neuralops_anomaly_total{severity=\"info\"} 1",
        "neuralops_anomaly_total{severity=\"warning\"} 0",
        "bellwether_signals_open{severity=\"critical\"} 1",
        "bellwether_incidents_open{severity=\"critical\"} 1",
        "bellwether_executions{state=\"executing\"} 0",
        "bellwether_up{part=\"journal\"} 1",
        "bellwether_up{part=\"ledger\"} 1",
        "bellwether_http_requests_total{method=\"GET\",route=\"/signals\",status=\"200\"} 1",
        concat!("bellwether_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
    ] {
        assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
    }
    assert!(text.contains("bellwether_signal_upper{"), "{text}");
    let ready = world.get("", "/readyz").await;
    assert_eq!((ready.status.as_u16(), &ready.json["ready"]), (200, &json!(true)), "{}", ready.text);
    let names: Vec<&str> = ready.json["checks"].as_array().unwrap().iter().map(|c| c["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["ledger", "journal", "prometheus"]);
}

#[tokio::test]
async fn numbers_tell_how_fresh_each_source_is_and_what_fell_silent() {
    let world = World::new(Reach::Suggest).await;
    let text = world.get("", "/metrics").await.text;
    assert!(text.contains("bellwether_source_newest_timestamp_seconds{source=\"rounds\"}"), "{text}");
    // A metric without any series never had a sample: nothing fell silent.
    assert!(text.contains("bellwether_metric_silent{metric=\"latency_p95\"} 0"), "{text}");
    let mut samples = Samples::default();
    let labels: Labels = [("namespace", "ml"), ("service", "iris")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
    samples.push(Series::new("latency_p95", labels), &[(NOW - Span::from_hours(2)).micros()], &[0.2]);
    world.services.lake.append_samples(&samples, &[]).await.unwrap();
    let text = world.get("", "/metrics").await.text;
    for line in [
        "bellwether_metric_silent{metric=\"latency_p95\"} 1".to_owned(),
        "bellwether_metric_silent_entities{metric=\"latency_p95\"} 0".to_owned(),
        format!("bellwether_source_newest_timestamp_seconds{{source=\"prometheus\"}} {}", (NOW - Span::from_hours(2)).secs()),
    ] {
        assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
    }
}

#[tokio::test]
async fn a_part_that_is_down_is_named_and_hides_no_other() {
    let world = World::new(Reach::Suggest).await;
    world.services.journal.close().await;
    let answer = world.get("", "/readyz").await;
    assert_eq!(
        (answer.status.as_u16(), &answer.json["ready"], &answer.json["checks"][0]["ok"], &answer.json["checks"][1]["ok"]),
        (503, &json!(false), &json!(true), &json!(false)),
        "{}",
        answer.text
    );
    assert_eq!(world.get("", "/livez").await.status, 200);
    let text = world.get("", "/metrics").await.text;
    assert!(text.contains("bellwether_up{part=\"journal\"} 0") && text.contains("neuralops_signals_total"), "{text}");
    assert_eq!(world.get("viewer", "/executions").await.problem(), (503, "unavailable"));
}
