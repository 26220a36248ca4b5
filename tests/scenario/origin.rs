//! Where a model comes from, as the real OpenLineage client tells it.

use std::process::Command;

use serde_json::{Value, json};

use crate::bellwether::Desk;
use crate::scenario::world::World;
use crate::servers::{python, run};

/// Two jobs, each with a start and an end, emitted with the client that Airflow, Spark and dbt integrations use.
const EMIT: &str = r#"
import datetime, json, sys, uuid
from openlineage.client import OpenLineageClient
from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState

client = OpenLineageClient(config={"transport": json.loads(sys.argv[1])})
at = datetime.datetime(2026, 6, 1, 10, tzinfo=datetime.timezone.utc)
for job, source, made in [("clean", ("s3://raw", "flowers"), ("s3://features", "iris")), ("train", ("s3://features", "iris"), ("s3://models", "iris/3"))]:
    run = Run(runId=str(uuid.uuid5(uuid.NAMESPACE_URL, job)))
    # The end is told first: events come out of order.
    for minute, state in [(9, RunState.COMPLETE), (0, RunState.START)]:
        client.emit(RunEvent(
            eventType=state, eventTime=at.replace(minute=minute).isoformat(), run=run, job=Job(namespace="airflow", name=job), producer="https://example.com/etl",
            inputs=[InputDataset(namespace=source[0], name=source[1])], outputs=[OutputDataset(namespace=made[0], name=made[1])]))
"#;

/// Has the client emit its four events by this transport.
pub(super) fn emit(desk: &Desk, transport: &Value) {
    desk.write("emit.py", EMIT);
    run("the OpenLineage client", Command::new(python()).arg("emit.py").arg(transport.to_string()).current_dir(desk.path()));
}

#[test]
fn an_endpoint_is_traced_to_the_raw_data_through_events_of_the_real_client() {
    let world = World::start();
    let desk = &world.desk;
    emit(desk, &json!({"type": "file", "log_file_path": "events.jsonl", "append": true}));
    // Every event comes twice, and one line is none.
    let events = desk.read("events.jsonl");
    assert_eq!(events.lines().count(), 4);
    desk.write("events.jsonl", &format!("{events}{events}{{\"eventType\": \"START\"}}\n"));
    desk.run("ingest lineage --file events.jsonl");
    desk.run("ingest inventory").expect(0);
    assert_eq!(desk.count("SELECT count(*) FROM lineage_events"), 4, "a repeated event is stored once");
    assert_eq!(desk.count("SELECT count(*) FROM rejects"), 1, "what is no event is kept with the reason");
    desk.run("ingest lineage --file events.jsonl");
    assert_eq!(desk.count("SELECT count(*) FROM lineage_events"), 4, "repeating an ingest adds nothing");

    assert_traced(&world);
}

/// Asserts that the endpoint is known to come from the raw data, and the raw data to feed the endpoint.
pub(super) fn assert_traced(world: &World) {
    let traced = world.desk.run(&format!("lineage endpoint:{} --upstream --output json", world.endpoint())).expect(0);
    assert!(traced.out.contains("flowers"), "{}", traced.out);
    let fed = world.desk.run("lineage dataset:s3://raw:flowers --downstream --output json").expect(0);
    assert!(fed.out.contains(&world.endpoint()), "{}", fed.out);
}
