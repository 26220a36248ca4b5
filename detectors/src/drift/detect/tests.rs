use bellwether_model::id::RoundId;
use proptest::prelude::*;

use super::*;
use crate::drift::profile::tests::{DECILES, profile};

const DAY: i64 = 86_400;

/// A column around `level` with unit spread, from a generator that is the same everywhere.
fn sample(level: f64, n: usize, seed: u64) -> Vec<f64> {
    let mut x = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut uniform = || {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        (x >> 11) as f64 / (1u64 << 53) as f64
    };
    (0..n).map(|_| level + (0..12).map(|_| uniform()).sum::<f64>() - 6.0).collect()
}

fn daily(column: &str, levels: &[f64]) -> Vec<ColumnProfile> {
    let of = |(day, level): (usize, &f64)| {
        let seed = day as u64 * 31 + column.len() as u64;
        ColumnProfile { column: column.to_owned(), ..profile(&sample(*level, 2_000, seed), 0, &DECILES, 1_700_000_000 + day as i64 * DAY) }
    };
    levels.iter().enumerate().map(of).collect()
}

fn at(since: i64, now: i64) -> Evaluation {
    Evaluation { round_id: RoundId::new("rnd"), since: Timestamp::from_secs(since), now: Timestamp::from_secs(now) }
}

fn batch(rule: &DriftRule, history: &[ColumnProfile], now: i64) -> Findings {
    detect_drift(rule, &[], history, &at(0, now))
}

fn day(i: i64) -> i64 {
    1_700_000_000 + i * DAY
}

#[test]
fn an_upstream_change_is_one_signal_until_it_is_undone() {
    let levels: Vec<f64> = (0..20).map(|d| if (10..14).contains(&d) { 1.5 } else { 0.0 }).collect();
    let mut history = daily("amount", &levels);
    history.extend(daily("quantity", &[0.0; 20]));
    let found = batch(&DriftRule::default(), &history, day(20));
    let [opened, closed] = &found.signals[..] else { panic!("{:#?}", found.signals) };
    assert_eq!((opened.state, opened.opened_at, opened.upper), (SignalState::Opened, Timestamp::from_secs(day(10)), 0.2));
    assert_eq!(
        (closed.state, closed.closed_at, &closed.signal_id),
        (SignalState::Closed, Some(Timestamp::from_secs(day(14))), &opened.signal_id)
    );
    assert_eq!(opened.subject.to_string(), "s3://raw:orders#amount");
    assert_eq!(opened.method, Method::Psi);
    assert!(opened.score > 5.0 && opened.p_value.unwrap() < 1e-100);
    assert!(opened.hint.starts_with("column amount of s3://raw:orders has drifted: PSI "), "{}", opened.hint);
    assert!(opened.hint.ends_with("2000 values against 20000 in the 10 profiles before"), "{}", opened.hint);
    assert!(closed.hint.contains("is back where it was after 4d"), "{}", closed.hint);
    assert_eq!((found.series, found.samples, found.skipped.len()), (2, 38, 0), "each column's first profile has no past, the others do");
    let first = batch(&DriftRule::default(), &daily("amount", &[0.0]), day(1));
    assert_eq!(first.skipped_by_reason(), BTreeMap::from([("no_earlier_profile".to_owned(), 1)]));
}

#[test]
fn nulls_silence_and_acceptance() {
    let mut history = daily("amount", &[0.0; 12]);
    history[10] = ColumnProfile { null_count: 3_000, ..history[10].clone() };
    let found = batch(&DriftRule::default(), &history[..11], day(11));
    assert!(found.signals[0].hint.contains("nulls 60 %, were 0 %"), "{:#?}", found.signals);
    let silent = batch(&DriftRule::default(), &history[..11], day(30));
    let end = silent.signals.last().unwrap();
    assert_eq!((end.closed_at, end.last_at), (Some(Timestamp::from_secs(day(24))), Timestamp::from_secs(day(10))));
    assert!(end.hint.contains("nothing is known of how it is now"), "{}", end.hint);
    let levels: Vec<f64> = (0..30).map(|d| if d >= 10 { 2.0 } else { 0.0 }).collect();
    let kept = batch(&DriftRule::default(), &daily("amount", &levels), day(30));
    let states: Vec<_> = kept.signals.iter().map(|s| (s.state, s.last_at.secs())).collect();
    assert_eq!(states, [(SignalState::Opened, day(10)), (SignalState::Closed, day(16))]);
    assert!(kept.signals[1].hint.contains("that now counts as normal"));
}

#[test]
fn many_columns_do_not_make_many_alarms() {
    let history: Vec<ColumnProfile> =
        (0..200).flat_map(|c| daily(&"x".repeat(c + 1), &[0.0, 0.0, 0.0, if c < 10 { 0.8 } else { 0.0 }])).collect();
    let found = batch(&DriftRule::default(), &history, day(4));
    let mut names: Vec<usize> = found.signals.iter().map(|s| s.subject.to_string().len() - "s3://raw:orders#".len()).collect();
    names.sort();
    assert_eq!(names, (1..=10).collect::<Vec<_>>());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn many_rounds_find_what_one_call_finds(levels in prop::collection::vec(prop_oneof![3 => Just(0.0), 1 => Just(1.0), 1 => Just(3.0)], 3..25), holes in prop::collection::vec(0usize..25, 0..6), cuts in prop::collection::btree_set(0i64..50, 0..20)) {
        let rule = DriftRule { lookback: Span::from_days(6), gap: Span::from_days(2), accept_after: Span::from_days(4), ..DriftRule::default() };
        let mut history = daily("a", &levels);
        history.extend(daily("bb", &levels.iter().rev().copied().collect::<Vec<_>>()));
        let history: Vec<_> = history.into_iter().enumerate().filter(|(i, _)| !holes.contains(i)).map(|(_, p)| p).collect();
        let (mut rows, mut current, mut since) = (Vec::new(), BTreeMap::<_, Signal>::new(), 0);
        for now in cuts.into_iter().map(|c| day(0) + c * DAY / 2).chain([day(30)]) {
            let open: Vec<Signal> = current.values().filter(|s| s.is_open()).cloned().collect();
            let from = reaches_back_to(&rule, &open, Timestamp::from_secs(since));
            let known: Vec<Signal> = current.values().filter(|s| s.closed_at.is_none_or(|t| t >= from)).cloned().collect();
            let part: Vec<_> = history.iter().filter(|p| p.event_time >= from).cloned().collect();
            for row in detect_drift(&rule, &known, &part, &at(since, now)).signals {
                current.insert(row.signal_id.clone(), row.clone());
                rows.push(row);
            }
            since = now;
        }
        let key = |s: &Signal| (s.subject.key(), s.last_at, s.closed_at.is_some(), s.closed_at, s.opened_at, s.score.to_bits(), s.hint.clone());
        let mut once: Vec<_> = batch(&rule, &history, day(30)).signals.iter().map(key).collect();
        let mut often: Vec<_> = rows.iter().map(key).collect();
        once.sort();
        often.sort();
        prop_assert_eq!(once, often);
    }
}

/// What stands at a column's newest profile is what the round of that profile found, whether the round's own rows are known already or not.
#[test]
fn a_column_stands_as_its_round_judged_it() {
    let rule = DriftRule { gap: Span::from_days(4), accept_after: Span::from_days(3), ..DriftRule::default() };
    let levels: Vec<f64> = (0..30).map(|d| if (8..11).contains(&d) || d >= 20 { 1.5 } else { 0.0 }).collect();
    let mut history = daily("amount", &levels);
    history.extend(daily("quantity", &[0.0; 30]));
    history.retain(|p| !(13..18).contains(&((p.event_time.micros() / 1_000_000 - day(0)) / DAY)));
    let mut known: Vec<Signal> = Vec::new();
    let mut failed = Vec::new();
    for today in 1..30 {
        let seen: Vec<ColumnProfile> = history.iter().filter(|p| p.event_time <= Timestamp::from_secs(day(today))).cloned().collect();
        let earlier = known.clone();
        let found = detect_drift(&rule, &earlier, &seen, &at(day(today - 1), day(today)));
        for row in found.signals {
            known.retain(|s| s.signal_id != row.signal_id);
            known.push(row);
        }
        let now = Timestamp::from_secs(day(today));
        let stands = standing::standings(&rule, &known, &seen, now);
        assert_eq!(stands, standing::standings(&rule, &earlier, &seen, now), "day {today}");
        assert_eq!(stands.iter().map(|s| s.profile.column.as_str()).collect::<Vec<_>>(), ["amount", "quantity"]);
        let [amount, _] = &stands[..] else { panic!("{stands:#?}") };
        let judged = amount.judged.as_ref().unwrap();
        if judged.decision.verdict == Verdict::Fail {
            failed.push(today);
            assert!(judged.median_now > judged.median_before && judged.bars.len() == 10, "{judged:#?}");
            let (before, now) = judged.bars.iter().fold((0.0, 0.0), |sum, b| (sum.0 + b.before, sum.1 + b.now));
            assert!((before - 1.0_f64).abs() < 1e-9 && (now - 1.0_f64).abs() < 1e-9);
        }
    }
    // Days 8 to 10; from day 20 for three days and the one with which it is the new normal.
    assert_eq!(failed, [8, 9, 10, 20, 21, 22, 23]);
    let first = standing::standings(&rule, &[], &history[..1], Timestamp::from_secs(day(0)));
    assert_eq!((first[0].judged.clone(), first[0].reference.len()), (Err(SkipReason::NoEarlierProfile), 0));
}
