//! The files that a user of this fleet would have written: playbooks, blueprints, bindings, checks and rules.

use super::Fleet;
use super::cast::{Cast, EndpointSpec};

/// Each playbook's file.
const PLAYBOOKS: [(&str, &str); 12] = [
    ("backup-verify", include_str!("world/playbooks/backup-verify.yaml")),
    ("cordon-gpu-node", include_str!("world/playbooks/cordon-gpu-node.yaml")),
    ("grow-pool", include_str!("world/playbooks/grow-pool.yaml")),
    ("raise-queue-limit", include_str!("world/playbooks/raise-queue-limit.yaml")),
    ("renew-endpoint-certificate", include_str!("world/playbooks/renew-endpoint-certificate.yaml")),
    ("requeue-job", include_str!("world/playbooks/requeue-job.yaml")),
    ("restart-feature-pipeline", include_str!("world/playbooks/restart-feature-pipeline.yaml")),
    ("retrain-model", include_str!("world/playbooks/retrain-model.yaml")),
    ("rollback-canary", include_str!("world/playbooks/rollback-canary.yaml")),
    ("scale-in-endpoint", include_str!("world/playbooks/scale-in-endpoint.yaml")),
    ("scale-out-endpoint", include_str!("world/playbooks/scale-out-endpoint.yaml")),
    ("shrink-idle-pool", include_str!("world/playbooks/shrink-idle-pool.yaml")),
];
const CHECKS: &str = include_str!("world/checks.yaml");
const RULES: &str = include_str!("world/rules.yaml");
const ENDPOINT: &str = include_str!("world/endpoint.yaml");
const POOL: &str = include_str!("world/pool.yaml");

/// Every file, as path and text, sorted by path: `blueprints/<service>.yaml`, `blueprints/<pool>.yaml`,
/// `checks.yaml`, `playbooks/<id>.yaml`, `rules.yaml`, and `services.yaml`, which says what each blueprint governs.
pub fn files(fleet: &Fleet) -> Vec<(String, String)> {
    let mut files: Vec<(String, String)> =
        PLAYBOOKS.iter().map(|(id, text)| (format!("playbooks/{id}.yaml"), (*text).to_owned())).collect();
    files.push(("checks.yaml".into(), CHECKS.into()));
    files.push(("rules.yaml".into(), RULES.into()));
    files.push(("services.yaml".into(), services(fleet.cast())));
    files.extend(blueprints(fleet.cast()));
    files.sort();
    files
}

fn blueprints(cast: &Cast) -> Vec<(String, String)> {
    let endpoints = cast.endpoints.iter().map(|e| (format!("blueprints/{}.yaml", e.id.name), endpoint(e)));
    let pools = cast.pools.iter().map(|p| {
        let text = fill(POOL, &[("name", p.name.to_string()), ("max_gpus", p.gpu_limit.to_string())]);
        (format!("blueprints/{}.yaml", p.name), text)
    });
    endpoints.chain(pools).collect()
}

fn services(cast: &Cast) -> String {
    let endpoints = cast.endpoints.iter().map(|e| {
        let (namespace, name) = (&e.id.namespace, &e.id.name);
        format!("{name}: {{blueprint: {name}, namespace: {namespace}, object: InferenceService/{name}}}\n")
    });
    let pools = cast.pools.iter().map(|p| format!("{0}: {{blueprint: {0}, object: NodePool/{0}}}\n", p.name));
    std::iter::once("# Which blueprint governs which object.\n\n".to_owned()).chain(endpoints).chain(pools).collect()
}

fn endpoint(e: &EndpointSpec) -> String {
    let latency = e.promised_latency();
    let critical = e.id.namespace == "risk";
    fill(
        ENDPOINT,
        &[
            ("name", e.id.name.clone()),
            ("team", e.id.namespace.clone()),
            ("priority", if critical { "high" } else { "medium" }.into()),
            ("criticality", if critical { "critical" } else { "standard" }.into()),
            ("max_replicas", (e.max_replicas + 6).to_string()),
            ("latency", format!("{}ms", (latency * 1e3).round())),
        ],
    )
}

fn fill(template: &str, values: &[(&str, String)]) -> String {
    values.iter().fold(template.to_owned(), |text, (name, value)| text.replace(&format!("${{{name}}}"), value))
}
