//! Run history from files: JSONL, CSV and Parquet, told apart by the file's extension.
//!
//! A row that cannot be read is a reject with file and line (for Parquet, the row); the others are taken. CSV is read by Polars with every
//! column as text, so that one odd cell does not change the type of a column; JSONL line by line, because a line is what a reject names and
//! nested values are kept as they are.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use bellwether_embeddings::Redactor;
use bellwether_lake::rows::objects;
use bellwether_model::time::Timestamp;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use polars::prelude::{AnyValue, CsvParseOptions, CsvReadOptions, SerReader};
use serde_json::{Map, Value};

use super::Pulled;
use super::row::Origin;
use crate::file::{FileError, Format};

/// Reads all runs of a file. CPU-bound: call it from a blocking thread.
pub fn read(path: &Path, redactor: &Redactor, recorded_at: Timestamp) -> Result<Pulled, FileError> {
    let source = source(path);
    let origin = Origin { source: &source, redactor, recorded_at };
    match Format::of(path)? {
        Format::JsonLines | Format::Json => jsonl(path, &origin).map_err(FileError::read(path)),
        Format::Delimited(separator) => csv(path, separator, &origin),
        Format::Parquet => parquet(path, &origin),
    }
}

/// The source's name in the ledger: the file's name alone, so that a file that was moved is the same source.
pub fn source(path: &Path) -> String {
    format!("file:{}", path.file_name().unwrap_or_default().to_string_lossy())
}

fn jsonl(path: &Path, origin: &Origin<'_>) -> std::io::Result<Pulled> {
    let mut pulled = Pulled::default();
    for (i, line) in BufReader::new(File::open(path)?).split(b'\n').enumerate() {
        let line = line?;
        let place = format!("{}:{}", path.display(), i + 1);
        // A byte order mark may begin the file.
        let line = if i == 0 { line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&line) } else { &line };
        if line.trim_ascii().is_empty() {
            continue;
        }
        match serde_json::from_slice(line) {
            Ok(Value::Object(row)) => origin.add(row, place, &mut pulled),
            Ok(_) => origin.refuse(&String::from_utf8_lossy(line), place, "a run is a JSON object", &mut pulled),
            Err(error) => origin.refuse(&String::from_utf8_lossy(line), place, format!("not JSON: {error}"), &mut pulled),
        }
    }
    Ok(pulled)
}

fn csv(path: &Path, separator: u8, origin: &Origin<'_>) -> Result<Pulled, FileError> {
    let wrong = FileError::text(path, Format::Delimited(separator));
    let options = CsvReadOptions::default()
        // No inference: every column is text.
        .with_infer_schema_length(Some(0))
        .with_n_threads(Some(1))
        .with_parse_options(CsvParseOptions::default().with_separator(separator).with_missing_is_null(true));
    let frame = options.try_into_reader_with_file_path(Some(path.to_owned())).map_err(wrong)?.finish().map_err(wrong)?;
    let names: Vec<String> = frame.get_column_names().iter().map(|n| n.trim().to_owned()).collect();
    let mut pulled = Pulled::default();
    let mut line = 2;
    for i in 0..frame.height() {
        let mut row = Map::new();
        let mut breaks = 0;
        for (name, column) in names.iter().zip(frame.columns()) {
            let cell = match column.get(i).map_err(wrong)? {
                AnyValue::String(text) => text.to_owned(),
                AnyValue::StringOwned(text) => text.to_string(),
                _ => continue,
            };
            breaks += cell.matches('\n').count();
            row.insert(name.clone(), nested(cell));
        }
        origin.add(row, format!("{}:{line}", path.display()), &mut pulled);
        // A quoted cell may hold line breaks.
        line += 1 + breaks;
    }
    Ok(pulled)
}

/// A CSV cell that holds a JSON object or list is that; anything else is text.
fn nested(cell: String) -> Value {
    if cell.starts_with(['{', '[']) { serde_json::from_str(&cell).unwrap_or(Value::String(cell)) } else { Value::String(cell) }
}

fn parquet(path: &Path, origin: &Origin<'_>) -> Result<Pulled, FileError> {
    let (wrong, column) = (FileError::parquet(path), FileError::column(path));
    let file = File::open(path).map_err(FileError::read(path))?;
    let mut pulled = Pulled::default();
    let mut number = 0;
    for batch in ParquetRecordBatchReaderBuilder::try_new(file).and_then(ParquetRecordBatchReaderBuilder::build).map_err(wrong)? {
        for row in objects(&batch.map_err(column)?).map_err(column)? {
            number += 1;
            origin.add(row, format!("{}, row {number}", path.display()), &mut pulled);
        }
    }
    Ok(pulled)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{RecordBatch, StringArray, TimestampMicrosecondArray};
    use arrow::datatypes::{DataType, Field, Schema, TimeUnit};

    use super::*;

    fn read_text(name: &str, content: &[u8]) -> Result<Pulled, FileError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        std::fs::write(&path, content).unwrap();
        read(&path, &Redactor::new(b"a key of the tests", &[]).unwrap(), Timestamp::from_secs(9))
    }

    fn ids(pulled: &Pulled) -> Vec<&str> {
        pulled.runs.iter().map(|r| r.run_id.as_str()).collect()
    }

    #[test]
    fn jsonl_keeps_good_lines_and_names_bad_ones() {
        let text = "\u{feff}{\"run_id\": \"a\", \"updated_at\": \"2026-01-01\", \"inputs\": {\"n\": [1]}}\n\n{\"run_id\": \"b\"\n[]\n{\"run_id\": \"c\", \"updated_at\": 1767225600}\r\n{\"run_id\": \"d\"}";
        let pulled = read_text("runs.jsonl", text.as_bytes()).unwrap();
        assert_eq!(ids(&pulled), ["a", "c"]);
        assert_eq!(pulled.runs[0].attributes["inputs"]["n"][0], 1);
        let places: Vec<_> = pulled.rejects.iter().map(|r| r.place.rsplit(':').next().unwrap()).collect();
        assert_eq!(places, ["3", "4", "6"]);
    }

    #[test]
    fn csv_cells_are_text_and_lines_are_counted() {
        let text = "run_id,status,updated_at,error,inputs\n007,failed,2026-01-01,\"line one\nline two\",\"{\"\"n\"\": 1}\"\n8,ok,never,,\n9,ok,2026-01-02,,\n";
        let pulled = read_text("runs.csv", text.as_bytes()).unwrap();
        assert_eq!(ids(&pulled), ["007", "9"]);
        assert_eq!(
            (pulled.runs[0].error.as_deref(), pulled.runs[0].attributes["inputs"]["n"].as_i64()),
            (Some("line one\nline two"), Some(1))
        );
        assert!(pulled.rejects[0].place.ends_with(":4"), "{}", pulled.rejects[0].place);
    }

    #[test]
    fn parquet_rows_become_runs() {
        let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let schema = Arc::new(Schema::new(vec![Field::new("run_id", DataType::Utf8, true), Field::new("updated_at", time, false)]));
        let times = TimestampMicrosecondArray::from(vec![1_767_225_600_000_000; 2]).with_timezone("UTC");
        let batch =
            RecordBatch::try_new(schema.clone(), vec![Arc::new(StringArray::from(vec![Some("a"), None])), Arc::new(times)]).unwrap();
        let mut writer = parquet::arrow::ArrowWriter::try_new(Vec::new(), schema, None).unwrap();
        writer.write(&batch).unwrap();
        let content = writer.into_inner().unwrap();
        let pulled = read_text("runs.parquet", &content).unwrap();
        assert_eq!((ids(&pulled), pulled.runs[0].updated_at), (vec!["a"], Timestamp::from_secs(1_767_225_600)));
        assert!(pulled.rejects[0].place.ends_with("row 2"));
        assert!(matches!(read_text("runs.parquet", &content[..content.len() / 2]), Err(FileError::Parquet { .. })));
    }

    #[test]
    fn other_files_are_refused() {
        assert!(matches!(read_text("runs.xlsx", b""), Err(FileError::Unknown { .. })));
        assert!(matches!(
            read(Path::new("/nowhere/runs.jsonl"), &Redactor::new(b"a key of the tests", &[]).unwrap(), Timestamp::EPOCH),
            Err(FileError::Read { .. })
        ));
    }
}
