//! How many operations a service may have in any hour.

use bellwether_model::decision::{Reason, Tier};

use super::{Case, reason};

pub(super) fn reasons(case: &Case<'_>) -> Vec<Reason> {
    let limits = case.safety();
    let (left, most) = (case.history.rate_left(limits, case.now), limits.max_operations_per_hour);
    let (tier, text) = match left {
        0 if case.is_safety() => (Tier::Allowed, format!("a safety operation is not held back by the limit of {most} an hour")),
        0 => (
            Tier::Restricted,
            format!(
                "{most} operations in the last hour are the limit; the next is possible in {}",
                case.history.rate_wait(limits, case.now)
            ),
        ),
        left => (Tier::Allowed, format!("{left} of {most} operations an hour are left")),
    };
    vec![reason("rate_limit", tier, text)]
}
