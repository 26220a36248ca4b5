//! The file behind the journal: opening it, its schema, and the one way to write to it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bellwether_model::digest::{CanonicalError, Digest, canonical};
use bellwether_model::time::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Row, Sqlite, SqliteConnection, Transaction};

use super::Journal;

/// The schema this program writes.
const SCHEMA_VERSION: i64 = 1;

/// The journal could not be read or written. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite refused: the disk is full, the file is read-only or busy, or it is no database.
    #[error("the journal could not be read or written")]
    Database(#[from] sqlx::Error),
    /// The file could not be made.
    #[error("the journal {path} could not be made")]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// A newer program wrote this file.
    #[error("the journal has schema {found}, and this program knows schema {SCHEMA_VERSION}; use the newer program")]
    NewerSchema {
        /// The file's schema.
        found: i64,
    },
    /// A stored value does not read back.
    #[error("the journal holds a {what} that cannot be read")]
    Unreadable {
        /// What it should be.
        what: &'static str,
        /// Where its text goes wrong.
        #[source]
        source: serde_json::Error,
    },
    /// A stored word is none of those that belong there.
    #[error("the journal holds {found:?} where a {what} belongs")]
    Unknown {
        /// What it should be.
        what: &'static str,
        /// What it is.
        found: String,
    },
    /// A value has no canonical JSON form: a bug of ours, please report it.
    #[error("a value could not be written down")]
    Canonical(#[from] CanonicalError),
}

impl StoreError {
    /// Whether the disk is full or the file cannot be written: reading still works, and nothing may be acknowledged.
    pub fn is_full_or_read_only(&self) -> bool {
        let Self::Database(sqlx::Error::Database(e)) = self else { return false };
        // Primary result codes of SQLite: 8 READONLY, 13 FULL; the upper bits refine them.
        e.code().and_then(|code| code.parse::<i64>().ok()).is_some_and(|code| matches!(code & 0xff, 8 | 13))
    }
}

impl Journal {
    /// Opens the journal in this file, and makes it (mode 0600) when it is not there.
    ///
    /// *Guarantees:* a committed write survives power loss (write-ahead log, `synchronous=FULL`); several processes may have
    /// the file open. *Assumptions:* the folder exists and is on a local disk, because SQLite's locks are not safe on network
    /// file systems. *Errors:* the file cannot be made or is no journal, or a newer program wrote it.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        make_private(path).map_err(|source| StoreError::File { path: path.to_owned(), source })?;
        Self::connect(SqliteConnectOptions::new().filename(path)).await
    }

    pub(crate) async fn connect(options: SqliteConnectOptions) -> Result<Self, StoreError> {
        let options = options
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(10))
            .foreign_keys(true)
            .create_if_missing(false);
        let pool = SqlitePoolOptions::new().max_connections(4).connect_with(options).await?;
        let mut connection = pool.acquire().await?;
        migrate(&mut connection).await?;
        let id: String = sqlx::query("SELECT journal_id FROM journal").fetch_one(&mut *connection).await?.get(0);
        drop(connection);
        Ok(Self { pool, id, session: uuid::Uuid::now_v7().to_string() })
    }

    /// Closes the file after the writes that are under way.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// Begins a write. Holding the write lock from the start, it sees everything that was committed before, and nobody
    /// writes between its reads and its commit.
    pub(crate) async fn write(&self) -> Result<Transaction<'static, Sqlite>, StoreError> {
        Ok(self.pool.begin_with("BEGIN IMMEDIATE").await?)
    }
}

async fn migrate(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    let found = |row: sqlx::sqlite::SqliteRow| row.get::<i64, _>(0);
    if found(sqlx::query("PRAGMA user_version").fetch_one(&mut *connection).await?) == SCHEMA_VERSION {
        return Ok(());
    }
    let mut tx = sqlx::Connection::begin_with(connection, "BEGIN IMMEDIATE").await?;
    // Another process may have been quicker.
    match found(sqlx::query("PRAGMA user_version").fetch_one(&mut *tx).await?) {
        0 => {
            sqlx::raw_sql(include_str!("schema.sql")).execute(&mut *tx).await?;
            sqlx::query("INSERT INTO journal VALUES (1, ?, 0, ?)")
                .bind(uuid::Uuid::now_v7().to_string())
                .bind(Digest::ZERO.to_string())
                .execute(&mut *tx)
                .await?;
            sqlx::raw_sql("PRAGMA user_version = 1").execute(&mut *tx).await?;
        }
        SCHEMA_VERSION => {}
        found => return Err(StoreError::NewerSchema { found }),
    }
    Ok(tx.commit().await?)
}

/// Makes the file so that only its owner reads it, and makes its name survive power loss.
fn make_private(path: &Path) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.read(true).write(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let existed = path.exists();
    let file = options.open(path)?;
    if !existed {
        file.sync_all()?;
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        std::fs::File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// The text under which a thing is stored.
pub(crate) fn json<T: Serialize>(value: &T) -> Result<String, StoreError> {
    Ok(String::from_utf8_lossy(&canonical(value)?).into_owned())
}

/// The thing that was stored under this text.
pub(crate) fn parse<T: DeserializeOwned>(what: &'static str, text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|source| StoreError::Unreadable { what, source })
}

/// The word that was stored.
pub(crate) fn word<T: std::str::FromStr>(what: &'static str, text: &str) -> Result<T, StoreError> {
    text.parse().map_err(|_| StoreError::Unknown { what, found: text.to_owned() })
}

/// The instant in this column.
pub(crate) fn time(row: &sqlx::sqlite::SqliteRow, column: &str) -> Timestamp {
    Timestamp::from_micros(row.get(column))
}
