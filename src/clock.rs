//! The one place that reads the wall clock. Everything below takes the time as an argument.

use bellwether_model::time::Timestamp;

/// The time now.
#[allow(clippy::disallowed_methods)]
pub fn now() -> Timestamp {
    chrono::Utc::now().into()
}
