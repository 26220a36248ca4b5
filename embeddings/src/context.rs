//! What an incident or a past run is about, beside its words: which things, which GPU model, which class of error.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use bellwether_model::incident::Incident;
use bellwether_model::inventory::Entity;
use bellwether_model::run::Run;
use regex::Regex;

/// Names of the attributes of a run that say what it was about.
const ABOUT: [&str; 8] = ["service", "endpoint", "target", "model", "pool", "node", "dataset", "deployment"];
/// Names of the attributes of a run that say which GPU.
const GPU: [&str; 4] = ["gpu", "gpu_model", "gpu_type", "accelerator"];

/// GPU models by which fleets are told apart.
#[allow(clippy::expect_used, reason = "a constant pattern, which a test compiles")]
static GPUS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)\b(?:A100|A10G?|A30|A40|B100|B200|GB200|GH200|H100|H200|H20|L4|L40S?|T4|V100|P100|MI2[15]0X?|MI3[0-9]{2}X?)\b")
        .expect("the pattern is valid")
});

#[allow(clippy::expect_used, reason = "a constant pattern, which a test compiles")]
static XID: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?i)\bxid\s*(?:\([^)]{0,40}\))?\s*[:#=]?\s*(\d{1,3})\b").expect("the pattern is valid"));

/// Classes of error, each with what texts say of it, in lower case.
const ERRORS: [(&str, &[&str]); 14] = [
    ("gpu out of memory", &["cuda out of memory", "cuda error: out of memory", "outofmemoryerror", "kv cache"]),
    ("out of memory", &["oomkilled", "oom killed", "oom-killed", "exit code 137", "memory limit"]),
    ("time-out", &["timeout", "timed out", "deadline exceeded", "http 504", "504 gateway"]),
    ("rejected", &["429", "too many requests", "queue full", "rate limit"]),
    ("tls", &["x509", "certificate", "handshake"]),
    ("server error", &["http 500", "internal server error", "http 502", "bad gateway", "5xx"]),
    ("image", &["imagepullbackoff", "errimagepull", "back-off pulling"]),
    ("crash loop", &["crashloopbackoff", "crash loop", "back-off restarting"]),
    ("unschedulable", &["failedscheduling", "insufficient nvidia.com/gpu", "limit exceeded for nvidia.com/gpu"]),
    ("disk full", &["no space left", "disk full", "disk quota"]),
    ("collective", &["nccl error", "nccl timeout"]),
    ("probe", &["probe failed", "connection refused", "connection reset"]),
    ("schema", &["schema mismatch", "schema changed", "column missing"]),
    ("job failed", &["task failed", "retries exhausted"]),
];

/// What texts and rows say that something is about. Each part may be empty: then nothing is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context {
    /// Names of endpoints, pools, nodes and datasets, in lower case.
    pub things: BTreeSet<String>,
    /// GPU models, in upper case.
    pub gpus: BTreeSet<String>,
    /// Classes of error, such as `tls` or `xid 79`.
    pub errors: BTreeSet<String>,
}

/// How two parts of contexts compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Likeness {
    /// They share something.
    Same,
    /// Both are known, and share nothing.
    Other,
    /// Of one of them nothing is known.
    Unknown,
}

impl Context {
    /// The context of a text about these things and GPUs; more of both are read out of the text.
    pub fn of(things: &[String], gpus: &[String], text: &str) -> Self {
        let lower = text.to_lowercase();
        let mut errors: BTreeSet<String> = ERRORS
            .iter()
            .filter(|(_, said)| said.iter().any(|words| lower.contains(words)))
            .map(|(class, _)| (*class).to_owned())
            .collect();
        errors.extend(XID.captures_iter(text).map(|found| format!("xid {}", &found[1])));
        let read = lower.split(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | '(' | ')'));
        let slashed = read.map(|word| word.trim_matches(|c: char| !c.is_alphanumeric())).filter(|word| is_path(word)).map(str::to_owned);
        Self {
            things: things.iter().map(|thing| thing.trim().to_lowercase()).filter(|thing| !thing.is_empty()).chain(slashed).collect(),
            gpus: gpus
                .iter()
                .map(|gpu| gpu.trim().to_uppercase())
                .chain(GPUS.find_iter(text).map(|found| found.as_str().to_uppercase()))
                .collect(),
            errors,
        }
    }

    /// The context of an incident: its entities, and what its summary says.
    pub fn of_incident(incident: &Incident) -> Self {
        let name = |entity: &Entity| match entity {
            Entity::Endpoint(id) => id.to_string(),
            Entity::Pool(name) => name.to_string(),
            Entity::Node(name) => name.to_string(),
            Entity::Dataset(id) => id.to_string(),
            Entity::Other(_, value) => value.clone(),
        };
        let things: Vec<String> = incident.entities.iter().chain(&incident.root).map(name).collect();
        Self::of(&things, &[], &incident.summary)
    }

    /// The context of a past run: its target, its attributes of known names, and what its summary and error say.
    pub fn of_run(run: &Run) -> Self {
        let named = |names: &[&str]| -> Vec<String> {
            names.iter().filter_map(|name| run.attributes.get(name).and_then(serde_json::Value::as_str)).map(str::to_owned).collect()
        };
        let mut things = named(&ABOUT);
        things.extend(run.target.clone());
        Self::of(&things, &named(&GPU), &format!("{}\n{}", run.summary, run.error.as_deref().unwrap_or_default()))
    }

    /// How things, GPU models and classes of error compare, in this order.
    pub fn compare(&self, other: &Self) -> [Likeness; 3] {
        let of = |a: &BTreeSet<String>, b: &BTreeSet<String>| match () {
            () if a.is_empty() || b.is_empty() => Likeness::Unknown,
            () if a.is_disjoint(b) => Likeness::Other,
            () => Likeness::Same,
        };
        [of(&self.things, &other.things), of(&self.gpus, &other.gpus), of(&self.errors, &other.errors)]
    }

    /// What both are about, in words.
    pub fn shared(&self, other: &Self) -> Vec<String> {
        let both = [(&self.things, &other.things), (&self.gpus, &other.gpus), (&self.errors, &other.errors)];
        both.into_iter().flat_map(|(a, b)| a.intersection(b).cloned()).collect()
    }
}

/// `ml/iris`, but neither an address nor a fraction nor a date.
fn is_path(word: &str) -> bool {
    let parts: Vec<&str> = word.split('/').collect();
    parts.len() == 2 && parts.iter().all(|part| part.len() >= 2 && part.starts_with(|c: char| c.is_ascii_alphabetic()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_say_what_they_are_about() {
        let found = Context::of(
            &["ML/Iris ".into()],
            &[],
            "p95 up on endpoint ml/rose (gpu A100), 3/4 of 10.0.0.1/24. NVRM: Xid (PCI:0000:3b:00): 79, GPU fell off",
        );
        assert_eq!(found.things.iter().collect::<Vec<_>>(), ["ml/iris", "ml/rose"]);
        assert_eq!((found.gpus.first().map(String::as_str), found.errors.first().map(String::as_str)), (Some("A100"), Some("xid 79")));
        let error = |text: &str| Context::of(&[], &[], text).errors.into_iter().collect::<Vec<_>>().join(", ");
        assert_eq!(error("torch.cuda.OutOfMemoryError: CUDA out of memory"), "gpu out of memory");
        assert_eq!(error("x509: certificate has expired"), "tls");
        assert_eq!(error("gpu_xid_errors 4, latency up"), "");
        assert_eq!(Context::of(&[], &[], ""), Context::default());
    }

    #[test]
    fn parts_are_the_same_other_or_unknown() {
        let of = |thing: &str, gpu: &str| Context::of(&[thing.into()], &[], gpu);
        let (a, b) = (of("ml/iris", "on T4"), of("ml/rose", "on t4"));
        assert_eq!(a.compare(&b), [Likeness::Other, Likeness::Same, Likeness::Unknown]);
        assert_eq!(a.compare(&Context::default()), [Likeness::Unknown; 3]);
    }
}
