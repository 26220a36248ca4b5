//! Blueprints: what a service declares about its bounds, and who may do what to it.
//!
//! A file is read into a [`Draft`] (`draft`), merged with the global rules into a [`Blueprint`] (`merge`, `authority`)
//! and checked as a whole (`validate`). Nothing of a blueprint is text once it is loaded: `70%`, `< 200ms` and `60s` are
//! quantities, operation names are [`Operation`]s, conditions are compiled.

mod authority;
mod draft;
mod merge;
mod validate;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use bellwether_model::digest::{CanonicalError, Digest};
use bellwether_model::id::{CheckName, ServiceName};
use bellwether_model::playbook::Operation;
use bellwether_model::time::Span;
use bellwether_model::unit::{Bytes, MilliCpu, Ratio, Replicas, Threshold};
use serde::{Deserialize, Serialize};

pub(crate) use self::authority::NEVER;
pub use self::authority::{CONDITION_VARIABLES, Placement};
pub use self::draft::{CRD_API_VERSION, Draft};

use crate::condition::Condition;
use crate::yaml::Place;

/// A service's declared bounds and authority, with the global rules merged in.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Blueprint {
    /// What it is called, and how much it matters.
    pub metadata: Metadata,
    /// The bounds.
    pub spec: Spec,
    /// Who may do what.
    pub governance: Authority,
    /// How success is measured.
    pub verification: Verification,
    /// Waits and limits.
    pub safety: Safety,
    /// Where each value was written, by its path such as `spec.scaling.max_replicas`. Values that are defaults are not
    /// in it. No part of the digest.
    #[serde(skip)]
    pub places: Places,
}

impl Blueprint {
    /// SHA-256 of the merged content: equal files with equal global rules have equal digests, wherever they lie.
    pub fn digest(&self) -> Result<Digest, CanonicalError> {
        Digest::of(self)
    }
}

/// Where values were written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// The service's own file.
    pub file: String,
    /// By path.
    pub by_path: BTreeMap<String, Place>,
}

impl Places {
    /// Where the value of this path was written; the whole file when it is a default.
    pub fn get(&self, path: &str) -> Place {
        self.by_path.get(path).cloned().unwrap_or_else(|| Place::whole(&self.file))
    }
    /// Where the first of these paths that was written at all was written.
    pub fn first(&self, paths: &[&str]) -> Place {
        paths.iter().find_map(|p| self.by_path.get(*p).cloned()).unwrap_or_else(|| Place::whole(&self.file))
    }
}

/// What a blueprint is called, and how much its service matters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Metadata {
    /// Its name.
    pub name: ServiceName,
    /// Its version, any text.
    pub version: String,
    /// Default `medium`.
    pub priority: Priority,
    /// Default `standard`.
    pub criticality: Criticality,
}

/// Who wins when services compete. Ordered: `Low < Medium < High`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// Yields to all others.
    Low,
    /// The default.
    #[default]
    Medium,
    /// Goes first.
    High,
}

/// How bad an outage is. Ordered: `Standard < Critical`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Criticality {
    /// The default.
    #[default]
    Standard,
    /// Users feel it at once.
    Critical,
}

/// The bounds of a service.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Spec {
    /// Of its size.
    pub scaling: Scaling,
    /// Of one replica.
    pub resources: Resources,
    /// Of its behaviour.
    pub performance: Performance,
}

/// Bounds of size: replicas of an endpoint, GPUs of a pool.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Scaling {
    /// Default 2.
    pub min_replicas: Replicas,
    /// Default 10.
    pub max_replicas: Replicas,
    /// The weighted utilisation that scaling aims at; default 70 %.
    pub target_cpu_utilization: Ratio,
    /// Above it more replicas are wanted; default 80 %.
    pub scale_up_threshold: Ratio,
    /// Below it fewer are; default 40 %.
    pub scale_down_threshold: Ratio,
    /// How utilisation is weighted; default CPU 0.5, memory 0.3, latency 0.2.
    pub weights: Weights,
}

/// What each input counts in the weighted utilisation. Only the proportions matter.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Weights {
    /// Of CPU use; default 0.5.
    pub cpu: f64,
    /// Of memory use; default 0.3.
    pub memory: f64,
    /// Of latency relative to its target; default 0.2.
    pub latency: f64,
}

/// Bounds of one replica.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Resources {
    /// Default 100m to 1000m, aiming at 500m.
    pub cpu: Range<MilliCpu>,
    /// Default 128Mi to 2Gi, aiming at 512Mi.
    pub memory: Range<Bytes>,
}

/// A quantity with its bounds; `min <= target <= max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Range<T> {
    /// Least.
    pub min: T,
    /// Most.
    pub max: T,
    /// Wanted.
    pub target: T,
}

/// Bounds of behaviour.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Performance {
    /// Default 200 ms.
    pub latency_target_p95: Span,
    /// Default 1 %.
    pub error_rate_threshold: Ratio,
}

/// Who may do what: an operation that no list names is forbidden.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Authority {
    /// May run; without a person only where the playbook says so too.
    pub allowed_operations: BTreeSet<Operation>,
    /// Need a person.
    pub requires_approval: Vec<ApprovalRule>,
    /// Never run.
    pub forbidden_operations: BTreeSet<Operation>,
}

/// An operation that needs a person, always or under a condition.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ApprovalRule {
    /// The operation.
    pub operation: Operation,
    /// When it needs a person; always when there is no condition. A condition that fails to evaluate counts as true.
    pub condition: Option<Condition>,
    /// Who is asked.
    pub approvers: Vec<String>,
}

/// How success is measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verification {
    /// Whether anything is measured; default true.
    pub enabled: bool,
    /// How long to wait before measuring; default 60 s.
    pub stabilization_period: Span,
    /// What is measured. Default: `latency_p95` and `error_rate` against the bounds of [`Performance`], both critical
    /// and both triggering rollback.
    pub checks: Vec<Check>,
    /// What follows a failure.
    pub rollback: Rollback,
}

/// A named measurement and its bound.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Check {
    /// Its name, which `checks.yaml` maps to a query.
    pub name: CheckName,
    /// How it judges.
    #[serde(rename = "type")]
    pub kind: CheckKind,
    /// The bound.
    pub target: Threshold,
    /// Whether its failure is critical; default false.
    pub critical: bool,
    /// Whether its failure triggers rollback; default false.
    pub rollback_trigger: bool,
}

/// How a check judges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckKind {
    /// Against a fixed bound.
    #[default]
    Threshold,
}

/// What follows a failed check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Rollback {
    /// Whether anything is undone; default true.
    pub enabled: bool,
    /// Whether it is undone without asking; default true.
    pub automatic: bool,
    /// Whether every critical check triggers it, whatever its own `rollback_trigger` says; default true.
    pub trigger_on_critical_failure: bool,
}

/// Waits and limits of a service: an optional section.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Safety {
    /// Least time between two operations; default 60 s.
    pub cooldown: Span,
    /// Most operations in any hour; default 10.
    pub max_operations_per_hour: u32,
    /// Failures in a row that open the breaker; default 3.
    pub breaker_failures: u32,
    /// How long an open breaker waits before it lets one operation through to try; default 10 min.
    pub breaker_probe_after: Span,
    /// Recommendation score, 0 to 1, below which a person must approve; default 0.5.
    pub min_confidence: f64,
    /// Most objects that one plan may change; default 3.
    pub max_objects: u32,
}

impl Default for Safety {
    fn default() -> Self {
        Self {
            cooldown: Span::from_secs(60),
            max_operations_per_hour: 10,
            breaker_failures: 3,
            breaker_probe_after: Span::from_mins(10),
            min_confidence: 0.5,
            max_objects: 3,
        }
    }
}
