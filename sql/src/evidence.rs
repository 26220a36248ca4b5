//! Everything besides samples that judging rests on, as of one instant.

use std::collections::BTreeSet;

use arrow::array::{BooleanArray, RecordBatch};
use bellwether_lake::tables::{
    CHANGES, COLUMN_PROFILES, ENDPOINTS, EXECUTIONS, INCIDENTS, LABELS, NODES, OUTCOMES, POOLS, RUN_IO, RUNS, SIGNALS,
};
use bellwether_model::dataset::{ColumnProfile, DatasetId, RunIo};
use bellwether_model::execution::Execution;
use bellwether_model::incident::Incident;
use bellwether_model::inventory::{Change, Inventory};
use bellwether_model::label::Label;
use bellwether_model::outcome::Outcome;
use bellwether_model::run::Run;
use bellwether_model::signal::Signal;
use bellwether_model::time::{Span, Timestamp};

use crate::current::{counted, current, kept, newest, objects, open, since, texts, typed};
use crate::error::SqlError;
use crate::session::Session;

/// How far back changes count as possible causes.
const CHANGES_BACK: Span = Span::from_hours(24);

/// What is known besides samples. Lists are in a fixed order, so equal snapshots give equal evidence.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evidence {
    /// Which runs read and wrote which datasets, in order of time: what the lineage graph is built from, with the endpoints.
    pub run_io: Vec<RunIo>,
    /// Endpoints, pools and nodes by name: of each the newest state not after the horizon, or its first where it was first seen later.
    pub inventory: Inventory,
    /// Incidents that have not ended, in their newest state, in order of opening.
    pub open_incidents: Vec<Incident>,
    /// Signals that have not ended, in their newest state, in order of opening.
    pub open_signals: Vec<Signal>,
    /// Past runs in their newest state, in order of last change.
    pub runs: Vec<Run>,
    /// Verified effects of executions, in order of time.
    pub outcomes: Vec<Outcome>,
    /// Executions in their newest state, in order of time.
    pub executions: Vec<Execution>,
    /// Changes of the last 24 hours, in order of time.
    pub changes: Vec<Change>,
    /// What persons said of incidents and signals, the newest word on each, by subject.
    pub labels: Vec<Label>,
}

/// Collects the evidence that a session sees.
pub async fn evidence(session: &Session) -> Result<Evidence, SqlError> {
    let recently = session.horizon() - CHANGES_BACK;
    let mut found = Evidence {
        run_io: typed(&current(session, &RUN_IO).await?)?,
        inventory: Inventory {
            endpoints: objects(session, &ENDPOINTS).await?,
            pools: objects(session, &POOLS).await?,
            nodes: objects(session, &NODES).await?,
        },
        open_incidents: typed(&open(&current(session, &INCIDENTS).await?, &INCIDENTS)?)?,
        open_signals: typed(&open(&current(session, &SIGNALS).await?, &SIGNALS)?)?,
        runs: typed(&current(session, &RUNS).await?)?,
        outcomes: typed(&current(session, &OUTCOMES).await?)?,
        executions: typed(&current(session, &EXECUTIONS).await?)?,
        changes: typed(&since(&current(session, &CHANGES).await?, &CHANGES, recently)?)?,
        labels: typed(&current(session, &LABELS).await?)?,
    };
    found.run_io.sort_by(|a, b| {
        (a.event_time, &a.run_id, a.flow, &a.dataset_namespace, &a.dataset_name).cmp(&(
            b.event_time,
            &b.run_id,
            b.flow,
            &b.dataset_namespace,
            &b.dataset_name,
        ))
    });
    found.inventory.endpoints.sort_by(|a, b| a.endpoint.cmp(&b.endpoint));
    found.inventory.pools.sort_by(|a, b| a.pool.cmp(&b.pool));
    found.inventory.nodes.sort_by(|a, b| a.node.cmp(&b.node));
    found.open_incidents.sort_by(|a, b| (a.opened_at, &a.incident_id).cmp(&(b.opened_at, &b.incident_id)));
    found.open_signals.sort_by(|a, b| (a.opened_at, &a.signal_id).cmp(&(b.opened_at, &b.signal_id)));
    found.runs.sort_by(|a, b| (a.updated_at, &a.source, &a.run_id).cmp(&(b.updated_at, &b.source, &b.run_id)));
    found.outcomes.sort_by(|a, b| (a.recorded_at, &a.execution_id).cmp(&(b.recorded_at, &b.execution_id)));
    found.executions.sort_by(|a, b| (a.recorded_at, &a.execution_id).cmp(&(b.recorded_at, &b.execution_id)));
    found.changes.sort_by(|a, b| (a.at, &a.kind, &a.entity, &a.summary).cmp(&(b.at, &b.kind, &b.entity, &b.summary)));
    found.labels.sort_by(|a, b| a.subject_id.cmp(&b.subject_id));
    Ok(found)
}

/// What runs saw, from an instant on, of the columns of some datasets, in order of time: of those that were profiled after
/// `fresh`, and of those named in `also`. Of the others nothing is new.
pub async fn column_profiles(
    session: &Session,
    from: Timestamp,
    fresh: Timestamp,
    also: &BTreeSet<DatasetId>,
) -> Result<Vec<ColumnProfile>, SqlError> {
    // The dataset and the event, and with it the time, are parts of the key: what is left out here is no newer state of what stays.
    let rows = since(&counted(session, &COLUMN_PROFILES).await?, &COLUMN_PROFILES, from)?;
    let recent = since(&rows, &COLUMN_PROFILES, fresh + Span::from_micros(1))?;
    let mut wanted: BTreeSet<(&str, &str)> = datasets(&recent).collect();
    wanted.extend(also.iter().map(|d| (d.namespace.as_str(), d.name.as_str())));
    let keep: BooleanArray = datasets(&rows).map(|id| Some(wanted.contains(&id))).collect();
    let rows = newest(&kept(&rows, &COLUMN_PROFILES, &keep)?, &COLUMN_PROFILES)?;
    let mut found: Vec<ColumnProfile> = typed(&rows)?;
    found.sort_by(|a, b| {
        (a.event_time, &a.dataset_namespace, &a.dataset_name, &a.column, &a.event_id).cmp(&(
            b.event_time,
            &b.dataset_namespace,
            &b.dataset_name,
            &b.column,
            &b.event_id,
        ))
    });
    Ok(found)
}

/// The dataset of each row.
fn datasets(batch: &RecordBatch) -> impl Iterator<Item = (&str, &str)> {
    texts(batch, "dataset_namespace").zip(texts(batch, "dataset_name"))
}

impl Session {
    /// See [`evidence`].
    pub async fn evidence(&self) -> Result<Evidence, SqlError> {
        evidence(self).await
    }

    /// See [`column_profiles`].
    pub async fn column_profiles(
        &self,
        from: Timestamp,
        fresh: Timestamp,
        also: &BTreeSet<DatasetId>,
    ) -> Result<Vec<ColumnProfile>, SqlError> {
        column_profiles(self, from, fresh, also).await
    }
}
