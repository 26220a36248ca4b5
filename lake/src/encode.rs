//! Parquet files in memory, laid out for how the ledger is read.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, TimestampMicrosecondArray};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::{ArrowColumnChunk, ArrowWriterOptions, compute_leaves};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use crate::schema::file_schema;
use crate::tables::SAMPLES;

/// Rows of a row group of samples: a row group ends with the series that reaches this.
pub(crate) const ROW_GROUP_ROWS: usize = 256 * 1024;

/// Rows of a page of samples: the least that is read of a series.
const PAGE_ROWS: usize = 4 * 1024;

/// Threads that encode one file of samples.
const THREADS: usize = 2;

/// A piece of a file of samples: one series' samples of one day, in order of time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segment<'a> {
    pub series_id: i64,
    pub ts: &'a [i64],
    pub values: &'a [f64],
}

fn properties() -> WriterProperties {
    let column = |name: &str| ColumnPath::from(name);
    WriterProperties::builder()
        .set_created_by("bellwether".to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(None)
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_write_batch_size(PAGE_ROWS)
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_column_dictionary_enabled(column("ts"), false)
        .set_column_encoding(column("ts"), Encoding::DELTA_BINARY_PACKED)
        .set_column_dictionary_enabled(column("value"), false)
        .set_column_statistics_enabled(column("value"), EnabledStatistics::Chunk)
        .build()
}

/// A batch as a Parquet file of one row group.
pub(crate) fn encode_rows(batch: &RecordBatch) -> Result<Vec<u8>, ParquetError> {
    let properties = WriterProperties::builder()
        .set_created_by("bellwether".to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .build();
    let mut writer = ArrowWriter::try_new_with_options(Vec::new(), batch.schema(), options(properties))?;
    writer.write(batch)?;
    writer.into_inner()
}

fn options(properties: WriterProperties) -> ArrowWriterOptions {
    ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true)
}

/// Segments, in order of series, as a Parquet file. No series is split between row groups.
pub(crate) fn encode_samples(segments: &[Segment<'_>]) -> Result<Vec<u8>, ParquetError> {
    let groups = row_groups(segments);
    let (mut file, factory) =
        ArrowWriter::try_new_with_options(Vec::new(), file_schema(&SAMPLES), options(properties()))?.into_serialized_writer()?;
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let i = next.fetch_add(1, Ordering::Relaxed);
            let Some(group) = groups.get(i) else { return Ok::<_, ParquetError>(done) };
            done.push((i, encode_group(factory.create_column_writers(i)?, group)?));
        }
    };
    let mut chunks = if groups.len() < 2 {
        work()?
    } else {
        std::thread::scope(|scope| {
            let workers: Vec<_> = (1..THREADS).map(|_| scope.spawn(work)).collect();
            let mut all = work()?;
            for worker in workers {
                all.extend(worker.join().map_err(|_| ParquetError::General("an encoding thread stopped".into()))??);
            }
            Ok::<_, ParquetError>(all)
        })?
    };
    chunks.sort_by_key(|(i, _)| *i);
    for (_, columns) in chunks {
        let mut row_group = file.next_row_group()?;
        for column in columns {
            column.append_to_row_group(&mut row_group)?;
        }
        row_group.close()?;
    }
    file.into_inner()
}

fn row_groups<'s, 'a>(segments: &'s [Segment<'a>]) -> Vec<&'s [Segment<'a>]> {
    let mut groups = Vec::new();
    let (mut start, mut rows) = (0, 0);
    for (i, segment) in segments.iter().enumerate() {
        rows += segment.ts.len();
        if rows >= ROW_GROUP_ROWS {
            groups.push(&segments[start..=i]);
            (start, rows) = (i + 1, 0);
        }
    }
    if start < segments.len() {
        groups.push(&segments[start..]);
    }
    groups
}

fn encode_group(
    writers: Vec<parquet::arrow::arrow_writer::ArrowColumnWriter>,
    segments: &[Segment<'_>],
) -> Result<Vec<ArrowColumnChunk>, ParquetError> {
    let rows = segments.iter().map(|s| s.ts.len()).sum();
    let (mut ids, mut ts, mut values) = (Vec::with_capacity(rows), Vec::with_capacity(rows), Vec::with_capacity(rows));
    for segment in segments {
        ids.resize(ids.len() + segment.ts.len(), segment.series_id);
        ts.extend_from_slice(segment.ts);
        values.extend_from_slice(segment.values);
    }
    let columns: [ArrayRef; 3] = [
        Arc::new(Int64Array::from(ids)),
        Arc::new(TimestampMicrosecondArray::from(ts).with_timezone("UTC")),
        Arc::new(Float64Array::from(values)),
    ];
    let schema = file_schema(&SAMPLES);
    let mut chunks = Vec::with_capacity(columns.len());
    for ((mut writer, column), field) in writers.into_iter().zip(&columns).zip(schema.fields()) {
        for leaf in compute_leaves(field, column)? {
            writer.write(&leaf)?;
        }
        chunks.push(writer.close()?);
    }
    Ok(chunks)
}
