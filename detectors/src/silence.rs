//! What is kept and not told: when a cause holds a signal back, and until when.
//!
//! A cause holds for a span of time ([`Hold`]). A signal is told at the first instant of its life at which none holds, and one whose
//! whole life is covered is never told. That follows from the times of the signals and of the causes alone, never from how often a
//! round looks: many short rounds and one long one silence the same signals.
//!
//! Two causes are keys of a rule:
//! * `auto_silence`: signals that took up more than a share of the time before say nothing new by opening once more. Netdata silences
//!   a dimension in that way when it was anomalous for 450 of the latest 900 seconds. Here the default is half of a day, as an
//!   operator's day is the time in which a permanent alarm is either mended or ignored.
//! * `flapping`: a signal that opened and ended several times within a short time is told again only when it stays open.
//!
//! Neither holds for a `bound` rule unless it is written: who gave a bound wants to be told each time that it is broken.

use bellwether_model::signal::Signal;
use bellwether_model::suppression::SuppressionKind;
use bellwether_model::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};

use crate::rule::{Rule, RuleError};

/// When a series deviates so much of the time that it is no longer told.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AutoSilence {
    /// Share of the window, above 0 and below 1, beyond which a new signal is not told. Default 0.5.
    #[serde(deserialize_with = "share")]
    pub share: f64,
    /// How long before a signal is looked at. Default 24 hours.
    pub window: Span,
    /// Earlier signals that it takes at least, so that one long outage does not silence the next. Default 2.
    pub signals: u32,
}

impl Default for AutoSilence {
    fn default() -> Self {
        Self { share: 0.5, window: Span::from_hours(24), signals: 2 }
    }
}

fn share<'de, D: serde::Deserializer<'de>>(d: D) -> Result<f64, D::Error> {
    Ok(crate::quantity::read(d)?.unwrap_or(AutoSilence::default().share))
}

/// When signals come and go so often that they are no longer told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Flapping {
    /// So many signals that opened and ended within the time before damp the next. Default 4.
    pub times: u32,
    /// That time. Default 1 hour.
    pub within: Span,
    /// A damped signal that stays open for this long is told. Default 30 minutes.
    pub settle: Span,
}

impl Default for Flapping {
    fn default() -> Self {
        Self { times: 4, within: Span::from_hours(1), settle: Span::from_mins(30) }
    }
}

impl AutoSilence {
    /// Checks the ranges.
    ///
    /// # Errors
    /// The first number that is out of its range.
    pub fn validate(&self) -> Result<(), RuleError> {
        in_range(self.share > 0.0 && self.share < 1.0, "auto_silence.share", self.share, "above 0 and below 100%")?;
        in_range(self.window > Span::ZERO, "auto_silence.window", self.window, "more than 0s")?;
        in_range(self.signals >= 1, "auto_silence.signals", self.signals, "at least 1")
    }
}

impl Flapping {
    /// Checks the ranges.
    ///
    /// # Errors
    /// The first number that is out of its range.
    pub fn validate(&self) -> Result<(), RuleError> {
        in_range(self.times >= 2, "flapping.times", self.times, "at least 2")?;
        in_range(self.within > Span::ZERO, "flapping.within", self.within, "more than 0s")?;
        in_range(self.settle > Span::ZERO, "flapping.settle", self.settle, "more than 0s")
    }
}

fn in_range(fine: bool, key: &'static str, value: impl ToString, wanted: &'static str) -> Result<(), RuleError> {
    if fine { Ok(()) } else { Err(RuleError::OutOfRange { key, value: value.to_string(), wanted }) }
}

/// From when until when a signal deviated; without an end while it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Life {
    /// Its first sample outside.
    pub opened_at: Timestamp,
    /// Its end; of one whose samples stopped, the last of them.
    pub ended_at: Option<Timestamp>,
}

impl Life {
    /// The life of a signal, by its newest row.
    pub fn of(signal: &Signal) -> Self {
        let ended_at = signal.closed_at.filter(|_| !signal.is_open()).map(|at| at.min(signal.last_at).max(signal.opened_at));
        Self { opened_at: signal.opened_at, ended_at }
    }
}

/// A cause that holds a signal back from `from` on, and before `until`; without an end as long as the signal is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// What kind of cause.
    pub kind: SuppressionKind,
    /// Its name: of a window, or of the rule's key.
    pub cause: String,
    /// The cause in words, with numbers.
    pub detail: String,
    /// From when on.
    pub from: Timestamp,
    /// Until when.
    pub until: Option<Timestamp>,
}

impl Hold {
    fn covers(&self, t: Timestamp) -> bool {
        self.from <= t && self.until.is_none_or(|until| t < until)
    }
}

/// What a rule's own keys hold against a signal that opened then. `earlier`: lives of signals of the same fingerprint, in any order;
/// only those that ended before count.
pub fn holds(rule: &Rule, earlier: &[Life], opened_at: Timestamp) -> Vec<Hold> {
    let auto = rule.auto_silence.and_then(|keys| auto_silence(&keys, earlier, opened_at));
    let flapping = rule.flapping.and_then(|keys| flapping(&keys, earlier, opened_at));
    auto.into_iter().chain(flapping).collect()
}

/// How far back [`holds`] looks from the opening of a signal.
pub fn reach(rule: &Rule) -> Span {
    let (auto, flapping) = (rule.auto_silence.map(|a| a.window), rule.flapping.map(|f| f.within));
    auto.into_iter().chain(flapping).max().unwrap_or(Span::ZERO)
}

fn auto_silence(keys: &AutoSilence, earlier: &[Life], opened_at: Timestamp) -> Option<Hold> {
    let begins = opened_at - keys.window;
    let spans = earlier.iter().filter(|life| life.opened_at < opened_at).filter_map(|life| {
        let ended_at = life.ended_at.filter(|end| *end <= opened_at && *end > begins)?;
        Some(ended_at.since(life.opened_at.max(begins)))
    });
    let (count, deviating) = spans.fold((0u32, 0i64), |(n, sum), span| (n + 1, sum.saturating_add(span.micros())));
    let share = deviating as f64 / keys.window.micros() as f64;
    (count >= keys.signals && share > keys.share).then(|| Hold {
        kind: SuppressionKind::AutoSilence,
        cause: "auto_silence".into(),
        detail: format!(
            "it deviated in {:.0}% of the {} before, in {count} signals; beyond {:.0}% a rule is silent",
            share * 100.0,
            keys.window,
            keys.share * 100.0
        ),
        from: opened_at,
        until: None,
    })
}

fn flapping(keys: &Flapping, earlier: &[Life], opened_at: Timestamp) -> Option<Hold> {
    let begins = opened_at - keys.within;
    let counts = |life: &&Life| (begins..opened_at).contains(&life.opened_at) && life.ended_at.is_some_and(|end| end <= opened_at);
    let count = earlier.iter().filter(counts).count();
    (count >= keys.times as usize).then(|| Hold {
        kind: SuppressionKind::Flapping,
        cause: "flapping".into(),
        detail: format!(
            "{count} signals opened and ended in the {} before; the next is told when it stays for {}",
            keys.within, keys.settle
        ),
        from: opened_at,
        until: Some(opened_at + keys.settle),
    })
}

/// The cause for which a signal with this life is not told at `now`; none when it is, or was at any instant of its life.
///
/// Of several causes that hold at the end, the one that holds longest is named.
pub fn silenced(holds: &[Hold], life: Life, now: Timestamp) -> Option<&Hold> {
    let lasts = |hold: &Hold| hold.until.map_or((1, 0), |until| (0, until.micros()));
    let mut t = life.opened_at;
    loop {
        let mut holding: Vec<&Hold> = holds.iter().filter(|h| h.covers(t)).collect();
        holding.sort_by_key(|h| (std::cmp::Reverse(lasts(h)), h.kind));
        let longest = *holding.first()?;
        let over = match (longest.until, life.ended_at) {
            (None, _) => true,
            (Some(until), Some(ended_at)) => ended_at <= until,
            (Some(until), None) => now < until,
        };
        if over {
            return Some(longest);
        }
        t = longest.until?;
    }
}

#[cfg(test)]
mod tests;
