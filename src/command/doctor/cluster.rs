//! The cluster: whether it answers, and what we may do there.

use std::time::Duration;

use axum::http::Request;
use bellwether_executor::Cluster;
use serde_json::{Value, json};

use super::{Item, words};
use crate::config::{ActMode, Config};
use crate::failure::chain;
use crate::open;

/// The longest wait for one answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is read, and what is changed when act.mode says so: group and plural.
const RESOURCES: [(&str, &str); 3] = [("serving.kserve.io", "inferenceservices"), ("karpenter.sh", "nodepools"), ("", "nodes")];

/// The cluster's version and each permission.
pub async fn items(config: &Config) -> Vec<Item> {
    const BLOCKS: &str = "ingest inventory, act";
    if config.kubernetes.is_none() {
        let why = match config.act.mode {
            ActMode::Plan => "not configured: judge and plan only",
            _ => "not configured, so act.mode has nothing to act on: judge and plan only",
        };
        return vec![Item::optional("kubernetes", "server", Err(why.into()))];
    }
    let client = match open::cluster(config).await {
        Ok(Cluster::Kubernetes(client)) => client,
        Ok(Cluster::None) => return Vec::new(),
        Err(failure) => return vec![Item::needed("kubernetes", "server", BLOCKS, Err(words(&failure)))],
    };
    let version = ask(&client, Request::get("/version"), Value::Null).await;
    let version = version.map(|v| format!("Kubernetes {}", v["gitVersion"].as_str().unwrap_or("of unknown version")));
    let answers = version.is_ok();
    let mut items = vec![Item::needed("kubernetes", "server", BLOCKS, version)];
    if !answers {
        return items;
    }
    let verbs: &[&str] = if config.act.mode == ActMode::Plan { &["list"] } else { &["list", "get", "patch"] };
    for (group, plural) in RESOURCES {
        for verb in verbs {
            let found = may(&client, verb, group, plural).await;
            let name = format!("kubernetes: {verb} {plural}");
            items.push(if *verb == "list" {
                Item::needed(name, "permission", "ingest inventory", found)
            } else {
                Item::needed(name, "permission", "act", found)
            });
        }
    }
    items
}

/// Asks the API server whether it would let us.
async fn may(client: &kube::Client, verb: &str, group: &str, plural: &str) -> Result<String, String> {
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {"verb": verb, "group": group, "resource": plural}},
    });
    let answer = ask(client, Request::post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"), review).await?;
    let status = &answer["status"];
    if status["allowed"] == true {
        return Ok("permitted".into());
    }
    let why = status["reason"].as_str().filter(|r| !r.is_empty()).map(|r| format!(": {r}")).unwrap_or_default();
    let of = if group.is_empty() { String::new() } else { format!(".{group}") };
    Err(format!("not permitted{why}; bind a role that may {verb} {plural}{of}"))
}

async fn ask(client: &kube::Client, request: axum::http::request::Builder, body: Value) -> Result<Value, String> {
    let bytes = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    let request = request.header("content-type", "application/json").body(bytes).map_err(|e| chain(&e))?;
    match tokio::time::timeout(PATIENCE, client.request::<Value>(request)).await {
        Ok(answer) => answer.map_err(|e| match e {
            kube::Error::Api(status) => format!("{} ({})", status.message, status.code),
            other => format!("the API server does not answer: {}", chain(&other)),
        }),
        Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
    }
}
