use bellwether_model::unit::Unit;
use proptest::prelude::*;

use super::*;

fn minute(n: i64) -> Timestamp {
    Timestamp::from_secs(n * 60)
}

fn life(opened: i64, ended: i64) -> Life {
    Life { opened_at: minute(opened), ended_at: Some(minute(ended)) }
}

fn open(opened: i64) -> Life {
    Life { opened_at: minute(opened), ended_at: None }
}

fn window(from: i64, until: i64) -> Hold {
    let name = format!("{from}-{until}");
    Hold { kind: SuppressionKind::Maintenance, cause: name, detail: String::new(), from: minute(from), until: Some(minute(until)) }
}

fn rule() -> Rule {
    Rule::new("queue", "queue", Unit::Number)
}

#[test]
fn a_window_holds_a_signal_while_it_covers_its_whole_life() {
    let holds = [window(60, 120)];
    let held = |life: Life, now: i64| silenced(&holds, life, minute(now)).is_some();
    let table = [
        (open(70), 80, true, "within"),
        (open(60), 119, true, "it begins with the window"),
        (open(70), 120, false, "the window ended and it is open still"),
        (open(59), 80, false, "it began before: it was told then"),
        (life(70, 110), 500, true, "it ended within, however late one looks"),
        (life(70, 120), 500, true, "it ended as the window did"),
        (life(70, 121), 500, false, "it outlived the window"),
        (life(121, 130), 500, false, "it began after"),
    ];
    for (life, now, expected, why) in table {
        assert_eq!(held(life, now), expected, "{why}");
    }
}

#[test]
fn windows_one_after_the_other_are_one() {
    let holds = [window(100, 130), window(60, 100), window(140, 150)];
    let by = |life: Life, now: i64| silenced(&holds, life, minute(now)).map(|h| h.cause.clone());
    assert_eq!(by(open(70), 90).as_deref(), Some("60-100"));
    assert_eq!(by(open(70), 110).as_deref(), Some("100-130"));
    assert_eq!(by(open(70), 130), None);
    assert_eq!(by(open(70), 145), None, "it was told between the windows");
    // Of two that hold, the one that holds longer is named.
    assert_eq!(silenced(&[window(60, 80), window(60, 100)], open(70), minute(75)).map(|h| h.cause.as_str()), Some("60-100"));
}

#[test]
fn a_series_that_deviates_most_of_the_day_is_silent_until_it_is_calmer() {
    let hour = 60;
    // 40 minutes of every hour.
    let noisy: Vec<Life> = (0..24).map(|h| life(h * hour, h * hour + 40)).collect();
    let holds = holds(&Rule { flapping: None, ..rule() }, &noisy, minute(24 * hour));
    let [hold] = &holds[..] else { panic!("{holds:?}") };
    assert_eq!((hold.kind, hold.until), (SuppressionKind::AutoSilence, None));
    assert_eq!(hold.detail, "it deviated in 67% of the 1d before, in 24 signals; beyond 50% a rule is silent");
    let held = |earlier: &[Life], at: i64| !super::holds(&Rule { flapping: None, ..rule() }, earlier, minute(at)).is_empty();
    // Seven calm hours later: 17 x 40 of 1,440 minutes.
    assert!(held(&noisy, 24 * hour) && !held(&noisy, 31 * hour));
    assert!(!held(&[life(0, 20 * hour)], 24 * hour), "one long outage does not silence the next");
    assert!(held(&[life(0, 20 * hour), life(20 * hour + 5, 20 * hour + 10)], 24 * hour));
    assert!(!held(&noisy[..17], 18 * hour), "17 of 24 hours at two thirds are less than half");
    assert!(super::holds(&Rule { auto_silence: None, flapping: None, ..rule() }, &noisy, minute(24 * hour)).is_empty());
}

#[test]
fn what_comes_and_goes_is_told_when_it_stays() {
    let flaps = [life(0, 4), life(12, 16), life(24, 28), life(36, 40)];
    let holds = |earlier: &[Life], at: i64| super::holds(&rule(), earlier, minute(at));
    assert!(holds(&flaps[..3], 48).is_empty(), "three are not four");
    let damped = holds(&flaps, 48);
    assert_eq!(damped[0].detail, "4 signals opened and ended in the 1h before; the next is told when it stays for 30m");
    assert!(silenced(&damped, life(48, 52), minute(200)).is_some());
    assert!(silenced(&damped, open(48), minute(77)).is_some());
    assert!(silenced(&damped, open(48), minute(78)).is_none(), "it has stayed for half an hour");
    assert!(holds(&flaps, 61).is_empty(), "the first is longer ago than an hour");
    assert!(super::holds(&Rule { flapping: None, ..rule() }, &flaps, minute(48)).is_empty());
}

#[test]
fn the_life_of_a_signal_whose_samples_stopped_ends_with_the_last() {
    let dataset = bellwether_model::dataset::DatasetId { namespace: "s3://raw".into(), name: "orders".into() };
    let subject = bellwether_model::signal::Subject::Column { dataset, column: "amount".into() };
    let method = bellwether_model::signal::Method::Ks;
    let fingerprint = Signal::fingerprint_of(&"r".into(), method, &subject);
    let mut signal = Signal {
        signal_id: Signal::id_of(&fingerprint, minute(5)),
        fingerprint,
        rule: "r".into(),
        method,
        subject,
        state: bellwether_model::signal::SignalState::Opened,
        opened_at: minute(5),
        last_at: minute(9),
        closed_at: None,
        score: 2.0,
        value: 0.0,
        expected: 0.0,
        lower: 0.0,
        upper: 0.0,
        p_value: None,
        direction: bellwether_model::signal::Direction::Up,
        severity: bellwether_model::signal::Severity::Warning,
        unit: Unit::Number,
        hint: String::new(),
        round_id: "rnd".into(),
        recorded_at: minute(9),
    };
    assert_eq!(Life::of(&signal), open(5));
    (signal.state, signal.closed_at) = (bellwether_model::signal::SignalState::Closed, Some(minute(69)));
    assert_eq!(Life::of(&signal), life(5, 9));
    signal.closed_at = Some(minute(7));
    assert_eq!(Life::of(&signal), life(5, 7));
}

/// Spans that do not overlap, in order.
fn lives() -> impl Strategy<Value = Vec<(i64, i64)>> {
    prop::collection::vec((1i64..90, 1i64..120), 0..40).prop_map(|steps| {
        let mut t = 0;
        steps
            .into_iter()
            .map(|(calm, lasts)| {
                let opened = t + calm;
                t = opened + lasts;
                (opened, t)
            })
            .collect()
    })
}

proptest! {
    /// A state machine beside the closed form: minute by minute, a signal is told at the first minute of its life that no window covers.
    #[test]
    fn one_look_says_what_a_look_each_minute_says(windows in prop::collection::vec((0i64..300, 1i64..120), 0..6), opened in 0i64..300, lasts in 1i64..120) {
        let holds: Vec<Hold> = windows.iter().map(|(from, lasts)| window(*from, from + lasts)).collect();
        let ended = opened + lasts;
        let mut told = false;
        for now in opened..ended {
            told |= !windows.iter().any(|(from, lasts)| (*from..from + lasts).contains(&now));
            prop_assert_eq!(silenced(&holds, open(opened), minute(now)).is_none(), told, "minute {}", now);
        }
        // Nobody looked before it was over.
        prop_assert_eq!(silenced(&holds, life(opened, ended), minute(10_000)).is_none(), told);
    }

    #[test]
    fn keys_look_at_what_was_before_and_in_any_order(spans in lives()) {
        let all: Vec<Life> = spans.iter().map(|(from, to)| life(*from, *to)).collect();
        let backwards: Vec<Life> = all.iter().rev().copied().collect();
        for (i, (opened, _)) in spans.iter().enumerate() {
            let known = holds(&rule(), &all[..i], minute(*opened));
            prop_assert_eq!(&known, &holds(&rule(), &all, minute(*opened)), "what comes later changes nothing");
            prop_assert_eq!(&known, &holds(&rule(), &backwards, minute(*opened)));
            let near: Vec<Life> = all.iter().filter(|l| l.ended_at.is_some_and(|end| end > minute(*opened) - reach(&rule()))).copied().collect();
            prop_assert_eq!(&known, &holds(&rule(), &near, minute(*opened)), "nothing older than the reach counts");
        }
    }

    #[test]
    fn more_that_deviates_never_makes_it_louder(spans in lives(), share in 0.05f64..0.9) {
        let all: Vec<Life> = spans.iter().map(|(from, to)| life(*from, *to)).collect();
        let at = minute(spans.last().map_or(0, |s| s.1) + 1);
        let rule = |share: f64| Rule { auto_silence: Some(AutoSilence { share, ..AutoSilence::default() }), flapping: None, ..rule() };
        let held = |n: usize, share: f64| !holds(&rule(share), &all[..n], at).is_empty();
        for n in 1..=all.len() {
            prop_assert!(!held(n - 1, share) || held(n, share));
            prop_assert!(!held(n, share) || held(n, share / 2.0));
        }
    }
}
