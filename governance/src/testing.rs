//! The samples as one rule set, a small fleet, and incidents about it.

use std::collections::BTreeMap;

use bellwether_model::id::{EndpointId, IncidentId, PlaybookId, PoolName, RecommendationId, RoundId, ServiceName};
use bellwether_model::incident::{Incident, IncidentState};
use bellwether_model::inventory::{Endpoint, Entity, Inventory, Node, Pool};
use bellwether_model::plan::Plan;
use bellwether_model::recommendation::Candidate;
use bellwether_model::signal::Severity;
use bellwether_model::time::Timestamp;
use bellwether_model::unit::{MicroUsd, Replicas};

use crate::binding::{Binding, Governance, Parts};
use crate::blueprint::Draft;
use crate::checks::CheckMap;
use crate::plan::{At, Proposal, Unplannable, plan};
use crate::{playbook, yaml};

pub(crate) const IRIS: &str = include_str!("../samples/iris.yaml");
pub(crate) const POOL: &str = include_str!("../samples/gpu-pool.yaml");
const PLAYBOOKS: [(&str, &str); 6] = [
    ("scale-out.yaml", include_str!("../samples/playbooks/scale-out.yaml")),
    ("rollback-canary.yaml", include_str!("../samples/playbooks/rollback-canary.yaml")),
    ("shrink-pool.yaml", include_str!("../samples/playbooks/shrink-pool.yaml")),
    ("cordon-node.yaml", include_str!("../samples/playbooks/cordon-node.yaml")),
    ("delete-deployment.yaml", include_str!("../samples/playbooks/delete-deployment.yaml")),
    ("ask-data-owner.yaml", include_str!("../samples/playbooks/ask-data-owner.yaml")),
];

pub(crate) fn now() -> Timestamp {
    Timestamp::from_secs(1_800_000_000)
}

pub(crate) fn services() -> BTreeMap<ServiceName, Binding> {
    yaml::parse("services.yaml", include_str!("../samples/services.yaml")).unwrap()
}

pub(crate) fn parts(iris: &str) -> Parts {
    Parts {
        global: vec![Draft::parse("blueprints/global/limits.yaml", "safety: {cooldown: 60s, max_operations_per_hour: 10}").unwrap()],
        blueprints: [("iris.yaml", iris), ("gpu-pool.yaml", POOL)].map(|(file, text)| Draft::parse(file, text).unwrap()).into(),
        services: services(),
        checks: CheckMap::builtin(),
        playbooks: PLAYBOOKS.iter().map(|(file, text)| playbook::load(file, text).unwrap()).collect(),
        pins: None,
    }
}

/// The samples, with this blueprint for the service `iris`.
pub(crate) fn governance_with(iris: &str) -> Governance {
    Governance::assemble(parts(iris)).unwrap()
}

pub(crate) fn governance() -> Governance {
    governance_with(IRIS)
}

/// `iris` with 2 to 4 replicas and a canary at 10 %, `rose` that nobody governs, pool `gpu-a` limited to 12, nodes of it.
pub(crate) fn inventory() -> Inventory {
    let endpoint = |name: &str| Endpoint {
        endpoint: EndpointId::new("ml", name),
        uid: format!("uid-{name}"),
        resource_version: "7".into(),
        labels: BTreeMap::new(),
        runtime: "kserve-sklearnserver".into(),
        model_uri: None,
        min_replicas: Replicas(2),
        max_replicas: Replicas(4),
        ready_replicas: None,
        canary_percent: Some(10),
        revision: None,
        gpus_per_replica: 1.0,
        pool: Some(PoolName::new("gpu-a")),
        ready: Some(true),
        recorded_at: now(),
    };
    let node = |name: &str, cordoned| Node {
        node: name.into(),
        uid: format!("uid-{name}"),
        resource_version: "7".into(),
        pool: Some("gpu-a".into()),
        gpus: Replicas(4),
        cordoned,
        recorded_at: now(),
    };
    let pool = Pool {
        pool: "gpu-a".into(),
        uid: "uid-gpu-a".into(),
        resource_version: "7".into(),
        labels: BTreeMap::new(),
        gpu_model: "A100".into(),
        gpu_limit: Some(Replicas(12)),
        gpus: Replicas(8),
        usd_per_gpu_hour: MicroUsd::from_usd(2.0),
        recorded_at: now(),
    };
    Inventory {
        endpoints: vec![endpoint("iris"), endpoint("rose")],
        pools: vec![pool],
        nodes: vec![node("gpu-3", false), node("gpu-4", true)],
    }
}

/// An incident whose root is this entity.
pub(crate) fn incident(root: &str) -> Incident {
    let root: Entity = root.parse().unwrap();
    Incident {
        incident_id: IncidentId::new("inc-1"),
        state: IncidentState::Opened,
        opened_at: now(),
        last_at: now(),
        closed_at: None,
        severity: Severity::Critical,
        score: 3.0,
        title: String::new(),
        summary: String::new(),
        entities: vec![root.clone()],
        root: Some(root),
        endpoints: Vec::new(),
        signals: Vec::new(),
        symptoms: Vec::new(),
        preceding_changes: Vec::new(),
        round_id: RoundId::new("rnd-1"),
        recorded_at: now(),
    }
}

pub(crate) fn planned(governance: &Governance, inventory: &Inventory, playbook: &str, incident: &Incident) -> Result<Plan, Unplannable> {
    let candidate = Candidate {
        playbook_id: PlaybookId::new(playbook),
        score: 0.8,
        justification: String::new(),
        similarity: 0.9,
        success_rate: 0.9,
        evidence: Vec::new(),
        reckoning: None,
    };
    let recommendation_id = RecommendationId::new("rec-1");
    let round_id = RoundId::new("rnd-1");
    plan(
        governance,
        &Proposal { recommendation_id: &recommendation_id, candidate: &candidate, incident },
        inventory,
        At { round_id: &round_id, now: now() },
    )
}

/// The plan of a sample playbook for the sample fleet.
pub(crate) fn sample_plan(governance: &Governance, playbook: &str, root: &str) -> Plan {
    planned(governance, &inventory(), playbook, &incident(root)).unwrap()
}

/// The same plan after a change of its body, sealed anew.
pub(crate) fn resealed(plan: &Plan, change: impl FnOnce(&mut bellwether_model::plan::PlanBody)) -> Plan {
    let mut body = plan.body.clone();
    change(&mut body);
    Plan::seal(body, plan.round_id.clone(), plan.recorded_at).unwrap()
}
