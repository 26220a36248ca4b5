//! `bellwether drift --table NAME`: a table or view of the ledger before and after, with what a classifier said of its rows.

use std::collections::{BTreeMap, BTreeSet};

use bellwether_governance::yaml::nearest;
use bellwether_lake::tables::{self, TableDef};
use bellwether_pipelines::columns::Table;
use bellwether_sql::Session;
use bellwether_sql::literal::{instant, text};

use super::logged::{Cells, asked, predictions};
use super::{Known, judged, question, tell};
use crate::cli::{DriftArgs, Output, PredictionArgs, Stretch};
use crate::command::{session, sql_failure};
use crate::config::Config;
use crate::drift::account::Side;
use crate::failure::{Failure, Kind};
use crate::open;

/// Views whose rows are those of a table with a time, and that table.
const VIEWS: [(&str, &str); 4] =
    [("metric_samples", "samples"), ("workflow_runs", "runs"), ("insight_signals", "signals"), ("audit_logs", "audit")];

/// Runs the command.
pub async fn run(config: &Config, args: DriftArgs, output: Output) -> Result<(), Failure> {
    let (Some(name), Some(before), Some(after)) = (&args.table, args.before, args.after) else {
        return Err(Failure::new(Kind::Internal, "a table without both stretches of time was let through"));
    };
    let (later, earlier) = (before.from.max(after.from), before.until.min(after.until));
    if later < earlier {
        let wrong = format!("--before and --after overlap from {later} to {earlier}: these rows would be on both sides");
        return Err(Failure::user(wrong));
    }
    let question = question(config.judge.drift.clone(), &args)?;
    let lake = open::lake(config).await?;
    let session = session(&lake, None).await?;
    let base = VIEWS.iter().find(|(view, _)| view == name).map(|(_, table)| *table);
    let Some(table) = TableDef::of_name(base.unwrap_or(name.strip_suffix("_current").unwrap_or(name))) else {
        return Err(Failure::user(format!("the ledger has no table {name}")).hint(comparable(name)));
    };
    let Some(time) = args.time.as_deref().or(table.event_time) else {
        return Err(Failure::user(format!("rows of {name} have no time of their own")).hint("name a column of time with --time"));
    };
    let told = &args.predictions;
    let (before, was) = side(&session, name, time, before, told).await?;
    let (after, is) = side(&session, name, time, after, told).await?;
    let names: BTreeSet<String> = after.table.columns.iter().map(|(n, _)| n.clone()).collect();
    let found = predictions(&was, &is, told, &names.iter().map(String::as_str).collect())?;
    let mut account = judged(before, after, &question)?;
    account.predictions = found;
    tell(&account, &args, output)
}

/// The tables and views that can be compared, the nearest to a name first.
fn comparable(name: &str) -> String {
    let tables = || tables::ALL.iter().filter(|def| def.event_time.is_some()).map(|def| def.name);
    let views = || VIEWS.iter().map(|(view, _)| *view);
    let near = nearest(name, tables().chain(views())).map(|near| format!("did you mean {near}? ")).unwrap_or_default();
    let list = |names: Vec<&str>| names.join(", ");
    format!(
        "{near}compared can be the views {} and the tables {}, each also with _current: the newest row of each thing",
        list(views().collect()),
        list(tables().collect())
    )
}

async fn side(session: &Session, name: &str, time: &str, stretch: Stretch, told: &PredictionArgs) -> Result<(Known, Cells), Failure> {
    let rows = format!(
        "FROM {} WHERE {time} >= {} AND {time} < {}",
        quoted(name),
        instant(stretch.from),
        instant(stretch.until),
        time = quoted(time)
    );
    let (schema, batches) = session.all(&format!("SELECT * {rows}")).await.map_err(|e| sql_failure(&e))?;
    let mut table = Table::of_schema(&schema);
    batches.iter().try_for_each(|b| table.add(b)).map_err(|e| Failure::of(Kind::Internal, &e))?;
    let table = table.finished();
    let source = format!("{name} {} .. {}", stretch.from, stretch.until);
    let is_there = |column: &str| table.columns.iter().any(|(n, _)| n == column);
    let is_map = |column: &str| schema.field_with_name(column).is_ok_and(|f| f.data_type().is_nested());
    // Either a column, or a member of one: `attributes.score`, `labels.service`.
    let expression = |wanted: &str| match wanted.split_once('.') {
        _ if is_there(wanted) => Some(quoted(wanted)),
        Some((column, key)) if is_there(column) && is_map(column) => Some(format!("{}[{}]", quoted(column), text(key))),
        Some((column, path)) if is_there(column) => Some(format!("json_get({}, {})", quoted(column), text(path))),
        _ => None,
    };
    let mut columns: BTreeMap<String, Vec<Option<String>>> = BTreeMap::new();
    let wanted: Vec<(&str, String)> = asked(told).filter_map(|(_, name, _)| Some((name, expression(name)?))).collect();
    if !wanted.is_empty() {
        let list: Vec<String> = wanted.iter().enumerate().map(|(i, (_, sql))| format!("CAST({sql} AS VARCHAR) AS c{i}")).collect();
        let found: Vec<BTreeMap<String, Option<String>>> =
            session.rows(&format!("SELECT {} {rows}", list.join(", "))).await.map_err(|e| sql_failure(&e))?;
        for (i, (name, _)) in wanted.iter().enumerate() {
            let key = format!("c{i}");
            let cells: Vec<Option<String>> = found.iter().map(|row| row.get(&key).cloned().flatten()).collect();
            // A member that no row has is a column that is not there.
            if is_there(name) || cells.iter().any(Option::is_some) {
                columns.insert((*name).to_owned(), cells);
            }
        }
    }
    let side = Side { name: source.clone(), rows: table.rows, is_sketched: false, model: None };
    Ok((Known { side, table }, Cells { source, columns }))
}

fn quoted(word: &str) -> String {
    format!("\"{}\"", word.replace('"', "\"\""))
}
