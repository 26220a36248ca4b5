//! The fleet and what it costs.

use bellwether_executor::drivers::{self, Cluster};
use bellwether_lake::tables::{CHANGES, COSTS, ENDPOINTS, NODES, POOLS};
use bellwether_model::inventory::Inventory;
use bellwether_model::time::{Span, TimeRange};

use super::{Ingest, SourceError, SourceSummary, Sources};
use crate::{cost, inventory};

/// The metric that says how many replicas of an endpoint there are.
const REPLICAS: &str = "replicas_ready";

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

/// Works out the costs of every whole hour that has none yet and is far enough back that no sample of it is still to come.
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
    let Some(first_pool) = pools.first().map(|p| p.recorded_at) else { return Ok(()) };
    let since = match stored.newest_cost().await? {
        Some(end) => end,
        None => {
            let earliest = ingest.now - REACH;
            // Before the first look at the pools, costs can be told only while there are samples of replicas.
            let first_sample = stored.first_sample(REPLICAS, earliest).await?;
            first_sample.unwrap_or(first_pool).min(first_pool).max(earliest)
        }
    };
    let periods = cost::periods(since, ingest.now - late_tail);
    let (Some(first), Some(last)) = (periods.first(), periods.last()) else { return Ok(()) };
    let endpoints = stored.inventory().await?.endpoints;
    let replicas = stored.windows(REPLICAS, TimeRange::new(first.start, last.end)).await?;
    let rows: Vec<_> =
        periods.iter().flat_map(|period| cost::costs(&pools, &cost::held(&endpoints, &replicas, *period), *period, ingest.now)).collect();
    ingest.append(&COSTS, "costs", &rows, summary).await
}
