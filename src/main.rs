//! The `bellwether` binary: command line, configuration, HTTP API, reports. The only crate that knows clap, axum and
//! the JSON of the API; it holds no algorithm.
//!
//! Modules in reading order: [`cli`] (what can be said), [`config`] (what is set), [`command`] (what is done, one file
//! each), [`api`] (the same over HTTP), [`auth`] (who may), [`report`] (pages and pictures), [`failure`] (errors in
//! words), [`clock`] (the only reader of the wall clock).

mod auth;
mod cli;
mod clock;
mod failure;

use clap::Parser as _;

fn main() {
    let cli = cli::Cli::parse();
    let _ = cli;
}
