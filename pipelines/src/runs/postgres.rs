//! Run history from a PostgreSQL table, by default `workflow_runs`.
//!
//! Rows are read in order of `(updated_at, run_id)`, in pages, each in a read-only transaction of its own, so nothing is held for long and a
//! pull that was killed is carried on. Rows that share an `updated_at` are safe, because `run_id` is half of the cursor. Rows
//! that a slow transaction commits late, with an earlier `updated_at`, are found by reading the last minutes again
//! ([`PostgresSettings::lag`]); what is known already is filtered by the caller ([`super::Pulled::retain_new`]).

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use bellwether_embeddings::Redactor;
use bellwether_model::reject::Reject;
use bellwether_model::time::{Span, Timestamp};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use url::Url;

use super::Pulled;
use super::row::Origin;

/// Which table, and how to read it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PostgresSettings {
    /// Connection address, `postgresql://user:password@host:5432/database`. The environment's `POSTGRES_DSN` takes its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dsn: Option<Dsn>,
    /// File that holds the connection address, instead of `dsn`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dsn_file: Option<PathBuf>,
    /// The query that gives the rows. It must have the columns `run_id` and `updated_at`; `workflow_id`, `playbook_id`, `status`,
    /// `started_at`, `finished_at`, `trigger`, `actor`, `target`, `summary`, `outcome` and `error` are understood, others are kept as
    /// attributes. Default `SELECT * FROM workflow_runs`; give other names with `AS`.
    #[serde(default = "default_select")]
    pub select: String,
    /// How far back of the newest known row is read again. Longer than any transaction that writes the table. Default 5m.
    #[serde(default = "default_lag")]
    pub lag: Span,
    /// Rows in one page. Default 5000.
    #[serde(default = "default_page")]
    pub page: u32,
    /// Longest wait for a connection, and for a page. Default 60s.
    #[serde(default = "default_timeout")]
    pub timeout: Span,
}

fn default_select() -> String {
    "SELECT * FROM workflow_runs".into()
}

fn default_lag() -> Span {
    Span::from_mins(5)
}

fn default_page() -> u32 {
    5_000
}

fn default_timeout() -> Span {
    Span::from_secs(60)
}

impl Default for PostgresSettings {
    fn default() -> Self {
        Self { dsn: None, dsn_file: None, select: default_select(), lag: default_lag(), page: default_page(), timeout: default_timeout() }
    }
}

/// A connection address. Its password is never shown: not by `Debug`, not by `Display`, not when the configuration is written out.
#[derive(Clone, PartialEq, Eq)]
pub struct Dsn(Url);

/// The text is no connection address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this is not a PostgreSQL address; write it as postgresql://user@host:5432/database")]
pub struct ParseDsnError;

impl FromStr for Dsn {
    type Err = ParseDsnError;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let url = Url::parse(s.trim()).map_err(|_| ParseDsnError)?;
        if matches!(url.scheme(), "postgres" | "postgresql") { Ok(Self(url)) } else { Err(ParseDsnError) }
    }
}

impl fmt::Display for Dsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = self.0.clone();
        // Fails only for addresses that can hold no password.
        let _ = shown.set_password(None);
        shown.set_query(None);
        f.write_str(shown.as_str())
    }
}

impl fmt::Debug for Dsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dsn({self})")
    }
}

impl Serialize for Dsn {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Dsn {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<str>::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Why PostgreSQL gave no rows.
#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    /// Neither `dsn` nor `dsn_file` nor `POSTGRES_DSN` says where it is.
    #[error("no PostgreSQL address is configured; set its dsn or POSTGRES_DSN")]
    NoAddress,
    /// The file with the address cannot be used.
    #[error("{} does not hold a PostgreSQL address", path.display())]
    AddressFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No connection could be made.
    #[error("no PostgreSQL answers at {dsn}")]
    Unreachable {
        /// The address, without password.
        dsn: String,
        /// Why.
        source: sqlx::Error,
    },
    /// No connection, or no page, within the time limit.
    #[error("PostgreSQL at {dsn} did not answer within {timeout}")]
    Timeout {
        /// The address, without password.
        dsn: String,
        /// The limit.
        timeout: Span,
    },
    /// The query is wrong, or may not be run. The message is PostgreSQL's own.
    #[error("PostgreSQL refused the query of select, which must give run_id and updated_at: {message}")]
    BadQuery {
        /// PostgreSQL's own words.
        message: String,
    },
    /// The connection broke in the middle.
    #[error("the connection to PostgreSQL at {dsn} broke")]
    Broken {
        /// The address, without password.
        dsn: String,
        /// Why.
        source: sqlx::Error,
    },
}

/// A place in the table: rows after it, in order of `(updated_at, run_id)`, are still to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// Time of change.
    pub updated_at: Timestamp,
    /// Run id as text; compared byte by byte.
    pub run_id: String,
}

impl Cursor {
    /// Where to begin, given the newest `updated_at` that is stored: `lag` before it; without it, before everything.
    pub fn begin(newest: Option<Timestamp>, lag: Span) -> Self {
        // PostgreSQL's own earliest time is 4713 BC; nobody ran a workflow before year 1.
        let earliest = Timestamp::from_secs(-62_135_596_800);
        Self { updated_at: newest.map_or(earliest, |t| t - lag), run_id: String::new() }
    }
}

/// One page.
#[derive(Debug)]
pub struct Page {
    /// Its rows.
    pub pulled: Pulled,
    /// Where the next page begins; none after the last.
    pub next: Option<Cursor>,
}

/// An open table.
pub struct Table {
    settings: PostgresSettings,
    dsn: Dsn,
    connection: PgConnection,
}

/// The source's name in the ledger.
pub const SOURCE: &str = "postgres";

impl Table {
    /// Connects.
    pub async fn open(settings: &PostgresSettings) -> Result<Self, PostgresError> {
        let dsn = address(settings).await?;
        let options = PgConnectOptions::from_url(&dsn.0)
            .map_err(|source| PostgresError::Unreachable { dsn: dsn.to_string(), source })?
            .application_name("bellwether");
        let connecting = tokio::time::timeout(settings.timeout.to_std(), PgConnection::connect_with(&options));
        let connection = match connecting.await {
            Ok(Ok(connection)) => connection,
            Ok(Err(source)) => return Err(PostgresError::Unreachable { dsn: dsn.to_string(), source }),
            Err(_) => return Err(PostgresError::Timeout { dsn: dsn.to_string(), timeout: settings.timeout }),
        };
        Ok(Self { settings: settings.clone(), dsn, connection })
    }

    /// The page after `cursor`.
    pub async fn page(&mut self, cursor: &Cursor, redactor: &Redactor, recorded_at: Timestamp) -> Result<Page, PostgresError> {
        let sql = format!(
            r#"SELECT to_jsonb(q)::text, q.updated_at::timestamptz, q.run_id::text FROM ({}
) q WHERE q.run_id IS NOT NULL AND isfinite(q.updated_at) AND (q.updated_at, q.run_id::text COLLATE "C") > ($1, $2) ORDER BY q.updated_at, q.run_id::text COLLATE "C" LIMIT $3"#,
            self.select()
        );
        let query = sqlx::query_as::<_, (String, DateTime<Utc>, String)>(AssertSqlSafe(sql))
            .bind(cursor.updated_at.utc())
            .bind(cursor.run_id.clone())
            .bind(i64::from(self.settings.page));
        let rows = self.fetch(query).await?;
        let full = rows.len() >= self.settings.page as usize;
        let next =
            rows.last().filter(|_| full).map(|(_, updated_at, run_id)| Cursor { updated_at: (*updated_at).into(), run_id: run_id.clone() });
        let mut pulled = Pulled::default();
        let origin = Origin { source: SOURCE, redactor, recorded_at };
        for (row, _, run_id) in rows {
            add(&origin, &row, format!("run {run_id}"), &mut pulled);
        }
        Ok(Page { pulled, next })
    }

    /// Rows that no cursor can reach, because they have no `run_id` or no `updated_at`: at most 1,000 rejects.
    pub async fn misfits(&mut self, redactor: &Redactor, recorded_at: Timestamp) -> Result<Vec<Reject>, PostgresError> {
        let sql = format!(
            "SELECT to_jsonb(q)::text FROM ({}
) q WHERE q.run_id IS NULL OR q.updated_at IS NULL OR NOT isfinite(q.updated_at) LIMIT 1000",
            self.select()
        );
        let rows = self.fetch(sqlx::query_as::<_, (String,)>(AssertSqlSafe(sql))).await?;
        let reason = "run_id and updated_at must be there, or changes to this row cannot be followed";
        Ok(rows.iter().map(|(row,)| Reject::new(SOURCE, "a row without a place", reason, &redactor.text(row), recorded_at)).collect())
    }

    fn select(&self) -> &str {
        self.settings.select.trim().trim_end_matches(';')
    }

    /// Runs one query in a read-only transaction with the time limit, in UTC.
    async fn fetch<'q, T>(
        &mut self,
        query: sqlx::query::QueryAs<'q, sqlx::Postgres, T, sqlx::postgres::PgArguments>,
    ) -> Result<Vec<T>, PostgresError>
    where
        T: for<'r> sqlx::FromRow<'r, sqlx::postgres::PgRow> + Send + Unpin,
    {
        let limit = self.settings.timeout;
        let work = async {
            let mut transaction = self.connection.begin_with("BEGIN READ ONLY").await?;
            sqlx::query("SET LOCAL TIME ZONE 'UTC'").execute(&mut *transaction).await?;
            sqlx::query(AssertSqlSafe(format!("SET LOCAL statement_timeout = {}", limit.micros() / 1_000)))
                .execute(&mut *transaction)
                .await?;
            let rows = query.fetch_all(&mut *transaction).await?;
            transaction.commit().await?;
            Ok(rows)
        };
        let dsn = self.dsn.to_string();
        match tokio::time::timeout(limit.to_std() + std::time::Duration::from_secs(5), work).await {
            Ok(Ok(rows)) => Ok(rows),
            // 57014: canceling statement due to statement timeout.
            Ok(Err(sqlx::Error::Database(error))) if error.code().as_deref() == Some("57014") => {
                Err(PostgresError::Timeout { dsn, timeout: limit })
            }
            Ok(Err(sqlx::Error::Database(error))) => Err(PostgresError::BadQuery { message: error.message().to_owned() }),
            Ok(Err(sqlx::Error::ColumnDecode { source, .. })) => {
                Err(PostgresError::BadQuery { message: format!("run_id or updated_at has a type that cannot be read: {source}") })
            }
            Ok(Err(source)) => Err(PostgresError::Broken { dsn, source }),
            Err(_) => Err(PostgresError::Timeout { dsn, timeout: limit }),
        }
    }
}

fn add(origin: &Origin<'_>, row: &str, place: String, to: &mut Pulled) {
    match serde_json::from_str(row) {
        Ok(Value::Object(row)) => origin.add(row, place, to),
        Ok(_) => origin.refuse(row, place, "the row is no JSON object", to),
        Err(error) => origin.refuse(row, place, format!("the row cannot be read: {error}"), to),
    }
}

async fn address(settings: &PostgresSettings) -> Result<Dsn, PostgresError> {
    if let Some(dsn) = &settings.dsn {
        return Ok(dsn.clone());
    }
    let path = settings.dsn_file.clone().ok_or(PostgresError::NoAddress)?;
    match tokio::fs::read_to_string(&path).await {
        Ok(text) => text.parse().map_err(|e: ParseDsnError| PostgresError::AddressFile { path, source: e.into() }),
        Err(e) => Err(PostgresError::AddressFile { path, source: e.into() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_not_shown() {
        let settings: PostgresSettings =
            serde_saphyr::from_str("dsn: postgresql://ann:s3cret@db:5432/ops?sslmode=require&password=s3cret\nlag: 10m\n").unwrap();
        let shown = format!("{settings:?} {}", serde_json::to_string(&settings).unwrap());
        assert!(!shown.contains("s3cret") && shown.contains("postgresql://ann@db:5432/ops"), "{shown}");
        assert_eq!((settings.lag, settings.select.as_str()), (Span::from_mins(10), "SELECT * FROM workflow_runs"));
        let error = serde_saphyr::from_str::<PostgresSettings>("dsn: ann:s3cret@db").unwrap_err().without_snippet().to_string();
        assert!(!error.contains("s3cret"), "{error}");
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_named() {
        let url = crate::test_server::nowhere().await;
        let dsn = format!("postgresql://ann:s3cret@{}:{}/ops", url.host_str().unwrap(), url.port().unwrap());
        let error = Table::open(&PostgresSettings { dsn: Some(dsn.parse().unwrap()), ..Default::default() }).await.err().unwrap();
        assert!(matches!(error, PostgresError::Unreachable { .. }), "{error}");
        assert!(!format!("{error:?}").contains("s3cret"));
        let error = Table::open(&PostgresSettings::default()).await.err().unwrap();
        assert!(matches!(error, PostgresError::NoAddress));
    }

    #[test]
    fn reading_begins_before_the_newest_row() {
        let newest = Timestamp::from_secs(1_000);
        assert_eq!(Cursor::begin(Some(newest), Span::from_mins(5)).updated_at, Timestamp::from_secs(700));
        assert!(Cursor::begin(None, Span::ZERO).updated_at < Timestamp::EPOCH);
    }
}
