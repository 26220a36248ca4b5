//! Sources, and the rounds that compose ingest, judge and act.

pub mod cost;
pub mod ingest;
pub mod inventory;
pub mod notify;
pub mod openlineage;
pub mod prometheus;
pub mod pull;
pub mod rules;
pub mod runs;
pub mod schedule;
pub mod stored;

#[cfg(test)]
mod test_server;
