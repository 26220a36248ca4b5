//! Reading requests: JSON bodies within limits of size and time, plain or gzip, and query parameters. What cannot be read is a
//! [`Problem`] that says where.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use bellwether_model::time::Timestamp;
use flate2::read::MultiGzDecoder;
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;

use super::problem::{Kind, Problem};

/// How long a body may take to arrive.
const ARRIVAL: Duration = Duration::from_secs(20);
/// The largest body of ordinary requests, unpacked.
pub const ORDINARY: usize = 1 << 20;
/// How many bodies are unpacked at a time: what bounds the memory that packed bodies can take.
static UNPACKERS: Semaphore = Semaphore::const_new(4);

/// A JSON body of at most `LIMIT` bytes, both as it is sent and as it is unpacked.
///
/// The content type is not looked at: `curl -d` sends JSON under the name of a form, and the token, not the content type, is what
/// keeps other sites' pages out.
pub struct Json<T, const LIMIT: usize = ORDINARY>(pub T);

impl<T: DeserializeOwned, S: Sync, const LIMIT: usize> FromRequest<S> for Json<T, LIMIT> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let bytes = read(request, LIMIT).await?;
        parse(&bytes).map(Self)
    }
}

/// Reads a value, and says where it goes wrong.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(Problem::bad("the body is empty").hint("send a JSON object"));
    }
    serde_json::from_slice(bytes).map_err(|e| match e.classify() {
        serde_json::error::Category::Data => Problem::bad(format!("the body does not fit: {e}")),
        _ => Problem::bad(format!("the body is not JSON: {e}")),
    })
}

/// Reads a body, unpacked.
async fn read(request: Request, limit: usize) -> Result<Vec<u8>, Problem> {
    let (parts, body) = request.into_parts();
    let packed = is_gzip(&parts.headers)?;
    let declared = parts.headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<usize>().ok());
    if declared.is_some_and(|length| length > limit) {
        return Err(too_large(limit));
    }
    let sent = tokio::time::timeout(ARRIVAL, collect(body, limit))
        .await
        .map_err(|_| Problem::new(Kind::SlowBody, format!("a body must arrive within {} s", ARRIVAL.as_secs())))??;
    if !packed {
        return Ok(sent.into());
    }
    let permit = UNPACKERS.acquire().await.map_err(|e| Problem::of(Kind::Internal, &e))?;
    let unpacked = tokio::task::spawn_blocking(move || unpack(&sent, limit)).await.map_err(|e| Problem::of(Kind::Internal, &e))?;
    drop(permit);
    unpacked
}

async fn collect(body: Body, limit: usize) -> Result<Bytes, Problem> {
    axum::body::to_bytes(body, limit).await.map_err(|e| {
        let over = std::error::Error::source(&e).is_some_and(|s| s.is::<http_body_util::LengthLimitError>());
        if over { too_large(limit) } else { Problem::bad("the body broke off") }
    })
}

/// Whether the body is gzip; refuses every other encoding, and encodings one in the other.
fn is_gzip(headers: &HeaderMap) -> Result<bool, Problem> {
    let mut encodings = headers.get_all(header::CONTENT_ENCODING).iter();
    let (first, second) = (encodings.next(), encodings.next());
    match (first.map(|v| v.as_bytes().trim_ascii().to_ascii_lowercase()), second) {
        (None, _) => Ok(false),
        (Some(one), None) if one == b"identity" || one.is_empty() => Ok(false),
        (Some(one), None) if one == b"gzip" || one == b"x-gzip" => Ok(true),
        _ => Err(Problem::new(Kind::UnsupportedEncoding, "a body may be plain or gzip, once")
            .hint("send it with `Content-Encoding: gzip`, or without")),
    }
}

fn unpack(sent: &[u8], limit: usize) -> Result<Vec<u8>, Problem> {
    let mut unpacked = Vec::new();
    // One byte more than the limit tells a body of just the limit from a larger one.
    MultiGzDecoder::new(sent)
        .take(limit as u64 + 1)
        .read_to_end(&mut unpacked)
        .map_err(|e| Problem::bad(format!("the body is not gzip: {e}")))?;
    if unpacked.len() > limit { Err(too_large(limit)) } else { Ok(unpacked) }
}

fn too_large(limit: usize) -> Problem {
    Problem::new(Kind::TooLarge, format!("a body here has at most {limit} bytes, packed and unpacked"))
}

/// The query parameters of a request. Each is taken once it is read; [`Params::finish`] refuses what nobody asked for.
#[derive(Debug, Default)]
pub struct Params(BTreeMap<String, Vec<String>>);

impl<S: Sync> FromRequestParts<S> for Params {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, value) in url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()) {
            found.entry(name.into_owned()).or_default().push(value.into_owned());
        }
        Ok(Self(found))
    }
}

impl Params {
    /// Every value of a parameter.
    pub fn all(&mut self, name: &str) -> Vec<String> {
        self.0.remove(name).unwrap_or_default()
    }

    /// The only value of a parameter, as `parse` reads it. An empty value counts as none.
    pub fn one<T>(&mut self, name: &str, parse: impl FnOnce(&str) -> Result<T, String>) -> Result<Option<T>, Problem> {
        let mut values = self.all(name);
        values.retain(|v| !v.is_empty());
        match values.as_slice() {
            [] => Ok(None),
            [value] => parse(value).map(Some).map_err(|e| Problem::bad(format!("parameter {name}: {e}"))),
            _ => Err(Problem::bad(format!("parameter {name} is given {} times", values.len()))),
        }
    }

    /// A time.
    pub fn time(&mut self, name: &str) -> Result<Option<Timestamp>, Problem> {
        self.one(name, |text| text.parse().map_err(|e: bellwether_model::time::ParseTimestampError| e.to_string()))
    }

    /// Refuses parameters that were not read.
    pub fn finish(self, known: &str) -> Result<(), Problem> {
        match self.0.into_keys().next() {
            None => Ok(()),
            Some(unknown) => {
                Err(Problem::bad(format!("there is no parameter {unknown:?} here")).hint(format!("the parameters are {known}")))
            }
        }
    }
}
