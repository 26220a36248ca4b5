//! The Kubernetes API of a test: a real one where `KUBECONFIG` names it, the simulated one otherwise.
//!
//! The binary reaches either through a [`Gateway`], which writes down what changes the cluster, and at which a test can have the
//! binary killed. Nothing else of a test knows which of the two it is.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Bytes, to_bytes};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use bellwether_executor::apiserver::ApiServer;
use bellwether_model::time::Timestamp;
use serde_json::{Value, json};

use crate::servers::{Served, exchange, free_address, now, wait_for};

/// The content type of server-side apply.
const APPLY: &str = "application/apply-patch+yaml";
/// Where InferenceServices are served.
const SERVING: &str = "/apis/serving.kserve.io/v1beta1";
/// The largest body that passes.
const LARGEST: usize = 16 << 20;

/// A Kubernetes API, with a namespace in it that is this test's alone.
pub(crate) struct Cluster {
    upstream: Upstream,
    gateway: Gateway,
    namespace: String,
}

enum Upstream {
    /// The simulated one, served from this process.
    Simulated(Served),
    /// The real one, behind a `kubectl proxy` that signs us in.
    Real { proxy: Child, address: SocketAddr },
}

impl Cluster {
    /// The cluster that `KUBECONFIG` names, or a simulated one.
    pub(crate) fn start() -> Self {
        let (upstream, namespace) = match std::env::var_os("KUBECONFIG") {
            Some(path) => (real(Path::new(&path)), unused_namespace()),
            None => (Upstream::Simulated(simulated()), "ml".to_owned()),
        };
        let gateway = Gateway::start(upstream.address());
        let cluster = Self { upstream, gateway, namespace };
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": cluster.namespace}});
        cluster.send(&format!("/api/v1/namespaces/{}", cluster.namespace), "helm", &namespace);
        if cluster.read(&format!("{SERVING}/namespaces/{}/inferenceservices", cluster.namespace)).is_none() {
            cluster.define_inference_services();
        }
        cluster
    }
    /// The namespace of this test.
    pub(crate) fn namespace(&self) -> &str {
        &self.namespace
    }
    /// What stands between the binary and the cluster.
    pub(crate) fn gateway(&self) -> &Gateway {
        &self.gateway
    }
    /// Where the API is served, past the gateway.
    pub(crate) fn address(&self) -> SocketAddr {
        self.upstream.address()
    }
    /// The path of an InferenceService.
    pub(crate) fn path(&self, name: &str) -> String {
        format!("{SERVING}/namespaces/{}/inferenceservices/{name}", self.namespace)
    }
    /// Applies an InferenceService's `spec.predictor` as this field manager, taking fields over from others.
    pub(crate) fn apply(&self, manager: &str, name: &str, predictor: &Value) {
        let object = json!({"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService",
            "metadata": {"name": name, "namespace": self.namespace}, "spec": {"predictor": predictor}});
        self.send(&self.path(name), manager, &object);
    }
    /// An InferenceService as the cluster has it.
    pub(crate) fn inference_service(&self, name: &str) -> Value {
        self.read(&self.path(name)).expect("the InferenceService is in the cluster")
    }
    /// Writes a kubeconfig that leads to the gateway.
    pub(crate) fn write_kubeconfig(&self, path: &Path) {
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: test\n\
             clusters: [{{name: test, cluster: {{server: 'http://{}'}}}}]\n\
             users: [{{name: test, user: {{}}}}]\n\
             contexts: [{{name: test, context: {{cluster: test, user: test, namespace: default}}}}]\n",
            self.gateway.served.address()
        );
        std::fs::write(path, text).expect("the test's folder is writable");
    }
    fn read(&self, path: &str) -> Option<Value> {
        object_at(self.address(), path)
    }
    fn send(&self, path: &str, manager: &str, object: &Value) {
        let path = format!("{path}?fieldManager={manager}&force=true");
        let headers = [("Content-Type", APPLY), ("Accept", "application/json")];
        let (status, body) = exchange(self.address(), "PATCH", &path, &headers, &object.to_string()).expect("the API answers");
        assert!((200..300).contains(&status), "{path}: {status} {body}");
    }
    /// Defines InferenceServices in a cluster without KServe, as objects of any form.
    fn define_inference_services(&self) {
        let schema = json!({"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}});
        let definition = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": "inferenceservices.serving.kserve.io"},
            "spec": {"group": "serving.kserve.io", "scope": "Namespaced",
                "names": {"plural": "inferenceservices", "singular": "inferenceservice", "kind": "InferenceService"},
                "versions": [{"name": "v1beta1", "served": true, "storage": true, "schema": schema}]}});
        self.send("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/inferenceservices.serving.kserve.io", "helm", &definition);
        wait_for("InferenceServices are served", Duration::from_secs(30), || {
            self.read(&format!("{SERVING}/namespaces/{}/inferenceservices", self.namespace)).is_some()
        });
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Upstream::Real { proxy, address } = &mut self.upstream {
            let _ = exchange(*address, "DELETE", &format!("/api/v1/namespaces/{}", self.namespace), &[], "");
            let _ = proxy.kill();
            let _ = proxy.wait();
        }
    }
}

impl Upstream {
    fn address(&self) -> SocketAddr {
        match self {
            Self::Simulated(served) => served.address(),
            Self::Real { address, .. } => *address,
        }
    }
}

/// A namespace that nobody else uses, whatever else runs at the same time.
fn unused_namespace() -> String {
    static MADE: AtomicU32 = AtomicU32::new(0);
    format!("bellwether-{}-{}-{}", std::process::id(), now(), MADE.fetch_add(1, Ordering::Relaxed))
}

fn simulated() -> Served {
    let api = ApiServer::new(Timestamp::from_secs(now()));
    Served::start(Router::new().fallback_service(api.service()))
}

fn real(kubeconfig: &Path) -> Upstream {
    let address = free_address();
    let proxy = Command::new("kubectl")
        .arg(format!("--kubeconfig={}", kubeconfig.display()))
        .args(["proxy", "--address=127.0.0.1", &format!("--port={}", address.port())])
        .stdout(Stdio::null())
        .spawn()
        .unwrap_or_else(|e| panic!("kubectl: {e}; it is needed where KUBECONFIG is set"));
    wait_for("kubectl proxy answers", Duration::from_secs(30), || exchange(address, "GET", "/version", &[], "").is_some());
    Upstream::Real { proxy, address }
}

/// The object at a path of a Kubernetes API; none when it is not there.
pub(crate) fn object_at(address: SocketAddr, path: &str) -> Option<Value> {
    let (status, body) = exchange(address, "GET", path, &[("Accept", "application/json")], "")?;
    (status == 200).then(|| serde_json::from_str(&body).expect("the API answers in JSON"))
}

/// One request of the binary that wanted to change an object.
#[derive(Clone, Debug)]
pub(crate) struct Write {
    /// When it was done.
    pub(crate) at: Instant,
    /// Its field manager.
    pub(crate) manager: String,
    /// Its content type.
    pub(crate) content_type: String,
    /// Whether it asked for no effect.
    pub(crate) dry_run: bool,
    /// The action that it belongs to, by its annotation.
    pub(crate) action_id: Option<String>,
    /// Whether the object is another one than before.
    pub(crate) changed: bool,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It reaches the cluster.
    Lands,
    /// It gets lost on the way.
    GetsLost,
}

/// Looks at a request of the binary (whether it writes) before it goes on, and says what becomes of it.
pub(crate) type Trap = Box<dyn FnMut(bool) -> Fate + Send>;

/// Passes requests on to the cluster and writes down those that change something.
pub(crate) struct Gateway {
    served: Served,
    state: Arc<State>,
}

struct State {
    upstream: SocketAddr,
    writes: Mutex<Vec<Write>>,
    trap: Mutex<Option<Trap>>,
}

impl Gateway {
    fn start(upstream: SocketAddr) -> Self {
        let state = Arc::new(State { upstream, writes: Mutex::default(), trap: Mutex::default() });
        let passing = state.clone();
        let served = Served::start(Router::new().fallback(move |request: Request| pass(passing.clone(), request)));
        Self { served, state }
    }
    /// Every request that changed an object for good, in order.
    pub(crate) fn effects(&self) -> Vec<Write> {
        locked(&self.state.writes).iter().filter(|w| !w.dry_run && w.changed).cloned().collect()
    }
    /// Shows every further request to this.
    pub(crate) fn set_trap(&self, trap: Trap) {
        *locked(&self.state.trap) = Some(trap);
    }
}

/// Passes one request on. It is passed on to the end even when its sender dies meanwhile, as it is by a network.
async fn pass(state: Arc<State>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, LARGEST).await.unwrap_or_else(|_| Bytes::new());
    let text = |name: &str| head.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
    let (content_type, accept) = (text("content-type"), text("accept"));
    let (verb, uri) = (head.method.to_string(), head.uri);
    let passed = tokio::task::spawn_blocking(move || {
        state.forward(&verb, &uri.to_string(), &content_type, &accept, &String::from_utf8_lossy(&body))
    });
    match passed.await {
        Ok(Some((status, body))) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
            (status, [(CONTENT_TYPE, "application/json")], body).into_response()
        }
        _ => StatusCode::BAD_GATEWAY.into_response(),
    }
}

impl State {
    fn forward(&self, verb: &str, path: &str, content_type: &str, accept: &str, body: &str) -> Option<(u16, String)> {
        let writes = verb != "GET";
        let fate = locked(&self.trap).as_mut().map_or(Fate::Lands, |trap| trap(writes));
        if fate == Fate::GetsLost {
            return None;
        }
        let headers = [("Content-Type", content_type), ("Accept", accept)];
        if !writes {
            return exchange(self.upstream, verb, path, &headers, body);
        }
        // One at a time, so that before and after are those of this request.
        let mut written = locked(&self.writes);
        let (object, query) = path.split_once('?').unwrap_or((path, ""));
        let before = version(object_at(self.upstream, object));
        let answer = exchange(self.upstream, verb, path, &headers, body);
        let asked = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')).map(unescaped);
        written.push(Write {
            at: Instant::now(),
            manager: asked("fieldManager").unwrap_or_default(),
            content_type: content_type.to_owned(),
            dry_run: asked("dryRun").is_some(),
            action_id: action_id(body),
            changed: version(object_at(self.upstream, object)) != before,
        });
        answer
    }
}

fn version(object: Option<Value>) -> Option<String> {
    object?["metadata"]["resourceVersion"].as_str().map(str::to_owned)
}

/// The annotation of an object whose name ends in `/action-id`.
fn action_id(body: &str) -> Option<String> {
    let object: Value = serde_json::from_str(body).ok()?;
    let annotations = object["metadata"]["annotations"].as_object()?;
    annotations.iter().find(|(name, _)| name.ends_with("/action-id")).and_then(|(_, id)| id.as_str()).map(str::to_owned)
}

fn unescaped(text: &str) -> String {
    text.replace("%2F", "/").replace("%2f", "/")
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
