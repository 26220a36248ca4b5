//! The journal: the transactional state of acting.
//!
//! One SQLite file holds approvals, executions, effects, the audit chain, the inbox, the outbox positions and the leases.
//! Three rules hold everywhere:
//! * a transition is a compare-and-swap on (execution, state, sequence): of two that try, one wins and the other is told;
//! * the audit entry is written in the same transaction as what it records, so what cannot be recorded does not happen;
//! * an effect on the cluster is written down before it is sent, under an id that makes it happen once.
//!
//! Modules in reading order: `store` (the file), [`record`] (an execution as it stands), [`transition`] (its states), [`claim`]
//! (the gate to acting), [`effect`] (calls to the cluster), [`history`] (what limits are judged from), [`outcome`],
//! [`audit`] (the chain), [`inbox`], [`outbox`], [`lease`].

pub mod audit;
pub mod claim;
pub mod effect;
pub mod history;
pub mod inbox;
pub mod lease;
pub mod outbox;
pub mod outcome;
pub mod record;
mod store;
#[cfg(test)]
pub(crate) mod tests;
pub mod transition;

pub use store::StoreError;

/// An open journal. Cheap to clone: clones share the file.
#[derive(Clone, Debug)]
pub struct Journal {
    pool: sqlx::sqlite::SqlitePool,
    id: String,
    session: String,
}

impl Journal {
    /// The journal's own id, made with the file: the first half of every outbox lane.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// This opening of it. An execution claimed in another session has its unsent steps admitted anew.
    pub fn session(&self) -> &str {
        &self.session
    }
}
