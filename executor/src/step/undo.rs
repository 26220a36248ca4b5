//! Rolling back: what was there before is restored, last step first. Needs no admission and is never blocked; what someone
//! else changed meanwhile is never written over.

use bellwether_model::execution::ExecutionState;
use bellwether_model::plan::Step;
use bellwether_model::time::{Span, Timestamp};
use serde_json::json;

use super::{Next, RETRY, StepError, enter};
use crate::drivers::{ActionId, Cluster, DriverError, Live, read, undo};
use crate::journal::Journal;
use crate::journal::effect::{Direction, Effect, Settled};
use crate::journal::record::Record;

/// How long restoring is tried while the cluster gives no answer.
const PATIENCE: Span = Span::from_mins(10);

/// What is to be done about one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Remedy {
    /// Our restoration is on the object.
    Restored,
    /// The object stands as it did before, by someone else's hand.
    Needless,
    /// Our change stands, or may yet arrive: write what was there before.
    Write,
    /// Someone else changed it since.
    Foreign,
}

pub(super) async fn go_on(journal: &Journal, cluster: &Cluster, record: &Record, now: Timestamp) -> Result<Option<Next>, StepError> {
    let effects = journal.effects(&record.execution_id).await?;
    let of = |direction: Direction, i: usize| effects.iter().find(|e| e.direction == direction && e.step == i);
    let mut restored = 0;
    for (i, step) in record.plan.body.steps.iter().enumerate().rev() {
        let Some(applied) = of(Direction::Apply, i).filter(|e| e.settled != Some(Settled::Rejected)) else { continue };
        let undone = of(Direction::Undo, i);
        if undone.is_some_and(|e| e.settled.is_some()) {
            restored += 1;
            continue;
        }
        match restore(journal, cluster, record, (i, step), applied, undone, now).await {
            Ok(None) => restored += 1,
            Ok(Some(why)) => {
                enter(journal, record, ExecutionState::NeedsHuman, why, Vec::new(), now).await?;
                return Ok(None);
            }
            Err(Trouble::Step(e)) => return Err(e),
            Err(Trouble::Cluster(DriverError::NoCluster)) => {
                return Err(StepError::NoCluster { execution_id: record.execution_id.clone() });
            }
            Err(Trouble::Cluster(e)) if e.is_transient() && now < record.entered_at + PATIENCE => {
                tracing::warn!(execution = %record.execution_id, error = %e, "the cluster gave no answer; rolling back again");
                return Ok(Some(Next::Wait { at: now + RETRY }));
            }
            Err(Trouble::Cluster(e)) => {
                if !e.is_transient() {
                    let action = ActionId::of(&record.execution_id, Direction::Undo.name(), i);
                    journal.settle(&record.execution_id, &action, Settled::Rejected, &e.to_string(), now).await?;
                }
                enter(journal, record, ExecutionState::NeedsHuman, format!("{} could not be restored: {e}", step.object), Vec::new(), now)
                    .await?;
                return Ok(None);
            }
        }
    }
    let why = if restored == 0 {
        "nothing had been changed".to_owned()
    } else {
        format!("{restored} of its steps restored to what was there before")
    };
    enter(journal, record, ExecutionState::RolledBack, why, Vec::new(), now).await?;
    Ok(None)
}

enum Trouble {
    Step(StepError),
    Cluster(DriverError),
}

impl<E: Into<StepError>> From<E> for Trouble {
    fn from(e: E) -> Self {
        Self::Step(e.into())
    }
}

/// Restores one step, or says why a person must.
async fn restore(
    journal: &Journal,
    cluster: &Cluster,
    record: &Record,
    (i, step): (usize, &Step),
    applied: &Effect,
    undone: Option<&Effect>,
    now: Timestamp,
) -> Result<Option<String>, Trouble> {
    let id = &record.execution_id;
    let done = ActionId::of(id, Direction::Apply.name(), i);
    let action = ActionId::of(id, Direction::Undo.name(), i);
    let live = read(cluster, &step.object).await.map_err(Trouble::Cluster)?;
    let remedy = remedy(step, &live, &action, applied);
    if remedy == Remedy::Foreign {
        let difference = live.first_difference(&step.patch).or_else(|| live.first_difference(&applied.before)).unwrap_or_default();
        return Ok(Some(format!("{} was changed by someone else since, and is left as it is: {difference}", step.object)));
    }
    if undone.is_none() {
        let change = json!({ "object": step.object, "field_manager": step.field_manager, "restore": applied.before, "resource_version": live.resource_version() });
        journal.intend(&record.position(), Direction::Undo, i, &live.fields(&step.patch), change, now).await?;
    }
    let arrived = live.stands_at(&step.patch);
    if applied.settled.is_none() && arrived {
        journal.settle(id, &done, Settled::Observed, "seen while rolling back", now).await?;
    }
    let (settled, detail) = match remedy {
        Remedy::Write => {
            let after = undo(cluster, step, &applied.before, &action, &live).await.map_err(Trouble::Cluster)?;
            (Settled::Observed, format!("resource version {}", after.resource_version()))
        }
        Remedy::Needless => (Settled::Needless, "it stood as before already".to_owned()),
        Remedy::Restored | Remedy::Foreign => (Settled::Observed, format!("resource version {}", live.resource_version())),
    };
    if applied.settled.is_none() && !arrived {
        journal.settle(id, &done, Settled::Rejected, "never arrived, and no longer can", now).await?;
    }
    journal.settle(id, &action, settled, &detail, now).await?;
    Ok(None)
}

/// Decides from what stands. While it is open whether our change arrived, writing what was there before also fences it off:
/// a write that is still on its way names an older resource version.
fn remedy(step: &Step, live: &Live, action: &ActionId, applied: &Effect) -> Remedy {
    let (ours, before) = (live.stands_at(&step.patch), live.stands_at(&applied.before));
    if live.carries(&step.field_manager, action) && before {
        Remedy::Restored
    } else if ours || (before && applied.settled.is_none()) {
        Remedy::Write
    } else if before {
        Remedy::Needless
    } else {
        Remedy::Foreign
    }
}
