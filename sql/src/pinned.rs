//! A table of a snapshot as DataFusion reads it: a plain Parquet scan over a fixed list of files, or rows in memory where
//! those files are small.
//!
//! Delta's own scan cannot be sent to other machines; a Parquet scan can. It is right for our tables because they use no
//! feature that changes what a file means (the lake refuses tables that do). Rounds append small files and ask often, so
//! small files are read once and kept by the lake.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use async_trait::async_trait;
use bellwether_lake::Snapshot;
use bellwether_lake::file::DataFile;
use bellwether_lake::schema::file_schema;
use bellwether_lake::tables::{SAMPLES, TableDef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::{DFSchema, ScalarValue, Statistics, project_schema};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::expressions::col;
use datafusion::physical_expr::{LexOrdering, PhysicalSortExpr};
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use object_store::ObjectMeta;

use crate::pruning::{Files, time};

/// Column of `samples` that says when the file was written: of equal samples the latest counts.
pub const WRITTEN_AT: &str = "written_at";

/// Tables of which a query needs at most this many bytes of files are read from memory.
const SMALL_TABLE: u64 = 2 << 20;

/// One table of one snapshot.
#[derive(Debug, Clone)]
pub struct SnapshotTable {
    def: &'static TableDef,
    snapshot: Snapshot,
    files: Arc<Vec<Arc<DataFile>>>,
    schema: TableSchema,
}

impl SnapshotTable {
    /// The table as the snapshot has it; without rows where the table does not exist yet.
    pub fn new(snapshot: &Snapshot, def: &'static TableDef) -> Self {
        let mut of_file = Vec::new();
        if *def == SAMPLES {
            of_file.push(Arc::new(Field::new("day", DataType::Date32, false)));
            of_file.push(Arc::new(Field::new(WRITTEN_AT, DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), false)));
        }
        let schema = TableSchema::builder(plain(&file_schema(def))).with_table_partition_cols(of_file).build();
        Self { def, snapshot: snapshot.clone(), files: snapshot.files(def), schema }
    }

    /// The files that may hold rows for which all filters are true.
    fn chosen(&self, state: &dyn Session, filters: &[Expr]) -> Result<Vec<Arc<DataFile>>> {
        let Some(filter) = conjunction(filters.to_vec()) else { return Ok(self.files.to_vec()) };
        let schema = self.schema();
        let predicate = state.create_physical_expr(filter, &DFSchema::try_from(schema.clone())?)?;
        let pruning = PruningPredicateBuilder::new().with_file_schema(schema.clone()).try_build(predicate)?;
        let keep = pruning.prune(&Files { files: &self.files, schema })?;
        Ok(self.files.iter().zip(keep).filter(|(_, keep)| *keep).map(|(f, _)| f.clone()).collect())
    }

    /// All rows of these files, from memory where they were read before.
    async fn rows(&self, files: &[Arc<DataFile>]) -> Result<Vec<RecordBatch>> {
        let mut rows = Vec::new();
        for file in files {
            let read = self.snapshot.read(self.def, file).await.map_err(|e| DataFusionError::External(e.into()))?;
            for batch in read.iter() {
                rows.push(RecordBatch::try_new(self.schema(), batch.columns().to_vec())?);
            }
        }
        Ok(rows)
    }

    fn partitioned(&self, file: &DataFile) -> Result<PartitionedFile> {
        let location = self.snapshot.place().resolve(&format!("{}/{}", self.def.name, file.path));
        let last_modified = chrono::DateTime::from_timestamp_millis(file.modified_ms).unwrap_or_default();
        let meta = ObjectMeta { location, last_modified, size: file.size, e_tag: None, version: None };
        let values = match (*self.def == SAMPLES, file.day) {
            (false, _) => Vec::new(),
            (true, Some(day)) => vec![ScalarValue::Date32(Some(day)), time(file.rank)],
            (true, None) => return Err(DataFusionError::Execution(format!("{} belongs to no day", file.path))),
        };
        Ok(PartitionedFile::new_from_meta(meta).with_partition_values(values))
    }

    /// Files in as many groups as there are processors, each group of about equal size and in order of day.
    fn groups(&self, files: &[Arc<DataFile>], target: usize) -> Result<Vec<FileGroup>> {
        let mut groups: Vec<(u64, Vec<PartitionedFile>)> = vec![(0, Vec::new()); target.clamp(1, files.len().max(1))];
        for file in files {
            if let Some((bytes, group)) = groups.iter_mut().min_by_key(|(bytes, _)| *bytes) {
                *bytes += file.size;
                group.push(self.partitioned(file)?);
            }
        }
        Ok(groups.into_iter().map(|(_, files)| FileGroup::new(files)).collect())
    }

    fn ordering(&self) -> Result<Option<LexOrdering>> {
        let options = SortOptions { descending: false, nulls_first: false };
        let sorted = self
            .def
            .sort_by
            .iter()
            .map(|name| Ok(PhysicalSortExpr::new(col(name, &self.schema())?, options)))
            .collect::<Result<Vec<_>>>()?;
        Ok(LexOrdering::new(sorted))
    }

    fn figures(&self, files: &[Arc<DataFile>]) -> Statistics {
        let mut figures = Statistics::new_unknown(&self.schema());
        let rows: Option<i64> = files.iter().map(|f| f.stats.rows).sum();
        if let Some(rows) = rows.and_then(|r| usize::try_from(r).ok()) {
            figures.num_rows = Precision::Exact(rows);
        }
        figures.total_byte_size = Precision::Inexact(files.iter().map(|f| f.size as usize).sum());
        figures
    }
}

/// Writers of samples put rows in order; other tables' files hold rows as they came.
fn is_sorted(def: &TableDef) -> bool {
    *def == SAMPLES
}

fn plain(schema: &SchemaRef) -> SchemaRef {
    Arc::new(Schema::new(schema.fields().clone()))
}

#[async_trait]
impl TableProvider for SnapshotTable {
    fn schema(&self) -> SchemaRef {
        self.schema.table_schema().clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    fn statistics(&self) -> Option<Statistics> {
        Some(self.figures(&self.files))
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let files = self.chosen(state, filters)?;
        if files.is_empty() {
            return Ok(Arc::new(EmptyExec::new(project_schema(&self.schema(), projection)?)));
        }
        if *self.def != SAMPLES && files.iter().map(|f| f.size).sum::<u64>() <= SMALL_TABLE {
            let rows = self.rows(&files).await?;
            let source = MemorySourceConfig::try_new(&[rows], self.schema(), projection.cloned())?.with_limit(limit);
            return Ok(DataSourceExec::from_data_source(source));
        }
        let url = ObjectStoreUrl::parse(&self.snapshot.place().url[..url::Position::BeforePath])?;
        let source = ParquetSource::new(self.schema.clone()).with_table_parquet_options(state.table_options().parquet.clone());
        let mut scan = FileScanConfigBuilder::new(url, Arc::new(source))
            .with_file_groups(self.groups(&files, state.config().target_partitions())?)
            .with_statistics(self.figures(&files))
            .with_projection_indices(projection.cloned())?
            .with_limit(limit);
        if let (true, Some(ordering)) = (is_sorted(self.def), self.ordering()?) {
            scan = scan.with_output_ordering(vec![ordering]);
        }
        Ok(DataSourceExec::from_data_source(scan.build()))
    }
}
