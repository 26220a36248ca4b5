//! The product, end to end: the real binary against real servers.
//!
//! Modules in reading order: [`servers`], [`cluster`], [`bellwether`] and [`serving`] — what tests stand on, [`qdrant`] among it; [`house`] — the
//! arrows between crates; [`cli`] and [`bad_input`] — the command line and wrong input; [`drift`] — two states of a dataset; [`noise`] — what is kept quiet; [`first_minutes`] — a person with
//! nothing but a Prometheus; [`bucket`] — the ledger on S3; [`vectors`] — texts into vectors: models, endpoints, Qdrant; [`scenario`] — the whole job; [`demo`] — the whole job with nothing but the binary.

mod bad_input;
mod bellwether;
mod bucket;
mod cli;
mod cluster;
mod demo;
mod drift;
mod first_minutes;
mod first_steps;
mod house;
mod noise;
#[cfg(test)]
#[path = "../embeddings/src/qdrant/stand_in.rs"]
mod qdrant;
mod scenario;
mod servers;
mod serving;
mod vectors;
