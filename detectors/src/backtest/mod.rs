//! Scores against labels: how good a detector would have been.
//!
//! [`run`] takes labelled series and a preset, [`evaluate`] any scores for them; no threshold is fitted on the series that it judges.
//!
//! * [`labelled`] — a series and its events; [`layout`] — as public sets write them; [`folder`] — and keep them in folders;
//! * [`nab`] — NAB's scoring; [`ranking`] — average precision; [`events`] — precision and recall of events;
//! * [`report`] — all of it, cross-validated over series; [`rules`] — scores of rules as a fleet is judged by;
//! * [`fit`] — which detector the labels speak for.

pub mod events;
pub mod fit;
pub mod folder;
pub mod labelled;
pub mod layout;
pub mod nab;
pub mod ranking;
pub mod report;
pub mod rules;

pub use labelled::LabelledSeries;
pub use report::{Outcome, Report, evaluate, run};
