//! How fresh the metrics are: which of them, and of what, the ledger has had no sample for longer than their rules allow.
//!
//! Detection judges samples, and where there are none it has nothing to say. That must not read as health, so a metric that fell silent is
//! told by name: a scrape target that is down, a series that was renamed, a query that no longer finds anything.

use std::collections::{BTreeMap, BTreeSet};

use bellwether_model::id::{NodeName, PoolName, SeriesId};
use bellwether_model::inventory::Entity;
use bellwether_model::series::Series;
use bellwether_model::time::{Span, Timestamp};
use bellwether_sql::literal::{instant, text};
use bellwether_sql::{Session, SqlError};
use serde::{Deserialize, Serialize};

use crate::rules::MetricRule;

/// How far back a newest sample is looked for. An endpoint that is silent for longer is taken for gone; a metric is told all the same.
const REACH: Span = Span::from_days(14);

/// A metric without samples for longer than its rules allow, as a whole or of one thing of the fleet.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Silence {
    /// The metric: the name of its rules.
    pub metric: String,
    /// Where the first of its rules is written.
    pub place: String,
    /// What is silent; none when it is the metric as a whole.
    #[serde(serialize_with = "as_text")]
    pub entity: Option<Entity>,
    /// Its newest sample.
    pub since: Since,
    /// The longest pause that the rules allow: the shortest `gap` of the metric's rules, and at least three of their steps.
    pub allowed: Span,
}

/// Since when something is silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Since {
    /// There never was a sample: often nothing that the rule asks for is there.
    Never,
    /// There were samples once, the last of them before this time.
    Before(Timestamp),
    /// The newest sample.
    At(Timestamp),
}

impl std::fmt::Display for Since {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Never => f.write_str("never had a sample"),
            Self::Before(t) => write!(f, "no sample since before {t}"),
            Self::At(t) => write!(f, "no sample since {t}"),
        }
    }
}

impl Silence {
    /// Whether there were samples, and there are none now.
    pub fn fell_silent(&self) -> bool {
        self.since != Since::Never
    }
}

fn as_text<S: serde::Serializer>(entity: &Option<Entity>, to: S) -> Result<S::Ok, S::Error> {
    entity.as_ref().map(ToString::to_string).serialize(to)
}

/// The series of the ledger, each with its newest sample of the last [`REACH`], where it has one.
type Newest = Vec<(Series, Option<Timestamp>)>;

/// The metrics of these rules that have had no sample for longer than the rules allow, and the things of the fleet of which a metric that is
/// heard of others has had none. Ordered by metric; a metric that is silent as a whole is told once. Nodes and pools that the inventory
/// says are gone have nothing to say.
pub async fn silences(session: &Session, rules: &[MetricRule], at: Timestamp) -> Result<Vec<Silence>, SqlError> {
    if rules.is_empty() {
        return Ok(Vec::new());
    }
    Ok(judge(rules, &newest(session, rules, at).await?, &gone(session).await?, at))
}

/// Judges which metrics are silent, given all their series.
fn judge(rules: &[MetricRule], newest: &Newest, gone: &BTreeSet<Entity>, at: Timestamp) -> Vec<Silence> {
    let mut metrics: BTreeMap<&str, (&MetricRule, Span)> = BTreeMap::new();
    for rule in rules {
        let allowed = allowed(rule);
        let known = metrics.entry(&rule.name).or_insert((rule, allowed));
        known.1 = known.1.min(allowed);
    }
    let mut silences = Vec::new();
    for (metric, (rule, allowed)) in metrics {
        let silence = |entity, since| Silence { metric: metric.to_owned(), place: rule.place.to_string(), entity, since, allowed };
        let is_old = |t: Option<Timestamp>| t.is_none_or(|t| at.since(t) > allowed);
        let of_metric = || newest.iter().filter(|(series, _)| series.metric == metric);
        let last = of_metric().filter_map(|(_, t)| *t).max();
        if is_old(last) {
            let since = match (last, of_metric().next()) {
                (Some(t), _) => Since::At(t),
                (None, Some(_)) => Since::Before((at - REACH).floor(Span::from_mins(1))),
                (None, None) => Since::Never,
            };
            silences.push(silence(None, since));
            continue;
        }
        let mut entities: BTreeMap<Entity, Timestamp> = BTreeMap::new();
        for (series, t) in of_metric() {
            if let (Some(entity), Some(t)) = (Entity::of_labels(&series.labels).into_iter().next(), *t) {
                let kept = entities.entry(entity).or_insert(t);
                *kept = t.max(*kept);
            }
        }
        let old = entities.into_iter().filter(|(entity, t)| is_old(Some(*t)) && !gone.contains(entity));
        silences.extend(old.map(|(entity, t)| silence(Some(entity), Since::At(t))));
    }
    silences
}

/// The longest pause that a rule allows.
fn allowed(rule: &MetricRule) -> Span {
    let gap = rule.detect.iter().map(|judged| judged.gap).min().unwrap_or(Span::from_hours(1));
    gap.max(rule.step.times(3))
}

/// The nodes and pools that were there and are no more. Of an endpoint without replicas it is not known whether it was taken away or
/// does not come up, so it is told.
async fn gone(session: &Session) -> Result<BTreeSet<Entity>, SqlError> {
    #[derive(Deserialize)]
    struct Name {
        name: String,
    }
    let nodes: Vec<Name> = session.rows("SELECT node AS name FROM nodes_current WHERE gpus = 0 AND cordoned").await?;
    let pools: Vec<Name> = session.rows("SELECT pool AS name FROM pools_current WHERE gpus = 0 AND uid <> ''").await?;
    let nodes = nodes.into_iter().map(|n| Entity::Node(NodeName::new(n.name)));
    Ok(nodes.chain(pools.into_iter().map(|p| Entity::Pool(PoolName::new(p.name)))).collect())
}

#[derive(Deserialize)]
struct Last {
    series_id: SeriesId,
    ts: Timestamp,
}

/// Looks at what is recent first, and further back only for the series that are not there.
async fn newest(session: &Session, rules: &[MetricRule], at: Timestamp) -> Result<Newest, SqlError> {
    let names: Vec<String> = rules.iter().map(|rule| text(&rule.name)).collect();
    let sql = format!("SELECT series_id, metric, labels FROM series WHERE metric IN ({}) ORDER BY metric, series_id", names.join(", "));
    let series: Vec<Series> = session.rows(&sql).await?;
    let recent = rules.iter().map(allowed).max().unwrap_or(REACH).min(REACH);
    let mut found = last_samples(session, at, recent, "").await?;
    let silent: Vec<String> = series.iter().filter(|s| !found.contains_key(&s.series_id)).map(|s| s.series_id.0.to_string()).collect();
    if !silent.is_empty() && recent < REACH {
        found.extend(last_samples(session, at, REACH, &format!(" AND series_id IN ({})", silent.join(", "))).await?);
    }
    Ok(series.into_iter().map(|s| (found.get(&s.series_id).copied(), s)).map(|(t, s)| (s, t)).collect())
}

async fn last_samples(session: &Session, at: Timestamp, back: Span, only: &str) -> Result<BTreeMap<SeriesId, Timestamp>, SqlError> {
    let sql = format!(
        "SELECT series_id, max(ts) AS ts FROM raw.samples WHERE ts > {} AND ts <= {}{only} GROUP BY series_id",
        instant(at - back),
        instant(at)
    );
    Ok(session.rows::<Last>(&sql).await?.into_iter().map(|last| (last.series_id, last.ts)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules;

    const RULES: &str = "rules:\n  - {name: latency, expr: a, detect: [{method: zscore}, {name: slow, method: bound, above: 1, gap: 10m}]}\n  \
                         - {name: queue, expr: b, step: 2h}\n  - {name: cache, expr: c}\n";
    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn series(metric: &str, service: &str) -> Series {
        let labels = [("namespace", "ml"), ("service", service)].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        Series::new(metric, labels)
    }

    /// What is told, given series with the minutes since their newest sample.
    fn told(newest: &[(&str, &str, Option<i64>)]) -> Vec<String> {
        let newest = newest.iter().map(|(metric, of, mins)| (series(metric, of), mins.map(|m| NOW - Span::from_mins(m)))).collect();
        let gone = BTreeSet::from(["endpoint:ml/gone".parse().unwrap()]);
        let silences = judge(&rules::parse(RULES, "r.yaml").unwrap(), &newest, &gone, NOW);
        silences.iter().map(|s| format!("{} {:?} {}", s.metric, s.entity.as_ref().map(ToString::to_string), s.since)).collect()
    }

    #[test]
    fn a_metric_is_silent_after_its_shortest_gap_and_three_of_its_steps() {
        let heard = [("latency", "iris", Some(9)), ("queue", "iris", Some(359)), ("cache", "iris", Some(60))];
        assert_eq!(told(&heard), Vec::<String>::new());
        let silent = [("latency", "iris", Some(11)), ("queue", "iris", Some(361))];
        assert_eq!(
            told(&silent),
            [
                "cache None never had a sample".to_owned(),
                format!("latency None no sample since {}", NOW - Span::from_mins(11)),
                format!("queue None no sample since {}", NOW - Span::from_mins(361)),
            ]
        );
    }

    #[test]
    fn one_endpoint_of_many_is_told_unless_it_is_long_gone() {
        let fleet = [
            ("latency", "iris", Some(1)),
            ("latency", "rose", Some(30)),
            ("latency", "lily", None),
            ("latency", "gone", Some(30)),
            ("queue", "iris", None),
            ("cache", "iris", Some(1)),
        ];
        assert_eq!(
            told(&fleet),
            [
                format!("latency Some(\"endpoint:ml/rose\") no sample since {}", NOW - Span::from_mins(30)),
                format!("queue None no sample since before {}", NOW - REACH),
            ]
        );
    }
}
