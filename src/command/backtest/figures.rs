//! A backtest in figures: sentences and a table for people.

use std::fmt::Write as _;

use bellwether_detectors::backtest::report::Quality;
use bellwether_detectors::backtest::{Outcome, Report};
use bellwether_model::time::Span;
use serde_json::{Map, Value, json};

use super::Account;
use crate::output;
use crate::report::backtest::{Figures, Total};

/// What is said of each series, beside its name.
const COLUMNS: [&str; 10] = ["found", "false", "precision", "recall", "F1", "event F1", "AP", "NAB, low FP, low FN", "delay", "alarms/day"];

fn share(value: f64) -> String {
    format!("{value:.3}")
}

fn span(seconds: Option<f64>) -> String {
    seconds.map_or_else(String::new, |s| Span::from_secs(s.round() as i64).to_string())
}

/// One row for each series, and one for all. What has no meaning without an event or an alarm is left empty.
pub(super) fn rows(account: &Account) -> (&'static [&'static str], Vec<Figures>) {
    let report = &account.report;
    let sum = |of: fn(&Outcome) -> usize| report.series.iter().map(of).sum::<usize>();
    let all = Outcome {
        name: "in all".to_owned(),
        threshold: None,
        average_precision: report.mean_ap,
        events: report.events,
        found: sum(|o| o.found),
        invented: sum(|o| o.invented),
        pointwise: report.pointwise,
        eventwise: report.eventwise,
        nab: report.nab.iter().filter(|_| report.events > 0).map(|n| n.cross_validated).collect(),
        delay_seconds: report.delay_seconds,
        alarms_a_day: report.alarms_a_day,
        alarms: report.series.iter().flat_map(|o| o.alarms.iter().copied()).collect(),
    };
    (&COLUMNS, report.series.iter().chain([&all]).map(row).collect())
}

fn row(o: &Outcome) -> Figures {
    let of_events = |text: String| if o.events > 0 { text } else { String::new() };
    let nab: Vec<String> = o.nab.iter().map(|score| format!("{score:.1}")).collect();
    let values = vec![
        of_events(format!("{} of {}", o.found, o.events)),
        o.invented.to_string(),
        o.pointwise.filter(|_| !o.alarms.is_empty()).map_or_else(String::new, |q| share(q.precision)),
        o.pointwise.map_or_else(String::new, |q| share(q.recall)),
        o.pointwise.map_or_else(String::new, |q| share(q.f1)),
        o.eventwise.map_or_else(String::new, |q| share(q.f1)),
        o.average_precision.map_or_else(String::new, share),
        nab.join(", "),
        span(o.delay_seconds),
        format!("{:.2}", o.alarms_a_day),
    ];
    (o.name.clone(), values)
}

/// The figures of all series together.
pub(super) fn totals(account: &Account) -> Vec<Total> {
    let report = &account.report;
    let mut totals = Vec::new();
    if let Some(Quality { precision, recall, f1 }) = report.eventwise {
        totals.push(("Event F1", share(f1), format!("precision {precision:.3}, recall {recall:.3}")));
    }
    if let Some(at_line) = report.at_line {
        totals.push(("At the line 1.0", share(at_line.f1), format!("event F1; {:.2} alarms a day", report.alarms_a_day_at_line)));
    }
    if let (Some(mean), Some(pooled)) = (report.mean_ap, report.pooled_ap) {
        totals.push(("Average precision", share(mean), format!("mean of series; {pooled:.3} over all points")));
    }
    if let ([standard, others @ ..], true) = (report.nab.as_slice(), report.events > 0) {
        let others: Vec<String> = others.iter().map(|n| format!("{} {:.1}", words(&n.profile), n.cross_validated)).collect();
        totals.push(("NAB", format!("{:.1}", standard.cross_validated), others.join(", ")));
    }
    if let Some(delay) = report.delay_seconds {
        totals.push(("Delay", span(Some(delay)), "median of the events found".to_owned()));
    }
    totals.push(("Alarms a day", format!("{:.2}", report.alarms_a_day), "points of a series".to_owned()));
    totals
}

/// The table of all series, and what they say together.
pub(super) fn text(account: &Account) -> String {
    let report = &account.report;
    let (columns, rows) = rows(account);
    let cells = rows.into_iter().map(|(name, values)| {
        let mut row: Map<String, Value> = Map::new();
        row.insert("series".to_owned(), json!(name));
        row.extend(columns.iter().zip(values).map(|(c, v)| ((*c).to_owned(), json!(v))));
        row
    });
    let mut names = vec!["series"];
    names.extend(columns);
    let mut out = output::table(&cells.collect::<Vec<_>>(), &names);
    let _ = write!(
        out,
        "\n\n{}: {} series, {} points, {} labelled events, judged by {}\n",
        account.source,
        report.series.len(),
        report.points,
        report.events,
        account.detector
    );
    let _ = writeln!(out, "{}", of_events(report));
    if let (Some(mean), Some(pooled)) = (report.mean_ap, report.pooled_ap) {
        let _ = writeln!(out, "average precision: {mean:.3} as the mean of series, {pooled:.3} over all points");
    }
    if report.events > 0 {
        let scores: Vec<String> =
            report.nab.iter().map(|n| format!("{} {:.1} (fitted {:.1})", words(&n.profile), n.cross_validated, n.fitted)).collect();
        let _ = writeln!(out, "NAB's score, where 0 is silence and 100 perfect: {}", scores.join(", "));
    }
    if let Some(choice) = &account.choice {
        let _ = writeln!(out, "chosen for all series: {}", super::settings::entry(&choice.all, None));
        for (group, setting) in &choice.groups {
            let _ = writeln!(out, "chosen for {group}: {}", super::settings::entry(setting, None));
        }
    }
    for note in &account.notes {
        let _ = writeln!(out, "note: {note}");
    }
    out
}

/// How well events were found, and by which threshold.
fn of_events(report: &Report) -> String {
    let at_line = report.alarms_a_day_at_line;
    let (Some(Quality { precision, recall, f1 }), Some(line), Some(fitted)) = (report.eventwise, report.at_line, report.fitted_event_f1)
    else {
        return format!(
            "nothing is labelled as an event, so nothing can be said of how well it is found; {at_line:.2} alarms a day at the line 1.0"
        );
    };
    let found = format!("events: precision {precision:.3}, recall {recall:.3}, F1 {f1:.3}");
    if report.series.len() < 2 {
        return format!(
            "{found} at the line 1.0 with {at_line:.2} alarms a day: there are no other series to choose a threshold by (F1 {fitted:.3} with one fitted to this one)"
        );
    }
    format!(
        "{found}, each series by the threshold that the others chose (F1 {fitted:.3} with one fitted to all, {:.3} at the line 1.0 with \
         {at_line:.2} alarms a day)",
        line.f1
    )
}

fn words(profile: &str) -> &str {
    match profile {
        "reward_low_FP_rate" => "low FP",
        "reward_low_FN_rate" => "low FN",
        other => other,
    }
}
