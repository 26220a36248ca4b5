//! What the ledger has already: the questions that ingest asks it, so that only what is new is appended.
//!
//! Cursors are derived from stored rows, never kept beside them: what is in the ledger is what was ingested.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use bellwether_lake::scan::{self, SampleQuery};
use bellwether_lake::{Lake, LakeError};
use bellwether_model::id::{PoolName, RunId};
use bellwether_model::inventory::{Inventory, Pool};
use bellwether_model::series::Window;
use bellwether_model::time::{Span, TimeRange, Timestamp};
use bellwether_sql::literal::{instant, text};
use bellwether_sql::{Session, SessionOptions, SqlError, WindowSpec};
use futures::TryStreamExt as _;
use serde::Deserialize;

use crate::pull::StoredSamples;
use crate::runs::Known;

/// The ledger as it was when this was opened.
#[derive(Debug)]
pub struct Stored {
    session: Session,
    now: Timestamp,
}

#[derive(Deserialize)]
struct Newest {
    metric: String,
    ts: Timestamp,
}

#[derive(Deserialize)]
struct Moment {
    #[serde(default)]
    t: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Id {
    id: String,
}

#[derive(Deserialize)]
struct RunVersion {
    run_id: RunId,
    updated_at: Timestamp,
}

impl Stored {
    /// Pins the ledger's newest state.
    pub async fn open(lake: &Lake, now: Timestamp) -> Result<Self, SqlError> {
        Ok(Self::of(Session::open(&lake.snapshot().await?, SessionOptions::at(now)).await?, now))
    }

    /// The state that a session sees.
    pub fn of(session: Session, now: Timestamp) -> Self {
        Self { session, now }
    }

    /// The newest sample of each of these metrics, of those that have one within `reach` of now. Looks at the last hours first, because that
    /// is where it nearly always is.
    pub async fn newest_samples(&self, metrics: &BTreeSet<&str>, reach: Span) -> Result<BTreeMap<String, Timestamp>, SqlError> {
        let mut found = BTreeMap::new();
        for span in [Span::from_hours(2), Span::from_days(1), reach] {
            let missing: Vec<String> = metrics.iter().filter(|m| !found.contains_key(**m)).map(|m| text(m)).collect();
            if missing.is_empty() {
                break;
            }
            let sql = format!(
                "SELECT metric, max(ts) AS ts FROM raw.samples JOIN raw.series USING (series_id) WHERE ts >= {} AND metric IN ({}) GROUP BY metric",
                instant(self.now - span.min(reach)),
                missing.join(", ")
            );
            found.extend(self.session.rows::<Newest>(&sql).await?.into_iter().map(|row| (row.metric, row.ts)));
        }
        Ok(found)
    }

    /// The samples of these series, ascending ids, in a range.
    pub async fn samples(&self, ids: Vec<i64>, range: TimeRange) -> Result<StoredSamples, LakeError> {
        let blocks = scan::samples(self.session.snapshot(), SampleQuery { series: Some(Arc::new(ids)), range }).await?;
        blocks
            .try_fold(StoredSamples::new(), |mut stored, block| {
                for (i, id) in block.ids.iter().enumerate() {
                    let (start, end) = block.bounds(i);
                    stored.insert(*id, (block.ts[start..end].to_vec(), block.values[start..end].to_vec()));
                }
                std::future::ready(Ok(stored))
            })
            .await
    }

    /// The rejects of a source that are known.
    pub async fn reject_ids(&self, source: &str) -> Result<HashSet<String>, SqlError> {
        self.ids(&format!("SELECT reject_id AS id FROM raw.rejects WHERE source = {}", text(source))).await
    }

    /// The newest change of a run of this source that is not in the future: half of the cursor.
    pub async fn newest_run(&self, source: &str) -> Result<Option<Timestamp>, SqlError> {
        self.moment(&format!(
            "SELECT max(updated_at) AS t FROM raw.runs WHERE source = {} AND updated_at <= {}",
            text(source),
            instant(self.now)
        ))
        .await
    }

    /// The versions of runs of this source that are known, of those that changed at or after `since`.
    pub async fn runs(&self, source: &str, since: Timestamp) -> Result<Known, SqlError> {
        let sql = format!("SELECT run_id, updated_at FROM raw.runs WHERE source = {} AND updated_at >= {}", text(source), instant(since));
        Ok(self.session.rows::<RunVersion>(&sql).await?.into_iter().map(|row| (row.run_id, row.updated_at)).collect())
    }

    /// The ids of lineage events from which a table (`lineage_events`, `run_io` or `column_profiles`) has rows, of events in a range of time.
    pub async fn event_ids(&self, table: &str, range: TimeRange) -> Result<HashSet<String>, SqlError> {
        let sql = format!(
            "SELECT DISTINCT event_id AS id FROM raw.{table} WHERE event_time >= {} AND event_time <= {}",
            instant(range.start),
            instant(range.end)
        );
        self.ids(&sql).await
    }

    /// The newest row of each endpoint, pool and node.
    pub async fn inventory(&self) -> Result<Inventory, SqlError> {
        Ok(Inventory {
            endpoints: self.session.rows("SELECT * FROM endpoints_current ORDER BY endpoint").await?,
            pools: self.session.rows("SELECT * FROM pools_current ORDER BY pool").await?,
            nodes: self.session.rows("SELECT * FROM nodes_current ORDER BY node").await?,
        })
    }

    /// Every row of every pool, in order of time.
    pub async fn pools(&self) -> Result<Vec<Pool>, SqlError> {
        self.session.rows("SELECT * FROM raw.pools ORDER BY recorded_at, pool").await
    }

    /// The end of the last period that each pool has costs of.
    pub async fn newest_costs(&self) -> Result<BTreeMap<PoolName, Timestamp>, SqlError> {
        #[derive(Deserialize)]
        struct Newest {
            pool: PoolName,
            t: Timestamp,
        }
        let rows: Vec<Newest> = self.session.rows("SELECT pool, max(period_end) AS t FROM raw.costs GROUP BY pool").await?;
        Ok(rows.into_iter().map(|row| (row.pool, row.t)).collect())
    }

    /// The first sample of any of these metrics at or after `since`.
    pub async fn first_sample(&self, metrics: &[&str], since: Timestamp) -> Result<Option<Timestamp>, SqlError> {
        let sql = format!(
            "SELECT min(ts) AS t FROM raw.samples JOIN raw.series USING (series_id) WHERE ts >= {} AND metric IN ({})",
            instant(since),
            metrics.iter().map(|m| text(m)).collect::<Vec<_>>().join(", ")
        );
        self.moment(&sql).await
    }

    /// All samples of these metrics in a range.
    pub async fn windows(&self, metrics: &[&str], range: TimeRange) -> Result<Vec<Window>, SqlError> {
        self.session
            .windows(&WindowSpec {
                metrics: Some(metrics.iter().map(|m| (*m).to_owned()).collect()),
                series: bellwether_sql::windows::Which::All,
                range,
            })
            .await
    }

    async fn ids(&self, sql: &str) -> Result<HashSet<String>, SqlError> {
        Ok(self.session.rows::<Id>(sql).await?.into_iter().map(|row| row.id).collect())
    }

    async fn moment(&self, sql: &str) -> Result<Option<Timestamp>, SqlError> {
        Ok(self.session.rows::<Moment>(sql).await?.into_iter().next().and_then(|row| row.t))
    }
}
