//! What each check means in PromQL, for each serving runtime: `checks.yaml`.

use std::collections::BTreeMap;

use bellwether_model::id::CheckName;
use bellwether_model::time::Span;
use bellwether_model::unit::{Threshold, Unit};
use serde::Deserialize;
use serde_saphyr::Spanned;

use crate::template::{Names, Template, TemplateError};
use crate::yaml::{self, LoadError, LoadErrors, Place, suggestion};

/// The checks that ship with Bellwether: Knative, KServe, vLLM, Triton, and GPU pools and nodes.
pub const BUILTIN: &str = include_str!("../checks.yaml");

/// Runtime under which checks of GPU pools are looked up.
pub const NODE_POOL: &str = "nodepool";
/// Runtime under which checks of nodes are looked up.
pub const NODE: &str = "node";
/// Runtime that serves where no other fits.
pub const DEFAULT: &str = "default";

/// Every check by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CheckMap {
    checks: BTreeMap<CheckName, Measurement>,
}

/// How one check is measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Measurement {
    /// The unit of what the query returns.
    pub unit: Unit,
    /// How far back a measurement looks; by default the stabilisation period, but at least one minute.
    pub window: Option<Span>,
    /// The query for each runtime.
    pub runtimes: BTreeMap<String, Template>,
    /// Where it is written.
    pub place: Place,
}

/// Why a check cannot be measured.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckError {
    /// `checks.yaml` does not have it.
    #[error("check {check} is not mapped to a query")]
    Unmapped {
        /// The check.
        check: CheckName,
        /// What is mapped.
        hint: String,
    },
    /// It has no query for any of these runtimes.
    #[error("check {check} has no query for runtime {runtime}, nor a default")]
    NoRuntime {
        /// The check.
        check: CheckName,
        /// The runtime that was wanted.
        runtime: String,
        /// The runtimes it has.
        hint: String,
    },
    /// Its query asks for a name that the object does not have.
    #[error("check {check} for runtime {runtime} needs ${variable}, which this object does not have")]
    NoName {
        /// The check.
        check: CheckName,
        /// The runtime whose query was taken.
        runtime: String,
        /// The variable.
        variable: &'static str,
    },
    /// The blueprint's bound is in another unit than the measurement.
    #[error("check {check} measures {}, but its target is in {}", in_words(*measured), in_words(*wanted))]
    Unit {
        /// The check.
        check: CheckName,
        /// The unit of the measurement.
        measured: Unit,
        /// The unit of the bound.
        wanted: Unit,
    },
}

impl CheckError {
    /// What would be right, where that can be said.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unmapped { hint, .. } | Self::NoRuntime { hint, .. } => Some(hint.clone()),
            Self::NoName { .. } => Some("give this runtime a query of its own in checks.yaml".into()),
            Self::Unit { .. } => None,
        }
    }
}

const fn in_words(unit: Unit) -> &'static str {
    match unit {
        Unit::Number => "a number",
        Unit::Seconds => "seconds",
        Unit::Ratio => "a ratio",
        Unit::Bytes => "bytes",
        Unit::PerSecond => "events a second",
        Unit::UsdPerHour => "dollars an hour",
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawMeasurement {
    unit: Unit,
    window: Option<Span>,
    runtimes: BTreeMap<String, Spanned<String>>,
}

impl CheckMap {
    /// The checks that ship with Bellwether.
    pub fn builtin() -> Self {
        Self::parse("builtin checks.yaml", BUILTIN).expect("a test reads the built-in checks")
    }

    /// Reads a `checks.yaml`.
    pub fn parse(file: &str, text: &str) -> Result<Self, LoadErrors> {
        let raw: BTreeMap<String, Spanned<RawMeasurement>> = yaml::parse(file, text)?;
        let mut errors = Vec::new();
        let mut checks = BTreeMap::new();
        for (name, measurement) in raw {
            let place = Place::of(file, &measurement);
            let mut runtimes = BTreeMap::new();
            for (runtime, template) in measurement.value.runtimes {
                let at = Place::of(file, &template);
                match Template::parse(&template.value) {
                    Ok(template) => {
                        runtimes.insert(runtime, template);
                    }
                    Err(e) => {
                        let error = LoadError::new(at, format!("{name}: {e}"));
                        errors.push(if let TemplateError::Unknown { hint, .. } = e { error.hint(hint) } else { error });
                    }
                }
            }
            if runtimes.is_empty() && errors.is_empty() {
                errors.push(LoadError::new(place.clone(), format!("{name} has no query")).hint("runtimes: {default: <PromQL>}"));
            }
            checks.insert(
                CheckName::new(name),
                Measurement { unit: measurement.value.unit, window: measurement.value.window, runtimes, place },
            );
        }
        LoadErrors::check(errors)?;
        Ok(Self { checks })
    }

    /// These checks laid over `base`: a check of both has the queries of both, and of one runtime the query of `self`.
    #[must_use]
    pub fn over(self, base: Self) -> Self {
        let mut checks = base.checks;
        for (name, mut own) in self.checks {
            if let Some(below) = checks.remove(&name) {
                for (runtime, template) in below.runtimes {
                    own.runtimes.entry(runtime).or_insert(template);
                }
            }
            checks.insert(name, own);
        }
        Self { checks }
    }

    /// The names of all checks, sorted.
    pub fn names(&self) -> impl Iterator<Item = &CheckName> + Clone {
        self.checks.keys()
    }

    /// How a check is measured.
    pub fn get(&self, check: &CheckName) -> Result<&Measurement, CheckError> {
        self.checks.get(check).ok_or_else(|| CheckError::Unmapped {
            check: check.clone(),
            hint: suggestion(check.as_str(), self.names().map(CheckName::as_str)),
        })
    }

    /// The complete query of a check for an object: from the first of `runtimes` that has one, else from `default`.
    ///
    /// `stabilization` is how long the change has had to settle; the measurement looks back that far, at least a minute,
    /// unless the check says otherwise.
    pub fn query(&self, check: &CheckName, runtimes: &[&str], names: &Names<'_>, stabilization: Span) -> Result<String, CheckError> {
        let measurement = self.get(check)?;
        let found = runtimes.iter().copied().chain([DEFAULT]).find_map(|r| measurement.runtimes.get(r).map(|t| (r, t)));
        let Some((runtime, template)) = found else {
            let runtime = runtimes.first().copied().unwrap_or(DEFAULT).to_owned();
            let hint = suggestion(&runtime, measurement.runtimes.keys().map(String::as_str));
            return Err(CheckError::NoRuntime { check: check.clone(), runtime, hint });
        };
        let window = measurement.window.unwrap_or_else(|| stabilization.max(Span::from_secs(60)));
        template.render(names, window).map_err(|variable| CheckError::NoName {
            check: check.clone(),
            runtime: runtime.to_owned(),
            variable: variable.name(),
        })
    }

    /// Whether a bound is in the unit that the check measures; a plain number fits every unit.
    pub fn fits(&self, check: &CheckName, target: &Threshold) -> Result<(), CheckError> {
        let measured = self.get(check)?.unit;
        if target.unit == Unit::Number || target.unit == measured {
            return Ok(());
        }
        Err(CheckError::Unit { check: check.clone(), measured, wanted: target.unit })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn iris() -> Names<'static> {
        Names { namespace: Some("ml"), service: Some("iris"), ..Names::default() }
    }

    fn query(check: &str, runtimes: &[&str], names: &Names<'_>) -> Result<String, CheckError> {
        CheckMap::builtin().query(&check.into(), runtimes, names, Span::from_secs(120))
    }

    #[test]
    fn the_built_in_checks_cover_runtimes_pools_and_nodes() {
        let knative = query("latency_p95", &["kserve-sklearnserver"], &iris()).unwrap();
        assert_eq!(
            knative,
            "histogram_quantile(0.95, sum by (le) (rate(kn_serving_invocation_duration_seconds_bucket{namespace=\"ml\",pod=~\"iris-predictor-.*\"}[120s])))"
        );
        assert!(query("latency_p95", &["kserve-vllmserver"], &iris()).unwrap().contains("vllm:e2e_request_latency_seconds_bucket"));
        assert!(query("error_ratio", &["kserve-tritonserver"], &iris()).unwrap().contains("nv_inference_request_failure"));
        let node = Names { node: Some("gpu-3"), pool: Some("gpu-a"), ..Names::default() };
        assert!(query("gpu_throttle_ratio", &[NODE, NODE_POOL], &node).unwrap().contains("node=\"gpu-3\""));
        assert!(query("pool_gpu_utilization", &[NODE, NODE_POOL], &node).unwrap().contains("\"gpu-a\""));
    }

    #[test]
    fn every_built_in_query_is_promql() {
        let names = Names { namespace: Some("ml"), service: Some("iris"), pool: Some("gpu-a"), node: Some("gpu-3") };
        let map = CheckMap::builtin();
        let mut parsed = 0;
        for name in map.names() {
            for runtime in map.get(name).unwrap().runtimes.keys() {
                let query = map.query(name, &[runtime], &names, Span::from_secs(300)).unwrap();
                promql_parser::parser::parse(&query).unwrap_or_else(|e| panic!("{name} for {runtime}: {e}: {query}"));
                parsed += 1;
            }
        }
        assert!(parsed > 30, "{parsed}");
    }

    #[test]
    fn what_cannot_be_measured_is_an_error_with_a_hint() {
        let unmapped = query("latency_p59", &[], &iris()).unwrap_err();
        assert_eq!(unmapped.to_string(), "check latency_p59 is not mapped to a query");
        assert!(unmapped.hint().unwrap().starts_with("did you mean latency_p95?"));
        assert!(matches!(query("pool_gpu_utilization", &["kserve-vllmserver"], &iris()), Err(CheckError::NoRuntime { .. })));
        let pool = Names { pool: Some("gpu-a"), ..Names::default() };
        assert!(matches!(query("latency_p95", &[NODE_POOL], &pool), Err(CheckError::NoName { variable: "namespace", .. })));
        let map = CheckMap::builtin();
        assert!(map.fits(&"latency_p95".into(), &"< 200ms".parse().unwrap()).is_ok());
        assert!(map.fits(&"latency_p95".into(), &"< 0.2".parse().unwrap()).is_ok());
        assert!(matches!(map.fits(&"latency_p95".into(), &"< 1%".parse().unwrap()), Err(CheckError::Unit { .. })));
    }

    #[test]
    fn a_file_adds_to_the_built_in_checks_and_wins() {
        let own = CheckMap::parse("checks.yaml", "latency_p95: {unit: seconds, window: 15s, runtimes: {default: 'up{a=\"$service\"}[$window]'}}\nmine: {unit: number, runtimes: {default: vector(1)}}").unwrap();
        let map = own.over(CheckMap::builtin());
        let query = |check: &str, runtime: &str| map.query(&check.into(), &[runtime], &iris(), Span::from_secs(60)).unwrap();
        assert_eq!(query("latency_p95", ""), "up{a=\"iris\"}[15s]");
        assert!(query("latency_p95", "kserve-vllmserver").contains("vllm"));
        assert_eq!(query("mine", ""), "vector(1)");
        let wrong = CheckMap::parse("checks.yaml", "a:\n  unit: number\n  runtimes:\n    default: up{a=\"$servce\"}").unwrap_err();
        assert!(
            wrong.to_string().starts_with("checks.yaml:4:14: a: $servce is not a variable of checks\nhint: did you mean service?"),
            "{wrong}"
        );
        assert!(CheckMap::parse("checks.yaml", "a: {unit: parsecs, runtimes: {}}").is_err());
    }
}
