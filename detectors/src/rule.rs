//! What a person writes of how a metric is judged.

use std::fmt;
use std::str::FromStr;

use bellwether_model::id::RuleName;
use bellwether_model::signal::{Method, Severity};
use bellwether_model::time::{Span, Timestamp};
use bellwether_model::unit::Unit;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::calendar::{Calendar, Cycle};
use crate::course;
use crate::crowd::Peers;
use crate::judging::Judging;
use crate::phases::Phases;
use crate::preset::Preset;
use crate::silence::{AutoSilence, Flapping};

/// How one metric is judged: one method, its line, and what keeps false alarms down. A metric may have several rules.
///
/// A value deviates when it differs from what is expected by more than *all* of: the method's own limit,
/// `min_deviation`, and `min_ratio` of the expected value. A signal opens when `persistence` is met.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Judging", into = "Judging")]
pub struct Rule {
    /// Name of the rule; part of the identity of its signals.
    pub name: RuleName,
    /// Metric whose series it judges.
    pub metric: String,
    /// Unit of the metric's values.
    pub unit: Unit,
    /// Which side is judged. Default: both. A `bound` rule judges the sides it gives a bound for.
    pub watch: Watch,
    /// The method with its own settings.
    pub method: MethodSpec,
    /// The clocks and holidays by which a season of the calendar is told. Default UTC, no holidays.
    pub calendar: Calendar,
    /// Labels whose values the peers of a series have in common; only for `peers`. Default none: all series of the metric are peers.
    pub group_by: Vec<String>,
    /// How many of the latest points must deviate before a signal opens. Default: 2 of 3, and 1 of 1 for presets, seasonal and mstl.
    pub persistence: Persistence,
    /// A deviation smaller than this is never one, in the base unit. Default 0.
    pub min_deviation: f64,
    /// A deviation smaller than this share of the expected value is never one. Default 0.
    pub min_ratio: f64,
    /// Samples the baseline needs before anything is judged. Default 16; 500 for novelty, 24 for telemetry and auto.
    pub min_samples: u32,
    /// How far back the baseline reaches. Default 7 days; 28 for presets, which look at one to two of it (see [`crate::course`]).
    pub lookback: Span,
    /// A series without a point for this long is gone: persistence starts anew, and an open signal ends with "no data".
    /// Default 1 hour; give more for series with rarer points.
    pub gap: Span,
    /// How bad its signals are. Default `warning`.
    pub severity: Severity,
    /// Points in the band, one after the other, that end a signal; at least the `n` of `persistence`, which is the default. For
    /// presets 12, because they call an event once and then say no more of it.
    pub calm: u32,
    /// A signal open for this long is accepted: its level becomes the new normal. Default 24 hours. Bounds are never accepted, and a
    /// preset learns by itself.
    pub accept_after: Span,
    /// Whether the points of a signal that ended feed the baseline, so that what comes every day is learned; while it is open they
    /// never do. Default: yes for zscore, whose window is long; no for ewma, whose memory one signal would fill. A preset learns from all.
    pub learns: bool,
    /// When its signals are no longer told because a series deviates most of the time: [`crate::silence`]. Default on; off for bounds.
    pub auto_silence: Option<AutoSilence>,
    /// When its signals are no longer told because they come and go: [`crate::silence`]. Default on; off for bounds.
    pub flapping: Option<Flapping>,
    /// Which labels tell instances apart, so that a new series is judged by its peers until it has a history of its own:
    /// [`crate::crowd`]. Default on for zscore and ewma; the others have none.
    pub peers: Option<Peers>,
}

/// Which deviations count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Watch {
    /// Only values that are too high.
    Up,
    /// Only values that are too low.
    Down,
    /// Either.
    #[default]
    Both,
}

/// A method and its settings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum MethodSpec {
    /// Distance from the rolling mean in rolling standard deviations: [`crate::zscore`].
    Zscore {
        /// Standard deviations at the decision line. Default 4.
        threshold: f64,
        /// Where given, only points of the same phase of earlier seasons count.
        season: Option<Season>,
    },
    /// Distance from the exponentially weighted mean in exponentially weighted standard deviations: [`crate::ewma`].
    Ewma {
        /// Standard deviations at the decision line (L of the control chart). Default 4.
        threshold: f64,
        /// Time in which the weight of a sample halves. Default 30 minutes.
        half_life: Span,
    },
    /// A ready-made detector: [`crate::preset`].
    Preset {
        /// Which one.
        preset: Preset,
        /// For `auto`: the share of novelty in the score, 0 to 1, the rest is telemetry. `None`: one of both, by the series' typical step.
        weight: Option<f64>,
        /// The detector's score at the decision line. Default 1.
        threshold: f64,
    },
    /// Robust distance from the median of the same phase of earlier seasons: [`crate::seasons`].
    Seasonal {
        /// Robust standard deviations at the decision line. Default 5.
        threshold: f64,
        /// What repeats; `None`: it is looked for in the series. Default the hour of the day.
        season: Option<Cycle>,
    },
    /// Robust distance from level, day and week together: [`crate::seasons`].
    Mstl {
        /// Robust standard deviations at the decision line. Default 5.
        threshold: f64,
    },
    /// Departure from what the other series of its group explain: [`crate::crowd`].
    Peers {
        /// Robust standard deviations at the decision line. Default 5.
        threshold: f64,
    },
    /// Fixed bounds in the base unit: [`crate::bound`].
    Bound {
        /// Values above this deviate.
        above: Option<f64>,
        /// Values below this deviate.
        below: Option<f64>,
    },
}

/// A repeating pattern: the time of day, or of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Season {
    /// What repeats.
    pub cycle: Cycle,
    /// A point has the same phase when it is at most this far from it. Default 30 minutes.
    pub slot: Span,
}

/// `m` of the latest `n` points, 1 ≤ m ≤ n ≤ 64. Text form `2 of 3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Persistence {
    m: u32,
    n: u32,
}

impl Persistence {
    /// A single point is enough.
    pub const ONCE: Self = Self { m: 1, n: 1 };

    /// `m` of `n`, where 1 ≤ m ≤ n ≤ 64.
    pub const fn new(m: u32, n: u32) -> Option<Self> {
        if m >= 1 && m <= n && n <= 64 { Some(Self { m, n }) } else { None }
    }
    /// How many points must deviate.
    pub const fn m(self) -> u32 {
        self.m
    }
    /// Of how many latest points.
    pub const fn n(self) -> u32 {
        self.n
    }
}

impl Default for Persistence {
    fn default() -> Self {
        Self { m: 2, n: 3 }
    }
}

impl FromStr for Persistence {
    type Err = RuleError;
    fn from_str(s: &str) -> Result<Self, RuleError> {
        let parts = s.split_once(" of ").and_then(|(m, n)| Some((m.trim().parse().ok()?, n.trim().parse().ok()?)));
        parts.and_then(|(m, n)| Self::new(m, n)).ok_or_else(|| RuleError::Persistence(s.to_owned()))
    }
}

impl fmt::Display for Persistence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.m, self.n)
    }
}

impl Serialize for Persistence {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Persistence {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Why a rule cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum RuleError {
    /// The text is not a persistence.
    #[error("{0:?} is not a persistence; write it as \"2 of 3\", with 1 to 64 points")]
    Persistence(String),
    /// A rule that stands alone needs a name.
    #[error("the rule needs a name")]
    Nameless,
    /// A setting of another method.
    #[error("{key} does not belong to method {method}; {hint}")]
    Foreign {
        /// The key that was written.
        key: &'static str,
        /// The method that was chosen.
        method: Method,
        /// Where the key belongs.
        hint: &'static str,
    },
    /// A number is out of its range.
    #[error("{key} is {value}, but must be {wanted}")]
    OutOfRange {
        /// The setting.
        key: &'static str,
        /// What was written.
        value: String,
        /// What would be right.
        wanted: &'static str,
    },
    /// Drift of columns is not judged by metric rules.
    #[error(
        "method {0} judges columns of datasets, not metrics; choose zscore, ewma, bound, seasonal, mstl, peers, novelty, telemetry or auto"
    )]
    NotForMetrics(Method),
    /// The lookback does not hold one season.
    #[error("season is {season}, but must be above 0 and at most the lookback, which is {lookback}; a season of it lasts {}", season.length())]
    SeasonTooLong {
        /// What was written.
        season: Cycle,
        /// The rule's lookback.
        lookback: Span,
    },
    /// A file of choices that nobody read.
    #[error("fit belongs to the detect block of a metric in a file of rules")]
    Unread,
    /// A bound rule bounds nothing.
    #[error("method bound needs above, below or both")]
    NoBound,
}

impl Rule {
    /// The default rule for a metric: z-score against seven days, both sides, 2 of 3 points beyond 4 standard deviations.
    pub fn new(name: impl Into<String>, metric: impl Into<String>, unit: Unit) -> Self {
        let (name, metric) = (RuleName::new(name), metric.into());
        Judging::default().rule(&name, &metric, unit).expect("the defaults are valid, as a test shows")
    }

    /// The method's name.
    pub fn method_name(&self) -> Method {
        match self.method {
            MethodSpec::Zscore { .. } => Method::Zscore,
            MethodSpec::Ewma { .. } => Method::Ewma,
            MethodSpec::Bound { .. } => Method::Bound,
            MethodSpec::Preset { preset, .. } => preset.into(),
            MethodSpec::Seasonal { .. } => Method::Seasonal,
            MethodSpec::Mstl { .. } => Method::Mstl,
            MethodSpec::Peers { .. } => Method::Peers,
        }
    }

    /// Whether series of the metric are compared with each other.
    pub fn is_together(&self) -> bool {
        matches!(self.method, MethodSpec::Peers { .. })
    }

    /// Whether values are compared with the same phase of earlier seasons.
    pub fn is_seasonal(&self) -> bool {
        self.cycle().is_some()
    }

    /// What repeats, where values are compared with the same phase of earlier seasons.
    pub fn cycle(&self) -> Option<Cycle> {
        match self.method {
            MethodSpec::Zscore { season, .. } => season.map(|s| s.cycle),
            MethodSpec::Seasonal { season, .. } => season,
            MethodSpec::Mstl { .. } => Some(Cycle::HourOfWeek),
            _ => None,
        }
    }

    /// The earliest point that may count towards a signal which opens at `from`: M of N looks that far back.
    pub fn pends_from(&self, from: Timestamp) -> Timestamp {
        from - self.gap.times(i64::from(self.persistence.n) - 1)
    }

    /// The earliest point that judging from `from` on (or an open signal since `from`) may need.
    pub fn reaches_back_to(&self, from: Timestamp) -> Timestamp {
        let from = self.pends_from(from);
        let baseline = match self.method {
            MethodSpec::Zscore { season: Some(Season { cycle, slot }), .. } => Phases::reach_of(cycle, self.lookback) + slot,
            MethodSpec::Zscore { .. } | MethodSpec::Ewma { .. } => self.lookback,
            MethodSpec::Bound { .. } => Span::ZERO,
            MethodSpec::Preset { .. } | MethodSpec::Seasonal { .. } | MethodSpec::Mstl { .. } | MethodSpec::Peers { .. } => {
                return from.min(course::begins(self.lookback, from));
            }
        };
        // Peers are those of up to two slots before, and what they need to be grown up.
        let peers = if self.peers.is_some() { self.gap } else { Span::ZERO };
        from - baseline - peers
    }

    /// Whether the lookback holds a season.
    fn holds(&self, cycle: Cycle) -> Result<(), RuleError> {
        if cycle.length() > Span::ZERO && cycle.length() <= self.lookback {
            return Ok(());
        }
        Err(RuleError::SeasonTooLong { season: cycle, lookback: self.lookback })
    }

    /// Checks what the types cannot: every number in its range.
    ///
    /// # Errors
    /// The first setting that is out of its range, with what would be right.
    pub fn validate(&self) -> Result<(), RuleError> {
        let check = |fine: bool, key: &'static str, value: String, wanted: &'static str| {
            if fine { Ok(()) } else { Err(RuleError::OutOfRange { key, value, wanted }) }
        };
        let positive = |v: f64| v > 0.0 && v <= 1e6;
        match self.method {
            MethodSpec::Zscore { threshold, season } => {
                check(positive(threshold), "threshold", threshold.to_string(), "above 0 and at most 1000000")?;
                if let Some(Season { cycle, slot }) = season {
                    self.holds(cycle)?;
                    check(self.lookback <= cycle.length().times(64), "lookback", self.lookback.to_string(), "at most 64 seasons")?;
                    let (whole, wanted) = match cycle {
                        Cycle::Every(length) => (length, "less than half the season"),
                        _ => (Span::from_days(1), "less than half a day"),
                    };
                    check(slot.times(2) < whole, "slot", slot.to_string(), wanted)?;
                }
            }
            MethodSpec::Ewma { threshold, half_life } => {
                check(positive(threshold), "threshold", threshold.to_string(), "above 0 and at most 1000000")?;
                let fits = half_life > Span::ZERO && half_life.times(4) <= self.lookback;
                check(fits, "half_life", half_life.to_string(), "above 0 and at most a quarter of the lookback")?;
            }
            MethodSpec::Preset { weight, threshold, .. } => {
                check(positive(threshold), "threshold", threshold.to_string(), "above 0 and at most 1000000")?;
                let weight = weight.unwrap_or(0.0);
                check((0.0..=1.0).contains(&weight), "weight", weight.to_string(), "0 to 1")?;
            }
            MethodSpec::Seasonal { threshold, season } => {
                check(positive(threshold), "threshold", threshold.to_string(), "above 0 and at most 1000000")?;
                season.map_or(Ok(()), |cycle| self.holds(cycle))?;
            }
            MethodSpec::Mstl { threshold } => {
                check(positive(threshold), "threshold", threshold.to_string(), "above 0 and at most 1000000")?;
                let two_weeks = self.lookback >= Cycle::HourOfWeek.length().times(2);
                check(two_weeks, "lookback", self.lookback.to_string(), "at least 14d, because a week must have been seen twice")?;
            }
            MethodSpec::Peers { threshold } => {
                check(positive(threshold), "threshold", threshold.to_string(), "above 0 and at most 1000000")?
            }
            MethodSpec::Bound { above: None, below: None } => return Err(RuleError::NoBound),
            MethodSpec::Bound { above, below } => {
                for (key, bound) in [("above", above), ("below", below)] {
                    check(bound.is_none_or(|b| b.abs() <= 1e120), key, bound.unwrap_or(0.0).to_string(), "a finite number")?;
                }
                if let (Some(above), Some(below)) = (above, below) {
                    check(below <= above, "below", below.to_string(), "at most above")?;
                }
            }
        }
        let share = |v: f64| (0.0..=1e120).contains(&v);
        check(share(self.min_deviation), "min_deviation", self.min_deviation.to_string(), "0 or more")?;
        check(share(self.min_ratio), "min_ratio", self.min_ratio.to_string(), "0 or more")?;
        check(self.min_samples >= 2, "min_samples", self.min_samples.to_string(), "at least 2")?;
        check(self.lookback > Span::ZERO, "lookback", self.lookback.to_string(), "more than 0s")?;
        check(self.gap > Span::ZERO, "gap", self.gap.to_string(), "more than 0s")?;
        check(self.calm >= self.persistence.n, "calm", self.calm.to_string(), "at least the n of persistence")?;
        self.auto_silence.map_or(Ok(()), |keys| keys.validate())?;
        self.flapping.map_or(Ok(()), |keys| keys.validate())?;
        let confirming = self.gap.times(i64::from(self.persistence.n));
        check(self.accept_after >= confirming, "accept_after", self.accept_after.to_string(), "at least n gaps, n as in persistence")
    }
}
