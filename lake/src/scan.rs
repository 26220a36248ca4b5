//! Reading files: rows of any table whole, and samples of many files as one stream in order of series and time.
//!
//! Samples are read in slices of the series ids, so memory stays bounded and slices run side by side. Of each file only the
//! row groups and pages that can hold a wanted series are fetched.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Float64Type, Int64Type, TimestampMicrosecondType};
use bellwether_model::time::TimeRange;
use futures::stream::{self, Stream, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::DecodeResult;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReaderBuilder, RowSelection};
use parquet::arrow::push_decoder::ParquetPushDecoderBuilder;
use parquet::errors::ParquetError;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataPushDecoder, RowGroupMetaData};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::statistics::Statistics;

use crate::block::Block;
use crate::cache::FileRows;
use crate::error::LakeError;
use crate::file::{Bound, DataFile};
use crate::snapshot::Snapshot;
use crate::store::Place;
use crate::tables::{SAMPLES, TableDef};

/// Bytes at the end of a file that are fetched first: enough for the footer of most files.
const TAIL: u64 = 64 * 1024;

/// Most samples of a slice, where files are cut finely enough.
const SLICE_ROWS: i64 = 1 << 20;

/// Fewest samples that are worth a slice of their own.
const LEAST_SLICE_ROWS: i64 = 128 * 1024;

/// Files of samples of at most this many bytes are read whole, and kept: new samples come in small files, and each is asked for often.
const SMALL_FILE: u64 = 256 * 1024;

/// Slices that are read at the same time.
const PARALLEL: usize = 2;

/// Which samples are wanted.
#[derive(Clone, Debug)]
pub struct SampleQuery {
    /// Ids of the wanted series, ascending; all series when none.
    pub series: Option<Arc<Vec<i64>>>,
    /// When they were measured.
    pub range: TimeRange,
}

/// All rows of a file, without the columns that partition its table.
pub async fn read_rows(place: &Place, table: &TableDef, file: &DataFile) -> Result<Vec<RecordBatch>, LakeError> {
    let name = format!("{}/{}", table.name, file.path);
    let damaged =
        |source: Box<dyn std::error::Error + Send + Sync>| LakeError::Damaged { table: table.name.to_owned(), file: name.clone(), source };
    let bytes = fetch_all(place, &name).await.map_err(|e| missing(table, &name, e))?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).and_then(|b| b.build()).map_err(|e| damaged(e.into()))?;
    reader.collect::<Result<_, _>>().map_err(|e| damaged(e.into()))
}

async fn fetch_all(place: &Place, name: &str) -> Result<bytes::Bytes, object_store::Error> {
    place.store.get(&place.resolve(name)).await?.bytes().await
}

fn missing(table: &TableDef, name: &str, error: object_store::Error) -> LakeError {
    match error {
        object_store::Error::NotFound { .. } => {
            LakeError::Damaged { table: table.name.to_owned(), file: name.to_owned(), source: error.into() }
        }
        other => LakeError::store(name, other),
    }
}

/// The wanted samples of a snapshot as blocks in order of series id; no series is in two blocks.
///
/// # Errors
/// [`LakeError::Damaged`] names a file that is missing or cut short.
pub async fn samples(
    snapshot: &Snapshot,
    query: SampleQuery,
) -> Result<impl Stream<Item = Result<Block, LakeError>> + Send + use<>, LakeError> {
    let files: Vec<_> = snapshot.files(&SAMPLES).iter().filter(|f| may_hold(f, &query.range)).cloned().collect();
    let opened = stream::iter(files).map(|file| async move {
        if file.size > SMALL_FILE {
            return open(snapshot.place(), file).await;
        }
        let rows = snapshot.read(&SAMPLES, &file).await?;
        Ok(Opened { file, content: Content::Rows(rows) })
    });
    Ok(merged(snapshot.place().clone(), opened.buffered(16).try_collect().await?, query))
}

/// The wanted samples of some files, oldest rank first; otherwise as [`samples`].
pub(crate) async fn read_files(
    place: Place,
    files: Vec<Arc<DataFile>>,
    query: SampleQuery,
) -> Result<impl Stream<Item = Result<Block, LakeError>> + Send + use<>, LakeError> {
    let opened = stream::iter(files).map(|file| open(&place, file)).buffered(16).try_collect().await?;
    Ok(merged(place, opened, query))
}

fn merged(
    place: Place,
    opened: Vec<Opened>,
    query: SampleQuery,
) -> impl Stream<Item = Result<Block, LakeError>> + Send + use<> {
    let slices = slices(&opened, &query);
    let opened = Arc::new(opened);
    let tasks = slices.into_iter().map(move |slice| {
        let (opened, query, store) = (opened.clone(), query.clone(), place.store.clone());
        let runtime = tokio::runtime::Handle::current();
        async move {
            let read = tokio::task::spawn_blocking(move || {
                let parts = opened.iter().map(|file| file.read(&runtime, store.as_ref(), &query, &slice)).collect::<Result<_, _>>()?;
                Ok(Block::merge(parts))
            });
            read.await.unwrap_or_else(|stopped| Err(LakeError::Bug(format!("reading samples stopped: {stopped}"))))
        }
    });
    stream::iter(tasks).buffered(PARALLEL).try_filter(|block| std::future::ready(block.rows() > 0))
}

fn may_hold(file: &DataFile, range: &TimeRange) -> bool {
    let Some(ts) = file.stats.columns.get("ts") else { return true };
    !matches!(&ts.min, Some(Bound::Time(min)) if *min >= range.end) && !matches!(&ts.max, Some(Bound::Time(max)) if *max < range.start)
}

/// A file of samples, ready to be read.
#[derive(Debug)]
struct Opened {
    file: Arc<DataFile>,
    content: Content,
}

/// What is known of a file's content before its samples are asked for.
#[derive(Debug)]
enum Content {
    /// All of it: the file is small.
    Rows(FileRows),
    /// Its footer.
    Footer(Footer),
}

#[derive(Debug)]
struct Footer {
    path: Path,
    metadata: Arc<ParquetMetaData>,
}

pub(crate) async fn footer(
    place: &Place,
    table: &TableDef,
    file: &DataFile,
    index: PageIndexPolicy,
) -> Result<(Path, ParquetMetaData), LakeError> {
    let name = format!("{}/{}", table.name, file.path);
    let path = place.resolve(&name);
    let damaged = |source: ParquetError| LakeError::Damaged { table: table.name.to_owned(), file: name.clone(), source: source.into() };
    let mut decoder = ParquetMetaDataPushDecoder::try_new(file.size).map_err(damaged)?.with_page_index_policy(index);
    let mut wanted: Vec<Range<u64>> = std::iter::once(file.size.saturating_sub(TAIL)..file.size).collect();
    loop {
        let found = place.store.get_ranges(&path, &wanted).await;
        let bytes = found.map_err(|e| match e {
            object_store::Error::NotFound { .. } => missing(table, &name, e),
            // A range that reaches behind the end of a file that became shorter.
            other => LakeError::Damaged { table: table.name.to_owned(), file: name.clone(), source: other.into() },
        })?;
        decoder.push_ranges(wanted, bytes).map_err(damaged)?;
        match decoder.try_decode().map_err(damaged)? {
            DecodeResult::NeedsData(ranges) => wanted = ranges,
            DecodeResult::Data(metadata) => return Ok((path, metadata)),
            DecodeResult::Finished => return Err(damaged(ParquetError::General("the footer ends too early".into()))),
        }
    }
}

async fn open(place: &Place, file: Arc<DataFile>) -> Result<Opened, LakeError> {
    let (path, metadata) = footer(place, &SAMPLES, &file, PageIndexPolicy::Optional).await?;
    Ok(Opened { file, content: Content::Footer(Footer { path, metadata: Arc::new(metadata) }) })
}

/// A slice of the series ids: both ends belong to it.
#[derive(Clone, Copy, Debug)]
struct Slice {
    low: i64,
    high: i64,
}

impl Slice {
    fn meets(&self, (min, max): (i64, i64), query: &SampleQuery) -> bool {
        let (low, high) = (self.low.max(min), self.high.min(max));
        low <= high && query.series.as_ref().is_none_or(|ids| ids.get(ids.partition_point(|id| *id < low)).is_some_and(|id| *id <= high))
    }
}

/// Cuts the ids so that each slice has about equally many samples.
fn slices(files: &[Opened], query: &SampleQuery) -> Vec<Slice> {
    let all = Slice { low: i64::MIN, high: i64::MAX };
    let mut groups: Vec<(i64, i64)> = files
        .iter()
        .flat_map(Opened::groups)
        .filter(|(span, _)| all.meets(*span, query))
        .map(|((_, max), rows)| (max, rows))
        .collect();
    groups.sort_unstable();
    let total: i64 = groups.iter().map(|(_, rows)| rows).sum();
    let target = (total / (4 * PARALLEL as i64)).clamp(LEAST_SLICE_ROWS, SLICE_ROWS);
    let (mut slices, mut low, mut rows) = (Vec::new(), i64::MIN, 0);
    for (i, (max, n)) in groups.iter().enumerate() {
        rows += n;
        let next_is_higher = groups.get(i + 1).is_some_and(|(next, _)| next > max);
        if rows >= target && next_is_higher {
            slices.push(Slice { low, high: *max });
            (low, rows) = (max + 1, 0);
        }
    }
    slices.push(Slice { low, high: i64::MAX });
    slices
}

/// Least and greatest series id of a row group.
fn series_of(group: &RowGroupMetaData) -> Option<(i64, i64)> {
    match group.column(0).statistics() {
        Some(Statistics::Int64(s)) => Some((*s.min_opt()?, *s.max_opt()?)),
        _ => None,
    }
}

impl Opened {
    fn damaged(&self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> LakeError {
        LakeError::Damaged { table: SAMPLES.name.to_owned(), file: format!("{}/{}", SAMPLES.name, self.file.path), source: source.into() }
    }

    /// Least and greatest series id of each of its parts, and how many rows that has.
    fn groups(&self) -> Vec<((i64, i64), i64)> {
        match &self.content {
            Content::Rows(rows) => rows.iter().filter_map(|batch| Some((ends(batch)?, batch.num_rows() as i64))).collect(),
            Content::Footer(footer) => {
                footer.metadata.row_groups().iter().filter_map(|g| Some((series_of(g)?, g.num_rows()))).collect()
            }
        }
    }

    /// The wanted samples of a slice.
    fn read(
        &self,
        runtime: &tokio::runtime::Handle,
        store: &dyn ObjectStore,
        query: &SampleQuery,
        slice: &Slice,
    ) -> Result<Block, LakeError> {
        match &self.content {
            Content::Rows(rows) => {
                let mut block = Block::default();
                for batch in rows.iter().filter(|batch| ends(batch).is_some_and(|span| slice.meets(span, query))) {
                    self.take(batch, query, slice, &mut block)?;
                }
                Ok(block)
            }
            Content::Footer(footer) => self.fetch(footer, runtime, store, query, slice),
        }
    }

    /// Fetches the wanted samples of a slice.
    fn fetch(
        &self,
        footer: &Footer,
        runtime: &tokio::runtime::Handle,
        store: &dyn ObjectStore,
        query: &SampleQuery,
        slice: &Slice,
    ) -> Result<Block, LakeError> {
        let (groups, selection) = footer.choose(query, slice);
        let mut block = Block::default();
        if groups.is_empty() {
            return Ok(block);
        }
        let mut decoder = ParquetPushDecoderBuilder::try_new_decoder(footer.metadata.clone())
            .map(|b| b.with_row_groups(groups).with_batch_size(64 * 1024))
            .map(|b| match selection {
                Some(selection) => b.with_row_selection(selection),
                None => b,
            })
            .and_then(ParquetPushDecoderBuilder::build)
            .map_err(|e| self.damaged(e))?;
        loop {
            match decoder.try_decode().map_err(|e| self.damaged(e))? {
                DecodeResult::NeedsData(ranges) => {
                    let bytes = runtime.block_on(store.get_ranges(&footer.path, &ranges)).map_err(|e| self.damaged(e))?;
                    decoder.push_ranges(ranges, bytes).map_err(|e| self.damaged(e))?;
                }
                DecodeResult::Data(batch) => self.take(&batch, query, slice, &mut block)?,
                DecodeResult::Finished => return Ok(block),
            }
        }
    }

    /// Copies the wanted samples of a batch, run by run of equal series.
    fn take(&self, batch: &RecordBatch, query: &SampleQuery, slice: &Slice, block: &mut Block) -> Result<(), LakeError> {
        let columns = (
            batch.column(0).as_primitive_opt::<Int64Type>(),
            batch.column(1).as_primitive_opt::<TimestampMicrosecondType>(),
            batch.column(2).as_primitive_opt::<Float64Type>(),
        );
        let (Some(ids), Some(ts), Some(values)) = columns else { return Err(self.damaged("its columns are not those of samples")) };
        let (ids, ts, values) = (ids.values(), ts.values(), values.values());
        let (start_ts, end_ts) = (query.range.start.micros(), query.range.end.micros());
        let mut start = 0;
        while start < ids.len() {
            let id = ids[start];
            let end = start + run_length(&ids[start..]);
            let wanted = slice.low <= id && id <= slice.high && query.series.as_ref().is_none_or(|all| all.binary_search(&id).is_ok());
            if wanted {
                let run = &ts[start..end];
                let (from, to) = (start + run.partition_point(|t| *t < start_ts), start + run.partition_point(|t| *t < end_ts));
                if from < to {
                    block.push(id, &ts[from..to], &values[from..to]);
                }
            }
            start = end;
        }
        Ok(())
    }
}

/// First and last series id of rows in order.
fn ends(batch: &RecordBatch) -> Option<(i64, i64)> {
    let ids = batch.column(0).as_primitive_opt::<Int64Type>()?.values();
    Some((*ids.first()?, *ids.last()?))
}

impl Footer {
    /// Row groups that can hold wanted samples, and which of their rows; none means all of them.
    fn choose(&self, query: &SampleQuery, slice: &Slice) -> (Vec<usize>, Option<RowSelection>) {
        let (mut groups, mut ranges, mut rows) = (Vec::new(), Vec::<Range<usize>>::new(), 0usize);
        for (i, group) in self.metadata.row_groups().iter().enumerate() {
            if series_of(group).is_some_and(|span| !slice.meets(span, query)) {
                continue;
            }
            groups.push(i);
            let count = group.num_rows().max(0) as usize;
            for page in self.pages(i, count) {
                if page.series.is_none_or(|span| slice.meets(span, query)) {
                    let range = rows + page.rows.start..rows + page.rows.end;
                    match ranges.last_mut() {
                        Some(last) if last.end == range.start => last.end = range.end,
                        _ => ranges.push(range),
                    }
                }
            }
            rows += count;
        }
        let whole = ranges.len() == 1 && ranges[0] == (0..rows);
        (groups, (!whole).then(|| RowSelection::from_consecutive_ranges(ranges.into_iter(), rows)))
    }

    fn pages(&self, group: usize, rows: usize) -> Vec<Page> {
        let index = self.metadata.column_index().and_then(|all| all.get(group)?.first());
        let offsets = self.metadata.offset_index().and_then(|all| all.get(group)?.first());
        let (Some(ColumnIndexMetaData::INT64(index)), Some(offsets)) = (index, offsets) else {
            return vec![Page { rows: 0..rows, series: None }];
        };
        let starts = offsets.page_locations();
        let first = |i: usize| starts.get(i).map_or(rows, |p| p.first_row_index.max(0) as usize);
        (0..starts.len())
            .map(|i| Page { rows: first(i)..first(i + 1), series: index.min_value(i).copied().zip(index.max_value(i).copied()) })
            .collect()
    }
}

/// How many equal ids a sorted list begins with.
fn run_length(ids: &[i64]) -> usize {
    let mut step = 1;
    while step < ids.len() && ids[step] == ids[0] {
        step *= 2;
    }
    let (low, high) = (step / 2, step.min(ids.len()));
    low + ids[low..high].partition_point(|id| *id == ids[0])
}

/// Rows of one page and the series ids in it, where known.
struct Page {
    rows: Range<usize>,
    series: Option<(i64, i64)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_measured_by_leaps() {
        for n in 1..40 {
            for more in [0, 1, 7] {
                let ids = [vec![5; n], vec![6; more]].concat();
                assert_eq!(run_length(&ids), n);
            }
        }
    }
}
