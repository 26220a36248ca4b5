//! `bellwether sql`

use std::io::Read as _;

use bellwether_lake::rows::objects;
use bellwether_sql::Limits;

use super::{session, sql_failure};
use crate::cli::{Output, SqlArgs};
use crate::config::Config;
use crate::failure::{Failure, Kind};
use crate::{open, output};

/// Runs the command.
pub async fn run(config: &Config, args: SqlArgs, output: Output) -> Result<(), Failure> {
    let query = match (args.query, args.file) {
        (Some(query), _) => query,
        (None, Some(path)) => std::fs::read_to_string(&path).map_err(|e| Failure::user(format!("cannot read {}: {e}", path.display())))?,
        (None, None) => {
            let mut text = String::new();
            std::io::stdin()
                .read_to_string(&mut text)
                .map_err(|e| Failure::user(format!("cannot read the query from standard input: {e}")))?;
            text
        }
    };
    let lake = open::lake(config).await?;
    let session = session(&lake, args.as_of).await?;
    let limits = Limits { rows: args.limit, ..Limits::default() };
    let first = session.first_rows(&query, limits).await.map_err(|e| sql_failure(&e))?;
    let mut rows = Vec::new();
    for batch in &first.batches {
        rows.extend(objects(batch).map_err(|e| Failure::of(Kind::Internal, &e))?);
    }
    if first.has_more {
        eprintln!("these are the first {} rows: --limit shows more", args.limit);
    }
    let names: Vec<&str> = first.schema.fields().iter().map(|f| f.name().as_str()).collect();
    output::print_rows(output, &rows, &names)
}
