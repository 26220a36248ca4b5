//! What is done: one file for each command.

pub mod act;
pub mod approve;
pub mod audit;
pub mod backtest;
pub mod completions;
pub mod demo;
pub mod detect;
pub mod doctor;
pub mod drift;
pub mod embeddings;
pub mod eval;
pub mod explain;
pub mod incidents;
pub mod ingest;
pub mod init;
pub mod label;
pub mod lake;
pub mod lineage;
pub mod models;
pub mod plan;
pub mod recommend;
pub mod report;
pub mod round;
pub mod serve;
pub mod signals;
pub mod silence;
pub mod sql;
pub mod token;
mod why;

use bellwether_lake::Lake;
use bellwether_model::time::Timestamp;
use bellwether_sql::{Session, SessionOptions, SqlError};

use crate::cli::{Cli, Command};
use crate::clock::now;
use crate::failure::{Failure, Kind};
use crate::{config, open, query};

/// Runs a command.
pub async fn run(cli: Cli) -> Result<(), Failure> {
    let global = cli.global;
    let output = global.output;
    let load = || config::load(&global.config);
    match cli.command {
        Command::Act(args) => act::run(load()?, args, output).await,
        Command::Approve(args) => approve::run(&load()?, args, output).await,
        Command::Audit(args) => audit::run(&load()?, args, output).await,
        Command::Backtest(args) => backtest::run(load, args, output).await,
        Command::Completions(args) => completions::run(&args),
        Command::Demo(args) => demo::run(args, output).await,
        Command::Detect(args) => detect::run(&load()?, args, output).await,
        Command::Doctor(args) => doctor::run(&global.config, args, output).await,
        Command::Drift(args) if args.table.is_some() => drift::table::run(&load()?, *args, output).await,
        Command::Drift(args) if args.model.is_some() && args.save_profile.is_none() => drift::model::run(&load()?, &args, output).await,
        Command::Drift(args) => {
            let rule = if global.config.exists() { load()?.judge.drift } else { Default::default() };
            drift::run(rule, *args, output).await
        }
        Command::Embeddings(args) => embeddings::run(&load()?, args, output).await,
        Command::Eval(args) => eval::run(args, output).await,
        Command::Explain(args) => explain::run(&load()?, args, output).await,
        Command::Incidents(args) => incidents::run(&load()?, args, output).await,
        Command::Ingest(args) => ingest::run(load()?, args, output).await,
        Command::Init(args) => init::run(&global.config, args, output).await,
        Command::Label(args) => label::run(&load()?, args).await,
        Command::Lake(args) => lake::run(&load()?, args, output).await,
        Command::Lineage(args) => lineage::run(&load()?, args, output).await,
        Command::Models(args) => models::run(&global.config, &load()?, args, output),
        Command::Plan(args) => plan::run(&load()?, args, output).await,
        Command::Recommend(args) => recommend::run(&load()?, args, output).await,
        Command::Report(args) => report::run(&load()?, &args, output).await,
        Command::Round(args) => round::run(load()?, args, output).await,
        Command::Serve(args) => serve::run(load()?, &args).await,
        Command::Signals(args) => signals::run(&load()?, args, output).await,
        Command::Sql(args) => sql::run(&load()?, args, output).await,
        Command::Token(args) => token::run(&load()?, args),
    }
}

/// Ends the process as clap does when the command line makes no sense: exit code 2.
fn usage(kind: clap::error::ErrorKind, message: &str) -> ! {
    use clap::CommandFactory as _;
    Cli::command().error(kind, message).exit()
}

/// A session over the newest state of the ledger.
pub(crate) async fn session(lake: &Lake, as_of: Option<Timestamp>) -> Result<Session, Failure> {
    let snapshot = lake.snapshot().await.map_err(|e| open::lake_failure(&e))?;
    let options = SessionOptions { as_of, ..SessionOptions::at(now()) };
    Session::open(&snapshot, options).await.map_err(|e| sql_failure(&e))
}

/// The present as the ledger knows it: its newest sample, or now where it has none. What is open lasts until then.
fn present(session: &Session) -> Timestamp {
    let now = now();
    ingest::newest_sample(session.snapshot()).map_or(now, |newest| newest.min(now))
}

/// A query's error in words.
fn sql_failure(error: &SqlError) -> Failure {
    let kind = if error.is_users() { Kind::User } else { Kind::Internal };
    Failure { hint: query::hint(error), ..Failure::of(kind, error) }
}
