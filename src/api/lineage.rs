//! `POST /api/v1/lineage` and `POST /api/v1/lineage/batch`: OpenLineage events, acknowledged when they are on disk.
//!
//! An accepted event waits in the journal's inbox and reaches the ledger a few seconds later, together with others. A refused one is answered
//! with the place that is wrong, and is kept in the table `rejects`.

use std::sync::{Arc, Mutex, PoisonError};

use axum::Json as JsonAnswer;
use axum::extract::State;
use axum::http::StatusCode;
use bellwether_lake::tables::REJECTS;
use bellwether_lake::{Lake, LakeError};
use bellwether_model::reject::Reject;
use bellwether_model::time::Timestamp;
use bellwether_pipelines::openlineage::{InvalidEvent, parse};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::Services;
use super::body::Json;
use super::problem::{Kind, Problem, ProblemBody};

/// The name of the source, in the inbox and among rejects.
pub const SOURCE: &str = "openlineage";
/// Largest body of one event.
pub const EVENT: usize = 8 << 20;
/// Largest body of a batch.
pub const BATCH: usize = 32 << 20;
/// Rejects that may wait to be stored; further ones are only answered.
const WAITING: usize = 10_000;

/// Refused events that have yet to be stored: they reach the ledger together, as accepted ones do.
#[derive(Debug, Default)]
pub struct Rejects(Mutex<Vec<Reject>>);

impl Rejects {
    fn add(&self, reject: Reject) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < WAITING {
            waiting.push(reject);
        } else {
            tracing::warn!(reason = reject.reason, "too many rejects wait: this one is not stored");
        }
    }

    /// Stores what waits, each reject once. Gives how many were new.
    ///
    /// # Errors
    /// When the ledger cannot be read or written; then they wait on.
    pub async fn store(&self, lake: &Lake, now: Timestamp) -> Result<usize, Problem> {
        let mut rejects = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        if rejects.is_empty() {
            return Ok(0);
        }
        let stored = self.store_new(lake, &mut rejects, now).await;
        if stored.is_err() {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(rejects);
        }
        stored
    }

    async fn store_new(&self, lake: &Lake, rejects: &mut Vec<Reject>, now: Timestamp) -> Result<usize, Problem> {
        let mut known = bellwether_pipelines::stored::Stored::open(lake, now).await?.reject_ids(SOURCE).await?;
        rejects.retain(|r| known.insert(r.reject_id.clone()));
        lake.append_rows(&REJECTS, rejects, &[]).await.map_err(|e: LakeError| Problem::from(e))?;
        Ok(rejects.len())
    }
}

/// Takes one OpenLineage event: a run, dataset or job event of any 2.x version. Unknown facets are kept. Sending an event again adds nothing.
#[utoipa::path(
    post, path = "/api/v1/lineage", tag = "ingest",
    request_body(content = Object, description = "An OpenLineage event; plain or gzip."),
    responses((status = 201, description = "It is on disk."), (status = "4XX", body = ProblemBody, content_type = "application/problem+json")),
)]
pub async fn event(State(services): State<Arc<Services>>, Json(event): Json<Value, EVENT>) -> Result<StatusCode, Problem> {
    let content = read(&services, &event, "POST /api/v1/lineage").map_err(|e| Problem::bad(e.problem).at(e.pointer))?;
    services.journal.receive(SOURCE, &[content], services.now()).await?;
    Ok(StatusCode::CREATED)
}

/// How a batch went, in the words of OpenLineage's API.
#[derive(Debug, Serialize, ToSchema)]
pub struct BatchAnswer {
    /// `success`, or `partial_success` when events were refused.
    status: &'static str,
    /// The numbers.
    summary: BatchSummary,
    /// The refused events.
    failed_events: Vec<FailedEvent>,
}

/// The numbers of a batch.
#[derive(Debug, Serialize, ToSchema)]
pub struct BatchSummary {
    /// Events that came.
    received: usize,
    /// Events that are on disk.
    successful: usize,
    /// Events that were refused.
    failed: usize,
    /// Refused events that may be sent again as they are: none ever.
    retriable: usize,
    /// Refused events that would be refused again.
    non_retriable: usize,
}

/// One refused event.
#[derive(Debug, Serialize, ToSchema)]
pub struct FailedEvent {
    /// Its place in the batch, from 0.
    index: usize,
    /// Where it is wrong, and what would be right.
    reason: String,
    /// Whether it may be sent again as it is.
    retriable: bool,
}

/// Takes a list of OpenLineage events. Those that can be read are on disk when this answers; the others are named in the answer.
#[utoipa::path(
    post, path = "/api/v1/lineage/batch", tag = "ingest",
    request_body(content = Vec<Object>, description = "OpenLineage events; plain or gzip."),
    responses((status = 200, body = BatchAnswer), (status = "4XX", body = ProblemBody, content_type = "application/problem+json")),
)]
pub async fn batch(
    State(services): State<Arc<Services>>,
    Json(events): Json<Vec<Value>, BATCH>,
) -> Result<JsonAnswer<BatchAnswer>, Problem> {
    let received = events.len();
    let reading = services.clone();
    let (contents, failed_events) =
        tokio::task::spawn_blocking(move || read_all(&reading, &events)).await.map_err(|e| Problem::of(Kind::Internal, &e))?;
    services.journal.receive(SOURCE, &contents, services.now()).await?;
    let failed = failed_events.len();
    let summary = BatchSummary { received, successful: contents.len(), failed, retriable: 0, non_retriable: failed };
    Ok(JsonAnswer(BatchAnswer { status: if failed == 0 { "success" } else { "partial_success" }, summary, failed_events }))
}

fn read_all(services: &Services, events: &[Value]) -> (Vec<String>, Vec<FailedEvent>) {
    let (mut contents, mut failed) = (Vec::new(), Vec::new());
    for (index, event) in events.iter().enumerate() {
        match read(services, event, "POST /api/v1/lineage/batch") {
            Ok(content) => contents.push(content),
            Err(e) => failed.push(FailedEvent { index, reason: e.to_string(), retriable: false }),
        }
    }
    (contents, failed)
}

/// Reads one event into what the inbox holds: redacted, with its rows. One that cannot be read is noted among the rejects.
fn read(services: &Services, event: &Value, place: &str) -> Result<String, InvalidEvent> {
    let now = services.now();
    let bug = |e: serde_json::Error| InvalidEvent { pointer: String::new(), problem: format!("it has no JSON form: {e}") };
    let read = parse(event, &services.redactor, now).and_then(|parsed| serde_json::to_string(&parsed).map_err(bug));
    if let Err(error) = &read {
        services.rejects.add(Reject::new(SOURCE, place, error.to_string(), &services.redactor.json(event).to_string(), now));
    }
    read
}
