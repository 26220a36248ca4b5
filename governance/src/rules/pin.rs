//! The playbook is the one that the plan was made from, and its bytes are pinned where pins are required.

use bellwether_model::decision::{Reason, Tier};

use super::{Case, reason};

pub(super) fn reasons(case: &Case<'_>) -> Vec<Reason> {
    let body = &case.plan.body;
    let id = &body.playbook_id;
    let Some(loaded) = case.playbook else {
        return vec![reason("pin", Tier::Forbidden, format!("playbook {id} is not loaded"))];
    };
    if loaded.playbook.digest != body.playbook_digest {
        return vec![reason("pin", Tier::Forbidden, format!("playbook {id} changed since the plan was made"))];
    }
    match case.governance.pins() {
        None => Vec::new(),
        Some(pins) => match pins.get(id) {
            Some(pinned) if *pinned == body.playbook_digest => vec![reason("pin", Tier::Allowed, format!("playbook {id} is pinned"))],
            Some(_) => {
                vec![reason("pin", Tier::Forbidden, format!("playbook {id} is pinned with another SHA-256 than {}", body.playbook_digest))]
            }
            None => vec![reason("pin", Tier::Forbidden, format!("playbook {id} is not pinned; its SHA-256 is {}", body.playbook_digest))],
        },
    }
}
