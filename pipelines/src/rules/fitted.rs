//! What labels chose: the file that `backtest --fit` writes, with a way to judge for all series, and others for groups of them.

use std::collections::BTreeMap;
use std::path::Path;

use bellwether_detectors::judging::Judging;
use bellwether_governance::yaml::{self, LoadError};
use bellwether_model::signal::Method;
use serde::Deserialize;
use serde_saphyr::Spanned;

/// A file with nothing but ways to judge.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fitted {
    /// For every series without a better one.
    pub detect: Vec<Spanned<Judging>>,
    /// For the series of a group: those of one metric, or of one folder of a backtest.
    #[serde(default)]
    pub groups: BTreeMap<String, Vec<Spanned<Judging>>>,
}

impl Fitted {
    /// Reads such a file.
    ///
    /// # Errors
    /// What is wrong, where in `file`, and what would be right.
    pub fn parse(file: &str, text: &str) -> Result<Self, LoadError> {
        yaml::parse(file, text)
    }

    /// The entries for a group: its own, where it has some.
    pub fn of(&self, group: &str) -> &[Spanned<Judging>] {
        self.groups.get(group).unwrap_or(&self.detect)
    }
}

/// An entry with what labels chose for its metric, where it names a file of choices: the group of a series is its metric. A file is looked for
/// beside the `rules` that name it.
///
/// # Errors
/// The file cannot be read, chooses nothing, or the entry says itself what the file is to choose.
pub(super) fn resolve(entry: Judging, metric: &str, rules: &str) -> Result<Vec<Judging>, String> {
    let Some(name) = &entry.fit else { return Ok(vec![entry]) };
    if entry.method.is_some_and(|method| method != Method::Auto) {
        return Err("fit belongs to method auto: labels choose between novelty and telemetry".into());
    }
    if entry.weight.is_some() || entry.threshold.is_some() {
        return Err("weight and threshold are what the file of `fit` chooses; leave them out here".into());
    }
    let path = Path::new(rules).parent().unwrap_or(Path::new("")).join(name);
    let text = std::fs::read_to_string(&path)
        .map_err(|e| format!("fit: {} cannot be read: {e}; `bellwether backtest --fit {}` writes it", path.display(), path.display()))?;
    let fitted = Fitted::parse(&path.display().to_string(), &text)
        .map_err(|e| format!("fit: {e}; {}", e.hint.as_deref().unwrap_or("`bellwether backtest --fit` writes such files")))?;
    let chosen = fitted.of(metric);
    if chosen.is_empty() {
        return Err(format!("fit: {} chooses nothing", path.display()));
    }
    let merged = |choice: &Spanned<Judging>| Judging {
        method: choice.value.method,
        weight: choice.value.weight,
        threshold: choice.value.threshold,
        fit: None,
        ..entry.clone()
    };
    Ok(chosen.iter().map(merged).collect())
}

#[cfg(test)]
mod tests {
    use bellwether_detectors::preset::Preset;
    use bellwether_detectors::rule::MethodSpec;

    const CHOSEN: &str =
        "detect:\n  - {method: auto, threshold: 0.9}\ngroups:\n  \"queue_depth\":\n    - {method: auto, weight: 0.25, threshold: 1.5}\n";

    fn load(chosen: &str, entry: &str) -> Result<Vec<MethodSpec>, String> {
        let dir = tempfile::tempdir().unwrap();
        let rules = dir.path().join("rules.yaml");
        std::fs::write(dir.path().join("chosen.yaml"), chosen).unwrap();
        let metric = |name: &str| format!("  - {{name: {name}, expr: up, detect: [{entry}]}}\n");
        std::fs::write(&rules, format!("rules:\n{}{}", metric("queue_depth"), metric("latency"))).unwrap();
        let loaded = crate::rules::load(&[rules]).map_err(|e| e.to_string())?;
        Ok(loaded.iter().flat_map(|r| r.detect.iter().map(|d| d.method)).collect())
    }

    #[test]
    fn a_metric_is_judged_by_what_its_own_labels_chose() {
        let auto = |weight, threshold| MethodSpec::Preset { preset: Preset::Auto, weight, threshold };
        let expected = vec![auto(Some(0.25), 1.5), auto(None, 0.9)];
        assert_eq!(load(CHOSEN, "{method: auto, fit: chosen.yaml, gap: 3h}"), Ok(expected));
        for (chosen, entry, says) in [
            (CHOSEN, "{fit: other.yaml}", "other.yaml cannot be read"),
            (CHOSEN, "{method: ewma, fit: chosen.yaml}", "rules.yaml:2:"),
            (CHOSEN, "{method: auto, weight: 0.5, fit: chosen.yaml}", "leave them out"),
            ("detect: []\n", "{fit: chosen.yaml}", "chooses nothing"),
            (
                "detect:\n  - {method: auto, wieght: 1}\n",
                "{fit: chosen.yaml}",
                "chosen.yaml:2:20: unknown key \"wieght\"; did you mean weight?",
            ),
        ] {
            let error = load(chosen, entry).unwrap_err();
            assert!(error.contains(says), "{says:?} is not in {error}");
        }
    }
}
