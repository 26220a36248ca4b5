//! Instants, spans and ranges of time. Clocks are arguments: nothing here reads one.

use std::fmt;
use std::ops::{Add, Sub};
use std::str::FromStr;

use chrono::{DateTime, NaiveDate, NaiveDateTime, SecondsFormat, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An instant: microseconds since 1970-01-01T00:00:00Z.
///
/// Serialises as RFC 3339 text in UTC. Parses RFC 3339; text without a zone is taken as UTC, a bare date as its midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

/// The text is not a time this program understands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a time; write it as 2026-01-31T08:00:00Z")]
pub struct ParseTimestampError(pub String);

impl Timestamp {
    /// The earliest instant that calendar functions accept here: the Unix epoch.
    pub const EPOCH: Self = Self(0);

    /// From microseconds since the epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }
    /// From milliseconds since the epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(1_000))
    }
    /// From seconds since the epoch.
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1_000_000))
    }
    /// Microseconds since the epoch.
    pub const fn micros(self) -> i64 {
        self.0
    }
    /// Milliseconds since the epoch, rounded down.
    pub const fn millis(self) -> i64 {
        self.0.div_euclid(1_000)
    }
    /// Seconds since the epoch, rounded down.
    pub const fn secs(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }
    /// Seconds since the epoch with the fraction, as Prometheus writes times.
    pub fn secs_f64(self) -> f64 {
        self.0 as f64 / 1e6
    }
    /// Days since the epoch in UTC: the partition key of samples.
    pub const fn day(self) -> i32 {
        self.0.div_euclid(86_400_000_000) as i32
    }
    /// The latest multiple of `step` since the epoch that is not after this instant.
    pub const fn floor(self, step: Span) -> Self {
        if step.0 <= 0 { self } else { Self(self.0.div_euclid(step.0) * step.0) }
    }
    /// The calendar time in UTC. Instants outside chrono's range clamp to the epoch.
    pub fn utc(self) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(self.0).unwrap_or_default()
    }
    /// The span from `earlier` to this instant; zero when `earlier` is later.
    pub const fn since(self, earlier: Self) -> Span {
        let d = self.0.saturating_sub(earlier.0);
        Span(if d < 0 { 0 } else { d })
    }
}

impl From<DateTime<Utc>> for Timestamp {
    fn from(t: DateTime<Utc>) -> Self {
        Self(t.timestamp_micros())
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.utc().to_rfc3339_opts(SecondsFormat::AutoSi, true))
    }
}

impl FromStr for Timestamp {
    type Err = ParseTimestampError;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let text = s.trim();
        if let Ok(t) = DateTime::parse_from_rfc3339(text) {
            return Ok(t.with_timezone(&Utc).into());
        }
        for format in ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"] {
            if let Ok(t) = NaiveDateTime::parse_from_str(text, format) {
                return Ok(t.and_utc().into());
            }
        }
        if let Ok(t) = DateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f%#z") {
            return Ok(t.with_timezone(&Utc).into());
        }
        if let Some(t) = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().and_then(|d| d.and_hms_opt(0, 0, 0)) {
            return Ok(t.and_utc().into());
        }
        Err(ParseTimestampError(s.to_owned()))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(d)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl Add<Span> for Timestamp {
    type Output = Self;
    fn add(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

impl Sub<Span> for Timestamp {
    type Output = Self;
    fn sub(self, span: Span) -> Self {
        Self(self.0.saturating_sub(span.0))
    }
}

/// A length of time in microseconds, never negative. Text form: `90s`, `5m`, `1h30m`, `14d`, `2w`, `250ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span(i64);

/// The text is not a length of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a duration; write it as 60s, 5m, 1h30m or 14d")]
pub struct ParseSpanError(pub String);

impl Span {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// From whole microseconds; negative input becomes zero.
    pub const fn from_micros(micros: i64) -> Self {
        Self(if micros < 0 { 0 } else { micros })
    }
    /// From whole seconds; negative input becomes zero.
    pub const fn from_secs(secs: i64) -> Self {
        Self::from_micros(secs.saturating_mul(1_000_000))
    }
    /// From whole minutes.
    pub const fn from_mins(mins: i64) -> Self {
        Self::from_secs(mins.saturating_mul(60))
    }
    /// From whole hours.
    pub const fn from_hours(hours: i64) -> Self {
        Self::from_secs(hours.saturating_mul(3_600))
    }
    /// From whole days of 24 hours.
    pub const fn from_days(days: i64) -> Self {
        Self::from_secs(days.saturating_mul(86_400))
    }
    /// Microseconds.
    pub const fn micros(self) -> i64 {
        self.0
    }
    /// Whole seconds, rounded down.
    pub const fn secs(self) -> i64 {
        self.0 / 1_000_000
    }
    /// Seconds with the fraction.
    pub fn secs_f64(self) -> f64 {
        self.0 as f64 / 1e6
    }
    /// Hours with the fraction.
    pub fn hours_f64(self) -> f64 {
        self.secs_f64() / 3_600.0
    }
    /// As the standard library's duration.
    pub const fn to_std(self) -> std::time::Duration {
        std::time::Duration::from_micros(self.0 as u64)
    }
    /// This span `n` times.
    pub const fn times(self, n: i64) -> Self {
        Self::from_micros(self.0.saturating_mul(n))
    }
}

impl Add for Span {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl FromStr for Span {
    type Err = ParseSpanError;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let wrong = || ParseSpanError(s.to_owned());
        let mut rest = s.trim();
        if rest.is_empty() {
            return Err(wrong());
        }
        let mut total: i64 = 0;
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
            let number: f64 = rest[..digits].parse().map_err(|_| wrong())?;
            rest = &rest[digits..];
            let letters = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
            let unit = match rest[..letters].trim() {
                "us" => 1.0,
                "ms" => 1e3,
                "s" => 1e6,
                "m" => 60e6,
                "h" => 3_600e6,
                "d" => 86_400e6,
                "w" => 7.0 * 86_400e6,
                _ => return Err(wrong()),
            };
            rest = &rest[letters..];
            let part = number * unit;
            if !part.is_finite() || part > 1e17 {
                return Err(wrong());
            }
            total = total.checked_add(part.round() as i64).ok_or_else(wrong)?;
        }
        Ok(Self(total))
    }
}

impl fmt::Display for Span {
    /// The two largest units, as a person would say it: `14d`, `1h 30m`, `1.5s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 60_000_000 {
            return if self.0 % 1_000_000 == 0 {
                write!(f, "{}s", self.0 / 1_000_000)
            } else if self.0 < 1_000_000 {
                write!(f, "{}ms", (self.0 as f64 / 1e3).round())
            } else {
                write!(f, "{:.1}s", self.secs_f64())
            };
        }
        let secs = self.secs();
        let units = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];
        let largest = units.iter().position(|(n, _)| secs >= *n).unwrap_or(3);
        let (n, name) = units[largest];
        write!(f, "{}{name}", secs / n)?;
        if let Some((m, next)) = units.get(largest + 1)
            && secs % n / m > 0
        {
            write!(f, " {}{next}", secs % n / m)?;
        }
        Ok(())
    }
}

impl Serialize for Span {
    /// Exact text that [`FromStr`] reads back, e.g. `5400s`.
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        if self.0 % 1_000_000 == 0 {
            s.collect_str(&format_args!("{}s", self.secs()))
        } else {
            s.collect_str(&format_args!("{}us", self.0))
        }
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(d)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Where a look back begins: so long before the present, or at a time. Text form `24h` or `2026-01-31`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// So long before the present.
    Ago(Span),
    /// At this time.
    At(Timestamp),
}

/// The text says neither how long ago nor when.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither a duration such as 24h nor a time such as 2026-01-31 or 2026-01-31T08:00:00Z")]
pub struct ParseSinceError(pub String);

impl Since {
    /// When it begins, where this is the present.
    pub fn start(self, present: Timestamp) -> Timestamp {
        match self {
            Self::Ago(span) => present - span,
            Self::At(at) => at,
        }
    }
}

impl FromStr for Since {
    type Err = ParseSinceError;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let span = s.parse().map(Self::Ago).ok();
        span.or_else(|| s.parse().map(Self::At).ok()).ok_or_else(|| ParseSinceError(s.to_owned()))
    }
}

/// A half-open range of time: `start` is in it, `end` is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TimeRange {
    /// First instant of the range.
    pub start: Timestamp,
    /// First instant after the range.
    pub end: Timestamp,
}

impl TimeRange {
    /// The range from `start` up to, but without, `end`; empty when `end` is not after `start`.
    pub fn new(start: Timestamp, end: Timestamp) -> Self {
        Self { start, end: end.max(start) }
    }
    /// The `span` that ends at `end`.
    pub fn before(end: Timestamp, span: Span) -> Self {
        Self::new(end - span, end)
    }
    /// Whether `t` lies in the range.
    pub fn contains(&self, t: Timestamp) -> bool {
        self.start <= t && t < self.end
    }
    /// How long the range is.
    pub fn length(&self) -> Span {
        self.end.since(self.start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_read_what_old_clients_write() {
        let t = Timestamp::from_secs(1_767_225_600);
        for text in [
            "2026-01-01T00:00:00Z",
            "2026-01-01T01:00:00+01:00",
            "2026-01-01T00:00:00",
            "2026-01-01 00:00:00+00",
            "2026-01-01 00:00",
            "2026-01-01",
        ] {
            assert_eq!(text.parse::<Timestamp>().unwrap(), t, "{text}");
        }
        assert_eq!(t.to_string(), "2026-01-01T00:00:00Z");
        assert!("yesterday".parse::<Timestamp>().is_err());
    }

    #[test]
    fn a_look_back_begins_so_long_ago_or_at_a_time() {
        let present = Timestamp::from_secs(1_767_225_600);
        for text in ["24h", "1d", "2025-12-31", "2025-12-31T00:00:00Z"] {
            assert_eq!(text.parse::<Since>().unwrap().start(present), present - Span::from_days(1), "{text}");
        }
        assert!("yesterday".parse::<Since>().unwrap_err().to_string().contains("such as 24h"));
    }

    #[test]
    fn spans_read_and_write_as_people_do() {
        for (text, secs, shown) in
            [("60s", 60, "1m"), ("1h30m", 5_400, "1h 30m"), ("14d", 1_209_600, "14d"), ("2w", 1_209_600, "14d"), ("1.5h", 5_400, "1h 30m")]
        {
            let span: Span = text.parse().unwrap();
            assert_eq!((span.secs(), span.to_string().as_str()), (secs, shown));
        }
        for text in ["", "60", "s", "5 parsecs", "-3s", "1e300d"] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn written_times_read_back(micros in -60_000_000_000_000_000i64..250_000_000_000_000_000) {
            let t = Timestamp::from_micros(micros);
            proptest::prop_assert_eq!(t.to_string().parse::<Timestamp>().unwrap(), t);
        }
        #[test]
        fn written_spans_read_back(micros in 0i64..9_000_000_000_000_000) {
            let span = Span::from_micros(micros);
            let text = serde_json::to_string(&span).unwrap();
            proptest::prop_assert_eq!(serde_json::from_str::<Span>(&text).unwrap(), span);
        }
    }
}
