//! The breaker of a service.

use bellwether_model::decision::{Reason, Tier};
use bellwether_model::time::Span;

use super::{Case, reason};
use crate::history::BreakerVerdict;

pub(super) fn reasons(case: &Case<'_>) -> Vec<Reason> {
    let failures = case.history.consecutive_failures;
    let (tier, text) = match case.history.breaker_verdict(case.safety(), case.now) {
        BreakerVerdict::Pass => (Tier::Allowed, "the breaker is closed".to_owned()),
        _ if case.is_safety() => (Tier::Allowed, "a safety operation passes an open breaker".to_owned()),
        BreakerVerdict::Probe => (Tier::Allowed, format!("the breaker lets one operation through to try after {failures} failures")),
        BreakerVerdict::Blocked { left: Span::ZERO } => (Tier::Restricted, "the breaker awaits the result of its probe".to_owned()),
        BreakerVerdict::Blocked { left } => {
            (Tier::Restricted, format!("the breaker is open after {failures} failures, for another {left}"))
        }
    };
    vec![reason("breaker", tier, text)]
}
