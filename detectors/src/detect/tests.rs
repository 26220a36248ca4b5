use std::collections::BTreeMap;

use bellwether_model::series::{Labels, Series, SeriesSlice};
use bellwether_model::signal::Direction;
use bellwether_model::time::Span;
use bellwether_model::unit::Unit;
use bellwether_model::verdict::Verdict;
use bellwether_model::zone::Zone;
use proptest::prelude::*;

use super::*;
use crate::analyze::analyze;
use crate::bands::bands;
use crate::calendar::{Calendar, Cycle};
use crate::course::Saved;
use crate::judging::Judging;
use crate::preset::Preset;
use crate::rule::{MethodSpec, Persistence, Season, Watch};

const STEP: i64 = 300_000_000;
const START: i64 = 1_700_000_000_000_000;

fn iris() -> Series {
    Series::new("latency_p95", [("namespace", "ml"), ("service", "iris")].map(|(k, v)| (k.to_owned(), v.to_owned())).into())
}

fn slow() -> Rule {
    Rule { watch: Watch::Up, min_deviation: 0.02, lookback: Span::from_days(1), ..Rule::new("slow", "latency_p95", Unit::Seconds) }
}

/// Noise around 188 ms, the same on every machine.
fn noise(i: usize) -> f64 {
    0.188 + ((i as f64 * 12.9898).sin() * 43_758.547).fract() * 0.01
}

fn steps(n: usize) -> Vec<i64> {
    (0..n as i64).map(|i| START + i * STEP).collect()
}

fn window(ts: &[i64], values: &[f64]) -> Window {
    let mut window = Window::new();
    window.push(iris(), ts, values);
    window
}

fn at(since: i64, now: i64) -> Evaluation {
    Evaluation { round_id: RoundId::new("rnd-test"), since: Timestamp::from_micros(since), now: Timestamp::from_micros(now) }
}

/// All at once, an hour after the last sample at most.
fn batch(rule: &Rule, ts: &[i64], values: &[f64], now: i64) -> Vec<Signal> {
    detect(std::slice::from_ref(rule), &[], &window(ts, values), &at(0, now)).signals
}

/// In rounds that end at these times, each with the rows of those before and only the samples it asks for.
fn stream(rule: &Rule, ts: &[i64], values: &[f64], rounds: &[i64]) -> Vec<Signal> {
    let (mut rows, mut current, mut since) = (Vec::new(), BTreeMap::<_, Signal>::new(), 0);
    for now in rounds {
        let rules = std::slice::from_ref(rule);
        let open: Vec<Signal> = current.values().filter(|s| s.is_open()).cloned().collect();
        let from = reaches_back_to(rules, &open, Timestamp::from_micros(since));
        let known: Vec<Signal> = current.values().filter(|s| s.closed_at.is_none_or(|t| t >= from)).cloned().collect();
        let part: Vec<usize> = (0..ts.len()).filter(|i| ts[*i] >= from.micros() && ts[*i] <= *now).collect();
        let (t, v): (Vec<i64>, Vec<f64>) = part.iter().map(|i| (ts[*i], values[*i])).unzip();
        for row in detect(rules, &known, &window(&t, &v), &at(since, *now)).signals {
            current.insert(row.signal_id.clone(), row.clone());
            rows.push(row);
        }
        since = *now;
    }
    rows
}

/// As [`stream`], by a program that starts anew for each round: presets go on from courses that were saved as text, and are
/// given no sample before them.
fn restarted(rule: &Rule, ts: &[i64], values: &[f64], rounds: &[i64]) -> Vec<Signal> {
    let (mut rows, mut current, mut since) = (Vec::new(), BTreeMap::<_, Signal>::new(), 0);
    let mut stored: Vec<(Timestamp, String)> = Vec::new();
    for now in rounds {
        let rules = std::slice::from_ref(rule);
        let open: Vec<Signal> = current.values().filter(|s| s.is_open()).cloned().collect();
        let since_then = Timestamp::from_micros(since);
        let before = continues_from(rule, open.first().map(|s| s.opened_at), since_then);
        let latest = stored.iter().rev().find(|(until, _)| *until <= before);
        let saved = latest.map(|(until, text)| Saved { until: *until, course: serde_json::from_str(text).unwrap() });
        let from = saved.as_ref().map_or_else(|| reaches_back_to(rules, &open, since_then), |s| s.until);
        let known: Vec<Signal> = current.values().filter(|s| s.closed_at.is_none_or(|t| t >= from)).cloned().collect();
        let part: Vec<usize> = (0..ts.len()).filter(|i| ts[*i] >= from.micros() && ts[*i] <= *now).collect();
        let (t, v): (Vec<i64>, Vec<f64>) = part.iter().map(|i| (ts[*i], values[*i])).unzip();
        let saved = saved.map(|s| ((rule.name.clone(), iris().series_id), s));
        let mut courses = Courses { saved: saved.into_iter().collect(), reached: Vec::new() };
        for row in detect_grown_up(rules, &known, &mut courses, &window(&t, &v), &at(since, *now)).0.signals {
            current.insert(row.signal_id.clone(), row.clone());
            rows.push(row);
        }
        stored.extend(courses.reached.into_iter().map(|(_, _, s)| (s.until, serde_json::to_string(&s.course).unwrap())));
        since = *now;
    }
    rows
}

#[test]
fn a_surge_is_one_signal_in_words() {
    let mut values: Vec<f64> = (0..600).map(noise).collect();
    values[400..409].fill(0.640);
    values[403] = 1.3;
    let ts = steps(600);
    let got = batch(&slow(), &ts, &values, ts[599]);
    let states: Vec<_> = got.iter().map(|s| s.state).collect();
    assert_eq!(states, [SignalState::Opened, SignalState::Worsened, SignalState::Closed]);
    let [opened, worsened, closed] = &got[..] else { panic!("{got:#?}") };
    assert!(got.iter().all(|s| s.signal_id == opened.signal_id && s.opened_at.micros() == ts[400]));
    assert_eq!((opened.last_at.micros(), closed.closed_at.unwrap().micros(), closed.last_at.micros()), (ts[401], ts[409], ts[411]));
    assert_eq!((opened.direction, opened.severity, closed.value, opened.unit), (Direction::Up, slow().severity, 1.3, Unit::Seconds));
    assert!(opened.score > 10.0 && worsened.score > 1.5 * opened.score && opened.p_value.unwrap() < 1e-20);
    assert_eq!(opened.hint, "latency_p95 of ml/iris is 640 ms, 3.4 x its expected 188 ms (usual up to 211 ms) for 5m");
    assert_eq!(
        closed.hint,
        "latency_p95 of ml/iris is back in its band after 45m; at worst it was 1.3 s, 6.9 x its expected 188 ms (usual up to 211 ms)"
    );
}

#[test]
fn noise_blips_and_small_deviations_are_no_signal() {
    let ts = steps(600);
    let mut values: Vec<f64> = (0..600).map(noise).collect();
    values[300] = 5.0;
    values[303] = 5.0;
    assert_eq!(batch(&slow(), &ts, &values, ts[599]), []);
    values[350..360].fill(0.215);
    let careful = Rule { min_deviation: 0.05, ..slow() };
    assert_eq!(batch(&careful, &ts, &values, ts[599]), []);
    values[400..420].fill(0.01);
    assert_eq!(batch(&careful, &ts, &values, ts[599]), [], "only rises count");
    (values[300], values[303]) = (0.19, 0.19);
    let both = Rule { watch: Watch::Both, ..careful };
    assert_eq!(batch(&both, &ts, &values, ts[599])[0].direction, Direction::Down);
}

#[test]
fn silence_ends_a_signal_without_calling_it_healthy() {
    let ts = steps(100);
    let mut values: Vec<f64> = (0..100).map(noise).collect();
    values[95..].fill(0.64);
    let open = batch(&slow(), &ts, &values, ts[99]);
    assert_eq!(open.len(), 1);
    let at_once = batch(&slow(), &ts, &values, ts[99] + 3_600_000_000);
    let end = at_once.last().unwrap();
    assert_eq!((end.state, end.closed_at.unwrap().micros(), end.last_at.micros()), (SignalState::Closed, ts[99] + 3_600_000_000, ts[99]));
    assert!(end.hint.contains("has no data since 2023-11-15T06:28:20Z, and nothing is known"), "{}", end.hint);
    assert_eq!(Ending::of(end, slow().gap), Some(Ending::Gone));
    // The same when the series is no longer in the window at all.
    let found = detect(&[slow()], &open, &Window::new(), &at(ts[99], ts[99] + 7_200_000_000));
    assert_eq!(found.signals[0].signal_id, end.signal_id);
    assert_eq!(found.signals[0].state, SignalState::Closed);
    assert_eq!(found.skipped_by_reason(), BTreeMap::from([("no_series".to_owned(), 1)]));
}

#[test]
fn what_lasts_a_day_becomes_normal() {
    let ts = steps(1_200);
    let values: Vec<f64> = (0..1_200).map(|i| noise(i) + if i >= 400 { 0.5 } else { 0.0 }).collect();
    let rule = Rule { lookback: Span::from_days(7), ..slow() };
    let got = batch(&rule, &ts, &values, ts[1_199]);
    let [_, end] = &got[..] else { panic!("{got:#?}") };
    assert_eq!(Ending::of(end, rule.gap), Some(Ending::NewNormal));
    assert_eq!((end.last_at.micros(), end.closed_at.unwrap().micros()), (ts[400 + 287], ts[400 + 288]));
    assert!(end.hint.contains("has stayed where it is for 1d, and that level now counts as normal"), "{}", end.hint);
    // A fixed bound never becomes normal.
    let bound = Rule { method: MethodSpec::Bound { above: Some(0.5), below: None }, min_deviation: 0.0, ..slow() };
    let got = batch(&bound, &ts, &values, ts[1_199]);
    assert_eq!(got.len(), 1);
    assert_eq!(got[0].hint, "latency_p95 of ml/iris is 695 ms, above its bound of 500 ms for 5m");
}

#[test]
fn what_cannot_be_judged_is_said() {
    let rule = slow();
    let ts = steps(30);
    let mut window = Window::new();
    let named = |i: usize| Series::new("latency_p95", Labels::from([("service".to_owned(), i.to_string())]));
    window.push(named(0), &ts[..5], &[1.0; 5]);
    window.push(named(1), &ts[..20], &[1.0; 20]);
    window.push(named(2), &ts[20..], &[f64::NAN; 10]);
    window.push(named(3), &ts, &[1.0; 30]);
    let found = detect(&[rule.clone(), Rule::new("other", "errors", Unit::Ratio)], &[], &window, &at(ts[25], ts[29]));
    let reasons: Vec<_> = found.skipped.iter().map(|s| s.reason).collect();
    assert_eq!(reasons, [SkipReason::NoSeries, SkipReason::NoData, SkipReason::NoData, SkipReason::NotNumbers]);
    assert_eq!((found.series, found.samples), (1, 4));
    let early = detect(&[rule], &[], &window, &at(ts[0], ts[4]));
    assert_eq!(early.skipped.iter().filter(|s| s.reason == SkipReason::NotEnoughHistory).count(), 3);
}

#[test]
fn a_series_that_rules_could_not_judge_is_counted_once() {
    let ts = steps(30);
    let mut window = Window::new();
    window.push(Series::new("latency_p95", Labels::from([("service".to_owned(), "a".to_owned())])), &ts, &[1.0; 30]);
    window.push(Series::new("latency_p95", Labels::from([("service".to_owned(), "b".to_owned())])), &ts[..20], &[1.0; 20]);
    let patient = Rule { name: "patient".into(), min_samples: 10_000, ..slow() };
    let pair = [slow(), patient.clone()];
    let found = detect(&pair, &[], &window, &at(ts[25], ts[29]));
    assert_eq!((found.series, found.skipped_by_reason()), (1, BTreeMap::from([("no_data".to_owned(), 1)])), "a was judged by one rule");
    let neither = detect(&[patient, Rule { name: "too".into(), min_samples: 10_000, ..slow() }], &[], &window, &at(ts[10], ts[29]));
    assert_eq!(neither.skipped_by_reason(), BTreeMap::from([("not_enough_history".to_owned(), 2)]));
}

#[test]
fn a_daily_pattern_is_expected_by_time_of_day() {
    let hour = 12; // points
    let ts = steps(288 * 10);
    let day = |i: usize| if (9 * hour..18 * hour).contains(&(i % 288)) { 0.5 } else { 0.0 };
    let mut values: Vec<f64> = (0..ts.len()).map(|i| noise(i) + day(i)).collect();
    let night = 288 * 8 + 3 * hour;
    values[night..night + 6].iter_mut().for_each(|v| *v += 0.5);
    let season = Season { cycle: Cycle::Every(Span::from_days(1)), slot: Span::from_mins(10) };
    let rule = Rule { method: MethodSpec::Zscore { threshold: 4.0, season: Some(season) }, lookback: Span::from_days(7), ..slow() };
    let got = batch(&rule, &ts, &values, *ts.last().unwrap());
    let opened: Vec<_> = got.iter().filter(|s| s.state == SignalState::Opened).collect();
    assert_eq!(opened.iter().map(|s| s.opened_at.micros()).collect::<Vec<_>>(), [ts[night]]);
    assert!(opened[0].hint.contains("its usual for 01:18 UTC, 18"), "{}", opened[0].hint);
    // Without the season the first day surprises, is learned, and that night is nothing special.
    let plain = batch(&Rule { lookback: Span::from_days(7), ..slow() }, &ts, &values, *ts.last().unwrap());
    assert_eq!(
        plain.iter().map(|s| (s.state, s.opened_at.micros())).collect::<Vec<_>>(),
        [(SignalState::Opened, ts[9 * hour]), (SignalState::Closed, ts[9 * hour])]
    );
}

/// Five-minute points from this time on: busy from 9 to 17 by the clocks of Berlin, but not on Sundays and on these days.
fn office(from: &str, days: usize, quiet: &[&str]) -> (Vec<i64>, Vec<f64>) {
    let berlin: Zone = "Europe/Berlin".parse().unwrap();
    let from = from.parse::<Timestamp>().unwrap().micros();
    let ts: Vec<i64> = (0..days as i64 * 288).map(|i| from + i * STEP).collect();
    let busy = |t: i64| {
        let local = berlin.local(Timestamp::from_micros(t));
        let day = local.format("%A %Y-%m-%d").to_string();
        (9..17).contains(&local.format("%H").to_string().parse().unwrap())
            && !day.starts_with("Sunday")
            && !quiet.iter().any(|q| day.ends_with(q))
    };
    let values = ts.iter().enumerate().map(|(i, t)| noise(i) + if busy(*t) { 0.5 } else { 0.0 }).collect();
    (ts, values)
}

fn seasonal(season: &str, zone: Option<&str>, holidays: &[&str]) -> Rule {
    let mut text = serde_json::json!({"name": "busy", "metric": "latency_p95", "unit": "seconds", "season": season, "slot": "10m",
        "lookback": "28d", "min_samples": 4, "min_deviation": "20ms", "holidays": holidays});
    if let Some(zone) = zone {
        text["zone"] = zone.into();
    }
    serde_json::from_value(text).unwrap()
}

#[test]
fn two_in_the_afternoon_stays_two_in_the_afternoon_when_clocks_change() {
    let monday = |day: &str| day.parse::<Timestamp>().unwrap().micros();
    for (from, changed) in [("2026-03-02", "2026-03-30"), ("2026-09-28", "2026-10-26")] {
        let (ts, values) = office(from, 35, &[]);
        let after = |rule: &Rule| -> Vec<Signal> {
            let found = detect(std::slice::from_ref(rule), &[], &window(&ts, &values), &at(monday(changed), *ts.last().unwrap())).signals;
            found.into_iter().filter(|s| s.state == SignalState::Opened).collect()
        };
        assert_eq!(after(&seasonal("hour of week", Some("Europe/Berlin"), &[])), [], "{from}");
        let by_duration = after(&seasonal("7d", None, &[]));
        assert!(by_duration.len() >= 10, "a plain week is an hour off, every morning and evening: {}", by_duration.len());
    }
    // What is unusual is said in the words of the season.
    let (ts, mut values) = office("2026-03-02", 35, &[]);
    let tuesday = (monday("2026-03-31T12:00:00Z") - ts[0]) / STEP;
    values[tuesday as usize..][..8].iter_mut().for_each(|v| *v *= 3.4);
    let rule = seasonal("hour of week", Some("Europe/Berlin"), &[]);
    let found = detect(&[rule], &[], &window(&ts, &values), &at(monday("2026-03-30"), ts[tuesday as usize + 8] - 1)).signals;
    let [signal] = &found[..] else { panic!("{found:#?}") };
    assert!(
        signal.hint.starts_with("latency_p95 of ml/iris is 2.31 s, 3.4 x its usual for Tuesday 14:00 (Europe/Berlin), 684 ms"),
        "{}",
        signal.hint
    );
}

#[test]
fn a_holiday_is_compared_with_sundays() {
    // Good Friday and Easter Monday of 2026 are as quiet as Sundays.
    let quiet = ["2026-04-03", "2026-04-06"];
    let (ts, values) = office("2026-03-02", 43, &quiet);
    let friday = "2026-04-02T22:00:00Z".parse::<Timestamp>().unwrap().micros();
    let opened = |rule: &Rule| -> Vec<String> {
        let found = detect(std::slice::from_ref(rule), &[], &window(&ts, &values), &at(friday, *ts.last().unwrap())).signals;
        found.iter().filter(|s| s.state == SignalState::Opened).map(|s| s.opened_at.to_string()[..10].to_owned()).collect()
    };
    let berlin = Some("Europe/Berlin");
    assert_eq!(opened(&seasonal("hour of week", berlin, &quiet)), [""; 0], "nor does the Monday after, or the next Friday, know of it");
    let unknown = opened(&seasonal("hour of week", berlin, &[]));
    assert_eq!(unknown, ["2026-04-03", "2026-04-06"]);
}

#[test]
fn ewma_follows_and_still_sees_a_jump() {
    let ts = steps(600);
    let rule = Rule { method: MethodSpec::Ewma { threshold: 5.0, half_life: Span::from_hours(2) }, ..slow() };
    let slow_rise: Vec<f64> = (0..600).map(|i| noise(i) + i as f64 * 1e-4).collect();
    assert_eq!(batch(&rule, &ts, &slow_rise, ts[599]), []);
    let mut jump = slow_rise;
    jump[500..].iter_mut().for_each(|v| *v += 0.1);
    assert_eq!(batch(&rule, &ts, &jump, ts[599])[0].opened_at.micros(), ts[500]);
}

#[test]
fn analysis_and_bands_are_what_detect_judges() {
    let ts = steps(500);
    let mut values: Vec<f64> = (0..500).map(noise).collect();
    values[400..].fill(0.64);
    let (series, rule) = (iris(), slow());
    let slice = |n: usize| SeriesSlice { series: &series, ts: &ts[..n], values: &values[..n] };
    let drawn = bands(&rule, slice(500));
    let signal = &batch(&rule, &ts, &values, ts[499])[0];
    let worst = drawn.iter().find(|p| p.ts == signal.last_at).unwrap();
    assert_eq!((worst.score, worst.expected, worst.upper), (signal.score, signal.expected, signal.upper));
    for n in [100, 399, 401, 402, 450] {
        let (answer, point) = (analyze(&rule, slice(n)), drawn.iter().find(|p| p.ts.micros() == ts[n - 1]).unwrap());
        assert_eq!((answer.score, answer.expected, answer.upper), (point.score, Some(point.expected), Some(point.upper)), "{n}");
        let verdict = if n < 400 {
            Verdict::Pass
        } else if n == 401 {
            Verdict::Inconclusive
        } else {
            Verdict::Fail
        };
        assert_eq!(answer.verdict, verdict, "{n}: {}", answer.hint);
        assert_eq!(point.in_signal, verdict == Verdict::Fail);
    }
    let latest = analyze(&rule, slice(500));
    assert!(latest.z.unwrap() > 10.0 && (latest.ewma.unwrap() - 0.64).abs() < 1e-5, "{latest:?}");
    for (ts, values, verdict) in [
        (&[][..], &[][..], Verdict::NoData),
        (&ts[..1], &[1.0][..], Verdict::Inconclusive),
        (&ts[..1], &[f64::INFINITY][..], Verdict::Inconclusive),
    ] {
        let answer = analyze(&rule, SeriesSlice { series: &series, ts, values });
        assert_eq!((answer.verdict, answer.score), (verdict, 0.0));
        assert!(serde_json::to_string(&answer).is_ok());
    }
}

#[test]
fn presets_raise_signals_with_what_was_expected() {
    let ts = steps(288 * 8);
    let mut values: Vec<f64> = (0..ts.len()).map(noise).collect();
    let from = 288 * 6;
    values[from..from + 3].fill(0.640);
    let rule = |preset, threshold| {
        let judging = Judging { method: Some(Method::from(preset)), threshold, ..Judging::default() };
        judging.rule(&RuleName::new("p"), "latency_p95", Unit::Seconds).unwrap()
    };
    let telemetry = rule(Preset::Telemetry, None);
    let got = batch(&telemetry, &ts, &values, *ts.last().unwrap());
    assert_eq!(got.iter().map(|s| s.state).collect::<Vec<_>>(), [SignalState::Opened, SignalState::Closed], "{got:#?}");
    let signal = &got[0];
    assert_eq!((signal.opened_at.micros(), signal.method, signal.direction), (ts[from], Method::Telemetry, Direction::Up));
    assert!((0.185..0.2).contains(&signal.expected) && signal.upper < 0.25 && signal.lower > 0.13 && signal.lower < signal.expected);
    // The highest of the scores since its scorer began, of which there are fewer than 3,000.
    assert!(signal.score > 1.5 && (1.0 / 3_000.0..1.0 / 500.0).contains(&signal.p_value.unwrap()), "{signal:?}");
    assert!(signal.hint.starts_with("latency_p95 of ml/iris is 640 ms, 3.4 x its expected 1"), "{}", signal.hint);
    // A narrow distribution where it was wide is new, though every value is one that was usual before.
    let mut narrow = values.clone();
    narrow[from..].fill(noise(0));
    narrow[..from].iter_mut().enumerate().for_each(|(i, v)| *v = noise(i));
    let novelty = rule(Preset::Novelty, None);
    let got = batch(&novelty, &ts, &narrow, *ts.last().unwrap());
    let signal = got.iter().find(|s| s.opened_at.micros() >= ts[from]).unwrap();
    assert!(signal.opened_at.micros() <= ts[from + 52] && signal.method == Method::Novelty, "{signal:?}");
    assert!(signal.hint.contains("its latest values are spread as they were not before (expected 1"), "{}", signal.hint);
    assert!(got.iter().all(|s| s.opened_at.micros() >= ts[from]), "nothing is invented before");
    // Its line is a setting, small deviations can be left out, and a side.
    assert_eq!(batch(&rule(Preset::Telemetry, Some(3.0)), &ts, &values, *ts.last().unwrap()), []);
    assert_eq!(batch(&Rule { min_deviation: 0.5, ..telemetry.clone() }, &ts, &values, *ts.last().unwrap()), []);
    assert_eq!(batch(&Rule { watch: Watch::Down, ..telemetry.clone() }, &ts, &values, *ts.last().unwrap()), []);
    let few = detect(&[telemetry], &[], &window(&ts[..20], &values[..20]), &at(0, ts[19]));
    assert_eq!(few.skipped.iter().map(|s| s.reason).collect::<Vec<_>>(), [SkipReason::NotEnoughHistory]);
}

fn any_rule() -> impl Strategy<Value = Rule> {
    let method = prop_oneof![
        Just(MethodSpec::Zscore { threshold: 3.0, season: None }),
        Just(MethodSpec::Zscore {
            threshold: 3.0,
            season: Some(Season { cycle: Cycle::Every(Span::from_hours(4)), slot: Span::from_mins(20) })
        }),
        Just(MethodSpec::Zscore { threshold: 3.0, season: Some(Season { cycle: Cycle::HourOfDay, slot: Span::from_mins(45) }) }),
        Just(MethodSpec::Ewma { threshold: 3.0, half_life: Span::from_mins(30) }),
        Just(MethodSpec::Ewma { threshold: 3.0, half_life: Span::from_hours(3) }),
        Just(MethodSpec::Bound { above: Some(2.0), below: Some(-2.0) }),
        Just(MethodSpec::Seasonal { threshold: 3.0, season: Some(Cycle::Every(Span::from_hours(4))) }),
        Just(MethodSpec::Seasonal { threshold: 3.0, season: Some(Cycle::HourOfDay) }),
        Just(MethodSpec::Seasonal { threshold: 3.0, season: None }),
        Just(MethodSpec::Preset { preset: Preset::Telemetry, weight: None, threshold: 0.7 }),
        Just(MethodSpec::Preset { preset: Preset::Novelty, weight: None, threshold: 0.7 }),
        Just(MethodSpec::Preset { preset: Preset::Auto, weight: None, threshold: 1.0 }),
        Just(MethodSpec::Preset { preset: Preset::Auto, weight: Some(0.5), threshold: 0.5 }),
    ];
    (method, 1u32..4, 0u32..3, 0u32..3, prop_oneof![Just(Watch::Up), Just(Watch::Both)], 2u32..10, any::<bool>()).prop_map(
        |(method, m, more, calmer, watch, min_samples, learns)| Rule {
            learns,
            method,
            watch,
            min_samples,
            persistence: Persistence::new(m, m + more).unwrap(),
            calm: m + more + calmer,
            // Novelty learns from 500 points.
            lookback: Span::from_hours(match method {
                MethodSpec::Preset { preset: Preset::Novelty, .. } => 30,
                MethodSpec::Zscore { season: Some(Season { cycle: Cycle::HourOfDay, .. }), .. } => 26,
                MethodSpec::Seasonal { season: Some(Cycle::HourOfDay), .. } => 26,
                _ => 13,
            }),
            calendar: Calendar { zone: "America/Sao_Paulo".parse().unwrap(), holidays: Vec::new() },
            gap: Span::from_mins(40),
            accept_after: Span::from_hours(5),
            min_deviation: 0.0,
            ..slow()
        },
    )
}

/// Irregular steps, some gaps, levels that come, go, and stay.
fn any_series() -> impl Strategy<Value = Vec<(i64, f64)>> {
    let level = prop_oneof![4 => Just(0.0), 1 => -9.0..9.0f64, 1 => Just(1e5)];
    let point = (prop_oneof![20 => Just(STEP), 4 => 1..2 * STEP, 1 => STEP..20 * STEP], -1.0..1.0f64);
    prop::collection::vec((level, prop::collection::vec(point, 1..60)), 1..12).prop_map(|parts| {
        let mut t = START;
        parts
            .into_iter()
            .flat_map(|(level, points)| points.into_iter().map(move |(step, x)| (step, level + x)))
            .map(|(step, x)| {
                t += step;
                (t, x)
            })
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn many_rounds_find_what_one_call_finds(rule in any_rule(), points in any_series(), mut cuts in prop::collection::vec(0.0..1.0f64, 0..60), tail in 0i64..30) {
        let (ts, values): (Vec<i64>, Vec<f64>) = points.into_iter().unzip();
        let last = ts[ts.len() - 1] + tail * STEP;
        cuts.sort_by(f64::total_cmp);
        let mut rounds: Vec<i64> = cuts.iter().map(|c| START + ((last - START) as f64 * c) as i64).collect();
        rounds.push(last);
        prop_assert!(rule.validate().is_ok());
        let (once, often) = (batch(&rule, &ts, &values, last), stream(&rule, &ts, &values, &rounds));
        let anew = restarted(&rule, &ts, &values, &rounds);
        prop_assert_eq!((once.len(), once.len()), (often.len(), anew.len()));
        for (a, b) in once.iter().chain(&once).zip(often.iter().chain(&anew)) {
            prop_assert_eq!((&a.signal_id, a.state, a.opened_at, a.last_at, a.closed_at), (&b.signal_id, b.state, b.opened_at, b.last_at, b.closed_at));
            let close = |x: f64, y: f64| (x - y).abs() <= 1e-9 * x.abs().max(1.0);
            prop_assert!(close(a.score, b.score) && close(a.value, b.value) && close(a.expected, b.expected), "{a:?} {b:?}");
            prop_assert!([a.score, a.value, a.expected, a.lower, a.upper, a.p_value.unwrap_or(0.0)].iter().all(|v| v.is_finite()));
            prop_assert!(a.score > 1.0 && a.opened_at <= a.last_at && a.hint == b.hint);
        }
        let mut open = 0i32;
        for row in &once {
            open += match row.state { SignalState::Opened => 1, SignalState::Worsened => 0, SignalState::Closed => -1 };
            prop_assert!((0..=1).contains(&open), "one signal at a time");
        }
    }

    #[test]
    fn nothing_but_numbers_comes_out_whatever_goes_in(values in prop::collection::vec(prop_oneof![proptest::num::f64::ANY, Just(1.0), -1e300..1e300f64], 1..80), rule in any_rule()) {
        let ts = steps(values.len());
        let series = iris();
        for signal in batch(&rule, &ts, &values, ts[ts.len() - 1]) {
            prop_assert!([signal.score, signal.value, signal.expected, signal.lower, signal.upper, signal.p_value.unwrap_or(0.0)].iter().all(|v| v.is_finite()));
        }
        let slice = SeriesSlice { series: &series, ts: &ts, values: &values };
        for p in bands(&rule, slice) {
            prop_assert!([p.value, p.expected, p.lower, p.upper, p.score].iter().all(|v| v.is_finite()));
        }
        let a = analyze(&rule, slice);
        prop_assert!([Some(a.score), a.z, a.ewma, a.expected, a.lower, a.upper, a.p_value].into_iter().flatten().all(f64::is_finite));
    }
}
