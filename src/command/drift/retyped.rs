//! Columns that were numbers and now hold texts: the value that made them so.

use std::path::Path;

use bellwether_detectors::drift::column::Note;
use bellwether_pipelines::columns::cells;
use bellwether_pipelines::columns::profile::is_profile;

use super::{blocking, is_exact};
use crate::drift::account::{Account, Row};
use crate::failure::Failure;

/// Characters of a value that are shown.
const SHOWN: usize = 40;

/// Says of columns that hold texts on one side and numbers on the other which text is the first that is no number, and in which row. The
/// file is read once more for it; one that is too large, or a profile, is not.
pub async fn name_strays(account: &mut Account, before: &Path, now: &Path) -> Result<(), Failure> {
    for row in &mut account.columns {
        let Some(path) = texts(row).map(|is_now| if is_now { now } else { before }).filter(|p| !is_profile(p) && is_exact(p, None)) else {
            continue;
        };
        let (path, column) = (path.to_owned(), row.column.clone());
        let Some((text, place)) = blocking(move || stray(&path, &column)).await? else { continue };
        let changed = Note::TypeChanged.to_string();
        if let Some(finding) = row.findings.iter_mut().find(|f| **f == changed) {
            *finding = format!("{changed}: {text:?} in row {place} is no number");
        }
    }
    Ok(())
}

/// Whether the side that holds texts is the current one, of a column whose other side holds numbers.
fn texts(row: &Row) -> Option<bool> {
    match row.r#type.as_str() {
        "number → category" => Some(true),
        "category → number" => Some(false),
        _ => None,
    }
}

/// The first value that is no number, and its row from 1.
fn stray(path: &Path, column: &str) -> Option<(String, usize)> {
    let cells = cells::read(path, &[column]).ok()?.pop()?;
    let is_stray = |cell: &&str| cell.trim().parse::<f64>().is_err();
    let (row, text) = cells.iter().enumerate().find_map(|(i, cell)| Some((i + 1, cell.as_deref().filter(is_stray)?)))?;
    Some((text.chars().take(SHOWN).collect(), row))
}
