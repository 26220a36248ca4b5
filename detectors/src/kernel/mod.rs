//! Kernels: each takes a series point by point and keeps its state in a value that can be saved and continued.
//!
//! What they have in common: a value that is no number changes nothing; time is an argument; fed at once, in parts, or
//! after having been saved and read again, they give the same. None allocates in the long run.
//!
//! * [`ordered`] — a multiset in order; [`robust`] — robust z-scores by it; [`window`] — the latest values, their moments and their order;
//! * [`block`] — rolling z-score and EWMA of many series side by side;
//! * [`ewma`], [`seasonal`] — what is usual of late, and at this time of day; [`mstl`] — of day and week together; [`period`] — how long a season is;
//! * [`principal`] — what columns explain of each other; [`alike`] — which of them behave alike;
//! * [`cusum`], [`adwin`] — a mean that moves; [`pelt`] — where it moved, seen from afterwards; [`counter`] — rates of counters;
//! * [`entropy`], [`range`] — distributions and levels that were not seen before;
//! * [`tail`] — how rare a score is among its own; [`hold`], [`record`] — scores that last, alarms that do not repeat.

pub mod adwin;
pub mod alike;
pub mod block;
pub mod counter;
pub mod cusum;
pub mod entropy;
pub mod ewma;
pub mod hold;
mod lanes;
pub mod mstl;
pub mod ordered;
pub mod pelt;
pub mod period;
pub mod principal;
pub mod range;
pub mod record;
pub mod robust;
pub mod seasonal;
pub mod tail;
pub mod window;
