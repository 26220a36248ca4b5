//! The same answers from a server as from the index in memory: always against the stand-in, and against a real one where `QDRANT_URL` is set.

use super::stand_in::StandIn;
use super::*;
use crate::embed::{Embedder, Recalled};
use crate::experience::{Experience, Runs};
use crate::neighbours::{Moment, neighbours};
use crate::rank::tests::incident;
use bellwether_model::id::{PlaybookId, RoundId};

const DIMENSIONS: usize = 8;

fn server(url: &str, key: Option<&str>, collection: &str) -> Server {
    Server { url: url.into(), api_key: key.map(str::to_owned), collection: collection.into(), timeout: Duration::from_secs(5) }
}

fn client(url: &str, collection: &str) -> Qdrant {
    Qdrant::new(server(url, None, collection), "test-8", DIMENSIONS).unwrap()
}

/// Vectors that are not alike, alike in places, and three times the same; one is of a text without words.
fn points() -> Vec<Point> {
    let point = |i: usize| {
        let numbers: Vec<f64> =
            (0..DIMENSIONS).map(|j| if i == 7 { 0.0 } else { f64::from(((i / 3) as f32 * 1.7 + j as f32).sin()) }).collect();
        let norm = numbers.iter().map(|v| v * v).sum::<f64>().sqrt().max(1e-9);
        Point {
            run_id: RunId::new(format!("run-{i:03}")),
            ran_at: Timestamp::from_secs(1_780_000_000 + i as i64),
            text_digest: format!("d{i}"),
            vector: numbers.iter().map(|v| (v / norm) as f32).collect(),
        }
    };
    (0..60).map(point).collect()
}

fn experience(points: &[Point]) -> Runs {
    let one = |p: &Point| Experience {
        run_id: p.run_id.clone(),
        playbook_id: PlaybookId::new("scale-up"),
        outcome: "effective".into(),
        ran_at: p.ran_at,
        summary: String::new(),
        context: crate::context::Context::default(),
    };
    points.iter().map(one).collect()
}

/// What the server finds is what the index in memory finds, in the same order, with the same similarities.
async fn conforms(url: &str, collection: &str) {
    let qdrant = client(url, collection);
    qdrant.clear().await.unwrap();
    let all = points();
    assert_eq!(qdrant.put(all.clone()).await.unwrap(), 60);
    assert_eq!(qdrant.put(all[..5].to_vec()).await.unwrap(), 5);
    assert_eq!(qdrant.count().await.unwrap(), 60, "a run has one point");
    let expected: BTreeMap<RunId, String> = all.iter().map(|p| (p.run_id.clone(), p.text_digest.clone())).collect();
    assert_eq!(qdrant.digests().await.unwrap(), expected);

    let mut index = Index::new("test-8", DIMENSIONS);
    for point in &all {
        index.put(point.run_id.as_str(), "test-8", &point.vector).unwrap();
    }
    let runs = experience(&all);
    for query in [&all[4].vector, &all[30].vector, &vec![1.0; DIMENSIONS]] {
        let recalled = Recalled::new("test-8", DIMENSIONS, BTreeMap::from([(incident().summary, query.clone())]));
        let embedder = Embedder::Recalled(recalled);
        for (k, secs) in [(1, 100), (2, 100), (4, 30), (10, 100), (200, 100), (10, 0), (3, -1)] {
            let now = Timestamp::from_secs(1_780_000_000 + secs);
            let at = Moment { round_id: RoundId::new("rnd-1"), now };
            let near = qdrant.near(query, k, now, &[]).await.unwrap();
            let found = neighbours(&near.index, &embedder, &incident(), &runs, k, &at).unwrap();
            assert_eq!(found, neighbours(&index, &embedder, &incident(), &runs, k, &at).unwrap(), "k {k}, until {secs}");
            assert!(found.iter().all(|m| near.digests[&m.run_id] == expected[&m.run_id]));
        }
    }

    qdrant.remove(&[all[4].run_id.clone(), RunId::new("nobody")]).await.unwrap();
    assert_eq!(qdrant.count().await.unwrap(), 59);
    let other = Qdrant::new(server(url, None, collection), "other-8", DIMENSIONS).unwrap();
    assert_eq!(other.count().await.unwrap(), 0, "vectors of another embedder are not seen");
    let wrong = Qdrant::new(server(url, None, collection), "wide-9", 9).unwrap().prepare().await.unwrap_err();
    assert!(wrong.to_string().contains("holds vectors of 8 dimensions, and the embedder makes 9"), "{wrong}");
    qdrant.clear().await.unwrap();
    assert_eq!(qdrant.count().await.unwrap(), 0);
}

#[tokio::test]
async fn a_server_answers_as_the_index_in_memory() {
    let (_, url) = StandIn::serve(None).await;
    conforms(&url, "runs").await;
    if let Ok(real) = std::env::var("QDRANT_URL") {
        conforms(&real, "bellwether_conformance").await;
    }
}

#[tokio::test]
async fn what_is_asked_is_what_the_protocol_expects() {
    let (server, url) = StandIn::serve(None).await;
    let qdrant = client(&url, "runs");
    assert_eq!(qdrant.version().await.unwrap(), "1.20.0");
    qdrant.prepare().await.unwrap();
    qdrant.prepare().await.unwrap();
    qdrant.put(points().into_iter().take(2)).await.unwrap();
    qdrant.near(&points()[0].vector, 1, Timestamp::from_secs(2_000_000_000), &[]).await.unwrap();
    let asked = [
        "Qdrant/HealthCheck",
        "Collections/CollectionExists",
        "Collections/Create",
        "Points/CreateFieldIndex",
        "Points/CreateFieldIndex",
        "Collections/CollectionExists",
        "Collections/Get",
        "Points/Upsert",
        "Points/Query",
    ];
    assert_eq!(server.asked(), asked);
    let stored = server.points("runs");
    assert_eq!(stored[&Uuid::new_v5(&NAMESPACE, b"run-000").to_string()], points()[0].vector, "stored as it is, under the run's own id");
    let short = Point { vector: vec![1.0], ..points().remove(0) };
    assert!(matches!(qdrant.put([short]).await, Err(QdrantError::Vector(IndexError::Dimensions { expected: 8, found: 1 }))));
}

#[tokio::test]
async fn errors_say_what_was_asked_of_whom_and_no_secret() {
    let (_, url) = StandIn::serve(Some("the-key")).await;
    let with = |key| Qdrant::new(server(&url, key, "runs"), "test-8", DIMENSIONS).unwrap();
    with(Some("the-key")).prepare().await.unwrap();
    let refused = with(Some("hunter2")).prepare().await.unwrap_err().to_string();
    assert_eq!(refused, format!("Qdrant at {url} did not say what it has: Unauthenticated: the key does not fit"));
    assert!(!format!("{:?}", with(Some("hunter2"))).contains("hunter2"));

    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let down = client(&format!("http://{gone}"), "runs").count().await.unwrap_err().to_string();
    assert!(down.starts_with(&format!("Qdrant at http://{gone} did not count its vectors: ")), "{down}");
    let wrong = Qdrant::new(server("localhost:6334", None, "runs"), "test-8", DIMENSIONS).unwrap_err().to_string();
    assert_eq!(wrong, "\"localhost:6334\" is not an address of Qdrant: it begins with http:// or https://");
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let slow = Server { timeout: Duration::from_millis(200), ..server(&url, None, "runs") };
    let error = Qdrant::new(slow, "test-8", DIMENSIONS).unwrap().count().await.unwrap_err();
    assert!(matches!(error, QdrantError::NoAnswer { what: "count its vectors", .. }), "{error}");
}
