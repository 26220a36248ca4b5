//! Nearest vectors, one query at a time on one thread: `bench_knn FOLDER` reads `base.f32` and `queries.f32` as `scripts/peers/knn.py` left
//! them there, and prints one line of JSON with the seconds of processor time of each round of queries and what was found.

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

use bellwether_embeddings::Index;
use serde_json::json;

mod clock;

use clock::processor_seconds;

const DIMENSIONS: usize = 384;
const ROUNDS: usize = 5;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(env::args().nth(1).ok_or("usage: bench_knn FOLDER")?);
    let (base, queries) = (read(&folder.join("base.f32"))?, read(&folder.join("queries.f32"))?);
    let mut index = Index::new("bench", DIMENSIONS);
    let begin = processor_seconds();
    for (row, vector) in base.chunks_exact(DIMENSIONS).enumerate() {
        index.put(&row.to_string(), "bench", vector)?;
    }
    let build = processor_seconds() - begin;
    let mut seconds = Vec::new();
    let mut found = Vec::new();
    for _ in 0..ROUNDS {
        found.clear();
        let begin = processor_seconds();
        for query in queries.chunks_exact(DIMENSIONS) {
            found.push(index.top("bench", query, 10, |_| true)?);
        }
        seconds.push(processor_seconds() - begin);
    }
    let ids: Vec<Vec<u32>> = found.iter().map(|hits| hits.iter().filter_map(|hit| hit.id.parse().ok()).collect()).collect();
    println!("{}", json!({"vectors": index.len(), "build_seconds": build, "seconds": seconds, "found": ids}));
    Ok(())
}

fn read(path: &PathBuf) -> Result<Vec<f32>, Box<dyn Error>> {
    let bytes = fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
    Ok(bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect())
}
