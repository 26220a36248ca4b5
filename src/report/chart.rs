//! One series drawn: its values, what was expected, where it left the band, and what happened beside it.
//!
//! The drawing is SVG without script, in which positions across are percentages and positions down are pixels: it fits any
//! width without shrinking its words. Colours are custom properties (`--line`, `--band`, …) that the embedding page gives.

use std::fmt::Write as _;

use bellwether_model::execution::{Execution, ExecutionState};
use bellwether_model::inventory::Change;
use bellwether_model::signal::Signal;
use bellwether_model::time::{TimeRange, Timestamp};
use bellwether_model::unit::Unit;

use super::escape::esc;
use super::scale::{ValueAxis, time_ticks};
use super::words;

/// A series to be drawn, with all that is drawn beside it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Chart {
    /// What is drawn, in words: `latency_p95 of ml/iris`.
    pub title: String,
    /// Unit of all values.
    pub unit: Unit,
    /// The stretch of time that is drawn.
    pub range: TimeRange,
    /// Samples with the band that was expected there. Need not be sorted; those outside the range are left out.
    pub points: Vec<Point>,
    /// Where it deviated, from first to last sample outside the band.
    pub anomalies: Vec<TimeRange>,
    /// What happened meanwhile, in any order; numbered in the order of time.
    pub marks: Vec<Mark>,
}

/// One sample of a drawn series. A value that is not finite is a gap.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Point {
    /// Its time.
    pub at: Timestamp,
    /// Its value, in the chart's unit.
    pub value: f64,
    /// What was expected; none while the method had too few samples.
    pub band: Option<Band>,
}

/// What was expected of one sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Band {
    /// The expected value.
    pub expected: f64,
    /// Below this is a deviation.
    pub lower: f64,
    /// Above this is a deviation.
    pub upper: f64,
}

/// Something that happened at one instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// When.
    pub at: Timestamp,
    /// Whose doing.
    pub kind: MarkKind,
    /// What, in words.
    pub text: String,
}

/// Whose doing a mark is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum MarkKind {
    /// The fleet changed: a deployment, a scale action. Drawn as a square.
    Change,
    /// Bellwether acted. Drawn as a filled circle.
    Action,
    /// Bellwether undid what it had done. Drawn as a ring.
    Undo,
}

impl Chart {
    /// The chart of a signal: its samples, its deviation, and what of `changes` and `transitions` falls into the range.
    pub(crate) fn of_signal(signal: &Signal, points: Vec<Point>, range: TimeRange, changes: &[Change], transitions: &[Execution]) -> Self {
        let change = |c: &Change| Mark { at: c.at, kind: MarkKind::Change, text: format!("{}: {}", words::entity(&c.entity), c.summary) };
        let action = |e: &Execution| {
            let kind = match e.state {
                ExecutionState::Executing => MarkKind::Action,
                ExecutionState::RollingBack => MarkKind::Undo,
                _ => return None,
            };
            Some(Mark { at: e.recorded_at, kind, text: format!("{} {}", e.playbook_id, words::state(e.state)) })
        };
        let mut marks: Vec<_> = changes.iter().map(change).chain(transitions.iter().filter_map(action)).filter(|m| range.start <= m.at && m.at <= range.end).collect();
        marks.sort_by_key(|m| (m.at, m.kind));
        let end = signal.closed_at.unwrap_or(range.end);
        Self { title: words::subject(&signal.subject), unit: signal.unit, range, points, anomalies: vec![TimeRange::new(signal.opened_at, end)], marks }
    }

    /// The marks in the range, in order of time: mark `n` of the drawing is element `n - 1`.
    pub(crate) fn numbered_marks(&self) -> Vec<&Mark> {
        let mut marks: Vec<_> = self.marks.iter().filter(|m| self.range.start <= m.at && m.at <= self.range.end).collect();
        marks.sort_by_key(|m| (m.at, m.kind));
        marks.truncate(MOST_MARKS);
        marks
    }
}

/// Where a drawing stands in what holds it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Place {
    /// As wide as the page lets it be; the page leaves room to the left for the labels of the value axis.
    Fluid,
    /// Inside another drawing: left edge of the plot, top edge, width of the plot.
    At(f64, f64, f64),
}

/// Height of a drawing in pixels.
pub(crate) const HEIGHT: f64 = 196.0;
const TOP: f64 = 26.0;
const PLOT: f64 = 146.0;
const COLUMNS: usize = 640;
const MOST_MARKS: usize = 12;
/// A larger number cannot be told from an overflow on its way to the screen; it is drawn as a gap.
const LARGEST: f64 = 1e150;

/// Draws a chart as one `<svg>` element, at most about 40 kB however many samples it has.
pub(crate) fn svg(chart: &Chart, place: Place) -> String {
    let points = drawable(chart);
    let mut out = String::new();
    let frame = match place {
        Place::Fluid => format!(r#"width="100%" height="{HEIGHT}""#),
        Place::At(x, y, width) => format!(r#"x="{x}" y="{y}" width="{width}" height="{HEIGHT}" overflow="visible""#),
    };
    let describe = esc(&description(chart, &points));
    put(&mut out, format_args!(r#"<svg xmlns="http://www.w3.org/2000/svg" class="chart" {frame} role="img"><title>{}</title><desc>{describe}</desc>"#, esc(&chart.title)));
    let bounds = bounds(&points);
    let axis = bounds.map(|(lo, hi)| ValueAxis::over(lo, hi, chart.unit, 3));
    draw_axes(&mut out, chart, axis.as_ref());
    draw_gaps(&mut out, chart, &points);
    draw_anomalies(&mut out, chart);
    if let Some(axis) = &axis {
        draw_series(&mut out, chart, &points, axis);
        draw_peak(&mut out, chart, &points, axis);
    } else {
        put(&mut out, format_args!(r#"<text class="none" x="50%" y="{}" text-anchor="middle">no samples in this range</text>"#, TOP + PLOT / 2.0));
    }
    draw_marks(&mut out, chart);
    out.push_str("</svg>");
    out
}

fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("writing to a String cannot fail");
}

fn drawable(chart: &Chart) -> Vec<Point> {
    let fine = |v: f64| v.is_finite() && v.abs() < LARGEST;
    let mut points: Vec<Point> = chart
        .points
        .iter()
        .filter(|p| chart.range.start <= p.at && p.at <= chart.range.end && fine(p.value))
        .map(|p| Point { band: p.band.filter(|b| fine(b.expected) && fine(b.lower) && fine(b.upper)), ..*p })
        .collect();
    points.sort_by_key(|p| p.at);
    points
}

/// The values to be covered: every sample, and the band as far as it stays within one height of the samples.
fn bounds(points: &[Point]) -> Option<(f64, f64)> {
    let least = |values: &mut dyn Iterator<Item = f64>| values.reduce(f64::min);
    let most = |values: &mut dyn Iterator<Item = f64>| values.reduce(f64::max);
    let lo = least(&mut points.iter().map(|p| p.value))?;
    let hi = most(&mut points.iter().map(|p| p.value))?;
    let lower = least(&mut points.iter().filter_map(|p| p.band).map(|b| b.lower)).unwrap_or(lo);
    let upper = most(&mut points.iter().filter_map(|p| p.band).map(|b| b.upper)).unwrap_or(hi);
    let height = if hi > lo { hi - lo } else { hi.abs() };
    let foot = lower.clamp(lo - height, lo);
    Some((if lo >= 0.0 { foot.max(0.0) } else { foot }, upper.clamp(hi, hi + height)))
}

/// Where an instant stands across the drawing, 0 to 1.
fn across(range: &TimeRange, at: Timestamp) -> f64 {
    let length = range.length().micros();
    if length == 0 { 0.5 } else { (at.micros().saturating_sub(range.start.micros()) as f64 / length as f64).clamp(0.0, 1.0) }
}

fn percent(share: f64) -> String {
    format!("{}%", (share * 1e4).round() / 1e2)
}

fn draw_axes(out: &mut String, chart: &Chart, axis: Option<&ValueAxis>) {
    for (value, label) in axis.iter().flat_map(|a| a.ticks.iter().map(|(v, l)| (a.place(*v), l))) {
        let y = round(TOP + PLOT * (1.0 - value));
        put(out, format_args!(r#"<line class="grid" x1="0" x2="100%" y1="{y}" y2="{y}"/><text class="tick" x="-8" y="{}" text-anchor="end">{}</text>"#, round(y + 3.5), esc(label)));
    }
    let foot = TOP + PLOT;
    put(out, format_args!(r#"<line class="axis" x1="0" x2="100%" y1="{foot}" y2="{foot}"/>"#));
    for (i, (at, label)) in time_ticks(&chart.range).into_iter().enumerate() {
        let share = across(&chart.range, at);
        let anchor = if share < 0.04 { "start" } else if share > 0.96 { "end" } else { "middle" };
        let class = if i % 2 == 0 { "tick" } else { "tick odd" };
        let x = percent(share);
        put(out, format_args!(r#"<line class="axis" x1="{x}" x2="{x}" y1="{foot}" y2="{}"/>"#, foot + 4.0));
        put(out, format_args!(r#"<text class="{class}" x="{x}" y="{}" text-anchor="{anchor}">{}</text>"#, foot + 17.0, esc(&label)));
    }
}

/// How far apart two samples may be and still be joined: two and a half times the usual distance.
fn longest_step(points: &[Point]) -> i64 {
    let mut steps: Vec<i64> = points.windows(2).map(|p| p[1].at.micros() - p[0].at.micros()).collect();
    steps.sort_unstable();
    steps.get(steps.len() / 2).map_or(i64::MAX, |usual| usual.saturating_mul(5) / 2)
}

fn draw_gaps(out: &mut String, chart: &Chart, points: &[Point]) {
    let longest = longest_step(points);
    let inner = points.windows(2).map(|p| (p[0].at, p[1].at)).filter(|(a, b)| b.micros() - a.micros() > longest);
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return };
    for (from, to) in [(chart.range.start, first.at)].into_iter().chain(inner).chain([(last.at, chart.range.end)]) {
        let (a, b) = (across(&chart.range, from), across(&chart.range, to));
        if b - a < 0.015 {
            continue;
        }
        put(out, format_args!(r#"<rect class="gap" x="{}" width="{}" y="{TOP}" height="{PLOT}"><title>no data</title></rect>"#, percent(a), percent(b - a)));
        if b - a > 0.1 {
            put(out, format_args!(r#"<text class="none" x="{}" y="{}" text-anchor="middle">no data</text>"#, percent((a + b) / 2.0), TOP + PLOT / 2.0));
        }
    }
}

fn draw_anomalies(out: &mut String, chart: &Chart) {
    for range in &chart.anomalies {
        if range.end < chart.range.start || range.start > chart.range.end {
            continue;
        }
        let (a, b) = (across(&chart.range, range.start), across(&chart.range, range.end));
        let width = (b - a).max(0.004);
        let tip = format!("outside the band {} to {}", words::when(range.start), words::when(range.end));
        put(out, format_args!(r#"<rect class="anomaly" x="{}" width="{}" y="{TOP}" height="{PLOT}"><title>{}</title></rect>"#, percent(a.min(1.0 - width)), percent(width), esc(&tip)));
    }
}

/// One column of the drawing: the lowest and highest sample of it, in order of time.
struct Column {
    low: Point,
    high: Point,
    first: Timestamp,
    last: Timestamp,
    band: Option<Band>,
}

/// At most one column a pixel, so that any number of samples draws in bounded size and no peak is lost.
fn columns(chart: &Chart, points: &[Point]) -> Vec<Column> {
    let mut columns: Vec<(usize, Column)> = Vec::new();
    for p in points {
        let at = (across(&chart.range, p.at) * COLUMNS as f64) as usize;
        match columns.last_mut() {
            Some((column, c)) if *column == at => {
                c.last = p.at;
                if p.value < c.low.value {
                    c.low = *p;
                }
                if p.value > c.high.value {
                    c.high = *p;
                }
                c.band = match (c.band, p.band) {
                    (Some(a), Some(b)) => Some(Band { expected: a.expected, lower: a.lower.min(b.lower), upper: a.upper.max(b.upper) }),
                    (a, b) => a.or(b),
                };
            }
            _ => columns.push((at, Column { low: *p, high: *p, first: p.at, last: p.at, band: p.band })),
        }
    }
    columns.into_iter().map(|(_, c)| c).collect()
}

fn round(v: f64) -> f64 {
    (v * 10.0).round() / 10.0
}

fn draw_series(out: &mut String, chart: &Chart, points: &[Point], axis: &ValueAxis) {
    let x = |at: Timestamp| round(across(&chart.range, at) * COLUMNS as f64);
    let y = |v: f64| round(PLOT * (1.0 - axis.place(v)));
    let longest = longest_step(points);
    let columns = columns(chart, points);
    let runs: Vec<&[Column]> = columns.chunk_by(|a, b| b.first.micros() - a.last.micros() <= longest).collect();
    let (mut line, mut hot, mut expected, mut band) = (String::new(), String::new(), String::new(), String::new());
    for run in runs {
        let mut vertices: Vec<Point> = Vec::with_capacity(run.len() * 2);
        for c in run {
            let (a, b) = if c.low.at <= c.high.at { (c.low, c.high) } else { (c.high, c.low) };
            vertices.push(a);
            if b.at != a.at {
                vertices.push(b);
            }
        }
        path(&mut line, vertices.iter().map(|p| (x(p.at), y(p.value))));
        let is_hot = |p: &Point| chart.anomalies.iter().any(|r| r.start <= p.at && p.at <= r.end);
        for part in vertices.chunk_by(|a, b| is_hot(a) == is_hot(b)).filter(|part| is_hot(&part[0])) {
            path(&mut hot, part.iter().map(|p| (x(p.at), y(p.value))));
        }
        for part in run.chunk_by(|a, b| a.band.is_some() == b.band.is_some()) {
            let bands: Vec<(f64, Band)> = part.iter().filter_map(|c| Some((x(c.first), c.band?))).collect();
            if bands.is_empty() {
                continue;
            }
            path(&mut expected, bands.iter().map(|(x, b)| (*x, y(b.expected))));
            path(&mut band, bands.iter().map(|(x, b)| (*x, y(b.upper))).chain(bands.iter().rev().map(|(x, b)| (*x, y(b.lower)))));
            band.push('z');
        }
    }
    put(out, format_args!(r#"<svg y="{TOP}" width="100%" height="{PLOT}" viewBox="0 0 {COLUMNS} {PLOT}" preserveAspectRatio="none" overflow="visible">"#));
    for (class, d) in [("band", band), ("expected", expected), ("line", line), ("hot", hot)] {
        if !d.is_empty() {
            put(out, format_args!(r#"<path class="{class}" vector-effect="non-scaling-stroke" d="{d}"/>"#));
        }
    }
    out.push_str("</svg>");
}

/// Appends a line through these places, without those that add nothing to it; a lone place becomes a dot.
fn path(d: &mut String, places: impl Iterator<Item = (f64, f64)>) {
    let mut kept: Vec<(f64, f64)> = Vec::new();
    for p in places {
        let level = |a: &(f64, f64), b: &(f64, f64)| a.1 == p.1 && b.1 == p.1;
        match kept.as_slice() {
            [.., a, b] if level(a, b) || *b == p => *kept.last_mut().expect("a slice with two elements has a last one") = p,
            _ => kept.push(p),
        }
    }
    for (i, (x, y)) in kept.iter().enumerate() {
        put(d, format_args!("{}{x} {y}", if i == 0 { "M" } else { " " }));
    }
    if kept.len() == 1 {
        d.push_str("h0");
    }
}

/// Names the value that is furthest from what was expected.
fn draw_peak(out: &mut String, chart: &Chart, points: &[Point], axis: &ValueAxis) {
    let inside = points.iter().filter(|p| chart.anomalies.iter().any(|r| r.start <= p.at && p.at <= r.end));
    let far = |p: &Point| p.band.map_or(0.0, |b| (p.value - b.expected).abs());
    let Some(peak) = inside.filter(|p| p.band.is_some()).reduce(|a, b| if far(b) > far(a) { b } else { a }) else { return };
    let share = across(&chart.range, peak.at);
    let y = round(TOP + PLOT * (1.0 - axis.place(peak.value)));
    let (anchor, dx) = if share < 0.75 { ("start", 8) } else { ("end", -8) };
    put(
        out,
        format_args!(
            r#"<circle class="peak" cx="{x}" cy="{y}" r="3.5"/><text class="value" x="{x}" dx="{dx}" y="{}" text-anchor="{anchor}">{}</text>"#,
            round((y + 4.0).clamp(TOP + 9.0, TOP + PLOT - 4.0)),
            esc(&chart.unit.show(peak.value)),
            x = percent(share),
        ),
    );
}

fn draw_marks(out: &mut String, chart: &Chart) {
    let mut previous = -1.0;
    let mut lifted = false;
    for (i, mark) in chart.numbered_marks().into_iter().enumerate() {
        let share = across(&chart.range, mark.at);
        // Marks that would cover each other go up and down in turn.
        lifted = share - previous < 0.025 && !lifted;
        previous = share;
        let (x, y) = (percent(share), if lifted { 1.0 } else { 13.0 });
        let foot = TOP + PLOT;
        let (class, shape) = match mark.kind {
            MarkKind::Change => ("change", format!(r#"<svg x="{x}" y="{y}" overflow="visible"><rect x="-7" y="-7" width="14" height="14" rx="3"/></svg>"#)),
            MarkKind::Action => ("action", format!(r#"<circle cx="{x}" cy="{y}" r="7.5"/>"#)),
            MarkKind::Undo => ("undo", format!(r#"<circle cx="{x}" cy="{y}" r="7.5"/>"#)),
        };
        put(
            out,
            format_args!(
                r#"<g class="mark {class}"><title>{}</title><line x1="{x}" x2="{x}" y1="{}" y2="{foot}"/>{shape}<text x="{x}" y="{}" text-anchor="middle">{}</text></g>"#,
                esc(&format!("{} {}", words::when(mark.at), mark.text)),
                y + 7.0,
                y + 3.5,
                i + 1
            ),
        );
    }
}

/// What the drawing shows, for those who do not see it.
fn description(chart: &Chart, points: &[Point]) -> String {
    let mut text = format!("From {} to {} UTC. ", words::when(chart.range.start), words::when(chart.range.end));
    let values = || points.iter().map(|p| p.value);
    match (values().reduce(f64::min), values().reduce(f64::max)) {
        (Some(lo), Some(hi)) => text += &format!("{} samples between {} and {}.", points.len(), chart.unit.show(lo), chart.unit.show(hi)),
        _ => text += "No samples.",
    }
    for range in &chart.anomalies {
        text += &format!(" Outside the expected band from {} to {}.", words::when(range.start), words::when(range.end));
    }
    for (i, mark) in chart.numbered_marks().into_iter().enumerate() {
        text += &format!(" Mark {}: {} {}.", i + 1, words::when(mark.at), mark.text);
    }
    text
}

#[cfg(test)]
mod tests {
    use bellwether_model::time::Span;

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
        for words in ["role=\"img\"", "<title>latency_p95 of ml/checkout-ranker</title>", "Outside the expected band from 21 Nov 09:05", "Mark 2: 21 Nov 08:58", "checkout-ranker-00042"] {
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

    proptest::proptest! {
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
}
