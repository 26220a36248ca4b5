//! When jobs run: cron expressions in a time zone, as pure functions of the last run and of now.
//!
//! This module says what is due; [`runner`] does it, one run of a job at a time over all processes.

pub mod runner;

use std::fmt;
use std::str::FromStr;

use bellwether_model::time::{Span, Timestamp};
use bellwether_model::zone::Zone;
use croner::Cron;
use croner::parser::{CronParser, Year};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How late a run may begin and still count as on time: processes wake a little late.
const TOLERANCE: Span = Span::from_secs(60);

/// What a job does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// Pull every configured source.
    Ingest,
    /// One round: ingest, judge, decide; act as far as the configuration lets it.
    Round,
    /// Carry running executions on and start approved ones.
    Act,
    /// Compact tables and delete what is past its retention.
    Maintain,
    /// Write the HTML report.
    Report,
}

impl Task {
    /// The name as it is written in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Round => "round",
            Self::Act => "act",
            Self::Maintain => "maintain",
            Self::Report => "report",
        }
    }
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What becomes of runs that were due while nothing was running.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missed {
    /// Nothing: the job waits for its next time.
    #[default]
    Skip,
    /// One run now makes up for all of them: what a job does covers the time since its last run anyway.
    CatchUp,
}

/// One job of the configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Job {
    /// Name, unique among the jobs.
    pub name: String,
    /// What it does.
    pub task: Task,
    /// When: `minute hour day month weekday`, or `@hourly` and the like. With six fields the first is seconds.
    pub cron: Schedule,
    /// Time zone of the cron expression, such as `Europe/Berlin`. Default UTC.
    #[serde(default)]
    pub timezone: Zone,
    /// After this a run is stopped. Default 10m.
    #[serde(default = "default_timeout")]
    pub timeout: Span,
    /// What becomes of missed runs. Default `skip`.
    #[serde(default)]
    pub missed: Missed,
}

fn default_timeout() -> Span {
    Span::from_mins(10)
}

/// What is to be done about a job now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// The time for which it is due now, if it is.
    pub run: Option<Timestamp>,
    /// Due times that passed without a run and will not be made up for, at most 1,000.
    pub skipped: u32,
    /// The next due time after now; none when the expression never matches again.
    pub next: Option<Timestamp>,
}

impl Job {
    /// The first due time after `t`; none when the expression never matches again.
    pub fn next_after(&self, t: Timestamp) -> Option<Timestamp> {
        self.cron.next_after(t, self.timezone)
    }

    /// What is due at `now`, when the last run was for the due time `last`. For a job that never ran, give the time when it was set up.
    pub fn due(&self, last: Timestamp, now: Timestamp) -> Due {
        let mut passed = 0u32;
        let mut latest = None;
        let mut t = last;
        // Bounded: after a long silence the exact count of missed runs matters to nobody.
        while passed < 1_000
            && let Some(due) = self.next_after(t).filter(|due| *due <= now)
        {
            (passed, latest, t) = (passed + 1, Some(due), due);
        }
        if passed == 1_000 {
            latest = self.cron.latest_until(now, self.timezone).or(latest);
        }
        let on_time = latest.is_some_and(|due| now.since(due) <= TOLERANCE);
        let run = latest.filter(|_| on_time || self.missed == Missed::CatchUp);
        let made_up = match (run, self.missed) {
            (None, _) => 0,
            (Some(_), Missed::Skip) => 1,
            (Some(_), Missed::CatchUp) => passed,
        };
        Due { run, skipped: passed - made_up, next: self.next_after(now) }
    }
}

/// A parsed cron expression. Text form as it was written.
#[derive(Clone)]
pub struct Schedule {
    text: String,
    cron: Cron,
}

/// The text is no schedule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseScheduleError {
    /// Not a cron expression.
    #[error("{text:?} is not a cron expression ({reason}); write it as \"*/5 * * * *\" or \"@hourly\"")]
    Cron {
        /// What was written.
        text: String,
        /// Why.
        reason: String,
    },
}

impl Schedule {
    /// The first time after `t` that matches in this zone; none when the expression never matches again.
    pub fn next_after(&self, t: Timestamp, zone: Zone) -> Option<Timestamp> {
        let next = self.cron.find_next_occurrence(&t.utc().with_timezone(&zone.tz()), false).ok()?;
        Some(next.with_timezone(&chrono::Utc).into())
    }

    /// The latest time up to and with `t` that matches in this zone.
    pub fn latest_until(&self, t: Timestamp, zone: Zone) -> Option<Timestamp> {
        let latest = self.cron.find_previous_occurrence(&t.utc().with_timezone(&zone.tz()), true).ok()?;
        Some(latest.with_timezone(&chrono::Utc).into())
    }
}

impl FromStr for Schedule {
    type Err = ParseScheduleError;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let cron = CronParser::builder()
            .year(Year::Disallowed)
            .build()
            .parse(s)
            .map_err(|e| ParseScheduleError::Cron { text: s.to_owned(), reason: e.to_string() })?;
        Ok(Self { text: s.to_owned(), cron })
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Schedule({:?})", self.text)
    }
}

impl PartialEq for Schedule {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Serialize for Schedule {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Schedule {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<str>::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(cron: &str, timezone: &str, missed: Missed) -> Job {
        Job {
            name: "j".into(),
            task: Task::Round,
            cron: cron.parse().unwrap(),
            timezone: timezone.parse().unwrap(),
            timeout: default_timeout(),
            missed,
        }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn next_times_are_in_the_jobs_zone_and_survive_clock_changes() {
        let cases = [
            ("*/5 * * * *", "UTC", "2026-01-01T00:00:00Z", "2026-01-01T00:05:00Z"),
            ("30 8 * * MON-FRI", "Europe/Berlin", "2026-01-02T08:00:00Z", "2026-01-05T07:30:00Z"),
            // In summer Berlin is two hours ahead.
            ("30 8 * * *", "Europe/Berlin", "2026-07-01T07:00:00Z", "2026-07-02T06:30:00Z"),
            // 02:30 does not exist on the day when clocks go forward: the job runs when the gap ends.
            ("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-29T01:00:00Z"),
            ("@hourly", "UTC", "2026-01-01T00:59:59Z", "2026-01-01T01:00:00Z"),
            ("*/10 * * * * *", "UTC", "2026-01-01T00:00:01Z", "2026-01-01T00:00:10Z"),
        ];
        for (cron, zone, from, next) in cases {
            assert_eq!(job(cron, zone, Missed::Skip).next_after(at(from)), Some(at(next)), "{cron} {zone} after {from}");
        }
        assert_eq!(job("0 0 30 2 *", "UTC", Missed::Skip).next_after(at("2026-01-01")), None);
    }

    #[test]
    fn a_job_runs_once_for_each_due_time() {
        let job = job("*/5 * * * *", "UTC", Missed::Skip);
        let last = at("2026-01-01T00:00:00Z");
        assert_eq!(job.due(last, at("2026-01-01T00:04:59Z")).run, None);
        let due = job.due(last, at("2026-01-01T00:05:02Z"));
        assert_eq!(due, Due { run: Some(at("2026-01-01T00:05:00Z")), skipped: 0, next: Some(at("2026-01-01T00:10:00Z")) });
        assert_eq!(job.due(due.run.unwrap(), at("2026-01-01T00:05:03Z")).run, None);
    }

    #[test]
    fn missed_runs_are_skipped_or_made_up_for_by_one() {
        let (last, now) = (at("2026-01-01T00:00:00Z"), at("2026-01-01T01:02:30Z"));
        let skip = job("*/5 * * * *", "UTC", Missed::Skip).due(last, now);
        assert_eq!((skip.run, skip.skipped), (None, 12));
        let catch_up = job("*/5 * * * *", "UTC", Missed::CatchUp).due(last, now);
        assert_eq!(
            (catch_up.run, catch_up.skipped, catch_up.next),
            (Some(at("2026-01-01T01:00:00Z")), 0, Some(at("2026-01-01T01:05:00Z")))
        );
        let years = job("* * * * *", "UTC", Missed::CatchUp).due(at("2020-01-01"), now);
        assert_eq!(years.run, Some(at("2026-01-01T01:02:00Z")));
    }

    #[test]
    fn configuration_errors_say_what_would_be_right() {
        let job: Job =
            serde_saphyr::from_str("name: rounds\ntask: round\ncron: '*/5 * * * *'\ntimezone: Europe/Berlin\nmissed: catch_up\n").unwrap();
        assert_eq!((job.timezone.to_string().as_str(), job.missed, job.timeout), ("Europe/Berlin", Missed::CatchUp, Span::from_mins(10)));
        for bad in [
            "name: a\ntask: round\ncron: every day\n",
            "name: a\ntask: round\ncron: '@hourly'\ntimezone: Mars\n",
            "name: a\ntask: dance\ncron: '@hourly'\n",
        ] {
            assert!(serde_saphyr::from_str::<Job>(bad).is_err(), "{bad}");
        }
    }
}
