//! How well and how fast redaction works on its labelled corpus: one line of JSON.

use std::collections::BTreeMap;

use serde_json::json;

mod clock;
#[path = "../tests/redaction/corpus.rs"]
mod corpus;

use clock::processor_seconds;

/// Passes over the texts, of which the median counts.
const RUNS: usize = 7;

fn main() {
    let redactor = corpus::redactor();
    let cases = corpus::cases();
    let (scores, wrong) = corpus::score(&redactor, &cases);
    let all = corpus::total(&scores);
    let lines: Vec<String> = (0..200).flat_map(|_| cases.iter().map(|case| case.text.clone())).collect();
    let document = [lines.join("\n")];
    let log = [log()];
    let kinds: BTreeMap<_, _> =
        scores.iter().map(|(kind, s)| (kind, json!({"marked": s.marked, "found": s.found, "claimed": s.claimed}))).collect();
    let report = json!({
        "cases": cases.len(), "marks": all.marked, "negatives": cases.iter().filter(|c| c.marked.is_empty()).count(),
        "recall": all.recall(), "precision": all.precision(), "kinds": kinds, "wrong": wrong,
        "corpus_by_line": rate(&redactor, &lines), "corpus_whole": rate(&redactor, &document), "log": rate(&redactor, &log),
    });
    println!("{report}");
}

/// Bytes a second of processor time, the median of several runs.
fn rate(redactor: &bellwether_embeddings::Redactor, texts: &[String]) -> f64 {
    let bytes: usize = texts.iter().map(String::len).sum();
    let mut rates: Vec<f64> = (0..RUNS)
        .map(|_| {
            let begin = processor_seconds();
            let left: usize = texts.iter().map(|text| redactor.text(text).len()).sum();
            assert!(left > 0);
            bytes as f64 / (processor_seconds() - begin)
        })
        .collect();
    rates.sort_by(f64::total_cmp);
    rates[RUNS / 2]
}

/// About 16 MB as a model server logs: an address in every line, an e-mail in every tenth, a token in every hundredth.
fn log() -> String {
    let mut text = String::new();
    for i in 0..100_000_u32 {
        text += &format!(
            "2026-11-21T08:{:02}:{:02}.{:03}Z INFO iris-predictor-00042-deployment-7d9f8b6c5-x2k4p kserve: POST /v2/models/iris/infer 200 from 10.{}.{}.{}:{} latency={}ms trace_id={:032x}",
            i / 60 % 60,
            i % 60,
            i % 1000,
            i % 200,
            i % 251,
            i % 7 + 1,
            30_000 + i % 20_000,
            i % 400,
            u128::from(i).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835),
        );
        if i % 10 == 0 {
            text += &format!(" user=user{i}@example.com");
        }
        if i % 100 == 0 {
            text += &format!(" Authorization: Bearer {:040x}", u128::from(i).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835));
        }
        text.push('\n');
    }
    text
}
