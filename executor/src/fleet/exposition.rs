//! The fleet's metrics as text, for a real Prometheus: a scrape of now, or a backfill of the past.

use std::fmt::Write as _;
use std::io::{self, Write};

use bellwether_model::time::{Span, TimeRange, Timestamp};

use super::Fleet;
use super::metrics::{FleetSeries, Metric};
use super::promql::scrape;

/// `latency_p95{namespace="ml",service="iris"}`
fn series_text(series: &FleetSeries) -> String {
    // Label values are names of the cast: nothing in them needs escaping beyond Rust's own.
    let labels: Vec<String> = series.labels.iter().map(|(k, v)| format!("{k}={v:?}")).collect();
    format!("{}{{{}}}", series.metric.name(), labels.join(","))
}

pub(crate) fn text(fleet: &Fleet) -> String {
    let mut out = String::new();
    let mut last = None;
    for (i, value) in scrape(fleet, fleet.now()) {
        let series = &fleet.shared.series[i];
        if last != Some(series.metric) {
            last = Some(series.metric);
            let name = series.metric.name();
            let _ = writeln!(out, "# HELP {name} {}\n# TYPE {name} gauge", series.metric.help());
        }
        let _ = writeln!(out, "{} {value}", series_text(series));
    }
    out
}

pub(crate) fn write_open_metrics(fleet: &Fleet, range: TimeRange, step: Span, out: &mut impl Write) -> io::Result<()> {
    let step = step.max(Span::from_secs(60));
    let series = &fleet.shared.series;
    let names: Vec<String> = series.iter().map(series_text).collect();
    let steps = range.length().micros().div_euclid(step.micros());
    for metric in Metric::ALL {
        writeln!(out, "# HELP {} {}\n# TYPE {0} gauge", metric.name(), metric.help())?;
        // promtool wants the samples of one series together.
        let mut lines = vec![Vec::new(); series.len()];
        for n in 0..=steps {
            let at = Timestamp::from_micros(range.start.micros() + n * step.micros());
            if at >= range.end {
                break;
            }
            for (i, value) in scrape(fleet, at).into_iter().filter(|(i, _)| series[*i].metric == metric) {
                lines[i].push((at.secs(), value));
            }
        }
        for (name, points) in names.iter().zip(lines) {
            for (secs, value) in points {
                writeln!(out, "{name} {value} {secs}")?;
            }
        }
    }
    writeln!(out, "# EOF")
}
