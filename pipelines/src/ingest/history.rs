//! Past runs, from PostgreSQL page by page and from files.

use std::path::{Path, PathBuf};

use bellwether_lake::tables::RUNS;
use bellwether_model::time::Timestamp;

use super::{Ingest, Progress, SourceError, SourceSummary};
use crate::runs::files;
use crate::runs::postgres::{Cursor, PostgresSettings, SOURCE, Table};

pub(super) async fn postgres(ingest: Ingest<'_>, settings: &PostgresSettings) -> SourceSummary {
    let mut summary = SourceSummary::of("postgres");
    if let Err(error) = table(ingest, settings, &mut summary).await {
        summary.errors.push(error);
    }
    summary
}

async fn table(ingest: Ingest<'_>, settings: &PostgresSettings, summary: &mut SourceSummary) -> Result<(), SourceError> {
    let stored = ingest.stored().await?;
    let newest = if ingest.backfill.is_some() { None } else { stored.newest_run(SOURCE).await? };
    let begin = Cursor::begin(newest, settings.lag);
    let known = stored.runs(SOURCE, begin.updated_at).await?;
    let mut known_rejects = stored.reject_ids(SOURCE).await?;
    let mut table = Table::open(settings).await?;
    let mut cursor = Some(begin);
    let mut pages = 0;
    while let Some(after) = cursor.take() {
        (ingest.progress)(Progress { source: SOURCE, done: pages, total: pages + 1 });
        let mut page = table.page(&after, ingest.redactor, ingest.now).await?;
        pages += 1;
        summary.rejected += page.pulled.rejects.len() as u64;
        page.pulled.retain_new(&known);
        ingest.append(&RUNS, SOURCE, &page.pulled.runs, summary).await?;
        ingest.append_rejects(&mut known_rejects, SOURCE, page.pulled.rejects, summary).await?;
        cursor = page.next;
    }
    let misfits = table.misfits(ingest.redactor, ingest.now).await?;
    summary.rejected += misfits.len() as u64;
    ingest.append_rejects(&mut known_rejects, SOURCE, misfits, summary).await?;
    (ingest.progress)(Progress { source: SOURCE, done: pages, total: pages });
    Ok(())
}

pub(super) async fn files(ingest: Ingest<'_>, paths: &[PathBuf]) -> SourceSummary {
    let mut summary = SourceSummary::of("run files");
    for (done, path) in paths.iter().enumerate() {
        (ingest.progress)(Progress { source: "run files", done: done as u64, total: paths.len() as u64 });
        if let Err(error) = file(ingest, path, &mut summary).await {
            summary.errors.push(error);
        }
    }
    summary
}

async fn file(ingest: Ingest<'_>, path: &Path, summary: &mut SourceSummary) -> Result<(), SourceError> {
    let (redactor, now) = (ingest.redactor.clone(), ingest.now);
    let reading = path.to_owned();
    let read = tokio::task::spawn_blocking(move || files::read(&reading, &redactor, now)).await;
    let mut pulled = read.map_err(|source| SourceError::Stopped { path: path.to_owned(), source })??;
    summary.rejected += pulled.rejects.len() as u64;
    let source = files::source(path);
    let stored = ingest.stored().await?;
    let first = pulled.runs.iter().map(|r| r.updated_at).min().unwrap_or(Timestamp::EPOCH);
    pulled.retain_new(&stored.runs(&source, first).await?);
    ingest.append(&RUNS, &source, &pulled.runs, summary).await?;
    let mut known_rejects = stored.reject_ids(&source).await?;
    ingest.append_rejects(&mut known_rejects, &source, pulled.rejects, summary).await
}
