//! DataFusion over one snapshot of the ledger. The only reader.
//!
//! A [`Session`] sees one pinned version of every table, as of one instant of event time, and cannot write. Everything that
//! judges reads through it: SQL for people, typed rows, windows of samples for detectors, evidence for the rest.
//!
//! This crate deliberately does not know who asks, over which protocol, or what the answers are for.
//!
//! Modules in reading order:
//! * [`error`] — what can go wrong; [`pinned`] — a table of a snapshot as DataFusion reads it; [`pruning`] — passing over files;
//! * [`literal`] — values as SQL spells them; [`functions`] — the few SQL functions of our own; [`views`] — the tables and views that a session offers; [`session`] — queries, limits, typed rows;
//! * [`series`], [`windows`] — samples for detectors; [`current`], [`evidence`] — everything else that judging rests on.

mod current;
pub mod error;
pub mod evidence;
pub mod functions;
pub mod literal;
pub mod pinned;
mod pruning;
mod series;
pub mod session;
pub mod views;
pub mod windows;

pub use error::SqlError;
pub use evidence::Evidence;
pub use pinned::SnapshotTable;
pub use session::{FirstRows, Limits, Session, SessionOptions};
pub use windows::WindowSpec;
