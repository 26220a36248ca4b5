//! A file that somebody names: its format by its extension, and why it cannot be read.

use std::path::{Path, PathBuf};

use arrow::error::ArrowError;
use parquet::errors::ParquetError;
use polars::prelude::PolarsError;

/// How a file holds its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Text with one record a line and this byte between its cells; the first record holds the names.
    Delimited(u8),
    /// One JSON object a line.
    JsonLines,
    /// A JSON list of objects.
    Json,
    /// Parquet.
    Parquet,
}

impl Format {
    /// The format that a file's extension names.
    ///
    /// # Errors
    /// [`FileError::Unknown`].
    pub fn of(path: &Path) -> Result<Self, FileError> {
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
        match extension.as_str() {
            "csv" => Ok(Self::Delimited(b',')),
            "tsv" => Ok(Self::Delimited(b'\t')),
            "jsonl" | "ndjson" => Ok(Self::JsonLines),
            "json" => Ok(Self::Json),
            "parquet" => Ok(Self::Parquet),
            _ => Err(FileError::Unknown { path: path.to_owned() }),
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Delimited(b'\t') => "TSV",
            Self::Delimited(_) => "CSV",
            Self::JsonLines => "JSONL",
            Self::Json => "JSON",
            Self::Parquet => "Parquet",
        }
    }
}

/// Why a file gave no rows at all.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be opened or read.
    #[error("{} cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is not the text that its name promises.
    #[error("{} is not a {format} file that can be read: {why}", path.display())]
    Text {
        /// The file.
        path: PathBuf,
        /// What it should be.
        format: &'static str,
        /// Why, in the reader's words.
        why: String,
    },
    /// One of its lines is not what the others are.
    #[error("{}:{line}: {why}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// What is wrong with it.
        why: String,
    },
    /// It is no Parquet, or a truncated one.
    #[error("{} is not a Parquet file that can be read", path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// Why.
        source: ParquetError,
    },
    /// A Parquet column has a type that cannot be read.
    #[error("{} has a column that cannot be read", path.display())]
    Column {
        /// The file.
        path: PathBuf,
        /// Why.
        source: ArrowError,
    },
    /// It has no content at all.
    #[error("{} is empty: it has not even names of columns", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// It has no such column.
    #[error("{} has no column {column:?}", path.display())]
    NoColumn {
        /// The file.
        path: PathBuf,
        /// The column that was asked for.
        column: String,
    },
    /// Its extension is none of those known.
    #[error("{} is none of .csv, .tsv, .jsonl, .ndjson, .json and .parquet", path.display())]
    Unknown {
        /// The file.
        path: PathBuf,
    },
}

impl FileError {
    /// What makes a reading error of this file's.
    pub(crate) fn read(path: &Path) -> impl Fn(std::io::Error) -> Self + Copy + '_ {
        move |source| Self::Read { path: path.to_owned(), source }
    }

    /// What makes an error of what Polars found wrong.
    pub(crate) fn text(path: &Path, format: Format) -> impl Fn(PolarsError) -> Self + Copy + '_ {
        move |e| Self::Text { path: path.to_owned(), format: format.name(), why: finding(&e) }
    }

    /// What makes an error of a damaged Parquet file.
    pub(crate) fn parquet(path: &Path) -> impl Fn(ParquetError) -> Self + Copy + '_ {
        move |source| Self::Parquet { path: path.to_owned(), source }
    }

    /// What makes an error of a Parquet column.
    pub(crate) fn column(path: &Path) -> impl Fn(ArrowError) -> Self + Copy + '_ {
        move |source| Self::Column { path: path.to_owned(), source }
    }
}

/// What Polars found wrong, without its advice to programmers.
fn finding(error: &PolarsError) -> String {
    let words = error.to_string();
    words.split("\n\n").next().unwrap_or(&words).replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_extension_names_the_format() {
        for (name, format) in [("a.CSV", "CSV"), ("a.tsv", "TSV"), ("b.ndjson", "JSONL"), ("b.json", "JSON"), ("c.parquet", "Parquet")] {
            assert_eq!(Format::of(Path::new(name)).unwrap().name(), format);
        }
        let unknown = Format::of(Path::new("d.xlsx")).unwrap_err().to_string();
        assert_eq!(unknown, "d.xlsx is none of .csv, .tsv, .jsonl, .ndjson, .json and .parquet");
    }
}
