//! What a backtest says, and how thresholds are kept honest: each series is judged by a threshold that others chose.

use serde::{Deserialize, Serialize};

use super::events::{self, Counts, LINE};
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
    /// Single points, at the thresholds of the other series; `None` without events, as all that follows of this kind.
    pub pointwise: Option<Quality>,
    /// Events, at the thresholds of the other series.
    pub eventwise: Option<Quality>,
    /// Events, at the decision line 1.0: what the detector does without any label.
    pub at_line: Option<Quality>,
    /// F1 over events at the one threshold that is best for these very series: what cannot be expected elsewhere.
    pub fitted_event_f1: Option<f64>,
    /// That threshold; `None` where silence was best.
    pub fitted_threshold: Option<f64>,
    /// Median time from an event's beginning to its first alarm, over events found, in seconds; `None` without any.
    pub delay_seconds: Option<f64>,
    /// Points with an alarm for each day of a series, at the thresholds of the other series.
    pub alarms_a_day: f64,
    /// The same at the decision line.
    pub alarms_a_day_at_line: f64,
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

impl Quality {
    /// What counts come to; where nothing was to be found nothing can be said.
    fn of(counts: Counts) -> Option<Self> {
        (counts.events > 0).then(|| Self { precision: counts.precision(), recall: counts.recall(), f1: counts.f1() })
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
    /// Single points; `None` without events.
    pub pointwise: Option<Quality>,
    /// Events; `None` without any.
    pub eventwise: Option<Quality>,
    /// Its part of the benchmark's scores, in the order of NAB's profiles, from 0 (silence) to 100; empty without events.
    pub nab: Vec<f64>,
    /// Median time from an event's beginning to its first alarm, in seconds; `None` where none was found.
    pub delay_seconds: Option<f64>,
    /// Points with an alarm a day.
    pub alarms_a_day: f64,
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
    evaluate_folds(series, scores, |_| scores)
}

/// The positions of the series in a fold, and of those in the other folds.
pub(super) fn split(series: usize, fold: usize) -> (Vec<usize>, Vec<usize>) {
    (0..series).partition(|k| k % FOLDS == fold)
}

/// As [`evaluate`], for scores that were made with a look at labels: `within` gives those of all series that know no label of a
/// fold, by which the series of that fold are judged. `scores` are for what is fitted on all.
pub(super) fn evaluate_folds<'a>(series: &[LabelledSeries], scores: &'a [Vec<f64>], within: impl Fn(usize) -> &'a [Vec<f64>]) -> Report {
    let pick = |scores: &'a [Vec<f64>], of: &[usize]| -> (Vec<&LabelledSeries>, Vec<&'a [f64]>) {
        of.iter().map(|k| (&series[*k], scores[*k].as_slice())).unzip()
    };
    let mut total = Total::default();
    let mut outcomes: Vec<(usize, Outcome)> = Vec::with_capacity(series.len());
    let mut earned = [(0.0, 0); PROFILES.len()];
    for fold in 0..FOLDS.min(series.len()) {
        let (held, others) = split(series.len(), fold);
        let (known, known_scores) = pick(within(fold), &others);
        let has_events = known.iter().any(|s| !s.events.is_empty());
        let threshold = if has_events { events::fit(&known, &known_scores).0 } else { LINE };
        let nab_thresholds = PROFILES.each_ref().map(|p| if has_events { nab::fit(&known, &known_scores, p).threshold } else { LINE });
        for k in held {
            let (series, scores) = (&series[k], within(fold)[k].as_slice());
            let mut outcome = total.add(series, scores, threshold);
            for ((profile, threshold), earned) in PROFILES.iter().zip(nab_thresholds).zip(&mut earned) {
                let (sum, windows) = nab::raw(&[series], &[scores], profile, threshold);
                *earned = (earned.0 + sum, earned.1 + windows);
                outcome.nab.extend((windows > 0).then(|| nab::normalised(sum, windows, profile)));
            }
            outcomes.push((k, outcome));
        }
    }
    outcomes.sort_by_key(|(k, _)| *k);
    let (every, every_score) = pick(scores, &(0..series.len()).collect::<Vec<_>>());
    let nab = PROFILES.iter().zip(earned).map(|(profile, (sum, windows))| {
        let fitted = nab::fit(&every, &every_score, profile);
        NabScore {
            profile: profile.name.to_owned(),
            cross_validated: nab::normalised(sum, windows, profile),
            fitted: fitted.score,
            threshold: finite(fitted.threshold),
        }
    });
    let nab = nab.collect();
    total.report(nab, events::fit(&every, &every_score), outcomes.into_iter().map(|(_, outcome)| outcome).collect())
}

/// What adds up over series.
#[derive(Default)]
struct Total {
    events: Counts,
    points: Counts,
    at_line: Counts,
    delays: Vec<f64>,
    alarms: usize,
    alarms_at_line: usize,
    days: f64,
    /// Scores and labels of all points.
    ranked: Vec<(f64, bool)>,
}

impl Total {
    /// Adds a series, and gives what is to say of it alone; without NAB's scores.
    fn add(&mut self, series: &LabelledSeries, scores: &[f64], threshold: f64) -> Outcome {
        let flags = series.flags();
        let counts = events::counts(series, scores, threshold);
        let alarms: Vec<usize> = (0..scores.len()).filter(|i| scores[*i] >= threshold).collect();
        let right = alarms.iter().filter(|i| flags[**i]).count();
        let points = Counts { found: right, events: flags.iter().filter(|f| **f).count(), invented: alarms.len() - right };
        let found = series.events.iter().filter_map(|event| {
            let first = alarms.get(alarms.partition_point(|a| *a + events::BEFORE < event.start))?;
            (*first < event.end + events::AFTER).then(|| (series.ts[*first] - series.ts[event.start]).max(0) as f64 / 1e6)
        });
        let mut delays: Vec<f64> = found.collect();
        let ranked = scores.iter().copied().zip(flags);
        let average_precision = average_precision(ranked.clone());
        self.events.add(counts);
        self.points.add(points);
        self.at_line.add(events::counts(series, scores, LINE));
        self.alarms_at_line += scores.iter().filter(|s| **s >= LINE).count();
        self.delays.extend(&delays);
        self.alarms += alarms.len();
        self.days += series.days();
        self.ranked.extend(ranked);
        Outcome {
            name: series.name.clone(),
            threshold: finite(threshold),
            average_precision,
            events: counts.events,
            found: counts.found,
            invented: counts.invented,
            pointwise: Quality::of(points),
            eventwise: Quality::of(counts),
            nab: Vec::new(),
            delay_seconds: median(&mut delays),
            alarms_a_day: a_day(alarms.len(), series.days()),
            alarms,
        }
    }

    fn report(mut self, nab: Vec<NabScore>, (fitted_threshold, fitted_event_f1): (f64, f64), series: Vec<Outcome>) -> Report {
        let each: Vec<f64> = series.iter().filter_map(|o| o.average_precision).collect();
        Report {
            points: self.ranked.len(),
            events: self.events.events,
            nab,
            mean_ap: (!each.is_empty()).then(|| each.iter().sum::<f64>() / each.len() as f64),
            pooled_ap: average_precision(self.ranked),
            pointwise: Quality::of(self.points),
            eventwise: Quality::of(self.events),
            at_line: Quality::of(self.at_line),
            fitted_event_f1: (self.events.events > 0).then_some(fitted_event_f1),
            fitted_threshold: finite(fitted_threshold),
            delay_seconds: median(&mut self.delays),
            alarms_a_day: a_day(self.alarms, self.days),
            alarms_a_day_at_line: a_day(self.alarms_at_line, self.days),
            series,
        }
    }
}

fn finite(threshold: f64) -> Option<f64> {
    threshold.is_finite().then_some(threshold)
}

/// The upper median; `None` of nothing.
fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

fn a_day(alarms: usize, days: f64) -> f64 {
    if days > 0.0 { alarms as f64 / days } else { 0.0 }
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
        assert_eq!((report.fitted_event_f1, report.fitted_threshold), (Some(1.0), Some(0.4)));
        // Series 5 shares its fold with series 0 and is judged by the threshold 1.0 of the others: missed.
        let eventwise = report.eventwise.unwrap();
        assert_eq!((eventwise.recall, eventwise.precision), (5.0 / 6.0, 1.0));
        assert_eq!((report.series[5].found, report.series[5].threshold), (0, Some(1.0)));
        // One of four labelled points is first, the other three are tied with all the rest.
        assert!((report.mean_ap.unwrap() - (1.0 + 3.0 * 0.04) / 4.0).abs() < 1e-12);
        assert_eq!((report.delay_seconds, report.pointwise.unwrap().precision), (Some(60.0), 1.0));
        assert_eq!((report.series[0].nab.len(), report.series[5].nab[0]), (3, 0.0));
        assert!(report.series[0].nab[0] > 90.0 && report.at_line.unwrap().recall == 5.0 / 6.0);
    }

    #[test]
    fn without_labels_elsewhere_the_decision_line_counts() {
        let series =
            LabelledSeries { name: "s".into(), ts: (0..9).collect(), values: vec![0.0; 9], events: std::iter::once(4..5).collect() };
        let report = evaluate(&[series], &[vec![0.0, 0.0, 0.9, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0]]);
        assert_eq!(
            (report.series[0].threshold, report.eventwise, report.eventwise),
            (Some(1.0), report.at_line, Some(Quality { precision: 1.0, recall: 1.0, f1: 1.0 }))
        );
        let nothing = evaluate(&[], &[]);
        assert_eq!((nothing.points, nothing.mean_ap, nothing.alarms_a_day), (0, None, 0.0));
        // Nothing is labelled: what would be right is not known.
        let unlabelled = LabelledSeries { ts: (0..9).collect(), values: vec![0.0; 9], ..LabelledSeries::default() };
        let report = evaluate(&[unlabelled], &[vec![2.0; 9]]);
        assert_eq!((report.eventwise, report.pointwise, report.at_line, report.fitted_event_f1), (None, None, None, None));
        assert_eq!((report.series[0].eventwise, report.series[0].alarms.len()), (None, 9));
    }
}
