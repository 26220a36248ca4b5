//! The live state of a plan's objects, and whether it is still what the plan rests on.

use bellwether_model::plan::Step;
use serde_json::{Map, Value};

/// The live state of the objects of a plan, one for each step, in the order of the steps.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LiveState {
    /// One for each step.
    pub steps: Vec<LiveObject>,
}

/// One object as it is now.
#[derive(Clone, Debug, PartialEq)]
pub enum LiveObject {
    /// It is there.
    Seen {
        /// Its UID.
        uid: String,
        /// The fields that the step would change, in the shape of the step's `before`: see [`fields_like`].
        fields: Value,
    },
    /// It is not there.
    Gone,
    /// This execution already sent this step, so it is not compared.
    Sent,
}

/// How an object differs from what a plan rests on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Difference {
    /// Nobody looked at it.
    #[error("{object} was not looked at")]
    Unseen {
        /// The object.
        object: String,
    },
    /// It was declared and never seen, so it cannot be told from another of the same name.
    #[error("{object} has no UID in the plan: it was never seen in the cluster")]
    NeverSeen {
        /// The object.
        object: String,
    },
    /// It was deleted.
    #[error("{object} does not exist any more")]
    Gone {
        /// The object.
        object: String,
    },
    /// It was deleted and made anew.
    #[error("{object} is another object of the same name ({planned} then, {live} now)")]
    Replaced {
        /// The object.
        object: String,
        /// UID in the plan.
        planned: String,
        /// UID now.
        live: String,
    },
    /// A field that the plan would change was changed by someone else.
    #[error("{object}: {field} was {planned} when the plan was made and is {live} now")]
    Field {
        /// The object.
        object: String,
        /// Path of the field, such as `spec.predictor.maxReplicas`.
        field: String,
        /// Its value in the plan, as JSON.
        planned: String,
        /// Its value now, as JSON.
        live: String,
    },
}

/// The fields of a live object that `shape` has, in the shape of `shape`; `null` where the object lacks one.
pub fn fields_like(shape: &Value, object: &Value) -> Value {
    match shape {
        Value::Object(fields) => Value::Object(
            fields.iter().map(|(name, inner)| (name.clone(), fields_like(inner, object.get(name).unwrap_or(&Value::Null)))).collect(),
        ),
        _ => object.clone(),
    }
}

/// Whether every object is the one that the plan saw, with the fields that it would change as the plan saw them.
pub(crate) fn unchanged(steps: &[Step], live: &LiveState) -> Result<(), Difference> {
    for (i, step) in steps.iter().enumerate() {
        let object = step.object.to_string();
        let (uid, fields) = match live.steps.get(i) {
            None => return Err(Difference::Unseen { object }),
            Some(LiveObject::Gone) => return Err(Difference::Gone { object }),
            Some(LiveObject::Sent) => continue,
            Some(LiveObject::Seen { uid, fields }) => (uid, fields),
        };
        if step.object.uid.is_empty() {
            return Err(Difference::NeverSeen { object });
        }
        if *uid != step.object.uid {
            return Err(Difference::Replaced { object, planned: step.object.uid.clone(), live: uid.clone() });
        }
        if let Some((field, planned, live)) = difference("", &step.before, fields) {
            return Err(Difference::Field { object, field, planned: planned.to_string(), live: live.to_string() });
        }
    }
    Ok(())
}

/// The first field, depth first, whose values differ: path, planned and live value.
fn difference(path: &str, planned: &Value, live: &Value) -> Option<(String, Value, Value)> {
    let none = Map::new();
    if let Value::Object(fields) = planned {
        let others = live.as_object().unwrap_or(&none);
        return fields.iter().find_map(|(name, inner)| {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            difference(&path, inner, others.get(name).unwrap_or(&Value::Null))
        });
    }
    (!same(path, planned, live)).then(|| (path.to_owned(), planned.clone(), live.clone()))
}

/// Equal as Kubernetes means it: a quantity is the same as number and as text, and an absent field is its default.
fn same(path: &str, planned: &Value, live: &Value) -> bool {
    let plain = |value: &Value| match value {
        Value::Null => default_of(path).map(str::to_owned),
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    planned == live || plain(planned) == plain(live)
}

/// What Kubernetes or KServe takes an absent field for.
fn default_of(path: &str) -> Option<&'static str> {
    match path.rsplit('.').next()? {
        "minReplicas" => Some("1"),
        "maxReplicas" => Some("0"),
        "unschedulable" => Some("false"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_are_taken_in_the_shape_of_the_plan() {
        let object = json!({"metadata": {"uid": "u"}, "spec": {"predictor": {"minReplicas": 2, "model": {}}, "limits": {"nvidia.com/gpu": "8", "cpu": "4"}}});
        let shape = json!({"spec": {"predictor": {"minReplicas": 1, "maxReplicas": 3}}});
        assert_eq!(fields_like(&shape, &object), json!({"spec": {"predictor": {"minReplicas": 2, "maxReplicas": null}}}));
        let shape = json!({"spec": {"limits": {"nvidia.com/gpu": "4"}}});
        assert_eq!(fields_like(&shape, &object), json!({"spec": {"limits": {"nvidia.com/gpu": "8"}}}));
    }

    #[test]
    fn defaults_and_spellings_are_no_difference_and_values_are() {
        let differs = |planned: Value, live: Value| difference("", &planned, &live).map(|(path, ..)| path);
        assert_eq!(differs(json!({"spec": {"predictor": {"minReplicas": 1}}}), json!({"spec": {"predictor": {}}})), None);
        assert_eq!(differs(json!({"spec": {"unschedulable": false}}), json!({"spec": null})), None);
        assert_eq!(
            differs(json!({"spec": {"limits": {"nvidia.com/gpu": "16"}}}), json!({"spec": {"limits": {"nvidia.com/gpu": 16}}})),
            None
        );
        assert_eq!(differs(json!({"spec": {"limits": {"nvidia.com/gpu": null}}}), json!({"spec": {}})), None);
        assert_eq!(
            differs(json!({"spec": {"limits": {"nvidia.com/gpu": null}}}), json!({"spec": {"limits": {"nvidia.com/gpu": "4"}}})).unwrap(),
            "spec.limits.nvidia.com/gpu"
        );
        assert_eq!(
            differs(
                json!({"spec": {"predictor": {"minReplicas": 2, "maxReplicas": 4}}}),
                json!({"spec": {"predictor": {"minReplicas": 2, "maxReplicas": 5}}})
            )
            .unwrap(),
            "spec.predictor.maxReplicas"
        );
        assert_eq!(
            differs(json!({"spec": {"predictor": {"canaryTrafficPercent": 10}}}), json!({"spec": {"predictor": {}}})).unwrap(),
            "spec.predictor.canaryTrafficPercent"
        );
    }
}
