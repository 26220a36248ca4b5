//! A round: one pass of judging over one pinned snapshot.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::id::RoundId;
use crate::time::Timestamp;

/// One finished round. A row of the table `rounds`, written last: views ignore rows of rounds that are not here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Round {
    /// Hash of versions, time, seed and configuration.
    pub round_id: RoundId,
    /// Event time up to which was judged.
    pub as_of: Timestamp,
    /// Version of every table that was read.
    pub versions: BTreeMap<String, i64>,
    /// Seed of everything random.
    pub seed: i64,
    /// Digest of the configuration that was in force.
    pub config_digest: Digest,
    /// Digest of all rows that the round concluded: a replay must give the same.
    pub result_digest: Digest,
    /// Series judged.
    pub series: i64,
    /// Samples judged.
    pub samples: i64,
    /// Signals opened, worsened or closed.
    pub signals: i64,
    /// Incidents opened, updated or closed.
    pub incidents: i64,
    /// Recommendations made.
    pub recommendations: i64,
    /// Series and columns that were not judged, each counted once, by reason; under `no_series` rules without a series.
    pub skipped: BTreeMap<String, i64>,
    /// When the round began on the wall clock.
    pub started_at: Timestamp,
    /// When it was recorded.
    pub recorded_at: Timestamp,
}
