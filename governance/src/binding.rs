//! Which blueprint governs which object: the `services:` section, and the whole rule set that follows from it.

use std::collections::BTreeMap;

use bellwether_model::digest::Digest;
use bellwether_model::id::{EndpointId, PlaybookId, PoolName, ServiceName};
use bellwether_model::incident::Incident;
use bellwether_model::inventory::{Entity, Inventory};
use bellwether_model::recommendation::Exclusion;
use serde::{Deserialize, Serialize};

use crate::blueprint::{Blueprint, Draft};
use crate::checks::{CheckError, CheckMap, NODE, NODE_POOL};
use crate::object::{ObjectName, is_name};
use crate::playbook::LoadedPlaybook;
use crate::target::{self, Target};
use crate::template::Names;
use crate::yaml::{LoadError, LoadErrors, Place, suggestion};

/// One entry of `services:`, as it is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Binding {
    /// Name of the blueprint that governs the service.
    pub blueprint: String,
    /// Kubernetes namespace; required for an InferenceService.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The object.
    pub object: ObjectName,
    /// Serving runtime under which checks are looked up; by default what the inventory saw.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime: Option<String>,
}

/// A governed service.
#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    /// Its name: the key under `services:`.
    pub name: ServiceName,
    /// Its object.
    pub object: Bound,
    /// Serving runtime, where the binding says one.
    pub runtime: Option<String>,
    /// Its blueprint with the global rules merged in.
    pub blueprint: Blueprint,
    /// The blueprint's digest.
    pub digest: Digest,
}

/// The object of a service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bound {
    /// An InferenceService.
    Endpoint(EndpointId),
    /// A NodePool, with its nodes.
    Pool(PoolName),
}

/// Everything that governance rules by.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Governance {
    services: BTreeMap<ServiceName, Service>,
    checks: CheckMap,
    playbooks: BTreeMap<PlaybookId, LoadedPlaybook>,
    pins: Option<BTreeMap<PlaybookId, Digest>>,
}

/// The read files from which a rule set is assembled.
#[derive(Clone, Debug, Default)]
pub struct Parts {
    /// The files of `blueprints/global/`, in the order of their names.
    pub global: Vec<Draft>,
    /// The services' blueprints.
    pub blueprints: Vec<Draft>,
    /// The `services:` section.
    pub services: BTreeMap<ServiceName, Binding>,
    /// The checks.
    pub checks: CheckMap,
    /// The playbooks.
    pub playbooks: Vec<LoadedPlaybook>,
    /// SHA-256 of each playbook that may run; `None` where playbooks need not be pinned (a simulated cluster).
    pub pins: Option<BTreeMap<PlaybookId, Digest>>,
}

impl Governance {
    /// The rule set of these parts.
    ///
    /// # Errors
    /// Everything that does not fit: a blueprint that does not build, is missing or is there twice; an object with two
    /// services; a check of a bound blueprint that has no query or another unit; a playbook id that is there twice.
    pub fn assemble(parts: Parts) -> Result<Self, LoadErrors> {
        let mut errors: Vec<LoadError> = Vec::new();
        let blueprints = blueprints(&parts, &mut errors);
        let mut services: BTreeMap<ServiceName, Service> = BTreeMap::new();
        for (name, binding) in &parts.services {
            let place = Place::whole(format!("services.{name}"));
            match bind(name, binding, &blueprints, &parts) {
                Ok(service) => {
                    if let Some(other) = services.values().find(|s| s.object == service.object) {
                        errors.push(LoadError::new(place, format!("{} is already bound to service {}", binding.object, other.name)));
                        continue;
                    }
                    errors.extend(unmeasurable(&service, &parts.checks));
                    services.insert(name.clone(), service);
                }
                Err(error) => errors.extend(error.map(|mut e| {
                    e.place = place;
                    e
                })),
            }
        }
        let mut playbooks: BTreeMap<PlaybookId, LoadedPlaybook> = BTreeMap::new();
        for loaded in parts.playbooks {
            if let Some(other) = playbooks.get(&loaded.playbook.id) {
                errors.push(LoadError::new(loaded.place, format!("playbook {} is also in {}", loaded.playbook.id, other.place)));
                continue;
            }
            playbooks.insert(loaded.playbook.id.clone(), loaded);
        }
        let mut seen = Vec::new();
        errors.retain(|e| {
            !seen.contains(e) && {
                seen.push(e.clone());
                true
            }
        });
        LoadErrors::check(errors)?;
        Ok(Self { services, checks: parts.checks, playbooks, pins: parts.pins })
    }

    /// The service of this name.
    pub fn service(&self, name: &ServiceName) -> Option<&Service> {
        self.services.get(name)
    }

    /// Every service, by name.
    pub fn services(&self) -> impl Iterator<Item = &Service> {
        self.services.values()
    }

    /// The playbook of this id.
    pub fn playbook(&self, id: &PlaybookId) -> Option<&LoadedPlaybook> {
        self.playbooks.get(id)
    }

    /// Every playbook, by id.
    pub fn playbooks(&self) -> impl Iterator<Item = &LoadedPlaybook> {
        self.playbooks.values()
    }

    /// The checks.
    pub const fn checks(&self) -> &CheckMap {
        &self.checks
    }

    /// The pinned digests; `None` where playbooks need not be pinned.
    pub const fn pins(&self) -> Option<&BTreeMap<PlaybookId, Digest>> {
        self.pins.as_ref()
    }

    /// The service that governs an entity: an endpoint's or a pool's own, and for a node the one of its pool.
    pub fn service_of(&self, entity: &Entity, inventory: &Inventory) -> Option<&Service> {
        let object = match entity {
            Entity::Endpoint(id) => Bound::Endpoint(id.clone()),
            Entity::Pool(name) => Bound::Pool(name.clone()),
            Entity::Node(name) => Bound::Pool(inventory.node(name)?.pool.clone()?),
            Entity::Dataset(_) | Entity::Other(..) => return None,
        };
        self.services.values().find(|s| s.object == object)
    }

    /// The playbooks that do not apply to an incident, by id: those whose target it does not name, or of whose
    /// preconditions one does not hold for the live target. One that cannot be evaluated does not hold.
    pub fn exclusions(&self, incident: &Incident, inventory: &Inventory) -> Vec<Exclusion> {
        let mut excluded = Vec::new();
        for loaded in self.playbooks() {
            let reason = match target::resolve(loaded.playbook.target, incident, inventory) {
                Ok(target) => loaded.precondition_failure(&target, inventory),
                Err(_) if loaded.advice_only().is_some() && loaded.preconditions.is_empty() => None,
                Err(e) => Some(e.to_string()),
            };
            excluded.extend(reason.map(|reason| Exclusion { playbook_id: loaded.playbook.id.clone(), reason }));
        }
        excluded
    }
}

impl LoadedPlaybook {
    /// The first precondition that does not hold for the live target, in words.
    pub fn precondition_failure(&self, target: &Target<'_>, inventory: &Inventory) -> Option<String> {
        let variables = target.variables(inventory);
        self.preconditions.iter().find_map(|condition| match condition.holds(&variables) {
            Ok(true) => None,
            Ok(false) => Some(format!("{} does not hold", condition.with_values(&variables))),
            Err(e) => Some(format!("{} cannot be evaluated: {e}", condition.text())),
        })
    }
}

impl Service {
    /// Runtimes under which checks are looked up, and the names that fill their queries, for a target of this service.
    pub(crate) fn measured<'a>(&'a self, target: &Target<'a>) -> (Vec<&'a str>, Names<'a>) {
        match target {
            Target::Endpoint(e) => {
                let names = Names {
                    namespace: Some(&e.endpoint.namespace),
                    service: Some(&e.endpoint.name),
                    pool: e.pool.as_ref().map(PoolName::as_str),
                    node: None,
                };
                (vec![self.runtime.as_deref().unwrap_or(&e.runtime)], names)
            }
            Target::Pool(p) => (
                self.runtime.as_deref().into_iter().chain([NODE_POOL]).collect(),
                Names { pool: Some(p.pool.as_str()), ..Names::default() },
            ),
            Target::Node(n) => {
                let names = Names { node: Some(n.node.as_str()), pool: n.pool.as_ref().map(PoolName::as_str), ..Names::default() };
                (vec![NODE, NODE_POOL], names)
            }
            Target::Dataset(_) => (Vec::new(), Names::default()),
        }
    }
}

/// Every blueprint by name; `None` where it is there but does not build.
fn blueprints(parts: &Parts, errors: &mut Vec<LoadError>) -> BTreeMap<String, Option<Blueprint>> {
    let mut found: BTreeMap<String, Option<Blueprint>> = BTreeMap::new();
    for draft in &parts.blueprints {
        let built = Blueprint::build(&parts.global, draft).map_err(|e| errors.extend(e.0)).ok();
        let Some(name) = draft.name() else { continue };
        if found.contains_key(name) {
            errors.push(LoadError::new(Place::whole(draft.file()), format!("blueprint {name} is already in another file")));
            continue;
        }
        found.insert(name.to_owned(), built);
    }
    found
}

/// The service of a binding. `Err(None)` when its blueprint is there but wrong, which was already said.
fn bind(
    name: &ServiceName,
    binding: &Binding,
    blueprints: &BTreeMap<String, Option<Blueprint>>,
    parts: &Parts,
) -> Result<Service, Option<LoadError>> {
    let nowhere = || Place::whole("");
    let blueprint = match blueprints.get(&binding.blueprint) {
        Some(Some(blueprint)) => blueprint.clone(),
        Some(None) => return Err(None),
        None => {
            let hint = if parts.blueprints.is_empty() {
                "no blueprint is loaded".to_owned()
            } else {
                suggestion(&binding.blueprint, blueprints.keys().map(String::as_str))
            };
            return Err(Some(LoadError::new(nowhere(), format!("blueprint {:?} is not loaded", binding.blueprint)).hint(hint)));
        }
    };
    let object = match (&binding.object, &binding.namespace) {
        (ObjectName::InferenceService(object), Some(namespace)) if is_name(namespace) => {
            Bound::Endpoint(EndpointId::new(namespace, object))
        }
        (ObjectName::InferenceService(_), _) => {
            return Err(Some(LoadError::new(nowhere(), format!("{} needs a namespace", binding.object)).hint("namespace: ml")));
        }
        (ObjectName::NodePool(pool), _) => Bound::Pool(PoolName::new(pool)),
    };
    let digest = blueprint.digest().map_err(|e| Some(LoadError::new(nowhere(), format!("blueprint {:?}: {e}", binding.blueprint))))?;
    Ok(Service { name: name.clone(), object, runtime: binding.runtime.clone(), blueprint, digest })
}

/// The checks of a bound blueprint that cannot be measured for its object.
fn unmeasurable(service: &Service, checks: &CheckMap) -> Vec<LoadError> {
    let verification = &service.blueprint.verification;
    let (namespace, name, pool) = match &service.object {
        Bound::Endpoint(id) => (Some(id.namespace.as_str()), Some(id.name.as_str()), None),
        Bound::Pool(pool) => (None, None, Some(pool.as_str())),
    };
    let names = Names { namespace, service: name, pool, node: None };
    let mut runtimes: Vec<&str> = service.runtime.as_deref().into_iter().collect();
    if pool.is_some() {
        runtimes.push(NODE_POOL);
    }
    let problem = |e: CheckError, check: &str| {
        let place = service.blueprint.places.first(&[&format!("verification.checks.{check}"), "verification.checks"]);
        let error = LoadError::new(place, format!("service {}: {e}", service.name));
        match e.hint() {
            Some(hint) => error.hint(hint),
            None => error,
        }
    };
    let mut found = Vec::new();
    for check in verification.checks.iter().filter(|_| verification.enabled) {
        let measured = checks.query(&check.name, &runtimes, &names, verification.stabilization_period);
        if let Err(e) = measured.map(drop).and_then(|()| checks.fits(&check.name, &check.target)) {
            found.push(problem(e, check.name.as_str()));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{IRIS, governance, incident, inventory, parts};
    use crate::{playbook, yaml};

    fn errors(change: impl FnOnce(&mut Parts)) -> String {
        let mut parts = parts(IRIS);
        change(&mut parts);
        Governance::assemble(parts).unwrap_err().to_string()
    }

    fn binding(text: &str) -> Binding {
        yaml::parse("services.yaml", text).unwrap()
    }

    #[test]
    fn entities_find_their_service() {
        let rules = governance();
        let service = |entity: &str| rules.service_of(&entity.parse().unwrap(), &inventory()).map(|s| s.name.to_string());
        assert_eq!(service("endpoint:ml/iris").as_deref(), Some("iris"));
        assert_eq!(service("pool:gpu-a").as_deref(), Some("gpu-a"));
        assert_eq!(service("node:gpu-3").as_deref(), Some("gpu-a"));
        for nobody in ["endpoint:ml/rose", "endpoint:other/iris", "node:gpu-9", "pool:gpu-b", "dataset:s3://raw:orders"] {
            assert_eq!(service(nobody), None, "{nobody}");
        }
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let swap = |name: &'static str, text: &'static str| move |p: &mut Parts| drop(p.services.insert(name.into(), binding(text)));
        assert!(
            errors(swap("rose", "{blueprint: irs, namespace: ml, object: InferenceService/rose}"))
                .starts_with("services.rose: blueprint \"irs\" is not loaded\nhint: did you mean iris?")
        );
        assert_eq!(
            errors(swap("rose", "{blueprint: iris, object: InferenceService/rose}")),
            "services.rose: InferenceService/rose needs a namespace\nhint: namespace: ml"
        );
        assert_eq!(
            errors(swap("zz", "{blueprint: iris, namespace: ml, object: InferenceService/iris}")),
            "services.zz: InferenceService/iris is already bound to service iris"
        );
        let unmeasurable = errors(swap("gpu-b", "{blueprint: iris, object: NodePool/gpu-b}"));
        assert!(
            unmeasurable.contains("iris.yaml: service gpu-b: check latency_p95 for runtime default needs $namespace"),
            "{unmeasurable}"
        );
        assert!(errors(|p| p.checks = CheckMap::default()).contains("service iris: check latency_p95 is not mapped to a query"));
        let twice = errors(|p| p.playbooks.push(playbook::load("b.yaml", include_str!("../samples/playbooks/scale-out.yaml")).unwrap()));
        assert_eq!(twice, "b.yaml: playbook scale-out is also in scale-out.yaml");
        let unit = errors(|p| {
            p.blueprints[0] =
                Draft::parse("iris.yaml", &format!("{IRIS}\nverification: {{checks: [{{name: latency_p95, target: '< 5%'}}]}}")).unwrap()
        });
        assert_eq!(unit, "iris.yaml:27:53: service iris: check latency_p95 measures seconds, but its target is in a ratio");
    }

    #[test]
    fn playbooks_that_do_not_apply_are_excluded_with_the_reason() {
        let rules = governance();
        let excluded = |root: &str| {
            rules
                .exclusions(&incident(root), &inventory())
                .into_iter()
                .map(|e| format!("{}: {}", e.playbook_id, e.reason))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            excluded("node:gpu-4"),
            [
                "cordon-node: !cordoned (cordoned = true) does not hold",
                "delete-deployment: the incident names no endpoint",
                "rollback-canary: the incident names no endpoint",
                "scale-out: the incident names no endpoint",
            ]
        );
        let mut both = incident("endpoint:ml/iris");
        both.root = None;
        both.entities.push("endpoint:ml/rose".parse().unwrap());
        let reason = rules.exclusions(&both, &inventory()).into_iter().find(|e| e.playbook_id.as_str() == "scale-out").unwrap().reason;
        assert_eq!(reason, "the incident names several and none stands out as its root: endpoint:ml/iris, endpoint:ml/rose");
    }
}
