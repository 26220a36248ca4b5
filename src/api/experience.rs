//! Past runs by text, kept between requests: making the index anew for each would be most of the work.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex as Lock, PoisonError};

use bellwether_embeddings::context::Context;
use bellwether_embeddings::{Calibration, Embedder, Index, Past, Qdrant, Recalled, neighbours, rank};
use bellwether_lake::Snapshot;
use bellwether_lake::tables::{APPROVALS, OUTCOMES, PLANS, RECOMMENDATIONS, RUNS};
use bellwether_model::id::RunId;
use bellwether_model::incident::Incident;
use bellwether_model::recommendation::Match;
use bellwether_model::time::{Span, Timestamp};
use bellwether_pipelines::experience::{calibration, experience};
use bellwether_pipelines::vectors::{self, Embedding, VectorError};
use bellwether_sql::{Session, SessionOptions};
use tokio::sync::Mutex;

use super::problem::{Kind, Problem};
use crate::failure::chain;
use crate::open;

/// For how long a Qdrant that failed is left alone.
const REST: Span = Span::from_secs(30);

/// The versions of the tables that experience is of.
type Versions = [Option<i64>; 5];

/// What past runs say.
#[derive(Clone, Debug)]
pub struct Learned {
    /// The runs, with their vectors where they were wanted.
    pub past: Arc<Past>,
    /// How stated scores came true so far.
    pub calibration: Arc<Calibration>,
}

struct Kept {
    versions: Versions,
    learned: Learned,
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
    /// What they were found among.
    pub learned: Learned,
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
    pub async fn neighbours(&self, snapshot: &Snapshot, incident: &Incident, at: &rank::Moment) -> Result<Found, Problem> {
        let query = self.embedding.embed(&[&incident.summary]).await.map_err(|e| problem(&e))?.pop().unwrap_or_default();
        let texts = [(incident.summary.clone(), query.clone())].into();
        let texts = Embedder::Recalled(Recalled::new(self.embedding.id(), self.embedding.dimensions(), texts));
        let by = |index: &Index, learned: Learned, name: String| {
            let found = neighbours::neighbours(index, &texts, incident, learned.past.runs(), rank::NEIGHBOURS, at);
            let matches = found.map_err(|e| Problem::of(Kind::Internal, &e))?;
            Ok(Found { matches, learned, index: name })
        };
        let Some(qdrant) = &self.qdrant else {
            let learned = self.learned(snapshot, true, at.now).await?;
            return by(learned.past.clone().index(), learned, "memory".into());
        };
        let known = self.learned(snapshot, false, at.now).await?;
        match self.ask(qdrant, &known.past, &query, incident, at.now).await {
            Ok(index) => by(&index, known, "qdrant".into()),
            Err(why) => {
                let learned = self.learned(snapshot, true, at.now).await?;
                by(learned.past.clone().index(), learned, format!("memory; {why}"))
            }
        }
    }

    /// Learns what is new before somebody asks.
    ///
    /// # Errors
    /// As [`Self::neighbours`]; whoever asks next tries again.
    pub async fn keep_up(&self, snapshot: &Snapshot, now: Timestamp) -> Result<(), Problem> {
        self.learned(snapshot, self.qdrant.is_none(), now).await.map(drop)
    }

    /// What Qdrant finds, where it holds what the ledger holds.
    async fn ask(&self, qdrant: &Qdrant, known: &Past, query: &[f32], incident: &Incident, now: Timestamp) -> Result<Index, String> {
        let failed = || self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, why)) = failed().clone().filter(|(at, _)| now.since(*at) < REST) {
            return Err(format!("{why} ({} s ago)", now.since(at).secs()));
        }
        let here = Context::of_incident(incident);
        let kin: BTreeSet<&RunId> = known.runs().about(&here).map(|run| &run.run_id).collect();
        let kin: Vec<&RunId> = kin.into_iter().collect();
        let (held, near) = match futures::try_join!(qdrant.count(), qdrant.near(query, rank::NEIGHBOURS, now, &kin)) {
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

    /// What is known of past runs as of this snapshot, with their vectors where these are wanted.
    async fn learned(&self, snapshot: &Snapshot, with_vectors: bool, now: Timestamp) -> Result<Learned, Problem> {
        let versions = [&RUNS, &OUTCOMES, &RECOMMENDATIONS, &PLANS, &APPROVALS].map(|table| snapshot.table(table).map(|t| t.version));
        // Held while the index is made, so that requests that come together make it once.
        let mut slot = self.kept.lock().await;
        if let Some(kept) = slot.as_ref()
            && kept.versions == versions
            && (kept.is_complete || !with_vectors)
        {
            return Ok(kept.learned.clone());
        }
        let session = Session::open(snapshot, SessionOptions::at(now)).await?;
        let (runs, outcomes) = vectors::history(&session).await?;
        let calibration = Arc::new(calibration(&session, &outcomes).await?);
        let all = experience(&session, &runs, &outcomes).await?;
        let mut past =
            slot.take().map_or_else(|| Arc::new(Past::new(self.embedding.id(), self.embedding.dimensions())), |kept| kept.learned.past);
        let own = Arc::make_mut(&mut past);
        if with_vectors {
            let executed = vectors::executed(&outcomes);
            let made = vectors::complete(own, all, &executed, &self.embedding, &session, now).await;
            let failed = made.map_or_else(Some, |made| made.without.map(VectorError::Endpoint));
            let learned = Learned { past, calibration };
            *slot = Some(Kept { versions, learned: learned.clone(), is_complete: failed.is_none() });
            return failed.map_or(Ok(learned), |error| Err(problem(&error)));
        }
        own.learn(all);
        let learned = Learned { past, calibration };
        *slot = Some(Kept { versions, learned: learned.clone(), is_complete: false });
        Ok(learned)
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
