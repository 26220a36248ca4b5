//! Sources, and the rounds that compose ingest, judge and act.
//!
//! Everything that takes part of two crates below is composed here: what is pulled becomes rows, rows become conclusions,
//! conclusions become executions, and executions become rows again.
//!
//! This crate deliberately does not know HTTP serving, the command line, or a terminal.
//!
//! Modules in reading order:
//! * [`prometheus`], [`rules`], [`pull`] — metrics; [`runs`] — run history; [`openlineage`] — lineage; [`inventory`] — the fleet; [`cost`] — what it spends;
//! * [`file`] — files that somebody names; [`columns`] — those that are compared, not stored, whole or as sketches;
//! * [`ingest`] — all sources into the ledger, once; [`stored`] — what is there already;
//! * [`experience`] — what the ledger has learned of playbooks; [`vectors`] — vectors of texts, stored or made; [`endpoint`] — by a model behind an
//!   address;
//! * [`freshness`] — which metrics fell silent; [`round`] — one pass of judging; `turns` — many windows of samples; `courses` — where
//!   ready-made detectors go on; [`maintenance`], [`sift`] — which signals are told; [`judge`] — from signals to
//!   decisions; [`history`] — what the ledger knows of past operations;
//! * [`act`] — the only effects on the outside world; [`relay`] — from the journal to the ledger;
//! * [`explain`] — what may have caused an incident;
//! * [`notify`] — telling people; [`schedule`] — when jobs are due.

pub mod act;
pub mod columns;
pub mod cost;
mod courses;
pub mod endpoint;
pub mod experience;
pub mod explain;
pub mod file;
pub mod freshness;
pub mod history;
pub mod ingest;
pub mod inventory;
pub mod judge;
pub mod maintenance;
pub mod notify;
pub mod openlineage;
pub mod prometheus;
pub mod pull;
pub mod relay;
pub mod round;
pub mod rules;
pub mod runs;
pub mod schedule;
pub mod sift;
pub mod stored;
mod turns;
pub mod vectors;

#[cfg(test)]
mod test_server;
