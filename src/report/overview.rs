//! A picture of a real run: which incidents there were in a stretch of time, what was done about each and when, and the
//! series that tell the most. One SVG file that needs nothing else, for a README or a chat.

use bellwether_model::execution::ExecutionState;
use bellwether_model::outcome::Effect;
use bellwether_model::time::{TimeRange, Timestamp};

use super::chart::{self, Chart, Place, put};
use super::data::{Attempt, IncidentCard, ReportData};
use super::escape::esc;
use super::html::severity_class;
use super::scale::time_ticks;
use super::words;

const WIDTH: f64 = 960.0;
const MARGIN: f64 = 28.0;
/// Left edge and width of the timeline.
const LEFT: f64 = 404.0;
const SPAN: f64 = WIDTH - MARGIN - LEFT;
const ROW: f64 = 62.0;
const MOST_ROWS: usize = 7;
/// How many marks of a chart are told below it, and the height of one.
const MOST_NOTES: usize = 4;
const NOTE: f64 = 17.0;
const HEAD: f64 = 126.0;

const STYLE: &str = r#"
.ground { fill: var(--page); } .sheet { fill: var(--card); stroke: var(--rule); }
.h { font-size: 21px; font-weight: 650; fill: var(--ink); } .s { font-size: 13px; fill: var(--soft); } .t { font-size: 13px; font-weight: 600; fill: var(--ink); }
.w { font-size: 12px; fill: var(--ink); } .n { font-size: 11.5px; fill: var(--soft); } .hair { stroke: var(--rule); } .chain { stroke: var(--accent); stroke-opacity: .5; }
.critical { fill: var(--critical); } .warning { fill: var(--warning); } .info { fill: var(--info); } .bar { opacity: .82; }
.dot { fill: var(--card); stroke: var(--accent); stroke-width: 2; } .full { fill: var(--accent); stroke: var(--card); stroke-width: 1.5; }
.helped { fill: var(--good); stroke: var(--card); stroke-width: 1.5; } .worse { fill: var(--critical); stroke: var(--card); stroke-width: 1.5; } .unclear { fill: var(--quiet); stroke: var(--card); stroke-width: 1.5; }
.in { stroke: var(--card); stroke-width: 2; fill: none; stroke-linecap: round; stroke-linejoin: round; }
"#;

/// Draws the incidents that touch `window`, in the report's order, at most seven; below them the first chart of each of
/// the two first that have one, cut to the window. Equal data gives equal bytes.
pub(crate) fn svg(data: &ReportData, window: TimeRange) -> String {
    let touches = |c: &&IncidentCard| {
        c.incident.opened_at < window.end && c.incident.closed_at.is_none_or(|end| end > window.start) && !c.is_called_false()
    };
    let cards: Vec<&IncidentCard> = data.incidents.iter().filter(touches).collect();
    let shown = &cards[..cards.len().min(MOST_ROWS)];
    let charts: Vec<Chart> = shown.iter().filter_map(|c| c.charts.first()).take(2).map(|c| within(c, &window)).collect();

    let timeline = HEAD + ROW * shown.len().max(1) as f64;
    let below = timeline + 74.0;
    let told = charts.iter().map(|c| c.numbered_marks().len().min(MOST_NOTES)).max().unwrap_or(0);
    let height = if charts.is_empty() { below - 12.0 } else { below + chart::HEIGHT + 36.0 + NOTE * told as f64 };
    let mut out = String::new();
    put(
        &mut out,
        format_args!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img"><title>{}</title><desc>{}</desc>"#,
            esc(&format!("Bellwether, {}", data.title)),
            esc(&description(data, shown))
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
    label(&mut out, "h", (MARGIN, 44.0), words::found(data).trim_end_matches('.'), 66);
    label(&mut out, "s", (MARGIN, 68.0), words::answered(data).unwrap_or_default().trim_end_matches('.'), 70);
    put(
        &mut out,
        format_args!(r#"<text class="s" x="{}" y="44" text-anchor="end">{}</text>"#, WIDTH - MARGIN, esc(&shortened(&data.title, 40))),
    );
    put(
        &mut out,
        format_args!(r#"<text class="s" x="{}" y="68" text-anchor="end">{}</text>"#, WIDTH - MARGIN, esc(&words::looked_at(data))),
    );
    draw_axis(&mut out, &window, timeline);
    if shown.is_empty() {
        put(
            &mut out,
            format_args!(
                r#"<text class="s" x="{MARGIN}" y="{}">{}</text>"#,
                HEAD + 28.0,
                if data.fleet.series == 0 { "nothing was judged" } else { "no incident in this stretch of time" }
            ),
        );
    }
    for (i, card) in shown.iter().enumerate() {
        draw_row(&mut out, &window, card, data.as_of, HEAD + ROW * i as f64);
    }
    draw_key(&mut out, timeline + 44.0, cards.len() - shown.len());
    let width = if charts.len() == 1 { WIDTH - 2.0 * MARGIN - 56.0 } else { (WIDTH - 2.0 * MARGIN - 24.0) / 2.0 - 56.0 };
    for (i, chart) in charts.iter().enumerate() {
        let x = MARGIN + 56.0 + (width + 56.0 + 24.0) * i as f64;
        label(&mut out, "t", (x - 56.0, below + 8.0), &chart.title, ((width + 56.0) / 8.2) as usize);
        out += &chart::svg(chart, Place::At(x, below + 16.0, width));
        for (n, mark) in chart.numbered_marks().into_iter().take(MOST_NOTES).enumerate() {
            let note = format!("{}  {}  {}", n + 1, words::when(mark.at), mark.text);
            label(&mut out, "n", (x, below + chart::HEIGHT + 28.0 + NOTE * n as f64), &note, (width / 6.9) as usize);
        }
    }
    out.push_str("</svg>");
    out
}

/// A chart cut to the window; what it does not cover is not drawn as if it were a gap.
fn within(chart: &Chart, window: &TimeRange) -> Chart {
    let (start, end) = (chart.range.start.max(window.start), chart.range.end.min(window.end));
    Chart { range: if start < end { TimeRange::new(start, end) } else { chart.range }, ..chart.clone() }
}

/// Text of a class at a place, at most so many characters of it; what is shortened can be read in full by pointing at it.
pub(super) fn label(out: &mut String, class: &str, (x, y): (f64, f64), text: &str, most: usize) {
    let shown = shortened(text, most);
    let full = if shown == text { String::new() } else { format!("<title>{}</title>", esc(text)) };
    put(out, format_args!(r#"<text class="{class}" x="{x}" y="{y}">{full}{}</text>"#, esc(&shown)));
}

/// A text of at most so many characters. What an incident's title counts at its end is left out first, and words are not broken.
pub(super) fn shortened(text: &str, most: usize) -> String {
    let text = match text.rfind(", and ").filter(|_| text.ends_with(" more")) {
        Some(end) if text.chars().count() > most => &text[..end],
        _ => text,
    };
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let cut: String = text.chars().take(most - 1).collect();
    let whole = cut.rfind(' ').filter(|end| *end > cut.len() / 2).map_or(cut.as_str(), |end| &cut[..end]);
    format!("{}…", whole.trim_end_matches([',', ';', ':', ' ']))
}

fn across(window: &TimeRange, at: Timestamp) -> f64 {
    let length = window.length().micros().max(1) as f64;
    let share = (at.micros().saturating_sub(window.start.micros()) as f64 / length).clamp(0.0, 1.0);
    ((LEFT + share * SPAN) * 10.0).round() / 10.0
}

fn draw_axis(out: &mut String, window: &TimeRange, foot: f64) {
    for (at, label) in time_ticks(window) {
        let x = across(window, at);
        let anchor = if x > WIDTH - MARGIN - 20.0 {
            "end"
        } else if x < LEFT + 20.0 {
            "start"
        } else {
            "middle"
        };
        put(
            out,
            format_args!(
                r#"<line class="hair" x1="{x}" x2="{x}" y1="{}" y2="{foot}"/><text class="n" x="{x}" y="{}" text-anchor="{anchor}">{}</text>"#,
                HEAD - 8.0,
                HEAD - 15.0,
                esc(&label)
            ),
        );
    }
    put(out, format_args!(r#"<line class="hair" x1="{MARGIN}" x2="{}" y1="{foot}" y2="{foot}"/>"#, WIDTH - MARGIN));
}

fn draw_row(out: &mut String, window: &TimeRange, card: &IncidentCard, as_of: Timestamp, y: f64) {
    let i = &card.incident;
    let class = severity_class(i.severity);
    put(out, format_args!(r#"<line class="hair" x1="{MARGIN}" x2="{}" y1="{y}" y2="{y}"/>"#, WIDTH - MARGIN));
    put(out, format_args!(r#"<rect class="{class}" x="{MARGIN}" y="{}" width="4" height="44" rx="2"/>"#, y + 9.0));
    // What is at fault stands above what it does: both are read whole more often than one line of them would be.
    let (place, what) = i.title.split_once(": ").unwrap_or((&i.title, ""));
    label(out, "t", (MARGIN + 14.0, y + 19.0), place, 44);
    label(out, "w", (MARGIN + 14.0, y + 35.0), what, 50);
    let note = format!("{}, {}", i.severity, words::lasted(i, as_of));
    let note = card.attempts.last().map_or_else(|| note.clone(), |a| format!("{note} · {}", words::standing(a)));
    label(out, "n", (MARGIN + 14.0, y + 51.0), &note, 50);
    let (from, to) = (across(window, i.opened_at), across(window, i.closed_at.unwrap_or(as_of.max(i.last_at))));
    put(out, format_args!(r#"<rect class="bar {class}" x="{from}" y="{}" width="{}" height="9" rx="3"/>"#, y + 11.0, (to - from).max(5.0)));
    let marks: Vec<_> = marks(card).into_iter().filter(|(at, ..)| window.start <= *at && *at <= window.end).collect();
    let (Some((first, ..)), Some((last, ..))) = (marks.first(), marks.last()) else { return };
    let (times, middle) = (if first == last { clock(*first) } else { format!("{}–{}", clock(*first), clock(*last)) }, y + 35.0);
    let places: Vec<f64> = marks.iter().map(|(at, ..)| across(window, *at)).collect();
    let places: Vec<f64> = chart::spread(&places, 16.0, WIDTH - MARGIN - 7.0).into_iter().map(|x| (x * 10.0).round() / 10.0).collect();
    let (left, right) = (places[0], places[places.len() - 1]);
    put(out, format_args!(r#"<line class="chain" x1="{left}" x2="{right}" y1="{middle}" y2="{middle}"/>"#));
    // The times stand where there is room: after the marks, or before them.
    let (x, anchor) = if right + 90.0 < WIDTH - MARGIN { (right + 13.0, "start") } else { (left - 13.0, "end") };
    put(out, format_args!(r#"<text class="n" x="{x}" y="{}" text-anchor="{anchor}">{times}</text>"#, middle + 4.0));
    for ((at, mark, what), x) in marks.iter().zip(places) {
        put(out, format_args!(r#"<g><title>{}</title>"#, esc(&format!("{} {what}", words::when(*at)))));
        draw_mark(out, *mark, x, middle);
        out.push_str("</g>");
    }
}

fn clock(at: Timestamp) -> String {
    at.utc().format("%H:%M").to_string()
}

/// What is marked on a row.
#[derive(Clone, Copy, PartialEq, Eq)]
enum RowMark {
    Recommended,
    Approved,
    Applied,
    Undone,
    Refused,
    Outcome(Effect),
}

fn draw_mark(out: &mut String, mark: RowMark, x: f64, y: f64) {
    let circle = |class: &str| format!(r#"<circle class="{class}" cx="{x}" cy="{y}" r="7"/>"#);
    let sign = |d: &str| format!(r#"<path class="in" transform="translate({x} {y})" d="{d}"/>"#);
    const CHECK: &str = "M-3 .2l2.2 2.3L3-2.2";
    const CROSS: &str = "M-2.4-2.4l4.8 4.8M2.4-2.4l-4.8 4.8";
    const DASH: &str = "M-2.8 0h5.6";
    let drawn = match mark {
        RowMark::Recommended => format!(r#"<circle class="dot" cx="{x}" cy="{y}" r="5"/>"#),
        RowMark::Approved => format!(r#"<rect class="dot" x="{}" y="{}" width="11" height="11" rx="2"/>"#, x - 5.5, y - 5.5),
        RowMark::Applied => format!(r#"<path class="full" d="M{} {}v14l12-7z"/>"#, x - 5.0, y - 7.0),
        RowMark::Undone => format!(r#"<path class="full" d="M{} {}v14l-12-7z"/>"#, x + 5.0, y - 7.0),
        RowMark::Refused => circle("unclear") + &sign(CROSS),
        RowMark::Outcome(Effect::Effective) => circle("helped") + &sign(CHECK),
        RowMark::Outcome(Effect::Harmful) => circle("worse") + &sign(CROSS),
        RowMark::Outcome(Effect::Ineffective | Effect::NoData) => circle("unclear") + &sign(DASH),
    };
    out.push_str(&drawn);
}

fn marks(card: &IncidentCard) -> Vec<(Timestamp, RowMark, String)> {
    let mut marks: Vec<_> = card.attempts.iter().flat_map(attempt_marks).collect();
    // Before the first plan there may be a recommendation without one.
    if marks.is_empty()
        && let Some(r) = card.recommendation.as_ref().filter(|r| !r.candidates.is_empty())
    {
        marks.push((r.recorded_at, RowMark::Recommended, format!("{} recommended", r.candidates[0].playbook_id)));
    }
    marks.sort_by_key(|(at, ..)| *at);
    marks
}

fn attempt_marks(attempt: &Attempt) -> Vec<(Timestamp, RowMark, String)> {
    let playbook = &attempt.plan.body.playbook_id;
    let mut marks = vec![(attempt.plan.recorded_at, RowMark::Recommended, format!("{playbook} recommended and planned"))];
    for t in &attempt.transitions {
        let mark = match t.state {
            ExecutionState::Approved => RowMark::Approved,
            ExecutionState::Executing => RowMark::Applied,
            ExecutionState::RollingBack => RowMark::Undone,
            ExecutionState::Refused => RowMark::Refused,
            _ => continue,
        };
        marks.push((t.recorded_at, mark, format!("{playbook} {}: {}", words::state(t.state), t.detail)));
    }
    if let Some(o) = &attempt.outcome {
        marks.push((o.recorded_at, RowMark::Outcome(o.effect), format!("{playbook}: {}", words::effect(o.effect))));
    }
    marks
}

fn draw_key(out: &mut String, y: f64, left_out: usize) {
    let entries = [
        (RowMark::Recommended, "recommended"),
        (RowMark::Approved, "approved"),
        (RowMark::Applied, "applied"),
        (RowMark::Undone, "undone"),
        (RowMark::Outcome(Effect::Effective), "it helped"),
        (RowMark::Outcome(Effect::Harmful), "made it worse"),
        (RowMark::Refused, "refused"),
    ];
    let mut x = MARGIN + 8.0;
    for (mark, word) in entries {
        draw_mark(out, mark, x, y - 4.0);
        put(out, format_args!(r#"<text class="n" x="{}" y="{y}">{word}</text>"#, x + 12.0));
        x += 40.0 + 6.2 * word.len() as f64;
    }
    if left_out > 0 {
        put(
            out,
            format_args!(
                r#"<text class="n" x="{}" y="{y}" text-anchor="end">and {}</text>"#,
                WIDTH - MARGIN,
                words::many(left_out as i64, "more incident")
            ),
        );
    }
}

/// What the picture shows, for those who do not see it.
fn description(data: &ReportData, shown: &[&IncidentCard]) -> String {
    let mut text = words::headline(data);
    for card in shown {
        text +=
            &format!(" {}: {}, {}.", card.incident.title, words::when(card.incident.opened_at), words::lasted(&card.incident, data.as_of));
        for (at, _, what) in marks(card) {
            text += &format!(" {} {what}.", words::when(at));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use bellwether_model::time::Span;

    use super::*;
    use crate::report::{fixture, xml};

    fn drawn(data: &ReportData, window: TimeRange) -> String {
        let svg = svg(data, window);
        xml::well_formed(&svg).unwrap_or_else(|e| panic!("{e}\n{svg}"));
        assert!(!svg.contains("NaN") && !svg.contains("<script") && !svg.contains("href"));
        svg
    }

    #[test]
    fn a_day_shows_its_incidents_and_what_was_done() {
        let data = fixture::fleet();
        let svg = drawn(&data, TimeRange::before(data.as_of, Span::from_days(1)));
        for part in [
            "ml/checkout-ranker: p95 latency",
            "scale-out applied",
            "scale-out: it made things worse",
            "rollback-canary recommended",
            "prefers-color-scheme: dark",
        ] {
            assert!(svg.contains(part), "{part}");
        }
        assert!(!svg.contains("ml/search-embed: p95"), "what was over before the day is not of the day");
        assert!(
            !drawn(&data, TimeRange::before(data.as_of, Span::from_days(10))).contains(">no data</text>"),
            "what was not loaded is no gap"
        );
        assert!(svg.len() < 100_000, "{} bytes", svg.len());
        assert_eq!(svg, drawn(&data, TimeRange::before(data.as_of, Span::from_days(1))));
    }

    #[test]
    fn nothing_is_drawn_as_nothing() {
        let mut data = fixture::fleet();
        data.incidents.clear();
        let day = TimeRange::before(data.as_of, Span::from_days(1));
        assert!(drawn(&data, day).contains("no incident in this stretch of time"));
        data.fleet = Default::default();
        assert!(drawn(&data, day).contains("nothing was judged"));
        drawn(&fixture::fleet(), TimeRange::before(data.as_of, Span::ZERO));
    }

    #[test]
    fn what_is_shortened_can_be_read_in_full() {
        let what = "p95 latency of the slowest of all replicas 3.4 × expected, and 4 more";
        assert_eq!(shortened(what, 60), "p95 latency of the slowest of all replicas 3.4 × expected");
        assert_eq!(shortened(what, 50), "p95 latency of the slowest of all replicas 3.4 ×…");
        let mut data = fixture::fleet();
        data.incidents[0].incident.title = format!("ml/checkout-ranker: {what}");
        let svg = drawn(&data, TimeRange::before(data.as_of, Span::from_days(1)));
        assert!(svg.contains(&format!("<title>{what}</title>")) && svg.contains(">ml/checkout-ranker</text>"), "{svg}");
    }

    #[test]
    fn many_incidents_are_counted_and_names_are_escaped() {
        let mut data = fixture::fleet();
        let mut card = data.incidents[0].clone();
        card.incident.title = "<script>alert(1)</script>".into();
        data.incidents = vec![card; 11];
        let svg = drawn(&data, TimeRange::before(data.as_of, Span::from_days(1)));
        assert!(svg.contains("and 4 more incidents"));
    }
}
