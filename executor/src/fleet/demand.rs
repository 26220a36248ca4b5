//! How many requests come in.

use bellwether_model::time::Timestamp;
use chrono::{Datelike, Timelike};

use super::cast::Cast;
use super::script::{Load, Script};

/// Requests a second that clients send to an endpoint, without the noise: daily and weekly shape, slow growth, and what
/// the script adds.
pub(crate) fn demand(cast: &Cast, script: &Script, endpoint: usize, at: Timestamp) -> f64 {
    let e = &cast.endpoints[endpoint];
    let utc = at.utc();
    let hour = f64::from(utc.hour()) + f64::from(utc.minute()) / 60.0;
    // A day is a broad hump; between Friday and Saturday, and Sunday and Monday, the change takes the hours around midnight.
    let phase = (hour - e.peak_hour) / 24.0 * std::f64::consts::TAU;
    let hump = (0.5 + 0.5 * phase.cos()).powf(1.3);
    let days_since_monday = f64::from(utc.weekday().num_days_from_monday()) + hour / 24.0;
    let weekend = smooth_step((days_since_monday - 4.9) / 0.2) * (1.0 - smooth_step((days_since_monday - 6.9) / 0.2));
    let week = 1.0 - (1.0 - e.weekend) * weekend;
    let ordinary = e.peak * (e.night + (1.0 - e.night) * hump) * week;
    script.loads.iter().filter(|l| l.endpoint == endpoint).fold(ordinary, |d, load| d + (load.peak - d).max(0.0) * strength(load, at))
}

/// How far an extra load has built up, 0 to 1.
fn strength(load: &Load, at: Timestamp) -> f64 {
    if !load.range.contains(at) {
        return 0.0;
    }
    let ramp = load.ramp.secs_f64().max(1.0);
    let edge = at.since(load.range.start).secs_f64().min(load.range.end.since(at).secs_f64());
    smooth_step(edge / ramp)
}

/// 0 up to 0, 1 from 1 on, and smooth between.
pub(crate) fn smooth_step(x: f64) -> f64 {
    let x = x.clamp(0.0, 1.0);
    x * x * (3.0 - 2.0 * x)
}
