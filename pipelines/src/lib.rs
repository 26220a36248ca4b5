//! Sources, and the rounds that compose ingest, judge and act.

pub mod cost;
pub mod prometheus;
pub mod schedule;

#[cfg(test)]
mod test_server;
