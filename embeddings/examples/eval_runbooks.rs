//! How well alerts find their runbook pages: `eval_runbooks DATA [MODEL RUNTIME]` prints one line of JSON. With the folder of a sentence model
//! and the library of ONNX Runtime, of that model too.

use std::env;
use std::error::Error;
use std::path::PathBuf;

use bellwether_embeddings::{Embedder, OnnxEmbedder, runbooks};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = env::args_os().skip(1).map(PathBuf::from);
    let data = args.next().ok_or("usage: eval_runbooks DATA [MODEL RUNTIME]")?;
    let model = match (args.next(), args.next()) {
        (Some(model), Some(runtime)) => Some(Embedder::Onnx(OnnxEmbedder::load(&model, &runtime)?)),
        _ => None,
    };
    println!("{}", serde_json::to_string(&runbooks::evaluate(&data, model.as_ref())?)?);
    Ok(())
}
