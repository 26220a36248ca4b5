//! The product, end to end: the real binary against real servers.
//!
//! Modules in reading order: [`servers`], [`cluster`], [`bellwether`] and [`serving`] — what tests stand on; [`house`] — the
//! arrows between crates; [`cli`] and [`bad_input`] — the command line and wrong input; [`first_minutes`] — a person with
//! nothing but a Prometheus; [`scenario`] — the whole job; [`demo`] — the whole job with nothing but the binary.

mod bad_input;
mod bellwether;
mod cli;
mod cluster;
mod demo;
mod first_minutes;
mod first_steps;
mod house;
mod scenario;
mod servers;
mod serving;
