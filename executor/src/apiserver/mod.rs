//! A Kubernetes API server in the process: a `tower` service that `kube::Client` talks to.
//!
//! It is faithful where an executor can be wrong: `resourceVersion` and stale writes, field ownership and server-side
//! apply with its conflicts, UID preconditions, `dryRun=All`, `/scale`, `generation`, watch, `Status` errors. It knows no
//! controllers: nothing happens to an object unless someone writes it (the simulated fleet does). It checks no tokens and
//! no unknown fields, treats every list as atomic, and ignores finalizers.
//!
//! Modules in reading order: [`resource`] — the kinds; [`status`] — refusals; `managed` — field ownership; `store` —
//! objects and events; `request` — what a path and query ask for; `review` — who may; `answer` — verbs; `serve` — HTTP; [`mutation`] — the
//! log of writes; [`fault`] — failures that tests inject.

pub mod fault;
pub mod mutation;
pub mod resource;
pub mod status;

mod answer;
mod managed;
pub(crate) mod request;
mod review;
mod serve;
mod store;

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bellwether_model::time::Timestamp;
use serde_json::Value;

pub use self::fault::Faults;
pub use self::mutation::{Mutation, Verb};
pub use self::serve::{ApiService, ReplyBody, ReplyLost};
pub(crate) use self::serve::{json_reply, reply, whole};
pub use self::status::ApiError;
pub use self::store::{Event, EventType, Key};

use self::managed::Writer;
use self::resource::Resource;
use self::store::Store;

/// A handle on the simulated API server. Clones share one server.
#[derive(Clone)]
pub struct ApiServer {
    state: Arc<Mutex<State>>,
    /// Tells watchers the newest resource version.
    newest: Arc<tokio::sync::watch::Sender<u64>>,
}

struct State {
    store: Store,
    faults: Faults,
    log: Vec<Mutation>,
    now: Timestamp,
}

impl ApiServer {
    /// An empty server whose clock stands at `now`.
    pub fn new(now: Timestamp) -> Self {
        let state = State { store: Store::default(), faults: Faults::default(), log: Vec::new(), now };
        Self { state: Arc::new(Mutex::new(state)), newest: Arc::new(tokio::sync::watch::Sender::new(0)) }
    }

    /// The service: give it to `kube::Client::new(server.service(), "default")`, or serve it over HTTP.
    pub fn service(&self) -> ApiService {
        ApiService::new(self.clone())
    }

    /// A client of this server, with `default` as its namespace. Must be called within a Tokio runtime.
    pub fn client(&self) -> kube::Client {
        kube::Client::new(self.service(), "default")
    }

    /// Sets the clock: what timestamps of objects and of the log say. It never goes back.
    pub fn set_now(&self, now: Timestamp) {
        let mut state = self.lock();
        state.now = state.now.max(now);
    }

    /// The clock.
    pub fn now(&self) -> Timestamp {
        self.lock().now
    }

    /// Every write request that arrived over the API, oldest first; refused ones too.
    pub fn log(&self) -> Vec<Mutation> {
        self.lock().log.clone()
    }

    /// Changes the failures to inject.
    pub fn inject<T>(&self, change: impl FnOnce(&mut Faults) -> T) -> T {
        change(&mut self.lock().faults)
    }

    /// Every change of an object after this resource version (0 for all), oldest first, whoever made it.
    pub fn changes_since(&self, resource_version: u64) -> Vec<Event> {
        self.lock().store.events_after(resource_version).to_vec()
    }

    /// The object, where it exists.
    pub fn get(&self, kind: &str, namespace: Option<&str>, name: &str) -> Option<Value> {
        self.lock().store.get(&Key::new(kind, namespace, name)).cloned()
    }

    /// All objects of a kind, by namespace and name.
    pub fn list(&self, kind: &str) -> Vec<Value> {
        self.lock().store.iter().filter(|(key, _)| key.kind == kind).map(|(_, object)| object.clone()).collect()
    }

    /// Applies an object as `manager` without going over HTTP, forcing conflicts, past admission and injected failures.
    /// For whoever plays the rest of the cluster: not logged as a request, but seen by watchers and in the change log.
    ///
    /// # Errors
    /// The object is of an unknown kind, has no name, or is invalid.
    pub fn apply(&self, manager: &str, object: &Value) -> Result<Value, ApiError> {
        let (resource, key) = named(object)?;
        let mut state = self.lock();
        let writer = Writer { manager: manager.to_owned(), subresource: "", time: state.now.to_string() };
        let merged =
            managed::apply(state.store.get(&key), object, &writer, true).map_err(|c| ApiError::apply_conflicts(resource, &key.name, &c))?;
        self.put(&mut state, resource, key, merged)
    }

    /// Replaces an object's `status` as `manager`; same rules as [`ApiServer::apply`].
    ///
    /// # Errors
    /// The object does not exist.
    pub fn set_status(&self, manager: &str, kind: &str, namespace: Option<&str>, name: &str, status: Value) -> Result<Value, ApiError> {
        let mut state = self.lock();
        let key = Key::new(kind, namespace, name);
        let Some(live) = state.store.get(&key).cloned() else { return Err(ApiError::no_such_path()) };
        let (resource, _) = named(&live)?;
        let mut object = live.clone();
        object["status"] = status;
        let writer = Writer { manager: manager.to_owned(), subresource: "status", time: state.now.to_string() };
        let object = managed::update(Some(&live), object, &writer);
        self.put(&mut state, resource, key, object)
    }

    /// Deletes an object; whether there was one.
    pub fn delete(&self, kind: &str, namespace: Option<&str>, name: &str) -> bool {
        let mut state = self.lock();
        let now = state.now;
        let gone = state.store.delete(&Key::new(kind, namespace, name), now).is_some();
        self.newest.send_replace(state.store.newest());
        gone
    }

    fn put(&self, state: &mut State, resource: &'static Resource, key: Key, object: Value) -> Result<Value, ApiError> {
        let problems = (resource.problems)(&object);
        if !problems.is_empty() {
            return Err(ApiError::invalid(resource, &key.name, &problems));
        }
        let now = state.now;
        let stored = state.store.put(key, object, now);
        self.newest.send_replace(state.store.newest());
        Ok(stored)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves whole objects behind: each write ends with one insert.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The kind and key that an object names.
fn named(object: &Value) -> Result<(&'static Resource, Key), ApiError> {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
    let (api_version, kind) = (text("/apiVersion").unwrap_or_default(), text("/kind").unwrap_or_default());
    let resource = Resource::of_kind(api_version, kind)
        .ok_or_else(|| ApiError::bad_request(format!("no kind {kind:?} is registered for version {api_version:?}")))?;
    let name = text("/metadata/name").ok_or_else(|| ApiError::bad_request("metadata.name is required"))?;
    let namespace = resource.namespaced.then(|| text("/metadata/namespace").unwrap_or("default"));
    Ok((resource, Key::new(resource.kind, namespace, name)))
}
