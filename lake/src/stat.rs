//! Figures of the ledger: how much there is, of when, and whether every file can be opened.

use std::sync::Arc;

use bellwether_model::time::Timestamp;
use futures::stream::{self, StreamExt};
use parquet::file::metadata::PageIndexPolicy;
use serde::Serialize;

use crate::error::LakeError;
use crate::file::{Bound, DataFile};
use crate::scan::footer;
use crate::snapshot::Snapshot;

/// Figures of one table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TableStat {
    /// Its name.
    pub table: String,
    /// Its version.
    pub version: i64,
    /// How many files it has.
    pub files: usize,
    /// How many rows, duplicates counted.
    pub rows: i64,
    /// Bytes of its files.
    pub bytes: u64,
    /// Earliest time of its rows.
    pub oldest: Option<Timestamp>,
    /// Latest time of its rows.
    pub newest: Option<Timestamp>,
}

impl Snapshot {
    /// Figures of every table that exists, from the log alone.
    pub fn stat(&self) -> Vec<TableStat> {
        self.tables()
            .map(|t| {
                let bounds = |side: fn(&DataFile, &str) -> Option<Timestamp>| {
                    t.def.event_time.into_iter().flat_map(move |c| t.files.iter().filter_map(move |f| side(f, c)))
                };
                TableStat {
                    table: t.def.name.to_owned(),
                    version: t.version,
                    files: t.files.len(),
                    rows: t.files.iter().map(|f| f.rows()).sum(),
                    bytes: t.files.iter().map(|f| f.size).sum(),
                    oldest: bounds(|f, c| time(f.stats.columns.get(c)?.min.as_ref())).min(),
                    newest: bounds(|f, c| time(f.stats.columns.get(c)?.max.as_ref())).max(),
                }
            })
            .collect()
    }

    /// Opens the footer of every file and gives the files that cannot be read, each as [`LakeError::Damaged`].
    pub async fn damaged_files(&self) -> Vec<LakeError> {
        let all: Vec<_> = self.tables().flat_map(|t| t.files.iter().map(|f| (t.def, Arc::clone(f)))).collect();
        let check = |(def, file): (&'static crate::tables::TableDef, Arc<DataFile>)| async move {
            footer(self.place(), def, &file, PageIndexPolicy::Skip).await.err()
        };
        stream::iter(all).map(check).buffered(16).filter_map(std::future::ready).collect().await
    }
}

fn time(bound: Option<&Bound>) -> Option<Timestamp> {
    match bound {
        Some(Bound::Time(t)) => Some(*t),
        _ => None,
    }
}
