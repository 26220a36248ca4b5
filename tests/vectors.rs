//! Texts into vectors through the real binary: stored once and used again, by a model, by an endpoint; what is missing or wrong.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::HeaderMap;
use axum::routing::post;
use serde_json::{Value, json};

use crate::bellwether::Desk;
use crate::qdrant::StandIn;
use crate::servers::{Served, free_address};
use crate::serving::Serving;

const RUNS: [(&str, &str); 4] = [
    ("r-1", "latency_p95 up, queue_depth up on endpoint ml/iris"),
    ("r-2", "gpu_xid_errors up on node gpu-3: thermal throttling"),
    ("r-3", ""),
    ("r-4", "очередь растёт 队列 延迟"),
];

/// A past run, as a line of JSONL.
fn past_run(id: &str, summary: &str) -> String {
    let at = "2026-06-01T10:00:00Z";
    let run = json!({"run_id": id, "workflow_id": "w", "playbook_id": "scale-out", "status": "succeeded", "outcome": "effective", "started_at": at,
        "updated_at": at, "summary": summary});
    format!("{run}\n")
}

/// A desk with some past runs, a playbook, and this section `embeddings`.
fn desk(embeddings: &str) -> Desk {
    let desk = Desk::with(&configuration(embeddings));
    desk.write("runs.jsonl", &RUNS.map(|(id, summary)| past_run(id, summary)).concat());
    desk.write(
        "playbooks/p.yaml",
        "id: scale-out\nname: Scale out\ndescription: Adds replicas.\nversion: 1.0.0\ntarget: endpoint\nsymptoms: [latency_p95]\nactions: [{verb: advise, text: Scale it.}]\n",
    );
    desk
}

fn configuration(embeddings: &str) -> String {
    let section = if embeddings.is_empty() { String::new() } else { format!("embeddings: {embeddings}\n") };
    format!("version: 1\nruns: {{files: [runs.jsonl]}}\ngovernance: {{playbooks: playbooks}}\n{section}")
}

/// The sentence model that `scripts/setup` installs.
fn minilm() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache"))).expect("HOME is set");
    let folder = cache.join("bellwether/minilm");
    assert!(folder.join("model.onnx").is_file(), "{} is missing: scripts/setup installs it", folder.display());
    folder
}

fn digest_of_last_round(desk: &Desk) -> Value {
    desk.sql("SELECT round_id, result_digest FROM rounds ORDER BY as_of DESC LIMIT 1")[0].clone()
}

#[test]
fn vectors_are_written_once_and_rounds_use_what_is_stored() {
    let desk = desk("");
    desk.run("ingest").expect(0);
    let first = desk.run("embeddings sync").expect(0).out;
    assert_eq!(first.trim(), "4 vectors written (hashing-v1-512), 0 unchanged");
    assert_eq!(desk.run("embeddings sync --output json").expect(0).json()["written"], 0);
    desk.run("round").expect(0);
    assert_eq!(desk.count("SELECT count(*) FROM raw.embeddings"), 4, "a round embeds nothing that is stored");
    assert_eq!(desk.count("SELECT count(*) FROM embeddings_current WHERE kind = 'run' AND embedder_id = 'hashing-v1-512'"), 4);

    desk.write("runs.jsonl", &(past_run("r-1", "latency_p95 up") + &past_run("r-5", "disk full")).replace("2026-06-01", "2026-06-02"));
    desk.run("round").expect(0);
    assert_eq!(desk.count("SELECT count(*) FROM raw.embeddings"), 6, "a round embeds what is new or changed");
    assert_eq!(
        desk.run("embeddings sync --output json").expect(0).json(),
        json!({"embedder_id": "hashing-v1-512", "written": 0, "unchanged": 5, "qdrant": null})
    );
    let rebuilt = desk.run("embeddings rebuild --output json").expect(0).json();
    assert_eq!(rebuilt, json!({"embedder_id": "hashing-v1-512", "index": "memory", "vectors": 5}));

    let round = digest_of_last_round(&desk);
    let again = desk.run_args(&["round", "--replay", round["round_id"].as_str().unwrap()]).expect(0);
    assert!(again.out.contains("identical"), "{}", again.out);
}

#[test]
fn a_model_is_added_checked_and_used_and_spaces_are_not_mixed() {
    let desk = desk("");
    desk.run("round").expect(0);
    let model = minilm();
    let added = desk.run_args(&["models", "add", model.to_str().unwrap()]).expect(0).out;
    assert!(added.contains("makes vectors of 384 numbers") && added.contains("model: models/minilm"), "{added}");
    assert!(desk.read("bellwether.yaml").ends_with("embeddings:\n  model: models/minilm\n"));
    desk.run_args(&["models", "add", model.to_str().unwrap()]).expect(0);
    let listed = desk.run("models list --output json").expect(0).json();
    assert_eq!(
        (listed[0]["in_use"].clone(), listed[1]["in_use"].clone(), listed[1]["dimensions"].clone()),
        (json!(false), json!(true), json!(384))
    );

    let refused = desk.run("round").expect(1);
    refused.says(&["the ledger holds vectors of hashing-v1-512, and the configuration names minilm-384-", "bellwether embeddings sync"]);
    let synced = desk.run("embeddings sync").expect(0).out;
    assert!(synced.starts_with("4 vectors written (minilm-384-"), "{synced}");
    desk.run("round").expect(0);
    assert!(desk.run("doctor").out.contains("minilm-384-"));
    assert_eq!(desk.count("SELECT count(*) FROM embeddings_current"), 8, "vectors of both are kept apart");

    let other = desk.path().join("other");
    std::fs::create_dir(&other).unwrap();
    for file in ["model.onnx", "tokenizer.json"] {
        std::fs::copy(model.join(file), other.join(file)).unwrap();
    }
    std::fs::write(other.join("config.json"), r#"{"pad_token_id": 0, "other": true}"#).unwrap();
    let runtime = model.join("libonnxruntime.so");
    let args = ["models", "add", "other", "--name", "minilm", "--runtime", runtime.to_str().unwrap()];
    desk.run_args(&args).expect(1).says(&["holds another model", "--name"]);
}

/// Compiles a library that calls itself ONNX Runtime 1.17 and has no newer interface.
fn old_runtime(folder: &Path) -> PathBuf {
    let source = folder.join("old.c");
    let code = "struct base { const void *(*api)(unsigned); const char *(*version)(void); };\n\
                static const void *api(unsigned n) { return 0; }\nstatic const char *version(void) { return \"1.17.0\"; }\n\
                static const struct base own = { api, version };\nconst struct base *OrtGetApiBase(void) { return &own; }\n";
    std::fs::write(&source, code).expect("the folder is there");
    let library = folder.join("libold.so");
    let built = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).status().expect("a C compiler is there");
    assert!(built.success());
    library
}

#[test]
fn a_model_or_a_runtime_that_is_missing_or_old_is_one_clear_error() {
    let desk = desk("");
    let old = old_runtime(desk.path());
    desk.write("half/model.onnx", "no model");
    desk.write("bad/model.onnx", "no model");
    desk.write("bad/tokenizer.json", "{}");
    let model = minilm();
    let (model, runtime) = (model.to_str().unwrap(), model.join("libonnxruntime.so").display().to_string());
    let cases: [(&[&str], &[&str]); 6] = [
        (&["models", "add", "nowhere"], &["nowhere is no folder"]),
        (&["models", "add", "half"], &["half has no tokenizer.json"]),
        (&["models", "add", "bad"], &["ONNX Runtime 1.24 or newer is needed", "there is no such file", "--runtime"]),
        (&["models", "add", "bad", "--runtime", "half/model.onnx"], &["ONNX Runtime 1.24 or newer is needed"]),
        (&["models", "add", model, "--runtime", old.to_str().unwrap()], &["ONNX Runtime 1.24 or newer is needed", "1.17"]),
        (&["models", "add", "bad", "--runtime", &runtime], &["the model in bad does not load"]),
    ];
    for (args, words) in cases {
        let ran = desk.run_args(args).expect(1);
        ran.says(words);
        let errors = ran.err.lines().filter(|line| line.starts_with("error: ")).count();
        assert!(errors == 1 && !ran.err.contains("panicked"), "{}", ran.err);
        assert!(!desk.path().join("models/bad").exists() && !desk.read("bellwether.yaml").contains("embeddings"), "nothing is left behind");
    }
    desk.write("bellwether.yaml", &configuration("{model: gone}"));
    desk.run("round").expect(1).says(&["gone has no model.onnx"]);
    let doctor = desk.run("doctor").expect(1);
    assert!(doctor.out.contains("gone has no model.onnx"), "{}", doctor.out);
    desk.write("bellwether.yaml", &configuration("{model: gone, endpoint: {url: 'http://x', model: m, dimensions: 2}}"));
    desk.run("round").expect(1).says(&["embeddings.model and embeddings.endpoint are both set"]);
}

/// An embeddings endpoint that counts the texts that it was sent; what it wants as token is `s3cret`.
fn endpoint() -> (Served, Arc<Mutex<usize>>) {
    let count = Arc::new(Mutex::new(0));
    let log = count.clone();
    let answer = move |headers: HeaderMap, axum::Json(body): axum::Json<Value>| {
        let log = log.clone();
        async move {
            let authorised = headers.get("authorization").is_some_and(|token| token == "Bearer s3cret");
            let texts = body["input"].as_array().cloned().unwrap_or_default();
            *log.lock().expect("no test panics while it counts") += texts.len();
            let vector = |text: &Value| {
                let mut numbers = [0.5, 0.0, 0.0];
                numbers[text.as_str().map_or(0, str::len) % 3] += 1.0;
                numbers
            };
            let data: Vec<Value> = texts.iter().enumerate().map(|(i, t)| json!({"index": i, "embedding": vector(t)})).collect();
            let status = if authorised { 200 } else { 401 };
            (axum::http::StatusCode::from_u16(status).expect("a status"), axum::Json(json!({"data": data})))
        }
    };
    (Served::start(Router::new().route("/v1/embeddings", post(answer))), count)
}

#[test]
fn an_endpoint_is_asked_once_for_each_text_and_detection_goes_on_without_it() {
    let (server, asked) = endpoint();
    let section = |url: &str, dimensions: usize| {
        format!("{{endpoint: {{url: '{url}', model: tiny, dimensions: {dimensions}, token_file: token.txt, timeout: 5s}}}}")
    };
    let url = format!("http://{}", server.address());
    let desk = desk(&section(&url, 3));
    desk.write("token.txt", "s3cret\n");
    desk.run("ingest").expect(0);
    assert_eq!(desk.run("embeddings sync").expect(0).out.trim(), "4 vectors written (tiny-3), 0 unchanged");
    desk.run("round").expect(0);
    assert_eq!(*asked.lock().unwrap(), 3, "an empty text is not sent, and nothing is sent twice");

    desk.write("runs.jsonl", &past_run("r-9", "disk full"));
    desk.write("token.txt", "wrong-s3cr3t-token\n");
    let refused = desk.run("ingest").expect(0);
    assert!(refused.err.is_empty() || !refused.err.contains("s3cr3t"));
    let refused = desk.run("embeddings sync").expect(1);
    refused.says(&["answered 401", "token_file"]);
    assert!(!refused.err.contains("s3cr3t"), "{}", refused.err);
    let round = desk.run("round").expect(0);
    round.says(&["not all past runs are compared", "answered 401"]);
    desk.write("token.txt", "s3cret");
    desk.write("bellwether.yaml", &configuration(&section(&url, 4)));
    desk.run("embeddings sync").expect(1).says(&["gives vectors of 3 dimensions, and the configuration says 4", "dimensions: 3"]);
    desk.write("bellwether.yaml", &configuration(&section(&format!("http://{}", free_address()), 3)));
    desk.run("embeddings sync").expect(1).says(&["did not answer"]);
}

#[test]
fn a_qdrant_that_is_down_or_slow_is_said_and_memory_answers() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let down = free_address();
    for (url, reason) in [(format!("http://{down}"), "did not"), (format!("http://{}", silent.local_addr().unwrap()), "did not")] {
        let desk = desk(&format!("{{qdrant: {{url: '{url}', timeout: 300ms}}}}"));
        let round = desk.run("round").expect(0);
        round.says(&["new vectors did not reach Qdrant", &url]);
        desk.run("embeddings sync").expect(1).says(&[&format!("Qdrant at {url} did not"), "index in memory"]);
        assert!(desk.run("doctor").expect(0).out.contains("the index in memory answers instead"));
        let token = desk.run("token issue --subject ann --role viewer").expect(0).out;
        let api = Serving::start(&desk);
        let question =
            json!({"payload": {"summary": "latency_p95 is up on endpoint ml/iris, queue_depth too", "symptoms": ["latency_p95"]}});
        let begin = Instant::now();
        let answer = api.post("/recommend", &token, &question);
        assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
        let index = answer.header("bellwether-index").unwrap_or_default().to_owned();
        assert!(index.starts_with("memory; Qdrant at ") && index.contains(reason), "{index}");
        assert_eq!(answer.expect(200)[0]["playbook_id"], "scale-out");
        let again = api.post("/recommend", &token, &question);
        assert!(again.header("bellwether-index").unwrap_or_default().contains(" s ago)"), "it is left alone for a while");
    }
}

#[test]
fn a_qdrant_answers_as_memory_does_and_is_not_asked_while_it_is_behind() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (qdrant, url) = runtime.block_on(StandIn::serve(None));
    let desk = desk(&format!("{{qdrant: {{url: '{url}'}}}}"));
    desk.run("ingest").expect(0);
    let synced = desk.run("embeddings sync").expect(0).out;
    assert!(synced.contains("Qdrant, collection bellwether: 4 written, 0 removed, 0 unchanged"), "{synced}");
    let again = desk.run("embeddings sync --output json").expect(0).json();
    assert_eq!(again["qdrant"], json!({"collection": "bellwether", "written": 0, "removed": 0, "unchanged": 4}));

    let token = desk.run("token issue --subject ann --role viewer").expect(0).out;
    let question = json!({"payload": {"summary": "latency_p95 is up on endpoint ml/iris, queue_depth too", "symptoms": ["latency_p95"]}});
    let ask = || {
        let api = Serving::start(&desk);
        let answer = api.post("/recommend", &token, &question);
        let index = answer.header("bellwether-index").unwrap_or_default().to_owned();
        let mut found = answer.expect(200);
        // Runs age while the test runs, in the ninth digit.
        found[0]["score"] = json!(format!("{:.6}", found[0]["score"].as_f64().unwrap()));
        assert_eq!(api.stop(), 0);
        (index, found)
    };
    let (index, by_qdrant) = ask();
    assert_eq!(index, "qdrant");
    let with_qdrant = desk.read("bellwether.yaml");
    desk.write("bellwether.yaml", &configuration(""));
    assert_eq!(ask(), ("memory".to_owned(), by_qdrant));

    // A run that Qdrant does not have yet: memory answers and says why, until Qdrant is made anew.
    desk.write("bellwether.yaml", &with_qdrant);
    desk.write("runs.jsonl", &past_run("r-5", "latency_p95 up on endpoint ml/iris, queue growing").replace("2026-06-01", "2026-06-02"));
    desk.run("ingest").expect(0);
    let (index, found) = ask();
    assert!(index.starts_with("memory; Qdrant has 4 of 5 runs"), "{index}");
    assert!(found[0]["justification"].as_str().unwrap().contains("r-5"), "{found}");
    desk.run("embeddings rebuild").expect(1).says(&["1 of 5 runs have no vector", "embeddings sync"]);
    desk.run("embeddings sync").expect(0);
    let rebuilt = desk.run("embeddings rebuild --output json").expect(0).json();
    assert_eq!((&rebuilt["index"], &rebuilt["vectors"], qdrant.points("bellwether").len()), (&json!("qdrant"), &json!(5), 5));
    assert_eq!(ask(), ("qdrant".to_owned(), found));
    assert!(qdrant.asked().iter().any(|call| call == "Points/Query"), "{:?}", qdrant.asked());
}

#[test]
fn texts_of_any_kind_get_a_sensible_answer() {
    let desk = desk("");
    let log = format!("{} latency_p95 up ", "2026-06-01T10:00:00Z ERROR x=1\\u0000 🙂 é ".repeat(25_000));
    desk.write("runs.jsonl", &(RUNS.map(|(id, summary)| past_run(id, summary)).concat() + &past_run("r-log", &log)));
    desk.run("round").expect(0);
    assert_eq!(desk.run("embeddings sync --output json").expect(0).json()["unchanged"], 5);
    let token = desk.run("token issue --subject ann --role viewer").expect(0).out;
    let api = Serving::start(&desk);
    let (long, longer): (String, String) = (log.chars().take(19_000).collect(), log.chars().take(30_000).collect());
    let cases = [("", 400), ("   ", 400), ("队列 延迟", 200), ("🙂", 200), ("0.5 !", 200), (&long, 200), (&longer, 400), (&log, 413)];
    for (words, status) in cases {
        let answer = api.post("/recommend", &token, &json!({"payload": words}));
        let said = answer.header("bellwether-index").map(str::to_owned);
        let body = answer.expect(status);
        assert_eq!(said.is_some(), status == 200, "{body}");
    }
    assert_eq!(api.stop(), 0);
}
