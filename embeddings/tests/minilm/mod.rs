//! The sentence model that `scripts/setup` installs.

use std::env;
use std::path::PathBuf;

/// Its folder, with `model.onnx`, `tokenizer.json` and `libonnxruntime.so`.
pub(crate) fn installed() -> PathBuf {
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cache")));
    let folder = cache.expect("HOME is set").join("bellwether/minilm");
    assert!(folder.join("model.onnx").is_file(), "{} is missing: scripts/setup installs it", folder.display());
    folder
}

/// The ONNX Runtime beside it.
pub(crate) fn runtime() -> PathBuf {
    installed().join("libonnxruntime.so")
}
