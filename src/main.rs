//! The `bellwether` binary: command line, configuration, HTTP API, reports. The only crate that knows clap, axum and
//! the JSON of the API; it holds no algorithm.
//!
//! Modules in reading order: [`cli`] (what can be said), [`lessons`] (what `--help` teaches), [`config`] (what is set), [`open`] (opening what is named there),
//! [`command`] (what is done, one file each), [`auth`] (who may), [`report`] and [`drift`] (pages and pictures), [`output`] (printing),
//! [`program`] (how it was called), [`query`] (help with SQL), [`failure`] (errors in words), [`actor`] (who acts), [`clock`] (the only
//! reader of the wall clock).

// A binary has no public interface: `pub` here means "for the other modules".
#![allow(unreachable_pub)]

mod actor;
mod api;
mod auth;
mod cli;
mod clock;
mod command;
mod config;
mod cycle;
mod drift;
mod failure;
mod lessons;
mod open;
mod output;
mod program;
mod query;
mod report;

use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _};
use cli::{Cli, LogFormat};
use failure::Failure;
use program::Program;

fn main() -> ExitCode {
    let cli = Cli::from_arg_matches(&lessons::taught(Cli::command()).get_matches()).unwrap_or_else(|e| e.exit());
    log(&cli);
    // Two TLS providers are linked; the process uses one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().thread_stack_size(8 << 20).build() {
        Ok(runtime) => runtime,
        Err(e) => return end(&Failure::new(failure::Kind::Upstream, format!("cannot start threads: {e}"))),
    };
    let machine = cli.global.output == cli::Output::Json;
    match runtime.block_on(command::run(cli)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(mut failure) => {
            failure.hint = failure.hint.map(|hint| Program::called().told(&hint));
            if machine {
                eprintln!("{}", failure.json());
                return ExitCode::from(failure.kind.exit_code());
            }
            end(&failure)
        }
    }
}

fn end(failure: &Failure) -> ExitCode {
    eprintln!("{failure}");
    ExitCode::from(failure.kind.exit_code())
}

/// Log lines go to stderr: warnings by default, more with `-v`, or as `RUST_LOG` says.
fn log(cli: &Cli) {
    // A process that goes on by itself says what it did; a command prints its answer.
    let verbose = cli.global.verbose.max(u8::from(matches!(cli.command, cli::Command::Serve(_))));
    let level = match verbose {
        // What kube logs of a connection that fails is in the error that follows.
        0 => "warn,kube_client::client::builder=off",
        1 => "warn,bellwether=info,bellwether_pipelines=info,bellwether_executor=info,bellwether_lake=info",
        _ => "info,bellwether=debug,bellwether_pipelines=debug,bellwether_executor=debug,bellwether_lake=debug",
    };
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(level));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(std::io::stderr().is_terminal()).with_writer(std::io::stderr);
    match cli.global.log_format {
        LogFormat::Text => lines.init(),
        LogFormat::Json => lines.json().init(),
    }
}
