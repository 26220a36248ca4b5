use bellwether_model::dataset::{DatasetId, Flow, RunIo};
use bellwether_model::id::{NodeName, PoolName, RuleName};
use bellwether_model::inventory::{Endpoint, Node, Pool};
use bellwether_model::series::{Labels, Series};
use bellwether_model::signal::{Direction, Method, SignalState, Subject};
use bellwether_model::unit::{MicroUsd, Replicas, Unit};
use proptest::prelude::*;

use super::*;

fn min(minutes: i64) -> Timestamp {
    Timestamp::from_secs(1_767_225_600 + minutes * 60)
}

fn moment(minutes: i64) -> Moment {
    Moment::new(RoundId::new(format!("rnd-{minutes}")), min(minutes))
}

fn signal(subject: Subject, name: &str, direction: Direction, score: f64, opened: i64) -> Signal {
    let rule = RuleName::new(name);
    let fingerprint = Signal::fingerprint_of(&rule, Method::Zscore, &subject);
    Signal {
        signal_id: Signal::id_of(&fingerprint, min(opened)),
        fingerprint,
        rule,
        method: Method::Zscore,
        subject,
        state: SignalState::Opened,
        opened_at: min(opened),
        last_at: min(opened + 5),
        closed_at: None,
        score,
        value: 0.34,
        expected: 0.1,
        lower: 0.05,
        upper: 0.15,
        p_value: None,
        direction,
        severity: Severity::Warning,
        unit: Unit::Seconds,
        hint: format!("{name} left its band"),
        round_id: RoundId::new("rnd-x"),
        recorded_at: min(opened + 5),
    }
}

/// A signal of a series with labels as `namespace=ml,service=iris`.
fn on(labels: &str, metric: &str, score: f64, opened: i64) -> Signal {
    let labels: Labels = labels.split(',').filter_map(|pair| pair.split_once('=')).map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
    let series = Series::new(metric, labels);
    let subject = Subject::Series { series_id: series.series_id, metric: series.metric, labels: series.labels };
    signal(subject, metric, Direction::Up, score, opened)
}

fn drift(dataset: &str, column: &str, opened: i64) -> Signal {
    let (namespace, name) = dataset.rsplit_once(':').unwrap();
    signal(Subject::Column { dataset: DatasetId::new(namespace, name), column: column.into() }, "column_psi", Direction::Shape, 2.0, opened)
}

fn ended(signal: &Signal, minutes: i64) -> Signal {
    Signal { state: SignalState::Closed, closed_at: Some(min(minutes)), last_at: min(minutes), recorded_at: min(minutes), ..signal.clone() }
}

fn fleet() -> Inventory {
    let endpoint = |name: &str, pool: &str| Endpoint {
        endpoint: EndpointId::new("ml", name),
        uid: String::new(),
        resource_version: String::new(),
        labels: Labels::new(),
        runtime: "kserve-vllmserver".into(),
        model_uri: Some(format!("s3://models/{name}")),
        min_replicas: Replicas(1),
        max_replicas: Replicas(4),
        ready_replicas: None,
        canary_percent: None,
        revision: None,
        gpus_per_replica: 1.0,
        pool: Some(PoolName::new(pool)),
        ready: None,
        recorded_at: min(-1000),
    };
    let pool = |name: &str| Pool {
        pool: PoolName::new(name),
        uid: String::new(),
        resource_version: String::new(),
        labels: Labels::new(),
        gpu_model: "A100".into(),
        gpu_limit: None,
        gpus: Replicas(8),
        usd_per_gpu_hour: MicroUsd::from_usd(3.0),
        recorded_at: min(-1000),
    };
    let node = |name: &str, pool: &str| Node {
        node: NodeName::new(name),
        uid: String::new(),
        resource_version: String::new(),
        pool: Some(PoolName::new(pool)),
        gpus: Replicas(4),
        cordoned: false,
        recorded_at: min(-1000),
    };
    Inventory {
        endpoints: vec![endpoint("iris", "a"), endpoint("rose", "a"), endpoint("tulip", "b")],
        pools: vec![pool("a"), pool("b")],
        nodes: vec![node("a-1", "a"), node("a-2", "a"), node("b-1", "b")],
    }
}

fn lineage(inventory: &Inventory) -> Graph {
    let io = |job: &str, flow, dataset: &str| {
        let (namespace, name) = dataset.rsplit_once(':').unwrap();
        RunIo {
            run_id: job.into(),
            job_namespace: "etl".into(),
            job_name: job.into(),
            flow,
            dataset_namespace: namespace.into(),
            dataset_name: name.into(),
            dataset_version: None,
            event_time: min(-500),
            event_id: job.into(),
            recorded_at: min(-500),
        }
    };
    let rows = [
        io("features", Flow::Input, "s3://raw:orders"),
        io("features", Flow::Output, "s3://features:orders"),
        io("train", Flow::Input, "s3://features:orders"),
        io("train", Flow::Output, "s3://models:iris"),
    ];
    Graph::build(&rows, &inventory.endpoints)
}

fn run(open: &[Incident], signals: &[Signal], open_signals: &[Signal], minutes: i64) -> Vec<Incident> {
    let inventory = fleet();
    correlate(&lineage(&inventory), &inventory, &[], open, signals, open_signals, &moment(minutes))
}

const IRIS: &str = "namespace=ml,service=iris";
const ROSE: &str = "namespace=ml,service=rose";
const TULIP: &str = "namespace=ml,service=tulip";

#[test]
fn a_bound_is_told_as_a_bound_and_not_as_what_is_expected() {
    let titled = |direction, value: f64| {
        let signal = on(IRIS, "xid_errors", 4.0, 0);
        let (method, unit) = (Method::Bound, Unit::Number);
        let signal = Signal { method, unit, direction, value, expected: 2.0, lower: 1.0, upper: 2.0, ..signal };
        run(&[], &[signal], &[], 60).remove(0).title
    };
    assert_eq!(titled(Direction::Up, 8.0), "ml/iris: xid errors 8, above its bound of 2");
    assert_eq!(titled(Direction::Down, 0.5), "ml/iris: xid errors 0.5, below its bound of 1");
}

#[test]
fn fifty_signals_of_one_fault_are_one_incident() {
    let metrics = ["latency_p95", "queue_depth", "error_ratio", "gpu_utilization", "request_rate"];
    let signals: Vec<Signal> =
        (0..50).map(|i| on(&format!("{IRIS},pool=a,pod=p{}", i / 5), metrics[i % 5], 1.0 + i as f64 / 10.0, (i as i64 * 7) % 40)).collect();
    let rows = run(&[], &signals, &[], 60);
    assert_eq!(rows.len(), 1);
    let incident = &rows[0];
    assert_eq!((incident.state, incident.signals.len(), incident.opened_at), (IncidentState::Opened, 50, min(0)));
    assert_eq!(incident.root, Some("endpoint:ml/iris".parse().unwrap()));
    assert_eq!(incident.symptoms, ["error_ratio", "gpu_utilization", "latency_p95", "queue_depth", "request_rate"]);
    assert_eq!(incident.title, "ml/iris: request rate 3.4 × expected, and 49 more");
    let of_title: Vec<&Signal> = signals.iter().filter(|s| crate::is_headline(incident, s)).collect();
    assert!(of_title.len() == 10 && of_title.contains(&&signals[49]), "the series of its title: {of_title:#?}");
    assert!(!crate::is_headline(incident, &on(ROSE, "request_rate", 1.0, 0)), "of its title's entity only");
    assert_eq!(incident.score, 5.9);
    assert_eq!(incident.endpoints, [EndpointId::new("ml", "iris")]);
    assert!(incident.summary.starts_with("request_rate up, gpu_utilization up"), "{}", incident.summary);
    assert!(incident.summary.contains("gpu A100") && incident.summary.contains("kserve-vllmserver"), "{}", incident.summary);
}

#[test]
fn unrelated_faults_stay_apart() {
    for (what, signals, incidents) in [
        ("endpoints that share only a pool", vec![on(IRIS, "latency_p95", 2.0, 0), on(ROSE, "latency_p95", 2.0, 1)], 2),
        ("different pools", vec![on("node=a-1", "gpu_xid_errors", 2.0, 0), on(TULIP, "latency_p95", 2.0, 1)], 2),
        ("two nodes of a pool", vec![on("node=a-1", "gpu_xid_errors", 2.0, 0), on("node=a-2", "gpu_xid_errors", 2.0, 1)], 2),
        (
            "a pod on another node",
            vec![on("node=a-1", "gpu_xid_errors", 2.0, 0), on(&format!("{IRIS},node=a-2"), "latency_p95", 2.0, 1)],
            2,
        ),
        ("the same endpoint a day later", vec![ended(&on(IRIS, "latency_p95", 2.0, 0), 20), on(IRIS, "latency_p95", 2.0, 1440)], 2),
        ("a pool that signals hours later", vec![on(IRIS, "latency_p95", 2.0, 0), on("pool=a", "pool_gpu_utilization", 2.0, 300)], 2),
        ("data of another model", vec![drift("s3://raw:orders", "amount", 0), on(TULIP, "latency_p95", 2.0, 1)], 2),
        ("drift of long ago", vec![drift("s3://raw:orders", "amount", 0), on(IRIS, "latency_p95", 2.0, 3000)], 2),
    ] {
        assert_eq!(run(&[], &signals, &[], 4000).len(), incidents, "{what}");
    }
}

#[test]
fn what_causes_trouble_joins_it_and_is_the_root() {
    for (what, signals, root) in [
        (
            "node by inventory",
            vec![on(IRIS, "latency_p95", 9.0, 0), on(ROSE, "latency_p95", 2.0, 3), on("node=a-1", "gpu_xid_errors", 2.0, 5)],
            "node:a-1",
        ),
        (
            "node by label",
            vec![on("node=n7", "gpu_throttle_ratio", 2.0, 0), on(&format!("{IRIS},node=n7"), "latency_p95", 9.0, 5)],
            "node:n7",
        ),
        (
            "pool with two endpoints",
            vec![on(IRIS, "gpu_utilization", 9.0, 0), on(ROSE, "gpu_utilization", 9.0, 1), on("pool=a", "pool_gpu_utilization", 2.0, 4)],
            "pool:a",
        ),
        (
            "an endpoint that fills its pool",
            vec![on(IRIS, "latency_p95", 9.0, 0), on("pool=a", "pool_gpu_utilization", 2.0, 4)],
            "endpoint:ml/iris",
        ),
        ("flicker", vec![ended(&on(IRIS, "latency_p95", 2.0, 0), 20), on(IRIS, "latency_p95", 2.0, 45)], "endpoint:ml/iris"),
        (
            "a service without namespace",
            vec![on("service=iris", "queue_depth", 2.0, 0), on(IRIS, "latency_p95", 3.0, 4)],
            "endpoint:ml/iris",
        ),
    ] {
        let rows = run(&[], &signals, &[], 60);
        assert_eq!(rows.len(), 1, "{what}");
        assert_eq!(rows[0].root, Some(root.parse().unwrap()), "{what}");
    }
}

#[test]
fn an_endpoint_that_runs_something_new_has_trouble_of_its_own() {
    let inventory = fleet();
    let drifted = run(&[], &[drift("s3://raw:orders", "amount", 0)], &[], 10);
    let slow = on(IRIS, "latency_p95", 2.0, 60);
    let incidents = |kind: &str, entity: &str, at: i64| {
        let change =
            Change { at: min(at), kind: kind.into(), entity: entity.parse().unwrap(), summary: "new".into(), recorded_at: min(at) };
        let open = [drift("s3://raw:orders", "amount", 0)];
        correlate(&lineage(&inventory), &inventory, &[change], &drifted, std::slice::from_ref(&slow), &open, &moment(65))
    };
    let alone = incidents("canary", "endpoint:ml/iris", 45);
    assert_eq!((alone.len(), alone[0].state, alone[0].signals.as_slice()), (1, IncidentState::Opened, [slow.signal_id.clone()].as_slice()));
    for (kind, entity, at) in [
        ("replicas", "endpoint:ml/iris", 45),
        ("canary", "endpoint:ml/rose", 45),
        ("canary", "endpoint:ml/iris", 61),
        ("canary", "endpoint:ml/iris", 20),
    ] {
        let joined = incidents(kind, entity, at);
        assert_eq!((joined.len(), joined[0].incident_id.clone()), (1, drifted[0].incident_id.clone()), "{kind} of {entity} at {at}");
    }
}

#[test]
fn a_sick_node_and_drifted_data_are_two_troubles_of_one_endpoint() {
    let drifted = drift("s3://raw:orders", "amount", 0);
    let sick = on("node=a-1", "gpu_xid_errors", 5.0, 120);
    let slow = on(&format!("{IRIS},node=a-1"), "latency_p95", 3.0, 115);
    let signals_of = |rows: &[Incident]| -> BTreeMap<String, usize> {
        rows.iter()
            .filter(|r| r.is_open())
            .map(|r| (r.root.as_ref().map(ToString::to_string).unwrap_or_default(), r.signals.len()))
            .collect()
    };
    // The endpoint's own signal comes last: the node began minutes before it, the drift hours before.
    let late = on(&format!("{IRIS},node=a-1"), "latency_p95", 3.0, 125);
    let all = run(&[], &[drifted.clone(), sick.clone(), late], &[], 130);
    assert_eq!(signals_of(&all), BTreeMap::from([("dataset:s3://raw:orders".into(), 1), ("node:a-1".into(), 2)]));
    // It comes first and is put down to the data: the node is an incident of its own all the same.
    let all = run(&[], &[drifted.clone(), slow.clone(), sick.clone()], &[], 130);
    assert_eq!(signals_of(&all), BTreeMap::from([("dataset:s3://raw:orders".into(), 2), ("node:a-1".into(), 1)]));
    // The same in three rounds.
    let first = run(&[], std::slice::from_ref(&drifted), &[], 10);
    let second = run(&first, std::slice::from_ref(&slow), std::slice::from_ref(&drifted), 118);
    assert_eq!((second.len(), second[0].signals.len()), (1, 2));
    let third = run(&second, std::slice::from_ref(&sick), &[drifted, slow], 125);
    assert_eq!(signals_of(&third), BTreeMap::from([("node:a-1".into(), 1)]));
}

#[test]
fn drift_of_raw_data_reaches_the_endpoint_through_two_jobs() {
    let signals = [on(IRIS, "error_ratio", 9.0, 0), drift("s3://features:orders", "amount", 40), drift("s3://raw:orders", "amount", 60)];
    let rows = run(&[], &signals, &[], 120);
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].root, Some("dataset:s3://raw:orders".parse().unwrap()));
    assert_eq!(rows[0].symptoms, ["amount", "column_psi", "error_ratio"]);
    assert_eq!(rows[0].title, "s3://raw:orders: column amount drifted, and 2 more");
    // Before any metric moves, the incident already names the endpoint that the data reaches.
    let early = run(&[], &signals[2..], &[], 120);
    assert_eq!(early[0].endpoints, [EndpointId::new("ml", "iris")]);
}

#[test]
fn an_incident_lives_through_rounds_under_one_id() {
    let latency = on(IRIS, "latency_p95", 2.0, 0);
    let first = run(&[], std::slice::from_ref(&latency), &[], 10);
    assert_eq!(first[0].incident_id, Incident::id_of(&latency.signal_id));
    assert!(run(&first, &[], std::slice::from_ref(&latency), 20).is_empty(), "nothing new, no row");

    let queue = on(IRIS, "queue_depth", 4.0, 20);
    let second = run(&first, std::slice::from_ref(&queue), std::slice::from_ref(&latency), 30);
    assert_eq!((second.len(), second[0].state, &second[0].incident_id), (1, IncidentState::Updated, &first[0].incident_id));
    assert_eq!(second[0].signals, [latency.signal_id.clone(), queue.signal_id.clone()]);

    let third = run(&second, &[ended(&latency, 40)], std::slice::from_ref(&queue), 45);
    assert_eq!((third[0].state, third[0].closed_at), (IncidentState::Updated, None));
    assert_eq!(third[0].symptoms, ["latency_p95", "queue_depth"]);

    // The closed latency signal is no longer at hand: what was said of it is kept.
    let last = run(&third, &[ended(&queue, 50)], &[], 55);
    assert_eq!((last[0].state, last[0].closed_at, last[0].score), (IncidentState::Closed, Some(min(50)), 4.0));
    assert_eq!(last[0].symptoms, ["latency_p95", "queue_depth"]);
    assert_eq!(last[0].root, third[0].root);
    assert!(last[0].summary.contains("latency_p95 up"), "{}", last[0].summary);
    assert!(run(&last, &[], &[], 60).is_empty());

    // Passed as recently closed, it opens again.
    let again = run(&last, &[on(IRIS, "latency_p95", 2.0, 70)], &[], 75);
    assert_eq!((again[0].state, &again[0].incident_id, again[0].closed_at), (IncidentState::Updated, &first[0].incident_id, None));
}

#[test]
fn an_incident_whose_signals_vanished_closes() {
    let latency = on(IRIS, "latency_p95", 2.0, 0);
    let first = run(&[], std::slice::from_ref(&latency), &[], 10);
    let rows = run(&first, &[], &[], 20);
    assert_eq!((rows[0].state, rows[0].closed_at), (IncidentState::Closed, Some(first[0].last_at)));
}

#[test]
fn the_signal_that_links_two_incidents_merges_them() {
    let (a, b) = (on(IRIS, "latency_p95", 2.0, 0), on(ROSE, "latency_p95", 5.0, 10));
    let before = run(&[], &[a.clone(), b.clone()], &[], 15);
    assert_eq!(before.len(), 2);
    let link = on("node=a-1", "gpu_xid_errors", 3.0, 12);
    let rows = run(&before, std::slice::from_ref(&link), &[a.clone(), b.clone()], 20);
    assert_eq!(rows.len(), 2);
    assert_eq!((&rows[0].incident_id, rows[0].state), (&before[0].incident_id, IncidentState::Updated));
    assert_eq!(rows[0].signals, [a.signal_id, b.signal_id, link.signal_id]);
    assert_eq!((&rows[1].incident_id, rows[1].state, rows[1].signals.len()), (&before[1].incident_id, IncidentState::Closed, 0));
    assert!(rows[1].title.contains(before[0].incident_id.as_str()) && rows[1].summary.starts_with("Merged into"));
}

#[test]
fn changes_before_it_are_told_newest_first() {
    let inventory = fleet();
    let change = |minutes: i64, kind: &str, entity: &str, summary: &str| Change {
        at: min(minutes),
        kind: kind.into(),
        entity: entity.parse().unwrap(),
        summary: summary.into(),
        recorded_at: min(minutes),
    };
    let changes = [
        change(-90, "pool_limit", "pool:a", "8 → 16"),
        change(-6, "revision", "endpoint:ml/iris", "revision iris-00041 → iris-00042"),
        change(-200, "revision", "endpoint:ml/iris", "revision iris-00040 → iris-00041"),
        change(-5, "revision", "endpoint:ml/rose", "revision rose-1 → rose-2"),
        change(5, "replicas", "endpoint:ml/iris", "replicas 2 → 3"),
    ];
    let rows = correlate(&lineage(&inventory), &inventory, &changes, &[], &[on(IRIS, "error_ratio", 3.0, 0)], &[], &moment(10));
    assert_eq!(rows[0].preceding_changes, ["revision iris-00041 → iris-00042, 6m before", "pool_limit 8 → 16 on pool:a, 1h 30m before"]);
    assert!(rows[0].summary.contains("Shortly after a change of pool_limit, revision"), "{}", rows[0].summary);
}

#[test]
fn a_long_history_in_one_round_gives_one_incident_for_each_fault() {
    let signals: Vec<Signal> = (0..13)
        .flat_map(|day| ["latency_p95", "error_ratio"].map(|m| on(IRIS, m, 2.0, day * 1440)))
        .flat_map(|s| {
            let end = (s.opened_at.secs() - min(0).secs()) / 60 + 30;
            [ended(&s, end), s]
        })
        .collect();
    let rows = run(&[], &signals, &[], 13 * 1440);
    assert_eq!(rows.len(), 13);
    assert!(rows.iter().all(|i| i.state == IncidentState::Closed && i.signals.len() == 2));
    assert_eq!(rows[2].closed_at, Some(min(2 * 1440 + 30)));
}

#[test]
fn thousands_of_signals_are_correlated_quickly() {
    let signals: Vec<Signal> =
        (0..5_000_i64).map(|i| ended(&on(&format!("namespace=ml,service=s{}", i % 97), "latency_p95", 2.0, i * 4), i * 4 + 20)).collect();
    let start = std::time::Instant::now();
    let rows = run(&[], &signals, &[], 20_000);
    assert_eq!(rows.len(), 5_000);
    assert!(start.elapsed().as_secs() < 10, "{:?} without optimisation on a busy machine", start.elapsed());
}

fn any_signal() -> impl Strategy<Value = Signal> {
    let place = prop_oneof![Just(IRIS), Just(ROSE), Just(TULIP), Just("node=a-1"), Just("pool=a"), Just("pool=b")];
    let metric = prop_oneof![Just("latency_p95"), Just("error_ratio"), Just("gpu_xid_errors")];
    (place, metric, 1_u32..50, 0_i64..300, proptest::option::of(5_i64..100), 0_u8..8).prop_map(
        |(place, metric, score, opened, lasted, column)| {
            let signal =
                if column == 0 { drift("s3://raw:orders", "amount", opened) } else { on(place, metric, f64::from(score) / 5.0, opened) };
            lasted.map_or(signal.clone(), |l| ended(&signal, opened + l))
        },
    )
}

proptest! {
    #[test]
    fn the_order_of_rows_does_not_matter(
        (old, old_shuffled) in proptest::collection::vec(any_signal(), 0..12).prop_flat_map(|v| (Just(v.clone()), Just(v).prop_shuffle())),
        (new, new_shuffled) in proptest::collection::vec(any_signal(), 0..12).prop_flat_map(|v| (Just(v.clone()), Just(v).prop_shuffle())),
    ) {
        let mut open = run(&[], &old, &[], 300);
        prop_assert_eq!(&open, &run(&[], &old_shuffled, &[], 300));
        let rows = run(&open, &new, &old, 400);
        open.reverse();
        prop_assert_eq!(&rows, &run(&open, &new_shuffled, &old_shuffled, 400));

        // Every open signal is in exactly one incident, and no incident id comes twice.
        let ids: BTreeSet<_> = rows.iter().map(|i| &i.incident_id).collect();
        prop_assert_eq!(ids.len(), rows.len());
        for signal in &new {
            prop_assert!(rows.iter().filter(|i| i.signals.contains(&signal.signal_id)).count() <= 1);
        }
        let known: BTreeSet<_> = old.iter().chain(&new).map(|s| &s.signal_id).collect();
        let held: BTreeSet<_> = rows.iter().chain(&open).flat_map(|i| &i.signals).collect();
        prop_assert_eq!(known, held);
    }
}
