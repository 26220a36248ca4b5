//! `bellwether eval`

use crate::cli::{EvalArgs, EvalWhat, Output};
use crate::failure::Failure;

mod recommend;

/// Runs the command. It needs neither a ledger nor a configuration.
pub async fn run(args: EvalArgs, output: Output) -> Result<(), Failure> {
    match args.what {
        EvalWhat::Recommend(args) => recommend::run(args, output).await,
    }
}
