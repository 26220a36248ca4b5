//! Stored or made: the same vectors, each made once; spaces are not mixed.

use std::sync::{Arc, Mutex};

use axum::routing::post;
use axum::{Json, Router};
use bellwether_embeddings::HashingEmbedder;
use bellwether_lake::tables::RUNS;
use bellwether_model::time::Span;
use bellwether_sql::SessionOptions;
use serde_json::{Value, json};

use super::*;
use crate::endpoint::EndpointSettings;
use crate::test_server::{nowhere, serve};

fn now() -> Timestamp {
    Timestamp::from_secs(1_780_000_000)
}

fn run(id: &str, summary: &str) -> Run {
    let at = now() - Span::from_days(1);
    serde_json::from_value(json!({"run_id": id, "source": "s", "workflow_id": "w", "playbook_id": "scale-out", "status": "succeeded",
        "source_status": "ok", "outcome": "effective", "started_at": at, "finished_at": at, "updated_at": at, "summary": summary, "attributes": {},
        "recorded_at": at}))
    .unwrap()
}

async fn ledger(runs: &[Run]) -> (tempfile::TempDir, Lake) {
    let folder = tempfile::tempdir().unwrap();
    let lake = Lake::open(folder.path().to_str().unwrap(), &BTreeMap::new()).await.unwrap();
    lake.append_rows(&RUNS, runs, &[]).await.unwrap();
    (folder, lake)
}

async fn session(lake: &Lake) -> Session {
    Session::open(&lake.snapshot().await.unwrap(), SessionOptions::at(now())).await.unwrap()
}

fn hashing(dimensions: usize) -> Embedding {
    Embedding::Local(Embedder::Hashing(HashingEmbedder::new(dimensions)))
}

/// All runs of the ledger with their vectors, and what was made for that.
async fn completed(lake: &Lake, embedding: &Embedding) -> Result<(Past, Made), VectorError> {
    let session = session(lake).await;
    let (runs, outcomes) = history(&session).await.unwrap();
    let mut past = Past::new(embedding.id(), embedding.dimensions());
    let made = complete(&mut past, experience(&session, &runs, &outcomes).await.unwrap(), &executed(&outcomes), embedding, &session, now())
        .await?;
    Ok((past, made))
}

#[tokio::test]
async fn it_makes_no_difference_whether_vectors_are_stored_or_made() {
    let runs = [run("r-1", "latency up"), run("r-2", "gpu hot"), run("r-3", "latency up"), run("r-4", "")];
    let (_folder, lake) = ledger(&runs).await;
    let embedding = hashing(16);
    let (made, new) = completed(&lake, &embedding).await.unwrap();
    assert_eq!((new.new.len(), new.new.iter().filter(|v| v.kind == "run").count()), (4, 4));
    let synced = sync(&lake, &session(&lake).await, &embedding, now(), &|_, _| {}).await.unwrap();
    assert_eq!(synced, Synced { embedder_id: "hashing-v1-16".into(), written: 4, unchanged: 0 });
    let (stored, new) = completed(&lake, &embedding).await.unwrap();
    assert!(new.new.is_empty());
    for run in &runs {
        assert_eq!(stored.index().vector(run.run_id.as_str()), made.index().vector(run.run_id.as_str()), "{}", run.run_id);
    }
    let again = sync(&lake, &session(&lake).await, &embedding, now(), &|_, _| {}).await.unwrap();
    assert_eq!((again.written, again.unchanged), (0, 4));

    let newer = Run { updated_at: now(), ..run("r-2", "gpu cold") };
    lake.append_rows(&RUNS, &[newer], &[]).await.unwrap();
    let (_, new) = completed(&lake, &embedding).await.unwrap();
    assert_eq!(new.new.iter().map(|v| v.subject_id.as_str()).collect::<Vec<_>>(), ["r-2"], "only what changed is embedded again");
}

#[tokio::test]
async fn vectors_of_another_embedder_are_refused_until_all_is_embedded_anew() {
    let (_folder, lake) = ledger(&[run("r-1", "latency up")]).await;
    sync(&lake, &session(&lake).await, &hashing(16), now(), &|_, _| {}).await.unwrap();
    let error = completed(&lake, &hashing(8)).await.unwrap_err().to_string();
    assert_eq!(error, "the ledger holds vectors of hashing-v1-16, and the configuration names hashing-v1-8: they cannot be compared");
    sync(&lake, &session(&lake).await, &hashing(8), now(), &|_, _| {}).await.unwrap();
    assert!(completed(&lake, &hashing(8)).await.unwrap().1.new.is_empty());
    let told = spaces(&session(&lake).await).await.unwrap();
    assert_eq!(told.iter().map(|s| (s.embedder_id.as_str(), s.vectors)).collect::<Vec<_>>(), [("hashing-v1-16", 1), ("hashing-v1-8", 1)]);
}

fn endpoint(url: url::Url) -> Embedding {
    let settings = EndpointSettings { url, model: "tiny".into(), dimensions: 2, token_file: None, timeout: Span::from_secs(5) };
    Embedding::Endpoint(Endpoint::new(settings).unwrap())
}

#[tokio::test]
async fn an_endpoint_gets_each_text_once_and_is_missed_without_an_error() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = asked.clone();
    let answer = move |Json(body): Json<Value>| {
        let texts: Vec<String> = serde_json::from_value(body["input"].clone()).unwrap();
        let data: Vec<Value> = texts.iter().map(|text| json!({"embedding": [text.len(), 1]})).collect();
        log.lock().unwrap().extend(texts);
        async move { Json(json!({"data": data})) }
    };
    let url = serve(Router::new().route("/v1/embeddings", post(answer))).await;
    let (_folder, lake) = ledger(&[run("r-1", "slow"), run("r-2", "slow"), run("r-3", "hot"), run("r-4", "slow")]).await;
    let (past, made) = completed(&lake, &endpoint(url)).await.unwrap();
    assert_eq!((made.new.len(), made.without.is_none(), asked.lock().unwrap().len()), (4, true, 2));
    assert_eq!(past.index().vector("r-1"), past.index().vector("r-4"));
    assert_ne!(past.index().vector("r-1"), past.index().vector("r-3"));

    let (past, made) = completed(&lake, &endpoint(nowhere().await)).await.unwrap();
    assert_eq!((made.new.len(), past.missing().len()), (0, 4));
    assert!(matches!(made.without, Some(EndpointError::Unreachable { .. })));
}
