//! What explaining an incident finds: everything ranked, everything with its numbers, and what could not be looked at.

use bellwether_model::dataset::DatasetId;
use bellwether_model::id::{IncidentId, SignalId};
use bellwether_model::inventory::Entity;
use bellwether_model::series::{Series, Window};
use bellwether_model::signal::Direction;
use bellwether_model::time::{TimeRange, Timestamp};
use bellwether_model::unit::Unit;
use serde::Serialize;

/// How something is related to the incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Relation {
    /// It is of one of the entities that the incident's signals are about.
    Own,
    /// It is of something that those rest on: pool, node, model, dataset.
    RestsOn,
    /// It is of something that rests on those: what suffers with them.
    Affected,
    /// It is of something else in the fleet.
    Elsewhere,
}

/// What may explain an incident.
#[derive(Clone, Debug, Serialize)]
pub struct Explanation {
    /// The incident.
    pub incident_id: IncidentId,
    /// Its title.
    pub title: String,
    /// When it opened.
    pub opened_at: Timestamp,
    /// The likeliest explanation in one sentence; says so where there is none.
    pub headline: String,
    /// The series that the others are compared with, as Prometheus writes it; null for an incident of columns alone.
    pub series: Option<String>,
    /// Its unit.
    pub unit: Unit,
    /// The stretch of time in which series are looked at.
    pub window: TimeRange,
    /// The four times as long one before it.
    pub baseline: TimeRange,
    /// How much was compared.
    pub compared: Compared,
    /// The columns that the incident is about, the one that drifted furthest first.
    pub drifted: Vec<Drifted>,
    /// Things that deviate, as causes of the incident, the likeliest first: what its root rests on, and its own entities.
    pub causes: Vec<Cause>,
    /// All series that changed in the window: the incident's own first, then those of what it rests on, of what rests on it, and of the rest;
    /// of each of these those that moved after it last, and the furthest off first.
    pub together: Vec<ChangedSeries>,
    /// Changes that precede it, the likeliest first.
    pub changes: Vec<PrecedingChange>,
    /// Signals of what it rests on, the nearest in time first.
    pub neighbours: Vec<Neighbour>,
    /// What was not found or could not be looked at, in words.
    pub notes: Vec<String>,
    /// The samples of the incident's own series and columns and of the first related ones that changed, to be drawn.
    #[serde(skip)]
    pub samples: Window,
}

/// How much was compared.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Compared {
    /// Series with enough samples before and within.
    pub compared: usize,
    /// Those of them that changed.
    pub changed: usize,
    /// Series with too few samples.
    pub thin: usize,
    /// Series that had samples before the window and none in it.
    pub silent: Vec<String>,
    /// Series that were left out because there are more than are read: those furthest from the incident.
    pub left_out: usize,
}

/// A series that changed in the window.
#[derive(Clone, Debug, Serialize)]
pub struct ChangedSeries {
    /// The series, as Prometheus writes it.
    pub series: String,
    /// What it is about.
    pub entity: Entity,
    /// How that is related to the incident.
    pub relation: Relation,
    /// Whether a signal of the incident is about this series.
    pub signalled: bool,
    /// Which way it moved.
    pub direction: Direction,
    /// Median before.
    pub before: f64,
    /// Median in the window.
    pub after: f64,
    /// Unit of both, where a signal knows it; a plain number otherwise.
    pub unit: Unit,
    /// Distance of the medians in robust standard deviations of the baseline.
    pub effect: f64,
    /// Change of the mean as a share of the baseline's; null where that is 0.
    pub volume: Option<f64>,
    /// Largest distance of the distribution functions, 0 to 1.
    pub ks: f64,
    /// Its p-value, corrected for the number of series compared.
    pub adjusted_p: f64,
    /// Seconds by which it moved later than the incident's series; negative: it came first; null where the two do not resemble each other.
    pub lag_seconds: Option<f64>,
    /// Correlation with the incident's series at that lag.
    pub correlation: Option<f64>,
    /// Which series, for a drawing.
    #[serde(skip)]
    pub identity: Series,
}

/// A column that the incident is about.
#[derive(Clone, Debug, Serialize)]
pub struct Drifted {
    /// Its dataset.
    pub dataset: DatasetId,
    /// Its name.
    pub column: String,
    /// How far it drifted; 1.0 is the line.
    pub score: f64,
    /// When.
    pub opened_at: Timestamp,
    /// Middle of the medians (or means) of its profiles before the window; null where none is known.
    pub before: Option<f64>,
    /// And of those in it.
    pub after: Option<f64>,
    /// What its signal says.
    pub hint: String,
    /// The series of its profiles' medians, for a drawing.
    #[serde(skip)]
    pub identity: Series,
}

/// A change that precedes the incident.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PrecedingChange {
    /// When.
    pub at: Timestamp,
    /// By how many seconds it precedes the incident.
    pub lead_seconds: f64,
    /// `revision`, `replicas`, `canary`, `pool_limit`, `cordon`, `model_uri` or `dataset_version`.
    pub kind: String,
    /// What changed.
    pub entity: Entity,
    /// In words.
    pub summary: String,
    /// How it is related to the incident.
    pub relation: Relation,
    /// 1 for a change of the incident's own entity at the same instant, less the longer before and the less related.
    pub score: f64,
}

/// A signal of something that the incident rests on.
#[derive(Clone, Debug, Serialize)]
pub struct Neighbour {
    /// The signal.
    pub signal_id: SignalId,
    /// What it is about.
    pub entity: Entity,
    /// Its score; 1.0 is the line.
    pub score: f64,
    /// When it opened.
    pub opened_at: Timestamp,
    /// By how many seconds it opened before the incident; negative: after it.
    pub lead_seconds: f64,
    /// What it says.
    pub hint: String,
}

/// A thing that deviates, as a cause.
#[derive(Clone, Debug, Serialize)]
pub struct Cause {
    /// The thing.
    pub entity: Entity,
    /// Sum of the capped deviations of what it explains, its own included, in robust standard deviations.
    pub score: f64,
    /// Its own deviation.
    pub deviation: f64,
    /// From the incident's root to it, over what rests on what; from it to the root where it rests on that; empty where there is no such way.
    pub path: Vec<Entity>,
    /// What explains it in turn.
    pub explained_by: Option<Entity>,
    /// Seconds by which it moved later than the incident; negative: it came first; null for the root itself and where nothing says when.
    pub lag_seconds: Option<f64>,
    /// The series or signal that says so.
    pub evidence: String,
}
