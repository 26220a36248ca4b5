//! The seconds that count in a measurement.

use std::fs;
use std::sync::OnceLock;
use std::time::Instant;

/// Seconds of processor time of this thread, where Linux tells it; elsewhere what the clock on the wall says.
pub(crate) fn processor_seconds() -> f64 {
    static START: OnceLock<Instant> = OnceLock::new();
    let told = fs::read_to_string("/proc/thread-self/schedstat").ok().and_then(|text| text.split(' ').next()?.parse::<f64>().ok());
    told.map_or_else(|| START.get_or_init(Instant::now).elapsed().as_secs_f64(), |nanoseconds| nanoseconds / 1e9)
}
