//! The open ledger: appending rows and samples, and pinning snapshots.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use arrow::array::RecordBatch;
use bellwether_model::series::{Samples, Series};
use object_store::{ObjectStoreExt, PutPayload};
use serde::Serialize;
use tokio::sync::{Mutex, MutexGuard};

use crate::block::Block;
use crate::cache::RowCache;
use crate::encode::{encode_rows, encode_samples};
use crate::error::LakeError;
use crate::file::{DataFile, FileStats, new_path};
use crate::rows;
use crate::samples;
use crate::series::KnownSeries;
use crate::store::Place;
use crate::table::{Lane, Standing, Table};
use crate::tables::{self, EMBEDDINGS, SAMPLES, SERIES, StoredVector, TableDef};
use crate::vectors;

/// An open ledger. Cheap to share behind an `Arc`; tables are made when first written, stay open, and refresh incrementally.
///
/// Calls on different tables run side by side; calls on one table wait for each other. Needs a tokio runtime.
#[derive(Debug)]
pub struct Lake {
    place: Place,
    tables: BTreeMap<&'static str, Mutex<Table>>,
    known: Mutex<KnownSeries>,
    last_rank: AtomicI64,
    cache: Arc<RowCache>,
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// Its rows are stored, in this version of the table.
    Added {
        /// The table's version.
        version: i64,
        /// How many rows were added.
        rows: usize,
    },
    /// The batch of these lanes was stored before: nothing was added.
    AlreadyThere,
    /// The batch was empty: nothing was committed.
    Empty,
}

impl Appended {
    /// How many rows were added.
    pub fn rows(&self) -> usize {
        match self {
            Self::Added { rows, .. } => *rows,
            Self::AlreadyThere | Self::Empty => 0,
        }
    }
}

impl Lake {
    /// Opens the ledger at a folder or URL; see [`Place::open`]. An empty place is an empty ledger; nothing is written yet.
    pub async fn open(location: &str, options: &BTreeMap<String, String>) -> Result<Self, LakeError> {
        Ok(Self::at(Place::open(location, options)?))
    }

    /// The ledger at an open place.
    pub fn at(place: Place) -> Self {
        let tables = tables::ALL.iter().map(|def| (def.name, Mutex::new(Table::new(def)))).collect();
        Self { place, tables, known: Mutex::default(), last_rank: AtomicI64::new(0), cache: Arc::default() }
    }

    /// Where the ledger lies.
    pub fn place(&self) -> &Place {
        &self.place
    }

    pub(crate) async fn table(&self, def: &'static TableDef) -> Result<MutexGuard<'_, Table>, LakeError> {
        match self.tables.get(def.name) {
            Some(table) => Ok(table.lock().await),
            None => Err(LakeError::Bug(format!("table {} is not in the list of tables", def.name))),
        }
    }

    /// The highest sequence that is stored for a writer in a table; none when it never wrote.
    pub async fn sequence(&self, table: &'static TableDef, app_id: &str) -> Result<Option<i64>, LakeError> {
        let mut table = self.table(table).await?;
        table.refresh(&self.place).await?;
        table.sequence(app_id).await
    }

    /// Appends typed rows in one commit.
    ///
    /// # Guarantees
    /// When this returns `Added`, the rows are on the disk. On an error none of them is visible, except where a store's reply
    /// was lost for good; repeating with the same lanes is safe then.
    /// # Assumptions
    /// `T`'s serde fields are the table's columns. Writers that share an `app_id` send growing sequences.
    /// # Errors
    /// [`LakeError::Rows`] when a row does not fit, before anything is written.
    pub async fn append_rows<T: Serialize>(&self, table: &'static TableDef, rows: &[T], lanes: &[Lane]) -> Result<Appended, LakeError> {
        let batch = rows::encode(table, rows).map_err(|source| LakeError::Rows { table: table.name, source })?;
        self.append_batch(table, &batch, lanes).await
    }

    /// Appends vectors in one commit; otherwise as [`Self::append_rows`].
    pub async fn append_vectors(&self, rows: &[StoredVector], lanes: &[Lane]) -> Result<Appended, LakeError> {
        let batch = compute(|| vectors::encode(rows)).map_err(|source| LakeError::Rows { table: EMBEDDINGS.name, source })?;
        self.append_batch(&EMBEDDINGS, &batch, lanes).await
    }

    /// Appends a batch that has the columns of [`crate::schema::file_schema`] in one commit; otherwise as [`Self::append_rows`].
    pub async fn append_batch(&self, table: &'static TableDef, batch: &RecordBatch, lanes: &[Lane]) -> Result<Appended, LakeError> {
        if batch.num_rows() == 0 {
            return Ok(Appended::Empty);
        }
        if !table.partition_by.is_empty() {
            return Err(LakeError::Bug(format!("rows of {} have a way of their own", table.name)));
        }
        let mut open = self.table(table).await?;
        if open.prepare(&self.place, lanes).await? == Standing::Stored {
            return Ok(Appended::AlreadyThere);
        }
        let file = self.write_rows(table, batch, None).await?;
        self.commit(&mut open, vec![file], lanes)
            .await
            .map(|version| version.map_or(Appended::AlreadyThere, |version| Appended::Added { version, rows: batch.num_rows() }))
    }

    /// Appends samples, and the series that are new, in one commit a table.
    ///
    /// Within the batch, the last of several samples with the same series and time counts. Lanes belong to the table `samples`.
    ///
    /// # Guarantees
    /// As [`Self::append_rows`]. Series are stored before the samples that need them.
    /// # Errors
    /// [`LakeError::Collision`] when two different series have one id, [`LakeError::NotFinite`] for NaN and infinities; nothing is stored then.
    pub async fn append_samples(&self, offered: &Samples, lanes: &[Lane]) -> Result<Appended, LakeError> {
        if offered.is_empty() {
            return Ok(Appended::Empty);
        }
        if self.table(&SAMPLES).await?.prepare(&self.place, lanes).await? == Standing::Stored {
            return Ok(Appended::AlreadyThere);
        }
        let sorted = compute(|| samples::sort(offered))?;
        self.add_series(&offered.series).await?;
        let mut files = Vec::new();
        if let Err(error) = self.write_days(&sorted, &mut files).await {
            self.discard(&SAMPLES, files.iter().map(|(file, _)| file)).await;
            return Err(error);
        }
        let mut open = self.table(&SAMPLES).await?;
        let version = self.commit(&mut open, files, lanes).await?;
        Ok(version.map_or(Appended::AlreadyThere, |version| Appended::Added { version, rows: sorted.rows() }))
    }

    async fn write_days(&self, sorted: &Block, files: &mut Vec<(DataFile, String)>) -> Result<(), LakeError> {
        for (day, segments) in sorted.days() {
            let bytes = compute(|| encode_samples(&segments)).map_err(|e| LakeError::store("a file of samples", e))?;
            files.push(self.write(&SAMPLES, bytes, samples::stats(&segments), Some(day), None).await?);
        }
        Ok(())
    }

    /// Stores the series of a batch that are not stored yet.
    async fn add_series(&self, offered: &[Series]) -> Result<(), LakeError> {
        let mut known = self.known.lock().await;
        let mut table = self.table(&SERIES).await?;
        table.refresh(&self.place).await?;
        known.learn(&self.place, &table.files()?).await?;
        let new = known.new_among(&self.place, offered, &table.files()?).await?;
        if new.is_empty() {
            return Ok(());
        }
        table.prepare(&self.place, &[]).await?;
        let batch = rows::encode(&SERIES, &new).map_err(|source| LakeError::Rows { table: SERIES.name, source })?;
        let file = self.write_rows(&SERIES, &batch, None).await?;
        let path = file.0.path.clone();
        self.commit(&mut table, vec![file], &[]).await?;
        known.remember(&new, path);
        Ok(())
    }

    /// A rank for a new file: microseconds of the wall clock, made to grow from file to file.
    fn next_rank(&self) -> i64 {
        let now = wall_clock_micros();
        let last = self.last_rank.fetch_max(now, Ordering::Relaxed);
        if now > last { now } else { self.last_rank.fetch_add(1, Ordering::Relaxed) + 1 }
    }

    pub(crate) async fn write_rows(
        &self,
        table: &'static TableDef,
        batch: &RecordBatch,
        rank: Option<i64>,
    ) -> Result<(DataFile, String), LakeError> {
        let bytes = encode_rows(batch).map_err(|e| LakeError::store(format!("a file of {}", table.name), e))?;
        self.write(table, bytes, FileStats::json_of(batch), None, rank).await
    }

    /// Writes a file that no reader sees until it is committed.
    pub(crate) async fn write(
        &self,
        table: &'static TableDef,
        bytes: Vec<u8>,
        stats: String,
        day: Option<i32>,
        rank: Option<i64>,
    ) -> Result<(DataFile, String), LakeError> {
        let fresh = self.next_rank();
        let salt = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), fresh);
        let path = new_path(day, rank.unwrap_or(fresh), salt);
        let file = DataFile {
            size: bytes.len() as u64,
            modified_ms: wall_clock_micros() / 1_000,
            rank: rank.unwrap_or(fresh),
            day,
            stats: FileStats::parse(table, &stats),
            path,
        };
        let target = self.place.resolve(&format!("{}/{}", table.name, file.path));
        self.place.store.put(&target, PutPayload::from(bytes)).await.map_err(|e| LakeError::store(format!("table {}", table.name), e))?;
        Ok((file, stats))
    }

    async fn commit(&self, table: &mut Table, files: Vec<(DataFile, String)>, lanes: &[Lane]) -> Result<Option<i64>, LakeError> {
        let adds = files.iter().map(|(file, stats)| file.add(stats.clone(), true)).collect();
        let done = table.add(&self.place, adds, lanes).await;
        if self.place.is_settled(&done) {
            self.discard(table.def, files.iter().map(|(file, _)| file)).await;
        }
        done
    }

    /// Removes written files that no commit will ever name.
    pub(crate) async fn discard<'f>(&self, table: &TableDef, files: impl Iterator<Item = &'f DataFile>) {
        for file in files {
            // What cannot be removed now is invisible, and vacuum removes it later.
            let _ = self.place.store.delete(&self.place.resolve(&format!("{}/{}", table.name, file.path))).await;
        }
    }

    pub(crate) fn cache(&self) -> Arc<RowCache> {
        self.cache.clone()
    }

    pub(crate) fn tables(&self) -> impl Iterator<Item = (&'static TableDef, &Mutex<Table>)> {
        tables::ALL.iter().filter_map(|def| Some((*def, self.tables.get(def.name)?)))
    }
}

/// Runs work that needs the processor without holding up the other tasks of this thread, where the runtime can move them.
pub(crate) fn compute<T>(work: impl FnOnce() -> T) -> T {
    match tokio::runtime::Handle::try_current().map(|h| h.runtime_flavor()) {
        Ok(tokio::runtime::RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}

/// The wall clock, for names and modification times of files: facts about storage that nothing is judged by.
#[allow(clippy::disallowed_methods)]
fn wall_clock_micros() -> i64 {
    chrono::Utc::now().timestamp_micros()
}

#[cfg(test)]
mod faults;
#[cfg(test)]
mod tests;
