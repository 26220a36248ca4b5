//! Whether scores come true, drawn: the reliability curve, and what abstaining gains.

use std::fmt::Write as _;

use bellwether_embeddings::trial::{Measured, Trial};

use super::escape::esc;

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 470.0;
/// Length of an axis.
const SIDE: f64 = 340.0;
const TOP: f64 = 72.0;
/// Where the two panels begin.
const LEFT: [f64; 2] = [72.0, 552.0];

/// The methods whose abstention curves are drawn, by their place in the trial, with their class.
const DRAWN: [(usize, &str); 3] = [(0, "line"), (2, "other"), (3, "expected")];

/// Both curves as an SVG file that needs nothing else. Equal data gives equal bytes.
pub(crate) fn picture(trial: &Trial) -> String {
    let mut out = String::new();
    let title = match trial.methods.first() {
        Some(ranking) => format!(
            "{} held-out incidents: right first {:.1} %, among three {:.1} %, calibration error {:.3}",
            trial.held_out,
            100.0 * ranking.measured.top_1,
            100.0 * ranking.measured.top_3,
            ranking.measured.ece
        ),
        None => "nothing was measured".to_owned(),
    };
    let _ = write!(
        out,
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img"><title>{0}</title><style>{1}{STYLE}</style><rect class="ground" width="{WIDTH}" height="{HEIGHT}" rx="12"/><text class="h" x="24" y="30">{0}</text>"#,
        esc(&title),
        include_str!("chart.css")
    );
    panel(&mut out, LEFT[0], "Does what is stated come true?", "stated score", "came true");
    panel(&mut out, LEFT[1], "What does abstaining gain?", "share of incidents answered", "right playbook first");
    if let Some(ranking) = trial.methods.first() {
        reliability(&mut out, &ranking.measured);
    }
    for (row, (place, class)) in DRAWN.into_iter().enumerate() {
        if let Some(tried) = trial.methods.get(place) {
            let points = tried.measured.abstention.iter().map(|level| at(LEFT[1], level.coverage, level.right));
            path(&mut out, class, points);
            let y = TOP + SIDE - 14.0 - 18.0 * row as f64;
            let x = LEFT[1] + 12.0;
            let _ = write!(
                out,
                r#"<g class="chart"><path class="{class}" d="M{x:.1} {y:.1}h22"/></g><text class="s" x="{:.1}" y="{:.1}">{}</text>"#,
                x + 30.0,
                y + 4.0,
                esc(tried.method)
            );
        }
    }
    out.push_str("</svg>");
    out
}

/// A square with both axes from 0 to 1.
fn panel(out: &mut String, left: f64, title: &str, across: &str, up: &str) {
    let foot = TOP + SIDE;
    let _ = write!(out, r#"<text class="t" x="{left}" y="{}">{}</text><g class="chart">"#, TOP - 14.0, esc(title));
    for tick in 0..=5 {
        let value = f64::from(tick) / 5.0;
        let (x, y) = at(left, value, value);
        let _ = write!(out, r#"<path class="grid" d="M{left:.1} {y:.1}h{SIDE}M{x:.1} {TOP}v{SIDE}"/>"#);
        let _ = write!(out, r#"<text class="tick" x="{:.1}" y="{:.1}" text-anchor="end">{value:.1}</text>"#, left - 8.0, y + 4.0);
        let _ = write!(out, r#"<text class="tick" x="{x:.1}" y="{:.1}" text-anchor="middle">{value:.1}</text>"#, foot + 16.0);
    }
    let middle = left + SIDE / 2.0;
    let _ = write!(out, r#"</g><text class="s" x="{middle:.1}" y="{:.1}" text-anchor="middle">{}</text>"#, foot + 38.0, esc(across));
    let (x, y) = (left - 44.0, TOP + SIDE / 2.0);
    let _ = write!(out, r#"<text class="s" transform="translate({x:.1} {y:.1}) rotate(-90)" text-anchor="middle">{}</text>"#, esc(up));
}

/// The curve beside the diagonal; a point is as large as it has recommendations.
fn reliability(out: &mut String, measured: &Measured) {
    path(out, "expected", [at(LEFT[0], 0.0, 0.0), at(LEFT[0], 1.0, 1.0)]);
    path(out, "line", measured.reliability.iter().map(|bin| at(LEFT[0], bin.stated, bin.realised)));
    let all: usize = measured.reliability.iter().map(|bin| bin.count).sum();
    for bin in &measured.reliability {
        let (x, y) = at(LEFT[0], bin.stated, bin.realised);
        let radius = 2.5 + 12.0 * (bin.count as f64 / all.max(1) as f64).sqrt();
        let _ = write!(
            out,
            r#"<circle class="bin" cx="{x:.1}" cy="{y:.1}" r="{radius:.1}"><title>{} recommendations stated {:.2} and came true {:.2}</title></circle>"#,
            bin.count, bin.stated, bin.realised
        );
    }
}

fn at(left: f64, across: f64, up: f64) -> (f64, f64) {
    (left + SIDE * across.clamp(0.0, 1.0), TOP + SIDE * (1.0 - up.clamp(0.0, 1.0)))
}

fn path(out: &mut String, class: &str, points: impl IntoIterator<Item = (f64, f64)>) {
    let steps: Vec<String> = points.into_iter().map(|(x, y)| format!("{x:.1} {y:.1}")).collect();
    if !steps.is_empty() {
        let _ = write!(out, r#"<g class="chart"><path class="{class}" d="M{}"/></g>"#, steps.join("L"));
    }
}

const STYLE: &str = ".ground { fill: var(--card); stroke: var(--rule); } .h { font-size: 15px; font-weight: 600; fill: var(--ink); } .t { font-size: 13px; font-weight: 600; fill: var(--ink); } .s { font-size: 12px; fill: var(--soft); } .bin { fill: var(--line); fill-opacity: .45; stroke: var(--line); } .chart .other { stroke: var(--warning); stroke-width: 1.5; }";

#[cfg(test)]
mod tests {
    use bellwether_embeddings::{Embedder, trial};

    use super::super::xml::well_formed;
    use super::*;

    #[test]
    fn curves_of_any_trial_are_well_formed() {
        let text = well_formed(&picture(&trial::run(1, 200, &Embedder::default()).unwrap())).unwrap();
        assert!(text.contains("80 held-out incidents") && text.contains("BM25 alone"), "{text}");
        let nothing = Trial { seed: 0, incidents: 0, learned: 0, calibrated: 0, held_out: 0, methods: Vec::new() };
        assert!(well_formed(&picture(&nothing)).unwrap().contains("nothing was measured"));
    }
}
