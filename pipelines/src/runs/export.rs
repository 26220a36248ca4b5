//! Runs as JSONL: one object a line, with the field names of the table `runs`. What is written here was redacted when it came in.

use std::io::Write;
use std::path::{Path, PathBuf};

use bellwether_model::run::Run;

/// Why runs could not be written.
#[derive(Debug, thiserror::Error)]
#[error("{} cannot be written", path.display())]
pub struct ExportError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub source: std::io::Error,
}

/// Writes `runs` to `path`; gives the number of rows.
///
/// Guarantees: the file is there whole or not at all, for it is written beside its place, synced, and renamed.
pub fn jsonl(runs: &[Run], path: &Path) -> Result<usize, ExportError> {
    let wrong = |source| ExportError { path: path.to_owned(), source };
    write(runs, path).map_err(wrong)
}

fn write(runs: &[Run], path: &Path) -> std::io::Result<usize> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".part");
    let beside = PathBuf::from(beside);
    let mut out = std::io::BufWriter::new(std::fs::File::create(&beside)?);
    for run in runs {
        serde_json::to_writer(&mut out, run)?;
        out.write_all(b"\n")?;
    }
    out.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()?;
    std::fs::rename(&beside, path)?;
    Ok(runs.len())
}

#[cfg(test)]
mod tests {
    use bellwether_embeddings::Redactor;
    use bellwether_model::time::Timestamp;

    use super::*;
    use crate::runs::files;

    #[test]
    fn what_is_exported_can_be_ingested_and_is_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let (first, second) = (dir.path().join("in.jsonl"), dir.path().join("out.jsonl"));
        std::fs::write(
            &first,
            "{\"run_id\": \"a\", \"workflow_id\": \"w\", \"status\": \"ok\", \"updated_at\": \"2026-01-01\", \"outcome\": \"fixed\"}\n",
        )
        .unwrap();
        let redactor = Redactor::new(b"a key of the tests", &[]).unwrap();
        let runs = files::read(&first, &redactor, Timestamp::from_secs(9)).unwrap().runs;
        assert_eq!(jsonl(&runs, &second).unwrap(), 1);
        let line: Run = serde_json::from_str(std::fs::read_to_string(&second).unwrap().trim()).unwrap();
        assert_eq!(line, runs[0]);
        let again = files::read(&second, &redactor, Timestamp::from_secs(9)).unwrap().runs;
        assert_eq!(
            (&again[0].run_id, again[0].status, &again[0].outcome, again[0].updated_at),
            (&runs[0].run_id, runs[0].status, &runs[0].outcome, runs[0].updated_at)
        );
        assert!(jsonl(&runs, Path::new("/nowhere/out.jsonl")).is_err());
    }
}
