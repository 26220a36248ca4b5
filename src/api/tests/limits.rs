//! Bodies that are too large, packed too well, or packed strangely.

use bellwether_pipelines::act::Reach;
use serde_json::json;

use super::ingest::{gzip, packed};
use super::world::World;

#[tokio::test]
async fn bombs_are_refused_before_they_are_unpacked_whole() {
    let world = World::new(Reach::Suggest).await;
    let bomb = gzip(&vec![b' '; 64 << 20]);
    assert!(bomb.len() < 100_000);
    assert_eq!(packed(&world, "gzip", bomb.clone()).await.problem(), (413, "too-large"));
    // Several members in one body are one body.
    let two: Vec<u8> = [gzip(&vec![b' '; 5 << 20]), gzip(&vec![b' '; 5 << 20])].concat();
    assert_eq!(packed(&world, "gzip", two).await.problem(), (413, "too-large"));
    let cut_short = gzip(b"{}");
    assert_eq!(packed(&world, "gzip", cut_short[..cut_short.len() / 2].to_vec()).await.problem(), (400, "bad-request"));
    assert_eq!(packed(&world, "gzip", b"plain".to_vec()).await.problem(), (400, "bad-request"));
    for encoding in ["gzip, gzip", "zstd", "br", "deflate", "snappy"] {
        assert_eq!(packed(&world, encoding, gzip(&bomb)).await.problem(), (415, "unsupported-encoding"), "{encoding}");
    }
    assert_eq!(packed(&world, "identity", vec![b' '; 9 << 20]).await.problem(), (413, "too-large"));
    let long = world.post("viewer", "/api/v1/sql", json!({"query": " ".repeat(2 << 20)})).await;
    assert_eq!(long.problem(), (413, "too-large"));
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(packed(&world, "identity", deep.into_bytes()).await.problem(), (400, "bad-request"));
}
