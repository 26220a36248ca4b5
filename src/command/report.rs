//! `bellwether report`

use std::io::IsTerminal as _;

use bellwether_model::execution::ExecutionState;
use bellwether_model::time::TimeRange;

use super::ingest::newest_sample;
use super::{session, sql_failure};
use crate::cli::{Output, ReportArgs};
use crate::clock;
use crate::config::Config;
use crate::failure::Failure;
use crate::program::Program;
use crate::report::data::{NextCommand, ReportData};
use crate::report::gather::{Scope, gather};
use crate::report::{html, text, words};
use crate::{open, output};

/// Runs the command.
pub async fn run(config: &Config, args: &ReportArgs, output: Output) -> Result<(), Failure> {
    let rules = open::detection(&open::rules(config)?)?;
    let lake = open::lake(config).await?;
    let session = session(&lake, args.as_of).await?;
    let now = clock::now();
    let end = match args.as_of {
        Some(at) => at,
        None => newest_sample(session.snapshot()).unwrap_or(now).min(now),
    };
    // The audit chain is the journal's; without a journal nothing was ever done.
    let journal = if config.journal.path.exists() { Some(open::journal(config).await?) } else { None };
    let scope = Scope {
        title: title(config),
        range: TimeRange::new(end - args.last, end),
        now,
        has_inventory: config.has_inventory(),
        next_commands: Vec::new(),
        program: Program::called().clone(),
    };
    let mut data = gather(&session, journal.as_ref(), &rules, scope).await.map_err(|e| sql_failure(&e))?;
    data.next_commands = next_commands(&data, args.html.is_some());
    if let Some(path) = &args.html {
        let page = html::page(&data);
        std::fs::write(path, &page).map_err(|e| Failure::user(format!("cannot write the page to {}: {e}", path.display())))?;
        let note = format!(
            "{} written ({} KiB, {} from {} to {})",
            path.display(),
            page.len().div_ceil(1_024),
            words::many(data.incidents.iter().filter(|c| !c.is_called_false()).count() as i64, "incident"),
            data.range.start,
            data.range.end
        );
        if output == Output::Table {
            return output::print(output, &data, || note);
        }
        eprintln!("{note}");
    }
    let terminal = text::Terminal { ansi: std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none(), width: width() };
    output::print(output, &data, || text::render(&data, terminal).trim_end().to_owned())
}

/// What the report is about: the Prometheus that is read, or the ledger.
fn title(config: &Config) -> String {
    match config.prometheus.as_ref().and_then(|p| p.url.host_str().map(|host| (host.to_owned(), p.url.port()))) {
        Some((host, Some(port))) => format!("{host}:{port}"),
        Some((host, None)) => host,
        None => config.lake.url.clone(),
    }
}

/// Columns of the terminal; 100 where there is none.
fn width() -> usize {
    output::width().unwrap_or(100).min(140)
}

/// The three commands that lead on from what the report says, most useful first.
fn next_commands(data: &ReportData, has_page: bool) -> Vec<NextCommand> {
    let next = |words: &str, purpose: &str| NextCommand { command: data.program.command(words), purpose: purpose.to_owned() };
    let mut commands = Vec::new();
    if data.fleet.series == 0 {
        commands.push(next("ingest --backfill 14d", "bring two weeks of metrics into the ledger"));
    }
    let awaiting = |s: Option<ExecutionState>| s == Some(ExecutionState::AwaitingApproval);
    let waiting = data.incidents.iter().flat_map(|c| &c.attempts).find(|a| awaiting(a.state()));
    if let Some(attempt) = waiting {
        commands.push(next(&format!("approve {} --token-file FILE", attempt.plan.plan_id), "let this plan be carried out"));
        commands.push(next("act", "carry out what is approved, and verify it"));
    }
    if let Some(card) = data.incidents.iter().find(|c| !c.is_called_false()) {
        let id = &card.incident.incident_id;
        commands.push(next(&format!("incidents show {id}"), "all that is known of the first incident"));
        commands.push(next(&format!("label {id} not-an-incident"), "say that it was none; later reports take it into account"));
    }
    if data.fleet.series > 0 {
        commands.push(next("round", "ingest what is new and judge it"));
    }
    if !has_page {
        commands.push(next("report --html", "the same as a page, with every series drawn"));
    }
    commands.push(next("doctor", "check the configuration and everything it names"));
    commands.truncate(3);
    commands
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    #[test]
    fn three_commands_lead_on_from_what_was_found() {
        let data = fixture::fleet();
        let commands = next_commands(&data, false);
        assert_eq!(commands.len(), 3);
        let mut empty = data.clone();
        (empty.incidents, empty.fleet.series) = (Vec::new(), 0);
        let words: Vec<String> = next_commands(&empty, true).into_iter().map(|c| c.command).collect();
        assert_eq!(words, ["bellwether ingest --backfill 14d", "bellwether doctor"]);
    }
}
