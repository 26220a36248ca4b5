//! A data file as the log knows it: path, size, partition, and statistics that let readers pass it over.

use std::collections::{BTreeMap, HashMap};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::{max, max_string, min, min_string};
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimestampMicrosecondType};
use bellwether_model::time::Timestamp;
use deltalake_core::kernel::{Add, LogicalFileView};
use serde_json::{Map, Value, json};

use crate::tables::{Kind, TableDef};

/// Longest text that statistics keep; longer ones would bloat the log.
const LONGEST_TEXT: usize = 128;

/// A file of one version of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct DataFile {
    /// Path below the table's folder.
    pub path: String,
    /// Size in bytes.
    pub size: u64,
    /// When it was written, milliseconds since the epoch.
    pub modified_ms: i64,
    /// Rank by age: of equal samples, the one in the file of the highest rank counts. Not unique.
    pub rank: i64,
    /// The day whose samples it holds, days since the epoch; none in tables without partitions.
    pub day: Option<i32>,
    /// What is known of its rows.
    pub stats: FileStats,
}

/// What the log says of a file's rows. Anything may be unknown.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FileStats {
    /// How many rows.
    pub rows: Option<i64>,
    /// Columns by name.
    pub columns: BTreeMap<String, ColumnStats>,
}

/// What the log says of one column of a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ColumnStats {
    /// No value is less.
    pub min: Option<Bound>,
    /// No value is greater.
    pub max: Option<Bound>,
    /// How many rows have no value.
    pub nulls: Option<i64>,
}

/// A bound of a column.
#[derive(Clone, Debug, PartialEq)]
pub enum Bound {
    /// Of a column of integers.
    Int(i64),
    /// Of a column of numbers.
    Float(f64),
    /// Of a column of texts.
    Text(String),
    /// Of a column of instants.
    Time(Timestamp),
}

impl DataFile {
    pub(crate) fn of_view(table: &TableDef, view: &LogicalFileView) -> Self {
        let path = view.path().into_owned();
        let day = view.partition_values_map().get("day").and_then(|d| parse_day(d.as_deref()?));
        let stats = view.stats().map(|s| FileStats::parse(table, &s)).unwrap_or_default();
        let modified_ms = view.modification_time();
        Self {
            rank: rank_of(&path).unwrap_or(modified_ms.saturating_mul(1_000)),
            size: view.size().max(0) as u64,
            modified_ms,
            day,
            stats,
            path,
        }
    }

    /// How many rows it has, 0 when the log does not say.
    pub fn rows(&self) -> i64 {
        self.stats.rows.unwrap_or(0)
    }

    pub(crate) fn add(&self, stats: String, data_change: bool) -> Add {
        let partition_values: HashMap<_, _> = self.day.map(|day| ("day".to_owned(), Some(day_text(day)))).into_iter().collect();
        Add {
            path: self.path.clone(),
            partition_values,
            size: self.size as i64,
            modification_time: self.modified_ms,
            data_change,
            stats: Some(stats),
            tags: None,
            deletion_vector: None,
            base_row_id: None,
            default_row_commit_version: None,
            clustering_provider: None,
        }
    }
}

/// A path for a new file: the folder of its partition, and a name that holds its rank.
pub(crate) fn new_path(day: Option<i32>, rank: i64, salt: u64) -> String {
    let folder = day.map(|d| format!("day={}/", day_text(d))).unwrap_or_default();
    format!("{folder}part-{rank:016x}-{salt:016x}.zstd.parquet")
}

fn rank_of(path: &str) -> Option<i64> {
    let name = path.rsplit('/').next()?.strip_prefix("part-")?;
    i64::from_str_radix(name.get(..16)?, 16).ok()
}

/// A day as `2026-01-31`.
pub(crate) fn day_text(day: i32) -> String {
    Timestamp::from_secs(i64::from(day) * 86_400).utc().format("%Y-%m-%d").to_string()
}

fn parse_day(text: &str) -> Option<i32> {
    text.parse::<Timestamp>().ok().map(Timestamp::day)
}

impl FileStats {
    /// Reads the log's JSON. What cannot be understood is unknown, which is always safe.
    pub(crate) fn parse(table: &TableDef, text: &str) -> Self {
        let Ok(all) = serde_json::from_str::<Value>(text) else { return Self::default() };
        let mut stats = Self { rows: all["numRecords"].as_i64(), columns: BTreeMap::new() };
        for column in table.columns {
            let bound = |side: &str| parse_bound(column.kind, all[side].get(column.name)?);
            let upper = || widen(bound("maxValues")?, &all["maxValues"][column.name]);
            let found =
                ColumnStats { min: bound("minValues"), max: upper(), nulls: all["nullCount"].get(column.name).and_then(Value::as_i64) };
            if found != ColumnStats::default() {
                stats.columns.insert(column.name.to_owned(), found);
            }
        }
        stats
    }

    /// The statistics of a batch, as the log writes them.
    pub(crate) fn json_of(batch: &RecordBatch) -> String {
        let (mut low, mut high, mut nulls) = (Map::new(), Map::new(), Map::new());
        for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
            if field.data_type().is_nested() {
                continue;
            }
            nulls.insert(field.name().clone(), column.null_count().into());
            if let Some((least, greatest)) = extremes(column.as_ref()) {
                low.insert(field.name().clone(), least);
                high.insert(field.name().clone(), greatest);
            }
        }
        json!({ "numRecords": batch.num_rows(), "minValues": low, "maxValues": high, "nullCount": nulls }).to_string()
    }

    /// The statistics of a file of samples.
    pub(crate) fn json_of_samples(rows: usize, series: (i64, i64), ts: (i64, i64)) -> String {
        let time = |micros| time_text(Timestamp::from_micros(micros));
        json!({
            "numRecords": rows,
            "minValues": { "series_id": series.0, "ts": time(ts.0) },
            "maxValues": { "series_id": series.1, "ts": time(ts.1) },
            "nullCount": { "series_id": 0, "ts": 0, "value": 0 },
        })
        .to_string()
    }
}

/// Other writers cut instants to milliseconds: an upper bound that is not written to the microsecond gets that back.
fn widen(bound: Bound, written: &Value) -> Option<Bound> {
    let digits = written
        .as_str()
        .and_then(|t| t.rsplit_once('.'))
        .map_or(0, |(_, fraction)| fraction.bytes().take_while(u8::is_ascii_digit).count());
    Some(match bound {
        Bound::Time(t) if digits < 6 => Bound::Time(Timestamp::from_micros(t.micros().saturating_add(999))),
        exact => exact,
    })
}

fn parse_bound(kind: Kind, value: &Value) -> Option<Bound> {
    match kind {
        Kind::Int => value.as_i64().map(Bound::Int),
        Kind::Float => value.as_f64().map(Bound::Float),
        Kind::Text => value.as_str().map(|t| Bound::Text(t.to_owned())),
        Kind::Time => value.as_str().and_then(|t| t.parse().ok()).map(Bound::Time),
        Kind::Bool | Kind::Date | Kind::Json | Kind::Labels | Kind::Vector => None,
    }
}

fn time_text(t: Timestamp) -> Value {
    t.utc().format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string().into()
}

fn extremes(column: &dyn Array) -> Option<(Value, Value)> {
    match column.data_type() {
        DataType::Int64 => {
            let a = column.as_primitive::<Int64Type>();
            Some((min(a)?.into(), max(a)?.into()))
        }
        DataType::Float64 => {
            let a = column.as_primitive::<Float64Type>();
            Some((min(a)?.into(), max(a)?.into()))
        }
        DataType::Timestamp(..) => {
            let a = column.as_primitive::<TimestampMicrosecondType>();
            Some((time_text(Timestamp::from_micros(min(a)?)), time_text(Timestamp::from_micros(max(a)?))))
        }
        DataType::Utf8 => {
            let a = column.as_string::<i32>();
            let (least, greatest) = (min_string(a)?, max_string(a)?);
            (least.len().max(greatest.len()) <= LONGEST_TEXT).then(|| (least.into(), greatest.into()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::{RUNS, SAMPLES};

    #[test]
    fn a_files_name_holds_its_rank_and_day() {
        let path = new_path(Some(20_454), 1_767_225_600_000_123, 7);
        assert!(path.starts_with("day=2026-01-01/part-"), "{path}");
        assert_eq!(rank_of(&path), Some(1_767_225_600_000_123));
        assert_eq!(parse_day("2026-01-01"), Some(20_454));
    }

    #[test]
    fn statistics_read_back_and_never_promise_too_much() {
        let stats = FileStats::parse(&SAMPLES, &FileStats::json_of_samples(3, (-5, 9), (1_000_000, 2_000_001)));
        assert_eq!(stats.rows, Some(3));
        assert_eq!(stats.columns["series_id"].min, Some(Bound::Int(-5)));
        assert_eq!(stats.columns["ts"].max, Some(Bound::Time(Timestamp::from_micros(2_000_001))));
        let cut = FileStats::parse(&SAMPLES, r#"{"maxValues":{"ts":"1970-01-01T00:00:02.000Z"}}"#);
        assert_eq!(cut.columns["ts"].max, Some(Bound::Time(Timestamp::from_micros(2_000_999))), "milliseconds are widened");
        assert_eq!(FileStats::parse(&RUNS, "not json"), FileStats::default());
    }
}
