//! The OpenLineage events of the fleet's data pipelines.
//!
//! For each domain an hourly job collects raw events, and another makes features of them; for each model a job builds its
//! training set every six hours, and a nightly one trains it. The model is the dataset that the endpoint's storage URI
//! names. Outputs of the hourly jobs carry `dataQualityMetrics` with quantiles of every column.

use bellwether_model::time::{Span, TimeRange, Timestamp};
use rand::Rng;
use rand::seq::SliceRandom;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::cast::{Cast, DOMAINS};
use super::noise::Noise;
use super::script::{Drift, Script};

const PRODUCER: &str = "https://github.com/OpenLineage/OpenLineage/tree/1.38.0/integration/airflow";
const SCHEMA: &str = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent";

/// Quantiles that every profile has, with the standard normal's value at each.
const QUANTILES: [(&str, f64); 9] = [
    ("0.01", -2.326_348),
    ("0.05", -1.644_854),
    ("0.1", -1.281_552),
    ("0.25", -0.674_490),
    ("0.5", 0.0),
    ("0.75", 0.674_490),
    ("0.9", 1.281_552),
    ("0.95", 1.644_854),
    ("0.99", 2.326_348),
];

/// How a column is distributed.
#[derive(Clone, Copy, Debug)]
enum Shape {
    /// Mean and standard deviation.
    Normal(f64, f64),
    /// Median, and standard deviation of the logarithm.
    LogNormal(f64, f64),
}

/// A raw column, and the feature that is made of it.
struct Column {
    raw: &'static str,
    feature: &'static str,
    shape: Shape,
}

const fn column(raw: &'static str, feature: &'static str, shape: Shape) -> Column {
    Column { raw, feature, shape }
}

/// The columns of each domain, in order of [`DOMAINS`].
static COLUMNS: [[Column; 5]; 6] = [
    [
        column("price", "price_log", Shape::LogNormal(24.0, 0.9)),
        column("stock", "stock_days", Shape::LogNormal(140.0, 0.7)),
        column("rating", "rating_mean", Shape::Normal(4.1, 0.35)),
        column("image_width", "image_ratio", Shape::LogNormal(1_180.0, 0.25)),
        column("title_length", "title_tokens", Shape::Normal(62.0, 14.0)),
    ],
    [
        column("dwell_seconds", "dwell_30m", Shape::LogNormal(19.0, 0.8)),
        column("position", "position_mean", Shape::LogNormal(6.0, 0.6)),
        column("session_length", "session_events", Shape::LogNormal(11.0, 0.7)),
        column("scroll_depth", "scroll_mean", Shape::Normal(0.54, 0.16)),
        column("bid", "bid_p50", Shape::LogNormal(0.42, 0.5)),
    ],
    [
        column("amount", "amount_log", Shape::LogNormal(37.0, 1.1)),
        column("seconds_since_last", "velocity_1h", Shape::LogNormal(5_400.0, 1.2)),
        column("distance_km", "distance_log", Shape::LogNormal(8.0, 1.3)),
        column("account_age_days", "account_age", Shape::LogNormal(610.0, 0.9)),
        column("merchant_risk", "merchant_risk_7d", Shape::Normal(0.31, 0.09)),
    ],
    [
        column("message_length", "prompt_tokens", Shape::LogNormal(210.0, 0.8)),
        column("reply_seconds", "reply_p50", Shape::LogNormal(95.0, 0.9)),
        column("sentiment", "sentiment_mean", Shape::Normal(0.12, 0.33)),
        column("turns", "turns_mean", Shape::LogNormal(4.0, 0.5)),
        column("priority_score", "priority_score", Shape::Normal(48.0, 11.0)),
    ],
    [
        column("weight_kg", "weight_log", Shape::LogNormal(2.1, 0.8)),
        column("volume_l", "volume_log", Shape::LogNormal(9.0, 0.7)),
        column("transit_hours", "transit_p50", Shape::LogNormal(31.0, 0.4)),
        column("scan_brightness", "brightness", Shape::Normal(128.0, 22.0)),
        column("belt_speed", "belt_speed", Shape::Normal(1.6, 0.2)),
    ],
    [
        column("duration_seconds", "duration_log", Shape::LogNormal(74.0, 1.0)),
        column("loudness_db", "loudness", Shape::Normal(-18.0, 4.0)),
        column("frame_rate", "frame_rate", Shape::Normal(29.0, 3.0)),
        column("caption_length", "caption_tokens", Shape::LogNormal(34.0, 0.6)),
        column("share_count", "shares_1h", Shape::LogNormal(3.0, 1.1)),
    ],
];

/// One or two columns of a domain.
pub(crate) fn drift_columns(domain: usize, rng: &mut impl Rng) -> Vec<usize> {
    let mut all: Vec<usize> = (0..COLUMNS[domain].len()).collect();
    all.shuffle(rng);
    all.truncate(1 + domain % 2);
    all.sort_unstable();
    all
}

/// One run of one job.
struct Job {
    name: String,
    started: Timestamp,
    took: Span,
    inputs: Vec<Value>,
    outputs: Vec<Value>,
}

/// Every event of a range of time, in order of time.
pub(crate) fn events(seed: u64, cast: &Cast, script: &Script, range: TimeRange) -> Vec<Value> {
    let noise = Noise::new(seed, "lineage");
    let hour = Span::from_hours(1);
    let mut found: Vec<(Timestamp, Value)> = Vec::new();
    // A run that began before the range may end in it.
    let mut at = range.start.floor(hour) - hour;
    while at < range.end {
        for job in jobs_of_hour(noise, cast, script, at) {
            let end = job.started + job.took;
            for (when, kind) in [(job.started, "START"), (end, "COMPLETE")] {
                if range.contains(when) {
                    found.push((when, event(&job, when, kind)));
                }
            }
        }
        at = at + hour;
    }
    found.sort_by_key(|(when, _)| *when);
    found.into_iter().map(|(_, event)| event).collect()
}

fn event(job: &Job, when: Timestamp, kind: &str) -> Value {
    let run = Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("{}@{}", job.name, job.started).as_bytes());
    let facet = |schema: &str| (PRODUCER, format!("https://openlineage.io/spec/facets/{schema}.json"));
    let (producer, nominal) = facet("1-0-1/NominalTimeRunFacet");
    let (_, job_type) = facet("2-0-3/JobTypeJobFacet");
    json!({
        "eventType": kind, "eventTime": when.to_string(), "producer": PRODUCER, "schemaURL": SCHEMA,
        "run": {"runId": run.to_string(), "facets": {"nominalTime": {"_producer": producer, "_schemaURL": nominal, "nominalStartTime": job.started.floor(Span::from_hours(1)).to_string()}}},
        "job": {"namespace": "airflow", "name": job.name, "facets": {"jobType": {"_producer": producer, "_schemaURL": job_type, "processingType": "BATCH", "integration": "AIRFLOW", "jobType": "TASK"}}},
        "inputs": job.inputs,
        "outputs": if kind == "COMPLETE" { job.outputs.clone() } else { job.outputs.iter().map(bare).collect() },
    })
}

/// A dataset without what is known only at the end.
fn bare(dataset: &Value) -> Value {
    json!({"namespace": dataset["namespace"], "name": dataset["name"], "facets": {}})
}

fn dataset(namespace: &str, name: impl Into<String>) -> Value {
    json!({"namespace": namespace, "name": name.into(), "facets": {}})
}

/// The runs that start in the hour that begins at `hour`.
fn jobs_of_hour(noise: Noise, cast: &Cast, script: &Script, hour: Timestamp) -> Vec<Job> {
    let n = hour.secs().div_euclid(3_600);
    let of_day = n.rem_euclid(24);
    let job = |name: String, minute: i64, took: i64, inputs: Vec<Value>, outputs: Vec<Value>| {
        let jitter = (Noise::new(n as u64, &name).bits(0) % 120) as i64;
        Job { name, started: hour + Span::from_secs(minute * 60 + jitter), took: Span::from_secs(took + jitter), inputs, outputs }
    };
    let mut jobs = Vec::new();
    for (d, domain) in DOMAINS.iter().enumerate() {
        let events = format!("{domain}/events");
        let topic = dataset("kafka://kafka:9092", format!("{domain}.events"));
        jobs.push(job(format!("{domain}_raw.collect"), 2, 240, vec![topic], vec![profiled(noise, script, d, hour, false)]));
        jobs.push(job(
            format!("{domain}_features.build"),
            12,
            420,
            vec![dataset("s3://raw", events)],
            vec![profiled(noise, script, d, hour, true)],
        ));
    }
    for (i, e) in cast.endpoints.iter().enumerate() {
        let name = &e.id.name;
        let training = || dataset("s3://training", name.clone());
        let features = || dataset("s3://features", format!("{}/events", e.domain));
        if of_day % 6 == 1 {
            jobs.push(job(format!("{name}.build_training_set"), 25, 900, vec![features()], vec![training()]));
        }
        let model = |version: u32| dataset("s3://models", format!("{name}/{version}"));
        if of_day == 3 {
            jobs.push(job(format!("{name}.train"), 5, 2_400, vec![training()], vec![model(script.version_at(i, hour))]));
        }
        // The version of a release, and of the bad canary, was trained in the hour before it.
        let releases = script.versions[i].iter().skip(1).map(|(at, v)| (*at, *v));
        let canary = (script.bad.endpoint == i).then_some((script.bad.range.start, script.bad.version));
        for (_, version) in releases.chain(canary).filter(|(at, _)| (*at - Span::from_hours(1)).floor(Span::from_hours(1)) == hour) {
            jobs.push(job(format!("{name}.train"), 10, 2_400, vec![training()], vec![model(version)]));
        }
    }
    jobs
}

/// The output of an hourly job: what it wrote in this hour about the hour before.
fn profiled(noise: Noise, script: &Script, domain: usize, hour: Timestamp, features: bool) -> Value {
    let n = hour.secs().div_euclid(3_600);
    let noise = noise.stream(domain as u64 * 2 + u64::from(features));
    let daily = ((n.rem_euclid(24) as f64 - 14.0) / 24.0 * std::f64::consts::TAU).cos();
    let rows = (42_000.0 * (1.0 + 0.45 * daily) * (1.0 + 0.03 * noise.normal(n))).round();
    let drift = drift_of(&script.drift, domain, hour, features);
    let mut columns = Map::new();
    for (c, column) in COLUMNS[domain].iter().enumerate() {
        let noise = noise.stream(100 + c as u64);
        // Nulls come and go a little; now and then an hour has many, and nothing follows from it.
        let burst = if noise.stream(1).uniform(n) < 0.004 { 0.04 } else { 0.0 };
        let nulls = (rows * (0.002 + 0.001 * noise.stream(2).uniform(n) + burst)).round();
        let (shift, stretch) = match drift {
            Some(d) if d.columns.contains(&c) => (d.shift, d.stretch),
            _ => (0.0, 1.0),
        };
        // Days differ by a twentieth of a standard deviation, hours by less; a sample of this size adds next to nothing.
        let wander = 0.03 * daily + 0.02 * noise.smooth(n, 30) + 0.01 * noise.normal(n);
        let value = |z: f64| column.shape.value(z * stretch + shift + wander, features);
        let quantiles: Map<String, Value> = QUANTILES
            .iter()
            .enumerate()
            .map(|(q, (key, z))| ((*key).to_owned(), json!(round(value(z + 0.012 * noise.stream(10 + q as u64).normal(n))))))
            .collect();
        let count = rows - nulls;
        let metrics = json!({
            "nullCount": nulls, "distinctCount": (count * 0.8).round(), "count": count,
            "sum": round(value(0.0) * count), "min": round(value(-3.6)), "max": round(value(3.6)), "quantiles": quantiles,
        });
        columns.insert(if features { column.feature } else { column.raw }.to_owned(), metrics);
    }
    let bucket = if features { "s3://features" } else { "s3://raw" };
    let schema: Vec<Value> = columns.keys().map(|name| json!({"name": name, "type": "double"})).collect();
    let mut facets = json!({
        "schema": {"_producer": PRODUCER, "_schemaURL": "https://openlineage.io/spec/facets/1-1-1/SchemaDatasetFacet.json", "fields": schema},
        "version": {"_producer": PRODUCER, "_schemaURL": "https://openlineage.io/spec/facets/1-0-1/DatasetVersionDatasetFacet.json", "datasetVersion": n.to_string()},
        "dataQualityMetrics": {"_producer": PRODUCER, "_schemaURL": "https://openlineage.io/spec/facets/1-0-2/DataQualityMetricsDatasetFacet.json",
            "rowCount": rows, "columnMetrics": columns},
    });
    if features {
        let raw = format!("{}/events", DOMAINS[domain]);
        let fields: Map<String, Value> = COLUMNS[domain]
            .iter()
            .map(|c| (c.feature.to_owned(), json!({"inputFields": [{"namespace": "s3://raw", "name": raw, "field": c.raw, "transformations": [{"type": "DIRECT", "subtype": "TRANSFORMATION"}]}]})))
            .collect();
        facets["columnLineage"] = json!({"_producer": PRODUCER, "_schemaURL": "https://openlineage.io/spec/facets/1-2-0/ColumnLineageDatasetFacet.json", "fields": fields});
    }
    json!({
        "namespace": bucket, "name": format!("{}/events", DOMAINS[domain]), "facets": facets,
        "outputFacets": {"outputStatistics": {"_producer": PRODUCER, "_schemaURL": "https://openlineage.io/spec/facets/1-0-2/OutputStatisticsOutputDatasetFacet.json",
            "rowCount": rows, "size": rows * 180.0}},
    })
}

/// The drift that this hour's output shows: that of the hour whose data it holds.
fn drift_of(drift: &Drift, domain: usize, hour: Timestamp, features: bool) -> Option<&Drift> {
    let middle = hour - Span::from_mins(30);
    (drift.domain == domain && (features || drift.raw) && drift.range.contains(middle)).then_some(drift)
}

impl Shape {
    /// The value that lies `z` standard deviations from the middle. Features of skewed columns are their logarithms.
    fn value(self, z: f64, feature: bool) -> f64 {
        match self {
            Self::Normal(mean, sd) => mean + sd * z,
            Self::LogNormal(median, sd) if feature => median.ln() + sd * z,
            Self::LogNormal(median, sd) => median * (sd * z).exp(),
        }
    }
}

fn round(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}
