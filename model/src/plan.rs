//! A plan: a playbook bound to live objects, with the exact patches, their undo, and a digest over all of it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::digest::{CanonicalError, Digest};
use crate::id::{CheckName, IncidentId, PlanId, PlaybookId, RecommendationId, RoundId, ServiceName};
use crate::inventory::Entity;
use crate::playbook::Operation;
use crate::time::{Span, Timestamp};
use crate::unit::Threshold;

/// A live Kubernetes object, pinned to the state in which it was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectRef {
    /// `serving.kserve.io/v1beta1`, `karpenter.sh/v1`, `v1`.
    pub api_version: String,
    /// `InferenceService`, `NodePool`, `Node`.
    pub kind: String,
    /// Namespace; none for cluster-scoped objects.
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
    /// UID: an object that was deleted and made anew is another object.
    pub uid: String,
    /// Resource version when the plan was made. Evidence, not a lock: status updates change it.
    pub resource_version: String,
}

impl std::fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ", self.kind)?;
        if let Some(ns) = &self.namespace {
            write!(f, "{ns}/")?;
        }
        f.write_str(&self.name)
    }
}

/// One change of one object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// What governance rules on.
    pub operation: Operation,
    /// The object.
    pub object: ObjectRef,
    /// Who owns the fields afterwards: `bellwether/scale`, `bellwether/rollout`, `bellwether/pool`, `bellwether/node`.
    pub field_manager: String,
    /// The fields as they should become: the body of a server-side apply without `apiVersion`, `kind` and `metadata`.
    pub patch: Value,
    /// The same fields as they are now: what undo restores. `null` where a field is absent.
    pub before: Value,
    /// What it does, in words: `minReplicas 2 → 3, maxReplicas 4 → 6`.
    pub summary: String,
}

/// A check that verification will make.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlannedCheck {
    /// Its name in the blueprint.
    pub name: CheckName,
    /// The bound.
    pub target: Threshold,
    /// The complete PromQL query.
    pub query: String,
    /// Whether its failure is critical.
    pub critical: bool,
    /// Whether its failure triggers rollback.
    pub rollback_trigger: bool,
}

/// How success is measured and when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verification {
    /// How long to wait before measuring.
    pub stabilization: Span,
    /// What to measure.
    pub checks: Vec<PlannedCheck>,
    /// Whether a failure is undone without asking.
    pub automatic_rollback: bool,
}

/// Everything a plan is; its digest is what approval is bound to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlanBody {
    /// The incident it answers.
    pub incident_id: IncidentId,
    /// The recommendation it follows.
    pub recommendation_id: RecommendationId,
    /// The playbook.
    pub playbook_id: PlaybookId,
    /// SHA-256 of the playbook's file.
    pub playbook_digest: Digest,
    /// The service whose blueprint governs it.
    pub service: ServiceName,
    /// Version of the blueprint.
    pub blueprint_version: String,
    /// SHA-256 of the blueprint with the global rules merged in.
    pub blueprint_digest: Digest,
    /// The thing it acts on.
    pub target: Entity,
    /// What it does, in order.
    pub steps: Vec<Step>,
    /// How success is measured.
    pub verification: Verification,
    /// Recommendation score it rests on.
    pub confidence: f64,
}

/// A plan. A row of the table `plans`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Begins with the digest's first digits.
    pub plan_id: PlanId,
    /// SHA-256 over the canonical JSON of `body`.
    pub digest: Digest,
    /// All of it.
    pub body: PlanBody,
    /// The round that made it.
    pub round_id: RoundId,
    /// When it was made.
    pub recorded_at: Timestamp,
}

impl Plan {
    /// Seals a body: computes its digest and id.
    pub fn seal(body: PlanBody, round_id: RoundId, recorded_at: Timestamp) -> Result<Self, CanonicalError> {
        let digest = Digest::of(&body)?;
        Ok(Self { plan_id: PlanId::new(format!("plan-{}", digest.short())), digest, body, round_id, recorded_at })
    }
    /// Whether the digest still fits the body.
    pub fn is_intact(&self) -> bool {
        Digest::of(&self.body).is_ok_and(|d| d == self.digest)
    }
}
