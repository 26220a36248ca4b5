//! `bellwether embeddings`

use bellwether_embeddings::qdrant::Point;
use bellwether_embeddings::{Past, Qdrant, QdrantError};
use bellwether_model::id::RunId;
use bellwether_pipelines::vectors::{self, Embedding, Synced};
use bellwether_sql::Session;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::{session, sql_failure};
use crate::cli::{EmbeddingsArgs, EmbeddingsCommand, Output};
use crate::config::Config;
use crate::failure::{Failure, Kind};
use crate::{clock, open, output};

/// What `sync` did.
#[derive(Debug, Serialize)]
struct Account {
    #[serde(flatten)]
    ledger: Synced,
    /// What was sent to Qdrant, where one is configured.
    qdrant: Option<Mirrored>,
}

/// How a collection was brought up to date.
#[derive(Debug, Serialize)]
struct Mirrored {
    collection: String,
    written: usize,
    removed: usize,
    unchanged: usize,
}

/// What `rebuild` did.
#[derive(Debug, Serialize)]
struct Rebuilt {
    embedder_id: String,
    /// `memory` or `qdrant`.
    index: &'static str,
    vectors: usize,
}

/// Runs the command.
pub async fn run(config: &Config, args: EmbeddingsArgs, output: Output) -> Result<(), Failure> {
    let embedding = open::vectors::embedding(config)?;
    let qdrant = open::vectors::qdrant(config, &embedding)?;
    let collection = config.embeddings.qdrant.as_ref().map(|q| q.collection.clone()).unwrap_or_default();
    match args.command {
        EmbeddingsCommand::Sync => {
            let ledger = sync(config, &embedding).await?;
            let qdrant = match &qdrant {
                Some(qdrant) => Some(mirror(config, &embedding, qdrant, collection).await?),
                None => None,
            };
            let account = Account { ledger, qdrant };
            output::print(output, &account, || text(&account))
        }
        EmbeddingsCommand::Rebuild => {
            let past = past(&session(&open::lake(config).await?, None).await?, &embedding).await?;
            let index = if let Some(qdrant) = &qdrant {
                qdrant.clear().await.map_err(|e| qdrant_failure(&e))?;
                qdrant.put(points(&past, |_| true)).await.map_err(|e| qdrant_failure(&e))?;
                "qdrant"
            } else {
                "memory"
            };
            let rebuilt = Rebuilt { embedder_id: embedding.id(), index, vectors: past.runs().len() };
            output::print(output, &rebuilt, || match index {
                "memory" => format!(
                    "{} vectors of {}; the index in memory is made of them whenever a process starts",
                    rebuilt.vectors, rebuilt.embedder_id
                ),
                _ => format!("{} vectors of {} written to the collection {collection}, made anew", rebuilt.vectors, rebuilt.embedder_id),
            })
        }
    }
}

async fn sync(config: &Config, embedding: &Embedding) -> Result<Synced, Failure> {
    let lake = open::lake(config).await?;
    let session = session(&lake, None).await?;
    let bar = ProgressBar::no_length();
    bar.set_style(ProgressStyle::with_template("{wide_bar} {pos} of {len} texts, {eta} left").unwrap_or(ProgressStyle::default_bar()));
    let progress = |done: usize, all: usize| {
        bar.set_length(all as u64);
        bar.set_position(done as u64);
    };
    let synced = vectors::sync(&lake, &session, embedding, clock::now(), &progress).await;
    bar.finish_and_clear();
    synced.map_err(|e| open::vectors::vector_failure(&e))
}

/// Past runs with their vectors out of the ledger.
async fn past(session: &Session, embedding: &Embedding) -> Result<Past, Failure> {
    let (runs, outcomes) = vectors::history(session).await.map_err(|e| sql_failure(&e))?;
    let mut past = Past::new(embedding.id(), embedding.dimensions());
    let experience = bellwether_pipelines::experience::experience(session, &runs, &outcomes).await.map_err(|e| sql_failure(&e))?;
    vectors::recollect(&mut past, experience, &embedding.id(), session).await.map_err(|e| open::vectors::vector_failure(&e))?;
    match past.missing().len() {
        0 => Ok(past),
        n => Err(Failure::user(format!("{n} of {} runs have no vector of {} in the ledger", past.runs().len(), embedding.id()))
            .hint("run `bellwether embeddings sync` first")),
    }
}

/// Makes the collection hold what the ledger holds.
async fn mirror(config: &Config, embedding: &Embedding, qdrant: &Qdrant, collection: String) -> Result<Mirrored, Failure> {
    let past = past(&session(&open::lake(config).await?, None).await?, embedding).await?;
    let sending = async {
        qdrant.prepare().await?;
        let held = qdrant.digests().await?;
        let gone: Vec<RunId> = held.keys().filter(|run| past.runs().get(run).is_none()).cloned().collect();
        qdrant.remove(&gone).await?;
        let written = qdrant.put(points(&past, |run| held.get(run) != past.digests().get(run))).await?;
        Ok(Mirrored { collection, written, removed: gone.len(), unchanged: past.runs().len() - written })
    };
    sending.await.map_err(|e: QdrantError| qdrant_failure(&e))
}

/// The runs that are wanted, as points.
fn points<'a>(past: &'a Past, wanted: impl Fn(&RunId) -> bool + 'a) -> impl Iterator<Item = Point> + 'a {
    past.runs().iter().filter(move |run| wanted(&run.run_id)).filter_map(|run| {
        let (run_id, vector) = (run.run_id.clone(), past.index().vector(run.run_id.as_str())?.to_vec());
        Some(Point { text_digest: past.digests().get(&run_id)?.clone(), run_id, ran_at: run.ran_at, vector })
    })
}

fn qdrant_failure(error: &QdrantError) -> Failure {
    match error {
        QdrantError::Dimensions { .. } => Failure::of(Kind::Config, error).hint("`bellwether embeddings rebuild` makes it anew"),
        QdrantError::Address { .. } => Failure::of(Kind::Config, error),
        QdrantError::NoAnswer { .. } => Failure::of(Kind::Upstream, error)
            .hint("check `embeddings.qdrant`; until it answers, recommendations come from the index in memory"),
        QdrantError::Vector(_) => Failure::of(Kind::Internal, error),
    }
}

fn text(account: &Account) -> String {
    let ledger = &account.ledger;
    let mut text = format!("{} vectors written ({}), {} unchanged", ledger.written, ledger.embedder_id, ledger.unchanged);
    if let Some(q) = &account.qdrant {
        text.push_str(&format!(
            "\nQdrant, collection {}: {} written, {} removed, {} unchanged",
            q.collection, q.written, q.removed, q.unchanged
        ));
    }
    text
}
