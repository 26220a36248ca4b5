//! The cluster: what is read from it, and the only calls that change it.
//!
//! Everything is written by server-side apply, without `force`, under the field manager that the plan's step names. A write
//! carries three guards: the object's UID (an object that was deleted and made anew is another object), the resource version
//! of the read it was decided on (nothing changed in between), and an action id in an annotation of the field manager's own,
//! by which a later read tells whether the write arrived.
//!
//! Modules in reading order: [`error`], [`fields`] (comparing and merging fields), [`diff`] (what a dry run would change),
//! [`object`] (reading and writing one object), [`mod@observe`], [`mod@inventory`]; and one module for each kind of object:
//! [`inference_service`], [`node_pool`], [`node`].

pub mod diff;
pub mod error;
pub mod fields;
pub mod inference_service;
pub mod inventory;
pub mod node;
pub mod node_pool;
pub mod object;
pub mod observe;

use kube::core::{ApiResource, DynamicObject, GroupVersionKind};

pub use self::diff::{DryRun, FieldChange, StepDiff};
pub use self::error::{DriverError, Ownership};
pub use self::inventory::inventory;
pub use self::object::{ActionId, Live, apply, dry_run, read, undo};
pub use self::observe::observe;

/// What there is to act on.
#[derive(Clone)]
pub enum Cluster {
    /// Nothing: judge and plan only.
    None,
    /// A Kubernetes API, real or simulated.
    Kubernetes(kube::Client),
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Kubernetes(_) => "Kubernetes",
        })
    }
}

impl Cluster {
    fn client(&self) -> Result<kube::Client, DriverError> {
        match self {
            Self::None => Err(DriverError::NoCluster),
            Self::Kubernetes(client) => Ok(client.clone()),
        }
    }
}

/// A kind of object that can be acted on.
#[derive(Debug)]
pub(crate) struct Kind {
    group: &'static str,
    version: &'static str,
    kind: &'static str,
    plural: &'static str,
    /// What absent fields that steps change mean.
    defaults: fn() -> serde_json::Value,
}

/// Every kind. A new one is a module of its own and a line here.
const KINDS: [&Kind; 3] = [&inference_service::KIND, &node_pool::KIND, &node::KIND];

impl Kind {
    /// The kind that an object of a plan has.
    fn of(api_version: &str, kind: &str) -> Option<&'static Self> {
        let group = api_version.split_once('/').map_or("", |(group, _)| group);
        KINDS.into_iter().find(|k| (k.group, k.kind) == (group, kind))
    }

    /// How its objects are addressed, in this version or its own.
    fn resource(&self, version: Option<&str>) -> ApiResource {
        ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(self.group, version.unwrap_or(self.version), self.kind), self.plural)
    }
}

/// The object as JSON: one way to look at fields of every kind.
fn as_json(object: &DynamicObject) -> Result<serde_json::Value, DriverError> {
    serde_json::to_value(object)
        .map_err(|source| DriverError::Unreachable { what: "an object".into(), source: kube::Error::SerdeError(source) })
}
