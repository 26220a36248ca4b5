//! Many series, many rules: the transitions of signals, and what could not be judged.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use bellwether_model::id::{RoundId, RuleName, SeriesId};
use bellwether_model::series::{Series, Window};
use bellwether_model::signal::{Method, Signal, SignalState, Subject};
use bellwether_model::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::band::Band;
use crate::course::Courses;
use crate::crowd::Crowds;
use crate::hint;
use crate::history::{History, history};
use crate::past::measurements;
use crate::peers::{self, Member};
use crate::rule::{MethodSpec, Rule};
use crate::scan::{Ending, Room, Seen, Stay, scan};

/// When and for which round is judged: samples in `(since, now]` are new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evaluation {
    /// The round that the signals' rows name.
    pub round_id: RoundId,
    /// Everything up to here was judged before. [`Timestamp`] zero or less: nothing was.
    pub since: Timestamp,
    /// Samples later than this are not looked at. Written as the rows' time of recording.
    pub now: Timestamp,
}

/// What one call found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Findings {
    /// Transitions, by rule, then series, then time.
    pub signals: Vec<Signal>,
    /// What no rule judged, and why: a subject that one rule judged is not here because another could not.
    pub skipped: Vec<Skip>,
    /// Series, or columns, with at least one judged sample under some rule.
    pub series: u64,
    /// New samples that were judged, once for each rule.
    pub samples: u64,
}

/// A subject that a rule should have judged and did not, and no other rule did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Skip {
    /// The rule.
    pub rule: RuleName,
    /// The series or column; `None` when the rule's metric has none.
    pub subject: Option<Subject>,
    /// Why.
    pub reason: SkipReason,
    /// What is there and what is needed, for a series with too little history.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<History>,
}

/// Why something was not judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SkipReason {
    /// The rule's metric has no series.
    NoSeries,
    /// The series has no new sample.
    NoData,
    /// The baseline has fewer samples than the rule asks for.
    NotEnoughHistory,
    /// The new samples are NaN, infinite or absurdly large.
    NotNumbers,
    /// The column was never profiled before, or not within the lookback.
    NoEarlierProfile,
    /// The profile holds no quantiles, so its distribution is unknown.
    NoQuantiles,
    /// The profile does not say how many values it was made of.
    NoCount,
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::NoSeries => "no_series",
            Self::NoData => "no_data",
            Self::NotEnoughHistory => "not_enough_history",
            Self::NotNumbers => "not_numbers",
            Self::NoEarlierProfile => "no_earlier_profile",
            Self::NoQuantiles => "no_quantiles",
            Self::NoCount => "no_count",
        })
    }
}

impl Findings {
    /// How many series and columns no rule judged, each counted once, by the last of its reasons in the order of [`SkipReason`];
    /// and under `no_series` how many rules have no series.
    pub fn skipped_by_reason(&self) -> BTreeMap<String, i64> {
        let mut reasons: BTreeMap<(Option<String>, &str), SkipReason> = BTreeMap::new();
        for skip in &self.skipped {
            let subject = skip.subject.as_ref().map(Subject::key);
            let rule = if subject.is_none() { skip.rule.as_str() } else { "" };
            let kept = reasons.entry((subject, rule)).or_insert(skip.reason);
            *kept = skip.reason.max(*kept);
        }
        let mut counts = BTreeMap::new();
        for reason in reasons.into_values() {
            *counts.entry(reason.to_string()).or_insert(0) += 1;
        }
        counts
    }

    /// Adds what another call found.
    pub fn extend(&mut self, other: Self) {
        self.signals.extend(other.signals);
        self.skipped.extend(other.skipped);
        self.series += other.series;
        self.samples += other.samples;
    }
}

/// The earliest sample that [`detect`] may need, given what it will be called with. Signals that closed at or after this
/// time belong into its `known`.
pub fn reaches_back_to(rules: &[Rule], open: &[Signal], since: Timestamp) -> Timestamp {
    rules.iter().map(|rule| rule.reaches_back_to(judged_from(rule, open, since))).min().unwrap_or(since)
}

/// From when on a rule judges: as told, or from when the first of its open signals began.
pub(crate) fn judged_from(rule: &Rule, open: &[Signal], since: Timestamp) -> Timestamp {
    open.iter().filter(|s| s.rule == rule.name && s.is_open()).map(|s| s.opened_at).fold(since, Timestamp::min)
}

/// The latest mark at which a preset's course may have been saved to be continued on a series whose open signal began then, if it
/// has one, when samples after `since` are judged.
pub fn continues_from(rule: &Rule, opened_at: Option<Timestamp>, since: Timestamp) -> Timestamp {
    rule.pends_from(opened_at.map_or(since, |t| t.min(since)))
}

/// The metrics whose series must all be in one window, because a rule compares them with each other.
pub fn taken_together(rules: &[Rule]) -> BTreeSet<String> {
    rules.iter().filter(|r| r.is_together()).map(|r| r.metric.clone()).collect()
}

/// Judges the new samples of a window by every rule for their metric.
///
/// `known` holds the latest row of each signal that is open, and of those that closed within a lookback (see
/// [`reaches_back_to`]): they say where a new normal began, and what is kept out of the baseline. The window holds samples from [`reaches_back_to`] on;
/// with less, judging still works, on less history. All series of a metric that is [`taken_together`] are in it. Rules must be valid ([`Rule::validate`]).
///
/// # Guarantees
/// The same signals (ids, times, scores to rounding), whether a span of time is judged by one call or by many, each with
/// the rows of the calls before. Nothing in the result is NaN or infinite. A series that falls silent closes its
/// signal with "no data", never as healthy. Signals of rules that are not given are left alone.
pub fn detect(rules: &[Rule], known: &[Signal], window: &Window, at: &Evaluation) -> Findings {
    let mut crowds = Crowds::new(rules, known, at);
    crowds.take_in(rules, window);
    detect_among(&crowds, rules, known, window, at)
}

/// As [`detect`], where newcomers are judged by these crowds, which are of more windows than this one.
pub fn detect_among(crowds: &Crowds, rules: &[Rule], known: &[Signal], window: &Window, at: &Evaluation) -> Findings {
    judge(Some(crowds), rules, known, &mut Courses::default(), window, at).0
}

/// As [`detect`] for the series that their own past can judge. The others are given back with the signals known on them: they are to be
/// judged by [`detect_among`] when the crowds of all windows are known.
///
/// Presets go on from saved courses: of a series with one, samples before its mark need not be in the window. A course must have been
/// saved at or before [`continues_from`] its series. Courses that reached another mark are added to `courses.reached`. Whether a preset
/// went on from a saved course or from the samples: the same signals, and scores equal to 1e-9.
pub fn detect_grown_up(rules: &[Rule], known: &[Signal], courses: &mut Courses, window: &Window, at: &Evaluation) -> (Findings, Newcomers) {
    let (findings, new) = judge(None, rules, known, courses, window, at);
    let mut newcomers = Newcomers::default();
    for i in new {
        let (series, range) = (&window.series[i], window.offsets[i]..window.offsets[i + 1]);
        newcomers.window.push(series.clone(), &window.ts[range.clone()], &window.values[range]);
        let of_it = |s: &&Signal| matches!(&s.subject, Subject::Series { series_id, .. } if *series_id == series.series_id);
        newcomers.known.extend(known.iter().filter(of_it).cloned());
    }
    (findings, newcomers)
}

/// Series that their own past cannot judge yet.
#[derive(Clone, Debug, Default)]
pub struct Newcomers {
    /// Their samples.
    pub window: Window,
    /// The signals known on them.
    pub known: Vec<Signal>,
}

impl Newcomers {
    /// Adds those of another window.
    pub fn extend(&mut self, other: Self) {
        self.window.extend(&other.window);
        self.known.extend(other.known);
    }
}

/// Judges a window. Without crowds, what only peers could judge is left out under all rules, and its positions are given back.
fn judge(
    crowds: Option<&Crowds>,
    rules: &[Rule],
    known: &[Signal],
    courses: &mut Courses,
    window: &Window,
    at: &Evaluation,
) -> (Findings, BTreeSet<usize>) {
    let mut findings = Findings::default();
    let mut by_metric: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (i, series) in window.series.iter().enumerate() {
        by_metric.entry(&series.metric).or_default().push(i);
    }
    let mut past: BTreeMap<(&str, Method, SeriesId), Vec<&Signal>> = BTreeMap::new();
    for signal in known {
        if let Subject::Series { series_id, .. } = &signal.subject {
            past.entry((signal.rule.as_str(), signal.method, *series_id)).or_default().push(signal);
        }
    }
    for signals in past.values_mut() {
        signals.sort_by_key(|s| s.opened_at);
    }
    let span = (at.since.micros(), at.now.micros());
    let (mut judged, mut skipped, mut room) = (BTreeMap::<usize, u64>::new(), Vec::new(), Room::default());
    let (mut signals, mut new): (Vec<(Option<usize>, Signal)>, BTreeSet<usize>) = Default::default();
    for rule in rules {
        let (method, positions) = (rule.method_name(), by_metric.get(rule.metric.as_str()).map_or(&[][..], Vec::as_slice));
        let mut together = together(rule, window, positions);
        for &i in positions {
            let series = &window.series[i];
            let range = window.offsets[i]..window.offsets[i + 1];
            let (all_ts, all_values) = (&window.ts[range.clone()], &window.values[range]);
            let (ts, values) = measurements(all_ts, all_values);
            let known = past.remove(&(rule.name.as_str(), method, series.series_id)).unwrap_or_default();
            let subject = || Subject::Series { series_id: series.series_id, metric: series.metric.clone(), labels: series.labels.clone() };
            room.course = courses.saved.remove(&(rule.name.clone(), series.series_id));
            room.told = together.next();
            room.company = crowds.and_then(|crowds| crowds.of(rule, &series.metric, &series.labels));
            let counts = scan::<false, _>(rule, (&ts, &values), &known, span, &mut room, |seen| {
                if !matches!(seen, Seen::Point { .. }) {
                    signals.extend(row(rule, subject, &seen, at).map(|signal| (Some(i), signal)));
                }
            });
            courses.reached.extend(room.course.take().map(|course| (rule.name.clone(), series.series_id, course)));
            if crowds.is_none() && counts.unjudged > 0 && rule.peers.as_ref().is_some_and(|p| p.group(&series.labels).is_some()) {
                new.insert(i);
            }
            if counts.judged > 0 {
                *judged.entry(i).or_default() += counts.judged as u64;
                continue;
            }
            let is_new = |t: &i64| *t > span.0 && *t <= span.1;
            let reason = match counts.new {
                0 if all_ts.iter().any(is_new) => SkipReason::NotNumbers,
                0 => SkipReason::NoData,
                _ => SkipReason::NotEnoughHistory,
            };
            let lacks = (reason == SkipReason::NotEnoughHistory).then(|| history(rule, &ts[..ts.partition_point(|t| *t <= span.1)]));
            skipped.push((i, rule, reason, lacks));
        }
        if positions.is_empty() {
            findings.skipped.push(Skip { rule: rule.name.clone(), subject: None, reason: SkipReason::NoSeries, history: None });
        }
        // Open signals whose series left the window altogether.
        let absent: Vec<_> = past.keys().filter(|(name, m, _)| *name == rule.name.as_str() && *m == method).copied().collect();
        for key in absent {
            let known = past.remove(&key).unwrap_or_default();
            let Some(subject) = known.last().map(|s| s.subject.clone()) else { continue };
            scan::<false, _>(rule, (&[], &[]), &known, span, &mut room, |seen| {
                signals.extend(row(rule, || subject.clone(), &seen, at).map(|signal| (None, signal)))
            });
        }
    }
    judged.retain(|i, _| !new.contains(i));
    findings.series = judged.len() as u64;
    findings.samples = judged.values().sum();
    findings.signals = signals.into_iter().filter(|(i, _)| i.is_none_or(|i| !new.contains(&i))).map(|(_, signal)| signal).collect();
    let is_left = |i: &usize| !judged.contains_key(i) && !new.contains(i);
    findings.skipped.extend(skipped.into_iter().filter(|(i, ..)| is_left(i)).map(|(i, rule, reason, history)| {
        let Series { series_id, metric, labels } = window.series[i].clone();
        Skip { rule: rule.name.clone(), subject: Some(Subject::Series { series_id, metric, labels }), reason, history }
    }));
    (findings, new)
}

/// What a rule whose method takes all series of the metric at once says of their samples, in order of the positions; nothing for other
/// methods.
fn together(rule: &Rule, window: &Window, positions: &[usize]) -> impl Iterator<Item = Vec<Option<Band>>> + use<> {
    let mut scored = Vec::new();
    if let MethodSpec::Peers { .. } = rule.method {
        let cut = |i: &usize| {
            let range = window.offsets[*i]..window.offsets[*i + 1];
            measurements(&window.ts[range.clone()], &window.values[range])
        };
        let cuts: Vec<_> = positions.iter().map(cut).collect();
        let members: Vec<Member<'_>> =
            positions.iter().zip(&cuts).map(|(i, (ts, values))| Member { labels: &window.series[*i].labels, ts, values }).collect();
        scored = peers::along(rule, &members);
    }
    scored.into_iter()
}

/// The ledger's row of a transition; `None` for a mere point.
fn row(rule: &Rule, subject: impl Fn() -> Subject, seen: &Seen<'_>, at: &Evaluation) -> Option<Signal> {
    let (stay, state, end): (&Stay, SignalState, Option<(Ending, i64)>) = match *seen {
        Seen::Point { .. } => return None,
        Seen::Opened(stay) => (stay, SignalState::Opened, None),
        Seen::Worsened(stay) => (stay, SignalState::Worsened, None),
        Seen::Closed(stay, ending, closed_at) => (stay, SignalState::Closed, Some((ending, closed_at))),
    };
    let (subject, method) = (subject(), rule.method_name());
    let fingerprint = Signal::fingerprint_of(&rule.name, method, &subject);
    let opened_at = Timestamp::from_micros(stay.opened_at);
    let Subject::Series { metric, labels, .. } = &subject else { return None };
    let hint = match end {
        None => hint::of_open(rule, metric, labels, stay),
        Some((ending, closed_at)) => hint::of_end(rule, metric, labels, stay, ending, closed_at),
    };
    let band = stay.peak.band;
    Some(Signal {
        signal_id: Signal::id_of(&fingerprint, opened_at),
        fingerprint,
        rule: rule.name.clone(),
        method,
        state,
        opened_at,
        last_at: Timestamp::from_micros(stay.last_at),
        closed_at: end.map(|(_, t)| Timestamp::from_micros(t)),
        score: stay.peak.score,
        value: stay.peak.value,
        expected: band.expected,
        lower: band.lower,
        upper: band.upper,
        p_value: stay.peak.p_value,
        direction: band.direction(rule.watch, stay.peak.value),
        severity: rule.severity,
        unit: rule.unit,
        hint,
        round_id: at.round_id.clone(),
        recorded_at: at.now,
        subject,
    })
}

#[cfg(test)]
mod tests;
