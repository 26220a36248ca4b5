//! The log of write requests, for tests that count effects.

use std::collections::BTreeMap;

use bellwether_model::time::Timestamp;

use super::store::Key;

/// How a request writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// POST of a new object.
    Create,
    /// PUT of a whole object.
    Update,
    /// Merge patch.
    Patch,
    /// Server-side apply.
    Apply,
    /// DELETE.
    Delete,
}

/// One write request as it arrived.
#[derive(Clone, Debug, PartialEq)]
pub struct Mutation {
    /// When, by the server's clock.
    pub at: Timestamp,
    /// How it writes.
    pub verb: Verb,
    /// The object.
    pub object: Key,
    /// `status`, `scale`, or empty for the object itself.
    pub subresource: &'static str,
    /// Field manager.
    pub manager: String,
    /// Whether it asked for no effect.
    pub dry_run: bool,
    /// Annotations in the request's body.
    pub annotations: BTreeMap<String, String>,
    /// HTTP status code that was decided on, even where the reply was then dropped.
    pub code: u16,
    /// Whether the stored object changed.
    pub changed: bool,
}

impl Mutation {
    /// The action that the request belongs to: the annotation whose name ends in `/action-id`.
    pub fn action_id(&self) -> Option<&str> {
        self.annotations.iter().find(|(name, _)| name.ends_with("/action-id")).map(|(_, value)| value.as_str())
    }
}
