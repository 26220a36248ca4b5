//! What a dry run would change, field by field.

use std::collections::BTreeSet;
use std::fmt;

use bellwether_model::plan::ObjectRef;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::fields::{at, dotted, leaves, same};

/// One field that would change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FieldChange {
    /// `spec.predictor.minReplicas`.
    pub field: String,
    /// Its value now; null when absent.
    pub before: Value,
    /// Its value afterwards; null when it would be removed.
    pub after: Value,
}

/// What one step would change, by the API server's own account: defaults and admission included.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepDiff {
    /// The object.
    pub object: ObjectRef,
    /// Its fields, by name.
    pub changes: Vec<FieldChange>,
}

/// What a plan would change. Each step is tried against the live cluster alone, not on top of the steps before it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DryRun {
    /// Its steps, in order.
    pub steps: Vec<StepDiff>,
}

impl fmt::Display for DryRun {
    /// `InferenceService ml/iris: spec.predictor.minReplicas 2 → 3`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, step) in self.steps.iter().enumerate() {
            write!(f, "{}{}: ", if i == 0 { "" } else { "; " }, step.object)?;
            if step.changes.is_empty() {
                f.write_str("nothing would change")?;
            }
            for (j, change) in step.changes.iter().enumerate() {
                write!(f, "{}{change}", if j == 0 { "" } else { ", " })?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for FieldChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |value: &Value| if value.is_null() { "absent".to_owned() } else { value.to_string() };
        write!(f, "{} {} → {}", self.field, shown(&self.before), shown(&self.after))
    }
}

/// The fields in which two states of an object differ, leaving out what the server keeps for itself, the status, and our own
/// action ids.
pub(crate) fn differences(before: &Value, after: &Value) -> Vec<FieldChange> {
    let paths: BTreeSet<Vec<String>> =
        leaves(before).into_iter().chain(leaves(after)).map(|(path, _)| path).filter(|path| is_told(path)).collect();
    let mut changes = Vec::new();
    for path in paths {
        let (was, is) = (at(before, &path), at(after, &path));
        // A path that is a leaf on one side and an object on the other shows up through the object's own leaves.
        let inner = [was, is].iter().any(|value| value.as_object().is_some_and(|fields| !fields.is_empty()));
        if !inner && !same(was, is) {
            changes.push(FieldChange { field: dotted(&path), before: was.clone(), after: is.clone() });
        }
    }
    changes
}

fn is_told(path: &[String]) -> bool {
    let key = |i: usize| path.get(i).map_or("", String::as_str);
    match key(0) {
        "status" => false,
        "metadata" => matches!(key(1), "labels" | "annotations") && !key(2).ends_with("bellwether.dev/action-id"),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_a_person_would_call_a_change_is_told() {
        let before = json!({"metadata": {"resourceVersion": "1", "generation": 1}, "spec": {"a": 1, "gone": {"x": 1}}, "status": {"s": 1}});
        let after = json!({"metadata": {"resourceVersion": "2", "generation": 2, "annotations": {"scale.bellwether.dev/action-id": "a"}, "labels": {"injected": "yes"}},
            "spec": {"a": 2, "new": {"y": [1]}}, "status": {"s": 2}});
        let told: Vec<String> = differences(&before, &after).iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            ["metadata.labels.injected absent → \"yes\"", "spec.a 1 → 2", "spec.gone.x 1 → absent", "spec.new.y absent → [1]"]
        );
        assert!(differences(&before, &before).is_empty());
    }
}
