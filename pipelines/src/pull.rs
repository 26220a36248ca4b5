//! Samples from Prometheus: every rule's expression over a range, several at a time, each failing alone.

use std::collections::{BTreeMap, HashMap, HashSet};

use bellwether_model::reject::Reject;
use bellwether_model::series::{Samples, Series};
use bellwether_model::time::Timestamp;
use futures::StreamExt as _;

use crate::prometheus::{Dropped, Prometheus, PrometheusError, RangeAnswer};
use crate::rules::{MetricRule, Place};

/// The source's name in the ledger.
pub const SOURCE: &str = "prometheus";

/// A rule, and from when its samples are wanted.
#[derive(Clone, Debug)]
pub struct Ask<'a> {
    /// The rule.
    pub rule: &'a MetricRule,
    /// First instant wanted.
    pub since: Timestamp,
}

/// A rule that Prometheus did not answer.
#[derive(Debug, thiserror::Error)]
#[error("{place}: rule {rule}")]
pub struct RuleFailure {
    /// Where the rule is written.
    pub place: Place,
    /// Its name.
    pub rule: String,
    /// What went wrong.
    pub source: PrometheusError,
}

/// What a pull gave. A rule that failed is in `failures` and has no sample here; the others are complete.
#[derive(Debug, Default)]
pub struct Pulled {
    /// The samples, by rule and series.
    pub samples: Samples,
    /// What was not taken: one for each rule and reason.
    pub rejects: Vec<Reject>,
    /// Rules without an answer.
    pub failures: Vec<RuleFailure>,
    /// What Prometheus warned of, with the rule's place.
    pub warnings: Vec<String>,
    /// How many samples were refused, over all rules.
    pub dropped: u64,
    /// How often a series was there and had no value, over all rules: a ratio without traffic is 0/0, which is no mistake.
    pub no_value: u64,
}

/// Asks every rule from its `since` to `until`, both included, never beyond `now`, with `concurrency` questions under way at a time. The
/// result is in the order of the rules, whatever came first.
pub async fn pull(client: &Prometheus, asks: &[Ask<'_>], until: Timestamp, now: Timestamp, concurrency: usize) -> Pulled {
    let until = until.min(now);
    // Not a closure in the stream: the compiler could not tell then that the whole may move between threads.
    let mut asked = Vec::with_capacity(asks.len());
    for ask in asks {
        asked.push(async move { (ask, client.query_settled(&ask.rule.expr, ask.since, until, ask.rule.step, ask.rule.window).await) });
    }
    let answers: Vec<(&Ask<'_>, Result<RangeAnswer, PrometheusError>)> =
        futures::stream::iter(asked).buffered(concurrency.max(1)).collect().await;
    let mut pulled = Pulled::default();
    let mut taken = HashSet::new();
    for (ask, answer) in answers {
        match answer {
            Ok(answer) => pulled.take(ask, answer, &mut taken, now),
            Err(source) => pulled.failures.push(RuleFailure { place: ask.rule.place.clone(), rule: ask.rule.name.clone(), source }),
        }
    }
    pulled
}

impl Pulled {
    fn take(&mut self, ask: &Ask<'_>, answer: RangeAnswer, taken: &mut HashSet<i64>, now: Timestamp) {
        let rule = ask.rule;
        self.warnings.extend(answer.warnings.iter().map(|w| format!("{}: rule {}: {w}", rule.place, rule.name)));
        self.no_value += answer.dropped.nan;
        let mut reasons: BTreeMap<&str, u64> = dropped_reasons(&answer.dropped);
        for found in answer.series {
            let series = Series::new(rule.name.clone(), rule.labels.apply(&found.labels));
            if taken.insert(series.series_id.0) {
                self.samples.push(series, &found.ts, &found.values);
            } else {
                *reasons.entry("another series of this metric has the same labels after labels.rename and labels.keep").or_default() +=
                    found.ts.len() as u64;
            }
        }
        for (reason, count) in reasons {
            self.dropped += count;
            // Without count and time: reading the same range again gives the same row.
            let place = format!("{}, rule {}", rule.place, rule.name);
            self.rejects.push(Reject::new(SOURCE, place, reason, &rule.expr, now));
        }
    }
}

fn dropped_reasons(dropped: &Dropped) -> BTreeMap<&'static str, u64> {
    [
        ("infinite", dropped.infinite),
        ("a native histogram has no single value: use histogram_quantile() or histogram_avg()", dropped.histograms),
        ("a second value at the same time, or out of order", dropped.repeated),
    ]
    .into_iter()
    .filter(|(_, count)| *count > 0)
    .collect()
}

/// Samples that are stored, by series id: times ascending, and values.
pub type StoredSamples = HashMap<i64, (Vec<i64>, Vec<f64>)>;

/// Leaves only samples that are new, or whose value changed.
pub fn retain_new(samples: Samples, stored: &StoredSamples) -> Samples {
    if stored.is_empty() {
        return samples;
    }
    let known: Vec<Option<&(Vec<i64>, Vec<f64>)>> = samples.series.iter().map(|s| stored.get(&s.series_id.0)).collect();
    let is_known = |i: usize| {
        known[samples.index[i] as usize].is_some_and(|(ts, values)| {
            ts.binary_search(&samples.ts[i]).is_ok_and(|at| values[at].to_bits() == samples.values[i].to_bits())
        })
    };
    let mut fresh = Samples::default();
    let mut place: Vec<Option<u32>> = vec![None; samples.series.len()];
    for i in (0..samples.len()).filter(|i| !is_known(*i)) {
        let old = samples.index[i] as usize;
        let new = *place[old].get_or_insert_with(|| {
            fresh.series.push(samples.series[old].clone());
            fresh.series.len() as u32 - 1
        });
        fresh.index.push(new);
        fresh.ts.push(samples.ts[i]);
        fresh.values.push(samples.values[i]);
    }
    fresh
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::extract::Form;
    use axum::routing::post;
    use bellwether_model::time::Span;
    use serde_json::json;

    use super::*;
    use crate::prometheus::PrometheusSettings;
    use crate::rules;
    use crate::test_server::serve;

    const RULES: &str = "rules:\n  - {name: good, expr: good, labels: {rename: {svc: service}, keep: [service]}}\n  - {name: bad, expr: bad}\n  - {name: two, expr: two, labels: {keep: []}}\n";

    /// Answers each expression in its own way.
    async fn client() -> Prometheus {
        let answer = |Form(form): Form<HashMap<String, String>>| async move {
            let start: f64 = form["start"].parse().unwrap();
            let (status, body) = match form["query"].as_str() {
                "good" => (
                    200,
                    json!([{"metric": {"__name__": "x", "svc": "iris", "pod": "p"}, "values": [[start, "1"], [start + 60.0, "NaN"], [start + 120.0, "3"], [start + 180.0, "+Inf"]]}]),
                ),
                "two" => (200, json!([{"metric": {"a": "1"}, "values": [[start, "1"]]}, {"metric": {"a": "2"}, "values": [[start, "2"]]}])),
                _ => (400, json!(null)),
            };
            let body = if status == 200 {
                json!({"data": {"resultType": "matrix", "result": body}, "infos": ["PromQL info"]})
            } else {
                json!({"error": "unknown metric, said Prometheus"})
            };
            (axum::http::StatusCode::from_u16(status).unwrap(), axum::Json(body))
        };
        let url = serve(Router::new().route("/api/v1/query_range", post(answer))).await;
        Prometheus::new(PrometheusSettings::at(url)).unwrap()
    }

    #[tokio::test]
    async fn a_rule_that_fails_does_not_stop_the_others() {
        let rules = rules::parse(RULES, "r.yaml").unwrap();
        let since = Timestamp::from_secs(600);
        let asks: Vec<Ask> = rules.iter().map(|rule| Ask { rule, since }).collect();
        let pulled = pull(&client().await, &asks, Timestamp::from_secs(1_200), Timestamp::from_secs(1_200), 4).await;
        let names: Vec<String> = pulled.samples.series.iter().map(ToString::to_string).collect();
        assert_eq!(names, [r#"good{service="iris"}"#, "two"]);
        assert_eq!(
            (pulled.samples.ts.as_slice(), pulled.samples.values.as_slice(), pulled.dropped, pulled.no_value),
            ([600_000_000, 720_000_000, 600_000_000].as_slice(), [1.0, 3.0, 1.0].as_slice(), 2, 1),
            "an infinite value and a series that is there twice are refused; a NaN is no value"
        );
        let [failure] = pulled.failures.as_slice() else { panic!("{:?}", pulled.failures) };
        assert_eq!(failure.to_string(), "r.yaml:3: rule bad");
        assert!(std::error::Error::source(failure).unwrap().to_string().contains("unknown metric, said Prometheus"));
        assert_eq!(pulled.warnings[0], "r.yaml:2: rule good: PromQL info");
        // The same range gives the same rejects: they carry neither count nor time.
        let later: Vec<Ask> = rules.iter().map(|rule| Ask { rule, since: since + Span::from_mins(5) }).collect();
        let again = pull(&client().await, &later, Timestamp::from_secs(1_500), Timestamp::from_secs(1_500), 1).await;
        assert_eq!(
            pulled.rejects.iter().map(|r| &r.reject_id).collect::<Vec<_>>(),
            again.rejects.iter().map(|r| &r.reject_id).collect::<Vec<_>>()
        );
        assert_eq!(pulled.rejects[0].place, "r.yaml:2, rule good");
    }

    #[test]
    fn only_new_and_changed_samples_are_left() {
        let (a, b) = (Series::new("a", Default::default()), Series::new("b", Default::default()));
        let mut samples = Samples::default();
        samples.push(a.clone(), &[1, 2], &[1.0, 2.0]);
        samples.push(b.clone(), &[1, 2], &[1.0, 2.0]);
        let stored = StoredSamples::from([(a.series_id.0, (vec![0, 1, 2], vec![0.0, 1.0, 2.0])), (b.series_id.0, (vec![1], vec![1.5]))]);
        let fresh = retain_new(samples.clone(), &stored);
        assert_eq!((fresh.series, fresh.index, fresh.ts, fresh.values), (vec![b], vec![0, 0], vec![1, 2], vec![1.0, 2.0]));
        assert_eq!(retain_new(samples, &StoredSamples::new()).len(), 4);
    }
}
