//! Past runs by text, kept between requests: making the index anew for each would be most of the work.

use std::sync::{Arc, Mutex as Lock, PoisonError};

use bellwether_embeddings::{Embedder, Index, Past, Qdrant, Recalled, neighbours, rank};
use bellwether_lake::tables::{OUTCOMES, RUNS};
use bellwether_model::incident::Incident;
use bellwether_model::recommendation::Match;
use bellwether_model::time::{Span, Timestamp};
use bellwether_pipelines::vectors::{self, Embedding, VectorError};
use bellwether_sql::Session;
use tokio::sync::Mutex;

use super::problem::{Kind, Problem};
use crate::failure::chain;
use crate::open;

/// Past runs that are looked at for one incident.
const NEIGHBOURS: usize = 60;
/// For how long a Qdrant that failed is left alone.
const REST: Span = Span::from_secs(30);

/// The versions of the tables that the runs are of.
type Versions = [Option<i64>; 2];

struct Kept {
    versions: Versions,
    past: Arc<Past>,
    /// Whether the vectors are there too.
    is_complete: bool,
}

/// The newest past runs that were asked for, with their vectors once these are needed. Leaving it out changes no answer.
#[derive(Default)]
pub struct Remembered {
    embedding: Embedding,
    qdrant: Option<Qdrant>,
    kept: Mutex<Option<Kept>>,
    /// When Qdrant last failed, and why.
    failed: Lock<Option<(Timestamp, String)>>,
}

/// Past runs that resemble an incident.
pub struct Found {
    /// They, most similar first.
    pub matches: Vec<Match>,
    /// Which index answered: `memory`, `qdrant`, or `memory` and why not Qdrant.
    pub index: String,
}

impl Remembered {
    /// Remembers in the space of this embedder; searches in this Qdrant where there is one.
    pub fn new(embedding: Embedding, qdrant: Option<Qdrant>) -> Self {
        Self { embedding, qdrant, ..Self::default() }
    }

    /// The past runs that most resemble an incident, as of an instant.
    ///
    /// # Errors
    /// The ledger cannot be read, or there is no vector of the incident. A Qdrant that fails is no error: the index in memory answers.
    pub async fn neighbours(&self, session: &Session, incident: &Incident, at: &rank::Moment) -> Result<Found, Problem> {
        let query = self.embedding.embed(&[&incident.summary]).await.map_err(|e| problem(&e))?.pop().unwrap_or_default();
        let texts = [(incident.summary.clone(), query.clone())].into();
        let texts = Embedder::Recalled(Recalled::new(self.embedding.id(), self.embedding.dimensions(), texts));
        let by = |index: &Index, past: &Past| {
            neighbours::neighbours(index, &texts, incident, past.runs(), NEIGHBOURS, at).map_err(|e| Problem::of(Kind::Internal, &e))
        };
        let Some(qdrant) = &self.qdrant else {
            let past = self.past(session, true, at.now).await?;
            return Ok(Found { matches: by(past.index(), &past)?, index: "memory".into() });
        };
        let known = self.past(session, false, at.now).await?;
        match self.ask(qdrant, &known, &query, at.now).await {
            Ok(index) => Ok(Found { matches: by(&index, &known)?, index: "qdrant".into() }),
            Err(why) => {
                let past = self.past(session, true, at.now).await?;
                Ok(Found { matches: by(past.index(), &past)?, index: format!("memory; {why}") })
            }
        }
    }

    /// What Qdrant finds, where it holds what the ledger holds.
    async fn ask(&self, qdrant: &Qdrant, known: &Past, query: &[f32], now: Timestamp) -> Result<Index, String> {
        let failed = || self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, why)) = failed().clone().filter(|(at, _)| now.since(*at) < REST) {
            return Err(format!("{why} ({} s ago)", now.since(at).secs()));
        }
        let (held, near) = match futures::try_join!(qdrant.count(), qdrant.near(query, NEIGHBOURS, now)) {
            Ok(answers) => answers,
            Err(error) => {
                let why = chain(&error);
                tracing::warn!(why, "the index in memory answers instead of Qdrant");
                *failed() = Some((now, why.clone()));
                return Err(why);
            }
        };
        let is_current = near.digests.iter().all(|(run, digest)| known.digests().get(run) == Some(digest));
        if held != known.runs().len() || !is_current {
            let why =
                format!("Qdrant has {held} of {} runs as they are; `bellwether embeddings sync` brings it up to date", known.runs().len());
            tracing::warn!(why, "the index in memory answers instead of Qdrant");
            return Err(why);
        }
        Ok(near.index)
    }

    /// The past runs of this session, with their vectors where they are wanted.
    async fn past(&self, session: &Session, with_vectors: bool, now: Timestamp) -> Result<Arc<Past>, Problem> {
        let versions = [&RUNS, &OUTCOMES].map(|table| session.snapshot().table(table).map(|t| t.version));
        // Held while the index is made, so that requests that come together make it once.
        let mut slot = self.kept.lock().await;
        if let Some(kept) = slot.as_ref()
            && kept.versions == versions
            && (kept.is_complete || !with_vectors)
        {
            return Ok(kept.past.clone());
        }
        let (runs, outcomes) = vectors::history(session).await?;
        let mut past = slot.take().map_or_else(|| Arc::new(Past::new(self.embedding.id(), self.embedding.dimensions())), |kept| kept.past);
        let own = Arc::make_mut(&mut past);
        let experience = vectors::experience(&runs, &outcomes);
        if with_vectors {
            let executed = vectors::executed(&outcomes);
            let made = vectors::complete(own, experience, &executed, &self.embedding, session, now).await;
            let failed = made.map_or_else(Some, |made| made.without.map(VectorError::Endpoint));
            *slot = Some(Kept { versions, past: past.clone(), is_complete: failed.is_none() });
            return failed.map_or(Ok(past), |error| Err(problem(&error)));
        }
        own.learn(experience);
        *slot = Some(Kept { versions, past: past.clone(), is_complete: false });
        Ok(past)
    }
}

/// An error of vectors as a problem.
fn problem(error: &VectorError) -> Problem {
    let kind = match error {
        VectorError::Endpoint(_) => Kind::Upstream,
        VectorError::OtherEmbedder { .. } => Kind::Conflict,
        VectorError::Sql(_) | VectorError::Lake(_) => Kind::Unavailable,
        VectorError::Local(_) | VectorError::Index(_) | VectorError::Stopped(_) => Kind::Internal,
    };
    let failure = open::vectors::vector_failure(error);
    let problem = Problem::new(kind, failure.message);
    failure.hint.into_iter().fold(problem, Problem::hint)
}
