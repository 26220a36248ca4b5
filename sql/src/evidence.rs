//! Everything besides samples that judging rests on, as of one instant.

use bellwether_model::dataset::{ColumnProfile, RunIo};
use bellwether_model::execution::Execution;
use bellwether_model::incident::Incident;
use bellwether_model::inventory::{Change, Inventory};
use bellwether_model::label::Label;
use bellwether_model::outcome::Outcome;
use bellwether_model::run::Run;
use bellwether_model::signal::Signal;
use bellwether_model::time::Span;
use serde::de::DeserializeOwned;

use crate::error::SqlError;
use crate::session::Session;

/// How far back changes count as possible causes.
const CHANGES: Span = Span::from_hours(24);

/// What is known besides samples. Lists are in a fixed order, so equal snapshots give equal evidence.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evidence {
    /// Which runs read and wrote which datasets: what the lineage graph is built from, with the endpoints.
    pub run_io: Vec<RunIo>,
    /// Endpoints, pools and nodes: of each the newest state not after the horizon, or its first where it was first seen later.
    pub inventory: Inventory,
    /// Incidents that have not ended, in their newest state.
    pub open_incidents: Vec<Incident>,
    /// Signals that have not ended, in their newest state.
    pub open_signals: Vec<Signal>,
    /// Past runs in their newest state.
    pub runs: Vec<Run>,
    /// Verified effects of executions.
    pub outcomes: Vec<Outcome>,
    /// Executions in their newest state.
    pub executions: Vec<Execution>,
    /// Changes of the last 24 hours.
    pub changes: Vec<Change>,
    /// What runs saw of columns.
    pub column_profiles: Vec<ColumnProfile>,
    /// What persons said of incidents and signals, the newest word on each.
    pub labels: Vec<Label>,
}

/// Collects the evidence that a session sees.
pub async fn evidence(session: &Session) -> Result<Evidence, SqlError> {
    let since = (session.horizon() - CHANGES).micros();
    Ok(Evidence {
        run_io: session.rows("SELECT * FROM run_io_current ORDER BY event_time, run_id, flow, dataset_namespace, dataset_name").await?,
        inventory: Inventory {
            endpoints: objects(session, "endpoints", "endpoint").await?,
            pools: objects(session, "pools", "pool").await?,
            nodes: objects(session, "nodes", "node").await?,
        },
        open_incidents: session.rows("SELECT * FROM incidents_current WHERE state <> 'closed' ORDER BY opened_at, incident_id").await?,
        open_signals: session.rows("SELECT * FROM signals_current WHERE state <> 'closed' ORDER BY opened_at, signal_id").await?,
        runs: session.rows("SELECT * FROM runs_current ORDER BY updated_at, source, run_id").await?,
        outcomes: session.rows("SELECT * FROM outcomes_current ORDER BY recorded_at, execution_id").await?,
        executions: session.rows("SELECT * FROM executions_current ORDER BY recorded_at, execution_id").await?,
        changes: session
            .rows(&format!("SELECT * FROM changes_current WHERE at >= arrow_cast({since}, 'Timestamp(Microsecond, Some(\"UTC\"))') ORDER BY at, kind, entity, summary"))
            .await?,
        column_profiles: session.rows("SELECT * FROM column_profiles_current ORDER BY event_time, dataset_namespace, dataset_name, \"column\", event_id").await?,
        labels: session.rows("SELECT * FROM labels_current ORDER BY subject_id").await?,
    })
}

/// The state of each object at the horizon, or its first where it was first seen later.
async fn objects<T: DeserializeOwned>(session: &Session, table: &str, key: &str) -> Result<Vec<T>, SqlError> {
    let horizon = format!("arrow_cast({}, 'Timestamp(Microsecond, Some(\"UTC\"))')", session.horizon().micros());
    let order = format!("CASE WHEN recorded_at <= {horizon} THEN recorded_at END DESC NULLS LAST, recorded_at");
    let ranked = format!("SELECT *, row_number() OVER (PARTITION BY {key} ORDER BY {order}) AS age_rank FROM raw.{table}");
    session.rows(&format!("SELECT * EXCEPT (age_rank) FROM ({ranked}) WHERE age_rank = 1 ORDER BY {key}")).await
}

impl Session {
    /// See [`evidence`].
    pub async fn evidence(&self) -> Result<Evidence, SqlError> {
        evidence(self).await
    }
}
