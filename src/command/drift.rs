//! `bellwether drift`

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use bellwether_detectors::drift::DriftRule;
use bellwether_detectors::drift::column::{Comparison, Note, compare, judge};
use bellwether_governance::yaml::suggestion;
use bellwether_model::verdict::Verdict;
use bellwether_pipelines::columns::{self, Content, Table};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::cli::{DriftArgs, Output};
use crate::failure::{Failure, Kind};
use crate::output;

/// A text column with more different values than this, and in most rows another, names things and has no distribution.
const MANY: usize = 1_000;
/// Findings that are named for one column.
const NAMED: usize = 4;

/// What the comparison found.
#[derive(Debug, Serialize)]
struct Account {
    reference: Side,
    current: Side,
    columns: Vec<Row>,
    drifted: usize,
}

/// One file.
#[derive(Debug, Serialize)]
struct Side {
    file: PathBuf,
    rows: u64,
}

/// One column. Numbers that are not known are null.
#[derive(Debug, PartialEq, Serialize)]
struct Row {
    column: String,
    r#type: String,
    n_ref: u64,
    n_cur: u64,
    psi: Option<f64>,
    ks: Option<f64>,
    /// The smaller of the two p-values.
    p: Option<f64>,
    /// 1.0 is the line.
    score: f64,
    verdict: Verdict,
    findings: Vec<String>,
}

/// Runs the command. Needs no ledger and no configuration; where there is one, its thresholds count.
pub async fn run(rule: DriftRule, args: DriftArgs, output: Output) -> Result<(), Failure> {
    rule.validate().map_err(|e| Failure::config(format!("judge.drift: {e}")))?;
    let (reference, current) = (read(&args.reference).await?, read(&args.current).await?);
    refuse_unknown(&args.columns, &reference, &current)?;
    let rows = rows(&reference, &current, &args.columns, &rule);
    let drifted = rows.iter().filter(|r| r.verdict == Verdict::Fail).count();
    let account = Account {
        reference: Side { file: args.reference, rows: reference.rows },
        current: Side { file: args.current, rows: current.rows },
        columns: rows,
        drifted,
    };
    output::print(output, &account, || text(&account, &rule))?;
    if args.fail_on_drift && drifted > 0 {
        return Err(Failure::new(Kind::Findings, format!("{drifted} of {} columns drifted", account.columns.len())));
    }
    Ok(())
}

async fn read(path: &Path) -> Result<Table, Failure> {
    let path = path.to_owned();
    let read = tokio::task::spawn_blocking(move || columns::read(&path)).await;
    read.map_err(|e| Failure::new(Kind::Internal, format!("reading a file stopped unexpectedly: {e}")))?
        .map_err(|e| Failure::of(Kind::User, &e))
}

fn refuse_unknown(wanted: &[String], reference: &Table, current: &Table) -> Result<(), Failure> {
    let names: Vec<&str> = reference.columns.iter().chain(&current.columns).map(|(n, _)| n.as_str()).collect();
    match wanted.iter().find(|w| !names.contains(&w.as_str())) {
        Some(unknown) => {
            Err(Failure::user(format!("neither file has a column {unknown:?}")).hint(suggestion(unknown, names.iter().copied())))
        }
        None => Ok(()),
    }
}

/// Every wanted column of either file, in the reference's order, new ones last. All are judged together, so that many columns do not make
/// for many false alarms.
fn rows(reference: &Table, current: &Table, wanted: &[String], rule: &DriftRule) -> Vec<Row> {
    let find = |table: &'_ Table, name: &str| table.columns.iter().position(|(n, _)| n == name);
    let mut names: Vec<&str> = reference.columns.iter().map(|(n, _)| n.as_str()).collect();
    names.extend(current.columns.iter().map(|(n, _)| n.as_str()).filter(|n| find(reference, n).is_none()));
    names.retain(|n| wanted.is_empty() || wanted.iter().any(|w| w == n));
    let none = BTreeMap::new();
    let mut rows: Vec<Row> = Vec::new();
    let (mut compared, mut comparisons) = (Vec::new(), Vec::new());
    for name in names {
        let before = find(reference, name).map(|i| &reference.columns[i].1);
        let now = find(current, name).map(|i| &current.columns[i].1);
        let kind = match (before, now) {
            (Some(a), Some(b)) if a.kind() != b.kind() => format!("{} → {}", a.kind(), b.kind()),
            (Some(one), _) | (None, Some(one)) => one.kind().to_owned(),
            (None, None) => continue,
        };
        let mut row = Row {
            column: name.to_owned(),
            r#type: kind,
            n_ref: before.map_or(0, values),
            n_cur: now.map_or(0, values),
            psi: None,
            ks: None,
            p: None,
            score: 0.0,
            verdict: Verdict::Inconclusive,
            findings: Vec::new(),
        };
        match (before, now) {
            (Some(_), None) => (row.verdict, row.findings) = (Verdict::Fail, vec!["the column is gone".into()]),
            (None, Some(_)) => row.findings = vec!["the column is new: nothing to compare with".into()],
            (Some(a), Some(b)) => match (a.sample(b, &none), b.sample(a, &none)) {
                _ if names_things(a, reference.rows) && names_things(b, current.rows) => {
                    row.findings = vec!["not compared: nearly every row has a text of its own".into()];
                }
                (Some(a), Some(b)) => {
                    compared.push(rows.len());
                    comparisons.push(compare(a, b, rule.bins));
                }
                (None, None) => row.findings = vec!["not compared: a column of this type has no distribution".into()],
                _ => (row.verdict, row.findings) = (Verdict::Fail, vec!["the type changed".into()]),
            },
            (None, None) => {}
        }
        rows.push(row);
    }
    for (at, report) in compared.into_iter().zip(judge(comparisons, rule)) {
        let Comparison { psi, ks, notes } = report.comparison;
        let row = &mut rows[at];
        row.p = [psi, ks].into_iter().flatten().map(|s| s.p_value).min_by(f64::total_cmp);
        (row.psi, row.ks, row.score, row.verdict) = (psi.map(|s| s.value), ks.map(|s| s.value), report.score, report.verdict);
        row.findings = findings(&notes);
    }
    rows
}

/// How many values a column has that are not null.
fn values(content: &Content) -> u64 {
    match content {
        Content::Numbers { values, .. } => values.len() as u64,
        Content::Categories { counts, .. } => counts.values().sum(),
        Content::Nulls { .. } | Content::Other { .. } => 0,
    }
}

fn names_things(content: &Content, rows: u64) -> bool {
    matches!(content, Content::Categories { counts, .. } if counts.len() > MANY && counts.len() as u64 * 2 > rows)
}

/// The notes in words, the rarest kind first to be kept: of many new and vanished categories only the largest are named.
fn findings(notes: &[Note]) -> Vec<String> {
    let share = |note: &Note| match note {
        Note::NewCategory { share, .. } => *share,
        Note::VanishedCategory { share_before, .. } => *share_before,
        _ => 2.0,
    };
    let mut ordered: Vec<&Note> = notes.iter().collect();
    ordered.sort_by(|a, b| share(b).total_cmp(&share(a)));
    let mut words: Vec<String> = ordered.iter().take(NAMED).map(ToString::to_string).collect();
    if ordered.len() > NAMED {
        words.push(format!("and {} more", ordered.len() - NAMED));
    }
    words
}

fn text(account: &Account, rule: &DriftRule) -> String {
    let number =
        |v: Option<f64>| v.map_or(Value::Null, |v| json!(if v >= 0.001 || v == 0.0 { format!("{v:.3}") } else { format!("{v:.0e}") }));
    let mut order: Vec<&Row> = account.columns.iter().collect();
    order.sort_by(|a, b| (b.verdict == Verdict::Fail).cmp(&(a.verdict == Verdict::Fail)).then(b.score.total_cmp(&a.score)));
    let rows: Vec<Map<String, Value>> = order
        .into_iter()
        .map(|r| {
            let mut row = Map::new();
            row.insert("column".into(), json!(r.column));
            row.insert("type".into(), json!(r.r#type));
            row.insert("n_ref".into(), json!(r.n_ref));
            row.insert("n_cur".into(), json!(r.n_cur));
            row.insert("PSI".into(), number(r.psi));
            row.insert("KS".into(), number(r.ks));
            row.insert("p".into(), number(r.p));
            row.insert("verdict".into(), json!(if r.verdict == Verdict::Fail { "drifted".to_owned() } else { r.verdict.to_string() }));
            row.insert("findings".into(), json!(r.findings.join("; ")));
            row
        })
        .collect();
    let mut text = if rows.is_empty() { "no columns".to_owned() } else { output::table(&rows, &[]) };
    let _ = write!(
        text,
        "\n{} of {} columns drifted: PSI ≥ {} or KS ≥ {}, significant at a false discovery rate of {}",
        account.drifted,
        account.columns.len(),
        rule.psi,
        rule.ks,
        rule.q
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(columns: &[(&str, Content)]) -> Table {
        Table { rows: 1_000, columns: columns.iter().map(|(n, c)| ((*n).to_owned(), c.clone())).collect() }
    }

    fn numbers(shift: f64) -> Content {
        Content::Numbers { values: (0..1_000).map(|i| f64::from(i * 7_919 % 1_009) + shift).collect(), nulls: 0 }
    }

    #[test]
    fn every_column_of_either_file_has_a_verdict() {
        let ids = |n: u32| Content::Categories { counts: (0..n).map(|i| (format!("{n}-{i}"), 1)).collect(), nulls: 0 };
        let time = Content::Other { name: "Timestamp".into() };
        let reference = table(&[
            ("same", numbers(0.0)),
            ("moved", numbers(0.0)),
            ("gone", numbers(0.0)),
            ("id", ids(1_200)),
            ("t", time.clone()),
            ("typed", numbers(0.0)),
            ("dry", numbers(0.0)),
        ]);
        let current = table(&[
            ("same", numbers(1.0)),
            ("moved", numbers(300.0)),
            ("new", numbers(0.0)),
            ("id", ids(1_300)),
            ("t", time),
            ("typed", ids(3)),
            ("dry", Content::Nulls { nulls: 1_000 }),
        ]);
        let rows = rows(&reference, &current, &[], &DriftRule::default());
        let found: Vec<(&str, Verdict)> = rows.iter().map(|r| (r.column.as_str(), r.verdict)).collect();
        let expected = [
            ("same", Verdict::Pass),
            ("moved", Verdict::Fail),
            ("gone", Verdict::Fail),
            ("id", Verdict::Inconclusive),
            ("t", Verdict::Inconclusive),
            ("typed", Verdict::Fail),
            ("dry", Verdict::Fail),
            ("new", Verdict::Inconclusive),
        ];
        assert_eq!(found, expected);
        assert!(rows[1].p.unwrap() < 1e-6 && rows[1].ks.unwrap() > 0.2);
    }

    #[test]
    fn only_wanted_columns_are_judged_and_unknown_ones_are_refused() {
        let both = table(&[("age", numbers(0.0)), ("city", numbers(0.0))]);
        assert_eq!(rows(&both, &both, &["city".to_owned()], &DriftRule::default()).len(), 1);
        let failure = refuse_unknown(&["aeg".to_owned()], &both, &both).unwrap_err();
        assert!(failure.to_string().contains("age"), "{failure}");
    }

    #[test]
    fn the_largest_categories_are_named() {
        let notes: Vec<Note> =
            (0..9).map(|i| Note::NewCategory { name: format!("c{i}"), share: f64::from(i) / 100.0 }).chain([Note::AllNull]).collect();
        let words = findings(&notes);
        assert_eq!((words.len(), words[0].as_str(), words[4].as_str()), (5, "only nulls", "and 6 more"));
        assert!(words[1].contains("c8"));
    }
}
