//! One pinned version of every table: cheap to make, unchanging, the only thing readers see.

use std::collections::BTreeMap;
use std::sync::Arc;

use deltalake_core::DeltaTable;
use futures::future::try_join_all;

use crate::cache::{FileRows, RowCache};
use crate::error::LakeError;
use crate::file::DataFile;
use crate::lake::Lake;
use crate::scan::read_rows;
use crate::store::Place;
use crate::table::list_files;
use crate::tables::TableDef;

/// One pinned version of every table. Cloning copies pointers.
#[derive(Clone, Debug)]
pub struct Snapshot {
    place: Place,
    cache: Arc<RowCache>,
    tables: BTreeMap<&'static str, PinnedTable>,
}

/// One table of a snapshot.
#[derive(Clone, Debug)]
pub struct PinnedTable {
    /// Its definition.
    pub def: &'static TableDef,
    /// The version.
    pub version: i64,
    /// Its files, oldest rank first.
    pub files: Arc<Vec<Arc<DataFile>>>,
}

impl Snapshot {
    /// Where the ledger lies.
    pub fn place(&self) -> &Place {
        &self.place
    }
    /// The tables that exist, by name.
    pub fn tables(&self) -> impl Iterator<Item = &PinnedTable> {
        self.tables.values()
    }
    /// A table; none while nothing was ever written to it.
    pub fn table(&self, def: &TableDef) -> Option<&PinnedTable> {
        self.tables.get(def.name)
    }
    /// The files of a table, oldest rank first; none of a table that does not exist.
    pub fn files(&self, def: &TableDef) -> Arc<Vec<Arc<DataFile>>> {
        self.table(def).map(|t| t.files.clone()).unwrap_or_default()
    }
    /// The rows of a file, without the columns that partition its table; from memory where it was read before.
    ///
    /// # Errors
    /// [`LakeError::Damaged`] when the file is missing or cut short.
    pub async fn read(&self, def: &TableDef, file: &DataFile) -> Result<FileRows, LakeError> {
        let path = format!("{}/{}", def.name, file.path);
        if let Some(rows) = self.cache.get(&path) {
            return Ok(rows);
        }
        let rows = Arc::new(read_rows(&self.place, def, file).await?);
        self.cache.put(path, &rows);
        Ok(rows)
    }
    /// The version of every table that exists: what a round records, and what [`Lake::snapshot_at`] takes.
    pub fn versions(&self) -> BTreeMap<String, i64> {
        self.tables.values().map(|t| (t.def.name.to_owned(), t.version)).collect()
    }
}

impl Lake {
    /// The newest version of every table.
    pub async fn snapshot(&self) -> Result<Snapshot, LakeError> {
        let pinned = try_join_all(self.tables().map(|(def, table)| async move {
            let mut table = table.lock().await;
            table.refresh(self.place()).await?;
            let Some(version) = table.version() else { return Ok::<_, LakeError>(None) };
            Ok(Some((def.name, PinnedTable { def, version, files: table.files()? })))
        }));
        Ok(Snapshot { place: self.place().clone(), cache: self.cache(), tables: pinned.await?.into_iter().flatten().collect() })
    }

    /// The given version of every table, for a replay. A table that is not named did not exist.
    ///
    /// # Errors
    /// [`LakeError::NoVersion`] when a version is gone: compacted away and vacuumed, or never written.
    pub async fn snapshot_at(&self, versions: &BTreeMap<String, i64>) -> Result<Snapshot, LakeError> {
        let now = self.snapshot().await?;
        let mut tables = BTreeMap::new();
        for (def, _) in self.tables() {
            let Some(&version) = versions.get(def.name) else { continue };
            let pinned = match now.table(def) {
                Some(table) if table.version == version => table.clone(),
                _ => PinnedTable { def, version, files: Arc::new(self.files_at(def, version).await?) },
            };
            tables.insert(def.name, pinned);
        }
        Ok(Snapshot { place: self.place().clone(), cache: self.cache(), tables })
    }

    async fn files_at(&self, def: &'static TableDef, version: i64) -> Result<Vec<Arc<DataFile>>, LakeError> {
        let gone = |source: Box<dyn std::error::Error + Send + Sync>| LakeError::NoVersion { table: def.name, version, source };
        let wanted = u64::try_from(version).map_err(|e| gone(e.into()))?;
        let mut table = DeltaTable::new(self.place().log_store(def.name)?);
        table.load_version(wanted).await.map_err(|e| gone(e.into()))?;
        if table.version() != Some(wanted) {
            return Err(gone(format!("the newest version is {:?}", table.version()).into()));
        }
        list_files(def, &table, &[])
    }
}
