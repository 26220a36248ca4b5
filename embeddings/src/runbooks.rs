//! How well alerts find their pages in public runbooks, names and titles masked.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

use serde::{Deserialize, Serialize};

use crate::embed::Embedder;
use crate::index::IndexError;
use crate::retrieval::{Method, Page, Quality, Question, hybrid, quality, rankings, without_name};

/// How well each method finds the pages.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Runbooks {
    /// Pages to find.
    pub pages: usize,
    /// Alerts that ask.
    pub questions: usize,
    /// The sentence model's id, where one took part.
    pub model: Option<String>,
    /// Each method's quality by its name.
    pub methods: BTreeMap<&'static str, Quality>,
}

/// The runbooks cannot be measured.
#[derive(Debug, thiserror::Error)]
pub enum RunbooksError {
    /// A file or folder is not there, or cannot be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file of queries is not one.
    #[error("{} holds no list of alert, query and gold", path.display())]
    Queries {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A model fails.
    #[error("texts cannot be compared")]
    Index(#[from] IndexError),
}

#[derive(Deserialize)]
struct Query {
    alert: String,
    query: String,
    gold: Vec<String>,
}

/// Measures words, the hashing embedder, a sentence model where one is given, and their fusions, on the folders `prom-runbooks` and
/// `openshift-runbooks` of `data`, by the queries of `kube-prometheus-rules/retrieval_queries.json`.
///
/// # Errors
/// A file is not there or not as expected, or the model fails.
pub fn evaluate(data: &Path, model: Option<&Embedder>) -> Result<Runbooks, RunbooksError> {
    let pages = pages(data)?;
    let path = data.join("kube-prometheus-rules/retrieval_queries.json");
    let queries: Vec<Query> = serde_json::from_slice(&read(&path)?).map_err(|source| RunbooksError::Queries { path, source })?;
    let questions: Vec<Question> =
        queries.into_iter().map(|q| Question { text: without_name(&q.query, &q.alert), right: q.gold }).collect();
    let words = rankings(Method::Words, &pages, &questions)?;
    let hashed = rankings(Method::Vectors(&Embedder::default()), &pages, &questions)?;
    let mut found = BTreeMap::from([("hybrid_hashing", hybrid(&[&words, &hashed]))]);
    if let Some(model) = model {
        let modelled = rankings(Method::Vectors(model), &pages, &questions)?;
        found.extend([
            ("hybrid_model", hybrid(&[&words, &modelled])),
            ("hybrid_all", hybrid(&[&words, &hashed, &modelled])),
            ("model", modelled),
        ]);
    }
    found.extend([("bm25", words), ("hashing", hashed)]);
    let methods = found.into_iter().map(|(name, ranked)| (name, quality(&ranked, &questions))).collect();
    Ok(Runbooks { pages: pages.len(), questions: questions.len(), model: model.map(Embedder::id), methods })
}

/// All pages, each without its own name: `P:` those of prometheus-operator, `O:` those of OpenShift.
fn pages(data: &Path) -> Result<Vec<Page>, RunbooksError> {
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

fn walk(folder: &Path, paths: &mut Vec<PathBuf>) -> Result<(), RunbooksError> {
    let unreadable = |source| RunbooksError::Unreadable { path: folder.to_owned(), source };
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.is_dir() {
            walk(&path, paths)?;
        } else if path.extension().is_some_and(|e| e == "md") {
            paths.push(path);
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>, RunbooksError> {
    fs::read(path).map_err(|source| RunbooksError::Unreadable { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alerts_find_their_pages_by_what_they_say() {
        let data = std::env::temp_dir().join(format!("bellwether-runbooks-{}", std::process::id()));
        let write = |name: &str, text: &str| {
            let path = data.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        assert!(evaluate(&data, None).unwrap_err().to_string().contains("prom-runbooks"));
        write("prom-runbooks/content/a/DiskFull.md", "---\ntitle: x\n---\n# DiskFull\nThe volume runs out of space; delete old files.");
        write("prom-runbooks/content/_index.md", "volume space");
        write("openshift-runbooks/alerts/CertOld.md", "# CertOld\nThe certificate expires; renew it.");
        write("kube-prometheus-rules/retrieval_queries.json", "[]]");
        assert!(evaluate(&data, None).unwrap_err().to_string().contains("no list of alert"));
        let queries = r#"[{"alert": "DiskFull", "query": "DiskFull: no space on volume", "gold": ["P:DiskFull"]}]"#;
        write("kube-prometheus-rules/retrieval_queries.json", queries);
        let found = evaluate(&data, None).unwrap();
        assert_eq!((found.pages, found.questions, found.methods["bm25"].mrr, found.methods.len()), (2, 1, 1.0, 3));
        fs::remove_dir_all(&data).unwrap();
    }
}
