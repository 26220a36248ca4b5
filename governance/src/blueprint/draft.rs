//! A blueprint file as it was written: every value optional, every value with its place.

use bellwether_model::playbook::Operation;
use bellwether_model::time::Span;
use bellwether_model::unit::{Bytes, MilliCpu, Ratio, Replicas, Threshold};
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use serde_saphyr::Spanned;

use super::{CheckKind, Criticality, Priority};
use crate::yaml::{self, LoadError, Place};

/// `apiVersion` of a blueprint that is a Kubernetes object; its `kind` is `Blueprint`.
pub const CRD_API_VERSION: &str = "bellwether.dev/v1alpha1";

/// A blueprint file, read but not yet merged: a service's own, or one of the global rules.
#[derive(Clone, Debug)]
pub struct Draft {
    pub(super) file: String,
    pub(super) raw: Raw,
}

impl Draft {
    /// Reads a file, which may be the plain form, or a Kubernetes object (`apiVersion`, `kind: Blueprint`) whose `spec`
    /// holds the plain form. `file` is only a name for messages.
    pub fn parse(file: &str, text: &str) -> Result<Self, LoadError> {
        let envelope: Envelope = yaml::parse(file, text)?;
        let raw =
            if envelope.api_version.is_some() || envelope.kind.is_some() { parse_object(file, text)? } else { yaml::parse(file, text)? };
        Ok(Self { file: file.to_owned(), raw })
    }

    /// The name of the file.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The name under `metadata`, where there is one.
    pub fn name(&self) -> Option<&str> {
        Some(self.raw.metadata.as_ref()?.name.value.as_str())
    }

    pub(super) fn place<T>(&self, value: &Spanned<T>) -> Place {
        Place::of(&self.file, value)
    }
}

fn parse_object(file: &str, text: &str) -> Result<Raw, LoadError> {
    let object: RawObject = yaml::parse(file, text)?;
    if object.kind.value != "Blueprint" {
        return Err(LoadError::new(Place::of(file, &object.kind), format!("kind {:?} is not Blueprint", object.kind.value)));
    }
    if object.api_version.value != CRD_API_VERSION {
        let place = Place::of(file, &object.api_version);
        return Err(LoadError::new(place, format!("apiVersion {:?} is not {CRD_API_VERSION}", object.api_version.value)));
    }
    if let Some(inner) = object.spec.metadata.as_ref().map(|m| &m.name)
        && inner.value != object.metadata.name.value
    {
        let message = format!("spec.metadata.name {:?} is not the object's name {:?}", inner.value, object.metadata.name.value);
        return Err(LoadError::new(Place::of(file, inner), message));
    }
    Ok(object.spec)
}

#[derive(Deserialize)]
struct Envelope {
    #[serde(rename = "apiVersion")]
    api_version: Option<IgnoredAny>,
    kind: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawObject {
    #[serde(rename = "apiVersion")]
    api_version: Spanned<String>,
    kind: Spanned<String>,
    metadata: RawObjectMeta,
    spec: Raw,
    #[serde(rename = "status")]
    _status: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct RawObjectMeta {
    name: Spanned<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    pub metadata: Option<RawMetadata>,
    pub spec: Option<RawSpec>,
    pub governance: Option<RawGovernance>,
    pub verification: Option<RawVerification>,
    pub safety: Option<RawSafety>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawMetadata {
    pub name: Spanned<String>,
    pub version: Spanned<String>,
    pub priority: Option<Spanned<Choice<Priority>>>,
    pub criticality: Option<Spanned<Choice<Criticality>>>,
}

/// One word, or a list such as `high | medium | low` that a template still holds: then nothing was chosen.
#[derive(Clone, Debug)]
pub(super) struct Choice<T>(pub Option<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Choice<T> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        let word = |w: &str| T::deserialize(serde::de::value::StringDeserializer::<D::Error>::new(w.trim().to_owned()));
        if text.contains('|') {
            text.split('|').try_for_each(|w| word(w).map(drop))?;
            return Ok(Self(None));
        }
        word(&text).map(|w| Self(Some(w)))
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSpec {
    pub scaling: Option<RawScaling>,
    pub resources: Option<RawResources>,
    pub performance: Option<RawPerformance>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawScaling {
    pub min_replicas: Option<Spanned<Replicas>>,
    pub max_replicas: Option<Spanned<Replicas>>,
    pub target_cpu_utilization: Option<Spanned<Ratio>>,
    pub scale_up_threshold: Option<Spanned<Ratio>>,
    pub scale_down_threshold: Option<Spanned<Ratio>>,
    pub weights: Option<RawWeights>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawWeights {
    pub cpu: Option<Spanned<f64>>,
    pub memory: Option<Spanned<f64>>,
    pub latency: Option<Spanned<f64>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawResources {
    pub cpu: Option<RawRange<MilliCpu>>,
    pub memory: Option<RawRange<Bytes>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, bound(deserialize = "T: Deserialize<'de>"))]
pub(super) struct RawRange<T> {
    pub min: Option<Spanned<T>>,
    pub max: Option<Spanned<T>>,
    pub target: Option<Spanned<T>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPerformance {
    pub latency_target_p95: Option<Spanned<Span>>,
    pub error_rate_threshold: Option<Spanned<Ratio>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawGovernance {
    pub agent_authority: Option<RawAuthority>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAuthority {
    #[serde(default)]
    pub allowed_operations: Vec<Spanned<Operation>>,
    #[serde(default)]
    pub requires_approval: Vec<RawApprovalRule>,
    #[serde(default)]
    pub forbidden_operations: Vec<Spanned<Operation>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawApprovalRule {
    pub operation: Spanned<Operation>,
    pub condition: Option<Spanned<String>>,
    #[serde(default)]
    pub approvers: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawVerification {
    pub enabled: Option<Spanned<bool>>,
    pub stabilization_period: Option<Spanned<Span>>,
    pub checks: Option<Spanned<Vec<RawCheck>>>,
    pub rollback: Option<RawRollback>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCheck {
    pub name: Spanned<String>,
    #[serde(rename = "type", default)]
    pub kind: CheckKind,
    pub target: Spanned<Threshold>,
    #[serde(default)]
    pub critical: bool,
    #[serde(default)]
    pub rollback_trigger: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRollback {
    pub enabled: Option<Spanned<bool>>,
    pub automatic: Option<Spanned<bool>>,
    pub trigger_on_critical_failure: Option<Spanned<bool>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSafety {
    pub cooldown: Option<Spanned<Span>>,
    pub max_operations_per_hour: Option<Spanned<u32>>,
    pub breaker_failures: Option<Spanned<u32>>,
    pub breaker_probe_after: Option<Spanned<Span>>,
    pub min_confidence: Option<Spanned<f64>>,
    pub max_objects: Option<Spanned<u32>>,
}
