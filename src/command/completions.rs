//! `bellwether completions`

use clap::CommandFactory as _;

use crate::cli::{Cli, CompletionsArgs};

/// Prints the script.
pub fn run(args: &CompletionsArgs) {
    clap_complete::generate(args.shell, &mut Cli::command(), "bellwether", &mut std::io::stdout());
}
