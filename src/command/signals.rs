//! `bellwether signals`

use bellwether_model::signal::Signal;

use super::{session, sql_failure};
use crate::cli::{Output, SignalsArgs};
use crate::config::Config;
use crate::failure::Failure;
use crate::{open, output};

/// Runs the command.
pub async fn run(config: &Config, args: &SignalsArgs, output: Output) -> Result<(), Failure> {
    let lake = open::lake(config).await?;
    let session = session(&lake, None).await?;
    let filter = if args.open { "WHERE state <> 'closed'" } else { "" };
    let sql = format!("SELECT * FROM signals_current {filter} ORDER BY opened_at DESC, signal_id LIMIT {}", args.limit);
    let signals: Vec<Signal> = session.rows(&sql).await.map_err(|e| sql_failure(&e))?;
    let rows = signals.iter().map(output::row).collect::<Result<Vec<_>, _>>()?;
    output::print_rows(output, &rows, &["signal_id", "severity", "state", "opened_at", "score", "hint"])
}
