//! How sure the recommendation is.

use bellwether_model::decision::{Reason, Tier};

use super::{Case, reason};

pub(super) fn reasons(case: &Case<'_>) -> Vec<Reason> {
    let (score, least) = (case.plan.body.confidence, case.safety().min_confidence);
    let sure = score >= least;
    let text = if sure {
        format!("score {score:.2} (min_confidence {least})")
    } else {
        format!("score {score:.2} is below min_confidence {least}")
    };
    vec![reason("confidence", if sure { Tier::Allowed } else { Tier::Restricted }, text)]
}
