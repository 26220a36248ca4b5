//! The graph from dataset to endpoint, as of any time, and the correlation of signals into incidents.
//!
//! Everything here is a function of its arguments: rows of the ledger in, rows or walks out, in an order that depends on
//! nothing but those rows.
//!
//! This crate deliberately does not know where rows are stored, how a signal was raised, or what is done about an incident.
//!
//! Modules in reading order:
//! * [`vertex`] — what the graph joins: datasets, jobs, endpoints;
//! * [`graph`] — built from the inputs and outputs of runs and the models of endpoints; walked up, down and along paths;
//! * [`dependency`] — what a thing of the fleet rests on, by inventory and lineage;
//! * `relation` — when two signals are about the same trouble, and what a series is about;
//! * `after` — which change a signal began shortly after, said in its hint;
//! * [mod@correlate] — signals into incidents, transition by transition;
//! * `root` — which entity is most likely at fault;
//! * `describe` — the words of an incident: title, summary, preceding changes.

mod after;
pub mod correlate;
pub mod dependency;
mod describe;
pub mod graph;
mod relation;
mod root;
pub mod vertex;

pub use after::tell_changes;
pub use correlate::{Moment, correlate};
pub use describe::is_headline;
pub use graph::{Edge, Graph, Hop};
pub use relation::entity_of;
pub use vertex::Vertex;
