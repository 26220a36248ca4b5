//! The product, end to end: the real binary against real servers.
//!
//! Modules in reading order: [`servers`] and [`bellwether`] — what tests stand on; [`house`] — the arrows between crates;
//! [`cli`] — the command line and wrong input; [`first_minutes`] — a person with nothing but a Prometheus; [`scenario`] — the
//! whole job.

mod bellwether;
mod cli;
mod first_minutes;
mod house;
mod scenario;
mod servers;
