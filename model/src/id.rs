//! Typed identities. No bare string id crosses a crate.
//!
//! Ids of things Bellwether concludes are hashes of their content, so that a repeated round writes the same ids.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;

macro_rules! text_id {
    ($(#[$doc:meta] $name:ident $prefix:literal;)*) => {$(
        #[$doc]
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Takes the id as it is written elsewhere.
            pub fn new(id: impl Into<String>) -> Self {
                Self(id.into())
            }
            /// The id of the thing that these parts describe: the same parts always give the same id.
            pub fn of(parts: &[&str]) -> Self {
                Self(format!(concat!($prefix, "{}"), Digest::of_parts(parts).short()))
            }
            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(id: &str) -> Self {
                Self(id.to_owned())
            }
        }
    )*};
}

text_id! {
    /// One deviation of one series or column, from open to close.
    SignalId "sig-";
    /// What deviates and by which rule, without the time: equal for every signal of the same series and rule.
    Fingerprint "fp-";
    /// Signals that belong together.
    IncidentId "inc-";
    /// One recommendation for one incident in one round.
    RecommendationId "rec-";
    /// A playbook bound to live objects.
    PlanId "plan-";
    /// What governance said of a plan.
    DecisionId "dec-";
    /// One execution of a plan.
    ExecutionId "exe-";
    /// One round of judging.
    RoundId "rnd-";
    /// A rule: how one metric is asked for and judged.
    RuleName "rule-";
    /// A signed list of typed actions.
    PlaybookId "pb-";
    /// A past run of a workflow.
    RunId "run-";
    /// A blueprint's service.
    ServiceName "svc-";
    /// A GPU pool.
    PoolName "pool-";
    /// A node of a pool.
    NodeName "node-";
    /// A named measurement, such as `latency_p95`.
    CheckName "check-";
    /// Who did or approved something: the subject of a token.
    Actor "actor-";
}

/// The 64-bit identity of a series: xxh3 of its metric name and sorted labels, kept as a signed integer because Delta
/// has no unsigned ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SeriesId(pub i64);

impl fmt::Display for SeriesId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0 as u64)
    }
}

/// A model endpoint: a namespace and the name of its InferenceService. Text form `namespace/name`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointId {
    /// Kubernetes namespace.
    pub namespace: String,
    /// Name of the InferenceService.
    pub name: String,
}

impl EndpointId {
    /// From its two parts.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

impl fmt::Display for EndpointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl std::str::FromStr for EndpointId {
    type Err = ParseEndpointError;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        match s.split_once('/') {
            Some((ns, name)) if !ns.is_empty() && !name.is_empty() && !name.contains('/') => Ok(Self::new(ns, name)),
            _ => Err(ParseEndpointError(s.to_owned())),
        }
    }
}

/// The text is not `namespace/name`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an endpoint; write it as namespace/name")]
pub struct ParseEndpointError(pub String);

impl Serialize for EndpointId {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EndpointId {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}
