//! Profiles of columns in order of time become signals.
//!
//! Each new profile is compared with those of the lookback before it, pooled. While a signal is open the reference stays
//! the one before it opened; the profiles of signals that ended with calm or silence never become part of a reference;
//! a drift that lasts for `accept_after` is the new normal, and the reference begins anew with it. The columns of one dataset
//! that were profiled at the same time are corrected for together.

use std::collections::{BTreeMap, BTreeSet};

use bellwether_model::dataset::{ColumnProfile, DatasetId};
use bellwether_model::signal::{Direction, Method, Signal, SignalState, Subject};
use bellwether_model::time::{Span, Timestamp};
use bellwether_model::unit::Unit;
use bellwether_model::verdict::Verdict;

use crate::detect::{Evaluation, Findings, Skip, SkipReason};
use crate::drift::column::Statistic;
use crate::drift::dataset::{ColumnDecision, DatasetRule, decide};
use crate::drift::examine::{Examination, Test};
use crate::drift::measure::Measure;
use crate::drift::profile::{self, Distribution};
use crate::drift::rule::DriftRule;
use crate::scan::Ending;

pub mod standing;

/// The earliest profile that [`detect_drift`] may need. Signals that closed at or after this time belong into its `known`.
pub fn reaches_back_to(rule: &DriftRule, open: &[Signal], since: Timestamp) -> Timestamp {
    let opened = open.iter().filter(|s| s.rule == rule.name && s.is_open()).map(|s| s.opened_at).min();
    opened.map_or(since, |t| t.min(since)) - rule.lookback
}

/// Judges the profiles in `(since, now]` against those before them.
///
/// `known` holds the latest row of each signal of this rule that is open, or that closed since [`reaches_back_to`];
/// `history` the profiles since then, in any order; of several profiles of a column at one time the last counts.
///
/// # Guarantees
/// As [`crate::detect::detect`]: one call or many find the same signals, and nothing is NaN or infinite.
pub fn detect_drift(rule: &DriftRule, known: &[Signal], history: &[ColumnProfile], at: &Evaluation) -> Findings {
    let mut datasets: BTreeMap<DatasetId, Tracks<'_>> = BTreeMap::new();
    for profile in history.iter().filter(|p| p.event_time <= at.now) {
        let track = datasets.entry(profile.dataset()).or_default().entry(&profile.column).or_default();
        track.profiles.insert(profile.event_time, (profile, Distribution::of(profile)));
    }
    for signal in known.iter().filter(|s| s.rule == rule.name) {
        let Subject::Column { dataset, column } = &signal.subject else { continue };
        datasets.entry(dataset.clone()).or_default().entry(column).or_default().recall(rule, signal);
    }
    let mut findings = Findings::default();
    for (dataset, mut columns) in datasets {
        let mut skipped = Vec::new();
        for track in columns.values_mut() {
            track.replay(rule, at.since);
        }
        let times: BTreeSet<Timestamp> = columns.values().flat_map(|t| t.profiles.keys().copied()).filter(|t| *t > at.since).collect();
        let mut judged: BTreeSet<&str> = BTreeSet::new();
        for time in times {
            for (column, track) in columns.iter_mut().filter(|(_, t)| t.profiles.contains_key(&time)) {
                if let Some(end) = track.silence_before(rule, time) {
                    let subject = Subject::Column { dataset: dataset.clone(), column: (*column).to_owned() };
                    findings.signals.push(track.close(rule, &subject, end, at));
                }
            }
            let (family, unjudged) = look(&columns, rule, time);
            skipped.extend(unjudged);
            for (column, found, decided) in family {
                let Some(track) = columns.get_mut(column) else { continue };
                let subject = Subject::Column { dataset: dataset.clone(), column: column.to_owned() };
                findings.signals.extend(track.step(rule, &subject, time, (&found, decided.verdict), at));
                findings.samples += 1;
                judged.insert(column);
            }
        }
        for (column, track) in &mut columns {
            if let Some(end) = track.silence_before(rule, at.now).filter(|_| !track.profiles.contains_key(&at.now)) {
                let subject = Subject::Column { dataset: dataset.clone(), column: (*column).to_owned() };
                findings.signals.push(track.close(rule, &subject, end, at));
            }
        }
        findings.series += judged.len() as u64;
        findings.skipped.extend(skipped.into_iter().filter(|(column, _)| !judged.contains(column)).map(|(column, reason)| {
            let subject = Subject::Column { dataset: dataset.clone(), column: column.to_owned() };
            Skip { rule: rule.name.clone(), subject: Some(subject), reason, history: None }
        }));
    }
    findings
}

/// The columns of one dataset.
type Tracks<'a> = BTreeMap<&'a str, Track<'a>>;
/// What is to say of columns that were profiled at one time, and of those that cannot be judged why.
type Looked<'a> = (Vec<(&'a str, Examination, ColumnDecision)>, Vec<(&'a str, SkipReason)>);

/// Judges the profiles of one time together. No signal may be open that ended before.
fn look<'a>(columns: &Tracks<'a>, rule: &DriftRule, time: Timestamp) -> Looked<'a> {
    let (mut names, mut examined, mut skipped) = (Vec::new(), Vec::new(), Vec::new());
    for (column, track) in columns.iter().filter(|(_, t)| t.profiles.contains_key(&time)) {
        match track.examine(rule, time) {
            Ok(found) => {
                names.push(*column);
                examined.push(found);
            }
            Err(reason) => skipped.push((*column, reason)),
        }
    }
    let decision = decide(&examined, &[], &DatasetRule { q: rule.q, ..DatasetRule::default() });
    let family = names.into_iter().zip(examined).zip(decision.columns).map(|((name, found), decided)| (name, found, decided));
    (family.collect(), skipped)
}

/// What stands between a column's name and the words on it.
const DRIFTED: &str = " has drifted: ";

/// One column in order of time.
#[derive(Default)]
struct Track<'a> {
    profiles: BTreeMap<Timestamp, (&'a ColumnProfile, Result<Distribution, SkipReason>)>,
    /// Profiles in these ranges (from, without to) belong to signals that ended.
    kept_out: Vec<(Timestamp, Timestamp)>,
    /// Where the present normal begins.
    floor: Option<Timestamp>,
    open: Option<Open>,
}

struct Open {
    opened_at: Timestamp,
    last_at: Timestamp,
    method: Method,
    /// The effect from which it was drift.
    line: f64,
    peak: Statistic,
    reported: f64,
    words: String,
}

impl<'a> Track<'a> {
    fn recall(&mut self, rule: &DriftRule, signal: &Signal) {
        match (Ending::of(signal, rule.gap), signal.closed_at) {
            (Some(Ending::NewNormal), _) => self.floor = self.floor.max(Some(signal.opened_at)),
            (Some(Ending::Calm), Some(closed_at)) => self.kept_out.push((signal.opened_at, closed_at)),
            (Some(_), _) => self.kept_out.push((signal.opened_at, signal.last_at + Span::from_micros(1))),
            (None, _) => {
                self.open = Some(Open {
                    opened_at: signal.opened_at,
                    last_at: signal.last_at,
                    method: signal.method,
                    line: signal.upper,
                    peak: Statistic { value: signal.value, p_value: signal.p_value.unwrap_or(1.0) },
                    reported: signal.score,
                    words: signal.hint.split_once(DRIFTED).map_or(signal.hint.as_str(), |(_, words)| words).to_owned(),
                });
            }
        }
    }

    /// Takes in what an open signal saw since its latest row.
    fn replay(&mut self, rule: &DriftRule, since: Timestamp) {
        let Some(open) = &mut self.open else { return };
        let opened_at = open.opened_at;
        if self.profiles.contains_key(&opened_at) {
            // All of it can be seen again, and so the row's words are not needed.
            (open.peak.value, open.words) = (0.0, String::new());
        }
        let times: Vec<Timestamp> = self.profiles.range(opened_at..).map(|(t, _)| *t).filter(|t| *t <= since).collect();
        for time in times {
            let Ok(found) = self.examine(rule, time) else { continue };
            let words = self.words(rule, time, &found);
            if let Some(open) = &mut self.open {
                open.take(time, &found, words);
            }
        }
    }

    /// The profiles that one at `time` is compared with.
    fn reference(&self, rule: &DriftRule, time: Timestamp) -> Vec<&(&'a ColumnProfile, Result<Distribution, SkipReason>)> {
        let end = self.open.as_ref().map_or(time, |o| o.opened_at.min(time));
        let start = (end - rule.lookback).max(self.floor.unwrap_or(Timestamp::from_micros(i64::MIN)));
        let counts = |t: &Timestamp| !self.kept_out.iter().any(|(from, to)| from <= t && t < to);
        self.profiles.range(start.min(end)..end).filter(|(t, _)| counts(t)).map(|(_, p)| p).collect()
    }

    fn examine(&self, rule: &DriftRule, time: Timestamp) -> Result<Examination, SkipReason> {
        let Some((_, current)) = self.profiles.get(&time) else { return Err(SkipReason::NoData) };
        let current = current.as_ref().map_err(|reason| *reason)?;
        let reference = self.reference(rule, time);
        let known: Vec<&Distribution> = reference.iter().filter_map(|(_, d)| d.as_ref().ok()).collect();
        if known.iter().all(|d| d.count() == 0) {
            return Err(SkipReason::NoEarlierProfile);
        }
        Ok(profile::examine(&known, current, rule))
    }

    /// The latest profile before `time`; where there is none, the latest that an open signal's row knows.
    fn latest_before(&self, time: Timestamp) -> Option<Timestamp> {
        let seen = self.profiles.range(..time).next_back().map(|(t, _)| *t);
        seen.max(self.open.as_ref().map(|o| o.last_at))
    }

    /// When the open signal ended, if the column had no profile for the rule's gap before `time`.
    fn silence_before(&self, rule: &DriftRule, time: Timestamp) -> Option<(Ending, Timestamp)> {
        let last = self.open.as_ref().and_then(|_| self.latest_before(time))?;
        (time.since(last) >= rule.gap).then(|| (Ending::Gone, last + rule.gap))
    }

    /// Judges one profile: the transitions it makes.
    fn step(
        &mut self,
        rule: &DriftRule,
        subject: &Subject,
        time: Timestamp,
        (found, verdict): (&Examination, Verdict),
        at: &Evaluation,
    ) -> Vec<Signal> {
        let drifted = verdict == Verdict::Fail;
        let words = if drifted { self.words(rule, time, found) } else { String::new() };
        let latest = self.latest_before(time);
        let Some(open) = &mut self.open else {
            // The test that is farthest beyond its line; of equals the distance.
            let relative = |t: &&Test| t.effect / t.line;
            let Some(test) = found.tests().max_by(|a, b| relative(a).total_cmp(&relative(b))).filter(|_| drifted) else {
                return Vec::new();
            };
            let method = if test.measure == Measure::Psi { Method::Psi } else { Method::Ks };
            let nothing = Statistic { value: 0.0, p_value: 1.0 };
            let mut open =
                Open { opened_at: time, last_at: time, method, line: test.line, peak: nothing, reported: 0.0, words: String::new() };
            open.take(time, found, words);
            open.reported = open.score();
            let row = open.row(rule, subject, SignalState::Opened, None, at);
            self.open = Some(open);
            return vec![row];
        };
        if !drifted {
            open.last_at = time;
            return vec![self.close(rule, subject, (Ending::Calm, time), at)];
        }
        if time.since(open.opened_at) >= rule.accept_after {
            open.last_at = latest.unwrap_or(open.last_at);
            return vec![self.close(rule, subject, (Ending::NewNormal, time), at)];
        }
        open.take(time, found, words);
        if open.score() >= 1.5 * open.reported {
            open.reported = open.score();
            return vec![open.row(rule, subject, SignalState::Worsened, None, at)];
        }
        Vec::new()
    }

    /// Ends the open signal, and tells it.
    fn close(&mut self, rule: &DriftRule, subject: &Subject, end: (Ending, Timestamp), at: &Evaluation) -> Signal {
        self.end(rule, end).row(rule, subject, SignalState::Closed, Some(end), at)
    }

    /// Ends the open signal.
    fn end(&mut self, rule: &DriftRule, (ending, closed_at): (Ending, Timestamp)) -> Open {
        let open = self.open.take().expect("only an open signal is closed: each caller has just looked at it");
        let until = match ending {
            Ending::Calm => closed_at,
            Ending::Gone => closed_at - rule.gap + Span::from_micros(1),
            Ending::NewNormal => open.opened_at,
        };
        self.kept_out.push((open.opened_at, until));
        if ending == Ending::NewNormal {
            self.floor = self.floor.max(Some(open.opened_at));
        }
        if ending == Ending::Gone { Open { last_at: closed_at - rule.gap, ..open } } else { open }
    }

    /// What is to say of a profile.
    fn words(&self, rule: &DriftRule, time: Timestamp, found: &Examination) -> String {
        let mut parts = Vec::new();
        let number = |v: f64| Unit::Number.show(v);
        for test in found.tests() {
            let name = if test.measure == Measure::Psi { "PSI" } else { "KS distance" };
            parts.push(format!("{name} {} (line {})", number(test.effect), number(test.line)));
        }
        let reference = self.reference(rule, time);
        let pool = Distribution::pooled(reference.iter().filter_map(|(_, d)| d.as_ref().ok()));
        if let Some((_, Ok(current))) = self.profiles.get(&time) {
            if let (Some(now), Some(before)) = (current.median(), pool.median()) {
                parts.push(format!("median {}, was {}", number(now), number(before)));
            }
            parts.extend(found.notes.iter().map(ToString::to_string));
            parts.push(format!("{} values against {} in the {} profiles before", current.count(), pool.count(), reference.len()));
        }
        parts.join("; ")
    }
}

impl Open {
    fn take(&mut self, time: Timestamp, found: &Examination, words: String) {
        self.last_at = time;
        let measure = if self.method == Method::Psi { Measure::Psi } else { Measure::KolmogorovSmirnov };
        let own = found.tests().find(|t| t.measure == measure).map(|t| Statistic { value: t.effect, p_value: t.p_value });
        if let Some(own) = own.filter(|s| s.value > self.peak.value || self.words.is_empty()) {
            (self.peak, self.words) = (own, words);
        }
    }

    fn score(&self) -> f64 {
        (self.peak.value / self.line).min(crate::band::SCORE_CAP)
    }

    fn row(&self, rule: &DriftRule, subject: &Subject, state: SignalState, end: Option<(Ending, Timestamp)>, at: &Evaluation) -> Signal {
        let fingerprint = Signal::fingerprint_of(&rule.name, self.method, subject);
        let name = match subject {
            Subject::Column { dataset, column } => format!("column {column} of {dataset}"),
            Subject::Series { .. } => subject.to_string(),
        };
        let after = |closed_at: Timestamp| closed_at.since(self.opened_at);
        let hint = match end {
            None => format!("{name}{DRIFTED}{}", self.words),
            Some((Ending::Calm, t)) => format!("{name} is back where it was after {}; at worst: {}", after(t), self.words),
            Some((Ending::Gone, _)) => {
                format!("{name} has no profile since {}, and nothing is known of how it is now; at worst: {}", self.last_at, self.words)
            }
            Some((Ending::NewNormal, t)) => {
                format!("{name} has stayed where it is for {}, and that now counts as normal; at worst: {}", after(t), self.words)
            }
        };
        Signal {
            signal_id: Signal::id_of(&fingerprint, self.opened_at),
            fingerprint,
            rule: rule.name.clone(),
            method: self.method,
            subject: subject.clone(),
            state,
            opened_at: self.opened_at,
            last_at: self.last_at,
            closed_at: end.map(|(_, t)| t),
            score: self.score(),
            value: self.peak.value,
            expected: 0.0,
            lower: 0.0,
            upper: self.line,
            p_value: Some(self.peak.p_value),
            direction: Direction::Shape,
            severity: rule.severity,
            unit: Unit::Number,
            hint,
            round_id: at.round_id.clone(),
            recorded_at: at.now,
        }
    }
}

#[cfg(test)]
mod tests;
