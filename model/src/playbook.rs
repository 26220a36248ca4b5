//! A playbook (WPK in some houses): a signed list of typed actions with preconditions.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::id::PlaybookId;

/// Whether a playbook may ever run without a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SafetyMode {
    /// Always awaits approval.
    #[default]
    Manual,
    /// May run unattended where governance allows it and `allowed_roles` contains `org-admin`.
    Auto,
}

/// The safety block of a playbook.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Safety {
    /// `manual` (default) or `auto`.
    pub mode: SafetyMode,
    /// Roles that may let it run.
    pub allowed_roles: Vec<String>,
    /// Who set `mode: auto`: recorded as approver of unattended executions. Required where the mode is `auto`.
    pub owner: Option<String>,
}

/// What a playbook acts on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TargetKind {
    /// The incident's model endpoint.
    Endpoint,
    /// The incident's GPU pool.
    Pool,
    /// The incident's node.
    Node,
    /// The incident's dataset.
    Dataset,
}

/// One typed action. The set is closed: a verb that is not here does not load.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "snake_case", deny_unknown_fields)]
pub enum Action {
    /// Changes `minReplicas` and `maxReplicas` of an InferenceService. Relative and absolute may not be mixed for one bound.
    ScaleEndpoint {
        /// Added to `minReplicas`; may be negative.
        #[serde(default)]
        add_min: i32,
        /// Added to `maxReplicas`; may be negative.
        #[serde(default)]
        add_max: i32,
        /// New `minReplicas`.
        #[serde(default)]
        min_replicas: Option<u32>,
        /// New `maxReplicas`.
        #[serde(default)]
        max_replicas: Option<u32>,
    },
    /// Takes all traffic off the canary: `canaryTrafficPercent: 0`.
    RollbackCanary {},
    /// Changes the GPU limit of a pool (`spec.limits["nvidia.com/gpu"]` of a NodePool).
    ScalePool {
        /// Added to the limit; may be negative.
        #[serde(default)]
        add_gpus: i32,
        /// New limit.
        #[serde(default)]
        gpu_limit: Option<u32>,
    },
    /// Keeps new pods off a node (`spec.unschedulable: true`).
    CordonNode {},
    /// Tells a person what to do; changes nothing.
    Advise {
        /// The advice.
        text: String,
    },
    /// Known so that it can be refused: never executed.
    DeleteDeployment {},
    /// Known so that it can be refused: never executed.
    ModifyNamespace {},
    /// Known so that it can be refused: never executed.
    ChangeRbac {},
}

impl Action {
    /// The verb as written in a playbook.
    pub const fn verb(&self) -> &'static str {
        match self {
            Self::ScaleEndpoint { .. } => "scale_endpoint",
            Self::RollbackCanary {} => "rollback_canary",
            Self::ScalePool { .. } => "scale_pool",
            Self::CordonNode {} => "cordon_node",
            Self::Advise { .. } => "advise",
            Self::DeleteDeployment {} => "delete_deployment",
            Self::ModifyNamespace {} => "modify_namespace",
            Self::ChangeRbac {} => "change_rbac",
        }
    }
}

/// What governance rules on: the operation that an action amounts to for a given object. Names are the blueprint's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// Scaling that stays inside the blueprint's bounds.
    ScaleWithinLimits,
    /// Scaling that passes the blueprint's maximum.
    ScaleBeyondLimits,
    /// Changing CPU and memory inside the blueprint's bounds.
    AdjustResourcesWithinBounds,
    /// Restarting pods.
    RestartPods,
    /// Returning traffic to the previous revision.
    RollbackRelease,
    /// Keeping new pods off a node.
    CordonNode,
    /// Scaling to no replicas.
    ScaleToZero,
    /// Taking an endpoint off the network.
    DisableIngress,
    /// Deleting a deployment.
    DeleteDeployment,
    /// Changing a namespace.
    ModifyNamespace,
    /// Changing access rights.
    ChangeRbac,
}

impl Operation {
    /// Every operation, in order.
    pub const ALL: [Self; 11] = [
        Self::ScaleWithinLimits,
        Self::ScaleBeyondLimits,
        Self::AdjustResourcesWithinBounds,
        Self::RestartPods,
        Self::RollbackRelease,
        Self::CordonNode,
        Self::ScaleToZero,
        Self::DisableIngress,
        Self::DeleteDeployment,
        Self::ModifyNamespace,
        Self::ChangeRbac,
    ];

    /// The name as blueprints write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ScaleWithinLimits => "scale_within_limits",
            Self::ScaleBeyondLimits => "scale_beyond_limits",
            Self::AdjustResourcesWithinBounds => "adjust_resources_within_bounds",
            Self::RestartPods => "restart_pods",
            Self::RollbackRelease => "rollback_release",
            Self::CordonNode => "cordon_node",
            Self::ScaleToZero => "scale_to_zero",
            Self::DisableIngress => "disable_ingress",
            Self::DeleteDeployment => "delete_deployment",
            Self::ModifyNamespace => "modify_namespace",
            Self::ChangeRbac => "change_rbac",
        }
    }

    /// The operation of this name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|op| op.name() == name)
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A playbook as its file says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Playbook {
    /// Its id.
    pub id: PlaybookId,
    /// Its name for people.
    pub name: String,
    /// What it does and when it helps: matched against incidents when there is no experience yet.
    pub description: String,
    /// Its version.
    #[serde(default)]
    pub version: String,
    /// What it acts on.
    pub target: TargetKind,
    /// Metrics and columns whose deviation it treats; `*` at the end matches any ending.
    #[serde(default)]
    pub symptoms: Vec<String>,
    /// Free words.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Whether it may run unattended.
    #[serde(default)]
    pub safety: Safety,
    /// CEL conditions over the target that must all hold, e.g. `max_replicas < 20`.
    #[serde(default)]
    pub preconditions: Vec<String>,
    /// What it does, in order.
    pub actions: Vec<Action>,
    /// SHA-256 of the file's bytes: what the configuration pins.
    #[serde(skip_deserializing, default = "zero")]
    pub digest: Digest,
}

fn zero() -> Digest {
    Digest::ZERO
}
