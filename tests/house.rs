//! The house stands as `docs/architecture.md` draws it: an arrow between crates may only point to a lower rank, and heavy
//! dependencies live in one home.

use std::collections::BTreeMap;

use cargo_metadata::{DependencyKind, MetadataCommand};

/// Every crate with its rank.
const RANKS: [(&str, u8); 11] = [
    ("bellwether-model", 0),
    ("bellwether-detectors", 1),
    ("bellwether-lineage", 1),
    ("bellwether-embeddings", 1),
    ("bellwether-governance", 1),
    ("bellwether-lake", 1),
    ("bellwether-sql", 2),
    ("bellwether-executor", 2),
    ("bellwether-pipelines", 3),
    ("bellwether", 4),
    ("bellwether-tests", 5),
];

/// Heavy dependencies and the only crates that may name them.
const HOMES: [(&str, &[&str]); 13] = [
    ("deltalake-core", &["bellwether-lake", "bellwether-sql"]),
    ("datafusion", &["bellwether-lake", "bellwether-sql"]),
    ("polars", &["bellwether-pipelines"]),
    ("kube", &["bellwether-executor", "bellwether-pipelines", "bellwether"]),
    ("sqlx", &["bellwether-executor", "bellwether-pipelines"]),
    ("reqwest", &["bellwether-pipelines", "bellwether"]),
    ("fastembed", &["bellwether-embeddings"]),
    ("ort", &["bellwether-embeddings"]),
    ("qdrant-client", &["bellwether-embeddings", "bellwether-tests"]),
    ("linfa", &["bellwether-detectors", "bellwether-embeddings"]),
    ("axum", &["bellwether", "bellwether-tests"]),
    ("clap", &["bellwether"]),
    ("tokio", &["bellwether-lake", "bellwether-sql", "bellwether-executor", "bellwether-pipelines", "bellwether", "bellwether-tests"]),
];

#[test]
fn arrows_point_down_and_heavy_dependencies_stay_home() {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
    let metadata = MetadataCommand::new().manifest_path(manifest).no_deps().exec().expect("cargo metadata runs in a checkout");
    let ranks: BTreeMap<_, _> = RANKS.into();
    let mut wrong = Vec::new();
    let mut seen = 0;
    for package in &metadata.packages {
        let name = package.name.as_str();
        let Some(rank) = ranks.get(name) else {
            wrong.push(format!("{name} has no rank: add it to docs/architecture.md and to this table"));
            continue;
        };
        seen += 1;
        for dependency in package.dependencies.iter().filter(|d| d.kind != DependencyKind::Development || *rank == 5) {
            let target = dependency.name.as_str();
            if let Some(lower) = ranks.get(target)
                && lower >= rank
            {
                wrong.push(format!("{name} (rank {rank}) may not depend on {target} (rank {lower})"));
            }
            if let Some((_, homes)) = HOMES.iter().find(|(heavy, _)| *heavy == target)
                && !homes.contains(&name)
            {
                wrong.push(format!("{name} may not depend on {target}: its home is {homes:?}"));
            }
        }
    }
    assert_eq!(seen, RANKS.len(), "a crate of the table is gone");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
