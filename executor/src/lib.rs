//! The journal, the drivers, the audit chain, and the simulated fleet.

pub mod apiserver;
pub mod fleet;
