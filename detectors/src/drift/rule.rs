//! What a person writes of how drift is judged.

use bellwether_model::id::RuleName;
use bellwether_model::signal::Severity;
use bellwether_model::time::Span;
use serde::{Deserialize, Serialize};

use crate::rule::RuleError;

/// How the columns of datasets are judged; every key may be left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DriftRule {
    /// Name of the rule; part of the identity of its signals. Default `drift`.
    pub name: RuleName,
    /// The population stability index from which a change matters. Default 0.2.
    pub psi: f64,
    /// The Kolmogorov–Smirnov distance from which a change matters. Default 0.1.
    pub ks: f64,
    /// The share of false discoveries among the columns called drifted that is tolerated. Default 0.05.
    pub q: f64,
    /// Bins of the index. Default 10.
    pub bins: usize,
    /// How far back the profiles reach that a new one is compared with. Default 28 days.
    pub lookback: Span,
    /// A column without a profile for this long is gone: its signal ends with "no data". Default 14 days.
    pub gap: Span,
    /// A drift that lasts this long becomes the new normal. Default 7 days.
    pub accept_after: Span,
    /// How bad its signals are. Default `warning`.
    pub severity: Severity,
}

impl Default for DriftRule {
    fn default() -> Self {
        Self {
            name: RuleName::new("drift"),
            psi: 0.2,
            ks: 0.1,
            q: 0.05,
            bins: 10,
            lookback: Span::from_days(28),
            gap: Span::from_days(14),
            accept_after: Span::from_days(7),
            severity: Severity::Warning,
        }
    }
}

impl DriftRule {
    /// Checks that every number is in its range.
    ///
    /// # Errors
    /// The first setting that is out of its range, with what would be right.
    pub fn validate(&self) -> Result<(), RuleError> {
        let check = |fine: bool, key: &'static str, value: String, wanted: &'static str| {
            if fine { Ok(()) } else { Err(RuleError::OutOfRange { key, value, wanted }) }
        };
        check(self.psi > 0.0 && self.psi <= 100.0, "psi", self.psi.to_string(), "above 0 and at most 100")?;
        check(self.ks > 0.0 && self.ks <= 1.0, "ks", self.ks.to_string(), "above 0 and at most 1")?;
        check(self.q > 0.0 && self.q <= 1.0, "q", self.q.to_string(), "above 0 and at most 1")?;
        check((2..=1_000).contains(&self.bins), "bins", self.bins.to_string(), "2 to 1000")?;
        for (key, span) in [("lookback", self.lookback), ("gap", self.gap), ("accept_after", self.accept_after)] {
            check(span > Span::ZERO, key, span.to_string(), "more than 0s")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_has_a_default_and_wrong_ones_are_named() {
        let rule: DriftRule = serde_json::from_str(r#"{"psi": 0.25, "lookback": "2w"}"#).unwrap();
        assert_eq!(rule, DriftRule { psi: 0.25, lookback: Span::from_days(14), ..DriftRule::default() });
        assert!(rule.validate().is_ok());
        assert!(serde_json::from_str::<DriftRule>(r#"{"pis": 1}"#).unwrap_err().to_string().contains("unknown field `pis`"));
        assert_eq!(DriftRule { ks: 2.0, ..rule }.validate().unwrap_err().to_string(), "ks is 2, but must be above 0 and at most 1");
    }
}
