//! Field ownership: who set which field, and what server-side apply makes of it.
//!
//! Follows structured-merge-diff with two simplifications: every list is atomic (as in custom resources without
//! `x-kubernetes-list-type`), and every map is granular. A null in an applied configuration counts as absent.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

/// Where a field is: keys from the root.
type Path = Vec<String>;

/// Fields that the server itself keeps; nobody owns them.
const SERVER_METADATA: [&str; 9] =
    ["name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "selfLink", "deletionTimestamp"];

/// Who writes, when, and through which subresource (empty for the object itself).
#[derive(Clone, Debug)]
pub(crate) struct Writer {
    pub(crate) manager: String,
    pub(crate) subresource: &'static str,
    pub(crate) time: String,
}

/// An applied field that someone else owns with another value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Conflict {
    /// The owner, as messages print it.
    pub(crate) manager: String,
    /// `.spec.predictor.minReplicas`
    pub(crate) field: String,
}

#[derive(Clone, Debug, PartialEq)]
struct Entry {
    manager: String,
    operation: String,
    subresource: String,
    api_version: String,
    time: String,
    fields: BTreeSet<Path>,
}

impl Entry {
    fn is(&self, writer: &Writer, operation: &str) -> bool {
        self.manager == writer.manager && self.operation == operation && self.subresource == writer.subresource
    }
    /// As the API server prints it in conflicts.
    fn shown(&self) -> String {
        let mut text = format!("{:?}", self.manager);
        if !self.subresource.is_empty() {
            text += &format!(" with subresource {:?}", self.subresource);
        }
        if self.operation == "Update" {
            text += &format!(" using {} at {}", self.api_version, self.time);
        }
        text
    }
}

/// Server-side apply: the object that results, or the conflicts. `live` is none when the object does not exist yet.
pub(crate) fn apply(live: Option<&Value>, config: &Value, writer: &Writer, force: bool) -> Result<Value, Vec<Conflict>> {
    let config = without_nulls(config);
    let wanted = leaves(&config, writer.subresource);
    let mut object = live.cloned().unwrap_or_else(|| json!({"apiVersion": config["apiVersion"], "kind": config["kind"], "metadata": {}}));
    let mut entries = read(&object);

    let mut conflicts = Vec::new();
    for entry in entries.iter_mut().filter(|e| !e.is(writer, "Apply")) {
        let contested: Vec<Path> =
            entry.fields.iter().filter(|theirs| wanted.iter().any(|ours| contests(&object, &config, ours, theirs))).cloned().collect();
        for path in contested {
            if force {
                entry.fields.remove(&path);
            } else {
                conflicts.push(Conflict { manager: entry.shown(), field: format!(".{}", path.join(".")) });
            }
        }
    }
    if !conflicts.is_empty() {
        return Err(conflicts);
    }

    let before = entries.iter().find(|e| e.is(writer, "Apply")).map(|e| e.fields.clone()).unwrap_or_default();
    for gone in before.difference(&wanted) {
        let kept = entries.iter().any(|e| !e.is(writer, "Apply") && e.fields.contains(gone));
        if !kept && !wanted.iter().any(|w| w.starts_with(gone)) {
            remove(&mut object, gone);
        }
    }
    for path in &wanted {
        if let Some(value) = at(&config, path) {
            set(&mut object, path, value.clone());
        }
    }
    let api_version = text(&config["apiVersion"]);
    match entries.iter_mut().find(|e| e.is(writer, "Apply")) {
        Some(mine) if mine.fields == wanted => {}
        Some(mine) => (mine.fields, mine.api_version, mine.time) = (wanted, api_version, writer.time.clone()),
        None => entries.push(Entry {
            manager: writer.manager.clone(),
            operation: "Apply".into(),
            subresource: writer.subresource.into(),
            api_version,
            time: writer.time.clone(),
            fields: wanted,
        }),
    }
    write(&mut object, entries);
    Ok(object)
}

/// Any other write: whoever changes a field owns it from then on.
pub(crate) fn update(live: Option<&Value>, mut object: Value, writer: &Writer) -> Value {
    let empty = Value::Object(Map::new());
    let old = live.unwrap_or(&empty);
    let (was, is) = (leaves(old, writer.subresource), leaves(&object, writer.subresource));
    let changed: BTreeSet<Path> = is.iter().filter(|p| at(old, p) != at(&object, p)).cloned().collect();
    let mut entries = read(old);
    for entry in &mut entries {
        entry.fields.retain(|p| !changed.contains(p) && (is.contains(p) || !was.contains(p)));
    }
    if !changed.is_empty() {
        let api_version = text(&object["apiVersion"]);
        let found = entries.iter().position(|e| e.is(writer, "Update"));
        let mine = match found {
            Some(i) => &mut entries[i],
            None => {
                entries.push(Entry {
                    manager: writer.manager.clone(),
                    operation: "Update".into(),
                    subresource: writer.subresource.into(),
                    api_version,
                    time: String::new(),
                    fields: BTreeSet::new(),
                });
                entries.last_mut().expect("an entry was just pushed")
            }
        };
        mine.fields.extend(changed);
        mine.time.clone_from(&writer.time);
    }
    write(&mut object, entries);
    object
}

/// The value at a path of keys.
pub(crate) fn at<'a>(object: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(object, |v, key| v.get(key))
}

/// JSON merge patch (RFC 7396).
pub(crate) fn merge_patch(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(map) = target else { return };
    for (key, value) in patch {
        if value.is_null() {
            map.shift_remove(key);
        } else {
            merge_patch(map.entry(key).or_insert(Value::Null), value);
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Whether applying our field would change what their field says.
fn contests(object: &Value, config: &Value, ours: &[String], theirs: &[String]) -> bool {
    let (value, live) = (at(config, ours), at(object, ours));
    // An empty map says "exists", not "is empty": it changes nothing where there is a map.
    if value == Some(&json!({})) && live.is_some_and(Value::is_object) {
        return false;
    }
    match (ours.starts_with(theirs), theirs.starts_with(ours)) {
        (true, true) => live != value,
        // Theirs is a value that would have to become a map, or a map that stays one.
        (true, false) => at(object, theirs).is_some_and(|v| !v.is_object()),
        // Theirs is within what would be replaced as a whole.
        (false, true) => true,
        (false, false) => false,
    }
}

fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(map) => map.iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| (k.clone(), without_nulls(v))).collect(),
        other => other.clone(),
    }
}

/// Every field that someone can own: scalars, whole lists, and empty maps.
fn leaves(object: &Value, subresource: &str) -> BTreeSet<Path> {
    fn walk(value: &Value, path: &mut Path, found: &mut BTreeSet<Path>) {
        match value {
            Value::Object(map) if !map.is_empty() => {
                for (key, child) in map {
                    path.push(key.clone());
                    walk(child, path, found);
                    path.pop();
                }
            }
            _ => {
                found.insert(path.clone());
            }
        }
    }
    let mut found = BTreeSet::new();
    for (key, value) in object.as_object().into_iter().flatten() {
        match key.as_str() {
            "apiVersion" | "kind" => {}
            "status" if subresource == "status" => walk(value, &mut vec![key.clone()], &mut found),
            _ if subresource == "status" => {}
            "status" => {}
            "metadata" => {
                for (name, value) in value.as_object().into_iter().flatten().filter(|(name, _)| !SERVER_METADATA.contains(&name.as_str())) {
                    if *value != json!({}) {
                        walk(value, &mut vec![key.clone(), name.clone()], &mut found);
                    }
                }
            }
            _ => walk(value, &mut vec![key.clone()], &mut found),
        }
    }
    found
}

fn set(object: &mut Value, path: &[String], value: Value) {
    let Some((last, parents)) = path.split_last() else { return };
    let mut place = object;
    for key in parents {
        if !place[key.as_str()].is_object() {
            place[key.as_str()] = json!({});
        }
        place = &mut place[key.as_str()];
    }
    // An empty map never wipes what others put there.
    if value == json!({}) && place.get(last).is_some_and(Value::is_object) {
        return;
    }
    place[last.as_str()] = value;
}

/// Removes a field, and the map it was in when that becomes empty by it; `spec` and `metadata` themselves stay.
fn remove(object: &mut Value, path: &[String]) {
    let Some((last, parents)) = path.split_last() else { return };
    let Some(map) = parents.iter().try_fold(&mut *object, |v, key| v.get_mut(key)).and_then(Value::as_object_mut) else { return };
    map.shift_remove(last);
    if map.is_empty() && parents.len() > 1 {
        remove(object, parents);
    }
}

fn read(object: &Value) -> Vec<Entry> {
    fn walk(fields: &Value, path: &mut Path, found: &mut BTreeSet<Path>) {
        let Some(map) = fields.as_object() else { return };
        if map.is_empty() && !path.is_empty() {
            found.insert(path.clone());
        }
        for (key, child) in map {
            if key == "." {
                found.insert(path.clone());
            } else if let Some(name) = key.strip_prefix("f:") {
                path.push(name.to_owned());
                walk(child, path, found);
                path.pop();
            }
        }
    }
    let entries = object.pointer("/metadata/managedFields").and_then(Value::as_array).into_iter().flatten();
    entries
        .map(|e| {
            let mut fields = BTreeSet::new();
            walk(&e["fieldsV1"], &mut Vec::new(), &mut fields);
            Entry {
                manager: text(&e["manager"]),
                operation: text(&e["operation"]),
                subresource: text(&e["subresource"]),
                api_version: text(&e["apiVersion"]),
                time: text(&e["time"]),
                fields,
            }
        })
        .collect()
}

fn write(object: &mut Value, entries: Vec<Entry>) {
    let listed: Vec<Value> = entries
        .into_iter()
        .filter(|e| !e.fields.is_empty() || e.operation == "Apply")
        .map(|e| {
            let mut fields = json!({});
            for path in &e.fields {
                let mut place = &mut fields;
                for key in path {
                    place = &mut place[format!("f:{key}")];
                    if place.is_null() {
                        *place = json!({});
                    }
                }
            }
            for path in &e.fields {
                let keys: Path = path.iter().map(|k| format!("f:{k}")).collect();
                if let Some(map) = keys.iter().try_fold(&mut fields, |v, k| v.get_mut(k)).and_then(Value::as_object_mut)
                    && !map.is_empty()
                {
                    map.insert(".".into(), json!({}));
                }
            }
            let mut entry = json!({
                "manager": e.manager, "operation": e.operation, "apiVersion": e.api_version, "time": e.time,
                "fieldsType": "FieldsV1", "fieldsV1": fields,
            });
            if !e.subresource.is_empty() {
                entry["subresource"] = e.subresource.into();
            }
            entry
        })
        .collect();
    object["metadata"]["managedFields"] = Value::Array(listed);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by(manager: &str) -> Writer {
        Writer { manager: manager.into(), subresource: "", time: "2026-01-01T00:00:00Z".into() }
    }
    fn isvc(spec: Value) -> Value {
        json!({"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService", "metadata": {"name": "iris"}, "spec": spec})
    }

    #[test]
    fn a_field_its_last_owner_omits_is_removed_and_shared_fields_stay() {
        let a = apply(None, &isvc(json!({"min": 1, "max": 4, "limits": {"nvidia.com/gpu": "8"}})), &by("a"), false).unwrap();
        let ab = apply(Some(&a), &isvc(json!({"max": 4})), &by("b"), false).unwrap();
        let rest = apply(Some(&ab), &isvc(json!({"min": 1})), &by("a"), false).unwrap();
        assert_eq!(rest["spec"], json!({"min": 1, "max": 4}));
    }

    #[test]
    fn another_value_conflicts_until_forced_and_then_changes_hands() {
        let a = apply(None, &isvc(json!({"min": 1})), &by("a"), false).unwrap();
        let conflicts = apply(Some(&a), &isvc(json!({"min": 2})), &by("b"), false).unwrap_err();
        assert_eq!(conflicts, [Conflict { manager: "\"a\"".into(), field: ".spec.min".into() }]);
        let forced = apply(Some(&a), &isvc(json!({"min": 2})), &by("b"), true).unwrap();
        assert_eq!(forced["spec"]["min"], 2);
        let back = apply(Some(&forced), &isvc(json!({"min": 1})), &by("a"), false).unwrap_err();
        assert_eq!(back[0].manager, "\"b\"");
    }

    #[test]
    fn an_empty_map_neither_conflicts_nor_keeps_what_was_in_it() {
        let a = apply(None, &isvc(json!({"predictor": {"min": 1}})), &by("a"), false).unwrap();
        let both = apply(Some(&a), &isvc(json!({"predictor": {"canary": 20}})), &by("b"), false).unwrap();
        let gone = apply(Some(&both), &isvc(json!({"predictor": {}})), &by("b"), false).unwrap();
        assert_eq!(gone["spec"], json!({"predictor": {"min": 1}}));
        assert!(apply(Some(&a), &isvc(json!({"predictor": 7})), &by("b"), false).is_err());
        assert!(apply(Some(&a), &isvc(json!({"predictor": {"min": {"of": 2}}})), &by("b"), false).is_err());
    }

    #[test]
    fn an_update_takes_ownership_of_what_it_changes() {
        let a = apply(None, &isvc(json!({"min": 1, "max": 4})), &by("a"), false).unwrap();
        let mut edited = a.clone();
        edited["spec"]["min"] = json!(3);
        let edited = update(Some(&a), edited, &by("kubectl-edit"));
        let conflicts = apply(Some(&edited), &isvc(json!({"min": 1, "max": 4})), &by("a"), false).unwrap_err();
        assert_eq!(conflicts.len(), 1);
        assert_eq!(conflicts[0].manager, "\"kubectl-edit\" using serving.kserve.io/v1beta1 at 2026-01-01T00:00:00Z");
    }

    #[test]
    fn ownership_reads_back_as_written() {
        let config = isvc(json!({"predictor": {"min": 1, "list": [1, 2], "empty": {}}}));
        let object = apply(None, &config, &by("a"), false).unwrap();
        assert_eq!(
            object["metadata"]["managedFields"][0]["fieldsV1"],
            json!({"f:spec": {"f:predictor": {"f:min": {}, "f:list": {}, "f:empty": {}}}})
        );
        let entries = read(&object);
        assert_eq!(entries[0].fields, leaves(&config, ""));
        assert_eq!(apply(Some(&object), &config, &by("a"), false).unwrap(), object);
    }
}
