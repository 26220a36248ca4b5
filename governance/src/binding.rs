//! Which blueprint governs which object: the `services:` section, and the whole rule set that follows from it.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use bellwether_model::digest::Digest;
use bellwether_model::id::{EndpointId, PlaybookId, PoolName, ServiceName};
use bellwether_model::incident::Incident;
use bellwether_model::inventory::{Entity, Inventory};
use bellwether_model::recommendation::Exclusion;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::blueprint::{Blueprint, Draft};
use crate::checks::{CheckError, CheckMap, NODE, NODE_POOL};
use crate::playbook::LoadedPlaybook;
use crate::target::{self, Target};
use crate::template::Names;
use crate::yaml::{LoadError, LoadErrors, Place, nearest, suggestion};

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

/// An object as bindings name it: `InferenceService/iris` or `NodePool/gpu-us-east`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ObjectName {
    /// A model endpoint.
    InferenceService(String),
    /// A GPU pool, with its nodes.
    NodePool(String),
}

/// The text names no object that can be governed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not an object; write InferenceService/name or NodePool/name{near}")]
pub struct ParseObjectError {
    text: String,
    near: String,
}

impl FromStr for ObjectName {
    type Err = ParseObjectError;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        match s.split_once('/') {
            Some(("InferenceService", name)) if is_name(name) => Ok(Self::InferenceService(name.to_owned())),
            Some(("NodePool", name)) if is_name(name) => Ok(Self::NodePool(name.to_owned())),
            other => {
                let kind = other.map_or(s, |(kind, _)| kind);
                let near = nearest(kind, ["InferenceService", "NodePool"]).filter(|k| *k != kind).map(|k| format!(" (did you mean {k}?)"));
                Err(ParseObjectError { text: s.to_owned(), near: near.unwrap_or_default() })
            }
        }
    }
}

/// Whether Kubernetes would take this as the name of an object. An empty name or a pattern is none: nothing here can
/// stand for "all".
fn is_name(name: &str) -> bool {
    let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    !name.is_empty()
        && name.len() <= 253
        && name.starts_with(edge)
        && name.ends_with(edge)
        && name.chars().all(|c| edge(c) || c == '-' || c == '.')
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InferenceService(name) => write!(f, "InferenceService/{name}"),
            Self::NodePool(name) => write!(f, "NodePool/{name}"),
        }
    }
}

impl Serialize for ObjectName {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ObjectName {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
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
            None => error.hint("map it in checks.yaml"),
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
