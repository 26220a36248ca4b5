//! Single columns of a file row by row, as text: what predictions, labels and groups are read from, which belong together by their row.

use std::fs::File;
use std::path::Path;

use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::DataType;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use polars::prelude::{DataFrame, DataType as PolarsType, JsonFormat, PolarsError};

use super::{csv, faults, json, open};
use crate::file::{FileError, Format};

/// The cells of these columns, column by column; `None` is a null. CPU-bound: call it from a blocking thread.
///
/// # Errors
/// When the file cannot be read or has no such column.
pub fn read(path: &Path, names: &[&str]) -> Result<Vec<Vec<Option<String>>>, FileError> {
    let (file, format) = open(path)?;
    let frame = match format {
        Format::Delimited(separator) => csv(path, separator, Some(0)),
        Format::JsonLines => json(file, JsonFormat::JsonLines),
        Format::Json => json(file, JsonFormat::Json),
        Format::Parquet => return parquet(path, file, names),
    };
    let wrong = faults::located(path, format);
    let frame = frame.map_err(wrong)?;
    let trimmed: Vec<&str> = frame.get_column_names().iter().map(|n| n.trim()).collect();
    let place = |name: &str| trimmed.iter().position(|n| *n == name).ok_or_else(|| no_column(path, name));
    names.iter().map(|name| texts(&frame, place(name)?).map_err(wrong)).collect()
}

fn no_column(path: &Path, column: &str) -> FileError {
    FileError::NoColumn { path: path.to_owned(), column: column.to_owned() }
}

fn texts(frame: &DataFrame, place: usize) -> Result<Vec<Option<String>>, PolarsError> {
    let column = frame.columns()[place].cast(&PolarsType::String)?;
    Ok(column.str()?.iter().map(|cell| cell.map(str::to_owned)).collect())
}

fn parquet(path: &Path, file: File, names: &[&str]) -> Result<Vec<Vec<Option<String>>>, FileError> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(FileError::parquet(path))?;
    let place = |name: &&str| builder.schema().index_of(name).map_err(|_| no_column(path, name));
    let places = names.iter().map(place).collect::<Result<Vec<usize>, _>>()?;
    let mask = ProjectionMask::roots(builder.parquet_schema(), places);
    let mut columns = vec![Vec::new(); names.len()];
    for batch in builder.with_projection(mask).build().map_err(FileError::parquet(path))? {
        let batch = batch.map_err(FileError::column(path))?;
        for (column, name) in columns.iter_mut().zip(names) {
            let Some(array) = batch.column_by_name(name) else { return Err(no_column(path, name)) };
            let texts = cast(array, &DataType::Utf8).map_err(FileError::column(path))?;
            column.extend(texts.as_string::<i32>().iter().map(|cell| cell.map(str::to_owned)));
        }
    }
    Ok(columns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_stay_in_their_rows() {
        let dir = tempfile::tempdir().unwrap();
        let found = |name: &str, text: &str, columns: &[&str]| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            read(&path, columns)
        };
        let texts = |cells: &[Option<String>]| cells.iter().map(|c| c.clone().unwrap_or("-".into())).collect::<Vec<_>>().join(" ");
        let csv = found("a.csv", "p,label,x\n0.5,1,a\n,0,b\n0.25,NA,c\n", &["label", "p"]).unwrap();
        assert_eq!((texts(&csv[0]), texts(&csv[1])), ("1 0 -".into(), "0.5 - 0.25".into()));
        let jsonl = found("a.jsonl", "{\"p\": 0.5, \"label\": true}\n{\"p\": null, \"label\": false}\n", &["p", "label"]).unwrap();
        assert_eq!((texts(&jsonl[0]), texts(&jsonl[1])), ("0.5 -".into(), "true false".into()));
        let missing = found("a.csv", "p\n1\n", &["q"]).unwrap_err().to_string();
        assert!(missing.ends_with("a.csv has no column \"q\""), "{missing}");
    }
}
