//! Vectors of a sentence model: `bench_embed FOLDER MODEL RUNTIME` reads `texts.json` as `scripts/peers/embed.py` left it there, and prints one
//! line of JSON with the seconds of processor time of each round and the vectors of the first texts.

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

use bellwether_embeddings::OnnxEmbedder;
use serde_json::json;

mod clock;

use clock::processor_seconds;

const ROUNDS: usize = 3;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = env::args_os().skip(1).map(PathBuf::from);
    let (Some(folder), Some(model), Some(runtime)) = (args.next(), args.next(), args.next()) else {
        return Err("usage: bench_embed FOLDER MODEL RUNTIME".into());
    };
    let texts: Vec<String> = serde_json::from_slice(&fs::read(folder.join("texts.json"))?)?;
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let embedder = OnnxEmbedder::load(&model, &runtime)?;
    let mut seconds = Vec::new();
    let mut vectors = Vec::new();
    for _ in 0..ROUNDS {
        let begin = processor_seconds();
        vectors = embedder.embed(&texts)?;
        seconds.push(processor_seconds() - begin);
    }
    vectors.truncate(20);
    println!("{}", json!({"embedder_id": embedder.id(), "texts": texts.len(), "seconds": seconds, "vectors": vectors}));
    Ok(())
}
