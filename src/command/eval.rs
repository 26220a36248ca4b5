//! `bellwether eval`: how good the program is on data whose answers are known.

use crate::cli::{EvalArgs, EvalCommand, Output};
use crate::failure::Failure;

mod rca;
mod recommend;

/// Runs the command. It needs neither a ledger nor a configuration.
pub async fn run(args: EvalArgs, output: Output) -> Result<(), Failure> {
    match args.command {
        EvalCommand::Rca(args) => rca::run(args, output).await,
        EvalCommand::Recommend(args) => recommend::run(args, output).await,
    }
}
