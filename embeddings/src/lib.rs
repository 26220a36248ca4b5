//! Redaction, embedding, exact search and the ranking of playbooks.
//!
//! Experience as text: what personal data and secrets it holds is taken out on the way in; incidents and past runs become
//! vectors; the nearest runs say which playbook helped before.
//!
//! This crate deliberately does not know what executing a playbook means, where vectors are stored, or what the time is.
//!
//! Modules in reading order:
//! * [`redact`] — personal data and secrets become pseudonyms, before anything is stored;
//! * [`embed`] — text becomes a vector;
//! * [`index`] — the nearest vectors, exactly;
//! * [mod@neighbours] — the past runs that resemble an incident: the stored result of the one step that needs an index;
//! * [mod@rank] — which playbook to recommend, how sure, and why; or why none.

mod coarse;
pub mod embed;
pub mod index;
pub mod neighbours;
pub mod rank;
pub mod redact;

pub use embed::{Embedder, HashingEmbedder};
pub use index::{Hit, Index, IndexError};
pub use neighbours::{Experience, neighbours};
pub use rank::{Moment, rank};
pub use redact::{RedactError, Redactor};
