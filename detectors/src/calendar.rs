//! What repeats, and in which calendar: the hour of the day, of the week, the day of the month, as clocks in a zone show it.
//!
//! A calendar season follows the wall clock: 14:00 is compared with 14:00 also where clocks were changed in between, when a plain
//! duration (`1d`) would compare it with 13:00 or 15:00.
//!
//! A holiday is compared with the Sundays and the holidays before it at the same time of day, because people do on a holiday what they do on a
//! Sunday, whatever weekday it is (the usual way in forecasts of load). Other days are compared with no holiday.

use std::fmt;
use std::str::FromStr;

use bellwether_model::time::{ParseSpanError, Span, Timestamp};
use bellwether_model::zone::Zone;
use chrono::{Datelike, Days, Months, NaiveDate, Timelike, Weekday};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What repeats. Text form `hour of day`, `hour of week`, `day of month`, or a duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cycle {
    /// A pattern of this length, in time that passes.
    Every(Span),
    /// The time of day.
    HourOfDay,
    /// The weekday and the time of day.
    HourOfWeek,
    /// The day of the month and the time of day. The 29th to 31st are compared with the last day of a month that has no such day.
    DayOfMonth,
}

/// The text says no season.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no season; write hour of day, hour of week, day of month, or a duration such as 1d")]
pub struct ParseCycleError(String);

impl Cycle {
    /// How long one round of it is, at the longest.
    pub const fn length(self) -> Span {
        match self {
            Self::Every(length) => length,
            Self::HourOfDay => Span::from_days(1),
            Self::HourOfWeek => Span::from_days(7),
            Self::DayOfMonth => Span::from_days(31),
        }
    }

    /// Whether clocks and calendars have a say in it.
    pub const fn is_of_calendar(self) -> bool {
        !matches!(self, Self::Every(_))
    }

    /// One round of it, as a person says: `day`, `week`, `month`, `season`.
    pub fn noun(self) -> &'static str {
        match self.length() {
            d if d == Span::from_days(1) => "day",
            d if d == Span::from_days(7) => "week",
            _ if self == Self::DayOfMonth => "month",
            _ => "season",
        }
    }
}

/// What a rule says of its season. Text form `auto`, or a [`Cycle`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Season {
    /// It is looked for in the series.
    Auto,
    /// This one.
    Of(Cycle),
}

impl Season {
    /// What repeats, where that is known.
    pub const fn cycle(self) -> Option<Cycle> {
        match self {
            Self::Auto => None,
            Self::Of(cycle) => Some(cycle),
        }
    }
}

impl Serialize for Season {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => s.serialize_str("auto"),
            Self::Of(cycle) => cycle.serialize(s),
        }
    }
}

impl<'de> Deserialize<'de> for Season {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(d)?;
        if text == "auto" { Ok(Self::Auto) } else { text.parse().map(Self::Of).map_err(serde::de::Error::custom) }
    }
}

impl FromStr for Cycle {
    type Err = ParseCycleError;
    fn from_str(s: &str) -> Result<Self, ParseCycleError> {
        match s.trim() {
            "hour of day" => Ok(Self::HourOfDay),
            "hour of week" => Ok(Self::HourOfWeek),
            "day of month" => Ok(Self::DayOfMonth),
            length => length.parse().map(Self::Every).map_err(|_: ParseSpanError| ParseCycleError(s.to_owned())),
        }
    }
}

impl fmt::Display for Cycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Every(length) => length.fmt(f),
            Self::HourOfDay => f.write_str("hour of day"),
            Self::HourOfWeek => f.write_str("hour of week"),
            Self::DayOfMonth => f.write_str("day of month"),
        }
    }
}

impl Serialize for Cycle {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Every(length) => length.serialize(s),
            named => s.collect_str(named),
        }
    }
}

impl<'de> Deserialize<'de> for Cycle {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<str>::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A day in the calendar. Text form `2026-12-25`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date(pub NaiveDate);

impl Serialize for Date {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Date {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(d)?;
        let wrong = || serde::de::Error::custom(format!("{text:?} is not a date; write it as 2026-12-25"));
        NaiveDate::parse_from_str(&text, "%Y-%m-%d").map(Self).map_err(|_| wrong())
    }
}

/// Whose clocks and holidays a rule goes by.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Calendar {
    /// Whose clocks. Default UTC.
    pub zone: Zone,
    /// Days that are unlike their weekday, in the zone. Default none.
    pub holidays: Vec<Date>,
}

impl Calendar {
    /// Whether this is a holiday.
    pub fn is_holiday(&self, date: NaiveDate) -> bool {
        self.holidays.iter().any(|holiday| holiday.0 == date)
    }

    /// The earlier days that this one is compared with, newest first, without end. `None` where what repeats is no matter of days.
    pub fn earlier(&self, cycle: Cycle, date: NaiveDate) -> Option<impl Iterator<Item = NaiveDate> + '_> {
        let holiday = self.is_holiday(date);
        let step: fn(NaiveDate, u32) -> Option<NaiveDate> = match cycle {
            Cycle::Every(_) => return None,
            Cycle::HourOfDay => days_before,
            _ if holiday => days_before,
            Cycle::HourOfWeek => |date, n| days_before(date, n.checked_mul(7)?),
            Cycle::DayOfMonth => |date, n| date.checked_sub_months(Months::new(n)),
        };
        let counts = move |day: &NaiveDate| if holiday { self.is_restful(*day) } else { !self.is_holiday(*day) };
        Some((1..).map_while(move |n| step(date, n)).filter(counts))
    }

    fn is_restful(&self, date: NaiveDate) -> bool {
        date.weekday() == Weekday::Sun || self.is_holiday(date)
    }

    /// The time in the words of a season, as in "its usual for …": `14:00 UTC`, `Tuesday 14:00 (Europe/Berlin)`.
    pub fn phase(&self, cycle: Cycle, t: Timestamp) -> String {
        let local = self.zone.local(t);
        let zone = if self.zone == Zone::UTC { " UTC".to_owned() } else { format!(" ({})", self.zone) };
        let clock = format!("{:02}:{:02}{zone}", local.hour(), local.minute());
        match cycle {
            cycle if cycle.is_of_calendar() && self.is_holiday(local.date()) => format!("a holiday {clock}"),
            Cycle::DayOfMonth => format!("the {} {clock}", ordinal(local.day())),
            cycle if cycle.noun() == "day" => clock,
            cycle if cycle.noun() == "week" => format!("{} {clock}", local.format("%A")),
            _ => "this time of season".to_owned(),
        }
    }
}

fn days_before(date: NaiveDate, n: u32) -> Option<NaiveDate> {
    date.checked_sub_days(Days::new(u64::from(n)))
}

fn ordinal(day: u32) -> String {
    let ending = match (day % 10, day) {
        (1, d) if d != 11 => "st",
        (2, d) if d != 12 => "nd",
        (3, d) if d != 13 => "rd",
        _ => "th",
    };
    format!("{day}{ending}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(text: &str) -> NaiveDate {
        NaiveDate::parse_from_str(text, "%Y-%m-%d").unwrap()
    }

    #[test]
    fn days_are_compared_with_days_like_them() {
        let christmas = ["2026-12-25", "2026-12-26"].map(|d| Date(date(d))).to_vec();
        let calendar = Calendar { zone: Zone::UTC, holidays: christmas };
        let earlier =
            |cycle, day: &str, n| -> Vec<String> { calendar.earlier(cycle, date(day)).unwrap().take(n).map(|d| d.to_string()).collect() };
        // The 26th is a Saturday: it goes by Christmas Day and the Sundays.
        assert_eq!(earlier(Cycle::HourOfWeek, "2026-12-26", 3), ["2026-12-25", "2026-12-20", "2026-12-13"]);
        assert_eq!(earlier(Cycle::HourOfDay, "2026-12-25", 2), ["2026-12-20", "2026-12-13"]);
        // A common Friday and a common day know nothing of Christmas.
        assert_eq!(earlier(Cycle::HourOfWeek, "2027-01-01", 2), ["2026-12-18", "2026-12-11"]);
        assert_eq!(earlier(Cycle::HourOfDay, "2026-12-28", 3), ["2026-12-27", "2026-12-24", "2026-12-23"]);
        assert_eq!(earlier(Cycle::DayOfMonth, "2026-05-31", 3), ["2026-04-30", "2026-03-31", "2026-02-28"]);
        assert!(calendar.earlier(Cycle::Every(Span::from_days(1)), date("2026-12-28")).is_none());
    }

    #[test]
    fn a_time_is_named_as_its_season_sees_it() {
        let calendar = Calendar { zone: "Europe/Berlin".parse().unwrap(), holidays: vec![Date(date("2026-12-25"))] };
        let t = |text: &str| text.parse::<Timestamp>().unwrap();
        let summer = t("2026-07-21T12:00:00Z");
        assert_eq!(calendar.phase(Cycle::HourOfDay, summer), "14:00 (Europe/Berlin)");
        assert_eq!(calendar.phase(Cycle::HourOfWeek, summer), "Tuesday 14:00 (Europe/Berlin)");
        assert_eq!(calendar.phase(Cycle::DayOfMonth, summer), "the 21st 14:00 (Europe/Berlin)");
        assert_eq!(calendar.phase(Cycle::HourOfWeek, t("2026-12-25T09:30:00Z")), "a holiday 10:30 (Europe/Berlin)");
        assert_eq!(Calendar::default().phase(Cycle::Every(Span::from_days(7)), summer), "Tuesday 12:00 UTC");
        assert_eq!(Calendar::default().phase(Cycle::Every(Span::from_hours(4)), summer), "this time of season");
        for text in ["hour of day", "hour of week", "day of month", "1d"] {
            assert_eq!(text.parse::<Cycle>().unwrap().to_string(), text);
        }
        assert!("hour of month".parse::<Cycle>().unwrap_err().to_string().contains("is no season; write hour of day"));
    }
}
