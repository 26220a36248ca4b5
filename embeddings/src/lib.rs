//! Redaction, embedding, exact search and the ranking of playbooks.
//!
//! Experience as text: what personal data and secrets it holds is taken out on the way in; incidents and past runs become
//! vectors; the nearest runs say which playbook helped before.
//!
//! This crate deliberately does not know what executing a playbook means, which tables vectors are stored in, or what the time is.
//!
//! Modules in reading order:
//! * [`redact`] — personal data and secrets become pseudonyms, before anything is stored;
//! * [`embed`] — text becomes a vector;
//! * `onnx` — the same by a sentence model in a local folder;
//! * [`index`] — the nearest vectors, exactly;
//! * [`lexicon`] — texts by the words they share, and rankings made into one;
//! * [`experience`] — what was done before and what came of it;
//! * [mod@neighbours] — the past runs that resemble an incident: the stored result of the one step that needs an index;
//! * [`past`] — all past runs with their vectors, kept up to date;
//! * [`qdrant`] — the same vectors in a server of their own, found in the same order;
//! * [`context`] — what incidents and runs are about beside their words: things, GPU models, classes of error;
//! * [mod@rank] — which playbook to recommend, how sure, and why; or why none;
//! * [`logistic`] — outcomes by features: what scores and calibrations are fitted with;
//! * [`calibration`] — how stated scores came true, and the correction that follows;
//! * [`retrieval`] — how well texts are found by questions whose answers are known;
//! * [`runbooks`] — the same on public runbooks;
//! * [`trial`] — how well the ranking foresees a simulated history, beside plainer methods.

pub mod calibration;
mod coarse;
pub mod context;
pub mod embed;
pub mod experience;
pub mod index;
pub mod lexicon;
pub mod logistic;
pub mod neighbours;
pub mod onnx;
pub mod past;
pub mod qdrant;
pub mod rank;
pub mod redact;
pub mod retrieval;
pub mod runbooks;
pub mod trial;

pub use calibration::Calibration;
pub use embed::{EmbedError, Embedder, HashingEmbedder, Recalled};
pub use experience::{Experience, Runs};
pub use index::{Hit, Index, IndexError};
pub use lexicon::{Lexicon, fuse};
pub use neighbours::neighbours;
pub use onnx::OnnxEmbedder;
pub use past::Past;
pub use qdrant::{Qdrant, QdrantError};
pub use rank::{Grounds, Moment, rank};
pub use redact::{RedactError, Redactor};
