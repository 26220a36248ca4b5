//! `POST /analyze`: is what this query says now unusual? The same judgement as in rounds, on data that is fetched for the purpose.

use std::sync::Arc;

use axum::extract::State;
use bellwether_detectors::analyze::{Analysis, analyze};
use bellwether_detectors::judging::Judging;
use bellwether_detectors::rule::Rule;
use bellwether_governance::yaml::nearest;
use bellwether_model::id::RuleName;
use bellwether_model::series::{Labels, Series, Window};
use bellwether_model::signal::{Direction, Method};
use bellwether_model::time::Span;
use bellwether_model::unit::Unit;
use bellwether_model::verdict::Verdict;
use bellwether_pipelines::prometheus::RangeAnswer;
use bellwether_pipelines::rules::MetricRule;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Services;
use super::body::Json;
use super::problem::{Kind, Problem, ProblemBody};

/// The span that is looked at when nothing else is asked for.
const LOOKBACK: Span = Span::from_hours(6);
/// The shortest and the longest.
const SPANS: (Span, Span) = (Span::from_mins(1), Span::from_days(90));
/// Points that the span is divided into, where no rule says their distance.
const POINTS: i64 = 480;
/// The least distance of two points.
const LEAST_STEP: Span = Span::from_secs(15);
/// Most series that are told of; the one with the highest score comes first.
const SERIES: usize = 50;

/// A question about a query. One of `prom_query` and `query` must be there.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AnalyzeRequest {
    /// PromQL, or the name of a configured rule.
    #[serde(default)]
    prom_query: Option<String>,
    /// The same under its other name.
    #[serde(default)]
    query: Option<String>,
    /// How far back to look, as `5m` or `1d`; 6h when absent. From 1m to 90d.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    lookback: Option<Span>,
    /// Only series that have these labels.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, String>)]
    labels: Labels,
    /// `zscore`, `ewma`, `seasonal`, `mstl`, `novelty`, `telemetry` or `auto`. When absent, a configured rule with this very query judges as in rounds, and any other query is judged by
    /// z-score.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    method: Option<Method>,
}

/// The judgement of the latest sample of one series. Numbers that cannot be known are null.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Judgement {
    /// Its labels.
    #[schema(value_type = BTreeMap<String, String>)]
    labels: Labels,
    /// Score of the latest sample; from 1.0 on it deviates. 0 when nothing could be judged.
    score: f64,
    /// The method that judged.
    #[schema(value_type = String)]
    method: Method,
    /// The judgement in words.
    hint: String,
    /// `fail` while a signal would be open, `pass`, `inconclusive` or `no_data`.
    #[schema(value_type = String)]
    verdict: Verdict,
    /// Standard deviations between the sample and what was expected.
    z: Option<f64>,
    /// Exponentially weighted mean of the samples before it.
    ewma: Option<f64>,
    /// What was expected.
    expected: Option<f64>,
    /// Lower bound of the band.
    lower: Option<f64>,
    /// Upper bound of the band.
    upper: Option<f64>,
    /// Probability of such a value without a change.
    p_value: Option<f64>,
    /// `up` or `down`.
    #[schema(value_type = Option<String>)]
    direction: Option<Direction>,
}

/// The answer: the judgement of the series with the highest score, and all judgements.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct AnalyzeAnswer {
    /// The series with the highest score.
    #[serde(flatten)]
    worst: Judgement,
    /// The configured rules that judged; empty for a query of no rule.
    #[schema(value_type = Vec<String>)]
    rules: Vec<RuleName>,
    /// How many series the query gave.
    series_total: usize,
    /// Judgements, highest score first, at most 50.
    series: Vec<Judgement>,
    /// What Prometheus warned of.
    warnings: Vec<String>,
}

/// Judges what a PromQL query says now.
#[utoipa::path(
    post, path = "/analyze", tag = "judge",
    request_body = AnalyzeRequest,
    responses((status = 200, body = AnalyzeAnswer), (status = "4XX", body = ProblemBody, content_type = "application/problem+json")),
)]
pub async fn ask(State(services): State<Arc<Services>>, Json(request): Json<AnalyzeRequest>) -> Result<axum::Json<AnalyzeAnswer>, Problem> {
    let question = question(&request, &services.rules)?;
    let Some(prometheus) = &services.prometheus else {
        return Err(Problem::new(Kind::Unavailable, "no Prometheus is configured")
            .hint("set `prometheus: {url: http://HOST:9090}` in the configuration"));
    };
    let now = services.now();
    let answer = prometheus.query_settled(&question.expr, now - question.lookback, now, question.step, question.window()).await?;
    let judged = tokio::task::spawn_blocking(move || judge(&question, answer, &request.labels)).await;
    judged.map(axum::Json).map_err(|e| Problem::of(Kind::Internal, &e))
}

/// What is asked of Prometheus, and how the answer is judged.
#[derive(Debug)]
struct Question {
    expr: String,
    lookback: Span,
    step: Span,
    judged_by: Vec<Rule>,
    /// The configured rule, which says what becomes of labels.
    metric: Option<MetricRule>,
    /// The configured rule with nearly the name that was asked for, where none has it.
    near: Option<String>,
}

impl Question {
    /// The window that each value is computed from.
    fn window(&self) -> Span {
        self.metric.as_ref().map_or(Span::ZERO, |metric| metric.window)
    }
}

fn question(request: &AnalyzeRequest, known: &[MetricRule]) -> Result<Question, Problem> {
    let query = match (&request.prom_query, &request.query) {
        (Some(a), Some(b)) if a != b => {
            return Err(Problem::bad("prom_query and query are two names of one thing, and they differ").at("/query"));
        }
        (Some(query), _) | (None, Some(query)) => query.trim(),
        (None, None) => return Err(Problem::bad("there is no prom_query").at("/prom_query")),
    };
    if query.is_empty() {
        return Err(Problem::bad("the query is empty").at("/prom_query"));
    }
    let metric = known.iter().find(|m| m.expr == query || m.name == query);
    let expr = metric.map_or(query, |m| &m.expr).to_owned();
    let judged_by: Vec<Rule> = metric.filter(|_| request.method.is_none()).map(|m| m.detect.clone()).unwrap_or_default();
    let reach = judged_by.iter().map(|r| r.lookback.min(SPANS.1)).max();
    let lookback = request.lookback.or(reach).unwrap_or(LOOKBACK);
    if !(SPANS.0..=SPANS.1).contains(&lookback) {
        return Err(Problem::bad(format!("a lookback is from {} to {}, not {lookback}", SPANS.0, SPANS.1)).at("/lookback"));
    }
    let step = metric.map_or_else(|| Span::from_secs(lookback.secs() / POINTS).max(LEAST_STEP), |m| m.step);
    let judged_by = if judged_by.is_empty() { vec![ad_hoc(request.method, lookback, step, metric)?] } else { judged_by };
    let near = if metric.is_none() { nearest(query, known.iter().map(|m| m.name.as_str())).map(str::to_owned) } else { None };
    Ok(Question { expr, lookback, step, judged_by, metric: metric.cloned(), near })
}

/// The rule for a query that no configured rule judges: the defaults, with a baseline that fits in the span.
fn ad_hoc(method: Option<Method>, lookback: Span, step: Span, metric: Option<&MetricRule>) -> Result<Rule, Problem> {
    let points = lookback.micros() / step.micros().max(1);
    let judging = Judging {
        method,
        min_samples: Some(u32::try_from((points / 2).clamp(4, 16)).unwrap_or(16)),
        lookback: Some(lookback),
        half_life: (method == Some(Method::Ewma)).then(|| Span::from_mins(30).min(Span::from_micros(lookback.micros() / 4))),
        gap: Some(Span::from_hours(1).max(step.times(4))),
        ..Judging::default()
    };
    let (name, unit) = metric.map_or(("query", Unit::Number), |m| (m.name.as_str(), m.unit));
    judging.rule(&RuleName::new(name), name, unit).map_err(|e| Problem::of(Kind::BadRequest, &e).at("/method"))
}

/// Judges every series that has the wanted labels, by every rule; each series is told of once, by its highest score.
fn judge(question: &Question, answer: RangeAnswer, wanted: &Labels) -> AnalyzeAnswer {
    let mut window = Window::new();
    for found in answer.series {
        let labels = match &question.metric {
            Some(metric) => metric.labels.apply(&found.labels),
            None => found.labels,
        };
        if wanted.iter().all(|(name, value)| labels.get(name) == Some(value)) {
            let name = question
                .metric
                .as_ref()
                .map(|m| m.name.clone())
                .or_else(|| labels.get("__name__").cloned())
                .unwrap_or_else(|| shortened(&question.expr));
            window.push(Series::new(name, labels), &found.ts, &found.values);
        }
    }
    let judgement = |slice, rule| {
        let Analysis { score, method, z, ewma, expected, lower, upper, p_value, direction, verdict, hint } = analyze(rule, slice);
        Judgement { labels: slice.series.labels.clone(), score, method, hint, verdict, z, ewma, expected, lower, upper, p_value, direction }
    };
    let worst_of = |slice| question.judged_by.iter().map(|rule| judgement(slice, rule)).max_by(|a, b| a.score.total_cmp(&b.score));
    let mut series: Vec<Judgement> = window.iter().filter_map(worst_of).collect();
    series.sort_by(|a, b| b.score.total_cmp(&a.score));
    let series_total = series.len();
    series.truncate(SERIES);
    let worst = series.first().cloned().unwrap_or_else(|| nothing(question, wanted));
    let rules = if question.metric.is_some() { question.judged_by.iter().map(|r| r.name.clone()).collect() } else { Vec::new() };
    AnalyzeAnswer { worst, rules, series_total, series, warnings: answer.warnings.into_iter().collect() }
}

/// The judgement of no series at all.
fn nothing(question: &Question, wanted: &Labels) -> Judgement {
    let whose = if wanted.is_empty() { "" } else { " with these labels" };
    let near = question.near.as_ref().map(|name| format!("; did you mean the rule {name}?")).unwrap_or_default();
    Judgement {
        labels: wanted.clone(),
        score: 0.0,
        method: question.judged_by.first().map_or(Method::Zscore, Rule::method_name),
        hint: format!("the query gave no series{whose} in the last {}{near}", question.lookback),
        verdict: Verdict::NoData,
        z: None,
        ewma: None,
        expected: None,
        lower: None,
        upper: None,
        p_value: None,
        direction: None,
    }
}

fn shortened(expr: &str) -> String {
    let short: String = expr.chars().take(60).collect();
    if short.len() < expr.len() { format!("{short}…") } else { short }
}
