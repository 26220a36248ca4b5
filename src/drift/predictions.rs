//! What logged predictions tell: how well a classifier does, estimated and true, and whether groups are treated alike.

use bellwether_detectors::drift::fairness::{Decided, Fairness, FairnessRule, Rates, fairness};
use bellwether_detectors::drift::interval::Interval;
use bellwether_detectors::drift::performance::{BothWays, Calibration, Performance, Scored, of_calls};
use bellwether_model::verdict::Verdict;
use serde::Serialize;

/// Groups that are shown.
const SHOWN: usize = 30;

/// Predictions of one state, row by row; each list is as long as the others, or empty where the column is not there.
#[derive(Debug, Default)]
pub(crate) struct Logged {
    /// The probability of "positive"; not a number where there is none.
    pub probabilities: Vec<f64>,
    /// The decisions.
    pub decisions: Vec<Option<bool>>,
    /// The truth.
    pub labels: Vec<Option<bool>>,
    /// The groups.
    pub groups: Vec<Option<String>>,
}

/// What they tell.
#[derive(Debug, Serialize)]
pub(crate) struct Predictions {
    /// How well the classifier does; where there are probabilities.
    pub performance: Option<Standing>,
    /// Whether groups are treated alike now; where there are groups.
    pub fairness: Option<Fairness>,
}

/// How well a classifier did, and does.
#[derive(Debug, Serialize)]
pub(crate) struct Standing {
    /// On the reference.
    pub before: BothWays,
    /// Now.
    pub now: BothWays,
    /// Whether probabilities were first made to fit the labels of the reference.
    pub is_calibrated: bool,
    /// `fail` when accuracy has certainly fallen, `no_data` without anything to compare, `inconclusive` where labels contradict the estimate.
    pub verdict: Verdict,
}

impl Standing {
    /// The figures that count: true ones where there are labels, otherwise the estimate.
    pub(crate) fn known(both: &BothWays) -> &Performance {
        if both.realised.rows > 0 { &both.realised } else { &both.estimated }
    }
}

/// Judges predictions; `threshold` is the probability from which a row counts as positive.
pub(crate) fn judge(before: &Logged, now: &Logged, threshold: f64) -> Predictions {
    let performance = (!now.probabilities.is_empty()).then(|| standing(before, now, threshold));
    let decisions = |logged: &'_ Logged| -> Vec<Option<bool>> {
        if logged.decisions.is_empty() {
            logged.probabilities.iter().map(|p| (0.0..=1.0).contains(p).then_some(*p >= threshold)).collect()
        } else {
            logged.decisions.clone()
        }
    };
    let chosen = decisions(now);
    let rows = now.groups.iter().zip(&chosen).enumerate().filter_map(|(i, (group, chosen))| {
        let label = now.labels.get(i).copied().flatten();
        Some(Decided { group: group.as_deref()?, chosen: (*chosen)?, label })
    });
    let has_groups = !now.groups.is_empty() && !chosen.is_empty();
    Predictions { performance, fairness: has_groups.then(|| fairness(rows, &FairnessRule::default())) }
}

fn standing(before: &Logged, now: &Logged, threshold: f64) -> Standing {
    let known: (Vec<f64>, Vec<bool>) =
        before.probabilities.iter().zip(&before.labels).filter_map(|(p, l)| Some((*p, (*l)?))).filter(|(p, _)| p.is_finite()).unzip();
    let calibration = Calibration::learn(&known.0, &known.1);
    let both = |logged: &Logged| {
        // Which rows are called positive is the classifier's own doing, so it is settled before probabilities are mended.
        let scored = logged.probabilities.iter().enumerate().filter(|(_, p)| (0.0..=1.0).contains(*p)).map(|(i, p)| {
            let mended = calibration.as_ref().map_or(*p, |c| c.probability(*p));
            (*p >= threshold, Scored { probability: mended, label: logged.labels.get(i).copied().flatten() })
        });
        of_calls(scored)
    };
    let (was, is) = (both(before), both(now));
    let verdict = match (Standing::known(&was).accuracy, Standing::known(&is).accuracy) {
        (Some(was), Some(is)) if is.upper < was.lower => Verdict::Fail,
        (Some(_), Some(_)) if is.contradict() == Some(true) => Verdict::Inconclusive,
        (Some(_), Some(_)) => Verdict::Pass,
        _ => Verdict::NoData,
    };
    Standing { before: was, now: is, is_calibrated: calibration.is_some(), verdict }
}

/// The figures by name, in the order in which they are shown.
pub(crate) fn figures(p: &Performance) -> [(&'static str, Option<Interval>); 5] {
    [("accuracy", p.accuracy), ("precision", p.precision), ("recall", p.recall), ("specificity", p.specificity), ("F1", p.f1)]
}

/// The largest groups, the largest first, and how many more there are.
pub(crate) fn largest(f: &Fairness) -> (Vec<(&String, &Rates)>, usize) {
    let mut groups: Vec<(&String, &Rates)> = f.groups.iter().collect();
    groups.sort_by_key(|(_, rates)| std::cmp::Reverse(rates.rows));
    groups.truncate(SHOWN);
    let more = f.groups.len() - groups.len();
    (groups, more)
}

/// The gaps between groups by name, with what each is judged by.
pub(crate) fn gaps(f: &Fairness) -> [(&'static str, &'static str, Option<&bellwether_detectors::drift::fairness::Gap>); 3] {
    [
        ("demographic parity", "share chosen", f.parity.as_ref()),
        ("equal opportunity", "share chosen of the positive", f.opportunity.as_ref()),
        ("false alarms", "share chosen of the negative", f.false_alarms.as_ref()),
    ]
}

/// The worst verdict of all gaps; `no_data` without any.
pub(crate) fn fairness_verdict(f: &Fairness) -> Verdict {
    let verdicts: Vec<Verdict> = gaps(f).iter().filter_map(|(.., gap)| gap.map(|g| g.verdict)).collect();
    match () {
        () if verdicts.is_empty() => Verdict::NoData,
        () if verdicts.contains(&Verdict::Fail) => Verdict::Fail,
        () if verdicts.contains(&Verdict::Inconclusive) => Verdict::Inconclusive,
        () => Verdict::Pass,
    }
}

/// A figure with its limits: "0.85 (0.84 to 0.86)".
pub(crate) fn interval(figure: Option<Interval>) -> String {
    figure.map_or_else(|| "–".into(), |f| format!("{:.3} ({:.3} to {:.3})", f.value, f.lower, f.upper))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Calibrated probabilities, of which the lower half of labels is turned round by `wrong` of a hundred.
    fn logged(rows: u32, wrong: u32, has_labels: bool) -> Logged {
        let probability = |i: u32| f64::from(i * 37 % 100) / 100.0 + 0.005;
        let label = |i: u32| (f64::from(i * 61 % 97) / 97.0 < probability(i)) != (i * 13 % 100 < wrong);
        Logged {
            probabilities: (0..rows).map(probability).collect(),
            labels: if has_labels { (0..rows).map(|i| Some(label(i))).collect() } else { Vec::new() },
            groups: (0..rows).map(|i| Some(if i % 3 == 0 { "a" } else { "b" }.to_owned())).collect(),
            ..Logged::default()
        }
    }

    #[test]
    fn performance_is_estimated_until_the_truth_is_there() {
        let before = logged(5_000, 0, true);
        let unknown = judge(&before, &logged(5_000, 30, false), 0.5).performance.unwrap();
        assert!(unknown.is_calibrated && unknown.verdict == Verdict::Pass && unknown.now.realised.rows == 0);
        let (estimated, was) = (unknown.now.estimated.accuracy.unwrap(), unknown.before.realised.accuracy.unwrap());
        assert!((estimated.value - was.value).abs() < 0.02, "{estimated:?} {was:?}");
        let known = judge(&before, &logged(5_000, 30, true), 0.5).performance.unwrap();
        assert_eq!((known.verdict, known.now.contradict()), (Verdict::Fail, Some(true)));
        assert_eq!(judge(&Logged::default(), &logged(9, 0, false), 0.5).performance.unwrap().verdict, Verdict::NoData);
    }

    #[test]
    fn groups_are_compared_by_the_decisions() {
        let mut now = logged(3_000, 0, true);
        let alike = judge(&Logged::default(), &now, 0.5).fairness.unwrap();
        assert_ne!(fairness_verdict(&alike), Verdict::Fail);
        now.decisions = now.groups.iter().map(|g| Some(g.as_deref() == Some("a"))).collect();
        let unlike = judge(&Logged::default(), &now, 0.5).fairness.unwrap();
        assert_eq!(fairness_verdict(&unlike), Verdict::Fail);
        assert_eq!(judge(&Logged::default(), &Logged::default(), 0.5).fairness, None);
        assert_eq!(interval(None), "–");
        let many = Logged {
            decisions: vec![Some(true); 500],
            groups: (0..500).map(|i| Some(if i < 440 { format!("g{i}") } else { "z".into() })).collect(),
            ..Logged::default()
        };
        let many = judge(&Logged::default(), &many, 0.5).fairness.unwrap();
        let (shown, more) = largest(&many);
        assert_eq!((shown.len(), shown[0].0.as_str(), shown[0].1.rows, more), (30, "z", 60, 411), "the largest first");
    }
}
