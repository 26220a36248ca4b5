//! Who may do what: placing an operation in a tier, and merging the lists of global rules and service.

use std::collections::BTreeSet;

use bellwether_model::decision::Tier;
use bellwether_model::playbook::Operation;
use serde_saphyr::Spanned;

use super::draft::{Draft, RawAuthority};
use super::merge::Picker;
use super::{ApprovalRule, Authority};
use crate::condition::{Condition, Sample, Variable, Variables};
use crate::yaml::LoadError;

/// The variables of a condition under `requires_approval`.
pub const CONDITION_VARIABLES: &[Variable] = &[
    Variable { name: "target_replicas", meaning: "replicas (GPUs of a pool) that the operation asks for", sample: Sample::Int },
    Variable { name: "current_replicas", meaning: "the same bound as it is now", sample: Sample::Int },
    Variable { name: "min_replicas", meaning: "the blueprint's minimum", sample: Sample::Int },
    Variable { name: "max_replicas", meaning: "the blueprint's maximum", sample: Sample::Int },
    Variable { name: "objects", meaning: "objects that the whole plan changes", sample: Sample::Int },
    Variable { name: "confidence", meaning: "score of the recommendation, 0 to 1", sample: Sample::Double },
    Variable { name: "service", meaning: "name of the service", sample: Sample::Text },
    Variable { name: "priority", meaning: "high, medium or low", sample: Sample::Text },
    Variable { name: "criticality", meaning: "critical or standard", sample: Sample::Text },
];

/// Where a blueprint places an operation, with everything that says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// The tier.
    pub tier: Tier,
    /// Why, in words.
    pub text: String,
    /// Who is asked, where a person is needed.
    pub approvers: Vec<String>,
}

/// Operations that Bellwether knows only in order to refuse them, whatever a blueprint says.
pub(crate) const NEVER: [Operation; 3] = [Operation::DeleteDeployment, Operation::ModifyNamespace, Operation::ChangeRbac];

impl Authority {
    /// The tier of an operation under these variables (see [`CONDITION_VARIABLES`]).
    ///
    /// Forbidden goes before restricted, restricted before allowed. An operation that no list names is forbidden, also
    /// when its only condition does not hold. A condition that cannot be evaluated restricts. `delete_deployment`,
    /// `modify_namespace` and `change_rbac` are forbidden wherever they are listed.
    pub fn place(&self, operation: Operation, variables: &Variables) -> Placement {
        let forbidden = |text: String| Placement { tier: Tier::Forbidden, text, approvers: Vec::new() };
        if NEVER.contains(&operation) {
            return forbidden(format!("{operation} is never carried out"));
        }
        if self.forbidden_operations.contains(&operation) {
            return forbidden(format!("{operation} is in forbidden_operations"));
        }
        let mut reasons = Vec::new();
        let mut approvers = BTreeSet::new();
        let mut lenient = Vec::new();
        for rule in self.requires_approval.iter().filter(|rule| rule.operation == operation) {
            let applies = match &rule.condition {
                None => Some(format!("{operation} requires approval")),
                Some(condition) => match condition.holds(variables) {
                    Ok(true) => Some(format!("{operation} requires approval because {}", condition.with_values(variables))),
                    Ok(false) => {
                        lenient.push(format!("{} does not hold", condition.with_values(variables)));
                        None
                    }
                    Err(e) => Some(format!("{operation} requires approval because {} cannot be evaluated: {e}", condition.text())),
                },
            };
            if let Some(reason) = applies {
                reasons.push(reason);
                approvers.extend(rule.approvers.iter().cloned());
            }
        }
        if !reasons.is_empty() {
            return Placement { tier: Tier::Restricted, text: reasons.join("; "), approvers: approvers.into_iter().collect() };
        }
        if self.allowed_operations.contains(&operation) {
            return Placement { tier: Tier::Allowed, text: format!("{operation} is in allowed_operations"), approvers: Vec::new() };
        }
        if lenient.is_empty() {
            forbidden(format!("{operation} is in no list of the blueprint, and what is not listed is forbidden"))
        } else {
            forbidden(format!("{operation} is listed only for approval, but {}", lenient.join("; ")))
        }
    }
}

/// How strictly one file places an operation: the most lenient list that names it, unless it forbids it.
fn level(authority: &RawAuthority, operation: Operation) -> Option<(Tier, &Spanned<Operation>)> {
    let listed = |list: &'_ [Spanned<Operation>]| list.iter().position(|op| op.value == operation);
    if let Some(i) = listed(&authority.forbidden_operations) {
        return Some((Tier::Forbidden, &authority.forbidden_operations[i]));
    }
    if let Some(i) = listed(&authority.allowed_operations) {
        return Some((Tier::Allowed, &authority.allowed_operations[i]));
    }
    authority.requires_approval.iter().find(|r| r.operation.value == operation).map(|r| (Tier::Restricted, &r.operation))
}

impl Picker<'_> {
    /// The merged lists. A service that places an operation more leniently than a global file is refused; an operation
    /// that it does not list stays where the global files place it.
    pub(super) fn authority(&mut self) -> Authority {
        let mut merged = Authority::default();
        for draft in self.global.iter().chain([self.own]) {
            let Some(lists) = lists(draft) else { continue };
            self.contradictions(draft, lists);
            merged.forbidden_operations.extend(lists.forbidden_operations.iter().map(|op| op.value));
            self.approval_rules(draft, lists, &mut merged.requires_approval);
        }
        for operation in Operation::ALL {
            let rule = self
                .global
                .iter()
                .filter_map(|d| level(lists(d)?, operation).map(|(tier, at)| (tier, d.place(at))))
                .max_by_key(|(tier, _)| *tier);
            let own = lists(self.own).and_then(|l| level(l, operation)).map(|(tier, at)| (tier, self.own.place(at)));
            if let (Some((mine, here)), Some((strict, there))) = (&own, &rule)
                && mine < strict
            {
                let message = format!("{operation} is {mine} here but {strict} by the global rule of {there}");
                self.errors.push(LoadError::new(here.clone(), message).hint("a service may tighten a global rule, never loosen it"));
            }
            if let Some((tier, place)) = own.or(rule) {
                self.places.by_path.insert(format!("governance.agent_authority.{operation}"), place);
                if tier == Tier::Allowed && !merged.forbidden_operations.contains(&operation) {
                    merged.allowed_operations.insert(operation);
                }
            }
        }
        for (list, path) in [(0, "allowed_operations"), (1, "requires_approval"), (2, "forbidden_operations")] {
            let first = lists(self.own).and_then(|l| match list {
                0 => l.allowed_operations.first(),
                1 => l.requires_approval.first().map(|r| &r.operation),
                _ => l.forbidden_operations.first(),
            });
            if let Some(first) = first {
                self.places.by_path.insert(format!("governance.agent_authority.{path}"), self.own.place(first));
            }
        }
        merged
    }

    fn contradictions(&mut self, draft: &Draft, lists: &RawAuthority) {
        for op in &lists.forbidden_operations {
            let elsewhere =
                lists.allowed_operations.iter().chain(lists.requires_approval.iter().map(|r| &r.operation)).find(|o| o.value == op.value);
            if let Some(other) = elsewhere {
                let message = format!("{} is forbidden here and permitted at {}", op.value, draft.place(other));
                self.errors.push(LoadError::new(draft.place(op), message).hint("list it once"));
            }
        }
    }

    fn approval_rules(&mut self, draft: &Draft, lists: &RawAuthority, into: &mut Vec<ApprovalRule>) {
        for raw in &lists.requires_approval {
            let condition = match &raw.condition {
                None => None,
                Some(text) => match Condition::compile(&text.value, CONDITION_VARIABLES) {
                    Ok(condition) => Some(condition),
                    Err(e) => {
                        let error = LoadError::new(draft.place(text), e.to_string());
                        self.errors.push(match e.hint() {
                            Some(hint) => error.hint(hint),
                            None => error,
                        });
                        continue;
                    }
                },
            };
            into.push(ApprovalRule { operation: raw.operation.value, condition, approvers: raw.approvers.clone() });
        }
    }
}

fn lists(draft: &Draft) -> Option<&RawAuthority> {
    draft.raw.governance.as_ref()?.agent_authority.as_ref()
}
