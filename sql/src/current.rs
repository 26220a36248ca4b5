//! Whole tables of a session as batches: what counts of them, and of that the newest row of each key.
//!
//! The same meaning as the views `<table>` and `<table>_current`, read from the same definitions, without planning a query:
//! rounds come often, and each asks for all of it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch, Scalar, TimestampMicrosecondArray, UInt32Array};
use arrow::compute::kernels::cmp::{gt_eq, lt_eq, neq};
use arrow::compute::{concat_batches, filter_record_batch, take_record_batch};
use arrow::error::ArrowError;
use arrow::row::{RowConverter, SortField};
use bellwether_lake::schema::file_schema;
use bellwether_lake::tables::{ROUNDS, TableDef};
use bellwether_lake::{LakeError, rows};
use bellwether_model::time::Timestamp;
use serde::de::DeserializeOwned;

use crate::error::SqlError;
use crate::session::Session;

/// All rows of a table in the snapshot.
async fn raw(session: &Session, def: &'static TableDef) -> Result<RecordBatch, SqlError> {
    let snapshot = session.snapshot();
    let mut read = Vec::new();
    for file in snapshot.files(def).iter() {
        read.push(snapshot.read(def, file).await?);
    }
    // Files carry no Arrow metadata; the definition says which columns are JSON.
    let schema = file_schema(def);
    let batches = read
        .iter()
        .flat_map(|rows| rows.iter())
        .map(|b| RecordBatch::try_new(schema.clone(), b.columns().to_vec()))
        .collect::<Result<Vec<_>, _>>();
    batches.and_then(|b| concat_batches(&schema, &b)).map_err(|e| misfit(def, e))
}

fn misfit(def: &TableDef, error: ArrowError) -> SqlError {
    LakeError::Damaged { table: def.name.to_owned(), file: def.name.to_owned(), source: error.into() }.into()
}

/// What counts of a table: rows not after the session's `as_of`, and of finished rounds where rounds concluded them.
pub(crate) async fn counted(session: &Session, def: &'static TableDef) -> Result<RecordBatch, SqlError> {
    let mut batch = not_after(raw(session, def).await?, def, session.options().as_of)?;
    if def.is_judged() && batch.num_rows() > 0 {
        let rounds = not_after(raw(session, &ROUNDS).await?, &ROUNDS, session.options().as_of)?;
        let finished: HashSet<_> = texts(&rounds, "round_id").collect();
        let keep: BooleanArray = texts(&batch, "round_id").map(|id| Some(finished.contains(&id))).collect();
        batch = filter_record_batch(&batch, &keep).map_err(|e| misfit(def, e))?;
    }
    Ok(batch)
}

/// The newest row of each key of what counts.
pub(crate) async fn current(session: &Session, def: &'static TableDef) -> Result<RecordBatch, SqlError> {
    newest(&counted(session, def).await?, def)
}

/// The newest row of each key.
pub(crate) fn newest(batch: &RecordBatch, def: &TableDef) -> Result<RecordBatch, SqlError> {
    let known = BooleanArray::from(vec![true; batch.num_rows()]);
    pick(batch, def, &known).map_err(|e| misfit(def, e))
}

/// The rows that are marked.
pub(crate) fn kept(batch: &RecordBatch, def: &TableDef, keep: &BooleanArray) -> Result<RecordBatch, SqlError> {
    filter_record_batch(batch, keep).map_err(|e| misfit(def, e))
}

/// Of each object its newest row not after the session's horizon, or its first where it was first seen later.
pub(crate) async fn objects<T: DeserializeOwned>(session: &Session, def: &'static TableDef) -> Result<Vec<T>, SqlError> {
    let batch = raw(session, def).await?;
    let known = times(&batch, def.event_time, session.horizon(), lt_eq).map_err(|e| misfit(def, e))?;
    typed(&pick(&batch, def, &known).map_err(|e| misfit(def, e))?)
}

/// The rows of a batch as typed values.
pub(crate) fn typed<T: DeserializeOwned>(batch: &RecordBatch) -> Result<Vec<T>, SqlError> {
    Ok(rows::decode(std::slice::from_ref(batch))?)
}

/// Rows whose `state` is not `closed`.
pub(crate) fn open(batch: &RecordBatch, def: &TableDef) -> Result<RecordBatch, SqlError> {
    let state = batch.column_by_name("state").ok_or_else(|| misfit(def, ArrowError::SchemaError("no column state".into())))?;
    let closed = Scalar::new(arrow::array::StringArray::from(vec!["closed"]));
    neq(state, &closed).and_then(|keep| filter_record_batch(batch, &keep)).map_err(|e| misfit(def, e))
}

/// Rows whose event time is not before an instant.
pub(crate) fn since(batch: &RecordBatch, def: &TableDef, at: Timestamp) -> Result<RecordBatch, SqlError> {
    times(batch, def.event_time, at, gt_eq).and_then(|keep| filter_record_batch(batch, &keep)).map_err(|e| misfit(def, e))
}

fn not_after(batch: RecordBatch, def: &TableDef, at: Option<Timestamp>) -> Result<RecordBatch, SqlError> {
    let Some(at) = at else { return Ok(batch) };
    times(&batch, def.event_time, at, lt_eq).and_then(|keep| filter_record_batch(&batch, &keep)).map_err(|e| misfit(def, e))
}

type Compare = fn(&dyn arrow::array::Datum, &dyn arrow::array::Datum) -> Result<BooleanArray, ArrowError>;

fn times(batch: &RecordBatch, column: Option<&str>, at: Timestamp, compare: Compare) -> Result<BooleanArray, ArrowError> {
    match column.and_then(|c| batch.column_by_name(c)) {
        Some(times) => compare(times, &Scalar::new(TimestampMicrosecondArray::from(vec![at.micros()]).with_timezone("UTC"))),
        None => Ok(BooleanArray::from(vec![true; batch.num_rows()])),
    }
}

pub(crate) fn texts<'b>(batch: &'b RecordBatch, column: &str) -> impl Iterator<Item = &'b str> {
    batch.column_by_name(column).and_then(|c| c.as_string_opt::<i32>()).into_iter().flat_map(|a| a.iter().map(Option::unwrap_or_default))
}

/// For each key the newest of the known rows, or the oldest row where none is known. Rows keep their order.
fn pick(batch: &RecordBatch, def: &TableDef, known: &BooleanArray) -> Result<RecordBatch, ArrowError> {
    let (keys, ages) = (comparable(batch, def.key)?, comparable(batch, def.newest)?);
    let mut best: HashMap<_, usize> = HashMap::new();
    for row in 0..batch.num_rows() {
        let kept = best.entry(keys.row(row)).or_insert(row);
        let newer = match (known.value(row), known.value(*kept)) {
            (true, true) => ages.row(row) >= ages.row(*kept),
            (false, false) => ages.row(row) < ages.row(*kept),
            (is_known, _) => is_known,
        };
        if newer {
            *kept = row;
        }
    }
    let mut chosen: Vec<u32> = best.into_values().map(|row| row as u32).collect();
    chosen.sort_unstable();
    take_record_batch(batch, &UInt32Array::from(chosen))
}

/// Columns as rows that compare as their values do, null first.
fn comparable(batch: &RecordBatch, names: &[&str]) -> Result<arrow::row::Rows, ArrowError> {
    let columns = names.iter().filter_map(|name| batch.column_by_name(name)).cloned().collect::<Vec<Arc<dyn Array>>>();
    let converter = RowConverter::new(columns.iter().map(|c| SortField::new(c.data_type().clone())).collect())?;
    converter.convert_columns(&columns)
}
