//! Samples for detectors: whole series, in order, each sample once, in pieces of bounded size.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bellwether_lake::scan::{self, SampleQuery};
use bellwether_model::id::SeriesId;
use bellwether_model::series::{Series, Window};
use bellwether_model::time::{TimeRange, Timestamp};
use futures::{Stream, StreamExt, TryStreamExt};

use crate::error::SqlError;
use crate::series::series;
use crate::session::Session;

/// Which samples make up the windows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowSpec {
    /// Metric names; all metrics when none.
    pub metrics: Option<Vec<String>>,
    /// Of those metrics, which series.
    pub series: Which,
    /// When they were measured. The session's `as_of` cuts it further.
    pub range: TimeRange,
}

/// Some series.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Which {
    /// Each.
    #[default]
    All,
    /// These.
    Only(BTreeSet<SeriesId>),
    /// Each but these.
    Except(BTreeSet<SeriesId>),
}

impl Which {
    fn has(&self, id: i64) -> bool {
        match self {
            Self::All => true,
            Self::Only(these) => these.contains(&SeriesId(id)),
            Self::Except(these) => !these.contains(&SeriesId(id)),
        }
    }
}

/// The wanted samples as windows of up to about a million samples, in order of series id. A series is in one window whole; series
/// without a sample in the range are in none. Equal samples appear once, with the value that was written last.
///
/// Two windows are read ahead, side by side; the caller may judge one while the next is read.
pub async fn windows(
    session: &Session,
    spec: &WindowSpec,
) -> Result<impl Stream<Item = Result<Window, SqlError>> + Send + use<>, SqlError> {
    let snapshot = session.snapshot();
    let mut names = series(snapshot, spec.metrics.as_deref()).await?;
    names.retain(|id, _| spec.series.has(*id));
    let names = Arc::new(names);
    let is_all = spec.metrics.is_none() && spec.series == Which::All;
    let wanted = (!is_all).then(|| Arc::new(names.keys().copied().collect::<Vec<_>>()));
    let blocks = scan::samples(snapshot, SampleQuery { series: wanted, range: known_part(session, spec.range) }).await?;
    Ok(blocks.map(move |block| {
        let block = block?;
        let mut window = Window { series: Vec::with_capacity(block.ids.len()), offsets: vec![0], ts: Vec::new(), values: Vec::new() };
        if block.ids.iter().all(|id| names.contains_key(id)) {
            window.series.extend(block.ids.iter().filter_map(|id| names.get(id)).cloned());
            window.offsets.extend_from_slice(&block.ends);
            (window.ts, window.values) = (block.ts, block.values);
        } else {
            // Samples of a series whose row is not in this snapshot: its name is unknown, so nothing can judge it.
            for (i, named) in block.ids.iter().enumerate().filter_map(|(i, id)| Some((i, names.get(id)?))) {
                let (start, end) = block.bounds(i);
                window.push(named.clone(), &block.ts[start..end], &block.values[start..end]);
            }
        }
        Ok(window)
    }))
}

/// What of a range the session may see.
fn known_part(session: &Session, range: TimeRange) -> TimeRange {
    let until = session.options().as_of.map_or(range.end, |at| range.end.min(Timestamp::from_micros(at.micros().saturating_add(1))));
    TimeRange::new(range.start, until)
}

impl Session {
    /// Every series of the ledger, in order of id.
    pub async fn series(&self) -> Result<Vec<Series>, SqlError> {
        Ok(series(self.snapshot(), None).await?.into_values().collect())
    }

    /// The samples of these series at once, in order of series id; series without a sample in the range are left out. Otherwise as
    /// [`windows`]: what is read grows with their number and with the range, not with what else the ledger holds.
    pub async fn samples_of(&self, series: &[Series], range: TimeRange) -> Result<Window, SqlError> {
        let known: BTreeMap<i64, &Series> = series.iter().map(|s| (s.series_id.0, s)).collect();
        let ids = Arc::new(known.keys().copied().collect::<Vec<_>>());
        let mut blocks = Box::pin(scan::samples(self.snapshot(), SampleQuery { series: Some(ids), range: known_part(self, range) }).await?);
        let mut window = Window::new();
        while let Some(block) = blocks.try_next().await? {
            for (i, named) in block.ids.iter().enumerate().filter_map(|(i, id)| Some((i, *known.get(id)?))) {
                let (start, end) = block.bounds(i);
                window.push(named.clone(), &block.ts[start..end], &block.values[start..end]);
            }
        }
        Ok(window)
    }

    /// All wanted samples at once; see [`windows`].
    pub async fn windows(&self, spec: &WindowSpec) -> Result<Vec<Window>, SqlError> {
        windows(self, spec).await?.try_collect().await
    }
}
