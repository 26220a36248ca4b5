//! The tables of the ledger: schema, append, snapshot, maintain. The only writer.
//!
//! A ledger is a folder or bucket of Delta tables, so every file of it is Parquet and other engines read it without this
//! program. Tables are append-only; a changed fact is a newer row. What a commit stores is on the disk when the call returns,
//! and a batch that is offered twice is stored once.
//!
//! This crate deliberately does not know what a detector, a plan or a source is for, who asks, or SQL.
//!
//! Modules in reading order:
//! * [`tables`] — what the ledger holds, one file a table; [`schema`] — the same for Arrow and Delta; [`rows`] — typed rows to batches and back; [`vectors`] — the same for vectors, quickly;
//! * [`store`], [`durable`] — where the ledger lies, and how a folder survives power loss; [`error`] — what can go wrong;
//! * [`lake`] — open and append; [`table`] — commits; [`samples`], [`block`], [`encode`], [`file`], [`series`] — how measurements are laid out and who owns them;
//! * [`snapshot`] — one pinned version of every table; [`cache`] — rows kept in memory between snapshots; [`scan`] — reading samples of a snapshot in order; [`maintain`], [`stat`] — compaction, vacuum, figures.

mod block;
mod cache;
pub mod durable;
mod encode;
pub mod error;
pub mod file;
pub mod lake;
pub mod maintain;
pub mod rows;
mod samples;
pub mod scan;
pub mod schema;
mod series;
pub mod snapshot;
pub mod stat;
pub mod store;
mod table;
pub mod tables;
pub mod vectors;

pub use block::Block;
pub use cache::FileRows;
pub use error::LakeError;
pub use lake::{Appended, Lake};
pub use snapshot::Snapshot;
pub use table::Lane;
