//! The ledger in a bucket instead of a folder.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::bellwether::{Desk, Ran};
use crate::servers::{exchange, free_address, http, python, run, wait_for};

/// An S3 server with one bucket, `ledger`.
struct Bucket {
    process: Child,
    address: SocketAddr,
}

impl Bucket {
    fn start() -> Self {
        let address = free_address();
        let process = Command::new(python())
            .args(["-m", "moto.server", "-H", "127.0.0.1", "-p", &address.port().to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("Python runs");
        let server = Self { process, address };
        wait_for("S3 answers", Duration::from_secs(60), || {
            http(address, "/moto-api/data.json", None).is_some_and(|(status, _)| status == 200)
        });
        let (status, body) = exchange(address, "PUT", "/ledger", &[], "").expect("S3 answers");
        assert_eq!(status, 200, "{body}");
        server
    }

    /// A desk whose ledger is the folder `fleet` of this bucket.
    fn desk(&self, bucket: &str) -> Desk {
        let options = format!("{{aws_endpoint_url: 'http://{}', allow_http: 'true', aws_region: us-east-1}}", self.address);
        Desk::with(&format!("version: 1\nlake: {{url: 's3://{bucket}/fleet', options: {options}}}\n"))
    }
}

impl Drop for Bucket {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Runs the binary with the bucket's keys in the environment, where keys belong.
fn command(desk: &Desk, args: &[&str]) -> Command {
    let mut command = desk.command(args);
    command.env("AWS_ACCESS_KEY_ID", "somebody").env("AWS_SECRET_ACCESS_KEY", "hunter2");
    command
}

fn ran(desk: &Desk, args: &[&str]) -> Ran {
    Ran::of(command(desk, args).output().expect("the binary runs"))
}

fn count(desk: &Desk, query: &str) -> i64 {
    let rows = ran(desk, &["sql", "--output", "json", query]).expect(0).json();
    rows[0].as_object().and_then(|row| row.values().next()?.as_i64()).expect("one number")
}

/// Events of one job, one for each of `runs`.
fn events(job: &str, runs: std::ops::Range<u32>) -> String {
    let event = |i| {
        format!(
            r#"{{"eventType": "COMPLETE", "eventTime": "2026-06-01T10:00:00Z", "producer": "https://example.com", "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json", "run": {{"runId": "01890a5d-ac96-774b-bcce-{i:012}"}}, "job": {{"namespace": "etl", "name": "{job}"}}, "outputs": [{{"namespace": "s3://raw", "name": "{job}"}}]}}"#
        ) + "\n"
    };
    runs.map(event).collect()
}

#[test]
fn a_ledger_in_a_bucket_takes_many_writers_and_is_an_open_table() {
    let bucket = Bucket::start();
    let desk = bucket.desk("ledger");
    let writers: u32 = 4;
    for writer in 0..writers {
        desk.write(&format!("events-{writer}.jsonl"), &events(&format!("job-{writer}"), writer * 10..writer * 10 + 10));
    }
    // All at once: each commit is a conditional put, and who comes second tries again.
    let start = |writer: u32| {
        let file = format!("events-{writer}.jsonl");
        command(&desk, &["ingest", "lineage", "--file", &file])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs")
    };
    let racing: Vec<Child> = (0..writers).map(start).collect();
    for process in racing {
        Ran::of(process.wait_with_output().expect("the binary ends")).expect(0);
    }
    assert_eq!(count(&desk, "SELECT count(*) FROM lineage_events"), i64::from(writers) * 10);
    ran(&desk, &["ingest", "lineage", "--file", "events-0.jsonl"]).expect(0);
    assert_eq!(count(&desk, "SELECT count(*) FROM lineage_events"), i64::from(writers) * 10, "repeating an ingest adds nothing");
    assert!(ran(&desk, &["lake", "stat"]).expect(0).out.contains("lineage_events"));

    // Threads of its S3 client abort an ordinary end now and then: the answer is what counts.
    let read = "import os, sys, deltalake; o = {'endpoint_url': sys.argv[1], 'allow_http': 'true', 'region': 'us-east-1', 'access_key_id': 'a', 'secret_access_key': 'b'}; \
                print(deltalake.DeltaTable('s3://ledger/fleet/lineage_events', storage_options=o).to_pyarrow_table().num_rows, flush=True); os._exit(0)";
    let rows = run("deltalake", Command::new(python()).args(["-c", read]).arg(format!("http://{}", bucket.address)));
    assert_eq!(rows.trim(), (writers * 10).to_string(), "other programs read the same table");
}

#[test]
fn a_bucket_that_is_not_there_or_does_not_answer_is_named() {
    let bucket = Bucket::start();
    let missing = ran(&bucket.desk("nowhere"), &["sql", "SELECT count(*) FROM signals"]).expect(1);
    missing.says(&["NoSuchBucket", "check `lake` in the configuration"]);
    let desk = bucket.desk("ledger");
    drop(bucket);
    let down = ran(&desk, &["sql", "SELECT count(*) FROM signals"]).expect(1);
    down.says(&["127.0.0.1", "check `lake` in the configuration"]);
    for text in [&missing.err, &down.err] {
        assert!(!text.contains("hunter2"), "{text}");
    }
}
