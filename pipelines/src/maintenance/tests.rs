use bellwether_governance::yaml;

use super::*;
use crate::sift::tests::signal;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn windows(text: &str) -> Result<Vec<Maintenance>, String> {
    yaml::parse("b.yaml", text).map_err(|e| format!("{e} {}", e.hint.clone().unwrap_or_default()))
}

const GOOD: &str = "\
- name: driver update
  reason: CHG-1234
  from: 2026-03-03T22:00:00Z
  until: 2026-03-04T02:00:00Z
  covers: labels.pool == \"a100\" && severity != \"critical\"
- name: nightly batch
  cron: 0 2 * * *
  timezone: Europe/Berlin
  duration: 90m
";

#[test]
fn a_window_is_once_or_again_and_again() {
    let [once, often] = &windows(GOOD).unwrap()[..] else { panic!() };
    assert_eq!(
        once.spans(at("2026-03-03T12:00:00Z"), at("2026-03-03T23:00:00Z")),
        [(at("2026-03-03T22:00:00Z"), at("2026-03-04T02:00:00Z"))]
    );
    for (from, to) in [("2026-03-03T12:00:00Z", "2026-03-03T21:59:59Z"), ("2026-03-04T02:00:00Z", "2026-03-05")] {
        assert_eq!(once.spans(at(from), at(to)), [], "{from} to {to}");
    }
    // In winter Berlin is one hour ahead, in summer two.
    let night = |text: &str| (at(text), at(text) + Span::from_mins(90));
    assert_eq!(
        often.spans(at("2026-03-03T01:30:00Z"), at("2026-03-04T01:00:00Z")),
        [night("2026-03-03T01:00:00Z"), night("2026-03-04T01:00:00Z")]
    );
    assert_eq!(often.spans(at("2026-07-03T01:00:00Z"), at("2026-07-03T01:00:00Z")), [night("2026-07-03T00:00:00Z")]);
    assert_eq!(often.spans(at("2026-07-03T01:30:00Z"), at("2026-07-03T12:00:00Z")), []);
    let again: Vec<Maintenance> = serde_json::from_value(serde_json::to_value(windows(GOOD).unwrap()).unwrap()).unwrap();
    assert_eq!(again, windows(GOOD).unwrap());
}

#[test]
fn a_filter_says_which_signals_are_covered() {
    let covered = |filter: &str, labels: &[(&str, &str)]| {
        let text = format!("- {{name: w, from: 2026-03-03T00:00:00Z, until: 2026-03-04T00:00:00Z, covers: '{filter}'}}");
        let signal = signal("latency", labels, at("2026-03-03T05:00:00Z"), None);
        !windows(&text).unwrap()[0].holds(&signal, at("2026-03-03T06:00:00Z")).is_empty()
    };
    let table = [
        ("labels.pool == \"a100\"", true),
        ("labels.pool == \"h100\"", false),
        ("labels.node == \"\" && metric == \"latency\" && rule == \"latency_zscore\"", true),
        ("severity == \"critical\"", false),
        ("method == \"zscore\" && severity in [\"info\", \"warning\"]", true),
        ("dataset != \"\"", false),
    ];
    for (filter, expected) in table {
        assert_eq!(covered(filter, &[("pool", "a100")]), expected, "{filter}");
    }
    let [once, often] = &windows(GOOD).unwrap()[..] else { panic!() };
    let signal = signal("latency", &[("pool", "a100")], at("2026-03-03T23:00:00Z"), None);
    let [hold] = &once.holds(&signal, at("2026-03-04T01:00:00Z"))[..] else { panic!() };
    assert_eq!((hold.cause.as_str(), hold.detail.as_str()), ("driver update", "maintenance window \"driver update\": CHG-1234"));
    assert_eq!(often.holds(&signal, at("2026-03-04T01:00:00Z")).len(), 1, "without a filter it covers all");
}

#[test]
fn mistakes_are_shown_where_they_are() {
    assert!(windows("- {name: w, cron: '0 2 * * MON-FRI', duration: 24h}").is_ok(), "it ends on Saturdays");
    let once = "from: 2026-03-03T00:00:00Z, until: 2026-03-04T00:00:00Z";
    let cases = [
        (format!("- {{name: w, {once}, covers: labels.pool = 3}}"), "b.yaml:1:", "is not a condition"),
        (
            "- name: w\n  from: 2026-03-03T00:00:00Z\n  until: 2026-03-04T00:00:00Z\n  covers: label.pool == \"a\"\n".into(),
            "b.yaml:4:11: ",
            "did you mean labels?",
        ),
        (format!("- {{name: w, {once}, covers: metric}}"), "b.yaml:1:", "not true or false"),
        ("- {name: w, from: 2026-03-03T00:00:00Z}".into(), "b.yaml:1:", "needs either from and until, or cron and duration"),
        (format!("- {{name: w, {once}, duration: 2h}}"), "b.yaml:1:", "has from, until, duration: it needs either from and until"),
        ("- {name: w, cron: '0 2 * * *', duration: 24h}".into(), "b.yaml:1:", "lasts 1d and begins anew before it ends"),
        ("name: w".into(), "b.yaml:1:", "a list is expected here"),
        ("- {name: w, from: 2026-03-04T00:00:00Z, until: 2026-03-03T00:00:00Z}".into(), "b.yaml:1:", "is not after its beginning"),
        ("- {name: w, cron: at night, duration: 2h}".into(), "b.yaml:1:", "is not a cron expression"),
        ("- {name: w, cron: '0 2 * * *', duration: 0s}".into(), "b.yaml:1:", "duration of zero"),
        ("- {name: w, cron: '0 2 * * *', duration: 1h, timezone: Mars}".into(), "b.yaml:1:", "is not a time zone"),
        ("- {name: ' ', cron: '0 2 * * *', duration: 1h}".into(), "b.yaml:1:", "needs a name"),
        ("- {name: w, cron: '0 2 * * *', duraton: 1h}".into(), "b.yaml:1:", "did you mean duration?"),
    ];
    for (text, place, says) in cases {
        let error = windows(&text).unwrap_err();
        assert!(error.starts_with(place) && error.contains(says), "{text}\n{error}");
    }
}
