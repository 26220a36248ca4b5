//! The vectors of past runs in a Qdrant server, found in the same order as by the index in memory.
//!
//! The ledger stays the source: a collection holds copies, may be thrown away, and is made anew from the ledger at any time.
//! Tested against Qdrant's own protocol (client 1.20, gRPC).

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::time::Duration;

use bellwether_model::id::RunId;
use bellwether_model::time::Timestamp;
use qdrant_client::qdrant::{
    Condition, CountPointsBuilder, CreateCollectionBuilder, CreateFieldIndexCollectionBuilder, DeletePointsBuilder, Distance, FieldType,
    Filter, PointId, PointStruct, PointsIdsList, QueryPointsBuilder, Range, RetrievedPoint, ScoredPoint, ScrollPointsBuilder,
    SearchParamsBuilder, UpsertPointsBuilder, Value, VectorParamsBuilder, VectorsOutput, value, vector_output, vectors_config,
    vectors_output,
};
use uuid::Uuid;

use crate::index::{Index, IndexError};

/// Points in one request.
const BATCH: usize = 256;
/// Points in one page of a listing.
const PAGE: u32 = 4096;
/// Points that are asked for beyond those that are wanted, so that it is seen whether the last one shares its place with others.
const BEYOND: usize = 16;
/// Similarities that differ by less may be equal: servers add up in another order.
const ALIKE: f32 = 1e-4;
/// What makes a run's id a point's id: UUIDs of version 5 are made of a name space and a name.
const NAMESPACE: Uuid = Uuid::from_u128(0x6a1f_0c52_8f0e_5b47_9d6b_b311_7cbe_11e5);

/// Which server, and what to ask of it.
#[derive(Clone)]
pub struct Server {
    /// Address of its gRPC port, such as `http://localhost:6334`.
    pub url: String,
    /// Its key, where it wants one.
    pub api_key: Option<String>,
    /// The collection.
    pub collection: String,
    /// Longest time for one request.
    pub timeout: Duration,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("url", &self.url).field("collection", &self.collection).finish_non_exhaustive()
    }
}

/// One run's vector as it is sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// The run, or an execution as a run.
    pub run_id: RunId,
    /// When it ran: what the bound of a search compares.
    pub ran_at: Timestamp,
    /// The digest of its summary.
    pub text_digest: String,
    /// The vector of its summary.
    pub vector: Vec<f32>,
}

/// What a search found.
#[derive(Clone, Debug)]
pub struct Near {
    /// The vectors among which the nearest are.
    pub index: Index,
    /// The digests of the texts that they are of.
    pub digests: BTreeMap<RunId, String>,
}

/// Qdrant gives no answer, or one that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum QdrantError {
    /// The address is not one.
    #[error("{url:?} is not an address of Qdrant: {reason}")]
    Address {
        /// The address.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// It is down, too slow, or refuses.
    #[error("Qdrant at {url} did not {what}: {reason}")]
    NoAnswer {
        /// Its address.
        url: String,
        /// What was asked of it.
        what: &'static str,
        /// What it says.
        reason: String,
    },
    /// The collection was made for vectors of another embedder.
    #[error("the collection {collection} in Qdrant holds vectors of {found} dimensions, and the embedder makes {expected}; make it anew")]
    Dimensions {
        /// The collection.
        collection: String,
        /// The embedder's.
        expected: usize,
        /// The collection's.
        found: u64,
    },
    /// A vector is not one of this embedder's.
    #[error(transparent)]
    Vector(#[from] IndexError),
}

/// Vectors of one embedder in one collection. Cheap to clone; asks nothing before it is used.
#[derive(Clone)]
pub struct Qdrant {
    client: qdrant_client::Qdrant,
    server: Server,
    embedder_id: String,
    dimensions: usize,
}

impl fmt::Debug for Qdrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Qdrant").field("server", &self.server).field("embedder_id", &self.embedder_id).finish_non_exhaustive()
    }
}

impl Qdrant {
    /// The vectors of this embedder on this server.
    ///
    /// # Errors
    /// The address is not one.
    pub fn new(server: Server, embedder_id: impl Into<String>, dimensions: usize) -> Result<Self, QdrantError> {
        let address = |reason: String| QdrantError::Address { url: server.url.clone(), reason };
        if !["http://", "https://"].iter().any(|scheme| server.url.starts_with(scheme)) {
            return Err(address("it begins with http:// or https://".to_owned()));
        }
        let client = qdrant_client::Qdrant::from_url(&server.url)
            .api_key(server.api_key.clone())
            .timeout(server.timeout)
            .connect_timeout(server.timeout)
            .skip_compatibility_check()
            .build()
            .map_err(|e| address(e.to_string()))?;
        Ok(Self { client, server, embedder_id: embedder_id.into(), dimensions })
    }

    /// The server's version: that it answers.
    pub async fn version(&self) -> Result<String, QdrantError> {
        self.client.health_check().await.map(|reply| reply.version).map_err(|e| self.no_answer("answer", e))
    }

    /// Makes the collection where it is missing.
    ///
    /// # Errors
    /// [`QdrantError::Dimensions`] when it is there for other vectors.
    pub async fn prepare(&self) -> Result<(), QdrantError> {
        let name = &self.server.collection;
        if self.client.collection_exists(name).await.map_err(|e| self.no_answer("say what it has", e))? {
            let info = self.client.collection_info(name).await.map_err(|e| self.no_answer("describe its collection", e))?;
            let config = info.result.and_then(|r| r.config?.params?.vectors_config?.config);
            return match config {
                Some(vectors_config::Config::Params(params)) if params.size == self.dimensions as u64 => Ok(()),
                Some(vectors_config::Config::Params(params)) => Err(self.other_dimensions(params.size)),
                _ => Err(self.other_dimensions(0)),
            };
        }
        // Of length one already: stored as they are, so that what comes back is what the ledger has.
        let vectors = VectorParamsBuilder::new(self.dimensions as u64, Distance::Dot);
        let made = self.client.create_collection(CreateCollectionBuilder::new(name).vectors_config(vectors)).await;
        made.map_err(|e| self.no_answer("make the collection", e))?;
        for (field, kind) in [("embedder_id", FieldType::Keyword), ("ran_at", FieldType::Integer)] {
            let indexed = self.client.create_field_index(CreateFieldIndexCollectionBuilder::new(name, field, kind).wait(true)).await;
            indexed.map_err(|e| self.no_answer("index the collection", e))?;
        }
        Ok(())
    }

    /// Throws the collection away and makes it anew, empty.
    pub async fn clear(&self) -> Result<(), QdrantError> {
        let name = &self.server.collection;
        if self.client.collection_exists(name).await.map_err(|e| self.no_answer("say what it has", e))? {
            self.client.delete_collection(name).await.map_err(|e| self.no_answer("delete the collection", e))?;
        }
        self.prepare().await
    }

    /// Stores vectors: a run has one point, so repeating it changes nothing.
    ///
    /// # Errors
    /// A vector has other dimensions, or the server fails; what was sent before stays.
    pub async fn put(&self, points: impl IntoIterator<Item = Point>) -> Result<usize, QdrantError> {
        let (mut waiting, mut stored) = (Vec::new(), 0);
        for point in points {
            if point.vector.len() != self.dimensions {
                return Err(IndexError::Dimensions { expected: self.dimensions, found: point.vector.len() }.into());
            }
            waiting.push(self.point(point));
            if waiting.len() == BATCH {
                stored += self.upsert(std::mem::take(&mut waiting)).await?;
            }
        }
        if waiting.is_empty() { Ok(stored) } else { Ok(stored + self.upsert(waiting).await?) }
    }

    fn point(&self, point: Point) -> PointStruct {
        let payload: HashMap<String, Value> = [
            ("run_id", Value::from(point.run_id.as_str())),
            ("embedder_id", Value::from(self.embedder_id.as_str())),
            ("text_digest", Value::from(point.text_digest)),
            ("ran_at", Value::from(point.ran_at.micros())),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        PointStruct::new(point_id(&point.run_id), point.vector, payload)
    }

    async fn upsert(&self, points: Vec<PointStruct>) -> Result<usize, QdrantError> {
        let n = points.len();
        let sent = self.client.upsert_points(UpsertPointsBuilder::new(&self.server.collection, points).wait(true)).await;
        sent.map(|_| n).map_err(|e| self.no_answer("store vectors", e))
    }

    /// Takes runs out.
    pub async fn remove(&self, runs: &[RunId]) -> Result<(), QdrantError> {
        for some in runs.chunks(BATCH) {
            let ids = PointsIdsList { ids: some.iter().map(|run| PointId::from(point_id(run))).collect() };
            let sent = self.client.delete_points(DeletePointsBuilder::new(&self.server.collection).points(ids).wait(true)).await;
            sent.map_err(|e| self.no_answer("remove vectors", e))?;
        }
        Ok(())
    }

    /// The digest of each run's text that it has a vector of, by this embedder.
    pub async fn digests(&self) -> Result<BTreeMap<RunId, String>, QdrantError> {
        let mut found = BTreeMap::new();
        let mut from = None;
        loop {
            let mut page = ScrollPointsBuilder::new(&self.server.collection).filter(self.own()).limit(PAGE).with_payload(true);
            if let Some(id) = from {
                page = page.offset::<PointId>(id);
            }
            let page = self.client.scroll(page).await.map_err(|e| self.no_answer("list its vectors", e))?;
            found.extend(page.result.iter().filter_map(told));
            match page.next_page_offset {
                Some(next) => from = Some(next),
                None => return Ok(found),
            }
        }
    }

    /// How many vectors of this embedder it has.
    pub async fn count(&self) -> Result<usize, QdrantError> {
        let counted = self.client.count(CountPointsBuilder::new(&self.server.collection).filter(self.own()).exact(true)).await;
        let counted = counted.map_err(|e| self.no_answer("count its vectors", e))?;
        Ok(counted.result.map_or(0, |r| usize::try_from(r.count).unwrap_or(usize::MAX)))
    }

    /// Everything that may be among the `k` nearest of the runs up to an instant, as an index: its order is that of an index over
    /// all of them. All vectors are compared, not only those that a graph leads to, and those that tie with the last one are there too.
    /// Of these `kin` alone, where there are some, the `k` nearest are there as well.
    pub async fn near(&self, query: &[f32], k: usize, until: Timestamp, kin: &[&RunId]) -> Result<Near, QdrantError> {
        let own = Condition::matches("embedder_id", self.embedder_id.clone());
        let before = Condition::range("ran_at", Range { lte: Some(until.micros() as f64), ..Range::default() });
        let mut near = Near { index: Index::new(self.embedder_id.clone(), self.dimensions), digests: BTreeMap::new() };
        self.add_near(query, k, Filter::must([own.clone(), before.clone()]), &mut near).await?;
        if !kin.is_empty() {
            let named = Condition::matches("run_id", kin.iter().map(ToString::to_string).collect::<Vec<_>>());
            self.add_near(query, k, Filter::must([own, before, named]), &mut near).await?;
        }
        Ok(near)
    }

    async fn add_near(&self, query: &[f32], k: usize, filter: Filter, near: &mut Near) -> Result<(), QdrantError> {
        let mut limit = k.saturating_add(BEYOND);
        loop {
            let request = QueryPointsBuilder::new(&self.server.collection)
                .query(query.to_vec())
                .filter(filter.clone())
                .params(SearchParamsBuilder::default().exact(true))
                .limit(limit as u64)
                .with_payload(true)
                .with_vectors(true);
            let found = self.client.query(request).await.map_err(|e| self.no_answer("search", e))?.result;
            let last = found.last().map_or(f32::NEG_INFINITY, |point| point.score);
            let is_sure = found.len() < limit || k == 0 || found.get(k - 1).is_some_and(|kth| kth.score > last + ALIKE);
            if is_sure {
                return self.take_in(found, near);
            }
            limit = limit.saturating_mul(4);
        }
    }

    fn take_in(&self, found: Vec<ScoredPoint>, near: &mut Near) -> Result<(), QdrantError> {
        for point in found {
            let Some(run_id) = text(&point.payload, "run_id") else { continue };
            near.index.put(run_id, &self.embedder_id, &dense(point.vectors))?;
            near.digests.insert(RunId::new(run_id), text(&point.payload, "text_digest").unwrap_or_default().to_owned());
        }
        Ok(())
    }

    fn own(&self) -> Filter {
        Filter::must([Condition::matches("embedder_id", self.embedder_id.clone())])
    }

    fn other_dimensions(&self, found: u64) -> QdrantError {
        QdrantError::Dimensions { collection: self.server.collection.clone(), expected: self.dimensions, found }
    }

    fn no_answer(&self, what: &'static str, error: qdrant_client::QdrantError) -> QdrantError {
        use qdrant_client::QdrantError as Theirs;
        let reason = match error {
            Theirs::ResponseError { status } | Theirs::ResourceExhaustedError { status, .. } => {
                format!("{:?}: {}", status.code(), status.message())
            }
            other => other.to_string(),
        };
        QdrantError::NoAnswer { url: self.server.url.clone(), what, reason }
    }
}

/// A point's id says which run it is of.
fn point_id(run: &RunId) -> String {
    Uuid::new_v5(&NAMESPACE, run.as_str().as_bytes()).to_string()
}

fn told(point: &RetrievedPoint) -> Option<(RunId, String)> {
    Some((RunId::new(text(&point.payload, "run_id")?), text(&point.payload, "text_digest")?.to_owned()))
}

fn text<'a>(payload: &'a HashMap<String, Value>, name: &str) -> Option<&'a str> {
    match &payload.get(name)?.kind {
        Some(value::Kind::StringValue(text)) => Some(text),
        _ => None,
    }
}

/// The numbers of a point's only vector; none where it has no such vector.
fn dense(vectors: Option<VectorsOutput>) -> Vec<f32> {
    match vectors.and_then(|v| v.vectors_options) {
        Some(vectors_output::VectorsOptions::Vector(vector)) => match vector.into_vector() {
            vector_output::Vector::Dense(dense) => dense.data,
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod stand_in;
#[cfg(test)]
mod tests;
