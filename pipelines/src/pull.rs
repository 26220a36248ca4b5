//! Samples from Prometheus: every rule's expression over a range, several at a time, each failing alone.

use std::collections::{BTreeMap, BTreeSet, HashSet};

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
    /// What was not taken: one for each rule, day and reason.
    pub rejects: Vec<Reject>,
    /// Rules without an answer.
    pub failures: Vec<RuleFailure>,
    /// What Prometheus warned of, with the rule's place.
    pub warnings: Vec<String>,
    /// How many samples were left out, over all rules.
    pub dropped: u64,
}

/// Asks every rule from its `since` to `until`, both included, never beyond `now`, with `concurrency` questions under way at a time. The
/// result is in the order of the rules, whatever came first.
pub async fn pull(client: &Prometheus, asks: &[Ask<'_>], until: Timestamp, now: Timestamp, concurrency: usize) -> Pulled {
    let until = until.min(now);
    let answers: Vec<(&Ask<'_>, Result<RangeAnswer, PrometheusError>)> = futures::stream::iter(asks)
        .map(|ask| async move { (ask, client.query_range(&ask.rule.expr, ask.since, until, ask.rule.step).await) })
        .buffered(concurrency.max(1))
        .collect()
        .await;
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
        let mut reasons: BTreeMap<&str, u64> = dropped_reasons(&answer.dropped);
        for found in answer.series {
            let series = Series::new(rule.name.clone(), rule.labels.apply(&found.labels));
            if taken.insert(series.series_id.0) {
                self.samples.push(series, &found.ts, &found.values);
            } else {
                *reasons.entry("another series of this metric has the same labels after labels.rename and labels.keep").or_default() += found.ts.len() as u64;
            }
        }
        for (reason, count) in reasons {
            self.dropped += count;
            // One row for each rule, day and reason, without the count: reading the same range again gives the same row.
            let place = format!("{} ({}), {}", rule.place, rule.name, ask.since.floor(bellwether_model::time::Span::from_days(1)));
            self.rejects.push(Reject::new(SOURCE, place, reason, &rule.expr, now));
        }
    }
}

fn dropped_reasons(dropped: &Dropped) -> BTreeMap<&'static str, u64> {
    [
        ("not a number: a ratio without traffic is 0/0", dropped.nan),
        ("infinite", dropped.infinite),
        ("a native histogram has no single value: use histogram_quantile() or histogram_avg()", dropped.histograms),
        ("a second value at the same time, or out of order", dropped.repeated),
    ]
    .into_iter()
    .filter(|(_, count)| *count > 0)
    .collect()
}

/// Leaves only samples that are new or changed. `stored` gives the value that the ledger has for a series and time.
pub fn retain_new(samples: Samples, stored: &BTreeMap<(i64, i64), f64>) -> Samples {
    let mut fresh = Samples::default();
    let mut used: BTreeMap<u32, u32> = BTreeMap::new();
    let keep: Vec<usize> = (0..samples.len())
        .filter(|i| {
            let id = samples.series[samples.index[*i] as usize].series_id.0;
            stored.get(&(id, samples.ts[*i])).is_none_or(|value| value.to_bits() != samples.values[*i].to_bits())
        })
        .collect();
    for i in keep {
        let old = samples.index[i];
        let new = *used.entry(old).or_insert_with(|| {
            fresh.series.push(samples.series[old as usize].clone());
            (fresh.series.len() - 1) as u32
        });
        fresh.index.push(new);
        fresh.ts.push(samples.ts[i]);
        fresh.values.push(samples.values[i]);
    }
    fresh
}

/// The names of the metrics that these rules store, each once.
pub fn metrics(rules: &[MetricRule]) -> BTreeSet<&str> {
    rules.iter().map(|r| r.name.as_str()).collect()
}
