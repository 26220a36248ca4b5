//! The verbs: what each request does to the store.

use std::collections::BTreeMap;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method, Uri};
use serde_json::{Value, json};

use super::managed::{self, Writer};
use super::mutation::{Mutation, Verb};
use super::request::{Params, Target, is_write};
use super::resource::{RESOURCES, Resource};
use super::review;
use super::status::ApiError;
use super::store::Key;
use super::{ApiServer, State};

/// What to send back.
pub(crate) enum Answer {
    /// Status code and body.
    Json(u16, Value),
    /// Plain text.
    Text(&'static str),
    /// A stream of events.
    Watch(Watch),
    /// The effect stands, but the connection breaks.
    Lost,
}

/// A watch that was asked for.
pub(crate) struct Watch {
    pub(crate) resource: &'static Resource,
    pub(crate) namespace: Option<String>,
    pub(crate) params: Params,
}

/// A write to one object, understood and not yet done.
struct Write<'a> {
    resource: &'static Resource,
    key: Key,
    subresource: &'static str,
    verb: Verb,
    params: &'a Params,
    writer: Writer,
    body: Value,
}

pub(crate) fn answer(server: &ApiServer, method: &Method, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Answer {
    match try_answer(server, method, uri, headers, body) {
        Ok(answer) => answer,
        Err(e) => Answer::Json(e.code, e.body()),
    }
}

fn try_answer(server: &ApiServer, method: &Method, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Result<Answer, ApiError> {
    let target = Target::of(uri).ok_or_else(ApiError::no_such_path)?;
    let params = Params::of(uri).map_err(ApiError::bad_request)?;
    let read = |value: Value| if method == Method::GET { Ok(Answer::Json(200, value)) } else { Err(ApiError::method_not_allowed()) };
    match target {
        Target::Health => Ok(Answer::Text("ok")),
        Target::Version => read(json!({"major": "1", "minor": "33", "gitVersion": "v1.33.0", "platform": "simulated"})),
        Target::CoreVersions => read(json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []})),
        Target::Groups => read(groups()),
        Target::GroupVersion(group_version) => read(resources_of(&group_version)),
        Target::AccessReview if method == Method::POST => Ok(Answer::Json(201, review::review(parse(body, headers)?)?)),
        Target::AccessReview => Err(ApiError::method_not_allowed()),
        Target::Collection(resource, namespace) => match *method {
            Method::GET if params.watch => Ok(Answer::Watch(Watch { resource, namespace, params })),
            Method::GET => Ok(Answer::Json(200, list(&server.lock(), resource, namespace.as_deref(), &params))),
            Method::POST => {
                let body = parse(body, headers)?;
                let name = body.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned();
                let named = body.pointer("/metadata/namespace").and_then(Value::as_str);
                if namespace.is_none() && resource.namespaced {
                    return Err(ApiError::method_not_allowed());
                }
                if named.is_some() && named != namespace.as_deref() {
                    return Err(ApiError::bad_request(
                        "the namespace of the provided object does not match the namespace sent on the request",
                    ));
                }
                let key = Key::new(resource.kind, namespace.as_deref(), &name);
                write(
                    server,
                    Write {
                        resource,
                        key,
                        subresource: "",
                        verb: Verb::Create,
                        params: &params,
                        writer: writer(&params, headers, ""),
                        body,
                    },
                )
            }
            _ => Err(ApiError::method_not_allowed()),
        },
        Target::Object(resource, namespace, name, subresource) => {
            let key = Key::new(resource.kind, namespace.as_deref(), &name);
            if !is_write(method) {
                let state = server.lock();
                let object = state.store.get(&key).ok_or_else(|| ApiError::not_found(resource, &name))?;
                return read(if subresource == "scale" { scale(object) } else { object.clone() });
            }
            let verb = match *method {
                Method::PUT => Verb::Update,
                Method::PATCH => patch_verb(resource, headers)?,
                Method::DELETE if subresource.is_empty() => Verb::Delete,
                _ => return Err(ApiError::method_not_allowed()),
            };
            let body = if verb == Verb::Delete && body.is_empty() { json!({}) } else { parse(body, headers)? };
            write(server, Write { resource, key, subresource, verb, params: &params, writer: writer(&params, headers, subresource), body })
        }
    }
}

fn writer(params: &Params, headers: &HeaderMap, subresource: &'static str) -> Writer {
    Writer { manager: params.manager(headers), subresource, time: String::new() }
}

fn content_type(headers: &HeaderMap) -> &str {
    headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("application/json").split(';').next().unwrap_or_default().trim()
}

fn patch_verb(resource: &Resource, headers: &HeaderMap) -> Result<Verb, ApiError> {
    match content_type(headers) {
        "application/apply-patch+yaml" => Ok(Verb::Apply),
        "application/merge-patch+json" => Ok(Verb::Patch),
        "application/strategic-merge-patch+json" if resource.built_in => Ok(Verb::Patch),
        other => Err(ApiError::unsupported_media_type(other)),
    }
}

fn parse(body: &[u8], headers: &HeaderMap) -> Result<Value, ApiError> {
    let wrong = |e: String| ApiError::bad_request(format!("the object provided is unrecognized: {e}"));
    let value: Value = if content_type(headers).ends_with("yaml") {
        let text = std::str::from_utf8(body).map_err(|e| wrong(e.to_string()))?;
        serde_saphyr::from_str(text).map_err(|e| wrong(e.to_string()))?
    } else {
        serde_json::from_slice(body).map_err(|e| wrong(e.to_string()))?
    };
    if value.is_object() { Ok(value) } else { Err(wrong("not an object".into())) }
}

/// Does a write, or refuses it, and puts it in the log either way.
fn write(server: &ApiServer, mut write: Write<'_>) -> Result<Answer, ApiError> {
    let mut guard = server.lock();
    let state = &mut *guard;
    write.writer.time = state.now.to_string();
    let before = state.store.newest();
    let result = match state.faults.take_refusal() {
        Some(code) => Err(ApiError::injected(code)),
        None => perform(state, &write),
    };
    let annotations = match write.body.pointer("/metadata/annotations").and_then(Value::as_object) {
        Some(map) => map.iter().filter_map(|(k, v)| v.as_str().map(|v| (k.clone(), v.to_owned()))).collect(),
        None => BTreeMap::new(),
    };
    let dry_run = write.params.dry_run;
    state.log.push(Mutation {
        at: state.now,
        verb: write.verb,
        object: write.key.clone(),
        subresource: write.subresource,
        manager: write.writer.manager.clone(),
        dry_run,
        annotations,
        code: result.as_ref().map_or_else(|e| e.code, |(code, _)| *code),
        changed: state.store.newest() > before,
    });
    server.newest.send_replace(state.store.newest());
    let (code, body) = result?;
    if !dry_run && state.faults.take_lost_reply() { Ok(Answer::Lost) } else { Ok(Answer::Json(code, body)) }
}

fn perform(state: &mut State, write: &Write<'_>) -> Result<(u16, Value), ApiError> {
    let Write { resource, key, subresource, verb, params, writer, body } = write;
    let live = state.store.get(key).cloned();
    let existing = || live.as_ref().ok_or_else(|| ApiError::not_found(resource, &key.name));
    if *verb == Verb::Delete {
        let object = existing()?;
        let preconditions = &body["preconditions"];
        same_object(resource, key, object, &preconditions["uid"], &preconditions["resourceVersion"])?;
        if !params.dry_run {
            state.store.delete(key, state.now);
        }
        let details = json!({"name": key.name, "group": resource.group, "kind": resource.plural, "uid": object["metadata"]["uid"]});
        return Ok((200, json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})));
    }
    if !matches!(verb, Verb::Patch) && *subresource != "scale" {
        names_match(resource, key, body)?;
    }
    let meta = &body["metadata"];
    if let Some(live) = &live {
        if *verb == Verb::Create {
            return Err(ApiError::already_exists(resource, &key.name));
        }
        same_object(resource, key, live, &meta["uid"], &meta["resourceVersion"])?;
    } else if meta["uid"].is_string() && *verb == Verb::Apply {
        return Err(ApiError::other_uid(resource, &key.name, meta["uid"].as_str().unwrap_or_default(), ""));
    }

    let object = match verb {
        Verb::Apply => {
            if !subresource.is_empty() {
                existing()?;
            }
            let config =
                if *subresource == "scale" { of_scale(resource, key, body) } else { own_part(resource, subresource, body.clone(), None) };
            managed::apply(live.as_ref(), &config, writer, params.force).map_err(|c| ApiError::apply_conflicts(resource, &key.name, &c))?
        }
        Verb::Create => managed::update(None, own_part(resource, subresource, body.clone(), None), writer),
        _ => {
            let live = existing()?;
            let mut object = match (*verb, *subresource) {
                (Verb::Patch, "scale") => {
                    let mut scaled = scale(live);
                    managed::merge_patch(&mut scaled, body);
                    with_replicas(live, &scaled)
                }
                (_, "scale") => with_replicas(live, body),
                (Verb::Patch, _) => {
                    let mut patched = live.clone();
                    managed::merge_patch(&mut patched, body);
                    patched
                }
                _ => body.clone(),
            };
            for kept in ["uid", "resourceVersion", "generation", "creationTimestamp"] {
                object["metadata"][kept] = live["metadata"][kept].clone();
            }
            managed::update(Some(live), own_part(resource, subresource, object, Some(live)), writer)
        }
    };

    let problems = (resource.problems)(&object);
    if !problems.is_empty() {
        return Err(ApiError::invalid(resource, &key.name, &problems));
    }
    if let Some(objection) = state.faults.objection(&object) {
        return Err(ApiError::denied(&objection));
    }
    let now = state.now;
    let stored = if params.dry_run { state.store.would_be(key, object, now) } else { state.store.put(key.clone(), object, now) };
    let code = if live.is_none() { 201 } else { 200 };
    Ok((code, if *subresource == "scale" { scale(&stored) } else { stored }))
}

/// The preconditions in the body: UID and resource version, where given.
fn same_object(resource: &Resource, key: &Key, live: &Value, uid: &Value, version: &Value) -> Result<(), ApiError> {
    let found = live["metadata"]["uid"].as_str().unwrap_or_default();
    if let Some(uid) = uid.as_str().filter(|uid| *uid != found) {
        return Err(ApiError::other_uid(resource, &key.name, uid, found));
    }
    match version.as_str() {
        Some(version) if !version.is_empty() && live["metadata"]["resourceVersion"] != version => {
            Err(ApiError::modified(resource, &key.name))
        }
        _ => Ok(()),
    }
}

fn names_match(resource: &Resource, key: &Key, body: &Value) -> Result<(), ApiError> {
    let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    if text("/kind") != resource.kind || text("/apiVersion") != resource.api_version() {
        let found = format!("{}, Kind={}", text("/apiVersion"), text("/kind"));
        return Err(ApiError::bad_request(format!(
            "the API version and kind in the data ({found}) do not match those of {}",
            resource.qualified()
        )));
    }
    if key.name.is_empty() {
        return Err(ApiError::bad_request("name or generateName is required"));
    }
    let (name, namespace) = (text("/metadata/name"), text("/metadata/namespace"));
    if (!name.is_empty() && name != key.name) || (!namespace.is_empty() && Some(namespace) != key.namespace.as_deref()) {
        return Err(ApiError::bad_request("the name or namespace of the object does not match the name or namespace on the URL"));
    }
    Ok(())
}

/// The part of `object` that a write through `subresource` may change; the rest is as in `live`.
fn own_part(resource: &Resource, subresource: &str, mut object: Value, live: Option<&Value>) -> Value {
    if subresource == "status" {
        let mut kept = live.cloned().unwrap_or_else(|| json!({"apiVersion": object["apiVersion"], "kind": object["kind"], "metadata": {}}));
        kept["status"] = object["status"].take();
        return kept;
    }
    if resource.status
        && let Some(map) = object.as_object_mut()
    {
        match live.and_then(|l| l.get("status")) {
            Some(status) => map.insert("status".into(), status.clone()),
            None => map.shift_remove("status"),
        };
    }
    object
}

fn scale(object: &Value) -> Value {
    let meta = &object["metadata"];
    json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1",
        "metadata": {"name": meta["name"], "namespace": meta["namespace"], "uid": meta["uid"], "resourceVersion": meta["resourceVersion"],
            "creationTimestamp": meta["creationTimestamp"]},
        "spec": {"replicas": object["spec"]["replicas"].as_i64().unwrap_or(0)},
        "status": {"replicas": object["status"]["replicas"].as_i64().unwrap_or(0)},
    })
}

fn with_replicas(live: &Value, scale: &Value) -> Value {
    let mut object = live.clone();
    object["spec"]["replicas"] = scale["spec"]["replicas"].clone();
    object
}

fn of_scale(resource: &Resource, key: &Key, scale: &Value) -> Value {
    json!({"apiVersion": resource.api_version(), "kind": resource.kind, "metadata": {"name": key.name, "namespace": key.namespace},
        "spec": {"replicas": scale["spec"]["replicas"]}})
}

fn list(state: &State, resource: &Resource, namespace: Option<&str>, params: &Params) -> Value {
    let all =
        state.store.iter().filter(|(key, _)| key.kind == resource.kind && (namespace.is_none() || key.namespace.as_deref() == namespace));
    let cursor = |key: &Key| format!("{}/{}", key.namespace.as_deref().unwrap_or_default(), key.name);
    let mut found: Vec<(&Key, &Value)> = all
        .filter(|(_, object)| params.selects(object))
        .skip_while(|(key, _)| params.cursor.as_ref().is_some_and(|c| cursor(key) <= *c))
        .collect();
    let mut meta = json!({"resourceVersion": state.store.newest().to_string()});
    if let Some(limit) = params.limit
        && found.len() > limit
    {
        meta["remainingItemCount"] = json!(found.len() - limit);
        found.truncate(limit);
        meta["continue"] = found.last().map(|(key, _)| cursor(key)).into();
    }
    let items: Vec<&Value> = found.into_iter().map(|(_, object)| object).collect();
    json!({"kind": format!("{}List", resource.kind), "apiVersion": resource.api_version(), "metadata": meta, "items": items})
}

fn groups() -> Value {
    let mut groups: BTreeMap<&str, Value> = BTreeMap::new();
    for r in RESOURCES.iter().filter(|r| !r.group.is_empty()) {
        let version = json!({"groupVersion": r.api_version(), "version": r.version});
        groups.insert(r.group, json!({"name": r.group, "versions": [version], "preferredVersion": version}));
    }
    let version = json!({"groupVersion": format!("{}/{}", review::GROUP, review::VERSION), "version": review::VERSION});
    groups.insert(review::GROUP, json!({"name": review::GROUP, "versions": [version], "preferredVersion": version}));
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups.into_values().collect::<Vec<_>>()})
}

fn resources_of(group_version: &str) -> Value {
    let verbs = json!(["create", "delete", "get", "list", "patch", "update", "watch"]);
    let mut listed = Vec::new();
    for r in RESOURCES.iter().filter(|r| r.api_version() == group_version) {
        let entry = |name: String, kind: &str, verbs: &Value| json!({"name": name, "singularName": r.kind.to_lowercase(), "namespaced": r.namespaced, "kind": kind, "verbs": verbs});
        listed.push(entry(r.plural.to_owned(), r.kind, &verbs));
        if r.status {
            listed.push(entry(format!("{}/status", r.plural), r.kind, &json!(["get", "patch", "update"])));
        }
        if r.scale {
            listed.push(entry(format!("{}/scale", r.plural), "Scale", &json!(["get", "patch", "update"])));
        }
    }
    if group_version.starts_with(review::GROUP) {
        listed.push(json!({"name": review::PLURAL, "singularName": "", "namespaced": false, "kind": review::KIND, "verbs": ["create"]}));
    }
    json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": listed})
}
