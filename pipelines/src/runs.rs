//! Run history: what was done before, by whom and for what, and whether it helped. It comes from a PostgreSQL table or from files, and
//! leaves this module redacted.
//!
//! [`row`] turns one source row, whatever it came from, into a [`bellwether_model::run::Run`]; [`postgres`] and [`files`] fetch rows;
//! [`export`] writes runs back out as JSONL.

pub mod export;
pub mod files;
pub mod postgres;
mod row;

use std::collections::BTreeSet;

use bellwether_model::id::RunId;
use bellwether_model::reject::Reject;
use bellwether_model::run::Run;
use bellwether_model::time::Timestamp;

/// Runs of one batch, redacted, and the rows that could not be read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pulled {
    /// What could be read, in the source's order.
    pub runs: Vec<Run>,
    /// What could not.
    pub rejects: Vec<Reject>,
}

/// What the ledger has already: run and time of change.
pub type Known = BTreeSet<(RunId, Timestamp)>;

impl Pulled {
    /// Leaves only runs that are not known, each version of a run once.
    pub fn retain_new(&mut self, known: &Known) {
        let mut seen = Known::new();
        self.runs.retain(|run| {
            let version = (run.run_id.clone(), run.updated_at);
            !known.contains(&version) && seen.insert(version)
        });
    }
}
