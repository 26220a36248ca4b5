//! A sentence model in a local folder, run by ONNX Runtime.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use fastembed::{InitOptionsUserDefined, Pooling, TextEmbedding, TokenizerFiles, UserDefinedEmbeddingModel};
use sha2::{Digest, Sha256};

use crate::embed::EmbedError;

/// Words and parts of words that are read of a text; what comes after is cut off. 256, with which the MiniLM models were trained.
pub const MAX_TOKENS: usize = 256;
/// Bytes of a text that the tokenizer sees: more than that many tokens have, so that a long log costs no time.
const MAX_BYTES: usize = 16 * 1024;
/// Texts in one call of the model. Models in eight bits scale what they compute by the largest number of a call, so a text beside others
/// would get another vector than alone.
const BATCH: usize = 1;

/// A sentence model whose vectors are the mean over the tokens of a text, such as all-MiniLM-L6-v2. Cheap to clone.
#[derive(Clone)]
pub struct OnnxEmbedder {
    id: String,
    dimensions: usize,
    model: Arc<Mutex<TextEmbedding>>,
}

impl fmt::Debug for OnnxEmbedder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnnxEmbedder").field("id", &self.id).field("dimensions", &self.dimensions).finish_non_exhaustive()
    }
}

/// The files of a model.
struct Files {
    model: Vec<u8>,
    tokenizer: Vec<u8>,
    config: Vec<u8>,
    special_tokens: Vec<u8>,
    tokenizer_config: Vec<u8>,
}

impl OnnxEmbedder {
    /// Loads `model.onnx` (or `onnx/model.onnx`) and `tokenizer.json` of a folder; `config.json`, `special_tokens_map.json` and
    /// `tokenizer_config.json` are used where they are there. `runtime` is the library of ONNX Runtime, such as
    /// `/usr/lib/libonnxruntime.so`; the first one that a process loads stays loaded.
    ///
    /// Errs when a file is missing, when the library is missing or older than 1.24, and when the model does not answer to a text.
    pub fn load(folder: &Path, runtime: &Path) -> Result<Self, EmbedError> {
        let files = Files::read(folder)?;
        load_runtime(runtime)?;
        let name = folder.file_name().map_or_else(|| "model".into(), |name| name.to_string_lossy().into_owned());
        let digest = files.digest();
        let fails = |reason: String| EmbedError::Model { folder: folder.to_owned(), reason };
        let tokenizer = TokenizerFiles {
            tokenizer_file: files.tokenizer,
            config_file: files.config,
            special_tokens_map_file: files.special_tokens,
            tokenizer_config_file: files.tokenizer_config,
        };
        let model = UserDefinedEmbeddingModel::new(files.model, tokenizer).with_pooling(Pooling::Mean);
        let options = InitOptionsUserDefined::new().with_max_length(MAX_TOKENS).with_intra_threads(1);
        let mut model = TextEmbedding::try_new_from_user_defined(model, options).map_err(|e| fails(format!("{e:#}")))?;
        let tried = model.embed(vec!["latency above 400 ms"], None).map_err(|e| fails(format!("{e:#}")))?;
        let dimensions = tried.first().map_or(0, Vec::len);
        if dimensions == 0 {
            return Err(fails("its answer to a text has no numbers".to_owned()));
        }
        Ok(Self { id: format!("{name}-{dimensions}-{}", &digest[..12]), dimensions, model: Arc::new(Mutex::new(model)) })
    }

    /// `minilm-384-3f9a2c11aa22`: the folder's name, the dimensions, and the beginning of the SHA-256 of the model's files.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// How many numbers a vector has.
    pub fn dimensions(&self) -> usize {
        self.dimensions
    }

    /// One vector for each text, of length 1; all zeros for a text without a letter or digit, which resembles nothing.
    ///
    /// A vector does not depend on the texts beside it. One thread works: with many, small models wait more than they compute.
    pub fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, EmbedError> {
        let fails = |reason: String| EmbedError::Failed { embedder_id: self.id.clone(), reason };
        let told: Vec<usize> = (0..texts.len()).filter(|i| texts[*i].contains(char::is_alphanumeric)).collect();
        let mut vectors = vec![vec![0.0; self.dimensions]; texts.len()];
        let mut model = self.model.lock().unwrap_or_else(PoisonError::into_inner);
        let found = model
            .embed(told.iter().map(|i| &texts[*i][..texts[*i].floor_char_boundary(MAX_BYTES)]).collect::<Vec<_>>(), Some(BATCH))
            .map_err(|e| fails(format!("{e:#}")))?;
        for (i, vector) in told.into_iter().zip(found) {
            if vector.len() != self.dimensions || !vector.iter().all(|v| v.is_finite()) {
                return Err(fails("its answer is not a vector of finite numbers".to_owned()));
            }
            vectors[i] = vector;
        }
        Ok(vectors)
    }
}

impl Files {
    fn read(folder: &Path) -> Result<Self, EmbedError> {
        let unreadable = |path: PathBuf, e: std::io::Error| EmbedError::Unreadable { path, reason: e.to_string() };
        let read = |name: &str| match fs::read(folder.join(name)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(unreadable(folder.join(name), e)),
        };
        let missing = |file| EmbedError::MissingFile { folder: folder.to_owned(), file };
        let or_empty = |name| read(name).map(|bytes| bytes.unwrap_or_else(|| b"{}".to_vec()));
        let model = match read("model.onnx")? {
            Some(model) => Some(model),
            None => read("onnx/model.onnx")?,
        };
        Ok(Self {
            model: model.ok_or_else(|| missing("model.onnx"))?,
            tokenizer: read("tokenizer.json")?.ok_or_else(|| missing("tokenizer.json"))?,
            config: read("config.json")?.unwrap_or_else(|| br#"{"pad_token_id": 0}"#.to_vec()),
            special_tokens: or_empty("special_tokens_map.json")?,
            tokenizer_config: read("tokenizer_config.json")?
                .unwrap_or_else(|| br#"{"model_max_length": 512, "pad_token": "[PAD]"}"#.to_vec()),
        })
    }

    /// Of everything that decides about vectors.
    fn digest(&self) -> String {
        let mut digest = Sha256::new();
        for file in [&self.model, &self.tokenizer, &self.config, &self.special_tokens, &self.tokenizer_config] {
            digest.update((file.len() as u64).to_le_bytes());
            digest.update(file);
        }
        hex::encode(digest.finalize())
    }
}

/// Loads the library, so that what is wrong with it is an error here and not a panic later.
fn load_runtime(library: &Path) -> Result<(), EmbedError> {
    let fails = |reason: String| EmbedError::Runtime { library: library.to_owned(), reason };
    if !library.is_file() {
        return Err(fails("there is no such file".to_owned()));
    }
    let library = library.canonicalize().map_err(|e| fails(e.to_string()))?;
    ort::init_from(&library).map(drop).map_err(|e| fails(e.to_string()))
}
