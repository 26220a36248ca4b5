//! Names of the objects that can be governed. Nothing here can stand for "all".

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::yaml::nearest;

/// An object as bindings name it: `InferenceService/iris` or `NodePool/gpu-us-east`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ObjectName {
    /// A model endpoint.
    InferenceService(String),
    /// A GPU pool, with its nodes.
    NodePool(String),
}

/// The text names no object that can be governed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not an object; write InferenceService/name or NodePool/name{near}")]
pub struct ParseObjectError {
    text: String,
    near: String,
}

impl FromStr for ObjectName {
    type Err = ParseObjectError;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        match s.split_once('/') {
            Some(("InferenceService", name)) if is_name(name) => Ok(Self::InferenceService(name.to_owned())),
            Some(("NodePool", name)) if is_name(name) => Ok(Self::NodePool(name.to_owned())),
            other => {
                let kind = other.map_or(s, |(kind, _)| kind);
                let near = nearest(kind, ["InferenceService", "NodePool"]).filter(|k| *k != kind).map(|k| format!(" (did you mean {k}?)"));
                Err(ParseObjectError { text: s.to_owned(), near: near.unwrap_or_default() })
            }
        }
    }
}

/// Whether Kubernetes would take this as the name of an object. An empty name or a pattern is none: nothing here can
/// stand for "all".
pub(crate) fn is_name(name: &str) -> bool {
    let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    !name.is_empty()
        && name.len() <= 253
        && name.starts_with(edge)
        && name.ends_with(edge)
        && name.chars().all(|c| edge(c) || c == '-' || c == '.')
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InferenceService(name) => write!(f, "InferenceService/{name}"),
            Self::NodePool(name) => write!(f, "NodePool/{name}"),
        }
    }
}

impl Serialize for ObjectName {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ObjectName {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_stands_for_everything() {
        for text in [
            "",
            "InferenceService/",
            "InferenceService/*",
            "InferenceService",
            "NodePool/ ",
            "InferenceService/a/b",
            "Deployment/x",
            "inferenceservice/x",
        ] {
            assert!(text.parse::<ObjectName>().is_err(), "{text:?}");
        }
        let slip = "InferenceServce/iris".parse::<ObjectName>().unwrap_err().to_string();
        assert!(slip.ends_with("(did you mean InferenceService?)"), "{slip}");
        assert_eq!("NodePool/gpu-a.b".parse::<ObjectName>().unwrap().to_string(), "NodePool/gpu-a.b");
    }
}
