//! How well alerts find their runbook pages, names and titles masked: `eval_runbooks DATA [MODEL RUNTIME]` reads the folders
//! `prom-runbooks`, `openshift-runbooks` and `kube-prometheus-rules/retrieval_queries.json`, and prints one line of JSON: the quality of each
//! method. With the folder of a sentence model and the library of ONNX Runtime, of that model too.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

use bellwether_embeddings::retrieval::{Method, Page, Question, hybrid, quality, rankings, without_name};
use bellwether_embeddings::{Embedder, OnnxEmbedder};
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
struct Query {
    alert: String,
    query: String,
    gold: Vec<String>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = env::args_os().skip(1).map(PathBuf::from);
    let data = args.next().ok_or("usage: eval_runbooks DATA [MODEL RUNTIME]")?;
    let model = match (args.next(), args.next()) {
        (Some(model), Some(runtime)) => Some(Embedder::Onnx(OnnxEmbedder::load(&model, &runtime)?)),
        _ => None,
    };
    let pages = pages(&data)?;
    let queries: Vec<Query> = serde_json::from_slice(&read(&data.join("kube-prometheus-rules/retrieval_queries.json"))?)?;
    let questions: Vec<Question> =
        queries.into_iter().map(|q| Question { text: without_name(&q.query, &q.alert), right: q.gold }).collect();
    let hashing = Embedder::default();
    let words = rankings(Method::Words, &pages, &questions)?;
    let hashed = rankings(Method::Vectors(&hashing), &pages, &questions)?;
    let mut methods = BTreeMap::from([("hybrid_hashing", hybrid(&[&words, &hashed]))]);
    if let Some(model) = &model {
        let modelled = rankings(Method::Vectors(model), &pages, &questions)?;
        methods.extend([
            ("hybrid_model", hybrid(&[&words, &modelled])),
            ("hybrid_all", hybrid(&[&words, &hashed, &modelled])),
            ("model", modelled),
        ]);
    }
    methods.extend([("bm25", words), ("hashing", hashed)]);
    let described = |found: Vec<Vec<String>>| {
        let quality = quality(&found, &questions);
        json!({"hit_at_1": quality.hit_at_1, "hit_at_3": quality.hit_at_3, "mrr": quality.mrr})
    };
    let report: BTreeMap<_, _> = methods.into_iter().map(|(name, found)| (name, described(found))).collect();
    println!("{}", json!({"pages": pages.len(), "questions": questions.len(), "model": model.map(|m| m.id()), "methods": report}));
    Ok(())
}

/// All pages, each without its own name: `P:` those of prometheus-operator, `O:` those of OpenShift.
fn pages(data: &Path) -> Result<Vec<Page>, Box<dyn Error>> {
    let mut pages = Vec::new();
    for (set, folder) in [("P", "prom-runbooks/content"), ("O", "openshift-runbooks/alerts")] {
        let mut paths = Vec::new();
        walk(&data.join(folder), &mut paths)?;
        for path in paths {
            let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
            if name != "_index" && name != "README" {
                let text = String::from_utf8_lossy(&read(&path)?).into_owned();
                pages.push(Page { id: format!("{set}:{name}"), text: without_name(body(&text), &name) });
            }
        }
    }
    pages.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(pages)
}

/// Without the block of settings and the first heading.
fn body(page: &str) -> &str {
    let text = page.strip_prefix("---\n").and_then(|rest| rest.split_once("\n---\n")).map_or(page, |(_, text)| text).trim_start();
    match text.split_once('\n') {
        Some((first, rest)) if first.starts_with("# ") => rest,
        _ => text,
    }
}

fn walk(folder: &Path, paths: &mut Vec<PathBuf>) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            walk(&path, paths)?;
        } else if path.extension().is_some_and(|e| e == "md") {
            paths.push(path);
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>, Box<dyn Error>> {
    fs::read(path).map_err(|e| format!("{}: {e}", path.display()).into())
}
