use std::collections::BTreeMap;

use bellwether_lake::Lake;
use bellwether_lake::tables::{ENDPOINTS, LABELS, ROUNDS, SAMPLES, SIGNALS};
use bellwether_model::digest::Digest;
use bellwether_model::id::EndpointId;
use bellwether_model::inventory::Endpoint;
use bellwether_model::label::{Label, LabelKind};
use bellwether_model::round::Round;
use bellwether_model::series::{Labels, Samples, Series};
use bellwether_model::signal::{Direction, Method, Severity, Signal, SignalState, Subject};
use bellwether_model::time::TimeRange;
use bellwether_model::unit::{Replicas, Unit};
use datafusion::physical_plan::displayable;

use super::*;
use crate::windows::{Which, WindowSpec};

const DAY: i64 = 86_400;

fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(secs)
}

async fn empty() -> (tempfile::TempDir, Lake) {
    let folder = tempfile::tempdir().unwrap();
    let lake = Lake::open(folder.path().to_str().unwrap(), &BTreeMap::new()).await.unwrap();
    (folder, lake)
}

async fn session(lake: &Lake, options: SessionOptions) -> Session {
    Session::open(&lake.snapshot().await.unwrap(), options).await.unwrap()
}

fn series(metric: &str, service: usize) -> Series {
    Series::new(metric, Labels::from([("namespace".to_owned(), "ml".to_owned()), ("service".to_owned(), format!("s{service}"))]))
}

/// Two metrics of five services, a sample a minute over two days around midnight.
async fn with_samples(lake: &Lake) {
    for (batch, minutes) in [(0, DAY / 60 - 30..DAY / 60 + 20), (1, DAY / 60 + 10..DAY / 60 + 30)] {
        let mut samples = Samples::default();
        for metric in ["latency_p95", "error_ratio"] {
            for service in 0..5 {
                let ts: Vec<_> = minutes.clone().map(|m| m * 60_000_000).collect();
                let values: Vec<_> = ts.iter().map(|t| (t / 60_000_000) as f64 + f64::from(batch) * 0.5).collect();
                samples.push(series(metric, service), &ts, &values);
            }
        }
        lake.append_samples(&samples, &[]).await.unwrap();
    }
}

fn signal(id: &str, state: SignalState, last: i64, round: &str) -> Signal {
    let Series { series_id, metric, labels } = series("latency_p95", 1);
    Signal {
        signal_id: id.into(),
        fingerprint: "fp-1".into(),
        rule: "latency_p95".into(),
        method: Method::Zscore,
        subject: Subject::Series { series_id, metric, labels },
        state,
        opened_at: at(10),
        last_at: at(last),
        closed_at: (state == SignalState::Closed).then_some(at(last)),
        score: 1.5,
        value: 0.3,
        expected: 0.1,
        lower: 0.05,
        upper: 0.2,
        p_value: None,
        direction: Direction::Up,
        severity: Severity::Warning,
        unit: Unit::Seconds,
        hint: "slow".into(),
        round_id: round.into(),
        recorded_at: at(100),
    }
}

fn round(id: &str, as_of: i64) -> Round {
    Round {
        round_id: id.into(),
        as_of: at(as_of),
        versions: BTreeMap::new(),
        seed: 1,
        config_digest: Digest::ZERO,
        result_digest: Digest::ZERO,
        series: 0,
        samples: 0,
        signals: 0,
        incidents: 0,
        recommendations: 0,
        skipped: BTreeMap::new(),
        started_at: at(as_of),
        recorded_at: at(as_of),
    }
}

async fn numbers(session: &Session, sql: &str) -> Vec<i64> {
    #[derive(serde::Deserialize)]
    struct Row {
        n: i64,
    }
    session.rows::<Row>(sql).await.unwrap_or_else(|e| panic!("{sql}: {e:?}")).into_iter().map(|r| r.n).collect()
}

#[tokio::test]
async fn an_empty_ledger_answers_every_view_with_nothing() {
    let (_folder, lake) = empty().await;
    let session = session(&lake, SessionOptions::as_of(at(1))).await;
    for view in views::all(None, &[]) {
        let (schema, batches) = session
            .query(&format!("SELECT * FROM {}", view.name), Limits::default())
            .await
            .unwrap_or_else(|e| panic!("{}: {e:?}", view.name));
        assert!(schema.fields().len() > 1 && batches.iter().all(|b| b.num_rows() == 0), "{}", view.name);
    }
    assert_eq!(session.evidence().await.unwrap(), crate::Evidence::default());
    let spec = WindowSpec { metrics: None, series: Which::All, range: TimeRange::new(at(0), at(10)) };
    assert!(session.windows(&spec).await.unwrap().is_empty());
}

#[tokio::test]
async fn only_finished_rounds_count_and_the_newest_transition_is_the_state() {
    let (_folder, lake) = empty().await;
    let rows = [
        signal("sig-1", SignalState::Opened, 10, "done"),
        signal("sig-1", SignalState::Worsened, 20, "done"),
        signal("sig-1", SignalState::Closed, 20, "done"),
        signal("sig-2", SignalState::Opened, 15, "done"),
    ];
    lake.append_rows(&SIGNALS, &rows, &[]).await.unwrap();
    lake.append_rows(&SIGNALS, &[signal("sig-2", SignalState::Closed, 30, "crashed")], &[]).await.unwrap();
    lake.append_rows(&ROUNDS, &[round("done", 50)], &[]).await.unwrap();
    let all = session(&lake, SessionOptions::at(at(1_000))).await;
    assert_eq!(
        all.rows::<Signal>("SELECT * FROM signals ORDER BY signal_id, last_at, closed_at NULLS FIRST").await.unwrap(),
        rows,
        "typed rows return whole"
    );
    assert_eq!(numbers(&all, "SELECT count(*) AS n FROM raw.signals").await, [5]);
    let current: Vec<Signal> = all.rows("SELECT * FROM signals_current ORDER BY signal_id").await.unwrap();
    assert_eq!(current, [rows[2].clone(), rows[3].clone()]);
    assert_eq!(all.evidence().await.unwrap().open_signals, [rows[3].clone()]);
    assert_eq!(numbers(&all, "SELECT count(*) AS n FROM insight_signals i JOIN signals s USING (signal_id) WHERE i.metric = 'latency_p95' AND i.series_id = s.series_id").await, [4]);
    let early = session(&lake, SessionOptions::as_of(at(50))).await;
    assert_eq!(early.evidence().await.unwrap().open_signals.len(), 1);
    let before = session(&lake, SessionOptions::as_of(at(49))).await;
    assert_eq!(numbers(&before, "SELECT count(*) AS n FROM signals").await, [0], "a round that judged up to 50 is not known at 49");
}

#[tokio::test]
async fn inventory_is_the_state_at_the_horizon_or_the_first_one_seen() {
    let (_folder, lake) = empty().await;
    let endpoint = |name: &str, max, seen| Endpoint {
        endpoint: EndpointId::new("ml", name),
        uid: String::new(),
        resource_version: String::new(),
        labels: Labels::from([("team".to_owned(), "a".to_owned())]),
        runtime: String::new(),
        model_uri: None,
        min_replicas: Replicas(1),
        max_replicas: Replicas(max),
        ready_replicas: None,
        canary_percent: None,
        revision: None,
        gpus_per_replica: 1.0,
        pool: None,
        ready: None,
        recorded_at: at(seen),
    };
    let rows =
        [endpoint("iris", 1, 10), endpoint("iris", 2, 20), endpoint("iris", 3, 30), endpoint("late", 8, 40), endpoint("late", 9, 50)];
    lake.append_rows(&ENDPOINTS, &rows, &[]).await.unwrap();
    let seen = session(&lake, SessionOptions::as_of(at(25))).await.evidence().await.unwrap().inventory.endpoints;
    assert_eq!(seen, [rows[1].clone(), rows[3].clone()]);
    let now = session(&lake, SessionOptions::at(at(1_000))).await.evidence().await.unwrap().inventory.endpoints;
    assert_eq!(now, [rows[2].clone(), rows[4].clone()]);
}

#[tokio::test]
async fn windows_hold_each_series_whole_once_and_in_order() {
    let (_folder, lake) = empty().await;
    with_samples(&lake).await;
    let session = session(&lake, SessionOptions::at(at(3 * DAY))).await;
    let spec = WindowSpec { metrics: Some(vec!["latency_p95".into()]), series: Which::All, range: TimeRange::new(at(0), at(3 * DAY)) };
    let windows = session.windows(&spec).await.unwrap();
    assert_eq!(windows.len(), 1);
    let window = &windows[0];
    assert_eq!((window.len(), window.ts.len()), (5, 5 * 60));
    assert!(window.series.is_sorted() || window.series.is_sorted_by_key(|s| s.series_id));
    for slice in window.iter() {
        assert_eq!(slice.series.metric, "latency_p95");
        assert!(slice.ts.windows(2).all(|w| w[1] - w[0] == 60_000_000), "each minute once");
        assert_eq!(slice.values[45], (DAY / 60 + 15) as f64 + 0.5, "the later batch counts where both have a sample");
    }
    let cut = self::session(&lake, SessionOptions::as_of(at(DAY))).await;
    let window = &cut.windows(&WindowSpec { metrics: None, ..spec }).await.unwrap()[0];
    assert_eq!((window.len(), window.ts.iter().max()), (10, Some(&(DAY * 1_000_000))), "as_of is the last instant that is seen");

    let ordered = numbers(&session, "SELECT series_id AS n FROM samples ORDER BY series_id, ts").await;
    assert!(ordered.len() == 10 * 70 && ordered.is_sorted(), "the order that files declare holds across files");
    let times = numbers(
        &session,
        "SELECT CAST(ts AS BIGINT) AS n FROM samples WHERE series_id = (SELECT min(series_id) FROM series) ORDER BY series_id, ts",
    )
    .await;
    assert!(times.len() == 70 && times.is_sorted());
    assert_eq!(numbers(&session, "SELECT count(*) AS n FROM samples_current").await, [10 * 60]);
    assert_eq!(numbers(&session, "SELECT CAST(sum(value) * 2 AS BIGINT) AS n FROM metric_samples WHERE metric = 'error_ratio' AND labels['service'] = 's3' AND ts >= '1970-01-02T00:12:00Z' AND ts < '1970-01-02T00:13:00Z'").await, [2 * (1440 + 12) + 1]);
}

#[tokio::test]
async fn conditions_pass_over_files_by_partition_and_statistics() {
    let (_folder, lake) = empty().await;
    with_samples(&lake).await;
    let session = session(&lake, SessionOptions::at(at(3 * DAY))).await;
    let files = |sql: &'static str| {
        let session = session.clone();
        async move {
            let plan = session.context().sql(sql).await.unwrap().create_physical_plan().await.unwrap();
            displayable(plan.as_ref()).indent(true).to_string().matches(".parquet").count()
        }
    };
    assert_eq!(lake.snapshot().await.unwrap().files(&SAMPLES).len(), 3);
    assert_eq!(files("SELECT * FROM samples").await, 3);
    assert_eq!(files("SELECT * FROM samples WHERE day = '1970-01-01'").await, 1);
    assert_eq!(files("SELECT * FROM samples WHERE ts > '1970-01-02T00:25:00Z'").await, 1);
    assert_eq!(files("SELECT * FROM samples WHERE value > 0 AND ts > '1980-01-01'").await, 0);
    assert_eq!(files("SELECT * FROM samples WHERE written_at > '1980-01-01'").await, 3);
}

#[tokio::test]
async fn queries_cannot_write_or_take_more_than_their_limits() {
    let (folder, lake) = empty().await;
    with_samples(&lake).await;
    let session = session(&lake, SessionOptions::at(at(3 * DAY))).await;
    let file = folder.path().join("stolen.csv");
    for sql in [
        "INSERT INTO labels VALUES ('a')".to_owned(),
        "DELETE FROM raw.samples".to_owned(),
        "DROP TABLE samples".to_owned(),
        "CREATE TABLE x AS SELECT 1".to_owned(),
        "CREATE EXTERNAL TABLE x STORED AS PARQUET LOCATION '/etc'".to_owned(),
        format!("COPY samples TO '{}'", file.display()),
        format!("EXPLAIN ANALYZE COPY samples TO '{}'", file.display()),
        "SET datafusion.execution.batch_size = 1".to_owned(),
        "PREPARE p AS SELECT 1".to_owned(),
    ] {
        let refused = session.query(&sql, Limits::default()).await.unwrap_err();
        assert!(matches!(refused, SqlError::ReadOnly { .. } | SqlError::Query(_)), "{sql}: {refused:?}");
        assert!(refused.is_users());
    }
    assert!(!file.exists());
    for sql in ["SELECT * FROM '/etc/passwd'", "SELECT 1; SELECT 2", "SELEC 1", "SELECT nothing FROM samples", "SELECT * FROM sample"] {
        assert!(matches!(session.query(sql, Limits::default()).await, Err(SqlError::Query(_))), "{sql}");
    }
    let few = Limits { rows: 10, ..Limits::default() };
    assert!(matches!(session.query("SELECT * FROM samples", few).await, Err(SqlError::TooManyRows { limit: 10 })));
    assert!(session.query("SELECT * FROM samples LIMIT 10", few).await.is_ok());
    let short = Limits { timeout: Span::from_micros(50_000), ..Limits::default() };
    let endless = "SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b WHERE a.value % 7 = b.value % 11";
    assert!(matches!(session.query(endless, short).await, Err(SqlError::Timeout(_))));
    let tight = Session::open(session.snapshot(), SessionOptions { memory_bytes: 1 << 20, ..session.options() }).await.unwrap();
    let greedy = "SELECT array_agg(value) FROM generate_series(1, 1000000)";
    assert!(matches!(tight.query(greedy, Limits::default()).await, Err(SqlError::Memory(_))));
}

#[tokio::test]
async fn a_session_does_not_see_what_is_written_after_its_snapshot() {
    let (_folder, lake) = empty().await;
    let label = |i: i64| Label {
        subject_id: "inc-1".into(),
        label: if i % 2 == 0 { LabelKind::Incident } else { LabelKind::NotAnIncident },
        comment: None,
        actor: "ann".into(),
        recorded_at: at(i),
    };
    lake.append_rows(&LABELS, &[label(1)], &[]).await.unwrap();
    let pinned = session(&lake, SessionOptions::at(at(100))).await;
    lake.append_rows(&LABELS, &[label(2)], &[]).await.unwrap();
    assert_eq!(pinned.evidence().await.unwrap().labels, [label(1)]);
    assert_eq!(session(&lake, SessionOptions::at(at(100))).await.evidence().await.unwrap().labels, [label(2)]);
    assert_eq!(session(&lake, SessionOptions::as_of(at(1))).await.evidence().await.unwrap().labels, [label(1)]);
    assert_eq!(numbers(&pinned, "SELECT CAST(extract(epoch FROM now()) AS BIGINT) AS n").await, [100]);
}

#[tokio::test]
async fn every_view_can_be_planned_and_evidence_means_what_the_views_mean() {
    let (_folder, lake) = empty().await;
    with_samples(&lake).await;
    let transitions: Vec<_> = (0..40)
        .map(|i| Signal {
            opened_at: at(i % 7),
            recorded_at: at(100 + i / 10),
            ..signal(
                &format!("sig-{}", i % 6),
                if i % 5 == 0 { SignalState::Closed } else { SignalState::Worsened },
                10 + i,
                if i % 4 == 0 { "open" } else { "done" },
            )
        })
        .collect();
    for part in transitions.chunks(13) {
        lake.append_rows(&SIGNALS, part, &[]).await.unwrap();
    }
    lake.append_rows(&ROUNDS, &[round("done", 30), round("late", 31)], &[]).await.unwrap();
    for horizon in [None, Some(at(29)), Some(at(30)), Some(at(35))] {
        let session = session(&lake, SessionOptions { as_of: horizon, ..SessionOptions::at(at(1_000)) }).await;
        let from_views: Vec<Signal> =
            session.rows("SELECT * FROM signals_current WHERE state <> 'closed' ORDER BY opened_at, signal_id").await.unwrap();
        assert_eq!(session.evidence().await.unwrap().open_signals, from_views, "{horizon:?}");
        for view in views::all(horizon, &[0, 1]) {
            session
                .rows::<serde_json::Value>(&format!("SELECT * FROM {} LIMIT 1", view.name))
                .await
                .unwrap_or_else(|e| panic!("{}: {e:?}", view.name));
        }
    }
}
