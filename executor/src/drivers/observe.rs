//! Looking at the objects of a plan just before it is admitted.

use std::collections::BTreeSet;

use bellwether_governance::live::{LiveObject, LiveState, fields_like};
use bellwether_model::plan::Plan;

use super::Cluster;
use super::error::DriverError;
use super::object::find;

/// The live state of a plan's objects, for `governance::admit`. Steps that were sent already (see
/// [`crate::Journal::sent`]) are not looked at.
///
/// *Errors:* no cluster, no answer, or no right to read. An object that does not exist is no error.
pub async fn observe(cluster: &Cluster, plan: &Plan, sent: &BTreeSet<usize>) -> Result<LiveState, DriverError> {
    let mut steps = Vec::with_capacity(plan.body.steps.len());
    for (i, step) in plan.body.steps.iter().enumerate() {
        steps.push(if sent.contains(&i) {
            LiveObject::Sent
        } else {
            match find(cluster, &step.object).await {
                Ok(live) => LiveObject::Seen { uid: live.uid().to_owned(), fields: fields_like(&step.before, &live.object) },
                Err(DriverError::Gone { .. }) => LiveObject::Gone,
                Err(e) => return Err(e),
            }
        });
    }
    Ok(LiveState { steps })
}
