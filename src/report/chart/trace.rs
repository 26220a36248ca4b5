//! The trace of the samples: the line, the band behind it, and the gaps in it.

use bellwether_model::time::Timestamp;

use super::super::scale::ValueAxis;
use super::{Band, Chart, PLOT, Point, TOP, across, percent, put, round};

/// Columns of the drawing: one for a pixel or two of a wide page.
pub(super) const COLUMNS: usize = 640;
/// A larger number cannot be told from an overflow on its way to the screen; it is drawn as a gap.
const LARGEST: f64 = 1e150;

/// The samples that can be drawn, in order of time.
pub(super) fn drawable(chart: &Chart) -> Vec<Point> {
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

/// The values to be covered: every sample, all that was expected, and the band as far as it stays within one height of these.
pub(super) fn bounds(points: &[Point]) -> Option<(f64, f64)> {
    let least = |values: &mut dyn Iterator<Item = f64>| values.reduce(f64::min);
    let most = |values: &mut dyn Iterator<Item = f64>| values.reduce(f64::max);
    let bands = || points.iter().filter_map(|p| p.band);
    let smallest = least(&mut points.iter().map(|p| p.value))?;
    let lo = least(&mut bands().map(|b| b.expected)).map_or(smallest, |e| e.min(smallest));
    let hi = most(&mut points.iter().map(|p| p.value).chain(bands().map(|b| b.expected)))?;
    let height = if hi > lo { hi - lo } else { hi.abs() };
    let foot = least(&mut bands().map(|b| b.lower)).map_or(lo, |lower| lower.clamp(lo - height, lo));
    let top = most(&mut bands().map(|b| b.upper)).map_or(hi, |upper| upper.clamp(hi, hi + height));
    // What is never negative is not drawn as if it could be.
    Some((if smallest >= 0.0 { foot.max(0.0).min(hi) } else { foot }, top))
}

/// How far apart two samples may be and still be joined: two and a half times the usual distance.
fn longest_step(points: &[Point]) -> i64 {
    let mut steps: Vec<i64> = points.windows(2).map(|p| p[1].at.micros() - p[0].at.micros()).collect();
    steps.sort_unstable();
    steps.get(steps.len() / 2).map_or(i64::MAX, |usual| usual.saturating_mul(5) / 2)
}

/// Shades where no sample is: a gap is shown as a gap.
pub(super) fn draw_gaps(out: &mut String, chart: &Chart, points: &[Point]) {
    let longest = longest_step(points);
    let inner = points.windows(2).map(|p| (p[0].at, p[1].at)).filter(|(a, b)| b.micros() - a.micros() > longest);
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return };
    for (from, to) in [(chart.range.start, first.at)].into_iter().chain(inner).chain([(last.at, chart.range.end)]) {
        let (a, b) = (across(&chart.range, from), across(&chart.range, to));
        if b - a < 0.015 {
            continue;
        }
        put(
            out,
            format_args!(
                r#"<rect class="gap" x="{}" width="{}" y="{TOP}" height="{PLOT}"><title>no data</title></rect>"#,
                percent(a),
                percent(b - a)
            ),
        );
        if b - a > 0.1 {
            put(
                out,
                format_args!(
                    r#"<text class="none" x="{}" y="{}" text-anchor="middle">no data</text>"#,
                    percent((a + b) / 2.0),
                    TOP + PLOT / 2.0
                ),
            );
        }
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

/// Draws the band, what was expected, the line, and its part outside the band.
pub(super) fn draw_series(out: &mut String, chart: &Chart, points: &[Point], axis: &ValueAxis) {
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
    put(
        out,
        format_args!(
            r#"<svg y="{TOP}" width="100%" height="{PLOT}" viewBox="0 0 {COLUMNS} {PLOT}" preserveAspectRatio="none" overflow="visible">"#
        ),
    );
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
