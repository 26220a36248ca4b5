//! Rows that were offered and not taken.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::time::Timestamp;

/// A row that was refused, with the reason. A row of the table `rejects`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reject {
    /// Hash of source and content: the same reject is stored once.
    pub reject_id: String,
    /// The source it came from.
    pub source: String,
    /// Where in the source: file and line, series and time.
    pub place: String,
    /// Why it was refused, and what would be right.
    pub reason: String,
    /// The row, redacted, at most 4,096 characters.
    pub content: String,
    /// When it was refused.
    pub recorded_at: Timestamp,
}

impl Reject {
    /// A reject of this source.
    pub fn new(source: &str, place: impl Into<String>, reason: impl Into<String>, content: &str, recorded_at: Timestamp) -> Self {
        let content: String = content.chars().take(4_096).collect();
        let (place, reason) = (place.into(), reason.into());
        let reject_id = format!("rej-{}", Digest::of_parts(&[source, &place, &reason, &content]).short());
        Self { reject_id, source: source.to_owned(), place, reason, content, recorded_at }
    }
}
