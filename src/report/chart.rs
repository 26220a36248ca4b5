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

pub(super) mod labelled;
mod marks;
mod trace;

pub(super) use marks::spread;

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
        let mut marks: Vec<_> = changes
            .iter()
            .map(change)
            .chain(transitions.iter().filter_map(action))
            .filter(|m| range.start <= m.at && m.at <= range.end)
            .collect();
        marks.sort_by_key(|m| (m.at, m.kind));
        let end = signal.closed_at.unwrap_or(range.end);
        Self {
            title: words::subject(&signal.subject),
            unit: signal.unit,
            range,
            points,
            anomalies: vec![TimeRange::new(signal.opened_at, end)],
            marks,
        }
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
const MOST_MARKS: usize = 12;

/// Draws a chart as one `<svg>` element, at most about 40 kB however many samples it has.
pub(crate) fn svg(chart: &Chart, place: Place) -> String {
    let points = trace::drawable(chart);
    let mut out = String::new();
    let frame = match place {
        Place::Fluid => format!(r#"width="100%" height="{HEIGHT}""#),
        Place::At(x, y, width) => format!(r#"x="{x}" y="{y}" width="{width}" height="{HEIGHT}" overflow="visible""#),
    };
    let describe = esc(&description(chart, &points));
    put(
        &mut out,
        format_args!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" class="chart" {frame} role="img"><title>{}</title><desc>{describe}</desc>"#,
            esc(&chart.title)
        ),
    );
    let bounds = trace::bounds(&points);
    let axis = bounds.map(|(lo, hi)| ValueAxis::over(lo, hi, chart.unit, 3));
    draw_axes(&mut out, chart, axis.as_ref());
    trace::draw_gaps(&mut out, chart, &points);
    draw_anomalies(&mut out, chart);
    if let Some(axis) = &axis {
        trace::draw_series(&mut out, chart, &points, axis);
        marks::draw_peak(&mut out, chart, &points, axis);
    } else {
        put(
            &mut out,
            format_args!(r#"<text class="none" x="50%" y="{}" text-anchor="middle">no samples in this range</text>"#, TOP + PLOT / 2.0),
        );
    }
    marks::draw_marks(&mut out, chart);
    out.push_str("</svg>");
    out
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

fn draw_axes(out: &mut String, chart: &Chart, axis: Option<&ValueAxis>) {
    for (value, label) in axis.iter().flat_map(|a| a.ticks.iter().map(|(v, l)| (a.place(*v), l))) {
        let y = round(TOP + PLOT * (1.0 - value));
        put(
            out,
            format_args!(
                r#"<line class="grid" x1="0" x2="100%" y1="{y}" y2="{y}"/><text class="tick" x="-8" y="{}" text-anchor="end">{}</text>"#,
                round(y + 3.5),
                esc(label)
            ),
        );
    }
    let foot = TOP + PLOT;
    put(out, format_args!(r#"<line class="axis" x1="0" x2="100%" y1="{foot}" y2="{foot}"/>"#));
    for (i, (at, label)) in time_ticks(&chart.range).into_iter().enumerate() {
        let share = across(&chart.range, at);
        let anchor = if share < 0.04 {
            "start"
        } else if share > 0.96 {
            "end"
        } else {
            "middle"
        };
        let class = if i % 2 == 0 { "tick" } else { "tick odd" };
        let x = percent(share);
        put(out, format_args!(r#"<line class="axis" x1="{x}" x2="{x}" y1="{foot}" y2="{}"/>"#, foot + 4.0));
        put(out, format_args!(r#"<text class="{class}" x="{x}" y="{}" text-anchor="{anchor}">{}</text>"#, foot + 17.0, esc(&label)));
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
        put(
            out,
            format_args!(
                r#"<rect class="anomaly" x="{}" width="{}" y="{TOP}" height="{PLOT}"><title>{}</title></rect>"#,
                percent(a.min(1.0 - width)),
                percent(width),
                esc(&tip)
            ),
        );
    }
}

/// Appends formatted markup.
pub(super) fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("writing to a String cannot fail");
}

/// Where an instant stands across the drawing, 0 to 1.
fn across(range: &TimeRange, at: Timestamp) -> f64 {
    let length = range.length().micros();
    if length == 0 { 0.5 } else { (at.micros().saturating_sub(range.start.micros()) as f64 / length as f64).clamp(0.0, 1.0) }
}

fn percent(share: f64) -> String {
    format!("{}%", (share * 1e4).round() / 1e2)
}

fn round(v: f64) -> f64 {
    (v * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests;
