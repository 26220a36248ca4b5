//! `bellwether ingest`

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::sync::{Arc, Mutex};

use bellwether_lake::Snapshot;
use bellwether_lake::tables::SAMPLES;
use bellwether_model::run::Run;
use bellwether_model::time::Timestamp;
use bellwether_pipelines::ingest::{Ingest, Progress, SourceError, Sources, Summary, drain_inbox, ingest};
use bellwether_pipelines::runs::export;
use clap::error::ErrorKind;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use serde_json::{Map, json};

use super::{session, sql_failure, usage};
use crate::cli::{IngestArgs, IngestSource, Output};
use crate::clock;
use crate::config::{Config, LineageConfig, RunsConfig};
use crate::failure::{Failure, Kind, chain};
use crate::{open, output};

/// What came of an ingest, as it is printed.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Account {
    /// One for each source.
    pub sources: Vec<SourceAccount>,
    /// New rows in all tables.
    pub new_rows: usize,
    /// Runs written to the file of `--export`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exported: Option<usize>,
}

/// What came of one source.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SourceAccount {
    /// The source.
    pub source: &'static str,
    /// New rows by table.
    pub rows: BTreeMap<&'static str, usize>,
    /// What was offered and not taken.
    pub rejected: u64,
    /// How often a series was there and had no value (NaN), as a ratio without traffic.
    pub no_value: u64,
    /// What the source warned of.
    pub warnings: Vec<String>,
    /// What went wrong.
    pub errors: Vec<String>,
}

/// Runs the command.
pub async fn run(config: Config, args: IngestArgs, output: Output) -> Result<(), Failure> {
    let config = only(config, &args);
    let now = match args.until {
        None => clock::now(),
        Some(until) if until <= clock::now() => until,
        Some(until) => return Err(Failure::user(format!("--until {until} is in the future; nothing is known of it yet"))),
    };
    let rules = open::rules(&config)?;
    let sources = open::sources(&config, rules).await?;
    let takes_inbox = args.files.is_empty() && matches!(args.source, None | Some(IngestSource::Lineage));
    if is_empty(&sources) && !takes_inbox {
        return Err(nothing_configured(args.source));
    }
    let lake = open::lake(&config).await?;
    let redactor = Arc::new(open::redactor(&config)?);
    let bar = Bar::new();
    let progress = |p: Progress| bar.show(p);
    let call = Ingest { lake: &lake, redactor: &redactor, now, backfill: args.backfill, progress: &progress };
    let mut summary = ingest(call, &sources).await;
    if takes_inbox && config.journal.path.exists() {
        let journal = open::journal(&config).await?;
        summary.sources.push(drain_inbox(call, &journal).await);
    }
    bar.clear();
    let mut account = account(&summary);
    if let Some(path) = &args.export {
        let session = session(&lake, None).await?;
        let runs: Vec<Run> =
            session.rows("SELECT * FROM runs_current ORDER BY updated_at, source, run_id").await.map_err(|e| sql_failure(&e))?;
        account.exported = Some(export::jsonl(&runs, path).map_err(|e| Failure::of(Kind::User, &e))?);
    }
    output::print(output, &account, || text(&account))?;
    if let (Some(n), Some(path), Output::Table) = (account.exported, &args.export, output) {
        eprintln!("{n} runs written to {}", path.display());
    }
    failure(&account).map_or(Ok(()), |failure| {
        Err(if is_empty(&sources) && takes_inbox {
            failure
        } else {
            failure.hint("what the others brought is stored; mend the cause and run it again: it carries on where the ledger ends")
        })
    })
}

/// The configuration with only the source that was asked for, and with the files of the command line.
fn only(mut config: Config, args: &IngestArgs) -> Config {
    if !args.files.is_empty() && !matches!(args.source, Some(IngestSource::Runs | IngestSource::Lineage)) {
        usage(
            ErrorKind::MissingRequiredArgument,
            "--file needs to know what the files hold: write `bellwether ingest runs --file …` or `bellwether ingest lineage --file …`",
        );
    }
    if args.export.is_some() && args.source != Some(IngestSource::Runs) {
        usage(ErrorKind::MissingRequiredArgument, "--export is for run history: write `bellwether ingest runs --export …`");
    }
    let Some(wanted) = args.source else { return config };
    if wanted != IngestSource::Prometheus {
        config.prometheus = None;
    }
    if wanted != IngestSource::Runs {
        config.runs = RunsConfig::default();
    }
    if wanted != IngestSource::Lineage {
        config.lineage = LineageConfig::default();
    }
    if wanted != IngestSource::Inventory {
        (config.kubernetes, config.endpoints, config.pools) = (None, Vec::new(), Vec::new());
    }
    if !args.files.is_empty() {
        match wanted {
            IngestSource::Runs => config.runs = RunsConfig { postgres: None, files: args.files.clone() },
            _ => config.lineage = LineageConfig { files: args.files.clone() },
        }
    }
    config
}

fn is_empty(sources: &Sources) -> bool {
    let has_fleet = !sources.endpoints.is_empty()
        || !sources.pools.is_empty()
        || matches!(sources.cluster, bellwether_executor::Cluster::Kubernetes(_));
    sources.prometheus.is_none()
        && sources.postgres.is_none()
        && sources.run_files.is_empty()
        && sources.lineage_files.is_empty()
        && !has_fleet
}

fn nothing_configured(source: Option<IngestSource>) -> Failure {
    let (what, hint) = match source {
        Some(IngestSource::Prometheus) => {
            ("no Prometheus is configured", "set `prometheus: {url: http://HOST:9090}`, or PROM_URL in the environment")
        }
        Some(IngestSource::Runs) => (
            "no run history is configured",
            "set `runs: {postgres: {}}` with POSTGRES_DSN in the environment, or `runs: {files: [runs.jsonl]}`, or give --file",
        ),
        Some(IngestSource::Lineage) => {
            ("no lineage is configured", "set `lineage: {files: [events.jsonl]}`, give --file, or send events to the API")
        }
        Some(IngestSource::Inventory) => ("no inventory is configured", "set `kubernetes: {}`, or list `endpoints:` and `pools:`"),
        None => ("no source is configured", "write a configuration with `bellwether init --prom URL`"),
    };
    Failure::config(format!("nothing to ingest: {what}")).hint(hint)
}

/// A summary as it is printed.
pub fn account(summary: &Summary) -> Account {
    let sources = summary.sources.iter().filter(|s| s.source != "inbox" || s.new_rows() > 0 || !s.errors.is_empty() || s.rejected > 0);
    let sources = sources.map(|s| SourceAccount {
        source: s.source,
        rows: s.rows.clone(),
        rejected: s.rejected,
        no_value: s.no_value,
        warnings: grouped(s.warnings.iter().map(|w| split(w))),
        errors: grouped(s.errors.iter().map(words)),
    });
    Account { sources: sources.collect(), new_rows: summary.new_rows(), exported: None }
}

/// Where an error is, and what it says.
fn words(error: &SourceError) -> (String, String) {
    match error {
        SourceError::Rule(failure) => (failure.to_string(), chain(&failure.source)),
        other => (String::new(), chain(other)),
    }
}

/// A warning's place, `pack node:12: rule NAME`, and its words.
fn split(warning: &str) -> (String, String) {
    let after_rule = warning.find(": rule ").and_then(|at| warning[at + 7..].find(": ").map(|end| at + 7 + end));
    match after_rule {
        Some(at) => (warning[..at].to_owned(), warning[at + 2..].to_owned()),
        None => (String::new(), warning.to_owned()),
    }
}

/// Equal words at several places are said once.
fn grouped(found: impl Iterator<Item = (String, String)>) -> Vec<String> {
    let mut by_words: Vec<(String, Vec<String>)> = Vec::new();
    for (place, words) in found {
        match by_words.iter_mut().find(|(known, _)| *known == words) {
            Some((_, places)) => places.push(place),
            None => by_words.push((words, vec![place])),
        }
    }
    let line = |(words, places): (String, Vec<String>)| match places.as_slice() {
        [place] if place.is_empty() => words,
        [place] => format!("{place}: {words}"),
        [first, rest @ ..] if first.is_empty() => format!("{words} ({} times)", rest.len() + 1),
        [first, rest @ ..] => format!("{first}, and {} more: {words}", rest.len()),
        [] => words,
    };
    by_words.into_iter().map(line).collect()
}

/// The account as a table, with what the sources warned of below it.
pub fn text(account: &Account) -> String {
    let mut rows = Vec::new();
    for source in &account.sources {
        let mut row = Map::new();
        let tables: Vec<String> = source.rows.iter().filter(|(_, n)| **n > 0).map(|(table, n)| format!("{n} {table}")).collect();
        row.insert("source".into(), json!(source.source));
        row.insert("new rows".into(), json!(if tables.is_empty() { "nothing new".to_owned() } else { tables.join(", ") }));
        row.insert("no value".into(), json!(source.no_value));
        row.insert("rejected".into(), json!(source.rejected));
        row.insert("state".into(), json!(if source.errors.is_empty() { "ok" } else { "failed" }));
        rows.push(row);
    }
    let mut text = if rows.is_empty() {
        "nothing waits in the inbox".to_owned()
    } else {
        output::table(&rows, &["source", "new rows", "no value", "rejected", "state"])
    };
    for source in &account.sources {
        for warning in &source.warnings {
            text.push_str(&format!("\nwarning: {}: {warning}", source.source));
        }
    }
    text
}

/// What failed, as one failure; none when every source answered.
pub fn failure(account: &Account) -> Option<Failure> {
    let lines: Vec<String> = account.sources.iter().flat_map(|s| s.errors.iter().map(|e| format!("{}: {e}", s.source))).collect();
    (!lines.is_empty()).then(|| Failure::new(Kind::Upstream, lines.join("\n       ")))
}

/// A progress bar on stderr, where that is a terminal.
pub struct Bar {
    bar: Option<ProgressBar>,
    source: Mutex<&'static str>,
}

impl Bar {
    /// A bar that shows nothing yet.
    pub fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style =
                ProgressStyle::with_template("{msg:14} {bar:30} {pos}/{len} {elapsed}").unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::new(0).with_style(style)
        });
        Self { bar, source: Mutex::new("") }
    }

    /// Shows how far a source is.
    pub fn show(&self, progress: Progress) {
        let Some(bar) = &self.bar else { return };
        if let Ok(mut source) = self.source.lock()
            && *source != progress.source
        {
            *source = progress.source;
            bar.set_message(progress.source);
            bar.reset_elapsed();
        }
        bar.set_length(progress.total);
        bar.set_position(progress.done);
    }

    /// Takes the bar away.
    pub fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// The time of the newest sample in the ledger, as its log says; none when there is no sample.
pub fn newest_sample(snapshot: &Snapshot) -> Option<Timestamp> {
    snapshot.stat().into_iter().find(|t| t.table == SAMPLES.name).and_then(|t| t.newest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_words_at_many_places_are_said_once() {
        let at = |place: &str, words: &str| (place.to_owned(), words.to_owned());
        let said = grouped(
            [
                at("pack node:7: rule a", "no answer"),
                at("", "the disk is full"),
                at("pack node:9: rule b", "no answer"),
                at("r.yaml:2: rule c", "bad"),
            ]
            .into_iter(),
        );
        assert_eq!(said, ["pack node:7: rule a, and 1 more: no answer", "the disk is full", "r.yaml:2: rule c: bad"]);
        assert_eq!(split("pack node:7: rule a: many: series"), at("pack node:7: rule a", "many: series"));
        assert_eq!(split("nothing"), at("", "nothing"));
    }

    #[test]
    fn an_account_names_tables_and_failures() {
        let source = |source, rows: &[(&'static str, usize)], errors: &[&str]| SourceAccount {
            source,
            rows: rows.iter().copied().collect(),
            rejected: 3,
            no_value: 7,
            warnings: vec!["slow".into()],
            errors: errors.iter().map(|e| (*e).to_owned()).collect(),
        };
        let account = Account {
            sources: vec![source("prometheus", &[("samples", 12), ("series", 0)], &[]), source("postgres", &[], &["no answer"])],
            new_rows: 12,
            exported: None,
        };
        let text = text(&account);
        assert!(
            text.contains("12 samples")
                && !text.contains("series")
                && text.contains("nothing new")
                && text.contains("warning: prometheus: slow"),
            "{text}"
        );
        assert_eq!(failure(&account).unwrap().message, "postgres: no answer");
        assert!(failure(&Account::default()).is_none());
    }
}
