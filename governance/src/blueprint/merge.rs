//! Merging the global rules into a service's blueprint: a service may tighten, never loosen.
//!
//! For each value, what the service wrote counts; else the strictest that a global file wrote; else the default. Where a
//! value has a stricter side, a service that wrote a looser one than any global file is refused, naming both places.

use std::fmt::Display;

use bellwether_model::id::{CheckName, ServiceName};
use bellwether_model::time::Span;
use bellwether_model::unit::{Bytes, Comparison, MilliCpu, Ratio, Replicas, Threshold};
use serde_saphyr::Spanned;

use super::draft::{
    Draft, Raw, RawCheck, RawPerformance, RawRange, RawResources, RawRollback, RawSafety, RawScaling, RawVerification, RawWeights,
};
use super::{
    Blueprint, Check, CheckKind, Metadata, Performance, Places, Range, Resources, Rollback, Safety, Scaling, Spec, Verification, Weights,
};
use crate::yaml::{LoadError, LoadErrors, Place};

impl Blueprint {
    /// The service's blueprint under these global rules.
    ///
    /// # Errors
    /// Every value that contradicts another, is out of its range, or is looser than a global rule, each with its place.
    pub fn build(global: &[Draft], own: &Draft) -> Result<Self, LoadErrors> {
        let mut picker = Picker { global, own, places: Places { file: own.file.clone(), ..Places::default() }, errors: Vec::new() };
        let Some(metadata) = picker.metadata() else {
            return Err(LoadError::new(Place { file: own.file.clone(), line: 1, column: 1 }, "metadata is missing")
                .hint("metadata: {name: my-service, version: 1.0.0}")
                .into());
        };
        let spec = picker.spec();
        let governance = picker.authority();
        let verification = picker.verification(&spec.performance);
        let safety = picker.safety();
        let Picker { places, mut errors, .. } = picker;
        let blueprint = Self { metadata, spec, governance, verification, safety, places };
        errors.extend(super::validate::problems(&blueprint));
        LoadErrors::check(errors)?;
        Ok(blueprint)
    }
}

/// Which side of a value is stricter.
#[derive(Clone, Copy, PartialEq)]
enum Stricter {
    Lower,
    Higher,
    Neither,
}

pub(super) struct Picker<'a> {
    pub(super) global: &'a [Draft],
    pub(super) own: &'a Draft,
    pub(super) places: Places,
    pub(super) errors: Vec<LoadError>,
}

impl Picker<'_> {
    fn pick<T: PartialOrd + Clone + Display>(
        &mut self,
        path: &str,
        stricter: Stricter,
        default: T,
        get: impl Fn(&Raw) -> Option<&Spanned<T>>,
    ) -> T {
        let looser = |a: &T, b: &T| match stricter {
            Stricter::Lower => a > b,
            Stricter::Higher => a < b,
            Stricter::Neither => false,
        };
        let mut strictest: Option<(&T, Place)> = None;
        for draft in self.global {
            if let Some(written) = get(&draft.raw)
                && strictest.as_ref().is_none_or(|(value, _)| looser(value, &written.value))
            {
                strictest = Some((&written.value, draft.place(written)));
            }
        }
        let own = get(&self.own.raw).map(|written| (&written.value, self.own.place(written)));
        if let (Some((mine, here)), Some((rule, there))) = (&own, &strictest)
            && looser(mine, rule)
        {
            let name = path.rsplit('.').next().unwrap_or(path);
            let side = if stricter == Stricter::Lower { "at most" } else { "at least" };
            let message = format!("{name} ({mine}) loosens the global rule of {there}: it must be {side} {rule}");
            self.errors.push(LoadError::new(here.clone(), message).hint("a service may tighten a global rule, never loosen it"));
        }
        match own.or(strictest) {
            Some((value, place)) => {
                self.places.by_path.insert(path.to_owned(), place);
                value.clone()
            }
            None => default,
        }
    }

    fn metadata(&mut self) -> Option<Metadata> {
        let raw = self.own.raw.metadata.as_ref()?;
        let mut note = |name: &str, place: Place| self.places.by_path.insert(format!("metadata.{name}"), place);
        note("name", self.own.place(&raw.name));
        note("version", self.own.place(&raw.version));
        if let Some(p) = &raw.priority {
            note("priority", self.own.place(p));
        }
        if let Some(c) = &raw.criticality {
            note("criticality", self.own.place(c));
        }
        Some(Metadata {
            name: ServiceName::new(&raw.name.value),
            version: raw.version.value.clone(),
            priority: raw.priority.as_ref().and_then(|p| p.value.0).unwrap_or_default(),
            criticality: raw.criticality.as_ref().and_then(|c| c.value.0).unwrap_or_default(),
        })
    }

    fn spec(&mut self) -> Spec {
        fn scaling(raw: &Raw) -> Option<&RawScaling> {
            raw.spec.as_ref()?.scaling.as_ref()
        }
        fn weights(raw: &Raw) -> Option<&RawWeights> {
            scaling(raw)?.weights.as_ref()
        }
        fn resources(raw: &Raw) -> Option<&RawResources> {
            raw.spec.as_ref()?.resources.as_ref()
        }
        fn cpu(raw: &Raw) -> Option<&RawRange<MilliCpu>> {
            resources(raw)?.cpu.as_ref()
        }
        fn memory(raw: &Raw) -> Option<&RawRange<Bytes>> {
            resources(raw)?.memory.as_ref()
        }
        fn performance(raw: &Raw) -> Option<&RawPerformance> {
            raw.spec.as_ref()?.performance.as_ref()
        }
        use Stricter::{Higher, Lower, Neither};
        Spec {
            scaling: Scaling {
                min_replicas: self.pick("spec.scaling.min_replicas", Higher, Replicas(2), |r| scaling(r)?.min_replicas.as_ref()),
                max_replicas: self.pick("spec.scaling.max_replicas", Lower, Replicas(10), |r| scaling(r)?.max_replicas.as_ref()),
                target_cpu_utilization: self
                    .pick("spec.scaling.target_cpu_utilization", Neither, Ratio(0.7), |r| scaling(r)?.target_cpu_utilization.as_ref()),
                scale_up_threshold: self
                    .pick("spec.scaling.scale_up_threshold", Neither, Ratio(0.8), |r| scaling(r)?.scale_up_threshold.as_ref()),
                scale_down_threshold: self
                    .pick("spec.scaling.scale_down_threshold", Neither, Ratio(0.4), |r| scaling(r)?.scale_down_threshold.as_ref()),
                weights: Weights {
                    cpu: self.pick("spec.scaling.weights.cpu", Neither, 0.5, |r| weights(r)?.cpu.as_ref()),
                    memory: self.pick("spec.scaling.weights.memory", Neither, 0.3, |r| weights(r)?.memory.as_ref()),
                    latency: self.pick("spec.scaling.weights.latency", Neither, 0.2, |r| weights(r)?.latency.as_ref()),
                },
            },
            resources: Resources {
                cpu: Range {
                    min: self.pick("spec.resources.cpu.min", Higher, MilliCpu(100), |r| cpu(r)?.min.as_ref()),
                    max: self.pick("spec.resources.cpu.max", Lower, MilliCpu(1_000), |r| cpu(r)?.max.as_ref()),
                    target: self.pick("spec.resources.cpu.target", Neither, MilliCpu(500), |r| cpu(r)?.target.as_ref()),
                },
                memory: Range {
                    min: self.pick("spec.resources.memory.min", Higher, Bytes(128 << 20), |r| memory(r)?.min.as_ref()),
                    max: self.pick("spec.resources.memory.max", Lower, Bytes(2 << 30), |r| memory(r)?.max.as_ref()),
                    target: self.pick("spec.resources.memory.target", Neither, Bytes(512 << 20), |r| memory(r)?.target.as_ref()),
                },
            },
            performance: Performance {
                latency_target_p95: self.pick("spec.performance.latency_target_p95", Lower, Span::from_micros(200_000), |r| {
                    performance(r)?.latency_target_p95.as_ref()
                }),
                error_rate_threshold: self
                    .pick("spec.performance.error_rate_threshold", Lower, Ratio(0.01), |r| performance(r)?.error_rate_threshold.as_ref()),
            },
        }
    }

    fn verification(&mut self, performance: &Performance) -> Verification {
        fn verification(raw: &Raw) -> Option<&RawVerification> {
            raw.verification.as_ref()
        }
        fn rollback(raw: &Raw) -> Option<&RawRollback> {
            verification(raw)?.rollback.as_ref()
        }
        use Stricter::Higher;
        Verification {
            enabled: self.pick("verification.enabled", Higher, true, |r| verification(r)?.enabled.as_ref()),
            stabilization_period: self
                .pick("verification.stabilization_period", Higher, Span::from_secs(60), |r| verification(r)?.stabilization_period.as_ref()),
            checks: self.checks(performance),
            rollback: Rollback {
                enabled: self.pick("verification.rollback.enabled", Higher, true, |r| rollback(r)?.enabled.as_ref()),
                automatic: self.pick("verification.rollback.automatic", Higher, true, |r| rollback(r)?.automatic.as_ref()),
                trigger_on_critical_failure: self.pick("verification.rollback.trigger_on_critical_failure", Higher, true, |r| {
                    rollback(r)?.trigger_on_critical_failure.as_ref()
                }),
            },
        }
    }

    /// The checks of every global file and the service's own, by name; the service's count where both have one.
    fn checks(&mut self, performance: &Performance) -> Vec<Check> {
        let list = |draft: &'_ Draft| draft.raw.verification.as_ref().and_then(|v| v.checks.as_ref()).map(|c| c.value.clone());
        let mut found: Vec<(Check, Place)> = Vec::new();
        let mut written = false;
        for draft in self.global.iter().chain([self.own]) {
            let Some(checks) = list(draft) else { continue };
            written = true;
            for (i, raw) in checks.iter().enumerate() {
                let place = draft.place(&raw.target);
                if checks[..i].iter().any(|c| c.name.value == raw.name.value) {
                    self.errors.push(LoadError::new(draft.place(&raw.name), format!("check {} is listed twice", raw.name.value)));
                    continue;
                }
                let check = check_of(raw);
                match found.iter_mut().find(|(c, _)| c.name == check.name) {
                    Some((rule, there)) => {
                        if !at_least_as_strict(&check, rule) {
                            let message =
                                format!("check {} ({}) loosens the global rule of {there} ({})", check.name, check.target, rule.target);
                            self.errors
                                .push(LoadError::new(place.clone(), message).hint("a service may tighten a global rule, never loosen it"));
                        }
                        (*rule, *there) = (check, place);
                    }
                    None => found.push((check, place)),
                }
            }
        }
        if let Some(checks) = self.own.raw.verification.as_ref().and_then(|v| v.checks.as_ref()) {
            self.places.by_path.insert("verification.checks".into(), self.own.place(checks));
        }
        if !written {
            return default_checks(performance);
        }
        for (check, place) in &found {
            self.places.by_path.insert(format!("verification.checks.{}", check.name), place.clone());
        }
        found.into_iter().map(|(check, _)| check).collect()
    }

    fn safety(&mut self) -> Safety {
        fn safety(raw: &Raw) -> Option<&RawSafety> {
            raw.safety.as_ref()
        }
        use Stricter::{Higher, Lower};
        let default = Safety::default();
        Safety {
            cooldown: self.pick("safety.cooldown", Higher, default.cooldown, |r| safety(r)?.cooldown.as_ref()),
            max_operations_per_hour: self.pick("safety.max_operations_per_hour", Lower, default.max_operations_per_hour, |r| {
                safety(r)?.max_operations_per_hour.as_ref()
            }),
            breaker_failures: self
                .pick("safety.breaker_failures", Lower, default.breaker_failures, |r| safety(r)?.breaker_failures.as_ref()),
            breaker_probe_after: self
                .pick("safety.breaker_probe_after", Higher, default.breaker_probe_after, |r| safety(r)?.breaker_probe_after.as_ref()),
            min_confidence: self.pick("safety.min_confidence", Higher, default.min_confidence, |r| safety(r)?.min_confidence.as_ref()),
            max_objects: self.pick("safety.max_objects", Lower, default.max_objects, |r| safety(r)?.max_objects.as_ref()),
        }
    }
}

fn check_of(raw: &RawCheck) -> Check {
    Check {
        name: CheckName::new(&raw.name.value),
        kind: raw.kind,
        target: raw.target.value,
        critical: raw.critical,
        rollback_trigger: raw.rollback_trigger,
    }
}

fn default_checks(performance: &Performance) -> Vec<Check> {
    let below = |name: &str, bound: f64, unit| Check {
        name: name.into(),
        kind: CheckKind::Threshold,
        target: Threshold { comparison: Comparison::Below, bound, unit },
        critical: true,
        rollback_trigger: true,
    };
    vec![
        below("latency_p95", performance.latency_target_p95.secs_f64(), bellwether_model::unit::Unit::Seconds),
        below("error_rate", performance.error_rate_threshold.0, bellwether_model::unit::Unit::Ratio),
    ]
}

fn at_least_as_strict(own: &Check, rule: &Check) -> bool {
    use Comparison::{Above, AtLeast, AtMost, Below};
    let (a, b) = (own.target.bound, rule.target.bound);
    let bound = match (own.target.comparison, rule.target.comparison) {
        (Below, Below | AtMost) | (AtMost, AtMost) | (Above, Above | AtLeast) | (AtLeast, AtLeast) => {
            if matches!(own.target.comparison, Below | AtMost) { a <= b } else { a >= b }
        }
        (AtMost, Below) => a < b,
        (AtLeast, Above) => a > b,
        _ => false,
    };
    bound && own.critical >= rule.critical && own.rollback_trigger >= rule.rollback_trigger
}
