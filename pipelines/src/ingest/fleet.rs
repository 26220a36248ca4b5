//! The fleet and what it costs.

use bellwether_executor::drivers::{self, Cluster};
use bellwether_lake::tables::{CHANGES, COSTS, ENDPOINTS, NODES, POOLS};
use bellwether_model::cost::Cost;
use bellwether_model::id::PoolName;
use bellwether_model::inventory::Inventory;
use bellwether_model::time::{Span, TimeRange, Timestamp};

use super::{Ingest, SourceError, SourceSummary, Sources};
use crate::{cost, inventory};

/// How far back costs are worked out at most.
const REACH: Span = Span::from_days(62);

pub(super) async fn inventory(ingest: Ingest<'_>, sources: &Sources) -> SourceSummary {
    let mut summary = SourceSummary::of("inventory");
    if let Err(error) = look(ingest, sources, &mut summary).await {
        summary.errors.push(error);
    }
    summary
}

async fn look(ingest: Ingest<'_>, sources: &Sources, summary: &mut SourceSummary) -> Result<(), SourceError> {
    let known = ingest.stored().await?.inventory().await?;
    let declared = inventory::declared(&sources.endpoints, &sources.pools, ingest.now);
    let (seen, whole) = match &sources.cluster {
        Cluster::None => (declared, false),
        cluster => match drivers::inventory(cluster, ingest.now).await {
            Ok(observed) => (inventory::merged(observed, declared), true),
            Err(error) => {
                summary.errors.push(SourceError::Cluster(error));
                (only_declared(declared, &known), false)
            }
        },
    };
    let news = inventory::news(&known, &inventory::redacted(seen, ingest.redactor), whole, ingest.now);
    const SOURCE: &str = "inventory";
    ingest.append(&CHANGES, SOURCE, &news.changes, summary).await?;
    ingest.append(&NODES, SOURCE, &news.rows.nodes, summary).await?;
    ingest.append(&POOLS, SOURCE, &news.rows.pools, summary).await?;
    ingest.append(&ENDPOINTS, SOURCE, &news.rows.endpoints, summary).await
}

/// The declared objects that Kubernetes never showed: what it did show must not be overwritten because it is silent now.
fn only_declared(mut declared: Inventory, known: &Inventory) -> Inventory {
    declared.endpoints.retain(|e| known.endpoint(&e.endpoint).is_none_or(|k| k.uid.is_empty()));
    declared.pools.retain(|p| known.pool(&p.pool).is_none_or(|k| k.uid.is_empty()));
    declared
}

/// Works out the costs of every whole hour that has none yet, in which somebody looked or something was sampled, and that is far enough
/// back that no sample of it is still to come.
pub(super) async fn costs(ingest: Ingest<'_>, late_tail: Option<Span>) -> SourceSummary {
    let mut summary = SourceSummary::of("costs");
    if let Err(error) = work_out(ingest, late_tail.unwrap_or(Span::from_mins(10)), &mut summary).await {
        summary.errors.push(error);
    }
    summary
}

async fn work_out(ingest: Ingest<'_>, late_tail: Span, summary: &mut SourceSummary) -> Result<(), SourceError> {
    let stored = ingest.stored().await?;
    let pools = stored.pools().await?;
    let Some(first_look) = pools.first().map(|p| p.recorded_at) else { return Ok(()) };
    let metrics: Vec<&str> = [cost::REPLICAS].into_iter().chain(cost::POOL_USE).collect();
    let earliest = ingest.now - REACH;
    let worked_out = stored.newest_costs().await?;
    // Before the first look at the pools, samples of their use can still tell of them.
    let first_known = stored.first_sample(&metrics, earliest).await?.map_or(first_look, |sample| sample.min(first_look)).max(earliest);
    let since = |pool: &PoolName| worked_out.get(pool).copied().unwrap_or(first_known).max(earliest);
    let Some(start) = pools.iter().map(|p| since(&p.pool)).min() else { return Ok(()) };
    let periods = cost::periods(start, ingest.now - late_tail);
    let (Some(first), Some(last)) = (periods.first(), periods.last()) else { return Ok(()) };
    let endpoints = stored.inventory().await?.endpoints;
    let samples = stored.windows(&metrics, TimeRange::new(first.start, last.end)).await?;
    let mut rows = Vec::new();
    for period in periods {
        let usage = cost::usage(&pools, &endpoints, &samples, period);
        rows.extend(cost::costs(&pools, &usage, period, ingest.now).into_iter().filter(|row| is_due(row, since(&row.pool))));
    }
    ingest.append(&COSTS, "costs", &rows, summary).await
}

/// Whether a row is of a period that its pool has no rows for yet.
fn is_due(row: &Cost, since: Timestamp) -> bool {
    row.period_end > since
}
