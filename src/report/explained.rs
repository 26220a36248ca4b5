//! An incident explained in a picture: its series, and those that changed with it, on one axis of time, with the changes that precede it as
//! numbered marks. One SVG file that needs nothing else.

use bellwether_model::series::SeriesSlice;
use bellwether_model::time::{Span, TimeRange, Timestamp};
use bellwether_model::unit::Unit;
use bellwether_pipelines::explain::{ChangedSeries, Explanation, Relation, drifted_by, lagging, moved};

use super::chart::{put, spread};
use super::escape::esc;
use super::overview::{label, shortened};
use super::scale::{ValueAxis, time_ticks};
use super::words;

const WIDTH: f64 = 960.0;
/// Left edge and width of the plots.
const LEFT: f64 = 92.0;
const PLOT: f64 = WIDTH - LEFT - 28.0;
/// Foot of a head whose headline takes one line, height of a panel, and of the words above it.
const HEAD: f64 = 118.0;
const PANEL: f64 = 72.0;
const TITLE: f64 = 30.0;
/// Room of the axis of time, and of one note.
const FOOT: f64 = 30.0;
const NOTE: f64 = 18.0;
/// Characters that fit into the width: of the title, of the headline's lines, and of a note. Letters of a size differ; these are for the
/// wider ones.
const TITLE_CHARS: usize = 96;
const HEADLINE_CHARS: usize = 138;
const NOTE_CHARS: usize = 140;
/// Most lines of the headline.
const MOST_LINES: usize = 3;
/// Width of a letter above a panel, of its name and of what is said of it.
const NAME_LETTER: f64 = 6.9;
const SAID_LETTER: f64 = 6.0;
/// Changed series and changes that are drawn.
const MOST_SERIES: usize = 5;
const MOST_COLUMNS: usize = 3;
const MOST_MARKS: usize = 8;
/// How much is drawn before the window, at least and at most.
const BEFORE: (Span, Span) = (Span::from_mins(30), Span::from_hours(6));

const STYLE: &str = r#"
.ground { fill: var(--page); } .sheet { fill: var(--card); stroke: var(--rule); } .well { fill: var(--well); }
.h { font-size: 18px; font-weight: 650; fill: var(--ink); } .s { font-size: 13px; fill: var(--soft); } .t { font-size: 12px; font-weight: 600; fill: var(--ink); }
.n { font-size: 11.5px; fill: var(--soft); } .hair { stroke: var(--rule); } .window { fill: var(--anomaly); }
.line { fill: none; stroke: var(--line); stroke-width: 1.4; stroke-linejoin: round; } .first { stroke: var(--hot); }
.event { stroke: var(--accent); stroke-dasharray: 3 3; } .begin { stroke: var(--hot); stroke-dasharray: 2 3; }
.num { fill: var(--card); stroke: var(--accent); stroke-width: 1.2; } .numeral { font-size: 10px; font-weight: 600; fill: var(--ink); }
"#;

/// Draws an explanation. Equal explanations give equal bytes.
pub(crate) fn svg(found: &Explanation) -> String {
    let range = range(found);
    let marks = marks(found, &range);
    let panels = panels(found);
    let headline = lines(&found.headline);
    let head = HEAD + NOTE * headline.len().saturating_sub(1) as f64;
    let plots_end = head + (TITLE + PANEL) * panels.len().max(1) as f64;
    let height = plots_end + FOOT + 14.0 + NOTE * marks.len().max(1) as f64 + 12.0;
    let mut out = String::new();
    put(
        &mut out,
        format_args!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img"><title>{}</title><desc>{}</desc>"#,
            esc(&found.title),
            esc(&description(found, &marks))
        ),
    );
    put(&mut out, format_args!("<style>{}{STYLE}</style>", include_str!("chart.css")));
    put(
        &mut out,
        format_args!(
            r#"<rect class="ground" width="{WIDTH}" height="{height}" rx="14"/><rect class="sheet" x=".5" y=".5" width="{}" height="{}" rx="14"/>"#,
            WIDTH - 1.0,
            height - 1.0
        ),
    );
    label(&mut out, "h", (28.0, 38.0), &found.title, TITLE_CHARS);
    for (i, line) in headline.iter().enumerate() {
        label(&mut out, "s", (28.0, 60.0 + NOTE * i as f64), line, HEADLINE_CHARS);
    }
    let told = format!(
        "{} – {} UTC · {} compared, {} changed",
        words::when(range.start),
        words::when(range.end),
        words::many(found.compared.compared as i64, "series"),
        found.compared.changed
    );
    label(&mut out, "n", (28.0, head - 38.0), &told, NOTE_CHARS);
    if panels.is_empty() {
        put(&mut out, format_args!(r#"<text class="s" x="28" y="{}">no samples in this stretch of time</text>"#, head + TITLE + 20.0));
    }
    draw_marks(&mut out, &marks, &range, head);
    for (i, panel) in panels.iter().enumerate() {
        draw_panel(&mut out, panel, &range, found.window, head + (TITLE + PANEL) * i as f64);
    }
    draw_time(&mut out, &range, plots_end);
    // Through the plots only, not through the words between them.
    for i in 0..panels.len() {
        let top = head + (TITLE + PANEL) * i as f64 + TITLE;
        let line = |class: &str, x: f64| format!(r#"<line class="{class}" x1="{x}" x2="{x}" y1="{top}" y2="{}"/>"#, top + PANEL);
        marks.iter().for_each(|(at, _)| out.push_str(&line("event", across(&range, *at))));
        out.push_str(&line("begin", across(&range, found.opened_at)));
    }
    if marks.is_empty() {
        put(
            &mut out,
            format_args!(r#"<text class="n" x="{LEFT}" y="{}">no change is known in this stretch of time</text>"#, plots_end + FOOT + 20.0),
        );
    }
    for (i, (at, text)) in marks.iter().enumerate() {
        let note = format!("{}  {}  {text}", i + 1, words::when(*at));
        label(&mut out, "n", (LEFT, plots_end + FOOT + 20.0 + NOTE * i as f64), &note, NOTE_CHARS - 12);
    }
    out.push_str("</svg>");
    out
}

/// One series to be drawn.
struct Panel<'a> {
    title: String,
    note: String,
    unit: Unit,
    /// Whether it is what the incident is about.
    own: bool,
    slice: SeriesSlice<'a>,
}

/// The incident's own columns and series, and those that changed and have to do with it, as ranked. What is elsewhere is not drawn.
fn panels(found: &Explanation) -> Vec<Panel<'_>> {
    let samples = |id| found.samples.iter().find(|s| s.series.series_id == id);
    let mut panels: Vec<Panel<'_>> = Vec::new();
    for drifted in found.drifted.iter().take(MOST_COLUMNS) {
        if let Some(slice) = samples(drifted.identity.series_id) {
            let (title, note) = (format!("{} of {}", drifted.column, drifted.dataset), format!("the incident: {}", drifted_by(drifted)));
            panels.push(Panel { title, note, unit: Unit::Number, own: true, slice });
        }
    }
    if let Some(slice) = found.samples.iter().find(|s| Some(s.series.to_string()) == found.series) {
        panels.push(Panel { title: words::series(slice.series), note: "the incident".to_owned(), unit: found.unit, own: true, slice });
    }
    for changed in related(found) {
        if let Some(slice) = samples(changed.identity.series_id) {
            panels.push(Panel { title: words::series(&changed.identity), note: moved(changed), unit: changed.unit, own: false, slice });
        }
    }
    panels
}

/// The changed series that are drawn.
fn related(found: &Explanation) -> impl Iterator<Item = &ChangedSeries> {
    found.together.iter().filter(|t| t.relation != Relation::Elsewhere).take(MOST_SERIES)
}

/// The headline in lines that fit; what does not fit into the last is cut by whoever draws it.
fn lines(headline: &str) -> Vec<String> {
    let mut lines = crate::output::wrapped(headline, HEADLINE_CHARS);
    let rest = lines.split_off(lines.len().min(MOST_LINES));
    if let Some(last) = lines.last_mut().filter(|_| !rest.is_empty()) {
        *last = format!("{last} {}", rest.join(" "));
    }
    lines
}

/// What is drawn: the window, and as long before it as helps, the changes of the fleet included.
fn range(found: &Explanation) -> TimeRange {
    let before = found.window.length().clamp(BEFORE.0, BEFORE.1);
    let start = found.window.start - before;
    let least = found.opened_at - Span::from_hours(2);
    let first = found.changes.iter().map(|c| c.at).filter(|at| *at >= least).min().map(|at| at - Span::from_mins(5));
    TimeRange::new(first.map_or(start, |at| at.min(start)), found.window.end)
}

/// The likeliest changes in the range, in order of time.
fn marks(found: &Explanation, range: &TimeRange) -> Vec<(Timestamp, String)> {
    let drawn = found.changes.iter().filter(|c| range.start <= c.at && c.at <= range.end).take(MOST_MARKS);
    let mut marks: Vec<(Timestamp, String)> =
        drawn.map(|c| (c.at, format!("{}: {}, {}", words::entity(&c.entity), c.summary, lagging(-c.lead_seconds)))).collect();
    marks.sort();
    marks
}

fn draw_panel(out: &mut String, panel: &Panel<'_>, range: &TimeRange, window: TimeRange, top: f64) {
    let y = top + TITLE;
    // The name takes what it needs, what is said of it the rest.
    let name = shortened(&panel.title, (PLOT * 0.6 / NAME_LETTER) as usize);
    let room = PLOT - 16.0 - name.chars().count() as f64 * NAME_LETTER;
    label(out, "t", (LEFT, y - 9.0), &panel.title, name.chars().count());
    put(
        out,
        format_args!(
            r#"<text class="n" x="{}" y="{}" text-anchor="end">{}</text>"#,
            LEFT + PLOT,
            y - 9.0,
            esc(&shortened(&panel.note, (room / SAID_LETTER) as usize))
        ),
    );
    put(out, format_args!(r#"<rect class="well" x="{LEFT}" y="{y}" width="{PLOT}" height="{PANEL}"/>"#));
    let (from, to) = (across(range, window.start), across(range, window.end));
    put(out, format_args!(r#"<rect class="window" x="{from}" y="{y}" width="{}" height="{PANEL}"/>"#, round((to - from).max(2.0))));
    let drawn = columns(&panel.slice, range);
    let values = || drawn.iter().flatten().map(|(_, v)| *v);
    let (Some(lo), Some(hi)) = (values().reduce(f64::min), values().reduce(f64::max)) else {
        put(out, format_args!(r#"<text class="n" x="{}" y="{}">no samples</text>"#, LEFT + 8.0, y + PANEL / 2.0));
        return;
    };
    let axis = ValueAxis::over(lo, hi, panel.unit, 2);
    for (value, text) in &axis.ticks {
        let at = round(y + PANEL * (1.0 - axis.place(*value)));
        put(
            out,
            format_args!(
                r#"<line class="hair" x1="{LEFT}" x2="{}" y1="{at}" y2="{at}"/><text class="n" x="{}" y="{}" text-anchor="end">{}</text>"#,
                LEFT + PLOT,
                LEFT - 8.0,
                round(at + 4.0),
                esc(text)
            ),
        );
    }
    let class = if panel.own { "line first" } else { "line" };
    for run in &drawn {
        let path: Vec<String> = run.iter().map(|(x, v)| format!("{x} {}", round(y + PANEL * (1.0 - axis.place(*v))))).collect();
        put(out, format_args!(r#"<path class="{class}" d="M{}"/>"#, path.join("L")));
    }
}

/// Runs of places and values without a gap, at most two values for each two pixels: the lowest and the highest.
fn columns(slice: &SeriesSlice<'_>, range: &TimeRange) -> Vec<Vec<(f64, f64)>> {
    let mut steps: Vec<i64> = slice.ts.windows(2).map(|w| w[1] - w[0]).collect();
    steps.sort_unstable();
    let gap = steps.get(steps.len() / 2).copied().unwrap_or(i64::MAX).saturating_mul(4);
    let mut runs: Vec<Vec<(f64, f64)>> = Vec::new();
    let mut column: Vec<(f64, f64)> = Vec::new();
    let mut last: Option<i64> = None;
    let flush = |column: &mut Vec<(f64, f64)>, run: Option<&mut Vec<(f64, f64)>>| {
        let (Some(lo), Some(hi), Some(run)) =
            (column.iter().copied().min_by(|a, b| a.1.total_cmp(&b.1)), column.iter().copied().max_by(|a, b| a.1.total_cmp(&b.1)), run)
        else {
            return;
        };
        run.extend(if lo.0 <= hi.0 { [lo, hi] } else { [hi, lo] });
        run.dedup();
        column.clear();
    };
    for (ts, value) in slice.ts.iter().zip(slice.values) {
        let at = Timestamp::from_micros(*ts);
        if !value.is_finite() || at < range.start || at > range.end {
            continue;
        }
        let x = across(range, at);
        if last.is_none_or(|l| ts - l > gap) {
            flush(&mut column, runs.last_mut());
            runs.push(Vec::new());
        } else if column.first().is_some_and(|(from, _)| x - from >= 2.0) {
            flush(&mut column, runs.last_mut());
        }
        column.push((x, *value));
        last = Some(*ts);
    }
    flush(&mut column, runs.last_mut());
    // A sample alone is a line of no length: it is drawn as a short one.
    for run in runs.iter_mut().filter(|r| r.len() == 1) {
        let (x, v) = run[0];
        run.push((round(x + 1.5), v));
    }
    runs
}

fn draw_time(out: &mut String, range: &TimeRange, foot: f64) {
    for (at, text) in time_ticks(range) {
        let x = across(range, at);
        let anchor = if x < LEFT + 30.0 {
            "start"
        } else if x > LEFT + PLOT - 30.0 {
            "end"
        } else {
            "middle"
        };
        put(
            out,
            format_args!(
                r#"<line class="hair" x1="{x}" x2="{x}" y1="{foot}" y2="{}"/><text class="n" x="{x}" y="{}" text-anchor="{anchor}">{}</text>"#,
                foot + 5.0,
                foot + 19.0,
                esc(&text)
            ),
        );
    }
}

/// The number of each change above the panels, with a line to its instant; numbers that would cover each other stand side by side.
fn draw_marks(out: &mut String, marks: &[(Timestamp, String)], range: &TimeRange, head: f64) {
    let places: Vec<f64> = marks.iter().map(|(at, _)| across(range, *at)).collect();
    for ((i, at), x) in places.iter().enumerate().zip(spread(&places, 18.0, LEFT + PLOT)) {
        let x = round(x);
        let from = head - 6.0;
        put(
            out,
            format_args!(
                r#"<g><title>{}</title><path class="event" fill="none" d="M{x} {from}L{at} {}"/><rect class="num" x="{}" y="{}" width="15" height="15" rx="3"/><text class="numeral" x="{x}" y="{}" text-anchor="middle">{}</text></g>"#,
                esc(&marks[i].1),
                head + 4.0,
                round(x - 7.5),
                from - 15.0,
                from - 4.0,
                i + 1
            ),
        );
    }
}

/// What the picture shows, for those who do not see it.
fn description(found: &Explanation, marks: &[(Timestamp, String)]) -> String {
    let mut text = format!("Opened {} UTC: {}.", words::when(found.opened_at), found.headline);
    for drifted in found.drifted.iter().take(MOST_COLUMNS) {
        text += &format!(" {} of {} {}.", drifted.column, drifted.dataset, drifted_by(drifted));
    }
    for changed in related(found) {
        text += &format!(" {} {}.", words::series(&changed.identity), moved(changed));
    }
    for (i, (at, what)) in marks.iter().enumerate() {
        text += &format!(" Mark {}: {} {what}.", i + 1, words::when(*at));
    }
    text
}

/// Where an instant stands across the picture.
fn across(range: &TimeRange, at: Timestamp) -> f64 {
    let length = range.length().micros().max(1) as f64;
    let share = (at.micros().saturating_sub(range.start.micros()) as f64 / length).clamp(0.0, 1.0);
    round(LEFT + share * PLOT)
}

fn round(v: f64) -> f64 {
    (v * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use bellwether_model::series::{Labels, Series, Window};
    use bellwether_model::signal::Direction;
    use bellwether_pipelines::explain::{ChangedSeries, Compared, Drifted, PrecedingChange, Relation};

    use super::*;
    use crate::report::xml;

    fn minute_of(n: i64) -> Timestamp {
        Timestamp::from_secs(1_767_225_600 + n * 60)
    }

    fn explanation(marks: usize) -> Explanation {
        let minute = minute_of;
        let series = |name: &str| Series::new(name, Labels::from([("service".into(), "<iris & co>".into())]));
        let (own, queue) = (series("latency"), series("queue"));
        let mut samples = Window::new();
        for (one, level) in [(&own, 9.0), (&queue, 40.0)] {
            let (ts, values): (Vec<i64>, Vec<f64>) = (-300..60)
                .filter(|i| !(-40..-20).contains(i))
                .map(|i| (minute(i).micros(), if i >= 0 { level } else { 1.0 + (i % 3) as f64 }))
                .unzip();
            samples.push(one.clone(), &ts, &values);
        }
        Explanation {
            incident_id: "inc-1".into(),
            title: "ml/iris: latency 9 × expected".into(),
            opened_at: minute(0),
            headline: "began 6m after revision 00041 → 00042".into(),
            series: Some(own.to_string()),
            unit: Unit::Ratio,
            window: TimeRange::new(minute(0), minute(60)),
            baseline: TimeRange::new(minute(-240), minute(0)),
            compared: Compared { compared: 12, changed: 1, ..Compared::default() },
            drifted: Vec::new(),
            causes: Vec::new(),
            together: vec![ChangedSeries {
                series: queue.to_string(),
                entity: "endpoint:ml/iris".parse().unwrap(),
                relation: Relation::Own,
                signalled: false,
                direction: Direction::Up,
                before: 1.0,
                after: 40.0,
                unit: Unit::Number,
                effect: 26.0,
                volume: Some(20.0),
                ks: 1.0,
                adjusted_p: 1e-9,
                lag_seconds: Some(-120.0),
                correlation: Some(0.9),
                identity: queue.clone(),
            }],
            changes: (0..marks)
                .map(|i| PrecedingChange {
                    at: minute(-6),
                    lead_seconds: 360.0,
                    kind: "revision".into(),
                    entity: "endpoint:ml/iris".parse().unwrap(),
                    summary: format!("revision {i} → {}", i + 1),
                    relation: Relation::Own,
                    score: 0.9,
                })
                .collect(),
            neighbours: Vec::new(),
            notes: Vec::new(),
            samples,
        }
    }

    #[test]
    fn the_picture_is_whole_and_tells_series_marks_and_headline() {
        let drawn = svg(&explanation(2));
        let text = xml::well_formed(&drawn).unwrap();
        for part in [
            "began 6m after revision",
            "latency of service &lt;iris &amp; co&gt;",
            "queue of service &lt;iris &amp; co&gt;",
            "2m before",
            "1000 %",
            "revision 0 → 1, 6m before",
            "12 series compared, 1 changed",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        assert_eq!(drawn, svg(&explanation(2)), "equal data, equal bytes");
        // A gap is not drawn over: two runs for each series.
        assert_eq!(drawn.matches(r#"<path class="line"#).count(), 4);
    }

    #[test]
    fn the_drifted_columns_are_the_incident_and_what_is_elsewhere_is_not_drawn() {
        let mut found = explanation(1);
        let column = Series::new("mood_mean", Labels::new());
        let (ts, values): (Vec<i64>, Vec<f64>) = (-60..60).map(|i| (minute_of(i).micros(), if i < 0 { 0.1 } else { 0.5 })).unzip();
        found.samples.push(column.clone(), &ts, &values);
        found.drifted.push(Drifted {
            dataset: bellwether_model::dataset::DatasetId::new("s3://features", "events"),
            column: "mood_mean".into(),
            score: 4.7,
            opened_at: found.opened_at,
            before: Some(0.1),
            after: Some(0.5),
            hint: String::new(),
            identity: column,
        });
        found.series = None;
        found.together[0].relation = Relation::Elsewhere;
        found.headline = format!("dataset {} end", "s3://features:events was written ".repeat(8));
        let text = xml::well_formed(&svg(&found)).unwrap();
        assert!(
            text.contains("mood_mean of s3://features:events") && text.contains("the incident: from 0.1 to 0.5, 4.7 times its line"),
            "{text}"
        );
        assert!(!text.contains("queue of") && !text.contains('…'), "{text}");
    }

    #[test]
    fn marks_at_one_instant_do_not_cover_each_other() {
        let drawn = svg(&explanation(8));
        let mut places: Vec<f64> =
            drawn.split(r#"<rect class="num" x=""#).skip(1).map(|rest| rest.split('"').next().unwrap().parse().unwrap()).collect();
        places.sort_by(f64::total_cmp);
        assert_eq!(places.len(), 8);
        assert!(places.windows(2).all(|p| p[1] - p[0] >= 17.9), "{places:?}");
        assert!(places[0] >= 0.0 && places[7] + 15.0 <= WIDTH, "{places:?}");
    }

    #[test]
    fn nothing_is_drawn_as_nothing() {
        let mut none = explanation(0);
        (none.samples, none.together) = (Window::new(), Vec::new());
        let text = xml::well_formed(&svg(&none)).unwrap();
        assert!(text.contains("no samples in this stretch of time") && text.contains("no change is known"), "{text}");
    }
}
