//! The vocabulary of Bellwether.
//!
//! Every other crate speaks in these nouns. Values are parsed once, at the edge, into types that cannot be wrong, and
//! are never checked again. A row of the ledger is one of these structs: its serde field names are the column names.
//!
//! This crate deliberately knows nothing of input and output, of async, of Arrow, or of any service's wire format.
//!
//! Modules in reading order:
//! * [`time`], [`zone`], [`unit`], [`id`], [`digest`] — instants, quantities, identities;
//! * [`series`] — a metric's identity and its samples;
//! * [`inventory`], [`run`], [`dataset`], [`cost`] — what the fleet is, did, read and spent;
//! * [`verdict`], [`signal`], [`suppression`], [`incident`], [`label`], [`reject`] — what was judged, kept quiet, or refused on the way in;
//! * [`playbook`], [`recommendation`], [`plan`], [`decision`] — what was proposed and what governance said;
//! * [`execution`], [`outcome`], [`audit`], [`round`] — what was done, whether it helped, and the record of it.

pub mod audit;
pub mod cost;
pub mod dataset;
pub mod decision;
pub mod digest;
pub mod execution;
pub mod id;
pub mod incident;
pub mod inventory;
pub mod label;
pub mod outcome;
pub mod plan;
pub mod playbook;
pub mod recommendation;
pub mod reject;
pub mod round;
pub mod run;
pub mod series;
pub mod signal;
pub mod state;
pub mod suppression;
pub mod time;
pub mod unit;
pub mod verdict;
pub mod zone;
