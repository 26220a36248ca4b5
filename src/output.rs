//! Printing results: tables for people, JSON for machines. Data goes to stdout, everything else to stderr.

mod table;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::cli::Output;
use crate::failure::{Failure, Kind};
use crate::program::Program;

pub use table::{Cell, Table, plain, wrapped};

/// Prints a value: as JSON, or as `text` says, with commands that can be pasted.
pub fn print<T: Serialize>(output: Output, value: &T, text: impl FnOnce() -> String) -> Result<(), Failure> {
    match output {
        Output::Json => write_out(&json(value)?),
        Output::Table => write_out(&Program::called().told(&text())),
    }
}

/// Prints rows: as a JSON array, or as a table with these columns (all of the first row when none are given).
pub fn print_rows(output: Output, rows: &[Map<String, Value>], columns: &[&str]) -> Result<(), Failure> {
    match output {
        Output::Json => write_out(&json(&rows)?),
        Output::Table if rows.is_empty() => write_out("no rows"),
        Output::Table => write_out(&table(rows, columns)),
    }
}

fn json<T: Serialize>(value: &T) -> Result<String, Failure> {
    serde_json::to_string_pretty(value).map_err(|e| Failure::new(Kind::Internal, format!("a result has no JSON form: {e}")))
}

/// Writes to stdout; a reader that closed it early, such as `head`, is no failure.
pub fn write_out(text: &str) -> Result<(), Failure> {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{}", text.trim_end_matches('\n')).and_then(|()| out.flush()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(Failure::user(format!("cannot write to stdout: {e}"))),
        _ => Ok(()),
    }
}

/// A table of these rows: these columns, or all of the first row when none are given.
pub fn table(rows: &[Map<String, Value>], columns: &[&str]) -> String {
    let all: Vec<&str> = rows.first().map(|r| r.keys().map(String::as_str).collect()).unwrap_or_default();
    Table::of(rows, if columns.is_empty() { &all } else { columns }).render(width())
}

/// Columns of the terminal that stdout is; none where it is no terminal, and lines may be as long as they are.
pub fn width() -> Option<usize> {
    comfy_table::Table::new().width().map(usize::from)
}

/// Serialises a struct into a row.
pub fn row<T: Serialize>(value: &T) -> Result<Map<String, Value>, Failure> {
    match serde_json::to_value(value) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(other) => Err(Failure::new(Kind::Internal, format!("a row is not an object: {other}"))),
        Err(e) => Err(Failure::new(Kind::Internal, format!("a row has no JSON form: {e}"))),
    }
}
