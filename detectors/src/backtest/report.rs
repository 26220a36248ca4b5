//! What a backtest says, and how thresholds are kept honest: each series is judged by a threshold that others chose.

use serde::{Deserialize, Serialize};

use super::events::{self, Counts};
use super::labelled::LabelledSeries;
use super::nab::{self, PROFILES};
use super::ranking::average_precision;
use crate::preset::{self, Preset};

/// Into how many parts series are split; the threshold for one comes from the others.
pub const FOLDS: usize = 5;

/// All that was measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Points of all series.
    pub points: usize,
    /// Labelled events.
    pub events: usize,
    /// The benchmark's score under each of NAB's profiles.
    pub nab: Vec<NabScore>,
    /// Average precision, averaged over the series with events; `None` where none has any.
    pub mean_ap: Option<f64>,
    /// Average precision of one ranking of all points.
    pub pooled_ap: Option<f64>,
    /// Single points, at the thresholds of the other series.
    pub pointwise: Quality,
    /// Events, at the thresholds of the other series.
    pub eventwise: Quality,
    /// F1 over events at the one threshold that is best for these very series: what cannot be expected elsewhere.
    pub fitted_event_f1: f64,
    /// That threshold.
    pub fitted_threshold: f64,
    /// Median time from an event's beginning to its first alarm, over events found, in seconds; `None` without any.
    pub delay_seconds: Option<f64>,
    /// Points with an alarm for each day of a series.
    pub alarms_a_day: f64,
    /// Each series.
    pub series: Vec<Outcome>,
}

/// A score of NAB.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NabScore {
    /// The profile's name.
    pub profile: String,
    /// With thresholds from other series.
    pub cross_validated: f64,
    /// With the best threshold for these very series, as NAB publishes it.
    pub fitted: f64,
    /// That threshold; `None` where silence is best.
    pub threshold: Option<f64>,
}

/// How many alarms were right, and how many of what should be found was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Quality {
    /// Share of alarms that are right.
    pub precision: f64,
    /// Share found of what should be.
    pub recall: f64,
    /// Harmonic mean of both.
    pub f1: f64,
}

impl From<Counts> for Quality {
    fn from(counts: Counts) -> Self {
        Self { precision: counts.precision(), recall: counts.recall(), f1: counts.f1() }
    }
}

/// One series by the threshold that the others chose.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Its name.
    pub name: String,
    /// The threshold that was the best for events of the series in the other folds; `None` where silence was.
    pub threshold: Option<f64>,
    /// Its average precision; `None` without events.
    pub average_precision: Option<f64>,
    /// Events there are.
    pub events: usize,
    /// Events found.
    pub found: usize,
    /// False alarms, grouped.
    pub invented: usize,
    /// Positions of its alarms.
    pub alarms: Vec<usize>,
}

/// How good a preset would have been on these series.
pub fn run(series: &[LabelledSeries], preset: Preset) -> Report {
    let scores: Vec<Vec<f64>> = series.iter().map(|s| preset::scores(preset, &s.ts, &s.values)).collect();
    evaluate(series, &scores)
}

/// What scores of some series are worth. `scores` has one vector for each series, as long as its values.
pub fn evaluate(series: &[LabelledSeries], scores: &[Vec<f64>]) -> Report {
    let all: Vec<usize> = (0..series.len()).collect();
    let pick = |of: &[usize]| -> (Vec<&LabelledSeries>, Vec<&[f64]>) { of.iter().map(|k| (&series[*k], scores[*k].as_slice())).unzip() };
    let (every, every_score) = pick(&all);
    let folds: Vec<(Vec<usize>, Vec<usize>)> = (0..FOLDS)
        .map(|fold| all.iter().partition(|k| *k % FOLDS == fold))
        .filter(|(held, _): &(Vec<usize>, _)| !held.is_empty())
        .collect();

    let nab = PROFILES.iter().map(|profile| {
        let fitted = nab::fit(&every, &every_score, profile);
        let (mut sum, mut windows) = (0.0, 0);
        for (held, others) in &folds {
            let (others, other_scores) = pick(others);
            let (held, held_scores) = pick(held);
            let threshold = nab::fit(&others, &other_scores, profile).threshold;
            let (s, w) = nab::raw(&held, &held_scores, profile, threshold);
            (sum, windows) = (sum + s, windows + w);
        }
        NabScore {
            profile: profile.name.to_owned(),
            cross_validated: nab::normalised(sum, windows, profile),
            fitted: fitted.score,
            threshold: finite(fitted.threshold),
        }
    });
    let nab = nab.collect();

    let mut outcomes: Vec<Outcome> = Vec::with_capacity(series.len());
    let mut thresholds = vec![f64::INFINITY; series.len()];
    for (held, others) in &folds {
        let (others, other_scores) = pick(others);
        let (threshold, _) = events::fit(&others, &other_scores);
        held.iter().for_each(|k| thresholds[*k] = threshold);
    }
    let (mut total, mut points, mut delays, mut alarms_in_all, mut days) = (Counts::default(), Counts::default(), Vec::new(), 0, 0.0);
    let mut pool = Vec::new();
    for ((series, scores), threshold) in series.iter().zip(scores).zip(&thresholds) {
        let flags = series.flags();
        let counts = events::counts(series, scores, *threshold);
        let alarms: Vec<usize> = (0..scores.len()).filter(|i| scores[*i] >= *threshold).collect();
        total.add(counts);
        let right = alarms.iter().filter(|i| flags[**i]).count();
        points.add(Counts { found: right, events: flags.iter().filter(|f| **f).count(), invented: alarms.len() - right });
        delays.extend(series.events.iter().filter_map(|event| {
            let first = alarms.get(alarms.partition_point(|a| *a + events::BEFORE < event.start))?;
            (*first < event.end + events::AFTER).then(|| (series.ts[*first] - series.ts[event.start]).max(0) as f64 / 1e6)
        }));
        (alarms_in_all, days) = (alarms_in_all + alarms.len(), days + series.days());
        let ranked = scores.iter().copied().zip(flags.iter().copied());
        outcomes.push(Outcome {
            name: series.name.clone(),
            threshold: finite(*threshold),
            average_precision: average_precision(ranked.clone()),
            events: counts.events,
            found: counts.found,
            invented: counts.invented,
            alarms,
        });
        pool.extend(ranked);
    }
    let each: Vec<f64> = outcomes.iter().filter_map(|o| o.average_precision).collect();
    let (fitted_threshold, fitted_event_f1) = events::fit(&every, &every_score);
    delays.sort_by(f64::total_cmp);
    Report {
        points: pool.len(),
        events: total.events,
        nab,
        mean_ap: (!each.is_empty()).then(|| each.iter().sum::<f64>() / each.len() as f64),
        pooled_ap: average_precision(pool),
        pointwise: points.into(),
        eventwise: total.into(),
        fitted_event_f1,
        fitted_threshold: finite(fitted_threshold).unwrap_or(f64::MAX),
        delay_seconds: delays.get(delays.len() / 2).copied(),
        alarms_a_day: if days > 0.0 { alarms_in_all as f64 / days } else { 0.0 },
        series: outcomes,
    }
}

fn finite(threshold: f64) -> Option<f64> {
    threshold.is_finite().then_some(threshold)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_come_from_other_series() {
        // Six series of 100 points; the event of each stands out, but in the last one at another height.
        let series: Vec<LabelledSeries> = (0..6)
            .map(|k| LabelledSeries {
                name: k.to_string(),
                ts: (0..100).map(|t| t * 60_000_000).collect(),
                values: vec![0.0; 100],
                events: std::iter::once(40..44).collect(),
            })
            .collect();
        let mut scores = vec![vec![0.0; 100]; 6];
        for (k, scores) in scores.iter_mut().enumerate() {
            scores[41] = if k == 5 { 0.4 } else { 1.0 };
        }
        let report = evaluate(&series, &scores);
        assert_eq!((report.fitted_event_f1, report.fitted_threshold), (1.0, 0.4));
        // Series 5 shares its fold with series 0 and is judged by the threshold 1.0 of the others: missed.
        assert_eq!((report.eventwise.recall, report.eventwise.precision), (5.0 / 6.0, 1.0));
        assert_eq!((report.series[5].found, report.series[5].threshold), (0, Some(1.0)));
        // One of four labelled points is first, the other three are tied with all the rest.
        assert!((report.mean_ap.unwrap() - (1.0 + 3.0 * 0.04) / 4.0).abs() < 1e-12);
        assert_eq!((report.delay_seconds, report.pointwise.precision), (Some(60.0), 1.0));
    }
}
