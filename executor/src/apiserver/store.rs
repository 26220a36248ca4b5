//! The objects, their versions, and the log of changes that watches and the fleet read.

use std::collections::BTreeMap;

use bellwether_model::time::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::resource::RESOURCES;

/// Which object: kind, namespace and name. Ordered so that lists come sorted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// `InferenceService`, `NodePool`, `Node`, `Namespace` or `Deployment`.
    pub kind: String,
    /// Namespace; none for cluster-scoped objects.
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
}

impl Key {
    /// From its parts.
    pub fn new(kind: &str, namespace: Option<&str>, name: &str) -> Self {
        Self { kind: kind.to_owned(), namespace: namespace.map(str::to_owned), name: name.to_owned() }
    }
}

/// What happened to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventType {
    /// It was made.
    Added,
    /// It was changed.
    Modified,
    /// It was deleted.
    Deleted,
}

impl EventType {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Added => "ADDED",
            Self::Modified => "MODIFIED",
            Self::Deleted => "DELETED",
        }
    }
}

/// One change of one object.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Resource version that the change made.
    pub resource_version: u64,
    /// When, by the server's clock.
    pub at: Timestamp,
    /// What happened.
    pub event: EventType,
    /// The object.
    pub key: Key,
    /// The object after the change; before it, for a deletion.
    pub object: Value,
}

#[derive(Default)]
pub(crate) struct Store {
    objects: BTreeMap<Key, Value>,
    events: Vec<Event>,
    created: u64,
}

impl Store {
    pub(crate) fn get(&self, key: &Key) -> Option<&Value> {
        self.objects.get(key)
    }
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Key, &Value)> {
        self.objects.iter()
    }
    /// The newest resource version; 0 when nothing was ever written.
    pub(crate) fn newest(&self) -> u64 {
        self.events.last().map_or(0, |e| e.resource_version)
    }
    /// The events after a resource version, oldest first. None is ever dropped: a simulation is short.
    pub(crate) fn events_after(&self, resource_version: u64) -> &[Event] {
        let from = self.events.partition_point(|e| e.resource_version <= resource_version);
        &self.events[from..]
    }

    /// Gives an object the metadata that the server keeps, and stores it. A write that changes nothing is not one.
    pub(crate) fn put(&mut self, key: Key, object: Value, now: Timestamp) -> Value {
        let object = self.would_be(&key, object, now);
        let live = self.objects.get(&key);
        if live == Some(&object) {
            return object;
        }
        let event = if live.is_some() { EventType::Modified } else { EventType::Added };
        if event == EventType::Added {
            self.created += 1;
        }
        self.events.push(Event { resource_version: self.newest() + 1, at: now, event, key: key.clone(), object: object.clone() });
        self.objects.insert(key, object.clone());
        object
    }

    /// The object as [`Store::put`] would store it.
    pub(crate) fn would_be(&self, key: &Key, mut object: Value, now: Timestamp) -> Value {
        let meta = &mut object["metadata"];
        meta["name"] = key.name.clone().into();
        if let Some(namespace) = &key.namespace {
            meta["namespace"] = namespace.clone().into();
        }
        match self.objects.get(key) {
            None => {
                meta["uid"] = Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("{key:?}/{}", self.created).as_bytes()).to_string().into();
                meta["creationTimestamp"] = now.to_string().into();
                meta["generation"] = json!(1);
                meta["resourceVersion"] = (self.newest() + 1).to_string().into();
            }
            Some(live) => {
                for kept in ["uid", "creationTimestamp", "generation", "resourceVersion"] {
                    meta[kept] = live["metadata"][kept].clone();
                }
                if object == *live {
                    return object;
                }
                if desired(&object) != desired(live) {
                    object["metadata"]["generation"] = (live["metadata"]["generation"].as_i64().unwrap_or(1) + 1).into();
                }
                object["metadata"]["resourceVersion"] = (self.newest() + 1).to_string().into();
            }
        }
        object
    }

    /// Removes an object and gives it back.
    pub(crate) fn delete(&mut self, key: &Key, now: Timestamp) -> Option<Value> {
        let mut object = self.objects.remove(key)?;
        let resource_version = self.newest() + 1;
        object["metadata"]["resourceVersion"] = resource_version.to_string().into();
        self.events.push(Event { resource_version, at: now, event: EventType::Deleted, key: key.clone(), object: object.clone() });
        Some(object)
    }
}

/// What a change of bumps the generation: everything but metadata and, where there is a status subresource, status.
fn desired(object: &Value) -> BTreeMap<&str, &Value> {
    let has_status = RESOURCES.iter().any(|r| Some(r.kind) == object["kind"].as_str() && r.status);
    let fields = object.as_object().into_iter().flatten().map(|(k, v)| (k.as_str(), v));
    fields.filter(|(k, _)| *k != "metadata" && !(has_status && *k == "status")).collect()
}
