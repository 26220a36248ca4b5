//! What is marked on a drawn series: the value furthest out, and what happened.

use super::super::escape::esc;
use super::super::scale::ValueAxis;
use super::super::words;
use super::{Chart, MarkKind, PLOT, Point, TOP, across, percent, put, round};

/// Names the value that is furthest from what was expected, beside the deviation where there is room.
pub(super) fn draw_peak(out: &mut String, chart: &Chart, points: &[Point], axis: &ValueAxis) {
    let around = |p: &Point| chart.anomalies.iter().find(|r| r.start <= p.at && p.at <= r.end);
    let far = |p: &Point| p.band.map_or(0.0, |b| (p.value - b.expected).abs());
    let inside = points.iter().filter(|p| p.band.is_some()).filter_map(|p| Some((p, around(p)?)));
    let Some((peak, range)) = inside.reduce(|a, b| if far(b.0) > far(a.0) { b } else { a }) else { return };
    let share = across(&chart.range, peak.at);
    let y = round(TOP + PLOT * (1.0 - axis.place(peak.value)));
    let (from, to) = (across(&chart.range, range.start), across(&chart.range, range.end));
    let (x, dx, anchor) = if from > 0.15 {
        (from, -6, "end")
    } else if to < 0.85 {
        (to, 6, "start")
    } else if share < 0.75 {
        (share, 8, "start")
    } else {
        (share, -8, "end")
    };
    put(
        out,
        format_args!(
            r#"<circle class="peak" cx="{}" cy="{y}" r="3.5"/><text class="value" x="{}" dx="{dx}" y="{}" text-anchor="{anchor}">{}</text>"#,
            percent(share),
            percent(x),
            round((y + 4.0).clamp(TOP + 9.0, TOP + PLOT - 4.0)),
            esc(&chart.unit.show(peak.value)),
        ),
    );
}

/// Numbered marks above the plot, each with a line to its instant; those that would cover each other stand side by side.
pub(super) fn draw_marks(out: &mut String, chart: &Chart) {
    const APART: f64 = 17.0;
    // The narrowest width that is cared for: on wider ones marks only move further apart.
    const NARROW: f64 = 480.0;
    let marks = chart.numbered_marks();
    let places: Vec<f64> = marks.iter().map(|m| across(&chart.range, m.at) * NARROW).collect();
    for ((i, mark), place) in marks.into_iter().enumerate().zip(spread(&places, APART, NARROW)) {
        let (shift, foot) = (round(place - places[i]), TOP + PLOT);
        let (class, shape) = match mark.kind {
            MarkKind::Change => ("change", format!(r#"<rect x="{}" y="3" width="14" height="14" rx="3"/>"#, round(shift - 7.0))),
            MarkKind::Action => ("action", format!(r#"<circle cx="{shift}" cy="10" r="7.5"/>"#)),
            MarkKind::Undo => ("undo", format!(r#"<circle cx="{shift}" cy="10" r="7.5"/>"#)),
        };
        put(
            out,
            format_args!(
                r#"<svg class="mark {class}" x="{}" overflow="visible"><title>{}</title><path d="M{shift} 18L0 {TOP}V{foot}"/>{shape}<text x="{shift}" y="13.5" text-anchor="middle">{}</text></svg>"#,
                percent(across(&chart.range, mark.at)),
                esc(&format!("{} {}", words::when(mark.at), mark.text)),
                i + 1
            ),
        );
    }
}

/// Moves ascending places as little as keeps them `apart`, and none above `end`; where there is no room for all, they
/// stand closer.
pub(in crate::report) fn spread(places: &[f64], apart: f64, end: f64) -> Vec<f64> {
    let apart = apart.min(end / places.len().max(1) as f64);
    let mut spread = Vec::with_capacity(places.len());
    for place in places {
        spread.push(spread.last().map_or(*place, |last: &f64| place.max(last + apart)));
    }
    let mut limit = end;
    for place in spread.iter_mut().rev() {
        *place = place.min(limit);
        limit = *place - apart;
    }
    spread
}
