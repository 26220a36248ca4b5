//! Passing over files: what the log says of a table's files, in the form DataFusion's pruning asks for.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, UInt64Array};
use arrow::datatypes::SchemaRef;
use bellwether_lake::file::{Bound, ColumnStats, DataFile};
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::{Column, ScalarValue};

/// Files of a table, as containers that may or may not hold wanted rows.
pub(crate) struct Files<'a> {
    pub(crate) files: &'a [Arc<DataFile>],
    pub(crate) schema: SchemaRef,
}

impl Files<'_> {
    fn column(&self, column: &Column, value: impl Fn(&DataFile, Option<&ColumnStats>) -> Option<ScalarValue>) -> Option<ArrayRef> {
        let kind = self.schema.field_with_name(&column.name).ok()?.data_type();
        let none = ScalarValue::try_from(kind).ok()?;
        let values = self.files.iter().map(|f| value(f, f.stats.columns.get(&column.name)).unwrap_or_else(|| none.clone()));
        ScalarValue::iter_to_array(values).ok()
    }
}

fn scalar(bound: &Bound) -> ScalarValue {
    match bound {
        Bound::Int(v) => ScalarValue::Int64(Some(*v)),
        Bound::Float(v) => ScalarValue::Float64(Some(*v)),
        Bound::Text(v) => ScalarValue::Utf8(Some(v.clone())),
        Bound::Time(v) => time(v.micros()),
    }
}

pub(crate) fn time(micros: i64) -> ScalarValue {
    ScalarValue::TimestampMicrosecond(Some(micros), Some("UTC".into()))
}

impl PruningStatistics for Files<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.column(column, |file, stats| match column.name.as_str() {
            "day" => file.day.map(|d| ScalarValue::Date32(Some(d))),
            _ => stats?.min.as_ref().map(scalar),
        })
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.column(column, |file, stats| match column.name.as_str() {
            "day" => file.day.map(|d| ScalarValue::Date32(Some(d))),
            _ => stats?.max.as_ref().map(scalar),
        })
    }

    fn num_containers(&self) -> usize {
        self.files.len()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        let counts = self.files.iter().map(|f| f.stats.columns.get(&column.name).and_then(|c| u64::try_from(c.nulls?).ok()));
        Some(Arc::new(counts.collect::<UInt64Array>()))
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        Some(Arc::new(self.files.iter().map(|f| f.stats.rows.and_then(|r| u64::try_from(r).ok())).collect::<UInt64Array>()))
    }

    fn contained(&self, _: &Column, _: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}
