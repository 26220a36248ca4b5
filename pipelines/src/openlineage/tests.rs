use serde_json::json;

use super::*;

fn redactor() -> Redactor {
    Redactor::new(b"a key of the tests", &[]).unwrap()
}

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

fn run_event() -> Value {
    json!({
        "eventType": "complete", "eventTime": "2026-01-01T00:00:00", "producer": "https://example/etl/1.0",
        "run": {"runId": "01890000-0000-7000-8000-000000000001", "facets": {"our_own": {"deep": [1, {"x": null}]}}},
        "job": {"namespace": "etl", "name": "orders.count"},
        "inputs": [{"namespace": "s3://raw", "name": "orders/2026", "facets": {
            "version": {"datasetVersion": "v7"},
            "dataQualityMetrics": {"rowCount": 100, "columnMetrics": {"amount": {"nullCount": 4, "min": 0.5, "max": 9, "sum": 300.0, "quantiles": {"0.5": 3.0, "7": 1.0}}, "other": {"count": 9}}}},
            "inputFacets": {"dataQualityMetrics": {"columnMetrics": {"other": {"count": 3.0, "distinctCount": 2}}}}}],
        "outputs": [{"namespace": "postgres://db:5432", "name": "shop.public.daily", "facets": {"version": {"_deleted": true, "datasetVersion": "v1"}}}],
    })
}

#[test]
fn a_run_event_gives_its_datasets_and_columns() {
    let parsed = parse(&run_event(), &redactor(), NOW).unwrap();
    assert_eq!((parsed.event.event_type.as_str(), parsed.event.event_time.to_string().as_str()), ("COMPLETE", "2026-01-01T00:00:00Z"));
    let io: Vec<_> = parsed.io.iter().map(|io| (io.flow, io.dataset().to_string(), io.dataset_version.as_deref())).collect();
    assert_eq!(
        io,
        [
            (Flow::Input, "s3://raw:orders/2026".to_owned(), Some("v7")),
            (Flow::Output, "postgres://db:5432:shop.public.daily".to_owned(), None)
        ]
    );
    let [amount, other] = parsed.profiles.as_slice() else { panic!("{:?}", parsed.profiles) };
    assert_eq!((amount.count, amount.null_count, amount.min, amount.max, amount.sum), (96, 4, Some(0.5), Some(9.0), Some(300.0)));
    assert_eq!(amount.quantiles, [("0.5".to_owned(), 3.0)].into());
    assert_eq!((other.count, other.distinct_count), (3, Some(2)));
    let body: Value = serde_json::from_str(&parsed.event.body).unwrap();
    assert_eq!(body["run"]["facets"], run_event()["run"]["facets"]);
}

#[test]
fn the_same_event_has_the_same_id_whatever_the_order_of_its_keys() {
    let event = run_event();
    let shuffled: serde_json::Map<String, Value> = event.as_object().unwrap().clone().into_iter().rev().collect();
    let mut events = Events::default();
    for event in [&event, &Value::Object(shuffled), &json!({"eventTime": 5})] {
        events.add(event, "openlineage", "post", &redactor(), NOW);
    }
    assert_eq!((events.parsed.len(), events.rejects.len()), (1, 1));
    assert_eq!(events.rejects[0].reason, "/eventTime: must be text, as 2026-01-31T08:00:00Z");
}

#[test]
fn events_without_a_run_are_taken_too() {
    let time = "2026-01-01";
    let dataset = json!({"eventTime": time, "dataset": {"namespace": "s3://raw", "name": "orders", "facets": {"dataQualityMetrics": {"columnMetrics": {"a": {"count": 1}}}}}});
    let parsed = parse(&dataset, &redactor(), NOW).unwrap();
    assert_eq!((parsed.event.event_type.as_str(), parsed.profiles.len(), parsed.event.job_name.as_str()), ("DATASET", 1, ""));
    let job = json!({"eventTime": time, "job": {"namespace": "etl", "name": "j"}, "outputs": [{"namespace": "file", "name": "/x"}]});
    let parsed = parse(&job, &redactor(), NOW).unwrap();
    assert_eq!((parsed.event.event_type.as_str(), parsed.io[0].job().to_string().as_str()), ("JOB", "etl:j"));
    let typeless = json!({"eventTime": time, "run": {"runId": "r"}, "job": {"namespace": "etl", "name": "j"}});
    assert_eq!(parse(&typeless, &redactor(), NOW).unwrap().event.event_type, "OTHER");
}

#[test]
fn what_is_wrong_is_named_by_its_pointer() {
    let mut without_name = run_event();
    without_name["outputs"][0]["name"] = Value::Null;
    let cases = [
        (json!([]), ""),
        (json!({"eventTime": "2026-01-01"}), ""),
        (json!({"eventTime": "yesterday", "job": {"namespace": "a", "name": "b"}}), "/eventTime"),
        (json!({"eventTime": "2026-01-01", "run": {"runId": "r"}}), "/job"),
        (json!({"eventTime": "2026-01-01", "run": {"runId": 7}, "job": {"namespace": "a", "name": "b"}}), "/run/runId"),
        (json!({"eventTime": "2026-01-01", "job": {"namespace": "a", "name": ""}}), "/job/name"),
        (json!({"eventTime": "2026-01-01", "job": {"namespace": "a", "name": "b"}, "inputs": {}}), "/inputs"),
        (without_name, "/outputs/0/name"),
    ];
    for (event, pointer) in cases {
        assert_eq!(parse(&event, &redactor(), NOW).unwrap_err().pointer, pointer, "{event}");
    }
}

#[test]
fn personal_data_is_not_kept() {
    let mut event = run_event();
    event["run"]["facets"]["errorMessage"] = json!({"message": "ann.lee@example.org may not read it"});
    let parsed = parse(&event, &redactor(), NOW).unwrap();
    assert!(!parsed.event.body.contains("ann.lee@example.org"), "{}", parsed.event.body);
}

#[test]
fn files_hold_one_event_or_a_list_or_lines() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("events.jsonl");
    let event = run_event();
    let pretty = serde_json::to_string_pretty(&event).unwrap();
    for (content, parsed, rejects) in
        [(pretty, 1, 0), (json!([event, {}]).to_string(), 1, 1), (format!("{event}\n\n{{broken\n{event}\n"), 1, 1)]
    {
        std::fs::write(&path, content).unwrap();
        let events = read_file(&path, &redactor(), NOW).unwrap();
        assert_eq!((events.parsed.len(), events.rejects.len()), (parsed, rejects));
    }
    let events = read_file(&path, &redactor(), NOW).unwrap();
    assert!(events.rejects[0].place.ends_with("events.jsonl:3"), "{}", events.rejects[0].place);
}
