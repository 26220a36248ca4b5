//! The rest between two operations of a service.

use bellwether_model::decision::{Reason, Tier};
use bellwether_model::time::Span;

use super::{Case, reason};

pub(super) fn reasons(case: &Case<'_>) -> Vec<Reason> {
    let left = case.history.cooldown_left(case.safety(), case.now);
    if left == Span::ZERO {
        return vec![reason("cooldown", Tier::Allowed, "the service has rested")];
    }
    if case.is_safety() {
        return vec![reason("cooldown", Tier::Allowed, format!("a safety operation does not wait for the cooldown ({left} left)"))];
    }
    vec![reason("cooldown", Tier::Restricted, format!("the service rests for another {left} (cooldown {})", case.safety().cooldown))]
}
