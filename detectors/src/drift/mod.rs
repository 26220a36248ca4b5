//! Columns of datasets against their own past.
//!
//! A fixed threshold on a drift statistic is an artefact of sample size, and a p-value alone calls every tiny change of a
//! large column drift. So a column drifts when both hold: the effect is large enough to matter, and its p-value
//! survives the correction for the number of columns looked at (Benjamini & Hochberg, 1995).
//!
//! Modules in reading order:
//! * [`order`] — sorting, which every exact statistic begins with; [`between`] — one walk over two sorted samples;
//! * [`ks`] ([`kolmogorov`] is its distribution), [`wasserstein`], [`energy`], [`cramer_von_mises`] — statistics of numbers;
//! * [`psi`], [`bins`], [`jensen_shannon`], [`hellinger`], [`kullback_leibler`] — statistics of shares in bins;
//! * [`contingency`] — statistics of categories; [`correction`] — many p-values at once;
//! * [`mod@column`] — two samples of a column, numbers or categories, with everything that can be odd about them named; [`identifier`] —
//!   columns that name rows;
//! * [`measure`] — which statistic for which column; [`examine`] — one column; [`dataset`] — many columns, one decision;
//!   [`learned`] — lines out of chunks of the reference;
//! * [`histogram`], [`quantiles`], [`distinct`], [`frequent`] — columns in little room, part by part; [`sketch`] — all of
//!   them of one column, to be stored; [`stored`] — what may not be read back; [`stream`] — seeded random numbers;
//! * [`shape`] — what a column looks like, to be drawn; [`words`] — how it changed, to be said;
//! * [`embedding`] — rows of many numbers: [`mmd`], [`domain`] classifier, PCA [`reconstruction`];
//! * [`performance`] — how well a classifier does, with labels and without; [`fairness`] — whether groups are treated alike;
//!   [`interval`] — limits of shares;
//! * [`profile`] — the same statistics on profiles: quantiles and counts, without the values;
//! * [`rule`] — thresholds; [`detect`] — profiles in order of time become signals.

pub mod between;
pub mod bins;
pub mod column;
pub mod contingency;
pub mod correction;
pub mod cramer_von_mises;
pub mod dataset;
pub mod detect;
pub mod distinct;
pub mod domain;
pub mod embedding;
pub mod energy;
pub mod examine;
pub mod fairness;
pub mod frequent;
pub mod hellinger;
pub mod histogram;
pub mod identifier;
pub mod interval;
pub mod jensen_shannon;
pub mod kolmogorov;
pub mod ks;
pub mod kullback_leibler;
pub mod learned;
pub mod measure;
pub mod mmd;
pub mod order;
pub mod performance;
pub mod profile;
pub mod psi;
pub mod quantiles;
pub mod reconstruction;
pub mod rule;
pub mod shape;
pub mod sketch;
pub mod stored;
pub mod stream;
pub mod wasserstein;
pub mod words;

pub use detect::detect_drift;
pub use rule::DriftRule;
