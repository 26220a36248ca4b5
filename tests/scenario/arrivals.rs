//! What comes in: run history from PostgreSQL, inventory from Kubernetes.

use std::io::Write as _;
use std::time::Duration;

use serde_json::json;

use super::world::World;
use crate::bellwether::Desk;
use crate::servers::{Postgres, wait_for};

#[test]
fn every_run_of_a_postgresql_arrives_once_late_commits_and_equal_times_included() {
    let postgres = Postgres::start();
    postgres.sql(
        "CREATE TABLE workflow_runs (run_id text PRIMARY KEY, workflow_id text, playbook_id text, status text, started_at timestamptz,
             finished_at timestamptz, summary text, actor text, region text, updated_at timestamptz NOT NULL);
         INSERT INTO workflow_runs
             SELECT 'r-' || n, 'w', 'scale-out', 'running', '2026-06-01T10:00:00Z', NULL, 'latency of iris, call +1 415 555 2671 or ann@example.com',
                 'Ann Lee', 'eu', '2026-06-01T10:05:00Z' FROM generate_series(1, 7) n",
    );
    // A transaction that is open while others are read, and whose row is older than theirs when it comes.
    let mut late = postgres.session();
    let session = late.stdin.as_mut().expect("the session's input is a pipe");
    writeln!(session, "BEGIN; INSERT INTO workflow_runs (run_id, status, updated_at) VALUES ('r-0', 'failed', '2026-06-01T10:04:00Z');")
        .expect("psql reads");
    wait_for("the late transaction is open", Duration::from_secs(10), || {
        postgres.sql("SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'").trim() == "1"
    });

    // Pages of two rows: rows of equal time lie on both sides of a page's end.
    let desk = Desk::with(&format!("version: 1\nruns: {{postgres: {{dsn: '{}', page: 2}}}}\n", postgres.dsn()));
    desk.run("ingest runs").expect(0);
    assert_eq!(desk.count("SELECT count(*) FROM workflow_runs"), 7);

    let session = late.stdin.as_mut().expect("the session's input is a pipe");
    writeln!(session, "COMMIT;").expect("psql reads");
    drop(late.stdin.take());
    assert!(late.wait().expect("psql ends").success());
    postgres.sql("UPDATE workflow_runs SET status = 'succeeded', updated_at = '2026-06-01T10:06:00Z' WHERE run_id = 'r-3'");
    desk.run("ingest runs").expect(0);
    let states = desk.sql("SELECT run_id, status FROM workflow_runs WHERE run_id IN ('r-0', 'r-3') ORDER BY run_id");
    assert_eq!(json!(states), json!([{"run_id": "r-0", "status": "failed"}, {"run_id": "r-3", "status": "succeeded"}]));
    assert_eq!(desk.count("SELECT count(*) FROM workflow_runs"), 8);

    let rows = desk.count("SELECT count(*) FROM runs");
    desk.run("ingest runs").expect(0);
    assert_eq!(desk.count("SELECT count(*) FROM runs"), rows, "repeating an ingest adds nothing");

    let one = desk.sql("SELECT * FROM workflow_runs WHERE run_id = 'r-1'")[0].to_string();
    assert!(one.contains("region") && one.contains("latency of iris"), "unknown columns are kept: {one}");
    for secret in ["415 555 2671", "ann@example.com", "Ann Lee"] {
        assert!(!one.contains(secret), "{secret} was stored: {one}");
    }
}

#[test]
fn the_fleet_is_read_from_kubernetes_once() {
    let world = World::start();
    world.desk.run("ingest inventory").expect(0);
    let ours = format!("endpoint LIKE '{}/%'", world.cluster.namespace());
    let endpoints = format!("SELECT endpoint, model_uri, min_replicas, max_replicas FROM endpoints_current WHERE {ours} ORDER BY endpoint");
    let endpoints = world.desk.sql(&endpoints);
    let iris = json!({"endpoint": world.endpoint(), "model_uri": "s3://models/iris/3", "min_replicas": 1, "max_replicas": 3});
    assert_eq!(endpoints.len(), super::world::SERVICES.len());
    assert_eq!(endpoints[1], iris);
    let rows = world.desk.count("SELECT count(*) FROM endpoints");
    world.desk.run("ingest inventory").expect(0);
    assert_eq!(world.desk.count("SELECT count(*) FROM endpoints"), rows, "repeating an ingest adds nothing");
}
