//! The part of PromQL that the fleet answers: selectors, `avg_over_time` and `max_over_time` (and their kin) of a
//! selector, and `sum`, `avg`, `max`, `min`, `count` of those, by or without labels.

use std::collections::BTreeMap;
use std::sync::Arc;

use bellwether_model::series::Labels;
use bellwether_model::time::{Span, Timestamp};
use promql_parser::label::{METRIC_NAME, Matchers};
use promql_parser::parser::{AggregateExpr, Call, Expr, LabelModifier, VectorSelector, token};

use super::metrics::FleetSeries;
use super::moment::Moment;
use super::{Fleet, State};

/// How far back an instant looks for the newest sample.
const LOOKBACK_MINUTES: i64 = 5;

/// Why an expression is refused; texts as Prometheus words them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum QueryError {
    #[error("invalid parameter \"query\": parse error: {0}")]
    Parse(String),
    #[error("invalid parameter \"query\": {0} is not supported by the simulated fleet")]
    Unsupported(String),
    #[error("invalid expression type \"range vector\" for range query, must be Scalar or instant Vector")]
    RangeVector,
}

/// An expression that can be evaluated.
#[derive(Clone, Debug)]
pub(crate) enum Query {
    Select(Matchers),
    OverTime(Over, Matchers, Span),
    Aggregate(Fold, Grouping, Box<Query>),
    /// Raw samples; at an instant only.
    Raw(Matchers, Span),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Over {
    Avg,
    Max,
    Min,
    Sum,
    Count,
    Last,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fold {
    Avg,
    Max,
    Min,
    Sum,
    Count,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Grouping {
    By(Vec<String>),
    Without(Vec<String>),
}

/// One series of a result: its labels (with `__name__` where the expression keeps it), and times in milliseconds with values.
pub(crate) type Line = (Labels, Vec<(i64, f64)>);

impl Query {
    pub(crate) fn parse(text: &str) -> Result<Self, QueryError> {
        Self::of(&promql_parser::parser::parse(text).map_err(QueryError::Parse)?)
    }

    fn of(expr: &Expr) -> Result<Self, QueryError> {
        let unsupported = |what: String| Err(QueryError::Unsupported(what));
        match expr {
            Expr::Paren(inner) => Self::of(&inner.expr),
            Expr::VectorSelector(selector) => Ok(Self::Select(plain(selector)?)),
            Expr::MatrixSelector(m) => Ok(Self::Raw(plain(&m.vs)?, Span::from_micros(m.range.as_micros() as i64))),
            Expr::Call(call) => Self::of_call(call),
            Expr::Aggregate(aggregate) => Self::of_aggregate(aggregate),
            other => unsupported(format!("expression {other}")),
        }
    }

    fn of_call(call: &Call) -> Result<Self, QueryError> {
        let over = match call.func.name {
            "avg_over_time" => Over::Avg,
            "max_over_time" => Over::Max,
            "min_over_time" => Over::Min,
            "sum_over_time" => Over::Sum,
            "count_over_time" => Over::Count,
            "last_over_time" => Over::Last,
            other => return Err(QueryError::Unsupported(format!("function {other}"))),
        };
        match call.args.args.first().map(|arg| Self::of(arg)) {
            Some(Ok(Self::Raw(matchers, range))) => Ok(Self::OverTime(over, matchers, range)),
            Some(Err(e)) => Err(e),
            _ => Err(QueryError::Unsupported(format!("{} of anything but a range of a selector", call.func.name))),
        }
    }

    fn of_aggregate(aggregate: &AggregateExpr) -> Result<Self, QueryError> {
        let fold = match aggregate.op.id() {
            token::T_AVG => Fold::Avg,
            token::T_MAX => Fold::Max,
            token::T_MIN => Fold::Min,
            token::T_SUM => Fold::Sum,
            token::T_COUNT => Fold::Count,
            _ => return Err(QueryError::Unsupported(format!("aggregation {}", aggregate.op))),
        };
        let grouping = match &aggregate.modifier {
            None => Grouping::By(Vec::new()),
            Some(LabelModifier::Include(labels)) => Grouping::By(labels.labels.clone()),
            Some(LabelModifier::Exclude(labels)) => Grouping::Without(labels.labels.clone()),
        };
        match Self::of(&aggregate.expr)? {
            Self::Raw(..) => Err(QueryError::Parse("expected type instant vector in aggregation expression, got range vector".into())),
            inner => Ok(Self::Aggregate(fold, grouping, Box::new(inner))),
        }
    }
}

/// The matchers of a selector without offset and `@`.
fn plain(selector: &VectorSelector) -> Result<Matchers, QueryError> {
    if selector.offset.is_some() || selector.at.is_some() {
        return Err(QueryError::Unsupported("offset and @".into()));
    }
    if !selector.matchers.or_matchers.is_empty() {
        return Err(QueryError::Unsupported("\"or\" between matchers".into()));
    }
    let mut matchers = selector.matchers.clone();
    if let Some(name) = &selector.name {
        matchers.matchers.push(promql_parser::label::Matcher::new(promql_parser::label::MatchOp::Equal, METRIC_NAME, name));
    }
    Ok(matchers)
}

/// Whether the matchers let a series through. A label that is not there counts as empty.
pub(crate) fn matches(series: &FleetSeries, matchers: &Matchers) -> bool {
    matchers.matchers.iter().all(|m| {
        let value = if m.name == METRIC_NAME { Some(series.metric.name()) } else { series.labels.get(&m.name).map(String::as_str) };
        m.is_match(value.unwrap_or_default())
    })
}

/// Evaluates at each of these times (milliseconds, ascending). Series are sorted by labels; those without any value are left out.
pub(crate) fn evaluate(fleet: &Fleet, query: &Query, times: &[i64]) -> Vec<Line> {
    let state = fleet.read();
    let mut lines = run(&Samples { fleet, state: &state }, query, times);
    lines.retain(|(_, points)| !points.is_empty());
    lines.sort_by(|a, b| a.0.cmp(&b.0));
    lines
}

struct Samples<'a> {
    fleet: &'a Fleet,
    state: &'a State,
}

impl Samples<'_> {
    /// The minutes that may hold a sample in `(from, to]`, in milliseconds; none after now.
    fn minutes(&self, from: i64, to: i64) -> std::ops::RangeInclusive<i64> {
        let first = (from.div_euclid(60_000) + 1).max(self.fleet.spec().start.millis().div_euclid(60_000));
        let last = to.min(self.state.now.millis()).div_euclid(60_000);
        first..=last
    }
    fn moment(&self, minute: i64) -> Arc<Moment> {
        self.fleet.moment(self.state, minute)
    }
    fn value(&self, series: &FleetSeries, minute: i64, moment: &Moment) -> Option<f64> {
        series.value(&self.fleet.shared.cast, &self.fleet.shared.script, minute, moment)
    }
    fn selected(&self, matchers: &Matchers) -> Vec<&FleetSeries> {
        self.fleet.shared.series.iter().filter(|s| matches(s, matchers)).collect()
    }
}

fn named(series: &FleetSeries) -> Labels {
    let mut labels = series.labels.clone();
    labels.insert(METRIC_NAME.to_owned(), series.metric.name().to_owned());
    labels
}

fn run(samples: &Samples<'_>, query: &Query, times: &[i64]) -> Vec<Line> {
    match query {
        Query::Select(matchers) => {
            let series = samples.selected(matchers);
            let mut lines: Vec<Line> = series.iter().map(|s| (named(s), Vec::with_capacity(times.len()))).collect();
            // After now there is nothing, not even what the lookback would still find.
            for &t in times.iter().filter(|t| **t <= samples.state.now.millis()) {
                let minutes = samples.minutes(t - LOOKBACK_MINUTES * 60_000, t);
                let Some(newest) = (!minutes.is_empty()).then(|| samples.moment(*minutes.end())) else { continue };
                for (series, (_, points)) in series.iter().zip(&mut lines) {
                    let found = samples.value(series, *minutes.end(), &newest).or_else(|| {
                        let earlier = (*minutes.start()..*minutes.end()).rev();
                        earlier.filter_map(|m| samples.value(series, m, &samples.moment(m))).next()
                    });
                    points.extend(found.map(|v| (t, v)));
                }
            }
            lines
        }
        Query::OverTime(over, matchers, range) => {
            let series = samples.selected(matchers);
            let mut lines: Vec<Line> = series.iter().map(|s| (s.labels.clone(), Vec::with_capacity(times.len()))).collect();
            for &t in times.iter().filter(|t| **t <= samples.state.now.millis()) {
                let moments: Vec<_> = samples.minutes(t - range.micros() / 1_000, t).map(|m| (m, samples.moment(m))).collect();
                for (series, (_, points)) in series.iter().zip(&mut lines) {
                    let values = moments.iter().filter_map(|(m, moment)| samples.value(series, *m, moment));
                    points.extend(over.of(values).map(|v| (t, v)));
                }
            }
            lines
        }
        Query::Aggregate(fold, grouping, inner) => {
            let mut groups: BTreeMap<Labels, BTreeMap<i64, (f64, f64)>> = BTreeMap::new();
            for (labels, points) in run(samples, inner, times) {
                let group = groups.entry(grouping.of(labels)).or_default();
                for (t, value) in points {
                    group.entry(t).and_modify(|sum| *sum = (fold.join(sum.0, value), sum.1 + 1.0)).or_insert((value, 1.0));
                }
            }
            let finish = |(joined, n): (f64, f64)| match fold {
                Fold::Avg => joined / n,
                Fold::Count => n,
                _ => joined,
            };
            groups.into_iter().map(|(labels, points)| (labels, points.into_iter().map(|(t, sum)| (t, finish(sum))).collect())).collect()
        }
        Query::Raw(matchers, range) => {
            let series = samples.selected(matchers);
            let mut lines: Vec<Line> = series.iter().map(|s| (named(s), Vec::new())).collect();
            for &t in times {
                for minute in samples.minutes(t - range.micros() / 1_000, t) {
                    let moment = samples.moment(minute);
                    for (series, (_, points)) in series.iter().zip(&mut lines) {
                        points.extend(samples.value(series, minute, &moment).map(|v| (minute * 60_000, v)));
                    }
                }
            }
            lines
        }
    }
}

impl Over {
    fn of(self, values: impl Iterator<Item = f64>) -> Option<f64> {
        let (mut n, mut sum, mut max, mut min, mut last) = (0.0, 0.0, f64::NEG_INFINITY, f64::INFINITY, 0.0);
        for v in values {
            n += 1.0;
            sum += v;
            max = v.max(max);
            min = v.min(min);
            last = v;
        }
        (n > 0.0).then_some(match self {
            Self::Avg => sum / n,
            Self::Max => max,
            Self::Min => min,
            Self::Sum => sum,
            Self::Count => n,
            Self::Last => last,
        })
    }
}

impl Fold {
    fn join(self, a: f64, b: f64) -> f64 {
        match self {
            Self::Avg | Self::Sum => a + b,
            Self::Max => a.max(b),
            Self::Min => a.min(b),
            Self::Count => a,
        }
    }
}

impl Grouping {
    fn of(&self, mut labels: Labels) -> Labels {
        match self {
            Self::By(kept) => labels.retain(|name, _| kept.contains(name)),
            Self::Without(dropped) => labels.retain(|name, _| name != METRIC_NAME && !dropped.contains(name)),
        }
        labels
    }
}

/// The sample of every series that a scrape at this instant sees.
pub(crate) fn scrape(fleet: &Fleet, at: Timestamp) -> Vec<(usize, f64)> {
    let state = fleet.read();
    let samples = Samples { fleet, state: &state };
    let minute = at.millis().div_euclid(60_000);
    if at > state.now || at < fleet.spec().start {
        return Vec::new();
    }
    let moment = samples.moment(minute);
    fleet.shared.series.iter().enumerate().filter_map(|(i, s)| samples.value(s, minute, &moment).map(|v| (i, v))).collect()
}
