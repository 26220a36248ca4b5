//! A labelled series drawn: the windows that people marked, and the alarms that a detector would have raised.

use bellwether_detectors::backtest::labelled::LabelledSeries;
use bellwether_detectors::backtest::{Outcome, events};
use bellwether_model::time::{TimeRange, Timestamp};
use bellwether_model::unit::Unit;

use super::super::words;
use super::{Band, Chart, PLOT, Place, Point, TOP, across, percent, put, svg};

/// Colours of windows and alarms, for pages and pictures that hold such drawings.
pub(in crate::report) const STYLE: &str = "
.chart .window { fill: var(--good); fill-opacity: .17; }
.chart .missed { fill: var(--warning); fill-opacity: .22; }
.chart .alarm.right { fill: var(--good); }
.chart .alarm.wrong { fill: var(--hot); }
.chart .alarm line { stroke: currentColor; }
";

/// Alarms closer than this share of the width are drawn as one.
const CLOSE: f64 = 0.003;
/// Top and height of the strip of alarms.
const STRIP: (f64, f64) = (TOP - 13.0, 8.0);

/// Draws a series with what was usual of it, its windows, found ones and missed ones, and above the plot its alarms, right ones and wrong ones.
pub(in crate::report) fn labelled((series, bands): (&LabelledSeries, &[Option<Band>]), outcome: &Outcome, place: Place) -> String {
    let at = |i: usize| Timestamp::from_micros(series.ts[i]);
    let range = match series.ts.len() {
        0 => TimeRange::new(Timestamp::from_micros(0), Timestamp::from_micros(0)),
        n => TimeRange::new(at(0), at(n - 1)),
    };
    let points =
        (0..series.ts.len()).map(|i| Point { at: at(i), value: series.values[i], band: bands.get(i).copied().flatten() }).collect();
    let chart = Chart { title: series.name.clone(), unit: Unit::Number, range, points, anomalies: Vec::new(), marks: Vec::new() };
    let mut out = svg(&chart, place);
    out.truncate(out.len() - "</svg>".len());
    let found_by = events::claims(series);
    let mut found = vec![false; series.events.len()];
    outcome.alarms.iter().filter_map(|i| found_by[*i]).for_each(|event| found[event as usize] = true);
    for (event, found) in series.events.iter().zip(found) {
        let (class, word) = if found { ("window", "found") } else { ("window missed", "missed") };
        let (from, to) = (at(event.start), at(event.end - 1));
        let (a, b) = (across(&range, from), across(&range, to));
        let width = (b - a).max(0.004);
        put(
            &mut out,
            format_args!(
                r#"<rect class="{class}" x="{}" width="{}" y="{TOP}" height="{PLOT}"><title>labelled {} to {}, {word}</title></rect>"#,
                percent(a.min(1.0 - width)),
                percent(width),
                words::when(from),
                words::when(to)
            ),
        );
    }
    let alarms: Vec<(f64, bool)> = outcome.alarms.iter().map(|i| (across(&range, at(*i)), found_by[*i].is_some())).collect();
    for run in alarms.chunk_by(|a, b| a.1 == b.1 && b.0 - a.0 < CLOSE) {
        let (first, is_right, last) = (run[0].0, run[0].1, run[run.len() - 1].0);
        let (class, word) = if is_right { ("alarm right", "right") } else { ("alarm wrong", "false") };
        let width = (last - first).max(CLOSE);
        put(
            &mut out,
            format_args!(
                r#"<rect class="{class}" x="{}" width="{}" y="{}" height="{}"><title>{}, {word}</title></rect>"#,
                percent(first.min(1.0 - width)),
                percent(width),
                STRIP.0,
                STRIP.1,
                words::many(run.len() as i64, "alarm")
            ),
        );
    }
    out.push_str("</svg>");
    out
}

#[cfg(test)]
mod tests {
    use super::super::super::xml::well_formed;
    use super::*;
    use bellwether_detectors::backtest::evaluate;

    #[test]
    fn windows_and_alarms_are_drawn_for_what_they_are() {
        let series = LabelledSeries {
            name: "a<b>/c & d.csv".into(),
            ts: (0..1_000).map(|t| t * 60_000_000).collect(),
            values: (0..1_000).map(f64::from).collect(),
            events: vec![50..60, 120..130],
        };
        let mut scores = vec![0.0; 1_000];
        (scores[52], scores[53], scores[90]) = (2.0, 2.0, 2.0);
        let outcome = &evaluate(std::slice::from_ref(&series), &[scores]).series[0];
        let usual = vec![Some(Band { expected: 500.0, lower: 400.0, upper: 600.0 }); 1_000];
        let drawn = labelled((&series, &usual), outcome, Place::Fluid);
        assert!(drawn.contains(r#"class="band""#) && drawn.contains(r#"class="expected""#), "{drawn}");
        let text = well_formed(&drawn).unwrap();
        assert!(text.contains("2 alarms, right") && text.contains("1 alarm, false"), "{text}");
        assert!(text.contains("00:59, found") && text.contains("02:09, missed"), "{text}");
        assert_eq!((drawn.matches(r#"class="window""#).count(), drawn.matches("window missed").count()), (1, 1));
        let empty = LabelledSeries::default();
        let outcome = &evaluate(std::slice::from_ref(&empty), &[Vec::new()]).series[0];
        assert!(well_formed(&labelled((&empty, &[]), outcome, Place::At(0.0, 0.0, 400.0))).unwrap().contains("no samples"));
    }
}
