use bellwether_model::id::RoundId;
use bellwether_model::series::Series;
use bellwether_model::signal::SignalState;
use bellwether_model::time::{Span, Timestamp};
use bellwether_model::unit::Unit;
use proptest::prelude::*;

use super::*;
use crate::course::Courses;
use crate::detect::{Findings, Newcomers, SkipReason, detect, detect_among, detect_grown_up, reaches_back_to};
use crate::special::{normal_sf, student_t_sf};

const MINUTE: i64 = 60_000_000;
const START: i64 = 1_700_000_000_000_000 / (15 * MINUTE) * (15 * MINUTE);

fn rule() -> Rule {
    Rule { lookback: Span::from_days(1), ..Rule::new("slow", "latency", Unit::Seconds) }
}

fn pod(n: usize) -> Series {
    Series::new("latency", [("service", "iris".to_owned()), ("pod", format!("p{n}"))].map(|(k, v)| (k.to_owned(), v)).into())
}

fn at(since: i64, now: i64) -> Evaluation {
    let minute = |n: i64| Timestamp::from_micros(START + n * MINUTE);
    Evaluation { round_id: RoundId::new("rnd"), since: if since < 0 { Timestamp::EPOCH } else { minute(since) }, now: minute(now) }
}

/// Noise between -1 and 1, the same on every machine.
fn noise(pod: usize, i: i64) -> f64 {
    (((pod * 7_919) as f64 + i as f64 * 12.9898).sin() * 43_758.547).fract()
}

/// Samples of a pod in minutes `from..to`: its own level around 0.2, and noise.
fn samples(n: usize, from: i64, to: i64, level: f64) -> (Series, Vec<i64>, Vec<f64>) {
    let ts: Vec<i64> = (from..to).map(|m| START + m * MINUTE).collect();
    let values = (from..to).map(|m| level + 0.004 * noise(n, -1) + 0.01 * noise(n, m)).collect();
    (pod(n), ts, values)
}

type Sampled = (Series, Vec<i64>, Vec<f64>);

fn window<'a>(all: impl IntoIterator<Item = &'a Sampled>, from: i64, to: i64) -> Window {
    let mut window = Window::new();
    for (series, ts, values) in all {
        let range = ts.partition_point(|t| *t < from)..ts.partition_point(|t| *t <= to);
        if !range.is_empty() {
            window.push(series.clone(), &ts[range.clone()], &values[range]);
        }
    }
    window
}

/// Eleven pods of a day, and a new one from minute 600 on at this level.
fn fleet(level: f64) -> Vec<Sampled> {
    let mut all: Vec<Sampled> = (0..11).map(|n| samples(n, 0, 660, 0.2)).collect();
    all.push(samples(99, 600, 660, level));
    all
}

fn found(rule: &Rule, all: &[Sampled], until: i64) -> Findings {
    detect(std::slice::from_ref(rule), &[], &window(all, 0, i64::MAX), &at(590, until))
}

#[test]
fn a_newcomer_that_is_as_its_peers_is_judged_and_one_that_is_not_is_found_at_once() {
    let calm = found(&rule(), &fleet(0.2), 612);
    assert_eq!((calm.signals.len(), calm.skipped.len(), calm.series), (0, 0, 12), "{:#?}", calm.signals);
    let odd = found(&rule(), &fleet(0.6), 612);
    let [signal] = &odd.signals[..] else { panic!("{:#?}", odd.signals) };
    assert_eq!((signal.state, signal.opened_at), (SignalState::Opened, Timestamp::from_micros(START + 600 * MINUTE)));
    assert_eq!(signal.subject.label("pod"), Some("p99"));
    assert!(
        signal.hint.contains("3 x that of the 11 series like it, 200") && signal.hint.contains("its own history is"),
        "{}",
        signal.hint
    );
    assert!(signal.p_value.is_some_and(|p| p < 1e-4) && (signal.expected - 0.2).abs() < 0.01 && signal.score > 1.0);
}

#[test]
fn too_few_peers_or_none_is_not_enough_history_as_ever() {
    let mut few = fleet(0.6);
    few.drain(..9);
    let none = Rule { peers: None, ..rule() };
    let other = Rule { peers: Some(Peers(["zone".to_owned()].into())), ..rule() };
    for (rule, all) in [(rule(), few), (none, fleet(0.6)), (other, fleet(0.6))] {
        let found = found(&rule, &all, 612);
        assert_eq!(found.signals, []);
        assert_eq!(found.skipped.iter().map(|s| s.reason).collect::<Vec<_>>(), [SkipReason::NotEnoughHistory]);
    }
    // Newcomers are no peers of each other.
    let young: Vec<Sampled> = (0..11).map(|n| samples(n, 600, 660, 0.2)).collect();
    assert_eq!(found(&rule(), &young, 612).series, 0);
}

#[test]
fn its_own_history_takes_over_when_it_suffices() {
    // It jumps when it is an hour old, and a baseline wants 16 samples.
    let mut all = fleet(0.2);
    let (_, ts, values) = &mut all[11];
    let jump = ts.len() - 5;
    values[jump..].iter_mut().for_each(|v| *v += 0.5);
    let found = found(&rule(), &all, 659);
    let [signal] = &found.signals[..] else { panic!("{:#?}", found.signals) };
    assert!(!signal.hint.contains("series like it"), "{}", signal.hint);
}

#[test]
fn crowds_know_their_answers() {
    let mut crowd = Crowd::default();
    for (mean, within) in [(1.0, 0.5), (2.0, 0.25), (6.0, 0.75)] {
        crowd.add(Crowd::one(mean, within));
    }
    assert_eq!((crowd.count, crowd.mean, crowd.squares, crowd.within), (3, 3.0, 14.0, 1.5));
    let rule = Rule { min_ratio: 0.0, ..rule() };
    let band = crowd.band(&rule, 4.0).unwrap();
    assert_eq!((band.expected, band.moments.unwrap().sd), (3.0, 7.5f64.sqrt()));
    assert!(Crowd { count: 2, ..crowd }.band(&rule, 4.0).is_none());
    // The band is as improbable to leave as four standard deviations of a normal variable; with few peers it is wider than that.
    for (peers, off) in [(5.0, 0.5), (11.0, 0.08), (50.0, 0.02), (1_000.0, 0.01)] {
        let tail = student_t_sf(student_quantile(4.0, peers - 1.0), peers - 1.0);
        assert!((tail / normal_sf(4.0)).ln().abs() < off, "{peers}: {tail:e}");
    }
    for threshold in [1e-3, 1e6] {
        assert!(student_quantile(threshold, 2.0).is_finite());
    }
    let group = |pairs: &[(&str, &str)]| Peers::default().group(&pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect());
    assert_eq!(group(&[("service", "iris"), ("pod", "a")]), group(&[("service", "iris"), ("instance", "b")]));
    assert_eq!(group(&[("service", "iris")]), None);
}

/// Each series in a window of its own, as a large ledger is read.
fn in_windows(rule: &Rule, known: &[Signal], all: &[Sampled], from: i64, at: &Evaluation) -> Findings {
    let rules = std::slice::from_ref(rule);
    let (mut crowds, mut newcomers, mut findings) = (Crowds::new(rules, known, at), Newcomers::default(), Findings::default());
    for one in all {
        let window = window([one], from, at.now.micros());
        let here = |s: &&Signal| s.subject.label("pod") == one.0.labels.get("pod").map(String::as_str);
        crowds.take_in(rules, &window);
        let (found, new) =
            detect_grown_up(rules, &known.iter().filter(here).cloned().collect::<Vec<_>>(), &mut Courses::default(), &window, at);
        findings.extend(found);
        newcomers.extend(new);
    }
    findings.extend(detect_among(&crowds, rules, &newcomers.known, &newcomers.window, at));
    findings
}

proptest! {
    /// One call and many rounds, one window and many: the same signals, with newcomers at any time and of any level.
    #[test]
    fn newcomers_are_judged_alike_however_often_and_wherever_one_looks(
        levels in prop::collection::vec((0i64..500, 0.15f64..0.6), 1..6),
        season in any::<bool>(),
        mut cuts in prop::collection::vec(0i64..659, 0..12),
    ) {
        let mut all: Vec<Sampled> = (0..8).map(|n| samples(n, 0, 660, 0.2)).collect();
        all.extend(levels.iter().enumerate().map(|(n, (from, level))| samples(20 + n, *from, 660, *level)));
        let season = season.then_some(crate::rule::Season { cycle: crate::calendar::Cycle::Every(Span::from_hours(6)), slot: Span::from_mins(20) });
        let rule = Rule { method: crate::rule::MethodSpec::Zscore { threshold: 4.0, season }, ..rule() };
        let key = |s: &Signal| (s.signal_id.clone(), s.state, s.last_at, s.closed_at);
        let once = at(-1, 659);
        let mut whole = detect(std::slice::from_ref(&rule), &[], &window(&all, 0, i64::MAX), &once).signals;
        let mut apart = in_windows(&rule, &[], &all, 0, &once).signals;

        cuts.sort_unstable();
        cuts.push(659);
        let (mut rows, mut current, mut since) = (Vec::new(), BTreeMap::<_, Signal>::new(), -1);
        for now in cuts {
            let at = at(since, now);
            let rules = std::slice::from_ref(&rule);
            let open: Vec<Signal> = current.values().filter(|s| s.is_open()).cloned().collect();
            let from = reaches_back_to(rules, &open, at.since);
            let known: Vec<Signal> = current.values().filter(|s| s.closed_at.is_none_or(|t| t >= from)).cloned().collect();
            for row in in_windows(&rule, &known, &all, from.micros(), &at).signals {
                current.insert(row.signal_id.clone(), row.clone());
                rows.push(row);
            }
            since = now;
        }
        let ends = |rows: &[Signal]| -> BTreeMap<_, _> {
            rows.iter().map(|s| (s.signal_id.clone(), (s.opened_at, s.closed_at, s.state, (s.score * 1e6).round()))).collect()
        };
        for rows in [&mut whole, &mut apart] {
            rows.sort_by_key(|s| (s.last_at, s.signal_id.clone(), s.state != SignalState::Opened));
        }
        prop_assert_eq!(whole.iter().map(key).collect::<Vec<_>>(), apart.iter().map(key).collect::<Vec<_>>());
        prop_assert_eq!(ends(&whole), ends(&rows));
    }
}
