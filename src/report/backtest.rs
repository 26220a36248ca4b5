//! A backtest to look at: a picture of each labelled series, and a page with all of them.

use bellwether_detectors::backtest::labelled::LabelledSeries;
use bellwether_detectors::backtest::{Outcome, Report};

use super::chart::{self, Band, Place, labelled, put};
use super::escape::esc;

const WIDTH: f64 = 960.0;
const MARGIN: f64 = 24.0;
/// Room for the labels of the value axis.
const AXIS: f64 = 56.0;
const HEAD: f64 = 58.0;

/// The key of windows, alarms and what was usual.
const KEY: [(&str, &str); 5] = [
    ("window", "labelled, found"),
    ("window missed", "labelled, missed"),
    ("alarm right", "alarm"),
    ("alarm wrong", "false alarm"),
    ("band", "usual"),
];

/// A text of three words or four for each series: what the detector made of it.
pub(crate) fn verdict(outcome: &Outcome) -> String {
    let found = match outcome.events {
        0 => "no labelled event".to_owned(),
        events => format!("{} of {events} events found", outcome.found),
    };
    match outcome.invented {
        0 => format!("{found}, no false alarm"),
        1 => format!("{found}, 1 false alarm"),
        n => format!("{found}, {n} false alarms"),
    }
}

/// One series with what was usual of it, as an SVG file that needs nothing else. Equal data gives equal bytes.
pub(crate) fn picture(detector: &str, (series, bands): (&LabelledSeries, &[Option<Band>]), outcome: &Outcome) -> String {
    let height = HEAD + chart::HEIGHT + 14.0;
    let mut out = String::new();
    put(
        &mut out,
        format_args!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img"><title>{}</title><style>{}{}{STYLE}</style>"#,
            esc(&format!("{}: {}", series.name, verdict(outcome))),
            include_str!("chart.css"),
            labelled::STYLE
        ),
    );
    put(&mut out, format_args!(r#"<rect class="ground" width="{WIDTH}" height="{height}" rx="12"/>"#));
    put(&mut out, format_args!(r#"<text class="h" x="{MARGIN}" y="28">{}</text>"#, esc(&series.name)));
    put(
        &mut out,
        format_args!(
            r#"<text class="s" x="{}" y="28" text-anchor="end">{}</text>"#,
            WIDTH - MARGIN,
            esc(&format!("{detector}: {}", verdict(outcome)))
        ),
    );
    for (i, (class, word)) in KEY.into_iter().enumerate() {
        let x = MARGIN + 132.0 * i as f64;
        put(
            &mut out,
            format_args!(
                r#"<g class="chart"><rect class="{class}" x="{x}" y="39" width="14" height="9"/></g><text class="s" x="{}" y="47">{word}</text>"#,
                x + 20.0
            ),
        );
    }
    out += &labelled::labelled((series, bands), outcome, Place::At(MARGIN + AXIS, HEAD, WIDTH - 2.0 * MARGIN - AXIS));
    out.push_str("</svg>");
    out
}

const STYLE: &str = ".ground { fill: var(--card); stroke: var(--rule); } .h { font-size: 15px; font-weight: 600; fill: var(--ink); } .s { font-size: 12px; fill: var(--soft); }";

/// A row of figures: its name and the values.
pub(crate) type Figures = (String, Vec<String>);

/// A figure of all series together: its name, the value, and what goes with it.
pub(crate) type Total = (&'static str, String, String);

/// All of a backtest as one self-contained page: `totals` as tiles, one row of `figures` for each series below the names of `columns`, and
/// every series drawn.
pub(crate) fn page(
    (source, detector): (&str, &str),
    totals: &[Total],
    (columns, figures): (&[&str], &[Figures]),
    (series, bands): (&[LabelledSeries], &[Vec<Option<Band>>]),
    report: &Report,
) -> String {
    let title = format!("Backtest of {source}");
    let mut out = format!(
        r#"<!doctype html><html lang="en"><head><meta charset="utf-8"/><meta name="viewport" content="width=device-width, initial-scale=1"/><meta name="color-scheme" content="light dark"/><title>{} · Bellwether</title><style>{}{}{}{PAGE}</style></head><body>"#,
        esc(&title),
        include_str!("chart.css"),
        include_str!("style.css"),
        labelled::STYLE
    );
    put(
        &mut out,
        format_args!(
            r#"<header class="top"><p class="name"><span>Bellwether · backtest</span></p><h1>{}</h1><p class="soft">{}. Each series is judged by the threshold that the others chose.</p></header><main><dl class="tiles">"#,
            esc(&title),
            esc(detector)
        ),
    );
    for (name, value, beside) in totals {
        put(&mut out, format_args!(r#"<div class="tile"><dt>{}</dt><dd>{}</dd><dd>{}</dd></div>"#, esc(name), esc(value), esc(beside)));
    }
    out.push_str(r#"</dl><h2>Series by series</h2><div class="panel"><table><thead><tr><th>series</th>"#);
    columns.iter().for_each(|c| put(&mut out, format_args!(r#"<th class="num">{}</th>"#, esc(c))));
    out.push_str("</tr></thead><tbody>");
    for (i, (name, values)) in figures.iter().enumerate() {
        let name = if i < series.len() { format!(r##"<a href="#s{i}">{}</a>"##, esc(name)) } else { format!("<b>{}</b>", esc(name)) };
        put(&mut out, format_args!("<tr><td>{name}</td>"));
        values.iter().for_each(|v| put(&mut out, format_args!(r#"<td class="num">{}</td>"#, esc(v))));
        out.push_str("</tr>");
    }
    out.push_str("</tbody></table></div><h2>Drawn</h2><p class=\"key\">");
    for (class, word) in KEY {
        put(
            &mut out,
            format_args!(
                r#"<span><svg class="chart" width="16" height="10"><rect class="{class}" width="16" height="10"/></svg> {word}</span>"#
            ),
        );
    }
    out.push_str("</p>");
    for (i, ((series, bands), outcome)) in series.iter().zip(bands).zip(&report.series).enumerate() {
        put(
            &mut out,
            format_args!(
                r#"<figure id="s{i}"><figcaption><b>{}</b><span class="soft">{}</span></figcaption>{}</figure>"#,
                esc(&series.name),
                esc(&verdict(outcome)),
                labelled::labelled((series, bands), outcome, Place::Fluid)
            ),
        );
    }
    out.push_str("</main></body></html>");
    out
}

const PAGE: &str = "main, .top { max-width: 1240px; } table { font-size: 13px; } th.num { white-space: normal; vertical-align: bottom; } th, td { padding-right: 10px; } td:first-child { overflow-wrap: anywhere; } .key { display: flex; flex-wrap: wrap; gap: 4px 18px; font-size: 13px; color: var(--soft); } .key svg { vertical-align: -1px; }";

#[cfg(test)]
mod tests {
    use super::super::xml::well_formed;
    use super::*;
    use bellwether_detectors::backtest::evaluate;

    #[test]
    fn pictures_and_pages_are_well_formed_whatever_the_names() {
        let series = [LabelledSeries {
            name: "<x>&\"y\"".into(),
            ts: (0..9).collect(),
            values: vec![1.0; 9],
            events: std::iter::once(4..5).collect(),
        }];
        let report = evaluate(&series, &[vec![0.0, 2.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0, 0.0]]);
        let text = well_formed(&picture("preset <auto>", (&series[0], &[]), &report.series[0])).unwrap();
        assert!(text.contains("1 of 1 events found, 1 false alarm"), "{text}");
        let figures = [("<x>".to_owned(), vec!["0.5".to_owned()]), ("in all".to_owned(), vec!["0.5".to_owned()])];
        let totals = [("event F1", "0.67".to_owned(), "<precision>".to_owned())];
        let page = page(("a & b", "preset auto"), &totals, (&["F1"], &figures), (&series, &[Vec::new()]), &report);
        assert!(well_formed(&page).unwrap().contains("Series by series") && !page.contains("<x>"));
    }
}
