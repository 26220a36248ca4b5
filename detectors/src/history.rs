//! How much history a series has, and how much a rule needs, where it was too little to judge.

use std::fmt;

use bellwether_model::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::calendar::Cycle;
use crate::kernel::seasonal;
use crate::phases::Phases;
use crate::rule::{MethodSpec, Rule, Season};

/// What is there, and what is needed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum History {
    /// Samples in the baseline.
    Samples {
        /// So many are there.
        has: u64,
        /// So many are needed.
        needs: u64,
    },
    /// Earlier seasons with a sample at the phase of the latest one.
    Seasons {
        /// So many are there.
        has: u64,
        /// So many are needed, where each has as many samples as those that are there.
        needs: u64,
        /// One season: `day`, `week`, `month`, `season`.
        noun: String,
    },
    /// The method learns from whole stretches of time, and the first one of this series is not over.
    Until {
        /// Its samples are judged from here on.
        from: Timestamp,
    },
    /// Too few series behave alike to say which one departs.
    Alone,
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Samples { has, needs } => write!(f, "{has} of {needs} samples"),
            Self::Seasons { has, needs, noun } => write!(f, "{has} of {needs} {noun}s"),
            Self::Until { from } => write!(f, "learning until {from}"),
            Self::Alone => f.write_str("fewer than three series that behave alike"),
        }
    }
}

/// What a rule has of a series, as of its latest sample; of measurements in order of time. What opened or ended signals keep out
/// of the baseline is not taken off.
pub fn history(rule: &Rule, ts: &[i64]) -> History {
    let (needs, last) = (u64::from(rule.min_samples), ts.last().copied().unwrap_or_default());
    let before = ts.len().saturating_sub(rule.persistence.n() as usize);
    let within = |from: i64, to: i64| {
        let (low, high) = (ts[..before].partition_point(|t| *t < from), ts[..before].partition_point(|t| *t <= to));
        high.saturating_sub(low) as u64
    };
    match rule.method {
        MethodSpec::Zscore { season: Some(Season { cycle, slot }), .. } => {
            let mut phases = Phases::new(cycle, rule.calendar.clone(), rule.lookback);
            phases.turn_to(last);
            let around = |d: &i64| within((last - d).saturating_sub(slot.micros()), (last - d).saturating_add(slot.micros()));
            let counts: Vec<u64> = phases.distances().iter().map(around).filter(|n| *n > 0).collect();
            let (has, samples) = (counts.len() as u64, counts.iter().sum::<u64>());
            let needs = if samples == 0 { 2 } else { (needs * has).div_ceil(samples).max(has + 1) };
            History::Seasons { has, needs, noun: cycle.noun().to_owned() }
        }
        MethodSpec::Zscore { .. } | MethodSpec::Ewma { .. } | MethodSpec::Bound { .. } => {
            History::Samples { has: within(last.saturating_sub(rule.lookback.micros()), last), needs }
        }
        _ => learned(rule, ts, last),
    }
}

/// What a method has that learns from one stretch of time for the next.
fn learned(rule: &Rule, ts: &[i64], last: i64) -> History {
    let length = rule.lookback.micros().max(1);
    let begins = last.div_euclid(length).saturating_mul(length);
    let before = ts.partition_point(|t| *t < begins.saturating_sub(length));
    let Some(first) = ts.get(before).filter(|t| **t < begins) else {
        return History::Until { from: Timestamp::from_micros(begins.saturating_add(length)) };
    };
    match (rule.method, rule.cycle()) {
        (MethodSpec::Peers { .. }, _) => History::Alone,
        (method, Some(cycle)) => {
            // A week that is not known yet is no reason not to judge.
            let cycle = if matches!(method, MethodSpec::Mstl { .. }) { Cycle::HourOfDay } else { cycle };
            // A running median needs some values, and then distances from it.
            let needs = seasonal::LEAST as u64;
            let has = ((last - first) / cycle.length().micros().max(1)) as u64;
            History::Seasons { has: has.min(needs - 1), needs, noun: cycle.noun().to_owned() }
        }
        _ => History::Samples { has: (ts.len() - before) as u64, needs: u64::from(rule.min_samples) + 1 },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000_000;

    fn rule(json: serde_json::Value) -> Rule {
        let mut text = serde_json::json!({"name": "x", "gap": "3h"});
        json.as_object().unwrap().iter().for_each(|(k, v)| text[k] = v.clone());
        serde_json::from_value(text).unwrap()
    }

    fn said(json: serde_json::Value, first_hour: i64, hours: i64) -> String {
        let ts: Vec<i64> = (first_hour..first_hour + hours).map(|h| h * HOUR).collect();
        history(&rule(json), &ts).to_string()
    }

    #[test]
    fn what_is_there_and_what_is_needed_is_said_in_seasons() {
        let daily = serde_json::json!({"season": "hour of day", "zone": "Europe/Berlin", "min_samples": 6});
        assert_eq!(said(daily.clone(), 0, 80), "3 of 6 days");
        assert_eq!(said(daily, 0, 20), "0 of 2 days");
        let weekly = serde_json::json!({"season": "hour of week", "min_samples": 4, "slot": "1h"});
        assert_eq!(said(weekly, 0, 200), "1 of 2 weeks", "three samples a week");
        assert_eq!(said(serde_json::json!({}), 0, 10), "7 of 16 samples");
        assert_eq!(said(serde_json::json!({"lookback": "4h"}), 0, 100), "2 of 16 samples");
        // Stretches of 28 days begin on 1 January 1970.
        let seasonal = serde_json::json!({"method": "seasonal"});
        assert_eq!(said(seasonal.clone(), 10 * 24, 100), "learning until 1970-01-29T00:00:00Z");
        assert_eq!(said(seasonal, 27 * 24, 48), "1 of 3 days");
        assert_eq!(said(serde_json::json!({"method": "mstl"}), 27 * 24, 2 * 24), "1 of 3 days");
        assert_eq!(said(serde_json::json!({"method": "peers"}), 6 * 24, 48), "fewer than three series that behave alike");
        assert_eq!(said(serde_json::json!({"method": "telemetry", "min_samples": 90}), 27 * 24, 48), "48 of 91 samples");
        assert_eq!(said(serde_json::json!({}), 0, 0), "0 of 16 samples");
    }
}
