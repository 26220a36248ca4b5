//! What a person meets at the command line, and what wrong input gets.

use std::fs;

use serde_json::json;

use crate::bellwether::Desk;

#[test]
fn help_names_every_command_and_the_first_steps() {
    let ran = Desk::new().run("--help").expect(0);
    let commands = [
        "init",
        "doctor",
        "demo",
        "ingest",
        "detect",
        "drift",
        "backtest",
        "eval",
        "signals",
        "incidents",
        "explain",
        "label",
        "recommend",
        "plan",
        "approve",
        "act",
        "round",
        "report",
        "serve",
        "sql",
        "lineage",
        "token",
        "audit",
        "lake",
        "embeddings",
        "models",
        "completions",
    ];
    for command in commands {
        assert!(ran.out.lines().any(|line| line.split_whitespace().next() == Some(command)), "{command} is not in\n{}", ran.out);
    }
    assert!(ran.out.contains("First steps") && ran.out.contains("Exit codes"), "{}", ran.out);
}

#[test]
fn help_is_short_until_it_is_asked_to_teach() {
    let desk = Desk::new();
    for command in ["signals", "round", "drift"] {
        let short = desk.run(&format!("{command} -h")).expect(0).out;
        let long = desk.run(&format!("{command} --help")).expect(0).out;
        assert!(!short.contains("Examples:") && long.contains("Examples:\n  bellwether "), "{short}\n{long}");
        assert!(short.contains("Common options:"), "{short}");
    }
}

#[test]
fn commands_that_are_told_can_be_pasted() {
    let desk = Desk::new();
    desk.write("fleet/b.yaml", "version: 1\n");
    desk.run("-c fleet/b.yaml incidents show inc-none").expect(1).says(&["`bellwether -c fleet/b.yaml incidents`"]);
    let report = desk.run("-c fleet/b.yaml report").expect(0).out;
    assert!(report.contains("\n  bellwether -c fleet/b.yaml ingest --backfill 14d"), "{report}");
    let named = desk.command(&["report"]).env("BELLWETHER_CONFIG", "fleet/b.yaml").output().expect("the binary runs");
    assert!(String::from_utf8_lossy(&named.stdout).contains("\n  bellwether ingest"), "what the environment names need not be typed");
}

#[test]
fn lists_say_what_they_are_empty_of() {
    let desk = Desk::with("version: 1\n");
    assert_eq!(desk.run("signals --open").expect(0).out.trim(), "no signal is open");
    assert_eq!(desk.run("incidents --since 24h").expect(0).out.trim(), "no incident was open since then");
    assert_eq!(desk.run("signals --output json").expect(0).out.trim(), "[]");
    desk.run("signals show sig-1").expect(1).says(&["there is no signal \"sig-1\"", "hint: "]);
    desk.run("signals --since yesterday").expect(2).says(&["such as 24h"]);
}

#[test]
fn usage_errors_have_their_own_exit_code() {
    let desk = Desk::new();
    desk.run("rounds").expect(2).says(&["round"]);
    desk.run("label x maybe").expect(2).says(&["not-an-incident"]);
    desk.run("ingest --backfill soon").expect(2).says(&["--backfill"]);
}

#[test]
fn completions_are_made_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = Desk::new().run(&format!("completions {shell}")).expect(0);
        assert!(ran.out.contains("ingest"), "{shell}: {}", ran.out);
    }
}

#[test]
fn a_missing_configuration_says_how_to_get_one() {
    let ran = Desk::new().run("signals").expect(1);
    insta::assert_snapshot!(ran.err, @r"
    error: cannot read the configuration bellwether.yaml: No such file or directory (os error 2)
    hint: write one with `bellwether init --prom URL`, name another with --config, or try `bellwether demo`, which needs none
    ");
}

#[test]
fn an_unknown_key_of_the_configuration_names_the_nearest_known() {
    let ran = Desk::with("version: 1\nlake:\n  ulr: ledger\n").run("signals").expect(1);
    ran.says(&["bellwether.yaml:3", "ulr", "url"]);
}

#[test]
fn failures_are_json_where_json_was_asked_for() {
    let ran = Desk::new().run("signals --output json").expect(1);
    let error: serde_json::Value = serde_json::from_str(&ran.err).expect("one JSON document on standard error");
    assert_eq!(error["error"]["kind"], "config");
    assert!(ran.out.is_empty(), "{}", ran.out);
}

#[test]
fn a_table_that_is_not_there_is_told_with_the_nearest_one() {
    let desk = Desk::with("version: 1\n");
    desk.run_args(&["sql", "SELECT * FROM incident_current"]).expect(1).says(&[
        "incident_current",
        "did you mean incidents_current?",
        "SHOW TABLES",
    ]);
}

#[test]
fn the_tables_are_listed_with_what_a_row_is() {
    let desk = Desk::with("version: 1\n");
    let shown: serde_json::Value =
        serde_json::from_str(&desk.run_args(&["sql", "show tables;", "--output", "json"]).expect(0).out).expect("JSON");
    let rows = shown.as_array().expect("rows");
    let row = |name: &str| rows.iter().find(|r| r["table_name"] == name).map(|r| r["a_row_is"].as_str().expect("words").len());
    assert!(row("incidents").is_some_and(|n| n > 10) && row("incidents_current").is_some_and(|n| n > 10), "{shown}");
    assert!(rows.iter().all(|r| !r["table_name"].as_str().is_some_and(|n| n == "columns" || n == "df_settings")), "{shown}");
}

#[test]
fn mistakes_of_a_query_are_not_called_bugs() {
    let desk = Desk::with("version: 1\n");
    for query in ["SELECT 1/0", "SELECT CAST('x' AS INT)", "SELECT * FROM samples WHERE ts >= 'yesterday'"] {
        let ran = desk.run_args(&["sql", query]).expect(1);
        assert!(ran.err.starts_with("error: the query is wrong: ") && !ran.err.contains("bug"), "{query}: {}", ran.err);
    }
    desk.run_args(&["sql", "INSERT INTO labels VALUES (1)"]).expect(1).says(&["read-only"]);
    let ran = desk.run_args(&["sql", "--limit", "2", "--output", "json", "SELECT * FROM (VALUES (1), (2), (3))"]).expect(0);
    ran.says(&["the first 2 rows"]);
    assert_eq!(ran.json().as_array().map(Vec::len), Some(2));
}

#[test]
fn what_is_wrong_with_a_query_is_said_once() {
    let desk = Desk::with("version: 1\n");
    let ran = desk.run_args(&["sql", "SELEC 1"]).expect(1);
    ran.says(&["Line: 1, Column: 1"]);
    assert_eq!(ran.err.matches("SELEC").count(), 1, "{}", ran.err);
    assert!(!ran.err.contains("ParserError"), "{}", ran.err);
}

#[test]
fn sql_that_writes_is_refused() {
    let desk = Desk::with("version: 1\n");
    for query in [
        "DELETE FROM signals",
        "INSERT INTO labels SELECT * FROM labels",
        "CREATE TABLE t AS SELECT 1",
        "DROP TABLE signals",
        "COPY signals TO 'x.csv'",
    ] {
        let ran = desk.run_args(&["sql", query]).expect(1);
        assert!(ran.err.starts_with("error: ") && ran.err.contains("read"), "{query}: {}", ran.err);
    }
    assert_eq!(desk.count("SELECT 1 + 1"), 2);
}

#[test]
fn a_wrong_name_in_sql_is_explained() {
    let desk = Desk::with("version: 1\n");
    desk.run_args(&["sql", "SELECT * FROM signalz"]).expect(1).says(&["signalz"]);
    desk.run_args(&["sql", "SELECT nothing FROM signals"]).expect(1).says(&["nothing"]);
}

#[test]
fn an_unknown_dataset_is_said_to_be_unknown() {
    let desk = Desk::with("version: 1\n");
    desk.run("lineage dataset:s3://x:y").expect(1).says(&["nothing is known of", "hint: "]);
    desk.run("lineage model").expect(1).says(&["nothing is known of model", "no lineage yet"]);
}

#[test]
fn tokens_carry_known_roles_for_a_limited_time_and_the_key_is_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let desk = Desk::with("version: 1\n");
    let ran = desk.run("token issue --subject ann --role org-admin").expect(0);
    assert_eq!(ran.out.trim().split('.').count(), 3, "{}", ran.out);
    let mode = fs::metadata(desk.path().join("token-key.pem")).expect("the key is made on first use").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    desk.run("token issue --subject ann --role emperor").expect(1).says(&["emperor"]);
    desk.run("token issue --subject ann --role viewer --ttl 90d").expect(1).says(&["30 days"]);
}

#[test]
fn the_audit_chain_of_an_empty_ledger_holds() {
    Desk::with("version: 1\n").run("audit verify").expect(0);
}

#[test]
fn the_environment_overrides_the_configuration_and_is_named_when_wrong() {
    let desk = Desk::with("version: 1\n");
    let output = desk.command(&["signals"]).env("BELLWETHER__ACT__MODE", "yolo").output().expect("the binary runs");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("BELLWETHER__ACT__MODE"));
    let output = desk.command(&["signals"]).env("BELLWETHER__LAKE__URL", "elsewhere").output().expect("the binary runs");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}

/// One past run, as JSONL.
const RUN: &str = concat!(
    r#"{"run_id":"r-1","workflow_id":"w","playbook_id":"scale-out","status":"succeeded","started_at":"2026-06-01T10:00:00Z","#,
    r#""finished_at":"2026-06-01T10:05:00Z","updated_at":"2026-06-01T10:05:00Z","target":"endpoint:ml/iris","summary":"latency was high"}"#,
    "\n"
);

#[test]
fn a_malformed_blueprint_is_shown_where_it_is_wrong() {
    let desk = Desk::with("version: 1\ngovernance: {blueprints: blueprints}\n");
    desk.write("blueprints/iris.yaml", "metadata: {name: iris, version: 1.0.0}\nspec:\n  scaling:\n    min_replicas: many\n");
    desk.run("round --no-ingest").expect(1).says(&["blueprints/iris.yaml:4:"]);
    desk.write("blueprints/iris.yaml", "metadata: {name: iris, version: 1.0.0}\nspec:\n  scalling:\n    min_replicas: 1\n");
    desk.run("round --no-ingest").expect(1).says(&["blueprints/iris.yaml:3:", "scaling"]);
}

#[test]
fn an_unknown_verb_of_a_playbook_names_the_nearest_known() {
    let desk = Desk::with("version: 1\ngovernance: {playbooks: playbooks}\n");
    let playbook =
        "id: p\nname: P\ndescription: Scales.\nversion: 1.0.0\ntarget: endpoint\nactions:\n  - verb: scale_endpiont\n    add_min: 1\n";
    desk.write("playbooks/p.yaml", playbook);
    desk.run("round --no-ingest").expect(1).says(&["playbooks/p.yaml:7:", "scale_endpiont", "scale_endpoint"]);
}

#[test]
fn a_truncated_file_of_the_ledger_is_found_and_named() {
    let desk = Desk::with("version: 1\nruns: {files: [runs.jsonl]}\n");
    desk.write("runs.jsonl", RUN);
    desk.run("ingest").expect(0);
    desk.run("lake stat --check").expect(0);
    let file = parquet_file(&desk.path().join("ledger")).expect("what was ingested is in a Parquet file");
    let whole = fs::read(&file).expect("the file is readable");
    fs::write(&file, &whole[..whole.len() / 2]).expect("the file is writable");
    let name = file.file_name().expect("a file has a name").to_string_lossy().into_owned();
    let ran = desk.run("lake stat --check").expect(1);
    assert!(format!("{}{}", ran.out, ran.err).contains(&name), "{}{}", ran.out, ran.err);
    desk.run_args(&["sql", "SELECT * FROM workflow_runs"]).expect(1).says(&[&name]);
}

#[test]
fn a_backtest_needs_a_folder_and_nothing_else() {
    let desk = Desk::new();
    for (name, at) in [("queue/1.csv", 300), ("queue/2.csv", 350), ("queue/3.csv", 410)] {
        let rows = (0..480).map(|h| {
            let value = if (at..at + 2).contains(&h) { 90 } else { 10 + h * 37 % 11 };
            format!("2026-01-{:02} {:02}:00:00,{value},{}\n", h / 24 + 1, h % 24, u8::from((at..at + 2).contains(&h)))
        });
        desk.write(&format!("set/data/{name}"), &format!("TimeStamp,Value,Label\n{}", rows.collect::<String>()));
    }
    let ran = desk.run("backtest set --html page.html --svg pictures --output json").expect(0);
    let report = ran.json();
    assert_eq!((&report["events"], &report["eventwise"]["recall"]), (&serde_json::json!(3), &serde_json::json!(1.0)), "{report}");
    assert_eq!(report["nab"].as_array().map(Vec::len), Some(3));
    assert!(desk.read("page.html").contains("queue/2.csv") && desk.read("pictures/queue-2.svg").starts_with("<svg"));
    let ran = desk.run("backtest set --fit chosen.yaml").expect(0);
    for words in ["queue/3.csv", "in all", "average precision", "NAB's score", "chosen for all series"] {
        assert!(ran.out.contains(words), "{words:?} is not in\n{}", ran.out);
    }
    let ran = desk.run("backtest set --rules chosen.yaml").expect(0);
    assert!(ran.out.contains("judged by rules") && !ran.out.contains("takes that for silence"), "it says the gap, too: {}", ran.out);
    desk.write("plain.yaml", "detect: [{method: auto}]\n");
    let ran = desk.run("backtest set --rules plain.yaml").expect(0);
    assert!(ran.out.contains("takes that for silence"), "{}", ran.out);
    desk.run("backtest set --fit plain.yaml").expect(1).says(&["plain.yaml is there already, and --fit did not write it"]);
    assert!(desk.read("plain.yaml").starts_with("detect:"), "nothing is lost");
    desk.write("quiet/x.csv", "TimeStamp,Value,Label\n2026-01-01 00:00:00,1,0\n2026-01-01 01:00:00,1,0\n");
    let quiet = desk.run("backtest quiet --fail-below 0.5").expect(3);
    assert!(quiet.out.contains("nothing is labelled as an event"), "{}", quiet.out);
    quiet.says(&["event F1 is not known"]);
    desk.run("backtest set --fail-below 60").expect(1).says(&["a number from 0 to 1"]);
    // A group that has its own entry is judged by that.
    desk.write(
        "grouped.yaml",
        "detect:\n  - {method: telemetry, threshold: 1000, gap: 3h}\ngroups:\n  queue:\n    - {method: telemetry, gap: 3h}\n",
    );
    let grouped = desk.run("backtest set --rules grouped.yaml --output json").expect(0).json();
    assert_eq!(grouped["eventwise"]["recall"], serde_json::json!(1.0), "{grouped}");
    desk.write("silent.yaml", &desk.read("grouped.yaml").replace("queue:", "other:"));
    let silent = desk.run("backtest set --rules silent.yaml --output json").expect(0).json();
    assert_ne!(silent["at_line"], grouped["at_line"], "{silent}");
    desk.run("backtest set --preset novelty --fail-below 0.5").expect(3).says(&["event F1 is 0.000, below 0.5"]);
    desk.run("backtest").expect(2).says(&["--feedback"]);
    desk.run("backtest pictures").expect(1).says(&["no *.csv", "NAB's layout"]);
    desk.write("set/data/queue/2.csv", "TimeStamp,Value,Label\n2026-01-01 00:00:00,1,0\n2026-01-01 01:00:00,1,maybe\n");
    desk.run("backtest set").expect(1).says(&["set/data/queue/2.csv:3:", "maybe"]);
}

/// Some Parquet file of a ledger, past what Delta keeps for itself.
fn parquet_file(folder: &std::path::Path) -> Option<std::path::PathBuf> {
    let mut entries: Vec<_> = fs::read_dir(folder).ok()?.filter_map(|e| Some(e.ok()?.path())).collect();
    entries.sort();
    entries.into_iter().find_map(|path| match path.is_dir() {
        true if path.ends_with("_delta_log") => None,
        true => parquet_file(&path),
        false => path.extension().is_some_and(|e| e == "parquet").then_some(path),
    })
}

#[test]
fn causes_are_evaluated_beside_two_baselines() {
    let desk = Desk::new();
    desk.run("eval rca").expect(1).says(&["no folder of issues", "BELLWETHER_DATA"]);
    desk.run("eval rca nowhere").expect(1).says(&["nowhere cannot be read", "graph.csv"]);
    let slow = |from: f64| format!("1300,{from},{from},1\n1600,{from},{from},1\n1900,9,9,1\n2200,9,9,1\n2500,{from},{from},1\n");
    let head = "microservice,shop,search,cart\nmetric,latency,latency,latency\nstatistic,Average,Average,Average\nunix_timestamp,,,\n";
    let usual: String = (0..40).map(|i| format!("{i},1.0{0},1.0{0},1.0{0}\n", i % 7)).collect();
    desk.write("issues/low/graph.csv", ",shop,search,cart\nshop,0,1,1\nsearch,0,0,0\ncart,0,0,0\n");
    desk.write("issues/low/noissue/metrics.csv", &format!("{head}{usual}"));
    desk.write("issues/low/train/issue_0/metrics.csv", &format!("{head}{}", slow(1.0)));
    let target =
        r#"{"target": {"node": "shop", "metric": "latency", "agg": "Average", "timestamp": 1910}, "root_cause": {"node": "search"}}"#;
    desk.write("issues/low/train/issue_0/target.json", target);
    let found = desk.run("eval rca issues --output json").expect(0).json();
    assert_eq!((&found["issues"], &found["ranked"][0]["named"][0]), (&json!(1), &json!("search")), "{found:#}");
    assert!(desk.run("eval rca issues").expect(0).out.contains("plain ranking by |z|"));
    desk.write("issues/low/train/issue_0/target.json", "{\n");
    desk.run("eval rca issues").expect(1).says(&["target.json:"]);
}
