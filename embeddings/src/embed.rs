//! Text becomes a vector.

use std::collections::BTreeMap;
use std::path::PathBuf;

use sha2::{Digest as _, Sha256};
use xxhash_rust::xxh3::xxh3_64;

use crate::onnx::OnnxEmbedder;

/// Turns texts into vectors of one space. Vectors of embedders with different ids are never compared.
#[derive(Clone, Debug)]
pub enum Embedder {
    /// Needs nothing but the text.
    Hashing(HashingEmbedder),
    /// A sentence model in a local folder.
    Onnx(OnnxEmbedder),
    /// Vectors that somebody else made before.
    Recalled(Recalled),
}

impl Default for Embedder {
    fn default() -> Self {
        Self::Hashing(HashingEmbedder::default())
    }
}

impl Embedder {
    /// Names the space: equal ids mean equal vectors for equal texts, on every machine.
    pub fn id(&self) -> String {
        match self {
            Self::Hashing(embedder) => embedder.id(),
            Self::Onnx(embedder) => embedder.id().to_owned(),
            Self::Recalled(recalled) => recalled.id.clone(),
        }
    }

    /// How many numbers a vector has.
    pub fn dimensions(&self) -> usize {
        match self {
            Self::Hashing(embedder) => embedder.dimensions,
            Self::Onnx(embedder) => embedder.dimensions(),
            Self::Recalled(recalled) => recalled.dimensions,
        }
    }

    /// One vector for each text, of length 1; all zeros for a text without words, which resembles nothing.
    ///
    /// Errs when a model fails; the hashing embedder never does.
    pub fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, EmbedError> {
        match self {
            Self::Hashing(embedder) => Ok(texts.iter().map(|text| embedder.embed(text)).collect()),
            Self::Onnx(embedder) => embedder.embed(texts),
            Self::Recalled(recalled) => Ok(texts.iter().map(|text| recalled.embed(text)).collect()),
        }
    }
}

/// Vectors of texts that are known beforehand: how judging, which asks nobody, comes to the vectors of a remote model.
#[derive(Clone, Debug, PartialEq)]
pub struct Recalled {
    id: String,
    dimensions: usize,
    vectors: BTreeMap<String, Vec<f32>>,
}

impl Recalled {
    /// The vectors of the embedder of this id, by text.
    pub fn new(id: impl Into<String>, dimensions: usize, vectors: BTreeMap<String, Vec<f32>>) -> Self {
        Self { id: id.into(), dimensions, vectors }
    }

    /// A text that is not known resembles nothing: its vector is all zeros.
    fn embed(&self, text: &str) -> Vec<f32> {
        self.vectors.get(text).cloned().unwrap_or_else(|| vec![0.0; self.dimensions])
    }
}

/// What a text's vector is kept under: its SHA-256 in hexadecimal.
pub fn digest(text: &str) -> String {
    hex::encode(Sha256::digest(text.as_bytes()))
}

/// The oldest ONNX Runtime that will do.
pub const OLDEST_RUNTIME: &str = "1.24";

/// No vectors: the model cannot be loaded, or fails.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EmbedError {
    /// A file of the model is not there.
    #[error("{folder} has no {file}: a model folder holds model.onnx (or onnx/model.onnx) and tokenizer.json")]
    MissingFile {
        /// The model's folder.
        folder: PathBuf,
        /// What is missing.
        file: &'static str,
    },
    /// A file of the model is there, but cannot be read.
    #[error("cannot read {path}: {reason}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// The library is not there, not a library, or too old.
    #[error("ONNX Runtime {OLDEST_RUNTIME} or newer is needed to run a model, and {library} is not it: {reason}")]
    Runtime {
        /// The file that was tried.
        library: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The files are not those of a sentence model.
    #[error("the model in {folder} does not load: {reason}")]
    Model {
        /// The model's folder.
        folder: PathBuf,
        /// What ONNX Runtime or the tokenizer says.
        reason: String,
    },
    /// The model fails on a text, or answers with something that is not a vector.
    #[error("the model {embedder_id} gives no vector: {reason}")]
    Failed {
        /// The embedder.
        embedder_id: String,
        /// What it says.
        reason: String,
    },
}

/// Signed feature hashing (Weinberger et al., 2009, arXiv:0902.2206) of words, pairs of neighbouring words and letter
/// trigrams, each by the fourth root of its count: told once or five times, a symptom is much the same.
///
/// Made for the language of incidents: `snake_case`, `kebab-case` and `camelCase` are split, numbers and random-looking parts of
/// names are left out, word endings are cut, and words that mean the same here (`high`, `above`, `rising`) count as one, and for
/// more than words that mean nothing in particular, such as the names of services.
#[derive(Clone, Debug)]
pub struct HashingEmbedder {
    dimensions: usize,
}

impl Default for HashingEmbedder {
    /// 512 dimensions.
    fn default() -> Self {
        Self::new(512)
    }
}

const CONCEPT: f64 = 2.5;
const WORD: f64 = 1.0;
const PAIR: f64 = 0.4;
const TRIGRAM: f64 = 0.2;

impl HashingEmbedder {
    /// An embedder of this many dimensions, at least 1.
    pub fn new(dimensions: usize) -> Self {
        Self { dimensions: dimensions.max(1) }
    }

    /// `hashing-v1-512`: the version changes whenever any text's vector would.
    pub fn id(&self) -> String {
        format!("hashing-v1-{}", self.dimensions)
    }

    /// The vector of one text. Only exact operations of IEEE 754 are used, in a fixed order, so it is the same everywhere.
    pub fn embed(&self, text: &str) -> Vec<f32> {
        let words = words(text);
        let mut counts: BTreeMap<String, (u32, f64)> = BTreeMap::new();
        let mut count = |feature: String, weight: f64| counts.entry(feature).or_insert((0, weight)).0 += 1;
        for word in &words {
            let letters: Vec<char> = format!("^{word}$").chars().collect();
            for trigram in letters.windows(3) {
                count(format!("c:{}", trigram.iter().collect::<String>()), TRIGRAM);
            }
            count(format!("w:{word}"), if SAME.iter().any(|(meaning, _)| meaning == word) { CONCEPT } else { WORD });
        }
        for pair in words.windows(2) {
            count(format!("b:{} {}", pair[0], pair[1]), PAIR);
        }
        let mut sums = vec![0.0_f64; self.dimensions];
        for (feature, (count, weight)) in &counts {
            let hash = xxh3_64(feature.as_bytes());
            let sign = if hash >> 63 == 0 { 1.0 } else { -1.0 };
            sums[(hash % self.dimensions as u64) as usize] += sign * weight * f64::from(*count).sqrt().sqrt();
        }
        let norm = sums.iter().map(|v| v * v).sum::<f64>().sqrt();
        sums.into_iter().map(|v| if norm > 0.0 { (v / norm) as f32 } else { 0.0 }).collect()
    }
}

/// The words of a text as they are compared.
pub(crate) fn words(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for piece in text.split(|c: char| !c.is_alphanumeric()) {
        for word in camel(piece) {
            let word = word.to_lowercase();
            if !is_word(&word) || STOP.split(' ').any(|stop| stop == word) {
                continue;
            }
            let stem = stem(&word);
            found.push(SAME.iter().find(|(_, forms)| forms.contains(&stem.as_str())).map_or(stem, |(meaning, _)| (*meaning).to_owned()));
        }
    }
    found
}

/// `gpuUtilization` is two words, and so is `HTTPErrors`.
fn camel(piece: &str) -> Vec<&str> {
    let letters: Vec<(usize, char)> = piece.char_indices().collect();
    let mut cuts = vec![0];
    for i in 1..letters.len() {
        let (before, here) = (letters[i - 1].1, letters[i].1);
        let next_is_lower = letters.get(i + 1).is_some_and(|(_, c)| c.is_lowercase());
        if here.is_uppercase() && (before.is_lowercase() || (before.is_uppercase() && next_is_lower)) {
            cuts.push(letters[i].0);
        }
    }
    cuts.push(piece.len());
    cuts.windows(2).map(|w| &piece[w[0]..w[1]]).filter(|word| !word.is_empty()).collect()
}

/// Not a number, a hash or the random end of a pod's name: at most one run of digits in at most five characters.
fn is_word(word: &str) -> bool {
    let digits = word.chars().filter(|c| c.is_numeric()).count();
    let runs = word.chars().zip(word.chars().skip(1)).filter(|(a, b)| !a.is_numeric() && b.is_numeric()).count()
        + usize::from(word.starts_with(char::is_numeric));
    let letters = word.chars().count() - digits;
    if digits == 0 { letters >= 2 } else { letters >= 1 && runs == 1 && letters + digits <= 5 && !word.starts_with(char::is_numeric) }
}

/// Cuts the endings of plurals, participles and infinitives.
fn stem(word: &str) -> String {
    let n = word.chars().count();
    let cut = |ending: &str, least: usize| word.strip_suffix(ending).filter(|_| n >= least);
    if let Some(root) = cut("ies", 5) {
        return format!("{root}y");
    }
    if let Some(root) = cut("ing", 6).or_else(|| cut("ed", 5)) {
        let mut letters = root.chars().rev();
        return match (letters.next(), letters.next()) {
            (Some(a), Some(b)) if a == b && !matches!(a, 'l' | 's' | 'e') => root[..root.len() - a.len_utf8()].to_owned(),
            _ => root.trim_end_matches('e').to_owned(),
        };
    }
    let singular = if n >= 4 && !word.ends_with("ss") && !word.ends_with("us") && !word.ends_with("is") {
        word.strip_suffix('s').unwrap_or(word)
    } else {
        word
    };
    if singular.chars().count() >= 4 { singular.strip_suffix('e').unwrap_or(singular).to_owned() } else { singular.to_owned() }
}

/// Words that say nothing.
const STOP: &str = "the an of on in is was are were be been and or to for with after before at by from it its \
                    than that this as has have had not no but more most into over while when since expected shortly value ml namespace default";

/// Stems that mean the same when an incident is told.
const SAME: [(&str, &[&str]); 14] = [
    (
        "up",
        &["up", "high", "higher", "above", "elevat", "increas", "ris", "rose", "grow", "grew", "growth", "spik", "exceed", "climb", "jump"],
    ),
    ("down", &["down", "low", "lower", "below", "decreas", "drop", "fall", "fell", "declin", "dip", "sink"]),
    ("drift", &["drift", "shift", "distribution", "skew", "psi", "ks"]),
    ("latency", &["latency", "slow", "slower", "slowdown", "delay"]),
    ("error", &["error", "fail", "failur", "exception"]),
    ("util", &["util", "utilization", "utilisation", "usag", "load"]),
    ("queue", &["queu", "backlog", "pend", "wait"]),
    ("traffic", &["traffic", "request", "rps", "qps", "demand"]),
    ("surge", &["surg", "burst", "flood", "peak"]),
    ("idle", &["idl", "unus", "underused", "underutiliz", "underutilis", "wast"]),
    ("throttle", &["throttl", "thermal", "overheat", "hot", "temperatur"]),
    ("release", &["releas", "revision", "rollout", "deploy", "deployment", "canary"]),
    ("feature", &["featur", "column", "field"]),
    ("xid", &["xid", "ecc", "nvlink"]),
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn likeness(a: &str, b: &str) -> f64 {
        let vectors = Embedder::default().embed(&[a, b]).unwrap();
        vectors[0].iter().zip(&vectors[1]).map(|(x, y)| f64::from(x * y)).sum()
    }

    #[test]
    fn names_become_the_words_people_use() {
        for (text, expected) in [
            ("latency_p95", "latency p95"),
            ("gpuUtilization up", "gpu util up"),
            ("HTTPErrors", "http error"),
            ("errors increased by 340 %", "error up"),
            ("latencies rising, queues growing", "latency up queue up"),
            ("iris-predictor-00042-7d9f8b6c5-x2k4p", "iris predictor"),
            ("commit 4a3f9c1e8b7d on A100", "commit a100"),
            ("dropped to 0.02", "down"),
            ("<email:3f9a2c11aa22>", "email"),
            ("12 34 !!", ""),
        ] {
            assert_eq!(words(text).join(" "), expected, "{text}");
        }
    }

    #[test]
    fn the_same_trouble_in_other_words_is_near_and_other_trouble_is_far() {
        let incident = "latency_p95 up, queue_depth up, request_rate up on endpoint ml/iris in pool gpu-a (gpu A100). latency_p95 is 680 ms, 200 ms expected";
        let same = "traffic surge on ml/rose: p95 latency high, queue depth growing, request rate above normal";
        let other = "gpu_xid_errors up, gpu_throttle_ratio up on node gpu-3: thermal throttling";
        let drift = "feature drift in column amount of dataset s3://raw:orders";
        let near = likeness(incident, same);
        assert!(near > 0.45, "{near}");
        for far in [other, drift] {
            assert!(likeness(incident, far) < near / 2.0, "{far}: {}", likeness(incident, far));
        }
        assert!((likeness(incident, incident) - 1.0).abs() < 1e-6);
    }

    #[test]
    fn the_space_never_changes_without_a_new_id() {
        let embedder = HashingEmbedder::new(8);
        assert_eq!(embedder.id(), "hashing-v1-8");
        assert_eq!(Embedder::default().id(), "hashing-v1-512");
        assert_eq!(embedder.embed("latency up"), KNOWN);
        assert_eq!(Embedder::default().embed(&["", "0.5 !"]).unwrap(), vec![vec![0.0; 512]; 2]);
    }

    #[test]
    fn what_is_not_recalled_resembles_nothing() {
        let recalled = Embedder::Recalled(Recalled::new("far-2", 2, BTreeMap::from([("slow".into(), vec![0.6, 0.8])])));
        assert_eq!((recalled.id().as_str(), recalled.dimensions()), ("far-2", 2));
        assert_eq!(recalled.embed(&["slow", "fast"]).unwrap(), [[0.6, 0.8], [0.0, 0.0]]);
        assert_eq!(digest("slow").len(), 64);
    }

    const KNOWN: [f32; 8] = [0.0, -0.80655915, -0.048882373, 0.56214726, 0.097764745, -0.14664711, 0.0, 0.0];

    proptest! {
        #[test]
        fn vectors_have_length_one_or_are_zero(text in "(?s).{0,60}") {
            let vector = HashingEmbedder::new(64).embed(&text);
            let norm: f64 = vector.iter().map(|v| f64::from(*v) * f64::from(*v)).sum();
            prop_assert!(vector.iter().all(|v| v.is_finite()));
            prop_assert!(norm == 0.0 || (norm - 1.0).abs() < 1e-5, "{}", norm);
        }
    }
}
