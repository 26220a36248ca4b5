//! The series of a snapshot by id.

use std::collections::BTreeMap;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use bellwether_lake::tables::SERIES;
use bellwether_lake::{LakeError, Snapshot};
use bellwether_model::id::SeriesId;
use bellwether_model::series::{Labels, Series};

/// The series with one of these metric names, or all of them.
pub(crate) async fn series(snapshot: &Snapshot, metrics: Option<&[String]>) -> Result<BTreeMap<i64, Series>, LakeError> {
    let mut all = BTreeMap::new();
    for file in snapshot.files(&SERIES).iter() {
        for batch in snapshot.read(&SERIES, file).await?.iter() {
            take(batch, metrics, &mut all).ok_or_else(|| LakeError::Damaged {
                table: SERIES.name.to_owned(),
                file: format!("{}/{}", SERIES.name, file.path),
                source: "its columns are not those of series".into(),
            })?;
        }
    }
    Ok(all)
}

fn take(batch: &RecordBatch, metrics: Option<&[String]>, all: &mut BTreeMap<i64, Series>) -> Option<()> {
    let ids = batch.column_by_name("series_id")?.as_primitive_opt::<Int64Type>()?;
    let names = batch.column_by_name("metric")?.as_string_opt::<i32>()?;
    let labels = batch.column_by_name("labels")?.as_map_opt()?;
    let (keys, values) = (labels.keys().as_string_opt::<i32>()?, labels.values().as_string_opt::<i32>()?);
    let ends = labels.value_offsets();
    for row in 0..batch.num_rows() {
        let metric = names.value(row);
        if metrics.is_none_or(|wanted| wanted.iter().any(|m| m == metric)) {
            let pairs = ends[row] as usize..ends[row + 1] as usize;
            let labels: Labels = pairs.map(|i| (keys.value(i).to_owned(), values.value(i).to_owned())).collect();
            all.insert(ids.value(row), Series { series_id: SeriesId(ids.value(row)), metric: metric.to_owned(), labels });
        }
    }
    Some(())
}
