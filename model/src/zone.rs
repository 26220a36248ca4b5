//! Time zones: what a clock on the wall shows.

use std::fmt;
use std::str::FromStr;

use chrono::offset::Offset as _;
use chrono::{NaiveDateTime, TimeDelta, TimeZone as _};
use chrono_tz::Tz;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::time::Timestamp;

/// A time zone of the IANA database. Text form `Europe/Berlin`. Default UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Zone(Tz);

/// The text names no time zone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a time zone; write it as Europe/Berlin or UTC")]
pub struct ParseZoneError(pub String);

impl Zone {
    /// Coordinated universal time.
    pub const UTC: Self = Self(Tz::UTC);

    /// The zone for calendar functions.
    pub const fn tz(self) -> Tz {
        self.0
    }

    /// What a clock in the zone shows at this instant.
    pub fn local(self, t: Timestamp) -> NaiveDateTime {
        t.utc().with_timezone(&self.0).naive_local()
    }

    /// When a clock in the zone shows this: the first time, where it does twice; where clocks skip it, as long after the change as it is
    /// after the time that was skipped first (02:30 becomes 03:30).
    pub fn instant(self, local: NaiveDateTime) -> Timestamp {
        if let Some(t) = self.0.from_local_datetime(&local).earliest() {
            return t.to_utc().into();
        }
        // No change of clocks skips more than these hours but for Samoa's of 2011, a whole day.
        let before = local - TimeDelta::hours(3);
        let offset = self.0.offset_from_local_datetime(&before).earliest().map_or(0, |o| o.fix().local_minus_utc());
        (local - TimeDelta::seconds(i64::from(offset))).and_utc().into()
    }
}

impl Default for Zone {
    fn default() -> Self {
        Self::UTC
    }
}

impl FromStr for Zone {
    type Err = ParseZoneError;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        s.parse().map(Self).map_err(|_| ParseZoneError(s.to_owned()))
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name())
    }
}

impl Serialize for Zone {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<str>::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_are_changed_there_and_back() {
        let berlin: Zone = "Europe/Berlin".parse().unwrap();
        let t = |text: &str| text.parse::<Timestamp>().unwrap();
        let local = |text: &str| NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M").unwrap();
        for (wall, instant) in [
            ("2026-03-28 14:00", "2026-03-28T13:00:00Z"),
            ("2026-03-29 14:00", "2026-03-29T12:00:00Z"),
            // Skipped, and shown twice.
            ("2026-03-29 02:30", "2026-03-29T01:30:00Z"),
            ("2026-10-25 02:30", "2026-10-25T00:30:00Z"),
        ] {
            assert_eq!(berlin.instant(local(wall)), t(instant), "{wall}");
        }
        assert_eq!(berlin.local(t("2026-10-25T01:30:00Z")), local("2026-10-25 02:30"));
        assert_eq!((Zone::default().to_string().as_str(), berlin.to_string().as_str()), ("UTC", "Europe/Berlin"));
        assert!("Europe/Berlyn".parse::<Zone>().unwrap_err().to_string().contains("\"Europe/Berlyn\" is not a time zone"));
    }
}
