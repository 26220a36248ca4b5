//! The sentence model and ONNX Runtime that `scripts/setup` installs.

mod minilm;

use std::fs;
use std::path::{Path, PathBuf};

use bellwether_embeddings::{Embedder, Index, OnnxEmbedder};
use minilm::{installed, runtime};

fn scratch(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&folder).expect("a folder for scratch files can be made");
    folder
}

fn likeness(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

#[test]
fn a_text_has_one_vector_whatever_is_beside_it() {
    let embedder = Embedder::Onnx(OnnxEmbedder::load(&installed(), &runtime()).unwrap());
    let texts = [
        "the disk is nearly full",
        "almost no space is left on the volume",
        "a certificate expires tomorrow",
        "",
        "!!",
        "диск почти заполнен 磁盘已满",
    ];
    let vectors = embedder.embed(&texts).unwrap();
    assert_eq!((vectors.len(), embedder.dimensions()), (6, 384));
    for (text, vector) in texts.iter().zip(&vectors) {
        assert_eq!(embedder.embed(&[text]).unwrap(), std::slice::from_ref(vector), "{text}");
        let length = likeness(vector, vector).sqrt();
        let told = text.contains(char::is_alphanumeric);
        assert!(if told { (length - 1.0).abs() < 1e-3 } else { length == 0.0 }, "{text}: {length}");
    }
    assert!(likeness(&vectors[0], &vectors[1]) > likeness(&vectors[0], &vectors[2]) + 0.2, "what means the same is near");
    let long = "disk full on node 7\n".repeat(50_000);
    assert_eq!(embedder.embed(&[&long]).unwrap()[0].len(), 384);
}

#[test]
fn its_vectors_are_never_compared_with_others() {
    let embedder = OnnxEmbedder::load(&installed(), &runtime()).unwrap();
    let (name, digest) = embedder.id().rsplit_once('-').unwrap();
    assert_eq!((name, digest.len()), ("minilm-384", 12));
    // Another file of the model is another space.
    let other = scratch("other-config").join("minilm");
    fs::create_dir_all(&other).unwrap();
    for file in ["model.onnx", "tokenizer.json"] {
        fs::copy(installed().join(file), other.join(file)).unwrap();
    }
    fs::write(other.join("tokenizer_config.json"), r#"{"model_max_length": 64, "pad_token": "[PAD]"}"#).unwrap();
    let other = OnnxEmbedder::load(&other, &runtime()).unwrap();
    assert!(other.id().starts_with("minilm-384-") && other.id() != embedder.id());
    let vector = &embedder.embed(&["latency"]).unwrap()[0];
    let error = Index::new(other.id(), 384).put("a", embedder.id(), vector).unwrap_err();
    assert!(error.to_string().contains(embedder.id()) && error.to_string().contains(other.id()), "{error}");
}
