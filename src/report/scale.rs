//! Axes: round numbers between the bounds of values and of times.

use bellwether_model::time::{Span, TimeRange, Timestamp};
use bellwether_model::unit::Unit;

/// The axis of values: bounds and the round values between them.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ValueAxis {
    /// Value at the foot.
    pub lo: f64,
    /// Value at the top, above `lo`.
    pub hi: f64,
    /// Round values from foot to top, with their labels.
    pub ticks: Vec<(f64, String)>,
}

impl ValueAxis {
    /// An axis of about `want` steps that covers `lo..=hi`, both finite. Starts at zero where zero is near, and never
    /// below zero when no value is.
    pub(super) fn over(lo: f64, hi: f64, unit: Unit, want: usize) -> Self {
        let (mut lo, mut hi) = (lo.min(hi), lo.max(hi));
        if lo >= 0.0 && lo < 0.5 * hi {
            lo = 0.0;
        }
        if hi - lo <= 1e-9 * hi.abs().max(lo.abs()) {
            // A constant: drawn against zero, so that its height means something.
            (lo, hi) = if hi > 0.0 {
                (0.0, hi * 1.25)
            } else if hi < 0.0 {
                (lo * 1.25, 0.0)
            } else {
                (0.0, 1.0)
            };
        }
        let base = base(unit, hi.abs().max(lo.abs()));
        let step = round_step((hi - lo) / base / want.max(1) as f64) * base;
        let (first, last) = ((lo / step).floor(), (hi / step).ceil());
        let mut ticks: Vec<(f64, String)> =
            (0..=12).map(|i| (first + f64::from(i)) * step).take_while(|v| *v <= (last + 0.5) * step).map(|v| (v, unit.show(v))).collect();
        ticks.dedup_by(|later, earlier| later.1 == earlier.1);
        Self { lo: first * step, hi: (last * step).max(hi), ticks }
    }

    /// Where a value stands, 0 at the foot to 1 at the top; values outside are moved to the edge.
    pub(super) fn place(&self, value: f64) -> f64 {
        ((value - self.lo) / (self.hi - self.lo)).clamp(0.0, 1.0)
    }
}

/// The size in which values of about this magnitude are shown: round numbers are round in minutes or mebibytes too.
fn base(unit: Unit, magnitude: f64) -> f64 {
    match unit {
        Unit::Seconds if magnitude >= 120.0 => 60.0,
        Unit::Bytes => [40, 30, 20, 10].into_iter().map(|bits| (1u64 << bits) as f64).find(|size| magnitude >= *size).unwrap_or(1.0),
        _ => 1.0,
    }
}

/// The smallest of 1, 2, 2.5, 5 times a power of ten that is at least `raw`.
fn round_step(raw: f64) -> f64 {
    let power = 10f64.powf(raw.log10().floor());
    [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().map(|m| m * power).find(|s| *s >= raw * (1.0 - 1e-9)).unwrap_or(10.0 * power)
}

/// At most seven round instants in a range, with labels in UTC: hours within a day, dates at midnight.
pub(super) fn time_ticks(range: &TimeRange) -> Vec<(Timestamp, String)> {
    const MINUTE: i64 = 60;
    const HOUR: i64 = 3_600;
    const DAY: i64 = 86_400;
    const STEPS: [i64; 18] = [
        1,
        5,
        15,
        MINUTE,
        5 * MINUTE,
        10 * MINUTE,
        15 * MINUTE,
        30 * MINUTE,
        HOUR,
        2 * HOUR,
        3 * HOUR,
        6 * HOUR,
        12 * HOUR,
        DAY,
        2 * DAY,
        4 * DAY,
        7 * DAY,
        14 * DAY,
    ];
    let length = range.length().secs();
    let step = STEPS.into_iter().find(|s| length / s <= 7).unwrap_or_else(|| (length / (7 * 28 * DAY) + 1) * 28 * DAY);
    let span = Span::from_secs(step);
    let mut at = range.start.floor(span);
    if at < range.start {
        at = at + span;
    }
    let mut ticks = Vec::new();
    while at <= range.end && ticks.len() < 9 {
        let midnight = at.secs().rem_euclid(DAY) == 0;
        let format = match (step, midnight) {
            (_, true) | (DAY.., _) => "%-d %b",
            (..MINUTE, _) => "%H:%M:%S",
            _ => "%H:%M",
        };
        ticks.push((at, at.utc().format(format).to_string()));
        at = at + span;
    }
    if let Some((at, label)) = ticks.first_mut()
        && step < DAY
        && label.contains(':')
    {
        *label = at.utc().format("%-d %b %H:%M").to_string();
    }
    ticks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(lo: f64, hi: f64, unit: Unit) -> Vec<String> {
        ValueAxis::over(lo, hi, unit, 4).ticks.into_iter().map(|t| t.1).collect()
    }

    #[test]
    fn ticks_are_round_in_their_unit() {
        assert_eq!(labels(0.0, 0.93, Unit::Ratio), ["0 %", "25 %", "50 %", "75 %", "100 %"]);
        assert_eq!(labels(0.2, 1.2, Unit::Seconds), ["0 ms", "500 ms", "1 s", "1.5 s"]);
        assert_eq!(labels(0.0, 3.0 * 1024.0 * 1024.0, Unit::Bytes), ["0 B", "1 MiB", "2 MiB", "3 MiB"]);
        assert_eq!(labels(0.0, 1_000.0, Unit::Seconds), ["0 ms", "5 min", "10 min", "15 min", "20 min"]);
        assert_eq!(labels(7.0, 7.0, Unit::Number), ["0", "2.5", "5", "7.5", "10"]);
        assert_eq!(labels(0.0, 0.0, Unit::Number), ["0", "0.25", "0.5", "0.75", "1"]);
        assert_eq!(labels(-3.0, 5.0, Unit::Number), ["-4", "-2", "0", "2", "4", "6"]);
    }

    #[test]
    fn times_are_round_and_name_their_day() {
        let ticks = |start: &str, end: &str| {
            time_ticks(&TimeRange::new(start.parse().unwrap(), end.parse().unwrap())).into_iter().map(|t| t.1).collect::<Vec<_>>()
        };
        assert_eq!(
            ticks("2026-11-20T18:00:00Z", "2026-11-21T06:00:00Z"),
            ["20 Nov 18:00", "20:00", "22:00", "21 Nov", "02:00", "04:00", "06:00"]
        );
        assert_eq!(ticks("2026-11-07", "2026-11-21"), ["7 Nov", "9 Nov", "11 Nov", "13 Nov", "15 Nov", "17 Nov", "19 Nov", "21 Nov"]);
        assert_eq!(ticks("2026-11-07T10:00:00Z", "2026-11-07T10:00:00Z"), ["7 Nov 10:00"]);
        assert!(ticks("1990-01-01", "2026-01-01").len() <= 9);
    }

    proptest::proptest! {
        #[test]
        fn every_axis_is_finite_ordered_and_covers(a in -1e150f64..1e150, b in -1e150f64..1e150, small in proptest::bool::ANY) {
            let (a, b) = if small { (a / 1e150, a / 1e150 + b / 1e160) } else { (a, b) };
            let axis = ValueAxis::over(a, b, Unit::Number, 4);
            proptest::prop_assert!(axis.lo.is_finite() && axis.hi.is_finite() && axis.lo < axis.hi);
            proptest::prop_assert!(axis.lo <= a.min(b) + 1e-9 * a.abs().max(b.abs()) && axis.hi >= a.max(b));
            proptest::prop_assert!((1..=12).contains(&axis.ticks.len()));
            proptest::prop_assert!((0.0..=1.0).contains(&axis.place(a)));
        }
    }
}
