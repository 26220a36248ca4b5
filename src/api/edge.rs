//! What every request passes through: an id, a deadline, a net under panics, one log line and one measurement.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use futures::FutureExt as _;

use super::meter::Meter;
use super::problem::{Kind, Problem};

/// The header that names a request, in answers and in our log. A client may bring its own.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longest time for an answer.
const LONGEST: Duration = Duration::from_secs(90);

/// Lets a request through and marks its answer.
pub async fn edge(State(meter): State<Arc<Meter>>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let id = request.headers().get(REQUEST_ID).filter(|id| is_plain(id)).cloned().unwrap_or_else(new_id);
    let method = request.method().clone();
    // Only known paths are labels, so that nobody can invent some.
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    let answer = tokio::time::timeout(LONGEST, AssertUnwindSafe(next.run(request)).catch_unwind()).await;
    let mut response = match answer {
        Ok(Ok(response)) => response,
        Ok(Err(panic)) => {
            tracing::error!(request = ?id, %route, panic = panic_words(panic.as_ref()), "a handler panicked; this is a bug, please report it");
            Problem::new(Kind::Internal, "this request met a bug of this program")
                .hint("please report it with the request's id")
                .into_response()
        }
        Err(_) => Problem::new(Kind::Timeout, format!("no answer within {} s", LONGEST.as_secs())).into_response(),
    };
    let (status, took) = (response.status().as_u16(), began.elapsed());
    meter.request(&route, method.as_str(), status, took);
    tracing::info!(request = ?id, %method, %route, status, ms = took.as_millis() as u64, "answered");
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, id);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

fn is_plain(id: &HeaderValue) -> bool {
    (1..=128).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic)
}

fn new_id() -> HeaderValue {
    HeaderValue::from_str(&uuid::Uuid::now_v7().to_string()).expect("a UUID in hexadecimal digits and dashes is a header value")
}

fn panic_words(panic: &(dyn std::any::Any + Send)) -> &str {
    panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

/// Gives every answer that says no the form of a [`Problem`]: paths and methods that are not there are refused before any handler of ours.
pub async fn explain(request: Request, next: Next) -> Response {
    let asked = format!("{} {}", request.method(), request.uri().path());
    let response = next.run(request).await;
    let status = response.status();
    let explained = response.headers().get(header::CONTENT_TYPE).is_some_and(|t| t.as_bytes().starts_with(b"application/"));
    if !(status.is_client_error() || status.is_server_error()) || explained {
        return response;
    }
    let kind = match status {
        StatusCode::NOT_FOUND => Kind::NotFound,
        StatusCode::METHOD_NOT_ALLOWED => Kind::MethodNotAllowed,
        _ if status.is_client_error() => Kind::BadRequest,
        _ => Kind::Internal,
    };
    let mut explained = Problem::new(kind, asked).hint("GET /openapi.json describes every path").into_response();
    if let Some(allowed) = response.headers().get(header::ALLOW) {
        explained.headers_mut().insert(header::ALLOW, allowed.clone());
    }
    explained
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::middleware::{from_fn, from_fn_with_state};
    use axum::routing::get;
    use tower::ServiceExt as _;

    use super::*;

    #[tokio::test]
    async fn a_handler_that_panics_is_answered_as_our_bug_and_counted() {
        async fn broken() -> &'static str {
            panic!("ours")
        }
        let meter = Arc::new(Meter::new());
        let router = Router::new().route("/broken", get(broken)).layer(from_fn(explain)).layer(from_fn_with_state(meter.clone(), edge));
        let response = router.oneshot(Request::get("/broken").body(axum::body::Body::empty()).unwrap()).await.unwrap();
        assert_eq!(
            (response.status(), &response.headers()[header::CONTENT_TYPE]),
            (StatusCode::INTERNAL_SERVER_ERROR, &"application/problem+json".parse().unwrap())
        );
        assert!(response.headers().contains_key(REQUEST_ID));
        let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        assert!(!String::from_utf8_lossy(&body).contains("ours"), "a panic's words stay in the log");
        let counted = meter.gather().into_iter().find(|f| f.name() == "bellwether_http_requests_total").unwrap();
        assert_eq!(counted.get_metric()[0].get_counter().get_value(), 1.0);
    }
}
