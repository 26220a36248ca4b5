//! How columns stand: the newest profile of each, judged as the round judges it, with what the judgement rests on.

use std::collections::{BTreeMap, BTreeSet};

use bellwether_model::dataset::{ColumnProfile, DatasetId};
use bellwether_model::signal::{Signal, SignalState, Subject};
use bellwether_model::time::Timestamp;

use super::{Distribution, Track, Tracks, look};
use crate::detect::SkipReason;
use crate::drift::dataset::ColumnDecision;
use crate::drift::examine::Examination;
use crate::drift::profile;
use crate::drift::rule::DriftRule;
use crate::drift::shape::Bar;

/// The newest profile of a column.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing<'a> {
    /// The profile.
    pub profile: &'a ColumnProfile,
    /// The profiles that it is compared with, in order of time.
    pub reference: Vec<&'a ColumnProfile>,
    /// What is to say of it, or why nothing.
    pub judged: Result<Judged, SkipReason>,
}

/// What a round says of a profile.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// Its tests, with what is odd.
    pub examination: Examination,
    /// The verdict, corrected for all columns of the dataset that were profiled at the same time.
    pub decision: ColumnDecision,
    /// The bins of the population stability index, in order of value; none without values on both sides.
    pub bars: Vec<Bar>,
    /// The value below which half of the reference's values lie.
    pub median_before: Option<f64>,
    /// The value below which half of the values lie now.
    pub median_now: Option<f64>,
}

/// How every column stands that has a profile up to `now`, by dataset and column.
///
/// `known` and `history` are those of [`super::detect_drift`]: the signals that are open or closed since the earliest profile that may be
/// needed, and the profiles since then. A profile is judged by what was known before it, so the verdict is that of the round that
/// first saw it.
pub fn standings<'a>(rule: &DriftRule, known: &'a [Signal], history: &'a [ColumnProfile], now: Timestamp) -> Vec<Standing<'a>> {
    let mut datasets: BTreeMap<DatasetId, BTreeMap<&'a str, Timestamp>> = BTreeMap::new();
    for profile in history.iter().filter(|p| p.event_time <= now) {
        let newest = datasets.entry(profile.dataset()).or_default().entry(&profile.column).or_insert(profile.event_time);
        *newest = profile.event_time.max(*newest);
    }
    let mut standings = BTreeMap::new();
    for (dataset, newest) in &datasets {
        for time in newest.values().copied().collect::<BTreeSet<Timestamp>>() {
            let tracks = before(rule, dataset, known, history, time);
            let (family, skipped) = look(&tracks, rule, time);
            let judged = family.into_iter().map(|(column, examination, decision)| (column, Ok((examination, decision))));
            for (column, judged) in judged.chain(skipped.into_iter().map(|(column, reason)| (column, Err(reason)))) {
                if let (Some(track), true) = (tracks.get(column), newest.get(column) == Some(&time))
                    && let Some(standing) = track.standing(rule, time, judged)
                {
                    standings.insert((dataset, column), standing);
                }
            }
        }
    }
    standings.into_values().collect()
}

/// The columns of a dataset as they were when the profiles of `time` came.
fn before<'a>(rule: &DriftRule, dataset: &DatasetId, known: &'a [Signal], history: &'a [ColumnProfile], time: Timestamp) -> Tracks<'a> {
    let mut tracks: Tracks<'a> = BTreeMap::new();
    for profile in history.iter().filter(|p| p.event_time <= time && p.dataset() == *dataset) {
        let track = tracks.entry(&profile.column).or_default();
        track.profiles.insert(profile.event_time, (profile, Distribution::of(profile)));
    }
    for signal in known.iter().filter(|s| s.rule == rule.name && s.opened_at < time) {
        let Subject::Column { dataset: of, column } = &signal.subject else { continue };
        if let Some(track) = tracks.get_mut(column.as_str()).filter(|_| of == dataset) {
            // What ended with this profile, or after it, was still open.
            let was_open = signal.closed_at.is_some_and(|closed_at| closed_at >= time);
            let open = was_open.then(|| Signal { state: SignalState::Opened, closed_at: None, ..signal.clone() });
            track.recall(rule, open.as_ref().unwrap_or(signal));
        }
    }
    for track in tracks.values_mut().filter(|t| t.profiles.contains_key(&time)) {
        if let Some(end) = track.silence_before(rule, time) {
            track.end(rule, end);
        }
    }
    tracks
}

impl<'a> Track<'a> {
    fn standing(
        &self,
        rule: &DriftRule,
        time: Timestamp,
        judged: Result<(Examination, ColumnDecision), SkipReason>,
    ) -> Option<Standing<'a>> {
        let (profile, current) = self.profiles.get(&time)?;
        let reference = self.reference(rule, time);
        let pool = Distribution::pooled(reference.iter().filter_map(|(_, d)| d.as_ref().ok()));
        let judged = judged.map(|(examination, decision)| Judged {
            examination,
            decision,
            bars: current.as_ref().map(|current| profile::bars(&pool, current, rule.bins)).unwrap_or_default(),
            median_before: pool.median(),
            median_now: current.as_ref().ok().and_then(Distribution::median),
        });
        Some(Standing { profile, reference: reference.iter().map(|(profile, _)| *profile).collect(), judged })
    }
}
