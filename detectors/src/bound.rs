//! Fixed bounds.
//!
//! A value deviates when it passes the bound by more than `min_deviation`. The score is 1.0 there and rises by 1 with each
//! further multiple of the bound's magnitude (of 1 when the bound is 0): 2.0 is twice an upper bound, or 0 under a lower
//! one. Cost: two comparisons a point. Needs no history; NaN never deviates.

use crate::band::Band;

/// The band of these bounds; at least one must be given, otherwise nothing ever deviates.
pub fn band(above: Option<f64>, below: Option<f64>, min_deviation: f64) -> Band {
    let reach = |bound: f64| if bound.abs() > 1e-9 { bound.abs() } else { 1.0 };
    let upper = above.map(|b| b + min_deviation);
    let lower = below.map(|b| b - min_deviation);
    let expected = upper.or(lower).unwrap_or(0.0);
    Band {
        expected,
        lower: lower.unwrap_or(expected),
        upper: upper.unwrap_or(expected),
        reach_up: reach(upper.unwrap_or(expected)),
        reach_down: reach(lower.unwrap_or(expected)),
        moments: None,
        preset: None,
        among: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::Watch;

    #[test]
    fn a_bound_is_passed_or_not() {
        let slow = band(Some(0.5), None, 0.0);
        assert_eq!([0.25, 0.5, 1.0].map(|v| slow.score(Watch::Up, v)), [0.5, 1.0, 2.0]);
        assert!(!slow.is_out(Watch::Up, 0.5) && slow.is_out(Watch::Up, 0.51));
        let errors = band(Some(0.0), None, 0.0);
        assert!(!errors.is_out(Watch::Up, 0.0) && errors.is_out(Watch::Up, 1.0));
        assert_eq!(errors.score(Watch::Up, 1.0), 2.0);
        let ready = band(None, Some(2.0), 0.0);
        assert_eq!([4.0, 2.0, 1.0, 0.0].map(|v| ready.score(Watch::Down, v)), [0.0, 1.0, 1.5, 2.0]);
        let both = band(Some(0.9), Some(0.1), 0.05);
        assert!(!both.is_out(Watch::Both, 0.92) && both.is_out(Watch::Both, 0.96) && both.is_out(Watch::Both, 0.04));
    }
}
