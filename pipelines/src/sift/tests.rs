use bellwether_model::series::{Labels, Series};
use bellwether_model::signal::{Direction, Method, Severity, SignalState, Subject};
use bellwether_model::suppression::SuppressionKind;
use bellwether_model::unit::Unit;
use proptest::prelude::*;

use super::*;

/// The newest row of a signal of the rule `METRIC_zscore`.
pub(crate) fn signal(metric: &str, labels: &[(&str, &str)], opened_at: Timestamp, closed_at: Option<Timestamp>) -> Signal {
    let labels: Labels = labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let series_id = Series::new(metric, labels.clone()).series_id;
    let subject = Subject::Series { series_id, metric: metric.to_owned(), labels };
    let rule = RuleName::new(format!("{metric}_zscore"));
    let fingerprint = Signal::fingerprint_of(&rule, Method::Zscore, &subject);
    Signal {
        signal_id: Signal::id_of(&fingerprint, opened_at),
        fingerprint,
        rule,
        method: Method::Zscore,
        subject,
        state: if closed_at.is_some() { SignalState::Closed } else { SignalState::Opened },
        opened_at,
        last_at: closed_at.unwrap_or(opened_at),
        closed_at,
        score: 2.0,
        value: 9.0,
        expected: 1.0,
        lower: 0.0,
        upper: 3.0,
        p_value: None,
        direction: Direction::Up,
        severity: Severity::Warning,
        unit: Unit::Number,
        hint: format!("{metric} is 9"),
        round_id: "rnd".into(),
        recorded_at: opened_at,
    }
}

fn minute(n: i64) -> Timestamp {
    Timestamp::from_secs(1_780_000_000 + n * 60)
}

fn windows(spans: &[(i64, i64)]) -> Vec<Maintenance> {
    let window = |(i, (from, until)): (usize, &(i64, i64))| serde_json::json!({"name": format!("w{i}"), "from": minute(*from), "until": minute(*until)});
    spans.iter().enumerate().map(|w| serde_json::from_value(window(w)).unwrap()).collect()
}

/// Rounds one after the other over signals whose lives are known, as a ledger would keep them.
struct Ledger {
    rules: Vec<Rule>,
    windows: Vec<Maintenance>,
    /// Lives of signals: metric, opening and end in minutes.
    truth: Vec<(&'static str, i64, i64)>,
    before: Before,
    last: i64,
    told: BTreeMap<SignalId, i64>,
    rows: Vec<Suppression>,
}

impl Ledger {
    fn new(windows: Vec<Maintenance>, truth: &[(&'static str, i64, i64)]) -> Self {
        let rules = ["queue", "latency"].map(|m| Rule::new(format!("{m}_zscore"), m, Unit::Number)).to_vec();
        let before = Before::default();
        Self { rules, windows, truth: truth.to_vec(), before, last: -1, told: BTreeMap::new(), rows: Vec::new() }
    }

    /// A round that judges up to this minute.
    fn round(&mut self, now: i64) -> Sifted {
        let new = |t: i64| t > self.last && t <= now;
        let mut transitions = Vec::new();
        for (metric, opened, ended) in &self.truth {
            if new(*opened) {
                transitions.push(signal(metric, &[], minute(*opened), None));
            }
            if new(*ended) {
                transitions.push(signal(metric, &[], minute(*opened), Some(minute(*ended))));
            }
        }
        let at = Evaluation { round_id: "rnd".into(), since: minute(self.last), now: minute(now) };
        let sifted = Sieve { rules: &self.rules, windows: &self.windows }.sift(self.before.clone(), transitions, &at);
        for signal in &sifted.told {
            self.told.entry(signal.signal_id.clone()).or_insert(now);
        }
        let rows = newest(&self.before.open, &sifted.signals).into_values().cloned().collect::<Vec<_>>();
        for signal in rows.iter().filter(|s| !s.is_open()) {
            self.before.past.entry(signal.fingerprint.clone()).or_default().push(Life::of(signal));
        }
        self.before.open = rows.into_iter().filter(Signal::is_open).collect();
        for row in &sifted.suppressions {
            self.before.silenced.retain(|s| s.signal_id != row.signal_id);
            if row.holds() {
                self.before.silenced.push(row.clone());
            }
        }
        assert_eq!(sifted.silent, self.before.silenced.len());
        self.rows.extend(sifted.suppressions.iter().cloned());
        self.last = now;
        sifted
    }

    /// State, cause and end of each suppression's row, with the minute it was written.
    fn rows(&self) -> Vec<(i64, String)> {
        let minutes = |t: Timestamp| (t.micros() - minute(0).micros()) / 60_000_000;
        let text = |r: &Suppression| format!("{} {} {:?}", r.state, r.cause, r.until.map(minutes));
        self.rows.iter().map(|r| (minutes(r.recorded_at), text(r))).collect()
    }
}

#[test]
fn what_maintenance_covers_is_told_when_it_ends_and_not_before() {
    let mut ledger = Ledger::new(windows(&[(60, 120)]), &[("queue", 70, 150)]);
    let begun = ledger.round(80);
    assert_eq!((begun.signals.len(), begun.told.len(), begun.silent), (1, 0, 1));
    assert_eq!(ledger.round(100).suppressions, [], "nothing changed");
    let over = ledger.round(120);
    let [told] = &over.told[..] else { panic!("{over:?}") };
    assert!(over.signals.is_empty() && told.is_open() && over.silent == 0);
    let ended = ledger.round(160);
    assert_eq!((ended.told.len(), ended.suppressions.len()), (1, 0), "a told signal tells its end");
    assert_eq!(ledger.rows(), [(80, "silenced w0 Some(120)".into()), (120, "told w0 Some(120)".into())]);
    assert_eq!(
        (&ledger.rows[0].hint[..], ledger.rows[0].kind, ledger.rows[0].since),
        ("queue is 9", SuppressionKind::Maintenance, minute(70))
    );
}

#[test]
fn what_ends_within_a_window_is_never_told() {
    let mut ledger = Ledger::new(windows(&[(60, 120)]), &[("queue", 70, 90), ("latency", 95, 100)]);
    ledger.round(80);
    assert_eq!(ledger.round(92).told, []);
    assert_eq!(ledger.round(300).told, [], "it began and ended between two rounds");
    assert_eq!(ledger.rows(), [(80, "silenced w0 Some(120)".into()), (92, "ended w0 Some(90)".into()), (300, "ended w0 Some(100)".into())]);
}

#[test]
fn what_was_told_stays_told_and_one_cause_may_follow_another() {
    let mut ledger = Ledger::new(windows(&[(60, 120), (110, 180)]), &[("queue", 50, 150), ("latency", 70, 300)]);
    assert_eq!(ledger.round(55).told.len(), 1);
    let covered = ledger.round(80);
    assert_eq!((covered.told.len(), covered.silent), (0, 1), "only the one that began within is held back");
    assert_eq!(ledger.round(160).told.len(), 1, "the end of the one that was told");
    ledger.round(180);
    let of_latency = ["silenced w0 Some(120)", "silenced w1 Some(180)", "told w1 Some(180)"];
    assert_eq!(ledger.rows().into_iter().map(|r| r.1).collect::<Vec<_>>(), of_latency);
}

#[test]
fn a_signal_without_a_suppression_was_told_whatever_the_rules_say_now() {
    let mut ledger = Ledger::new(Vec::new(), &[("queue", 10, 400)]);
    assert_eq!(ledger.round(20).told.len(), 1);
    ledger.windows = windows(&[(0, 300)]);
    let later = ledger.round(100);
    assert_eq!((later.suppressions, later.silent), (vec![], 0));
    // The other way round: a window that is taken out of the configuration tells what it held back.
    let mut ledger = Ledger::new(windows(&[(0, 300)]), &[("queue", 10, 400)]);
    assert_eq!(ledger.round(20).silent, 1);
    ledger.windows.clear();
    assert_eq!(ledger.round(30).told.len(), 1);
}

#[test]
fn a_rule_that_flaps_is_damped_and_a_series_that_always_deviates_falls_silent() {
    let flaps: Vec<(&str, i64, i64)> = (0..6).map(|i| ("queue", i * 10, i * 10 + 5)).chain([("queue", 70, 500)]).collect();
    let mut ledger = Ledger::new(Vec::new(), &flaps);
    (0..=120).for_each(|now| drop(ledger.round(now)));
    let causes: Vec<(i64, String)> = ledger.rows();
    assert_eq!(causes.iter().filter(|c| c.1.starts_with("ended flapping")).count(), 2, "{causes:?}");
    assert_eq!(causes.last().unwrap(), &(100, "told flapping Some(100)".to_owned()), "it has stayed for half an hour");
    let always: Vec<(&str, i64, i64)> = (0..30).map(|i| ("queue", i * 60, i * 60 + 45)).collect();
    let mut ledger = Ledger::new(Vec::new(), &always);
    (0..=60).for_each(|i| drop(ledger.round(i * 30)));
    assert_eq!(ledger.told.len(), 17, "17 x 45 minutes are more than half a day: {:?}", ledger.rows());
    assert!(ledger.rows.iter().all(|r| r.kind == SuppressionKind::AutoSilence));
}

proptest! {
    /// Which signals are told does not depend on how often is judged, and none is told before its cause ends.
    #[test]
    fn many_rounds_and_few_tell_the_same(
        spans in prop::collection::vec((0i64..400, 1i64..100), 0..4),
        lives in prop::collection::vec((1i64..40, 1i64..40), 1..12),
        steps in prop::collection::vec(1i64..120, 1..20),
    ) {
        let spans: Vec<(i64, i64)> = spans.iter().map(|(from, lasts)| (*from, from + lasts)).collect();
        let mut t = 0;
        let truth: Vec<(&str, i64, i64)> = lives.iter().map(|(calm, lasts)| { let opened = t + calm; t = opened + lasts; ("queue", opened, t) }).collect();
        let told = |rounds: &mut dyn Iterator<Item = i64>| {
            let mut ledger = Ledger::new(windows(&spans), &truth);
            rounds.for_each(|now| drop(ledger.round(now)));
            ledger
        };
        let each = told(&mut (0..=1_000));
        let one = told(&mut std::iter::once(1_000));
        let mut now = 0;
        let some = told(&mut steps.iter().map(|step| { now += step; now }).take_while(|now| *now < 1_000).collect::<Vec<_>>().into_iter().chain([1_000]));
        prop_assert_eq!(each.told.keys().collect::<Vec<_>>(), one.told.keys().collect::<Vec<_>>());
        prop_assert_eq!(each.told.keys().collect::<Vec<_>>(), some.told.keys().collect::<Vec<_>>());
        // Every signal that was not told has a last row that says so.
        for (metric, opened, ended) in &truth {
            let id = signal(metric, &[], minute(*opened), Some(minute(*ended))).signal_id;
            for ledger in [&each, &one, &some] {
                let last = ledger.rows.iter().rfind(|r| r.signal_id == id).map(|r| r.state);
                prop_assert_eq!(last == Some(SuppressionState::Ended), !ledger.told.contains_key(&id));
            }
        }
    }
}
