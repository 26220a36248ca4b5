//! Rules that come with the program: one pack for each kind of source, chosen by the metrics that a Prometheus has.

use std::collections::BTreeSet;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::{MetricRule, RulesError, parse_file};

/// What a pack says of itself, in its own file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// Name, as written in the configuration.
    pub name: String,
    /// What it is for, in words.
    pub title: String,
    /// Metrics of which at least one must be there for the pack to make sense.
    pub needs: Vec<String>,
}

/// A pack of rules.
#[derive(Clone, Debug, PartialEq)]
pub struct Pack {
    /// What it is.
    pub head: Head,
    /// Its rules.
    pub rules: Vec<MetricRule>,
    /// Its file, for people who want to change a copy of it.
    pub text: &'static str,
}

/// The files, from the most specific to the most general.
const FILES: [(&str, &str); 10] = [
    ("vllm", include_str!("../../packs/vllm.yaml")),
    ("triton", include_str!("../../packs/triton.yaml")),
    ("kserve", include_str!("../../packs/kserve.yaml")),
    ("knative-1.21", include_str!("../../packs/knative-1.21.yaml")),
    ("knative-1.19", include_str!("../../packs/knative-1.19.yaml")),
    ("knative-1.18", include_str!("../../packs/knative-1.18.yaml")),
    ("dcgm", include_str!("../../packs/dcgm.yaml")),
    ("kubernetes", include_str!("../../packs/kubernetes.yaml")),
    ("node", include_str!("../../packs/node.yaml")),
    ("prometheus", include_str!("../../packs/prometheus.yaml")),
];

/// The names of all packs, from the most specific to the most general.
pub const NAMES: [&str; FILES.len()] = {
    let mut names = [""; FILES.len()];
    let mut i = 0;
    while i < names.len() {
        names[i] = FILES[i].0;
        i += 1;
    }
    names
};

/// Reads a list of names of packs; one that there is not is an error where it is written, with the names that there are.
pub(crate) fn read_names<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    struct Name(String);
    impl<'de> Deserialize<'de> for Name {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let name = String::deserialize(deserializer)?;
            if NAMES.contains(&name.as_str()) { Ok(Self(name)) } else { Err(D::Error::unknown_variant(&name, &NAMES)) }
        }
    }
    Ok(Vec::<Name>::deserialize(deserializer)?.into_iter().map(|Name(name)| name).collect())
}

/// The pack of this name; none when there is no such pack.
pub fn named(name: &str) -> Option<Pack> {
    let (name, text) = FILES.iter().find(|(known, _)| *known == name)?;
    Some(read(name, text).expect("packs are checked by this crate's tests"))
}

/// The packs of which at least one needed metric is among `metrics`, from the most specific to the most general.
///
/// After an upgrade a Prometheus still has the metrics of an older Knative; the packs of both generations then fit, and their series follow
/// each other in time.
pub fn fitting(metrics: &[String]) -> Vec<Pack> {
    let known: BTreeSet<&str> = metrics.iter().map(String::as_str).collect();
    NAMES.into_iter().filter_map(named).filter(|pack| pack.head.needs.iter().any(|metric| known.contains(metric.as_str()))).collect()
}

fn read(name: &str, text: &'static str) -> Result<Pack, RulesError> {
    let file = format!("pack {name}");
    let (head, rules) = parse_file(text, &file)?;
    let head = head.ok_or(RulesError::Wrong { file, line: 1, column: 1, message: "a pack says its name, title and needs".into() })?;
    Ok(Pack { head, rules, text })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::detection;

    #[test]
    fn every_pack_is_right_and_all_agree() {
        let mut all = Vec::new();
        for (name, text) in FILES {
            let pack = read(name, text).unwrap_or_else(|e| panic!("{e}"));
            assert_eq!(pack.head.name, name);
            assert!(!pack.rules.is_empty() && !pack.head.needs.is_empty());
            all.extend(pack.rules);
        }
        let judged = detection(&all).unwrap_or_else(|e| panic!("{e}"));
        assert!(judged.len() > 25);
    }

    #[test]
    fn packs_are_chosen_by_the_metrics_that_are_there() {
        let chosen = |metrics: &[&str]| {
            fitting(&metrics.iter().map(|m| (*m).to_owned()).collect::<Vec<_>>()).into_iter().map(|p| p.head.name).collect::<Vec<_>>()
        };
        assert_eq!(chosen(&["go_goroutines"]), Vec::<String>::new());
        assert_eq!(chosen(&["up", "node_cpu_seconds_total"]), ["node", "prometheus"]);
        assert_eq!(
            chosen(&["vllm:num_requests_running", "DCGM_FI_DEV_GPU_UTIL", "kn_serving_invocation_duration_seconds_bucket", "up"]),
            ["vllm", "knative-1.21", "dcgm", "prometheus"]
        );
    }
}
