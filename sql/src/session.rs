//! Queries over one snapshot: read-only, within limits, as batches or as typed rows.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use bellwether_lake::tables::{self, SAMPLES};
use bellwether_lake::{Snapshot, rows};
use bellwether_model::time::{Span, Timestamp};
use datafusion::catalog::{MemorySchemaProvider, SchemaProvider};
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::{DataFrame, SQLOptions, SessionConfig, SessionContext};
use futures::TryStreamExt;
use serde::de::DeserializeOwned;

use crate::error::SqlError;
use crate::functions;
use crate::pinned::SnapshotTable;
use crate::views::{self, Views};

/// How a session sees the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionOptions {
    /// Event time after which nothing is seen; none means all of the snapshot.
    pub as_of: Option<Timestamp>,
    /// What `now()` says, and what "the last 24 hours" end at where there is no `as_of`.
    pub now: Timestamp,
    /// Memory in bytes that queries share before they spill to disk or fail. Default 1 GiB.
    pub memory_bytes: usize,
}

impl SessionOptions {
    /// All of the snapshot, with this as the present.
    pub fn at(now: Timestamp) -> Self {
        Self { as_of: None, now, memory_bytes: 1 << 30 }
    }
    /// The snapshot as it was known at this instant.
    pub fn as_of(at: Timestamp) -> Self {
        Self { as_of: Some(at), ..Self::at(at) }
    }
}

/// What a query that a person sends may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most rows of an answer. Default 100,000.
    pub rows: usize,
    /// Longest time. Default 60 s.
    pub timeout: Span,
}

impl Default for Limits {
    fn default() -> Self {
        Self { rows: 100_000, timeout: Span::from_secs(60) }
    }
}

/// The beginning of an answer.
#[derive(Clone, Debug)]
pub struct FirstRows {
    /// Its columns.
    pub schema: SchemaRef,
    /// Its rows, at most as many as the limit.
    pub batches: Vec<RecordBatch>,
    /// Whether the answer goes on after them.
    pub has_more: bool,
}

/// A session over one snapshot.
#[derive(Clone)]
pub struct Session {
    context: SessionContext,
    snapshot: Snapshot,
    options: SessionOptions,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Session {
    /// Opens a session. Reads no data.
    pub async fn open(snapshot: &Snapshot, options: SessionOptions) -> Result<Self, SqlError> {
        let context = context(snapshot, options).map_err(SqlError::bug("opening a session"))?;
        let raw: Arc<dyn SchemaProvider> = Arc::new(MemorySchemaProvider::new());
        for def in tables::ALL {
            raw.register_table(def.name.to_owned(), Arc::new(SnapshotTable::new(snapshot, def))).map_err(SqlError::bug(def.name))?;
        }
        let doubled = views::doubled_days(&snapshot.files(&SAMPLES));
        // Weak, because the session owns its views.
        let state = context.state_weak_ref();
        let public = Arc::new(Views::new(views::all(options.as_of, &doubled), Box::new(move || state.upgrade().map(|s| s.read().clone()))));
        if let Some(catalog) = context.catalog("bellwether") {
            catalog.register_schema("raw", raw).map_err(SqlError::bug("raw"))?;
            catalog.register_schema("public", public).map_err(SqlError::bug("public"))?;
        }
        Ok(Self { context, snapshot: snapshot.clone(), options })
    }

    /// The snapshot that it reads.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// How it sees the snapshot.
    pub fn options(&self) -> SessionOptions {
        self.options
    }

    /// The latest instant of event time that counts as known: `as_of`, or else now.
    pub fn horizon(&self) -> Timestamp {
        self.options.as_of.unwrap_or(self.options.now)
    }

    /// The DataFusion context, for callers that serve it over a protocol. They must refuse writes themselves.
    pub fn context(&self) -> &SessionContext {
        &self.context
    }

    /// Answers a query of a person, within limits. The schema is there even where there are no rows.
    ///
    /// # Errors
    /// [`SqlError::ReadOnly`] for anything but a query: `INSERT`, `COPY`, `CREATE`, `SET` and the like, before anything runs.
    pub async fn query(&self, sql: &str, limits: Limits) -> Result<(SchemaRef, Vec<RecordBatch>), SqlError> {
        let first = self.first_rows(sql, limits).await?;
        if first.has_more { Err(SqlError::TooManyRows { limit: limits.rows }) } else { Ok((first.schema, first.batches)) }
    }

    /// The first rows of a query of a person; otherwise as [`Self::query`].
    pub async fn first_rows(&self, sql: &str, limits: Limits) -> Result<FirstRows, SqlError> {
        let plan = self.plan(sql).await?;
        let frame = DataFrame::new(self.context.state(), plan);
        let schema: SchemaRef = Arc::new(frame.schema().as_arrow().clone());
        let collect = async {
            let mut stream = frame.execute_stream().await.map_err(SqlError::running)?;
            let (mut batches, mut left) = (Vec::new(), limits.rows);
            while let Some(batch) = stream.try_next().await.map_err(SqlError::running)? {
                if batch.num_rows() > left {
                    batches.push(batch.slice(0, left));
                    return Ok(FirstRows { schema, batches, has_more: true });
                }
                left -= batch.num_rows();
                batches.push(batch);
            }
            Ok(FirstRows { schema, batches, has_more: false })
        };
        tokio::time::timeout(limits.timeout.to_std(), collect).await.unwrap_or(Err(SqlError::Timeout(limits.timeout)))
    }

    /// Plans a query and refuses it if it would do anything but read.
    async fn plan(&self, sql: &str) -> Result<LogicalPlan, SqlError> {
        let words: Vec<String> = sql.trim().trim_end_matches(';').split_whitespace().map(str::to_lowercase).collect();
        let tables = (words == ["show", "tables"]).then(|| views::list(&views::all(None, &[])));
        let sql = tables.as_deref().unwrap_or(sql);
        let plan = self.context.state().create_logical_plan(sql).await.map_err(|e| SqlError::planning(sql, e))?;
        let only_reading = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
        match only_reading.verify_plan(&plan) {
            Ok(()) => Ok(plan),
            Err(refused) => {
                Err(SqlError::ReadOnly { what: refused.strip_backtrace().trim_start_matches("Error during planning: ").to_owned() })
            }
        }
    }

    /// All rows of one of this program's own queries. The schema is there even where there are no rows.
    ///
    /// # Errors
    /// As [`Self::query`], but without limits.
    pub async fn all(&self, sql: &str) -> Result<(SchemaRef, Vec<RecordBatch>), SqlError> {
        let frame = DataFrame::new(self.context.state(), self.plan(sql).await?);
        let schema: SchemaRef = Arc::new(frame.schema().as_arrow().clone());
        Ok((schema, frame.collect().await.map_err(SqlError::running)?))
    }

    /// The rows of one of this program's own queries, typed. Columns that `T` does not know are passed over; JSON columns become values.
    pub async fn rows<T: DeserializeOwned>(&self, sql: &str) -> Result<Vec<T>, SqlError> {
        Ok(rows::decode(&self.all(sql).await?.1)?)
    }
}

fn context(snapshot: &Snapshot, options: SessionOptions) -> Result<SessionContext, datafusion::error::DataFusionError> {
    let place = snapshot.place();
    let config = SessionConfig::new()
        .with_default_catalog_and_schema("bellwether", "public")
        .with_information_schema(true)
        .with_collect_statistics(false);
    let runtime = RuntimeEnvBuilder::new().with_memory_pool(Arc::new(FairSpillPool::new(options.memory_bytes))).build_arc()?;
    let state = SessionStateBuilder::new().with_config(config).with_runtime_env(runtime).with_default_features().build();
    let context = SessionContext::new_with_state(state);
    let url = ObjectStoreUrl::parse(&place.url[..url::Position::BeforePath])?;
    context.register_object_store(url.as_ref(), place.store.clone());
    for function in functions::all(options.now) {
        context.register_udf(function);
    }
    for name in functions::BLOWN_UP {
        context.deregister_udf(name);
    }
    Ok(context)
}

#[cfg(test)]
mod tests;
