//! Vectors to record batches and back, column by column: through text, as other rows go, a hundred thousand vectors would take minutes.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float32Array, ListArray, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Float32Type, TimestampMicrosecondType};
use arrow::error::ArrowError;
use bellwether_model::time::Timestamp;

use crate::rows::RowError;
use crate::schema::file_schema;
use crate::tables::{EMBEDDINGS, StoredVector};

/// Vectors as one batch with the columns of the table's files.
///
/// # Errors
/// [`RowError::Empty`] for a vector that holds a NaN or an infinity.
pub fn encode(rows: &[StoredVector]) -> Result<RecordBatch, RowError> {
    if let Some(row) = rows.iter().position(|row| !row.vector.iter().all(|v| v.is_finite())) {
        return Err(RowError::Empty { table: EMBEDDINGS.name, row, column: "vector" });
    }
    let schema = file_schema(&EMBEDDINGS);
    let text = |of: fn(&StoredVector) -> &str| Arc::new(StringArray::from_iter_values(rows.iter().map(of))) as ArrayRef;
    let wrong = |source| RowError::Columns { table: EMBEDDINGS.name, source };
    let columns = schema.fields().iter().map(|field| match (field.name().as_str(), field.data_type()) {
        ("subject_id", _) => Ok(text(|row| &row.subject_id)),
        ("kind", _) => Ok(text(|row| &row.kind)),
        ("embedder_id", _) => Ok(text(|row| &row.embedder_id)),
        ("text_digest", _) => Ok(text(|row| &row.text_digest)),
        (_, DataType::List(element)) => {
            let lengths = OffsetBuffer::from_lengths(rows.iter().map(|row| row.vector.len()));
            let numbers: Vec<f32> = rows.iter().flat_map(|row| row.vector.iter().copied()).collect();
            ListArray::try_new(element.clone(), lengths, Arc::new(Float32Array::from(numbers)), None).map(|list| Arc::new(list) as ArrayRef)
        }
        _ => {
            Ok(Arc::new(TimestampMicrosecondArray::from_iter_values(rows.iter().map(|row| row.recorded_at.micros())).with_timezone("UTC"))
                as ArrayRef)
        }
    });
    let columns = columns.collect::<Result<Vec<_>, _>>().map_err(wrong)?;
    RecordBatch::try_new(schema.clone(), columns).map_err(wrong)
}

/// The vectors of batches that have the table's columns, in any order.
///
/// # Errors
/// A column is missing or of another type.
pub fn decode(batches: &[RecordBatch]) -> Result<Vec<StoredVector>, RowError> {
    let mut rows = Vec::with_capacity(batches.iter().map(RecordBatch::num_rows).sum());
    for batch in batches {
        read(batch, &mut rows).map_err(|source| RowError::Columns { table: EMBEDDINGS.name, source })?;
    }
    Ok(rows)
}

fn read(batch: &RecordBatch, rows: &mut Vec<StoredVector>) -> Result<(), ArrowError> {
    let column = |name: &str, kind: DataType| {
        let found = batch.column_by_name(name).ok_or_else(|| ArrowError::SchemaError(format!("there is no column {name}")))?;
        arrow::compute::cast(found, &kind)
    };
    let text = |name| column(name, DataType::Utf8);
    let (subjects, kinds, embedders, digests) = (text("subject_id")?, text("kind")?, text("embedder_id")?, text("text_digest")?);
    let schema = file_schema(&EMBEDDINGS);
    let vectors = column("vector", schema.field_with_name("vector")?.data_type().clone())?;
    let times = column("recorded_at", schema.field_with_name("recorded_at")?.data_type().clone())?;
    let vectors = vectors.as_list::<i32>();
    for row in 0..batch.num_rows() {
        rows.push(StoredVector {
            subject_id: subjects.as_string::<i32>().value(row).to_owned(),
            kind: kinds.as_string::<i32>().value(row).to_owned(),
            embedder_id: embedders.as_string::<i32>().value(row).to_owned(),
            text_digest: digests.as_string::<i32>().value(row).to_owned(),
            vector: vectors.value(row).as_primitive::<Float32Type>().values().to_vec(),
            recorded_at: Timestamp::from_micros(times.as_primitive::<TimestampMicrosecondType>().value(row)),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows;

    fn stored(id: &str, vector: Vec<f32>) -> StoredVector {
        StoredVector {
            subject_id: id.into(),
            kind: "run".into(),
            embedder_id: "hashing-v1-3".into(),
            text_digest: "d".into(),
            vector,
            recorded_at: Timestamp::from_secs(1_780_000_000),
        }
    }

    #[test]
    fn vectors_come_back_as_they_were_and_are_the_same_rows_as_through_text() {
        let all = [stored("run-1", vec![0.1, -0.7, f32::MIN_POSITIVE]), stored("run-2", vec![0.0; 3]), stored("run-3", Vec::new())];
        let batch = encode(&all).unwrap();
        assert_eq!(decode(std::slice::from_ref(&batch)).unwrap(), all);
        assert_eq!(batch, rows::encode(&EMBEDDINGS, &all).unwrap());
        assert_eq!(encode(&[]).unwrap().num_rows(), 0);
        assert_eq!(decode(&[batch.slice(1, 1)]).unwrap(), all[1..2]);
    }

    #[test]
    fn what_is_no_vector_is_refused() {
        let error = encode(&[stored("run-1", vec![1.0]), stored("run-2", vec![f32::NAN])]).unwrap_err().to_string();
        assert_eq!(error, "row 1 of embeddings has nothing in vector, which must hold a value (NaN and infinity are none)");
        let error = decode(&[encode(&[]).unwrap().project(&[0]).unwrap()]).unwrap_err();
        assert!(matches!(error, RowError::Columns { source, .. } if source.to_string().contains("there is no column kind")));
    }
}
