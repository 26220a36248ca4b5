//! Rounds of a ready-made detector: it goes on from what was saved, and says what it would say of all samples.

use bellwether_detectors::course::Courses;
use bellwether_detectors::judging::Judging;
use bellwether_model::id::RuleName;
use bellwether_model::series::{Samples, Series};
use bellwether_model::signal::{Method, SignalState};
use bellwether_model::unit::Unit;

use super::*;

const STEP: Span = Span::from_mins(30);
const START: Timestamp = Timestamp::from_secs(1_780_000_000);

fn days(n: i64) -> Timestamp {
    START + Span::from_days(n)
}

/// A series with noise from one day on, for fifty days of them all, and a spike of an hour and a half on some days.
fn wave(service: &str, from: i64, spikes: &[i64]) -> Samples {
    let series = Series::new("latency", [("service".to_owned(), service.to_owned())].into());
    let ts: Vec<i64> = (from * 48..50 * 48).map(|i| (START + STEP.times(i)).micros()).collect();
    let noise = |i: usize| 0.2 + ((i as f64 * 12.9898).sin() * 43_758.547).fract() * 0.02;
    let spike = |i: usize| spikes.iter().any(|day| (0..3).contains(&(i as i64 - (day - from) * 48 - 20)));
    let values: Vec<f64> = (0..ts.len()).map(|i| if spike(i) { 0.9 } else { noise(i) }).collect();
    let mut samples = Samples::default();
    samples.push(series, &ts, &values);
    samples
}

fn round(id: &RoundId, as_of: Timestamp) -> Round {
    Round {
        round_id: id.clone(),
        as_of,
        versions: BTreeMap::new(),
        seed: 0,
        config_digest: Digest::ZERO,
        result_digest: Digest::ZERO,
        series: 0,
        samples: 0,
        signals: 0,
        incidents: 0,
        recommendations: 0,
        skipped: BTreeMap::new(),
        started_at: as_of,
        recorded_at: as_of,
    }
}

/// Judges up to `until`, records it, and gives the transitions with the courses that were there to go on from.
async fn judged(lake: &Lake, rules: &[Rule], until: Timestamp) -> (Vec<Signal>, Courses) {
    let session = Session::open(&lake.snapshot().await.unwrap(), SessionOptions::as_of(until)).await.unwrap();
    let since = last_judged(&session).await.unwrap().unwrap_or(days(30));
    let at = Evaluation { round_id: RoundId::of(&[&until.to_string()]), since, now: until };
    let open = session.evidence().await.unwrap().open_signals;
    let courses = courses::saved(&session, rules, &open, &at).await.unwrap();
    let (findings, states) = metrics(rules, &session, &open, &at).await.unwrap();
    let conclusions = Conclusions { signals: findings.signals.clone(), ..Conclusions::default() };
    record(lake, &Judged { round: round(&at.round_id, until), conclusions, states, vectors: Vec::new() }).await.unwrap();
    (findings.signals, courses)
}

async fn ledger(all: &[Samples]) -> (tempfile::TempDir, Lake) {
    let folder = tempfile::tempdir().unwrap();
    let lake = Lake::open(folder.path().join("ledger").to_str().unwrap(), &BTreeMap::new()).await.unwrap();
    for samples in all {
        lake.append_samples(samples, &[]).await.unwrap();
    }
    (folder, lake)
}

#[tokio::test]
async fn a_round_goes_on_from_what_was_saved_and_says_the_same() {
    let judging = Judging { method: Some(Method::Telemetry), lookback: Some(Span::from_days(8)), ..Judging::default() };
    let rules = [judging.rule(&RuleName::new("latency"), "latency", Unit::Seconds).unwrap()];
    // One has spikes, and one of them is open when a round ends; the other's samples begin late.
    let series = [wave("iris", 0, &[32, 40, 47]), wave("rose", 26, &[45])];
    let spike = days(47) + STEP.times(21);
    let ends: Vec<Timestamp> = (31..50).map(days).chain([spike, days(49) + Span::from_hours(20)]).collect();
    let ends: BTreeSet<Timestamp> = ends.into_iter().collect();
    let (_a, often) = ledger(&series).await;
    let (mut rows, mut gone_on) = (Vec::new(), 0);
    for until in &ends {
        let (signals, courses) = judged(&often, &rules, *until).await;
        rows.extend(signals);
        gone_on += courses.saved.len();
        let ages = courses.saved.values().map(|saved| until.since(saved.until));
        assert!(ages.into_iter().all(|age| age < Span::from_days(6)), "what is continued is never a lookback old");
    }
    assert!(gone_on > ends.len(), "both series were continued: {gone_on}");

    let (_b, once) = ledger(&series).await;
    let (all, _) = judged(&once, &rules, *ends.last().unwrap()).await;
    let told = |rows: &[Signal]| {
        let mut told: Vec<_> = rows
            .iter()
            .filter(|s| s.state != SignalState::Worsened)
            .map(|s| (s.signal_id.clone(), s.state, s.opened_at, s.closed_at))
            .collect();
        told.sort_by(|a, b| (a.2, &a.0, a.3).cmp(&(b.2, &b.0, b.3)));
        told
    };
    assert!(told(&all).len() >= 6, "{:#?}", told(&all));
    assert_eq!(told(&rows), told(&all));
    for row in &rows {
        let same = all.iter().find(|s| s.signal_id == row.signal_id && s.state == row.state).unwrap();
        assert!((row.expected - same.expected).abs() < 1e-9 && (row.upper - same.upper).abs() < 1e-9);
    }
}
