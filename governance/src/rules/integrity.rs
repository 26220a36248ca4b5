//! The plan is what was sealed, and rests on the blueprint that is in force.

use bellwether_model::decision::{Reason, Tier};

use super::{Case, reason};

pub(super) fn reasons(case: &Case<'_>) -> Vec<Reason> {
    let body = &case.plan.body;
    let mut found = Vec::new();
    if !case.plan.is_intact() {
        found.push(reason("integrity", Tier::Forbidden, "the plan's digest does not fit its content"));
    }
    let version = &case.service.blueprint.metadata.version;
    if body.blueprint_digest == case.service.digest {
        found.push(reason(
            "blueprint",
            Tier::Allowed,
            format!("blueprint {} version {version} is in force", case.service.blueprint.metadata.name),
        ));
    } else {
        let text = format!(
            "the plan rests on blueprint {} version {} ({}), but version {version} ({}) is in force",
            case.service.blueprint.metadata.name,
            body.blueprint_version,
            body.blueprint_digest.short(),
            case.service.digest.short()
        );
        found.push(reason("blueprint", Tier::Forbidden, text));
    }
    found
}
