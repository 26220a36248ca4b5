//! How many objects a plan changes, counted from its patches.

use bellwether_model::decision::{Reason, Tier};

use super::{Case, reason};

pub(super) fn reasons(case: &Case<'_>) -> Vec<Reason> {
    let (objects, most) = (case.objects(), case.safety().max_objects);
    let count = if objects == 1 { "1 object".to_owned() } else { format!("{objects} objects") };
    let (tier, text) = match objects {
        0 => (Tier::Forbidden, "the plan changes nothing".to_owned()),
        n if n > most as usize => (Tier::Forbidden, format!("{count} would change, and max_objects is {most}")),
        _ => (Tier::Allowed, format!("{count} would change (max_objects {most})")),
    };
    vec![reason("blast_radius", tier, text)]
}
