//! Printing results: tables for people, JSON for machines. Data goes to stdout, everything else to stderr.

use std::io::IsTerminal as _;

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{Cell, ContentArrangement, Table};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::cli::Output;
use crate::failure::{Failure, Kind};

/// Prints a value: as JSON, or as `text` says.
pub fn print<T: Serialize>(output: Output, value: &T, text: impl FnOnce() -> String) -> Result<(), Failure> {
    match output {
        Output::Json => write_out(&json(value)?),
        Output::Table => write_out(&text()),
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

/// A table of these rows.
pub fn table(rows: &[Map<String, Value>], columns: &[&str]) -> String {
    let names: Vec<String> = if columns.is_empty() {
        rows.first().map(|r| r.keys().cloned().collect()).unwrap_or_default()
    } else {
        columns.iter().map(|c| (*c).to_owned()).collect()
    };
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY).set_header(&names);
    if std::io::stdout().is_terminal() {
        table.set_content_arrangement(ContentArrangement::Dynamic);
    }
    for row in rows {
        table.add_row(names.iter().map(|n| Cell::new(row.get(n).map(show).unwrap_or_default())));
    }
    table.lines().map(|l| l.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

/// A value in a cell: text without quotes, numbers with at most six digits after the point, nothing for null.
fn show(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Number(n) => match n.as_f64() {
            Some(f) if n.is_f64() => {
                let text = format!("{f:.6}");
                text.trim_end_matches('0').trim_end_matches('.').to_owned()
            }
            _ => n.to_string(),
        },
        other => other.to_string(),
    }
}

/// Serialises a struct into a row.
pub fn row<T: Serialize>(value: &T) -> Result<Map<String, Value>, Failure> {
    match serde_json::to_value(value) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(other) => Err(Failure::new(Kind::Internal, format!("a row is not an object: {other}"))),
        Err(e) => Err(Failure::new(Kind::Internal, format!("a row has no JSON form: {e}"))),
    }
}
