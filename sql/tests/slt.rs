//! Runs every file of `sql/slt` on a small ledger. A file is a list of queries with their answers.
//!
//! The ledger: service `iris` and service `rose` on pool `gpu-a`, an hour of latency a minute apart for each, one incident of
//! two signals answered by one plan that was approved, executed and effective, and the lineage that feeds `iris`.

#![allow(clippy::unwrap_used)]

mod ledger;

use std::path::Path;

use bellwether_sql::{Limits, Session, SqlError};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use sqllogictest::{AsyncDB, DBOutput, DefaultColumnType, Runner};

struct Database(Session);

#[async_trait::async_trait]
impl AsyncDB for Database {
    type Error = SqlError;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, SqlError> {
        let (schema, batches) = self.0.query(sql, Limits::default()).await?;
        let options = FormatOptions::default().with_null("NULL");
        let mut rows = Vec::new();
        for batch in &batches {
            let columns: Vec<_> = batch.columns().iter().map(|c| ArrayFormatter::try_new(c.as_ref(), &options).unwrap()).collect();
            rows.extend((0..batch.num_rows()).map(|row| {
                columns.iter().map(|c| c.value(row).to_string()).map(|v| if v.is_empty() { "(empty)".into() } else { v }).collect()
            }));
        }
        Ok(DBOutput::Rows { types: vec![DefaultColumnType::Any; schema.fields().len()], rows })
    }

    async fn shutdown(&mut self) {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_file_of_queries_has_its_answers() {
    let folder = tempfile::tempdir().unwrap();
    let snapshot = ledger::make(folder.path()).await;
    let mut files: Vec<_> =
        std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("slt")).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    for file in files {
        let session = Session::open(&snapshot, ledger::options()).await.unwrap();
        let mut runner = Runner::new(|| async { Ok(Database(session.clone())) });
        if std::env::var_os("UPDATE_SLT").is_some() {
            runner
                .update_test_file(
                    &file,
                    " ",
                    sqllogictest::default_validator,
                    sqllogictest::default_normalizer,
                    sqllogictest::default_column_validator,
                )
                .await
                .unwrap();
        } else {
            runner.run_file_async(&file).await.unwrap_or_else(|e| panic!("{}", e.display(false)));
        }
    }
}
