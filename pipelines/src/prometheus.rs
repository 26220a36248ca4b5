//! The one Prometheus client: every number that is read from a Prometheus, for ingest, for checks and for `doctor`, is read here.
//!
//! Speaks the HTTP API v1 (<https://prometheus.io/docs/prometheus/latest/querying/api/>) with POST forms, so that long
//! expressions fit. Redirects are not followed: an address that redirects is a configuration error, and following it could carry
//! the token to another host.

pub mod address;
mod answer;
mod chunk;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use bellwether_model::series::Labels;
use bellwether_model::time::{Span, Timestamp};
use bellwether_model::unit::Bytes;
use serde::{Deserialize, Serialize};
use url::Url;

pub use answer::{Dropped, InstantSample, RangeAnswer, RangeSeries};
use answer::{Envelope, Query};
use chunk::Chunk;

/// Where a Prometheus is, how to ask it, and what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrometheusSettings {
    /// Base address, such as `http://prometheus:9090`; a path prefix is kept.
    #[serde(deserialize_with = "address::read")]
    pub url: Url,
    /// File that holds a bearer token. Read again for each request, because mounted tokens rotate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bearer_token_file: Option<PathBuf>,
    /// User and password file for basic authentication.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basic_auth: Option<BasicAuth>,
    /// Further headers, such as `X-Scope-OrgID` for a multi-tenant server. Not for secrets: the configuration is shown to people.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Longest wait for one answer. Default 60s.
    #[serde(default = "default_timeout")]
    pub timeout: Span,
    /// Largest answer that is read; a larger one is asked for again in halves. Default 256Mi.
    #[serde(default = "default_body_limit")]
    pub body_limit: Bytes,
    /// Built-in packs of rules, by name.
    #[serde(default, deserialize_with = "crate::rules::packs::read_names")]
    pub packs: Vec<String>,
    /// Files and folders of further rules.
    #[serde(default)]
    pub rules: Vec<PathBuf>,
    /// How far back a metric is asked for that the ledger does not have yet. Default 14d.
    #[serde(default = "default_backfill")]
    pub backfill: Span,
    /// How much of what the ledger has already is asked for again, because samples may come late. Default 10m.
    #[serde(default = "default_late_tail")]
    pub late_tail: Span,
    /// Questions under way at a time. Default 4; a Prometheus answers 20 at most.
    #[serde(default = "default_concurrency")]
    pub concurrency: usize,
}

fn default_timeout() -> Span {
    Span::from_secs(60)
}

fn default_body_limit() -> Bytes {
    Bytes(256 << 20)
}

fn default_backfill() -> Span {
    Span::from_days(14)
}

fn default_late_tail() -> Span {
    Span::from_mins(10)
}

fn default_concurrency() -> usize {
    4
}

impl PrometheusSettings {
    /// The settings for a Prometheus at this address that asks for no credentials.
    pub fn at(url: Url) -> Self {
        Self {
            url,
            bearer_token_file: None,
            basic_auth: None,
            headers: BTreeMap::new(),
            timeout: default_timeout(),
            body_limit: default_body_limit(),
            packs: Vec::new(),
            rules: Vec::new(),
            backfill: default_backfill(),
            late_tail: default_late_tail(),
            concurrency: default_concurrency(),
        }
    }
}

/// A user name and the file that holds the password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BasicAuth {
    /// User name.
    pub username: String,
    /// File that holds the password; white space around it does not count.
    pub password_file: PathBuf,
}

/// Why Prometheus gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum PrometheusError {
    /// No connection could be made.
    #[error("no Prometheus answers at {url}")]
    Unreachable {
        /// The address, without credentials.
        url: String,
        /// What the network said.
        source: reqwest::Error,
    },
    /// The expression is wrong, or cannot be executed on the data that is there. The message is Prometheus' own.
    #[error("Prometheus refused the query: {message}")]
    BadQuery {
        /// Prometheus' own words.
        message: String,
    },
    /// The answer did not come in time.
    #[error("Prometheus did not answer in time: {message}")]
    Timeout {
        /// Who gave up, and when.
        message: String,
    },
    /// The answer would be larger than a limit of the server or of this client, even for a few points.
    #[error("the answer of Prometheus is too large: {message}")]
    Limit {
        /// Which limit.
        message: String,
    },
    /// Anything else that the server said.
    #[error("Prometheus answered {status}: {message}")]
    Upstream {
        /// HTTP status; 200 for an answer that could not be read.
        status: u16,
        /// What it said, at most 500 characters.
        message: String,
    },
    /// The settings cannot be used: a credentials file that cannot be read, a header that is none.
    #[error("{what}")]
    Settings {
        /// What cannot be used.
        what: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// What `status/buildinfo` says.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct BuildInfo {
    /// Version, such as `2.42.0`.
    pub version: String,
}

/// The client. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Prometheus {
    settings: PrometheusSettings,
    http: reqwest::Client,
}

impl Prometheus {
    /// A client with these settings. Connects to nothing yet.
    pub fn new(settings: PrometheusSettings) -> Result<Self, PrometheusError> {
        let mut headers = reqwest::header::HeaderMap::new();
        for (name, value) in &settings.headers {
            let wrong = |source: Box<dyn std::error::Error + Send + Sync>| PrometheusError::Settings {
                what: format!("{name:?} is no header that can be sent"),
                source,
            };
            let name = reqwest::header::HeaderName::from_bytes(name.as_bytes()).map_err(|e| wrong(e.into()))?;
            headers.insert(name, value.parse().map_err(|e: reqwest::header::InvalidHeaderValue| wrong(e.into()))?);
        }
        let http = reqwest::Client::builder()
            .timeout(settings.timeout.to_std())
            .redirect(reqwest::redirect::Policy::none())
            .default_headers(headers)
            .build()
            .map_err(|e| PrometheusError::Settings { what: "the HTTP client cannot be built".into(), source: e.into() })?;
        Ok(Self { settings, http })
    }

    /// The base address without credentials, for messages.
    pub fn address(&self) -> String {
        shown(&self.settings.url)
    }

    /// The values of `expr` at every `step` from `start` to `end`, both included, `start` moved up to the next multiple of `step`.
    ///
    /// Asks in chunks of at most 10,000 points a series and joins them, so that a chunk boundary is not to be seen in the result. A
    /// chunk that is too large or too slow for the server is asked for again in halves, six times at most. Values that are not
    /// finite are dropped and counted in [`RangeAnswer::dropped`].
    pub async fn query_range(&self, expr: &str, start: Timestamp, end: Timestamp, step: Span) -> Result<RangeAnswer, PrometheusError> {
        self.query_settled(expr, start, end, step, Span::ZERO).await
    }

    /// As [`Prometheus::query_range`], without the values of windows that are not full: those less than `window` after a series came, or
    /// came back after it was away for longer than `window`. Asks for two windows before `start`, so that the same values are left
    /// out whether a span of time is asked for at once or in parts.
    pub async fn query_settled(
        &self,
        expr: &str,
        start: Timestamp,
        end: Timestamp,
        step: Span,
        window: Span,
    ) -> Result<RangeAnswer, PrometheusError> {
        let mut joined = answer::Join::default();
        // A stack whose top is the earliest chunk, so that halves are asked for in order of time.
        let mut chunks: Vec<Chunk> = chunk::chunks(start - window.times(2), end, step);
        chunks.reverse();
        while let Some(chunk) = chunks.pop() {
            match self.range_once(expr, &chunk).await {
                Ok(part) => joined.add(part),
                Err(error @ (PrometheusError::Limit { .. } | PrometheusError::Timeout { .. })) => match chunk.halves() {
                    Some((first, second)) => chunks.extend([second, first]),
                    None => return Err(error),
                },
                Err(error) => return Err(error),
            }
        }
        Ok(joined.finish(start, window))
    }

    async fn range_once(&self, expr: &str, chunk: &Chunk) -> Result<Envelope<Query>, PrometheusError> {
        let form = [
            ("query", expr.to_owned()),
            ("start", seconds(chunk.start)),
            ("end", seconds(chunk.end())),
            ("step", format!("{}", chunk.step.secs_f64())),
            ("timeout", self.server_timeout()),
        ];
        let body = self.post("query_range", &form).await?;
        answer::read(&body)
    }

    /// The value of `expr` at one instant: one sample for each series, one without labels for a scalar, none for a text. Values that
    /// are not finite are kept, because the caller must tell "nothing measured" from "not a number".
    pub async fn query(&self, expr: &str, at: Timestamp) -> Result<Vec<InstantSample>, PrometheusError> {
        let form = [("query", expr.to_owned()), ("time", seconds(at)), ("timeout", self.server_timeout())];
        let body = self.post("query", &form).await?;
        Ok(answer::instant(answer::read(&body)?))
    }

    /// The names of all metrics that the server has, sorted.
    pub async fn metric_names(&self) -> Result<Vec<String>, PrometheusError> {
        let body = self.get("label/__name__/values").await?;
        let names: BTreeSet<String> = answer::read::<BTreeSet<String>>(&body)?.data;
        Ok(names.into_iter().collect())
    }

    /// The label sets of all series that a selector such as `up{job="node"}` matches between two instants.
    pub async fn series(&self, selector: &str, start: Timestamp, end: Timestamp) -> Result<Vec<Labels>, PrometheusError> {
        let form = [("match[]", selector.to_owned()), ("start", seconds(start)), ("end", seconds(end))];
        let body = self.post("series", &form).await?;
        Ok(answer::read::<Vec<Labels>>(&body)?.data)
    }

    /// What the server says of itself: the cheapest question that proves it is a Prometheus.
    pub async fn build_info(&self) -> Result<BuildInfo, PrometheusError> {
        let body = self.get("status/buildinfo").await?;
        Ok(answer::read::<BuildInfo>(&body)?.data)
    }

    fn server_timeout(&self) -> String {
        format!("{}ms", self.settings.timeout.micros() / 1_000)
    }

    async fn post(&self, path: &str, form: &[(&str, String)]) -> Result<Vec<u8>, PrometheusError> {
        self.send(self.http.post(self.endpoint(path)).form(form)).await
    }

    async fn get(&self, path: &str) -> Result<Vec<u8>, PrometheusError> {
        self.send(self.http.get(self.endpoint(path))).await
    }

    fn endpoint(&self, path: &str) -> Url {
        let mut url = self.settings.url.clone();
        let prefix = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{prefix}/api/v1/{path}"));
        url
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Vec<u8>, PrometheusError> {
        let mut response = self.authorised(request).await?.send().await.map_err(|e| self.network_error(e))?;
        let status = response.status().as_u16();
        let limit = usize::try_from(self.settings.body_limit.0).unwrap_or(usize::MAX);
        let mut body = Vec::new();
        while let Some(part) = response.chunk().await.map_err(|e| self.network_error(e))? {
            if body.len() + part.len() > limit {
                return Err(PrometheusError::Limit { message: format!("more than body_limit, {}", self.settings.body_limit) });
            }
            body.extend_from_slice(&part);
        }
        if status == 200 { Ok(body) } else { Err(answer::refusal(status, &body)) }
    }

    async fn authorised(&self, request: reqwest::RequestBuilder) -> Result<reqwest::RequestBuilder, PrometheusError> {
        if let Some(path) = &self.settings.bearer_token_file {
            return Ok(request.bearer_auth(secret(path).await?));
        }
        if let Some(auth) = &self.settings.basic_auth {
            return Ok(request.basic_auth(&auth.username, Some(secret(&auth.password_file).await?)));
        }
        Ok(request)
    }

    fn network_error(&self, error: reqwest::Error) -> PrometheusError {
        if error.is_timeout() {
            PrometheusError::Timeout { message: format!("no answer within {}", self.settings.timeout) }
        } else if error.is_decode() || error.is_body() {
            PrometheusError::Upstream { status: 200, message: format!("the answer broke off: {}", error.without_url()) }
        } else {
            PrometheusError::Unreachable { url: self.address(), source: error.without_url() }
        }
    }
}

async fn secret(path: &Path) -> Result<String, PrometheusError> {
    let text = tokio::fs::read_to_string(path).await.map_err(|e| PrometheusError::Settings {
        what: format!("the credentials file {} cannot be read", path.display()),
        source: e.into(),
    })?;
    Ok(text.trim().to_owned())
}

/// Seconds since the epoch in decimal digits, exact to the millisecond that Prometheus keeps.
fn seconds(t: Timestamp) -> String {
    let millis = t.millis();
    format!("{}.{:03}", millis.div_euclid(1_000), millis.rem_euclid(1_000))
}

/// An address as it may be shown: without user name, password and query.
pub(crate) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    // Both fail only for addresses that can hold no credentials.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.to_string().trim_end_matches('/').to_owned()
}

#[cfg(test)]
mod tests;
