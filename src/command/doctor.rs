//! `bellwether doctor`

mod cluster;
mod environment;
mod freshness;
mod servers;
mod storage;
mod vectors;

use std::fmt::Write as _;
use std::path::Path;

use bellwether_model::time::Timestamp;
use bellwether_pipelines::rules::NONE_IN_FORCE;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::cli::{DoctorArgs, Output};
use crate::config::Config;
use crate::failure::{Failure, Kind};
use crate::{clock, config, open, output};

/// What was checked. The file of `--report` holds exactly this.
#[derive(Debug, Serialize)]
pub struct Findings {
    /// When.
    pub checked_at: Timestamp,
    /// Each thing that was looked at.
    pub items: Vec<Item>,
    /// What cannot be done, and why.
    pub blocked: Vec<String>,
}

/// One thing that was looked at. Holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Item {
    /// Its name: a key of the configuration, or an environment variable.
    pub name: String,
    /// `file`, `rules`, `samples`, `store`, `key`, `server`, `permission`, `integrity` or `environment`.
    pub kind: &'static str,
    /// Whether the configuration cannot do without it.
    pub required: bool,
    /// Whether it is there, right and reachable.
    pub present: bool,
    /// What was found, or what is wrong and what would be right.
    pub detail: String,
    /// What cannot be done without it.
    #[serde(skip)]
    pub blocks: &'static str,
}

impl Item {
    /// Something that the configuration cannot do without; `blocks` says what cannot be done where it is missing.
    pub fn needed(name: impl Into<String>, kind: &'static str, blocks: &'static str, found: Result<String, String>) -> Self {
        Self { required: true, blocks, ..Self::optional(name, kind, found) }
    }

    /// Something that may be missing.
    pub fn optional(name: impl Into<String>, kind: &'static str, found: Result<String, String>) -> Self {
        let present = found.is_ok();
        Self { name: name.into(), kind, required: false, present, detail: found.unwrap_or_else(|why| why), blocks: "" }
    }
}

/// Runs the command.
pub async fn run(path: &Path, args: DoctorArgs, output: Output) -> Result<(), Failure> {
    let now = clock::now();
    let mut items = Vec::new();
    let config = match config::load(path) {
        Ok(config) => {
            items.push(Item::needed("configuration", "file", "everything", Ok(format!("{} is valid", path.display()))));
            items.extend(all(&config, now).await);
            Some(config)
        }
        Err(failure) => {
            items.push(Item::needed("configuration", "file", "everything", Err(words(&failure))));
            None
        }
    };
    items.extend(environment::items(config.as_ref()));
    let blocked = items.iter().filter(|i| i.required && !i.present).map(|i| format!("{}: {}", i.blocks, i.detail)).collect();
    let findings = Findings { checked_at: now, items, blocked };
    if let Some(file) = &args.report {
        let text = serde_json::to_string_pretty(&findings)
            .map_err(|e| Failure::new(Kind::Internal, format!("the findings have no JSON form: {e}")))?;
        std::fs::write(file, text + "\n").map_err(|e| Failure::user(format!("cannot write the report to {}: {e}", file.display())))?;
    }
    output::print(output, &findings, || text(&findings))?;
    match findings.blocked.len() {
        0 => Ok(()),
        1 => Err(Failure::config("1 required item is missing or wrong")),
        n => Err(Failure::config(format!("{n} required items are missing or wrong"))),
    }
}

async fn all(config: &Config, now: Timestamp) -> Vec<Item> {
    let mut items = vec![rules(config), governance(config)];
    items.extend(storage::items(config).await);
    items.extend(freshness::item(config, now).await);
    items.extend(vectors::items(config).await);
    items.extend(servers::items(config).await);
    items.extend(cluster::items(config).await);
    items
}

/// A failure's message and hint in one line.
fn words(failure: &Failure) -> String {
    let message = failure.message.replace("\n       ", "; ");
    failure.hint.as_ref().map_or_else(|| message.clone(), |hint| format!("{message} ({hint})"))
}

fn rules(config: &Config) -> Item {
    let Some(prometheus) = &config.prometheus else {
        return Item::optional("prometheus.rules", "rules", Err("no Prometheus is configured, so no rule is in force".into()));
    };
    let found = open::rules(config).and_then(|rules| open::detection(&rules).map(|judged| (rules.len(), judged.len())));
    let found = match found {
        Ok((0, _)) => Err(NONE_IN_FORCE.into()),
        Ok((asked, judged)) => Ok(format!(
            "{asked} rules ask for metrics, {judged} judge them; packs {}",
            if prometheus.packs.is_empty() { "none".to_owned() } else { prometheus.packs.join(", ") }
        )),
        Err(failure) => Err(words(&failure)),
    };
    Item::needed("prometheus.rules", "rules", "ingest prometheus, round", found)
}

fn governance(config: &Config) -> Item {
    let settings = &config.governance;
    if settings.blueprints.is_none() && settings.playbooks.is_none() && settings.services.is_empty() {
        return Item::optional(
            "governance",
            "rules",
            Err("not configured: incidents are found, and nothing is recommended or planned".into()),
        );
    }
    let found = match open::governance(config) {
        Ok(governance) => Ok(format!("{} playbooks, {} services", governance.playbooks().count(), governance.services().count())),
        Err(failure) => Err(words(&failure)),
    };
    Item::needed("governance", "rules", "round, plan, act", found)
}

fn text(findings: &Findings) -> String {
    let row = |item: &Item| {
        let mut row: Map<String, Value> = Map::new();
        let state = match (item.present, item.required) {
            (true, _) => "ok",
            (false, true) => "MISSING",
            (false, false) if item.kind == "samples" => "SILENT",
            (false, false) => "-",
        };
        row.insert("".into(), json!(state));
        row.insert("item".into(), json!(item.name));
        row.insert("kind".into(), json!(item.kind));
        row.insert("detail".into(), json!(item.detail));
        row
    };
    let rows: Vec<_> = findings.items.iter().map(row).collect();
    let mut text = output::table(&rows, &[]);
    if findings.blocked.is_empty() {
        text.push_str("\neverything that the configuration needs is there");
    } else {
        let _ = write!(text, "\nblocked:");
        for line in &findings.blocked {
            let _ = write!(text, "\n  {line}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_has_the_shape_that_others_read() {
        let items = vec![
            Item::needed("prometheus", "server", "ingest prometheus", Err("no answer".into())),
            Item::optional("VAULT_ADDR", "environment", Ok("set".into())),
        ];
        let findings = Findings { checked_at: Timestamp::EPOCH, items, blocked: vec!["ingest prometheus: no answer".into()] };
        let expected = json!({
            "checked_at": "1970-01-01T00:00:00Z",
            "items": [
                {"name": "prometheus", "kind": "server", "required": true, "present": false, "detail": "no answer"},
                {"name": "VAULT_ADDR", "kind": "environment", "required": false, "present": true, "detail": "set"},
            ],
            "blocked": ["ingest prometheus: no answer"],
        });
        assert_eq!(serde_json::to_value(&findings).unwrap(), expected);
        let text = text(&findings);
        assert!(text.contains("MISSING") && text.contains("blocked:\n  ingest prometheus: no answer"), "{text}");
    }
}
