//! What is usual of a value at one moment, and the score of a value against it.

use bellwether_model::signal::Direction;

use crate::crowd::Among;
use crate::rule::{MethodSpec, Rule, Watch};
use crate::special::student_t_sf;

/// No score is higher than this.
pub const SCORE_CAP: f64 = 100.0;

/// The largest magnitude that is taken as a measurement: its square is still a finite number.
pub const LARGEST: f64 = 1e120;

/// Mean and spread of the samples that a baseline holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moments {
    /// Their mean.
    pub mean: f64,
    /// Their standard deviation; 0 when all are equal.
    pub sd: f64,
    /// How many there are; the effective number where they are weighted.
    pub samples: f64,
}

/// What is usual: a value outside `lower..=upper`, on a side that the rule watches, deviates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Band {
    /// The value that was expected. For a bound: the bound (the upper one of two).
    pub expected: f64,
    /// Lower bound. Where a rule bounds only above, the same as `expected`.
    pub lower: f64,
    /// Upper bound. Where a rule bounds only below, the same as `expected`.
    pub upper: f64,
    /// How far beyond `upper` the score has risen by 1.
    pub reach_up: f64,
    /// How far beyond `lower` the score has risen by 1.
    pub reach_down: f64,
    /// What the band was made of; `None` for fixed bounds and for presets.
    pub moments: Option<Moments>,
    /// What a preset says of the very value that the band is for; then neither score nor probability follow from the bounds.
    pub preset: Option<Said>,
    /// Whom the series was compared with, where that was not its own past.
    pub among: Option<Among>,
}

/// What a preset says of one value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Said {
    /// Its score, 1 at the decision line.
    pub score: f64,
    /// How often a score was as high before on this series, above 0: a conformal p-value.
    pub p_value: f64,
}

impl Band {
    /// The band of these moments: the method's limit, but no narrower than the rule's minimal deviations, nor than a
    /// millionth of the expected value, so that a series that never moved has a finite score when it does.
    pub fn around(rule: &Rule, threshold: f64, moments: Moments) -> Self {
        let Moments { mean, sd, .. } = moments;
        let half = (threshold * sd).max(rule.min_deviation).max(rule.min_ratio.max(1e-6) * mean.abs()).clamp(1e-9, LARGEST * 1e7);
        Self {
            expected: mean,
            lower: mean - half,
            upper: mean + half,
            reach_up: half,
            reach_down: half,
            moments: Some(moments),
            preset: None,
            among: None,
        }
    }

    /// The band between these bounds, whose score is 1 at a bound and 0 at what is expected.
    pub fn between(expected: f64, lower: f64, upper: f64) -> Self {
        let reach = |reach: f64| reach.max(1e-9);
        let (reach_up, reach_down) = (reach(upper - expected), reach(expected - lower));
        Self { expected, lower, upper, reach_up, reach_down, moments: None, preset: None, among: None }
    }

    /// Whether the value lies beyond the band on a side that counts. Always false for NaN.
    pub fn is_out(&self, watch: Watch, value: f64) -> bool {
        if self.preset.is_some() {
            return self.score(watch, value) > 1.0;
        }
        match watch {
            Watch::Up => value > self.upper,
            Watch::Down => value < self.lower,
            Watch::Both => value > self.upper || value < self.lower,
        }
    }

    /// How far out the value is: 0 at the expected value, 1 at the bound, above 1 beyond it, at most [`SCORE_CAP`].
    /// A deviation on a side that does not count scores 0.
    pub fn score(&self, watch: Watch, value: f64) -> f64 {
        if let Some(said) = self.preset {
            let counts = match watch {
                Watch::Up => value > self.expected,
                Watch::Down => value < self.expected,
                Watch::Both => true,
            };
            return if counts { said.score.min(SCORE_CAP) } else { 0.0 };
        }
        let up = 1.0 + (value - self.upper) / self.reach_up;
        let down = 1.0 + (self.lower - value) / self.reach_down;
        let score = match watch {
            Watch::Up => up,
            Watch::Down => down,
            Watch::Both => up.max(down),
        };
        if score.is_nan() { 0.0 } else { score.clamp(0.0, SCORE_CAP) }
    }

    /// Which way the value lies from what is expected, as the rule looks at it.
    pub fn direction(&self, watch: Watch, value: f64) -> Direction {
        match watch {
            Watch::Up => Direction::Up,
            Watch::Down => Direction::Down,
            Watch::Both if value > self.upper => Direction::Up,
            Watch::Both if value < self.lower => Direction::Down,
            Watch::Both if value >= self.expected => Direction::Up,
            Watch::Both => Direction::Down,
        }
    }

    /// Standard deviations between the value and what was expected; `None` for a bound or a baseline that never moved.
    pub fn z(&self, value: f64) -> Option<f64> {
        let Moments { mean, sd, .. } = self.moments?;
        let z = (value - mean) / sd;
        z.is_finite().then_some(z)
    }

    /// Probability of a value at least this far out without a change, were the samples normal and independent: Student's t
    /// with `samples - 1` degrees of freedom, for one new observation; two-sided when both sides count. Of a preset: see [`Said`].
    pub fn p_value(&self, watch: Watch, value: f64) -> Option<f64> {
        if let Some(said) = self.preset {
            return Some(said.p_value);
        }
        let samples = self.moments?.samples;
        let t = self.z(value)? / (1.0 + 1.0 / samples).sqrt();
        let dof = samples - 1.0;
        Some(match watch {
            Watch::Up => student_t_sf(t, dof),
            Watch::Down => student_t_sf(-t, dof),
            Watch::Both => (2.0 * student_t_sf(t.abs(), dof)).min(1.0),
        })
    }
}

/// Whether a number is a measurement: finite and not absurdly large.
pub fn is_measurement(value: f64) -> bool {
    value.abs() <= LARGEST
}

/// The threshold of a rule whose band is made of moments.
pub(crate) fn threshold(rule: &Rule) -> f64 {
    match rule.method {
        MethodSpec::Zscore { threshold, .. } | MethodSpec::Ewma { threshold, .. } => threshold,
        _ => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_model::unit::Unit;

    #[test]
    fn one_is_the_line_and_the_widest_limit_wins() {
        let mut rule = Rule::new("r", "m", Unit::Number);
        let moments = Moments { mean: 10.0, sd: 1.0, samples: 101.0 };
        let band = Band::around(&rule, 4.0, moments);
        assert_eq!((band.lower, band.upper), (6.0, 14.0));
        for (value, both, up) in [(10.0, 0.0, 0.0), (14.0, 1.0, 1.0), (18.0, 2.0, 2.0), (2.0, 2.0, 0.0), (1e9, SCORE_CAP, SCORE_CAP)] {
            assert_eq!((band.score(Watch::Both, value), band.score(Watch::Up, value)), (both, up), "{value}");
        }
        assert!(
            !band.is_out(Watch::Both, 14.0)
                && band.is_out(Watch::Both, 14.1)
                && !band.is_out(Watch::Up, 2.0)
                && band.is_out(Watch::Down, 2.0)
        );
        // scipy: 2 * t.sf(4 / sqrt(1 + 1/101), 100)
        assert!((band.p_value(Watch::Both, 14.0).unwrap() - 0.000_130_521_858_243_5).abs() < 1e-12);
        rule.min_deviation = 8.0;
        assert_eq!(Band::around(&rule, 4.0, moments).upper, 18.0);
        rule.min_ratio = 2.0;
        assert_eq!(Band::around(&rule, 4.0, moments).upper, 30.0);
    }

    #[test]
    fn what_never_moved_has_a_finite_score() {
        let rule = Rule::new("r", "m", Unit::Number);
        for mean in [0.0, 3.0, -1e12, LARGEST] {
            let band = Band::around(&rule, 4.0, Moments { mean, sd: 0.0, samples: 50.0 });
            assert!(band.score(Watch::Both, mean) < 1e-9);
            assert_eq!((band.z(mean), band.p_value(Watch::Both, mean + 1.0)), (None, None));
            assert!(band.score(Watch::Both, mean * 2.0 + 1.0) > 1.0 && band.lower.is_finite() && band.upper.is_finite());
            assert_eq!(band.score(Watch::Both, f64::NAN), 0.0);
        }
    }
}
