use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use bellwether_model::id::EndpointId;
use bellwether_model::signal::Severity;
use serde_json::Value;

use super::delivery::{Courier, Notifier, NotifyError, retry_after};
use super::*;
use crate::test_server::{nowhere, serve};

fn incident(state: IncidentState) -> Incident {
    Incident {
        incident_id: "inc-1".into(),
        state,
        opened_at: Timestamp::from_secs(60),
        last_at: Timestamp::from_secs(90),
        closed_at: (state == IncidentState::Closed).then(|| Timestamp::from_secs(120)),
        severity: Severity::Critical,
        score: 3.25,
        title: "ml/iris: p95 latency 3.4 × expected".into(),
        summary: "latency_p95 is 680 ms, 200 ms expected".into(),
        root: Some(Entity::Endpoint(EndpointId::new("ml", "iris"))),
        entities: vec![],
        endpoints: vec![],
        signals: vec![],
        symptoms: vec![],
        preceding_changes: vec![],
        round_id: "rnd-1".into(),
        recorded_at: Timestamp::from_secs(90),
    }
}

type Seen = Arc<Mutex<Vec<(HeaderMap, Value)>>>;

/// A receiver that fails `failing` times before it takes what it gets.
async fn receiver(path: &'static str, failing: usize) -> (Url, Seen) {
    let seen = Seen::default();
    let store = seen.clone();
    let handler = move |headers: HeaderMap, axum::Json(body): axum::Json<Value>| async move {
        let mut seen = store.lock().unwrap();
        seen.push((headers, body));
        if seen.len() <= failing { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK }
    };
    (serve(Router::new().route(path, post(handler))).await, seen)
}

fn to(url: Url) -> Receiver {
    Receiver { url, bearer_token_file: None, timeout: default_timeout() }
}

async fn until(seen: &Seen, count: usize) {
    for _ in 0..500 {
        if seen.lock().unwrap().len() >= count {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("{count} messages were expected, {} came", seen.lock().unwrap().len());
}

#[test]
fn an_open_incident_is_an_alert_that_ends_later_and_a_closed_one_has_ended() {
    let settings = NotifySettings {
        external_url: Some("http://us/base/".parse().unwrap()),
        labels: [("cluster".to_owned(), "eu".to_owned())].into(),
        ..Default::default()
    };
    let now = Timestamp::from_secs(100);
    let [open, closed] = [IncidentState::Updated, IncidentState::Closed].map(|state| alerts(&settings, &[incident(state)], now).remove(0));
    assert_eq!(open.labels, closed.labels);
    assert_eq!((open.labels["service"].as_str(), open.labels["cluster"].as_str()), ("iris", "eu"));
    assert_eq!((open.ends_at, closed.ends_at), (Timestamp::from_secs(400), Timestamp::from_secs(120)));
    let json = serde_json::to_value(&open).unwrap();
    assert_eq!(
        (json["startsAt"].as_str(), json["generatorURL"].as_str()),
        (Some("1970-01-01T00:01:00Z"), Some("http://us/base/incidents/inc-1"))
    );
}

#[tokio::test]
async fn alerts_are_repeated_until_they_resolve() {
    let (url, seen) = receiver("/am/api/v2/alerts", 0).await;
    let settings =
        NotifySettings { alertmanager: Some(to(url.join("am").unwrap())), repeat: Repeat("20ms".parse().unwrap()), ..Default::default() };
    let (notifier, task) = Notifier::start(Courier::new(settings).unwrap(), || Timestamp::from_secs(100));
    assert!(notifier.tell(vec![incident(IncidentState::Opened)]));
    until(&seen, 3).await;
    assert!(notifier.tell(vec![incident(IncidentState::Closed)]));
    drop(notifier);
    task.await.unwrap();
    let seen = seen.lock().unwrap();
    assert_eq!(seen.last().unwrap().1[0]["endsAt"], "1970-01-01T00:02:00Z");
    assert!(seen[0].1[0]["endsAt"].as_str().unwrap() > seen[0].1[0]["startsAt"].as_str().unwrap());
}

#[tokio::test]
async fn a_webhook_that_fails_is_told_again_with_the_same_key() {
    let (url, seen) = receiver("/hook", 1).await;
    let settings = NotifySettings { webhooks: vec![to(url.join("hook").unwrap()), to(nowhere().await)], ..Default::default() };
    let (notifier, task) = Notifier::start(Courier::new(settings).unwrap(), || Timestamp::from_secs(100));
    assert!(notifier.tell(vec![incident(IncidentState::Opened), incident(IncidentState::Updated)]));
    until(&seen, 2).await;
    drop(notifier);
    task.await.unwrap();
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 2);
    assert!(seen.iter().all(|(headers, body)| headers["idempotency-key"] == "inc-1-incident.opened"
        && body["incident"]["title"] == "ml/iris: p95 latency 3.4 × expected"));
}

#[test]
fn retries_slow_down_and_end() {
    let spans: Vec<i64> = (1..=12).map_while(retry_after).map(Span::secs).collect();
    assert_eq!(spans, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
    assert!(!NotifyError::Refused { url: String::new(), status: 400, message: String::new() }.is_transient());
    assert!(NotifyError::Refused { url: String::new(), status: 429, message: String::new() }.is_transient());
}
