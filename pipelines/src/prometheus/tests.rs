use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::Form;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use serde_json::{Value, json};

use super::*;
use crate::test_server::{nowhere, serve};

type Asked = Arc<Mutex<Vec<HashMap<String, String>>>>;

/// A Prometheus whose every query answers by `answer`, which sees the form.
async fn prometheus(answer: impl Fn(&HashMap<String, String>) -> (u16, Value) + Clone + Send + Sync + 'static) -> (Prometheus, Asked) {
    let asked = Asked::default();
    let seen = asked.clone();
    let handler = post(move |Form(form): Form<HashMap<String, String>>| async move {
        let (status, body) = answer(&form);
        seen.lock().unwrap().push(form);
        (StatusCode::from_u16(status).unwrap(), axum::Json(body))
    });
    let router = Router::new().route("/api/v1/query_range", handler.clone()).route("/api/v1/query", handler);
    (Prometheus::new(PrometheusSettings::at(serve(router).await)).unwrap(), asked)
}

fn matrix(series: Value) -> (u16, Value) {
    (200, json!({"status": "success", "data": {"resultType": "matrix", "result": series}, "warnings": ["partial data"]}))
}

/// One series whose value is its time, at every step that was asked for.
fn ramp(form: &HashMap<String, String>) -> (u16, Value) {
    let [start, end, step] = ["start", "end", "step"].map(|k| form[k].parse::<f64>().unwrap() as i64);
    let values: Vec<Value> = (start..=end).step_by(step as usize).map(|t| json!([t, t.to_string()])).collect();
    matrix(json!([{"metric": {"job": "a"}, "values": values}]))
}

const MINUTE: Span = Span::from_secs(60);

#[tokio::test]
async fn a_long_range_comes_in_chunks_without_a_seam() {
    let (prometheus, asked) = prometheus(ramp).await;
    let (start, end) = (Timestamp::from_secs(30), Timestamp::from_secs(60 * 25_000));
    let answer = prometheus.query_range("up", start, end, MINUTE).await.unwrap();
    let expected: Vec<i64> = (1..=25_000).map(|i| i * 60_000_000).collect();
    assert_eq!(answer.series[0].ts, expected);
    assert!(answer.series[0].values.iter().zip(&answer.series[0].ts).all(|(v, t)| *v == (*t / 1_000_000) as f64));
    assert_eq!(answer.warnings.into_iter().collect::<Vec<_>>(), ["partial data"]);
    let asked = asked.lock().unwrap();
    assert_eq!(asked.len(), 3);
    assert_eq!((asked[1]["start"].as_str(), asked[0]["end"].as_str()), ("600060.000", "600000.000"));
}

#[tokio::test]
async fn what_is_too_large_is_asked_for_in_halves() {
    let answer = |form: &HashMap<String, String>| {
        let [start, end] = ["start", "end"].map(|k| form[k].parse::<f64>().unwrap() as i64);
        match (end - start) / 60 {
            0..100 => ramp(form),
            100..400 => (503, json!({"status": "error", "errorType": "timeout", "error": "query timed out in expression evaluation"})),
            _ => (
                422,
                json!({"status": "error", "errorType": "execution", "error": "query processing would load too many samples into memory in query execution"}),
            ),
        }
    };
    let (prometheus, _) = prometheus(answer).await;
    let answer = prometheus.query_range("up", MINUTE_ONE, Timestamp::from_secs(60 * 1_000), MINUTE).await.unwrap();
    assert_eq!(answer.series[0].ts, (1..=1_000).map(|i| i * 60_000_000).collect::<Vec<i64>>());
}

const MINUTE_ONE: Timestamp = Timestamp::from_secs(60);

#[tokio::test]
async fn what_stays_too_large_is_a_limit() {
    let (prometheus, asked) = prometheus(|_| (422, json!({"status": "error", "errorType": "execution", "error": "query processing would load too many samples into memory in query execution"}))).await;
    let error = prometheus.query_range("up", MINUTE_ONE, Timestamp::from_secs(60_000), MINUTE).await.unwrap_err();
    assert!(matches!(error, PrometheusError::Limit { .. }), "{error}");
    assert_eq!(asked.lock().unwrap().len(), 7);
}

#[tokio::test]
async fn only_finite_values_in_order_of_time_are_taken() {
    let odd = json!([{"metric": {"__name__": "x", "a": "1"}, "values": [[60, "NaN"], [120, "+Inf"], [180, "-Inf"], [240, "1e+06"], [300.123, "-0.5"], [240, "7"], [360, "2"]],
        "histograms": [[60, {"count": "3", "sum": "4.5"}]]}, {"metric": {"a": "2"}, "values": [[60, "NaN"]]}]);
    let (prometheus, _) = prometheus(move |_| matrix(odd.clone())).await;
    let answer = prometheus.query_range("x", MINUTE_ONE, Timestamp::from_secs(360), MINUTE).await.unwrap();
    assert_eq!(answer.dropped, Dropped { nan: 2, infinite: 2, histograms: 1, repeated: 1 });
    let [series] = answer.series.as_slice() else { panic!("a series without values is no series") };
    assert_eq!(series.ts, [240_000_000, 300_123_000, 360_000_000]);
    assert_eq!(series.values, [7.0, -0.5, 2.0]);
    assert_eq!(series.labels["__name__"], "x");
}

#[tokio::test]
async fn an_instant_query_reads_vectors_and_scalars() {
    let vector = json!({"status": "success", "data": {"resultType": "vector", "result": [{"metric": {"job": "a"}, "value": [1.5, "0.93"]}, {"metric": {}, "value": [1.5, "NaN"]}]}});
    let (client, asked) = prometheus(move |_| (200, vector.clone())).await;
    let samples = client.query("up", Timestamp::from_millis(1_500)).await.unwrap();
    assert_eq!((samples[0].labels["job"].as_str(), samples[0].value), ("a", 0.93));
    assert!(samples[1].value.is_nan());
    assert_eq!(asked.lock().unwrap()[0]["time"], "1.500");
    let (client, _) = prometheus(|_| (200, json!({"status": "success", "data": {"resultType": "scalar", "result": [1, "4"]}}))).await;
    assert_eq!(client.query("4", MINUTE_ONE).await.unwrap()[0].value, 4.0);
}

#[tokio::test]
async fn each_failure_has_its_own_kind() {
    let words = r#"invalid parameter "query": 1:6: parse error: unclosed left parenthesis"#;
    let (client, _) = prometheus(move |_| (400, json!({"status": "error", "errorType": "bad_data", "error": words}))).await;
    match client.query_range("rate(", MINUTE_ONE, MINUTE_ONE, MINUTE).await.unwrap_err() {
        PrometheusError::BadQuery { message } => assert_eq!(message, words),
        other => panic!("{other}"),
    }
    let (client, _) = prometheus(|_| (500, json!("oops"))).await;
    assert!(matches!(client.query("up", MINUTE_ONE).await.unwrap_err(), PrometheusError::Upstream { status: 500, .. }));
    let (client, _) = prometheus(|_| (200, json!({"hello": "world"}))).await;
    assert!(matches!(client.query("up", MINUTE_ONE).await.unwrap_err(), PrometheusError::Upstream { status: 200, .. }));

    let mut url = nowhere().await;
    url.set_password(Some("s3cret")).unwrap();
    let error = Prometheus::new(PrometheusSettings::at(url)).unwrap().build_info().await.unwrap_err();
    assert!(matches!(error, PrometheusError::Unreachable { .. }), "{error}");
    let whole = format!("{error} {error:?} {}", std::error::Error::source(&error).unwrap());
    assert!(!whole.contains("s3cret"), "{whole}");
}

#[tokio::test]
async fn waiting_and_reading_have_limits() {
    let slow = Router::new().route(
        "/api/v1/query",
        post(|| async {
            tokio::time::sleep(std::time::Duration::from_secs(5)).await;
            "late"
        }),
    );
    let url = serve(slow).await;
    let client = Prometheus::new(PrometheusSettings { timeout: "50ms".parse().unwrap(), ..PrometheusSettings::at(url) }).unwrap();
    assert!(matches!(client.query("up", MINUTE_ONE).await.unwrap_err(), PrometheusError::Timeout { .. }));

    let (client, _) = prometheus(ramp).await;
    let client = Prometheus::new(PrometheusSettings { body_limit: Bytes(1_000), ..client.settings }).unwrap();
    let error = client.query_range("up", MINUTE_ONE, Timestamp::from_secs(600_000), MINUTE).await.unwrap_err();
    assert!(matches!(error, PrometheusError::Limit { .. }), "{error}");
}

#[tokio::test]
async fn redirects_are_not_followed_and_tokens_are_read_each_time() {
    let dir = tempfile::tempdir().unwrap();
    let token = dir.path().join("token");
    let router = Router::new()
        .route(
            "/prefix/api/v1/status/buildinfo",
            get(|headers: HeaderMap| async move {
                axum::Json(json!({"status": "success", "data": {"version": headers["authorization"].to_str().unwrap()}}))
            }),
        )
        .route("/prefix/api/v1/label/__name__/values", get(|| async { axum::response::Redirect::temporary("/elsewhere") }));
    let url = serve(router).await.join("prefix/").unwrap();
    let client = Prometheus::new(PrometheusSettings { bearer_token_file: Some(token.clone()), ..PrometheusSettings::at(url) }).unwrap();
    for word in ["first", "second"] {
        std::fs::write(&token, format!("{word}\n")).unwrap();
        assert_eq!(client.build_info().await.unwrap().version, format!("Bearer {word}"));
    }
    let error = client.metric_names().await.unwrap_err();
    assert!(matches!(error, PrometheusError::Upstream { status: 307, .. }), "{error}");
    std::fs::remove_file(&token).unwrap();
    assert!(matches!(client.build_info().await.unwrap_err(), PrometheusError::Settings { .. }));
}

#[test]
fn settings_refuse_what_they_do_not_know() {
    let settings: PrometheusSettings = serde_saphyr::from_str("url: http://prom:9090\ntimeout: 30s\nbody_limit: 64Mi\n").unwrap();
    assert_eq!((settings.timeout, settings.body_limit), (Span::from_secs(30), Bytes(64 << 20)));
    assert!(serde_saphyr::from_str::<PrometheusSettings>("url: http://prom:9090\ntimeuot: 30s\n").is_err());
}

/// A series that is there from the 10th minute to the 20th and from the 40th on, with NaN in the 45th.
fn coming_and_going(form: &HashMap<String, String>) -> (u16, Value) {
    let [start, end, step] = ["start", "end", "step"].map(|k| form[k].parse::<f64>().unwrap() as i64);
    let there = |t: &i64| matches!(t / 60, 10..=20 | 40..);
    let value = |t: i64| json!([t, if t / 60 == 45 { "NaN" } else { "1" }]);
    let values: Vec<Value> = (start..=end).step_by(step as usize).filter(there).map(value).collect();
    matrix(json!([{"metric": {}, "values": values}]))
}

#[tokio::test]
async fn windows_that_are_not_full_are_left_out_whether_asked_at_once_or_in_parts() {
    let (prometheus, asked) = prometheus(coming_and_going).await;
    let minutes = async |from: i64, to: i64| {
        let [from, to] = [from, to].map(|m| Timestamp::from_secs(m * 60));
        let answer = prometheus.query_settled("rate(x[5m])", from, to, MINUTE, Span::from_mins(5)).await.unwrap();
        assert!(answer.dropped.nan <= 1, "what was asked for only to look back is not counted");
        answer.series.into_iter().flat_map(|s| s.ts).map(|t| t / 60_000_000).collect::<Vec<i64>>()
    };
    let expected: Vec<i64> = (15..=20).chain(46..=60).collect();
    assert_eq!(minutes(1, 60).await, expected);
    let mut parts = Vec::new();
    for from in 1..=60 {
        parts.extend(minutes(from, from).await);
    }
    assert_eq!(parts, expected);
    assert_eq!(asked.lock().unwrap()[0]["start"], "-540.000", "two windows before the first instant are looked at");
}
