//! `bellwether demo`: the whole job on a simulated fleet, from an empty folder to a report.
//!
//! The fleet's Prometheus and Kubernetes API are served on loopback ports, so that everything before and after them is what
//! runs at a user's: the same clients, the same ingest, the same rounds, the same journal. Only three things are pretended: the
//! fleet, its clock, and the person who approves. The labels of the fleet's faults are looked at when all is over, for the score.
//!
//! Modules in reading order: [`folder`] (what a user would have written), [`stage`] (the fleet on its ports), [`day`] (the
//! rounds), [`score`] (against the labels), [`summary`] (the report as one JSON object), [`show`] (progress).

mod day;
mod folder;
mod score;
mod show;
mod stage;
mod summary;

use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::path::Path;

use bellwether_executor::fleet::{Fleet, FleetSpec};
use bellwether_model::time::{Span, TimeRange};
use bellwether_sql::{Session, SessionOptions};
use tokio::net::TcpListener;

use super::{serve, sql_failure};
use crate::cli::{DemoArgs, Output, ServeArgs};
use crate::clock::now;
use crate::config::Config;
use crate::cycle::Cycle;
use crate::failure::{Failure, Kind};
use crate::program::Program;
use crate::report::data::{NextCommand, ReportData};
use crate::report::gather::{Scope, gather};
use crate::report::{html, overview, text};
use crate::{auth, open, output};

use day::Day;
use folder::Folder;
use show::Show;
use stage::Stage;

/// Width of the terminal text.
const WIDTH: usize = 110;

/// Runs the command.
pub async fn run(args: DemoArgs, output: Output) -> Result<(), Failure> {
    let began = now();
    let show = Show::new();
    let fleet = Fleet::new(FleetSpec { seed: args.seed, ..FleetSpec::default() });
    let folder = Folder::fresh(&args.dir)?;
    let stage = Stage::open(&fleet).await?;
    let config = folder.write(&fleet, &stage)?;
    let token = if args.serve { Some(ready_to_serve(&config, args.listen).await?) } else { None };
    let mut cycle = Cycle::open(config).await?;

    let day = Day::of(&fleet);
    let told = day.live(&fleet, &folder, &mut cycle, &show).await?;

    show.phase("Writing the report");
    let range = TimeRange::new(day.range.start - Span::from_days(1), day.range.end);
    let mut report = report(&cycle, &folder, range).await?;
    let score = score::score(fleet.faults(), &report, &told);
    report.against_labels = Some(score.against_labels());
    let page = folder.path("report.html");
    write(&page, &html::page(&report))?;
    write(&folder.path("overview.svg"), &overview::svg(&report, day.range))?;
    show.done();

    let summary = summary::Summary::of(&args, &report, &score, &told, now().since(began));
    output::print(output, &summary, || {
        let terminal = text::Terminal { ansi: std::io::stdout().is_terminal(), width: WIDTH };
        format!("{}\n{}", text::render(&report, terminal), summary.closing(&folder))
    })?;
    if let Some(token) = token {
        let config = cycle.config.clone();
        stage.announce(&folder, args.listen, &token);
        drop(cycle);
        serve::run(config, &ServeArgs { listen: Some(args.listen), role: None }).await?;
    }
    Ok(())
}

/// Makes sure, before anyone waits, that the API can be served afterwards. Gives a token for it.
async fn ready_to_serve(config: &Config, address: SocketAddr) -> Result<String, Failure> {
    let taken = |e: std::io::Error| Failure::user(format!("cannot listen on {address}: {e}")).hint("choose another address with --listen");
    drop(TcpListener::bind(address).await.map_err(taken)?);
    // It is printed, so it may only read.
    auth::issue(&config.serve.key_file, "demo", &["viewer".to_owned()], Span::from_hours(24), now())
        .map_err(|e| Failure::of(Kind::Config, &e))
}

/// The report on what the ledger has of this range.
async fn report(cycle: &Cycle, folder: &Folder, range: TimeRange) -> Result<ReportData, Failure> {
    let snapshot = cycle.lake.snapshot().await.map_err(|e| open::lake_failure(&e))?;
    let session = Session::open(&snapshot, SessionOptions::at(range.end)).await.map_err(|e| sql_failure(&e))?;
    let program = Program::with(&folder.path("bellwether.yaml"));
    let next_commands = next_commands(&program);
    let scope = Scope { title: "simulated fleet".into(), range, now: range.end, has_inventory: true, next_commands, program };
    gather(&session, Some(&cycle.journal), &cycle.rules, scope).await.map_err(|e| sql_failure(&e))
}

fn next_commands(program: &Program) -> Vec<NextCommand> {
    let command = |words: &str, purpose: &str| NextCommand { command: program.command(words), purpose: purpose.to_owned() };
    vec![
        command("incidents", "list what was found; `incidents show ID` tells all of one"),
        command(
            "sql \"SELECT playbook_id, effect, detail FROM outcomes\"",
            "ask the ledger anything: what was done, and whether it helped",
        ),
        command("audit verify", "check that no entry of the audit chain was edited, removed or inserted"),
    ]
}

fn write(path: &Path, content: &str) -> Result<(), Failure> {
    std::fs::write(path, content).map_err(|e| Failure::new(Kind::User, format!("cannot write {}: {e}", path.display())))
}
