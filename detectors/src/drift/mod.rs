//! Columns of datasets against their own past.
//!
//! A fixed threshold on a drift statistic is an artefact of sample size, and a p-value alone calls every tiny change of a
//! large column drift. So a column drifts when both hold: the effect is large enough to matter, and its p-value
//! survives the correction for the number of columns looked at (Benjamini & Hochberg, 1995).
//!
//! Modules in reading order:
//! * [`psi`], [`ks`] — the statistics on samples, with their p-values; [`correction`] — many p-values at once;
//! * [`mod@column`] — two samples of a column, numbers or categories, with everything that can be odd about them named;
//! * [`profile`] — the same statistics on profiles: quantiles and counts, without the values;
//! * [`rule`] — thresholds; [`detect`] — profiles in order of time become signals.

pub mod column;
pub mod correction;
pub mod detect;
pub mod ks;
pub mod profile;
pub mod psi;
pub mod rule;

pub use detect::detect_drift;
pub use rule::DriftRule;
