//! HTTP: the `tower` service over the verbs, and the streams that watches are.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use http::header::CONTENT_TYPE;
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use serde_json::json;
use tokio::sync::watch::Receiver;
use tower::Service;

use super::ApiServer;
use super::answer::{Answer, Watch, answer};
use super::status::ApiError;
use super::store::EventType;

/// The body of every reply.
pub type ReplyBody = UnsyncBoxBody<Bytes, ReplyLost>;

/// The connection broke before the reply arrived, though the request may have taken effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the connection was closed before the reply arrived")]
pub struct ReplyLost;

/// The simulated API server as a `tower` service, for any request body: `kube::client::Body`, axum's, hyper's.
///
/// It never fails as a service; a reply that was made to be lost breaks while its body is read.
#[derive(Clone)]
pub struct ApiService {
    server: ApiServer,
}

impl ApiService {
    pub(crate) fn new(server: ApiServer) -> Self {
        Self { server }
    }
}

impl<B> Service<Request<B>> for ApiService
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: std::fmt::Display,
{
    type Response = Response<ReplyBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let server = self.server.clone();
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let answer = match body.collect().await {
                Ok(body) => answer(&server, &head.method, &head.uri, &head.headers, &body.to_bytes()),
                Err(e) => {
                    let e = ApiError::bad_request(format!("the body could not be read: {e}"));
                    Answer::Json(e.code, e.body())
                }
            };
            Ok(match answer {
                Answer::Json(code, body) => json_reply(code, body.to_string()),
                Answer::Text(text) => reply(200, "text/plain", whole(text)),
                Answer::Lost => {
                    reply(200, "application/json", UnsyncBoxBody::new(StreamBody::new(futures::stream::iter([Err(ReplyLost)]))))
                }
                Answer::Watch(watch) => match watch_events(server, watch) {
                    Ok(events) => reply(200, "application/json", UnsyncBoxBody::new(StreamBody::new(events))),
                    Err(e) => json_reply(e.code, e.body().to_string()),
                },
            })
        })
    }
}

/// A reply of JSON text.
pub(crate) fn json_reply(code: u16, body: String) -> Response<ReplyBody> {
    reply(code, "application/json", whole(body))
}

/// A body that is all there.
pub(crate) fn whole(body: impl Into<Bytes>) -> ReplyBody {
    UnsyncBoxBody::new(Full::new(body.into()).map_err(|never| match never {}))
}

pub(crate) fn reply(code: u16, content_type: &'static str, body: ReplyBody) -> Response<ReplyBody> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static(content_type));
    response
}

type Frames = Pin<Box<dyn Stream<Item = Result<Frame<Bytes>, ReplyLost>> + Send>>;

/// Events as lines of JSON: what is there now (unless a resource version says from where), then each change until the
/// client's time-out, 5 minutes by default.
fn watch_events(server: ApiServer, watch: Watch) -> Result<Frames, ApiError> {
    struct Following {
        server: ApiServer,
        watch: Watch,
        seen: u64,
        first: String,
        news: Receiver<u64>,
        deadline: tokio::time::Instant,
    }
    let news = server.newest.subscribe();
    let (seen, first) = {
        let state = server.lock();
        match watch.params.resource_version {
            Some(version) if version > state.store.newest() => return Err(ApiError::expired()),
            Some(version) if version > 0 => (version, String::new()),
            _ => {
                let there = state.store.iter().filter(|(key, object)| watch.wants(key, object));
                (state.store.newest(), there.map(|(_, object)| line(EventType::Added.name(), object)).collect())
            }
        }
    };
    let deadline = tokio::time::Instant::now() + Duration::from_secs(watch.params.timeout_seconds.unwrap_or(300));
    let following = Following { server, watch, seen, first, news, deadline };
    Ok(Box::pin(futures::stream::unfold(following, |mut f| async move {
        let mut lines = std::mem::take(&mut f.first);
        while lines.is_empty() {
            f.news.borrow_and_update();
            {
                let state = f.server.lock();
                for event in state.store.events_after(f.seen).iter().filter(|e| f.watch.wants(&e.key, &e.object)) {
                    lines += &line(event.event.name(), &event.object);
                }
                f.seen = state.store.newest();
            }
            if lines.is_empty() && !matches!(tokio::time::timeout_at(f.deadline, f.news.changed()).await, Ok(Ok(()))) {
                if !f.watch.params.bookmarks {
                    return None;
                }
                // One bookmark before the end, so that the client can go on from here.
                f.watch.params.bookmarks = false;
                let meta = json!({"resourceVersion": f.seen.to_string()});
                lines = line(
                    "BOOKMARK",
                    &json!({"kind": f.watch.resource.kind, "apiVersion": f.watch.resource.api_version(), "metadata": meta}),
                );
            }
        }
        Some((Ok(Frame::data(Bytes::from(lines))), f))
    })))
}

impl Watch {
    fn wants(&self, key: &super::store::Key, object: &serde_json::Value) -> bool {
        key.kind == self.resource.kind && (self.namespace.is_none() || key.namespace == self.namespace) && self.params.selects(object)
    }
}

fn line(event: &str, object: &serde_json::Value) -> String {
    format!("{}\n", json!({"type": event, "object": object}))
}
