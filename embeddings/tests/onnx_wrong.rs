//! What is said when a model or ONNX Runtime is missing or wrong. A library once loaded stays, so this has a process of its own.

mod minilm;

use std::fs;
use std::path::{Path, PathBuf};

use bellwether_embeddings::{EmbedError, OnnxEmbedder};
use minilm::runtime;

fn scratch(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&folder); // left by an earlier run
    fs::create_dir_all(&folder).expect("a folder for scratch files can be made");
    folder
}

#[test]
fn what_is_missing_or_wrong_is_said() {
    let folder = scratch("wrong-model");
    let load = |folder: &Path, runtime: &Path| OnnxEmbedder::load(folder, runtime).unwrap_err();
    let error = load(&folder.join("nowhere"), &runtime());
    assert!(
        error.to_string().ends_with("nowhere has no model.onnx: a model folder holds model.onnx (or onnx/model.onnx) and tokenizer.json"),
        "{error}"
    );
    fs::write(folder.join("model.onnx"), "no model").unwrap();
    let error = load(&folder, &runtime());
    assert!(matches!(&error, EmbedError::MissingFile { file: "tokenizer.json", .. }), "{error}");
    fs::write(folder.join("tokenizer.json"), "{}").unwrap();
    let library = folder.join("libonnxruntime.so");
    let error = load(&folder, &library);
    assert!(
        error.to_string().starts_with("ONNX Runtime 1.24 or newer is needed") && error.to_string().ends_with("there is no such file"),
        "{error}"
    );
    fs::write(&library, "no library").unwrap();
    let error = load(&folder, &library);
    assert!(matches!(&error, EmbedError::Runtime { .. }), "{error}");
    // With a library that is right, the model itself is found wanting.
    let error = load(&folder, &runtime());
    assert!(matches!(&error, EmbedError::Model { .. }) && error.to_string().contains("does not load"), "{error}");
}
