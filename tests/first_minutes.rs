//! A person with nothing but a Prometheus: from its address to a page that shows what is wrong.

use bellwether_model::time::Timestamp;

use crate::bellwether::{Desk, Ran};
use crate::servers::{OpenMetrics, Prometheus, noise, now};

/// Seconds between the samples of the history.
const EVERY: i64 = 120;
/// Model servers; the first gets slow.
const SERVICES: [&str; 8] = ["iris", "wine", "fraud", "churn", "search", "rank", "price", "spam"];
/// Upper bounds of the latency histogram, in seconds, with the share of requests up to each on a good day and on a bad one.
const BUCKETS: [(&str, f64, f64); 6] =
    [("0.05", 0.40, 0.10), ("0.1", 0.80, 0.25), ("0.25", 0.97, 0.50), ("0.5", 0.995, 0.80), ("1.0", 0.999, 0.96), ("+Inf", 1.0, 1.0)];

/// Fourteen days of eight model servers with a daily rhythm; the first is slow for the last two hours.
fn fortnight(until: i64) -> OpenMetrics {
    let mut text = OpenMetrics::default();
    text.family("request_predict_seconds", "histogram");
    let steps = 14 * 86_400 / EVERY;
    for (number, service) in SERVICES.iter().enumerate() {
        let labels = format!("namespace=\"ml\",pod=\"{service}-predictor-00001\"");
        let mut totals = [0.0; BUCKETS.len()];
        for step in 0..=steps {
            let at = until - (steps - step) * EVERY;
            let slow = number == 0 && at > until - 7_200;
            let day = (at % 86_400) as f64 / 86_400.0 * std::f64::consts::TAU;
            let requests = 600.0 * (1.0 + 0.4 * day.sin()) * (1.0 + 0.05 * noise(number, step));
            for (bucket, (bound, good, bad)) in BUCKETS.iter().enumerate() {
                let share = if slow { *bad } else { *good };
                let jitter = if *bound == "+Inf" { 0.0 } else { 0.01 * (1.0 - share) * noise(number, step * 7) };
                totals[bucket] += (requests * (share + jitter)).round();
                text.sample(&format!("request_predict_seconds_bucket{{{labels},le=\"{bound}\"}}"), totals[bucket], at);
            }
            text.sample(&format!("request_predict_seconds_count{{{labels}}}"), totals[BUCKETS.len() - 1], at);
        }
    }
    text
}

#[test]
fn from_an_address_to_a_page_that_shows_the_one_thing_that_is_wrong() {
    let until = now() / EVERY * EVERY;
    let prometheus = Prometheus::start(fortnight(until), None);
    let desk = Desk::new();

    desk.run(&format!("init --prom {}", prometheus.url())).expect(0);
    let config = desk.read("bellwether.yaml");
    assert!(config.contains("kserve") && config.contains(&prometheus.url()), "{config}");
    desk.run(&format!("init --prom {}", prometheus.url())).expect(1).says(&["--force"]);

    let until = Timestamp::from_secs(until).to_string();
    let ingest = format!("ingest --backfill 14d --until {until}");
    desk.run(&ingest).expect(0);
    let samples = desk.count("SELECT count(*) FROM samples");
    assert!(samples > 8 * 14 * 1_440, "{samples} samples");
    desk.run(&ingest).expect(0);
    assert_eq!(desk.count("SELECT count(*) FROM samples"), samples, "repeating an ingest adds nothing");

    desk.run("round --no-ingest").expect(0);
    let incidents = desk.sql("SELECT * FROM incidents_current");
    assert_eq!(incidents.len(), 1, "the regression is one incident: {incidents:#?}");
    let one = serde_json::Value::from(incidents).to_string();
    assert!(one.contains("iris") && one.contains("latency_p95"), "{one}");
    assert!(!one.contains("wine"), "only one service got slow: {one}");

    // Who has no login name, as in a container, says so by number and host.
    let id = desk.sql("SELECT incident_id FROM incidents_current")[0]["incident_id"].as_str().expect("an id is text").to_owned();
    let mut nameless = desk.command(&["label", &id, "incident"]);
    let ran = Ran::of(nameless.env_remove("USER").env_remove("HOME").output().expect("the binary runs")).expect(0);
    assert!(ran.out.contains(&id), "{}", ran.out);
    let said = desk.sql("SELECT actor FROM labels")[0]["actor"].to_string();
    assert!(said.starts_with("\"uid-") && said.contains('@'), "{said}");

    desk.run("report --html page.html").expect(0);
    let page = desk.read("page.html");
    assert!(page.contains("<svg") && page.contains("iris") && page.contains("latency_p95"), "the page draws the incident's series");
    for outside in ["src=\"http", "href=\"http", "url(http", "@import"] {
        assert!(!page.contains(outside), "the page loads {outside}");
    }

    // A person's word counts wherever what is open is counted.
    desk.run("round --no-ingest --fail-on critical,warning,info").expect(3);
    assert_eq!(desk.run("incidents --open --output json").expect(0).json().as_array().map(Vec::len), Some(1));
    desk.run(&format!("label {id} not-an-incident")).expect(0);
    assert_eq!(desk.run("incidents --open --output json").expect(0).json().as_array().map(Vec::len), Some(0));
    assert_eq!(desk.run("incidents --output json").expect(0).json().as_array().map(Vec::len), Some(1), "it stays listed");
    desk.run("round --no-ingest --fail-on critical,warning,info").expect(0);
}

#[test]
fn a_query_that_prometheus_refuses_is_shown_with_its_words_and_the_place_of_the_rule() {
    let until = now() / EVERY * EVERY;
    let mut history = OpenMetrics::default();
    history.family("depth", "gauge");
    for pod in ["a", "b"] {
        for step in (0..30).rev() {
            history.sample(&format!("depth{{namespace=\"ml\",pod=\"{pod}\"}}"), 1.0, until - step * 60);
        }
    }
    let prometheus = Prometheus::start(history, None);
    let desk = Desk::with(&format!("version: 1\nprometheus: {{url: '{}', rules: [rules.yaml]}}\n", prometheus.url()));
    desk.write("rules.yaml", "rules:\n  - name: fine\n    expr: depth\n  - name: doubled\n    expr: depth * on (namespace) depth\n");
    let ran = desk.run("ingest --backfill 1h").expect(1);
    ran.says(&["rules.yaml:4", "many-to-many matching not allowed"]);
    assert!(desk.count("SELECT count(*) FROM samples") > 40, "the other rule was ingested");

    desk.write("rules.yaml", "rules:\n  - name: broken\n    expr: sum(depth\n");
    desk.run("ingest").expect(1).says(&["rules.yaml:3:", "not PromQL"]);
}
