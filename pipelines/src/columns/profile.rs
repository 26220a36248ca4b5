//! A profile: sketches of all columns of a file, kept with the version of a model that was trained on it, so that drift over months needs
//! none of the rows.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use bellwether_detectors::drift::sketch::Sketch;
use serde::{Deserialize, Serialize};

use super::sketched::of_table;
use super::{Content, Table};
use crate::file::FileError;

/// The version of the format that is written, and the only one that is read.
const VERSION: u32 = 1;
/// What a profile begins with.
const BEGINS: &str = r#"{"bellwether_profile":"#;

/// Where a profile's columns come from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The file or table that it was made of.
    pub made_of: String,
    /// The model and version that were trained on it, where somebody said so.
    pub model: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    bellwether_profile: u32,
    made_of: String,
    model: Option<String>,
    rows: u64,
    columns: Vec<StoredColumn>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredColumn {
    name: String,
    holds: Holds,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Holds {
    Sketch(Box<Sketch>),
    Nulls,
    Other(String),
}

/// Why a profile cannot be kept or read back.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// The file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file cannot be written.
    #[error("{} cannot be written", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is no profile, or a damaged one.
    #[error("{} is not a profile that can be read", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// It was written by another version of this program.
    #[error("{} has version {version} of the profile format; this program reads version {VERSION}", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: u32,
    },
}

/// Whether a file is a profile, whatever its name: by its first bytes. What cannot be read is none.
pub fn is_profile(path: &Path) -> bool {
    let mut begins = vec![0; BEGINS.len()];
    File::open(path).and_then(|mut f| f.read_exact(&mut begins)).is_ok_and(|()| begins == BEGINS.as_bytes())
}

/// Writes columns as a profile; those that are at hand are made into sketches first.
///
/// # Errors
/// [`ProfileError::Write`].
pub fn save(path: &Path, table: &Table, origin: &Origin, seed: u64) -> Result<(), ProfileError> {
    let columns = of_table(table, Some(table), seed).columns.into_iter().map(|(name, content)| {
        let holds = match content {
            Content::Sketched(sketch) => Holds::Sketch(sketch),
            Content::Other { name } => Holds::Other(name),
            Content::Nulls { .. } | Content::Numbers { .. } | Content::Categories { .. } => Holds::Nulls,
        };
        StoredColumn { name, holds }
    });
    let stored = Stored {
        bellwether_profile: VERSION,
        made_of: origin.made_of.clone(),
        model: origin.model.clone(),
        rows: table.rows,
        columns: columns.collect(),
    };
    let wrong = |source| ProfileError::Write { path: path.to_owned(), source };
    let text = serde_json::to_vec(&stored).map_err(std::io::Error::from).map_err(wrong)?;
    std::fs::write(path, text).map_err(wrong)
}

/// Reads a profile.
///
/// # Errors
/// When it cannot be read, is damaged, or has another version.
pub fn load(path: &Path) -> Result<(Table, Origin), ProfileError> {
    let text = std::fs::read(path).map_err(FileError::read(path))?;
    let stored: Stored = serde_json::from_slice(&text).map_err(|source| ProfileError::Damaged { path: path.to_owned(), source })?;
    if stored.bellwether_profile != VERSION {
        return Err(ProfileError::Version { path: path.to_owned(), version: stored.bellwether_profile });
    }
    let columns = stored.columns.into_iter().map(|StoredColumn { name, holds }| {
        let content = match holds {
            Holds::Sketch(sketch) => Content::Sketched(sketch),
            Holds::Nulls => Content::Nulls { nulls: stored.rows },
            Holds::Other(name) => Content::Other { name },
        };
        (name, content)
    });
    Ok((Table { rows: stored.rows, columns: columns.collect() }, Origin { made_of: stored.made_of, model: stored.model }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_comes_back_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fraud@3.json");
        let columns = vec![
            ("amount".to_owned(), Content::Numbers { values: (0..9_000).map(|i| f64::from(i % 977)).collect(), nulls: 1_000 }),
            ("city".to_owned(), Content::Categories { counts: [("Rome".to_owned(), 10_000)].into(), nulls: 0 }),
            ("empty".to_owned(), Content::Nulls { nulls: 10_000 }),
            ("at".to_owned(), Content::Other { name: "timestamp".into() }),
        ];
        let table = Table { rows: 10_000, columns };
        let origin = Origin { made_of: "train.csv".into(), model: Some("fraud@3".into()) };
        save(&path, &table, &origin, 7).unwrap();
        assert!(is_profile(&path) && !is_profile(Path::new("/nowhere")));
        let (back, found) = load(&path).unwrap();
        assert_eq!((&back, &found), (&of_table(&table, Some(&table), 7), &origin));
        save(&path, &back, &found, 7).unwrap();
        assert_eq!(load(&path).unwrap().0, back, "sketches are kept as they are");
        std::fs::write(&path, std::fs::read_to_string(&path).unwrap().replacen(":1,", ":2,", 1)).unwrap();
        assert!(load(&path).unwrap_err().to_string().ends_with("has version 2 of the profile format; this program reads version 1"));
        std::fs::write(&path, r#"{"bellwether_profile":1}"#).unwrap();
        assert!(matches!(load(&path), Err(ProfileError::Damaged { .. })));
    }
}
