//! Doing what was decided, once, and being able to take it back.
//!
//! The executor keeps the journal (the transactional state of acting), talks to the cluster, and carries executions on step
//! by step: intent before effect, audit entry with every transition, verification before success, and the recorded state
//! restored when it fails. What may run it takes from nobody but `governance`: [`journal::Journal::claim`] asks for an
//! `Admitted` plan, which only `governance::admit` makes.
//!
//! This crate deliberately does not know how a plan was reached, how a check is measured, or where the ledger is.
//!
//! Modules in reading order:
//! * [`journal`] — what is written down;
//! * [`drivers`] — reading and changing the cluster;
//! * [`step()`] — carrying an execution on;
//! * [`audit`] — the chain as lines for others to verify;
//! * [`apiserver`] — a simulated Kubernetes API, and [`fleet`] — the simulated fleet behind it.

pub mod apiserver;
pub mod audit;
pub mod drivers;
pub mod fleet;
pub mod journal;
pub mod step;

pub use drivers::{Cluster, DriverError, DryRun, dry_run, inventory, observe};
pub use journal::claim::ClaimError;
pub use journal::transition::TransitionError;
pub use journal::{Journal, StoreError};
pub use step::{Next, Observations, StepError, step};
