//! The fleet's Prometheus: the HTTP query API as a `tower` service, with Prometheus' own envelope, limits and texts.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::fmt::Write as _;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use bellwether_model::series::Labels;
use bellwether_model::time::{Span, Timestamp};
use http::{Method, Request, Response};
use http_body::Body;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::Service;

use super::Fleet;
use super::metrics::Metric;
use super::promql::{Line, Query, QueryError, evaluate, matches};
use crate::apiserver::request::{decode, pairs};
use crate::apiserver::{ReplyBody, json_reply, reply, whole};

/// The most points one series may have in the answer to a range query.
const MOST_POINTS: i64 = 11_000;

/// The Prometheus of a fleet, for any request body. It never fails as a service. CPU work happens within the call:
/// 4,032 points of 24 series take some tens of milliseconds.
#[derive(Clone)]
pub struct PrometheusService {
    fleet: Fleet,
}

impl PrometheusService {
    pub(crate) fn new(fleet: Fleet) -> Self {
        Self { fleet }
    }
}

impl<B> Service<Request<B>> for PrometheusService
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
        let fleet = self.fleet.clone();
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let mut params = pairs(head.uri.query().unwrap_or_default());
            match body.collect().await {
                Ok(body) => params.extend(pairs(&String::from_utf8_lossy(&body.to_bytes()))),
                Err(e) => return Ok(bad_data(&format!("the body could not be read: {e}"))),
            }
            Ok(answer(&fleet, &head.method, head.uri.path(), &Params(params)))
        })
    }
}

struct Params(Vec<(String, String)>);

impl Params {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, v)| n == name && !v.is_empty()).map(|(_, v)| v.as_str())
    }
    fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(n, _)| n == name).map(|(_, v)| v.as_str())
    }
    /// A time in milliseconds: RFC 3339 or seconds since the epoch.
    fn time(&self, name: &str) -> Result<Option<i64>, String> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let wrong = || format!("invalid parameter {name:?}: cannot parse {text:?} to a valid timestamp");
        match text.parse::<f64>() {
            Ok(secs) if secs.abs() < 1e12 => Ok(Some((secs * 1e3).round() as i64)),
            Ok(_) => Err(wrong()),
            Err(_) => text.parse::<Timestamp>().map(|t| Some(t.millis())).map_err(|_| wrong()),
        }
    }
    /// A duration in milliseconds: `5m` or seconds.
    fn step(&self) -> Result<i64, String> {
        let text = self.get("step").unwrap_or_default();
        let millis = match text.parse::<f64>() {
            Ok(secs) if secs.abs() < 1e9 => (secs * 1e3).round() as i64,
            _ => {
                let wrong = |_| format!("invalid parameter \"step\": cannot parse {text:?} to a valid duration");
                text.parse::<Span>().map_err(wrong)?.micros() / 1_000
            }
        };
        if millis > 0 {
            Ok(millis)
        } else {
            Err("invalid parameter \"step\": zero or negative query resolution step widths are not accepted. Try a positive integer".into())
        }
    }
    fn query(&self) -> Result<Query, String> {
        Query::parse(self.get("query").unwrap_or_default()).map_err(|e| e.to_string())
    }
}

fn answer(fleet: &Fleet, method: &Method, path: &str, params: &Params) -> Response<ReplyBody> {
    if method != Method::GET && method != Method::POST {
        return reply(405, "text/plain", whole("Method Not Allowed"));
    }
    let data = match path {
        "/-/ready" => return reply(200, "text/plain", whole("Prometheus Server is Ready.\n")),
        "/-/healthy" => return reply(200, "text/plain", whole("Prometheus Server is Healthy.\n")),
        "/metrics" => return reply(200, "text/plain; version=0.0.4", whole(fleet.exposition())),
        "/api/v1/query" => instant(fleet, params),
        "/api/v1/query_range" => range(fleet, params),
        "/api/v1/series" => series(fleet, params),
        "/api/v1/labels" => label_sets(fleet, params).map(|sets| {
            let names: BTreeSet<&String> = sets.iter().flat_map(BTreeMap::keys).collect();
            json!(names).to_string()
        }),
        "/api/v1/metadata" => Ok(metadata(params).to_string()),
        "/api/v1/status/buildinfo" => {
            Ok(json!({"version": "3.5.0", "revision": "simulated", "branch": "HEAD", "buildUser": "", "buildDate": "", "goVersion": ""})
                .to_string())
        }
        _ => match path.strip_prefix("/api/v1/label/").and_then(|rest| rest.strip_suffix("/values")) {
            Some(name) => label_sets(fleet, params).map(|sets| {
                let name = decode(name, false);
                let values: BTreeSet<&String> = sets.iter().filter_map(|labels| labels.get(&name)).collect();
                json!(values).to_string()
            }),
            None => return reply(404, "text/plain", whole("404 page not found\n")),
        },
    };
    match data {
        Ok(data) => json_reply(200, format!("{{\"status\":\"success\",\"data\":{data}}}")),
        Err(message) => bad_data(&message),
    }
}

fn bad_data(message: &str) -> Response<ReplyBody> {
    json_reply(400, json!({"status": "error", "errorType": "bad_data", "error": message}).to_string())
}

fn instant(fleet: &Fleet, params: &Params) -> Result<String, String> {
    let time = params.time("time")?.unwrap_or_else(|| fleet.now().millis());
    let query = params.query()?;
    let lines = evaluate(fleet, &query, &[time]);
    Ok(if matches!(query, Query::Raw(..)) { matrix(&lines) } else { vector(&lines) })
}

fn range(fleet: &Fleet, params: &Params) -> Result<String, String> {
    let required =
        |name: &str| params.time(name)?.ok_or_else(|| format!("invalid parameter {name:?}: cannot parse \"\" to a valid timestamp"));
    let (start, end, step) = (required("start")?, required("end")?, params.step()?);
    if end < start {
        return Err("invalid parameter \"end\": end timestamp must not be before start time".into());
    }
    if (end - start) / step > MOST_POINTS {
        return Err("exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)".into());
    }
    let query = params.query()?;
    if matches!(query, Query::Raw(..)) {
        return Err(format!("invalid parameter \"query\": {}", QueryError::RangeVector));
    }
    let times: Vec<i64> = (0..=(end - start) / step).map(|n| start + n * step).collect();
    Ok(matrix(&evaluate(fleet, &query, &times)))
}

/// The label sets, name included, of the series that `match[]` selects; all when it is not given.
fn label_sets(fleet: &Fleet, params: &Params) -> Result<Vec<Labels>, String> {
    let mut selectors = Vec::new();
    for text in params.all("match[]") {
        match Query::parse(text).map_err(|e| e.to_string().replace("\"query\"", "\"match[]\""))? {
            Query::Select(matchers) => selectors.push(matchers),
            _ => return Err(format!("invalid parameter \"match[]\": {text:?} is not a selector")),
        }
    }
    let chosen = fleet.shared.series.iter().filter(|s| selectors.is_empty() || selectors.iter().any(|m| matches(s, m)));
    let mut sets: Vec<Labels> = chosen
        .map(|s| {
            let mut labels = s.labels.clone();
            labels.insert("__name__".into(), s.metric.name().into());
            labels
        })
        .collect();
    sets.sort();
    Ok(sets)
}

fn series(fleet: &Fleet, params: &Params) -> Result<String, String> {
    if params.all("match[]").next().is_none() {
        return Err("no match[] parameter provided".into());
    }
    let mut sets = label_sets(fleet, params)?;
    if let Some(limit) = params.get("limit").and_then(|l| l.parse::<usize>().ok()).filter(|l| *l > 0) {
        sets.truncate(limit);
    }
    Ok(json!(sets).to_string())
}

fn metadata(params: &Params) -> Value {
    let wanted = params.get("metric");
    let metrics = Metric::ALL.into_iter().filter(|m| wanted.is_none_or(|w| w == m.name()));
    let entries = metrics.map(|m| (m.name().to_owned(), json!([{"type": "gauge", "help": m.help(), "unit": ""}])));
    Value::Object(entries.collect())
}

fn vector(lines: &[Line]) -> String {
    let mut out = String::from("{\"resultType\":\"vector\",\"result\":[");
    for (i, (labels, points)) in lines.iter().enumerate() {
        let Some((t, value)) = points.first() else { continue };
        let _ = write!(out, "{}{{\"metric\":{},\"value\":", if i == 0 { "" } else { "," }, json!(labels));
        push_point(&mut out, *t, *value);
        out.push('}');
    }
    out + "]}"
}

fn matrix(lines: &[Line]) -> String {
    let mut out = String::with_capacity(64 + lines.iter().map(|(_, p)| 200 + p.len() * 36).sum::<usize>());
    out += "{\"resultType\":\"matrix\",\"result\":[";
    for (i, (labels, points)) in lines.iter().enumerate() {
        let _ = write!(out, "{}{{\"metric\":{},\"values\":[", if i == 0 { "" } else { "," }, json!(labels));
        for (n, (t, value)) in points.iter().enumerate() {
            if n > 0 {
                out.push(',');
            }
            push_point(&mut out, *t, *value);
        }
        out += "]}";
    }
    out + "]}"
}

/// `[1700000000.5,"0.25"]`
fn push_point(out: &mut String, millis: i64, value: f64) {
    let (secs, rest) = (millis.div_euclid(1_000), millis.rem_euclid(1_000));
    let _ = if rest == 0 { write!(out, "[{secs},\"{value}\"]") } else { write!(out, "[{secs}.{rest:03},\"{value}\"]") };
}
