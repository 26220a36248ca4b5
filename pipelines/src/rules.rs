//! Rules: which numbers are asked of Prometheus, under which names they are kept, and how they are judged.
//!
//! One YAML file holds a list. The metric that is stored has the rule's name, whatever the expression reads, so that everything after
//! ingest speaks one language on every fleet.
//!
//! ```yaml
//! rules:
//!   - name: latency_p95
//!     expr: histogram_quantile(0.95, sum by (le, namespace, service) (rate(request_seconds_bucket[5m])))
//!     step: 60s
//!     unit: seconds
//!     labels: {keep: [namespace, service]}
//!     detect:
//!       - {method: zscore, watch: up, threshold: 4}
//! ```

pub mod fitted;
pub mod packs;
pub mod window;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use bellwether_detectors::judging::Judging;
use bellwether_detectors::rule::Rule;
use bellwether_governance::yaml::{self, LoadError};
use bellwether_model::id::RuleName;
use bellwether_model::series::Labels;
use bellwether_model::signal::Method;
use bellwether_model::time::Span;
use bellwether_model::unit::Unit;
use promql_parser::parser::Expr;
use promql_parser::parser::value::ValueType;
use serde::Deserialize;
use serde_saphyr::{Location, Spanned};

/// What to do where there is not one rule.
pub const NONE_IN_FORCE: &str = "no rule is in force, so nothing is asked of Prometheus; name packs under `prometheus.packs`, or list files of \
     your own rules under `prometheus.rules`: `bellwether init` writes an example of one";

/// A place in a file of rules. Text form `rules.yaml:12`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file, or `pack NAME` for a built-in one.
    pub file: String,
    /// Line, from 1; 0 when unknown.
    pub line: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// One metric: how it is asked for, and how it is judged.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricRule {
    /// Name of the metric that is stored.
    pub name: String,
    /// PromQL, valid, giving an instant vector or a scalar.
    pub expr: String,
    /// Distance of its samples.
    pub step: Span,
    /// Unit of its values.
    pub unit: Unit,
    /// What becomes of the labels.
    pub labels: LabelMap,
    /// The window that each value is computed from: zero where there is none. See [`window::longest`].
    pub window: Span,
    /// How it is judged.
    pub detect: Vec<Rule>,
    /// Where it is written.
    pub place: Place,
}

/// What becomes of the labels of a result. Applied in the order of the fields; `__name__` always goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LabelMap {
    /// New names, by old name. A label that has the new name already is replaced.
    pub rename: BTreeMap<String, String>,
    /// The labels that stay, after renaming. All, when it is not given.
    pub keep: Option<BTreeSet<String>>,
}

impl LabelMap {
    /// The labels of the stored series. Empty values are no labels.
    pub fn apply(&self, labels: &Labels) -> Labels {
        let mut kept: Labels = labels
            .iter()
            .filter(|(name, value)| *name != "__name__" && !value.is_empty() && !self.rename.contains_key(*name))
            .map(|(n, v)| (n.clone(), v.clone()))
            .collect();
        for (old, new) in &self.rename {
            if let Some(value) = labels.get(old).filter(|v| !v.is_empty()) {
                kept.insert(new.clone(), value.clone());
            }
        }
        if let Some(keep) = &self.keep {
            kept.retain(|name, _| keep.contains(name));
        }
        kept
    }
}

/// A mistake in a file of rules.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RulesError {
    /// The file cannot be read.
    #[error("{} cannot be read: {reason}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// What is written there is wrong.
    #[error("{file}:{line}:{column}: {message}")]
    Wrong {
        /// The file.
        file: String,
        /// Line, from 1.
        line: u64,
        /// Column, from 1.
        column: u64,
        /// What is wrong.
        message: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    pack: Option<packs::Head>,
    rules: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: Spanned<String>,
    expr: Spanned<String>,
    #[serde(default = "default_step")]
    step: Spanned<Span>,
    #[serde(default)]
    unit: Unit,
    #[serde(default)]
    labels: LabelMap,
    #[serde(default)]
    detect: Vec<Spanned<Judging>>,
}

fn default_step() -> Spanned<Span> {
    Spanned::new(Span::from_secs(60), Location::UNKNOWN, Location::UNKNOWN)
}

/// Reads files of rules, in the order given; of a folder, its `.yaml` and `.yml` files in order of name.
pub fn load(paths: &[PathBuf]) -> Result<Vec<MetricRule>, RulesError> {
    let mut rules = Vec::new();
    for path in paths {
        for file in files(path)? {
            let text = std::fs::read_to_string(&file).map_err(|e| RulesError::Read { path: file.clone(), reason: e.to_string() })?;
            rules.extend(parse(&text, &file.display().to_string())?);
        }
    }
    Ok(rules)
}

fn files(path: &Path) -> Result<Vec<PathBuf>, RulesError> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let wrong = |e: std::io::Error| RulesError::Read { path: path.to_owned(), reason: e.to_string() };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(wrong)? {
        let file = entry.map_err(wrong)?.path();
        if file.extension().is_some_and(|e| e == "yaml" || e == "yml") {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

/// Reads the rules of one file; `file` is its name for messages.
pub fn parse(text: &str, file: &str) -> Result<Vec<MetricRule>, RulesError> {
    Ok(parse_file(text, file)?.1)
}

fn parse_file(text: &str, file: &str) -> Result<(Option<packs::Head>, Vec<MetricRule>), RulesError> {
    let wrong = |at: Location, message: String| RulesError::Wrong { file: file.to_owned(), line: at.line(), column: at.column(), message };
    let content: File = yaml::parse(file, text).map_err(|LoadError { place, message, hint }| RulesError::Wrong {
        file: place.file,
        line: place.line,
        column: place.column,
        message: hint.map(|hint| format!("{message}; {hint}")).unwrap_or(message),
    })?;
    let mut rules = Vec::new();
    for entry in content.rules {
        let name = &entry.name.value;
        if !is_metric_name(name) {
            return Err(wrong(entry.name.referenced, format!("{name:?} is no metric name; write it with letters, digits and underscores")));
        }
        if entry.step.value < Span::from_secs(1) {
            return Err(wrong(entry.step.referenced, format!("step {} is shorter than one second", entry.step.value)));
        }
        let window = check_expr(&entry.expr.value).map_err(|message| wrong(entry.expr.referenced, message))?;
        let mut detect = Vec::new();
        for judged in entry.detect {
            let at = judged.referenced;
            for judging in fitted::resolve(judged.value, name, file).map_err(|message| wrong(at, message))? {
                let rule = detection_rule(judging, name, entry.unit).map_err(|message| wrong(at, message))?;
                if detect.iter().any(|known: &Rule| known.name == rule.name) {
                    return Err(wrong(at, format!("two ways to judge {name} have the name {}; give one of them another", rule.name)));
                }
                detect.push(rule);
            }
        }
        let place = Place { file: file.to_owned(), line: entry.name.referenced.line() };
        rules.push(MetricRule {
            name: entry.name.value,
            expr: entry.expr.value,
            step: entry.step.value,
            unit: entry.unit,
            labels: entry.labels,
            window,
            detect,
            place,
        });
    }
    Ok((content.pack, rules))
}

fn is_metric_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':')
}

/// The window of an expression that gives numbers.
fn check_expr(expr: &str) -> Result<Span, String> {
    let parsed: Expr = promql_parser::parser::parse(expr).map_err(|e| format!("this is not PromQL: {e}"))?;
    match parsed.value_type() {
        ValueType::Vector | ValueType::Scalar => Ok(window::longest(&parsed)),
        ValueType::Matrix => Err("the expression gives a range for each series; put it into rate() or an ..._over_time()".into()),
        ValueType::String => Err("the expression gives text, not numbers".into()),
    }
}

/// The judging half of a rule: its metric and unit are those of the rule it stands in.
fn detection_rule(judging: Judging, metric: &str, unit: Unit) -> Result<Rule, String> {
    if judging.metric.is_some() || judging.unit.is_some() {
        return Err("metric and unit are those of the rule; leave them out here".into());
    }
    let name = RuleName::new(format!("{metric}_{}", judging.method.unwrap_or(Method::Zscore)));
    judging.rule(&name, metric, unit).map_err(|e| e.to_string())
}

/// How all these rules' metrics are judged: each detection rule once, in order of metric and name.
///
/// Several rules may ask for one metric in different ways (a fleet has endpoints of several kinds); then they must agree on its unit and on
/// how it is judged, or leave that to one of them.
pub fn detection(rules: &[MetricRule]) -> Result<Vec<Rule>, RulesError> {
    let mut judged: BTreeMap<&str, &MetricRule> = BTreeMap::new();
    for rule in rules {
        let known = judged.entry(&rule.name).or_insert(rule);
        let clash = |what: &str, known: &MetricRule| RulesError::Wrong {
            file: rule.place.file.clone(),
            line: rule.place.line,
            column: 1,
            message: format!("{} has another {what} at {}", rule.name, known.place),
        };
        if known.unit != rule.unit {
            return Err(clash("unit", known));
        }
        if known.detect.is_empty() {
            *known = rule;
        } else if !rule.detect.is_empty() && known.detect != rule.detect {
            return Err(clash("way of judging", known));
        }
    }
    Ok(judged.into_values().flat_map(|rule| rule.detect.iter().cloned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "rules:\n  - name: latency_p95\n    expr: sum by (svc) (rate(x_total[5m]))\n    step: 30s\n    unit: seconds\n    labels: {rename: {svc: service}, keep: [service]}\n    detect:\n      - {method: zscore, threshold: 4}\n";

    #[test]
    fn a_rule_names_its_metric_and_how_it_is_judged() {
        let rule = parse(GOOD, "r.yaml").unwrap().remove(0);
        assert_eq!((rule.step, rule.unit, rule.place.to_string().as_str()), (Span::from_secs(30), Unit::Seconds, "r.yaml:2"));
        let judged = &rule.detect[0];
        assert_eq!((judged.name.as_str(), judged.metric.as_str(), judged.unit), ("latency_p95_zscore", "latency_p95", Unit::Seconds));
    }

    #[test]
    fn labels_are_renamed_then_kept() {
        let labels = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect::<Labels>();
        let from = labels(&[("__name__", "x"), ("svc", "iris"), ("service", "scraper"), ("pod", "p"), ("empty", "")]);
        let map: LabelMap = serde_saphyr::from_str("rename: {svc: service}\nkeep: [service, pool]").unwrap();
        assert_eq!(map.apply(&from), labels(&[("service", "iris")]));
        assert_eq!(LabelMap::default().apply(&from), labels(&[("svc", "iris"), ("service", "scraper"), ("pod", "p")]));
    }

    #[test]
    fn mistakes_are_shown_where_they_are() {
        let cases = [
            ("rules:\n  - name: a\n    expr: sum(rate(x[5m])\n", 3, "this is not PromQL"),
            ("rules:\n  - name: a\n    expr: x[5m]\n", 3, "put it into rate()"),
            ("rules:\n  - name: 9a\n    expr: x\n", 2, "is no metric name"),
            ("rules:\n  - name: a\n    expr: x\n    stepp: 60s\n", 4, "unknown key \"stepp\"; did you mean step?"),
            ("rules:\n  - name: a\n    expr: x\n    step: 5 parsecs\n", 4, "5 parsecs"),
            ("rules:\n  - name: a\n    expr: x\n    detect:\n      - {method: zcore}\n", 5, "did you mean zscore?"),
            (
                "rules:\n  - name: a\n    expr: x\n    detect:\n      - {method: zscore}\n      - {method: zscore}\n",
                6,
                "give one of them another",
            ),
            ("rules: 7\n", 1, ""),
        ];
        for (text, expected, words) in cases {
            match parse(text, "r.yaml").unwrap_err() {
                RulesError::Wrong { line, message, .. } => {
                    assert!(line == expected && message.contains(words), "{text}: line {line}: {message}")
                }
                other => panic!("{other}"),
            }
        }
    }

    #[test]
    fn one_metric_is_judged_in_one_way() {
        let rules = |a: &str, b: &str| [parse(a, "a.yaml").unwrap(), parse(b, "b.yaml").unwrap()].concat();
        let silent = "rules: [{name: latency_p95, expr: y, unit: seconds}]";
        assert_eq!(detection(&rules(silent, GOOD)).unwrap().len(), 1);
        assert_eq!(detection(&rules(GOOD, GOOD)).unwrap().len(), 1);
        let other = "rules: [{name: latency_p95, expr: y, unit: seconds, detect: [{method: zscore, threshold: 5}]}]";
        assert_eq!(
            detection(&rules(GOOD, other)).unwrap_err().to_string(),
            "b.yaml:1:1: latency_p95 has another way of judging at a.yaml:2"
        );
        assert!(detection(&rules(GOOD, "rules: [{name: latency_p95, expr: y}]")).is_err());
    }

    #[test]
    fn folders_hold_files_of_rules() {
        let dir = tempfile::tempdir().unwrap();
        for (name, metric) in [("b.yaml", "b"), ("a.yml", "a")] {
            std::fs::write(dir.path().join(name), format!("rules: [{{name: {metric}, expr: up}}]")).unwrap();
        }
        std::fs::write(dir.path().join("notes.txt"), "none").unwrap();
        let rules = load(&[dir.path().to_owned()]).unwrap();
        assert_eq!(rules.iter().map(|r| r.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert!(matches!(load(&[dir.path().join("none.yaml")]).unwrap_err(), RulesError::Read { .. }));
    }
}
