//! Typed rows to and from record batches, by the table's definition: no table needs code of its own.
//!
//! Rows travel through their serde form, whose field names are the column names. Nested fields of `Json` columns become
//! JSON text on the way in and values again on the way out.

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch, StringArray};
use arrow::datatypes::FieldRef;
use arrow::error::ArrowError;
use arrow::json::writer::{Encoder, EncoderFactory, EncoderOptions, LineDelimited, NullableEncoder, WriterBuilder};
use arrow::json::{LineDelimitedWriter, ReaderBuilder};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::schema::{file_schema, is_json};
use crate::tables::{Kind, TableDef};

/// A row does not fit its table, or a batch does not fit the wanted type.
#[derive(Debug, thiserror::Error)]
pub enum RowError {
    /// The row's serde form is not an object.
    #[error("row {row} of {table} is not a structure")]
    NotAStruct {
        /// The table.
        table: &'static str,
        /// Position of the row in the batch, from 0.
        row: usize,
    },
    /// A column that may not be empty is; NaN and infinities count as empty.
    #[error("row {row} of {table} has nothing in {column}, which must hold a value (NaN and infinity are none)")]
    Empty {
        /// The table.
        table: &'static str,
        /// Position of the row in the batch, from 0.
        row: usize,
        /// The column.
        column: &'static str,
    },
    /// The row has a field that the table does not have.
    #[error("row {row} of {table} has the field {field:?}, which the table does not have")]
    Unknown {
        /// The table.
        table: &'static str,
        /// Position of the row in the batch, from 0.
        row: usize,
        /// The field.
        field: String,
    },
    /// The row cannot be written as JSON.
    #[error("a row of {table} has no JSON form")]
    Encode {
        /// The table.
        table: &'static str,
        /// The cause.
        #[source]
        source: serde_json::Error,
    },
    /// Values do not fit the columns' types.
    #[error("rows do not fit the columns of {table}")]
    Columns {
        /// The table, or `the query`.
        table: &'static str,
        /// The cause.
        #[source]
        source: ArrowError,
    },
    /// A row that was read does not fit the wanted type.
    #[error("row {row} does not fit the wanted type")]
    Decode {
        /// Position of the row, from 0.
        row: usize,
        /// The cause.
        #[source]
        source: serde_json::Error,
    },
}

/// Rows as one batch with the columns of the table's files.
pub fn encode<T: Serialize>(table: &TableDef, rows: &[T]) -> Result<RecordBatch, RowError> {
    let schema = file_schema(table);
    let objects = rows.iter().enumerate().map(|(row, value)| object(table, row, value)).collect::<Result<Vec<_>, _>>()?;
    let columns = |source| RowError::Columns { table: table.name, source };
    let mut decoder = ReaderBuilder::new(schema.clone()).build_decoder().map_err(columns)?;
    decoder.serialize(&objects).map_err(columns)?;
    Ok(decoder.flush().map_err(columns)?.unwrap_or_else(|| RecordBatch::new_empty(schema)))
}

fn object<T: Serialize>(table: &TableDef, row: usize, value: &T) -> Result<Map<String, Value>, RowError> {
    let encode = |source| RowError::Encode { table: table.name, source };
    let Value::Object(mut object) = serde_json::to_value(value).map_err(encode)? else {
        return Err(RowError::NotAStruct { table: table.name, row });
    };
    for column in table.columns {
        match (object.get_mut(column.name), column.kind) {
            (Some(value), Kind::Json) => *value = Value::String(serde_json::to_string(value).map_err(encode)?),
            (None | Some(Value::Null), _) if !column.nullable => {
                return Err(RowError::Empty { table: table.name, row, column: column.name });
            }
            _ => {}
        }
    }
    match object.keys().find(|name| table.column(name).is_none()) {
        Some(field) => Err(RowError::Unknown { table: table.name, row, field: field.clone() }),
        None => Ok(object),
    }
}

/// The rows of batches as values of `T`. Columns that `T` does not know are passed over; JSON columns become values.
pub fn decode<T: DeserializeOwned>(batches: &[RecordBatch]) -> Result<Vec<T>, RowError> {
    let mut rows = Vec::with_capacity(batches.iter().map(RecordBatch::num_rows).sum());
    for batch in batches {
        let text = lines(batch).map_err(|source| RowError::Columns { table: "the query", source })?;
        for row in serde_json::Deserializer::from_slice(&text).into_iter() {
            rows.push(row.map_err(|source| RowError::Decode { row: rows.len(), source })?);
        }
    }
    Ok(rows)
}

/// A batch as lines of JSON, one a row; nulls are left out, and JSON columns stand as what they hold.
fn lines(batch: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
    let mut writer = WriterBuilder::new().with_encoder_factory(Arc::new(AsItStands)).build::<_, LineDelimited>(Vec::new());
    writer.write(batch)?;
    writer.finish()?;
    Ok(writer.into_inner())
}

/// Writes the text of JSON columns as it stands, not as a string.
#[derive(Debug)]
struct AsItStands;

impl EncoderFactory for AsItStands {
    fn make_default_encoder<'a>(
        &self,
        field: &'a FieldRef,
        array: &'a dyn Array,
        _: &'a EncoderOptions,
    ) -> Result<Option<NullableEncoder<'a>>, ArrowError> {
        let Some(texts) = array.as_string_opt::<i32>().filter(|_| is_json(field)) else { return Ok(None) };
        Ok(Some(NullableEncoder::new(Box::new(JsonTexts(texts)), array.nulls().cloned())))
    }
}

struct JsonTexts<'a>(&'a StringArray);

impl Encoder for JsonTexts<'_> {
    fn encode(&mut self, row: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0.value(row).as_bytes());
    }
}

/// A batch as JSON objects, one a row; nulls are left out.
pub fn objects(batch: &RecordBatch) -> Result<Vec<Map<String, Value>>, ArrowError> {
    let mut writer = LineDelimitedWriter::new(Vec::new());
    writer.write(batch)?;
    writer.finish()?;
    serde_json::Deserializer::from_slice(&writer.into_inner())
        .into_iter()
        .collect::<Result<_, _>>()
        .map_err(|e| ArrowError::JsonError(e.to_string()))
}

#[cfg(test)]
mod tests;
