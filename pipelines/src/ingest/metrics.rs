//! Samples from Prometheus, in slices of two days: bounded memory, and a backfill that was stopped is carried on.

use std::collections::{BTreeMap, BTreeSet};

use bellwether_lake::tables::SAMPLES;
use bellwether_model::time::{Span, TimeRange, Timestamp};

use super::{Ingest, Metrics, Progress, SourceError, SourceSummary};
use crate::pull::{self, Ask, Pulled, SOURCE};
use crate::rules::NONE_IN_FORCE;
use crate::stored::Stored;

/// What is held in memory at a time.
const SLICE: Span = Span::from_days(2);

pub(super) async fn ingest(ingest: Ingest<'_>, metrics: &Metrics) -> SourceSummary {
    let mut summary = SourceSummary::of("prometheus");
    if metrics.rules.is_empty() {
        summary.warnings.push(NONE_IN_FORCE.to_owned());
    }
    if let Err(error) = run(ingest, metrics, &mut summary).await {
        summary.errors.push(error);
    }
    summary
}

async fn run(ingest: Ingest<'_>, metrics: &Metrics, summary: &mut SourceSummary) -> Result<(), SourceError> {
    let stored = ingest.stored().await?;
    let mut known_rejects = stored.reject_ids(SOURCE).await?;
    let (mut asks, known) = since(ingest, metrics, &stored).await?;
    let Some(start) = asks.iter().map(|ask| ask.since).min() else { return Ok(()) };
    let slices = slices(start, ingest.now);
    let total = slices.len() as u64;
    let mut before: Option<(TimeRange, Pulled)> = None;
    // One slice is stored while the next is pulled.
    for (done, slice) in slices.into_iter().enumerate() {
        (ingest.progress)(Progress { source: SOURCE, done: done as u64, total });
        let asked: Vec<Ask> =
            asks.iter().filter(|a| a.since < slice.end).map(|a| Ask { since: a.since.max(slice.start), ..a.clone() }).collect();
        let until = Timestamp::from_micros(slice.end.micros() - 1);
        let storing = async {
            match before.take() {
                Some((range, pulled)) => keep(ingest, &stored, range, pulled, &mut known_rejects, summary).await,
                None => Ok(()),
            }
        };
        let (kept, mut pulled) =
            tokio::join!(storing, pull::pull(&metrics.client, &asked, until, ingest.now, metrics.settings.concurrency));
        kept?;
        // A rule that failed is not asked further on: its newest sample would hide the hole.
        asks.retain(|ask| !pulled.failures.iter().any(|f| f.rule == ask.rule.name && f.place == ask.rule.place));
        summary.errors.extend(pulled.failures.drain(..).map(SourceError::from));
        before = Some((slice, pulled));
    }
    if let Some((range, pulled)) = before {
        keep(ingest, &stored, range, pulled, &mut known_rejects, summary).await?;
    }
    (ingest.progress)(Progress { source: SOURCE, done: total, total });
    if summary.errors.is_empty() && summary.new_rows() == 0 && metrics.rules.iter().all(|rule| !known.contains(&rule.name)) {
        summary.warnings.push(format!(
            "no rule gave a sample since {start}: a series must have been there for as long as its rule's step and range ({} rules in force)",
            metrics.rules.len()
        ));
    }
    Ok(())
}

/// From when each rule is asked: a little before the metric's newest sample, or the whole backfill.
/// Beside it the metrics that have samples, as far as was looked.
async fn since<'a>(ingest: Ingest<'_>, metrics: &'a Metrics, stored: &Stored) -> Result<(Vec<Ask<'a>>, BTreeSet<String>), SourceError> {
    let settings = &metrics.settings;
    let names = metrics.rules.iter().map(|r| r.name.as_str()).collect();
    let stored = stored.newest_samples(&names, settings.backfill).await?;
    let known = stored.keys().cloned().collect();
    let newest = if ingest.backfill.is_some() { BTreeMap::new() } else { stored };
    let from_scratch = ingest.now - ingest.backfill.unwrap_or(settings.backfill);
    let ask = |rule| {
        let rule: &'a crate::rules::MetricRule = rule;
        // Samples of the future would move the cursor past the present.
        let since = newest.get(&rule.name).map_or(from_scratch, |t| (*t).min(ingest.now) - settings.late_tail);
        Ask { rule, since }
    };
    Ok((metrics.rules.iter().map(ask).collect(), known))
}

/// The range from `start` up to and with `now`, cut at midnights.
fn slices(start: Timestamp, now: Timestamp) -> Vec<TimeRange> {
    let end = Timestamp::from_micros(now.micros() + 1);
    let mut slices = Vec::new();
    let mut from = start;
    while from < end {
        let to = (from.floor(Span::from_days(1)) + SLICE).min(end);
        slices.push(TimeRange::new(from, to));
        from = to;
    }
    slices
}

async fn keep(
    ingest: Ingest<'_>,
    stored: &Stored,
    range: TimeRange,
    pulled: Pulled,
    known_rejects: &mut std::collections::HashSet<String>,
    summary: &mut SourceSummary,
) -> Result<(), SourceError> {
    summary.rejected += pulled.dropped;
    summary.no_value += pulled.no_value;
    summary.warnings.extend(pulled.warnings);
    let mut ids: Vec<i64> = pulled.samples.series.iter().map(|s| s.series_id.0).collect();
    ids.sort_unstable();
    let known = stored.samples(ids, range).await?;
    let fresh = pull::retain_new(pulled.samples, &known);
    if !fresh.is_empty() {
        let lane = ingest.next_lane(&SAMPLES, SOURCE).await?;
        let appended = ingest.lake.append_samples(&fresh, &[lane]).await?;
        ingest.note(&SAMPLES, SOURCE, appended, summary)?;
    }
    ingest.append_rejects(known_rejects, SOURCE, pulled.rejects, summary).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_cover_the_range_and_end_at_midnights() {
        let (start, now) = ("2026-01-01T06:00:00Z".parse().unwrap(), "2026-01-05T01:00:00Z".parse().unwrap());
        let slices: Vec<String> = slices(start, now).iter().map(|s| format!("{} {}", s.start, s.end)).collect();
        assert_eq!(
            slices,
            [
                "2026-01-01T06:00:00Z 2026-01-03T00:00:00Z",
                "2026-01-03T00:00:00Z 2026-01-05T00:00:00Z",
                "2026-01-05T00:00:00Z 2026-01-05T01:00:00.000001Z"
            ]
        );
    }
}
