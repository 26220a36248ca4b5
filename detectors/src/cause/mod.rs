//! What may have caused a deviation: which other series changed, which came first, and where along a graph it began.
//!
//! * [`shift`] — a window of values against the baseline before it; [`lag`] — which of two series moved first;
//! * [`correlate`] — both for many series at once, with the rate of false finds limited;
//! * [`blame`] — nodes of a call or dependency graph, ranked as causes of a target's trouble;
//! * [`issue`] — issues with a known cause, as a public set writes them; [`trial`] — how often the ranking names it.

pub mod blame;
pub mod correlate;
pub mod issue;
pub mod lag;
pub mod shift;
pub mod trial;
