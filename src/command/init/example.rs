//! The rules that `init` writes for metrics that no pack knows: a histogram as a quantile, a counter as a rate, a gauge as it is, each with a
//! name that the Prometheus really has.

use std::collections::BTreeSet;

use bellwether_model::series::Labels;
use bellwether_model::time::{Span, Timestamp};
use bellwether_pipelines::prometheus::Prometheus;
use bellwether_pipelines::rules::packs::{self, Pack};

/// Metrics of each kind that are tried at most.
const TRIED: usize = 8;
/// A rule that gives more series than this is no good example.
const MOST_SERIES: usize = 1_000;
/// Metrics that programs export of themselves whatever they do: taken only where there is nothing else.
const OF_ITSELF: [&str; 9] = ["go_", "process_", "promhttp_", "prometheus_", "net_conntrack_", "scrape_", "python_", "jvm_", "ALERTS"];

/// An example of rules.
#[derive(Debug, PartialEq)]
pub struct Example {
    /// The file's text.
    pub text: String,
    /// Names of its rules.
    pub rules: Vec<String>,
    /// Whether they are about more than the programs' own workings.
    pub tells: bool,
}

/// What a metric is, by the ending of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Histogram,
    Counter,
    Gauge,
}

/// One rule of an example.
#[derive(Debug, PartialEq)]
struct Draft {
    name: String,
    expr: String,
    unit: &'static str,
    shape: Shape,
    tells: bool,
}

/// An example from the metrics that a Prometheus has; none when it has nothing that can be judged.
pub async fn example(client: &Prometheus, metrics: &[String], now: Timestamp) -> Option<Example> {
    let mut drafts = Vec::new();
    for shape in [Shape::Histogram, Shape::Counter, Shape::Gauge] {
        let candidates = candidates(metrics, shape);
        let (mut first, mut chosen) = (None, None);
        for metric in candidates.iter().take(TRIED) {
            let labels = client.series(metric, now - Span::from_hours(1), now).await.unwrap_or_default();
            let draft = draft(metric, shape, &labels);
            let answer = client.query(&draft.expr, now).await.unwrap_or_default();
            if answer.iter().any(|s| s.value.is_finite()) && answer.len() <= MOST_SERIES {
                chosen = Some(draft);
                break;
            }
            first.get_or_insert(draft);
        }
        // Where nothing answers now, a name that is there is still the better example.
        drafts.extend(chosen.or(first));
    }
    (!drafts.is_empty()).then(|| Example {
        text: text(&drafts),
        tells: drafts.iter().any(|d| d.tells),
        rules: drafts.into_iter().map(|d| d.name).collect(),
    })
}

/// The metrics of a shape, those of an application first.
fn candidates(metrics: &[String], shape: Shape) -> Vec<&str> {
    let known: BTreeSet<&str> = metrics.iter().map(String::as_str).collect();
    // Histograms and summaries, with all their parts.
    let of_histogram = |name: &str| {
        known.contains(format!("{name}_count").as_str())
            || ["_bucket", "_count", "_sum"]
                .iter()
                .any(|end| name.strip_suffix(end).is_some_and(|stem| known.contains(format!("{stem}_count").as_str())))
    };
    let has_shape = |name: &str| match shape {
        Shape::Histogram => name.strip_suffix("_bucket").is_some_and(|stem| known.contains(format!("{stem}_count").as_str())),
        Shape::Counter => name.ends_with("_total"),
        Shape::Gauge => {
            !of_histogram(name)
                && !["_total", "_created", "_info", "_bucket", "_timestamp_seconds"].iter().any(|end| name.ends_with(end))
                && name != "up"
        }
    };
    let mut found: Vec<&str> = metrics.iter().map(String::as_str).filter(|name| has_shape(name)).collect();
    found.sort_by_key(|name| (is_of_itself(name), *name));
    found
}

fn is_of_itself(metric: &str) -> bool {
    OF_ITSELF.iter().any(|prefix| metric.starts_with(prefix))
}

fn draft(metric: &str, shape: Shape, series: &[Labels]) -> Draft {
    let by = by(series);
    let (stem, expr) = match shape {
        Shape::Histogram => {
            let labels = ["le"].into_iter().chain(by.iter().copied()).collect::<Vec<_>>().join(", ");
            let stem = metric.trim_end_matches("_bucket").trim_end_matches("_seconds");
            (format!("{stem}_p95"), format!("histogram_quantile(0.95, sum by ({labels}) (rate({metric}[5m])))"))
        }
        Shape::Counter => {
            (format!("{}_rate", metric.trim_end_matches("_total")), format!("sum by ({}) (rate({metric}[5m]))", by.join(", ")))
        }
        Shape::Gauge => (format!("{metric}_max"), format!("max by ({}) ({metric})", by.join(", "))),
    };
    let name = stem.replace(':', "_");
    let taken = packs::NAMES.into_iter().filter_map(packs::named).any(|pack: Pack| pack.rules.iter().any(|rule| rule.name == name));
    let unit = match shape {
        Shape::Counter => "per_second",
        _ if metric.contains("_seconds") => "seconds",
        _ if metric.contains("_bytes") => "bytes",
        _ if metric.ends_with("_ratio") => "ratio",
        _ => "number",
    };
    Draft { name: if taken { format!("own_{name}") } else { name }, expr, unit, shape, tells: !is_of_itself(metric) }
}

/// The labels that name what a series is about, of those that all series have.
fn by(series: &[Labels]) -> Vec<&'static str> {
    let all_have = |label: &&str| !series.is_empty() && series.iter().all(|labels| labels.contains_key(*label));
    let endpoint: Vec<_> = ["namespace", "service"].into_iter().filter(all_have).collect();
    if endpoint.len() == 2 { endpoint } else { ["service", "job"].into_iter().filter(all_have).take(1).collect() }
}

fn text(drafts: &[Draft]) -> String {
    let mut text = String::from(
        "# Rules of your own, made from metrics that this Prometheus has. A rule says what is asked, under which name it is kept, and\n\
         # how it is judged; docs/rules.md describes every field. Change what is watched and how far it may move to what matters to you:\n\
         # `bellwether detect --last 7d` shows what the rules find without recording it.\nrules:\n",
    );
    for draft in drafts {
        let (what, judged) = match draft.shape {
            Shape::Histogram => (
                "A histogram as a quantile: 95 of 100 are at most this. Half as much again is told.",
                "{method: zscore, watch: up, min_ratio: 50%, severity: info}",
            ),
            Shape::Counter => (
                "A counter as a rate: how many a second. Half more or less than usual at this time of day is told.",
                "{method: zscore, season: 1d, min_ratio: 50%, severity: info}",
            ),
            Shape::Gauge => (
                "A gauge as it is, the highest of each. A level that moves away is told.",
                "{method: ewma, min_ratio: 50%, severity: info}",
            ),
        };
        text.push_str(&format!(
            "  # {what}\n  - name: {}\n    expr: {}\n    unit: {}\n    detect: [{judged}]\n",
            draft.name, draft.expr, draft.unit
        ));
    }
    text.push_str(
        "  # Where you know the number that matters, say it: a bound needs no history.\n\
         #  - {name: errors_slo, expr: 'sum(rate(errors_total[5m]))', unit: per_second, detect: [{method: bound, above: 1}]}\n",
    );
    text
}

#[cfg(test)]
mod tests {
    use bellwether_model::unit::Unit;
    use bellwether_pipelines::rules;

    use super::*;

    fn names(metrics: &[&str]) -> Vec<String> {
        metrics.iter().map(|m| (*m).to_owned()).collect()
    }

    #[test]
    fn an_application_is_told_of_before_its_runtime() {
        let metrics = names(&[
            "go_goroutines",
            "go_gc_duration_seconds",
            "go_gc_duration_seconds_count",
            "app_seconds_bucket",
            "app_seconds_count",
            "app_seconds_sum",
            "orders_total",
            "queue_depth",
            "process_cpu_seconds_total",
            "build_info",
            "up",
        ]);
        assert_eq!(candidates(&metrics, Shape::Histogram), ["app_seconds_bucket"]);
        assert_eq!(candidates(&metrics, Shape::Counter), ["orders_total", "process_cpu_seconds_total"]);
        assert_eq!(candidates(&metrics, Shape::Gauge), ["queue_depth", "go_goroutines"]);
    }

    #[test]
    fn series_are_kept_apart_by_what_they_are_about() {
        let labels = |names: &[&str]| names.iter().map(|n| ((*n).to_owned(), "x".to_owned())).collect::<Labels>();
        assert_eq!(by(&[labels(&["job", "service", "namespace"]), labels(&["service", "namespace"])]), ["namespace", "service"]);
        assert_eq!(by(&[labels(&["job", "service"]), labels(&["job"])]), ["job"]);
        assert_eq!(by(&[labels(&["instance"])]), Vec::<&str>::new());
        assert_eq!(by(&[]), Vec::<&str>::new());
    }

    #[test]
    fn what_is_written_is_a_file_of_rules() {
        let drafts = [
            draft("http_request_duration_seconds_bucket", Shape::Histogram, &[]),
            draft("job:orders_total", Shape::Counter, &[]),
            draft("go_memory_bytes", Shape::Gauge, &[]),
            draft("request_total", Shape::Counter, &[]),
        ];
        let read = rules::parse(&text(&drafts), "example.yaml").unwrap_or_else(|e| panic!("{e}"));
        rules::detection(&read).unwrap_or_else(|e| panic!("{e}"));
        let shown: Vec<_> = read.iter().map(|r| (r.name.as_str(), r.unit)).collect();
        assert_eq!(
            shown,
            [
                ("http_request_duration_p95", Unit::Seconds),
                ("job_orders_rate", Unit::PerSecond),
                ("go_memory_bytes_max", Unit::Bytes),
                ("own_request_rate", Unit::PerSecond),
            ],
            "a name that a pack has is not taken twice"
        );
        assert_eq!(drafts.iter().map(|d| d.tells).collect::<Vec<_>>(), [true, true, false, true]);
        // The line that is not in force is right when it is.
        assert_eq!(rules::parse(&text(&drafts).replace("\n#  -", "\n  -"), "example.yaml").unwrap().len(), 5);
    }
}
