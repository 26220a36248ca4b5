//! Reading and writing one object.

use std::fmt;

use bellwether_model::id::ExecutionId;
use bellwether_model::plan::{ObjectRef, Plan, Step};
use kube::Api;
use kube::api::{Patch, PatchParams};
use kube::core::DynamicObject;
use serde_json::{Value, json};

use super::diff::{DryRun, StepDiff, differences};
use super::error::DriverError;
use super::fields::{as_they_are, first_difference, overlay, owned, without_nulls};
use super::{Cluster, Kind, as_json};

/// The identity of one effect: the same step of the same execution always has the same, so that it happens once.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ActionId(String);

impl ActionId {
    /// The id of applying (or undoing) step `step` of an execution.
    pub fn of(execution: &ExecutionId, direction: &str, step: usize) -> Self {
        Self(format!("{execution}.{direction}.{step}"))
    }
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ActionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The annotation that holds the id of a field manager's last action. Each manager has its own, because two managers may
/// not own one field: `bellwether/scale` writes `scale.bellwether.dev/action-id`.
pub fn annotation(manager: &str) -> String {
    let concern: String =
        manager.rsplit('/').next().unwrap_or(manager).chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
    format!("{}.bellwether.dev/action-id", concern.to_ascii_lowercase())
}

/// An object as it was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Live {
    /// All of it.
    pub object: Value,
    /// What absent fields of its kind mean.
    defaults: Value,
}

impl Live {
    /// Whether these fields have these values now; null means absent.
    pub fn stands_at(&self, fields: &Value) -> bool {
        self.first_difference(fields).is_none()
    }
    /// The fields that these name, as they are now; null where one is absent.
    pub fn fields(&self, named: &Value) -> Value {
        as_they_are(&self.object, named)
    }
    /// The first of these fields that has another value, in words.
    pub fn first_difference(&self, fields: &Value) -> Option<String> {
        first_difference(&self.object, &self.defaults, fields)
    }
    /// Whether this action was the field manager's last on the object.
    pub fn carries(&self, manager: &str, action: &ActionId) -> bool {
        self.object["metadata"]["annotations"][annotation(manager)] == action.as_str()
    }
    /// Its uid.
    pub fn uid(&self) -> &str {
        self.object["metadata"]["uid"].as_str().unwrap_or_default()
    }
    /// Its resource version.
    pub fn resource_version(&self) -> &str {
        self.object["metadata"]["resourceVersion"].as_str().unwrap_or_default()
    }
}

/// Reads an object of a plan.
///
/// *Errors:* it does not exist, it is another object of the same name, or the cluster gave no answer.
pub async fn read(cluster: &Cluster, object: &ObjectRef) -> Result<Live, DriverError> {
    let live = find(cluster, object).await?;
    if !object.uid.is_empty() && live.uid() != object.uid {
        return Err(DriverError::Replaced { object: object.to_string(), expected: object.uid.clone(), found: live.uid().to_owned() });
    }
    Ok(live)
}

/// Reads whatever object has this kind and name now.
pub(super) async fn find(cluster: &Cluster, object: &ObjectRef) -> Result<Live, DriverError> {
    let found = api(cluster, object)?.get(&object.name).await.map_err(|e| DriverError::of(object, e))?;
    Ok(Live { object: as_json(&found)?, defaults: (kind(object)?.defaults)() })
}

/// Applies a step's fields to the object as it was read.
///
/// *Guarantees:* takes effect only on that very object in that very state; sends again whatever else the field manager owns,
/// so nothing of an earlier step is removed. *Errors:* [`DriverError::is_transient`] ones leave it open whether it took effect:
/// read again and look for the action id.
pub async fn apply(cluster: &Cluster, step: &Step, action: &ActionId, live: &Live) -> Result<Live, DriverError> {
    write(cluster, step, &step.patch, Some(action), live, false).await
}

/// Restores a step's fields to what they were. Fields that were absent (null) are removed. Otherwise as [`apply`].
///
/// *Assumptions:* the caller has seen in `live` that the fields still stand as we left them.
pub async fn undo(cluster: &Cluster, step: &Step, before: &Value, action: &ActionId, live: &Live) -> Result<Live, DriverError> {
    write(cluster, step, before, Some(action), live, false).await
}

/// Asks the API server what each step of a plan would change, without changing anything: admission, validation and field
/// ownership have their say.
pub async fn dry_run(cluster: &Cluster, plan: &Plan) -> Result<DryRun, DriverError> {
    let mut steps = Vec::with_capacity(plan.body.steps.len());
    for step in &plan.body.steps {
        let live = read(cluster, &step.object).await?;
        let after = write(cluster, step, &step.patch, None, &live, true).await?;
        steps.push(StepDiff { object: step.object.clone(), changes: differences(&live.object, &after.object) });
    }
    Ok(DryRun { steps })
}

async fn write(
    cluster: &Cluster,
    step: &Step,
    fields: &Value,
    action: Option<&ActionId>,
    live: &Live,
    dry: bool,
) -> Result<Live, DriverError> {
    let object = &step.object;
    let mut body = owned(&live.object, &step.field_manager);
    overlay(&mut body, fields);
    let mut body = without_nulls(&body).unwrap_or_else(|| json!({}));
    let mut metadata = json!({ "name": object.name, "uid": live.uid(), "resourceVersion": live.resource_version() });
    if let Some(namespace) = &object.namespace {
        metadata["namespace"] = json!(namespace);
    }
    if let Some(action) = action {
        metadata["annotations"] = json!({ annotation(&step.field_manager): action.as_str() });
    }
    overlay(&mut body, &json!({ "apiVersion": object.api_version, "kind": object.kind, "metadata": metadata }));

    let mut params = PatchParams::apply(&step.field_manager).validation_strict();
    if dry {
        params = params.dry_run();
    }
    let written = api(cluster, object)?.patch(&object.name, &params, &Patch::Apply(&body)).await.map_err(|e| DriverError::of(object, e))?;
    Ok(Live { object: as_json(&written)?, defaults: live.defaults.clone() })
}

fn kind(object: &ObjectRef) -> Result<&'static Kind, DriverError> {
    Kind::of(&object.api_version, &object.kind)
        .ok_or_else(|| DriverError::UnknownKind { api_version: object.api_version.clone(), kind: object.kind.clone() })
}

fn api(cluster: &Cluster, object: &ObjectRef) -> Result<Api<DynamicObject>, DriverError> {
    let client = cluster.client()?;
    let resource = kind(object)?.resource(Some(object.api_version.rsplit('/').next().unwrap_or(&object.api_version)));
    Ok(match &object.namespace {
        Some(namespace) => Api::namespaced_with(client, namespace, &resource),
        None => Api::all_with(client, &resource),
    })
}
