//! What ready-made detectors knew of series at the last mark: read when a round begins, saved when it ends, so that a round costs
//! what is new and not a whole lookback.

use std::collections::{BTreeMap, BTreeSet};

use bellwether_detectors::course::{Course, Courses, Saved, apart, is_worth_saving};
use bellwether_detectors::detect::{Evaluation, continues_from};
use bellwether_detectors::rule::Rule;
use bellwether_model::digest::{CanonicalError, Digest};
use bellwether_model::id::SeriesId;
use bellwether_model::signal::{Signal, Subject};
use bellwether_model::state::DetectorState;
use bellwether_model::time::Timestamp;
use bellwether_sql::Session;
use bellwether_sql::literal::{instant, text};
use serde::{Deserialize, Serialize};

use crate::round::RoundError;

/// What a state depends on beside the samples.
fn basis(rule: &Rule) -> Result<Digest, CanonicalError> {
    #[derive(Serialize)]
    struct Basis<'a> {
        version: u32,
        rule: &'a Rule,
    }
    Digest::of(&Basis { version: Course::VERSION, rule })
}

/// The courses that these rules can go on from: of each series the latest that was saved early enough. One that cannot be read is
/// left out, and its series starts from its samples.
pub(crate) async fn saved(session: &Session, rules: &[Rule], open: &[Signal], at: &Evaluation) -> Result<Courses, RoundError> {
    #[derive(Deserialize)]
    struct Row {
        series_id: SeriesId,
        until: Timestamp,
        state: String,
    }
    let mut courses = Courses::default();
    for rule in rules.iter().filter(|rule| is_worth_saving(rule)) {
        let opened: BTreeMap<SeriesId, Timestamp> = open
            .iter()
            .filter(|s| s.rule == rule.name && s.is_open())
            .filter_map(|s| match s.subject {
                Subject::Series { series_id, .. } => Some((series_id, s.opened_at)),
                Subject::Column { .. } => None,
            })
            .collect();
        let limit = |id: &SeriesId| continues_from(rule, opened.get(id).copied(), at.since);
        let latest = continues_from(rule, None, at.since);
        // Two marks back there is one for every series that still has samples.
        let earliest = opened.keys().map(limit).min().unwrap_or(latest) - apart(rule.lookback).times(2);
        let sql = format!(
            "SELECT series_id, until, state FROM detector_states WHERE rule = {} AND basis = {} AND until > {} AND until <= {} ORDER BY until, series_id",
            text(rule.name.as_str()),
            text(&basis(rule)?.to_string()),
            instant(earliest),
            instant(latest)
        );
        for row in session.rows::<Row>(&sql).await? {
            if row.until <= limit(&row.series_id)
                && let Ok(course) = serde_json::from_str(&row.state)
            {
                courses.saved.insert((rule.name.clone(), row.series_id), Saved { until: row.until, course });
            }
        }
    }
    Ok(courses)
}

/// The series that every rule for their metric can go on with, and from when on their samples are needed for that.
pub(crate) fn continued(courses: &Courses, rules: &[Rule]) -> Option<(BTreeSet<SeriesId>, Timestamp)> {
    let mut by_metric: BTreeMap<&str, Vec<&Rule>> = BTreeMap::new();
    for rule in rules.iter().filter(|rule| is_worth_saving(rule)) {
        by_metric.entry(&rule.metric).or_default().push(rule);
    }
    let has_all = |(rule, id): &(_, SeriesId)| {
        let rules = by_metric.values().find(|rules| rules.iter().any(|r| r.name == *rule))?;
        rules.iter().all(|r| courses.saved.contains_key(&(r.name.clone(), *id))).then_some(*id)
    };
    let whole: BTreeSet<SeriesId> = courses.saved.keys().filter_map(has_all).collect();
    let from = courses.saved.iter().filter(|((_, id), _)| whole.contains(id)).map(|(_, saved)| saved.until).min()?;
    Some((whole, from))
}

/// The rows to save.
pub(crate) fn rows(courses: Courses, rules: &[Rule], at: &Evaluation) -> Result<Vec<DetectorState>, CanonicalError> {
    let bases: BTreeMap<_, _> = rules.iter().filter(|r| is_worth_saving(r)).map(|r| Ok((&r.name, basis(r)?))).collect::<Result<_, _>>()?;
    let row = |(rule, series_id, saved): (_, SeriesId, Saved)| {
        let basis = *bases.get(&rule)?;
        let state = serde_json::to_string(&saved.course).ok()?;
        Some(DetectorState { rule, basis, series_id, until: saved.until, state, round_id: at.round_id.clone(), recorded_at: at.now })
    };
    let mut rows: Vec<DetectorState> = courses.reached.into_iter().filter_map(row).collect();
    rows.sort_by(|a, b| (a.until, &a.rule, a.series_id).cmp(&(b.until, &b.rule, b.series_id)));
    Ok(rows)
}
