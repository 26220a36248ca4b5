//! What can go wrong with the ledger, and what to do about it.

use std::error::Error as StdError;

use bellwether_model::series::Series;
use deltalake_core::DeltaTableError;

use crate::rows::RowError;

/// Something the ledger could not do. `Display` says what; the source chain says why; [`LakeError::hint`] says what to do.
#[derive(Debug, thiserror::Error)]
pub enum LakeError {
    /// The location is neither a folder nor a URL that this program knows.
    #[error("{location:?} is not a place for a ledger: {reason}")]
    Location {
        /// What was given.
        location: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The store refuses us.
    #[error("no permission for {place}")]
    Permission {
        /// The table or folder.
        place: String,
        /// The cause.
        #[source]
        source: Box<dyn StdError + Send + Sync>,
    },
    /// There is no space left. Nothing of the batch is visible; what was stored before is whole.
    #[error("no space left for {place}")]
    DiskFull {
        /// The table or folder.
        place: String,
        /// The cause.
        #[source]
        source: Box<dyn StdError + Send + Sync>,
    },
    /// The store or the log cannot be read or written.
    #[error("cannot read or write {place}")]
    Store {
        /// The table or folder.
        place: String,
        /// The cause.
        #[source]
        source: Box<dyn StdError + Send + Sync>,
    },
    /// Rows do not fit their table.
    #[error("rows of {table} were refused")]
    Rows {
        /// The table.
        table: &'static str,
        /// The cause.
        #[source]
        source: RowError,
    },
    /// A sample is not a finite number.
    #[error("a sample of {series} at {ts} µs is {value}, not a finite number")]
    NotFinite {
        /// The series.
        series: Box<Series>,
        /// Time of the sample in microseconds since the epoch.
        ts: i64,
        /// Its value.
        value: f64,
    },
    /// Two different series have the same 64-bit identity. Nothing of the batch is stored.
    #[error("{stored} and {offered} have the same series id {}", stored.series_id)]
    Collision {
        /// The series that has the id.
        stored: Box<Series>,
        /// The series that was offered.
        offered: Box<Series>,
    },
    /// Other writers won every race for the table's next version.
    #[error("{table} is too busy: {attempts} attempts to commit lost against other writers")]
    Busy {
        /// The table.
        table: &'static str,
        /// How often it was tried.
        attempts: usize,
    },
    /// Of a batch that belongs to several lanes, some are stored and some are not.
    #[error("{stored} of {lanes} lanes of this batch for {table} are stored already")]
    HalfStored {
        /// The table.
        table: &'static str,
        /// How many lanes are stored.
        stored: usize,
        /// How many lanes the batch has.
        lanes: usize,
    },
    /// A file of the ledger is missing, truncated or overwritten.
    #[error("{table} has a damaged file {file}")]
    Damaged {
        /// The table.
        table: String,
        /// The file, relative to the ledger.
        file: String,
        /// The cause.
        #[source]
        source: Box<dyn StdError + Send + Sync>,
    },
    /// A version that is no longer, or not yet, there.
    #[error("{table} has no version {version} any more")]
    NoVersion {
        /// The table.
        table: &'static str,
        /// The wanted version.
        version: i64,
        /// The cause.
        #[source]
        source: Box<dyn StdError + Send + Sync>,
    },
    /// The table was made by another program with features that this one does not read.
    #[error("{table} is not a table of this program: {reason}")]
    Foreign {
        /// The table.
        table: &'static str,
        /// What is different.
        reason: String,
    },
    /// Removing files this young could break readers and replays.
    #[error("a retention of {hours} h is too short; at least 24 h")]
    Retention {
        /// What was asked for.
        hours: i64,
    },
    /// A bug of this program; please report it.
    #[error("the ledger met a state it believed impossible ({0}); please report this")]
    Bug(String),
}

impl LakeError {
    /// What a person can do about it, where there is something.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Location { .. } => Some("write a folder (./ledger) or a URL (s3://bucket/ledger)"),
            Self::Permission { .. } => Some("check the owner and mode of the folder, or the credentials of the bucket"),
            Self::DiskFull { .. } => Some("free space and repeat: nothing of this batch was stored, and repeating adds no row twice"),
            Self::Damaged { .. } => {
                Some("run `bellwether lake stat --check` to find all damaged files; restore them from a backup, or ingest their days again")
            }
            Self::NoVersion { .. } => Some("older versions are kept for 7 days after compaction"),
            Self::Busy { .. } => Some("repeat later, or let fewer processes write"),
            Self::Collision { .. } => Some("give one of the two series another label"),
            Self::Store { .. } => Some("check `lake` in the configuration: address, bucket and options; `bellwether doctor` tries them"),
            Self::HalfStored { .. }
            | Self::Rows { .. }
            | Self::NotFinite { .. }
            | Self::Foreign { .. }
            | Self::Retention { .. }
            | Self::Bug(_) => None,
        }
    }

    /// Whether the cause lies outside this program and its input, so that repeating may help.
    pub fn is_upstream(&self) -> bool {
        matches!(self, Self::Permission { .. } | Self::DiskFull { .. } | Self::Store { .. } | Self::Busy { .. } | Self::Damaged { .. })
    }

    pub(crate) fn store(place: impl Into<String>, source: impl StdError + Send + Sync + 'static) -> Self {
        let place = place.into();
        match io_kind(&source) {
            Some(std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded) => Self::DiskFull { place, source: source.into() },
            Some(std::io::ErrorKind::PermissionDenied) => Self::Permission { place, source: source.into() },
            _ if is_denied(&source) => Self::Permission { place, source: source.into() },
            _ => Self::Store { place, source: source.into() },
        }
    }

    pub(crate) fn delta(table: &'static str, source: DeltaTableError) -> Self {
        Self::store(format!("table {table}"), source)
    }
}

/// The kind of the first input/output error in the source chain.
fn io_kind(error: &(dyn StdError + 'static)) -> Option<std::io::ErrorKind> {
    let mut next = Some(error);
    while let Some(e) = next {
        if let Some(io) = e.downcast_ref::<std::io::Error>()
            && io.kind() != std::io::ErrorKind::Other
        {
            return Some(io.kind());
        }
        next = e.source();
    }
    None
}

fn is_denied(error: &(dyn StdError + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(e) = next {
        if let Some(object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. }) =
            e.downcast_ref::<object_store::Error>()
        {
            return true;
        }
        next = e.source();
    }
    false
}
