//! Upkeep: many small files become one, duplicates go, and files that no kept version needs are removed.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::compute::concat_batches;
use bellwether_model::time::{Span, TimeRange, Timestamp};
use deltalake_core::operations::vacuum::{Clock, VacuumBuilder, VacuumMode};
use deltalake_core::protocol::checkpoints::cleanup_expired_logs_for;
use futures::TryStreamExt;
use serde::Serialize;

use crate::block::Block;
use crate::encode::encode_samples;
use crate::error::LakeError;
use crate::file::DataFile;
use crate::lake::{Lake, compute};
use crate::samples;
use crate::scan::{SampleQuery, read_files, read_rows};
use crate::schema::file_schema;
use crate::table::removal;
use crate::tables::{SAMPLES, TableDef};

/// How long log entries stay behind a checkpoint: as long as any version may be asked for, and longer.
const LOG_RETENTION: Span = Span::from_days(30);

/// How upkeep is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upkeep {
    /// A day of samples, or another table, with at least this many files is rewritten as one. Default 4.
    pub min_files: usize,
    /// How long files that were replaced stay, for running queries and replays. Default 7 days, at least 24 hours.
    pub retention: Span,
}

impl Default for Upkeep {
    fn default() -> Self {
        Self { min_files: 4, retention: Span::from_days(7) }
    }
}

/// What upkeep did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Upkept {
    /// Files that were replaced.
    pub merged: usize,
    /// Files that replaced them.
    pub written: usize,
    /// Duplicate samples that went.
    pub duplicates: i64,
    /// Files that were removed from the store.
    pub removed: usize,
}

/// A clock that stands still.
#[derive(Debug)]
struct At(Timestamp);

impl Clock for At {
    fn current_timestamp_millis(&self) -> i64 {
        self.0.millis()
    }
}

impl Lake {
    /// Compacts and vacuums every table.
    ///
    /// # Guarantees
    /// Readers of any version younger than the retention find every file; the rows that a reader sees do not change, except
    /// that of equal samples only the newest stays. A crash loses no row.
    /// # Errors
    /// [`LakeError::Retention`] below 24 hours, before anything is done.
    pub async fn maintain(&self, upkeep: Upkeep, now: Timestamp) -> Result<Upkept, LakeError> {
        if upkeep.retention < Span::from_hours(24) {
            return Err(LakeError::Retention { hours: upkeep.retention.secs() / 3_600 });
        }
        let mut done = Upkept::default();
        for (def, _) in self.tables() {
            self.compact(def, upkeep.min_files, now, &mut done).await?;
            done.removed += self.vacuum(def, upkeep.retention, now).await?;
        }
        Ok(done)
    }

    async fn compact(&self, def: &'static TableDef, min_files: usize, now: Timestamp, done: &mut Upkept) -> Result<(), LakeError> {
        let files = {
            let mut table = self.table(def).await?;
            table.refresh(self.place()).await?;
            table.files()?
        };
        let mut partitions: BTreeMap<Option<i32>, Vec<Arc<DataFile>>> = BTreeMap::new();
        for file in files.iter() {
            partitions.entry(file.day).or_default().push(file.clone());
        }
        // All files of a partition, never some: a merged file takes the highest rank, which must not overtake a file left out.
        for (day, old) in partitions.into_iter().filter(|(_, files)| files.len() >= min_files.max(2)) {
            let rank = old.iter().map(|f| f.rank).max();
            let new = if *def == SAMPLES { self.merge_samples(day, &old, rank).await? } else { self.merge_rows(def, &old, rank).await? };
            let mut table = self.table(def).await?;
            let adds = new.iter().map(|(file, stats)| file.add(stats.clone(), false)).collect();
            let outcome = table.replace(self.place(), adds, old.iter().map(|f| removal(f, now)).collect()).await;
            if self.place().is_settled(&outcome) {
                self.discard(def, new.iter().map(|(file, _)| file)).await;
            }
            if outcome?.is_some() {
                done.merged += old.len();
                done.written += new.len();
                done.duplicates += old.iter().map(|f| f.rows()).sum::<i64>() - new.iter().map(|(f, _)| f.rows()).sum::<i64>();
            }
        }
        Ok(())
    }

    /// The samples of one day as one file, of equal ones the newest.
    async fn merge_samples(
        &self,
        day: Option<i32>,
        old: &[Arc<DataFile>],
        rank: Option<i64>,
    ) -> Result<Vec<(DataFile, String)>, LakeError> {
        let range = TimeRange { start: Timestamp::from_micros(i64::MIN), end: Timestamp::from_micros(i64::MAX) };
        let blocks: Vec<Block> =
            read_files(self.place().clone(), old.to_vec(), SampleQuery { series: None, range }).await?.try_collect().await?;
        let segments: Vec<_> = blocks.iter().flat_map(|block| block.days().into_values().flatten()).collect();
        if segments.is_empty() {
            return Ok(Vec::new());
        }
        let bytes = compute(|| encode_samples(&segments)).map_err(|e| LakeError::store("a file of samples", e))?;
        Ok(vec![self.write(&SAMPLES, bytes, samples::stats(&segments), day, rank).await?])
    }

    async fn merge_rows(
        &self,
        def: &'static TableDef,
        old: &[Arc<DataFile>],
        rank: Option<i64>,
    ) -> Result<Vec<(DataFile, String)>, LakeError> {
        let mut batches = Vec::new();
        for file in old {
            batches.extend(read_rows(self.place(), def, file).await?);
        }
        let schema = batches.first().map_or_else(|| file_schema(def), |b| b.schema());
        let batch = concat_batches(&schema, &batches).map_err(|e| LakeError::Damaged {
            table: def.name.to_owned(),
            file: def.name.to_owned(),
            source: e.into(),
        })?;
        Ok(vec![self.write_rows(def, &batch, rank).await?])
    }

    /// Removes files that no version younger than the retention needs, and files that no commit ever named.
    async fn vacuum(&self, def: &'static TableDef, retention: Span, now: Timestamp) -> Result<usize, LakeError> {
        let mut table = self.table(def).await?;
        let Some(open) = table.open().cloned() else { return Ok(0) };
        let vacuum: VacuumBuilder = open.vacuum();
        let (open, metrics) = vacuum
            .with_retention_period(chrono::Duration::microseconds(retention.micros()))
            .with_enforce_retention_duration(false)
            .with_mode(VacuumMode::Full)
            .with_clock(Arc::new(At(now)))
            .await
            .map_err(|e| LakeError::delta(def.name, e))?;
        let log_cutoff = (now - LOG_RETENTION).millis();
        if let Some(version) = open.version() {
            cleanup_expired_logs_for(version, open.log_store().as_ref(), log_cutoff, None)
                .await
                .map_err(|e| LakeError::delta(def.name, e))?;
        }
        table.reopen(open);
        Ok(metrics.files_deleted.len())
    }
}
