//! Kernels: each takes a series point by point and keeps its state in a value that can be saved and continued.
//!
//! What they have in common: a value that is no number changes nothing; time is an argument; fed at once, in parts, or
//! after having been saved and read again, they give the same. None allocates in the long run.
//!
//! * [`ordered`] — a multiset in order; [`window`] — the latest values, their moments and their order;
//! * [`ewma`], [`seasonal`] — what is usual of late, and at this time of day;
//! * [`entropy`], [`range`] — distributions and levels that were not seen before;
//! * [`tail`] — how rare a score is among its own; [`hold`], [`record`] — scores that last, alarms that do not repeat.

pub mod entropy;
pub mod ewma;
pub mod hold;
pub mod ordered;
pub mod range;
pub mod record;
pub mod seasonal;
pub mod tail;
pub mod window;
