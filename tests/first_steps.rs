//! The wrong turns of a newcomer's first steps: metrics that no pack knows, no rules, metrics that fall silent, series that begin, and prices
//! without anything that tells of use.

use bellwether_model::time::Timestamp;

use crate::bellwether::Desk;
use crate::servers::{OpenMetrics, Prometheus, noise, now};

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;

/// Minutes from so many before `until` to so many before it.
fn minutes(until: i64, from: i64, to: i64) -> impl Iterator<Item = i64> {
    (to..=from).rev().map(move |m| until - m * MINUTE)
}

#[test]
fn metrics_that_no_pack_knows_become_an_example_that_works() {
    let until = now() / MINUTE * MINUTE;
    let mut history = OpenMetrics::default();
    history.family("shop_orders", "counter");
    for (n, at) in minutes(until, 360, 0).enumerate() {
        history.sample("shop_orders_total{job=\"shop\"}", (n * 60) as f64, at);
    }
    history.family("shop_latency_seconds", "histogram");
    for (n, at) in minutes(until, 360, 0).enumerate() {
        let total = (n * 60) as f64;
        for (bound, share) in [("0.1", 0.9), ("0.5", 1.0), ("+Inf", 1.0)] {
            history.sample(&format!("shop_latency_seconds_bucket{{job=\"shop\",le=\"{bound}\"}}"), total * share, at);
        }
        history.sample("shop_latency_seconds_count{job=\"shop\"}", total, at);
        history.sample("shop_latency_seconds_sum{job=\"shop\"}", total * 0.08, at);
    }
    history.family("shop_queue", "gauge");
    for (n, at) in minutes(until, 360, 0).enumerate() {
        history.sample("shop_queue{job=\"shop\"}", 5.0 + noise(1, n as i64), at);
    }
    let prometheus = Prometheus::start(history, None);
    let desk = Desk::new();

    let ran = desk.run(&format!("init --prom {}", prometheus.url().trim_start_matches("http://"))).expect(0);
    for words in
        ["http:// was taken", "No built-in pack", "rules/example.yaml", "in force: shop_latency_p95, shop_orders_rate, shop_queue_max"]
    {
        assert!(ran.out.contains(words), "{words}\n{}", ran.out);
    }
    let config = desk.read("bellwether.yaml");
    assert!(config.contains(&format!("url: {}", prometheus.url())) && config.contains("\n  rules: [rules/]"), "{config}");
    let until = Timestamp::from_secs(until);
    desk.run(&format!("ingest --backfill 6h --until {until}")).expect(0);
    assert_eq!(desk.count("SELECT count(DISTINCT metric) FROM series"), 3);
    let p95 = desk
        .sql("SELECT min(value) AS low, max(value) AS high FROM samples JOIN series USING (series_id) WHERE metric = 'shop_latency_p95'");
    assert!(p95[0]["low"].as_f64().is_some_and(|low| low > 0.1) && p95[0]["high"].as_f64().is_some_and(|high| high <= 0.5), "{p95:?}");
    desk.run("round --no-ingest").expect(0);
    assert_eq!(desk.count("SELECT count(*) FROM signals"), 0, "nothing happened");

    // What a person made of the example is kept.
    desk.write("rules/example.yaml", "rules: []\n");
    desk.run(&format!("init --force --prom {}", prometheus.url())).expect(0);
    assert_eq!(desk.read("rules/example.yaml"), "rules: []\n");
    for (command, words) in [("ingest", "no rule is in force"), ("round", "prometheus.packs"), ("doctor", "no rule is in force")] {
        let ran = desk.run(command);
        assert!(ran.out.contains(words), "{command}: {}{}", ran.out, ran.err);
    }
}

#[test]
fn what_falls_silent_is_named_and_can_be_failed_on() {
    let until = now() / MINUTE * MINUTE;
    let mut history = OpenMetrics::default();
    history.family("depth", "gauge");
    for (service, last) in [("iris", 0), ("rose", 180)] {
        for at in minutes(until, 360, last) {
            history.sample(&format!("depth{{namespace=\"ml\",service=\"{service}\"}}"), 3.0, at);
        }
    }
    history.family("level", "gauge");
    for at in minutes(until, 360, 120) {
        history.sample("level", 3.0, at);
    }
    let prometheus = Prometheus::start(history, None);
    let desk = Desk::with(&format!("version: 1\nprometheus: {{url: '{}', rules: [rules.yaml]}}\n", prometheus.url()));
    let rule = |name: &str| format!("  - {{name: {name}, expr: {name}, detect: [{{method: bound, above: 9}}]}}\n");
    desk.write("rules.yaml", &format!("rules:\n{}{}{}", rule("depth"), rule("level"), rule("never_there")));
    desk.run("ingest --backfill 6h").expect(0);

    let ran = desk.run("round --no-ingest --fail-on no-data").expect(3);
    ran.says(&["silent: depth of ml/rose (rules.yaml:2): no sample since", "and 1 more"]);
    let last = Timestamp::from_secs(until - 2 * HOUR).to_string();
    let spoken = |what: &str| ran.out.contains(what);
    assert!(spoken("silent   level (rules.yaml:3): no sample since") && spoken(&last[..13]), "{}", ran.out);
    assert!(spoken("never had a sample: never_there") && !spoken("ml/iris"), "{}", ran.out);
    assert!(spoken("of what is silent nothing is known"), "silence does not read as health: {}", ran.out);
    let told = desk.run("round --no-ingest --output json").expect(0).json();
    assert_eq!(told["silent"].as_array().map(Vec::len), Some(3), "{told:#}");
    let doctor = desk.run("doctor").expect(0);
    let row = doctor.out.lines().find(|line| line.contains("SILENT")).unwrap_or_else(|| panic!("{}", doctor.out));
    assert!(row.contains("level (rules.yaml:3)"), "{row}");
}

#[test]
fn the_beginning_of_a_series_is_no_incident() {
    let until = now() / MINUTE * MINUTE;
    let mut history = OpenMetrics::default();
    history.family("orders", "counter");
    // One service from six hours ago on, one that comes later, each with ten orders a second from its first minute on.
    for (service, first) in [("iris", 360), ("rose", 90)] {
        for (n, at) in minutes(until, first, 0).enumerate() {
            history.sample(&format!("orders_total{{namespace=\"ml\",service=\"{service}\"}}"), (n * 600) as f64, at);
        }
    }
    let prometheus = Prometheus::start(history, None);
    let desk = Desk::with(&format!("version: 1\nprometheus: {{url: '{}', rules: [rules.yaml]}}\n", prometheus.url()));
    desk.write(
        "rules.yaml",
        "rules:\n  - {name: order_rate, expr: 'sum by (namespace, service) (rate(orders_total[5m]))', detect: [{method: bound, below: 8, severity: info}]}\n",
    );
    desk.run(&format!("ingest --backfill 1d --until {}", Timestamp::from_secs(until))).expect(0);
    desk.run("round --no-ingest").expect(0);
    let low = desk.sql("SELECT min(value) AS low, count(*) AS n FROM samples");
    assert!(low[0]["low"].as_f64().is_some_and(|low| low > 9.0) && low[0]["n"].as_i64() > Some(400), "only full windows are kept: {low:?}");
    assert_eq!(desk.count("SELECT count(*) FROM signals"), 0, "a series that begins is no deviation");
}

#[test]
fn a_pool_without_a_sign_of_use_costs_money_and_is_not_called_idle() {
    let desk = Desk::with("version: 1\npools: [{name: gpu-a, gpus: 4, usd_per_gpu_hour: 2.5}]\n");
    let hour = now() / HOUR * HOUR;
    let at = |hours_ago: i64| Timestamp::from_secs(hour - hours_ago * HOUR);
    for hours_ago in [1_000, 990, 4, 1] {
        desk.run(&format!("ingest --until {}", at(hours_ago))).expect(0);
    }
    let costs = desk.sql("SELECT period_start, kind, cost_micro_usd / 1e6 AS usd FROM costs_current ORDER BY period_start");
    assert!(costs.iter().all(|row| row["kind"] == "unknown" && row["usd"] == 10.0), "{costs:#?}");
    let between = |from: i64, to: i64| {
        desk.count(&format!("SELECT count(*) FROM costs_current WHERE period_start >= '{}' AND period_end <= '{}'", at(from), at(to)))
    };
    assert_eq!((between(1_000, 990), between(990, 4), between(4, 0)), (9, 0, 2), "{costs:#?}");

    let report = desk.run("report --last 2d").expect(0);
    let flat = report.out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(flat.contains("gpu-a 8 $20.00 no data no data"), "only the range is charged, and nothing is called idle: {}", report.out);
}
