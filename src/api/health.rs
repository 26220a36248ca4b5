//! `GET /livez` and `GET /readyz`: for load balancers and orchestrators, without a token.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use bellwether_model::time::{Span, Timestamp};
use serde::Serialize;
use tokio::sync::Mutex;
use utoipa::ToSchema;

use super::Services;

/// Longest wait for one part.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long an answer counts: asking more often costs nothing.
const FRESH: Span = Span::from_secs(2);

/// Whether this process is alive at all.
#[utoipa::path(get, path = "/livez", tag = "operate", responses((status = 200, description = "`ok`", body = String, content_type = "text/plain")))]
pub async fn live() -> &'static str {
    "ok"
}

/// Whether requests can be served.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Readiness {
    /// Whether every part is.
    ready: bool,
    /// The parts.
    checks: Vec<Part>,
}

/// One part that requests need.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Part {
    /// `ledger`, `journal` or `prometheus`.
    name: &'static str,
    /// Whether it answers.
    ok: bool,
    /// In words, without addresses: everyone may read this.
    detail: &'static str,
}

/// The latest answer.
#[derive(Debug, Default)]
pub struct Ready(Mutex<Option<(Timestamp, Readiness)>>);

/// Whether the ledger can be read, the journal written, and Prometheus asked.
#[utoipa::path(
    get, path = "/readyz", tag = "operate",
    responses((status = 200, body = Readiness), (status = 503, description = "A part does not answer.", body = Readiness)),
)]
pub async fn ready(State(services): State<Arc<Services>>) -> (StatusCode, Json<Readiness>) {
    let mut kept = services.ready.0.lock().await;
    let now = services.now();
    let readiness = match kept.as_ref() {
        Some((at, readiness)) if now.since(*at) < FRESH && now >= *at => readiness.clone(),
        _ => kept.insert((now, look(&services, now).await)).1.clone(),
    };
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(readiness))
}

async fn look(services: &Services, now: Timestamp) -> Readiness {
    let ledger = part("ledger", async { services.lake.snapshot().await.map(drop).map_err(|_| "it cannot be read") });
    // Taking a lease of no length writes a row: reading alone would not notice a full disk.
    let journal = part("journal", async {
        match services.journal.lease("readiness", services.journal.session(), Span::ZERO, now).await {
            Ok(_) => Ok(()),
            Err(e) if e.is_full_or_read_only() => Err("its disk is full or read-only"),
            Err(_) => Err("it cannot be written"),
        }
    });
    let prometheus = part("prometheus", async {
        match &services.prometheus {
            Some(prometheus) => prometheus.build_info().await.map(drop).map_err(|_| "it does not answer"),
            None => Ok(()),
        }
    });
    let (ledger, journal, mut prometheus) = tokio::join!(ledger, journal, prometheus);
    if services.prometheus.is_none() {
        prometheus.detail = "not configured";
    }
    let checks = vec![ledger, journal, prometheus];
    Readiness { ready: checks.iter().all(|c| c.ok), checks }
}

async fn part(name: &'static str, check: impl Future<Output = Result<(), &'static str>>) -> Part {
    match tokio::time::timeout(PATIENCE, check).await {
        Ok(Ok(())) => Part { name, ok: true, detail: "ok" },
        Ok(Err(detail)) => Part { name, ok: false, detail },
        Err(_) => Part { name, ok: false, detail: "it does not answer in time" },
    }
}
