//! `bellwether drift --model NAME`

use std::fmt::Write as _;

use bellwether_model::unit::Unit;
use bellwether_model::verdict::Verdict;

use super::logged::asked;
use crate::cli::{DriftArgs, DriftFailOn, Output};
use crate::command::{session, sql_failure};
use crate::config::Config;
use crate::drift::model::{ColumnDrift, ModelDrift, ModelError, Moved, drift};
use crate::drift::text::p_value;
use crate::failure::{Failure, Kind};
use crate::output::{Cell, Table};
use crate::{open, output};
use bellwether_detectors::drift::words::percent;

/// Runs the command: how the data that feeds a model stands.
pub async fn run(config: &Config, args: &DriftArgs, output: Output) -> Result<(), Failure> {
    let Some(name) = args.model.as_deref().filter(|_| args.reference.is_none()) else {
        return Err(Failure::user("--model NAME beside files names the model of a kept profile: it needs --save-profile FILE"));
    };
    let told = &args.predictions;
    if args.html.is_some()
        || !(args.columns.is_empty() && args.measures.is_empty() && args.weights.is_empty())
        || asked(told).next().is_some()
    {
        let wrong = "of a model, --html, --column, --measure, --weight and the options of predictions have no meaning";
        return Err(Failure::user(wrong).hint("they are of two files or a table; --output json gives the answer to programs"));
    }
    if args.fail_on.iter().any(|what| *what != DriftFailOn::Column) {
        return Err(Failure::user("of a model, --fail-on takes column alone"));
    }
    let lake = open::lake(config).await?;
    let session = session(&lake, None).await?;
    let found = drift(&session, &config.judge.drift, name).await.map_err(|error| match error {
        ModelError::Unknown { ref hint, .. } => Failure::user(error.to_string()).hint(hint.clone()),
        ModelError::Several { .. } => Failure::user(error.to_string()).hint("write one of them whole"),
        ModelError::Sql(error) => sql_failure(&error),
        ModelError::Digest(_) => Failure::of(Kind::Internal, &error),
    })?;
    output::print(output, &found, || text(&found))?;
    match (args.fail_on.is_empty(), found.verdict) {
        (true, _) | (_, Verdict::Pass) => Ok(()),
        (_, Verdict::Fail) => {
            let drifted = found.columns.iter().filter(|c| c.verdict == Verdict::Fail).count();
            Err(Failure::new(Kind::Findings, format!("{drifted} of {} columns drifted", found.columns.len())))
        }
        (_, Verdict::NoData | Verdict::Inconclusive) => Err(Failure::new(Kind::Findings, "no column could be judged")),
    }
}

fn text(found: &ModelDrift) -> String {
    let mut text = String::new();
    if !found.columns.is_empty() {
        let mut table = Table::new(&["column", "verdict", "effects", "p", "profiled", "what moved most, and what else"]);
        for column in &found.columns {
            table.row(row(column));
        }
        let _ = writeln!(text, "{}", table.render(output::width()));
    }
    let of = |verdict| found.columns.iter().filter(|c| c.verdict == verdict).count();
    let (drifted, judged) = (of(Verdict::Fail), of(Verdict::Fail) + of(Verdict::Pass));
    let _ = match (&found.why, found.datasets.len()) {
        (Some(why), _) => writeln!(text, "{}: {why}.", found.verdict.to_string().replace('_', " ")),
        (None, 1) => writeln!(text, "{drifted} of {judged} columns of 1 dataset upstream drifted."),
        (None, n) => writeln!(text, "{drifted} of {judged} columns of {n} datasets upstream drifted."),
    };
    for signal in &found.signals {
        let endpoints = if signal.endpoints.is_empty() { "no live endpoint".to_owned() } else { signal.endpoints.join(", ") };
        let _ = writeln!(text, "Open since {}: {} ({}), which reaches {endpoints}.", signal.opened_at, signal.column, signal.signal_id);
    }
    let rule = &found.thresholds;
    let _ = match &found.last_evaluation {
        Some(round) => write!(text, "Newest round: {} ({}). ", round.as_of, round.round_id),
        None => write!(text, "No round has judged yet. "),
    };
    let _ = write!(
        text,
        "Lines: PSI {}, KS {}, or what is usual where that is more; q {}; lookback {}.",
        rule.psi, rule.ks, rule.q, rule.lookback
    );
    text
}

fn row(column: &ColumnDrift) -> Vec<Cell> {
    let effects =
        column.tests.iter().map(|t| format!("{} {:.3}, line {:.3}", t.method.to_string().replace('_', "-"), t.value, t.threshold));
    let moved = column.evidence.first().filter(|_| column.verdict == Verdict::Fail).map(moved);
    let rest = moved.into_iter().chain(column.why.clone()).chain(column.findings.iter().cloned());
    vec![
        Cell::word(format!("{}#{}", column.dataset, column.column)),
        Cell::word(if column.verdict == Verdict::Fail { "drifted".into() } else { column.verdict.to_string().replace('_', " ") }),
        Cell::prose(effects.collect::<Vec<_>>().join("; ")),
        Cell::word(column.p_corrected.map(p_value).unwrap_or_default()),
        Cell::time(column.current.until),
        Cell::prose(rest.collect::<Vec<_>>().join("; ")),
    ]
}

/// A bin in words: "4.2 to 9: 31 % of the values, was 10 %".
fn moved(bin: &Moved) -> String {
    let number = |v: f64| Unit::Number.show(v);
    format!("{} to {}: {} of the values, was {}", number(bin.from), number(bin.to), percent(bin.now), percent(bin.before))
}
