//! What went wrong with a request, in words and in a form that programs can tell apart: `application/problem+json` (RFC 9457).

use std::error::Error;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bellwether_executor::StoreError;
use bellwether_executor::journal::inbox::InboxError;
use bellwether_executor::journal::transition::TransitionError;
use bellwether_lake::LakeError;
use bellwether_pipelines::prometheus::PrometheusError;
use bellwether_sql::SqlError;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::failure::chain;
use crate::query;

/// The kinds of problems. Each has one address, one title and one status, whatever the detail says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The request cannot be read, or asks for what cannot be.
    BadRequest,
    /// A query, in PromQL or SQL, is wrong.
    BadQuery,
    /// There is no token, or it does not count.
    Unauthorized,
    /// The token's roles do not permit this.
    MissingRole,
    /// Governance says no.
    Refused,
    /// There is no such thing.
    NotFound,
    /// The path is there, and this method is not.
    MethodNotAllowed,
    /// The body did not arrive in time.
    SlowBody,
    /// What is asked for does not follow from where things stand.
    Conflict,
    /// The approval names another digest than the plan has.
    OtherPlan,
    /// The body is too large, as sent or as unpacked.
    TooLarge,
    /// The body is packed in a way that is not read here.
    UnsupportedEncoding,
    /// No plan can be made.
    NoPlan,
    /// Our own bug.
    Internal,
    /// A system that this one asks is unreachable or refuses.
    Upstream,
    /// It cannot be done now; later it can.
    Unavailable,
    /// It took too long.
    Timeout,
}

impl Kind {
    /// Last part of its address, title and status.
    const fn words(self) -> (&'static str, &'static str, StatusCode) {
        match self {
            Self::BadRequest => ("bad-request", "The request is wrong", StatusCode::BAD_REQUEST),
            Self::BadQuery => ("bad-query", "The query is wrong", StatusCode::BAD_REQUEST),
            Self::Unauthorized => ("unauthorized", "A valid token is needed", StatusCode::UNAUTHORIZED),
            Self::MissingRole => ("missing-role", "The token lacks a role", StatusCode::FORBIDDEN),
            Self::Refused => ("refused", "Governance refuses", StatusCode::FORBIDDEN),
            Self::NotFound => ("not-found", "There is no such thing", StatusCode::NOT_FOUND),
            Self::MethodNotAllowed => ("method-not-allowed", "This path has no such method", StatusCode::METHOD_NOT_ALLOWED),
            Self::SlowBody => ("slow-body", "The body did not arrive in time", StatusCode::REQUEST_TIMEOUT),
            Self::Conflict => ("conflict", "This does not follow from where things stand", StatusCode::CONFLICT),
            Self::OtherPlan => ("other-plan", "The plan is not the one that was meant", StatusCode::CONFLICT),
            Self::TooLarge => ("too-large", "The body is too large", StatusCode::PAYLOAD_TOO_LARGE),
            Self::UnsupportedEncoding => {
                ("unsupported-encoding", "The body's encoding is not read here", StatusCode::UNSUPPORTED_MEDIA_TYPE)
            }
            Self::NoPlan => ("no-plan", "No plan can be made", StatusCode::UNPROCESSABLE_ENTITY),
            Self::Internal => ("internal", "A bug of this program", StatusCode::INTERNAL_SERVER_ERROR),
            Self::Upstream => ("upstream", "Another system failed", StatusCode::BAD_GATEWAY),
            Self::Unavailable => ("unavailable", "Not now", StatusCode::SERVICE_UNAVAILABLE),
            Self::Timeout => ("timeout", "It took too long", StatusCode::GATEWAY_TIMEOUT),
        }
    }
}

/// A problem.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    kind: Kind,
    /// What went wrong this time.
    pub detail: String,
    /// What would be right.
    pub hint: Option<String>,
    pointer: Option<String>,
    more: Option<Box<Map<String, Value>>>,
}

/// A problem as it is answered.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody {
    /// Which kind: `urn:bellwether:problem:` and a word.
    #[serde(rename = "type")]
    kind: String,
    /// The kind in words.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What went wrong this time.
    detail: String,
    /// What would be right.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    /// JSON pointer (RFC 6901) into the request's body, where one place is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pointer: Option<String>,
    /// Further members, by kind: `execution_id`, and `decision` where governance refuses.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Object)]
    more: Option<Box<Map<String, Value>>>,
}

impl Problem {
    /// A problem of this kind.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), hint: None, pointer: None, more: None }
    }

    /// The HTTP status.
    #[cfg(test)]
    pub const fn status(&self) -> StatusCode {
        self.kind.words().2
    }

    /// A problem with an error's whole chain of sources as its detail.
    pub fn of(kind: Kind, error: &dyn Error) -> Self {
        Self::new(kind, chain(error))
    }

    /// The request is wrong.
    pub fn bad(detail: impl Into<String>) -> Self {
        Self::new(Kind::BadRequest, detail)
    }

    /// There is no such thing.
    pub fn missing(what: &str, id: &str) -> Self {
        Self::new(Kind::NotFound, format!("there is no {what} {id:?}"))
    }

    /// The same with a hint.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same with the place in the request's body.
    pub fn at(mut self, pointer: impl Into<String>) -> Self {
        self.pointer = Some(pointer.into());
        self
    }

    /// The same with a further member.
    pub fn with(mut self, name: &str, value: impl Serialize) -> Self {
        self.more.get_or_insert_default().insert(name.to_owned(), serde_json::to_value(value).unwrap_or_default());
        self
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (word, title, status) = self.kind.words();
        let kind = format!("urn:bellwether:problem:{word}");
        let Self { detail, hint, pointer, more, .. } = self;
        let mut response =
            (status, Json(ProblemBody { kind, title, status: status.as_u16(), detail, hint, pointer, more })).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        match status {
            StatusCode::UNAUTHORIZED => headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")),
            StatusCode::SERVICE_UNAVAILABLE => headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5")),
            _ => None,
        };
        response
    }
}

impl From<SqlError> for Problem {
    fn from(error: SqlError) -> Self {
        let kind = match &error {
            SqlError::Timeout(_) => Kind::Timeout,
            SqlError::Lake(e) if e.is_upstream() => Kind::Unavailable,
            e if e.is_users() => Kind::BadQuery,
            _ => Kind::Internal,
        };
        Self { hint: query::hint(&error), ..Self::of(kind, &error) }
    }
}

impl From<LakeError> for Problem {
    fn from(error: LakeError) -> Self {
        let kind = if error.is_upstream() { Kind::Unavailable } else { Kind::Internal };
        Self { hint: error.hint().map(str::to_owned), ..Self::of(kind, &error) }
    }
}

impl From<PrometheusError> for Problem {
    fn from(error: PrometheusError) -> Self {
        match &error {
            // Prometheus' own words are what helps.
            PrometheusError::BadQuery { message } => Self::new(Kind::BadQuery, message.clone()),
            PrometheusError::Limit { .. } => Self::of(Kind::BadQuery, &error).hint("ask for a shorter lookback, or aggregate in the query"),
            PrometheusError::Timeout { .. } => Self::of(Kind::Timeout, &error),
            PrometheusError::Unreachable { .. } | PrometheusError::Upstream { .. } | PrometheusError::Settings { .. } => {
                Self::of(Kind::Upstream, &error)
            }
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        // Nothing may be acknowledged while the journal cannot be written; reading goes on.
        let problem = Self::of(Kind::Unavailable, &error);
        if error.is_full_or_read_only() { problem.hint("the disk of the journal is full or read-only") } else { problem }
    }
}

impl From<InboxError> for Problem {
    fn from(error: InboxError) -> Self {
        match error {
            InboxError::Store(e) => e.into(),
            full @ InboxError::Full { .. } => Self::of(Kind::Unavailable, &full),
        }
    }
}

impl From<TransitionError> for Problem {
    fn from(error: TransitionError) -> Self {
        let kind = match &error {
            TransitionError::Unknown { .. } => Kind::NotFound,
            TransitionError::OtherPlan { .. } => Kind::OtherPlan,
            TransitionError::Tampered { .. } => Kind::Internal,
            TransitionError::Illegal { .. }
            | TransitionError::Overtaken { .. }
            | TransitionError::RollbackOfRollback { .. }
            | TransitionError::Expired { .. } => Kind::Conflict,
            TransitionError::Store(_) => Kind::Unavailable,
        };
        Self::of(kind, &error)
    }
}
