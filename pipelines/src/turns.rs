//! Many windows, each series whole in one of them: every rule and every known signal has its turn in the window where its
//! series is, and those without a series at the end. What takes all series of a metric together has its turn at the end, too.

use std::collections::{BTreeSet, HashSet};

use bellwether_detectors::course::Courses;
use bellwether_detectors::crowd::Crowds;
use bellwether_detectors::detect::{Evaluation, Findings, Newcomers, detect, detect_among, detect_grown_up, taken_together};
use bellwether_detectors::rule::Rule;
use bellwether_model::id::{RuleName, SeriesId};
use bellwether_model::series::Window;
use bellwether_model::signal::{Signal, Subject};

/// What is still to be judged after some windows.
pub(crate) struct Turns<'a> {
    rules: &'a [Rule],
    at: &'a Evaluation,
    /// What grown-up series did, by which newcomers are judged.
    crowds: Crowds,
    /// Series that wait for the crowds of all windows.
    newcomers: Newcomers,
    /// Signals whose series was not met yet, or whose metric is taken together.
    waiting: Vec<Signal>,
    /// Metrics whose series are compared with each other, and these series of all windows so far.
    together: BTreeSet<String>,
    aside: Window,
    /// Metrics that were met.
    met: BTreeSet<String>,
}

impl<'a> Turns<'a> {
    /// Before the first window. `known` as [`detect`] wants it, for all windows together.
    pub(crate) fn new(rules: &'a [Rule], known: Vec<Signal>, at: &'a Evaluation) -> Self {
        let crowds = Crowds::new(rules, &known, at);
        let (together, aside) = (taken_together(rules), Window::new());
        Self { rules, at, crowds, newcomers: Newcomers::default(), waiting: known, together, aside, met: BTreeSet::new() }
    }

    /// Judges one window by the rules for its metrics, knowing the signals on its series. Newcomers, and what is taken together, wait for the
    /// end.
    pub(crate) fn judge(&mut self, window: &Window, courses: &mut Courses) -> Findings {
        let metrics: BTreeSet<&str> = window.series.iter().map(|s| s.metric.as_str()).collect();
        let rules: Vec<Rule> =
            self.rules.iter().filter(|r| metrics.contains(r.metric.as_str()) && !self.together.contains(&r.metric)).cloned().collect();
        let here: HashSet<SeriesId> = window.series.iter().map(|s| s.series_id).collect();
        let is_here = |s: &Signal| match &s.subject {
            Subject::Series { series_id, metric, .. } => here.contains(series_id) && !self.together.contains(metric),
            Subject::Column { .. } => false,
        };
        let (known, waiting): (Vec<Signal>, _) = std::mem::take(&mut self.waiting).into_iter().partition(is_here);
        self.waiting = waiting;
        if metrics.iter().any(|metric| self.together.contains(*metric)) {
            self.aside.extend(&window.only(|series| self.together.contains(&series.metric)));
        }
        self.met.extend(metrics.into_iter().map(str::to_owned));
        self.crowds.take_in(&rules, window);
        let (findings, newcomers) = detect_grown_up(&rules, &known, courses, window, self.at);
        self.newcomers.extend(newcomers);
        findings
    }

    /// After the last window: judges newcomers by their peers and what is taken together, ends signals whose series is gone, and names the
    /// rules without any series.
    pub(crate) fn end(self) -> Findings {
        let (together, alone): (Vec<Rule>, Vec<Rule>) = self.rules.iter().cloned().partition(|r| self.together.contains(&r.metric));
        let known = [self.waiting, self.newcomers.known].concat();
        let mut findings = detect_among(&self.crowds, &alone, &known, &self.newcomers.window, self.at);
        let silent = |name: &RuleName| alone.iter().any(|r| r.name == *name && !self.met.contains(&r.metric));
        findings.skipped.retain(|skip| skip.subject.is_some() || silent(&skip.rule));
        findings.extend(detect(&together, &known, &self.aside, self.at));
        findings
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bellwether_detectors::judging::Judging;
    use bellwether_model::id::RoundId;
    use bellwether_model::series::Series;
    use bellwether_model::signal::{Method, SignalState};
    use bellwether_model::time::{Span, Timestamp};
    use bellwether_model::unit::Unit;

    use super::*;

    fn series(service: &str) -> Series {
        Series::new("queue", [("service".to_owned(), service.to_owned())].into())
    }

    fn window(service: &str, values: impl Fn(i64) -> f64) -> Window {
        let ts: Vec<i64> = (0..600).map(|minute| minute * 60_000_000).collect();
        let values: Vec<f64> = (0..600).map(values).collect();
        let mut window = Window::new();
        window.push(series(service), &ts, &values);
        window
    }

    fn judged(rules: &[Rule], known: Vec<Signal>, windows: &[Window], at: &Evaluation) -> Findings {
        let mut turns = Turns::new(rules, known, at);
        let mut all = Findings::default();
        for window in windows {
            all.extend(turns.judge(window, &mut Courses::default()));
        }
        all.extend(turns.end());
        all
    }

    #[test]
    fn peers_meet_though_they_come_in_windows_of_their_own() {
        let rule = Judging { method: Some(Method::Peers), lookback: Some(Span::from_hours(5)), ..Judging::default() };
        let rules = [rule.rule(&RuleName::new("odd"), "queue", Unit::Number).unwrap(), Rule::new("queue", "queue", Unit::Number)];
        let wave = |i: i64| 50.0 + 20.0 * (i as f64 / 30.0).sin();
        let noise = |i: i64, n: i64| ((i * 7_919 + n * 104_729) % 101) as f64 / 50.0;
        let odd = move |i: i64| if i >= 590 { wave(i) - 12.0 } else { wave(i) + noise(i, 3) };
        let windows = [window("a", move |i| wave(i) + noise(i, 1)), window("b", move |i| wave(i) + noise(i, 2)), window("c", odd)];
        let minute = |n: i64| Timestamp::from_secs(n * 60);
        let at = |since: i64, now: i64| Evaluation { round_id: RoundId::new("rnd"), since: minute(since), now: minute(now) };
        let found = judged(&rules, vec![], &windows, &at(300, 595));
        let [signal] = &found.signals[..] else { panic!("{:#?}", found.signals) };
        assert_eq!((signal.rule.as_str(), signal.subject.label("service")), ("odd", Some("c")));
        // It goes on in the next round, whose windows come one by one too.
        assert_eq!(judged(&rules, vec![signal.clone()], &windows, &at(595, 598)).signals, []);
        let alone = judged(&rules, vec![], &windows[..1], &at(300, 595));
        assert_eq!((alone.signals.len(), alone.skipped_by_reason()), (0, BTreeMap::new()), "the other rule judged it");
    }

    #[test]
    fn an_open_signal_is_ended_only_where_its_series_is_gone() {
        let calm = |i: i64| (i % 7) as f64;
        let high = move |i: i64| if i >= 500 { 60.0 } else { calm(i) };
        let rules = [Rule::new("queue", "queue", Unit::Number), Rule::new("other", "other", Unit::Number)];
        let minute = |n: i64| Timestamp::from_secs(n * 60);
        let at = |since: i64, now: i64| Evaluation { round_id: RoundId::new("rnd"), since: minute(since), now: minute(now) };
        let windows = [window("a", calm), window("b", high)];
        let opened = judged(&rules, vec![], &windows, &at(0, 520));
        let [signal] = &opened.signals[..] else { panic!("{:#?}", opened.signals) };
        assert_eq!((signal.state, opened.skipped_by_reason()), (SignalState::Opened, BTreeMap::from([("no_series".to_owned(), 1)])));

        // Its row is older than the rule's gap by now, but its series goes on, in another window than the first.
        assert!(rules[0].gap < Span::from_mins(75));
        let later = judged(&rules, vec![signal.clone()], &windows, &at(520, 599));
        assert_eq!((later.signals, later.series), (vec![], 2));
        let gone = judged(&rules, vec![signal.clone()], &windows[..1], &at(520, 599));
        assert_eq!(gone.signals.iter().map(|s| (s.state, &s.signal_id)).collect::<Vec<_>>(), [(SignalState::Closed, &signal.signal_id)]);
    }
}
