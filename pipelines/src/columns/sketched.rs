//! A file of any size in one pass: its columns as sketches, in memory that does not grow with the file.
//!
//! The file is cut into parts, which go in turn to a fixed number of lanes; each lane keeps sketches of its own, and at the end they are
//! merged in order. So the result is the same on every machine, however many processors it has and whichever lane is ahead.
//! Types and grids are chosen from the first part, or from what the file is to be compared with.

use std::borrow::Cow;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::sync::mpsc::sync_channel;

use bellwether_detectors::drift::histogram::Grid;
use bellwether_detectors::drift::quantiles::USUAL;
use bellwether_detectors::drift::sketch::Sketch;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::delimited::{self, Kind};
use super::{Content, Table, lines, open, read};
use crate::file::{FileError, Format};

/// Bytes of a text file that are worked on at once.
const PART: usize = 2 << 20;
/// Bytes of the first part that types are told by.
const SAMPLE: usize = 512 << 10;
/// The longest record in bytes.
const LONGEST: usize = 64 << 20;
/// How many parts are worked on side by side. Part of the result: sketches of lanes are merged.
const LANES: usize = 4;
/// Cells of a column's histogram.
const CELLS: usize = 4_096;
/// Categories of a column that are counted exactly.
const CATEGORIES: usize = 1_000;

/// Reads a file into sketches. Where it is to be compared with another, `like` gives types and grids. A `.json` list is one value and must fit
/// into memory. CPU-bound: call it from a blocking thread.
///
/// # Errors
/// When the file cannot be read, is empty, or is not what its extension says; a line that cannot be read is named.
pub fn sketch(path: &Path, like: Option<&Table>, seed: u64) -> Result<Table, FileError> {
    let (file, format) = open(path)?;
    match format {
        format @ (Format::Delimited(_) | Format::JsonLines) => text(path, file, format, like, seed),
        Format::Json => Ok(of_table(&read(path)?, like, seed)),
        Format::Parquet => parquet(path, file, like, seed),
    }
}

/// Sketches of columns that are at hand; what is one already stays as it is.
pub fn of_table(table: &Table, like: Option<&Table>, seed: u64) -> Table {
    let of = |(i, (name, content)): (usize, &(String, Content))| {
        let content = match content {
            Content::Sketched(_) => content.clone(),
            _ => {
                let mut column = Column::new(&Start::of(content, like.and_then(|l| l.column(name))), seed.wrapping_add(i as u64));
                column.add(content);
                column.finished(table.rows)
            }
        };
        (name.clone(), content)
    };
    Table { rows: table.rows, columns: table.columns.iter().enumerate().map(of).collect() }
}

/// A column as a sketch that can be compared with another of the kind of `like`; `None` where it has no distribution.
pub fn of_column<'a>(content: &'a Content, like: &Content, seed: u64) -> Option<Cow<'a, Sketch>> {
    if let Content::Sketched(sketch) = content {
        return Some(Cow::Borrowed(sketch));
    }
    let mut column = Column::new(&Start::of(content, Some(like)), seed);
    column.add(content);
    let Column::Sketch(mut sketch) = column else { return None };
    if let Content::Numbers { nulls, .. } | Content::Categories { nulls, .. } | Content::Nulls { nulls } = content {
        sketch.add_nulls(*nulls);
    }
    Some(Cow::Owned(*sketch))
}

fn text(path: &Path, file: File, format: Format, like: Option<&Table>, seed: u64) -> Result<Table, FileError> {
    let mut parts = Parts { path, file, format, carried: Vec::new(), at: 0 };
    let mut first = parts.next()?;
    let whole = |bytes: &[u8]| match format {
        Format::Delimited(_) => delimited::whole(bytes),
        _ => bytes.iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1),
    };
    let mut columns: Vec<(String, Option<Kind>)> = Vec::new();
    if let Some(Part { at, bytes }) = &mut first {
        let mut names = Vec::new();
        if let Format::Delimited(separator) = format {
            let begins = delimited::header(bytes, separator);
            names = begins.0;
            *at += begins.1 as u64;
            bytes.drain(..begins.1);
        }
        let cut = if bytes.len() > SAMPLE { whole(&bytes[..SAMPLE]) } else { bytes.len() };
        let sample = if cut == 0 { &bytes[..] } else { &bytes[..cut] };
        columns = match format {
            Format::Delimited(separator) => {
                let kinds = delimited::kinds(sample, separator, &names).map_err(|e| too_many(path, *at + e.at as u64, names.len()))?;
                names.into_iter().zip(kinds).collect()
            }
            _ => lines::kinds(sample),
        };
    }
    let kind = |name: &str, own: Option<Kind>| match (own, like.and_then(|l| l.column(name)).map(Content::kind)) {
        (Some(kind), _) => kind,
        (None, Some("number")) => Kind::Numbers,
        (None, _) => Kind::Categories,
    };
    let columns: Vec<(String, Kind)> = columns.into_iter().map(|(name, own)| (name.clone(), kind(&name, own))).collect();
    let table = |part: &Part| match format {
        Format::Delimited(separator) => {
            let wrong = |e: delimited::TooMany| too_many(path, part.at + e.at as u64, columns.len());
            delimited::read(&part.bytes, separator, &columns).map_err(wrong)
        }
        _ => lines::read(&part.bytes, &columns).map_err(|e| line(path, part.at + e.at as u64, format!("not a JSON object: {}", e.why))),
    };
    let sample = match &first {
        Some(part) => table(part)?,
        None => Table::default(),
    };
    let plan = Plan::new(&sample, like);
    let next = || match first.take() {
        Some(part) => Ok(Some(part)),
        None => parts.next(),
    };
    in_lanes(&plan, seed, next, |part| table(&part))
}

fn parquet(path: &Path, file: File, like: Option<&Table>, seed: u64) -> Result<Table, FileError> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(FileError::parquet(path))?;
    let empty = Table::of_schema(builder.schema());
    let mut batches = builder.with_batch_size(16_384).build().map_err(FileError::parquet(path))?;
    let mut first = batches.next().transpose().map_err(FileError::column(path))?;
    let mut sample = empty.clone();
    first.iter().try_for_each(|b| sample.add(b)).map_err(FileError::column(path))?;
    let plan = Plan::new(&sample, like);
    let next = || match first.take() {
        Some(batch) => Ok(Some(batch)),
        None => batches.next().transpose().map_err(FileError::column(path)),
    };
    in_lanes(&plan, seed, next, |batch| {
        let mut table = empty.clone();
        table.add(&batch).map_err(FileError::column(path))?;
        Ok(table)
    })
}

/// Sends parts in turn to the lanes, which read them into tables and these into sketches; all sketches together.
fn in_lanes<T: Send>(
    plan: &Plan,
    seed: u64,
    mut next: impl FnMut() -> Result<Option<T>, FileError>,
    read: impl Fn(T) -> Result<Table, FileError> + Sync,
) -> Result<Table, FileError> {
    let read = &read;
    std::thread::scope(|scope| {
        let mut lanes = Vec::with_capacity(LANES);
        for lane in 0..LANES {
            let (sender, parts) = sync_channel::<T>(1);
            let work = move || {
                let mut own = Sketches::new(plan, seed.wrapping_add((lane as u64) << 32));
                parts.into_iter().try_for_each(|part| read(part).map(|table| own.add(&table)))?;
                Ok::<_, FileError>(own)
            };
            lanes.push((sender, scope.spawn(work)));
        }
        let mut end = Ok(());
        for (sender, _) in (0..LANES).cycle().map(|lane| &lanes[lane]) {
            let part = match next() {
                Ok(Some(part)) => part,
                Ok(None) => break,
                Err(error) => {
                    end = Err(error);
                    break;
                }
            };
            // A lane that has stopped says why when it is joined.
            if sender.send(part).is_err() {
                break;
            }
        }
        let mut all = Sketches::new(plan, seed);
        for (sender, work) in lanes {
            drop(sender);
            let own = work.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            all.merge(own);
        }
        end.map(|()| all.finished())
    })
}

fn too_many(path: &Path, at: u64, columns: usize) -> FileError {
    line(path, at, format!("found more cells than the {columns} of the first line"))
}

/// An error of the line at this byte, which is counted only now.
fn line(path: &Path, at: u64, why: String) -> FileError {
    let breaks = File::open(path).map(|file| {
        let mut before = BufReader::new(file).take(at);
        let mut breaks = 0;
        while let Ok(bytes @ [_, ..]) = before.fill_buf() {
            breaks += bytes.iter().map(|b| u64::from(*b == b'\n')).sum::<u64>();
            let passed = bytes.len();
            before.consume(passed);
        }
        breaks
    });
    FileError::Line { path: path.to_owned(), line: breaks.unwrap_or(0) + 1, why }
}

/// A stretch of whole records.
struct Part {
    /// Where in the file it begins.
    at: u64,
    bytes: Vec<u8>,
}

/// A text file's parts.
struct Parts<'a> {
    path: &'a Path,
    file: File,
    format: Format,
    /// The beginning of a record whose end is not read yet, and where in the file that is.
    carried: Vec<u8>,
    at: u64,
}

impl Parts<'_> {
    fn next(&mut self) -> Result<Option<Part>, FileError> {
        let mut bytes = std::mem::take(&mut self.carried);
        loop {
            let before = bytes.len();
            bytes.reserve(PART);
            let read = self.file.by_ref().take(PART as u64).read_to_end(&mut bytes).map_err(FileError::read(self.path))?;
            let end = match (read, self.format) {
                (0, _) => bytes.len(),
                (_, Format::Delimited(_)) => delimited::whole(&bytes),
                _ => bytes[before..].iter().rposition(|b| *b == b'\n').map_or(0, |i| before + i + 1),
            };
            if end == 0 && read > 0 {
                if bytes.len() > LONGEST {
                    let why = format!("this record is longer than {} MiB; is a quote open?", LONGEST >> 20);
                    return Err(line(self.path, self.at, why));
                }
                continue;
            }
            self.carried = bytes[end..].to_vec();
            bytes.truncate(end);
            let at = self.at;
            self.at += end as u64;
            return Ok((end > 0).then_some(Part { at, bytes }));
        }
    }
}

/// What each column becomes, chosen from the first rows and from what they are to be compared with.
struct Plan {
    columns: Vec<(String, Start)>,
}

impl Plan {
    fn new(sample: &Table, like: Option<&Table>) -> Self {
        let of = |(name, content): &(String, Content)| (name.clone(), Start::of(content, like.and_then(|l| l.column(name))));
        Self { columns: sample.columns.iter().map(of).collect() }
    }
}

/// What a column begins as.
enum Start {
    Numbers(Grid),
    Categories,
    Other(String),
}

impl Start {
    fn of(content: &Content, like: Option<&Content>) -> Self {
        match (content, like) {
            (Content::Numbers { values, .. }, like) => Self::Numbers(grid(values, like)),
            (Content::Nulls { .. }, Some(like)) if like.kind() == "number" => Self::Numbers(grid(&[], Some(like))),
            (Content::Other { name }, _) => Self::Other(name.clone()),
            _ => Self::Categories,
        }
    }
}

/// The grid of the other side where it has one, otherwise one around these values.
fn grid(values: &[f64], like: Option<&Content>) -> Grid {
    let others = match like {
        Some(Content::Sketched(sketch)) => sketch.histogram().map(|h| h.grid()),
        Some(Content::Numbers { values, .. }) => Grid::around(values, CELLS).ok(),
        _ => None,
    };
    let unit = || Grid::new(-1.0, 1.0, CELLS).expect("1 is above -1");
    others.or_else(|| Grid::around(values, CELLS).ok()).unwrap_or_else(unit)
}

/// A sketch in the making, or the name of a type that has no distribution.
enum Column {
    Sketch(Box<Sketch>),
    Other(String),
}

impl Column {
    fn new(start: &Start, seed: u64) -> Self {
        match start {
            Start::Numbers(grid) => Self::Sketch(Box::new(Sketch::of_numbers(*grid, USUAL, seed))),
            Start::Categories => Self::Sketch(Box::new(Sketch::of_categories(CATEGORIES))),
            Start::Other(kind) => Self::Other(kind.clone()),
        }
    }

    /// Takes values in. Nulls are what is missing in the end.
    fn add(&mut self, content: &Content) {
        let Self::Sketch(sketch) = &mut *self else { return };
        let taken = match content {
            Content::Numbers { values, .. } => sketch.add_numbers(values),
            Content::Categories { counts, .. } => counts.iter().try_for_each(|(name, times)| sketch.add_category(name, *times)),
            Content::Sketched(more) => sketch.merge(more),
            Content::Nulls { .. } => Ok(()),
            Content::Other { name } => {
                *self = Self::Other(name.clone());
                return;
            }
        };
        if taken.is_err() {
            *self = Self::Other("mixed".into());
        }
    }

    /// What it holds after so many rows.
    fn finished(self, rows: u64) -> Content {
        match self {
            Self::Other(name) => Content::Other { name },
            Self::Sketch(sketch) if sketch.rows() == 0 => Content::Nulls { nulls: rows },
            Self::Sketch(mut sketch) => {
                sketch.add_nulls(rows.saturating_sub(sketch.rows()));
                Content::Sketched(sketch)
            }
        }
    }
}

/// All columns in the making.
struct Sketches {
    rows: u64,
    columns: Vec<(String, Column)>,
}

impl Sketches {
    fn new(plan: &Plan, seed: u64) -> Self {
        let column = |(i, (name, start)): (usize, &(String, Start))| (name.clone(), Column::new(start, seed.wrapping_add(i as u64)));
        Self { rows: 0, columns: plan.columns.iter().enumerate().map(column).collect() }
    }

    /// The column of this name, usually at this place; one that was not there yet holds categories.
    fn column(&mut self, place: usize, name: &str) -> &mut Column {
        let is_here = self.columns.get(place).is_some_and(|(n, _)| n == name);
        let found = if is_here { Some(place) } else { self.columns.iter().position(|(n, _)| n == name) };
        let place = found.unwrap_or_else(|| {
            self.columns.push((name.to_owned(), Column::new(&Start::Categories, 0)));
            self.columns.len() - 1
        });
        &mut self.columns[place].1
    }

    fn add(&mut self, part: &Table) {
        self.rows += part.rows;
        part.columns.iter().enumerate().for_each(|(place, (name, content))| self.column(place, name).add(content));
    }

    fn merge(&mut self, other: Self) {
        self.rows += other.rows;
        for (place, (name, more)) in other.columns.into_iter().enumerate() {
            let more = match more {
                Column::Sketch(sketch) => Content::Sketched(sketch),
                Column::Other(name) => Content::Other { name },
            };
            self.column(place, &name).add(&more);
        }
    }

    fn finished(self) -> Table {
        let columns = self.columns.into_iter().map(|(name, column)| (name, column.finished(self.rows)));
        Table { rows: self.rows, columns: columns.collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write as _;

    fn written(name: &str, content: &[u8], then: impl Fn(&Path) -> Result<Table, FileError>) -> Result<Table, FileError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        std::fs::write(&path, content).unwrap();
        then(&path)
    }

    /// About 6 MB, so that there are several parts.
    fn rows(header: &str, row: impl Fn(u64) -> String) -> String {
        (0..200_000).fold(format!("{header}\n"), |mut text, i| {
            let _ = writeln!(text, "{}", row(i));
            text
        })
    }

    fn amount(i: u64) -> f64 {
        (i * 7_919 % 100_003) as f64 / 8.0
    }

    #[test]
    fn one_pass_tells_what_the_whole_would() {
        let city = |i: u64| ["Rome", "Oslo", "\"Aix, en\nProvence\""][(i % 3) as usize];
        let csv = rows("amount,city,empty,late", |i| {
            format!(
                "{},{},,{}",
                if i % 10 == 9 { String::new() } else { amount(i).to_string() },
                city(i),
                if i > 190_000 { "7" } else { "" }
            )
        });
        let found = written("a.csv", csv.as_bytes(), |p| sketch(p, None, 1)).unwrap();
        let again = written("a.csv", csv.as_bytes(), |p| sketch(p, None, 1)).unwrap();
        assert!(found == again && found.rows == 200_000, "the same file gives the same sketches");
        let Some(Content::Sketched(numbers)) = found.column("amount") else { panic!() };
        assert_eq!((numbers.rows(), numbers.nulls(), numbers.histogram().unwrap().count()), (200_000, 20_000, 180_000));
        assert!((numbers.quantiles().unwrap().quantile(0.5).unwrap() / 6_250.0 - 1.0).abs() < 0.02);
        let Some(Content::Sketched(cities)) = found.column("city") else { panic!() };
        let counts: Vec<(&str, u64)> = cities.frequent().unwrap().counts().iter().map(|(n, c)| (n.as_str(), *c)).collect();
        assert_eq!(counts, [("Aix, en\nProvence", 66_666), ("Oslo", 66_667), ("Rome", 66_667)]);
        assert_eq!(found.column("empty"), Some(&Content::Nulls { nulls: 200_000 }));
        assert_eq!(found.column("late").unwrap().kind(), "category", "what the first part does not know holds anything");
        let exact = written("a.csv", csv.as_bytes(), read).unwrap();
        let like = written("a.csv", csv.as_bytes(), |p| sketch(p, Some(&exact), 1)).unwrap();
        assert_eq!(like.column("late").unwrap().kind(), "number", "but the other side may know it");
        assert_eq!(of_table(&exact, None, 1).column("amount").unwrap().values(), 180_000);
    }

    #[test]
    fn lines_and_parquet_too() {
        let jsonl = rows("", |i| format!("{{\"amount\": {}, \"ok\": {}}}", amount(i), i % 2 == 0));
        let found = written("a.jsonl", jsonl.as_bytes(), |p| sketch(p, None, 1)).unwrap();
        let csv = rows("amount,ok", |i| format!("{},{}", amount(i), i % 2 == 0));
        let same = written("a.csv", csv.as_bytes(), |p| sketch(p, None, 1)).unwrap();
        assert_eq!((found.rows, found.column("ok")), (200_000, same.column("ok")));
        assert_eq!(found.column("amount").unwrap().values(), 200_000);
    }

    #[test]
    fn what_cannot_be_read_names_its_line() {
        let wide = rows("a,b", |i| if i == 150_000 { "1,2,3".into() } else { "1,\"x\ny\"".into() });
        let error = written("a.csv", wide.as_bytes(), |p| sketch(p, None, 1)).unwrap_err().to_string();
        assert!(error.ends_with("a.csv:300002: found more cells than the 2 of the first line"), "{error}");
        let bad = rows("", |i| if i == 150_000 { "[1]".into() } else { format!("{{\"a\": {i}}}") });
        let error = written("a.jsonl", bad.as_bytes(), |p| sketch(p, None, 1)).unwrap_err().to_string();
        assert!(error.contains("a.jsonl:150002: not a JSON object"), "{error}");
        assert!(matches!(written("a.csv", b"", |p| sketch(p, None, 1)), Err(FileError::Empty { .. })));
        assert_eq!(written("a.csv", b"a,b\n", |p| sketch(p, None, 1)).unwrap().column("a"), Some(&Content::Nulls { nulls: 0 }));
    }
}
