//! What turns texts into vectors, and where they are searched.

use std::path::PathBuf;

use bellwether_model::time::Span;
use bellwether_pipelines::endpoint::EndpointSettings;
use serde::{Deserialize, Serialize};

/// What turns texts into vectors: the built-in hashing embedder, which needs nothing, unless a model or an endpoint is named.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EmbeddingsConfig {
    /// Folder of a sentence model in ONNX form: `model.onnx` and `tokenizer.json`. `bellwether models add` makes one.
    pub model: Option<PathBuf>,
    /// Library of ONNX Runtime, 1.24 or newer; by default `libonnxruntime.so` in the model's folder, else what `ORT_DYLIB_PATH` names.
    pub runtime: Option<PathBuf>,
    /// A model behind an address, instead of one in a folder.
    pub endpoint: Option<EndpointSettings>,
    /// A Qdrant that searches past runs for the API; by default this program searches them itself.
    pub qdrant: Option<QdrantSettings>,
}

/// A Qdrant server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QdrantSettings {
    /// Address of its gRPC port, such as `http://localhost:6334`.
    pub url: String,
    /// File that holds its API key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_key_file: Option<PathBuf>,
    /// The collection, which belongs to this program alone. Default `bellwether`.
    #[serde(default = "default_collection")]
    pub collection: String,
    /// Longest wait for an answer, after which the index in memory answers. Default 2s.
    #[serde(default = "default_timeout")]
    pub timeout: Span,
}

fn default_collection() -> String {
    "bellwether".into()
}

fn default_timeout() -> Span {
    Span::from_secs(2)
}
