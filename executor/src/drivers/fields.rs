//! Fields of objects as JSON: comparing them, merging them, and telling who owns them.

use serde_json::{Map, Value};

/// The first field of `fields` that has another value in `live`, with that value, in words; none when all stand as named.
///
/// Null means absent, and a field that is absent also stands at the value that its absence means by `defaults`. Lists are
/// compared whole. A number and its text are equal, because Kubernetes quantities may be written either way (`16`, `"16"`).
/// An empty object names no field.
pub fn first_difference(live: &Value, defaults: &Value, fields: &Value) -> Option<String> {
    leaves(fields).into_iter().filter(|(_, wanted)| !wanted.is_object()).find_map(|(path, wanted)| {
        let found = at(live, &path);
        let stands = same(found, &wanted) || (found.is_null() && same(at(defaults, &path), &wanted));
        (!stands).then(|| format!("{} is {}, not {}", dotted(&path), shown(found), shown(&wanted)))
    })
}

/// The fields that `fields` names, as they are in `live`; null where one is absent.
pub fn as_they_are(live: &Value, fields: &Value) -> Value {
    match fields {
        Value::Object(named) if !named.is_empty() => {
            let below = |key: &String, fields: &Value| as_they_are(live.get(key).unwrap_or(&Value::Null), fields);
            Value::Object(named.iter().map(|(key, fields)| (key.clone(), below(key, fields))).collect())
        }
        _ => live.clone(),
    }
}

/// `over` laid over `under`, object by object.
pub fn overlay(under: &mut Value, over: &Value) {
    match (under, over) {
        (Value::Object(under), Value::Object(over)) => {
            for (key, value) in over {
                overlay(under.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (under, over) => *under = over.clone(),
    }
}

/// The same value without null fields, and without objects that held nothing else.
pub fn without_nulls(value: &Value) -> Option<Value> {
    match value {
        Value::Null => None,
        Value::Object(fields) => {
            let kept: Map<String, Value> = fields.iter().filter_map(|(key, value)| Some((key.clone(), without_nulls(value)?))).collect();
            (!kept.is_empty() || fields.is_empty()).then_some(Value::Object(kept))
        }
        other => Some(other.clone()),
    }
}

/// The fields that `manager` owns by server-side apply, with their live values: what it must send again, because what it
/// owns and omits is removed. Entries of keyed lists are left out; no step of ours owns any.
pub fn owned(live: &Value, manager: &str) -> Value {
    let entries = live.pointer("/metadata/managedFields").and_then(Value::as_array);
    let mine = entries.into_iter().flatten().filter(|entry| {
        entry["manager"] == manager
            && entry["operation"] == "Apply"
            && entry.get("subresource").and_then(Value::as_str).unwrap_or_default().is_empty()
    });
    let mut fields = Value::Object(Map::new());
    for entry in mine {
        if let Some(kept) = select(live, &entry["fieldsV1"]) {
            overlay(&mut fields, &kept);
        }
    }
    fields
}

/// The part of `live` that a `fieldsV1` set names.
fn select(live: &Value, set: &Value) -> Option<Value> {
    let named: Vec<(&str, &Value)> = set.as_object()?.iter().filter_map(|(key, below)| Some((key.strip_prefix("f:")?, below))).collect();
    if named.is_empty() {
        return Some(live.clone());
    }
    let kept: Map<String, Value> =
        named.into_iter().filter_map(|(key, below)| Some((key.to_owned(), select(live.get(key)?, below)?))).collect();
    (!kept.is_empty()).then_some(Value::Object(kept))
}

/// Every field that is no object, and every empty object, by path, in order.
pub(crate) fn leaves(value: &Value) -> Vec<(Vec<String>, Value)> {
    fn walk(path: &mut Vec<String>, value: &Value, found: &mut Vec<(Vec<String>, Value)>) {
        match value {
            Value::Object(fields) if !fields.is_empty() => {
                for (key, below) in fields {
                    path.push(key.clone());
                    walk(path, below, found);
                    path.pop();
                }
            }
            leaf => found.push((path.clone(), leaf.clone())),
        }
    }
    let mut found = Vec::new();
    walk(&mut Vec::new(), value, &mut found);
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

/// The value at a path; null when there is none.
pub(crate) fn at<'a>(value: &'a Value, path: &[String]) -> &'a Value {
    path.iter().try_fold(value, |v, key| v.get(key)).unwrap_or(&Value::Null)
}

/// A path as people write it: `spec.predictor.minReplicas`, `spec.limits[nvidia.com/gpu]`.
pub(crate) fn dotted(path: &[String]) -> String {
    let mut text = String::new();
    for key in path {
        match (key.contains('.'), text.is_empty()) {
            (true, _) => text += &format!("[{key}]"),
            (false, true) => text += key,
            (false, false) => text += &format!(".{key}"),
        }
    }
    text
}

/// Whether two values mean the same.
pub(crate) fn same(a: &Value, b: &Value) -> bool {
    let scalar = |v: &Value| match v {
        Value::Number(n) => Some(n.to_string()),
        Value::String(s) => Some(s.clone()),
        _ => None,
    };
    let empty = |v: &Value| v.is_null() || v.as_object().is_some_and(Map::is_empty);
    a == b || (empty(a) && empty(b)) || scalar(a).is_some_and(|a| scalar(b) == Some(a))
}

fn shown(value: &Value) -> String {
    if value.is_null() { "absent".to_owned() } else { value.to_string() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_are_compared_with_what_stands() {
        let live = json!({"spec": {"predictor": {"minReplicas": 2, "model": {"runtime": "x"}}, "limits": {"nvidia.com/gpu": "16"}, "taints": [1, 2]}});
        let defaults = json!({"spec": {"unschedulable": false, "predictor": {"minReplicas": 1}}});
        for (fields, stands) in [
            (json!({"spec": {"unschedulable": false}}), true),
            (json!({"spec": {"unschedulable": null}}), true),
            (json!({"spec": {"unschedulable": true}}), false),
            (json!({"spec": {"predictor": {"minReplicas": 1}}}), false),
            (json!({"spec": {"predictor": {"minReplicas": 2}}}), true),
            (json!({"spec": {"predictor": {"minReplicas": 3}}}), false),
            (json!({"spec": {"predictor": {"maxReplicas": null}}}), true),
            (json!({"spec": {"predictor": {"minReplicas": null}}}), false),
            (json!({"spec": {"limits": {"nvidia.com/gpu": 16}}}), true),
            (json!({"spec": {"taints": [2, 1]}}), false),
            (json!({"status": {"conditions": {}}}), true),
            (json!({}), true),
        ] {
            assert_eq!(first_difference(&live, &defaults, &fields).is_none(), stands, "{fields}");
        }
        let moved =
            first_difference(&live, &defaults, &json!({"spec": {"limits": {"nvidia.com/gpu": 8}, "predictor": {"minReplicas": 2}}}));
        let named = json!({"spec": {"predictor": {"minReplicas": 9, "maxReplicas": 9}}});
        assert_eq!(as_they_are(&live, &named), json!({"spec": {"predictor": {"minReplicas": 2, "maxReplicas": null}}}));
        assert_eq!(moved.unwrap(), "spec.limits[nvidia.com/gpu] is \"16\", not 8");
    }

    #[test]
    fn what_a_manager_owns_is_sent_again() {
        let live = json!({
            "metadata": {"annotations": {"scale.bellwether.dev/action-id": "a", "team": "x"}, "managedFields": [
                {"manager": "bellwether/scale", "operation": "Apply", "fieldsV1": {
                    "f:metadata": {"f:annotations": {"f:scale.bellwether.dev/action-id": {}}},
                    "f:spec": {"f:predictor": {".": {}, "f:minReplicas": {}, "f:scaleTarget": {}}}}},
                {"manager": "kubectl", "operation": "Update", "fieldsV1": {"f:spec": {"f:predictor": {"f:maxReplicas": {}}}}},
                {"manager": "bellwether/scale", "operation": "Apply", "subresource": "status", "fieldsV1": {"f:status": {"f:x": {}}}}]},
            "spec": {"predictor": {"minReplicas": 2, "maxReplicas": 4}}, "status": {"x": 1}});
        let mine = owned(&live, "bellwether/scale");
        assert_eq!(
            mine,
            json!({"metadata": {"annotations": {"scale.bellwether.dev/action-id": "a"}}, "spec": {"predictor": {"minReplicas": 2}}})
        );
        assert_eq!(owned(&live, "bellwether/rollout"), json!({}));
    }

    #[test]
    fn absent_fields_are_left_out_of_what_is_applied() {
        assert_eq!(
            without_nulls(&json!({"spec": {"a": null, "b": 1, "c": {"d": null}, "e": {}}})).unwrap(),
            json!({"spec": {"b": 1, "e": {}}})
        );
        let mut under = json!({"spec": {"a": 1, "b": {"c": 2}}});
        overlay(&mut under, &json!({"spec": {"b": {"c": null, "d": 3}}}));
        assert_eq!(without_nulls(&under).unwrap(), json!({"spec": {"a": 1, "b": {"d": 3}}}));
    }
}
