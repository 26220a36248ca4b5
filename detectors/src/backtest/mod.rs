//! Scores against labels: how good a detector would have been.
//!
//! [`run`] takes labelled series and a preset, [`evaluate`] any scores for them; no threshold is fitted on the series that it judges. Reading
//! files is for the caller: [`layout`] takes their text.
//!
//! * [`labelled`] — a series and its events; [`layout`] — as public sets write them;
//! * [`nab`] — NAB's scoring; [`ranking`] — average precision; [`events`] — precision and recall of events;
//! * [`report`] — all of it, cross-validated over series.

pub mod events;
pub mod labelled;
pub mod layout;
pub mod nab;
pub mod ranking;
pub mod report;

pub use labelled::LabelledSeries;
pub use report::{Report, evaluate, run};
