//! The table `embeddings`.

use bellwether_model::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::TableDef;
use super::column::*;

/// Vectors of texts.
pub static EMBEDDINGS: TableDef = TableDef {
    name: "embeddings",
    doc: "One row for each text that was embedded: the summary of a run, of an execution's outcome, or of an incident.",
    columns: &[
        text("subject_id", "Id of the run, execution or incident."),
        text("kind", "What it is the id of: `run`, `execution` or `incident`."),
        text("embedder_id", "Name, dimension and digest of the embedder; vectors of different embedders are never compared."),
        text("text_digest", "SHA-256 of the text."),
        vector("vector", "The vector, of length one; zeros for a text without words."),
        RECORDED_AT,
    ],
    partition_by: &[],
    sort_by: &["subject_id"],
    key: &["subject_id", "embedder_id"],
    newest: &["recorded_at"],
    event_time: Some("recorded_at"),
};

/// A row of the table `embeddings`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoredVector {
    /// Id of the run, execution or incident.
    pub subject_id: String,
    /// What it is the id of: `run`, `execution` or `incident`.
    pub kind: String,
    /// Name, dimension and digest of the embedder; vectors of different embedders are never compared.
    pub embedder_id: String,
    /// SHA-256 of the text.
    pub text_digest: String,
    /// The vector.
    pub vector: Vec<f32>,
    /// When the row was written.
    pub recorded_at: Timestamp,
}
