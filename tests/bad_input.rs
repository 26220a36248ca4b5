//! Wrong input and failing surroundings: one clear error, and nothing that is stored is lost or changed.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use serde_json::{Value, json};

use crate::bellwether::{Desk, Ran, binary};
use crate::servers::{OpenMetrics, Prometheus, Served, free_address, now, wait_for};

/// A past run, as a line of JSONL.
fn past_run(id: &str, summary: &str) -> String {
    let at = "2026-06-01T10:00:00Z";
    let run = json!({"run_id": id, "workflow_id": "w", "playbook_id": "scale-out", "status": "succeeded", "started_at": at, "updated_at": at, "summary": summary});
    format!("{run}\n")
}

/// What a ledger holds: tables, versions, files, rows, bytes.
fn stored(desk: &Desk) -> Value {
    desk.run("lake stat --check --output json").expect(0).json()
}

#[test]
fn wrong_input_gets_one_error_and_changes_nothing_that_is_stored() {
    const CONFIG: &str = "version: 1\nruns: {files: [runs.jsonl]}\ngovernance: {blueprints: blueprints, playbooks: playbooks}\n";
    const PLAYBOOK: &str =
        "id: p\nname: P\ndescription: Scales.\nversion: 1.0.0\ntarget: endpoint\nactions: [{verb: advise, text: Scale it.}]\n";
    const BLUEPRINT: &str = "metadata: {name: iris, version: 1.0.0}\nspec:\n  scaling: {min_replicas: 1, max_replicas: 6}\n";
    let desk = Desk::with(CONFIG);
    let rightly = [("bellwether.yaml", CONFIG), ("playbooks/p.yaml", PLAYBOOK), ("blueprints/iris.yaml", BLUEPRINT)];
    rightly.iter().for_each(|(file, text)| desk.write(file, text));
    desk.write("runs.jsonl", &past_run("r-1", "latency was high"));
    desk.run("round").expect(0);
    let before = stored(&desk);

    // A file, its wrong text, what is run, and what the error says.
    let unknown_key = CONFIG.replace("runs:", "runz:");
    let unknown_verb = PLAYBOOK.replace("advise", "delete_everything");
    let no_number = BLUEPRINT.replace("max_replicas: 6", "max_replicas: six");
    let no_yaml = BLUEPRINT.replace("max_replicas: 6}", "max_replicas: 6");
    let backwards = BLUEPRINT.replace("min_replicas: 1", "min_replicas: 9");
    let cases: [(&str, &str, &[&str], &[&str]); 8] = [
        ("bellwether.yaml", &unknown_key, &["round"], &["bellwether.yaml:2:1", "runz", "runs"]),
        ("playbooks/p.yaml", &unknown_verb, &["round"], &["playbooks/p.yaml:6:", "delete_everything"]),
        ("blueprints/iris.yaml", &no_number, &["round"], &["blueprints/iris.yaml:3:44: this is not a whole number"]),
        ("blueprints/iris.yaml", &no_yaml, &["round"], &["blueprints/iris.yaml:"]),
        ("blueprints/iris.yaml", &backwards, &["round"], &["blueprints/iris.yaml:3:"]),
        ("bellwether.yaml", CONFIG, &["sql", "DELETE FROM runs"], &["read"]),
        ("bellwether.yaml", CONFIG, &["sql", "DROP TABLE runs"], &["read"]),
        ("bellwether.yaml", CONFIG, &["approve", "plan-1", "--token-file", "playbooks/p.yaml"], &[]),
    ];
    for (file, text, args, words) in cases {
        desk.write(file, text);
        let ran = desk.run_args(args).expect(1);
        assert_eq!(ran.err.matches("error: ").count(), 1, "one error: {}", ran.err);
        assert!(!ran.err.contains("this is a bug") && !ran.err.contains("panicked"), "{}", ran.err);
        ran.says(words);
        rightly.iter().for_each(|(file, text)| desk.write(file, text));
        assert_eq!(stored(&desk), before, "after {file} with {args:?}");
    }
    desk.run("audit verify").expect(0);
}

#[test]
fn sources_that_do_not_answer_are_named_and_stop_neither_the_others_nor_the_round() {
    let (prometheus, postgres) = (free_address(), free_address());
    let desk = Desk::with(&format!(
        "version: 1\nprometheus: {{url: 'http://{prometheus}', packs: [prometheus]}}\n\
         runs: {{postgres: {{dsn: 'postgresql://ann:hunter2@{postgres}/runs'}}, files: [runs.jsonl]}}\n"
    ));
    desk.write("runs.jsonl", &past_run("r-1", "latency was high"));
    let ran = desk.run("round").expect(1);
    ran.says(&[&format!("no Prometheus answers at http://{prometheus}"), "no PostgreSQL answers at postgresql://ann"]);
    assert!(ran.err.matches("Connection refused").count() == 2 && !ran.err.contains("error sending request"), "each once: {}", ran.err);
    assert!(!ran.err.contains("hunter2") && !ran.out.contains("hunter2"), "a password is not shown: {}{}", ran.out, ran.err);
    assert_eq!(desk.count("SELECT count(*) FROM workflow_runs"), 1);
    assert_eq!(desk.count("SELECT count(*) FROM rounds"), 1);
}

#[test]
fn values_that_are_no_numbers_are_counted_and_kept_out() {
    let until = now() / 60 * 60;
    let mut history = OpenMetrics::default();
    history.family("ratio", "gauge");
    for step in 0..60 {
        let value = match step {
            7 => f64::INFINITY,
            8 => f64::NEG_INFINITY,
            step if step % 10 == 0 => f64::NAN,
            step => 0.5 + f64::from(step % 3) / 100.0,
        };
        history.sample("ratio{service=\"some\"}", value, until - 60 * i64::from(59 - step));
    }
    for step in 0..60 {
        history.sample("ratio{service=\"none\"}", f64::NAN, until - 60 * (59 - step));
    }
    // A target that is there for a while, and then is gone: Prometheus marks its series as stale.
    let there = Arc::new(AtomicBool::new(true));
    let shown = there.clone();
    let exposition = move || async move { if shown.load(Ordering::Relaxed) { "depth{service=\"some\"} 3\n" } else { "" } };
    let target = Served::start(Router::new().route("/metrics", get(exposition)));
    let prometheus = Prometheus::start(history, Some(target.address()));
    wait_for("the target was scraped", Duration::from_secs(60), || {
        prometheus.values("count_over_time(depth[1m])").first().is_some_and(|scrapes| *scrapes >= 4.0)
    });
    there.store(false, Ordering::Relaxed);
    wait_for("its series is stale", Duration::from_secs(60), || prometheus.values("depth").is_empty());
    let gone = now();
    wait_for("time has passed since", Duration::from_secs(60), || now() > gone + 3);

    let desk = Desk::with(&format!("version: 1\nprometheus: {{url: '{}', rules: [rules.yaml]}}\n", prometheus.url()));
    desk.write(
        "rules.yaml",
        "rules:\n  - {name: ratio, expr: ratio, step: 1m, detect: [{method: zscore}, {method: ewma}]}\n  - {name: depth, expr: depth, step: 1s}\n",
    );
    let until = bellwether_model::time::Timestamp::from_secs(until);
    let told = desk.run(&format!("ingest --backfill 59m --until {until} --output json")).expect(0).json();
    let counted = |what: &str| told["sources"][0][what].as_u64().unwrap_or_default();
    assert!(counted("no_value") >= 60 + 6 - 2, "what has no value is counted: {told:#}");
    assert_eq!(counted("rejected"), 2, "what is infinite is refused: {told:#}");
    desk.run("ingest").expect(0);

    let per_series = |condition: &str| desk.count(&format!("SELECT count(*) FROM samples JOIN series USING (series_id) WHERE {condition}"));
    assert_eq!(per_series("metric = 'ratio' AND (value <> value OR abs(value) > 1)"), 0);
    // 60 values without 6 that are no number and 2 that are infinite; the edges of the range may or may not belong to it.
    let kept = per_series(&format!("metric = 'ratio' AND ts <= '{until}'"));
    assert!((50..=52).contains(&kept), "{kept}");
    assert!(per_series("metric = 'depth'") >= 3);
    let after = bellwether_model::time::Timestamp::from_secs(gone);
    assert_eq!(per_series(&format!("metric = 'depth' AND ts > '{after}'")), 0, "a stale series has no value");
    let reasons = desk.sql("SELECT DISTINCT reason FROM rejects");
    assert!(reasons.len() == 1 && reasons[0]["reason"] == "infinite", "no value is no mistake: {reasons:?}");
    desk.run("round --no-ingest").expect(0);
    assert_eq!(desk.count("SELECT count(*) FROM signals"), 0, "gaps are no deviation");
}

#[test]
fn columns_without_values_or_variety_are_judged_without_a_number_that_is_none() {
    let desk = Desk::new();
    let rows = |row: fn(u32) -> String| (0..300).map(row).collect::<String>();
    let head = "varied,constant,moved,nothing,lost\n";
    desk.write("then.csv", &format!("{head}{}", rows(|n| format!("{},7,7,,{}\n", n % 17, n % 5))));
    desk.write("now.csv", &format!("{head}{}", rows(|n| format!("{},7,9,,\n", (n + 3) % 17))));
    desk.write("empty.csv", head);

    let verdicts = |told: &Value| -> Vec<(String, String)> {
        let text = |row: &Value, field: &str| row[field].as_str().expect("the field is text").to_owned();
        let mut found: Vec<_> =
            told["columns"].as_array().expect("a list").iter().map(|row| (text(row, "column"), text(row, "verdict"))).collect();
        found.sort();
        found
    };
    let pairs = |all: [(&str, &str); 5]| all.map(|(column, verdict)| (column.to_owned(), verdict.to_owned())).to_vec();
    let told = desk.run("drift then.csv now.csv --output json").expect(0).json();
    let expected = [("constant", "pass"), ("lost", "fail"), ("moved", "fail"), ("nothing", "no_data"), ("varied", "pass")];
    assert_eq!(verdicts(&told), pairs(expected), "{told:#}");
    desk.run("drift then.csv now.csv --fail-on column").expect(3).says(&["2 of 4 columns drifted"]);

    for (files, verdict) in [("then.csv empty.csv", "no_data"), ("empty.csv empty.csv", "no_data"), ("empty.csv now.csv", "inconclusive")] {
        let told = desk.run(&format!("drift {files} --output json")).expect(0).json();
        assert_eq!(told["drifted"], 0, "no rows are no finding ({files}): {told:#}");
        assert!(verdicts(&told).contains(&("varied".to_owned(), verdict.to_owned())), "{files}: {told:#}");
        assert!(verdicts(&told).iter().all(|(_, found)| found != "pass"), "and nothing to be glad of ({files}): {told:#}");
    }

    desk.write("void.csv", "");
    desk.run("drift then.csv void.csv").expect(1).says(&["void.csv is empty"]);
    desk.write("ragged.csv", "varied,constant\n1,7\n1,7,9\n");
    let ragged = desk.run("drift then.csv ragged.csv").expect(1);
    assert_eq!(ragged.err.lines().count(), 1, "one clear error: {}", ragged.err);
    ragged.says(&["ragged.csv:3: found more cells than the 2 of the first line"]);
    desk.write("half.parquet", "PAR1");
    desk.run("drift then.csv half.parquet").expect(1).says(&["half.parquet is not a Parquet file"]);
    desk.run("drift then.csv missing.csv").expect(1).says(&["missing.csv cannot be read"]);
}

/// Ingests a little, then more than there is space for, looks, makes room, and repeats. `$1` is the binary; `FILL` is how the space
/// is limited, `$2` how room is made.
const FULL_DISK: &str = r#"
"$1" ingest runs --file few.jsonl >/dev/null || exit 90
(FILL; "$1" ingest runs --file many.jsonl >/dev/null 2>full.err); echo $? >full.code
"$1" sql --output json 'SELECT count(*) AS n FROM workflow_runs' >full.json || exit 91
"$1" lake stat --check >/dev/null || exit 92
eval "$2"
"$1" ingest runs --file many.jsonl >/dev/null || exit 93
"$1" sql --output json 'SELECT count(*) AS n FROM workflow_runs' >end.json || exit 94
"#;

#[test]
fn a_full_disk_is_named_and_nothing_is_lost() {
    let desk = Desk::with("version: 1\nlake: {url: disk/ledger}\nredaction: {key_file: disk/redaction.key}\n");
    std::fs::create_dir(desk.path().join("disk")).expect("the test's folder is writable");
    desk.write("few.jsonl", &past_run("r-1", "latency was high"));
    // Texts that hardly compress: three megabytes of them.
    let words = |n: u64| (0..24).fold(String::new(), |text, k| format!("{text} {:x}", (n * 24 + k).wrapping_mul(0x9E37_79B9_7F4A_7C15)));
    let many: String = (0..8_000).map(|n| past_run(&format!("m-{n}"), &words(n))).collect();
    desk.write("many.jsonl", &many);

    // A file system of one megabyte, seen by these processes alone. Where mounting is not allowed, a limit on the size of files.
    let mount = "mount -t tmpfs -o size=1m tmpfs disk";
    let unshare = ["-m", "-rm"].into_iter().find(|flag| {
        let tried = Command::new("unshare").args([flag, "sh", "-c", mount]).current_dir(desk.path()).output();
        tried.is_ok_and(|output| output.status.success())
    });
    let shell = match unshare {
        Some(flag) => {
            let script = format!("{mount} || exit 89\n{}", FULL_DISK.replace("FILL", ":"));
            vec!["unshare".to_owned(), flag.to_owned(), "sh".to_owned(), "-c".to_owned(), script]
        }
        None => vec!["sh".to_owned(), "-c".to_owned(), FULL_DISK.replace("FILL", "trap '' XFSZ; ulimit -f 512")],
    };
    let (room, cause) = match unshare {
        Some(_) => ("mount -o remount,size=64m disk", "no space left for table runs"),
        None => ("", "File too large"),
    };
    let mut command = Command::new(&shell[0]);
    command.args(&shell[1..]).arg("sh").arg(binary()).arg(room).current_dir(desk.path()).env("NO_COLOR", "1");
    Ran::of(command.output().expect("a shell can be started")).expect(0);

    let error = desk.read("full.err");
    assert_eq!(desk.read("full.code").trim(), "1", "{error}");
    assert!(error.starts_with("error: ") && error.contains(cause), "{error}");
    let count = |file: &str| serde_json::from_str::<Value>(&desk.read(file)).expect("rows are JSON")[0]["n"].clone();
    assert_eq!(count("full.json"), json!(1), "what was stored before is there");
    assert_eq!(count("end.json"), json!(8_001), "and with room, all of it is stored once");
}
