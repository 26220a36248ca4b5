//! A rule as people write it in YAML, and the way from there to a [`Rule`].

use bellwether_model::id::RuleName;
use bellwether_model::signal::{Method, Severity};
use bellwether_model::time::Span;
use bellwether_model::unit::Unit;
use bellwether_model::zone::Zone;
use serde::{Deserialize, Serialize};

use crate::calendar::{self, Calendar, Cycle, Date};
use crate::crowd::Peers;
use crate::preset::Preset;
use crate::quantity;
use crate::rule::{MethodSpec, Persistence, Rule, RuleError, Season, Watch};
use crate::silence::{AutoSilence, Flapping};
use crate::switch::Switch;

/// A rule as it is written in YAML, alone or under another crate's metric rule; unknown keys are refused.
///
/// Keys: `name`, `metric`, `unit`, `watch`, `method` (`zscore`, `ewma`, `bound`, `seasonal`, `mstl`, `peers`, `novelty`, `telemetry`, `auto`; default `zscore`),
/// `threshold`, `season`, `slot`, `zone`, `holidays`, `group_by`, `half_life`, `weight`, `above`, `below`, `persistence`, `min_deviation`, `min_ratio`, `min_samples`, `lookback`, `gap`,
/// `severity`, `calm`, `accept_after`, `learns`, `fit`, `auto_silence`, `flapping`, `peers`. Times are texts such as `30m`; numbers may carry a unit (`20ms`, `70%`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)] // each key is documented at the field of Rule that it becomes
pub struct Judging {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<RuleName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<Unit>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watch: Option<Watch>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<Method>,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "quantity::read")]
    pub threshold: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub season: Option<calendar::Season>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<Zone>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holidays: Vec<Date>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub group_by: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<Span>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub half_life: Option<Span>,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "quantity::read")]
    pub weight: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "quantity::read")]
    pub above: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "quantity::read")]
    pub below: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub persistence: Option<Persistence>,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "quantity::read")]
    pub min_deviation: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "quantity::read")]
    pub min_ratio: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_samples: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lookback: Option<Span>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gap: Option<Span>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calm: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accept_after: Option<Span>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learns: Option<bool>,
    /// A file of choices that stands for method, weight and threshold: whoever reads rules from files puts the choice in its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fit: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_silence: Option<Switch<AutoSilence>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flapping: Option<Switch<Flapping>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peers: Option<Switch<Peers>>,
}

impl Judging {
    /// The rule that this text means for a metric; what the text names itself wins over the arguments.
    ///
    /// # Errors
    /// Settings that belong to another method or are out of range, as [`Rule::validate`] says.
    pub fn rule(self, name: &RuleName, metric: &str, unit: Unit) -> Result<Rule, RuleError> {
        let method = self.method.unwrap_or(Method::Zscore);
        self.refuse_foreign(method)?;
        if self.fit.is_some() {
            return Err(RuleError::Unread);
        }
        let season = self.season.and_then(calendar::Season::cycle);
        let seasonal_threshold = self.threshold.unwrap_or(5.0);
        let method = match method {
            Method::Zscore => MethodSpec::Zscore {
                threshold: self.threshold.unwrap_or(4.0),
                season: season.map(|cycle| Season { cycle, slot: self.slot.unwrap_or(Span::from_mins(30)) }),
            },
            Method::Ewma => {
                MethodSpec::Ewma { threshold: self.threshold.unwrap_or(4.0), half_life: self.half_life.unwrap_or(Span::from_mins(30)) }
            }
            Method::Bound => MethodSpec::Bound { above: self.above, below: self.below },
            Method::Novelty | Method::Telemetry | Method::Auto => MethodSpec::Preset {
                preset: match method {
                    Method::Novelty => Preset::Novelty,
                    Method::Telemetry => Preset::Telemetry,
                    _ => Preset::Auto,
                },
                weight: self.weight,
                threshold: self.threshold.unwrap_or(1.0),
            },
            Method::Seasonal => {
                let season = self.season.unwrap_or(calendar::Season::Of(Cycle::HourOfDay));
                MethodSpec::Seasonal { threshold: seasonal_threshold, season: season.cycle() }
            }
            Method::Mstl => MethodSpec::Mstl { threshold: seasonal_threshold },
            Method::Peers => MethodSpec::Peers { threshold: seasonal_threshold },
            Method::Psi | Method::Ks => return Err(RuleError::NotForMetrics(method)),
        };
        let watch = match method {
            MethodSpec::Bound { above: Some(_), below: None } => Watch::Up,
            MethodSpec::Bound { above: None, below: Some(_) } => Watch::Down,
            MethodSpec::Bound { .. } => Watch::Both,
            _ => self.watch.unwrap_or_default(),
        };
        let gap = self.gap.unwrap_or(Span::from_hours(1));
        let is_preset = matches!(method, MethodSpec::Preset { .. });
        let is_scored = !matches!(method, MethodSpec::Zscore { .. } | MethodSpec::Ewma { .. } | MethodSpec::Bound { .. });
        let is_once = is_scored && !matches!(method, MethodSpec::Peers { .. });
        let persistence = self.persistence.unwrap_or(if is_once { Persistence::ONCE } else { Persistence::default() });
        let rule = Rule {
            name: self.name.unwrap_or_else(|| name.clone()),
            metric: self.metric.unwrap_or_else(|| metric.to_owned()),
            unit: self.unit.unwrap_or(unit),
            watch,
            method,
            calendar: Calendar { zone: self.zone.unwrap_or_default(), holidays: self.holidays },
            group_by: self.group_by,
            persistence,
            min_deviation: self.min_deviation.unwrap_or(0.0),
            min_ratio: self.min_ratio.unwrap_or(0.0),
            min_samples: self.min_samples.unwrap_or(match method {
                MethodSpec::Preset { preset, .. } => preset.warm_up(),
                _ if is_once => 24,
                _ => 16,
            }),
            lookback: self.lookback.unwrap_or(Span::from_days(match season {
                Some(Cycle::DayOfMonth) => 186,
                Some(Cycle::HourOfWeek) => 28,
                _ if is_once => 28,
                _ => 7,
            })),
            gap,
            severity: self.severity.unwrap_or(Severity::Warning),
            calm: self.calm.unwrap_or(if is_preset { persistence.n().max(12) } else { persistence.n() }),
            accept_after: self.accept_after.unwrap_or(if is_scored { gap.times(i64::from(persistence.n())) } else { Span::from_hours(24) }),
            learns: self.learns.unwrap_or(matches!(method, MethodSpec::Zscore { .. })),
            auto_silence: self.auto_silence.unwrap_or(unless_bound(&method)).setting(),
            flapping: self.flapping.unwrap_or(unless_bound(&method)).setting(),
            peers: if takes_peers(&method) { self.peers.unwrap_or(Switch::On).setting() } else { None },
        };
        rule.validate()?;
        Ok(rule)
    }

    fn refuse_foreign(&self, method: Method) -> Result<(), RuleError> {
        let bound = method == Method::Bound;
        let preset = matches!(method, Method::Novelty | Method::Telemetry | Method::Auto);
        let scored = preset || matches!(method, Method::Seasonal | Method::Mstl | Method::Peers);
        let has_calendar = match (method, self.season) {
            (Method::Mstl, _) | (Method::Seasonal, None) => true,
            (_, season) => season.and_then(calendar::Season::cycle).is_some_and(Cycle::is_of_calendar),
        };
        let zscore_or_seasonal = method == Method::Seasonal || (method == Method::Zscore && self.season != Some(calendar::Season::Auto));
        const OF_CALENDAR: &str = "it belongs to a season of the calendar: hour of day, hour of week or day of month";
        let keys = [
            (
                "season",
                self.season.is_some(),
                zscore_or_seasonal,
                "a season belongs to zscore and seasonal, and seasonal alone looks for one",
            ),
            ("slot", self.slot.is_some(), method == Method::Zscore && self.season.is_some(), "a slot belongs to zscore with a season"),
            ("zone", self.zone.is_some(), has_calendar, OF_CALENDAR),
            ("holidays", !self.holidays.is_empty(), has_calendar, OF_CALENDAR),
            ("group_by", !self.group_by.is_empty(), method == Method::Peers, "only peers are a group"),
            ("half_life", self.half_life.is_some(), method == Method::Ewma, "a half-life belongs to ewma"),
            ("threshold", self.threshold.is_some(), !bound, "bound takes above and below"),
            ("min_ratio", self.min_ratio.is_some(), !bound, "nothing is expected of a bound but the bound itself"),
            ("watch", self.watch.is_some(), !bound, "bound judges the sides it gives"),
            ("learns", self.learns.is_some(), !bound && !scored, "a bound has no baseline, and this method learns from every point"),
            (
                "accept_after",
                self.accept_after.is_some(),
                !scored,
                "a method that learns from every point gets used to a new level by itself",
            ),
            ("weight", self.weight.is_some(), method == Method::Auto, "a weight of novelty belongs to auto"),
            (
                "peers",
                self.peers.as_ref().is_some_and(|p| *p != Switch::Off),
                !bound && !preset,
                "a bound needs no history, and a preset learns from one series",
            ),
            ("above", self.above.is_some(), bound, "choose method: bound"),
            ("below", self.below.is_some(), bound, "choose method: bound"),
        ];
        match keys.into_iter().find(|(_, given, fits, _)| *given && !*fits) {
            Some((key, _, _, hint)) => Err(RuleError::Foreign { key, method, hint }),
            None => Ok(()),
        }
    }
}

/// Who gave a bound wants to be told each time that it is broken, so nothing keeps it quiet unless that is written.
fn unless_bound<T>(method: &MethodSpec) -> Switch<T> {
    if matches!(method, MethodSpec::Bound { .. }) { Switch::Off } else { Switch::On }
}

/// Whether a newcomer's peers can say what is usual.
fn takes_peers(method: &MethodSpec) -> bool {
    matches!(method, MethodSpec::Zscore { .. } | MethodSpec::Ewma { .. })
}

impl TryFrom<Judging> for Rule {
    type Error = RuleError;
    fn try_from(text: Judging) -> Result<Self, RuleError> {
        let name = text.name.clone().ok_or(RuleError::Nameless)?;
        let metric = text.metric.clone().unwrap_or_else(|| name.as_str().to_owned());
        text.rule(&name, &metric, Unit::Number)
    }
}

impl From<Rule> for Judging {
    fn from(rule: Rule) -> Self {
        let cycle = rule.cycle();
        let mut text = Self {
            name: Some(rule.name),
            metric: Some(rule.metric),
            unit: Some(rule.unit),
            persistence: Some(rule.persistence),
            min_deviation: Some(rule.min_deviation),
            min_samples: Some(rule.min_samples),
            lookback: Some(rule.lookback),
            gap: Some(rule.gap),
            severity: Some(rule.severity),
            calm: Some(rule.calm),
            accept_after: Some(rule.accept_after),
            auto_silence: Some(rule.auto_silence.into()),
            flapping: Some(rule.flapping.into()),
            peers: Some(rule.peers.into()),
            ..Self::default()
        };
        match rule.method {
            MethodSpec::Zscore { threshold, season } => {
                (text.method, text.threshold) = (Some(Method::Zscore), Some(threshold));
                (text.season, text.slot) = (season.map(|s| calendar::Season::Of(s.cycle)), season.map(|s| s.slot));
            }
            MethodSpec::Ewma { threshold, half_life } => {
                (text.method, text.threshold, text.half_life) = (Some(Method::Ewma), Some(threshold), Some(half_life));
            }
            MethodSpec::Bound { above, below } => (text.method, text.above, text.below) = (Some(Method::Bound), above, below),
            MethodSpec::Preset { preset, weight, threshold } => {
                (text.method, text.weight, text.threshold) = (Some(preset.into()), weight, Some(threshold));
            }
            MethodSpec::Seasonal { threshold, season } => {
                (text.method, text.threshold) = (Some(Method::Seasonal), Some(threshold));
                text.season = Some(season.map_or(calendar::Season::Auto, calendar::Season::Of));
            }
            MethodSpec::Mstl { threshold } => (text.method, text.threshold) = (Some(Method::Mstl), Some(threshold)),
            MethodSpec::Peers { threshold } => {
                (text.method, text.threshold, text.group_by) = (Some(Method::Peers), Some(threshold), rule.group_by);
            }
        }
        if cycle.is_some_and(Cycle::is_of_calendar) {
            (text.zone, text.holidays) = (Some(rule.calendar.zone), rule.calendar.holidays);
        }
        if text.method != Some(Method::Bound) {
            (text.watch, text.min_ratio) = (Some(rule.watch), Some(rule.min_ratio));
        }
        match rule.method {
            MethodSpec::Zscore { .. } | MethodSpec::Ewma { .. } => text.learns = Some(rule.learns),
            MethodSpec::Bound { .. } => {}
            _ => text.accept_after = None,
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: serde_json::Value) -> Result<Rule, String> {
        serde_json::from_value(json).map_err(|e| e.to_string())
    }

    #[test]
    fn a_name_is_enough_and_texts_are_quantities() {
        let rule = read(serde_json::json!({"name": "latency_p95"})).unwrap();
        assert_eq!(rule, Rule::new("latency_p95", "latency_p95", Unit::Number));
        assert_eq!((rule.persistence.to_string().as_str(), rule.calm, rule.min_samples), ("2 of 3", 3, 16));
        let rule = read(serde_json::json!({"name": "slow", "metric": "latency_p95", "unit": "seconds", "method": "zscore", "threshold": 5,
            "season": "1d", "watch": "up", "persistence": "3 of 5", "min_deviation": "20ms", "min_ratio": "10%", "lookback": "14d", "severity": "critical"}))
        .unwrap();
        let season = Some(Season { cycle: Cycle::Every(Span::from_days(1)), slot: Span::from_mins(30) });
        assert_eq!(rule.method, MethodSpec::Zscore { threshold: 5.0, season });
        assert_eq!((rule.min_deviation, rule.min_ratio, rule.calm, rule.watch), (0.02, 0.1, 5, Watch::Up));
        let back = serde_json::to_value(&rule).unwrap();
        assert_eq!(read(back).unwrap(), rule);
        let local =
            read(serde_json::json!({"name": "l", "season": "hour of week", "zone": "Europe/Berlin", "holidays": ["2026-12-25"]})).unwrap();
        assert_eq!((local.cycle(), local.lookback), (Some(Cycle::HourOfWeek), Span::from_days(28)));
        assert_eq!((local.calendar.zone.to_string().as_str(), local.calendar.holidays.len()), ("Europe/Berlin", 1));
        assert_eq!(read(serde_json::to_value(&local).unwrap()).unwrap(), local);
        let bound = read(serde_json::json!({"name": "b", "method": "bound", "above": "500ms"})).unwrap();
        assert_eq!((bound.method, bound.watch), (MethodSpec::Bound { above: Some(0.5), below: None }, Watch::Up));
        assert_eq!(read(serde_json::to_value(&bound).unwrap()).unwrap(), bound);
        let weekly = read(serde_json::json!({"name": "s", "method": "seasonal", "season": "hour of week", "zone": "Asia/Tokyo"})).unwrap();
        assert_eq!(weekly.method, MethodSpec::Seasonal { threshold: 5.0, season: Some(Cycle::HourOfWeek) });
        assert_eq!((weekly.persistence, weekly.lookback, weekly.min_samples), (Persistence::ONCE, Span::from_days(28), 24));
        for json in [
            serde_json::json!({"name": "s", "method": "seasonal", "holidays": ["2026-12-25"]}),
            serde_json::json!({"name": "s", "method": "seasonal", "season": "auto"}),
            serde_json::json!({"name": "s", "method": "mstl", "zone": "Asia/Tokyo", "threshold": 5}),
            serde_json::json!({"name": "s", "method": "peers", "group_by": ["pool"]}),
        ] {
            let rule = read(json).unwrap();
            assert_eq!(read(serde_json::to_value(&rule).unwrap()).unwrap(), rule);
        }
        assert_eq!((bound.auto_silence, bound.flapping), (None, None), "a bound is told each time unless it says otherwise");
        assert_eq!((rule.auto_silence, rule.flapping), (Some(AutoSilence::default()), Some(Flapping::default())));
        let quiet = read(serde_json::json!({"name": "b", "method": "bound", "above": 1, "auto_silence": {"share": "60%", "window": "2d"}, "flapping": "on"})).unwrap();
        assert_eq!(quiet.auto_silence, Some(AutoSilence { share: 0.6, window: Span::from_days(2), signals: 2 }));
        assert_eq!(read(serde_json::to_value(&quiet).unwrap()).unwrap(), quiet);
        let loud = read(serde_json::json!({"name": "l", "auto_silence": "off", "flapping": false})).unwrap();
        assert_eq!((loud.auto_silence, loud.flapping), (None, None));
        assert_eq!(read(serde_json::to_value(&loud).unwrap()).unwrap(), loud);
        let auto = read(serde_json::json!({"name": "a", "method": "auto", "weight": 0.25, "threshold": 0.9})).unwrap();
        assert_eq!(auto.method, MethodSpec::Preset { preset: Preset::Auto, weight: Some(0.25), threshold: 0.9 });
        assert_eq!((auto.persistence, auto.calm, auto.lookback), (Persistence::ONCE, 12, Span::from_days(28)));
        assert_eq!(read(serde_json::to_value(&auto).unwrap()).unwrap(), auto);
    }

    #[test]
    fn wrong_rules_say_what_would_be_right() {
        for (json, says) in [
            (serde_json::json!({}), "needs a name"),
            (serde_json::json!({"name": "x", "treshold": 3}), "unknown field `treshold`"),
            (serde_json::json!({"name": "x", "threshold": 0}), "threshold is 0, but must be above 0"),
            (serde_json::json!({"name": "x", "threshold": "fast"}), "not a quantity"),
            (serde_json::json!({"name": "x", "persistence": "4 of 3"}), "write it as \"2 of 3\""),
            (serde_json::json!({"name": "x", "season": "auto"}), "seasonal alone looks for one"),
            (serde_json::json!({"name": "x", "method": "mstl", "lookback": "7d"}), "lookback is 7d, but must be at least 14d"),
            (serde_json::json!({"name": "x", "method": "seasonal", "season": "7d", "lookback": "3d"}), "season is 7d, but must be above 0"),
            (serde_json::json!({"name": "x", "group_by": ["pool"]}), "only peers are a group"),
            (serde_json::json!({"name": "x", "method": "bound"}), "needs above, below or both"),
            (serde_json::json!({"name": "x", "method": "ewma", "season": "1d"}), "season belongs to zscore"),
            (
                serde_json::json!({"name": "x", "weight": 0.5}),
                "weight does not belong to method zscore; a weight of novelty belongs to auto",
            ),
            (serde_json::json!({"name": "x", "method": "auto", "weight": 1.5}), "weight is 1.5, but must be 0 to 1"),
            (serde_json::json!({"name": "x", "method": "novelty", "accept_after": "2d"}), "gets used to a new level by itself"),
            (serde_json::json!({"name": "x", "above": 3}), "above does not belong to method zscore; choose method: bound"),
            (serde_json::json!({"name": "x", "method": "psi"}), "judges columns"),
            (
                serde_json::json!({"name": "x", "season": "1d", "lookback": "12h"}),
                "season is 1d, but must be above 0 and at most the lookback, which is 12h",
            ),
            (
                serde_json::json!({"name": "x", "season": "hour of week", "lookback": "5d"}),
                "season is hour of week, but must be above 0 and at most the lookback, which is 5d",
            ),
            (serde_json::json!({"name": "x", "season": "hour of year"}), "is no season; write hour of day"),
            (serde_json::json!({"name": "x", "season": "hour of day", "slot": "12h"}), "less than half a day"),
            (
                serde_json::json!({"name": "x", "season": "hour of day", "zone": "Berlin"}),
                "\"Berlin\" is not a time zone; write it as Europe/Berlin",
            ),
            (serde_json::json!({"name": "x", "season": "1d", "zone": "Europe/Berlin"}), "it belongs to a season of the calendar"),
            (
                serde_json::json!({"name": "x", "season": "hour of day", "holidays": ["25.12.2026"]}),
                "\"25.12.2026\" is not a date; write it as 2026-12-25",
            ),
            (serde_json::json!({"name": "x", "method": "ewma", "holidays": ["2026-12-25"]}), "holidays does not belong to method ewma"),
            (serde_json::json!({"name": "x", "season": "3h", "slot": "90m"}), "half the season"),
            (serde_json::json!({"name": "x", "method": "ewma", "half_life": "3d"}), "a quarter of the lookback"),
            (serde_json::json!({"name": "x", "calm": 1}), "at least the n"),
            (serde_json::json!({"name": "x", "lookback": "7 days"}), "not a duration"),
            (
                serde_json::json!({"name": "x", "auto_silence": {"share": "150%"}}),
                "auto_silence.share is 1.5, but must be above 0 and below",
            ),
            (serde_json::json!({"name": "x", "auto_silence": {"shar": 0.5}}), "unknown field `shar`"),
            (serde_json::json!({"name": "x", "flapping": {"times": 1}}), "flapping.times is 1, but must be at least 2"),
            (serde_json::json!({"name": "x", "flapping": "never"}), "neither off nor on"),
            (serde_json::json!({"name": "x", "method": "bound", "above": 1, "peers": ["pod"]}), "a bound needs no history"),
        ] {
            let error = read(json.clone()).unwrap_err();
            assert!(error.contains(says), "{json}: {error}");
        }
    }
}
