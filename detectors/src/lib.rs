//! Signals out of numbers: anomaly and drift kernels on slices.
//!
//! A rule says how one metric is judged; [`detect::detect`] applies rules to a window of series and returns the
//! transitions of signals (opened, worsened, closed) and what could not be judged, with the reason. Every score has the
//! same meaning: 1.0 is the decision line. Nothing here returns NaN or an infinity.
//!
//! Judging is a function of its arguments, and of nothing older than a rule's lookback: one call over a fortnight and
//! many small calls over the same fortnight find the same signals.
//!
//! This crate deliberately does not know where numbers come from (tables, files, PromQL), what a signal leads to, or
//! what time it is: the clock is an argument. Only [`backtest::folder`] and
//! [`cause::issue`] read files, and only labelled ones.
//!
//! Modules in reading order:
//! * [`rule`] — how a metric is judged; [`judging`] — the same as written in YAML; [`quantity`] — numbers with units in it;
//! * [`band`] — what is usual, and the score of a value against it;
//! * [`calendar`], [`phases`] — what repeats, and when it was the same time of it before;
//! * [`past`] — the samples that a baseline may use;
//! * [`zscore`], [`ewma`], [`bound`] — the kernels that say what is usual; [`special`] — tail probabilities;
//! * [`scan`] — one series in order of time: persistence, open signals, frozen baselines, endings;
//! * [`detect`] — many series, many rules; [`hint`] — a signal in words; [`history`] — what is missing where nothing could be judged;
//! * [`course`] — presets, and seasons as [`seasons`] scores them, along a series, beside those kernels: saved at marks, and continued;
//! * [`peers`] — series of a group against what the others explain; [`crowd`] — a new series among series like it;
//! * [`silence`] — what is kept and not told, and until when; [`switch`] — a setting that can be switched off;
//! * [`analyze`], [`bands`] — the same scan for one series, to answer and to draw;
//! * [`kernel`] — streaming kernels, one file each;
//! * [`preset`] — ready-made detectors made of them;
//! * [`backtest`] — scores against labels;
//! * [`drift`] — columns of datasets against their own past;
//! * [`cause`] — what may have caused a deviation.

pub mod analyze;
pub mod backtest;
pub mod band;
pub mod bands;
pub mod bound;
pub mod calendar;
pub mod cause;
pub mod course;
pub mod crowd;
pub mod detect;
pub mod drift;
pub mod ewma;
pub mod hint;
pub mod history;
pub mod judging;
pub mod kernel;
pub mod past;
pub mod peers;
pub mod phases;
pub mod preset;
pub mod quantity;
pub mod rule;
pub mod scan;
pub mod seasons;
pub mod silence;
pub mod special;
pub mod switch;
pub mod zscore;
