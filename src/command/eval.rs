//! `bellwether eval`: how good the program is on data whose answers are known.

use crate::cli::{EvalArgs, EvalCommand, Output};
use crate::failure::Failure;

mod rca;

/// Runs the command.
pub async fn run(args: EvalArgs, output: Output) -> Result<(), Failure> {
    match args.command {
        EvalCommand::Rca(args) => rca::run(args, output).await,
    }
}
