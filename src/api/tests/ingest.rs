//! Lineage that comes in: acknowledged when it is on disk, stored once, refused with the place that is wrong.

use std::io::Write as _;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use bellwether_pipelines::act::Reach;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use super::world::{Answer, World};
use crate::api::jobs::drain_once;

fn event(run: u32) -> Value {
    json!({"eventType": "COMPLETE", "eventTime": "2027-01-15T07:00:00Z", "producer": "https://example.com/etl",
        "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
        "run": {"runId": format!("01890000-0000-7000-8000-{run:012}"), "facets": {"custom": {"owner": "ann@example.com"}}},
        "job": {"namespace": "etl", "name": "orders"},
        "inputs": [{"namespace": "s3://raw", "name": "orders"}], "outputs": [{"namespace": "s3://models", "name": "iris"}]})
}

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(super) async fn packed(world: &World, encoding: &str, body: Vec<u8>) -> Answer {
    let request = Request::post("/api/v1/lineage")
        .header(header::AUTHORIZATION, format!("Bearer {}", world.token("operator")))
        .header(header::CONTENT_ENCODING, encoding);
    world.raw(request.body(Body::from(body)).unwrap()).await
}

#[tokio::test]
async fn an_event_that_is_sent_twice_is_stored_once() {
    let world = World::new(Reach::Suggest).await;
    let plain = world.post("operator", "/api/v1/lineage", event(1)).await;
    assert_eq!((plain.status, plain.text.as_str()), (StatusCode::CREATED, ""));
    // On disk already, before the ledger has it.
    assert_eq!(world.services.journal.waiting(10).await.unwrap().len(), 1);
    assert_eq!(packed(&world, "gzip", gzip(event(1).to_string().as_bytes())).await.status, StatusCode::CREATED);
    assert!(drain_once(&world.services).await.unwrap() > 0);
    assert_eq!(world.post("operator", "/api/v1/lineage", event(1)).await.status, StatusCode::CREATED);
    drain_once(&world.services).await.unwrap();
    assert_eq!(world.rows("SELECT count(*) AS n FROM lineage_events").await, [json!({"n": 1})]);
    assert_eq!(
        world.rows("SELECT flow, dataset_name FROM run_io ORDER BY flow").await,
        [json!({"flow": "input", "dataset_name": "orders"}), json!({"flow": "output", "dataset_name": "iris"})]
    );
    let stored = world.rows("SELECT body FROM lineage_events").await[0]["body"].to_string();
    assert!(!stored.contains("ann@example.com") && stored.contains("custom"), "{stored}");
    assert_eq!(drain_once(&world.services).await.unwrap(), 0);
}

#[tokio::test]
async fn a_wrong_event_is_refused_with_its_place_and_kept_among_rejects() {
    let world = World::new(Reach::Suggest).await;
    let mut wrong = event(1);
    wrong["inputs"][0]["name"] = json!(7);
    for _ in 0..2 {
        let answer = world.post("operator", "/api/v1/lineage", wrong.clone()).await;
        assert_eq!((answer.problem(), &answer.json["pointer"]), ((400, "bad-request"), &json!("/inputs/0/name")), "{}", answer.text);
    }
    for (body, detail) in [("{", "not JSON"), ("", "empty"), ("[1", "not JSON")] {
        let answer = world.send("operator", axum::http::Method::POST, "/api/v1/lineage", body).await;
        assert_eq!(answer.problem(), (400, "bad-request"));
        assert!(answer.json["detail"].as_str().unwrap().contains(detail), "{}", answer.text);
    }
    for _ in 0..2 {
        drain_once(&world.services).await.unwrap();
        world.post("operator", "/api/v1/lineage", wrong.clone()).await;
    }
    let rejects = world.rows("SELECT source, reason FROM rejects").await;
    assert_eq!(rejects, [json!({"source": "openlineage", "reason": "/inputs/0/name: must be text"})]);
}

#[tokio::test]
async fn a_batch_keeps_what_can_be_read() {
    let world = World::new(Reach::Suggest).await;
    let answer =
        world.post("operator", "/api/v1/lineage/batch", json!([event(1), {"eventTime": "2027-01-15T07:00:00Z"}, event(2), event(1)])).await;
    assert_eq!(
        answer.json["summary"],
        json!({"received": 4, "successful": 3, "failed": 1, "retriable": 0, "non_retriable": 1}),
        "{}",
        answer.text
    );
    assert_eq!((&answer.json["status"], &answer.json["failed_events"][0]["index"]), (&json!("partial_success"), &json!(1)));
    drain_once(&world.services).await.unwrap();
    assert_eq!(world.rows("SELECT count(*) AS n FROM lineage_events").await, [json!({"n": 2})]);
    assert_eq!(world.post("operator", "/api/v1/lineage/batch", json!({"not": "a list"})).await.problem(), (400, "bad-request"));
}
