//! One open table: its newest known version, its files, and the commits to it.
//!
//! A commit's error is never taken at its word. The log is read again, and what it says decides: a lost reply may be a
//! success, and another writer may have stored the same batch.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use bellwether_model::time::Timestamp;
use deltalake_core::kernel::transaction::{CommitBuilder, CommitConflictError, CommitProperties, TableReference, TransactionError};
use deltalake_core::kernel::{Action, Add, Remove, Transaction};
use deltalake_core::operations::create::CreateBuilder;
use deltalake_core::protocol::{DeltaOperation, SaveMode};
use deltalake_core::{DeltaTable, DeltaTableError};

use crate::error::LakeError;
use crate::file::DataFile;
use crate::schema::delta_fields;
use crate::store::Place;
use crate::tables::TableDef;

/// How often a commit is tried again after losing to other writers, on top of Delta's own attempts.
const ATTEMPTS: usize = 5;

/// A source's place in its own stream: stored with the rows, in the same commit, so that a repeated batch adds nothing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lane {
    /// Who writes: one source, journal or shard.
    pub app_id: String,
    /// Position of the batch in that stream. Grows from batch to batch; gaps are fine.
    pub sequence: i64,
}

impl Lane {
    /// A lane at a position.
    pub fn new(app_id: impl Into<String>, sequence: i64) -> Self {
        Self { app_id: app_id.into(), sequence }
    }
}

/// What a batch of lanes amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// None of it is stored.
    Fresh,
    /// All of it is stored.
    Stored,
}

/// An open table.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) def: &'static TableDef,
    open: Option<DeltaTable>,
    /// Files of the version in `open`.
    files: Arc<Vec<Arc<DataFile>>>,
    files_version: Option<i64>,
    /// Sequences known for certain for the version in `open`.
    sequences: BTreeMap<String, Option<i64>>,
}

impl Table {
    pub(crate) fn new(def: &'static TableDef) -> Self {
        Self { def, open: None, files: Arc::default(), files_version: None, sequences: BTreeMap::new() }
    }

    fn delta(&self) -> impl Fn(DeltaTableError) -> LakeError + use<> {
        let table = self.def.name;
        move |e| LakeError::delta(table, e)
    }

    /// The newest known version; none while the table does not exist.
    pub(crate) fn version(&self) -> Option<i64> {
        self.open.as_ref().and_then(DeltaTable::version).map(|v| v as i64)
    }

    /// Reads what other writers did since the last look.
    ///
    /// Listing a folder while others write to it is not atomic and can miss a name between two others, which Delta refuses. So a
    /// refusal is believed only when it comes again.
    pub(crate) async fn refresh(&mut self, place: &Place) -> Result<(), LakeError> {
        for wait_ms in [1, 5, 25, 125] {
            match self.look(place).await {
                Err(LakeError::Store { .. }) => tokio::time::sleep(Duration::from_millis(wait_ms)).await,
                done => return done,
            }
        }
        self.look(place).await
    }

    async fn look(&mut self, place: &Place) -> Result<(), LakeError> {
        let before = self.version();
        match &mut self.open {
            Some(table) => table.update_incremental(None).await.map_err(|e| LakeError::delta(self.def.name, e))?,
            None => {
                let log = place.log_store(self.def.name)?;
                if log.is_delta_table_location().await.map_err(self.delta())? {
                    let mut table = DeltaTable::new(log);
                    table.load().await.map_err(self.delta())?;
                    check(self.def, &table)?;
                    self.open = Some(table);
                }
            }
        }
        if self.version() != before {
            self.sequences.clear();
        }
        Ok(())
    }

    /// Makes the table if it is not there.
    async fn ensure(&mut self, place: &Place) -> Result<(), LakeError> {
        self.refresh(place).await?;
        if self.open.is_some() {
            return Ok(());
        }
        let create = CreateBuilder::new()
            .with_log_store(place.log_store(self.def.name)?)
            .with_table_name(self.def.name)
            .with_comment(self.def.doc)
            .with_columns(delta_fields(self.def))
            .with_partition_columns(self.def.partition_by.iter().copied())
            .with_configuration([("delta.checkpointInterval", Some("20"))])
            .with_save_mode(SaveMode::Ignore)
            // With retries it would write its metadata over that of a process which made the table first.
            .with_commit_properties(CommitProperties::default().with_max_retries(0));
        match create.await {
            Ok(table) => {
                check(self.def, &table)?;
                self.open = Some(table);
                Ok(())
            }
            Err(error) => {
                self.refresh(place).await?;
                if self.open.is_some() { Ok(()) } else { Err(LakeError::delta(self.def.name, error)) }
            }
        }
    }

    /// Files of the newest known version, oldest rank first.
    pub(crate) fn files(&mut self) -> Result<Arc<Vec<Arc<DataFile>>>, LakeError> {
        if let (Some(table), true) = (&self.open, self.files_version != self.version()) {
            self.files = Arc::new(list_files(self.def, table, &self.files)?);
            self.files_version = self.version();
        }
        Ok(self.files.clone())
    }

    /// The highest sequence stored for a writer; none when it never wrote.
    pub(crate) async fn sequence(&mut self, app_id: &str) -> Result<Option<i64>, LakeError> {
        if let Some(known) = self.sequences.get(app_id) {
            return Ok(*known);
        }
        let Some(table) = &self.open else { return Ok(None) };
        let stored = table.snapshot().map_err(self.delta())?.transaction_version(&table.log_store(), app_id).await.map_err(self.delta())?;
        self.sequences.insert(app_id.to_owned(), stored);
        Ok(stored)
    }

    /// Whether the batch of these lanes is stored. A batch that is stored in part is refused: splitting it is the caller's.
    pub(crate) async fn standing(&mut self, lanes: &[Lane]) -> Result<Standing, LakeError> {
        let mut stored = 0;
        for lane in lanes {
            if self.sequence(&lane.app_id).await?.is_some_and(|s| lane.sequence <= s) {
                stored += 1;
            }
        }
        match stored {
            0 => Ok(Standing::Fresh),
            n if n == lanes.len() => Ok(Standing::Stored),
            n => Err(LakeError::HalfStored { table: self.def.name, stored: n, lanes: lanes.len() }),
        }
    }

    /// Looks at the table as it is now, making it if needed, and says whether the batch of these lanes is stored.
    pub(crate) async fn prepare(&mut self, place: &Place, lanes: &[Lane]) -> Result<Standing, LakeError> {
        self.ensure(place).await?;
        self.standing(lanes).await
    }

    /// Adds written files to the table. `None` when another writer stored the batch of these lanes meanwhile.
    ///
    /// The files stay in the store on an error; the caller removes them where [`Place::is_settled`] says that is safe.
    pub(crate) async fn add(&mut self, place: &Place, adds: Vec<Add>, lanes: &[Lane]) -> Result<Option<i64>, LakeError> {
        let partition_by = (!self.def.partition_by.is_empty()).then(|| self.def.partition_by.iter().map(|c| (*c).to_owned()).collect());
        let operation = DeltaOperation::Write { mode: SaveMode::Append, partition_by, predicate: None };
        self.commit(place, adds, Vec::new(), lanes, operation).await
    }

    /// Puts new files in the place of old ones that hold the same facts. `None` when another writer took away one of the old files.
    pub(crate) async fn replace(&mut self, place: &Place, adds: Vec<Add>, removes: Vec<Remove>) -> Result<Option<i64>, LakeError> {
        self.commit(place, adds, removes, &[], DeltaOperation::Optimize { predicate: None, target_size: 0 }).await
    }

    async fn commit(
        &mut self,
        place: &Place,
        adds: Vec<Add>,
        removes: Vec<Remove>,
        lanes: &[Lane],
        operation: DeltaOperation,
    ) -> Result<Option<i64>, LakeError> {
        let paths: Vec<_> = adds.iter().map(|a| a.path.clone()).collect();
        let rewrites = !removes.is_empty();
        let actions: Vec<_> = removes.into_iter().map(Action::Remove).chain(adds.into_iter().map(Action::Add)).collect();
        for _ in 0..ATTEMPTS {
            let Some(table) = &mut self.open else {
                return Err(LakeError::Bug(format!("commit to {} before it was opened", self.def.name)));
            };
            let transactions = lanes.iter().map(|l| Transaction::new(&l.app_id, l.sequence)).collect();
            let properties = CommitProperties::default().with_application_transactions(transactions).with_cleanup_expired_logs(Some(false));
            let snapshot = table.snapshot().map_err(|e| LakeError::delta(self.def.name, e))?;
            let reference: &dyn TableReference = snapshot;
            let commit =
                CommitBuilder::from(properties).with_actions(actions.clone()).build(Some(reference), table.log_store(), operation.clone());
            let error = match commit.await {
                Ok(done) => {
                    let version = done.version() as i64;
                    table.state = Some(done.snapshot());
                    // No other commit of these lanes can lie between: that would have been a conflict.
                    self.sequences.clear();
                    self.sequences.extend(lanes.iter().map(|l| (l.app_id.clone(), Some(l.sequence))));
                    return Ok(Some(version));
                }
                Err(error) => error,
            };
            if self.refresh(place).await.is_err() {
                return Err(LakeError::delta(self.def.name, error));
            }
            let files = self.files()?;
            if !paths.is_empty() && paths.iter().all(|p| files.iter().any(|f| &f.path == p)) {
                place.sync_log(self.def.name)?;
                return Ok(self.version());
            }
            if !lanes.is_empty() && self.standing(lanes).await? == Standing::Stored {
                return Ok(None);
            }
            match race(&error) {
                Some(Race::Lost) if rewrites => return Ok(None),
                Some(_) => tracing::debug!(table = self.def.name, %error, "commit lost a race; trying again"),
                None => return Err(LakeError::delta(self.def.name, error)),
            }
        }
        Err(LakeError::Busy { table: self.def.name, attempts: ATTEMPTS })
    }

    /// The open table, for maintenance.
    pub(crate) fn open(&self) -> Option<&DeltaTable> {
        self.open.as_ref()
    }

    /// Takes the state that maintenance left.
    pub(crate) fn reopen(&mut self, table: DeltaTable) {
        self.open = Some(table);
        self.sequences.clear();
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Race {
    /// Another commit took the version; nothing else is wrong.
    Again,
    /// Another commit changed what this one rests on.
    Lost,
}

fn race(error: &DeltaTableError) -> Option<Race> {
    use CommitConflictError::{ConcurrentAppend, ConcurrentDeleteDelete, ConcurrentDeleteRead, ConcurrentTransaction};
    match error {
        // The kernel's refusals are of listings, as in `refresh`.
        DeltaTableError::VersionAlreadyExists(_) | DeltaTableError::KernelError(_) | DeltaTableError::Kernel { .. } => Some(Race::Again),
        DeltaTableError::Transaction { source: TransactionError::VersionAlreadyExists(_) | TransactionError::MaxCommitAttempts(_) } => {
            Some(Race::Again)
        }
        DeltaTableError::Transaction {
            source:
                TransactionError::CommitConflict(ConcurrentTransaction | ConcurrentAppend | ConcurrentDeleteRead | ConcurrentDeleteDelete),
        } => Some(Race::Lost),
        _ => None,
    }
}

/// Refuses tables that this program would read wrongly.
fn check(def: &'static TableDef, table: &DeltaTable) -> Result<(), LakeError> {
    let state = table.snapshot().map_err(|e| LakeError::delta(def.name, e))?;
    let foreign = |reason: String| LakeError::Foreign { table: def.name, reason };
    let reader = state.protocol().min_reader_version();
    if reader != 1 {
        return Err(foreign(format!("it needs reader version {reader}, and this program reads version 1")));
    }
    let schema = state.schema();
    match def.columns.iter().find(|c| schema.field(c.name).is_none()) {
        Some(column) => Err(foreign(format!("it has no column {}", column.name))),
        None => Ok(()),
    }
}

/// The files of a loaded table, by rank; those already known are taken from `known`.
pub(crate) fn list_files(def: &TableDef, table: &DeltaTable, known: &[Arc<DataFile>]) -> Result<Vec<Arc<DataFile>>, LakeError> {
    let known: HashMap<_, _> = known.iter().map(|f| (f.path.as_str(), f)).collect();
    let state = table.snapshot().map_err(|e| LakeError::store(format!("table {}", def.name), e))?;
    let mut files: Vec<_> = state
        .log_data()
        .iter()
        .map(|view| match known.get(view.path().as_ref()) {
            Some(file) => Arc::clone(file),
            None => Arc::new(DataFile::of_view(def, &view)),
        })
        .collect();
    files.sort_by(|a, b| (a.rank, &a.path).cmp(&(b.rank, &b.path)));
    Ok(files)
}

/// A remove action for a file that another file replaces.
pub(crate) fn removal(file: &DataFile, now: Timestamp) -> Remove {
    let add = file.add(String::new(), false);
    Remove {
        path: add.path,
        data_change: false,
        deletion_timestamp: Some(now.millis()),
        extended_file_metadata: Some(true),
        partition_values: Some(add.partition_values),
        size: Some(add.size),
        tags: None,
        deletion_vector: None,
        base_row_id: None,
        default_row_commit_version: None,
    }
}
