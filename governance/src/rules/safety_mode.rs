//! Whether the playbook may run without a person. It never makes a plan stricter than the blueprint does; it decides
//! whether an allowed one waits.

use bellwether_model::decision::{Reason, Tier};
use bellwether_model::playbook::SafetyMode;

use super::{Case, reason};

pub(super) fn reasons(case: &Case<'_>) -> Vec<Reason> {
    let Some(loaded) = case.playbook else { return Vec::new() };
    let id = &loaded.playbook.id;
    let text = match (loaded.playbook.safety.mode, loaded.may_run_unattended()) {
        (SafetyMode::Manual, _) => format!("playbook {id} is manual: a person approves each run"),
        (SafetyMode::Auto, true) => format!("playbook {id} is auto: {} answers for it", loaded.owner().unwrap_or("nobody")),
        (SafetyMode::Auto, false) => format!("playbook {id} is auto but lacks an owner or the role org-admin: a person approves each run"),
    };
    vec![reason("safety_mode", Tier::Allowed, text)]
}
