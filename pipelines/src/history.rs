//! What the ledger knows of each service's past operations, for the advisory decision of a round.
//!
//! The binding decision is taken from the journal, in the transaction that claims an execution. This one is taken from the
//! snapshot, so that a round can be replayed.

use std::collections::BTreeMap;

use bellwether_governance::binding::Governance;
use bellwether_governance::history::{BreakerEvent, History, PastOperation};
use bellwether_model::execution::{Execution, ExecutionState};
use bellwether_model::id::ServiceName;
use bellwether_model::time::Timestamp;

/// The history of each service, from the transitions of its executions in order of time. What is later than `now` is not seen.
pub fn histories(governance: &Governance, transitions: &[Execution], now: Timestamp) -> BTreeMap<ServiceName, History> {
    let mut ordered: Vec<&Execution> = transitions.iter().filter(|t| t.recorded_at <= now).collect();
    ordered.sort_by(|a, b| (a.recorded_at, &a.execution_id, a.sequence).cmp(&(b.recorded_at, &b.execution_id, b.sequence)));
    let mut histories: BTreeMap<ServiceName, History> = BTreeMap::new();
    for transition in ordered {
        let Some(service) = governance.service(&transition.service) else { continue };
        let history = histories.entry(transition.service.clone()).or_default();
        let event = match transition.state {
            ExecutionState::Executing => {
                history.operations.push(PastOperation {
                    at: transition.recorded_at,
                    object: transition.service.to_string(),
                    safety: false,
                });
                BreakerEvent::ProbeStarted
            }
            ExecutionState::Succeeded => BreakerEvent::Succeeded,
            ExecutionState::RolledBack | ExecutionState::Failed | ExecutionState::NeedsHuman => BreakerEvent::Failed,
            _ => continue,
        };
        (history.breaker, history.consecutive_failures) = history.breaker_after(event, &service.blueprint.safety, transition.recorded_at);
    }
    histories
}
