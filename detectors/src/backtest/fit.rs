//! Which detector labels speak for: how much novelty and how much telemetry is in the score, and where its line is; for all series, and
//! for each group that has labels enough.
//!
//! A setting is chosen by the F1 of events that it reaches by cross-validation, on series whose labels did not choose its line. What needs
//! no labels, one of both detectors by the series' step, stays unless a mixture is better by [`MARGIN`]. A group, the series of one
//! folder or metric, gets a setting of its own only where it has [`LEAST_EVENTS`] events in [`FOLDS`] series and is better by that much with
//! it: small differences are chance, and chance does not last. [`Fitted::report`] says what that is worth: each fifth of the series is judged by what the others chose, mixture, groups and line.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::events::{self, Counts};
use super::labelled::LabelledSeries;
use super::report::{FOLDS, Report, evaluate_folds, split};
use crate::preset::{Preset, Scorer, scores};

/// Shares of novelty that are tried, beside leaving the choice to the series' step.
const SHARES: [f64; 5] = [0.0, 0.25, 0.5, 0.75, 1.0];
/// Fewer events are too few for a setting of a group's own.
pub const LEAST_EVENTS: usize = 10;

/// A smaller gain in F1 is none.
pub const MARGIN: f64 = 0.03;

/// A detector: what is in its score, and its line.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Setting {
    /// Share of novelty in the score, the rest is telemetry; `None`: one of both, by the series' typical step.
    pub novelty: Option<f64>,
    /// The score at its decision line.
    pub threshold: f64,
    /// F1 of events with the line from other series.
    pub event_f1: f64,
    /// Events that chose it.
    pub events: usize,
}

impl Setting {
    /// What is chosen where labels say nothing.
    const UNKNOWN: Self = Self { novelty: None, threshold: 1.0, event_f1: 0.0, events: 0 };

    /// What scores a series by it.
    pub fn scorer(&self) -> Scorer {
        self.novelty.map_or_else(|| Scorer::new(Preset::Auto), Scorer::mixed)
    }
}

/// Settings for all series, and for groups that have their own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    /// For every series without a better one.
    pub all: Setting,
    /// By group ([`LabelledSeries::group`]).
    pub groups: BTreeMap<String, Setting>,
}

impl Choice {
    /// The setting for a series: that of its group, where it has one.
    pub fn of(&self, series: &LabelledSeries) -> &Setting {
        self.groups.get(series.group()).unwrap_or(&self.all)
    }
}

/// A choice, and what it is worth.
#[derive(Clone, Debug, PartialEq)]
pub struct Fitted {
    /// What all labels together chose.
    pub choice: Choice,
    /// Each series judged by what series of other folds chose.
    pub report: Report,
}

/// The scores of both presets on one series.
#[derive(Clone, Debug, PartialEq)]
pub struct Both {
    novelty: Vec<f64>,
    telemetry: Vec<f64>,
    by_step: f64,
}

impl Both {
    /// Scores a series.
    pub fn of(series: &LabelledSeries) -> Self {
        let times = series.ts.iter().zip(&series.values).filter(|(_, x)| crate::band::is_measurement(**x)).map(|(t, _)| *t);
        Self {
            novelty: scores(Preset::Novelty, &series.ts, &series.values),
            telemetry: scores(Preset::Telemetry, &series.ts, &series.values),
            by_step: f64::from(u8::from(Preset::suited_to(times) == Some(Preset::Novelty))),
        }
    }

    fn mixed(&self, novelty: Option<f64>, threshold: f64) -> Vec<f64> {
        let share = novelty.unwrap_or(self.by_step);
        self.novelty.iter().zip(&self.telemetry).map(|(n, t)| (share * n + (1.0 - share) * t) / threshold).collect()
    }
}

/// Chooses by the labels of these series. `scores`: one for each.
pub fn fit(series: &[LabelledSeries], scores: &[Both]) -> Fitted {
    let choose_from = |of: &[usize]| choose(&of.iter().map(|k| (&series[*k], &scores[*k])).collect::<Vec<_>>());
    let apply = |choice: &Choice| -> Vec<Vec<f64>> {
        series.iter().zip(scores).map(|(s, both)| both.mixed(choice.of(s).novelty, choice.of(s).threshold)).collect()
    };
    let choice = choose_from(&(0..series.len()).collect::<Vec<_>>());
    let within: Vec<Vec<Vec<f64>>> = (0..FOLDS).map(|fold| apply(&choose_from(&split(series.len(), fold).1))).collect();
    let report = evaluate_folds(series, &apply(&choice), |fold| &within[fold]);
    Fitted { choice, report }
}

type Labelled<'a> = (&'a LabelledSeries, &'a Both);

fn choose(from: &[Labelled<'_>]) -> Choice {
    let all = best(from);
    let mut by_group: BTreeMap<&str, Vec<Labelled<'_>>> = BTreeMap::new();
    for labelled in from {
        by_group.entry(labelled.0.group()).or_default().push(*labelled);
    }
    let mut groups = BTreeMap::new();
    for (name, of_group) in by_group.into_iter().filter(|(_, of_group)| may_differ(of_group, from)) {
        let own = best(&of_group);
        let mut as_all = Counts::default();
        for (series, both) in &of_group {
            as_all.add(events::counts(series, &both.mixed(all.novelty, all.threshold), 1.0));
        }
        if own.event_f1 > as_all.f1() + MARGIN {
            groups.insert(name.to_owned(), own);
        }
    }
    Choice { all, groups }
}

/// Whether a group is a part of all that has labels enough for a setting of its own.
fn may_differ(group: &[Labelled<'_>], all: &[Labelled<'_>]) -> bool {
    let events: usize = group.iter().map(|(series, _)| series.events.len()).sum();
    group.len() < all.len() && group.len() >= FOLDS && events >= LEAST_EVENTS
}

/// The mixture with the best cross-validated F1, with the line that is best on all; the one by the step, unless another is clearly better.
fn best(from: &[Labelled<'_>]) -> Setting {
    let series: Vec<&LabelledSeries> = from.iter().map(|(s, _)| *s).collect();
    let events = series.iter().map(|s| s.events.len()).sum();
    let mut best = Setting { events, ..Setting::UNKNOWN };
    for novelty in std::iter::once(None).chain(SHARES.map(Some)) {
        let mixed: Vec<Vec<f64>> = from.iter().map(|(_, both)| both.mixed(novelty, 1.0)).collect();
        let mut counts = Counts::default();
        for fold in 0..FOLDS.min(from.len()) {
            let (held, others) = split(from.len(), fold);
            let (known, scores): (Vec<&LabelledSeries>, Vec<&[f64]>) = others.iter().map(|k| (series[*k], mixed[*k].as_slice())).unzip();
            let threshold = if known.iter().all(|s| s.events.is_empty()) { 1.0 } else { events::fit(&known, &scores).0 };
            held.iter().for_each(|k| counts.add(events::counts(series[*k], &mixed[*k], threshold)));
        }
        let (threshold, _) = events::fit(&series, &mixed.iter().map(Vec::as_slice).collect::<Vec<_>>());
        let margin = if novelty.is_some() && best.novelty.is_none() { MARGIN } else { 0.0 };
        if threshold.is_finite() && threshold > 0.0 && counts.f1() > best.event_f1 + margin {
            best = Setting { novelty, threshold, event_f1: counts.f1(), events };
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten series of 200 points in two groups. In `spikes` telemetry sees the events and novelty invents one; in `shapes` the other way round.
    fn two_groups() -> (Vec<LabelledSeries>, Vec<Both>) {
        (0..20)
            .map(|k| {
                let is_shape = k % 2 == 1;
                let at = 50 + k * 3;
                let series = LabelledSeries {
                    name: format!("{}/{k}.csv", if is_shape { "shapes" } else { "spikes" }),
                    ts: (0..200).map(|t| t * 3_600_000_000).collect(),
                    values: vec![0.0; 200],
                    events: std::iter::once(at..at + 2).collect(),
                };
                let (mut sees, mut invents) = (vec![0.1; 200], vec![0.1; 200]);
                (sees[at], invents[150]) = (3.0, 3.0);
                let (novelty, telemetry) = if is_shape { (sees, invents) } else { (invents, sees) };
                (series, Both { novelty, telemetry, by_step: 0.0 })
            })
            .unzip()
    }

    #[test]
    fn each_group_gets_what_its_labels_speak_for() {
        let (series, scores) = two_groups();
        let Fitted { choice, report } = fit(&series, &scores);
        assert!(choice.groups["shapes"].novelty >= Some(0.75) && choice.groups["shapes"].event_f1 == 1.0, "{choice:?}");
        let share_of_spikes = choice.groups.get("spikes").unwrap_or(&choice.all).novelty;
        assert!(share_of_spikes.is_none_or(|share| share <= 0.25), "{choice:?}");
        // Of four fifths of ten events each group has eight: too few for a setting of its own, so by others' labels this is not known.
        assert!(report.eventwise.unwrap().f1 < 1.0);
        let few = LabelledSeries { events: Vec::new(), ..series[0].clone() };
        assert_eq!(fit(&[few], &scores[..1]).choice, Choice { all: Setting::UNKNOWN, groups: BTreeMap::new() });
        assert_eq!(fit(&[], &[]).choice.all, Setting::UNKNOWN);
    }
}
