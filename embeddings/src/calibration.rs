//! Stated scores against what came of them: the line that makes the one the probability of the other.

use bellwether_model::outcome::{Effect, Outcome};
use bellwether_model::recommendation::Recommendation;

use crate::logistic;

/// So many verified recommendations make a calibration of their own.
pub const ENOUGH: usize = 30;

/// A score that was stated before an execution, and whether the execution was effective.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stated {
    /// The score before calibration, 0 to 1.
    pub score: f64,
    /// What came of it.
    pub effective: bool,
}

/// How scores are corrected: a line on log-odds (Platt, 1999), `slope × log-odds + shift`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Calibration {
    slope: f64,
    shift: f64,
    /// How many verified recommendations it rests on, enough or not.
    verified: usize,
}

impl Default for Calibration {
    /// No correction.
    fn default() -> Self {
        Self { slope: 1.0, shift: 0.0, verified: 0 }
    }
}

impl Calibration {
    /// Learns from what was stated. Twenty made-up recommendations that came true exactly as often as stated count beside them, so that a
    /// few do not bend it far. Leaves scores as they are with fewer than 30, or where higher scores did not mean more success.
    pub fn learn(stated: &[Stated]) -> Self {
        let sound: Vec<&Stated> = stated.iter().filter(|s| s.score.is_finite()).collect();
        let untouched = Self { verified: sound.len(), ..Self::default() };
        if sound.len() < ENOUGH {
            return untouched;
        }
        let honest =
            [(0.2, 1), (0.4, 2), (0.6, 3), (0.8, 4)].into_iter().flat_map(|(score, often)| (0..5).map(move |i| (score, i < often)));
        let pairs = sound.iter().map(|s| (s.score, s.effective)).chain(honest);
        let (rows, outcomes): (Vec<[f64; 1]>, Vec<bool>) = pairs.map(|(score, effective)| ([log_odds(score)], effective)).unzip();
        match logistic::fit(&rows, &outcomes, 1e-6) {
            Some((shift, [slope])) if slope > 0.0 => Self { slope, shift, verified: sound.len() },
            _ => untouched,
        }
    }

    /// The corrected score, 0 to 1. A higher score stays the higher one.
    pub fn apply(&self, score: f64) -> f64 {
        if self.is_learned() { 1.0 / (1.0 + (-self.slope * log_odds(score) - self.shift).exp()) } else { score.clamp(0.0, 1.0) }
    }

    /// Whether scores are corrected at all.
    pub fn is_learned(&self) -> bool {
        (self.slope, self.shift) != (1.0, 0.0)
    }

    /// What it rests on, in words.
    pub fn basis(&self) -> String {
        if self.is_learned() {
            format!(
                "learned from {} verified recommendations of this ledger (slope {:.2}, shift {:+.2})",
                self.verified, self.slope, self.shift
            )
        } else if self.verified < ENOUGH {
            format!("as shipped: this ledger has {} verified recommendations, and {ENOUGH} make a calibration of its own", self.verified)
        } else {
            format!("as shipped: in {} verified recommendations of this ledger higher scores did not mean more success", self.verified)
        }
    }
}

/// What was stated of each execution's playbook in the newest recommendation before its outcome. Outcomes without data, and scores that
/// were made otherwise than today's, are left out.
pub fn stated(recommendations: &[Recommendation], outcomes: &[Outcome]) -> Vec<Stated> {
    let of = |outcome: &Outcome| {
        let before = recommendations.iter().filter(|r| r.incident_id == outcome.incident_id && r.recorded_at <= outcome.recorded_at);
        let newest = before.max_by(|a, b| (a.recorded_at, &a.recommendation_id).cmp(&(b.recorded_at, &b.recommendation_id)))?;
        let candidate = newest.candidates.iter().chain(&newest.near_misses).find(|c| c.playbook_id == outcome.playbook_id)?;
        Some(Stated { score: candidate.reckoning.as_ref()?.before, effective: outcome.effect == Effect::Effective })
    };
    outcomes.iter().filter(|outcome| outcome.effect != Effect::NoData).filter_map(of).collect()
}

/// Kept off 0 and 1, whose log-odds are infinite.
fn log_odds(score: f64) -> f64 {
    let p = score.clamp(0.001, 0.999);
    (p / (1.0 - p)).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of each score, `often` of 20 came true.
    fn pairs(of: &[(f64, usize)]) -> Vec<Stated> {
        of.iter().flat_map(|(score, often)| (0..20).map(|i| Stated { score: *score, effective: i < *often })).collect()
    }

    #[test]
    fn what_was_stated_too_high_is_lowered_and_stays_in_order() {
        let learned = Calibration::learn(&pairs(&[(0.9, 12), (0.7, 8), (0.5, 4)]));
        assert!(learned.is_learned() && learned.basis().starts_with("learned from 60 verified"), "{}", learned.basis());
        assert!((learned.apply(0.9) - 0.6).abs() < 0.1 && learned.apply(0.5) < 0.35, "{learned:?}");
        assert!(learned.apply(0.2) < learned.apply(0.21) && learned.apply(0.0) >= 0.0 && learned.apply(1.0) <= 1.0);
        let honest = Calibration::learn(&pairs(&[(0.9, 18), (0.7, 14), (0.5, 10), (0.2, 4)]));
        for score in [0.1, 0.5, 0.9] {
            assert!((honest.apply(score) - score).abs() < 0.01, "{honest:?}");
        }
    }

    #[test]
    fn too_few_and_senseless_ones_change_nothing() {
        let few = Calibration::learn(&pairs(&[(0.9, 0)]));
        assert_eq!(few.apply(0.9), 0.9);
        assert!(few.basis().contains("20 verified") && few.basis().contains("30 make"), "{}", few.basis());
        let senseless = Calibration::learn(&pairs(&[(0.9, 0), (0.7, 0), (0.5, 20), (0.2, 20)]));
        assert_eq!(senseless.apply(0.7), 0.7);
        assert!(senseless.basis().contains("higher scores did not"), "{}", senseless.basis());
        assert_eq!(Calibration::learn(&[Stated { score: f64::NAN, effective: true }; 99]).apply(0.3), 0.3);
    }
}
