//! Vectors of texts: those that the ledger has, and those that are made because it does not have them.
//!
//! A vector is a function of the embedder and the text, so it makes no difference to any conclusion whether it was stored or is made.

use std::collections::{BTreeMap, BTreeSet};

use bellwether_embeddings::embed::digest;
use bellwether_embeddings::{EmbedError, Embedder, Experience, IndexError, Past, Recalled, Runs};
use bellwether_lake::tables::{EMBEDDINGS, StoredVector};
use bellwether_lake::{Lake, LakeError, vectors};
use bellwether_model::id::RunId;
use bellwether_model::incident::Incident;
use bellwether_model::outcome::Outcome;
use bellwether_model::run::Run;
use bellwether_model::time::Timestamp;
use bellwether_sql::literal::text;
use bellwether_sql::{Session, SqlError};
use serde::Deserialize;

use crate::endpoint::{Endpoint, EndpointError};
use crate::experience::experience;

/// Texts that are embedded and stored at a time: what an interruption may cost.
const BATCH: usize = 2048;
/// Up to so many vectors are asked for by name; for more, all are read.
const FEW: usize = 500;

/// What makes vectors.
#[derive(Clone, Debug)]
pub enum Embedding {
    /// This process.
    Local(Embedder),
    /// A model behind an address.
    Endpoint(Endpoint),
}

impl Default for Embedding {
    fn default() -> Self {
        Self::Local(Embedder::default())
    }
}

/// No vectors.
#[derive(Debug, thiserror::Error)]
pub enum VectorError {
    /// The ledger holds vectors of another embedder, and none of this one.
    #[error("the ledger holds vectors of {stored}, and the configuration names {configured}: they cannot be compared")]
    OtherEmbedder {
        /// Whose vectors there are.
        stored: String,
        /// Whose are needed.
        configured: String,
    },
    /// The model in this process fails.
    #[error("no vectors can be made")]
    Local(#[from] EmbedError),
    /// The endpoint fails.
    #[error("no vectors can be had")]
    Endpoint(#[from] EndpointError),
    /// A vector does not fit the others.
    #[error("vectors cannot be compared")]
    Index(#[from] IndexError),
    /// The ledger cannot be queried.
    #[error("the stored vectors cannot be read")]
    Sql(#[from] SqlError),
    /// The ledger cannot be written.
    #[error("vectors cannot be stored")]
    Lake(#[from] LakeError),
    /// What makes vectors stopped.
    #[error("embedding stopped: {0}; this is a bug, please report it")]
    Stopped(String),
}

impl Embedding {
    /// Names the space: see [`Embedder::id`].
    pub fn id(&self) -> String {
        match self {
            Self::Local(embedder) => embedder.id(),
            Self::Endpoint(endpoint) => endpoint.id(),
        }
    }

    /// How many numbers a vector has.
    pub fn dimensions(&self) -> usize {
        match self {
            Self::Local(embedder) => embedder.dimensions(),
            Self::Endpoint(endpoint) => endpoint.dimensions(),
        }
    }

    /// One vector for each text, of length 1 or all zeros. What computes here leaves the async threads.
    pub async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, VectorError> {
        match self {
            Self::Local(Embedder::Onnx(model)) => {
                let (model, texts) = (model.clone(), texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>());
                let made = tokio::task::spawn_blocking(move || model.embed(&texts.iter().map(String::as_str).collect::<Vec<_>>()));
                Ok(made.await.map_err(|e| VectorError::Stopped(e.to_string()))??)
            }
            Self::Local(embedder) => Ok(embedder.embed(texts)?),
            Self::Endpoint(endpoint) => Ok(endpoint.embed(texts).await?),
        }
    }
}

/// A text of the ledger whose vector is kept.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Subject {
    id: String,
    kind: &'static str,
    digest: String,
    text: String,
}

impl Subject {
    fn stored(&self, embedder_id: &str, vector: Vec<f32>, now: Timestamp) -> StoredVector {
        StoredVector {
            subject_id: self.id.clone(),
            kind: self.kind.to_owned(),
            embedder_id: embedder_id.to_owned(),
            text_digest: self.digest.clone(),
            vector,
            recorded_at: now,
        }
    }
}

/// Past runs with their vectors: those of the ledger, and those that are made now because it does not have them.
#[derive(Debug)]
pub struct Made {
    /// The vectors that were made, as rows to be stored.
    pub new: Vec<StoredVector>,
    /// Why some runs have no vector, and are not compared: the endpoint does not answer.
    pub without: Option<EndpointError>,
}

/// Brings past runs up to date: `experience` is all of them from now on, and each gets its vector.
///
/// # Errors
/// [`VectorError::OtherEmbedder`] when the ledger holds vectors, and none of this embedder: rather than embed everything on the way,
/// it says so. An endpoint that does not answer is no error: runs are left without a vector, and [`Made::without`] says why.
pub async fn complete(
    past: &mut Past,
    experience: impl IntoIterator<Item = Experience>,
    executed: &BTreeSet<RunId>,
    embedding: &Embedding,
    session: &Session,
    now: Timestamp,
) -> Result<Made, VectorError> {
    let embedder_id = embedding.id();
    recollect(past, experience, &embedder_id, session).await?;
    let kind = |run: &RunId| if executed.contains(run) { "execution" } else { "run" };
    let missing: Vec<Subject> = past
        .missing()
        .iter()
        .map(|m| Subject { id: m.run_id.to_string(), kind: kind(m.run_id), digest: m.digest.to_owned(), text: m.text.to_owned() })
        .collect();
    let mut made = Made { new: Vec::new(), without: None };
    if missing.is_empty() {
        return Ok(made);
    }
    if past.index().is_empty() {
        refuse_others(session, &embedder_id).await?;
    }
    for some in batches(missing) {
        let vectors = match embed(embedding, &some).await {
            Ok(vectors) => vectors,
            Err(VectorError::Endpoint(why)) => {
                made.without = Some(why);
                return Ok(made);
            }
            Err(error) => return Err(error),
        };
        for (subject, vector) in some.iter().zip(vectors) {
            past.put(&subject.id, &subject.digest, &embedder_id, &vector)?;
            made.new.push(subject.stored(&embedder_id, vector, now));
        }
    }
    Ok(made)
}

/// As [`complete`], by the ledger's vectors alone: runs whose vector it does not have stay missing.
pub async fn recollect(
    past: &mut Past,
    experience: impl IntoIterator<Item = Experience>,
    embedder_id: &str,
    session: &Session,
) -> Result<(), VectorError> {
    past.learn(experience);
    let missing: Vec<String> = past.missing().iter().map(|m| m.run_id.to_string()).collect();
    past.reserve(missing.len());
    for row in stored(session, embedder_id, "subject_id", &missing).await? {
        past.put(&row.subject_id, &row.text_digest, &row.embedder_id, &row.vector)?;
    }
    Ok(())
}

/// The vectors of these incidents' summaries, for judging, which asks nobody; otherwise as [`complete`].
pub async fn recall(
    incidents: &[&Incident],
    embedding: &Embedding,
    session: &Session,
    now: Timestamp,
) -> Result<(Embedder, Made), VectorError> {
    let embedder_id = embedding.id();
    let mut subjects: Vec<Subject> = incidents.iter().map(|i| of_incident(i)).collect();
    subjects.sort();
    subjects.dedup_by(|a, b| a.digest == b.digest);
    let mut known: BTreeMap<String, Vec<f32>> = BTreeMap::new();
    let digests: Vec<String> = subjects.iter().map(|s| s.digest.clone()).collect();
    for row in stored(session, &embedder_id, "text_digest", &digests).await? {
        if let Some(subject) = subjects.iter().find(|s| s.digest == row.text_digest) {
            known.insert(subject.text.clone(), row.vector);
        }
    }
    let mut made = Made { new: Vec::new(), without: None };
    let missing: Vec<&Subject> = subjects.iter().filter(|s| !known.contains_key(&s.text)).collect();
    if !missing.is_empty() {
        match embedding.embed(&missing.iter().map(|s| s.text.as_str()).collect::<Vec<_>>()).await {
            Ok(vectors) => {
                for (subject, vector) in missing.into_iter().zip(vectors) {
                    known.insert(subject.text.clone(), vector.clone());
                    made.new.push(subject.stored(&embedder_id, vector, now));
                }
            }
            Err(VectorError::Endpoint(why)) => made.without = Some(why),
            Err(error) => return Err(error),
        }
    }
    Ok((Embedder::Recalled(Recalled::new(embedder_id, embedding.dimensions(), known)), made))
}

fn of_incident(incident: &Incident) -> Subject {
    let text = incident.summary.clone();
    Subject { id: incident.incident_id.to_string(), kind: "incident", digest: digest(&text), text }
}

/// The stored vectors of an embedder, of these subjects or texts where they are few.
async fn stored(session: &Session, embedder_id: &str, column: &str, wanted: &[String]) -> Result<Vec<StoredVector>, VectorError> {
    if wanted.is_empty() || session.snapshot().table(&EMBEDDINGS).is_none() {
        return Ok(Vec::new());
    }
    let mut sql = format!(
        "SELECT subject_id, kind, embedder_id, text_digest, vector, recorded_at FROM raw.embeddings WHERE embedder_id = {}",
        text(embedder_id)
    );
    if wanted.len() <= FEW {
        let list: Vec<String> = wanted.iter().map(|one| text(one)).collect();
        sql.push_str(&format!(" AND {column} IN ({})", list.join(", ")));
    }
    let mut rows = Vec::new();
    // One batch after the other, so that only the rows of one are there twice.
    for batch in session.all(&sql).await?.1 {
        rows.extend(vectors::decode(&[batch]).map_err(SqlError::from)?);
    }
    Ok(rows)
}

/// Refuses to go on where there are vectors, and only of other embedders.
async fn refuse_others(session: &Session, embedder_id: &str) -> Result<(), VectorError> {
    if session.snapshot().table(&EMBEDDINGS).is_none() {
        return Ok(());
    }
    let count = spaces(session).await?;
    match count.iter().max_by_key(|space| space.vectors) {
        Some(most) if !count.iter().any(|space| space.embedder_id == embedder_id) => {
            Err(VectorError::OtherEmbedder { stored: most.embedder_id.clone(), configured: embedder_id.to_owned() })
        }
        _ => Ok(()),
    }
}

/// How many vectors of an embedder the ledger has.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, serde::Serialize)]
pub struct Space {
    /// The embedder.
    pub embedder_id: String,
    /// Its vectors: one for each text that is or was.
    pub vectors: i64,
}

/// The embedders whose vectors the ledger has, by id.
pub async fn spaces(session: &Session) -> Result<Vec<Space>, SqlError> {
    session.rows("SELECT embedder_id, count(*) AS vectors FROM raw.embeddings GROUP BY embedder_id ORDER BY embedder_id").await
}

/// What a call of [`sync`] did.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Synced {
    /// The embedder.
    pub embedder_id: String,
    /// Vectors that were made and stored.
    pub written: usize,
    /// Texts whose vector was there.
    pub unchanged: usize,
}

/// Makes the vectors of all runs, outcomes and incidents that have none yet, and stores them, some thousands at a time.
///
/// # Guarantees
/// What was stored stays stored when it fails or is interrupted; calling it again goes on there.
/// # Errors
/// The model or the endpoint fails, or the ledger cannot be read or written.
pub async fn sync(
    lake: &Lake,
    session: &Session,
    embedding: &Embedding,
    now: Timestamp,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<Synced, VectorError> {
    let embedder_id = embedding.id();
    let subjects = subjects(session).await?;
    let mut there: BTreeSet<(String, String)> = BTreeSet::new();
    if session.snapshot().table(&EMBEDDINGS).is_some() {
        #[derive(Deserialize)]
        struct Known {
            subject_id: String,
            text_digest: String,
        }
        let sql = format!("SELECT DISTINCT subject_id, text_digest FROM raw.embeddings WHERE embedder_id = {}", text(&embedder_id));
        there.extend(session.rows::<Known>(&sql).await?.into_iter().map(|known| (known.subject_id, known.text_digest)));
    }
    let total = subjects.len();
    let missing: Vec<Subject> = subjects.into_iter().filter(|s| !there.contains(&(s.id.clone(), s.digest.clone()))).collect();
    let (mut written, wanted) = (0, missing.len());
    for some in batches(missing) {
        let vectors = embed(embedding, &some).await?;
        let rows: Vec<StoredVector> = some.iter().zip(vectors).map(|(s, vector)| s.stored(&embedder_id, vector, now)).collect();
        lake.append_vectors(&rows, &[]).await?;
        written += rows.len();
        progress(written, wanted);
    }
    Ok(Synced { embedder_id, written, unchanged: total - written })
}

/// Subjects in batches, those with one text next to each other.
fn batches(mut subjects: Vec<Subject>) -> Vec<Vec<Subject>> {
    subjects.sort_by(|a, b| (&a.digest, &a.id).cmp(&(&b.digest, &b.id)));
    subjects.chunks(BATCH).map(<[Subject]>::to_vec).collect()
}

/// The vectors of a batch, in its order: each text is embedded once.
async fn embed(embedding: &Embedding, batch: &[Subject]) -> Result<Vec<Vec<f32>>, VectorError> {
    let mut texts: Vec<&str> = batch.iter().map(|subject| subject.text.as_str()).collect();
    texts.dedup();
    let mut vectors = texts.iter().copied().zip(embedding.embed(&texts).await?);
    let mut current = vectors.next();
    let mut all = Vec::with_capacity(batch.len());
    for subject in batch {
        while current.as_ref().is_some_and(|(text, _)| *text != subject.text) {
            current = vectors.next();
        }
        all.extend(current.as_ref().map(|(_, vector)| vector.clone()));
    }
    Ok(all)
}

/// Every text of the ledger that is embedded: of each run, outcome and incident the newest.
async fn subjects(session: &Session) -> Result<Vec<Subject>, SqlError> {
    let (runs, outcomes) = history(session).await?;
    let executed = executed(&outcomes);
    let runs: Runs = experience(session, &runs, &outcomes).await?.into_iter().collect();
    let kind = |run: &RunId| if executed.contains(run) { "execution" } else { "run" };
    let mut all: Vec<Subject> = runs
        .iter()
        .map(|run| Subject { id: run.run_id.to_string(), kind: kind(&run.run_id), digest: digest(&run.summary), text: run.summary.clone() })
        .collect();
    let incidents: Vec<Incident> = session.rows("SELECT * FROM incidents_current ORDER BY incident_id").await?;
    all.extend(incidents.iter().map(of_incident));
    Ok(all)
}

/// All runs and outcomes that a session sees, in the order of the evidence.
pub async fn history(session: &Session) -> Result<(Vec<Run>, Vec<Outcome>), SqlError> {
    Ok((
        session.rows("SELECT * FROM runs_current ORDER BY updated_at, source, run_id").await?,
        session.rows("SELECT * FROM outcomes_current ORDER BY recorded_at, execution_id").await?,
    ))
}

/// The runs that are executions of our own.
pub fn executed(outcomes: &[Outcome]) -> BTreeSet<RunId> {
    outcomes.iter().map(|o| RunId::new(o.execution_id.as_str())).collect()
}

#[cfg(test)]
mod tests;
