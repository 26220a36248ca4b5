//! Files of data, column by column: CSV and JSONL by Polars, Parquet by arrow-rs. What drift between two files is judged from.
//!
//! Types are inferred over the whole file, not its first rows. Numbers are compared as numbers, texts and truth values as categories; times (texts such as `2026-01-31` too),
//! nested values and binary data have no distribution that says anything, and are named as not compared. What is too large for memory is
//! read once, part by part, into sketches.
//!
//! Modules in reading order: [`delimited`] and [`lines`] — parts of a text file; [`sketched`] — any file in one pass; [`profile`] — sketches
//! that are kept; [`cells`] — single columns row by row; [`faults`] — what is wrong with a file, and where; [`times`] and [`types`] — what
//! is not compared.

pub mod cells;
mod delimited;
mod faults;
mod lines;
pub mod profile;
pub mod sketched;
mod times;
mod types;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Schema};
use arrow::error::ArrowError;
use bellwether_detectors::drift::column::Column;
use bellwether_detectors::drift::sketch::Sketch;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use polars::prelude::{
    Column as PolarsColumn, CsvParseOptions, CsvReadOptions, DataFrame, DataType as PolarsType, JsonFormat, JsonReader, NullValues,
    PolarsError, SerReader,
};

use crate::file::{FileError, Format};

/// Texts that mean "no value" in CSV, beside the empty cell.
const NO_VALUE: [&str; 6] = ["NA", "N/A", "na", "n/a", "null", "NULL"];

/// The type of a text column that holds nothing but days or instants.
pub const TIME: &str = "time";

/// A file's columns.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// How many rows.
    pub rows: u64,
    /// Name and content, in the file's order.
    pub columns: Vec<(String, Content)>,
}

/// What a column holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// Numbers; NaN and infinities may be among them.
    Numbers {
        /// The values that are not null.
        values: Vec<f64>,
        /// How many nulls there are.
        nulls: u64,
    },
    /// Texts and truth values.
    Categories {
        /// How often each occurs.
        counts: BTreeMap<String, u64>,
        /// How many nulls there are.
        nulls: u64,
    },
    /// Numbers or categories in little room.
    Sketched(Box<Sketch>),
    /// Nothing but nulls: of any type.
    Nulls {
        /// How many.
        nulls: u64,
    },
    /// Times, nested values, binary data.
    Other {
        /// The type in a word.
        name: String,
    },
}

impl Content {
    /// The type in a word.
    pub fn kind(&self) -> &str {
        match self {
            Self::Numbers { .. } => "number",
            Self::Categories { .. } => "category",
            Self::Sketched(sketch) if sketch.frequent().is_some() => "category",
            Self::Sketched(_) => "number",
            Self::Nulls { .. } => "null",
            Self::Other { name } => name,
        }
    }

    /// The column as drift detection takes it; `None` where it has no distribution, or only a sketch of one. Only nulls are taken for the
    /// `like` of the other side.
    pub fn sample<'a>(&'a self, like: &Self, none: &'a BTreeMap<String, u64>) -> Option<Column<'a>> {
        match (self, like) {
            (Self::Numbers { values, nulls }, _) => Some(Column::Numbers { values, nulls: *nulls }),
            (Self::Categories { counts, nulls }, _) => Some(Column::Categories { counts, nulls: *nulls }),
            (Self::Nulls { nulls }, Self::Categories { .. }) => Some(Column::Categories { counts: none, nulls: *nulls }),
            (Self::Nulls { nulls }, _) => Some(Column::Numbers { values: &[], nulls: *nulls }),
            (Self::Other { .. } | Self::Sketched(_), _) => None,
        }
    }

    /// How many values it has that are not null; 0 where they are not read.
    pub fn values(&self) -> u64 {
        match self {
            Self::Numbers { values, .. } => values.len() as u64,
            Self::Categories { counts, .. } => counts.values().sum(),
            Self::Sketched(sketch) => sketch.rows() - sketch.nulls(),
            Self::Nulls { .. } | Self::Other { .. } => 0,
        }
    }
}

impl Table {
    /// A column by its name.
    pub fn column(&self, name: &str) -> Option<&Content> {
        self.columns.iter().find(|(n, _)| n == name).map(|(_, content)| content)
    }

    /// Columns of these types without rows.
    pub fn of_schema(schema: &Schema) -> Self {
        Self { rows: 0, columns: schema.fields().iter().map(|f| (f.name().clone(), empty(f.data_type()))).collect() }
    }

    /// Adds rows of the same columns.
    ///
    /// # Errors
    /// When a column cannot be decoded.
    pub fn add(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        self.rows += batch.num_rows() as u64;
        self.columns.iter_mut().zip(batch.columns()).try_for_each(|((_, content), array)| add(content, array))
    }

    /// Takes columns of nothing but nulls for what they are.
    pub fn finished(mut self) -> Self {
        for (_, content) in &mut self.columns {
            if let Content::Numbers { nulls, .. } | Content::Categories { nulls, .. } = content
                && *nulls == self.rows
                && self.rows > 0
            {
                *content = Content::Nulls { nulls: self.rows };
            }
        }
        self
    }
}

/// Reads the columns of a file. CPU-bound: call it from a blocking thread.
///
/// # Errors
/// When it cannot be read, is empty, or is not what its extension says.
pub fn read(path: &Path) -> Result<Table, FileError> {
    let (file, format) = open(path)?;
    let wrong = faults::located(path, format);
    let columns = |frame| of_frame(frame, matches!(format, Format::Delimited(_)));
    match format {
        Format::Delimited(separator) => csv(path, separator, None).and_then(columns).map_err(wrong),
        Format::JsonLines => json(file, JsonFormat::JsonLines).and_then(columns).map_err(wrong),
        Format::Json => json(file, JsonFormat::Json).and_then(columns).map_err(wrong),
        Format::Parquet => parquet(path, file),
    }
}

/// Opens a file that has something in it, and begins as its extension says.
fn open(path: &Path) -> Result<(File, Format), FileError> {
    let file = File::open(path).map_err(FileError::read(path))?;
    let size = file.metadata().map_err(FileError::read(path))?.len();
    if size == 0 {
        return Err(FileError::Empty { path: path.to_owned() });
    }
    let format = Format::of(path)?;
    faults::refuse(path, format)?;
    Ok((file, format))
}

/// Reads CSV in which missing cells and a few words are nulls. Types are inferred from so many rows: `None` is all of them, 0 that all is text.
fn csv(path: &Path, separator: u8, inferred: Option<usize>) -> Result<DataFrame, PolarsError> {
    let nothing = NullValues::AllColumns(NO_VALUE.map(Into::into).to_vec());
    CsvReadOptions::default()
        .with_infer_schema_length(inferred)
        .with_n_threads(Some(1))
        .with_parse_options(CsvParseOptions::default().with_separator(separator).with_missing_is_null(true).with_null_values(Some(nothing)))
        .try_into_reader_with_file_path(Some(path.to_owned()))?
        .finish()
}

fn json(file: File, format: JsonFormat) -> Result<DataFrame, PolarsError> {
    JsonReader::new(std::io::BufReader::new(file)).with_json_format(format).infer_schema_len(None).finish()
}

/// `is_untyped` where all that a file holds is text.
fn of_frame(frame: DataFrame, is_untyped: bool) -> Result<Table, PolarsError> {
    let of = |c: &PolarsColumn| Ok((c.name().trim().to_owned(), of_polars(c, is_untyped)?));
    let columns = frame.columns().iter().map(of).collect::<Result<_, PolarsError>>()?;
    Ok(Table { rows: frame.height() as u64, columns })
}

fn of_polars(column: &PolarsColumn, is_untyped: bool) -> Result<Content, PolarsError> {
    let nulls = column.null_count() as u64;
    // A text file tells types by its values: where there is none, there is no type either.
    if nulls == column.len() as u64 {
        return Ok(Content::Nulls { nulls });
    }
    Ok(match column.dtype() {
        numeric if numeric.is_primitive_numeric() => {
            let numbers = column.cast(&PolarsType::Float64)?;
            Content::Numbers { values: numbers.f64()?.iter().flatten().collect(), nulls }
        }
        PolarsType::String if column.str()?.iter().flatten().all(times::is_time) => times::column(),
        PolarsType::String if let Some(values) = odd_numbers(column).filter(|_| is_untyped) => Content::Numbers { values, nulls },
        PolarsType::String => Content::Categories { counts: counted(column.str()?.iter().flatten().map(str::to_owned)), nulls },
        PolarsType::Boolean => Content::Categories { counts: counted(column.bool()?.iter().flatten().map(|b| b.to_string())), nulls },
        PolarsType::Null => Content::Nulls { nulls },
        other => Content::Other { name: types::of_polars(other) },
    })
}

/// Texts that are all numbers, some of them not finite (`NaN`, `-nan`, `inf`), which Polars takes for words.
fn odd_numbers(column: &PolarsColumn) -> Option<Vec<f64>> {
    let texts = column.str().ok()?;
    let values: Vec<f64> = texts.iter().flatten().map(|text| delimited::number(text.as_bytes())).collect::<Option<_>>()?;
    values.iter().any(|v| !v.is_finite()).then_some(values)
}

fn counted(values: impl Iterator<Item = String>) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for value in values {
        *counts.entry(value).or_insert(0) += 1;
    }
    counts
}

fn parquet(path: &Path, file: File) -> Result<Table, FileError> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(FileError::parquet(path))?;
    let mut table = Table::of_schema(builder.schema());
    for batch in builder.build().map_err(FileError::parquet(path))? {
        batch.and_then(|b| table.add(&b)).map_err(FileError::column(path))?;
    }
    Ok(table.finished())
}

/// What a Parquet column of this type will hold.
fn empty(kind: &DataType) -> Content {
    match kind {
        DataType::Dictionary(_, values) => empty(values),
        kind if kind.is_numeric() => Content::Numbers { values: Vec::new(), nulls: 0 },
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Boolean => {
            Content::Categories { counts: BTreeMap::new(), nulls: 0 }
        }
        DataType::Null => Content::Nulls { nulls: 0 },
        other => Content::Other { name: types::of_arrow(other) },
    }
}

fn add(content: &mut Content, array: &dyn Array) -> Result<(), ArrowError> {
    match content {
        Content::Numbers { values, nulls } => {
            let numbers = cast(array, &DataType::Float64)?;
            let numbers = numbers.as_primitive::<Float64Type>();
            *nulls += numbers.null_count() as u64;
            values.extend(numbers.iter().flatten());
        }
        Content::Categories { counts, nulls } => {
            let texts = cast(array, &DataType::Utf8)?;
            let texts = texts.as_string::<i32>();
            *nulls += texts.null_count() as u64;
            for text in texts.iter().flatten() {
                match counts.get_mut(text) {
                    Some(n) => *n += 1,
                    None => {
                        counts.insert(text.to_owned(), 1);
                    }
                }
            }
        }
        Content::Nulls { nulls } => *nulls += array.len() as u64,
        Content::Other { .. } | Content::Sketched(_) => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int32Array, NullArray, StringArray, TimestampMicrosecondArray};

    use super::*;

    fn written(name: &str, content: &[u8]) -> Result<Table, FileError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        std::fs::write(&path, content).unwrap();
        read(&path)
    }

    fn column<'a>(table: &'a Table, name: &str) -> &'a Content {
        &table.columns.iter().find(|(n, _)| n == name).unwrap().1
    }

    #[test]
    fn csv_and_jsonl_give_numbers_and_categories() {
        let csv = "age,city,ok,empty,mixed\n1,Rome,true,,1\n2.5,,false,,x\nNA,Rome,true,,2\n";
        let table = written("a.csv", csv.as_bytes()).unwrap();
        assert_eq!(table.rows, 3);
        assert_eq!(column(&table, "age"), &Content::Numbers { values: vec![1.0, 2.5], nulls: 1 });
        assert_eq!(column(&table, "city"), &Content::Categories { counts: [("Rome".to_owned(), 2)].into(), nulls: 1 });
        assert_eq!(column(&table, "ok").kind(), "category");
        assert_eq!(column(&table, "empty"), &Content::Nulls { nulls: 3 });
        assert_eq!(column(&table, "mixed").kind(), "category");
        let jsonl = "{\"age\": 1, \"tags\": [1]}\n{\"age\": 2.5, \"city\": \"Rome\"}\n";
        let table = written("a.jsonl", jsonl.as_bytes()).unwrap();
        assert_eq!(column(&table, "age"), &Content::Numbers { values: vec![1.0, 2.5], nulls: 0 });
        assert_eq!(column(&table, "city"), &Content::Categories { counts: [("Rome".to_owned(), 1)].into(), nulls: 1 });
        assert!(matches!(column(&table, "tags"), Content::Other { .. }));
        let dated = "day,at,cohort\n2026-01-30,2026-01-30T10:00:00Z,2026-01\n2026-01-31,,2026-02\n";
        let sketch = |text: &str| {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join(if text.starts_with('{') { "b.jsonl" } else { "b.csv" });
            std::fs::write(&path, text).unwrap();
            [read(&path).unwrap(), sketched::sketch(&path, None, 1).unwrap()]
        };
        let lines = "{\"day\": \"2026-01-30\", \"at\": \"2026-01-30 10:00\", \"cohort\": \"2026-01\"}\n{\"day\": \"2026-01-31\", \"at\": null, \"cohort\": \"b\"}\n";
        let odd = "n,i,word\n1.5,3,nan\nnan,NaN,inf\n-nan,,x\n inf,7,\n";
        for table in sketch(odd) {
            let kinds = ["n", "i", "word"].map(|name| (column(&table, name).kind().to_owned(), column(&table, name).values()));
            let expected = [("number", 4), ("number", 3), ("category", 3)].map(|(kind, values)| (kind.to_owned(), values));
            assert_eq!(kinds, expected, "numbers that are not finite are none the less numbers: {table:?}");
        }
        for table in [dated, lines].into_iter().flat_map(sketch) {
            let kinds = ["day", "at", "cohort"].map(|name| column(&table, name).kind().to_owned());
            assert_eq!(kinds, [TIME, TIME, "category"], "days and instants are no categories");
        }
    }

    fn parquet_bytes() -> Vec<u8> {
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("n", Arc::new(Int32Array::from(vec![Some(1), None, Some(3)]))),
            ("f", Arc::new(Float64Array::from(vec![0.5, f64::NAN, 1.0]))),
            ("s", Arc::new(StringArray::from(vec![Some("x"), Some("x"), None]))),
            ("b", Arc::new(BooleanArray::from(vec![true, false, true]))),
            ("t", Arc::new(TimestampMicrosecondArray::from(vec![1, 2, 3]))),
            ("none", Arc::new(NullArray::new(3))),
        ];
        let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true))).unwrap();
        let mut writer = ::parquet::arrow::ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.into_inner().unwrap()
    }

    #[test]
    fn parquet_keeps_its_types() {
        let content = parquet_bytes();
        let table = written("a.parquet", &content).unwrap();
        assert_eq!(column(&table, "n"), &Content::Numbers { values: vec![1.0, 3.0], nulls: 1 });
        assert!(matches!(column(&table, "f"), Content::Numbers { values, nulls: 0 } if values.len() == 3 && values[1].is_nan()));
        assert_eq!(column(&table, "s"), &Content::Categories { counts: [("x".to_owned(), 2)].into(), nulls: 1 });
        assert_eq!(
            column(&table, "b"),
            &Content::Categories { counts: [("false".to_owned(), 1), ("true".to_owned(), 2)].into(), nulls: 0 }
        );
        assert_eq!(column(&table, "t").kind(), TIME);
        let nested = DataType::List(Arc::new(arrow::datatypes::Field::new("item", DataType::Int32, true)));
        assert_eq!(empty(&nested).kind(), "list", "a type is a word");
        assert_eq!(column(&table, "none"), &Content::Nulls { nulls: 3 });
        assert!(matches!(written("a.parquet", &content[..content.len() / 2]), Err(FileError::Parquet { .. })));
    }

    #[test]
    fn what_cannot_be_read_says_so() {
        assert!(matches!(written("a.csv", b""), Err(FileError::Empty { .. })));
        assert!(matches!(written("a.xlsx", b"x"), Err(FileError::Unknown { .. })));
        assert!(matches!(written("a.jsonl", b"{\"a\": "), Err(FileError::Line { line: 1, .. })));
        assert!(matches!(read(Path::new("/nowhere/a.csv")), Err(FileError::Read { .. })));
        let no_rows = written("a.csv", b"a,b\n").unwrap();
        assert_eq!((no_rows.rows, column(&no_rows, "a")), (0, &Content::Nulls { nulls: 0 }), "without a value there is no type");
    }
}
