//! What is kept quiet: maintenance windows, flapping and auto-silence, with a real Prometheus and a receiver that counts what it is told.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::routing::post;
use bellwether_model::time::Timestamp;

use crate::bellwether::Desk;
use crate::servers::{OpenMetrics, Prometheus, Served, noise, now};

const MINUTE: i64 = 60;

/// Six hours of queues: of `iris` in the pool a100 that is high 100 to 80 minutes ago and again for the last 40 minutes, of `rose` in the pool h100
/// that is high for the last 40 minutes, and of `lily`, which flaps.
fn queues(until: i64) -> OpenMetrics {
    let mut history = OpenMetrics::default();
    history.family("queue", "gauge");
    for (n, (service, pool)) in [("iris", "a100"), ("rose", "h100"), ("lily", "h100")].into_iter().enumerate() {
        for ago in (0..360).rev() {
            let high = match service {
                "iris" => (80..100).contains(&ago) || ago < 40,
                "rose" => ago < 40,
                _ => ago < 150 && ago > 10 && ago % 14 < 5,
            };
            let value = 5.0 + noise(n, ago) + if high { 50.0 } else { 0.0 };
            history.sample(&format!("queue{{namespace=\"ml\",service=\"{service}\",pool=\"{pool}\"}}"), value, until - ago * MINUTE);
        }
    }
    history
}

#[test]
fn what_maintenance_covers_is_kept_and_told_when_it_ends() {
    let until = now() / MINUTE * MINUTE;
    let prometheus = Prometheus::start(queues(until), None);
    let told = Arc::new(Mutex::new(Vec::new()));
    let heard = told.clone();
    let receiver = Served::start(Router::new().route(
        "/",
        post(move |body: String| async move {
            heard.lock().expect("no test panics while it holds this").push(body);
        }),
    ));
    let minutes_ago = |n: i64| Timestamp::from_secs(until - n * MINUTE).to_string();
    let config = |window: &str| {
        format!(
            "version: 1\nprometheus: {{url: '{}', rules: [rules.yaml]}}\nnotify: {{webhooks: [{{url: 'http://{}/'}}]}}\nmaintenance:\n  - {window}\n",
            prometheus.url(),
            receiver.address()
        )
    };
    let window = |last: i64| {
        let (from, until) = (minutes_ago(120), minutes_ago(last));
        format!(
            "{{name: driver update, reason: CHG-1, from: {from}, until: {until}, covers: 'labels.pool == \"a100\" && metric == \"queue_depth\"'}}"
        )
    };
    let desk = Desk::with(&config("{name: typo, cron: '0 2 * * *', duration: 1h, covers: label.pool == 'a100'}"));
    desk.write(
        "rules.yaml",
        "rules:\n  - {name: queue_depth, expr: queue, step: 60s, detect: [{watch: up, min_samples: 60, learns: false}]}\n",
    );
    desk.run("round").expect(1).says(&["bellwether.yaml:5:", "uses label, which is not a variable here", "did you mean labels?"]);

    desk.write("bellwether.yaml", &config(&window(-600)));
    desk.run(&format!("ingest --backfill 6h --until {}", Timestamp::from_secs(until))).expect(0);

    let ran = desk.run("round --no-ingest").expect(0);
    for words in ["silenced: ", "2 by maintenance", "by flapping", "1 open and not told", "signals --explain-silence"] {
        assert!(ran.out.contains(words), "{words}\n{}", ran.out);
    }
    let incidents = desk.sql("SELECT title FROM incidents_current WHERE state <> 'closed'");
    assert!(incidents.len() == 1 && incidents[0]["title"].as_str().is_some_and(|t| t.contains("rose")), "{incidents:?}");
    let of_iris = "JOIN signals_current s USING (signal_id) WHERE json_get(s.subject, 'labels.service') = 'iris'";
    let iris = desk.sql(&format!("SELECT q.kind, q.cause, q.state FROM suppressions_current q {of_iris} ORDER BY q.since"));
    let row = |state: &str| serde_json::json!({"kind": "maintenance", "cause": "driver update", "state": state});
    assert_eq!(iris, [row("ended"), row("silenced")]);
    let heard = |what: &str| told.lock().expect("no test panics while it holds this").iter().filter(|body| body.contains(what)).count();
    assert!(heard("ml/rose") > 0 && heard("ml/iris") == 0, "{:?}", told.lock());
    assert_eq!(
        desk.count("SELECT count(*) FROM insight_signals WHERE silenced_by = 'flapping'"),
        desk.count("SELECT count(*) FROM suppressions_current WHERE kind = 'flapping'")
    );
    assert!(desk.count("SELECT count(*) FROM insight_signals WHERE silenced_by = 'flapping' AND silence_state = 'ended'") > 0);

    // What would have fired, from the ledger and by the present rules.
    let explained = desk.run("signals --explain-silence --open").expect(0);
    assert!(explained.out.contains("maintenance") && explained.out.contains("1 signal open and silenced"), "{}", explained.out);
    let json = desk.run("signals --explain-silence --output json").expect(0).json();
    let held = json.as_array().into_iter().flatten().find(|s| s["state"] == "silenced").cloned().unwrap_or_default();
    assert_eq!(
        (&held["cause"], &held["detail"]),
        (&"driver update".into(), &"maintenance window \"driver update\": CHG-1".into()),
        "{json:#}"
    );
    assert!(
        held["score"].as_f64() > Some(1.0) && held["hint"].as_str().is_some_and(|h| h.contains("ml/iris")) && held["until"].is_string(),
        "{held:#}"
    );
    let id = held["signal_id"].as_str().expect("a signal has an id").to_owned();
    let shown = desk.run(&format!("signals show {id}")).expect(0);
    assert!(shown.out.contains("silenced     maintenance until"), "{}", shown.out);
    let rehearsed = desk.run("detect --last 5h --explain-silence").expect(0);
    assert!(rehearsed.out.contains("what a round would not tell") && rehearsed.out.contains("driver update"), "{}", rehearsed.out);
    assert_eq!(
        desk.run("detect --last 5h --explain-silence --output json").expect(0).json()["silenced"].as_array().map(Vec::len),
        json.as_array().map(Vec::len)
    );

    // The window ends, and the signal goes on.
    let round = desk.sql("SELECT round_id FROM rounds")[0]["round_id"].as_str().expect("a round has an id").to_owned();
    assert!(desk.run(&format!("round --replay {round}")).expect(0).out.contains("identical"));
    desk.write("bellwether.yaml", &config(&window(10)));
    let ran = desk.run("round --no-ingest").expect(0);
    assert!(ran.out.contains("silenced: 1 told now") && ran.out.contains("ml/iris") && ran.out.contains("1 opened"), "{}", ran.out);
    assert!(heard("ml/iris") > 0, "{:?}", told.lock());
    assert_eq!(desk.count(&format!("SELECT count(*) FROM incident_signals WHERE signal_id = '{id}'")), 1);
    assert_eq!(desk.sql(&format!("SELECT state FROM suppressions_current WHERE signal_id = '{id}'"))[0]["state"], "told");
}
