//! OpenLineage events, from files and from the journal's inbox.
//!
//! One event becomes rows of three tables, which are three commits. Each table is compared by event id on its own, so an ingest that
//! stopped between two commits is completed by the next.

use std::path::{Path, PathBuf};

use bellwether_executor::journal::Journal;
use bellwether_executor::journal::inbox::InboxItem;
use bellwether_lake::tables::{COLUMN_PROFILES, LINEAGE_EVENTS, RUN_IO, TableDef};
use bellwether_model::dataset::{ColumnProfile, LineageEvent, RunIo};
use bellwether_model::reject::Reject;
use bellwether_model::time::{Span, TimeRange};

use super::{Ingest, Progress, SourceError, SourceSummary};
use crate::openlineage::{self, Parsed};
use crate::stored::Stored;

/// Most waiting events that are taken in one go.
const BATCH: i64 = 5_000;
/// The journal's lease that keeps draining to one process at a time, and its length: longer than any drain takes.
const LEASE: (&str, Span) = ("inbox", Span::from_mins(5));

pub(super) async fn files(ingest: Ingest<'_>, paths: &[PathBuf]) -> SourceSummary {
    let mut summary = SourceSummary::of("lineage files");
    for (done, path) in paths.iter().enumerate() {
        (ingest.progress)(Progress { source: "lineage files", done: done as u64, total: paths.len() as u64 });
        if let Err(error) = file(ingest, path, &mut summary).await {
            summary.errors.push(error);
        }
    }
    summary
}

async fn file(ingest: Ingest<'_>, path: &Path, summary: &mut SourceSummary) -> Result<(), SourceError> {
    let (redactor, now, reading) = (ingest.redactor.clone(), ingest.now, path.to_owned());
    let read = tokio::task::spawn_blocking(move || openlineage::read_file(&reading, &redactor, now)).await;
    let events = read
        .map_err(|source| SourceError::Stopped { path: path.to_owned(), source })?
        .map_err(|source| SourceError::Events { path: path.to_owned(), source })?;
    summary.rejected += events.rejects.len() as u64;
    let source = openlineage::source(path);
    let stored = ingest.stored().await?;
    append(ingest, &stored, &source, events.parsed, summary).await?;
    let mut known_rejects = stored.reject_ids(&source).await?;
    ingest.append_rejects(&mut known_rejects, &source, events.rejects, summary).await
}

/// Moves the events that wait in the journal's inbox into the ledger, in one commit a table. Does nothing while another process does it.
///
/// *Guarantees:* an event leaves the inbox only after its rows are stored; one that came twice is stored once.
pub async fn drain_inbox(ingest: Ingest<'_>, journal: &Journal) -> SourceSummary {
    let mut summary = SourceSummary::of("inbox");
    if let Err(error) = drain_alone(ingest, journal, &mut summary).await {
        summary.errors.push(error);
    }
    summary
}

async fn drain_alone(ingest: Ingest<'_>, journal: &Journal, summary: &mut SourceSummary) -> Result<(), SourceError> {
    if journal.waiting(1).await?.is_empty() {
        return Ok(());
    }
    let Some(lease) = journal.lease(LEASE.0, journal.session(), LEASE.1, ingest.now).await? else { return Ok(()) };
    let drained = drain_all(ingest, journal, summary).await;
    journal.release(&lease).await?;
    drained
}

async fn drain_all(ingest: Ingest<'_>, journal: &Journal, summary: &mut SourceSummary) -> Result<(), SourceError> {
    while drain_once(ingest, journal, summary).await? > 0 {}
    Ok(())
}

async fn drain_once(ingest: Ingest<'_>, journal: &Journal, summary: &mut SourceSummary) -> Result<usize, SourceError> {
    const SOURCE: &str = "openlineage:inbox";
    let items = journal.waiting(BATCH).await?;
    let Some(last) = items.last().map(|item| item.sequence) else { return Ok(0) };
    let (mut events, mut rejects) = (Vec::new(), Vec::new());
    for item in &items {
        match serde_json::from_str::<Parsed>(&item.content) {
            Ok(parsed) => events.push(parsed),
            Err(error) => rejects.push(unreadable(item, &error, ingest)),
        }
    }
    summary.rejected += rejects.len() as u64;
    let stored = ingest.stored().await?;
    append(ingest, &stored, SOURCE, events, summary).await?;
    let mut known_rejects = stored.reject_ids(SOURCE).await?;
    ingest.append_rejects(&mut known_rejects, SOURCE, rejects, summary).await?;
    journal.drained(last).await?;
    Ok(items.len())
}

fn unreadable(item: &InboxItem, error: &serde_json::Error, ingest: Ingest<'_>) -> Reject {
    let place = format!("inbox, {} of {}", item.sequence, item.received_at);
    Reject::new(
        "openlineage:inbox",
        place,
        format!("not an event as this program keeps them: {error}"),
        &ingest.redactor.text(&item.content),
        ingest.now,
    )
}

async fn append(
    ingest: Ingest<'_>,
    stored: &Stored,
    source: &str,
    events: Vec<Parsed>,
    summary: &mut SourceSummary,
) -> Result<(), SourceError> {
    let times = || events.iter().map(|p| p.event.event_time);
    let (Some(first), Some(last)) = (times().min(), times().max()) else { return Ok(()) };
    let range = TimeRange { start: first, end: last };
    let (mut rows, mut io, mut profiles): (Vec<LineageEvent>, Vec<RunIo>, Vec<ColumnProfile>) = Default::default();
    let mut seen = std::collections::HashSet::new();
    for event in events.into_iter().filter(|p| seen.insert(p.event.event_id.clone())) {
        rows.push(event.event);
        io.extend(event.io);
        profiles.extend(event.profiles);
    }
    append_new(ingest, stored, &RUN_IO, source, io, |r| &r.event_id, range, summary).await?;
    append_new(ingest, stored, &COLUMN_PROFILES, source, profiles, |r| &r.event_id, range, summary).await?;
    append_new(ingest, stored, &LINEAGE_EVENTS, source, rows, |r| &r.event_id, range, summary).await
}

#[allow(clippy::too_many_arguments)] // three tables, one way: the arguments are what differs
async fn append_new<T: serde::Serialize>(
    ingest: Ingest<'_>,
    stored: &Stored,
    table: &'static TableDef,
    source: &str,
    mut rows: Vec<T>,
    event_id: impl Fn(&T) -> &String,
    range: TimeRange,
    summary: &mut SourceSummary,
) -> Result<(), SourceError> {
    if rows.is_empty() {
        return Ok(());
    }
    let known = stored.event_ids(table.name, range).await?;
    rows.retain(|row| !known.contains(event_id(row)));
    ingest.append(table, source, &rows, summary).await
}
