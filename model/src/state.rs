//! What a detector knew of a series, kept so that the next round goes on from there.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::id::{RoundId, RuleName, SeriesId};
use crate::time::Timestamp;

/// A row of the table `detector_states`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DetectorState {
    /// The rule that judges.
    pub rule: RuleName,
    /// Digest of the rule and of the detector's version: a state of another one is not continued.
    pub basis: Digest,
    /// The series.
    pub series_id: SeriesId,
    /// All samples before this count in the state, and none from it on.
    pub until: Timestamp,
    /// The state, as the detector writes and reads it.
    pub state: String,
    /// The round that saved it.
    pub round_id: RoundId,
    /// When it was saved.
    pub recorded_at: Timestamp,
}
