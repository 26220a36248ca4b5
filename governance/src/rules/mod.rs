//! The rules: one file each. A rule looks at a plan and says what it alone would decide, with every reason in words.
//!
//! To add a rule: a file here and a line in [`POLICY`] (what may be done at all) or [`LIMITS`] (what may be done now).

mod blast_radius;
mod breaker;
mod confidence;
mod cooldown;
mod integrity;
mod patch;
mod pin;
mod rate_limit;
mod safety_mode;
mod scope;
mod tier;

use bellwether_model::decision::{Reason, Tier};
use bellwether_model::plan::{Plan, Step};
use bellwether_model::playbook::Operation;
use bellwether_model::time::Timestamp;

use crate::binding::{Governance, Service};
use crate::blueprint::{Placement, Safety};
use crate::condition::{Value, Variables};
use crate::history::{History, is_safety};
use crate::playbook::LoadedPlaybook;
use crate::verbs;

/// Everything a rule may look at.
pub(crate) struct Case<'a> {
    pub governance: &'a Governance,
    pub plan: &'a Plan,
    pub service: &'a Service,
    pub playbook: Option<&'a LoadedPlaybook>,
    pub history: &'a History,
    pub now: Timestamp,
}

/// What a rule says; nothing when it does not apply.
type Rule = fn(&Case<'_>) -> Vec<Reason>;

/// Rules on what may be done at all.
const POLICY: [Rule; 8] = [
    integrity::reasons,
    pin::reasons,
    scope::reasons,
    patch::reasons,
    tier::reasons,
    blast_radius::reasons,
    confidence::reasons,
    safety_mode::reasons,
];

/// Rules on what may be done now.
const LIMITS: [Rule; 3] = [cooldown::reasons, breaker::reasons, rate_limit::reasons];

impl<'a> Case<'a> {
    /// The case of a plan; none when its service is not bound.
    pub(crate) fn of(governance: &'a Governance, plan: &'a Plan, history: &'a History, now: Timestamp) -> Option<Self> {
        let service = governance.service(&plan.body.service)?;
        Some(Self { governance, plan, service, playbook: governance.playbook(&plan.body.playbook_id), history, now })
    }

    /// What the rules on what may be done at all say.
    pub(crate) fn policy(&self) -> Vec<Reason> {
        POLICY.iter().flat_map(|rule| rule(self)).collect()
    }

    /// What the rules on what may be done now say.
    pub(crate) fn limits(&self) -> Vec<Reason> {
        LIMITS.iter().flat_map(|rule| rule(self)).collect()
    }

    /// Where the blueprint places an operation of this plan.
    pub(crate) fn place(&self, operation: Operation, replicas: Option<(u32, u32)>) -> Placement {
        self.service.blueprint.governance.place(operation, &self.variables(replicas))
    }

    /// Where the blueprint places a step.
    pub(crate) fn place_step(&self, step: &Step) -> Placement {
        let reading = verbs::read(step, &self.service.blueprint.spec.scaling);
        self.place(step.operation, reading.and_then(|r| r.replicas))
    }

    /// Whether every step restores safety, so that no wait applies.
    pub(crate) fn is_safety(&self) -> bool {
        !self.plan.body.steps.is_empty() && self.plan.body.steps.iter().all(|s| is_safety(s.operation))
    }

    pub(crate) const fn safety(&self) -> &Safety {
        &self.service.blueprint.safety
    }

    /// How many different objects the plan changes.
    pub(crate) fn objects(&self) -> usize {
        let mut names: Vec<String> = self.plan.body.steps.iter().map(|s| s.object.to_string()).collect();
        names.sort_unstable();
        names.dedup();
        names.len()
    }

    /// The variables of [`crate::blueprint::CONDITION_VARIABLES`]; replicas only where the operation has them.
    fn variables(&self, replicas: Option<(u32, u32)>) -> Variables {
        let blueprint = &self.service.blueprint;
        let word = |value: &dyn std::fmt::Debug| Value::Text(format!("{value:?}").to_lowercase());
        let mut values: Variables = [
            ("min_replicas", Value::Int(blueprint.spec.scaling.min_replicas.0.into())),
            ("max_replicas", Value::Int(blueprint.spec.scaling.max_replicas.0.into())),
            ("objects", Value::Int(i64::try_from(self.objects()).unwrap_or(i64::MAX))),
            ("confidence", Value::Double(self.plan.body.confidence)),
            ("service", Value::Text(self.service.name.to_string())),
            ("priority", word(&blueprint.metadata.priority)),
            ("criticality", word(&blueprint.metadata.criticality)),
        ]
        .into();
        if let Some((target, current)) = replicas {
            values.insert("target_replicas", Value::Int(target.into()));
            values.insert("current_replicas", Value::Int(current.into()));
        }
        values
    }
}

fn reason(rule: &str, tier: Tier, text: impl Into<String>) -> Reason {
    Reason { rule: rule.to_owned(), tier, text: text.into() }
}
