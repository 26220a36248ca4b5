//! Whether a blueprint can be satisfied: bounds in order, shares between nothing and one, something to measure.

use std::fmt::Display;

use super::{Blueprint, Range};
use crate::yaml::LoadError;

/// Everything that contradicts itself in a merged blueprint.
pub(super) fn problems(blueprint: &Blueprint) -> Vec<LoadError> {
    let mut found = Vec::new();
    scaling(blueprint, &mut found);
    range(blueprint, "spec.resources.cpu", &blueprint.spec.resources.cpu, &mut found);
    range(blueprint, "spec.resources.memory", &blueprint.spec.resources.memory, &mut found);
    performance(blueprint, &mut found);
    verification(blueprint, &mut found);
    safety(blueprint, &mut found);
    if blueprint.metadata.name.as_str().trim().is_empty() {
        found.push(LoadError::new(blueprint.places.get("metadata.name"), "name is empty"));
    }
    found
}

fn scaling(blueprint: &Blueprint, found: &mut Vec<LoadError>) {
    let s = &blueprint.spec.scaling;
    let at = |names: &[&str]| {
        blueprint
            .places
            .first(&names.iter().map(|n| format!("spec.scaling.{n}")).collect::<Vec<_>>().iter().map(String::as_str).collect::<Vec<_>>())
    };
    if s.max_replicas.0 == 0 {
        found.push(LoadError::new(at(&["max_replicas"]), "max_replicas must be at least 1"));
    }
    if s.min_replicas > s.max_replicas {
        let message = format!("min_replicas ({}) must not be above max_replicas ({})", s.min_replicas, s.max_replicas);
        found.push(LoadError::new(at(&["min_replicas", "max_replicas"]), message).hint("the defaults are 2 and 10"));
    }
    let mut shares = true;
    for (name, value) in [
        ("target_cpu_utilization", s.target_cpu_utilization),
        ("scale_up_threshold", s.scale_up_threshold),
        ("scale_down_threshold", s.scale_down_threshold),
    ] {
        if value.0 <= 0.0 || value.0 > 1.0 {
            shares = false;
            let error = LoadError::new(at(&[name]), format!("{name} ({value}) must be above 0% and at most 100%"));
            found.push(if value.0 > 1.0 && value.0 <= 100.0 { error.hint(format!("write it with its sign: {}%", value.0)) } else { error });
        }
    }
    if shares && s.scale_up_threshold <= s.scale_down_threshold {
        let message =
            format!("scale_up_threshold ({}) must be above scale_down_threshold ({})", s.scale_up_threshold, s.scale_down_threshold);
        found.push(LoadError::new(at(&["scale_up_threshold", "scale_down_threshold"]), message).hint("the defaults are 80% and 40%"));
    } else if shares && !(s.scale_down_threshold < s.target_cpu_utilization && s.target_cpu_utilization <= s.scale_up_threshold) {
        let message = format!(
            "target_cpu_utilization ({}) must lie between scale_down_threshold ({}) and scale_up_threshold ({})",
            s.target_cpu_utilization, s.scale_down_threshold, s.scale_up_threshold
        );
        found.push(
            LoadError::new(at(&["target_cpu_utilization", "scale_up_threshold", "scale_down_threshold"]), message)
                .hint("the default is 70%"),
        );
    }
    let w = &s.weights;
    let sum = w.cpu + w.memory + w.latency;
    if [w.cpu, w.memory, w.latency].iter().any(|x| !x.is_finite() || *x < 0.0) || !sum.is_finite() || sum <= 0.0 {
        let message = format!("weights (cpu {}, memory {}, latency {}) must not be negative, nor all zero", w.cpu, w.memory, w.latency);
        found.push(LoadError::new(at(&["weights.cpu", "weights.memory", "weights.latency"]), message));
    }
}

fn range<T: PartialOrd + Display>(blueprint: &Blueprint, path: &str, range: &Range<T>, found: &mut Vec<LoadError>) {
    let at = |name: &str| format!("{path}.{name}");
    let name = path.rsplit('.').next().unwrap_or(path);
    if range.min > range.max {
        let place = blueprint.places.first(&[&at("min"), &at("max")]);
        found.push(LoadError::new(place, format!("{name}.min ({}) must not be above {name}.max ({})", range.min, range.max)));
    } else if range.target < range.min || range.target > range.max {
        let place = blueprint.places.first(&[&at("target"), &at("max"), &at("min")]);
        let message =
            format!("{name}.target ({}) must lie between {name}.min ({}) and {name}.max ({})", range.target, range.min, range.max);
        found.push(LoadError::new(place, message));
    }
}

fn performance(blueprint: &Blueprint, found: &mut Vec<LoadError>) {
    let p = &blueprint.spec.performance;
    if p.latency_target_p95.micros() == 0 {
        found.push(LoadError::new(blueprint.places.get("spec.performance.latency_target_p95"), "latency_target_p95 must be above 0s"));
    }
    if p.error_rate_threshold.0 <= 0.0 || p.error_rate_threshold.0 > 1.0 {
        let place = blueprint.places.get("spec.performance.error_rate_threshold");
        found.push(LoadError::new(place, format!("error_rate_threshold ({}) must be above 0% and at most 100%", p.error_rate_threshold)));
    }
}

fn verification(blueprint: &Blueprint, found: &mut Vec<LoadError>) {
    let v = &blueprint.verification;
    if v.enabled && v.checks.is_empty() {
        let place = blueprint.places.get("verification.checks");
        found.push(LoadError::new(place, "verification is enabled but has no checks").hint("list a check, or write enabled: false"));
    }
}

fn safety(blueprint: &Blueprint, found: &mut Vec<LoadError>) {
    let s = &blueprint.safety;
    for (name, value) in
        [("max_operations_per_hour", s.max_operations_per_hour), ("breaker_failures", s.breaker_failures), ("max_objects", s.max_objects)]
    {
        if value == 0 {
            let error = LoadError::new(blueprint.places.get(&format!("safety.{name}")), format!("{name} must be at least 1"));
            found.push(error.hint("to permit nothing, list the operations under forbidden_operations"));
        }
    }
    if !(0.0..=1.0).contains(&s.min_confidence) {
        let message = format!("min_confidence ({}) must be between 0 and 1", s.min_confidence);
        found.push(LoadError::new(blueprint.places.get("safety.min_confidence"), message));
    }
}
