//! Tests of the drawn series.

use bellwether_model::time::Span;

use super::trace::COLUMNS;
use super::*;
use crate::report::{fixture, xml};

fn drawn(chart: &Chart) -> String {
    let svg = svg(chart, Place::Fluid);
    xml::well_formed(&svg).unwrap_or_else(|e| panic!("{e}\n{svg}"));
    assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    svg
}

#[test]
fn two_weeks_of_five_minutes_stay_small_and_keep_their_peak() {
    let range = TimeRange::before(fixture::at("2026-11-21"), Span::from_days(14));
    let mut points = fixture::points(range, 0.2, 0.05, 0.02, |_| 0.0);
    points[2_000].value = 9.0;
    let chart = Chart { range, anomalies: vec![], marks: vec![], ..fixture::chart_of(points) };
    let svg = drawn(&chart);
    assert!(svg.len() < 60_000, "{} bytes", svg.len());
    // One sample of 4,032 stands near the top of the plot: minimum and maximum of each column are kept.
    let line = svg.split("class=\"line\"").nth(1).and_then(|s| s.split("d=\"").nth(1)).and_then(|s| s.split('"').next()).unwrap();
    let heights: Vec<f64> = line.trim_start_matches('M').split(' ').skip(1).step_by(2).map(|y| y.parse().unwrap()).collect();
    assert!(heights.iter().any(|y| *y < PLOT * 0.15) && heights.len() < 2 * COLUMNS + 4);
}

#[test]
fn equal_charts_are_drawn_equally_and_order_does_not_matter() {
    let chart = fixture::fleet().incidents.remove(0).charts.remove(0);
    let mut shuffled = chart.clone();
    shuffled.points.reverse();
    shuffled.marks.reverse();
    assert_eq!(drawn(&chart), drawn(&shuffled));
}

#[test]
fn a_gap_is_a_gap() {
    let chart = fixture::fleet().incidents.remove(0).charts.remove(0);
    let svg = drawn(&chart);
    let line = svg.split("class=\"line\"").nth(1).unwrap().split("/>").next().unwrap();
    assert_eq!(line.matches('M').count(), 2, "the outage parts the line");
    assert_eq!(svg.matches("class=\"gap\"").count(), 1);
    let whole = fixture::chart_of(fixture::points(chart.range, 1.0, 0.1, 0.1, |_| 0.0));
    assert_eq!(drawn(&whole).matches("class=\"gap\"").count(), 0);
}

#[test]
fn what_it_shows_is_said_in_words_too() {
    let svg = drawn(&fixture::fleet().incidents[0].charts[0]);
    for words in [
        "role=\"img\"",
        "<title>latency_p95 of ml/checkout-ranker</title>",
        "Outside the expected band from 21 Nov 09:05",
        "Mark 2: 21 Nov 08:58",
        "checkout-ranker-00042",
    ] {
        assert!(svg.contains(words), "{words}");
    }
}

#[test]
fn odd_series_draw_too() {
    let range = TimeRange::new(fixture::at("2026-11-20"), fixture::at("2026-11-21"));
    let at = |minutes: i64| range.start + Span::from_mins(minutes);
    let point = |minutes, value| Point { at: at(minutes), value, band: None };
    let cases: [(&str, Vec<Point>); 8] = [
        ("empty", vec![]),
        ("one", vec![point(60, 3.0)]),
        ("constant", (0..100).map(|i| point(i * 5, 0.5)).collect()),
        ("zeros", (0..100).map(|i| point(i * 5, 0.0)).collect()),
        ("negative", (0..100).map(|i| point(i * 5, -(i as f64))).collect()),
        ("not numbers", vec![point(1, f64::NAN), point(2, f64::INFINITY), point(3, f64::MAX)]),
        ("twice the same time", vec![point(5, 1.0), point(5, 2.0), point(5, 3.0)]),
        ("outside", vec![point(-5, 1.0), point(60 * 25, 2.0)]),
    ];
    for (name, points) in cases {
        let none = points.iter().all(|p| !p.value.is_finite() || p.value == f64::MAX || !(range.start <= p.at && p.at <= range.end));
        let svg = drawn(&Chart { range, marks: vec![], ..fixture::chart_of(points) });
        assert_eq!(svg.contains("no samples in this range"), none, "{name}");
    }
    drawn(&Chart { range: TimeRange::new(range.start, range.start), ..fixture::chart_of(vec![point(0, 1.0)]) });
}

#[test]
fn labels_cannot_break_the_drawing() {
    let mut chart = fixture::fleet().incidents.remove(0).charts.remove(0);
    chart.title = "<script>\"'&".into();
    chart.marks[0].text = "</svg><script>alert(1)</script>".into();
    assert!(!drawn(&chart).contains("<script"));
}

#[test]
fn a_signals_chart_marks_what_happened_in_its_range() {
    let card = fixture::fleet().incidents.remove(0);
    let range = card.charts[0].range;
    let change = |at: &str, summary: &str| Change {
        at: fixture::at(at),
        kind: "revision".into(),
        entity: "endpoint:ml/checkout-ranker".parse().unwrap(),
        summary: summary.into(),
        recorded_at: range.end,
    };
    let changes = [change("2026-11-21T08:58:00Z", "revision 41 → 42"), change("2026-10-01T00:00:00Z", "long ago")];
    let chart = Chart::of_signal(&card.signals[0], vec![], range, &changes, &card.attempts[0].transitions);
    assert_eq!(chart.title, "latency_p95 of ml/checkout-ranker");
    assert_eq!(chart.anomalies, [TimeRange::new(card.signals[0].opened_at, range.end)]);
    let marks: Vec<_> = chart.numbered_marks().into_iter().map(|m| (m.kind, m.text.as_str())).collect();
    let expected = [
        (MarkKind::Change, "ml/checkout-ranker: revision 41 → 42"),
        (MarkKind::Action, "scale-out applied"),
        (MarkKind::Undo, "scale-out rolling back"),
    ];
    assert_eq!(marks, expected);
}

proptest::proptest! {
    #[test]
    fn marks_never_cover_each_other(mut places in proptest::collection::vec(0.0f64..480.0, 0..12)) {
        places.sort_by(f64::total_cmp);
        let spread = spread(&places, 17.0, 480.0);
        proptest::prop_assert_eq!(spread.len(), places.len());
        proptest::prop_assert!(spread.windows(2).all(|p| p[1] - p[0] >= 17.0 - 1e-9));
        proptest::prop_assert!(spread.iter().all(|p| (-1e-9..=480.0 + 1e-9).contains(p)));
    }
    #[test]
    fn every_series_draws_well_formed_and_finite(
        samples in proptest::collection::vec((0i64..3_000, proptest::num::f64::ANY, proptest::option::of((proptest::num::f64::ANY, -1e3f64..1e3, proptest::num::f64::ANY))), 0..60),
        marks in proptest::collection::vec((0i64..3_000, ".{0,8}"), 0..5),
        minutes in 0i64..3_000,
    ) {
        let range = TimeRange::before(fixture::at("2026-11-21"), Span::from_mins(minutes));
        let at = |m: i64| range.end - Span::from_mins(m);
        let points = samples.into_iter().map(|(m, value, band)| Point { at: at(m), value, band: band.map(|(expected, lower, upper)| Band { expected, lower, upper }) }).collect();
        let marks = marks.into_iter().map(|(m, text)| Mark { at: at(m), kind: MarkKind::Change, text }).collect();
        drawn(&Chart { title: "x".into(), unit: Unit::Seconds, range, points, anomalies: vec![TimeRange::new(at(2_000), at(10))], marks });
    }
}
