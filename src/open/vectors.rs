//! Opening what turns texts into vectors, and the server that searches them.

use std::env;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bellwether_embeddings::qdrant::Server;
use bellwether_embeddings::{EmbedError, Embedder, OnnxEmbedder, Qdrant};
use bellwether_pipelines::endpoint::Endpoint;
use bellwether_pipelines::vectors::{Embedding, VectorError};

use super::lake_failure;
use crate::config::Config;
use crate::failure::{Failure, Kind};

/// The library's name beside a model.
pub const RUNTIME: &str = "libonnxruntime.so";

/// What turns texts into vectors. A model is loaded, which takes a moment; an endpoint is not asked yet.
///
/// # Errors
/// The model or its runtime is missing or does not load, or both a model and an endpoint are named.
pub fn embedding(config: &Config) -> Result<Embedding, Failure> {
    let settings = &config.embeddings;
    match (&settings.model, &settings.endpoint) {
        (Some(_), Some(_)) => Err(Failure::config("embeddings.model and embeddings.endpoint are both set: which one makes the vectors?")
            .hint("leave one of them out")),
        (Some(folder), None) => Ok(Embedding::Local(Embedder::Onnx(model(folder, settings.runtime.as_deref())?))),
        (None, Some(endpoint)) => {
            if endpoint.dimensions == 0 {
                return Err(Failure::config("embeddings.endpoint.dimensions is 0: say how many numbers the model's vectors have"));
            }
            Endpoint::new(endpoint.clone()).map(Embedding::Endpoint).map_err(|e| Failure::of(Kind::Config, &e))
        }
        (None, None) => Ok(Embedding::default()),
    }
}

/// The sentence model in a folder.
///
/// # Errors
/// A file or the runtime is missing or does not load, with what would be right.
pub fn model(folder: &Path, runtime: Option<&Path>) -> Result<OnnxEmbedder, Failure> {
    let beside = folder.join(RUNTIME);
    let library = match runtime {
        Some(path) => path.to_owned(),
        None if beside.is_file() => beside,
        None => env::var_os("ORT_DYLIB_PATH").map_or(beside, PathBuf::from),
    };
    OnnxEmbedder::load(folder, &library).map_err(|e| model_failure(&e))
}

/// A model's error in words.
fn model_failure(error: &EmbedError) -> Failure {
    let failure = Failure::of(Kind::Config, error);
    match error {
        EmbedError::Runtime { .. } => failure.hint(
            "set `embeddings.runtime`, or --runtime of `bellwether models add`, to the library; the Python package onnxruntime 1.24 or newer \
             has it as onnxruntime/capi/libonnxruntime.so.*",
        ),
        EmbedError::MissingFile { .. } => failure.hint("export the model to ONNX with its tokenizer, for example with the Python package optimum"),
        EmbedError::Model { .. } => failure.hint("a sentence model takes input_ids and attention_mask, and gives a vector for each token"),
        EmbedError::Unreadable { .. } | EmbedError::Failed { .. } => failure,
    }
}

/// The Qdrant of the configuration. It is not asked yet.
///
/// # Errors
/// The address is not one, or the key cannot be read.
pub fn qdrant(config: &Config, embedding: &Embedding) -> Result<Option<Qdrant>, Failure> {
    let Some(settings) = &config.embeddings.qdrant else { return Ok(None) };
    let key = |path: &PathBuf| {
        let key = std::fs::read_to_string(path);
        key.map(|key| key.trim().to_owned()).map_err(|e| Failure::config(format!("cannot read the API key {}: {e}", path.display())))
    };
    let server = Server {
        url: settings.url.clone(),
        api_key: settings.api_key_file.as_ref().map(key).transpose()?,
        collection: settings.collection.clone(),
        timeout: settings.timeout.to_std().max(Duration::from_millis(1)),
    };
    Qdrant::new(server, embedding.id(), embedding.dimensions()).map(Some).map_err(|e| Failure::of(Kind::Config, &e))
}

/// An error of vectors in words.
pub fn vector_failure(error: &VectorError) -> Failure {
    match error {
        VectorError::OtherEmbedder { .. } => Failure::of(Kind::Config, error)
            .hint("run `bellwether embeddings sync` to embed everything anew, or name the old embedder again"),
        VectorError::Endpoint(e) => Failure { hint: e.hint(), ..Failure::of(Kind::Upstream, error) },
        VectorError::Lake(e) => lake_failure(e),
        VectorError::Local(_) => Failure::of(Kind::Config, error),
        VectorError::Index(_) | VectorError::Sql(_) | VectorError::Stopped(_) => Failure::of(Kind::Internal, error),
    }
}
