//! What the comparison of two states found.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bellwether_detectors::drift::column::Note;
use bellwether_detectors::drift::dataset::{DatasetRule, decide};
use bellwether_detectors::drift::examine::{Examination, Settings, Test, examine};
use bellwether_detectors::drift::measure::Measure;
use bellwether_detectors::drift::shape::{self, Shape, Steps};
use bellwether_detectors::drift::sketch;
use bellwether_detectors::drift::words;
use bellwether_model::verdict::Verdict;
use bellwether_pipelines::columns::sketched::of_column;
use bellwether_pipelines::columns::{Content, TIME, Table};
use serde::Serialize;

use super::predictions::Predictions;

/// Findings that are named for one column.
const NAMED: usize = 4;
/// Seed of sketches that are made of columns at hand.
const SEED: u64 = 1;

/// What the comparison found.
#[derive(Debug, Serialize)]
pub(crate) struct Account {
    /// What is compared with.
    pub reference: Side,
    /// What is compared.
    pub current: Side,
    /// `fail` when the share of drifted columns reaches the line.
    pub verdict: Verdict,
    /// How many columns drifted.
    pub drifted: usize,
    /// Their share of the weight of all that could be judged, 0 to 1.
    pub share: f64,
    /// From which share on the whole has drifted.
    pub share_line: f64,
    /// The tolerated share of false discoveries.
    pub q: f64,
    /// The probability that any column seems changed so much when none did.
    pub family_p: f64,
    /// All columns, most drifted first.
    pub columns: Vec<Row>,
    /// What logged predictions tell.
    pub predictions: Option<Predictions>,
}

/// One state.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Side {
    /// The file, or the table and the stretch of time.
    pub name: String,
    /// How many rows.
    pub rows: u64,
    /// Whether it was read into sketches, whose statistics have an error.
    pub is_sketched: bool,
    /// The model version that was trained on it.
    pub model: Option<String>,
}

/// One column. What is not known is null.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Row {
    /// Its name.
    pub column: String,
    /// Its type, or the two.
    pub r#type: String,
    /// Values of the reference, nulls not counted.
    pub n_ref: u64,
    /// Values now.
    pub n_cur: u64,
    /// The statistic that was used.
    pub measure: Option<Measure>,
    /// How large the change is.
    pub effect: Option<f64>,
    /// By how much that may be wrong; 0 where all values were at hand.
    pub error: Option<f64>,
    /// From where it matters.
    pub line: Option<f64>,
    /// The probability of such a change without drift, corrected for all columns.
    pub p: Option<f64>,
    /// 1.0 is the line.
    pub score: f64,
    /// What is to be thought of it.
    pub verdict: Verdict,
    /// The change in words.
    pub change: Option<String>,
    /// What else is to be said.
    pub findings: Vec<String>,
    /// What it looks like.
    pub shape: Option<Shape>,
}

/// How the comparison is to be made.
#[derive(Debug, Default)]
pub(crate) struct Question {
    /// Only these columns; all when empty.
    pub columns: Vec<String>,
    /// Statistics, for all columns or for one.
    pub measures: Vec<(Option<String>, Measure)>,
    /// How much columns count.
    pub weights: Vec<(String, f64)>,
    /// Bins of the population stability index.
    pub bins: usize,
    /// How the columns are judged together.
    pub rule: DatasetRule,
}

impl Question {
    fn settings(&self, column: &str) -> Settings {
        let own = |of: Option<&str>| self.measures.iter().rev().find(|(c, _)| c.as_deref() == of).map(|(_, m)| *m);
        Settings { measure: own(Some(column)).or_else(|| own(None)), bins: self.bins, ..Settings::default() }
    }
}

/// What is known of a column before all are judged together.
struct Examined {
    row: Row,
    found: Option<Examination>,
}

/// Compares every wanted column of either side. All are judged together, so that many columns do not make for many false alarms.
pub(crate) fn compare(reference: (Side, &Table), current: (Side, &Table), question: &Question) -> Account {
    let ((before_side, before), (now_side, now)) = (reference, current);
    let mut names: Vec<&str> = before.columns.iter().map(|(n, _)| n.as_str()).collect();
    names.extend(now.columns.iter().map(|(n, _)| n.as_str()).filter(|n| before.column(n).is_none()));
    names.retain(|n| question.columns.is_empty() || question.columns.iter().any(|w| w == n));
    let looked: Vec<Examined> = names.iter().map(|name| look(name, before.column(name), now.column(name), question)).collect();
    let examined: Vec<Examination> = looked.iter().filter_map(|e| e.found.clone()).collect();
    let weight = |name: &str| question.weights.iter().rev().find(|(c, _)| c == name).map_or(1.0, |(_, w)| *w);
    let weights: Vec<f64> = looked.iter().filter(|e| e.found.is_some()).map(|e| weight(&e.row.column)).collect();
    let decision = decide(&examined, &weights, &question.rule);
    let mut decided = decision.columns.into_iter();
    let mut columns: Vec<Row> = Vec::new();
    for Examined { mut row, found } in looked {
        if let Some((found, decided)) = found.and_then(|f| Some((f, decided.next()?))) {
            (row.score, row.verdict) = (decided.score, decided.verdict);
            row.p = found.tests().next().map(|_| decided.adjusted_p);
            // What chance explains is not told as a change.
            row.change = row.change.filter(|_| decided.significant);
            lead_with_nulls(&mut row, &found);
        }
        columns.push(row);
    }
    columns.sort_by(|a, b| (b.verdict == Verdict::Fail).cmp(&(a.verdict == Verdict::Fail)).then(b.score.total_cmp(&a.score)));
    Account {
        drifted: columns.iter().filter(|r| r.verdict == Verdict::Fail).count(),
        reference: before_side,
        current: now_side,
        verdict: decision.verdict,
        share: decision.share,
        share_line: question.rule.share,
        q: question.rule.q,
        family_p: decision.family_p,
        columns,
        predictions: None,
    }
}

/// Where the share of nulls is what changed, and the values did not by their line, the row tells of nulls first.
fn lead_with_nulls(row: &mut Row, found: &Examination) {
    let Some(nulls) = found.nulls.filter(|t| row.verdict == Verdict::Fail && t.matters()) else { return };
    if found.values.iter().any(Test::matters) {
        return;
    }
    (row.measure, row.effect, row.error, row.line) = (Some(nulls.measure), Some(nulls.effect), Some(0.0), Some(nulls.line));
    let of_nulls = found.notes.iter().find_map(|n| match n {
        Note::NullShare { before, now } => Some(words::of_nulls(*before, *now)),
        _ => None,
    });
    row.change = match (of_nulls, row.change.take()) {
        (Some(first), Some(then)) => Some(format!("{first}; {then}")),
        (first, then) => first.or(then),
    };
}

fn look(name: &str, before: Option<&Content>, now: Option<&Content>, question: &Question) -> Examined {
    let kind = match (before, now) {
        (Some(a), Some(b)) if a.kind() != b.kind() => format!("{} → {}", a.kind(), b.kind()),
        (Some(one), _) | (None, Some(one)) => one.kind().to_owned(),
        (None, None) => String::new(),
    };
    let mut row = Row {
        column: name.to_owned(),
        r#type: kind,
        n_ref: before.map_or(0, Content::values),
        n_cur: now.map_or(0, Content::values),
        measure: None,
        effect: None,
        error: None,
        line: None,
        p: None,
        score: 0.0,
        verdict: Verdict::Inconclusive,
        change: None,
        findings: Vec::new(),
        shape: None,
    };
    let (Some(a), Some(b)) = (before, now) else {
        (row.verdict, row.findings) = match before {
            Some(_) => (Verdict::Fail, vec!["the column is gone".into()]),
            None => (Verdict::Inconclusive, vec!["the column is new: nothing to compare with".into()]),
        };
        return Examined { row, found: None };
    };
    let is_other = |c: &Content| matches!(c, Content::Other { .. });
    if is_other(a) || is_other(b) {
        let fits = |c: &Content| is_other(c) || matches!(c, Content::Nulls { .. });
        (row.verdict, row.findings) = if fits(a) && fits(b) {
            let is_time = |c: &Content| c.kind() == TIME;
            let why = if is_time(a) && is_time(b) {
                "not compared: times say when rows were written, not what they hold"
            } else {
                "not compared: a column of this type has no distribution"
            };
            (Verdict::Inconclusive, vec![why.into()])
        } else {
            (Verdict::Fail, vec!["the type changed".into()])
        };
        return Examined { row, found: None };
    }
    let Some((found, error)) = examined(a, b, &question.settings(name)) else { return Examined { row, found: None } };
    if let Some(test) = found.values.first() {
        (row.measure, row.effect, row.error, row.line) = (Some(test.measure), Some(test.effect), Some(error), Some(test.line));
    }
    row.findings = findings(&found.notes);
    if !found.notes.contains(&Note::NamesRows) && !found.notes.contains(&Note::TypeChanged) {
        (row.shape, row.change) = picture(a, b);
    }
    Examined { row, found: Some(found) }
}

/// The examination, and by how much its effect may be wrong; `None` of columns that have no distribution.
fn examined(a: &Content, b: &Content, settings: &Settings) -> Option<(Examination, f64)> {
    let is_sketched = |c: &Content| matches!(c, Content::Sketched(_));
    if is_sketched(a) || is_sketched(b) {
        let (before, now) = (of_column(a, b, SEED)?, of_column(b, a, SEED + 1)?);
        let compared = sketch::compare(&before, &now, settings);
        return Some((compared.examination, compared.error.unwrap_or(0.0)));
    }
    let none = BTreeMap::new();
    Some((examine(a.sample(b, &none)?, b.sample(a, &none)?, settings), 0.0))
}

/// What a column looks like, and its change in words.
fn picture(a: &Content, b: &Content) -> (Option<Shape>, Option<String>) {
    if let (Some(before), Some(now)) = (counts(a, b), counts(b, a)) {
        return (shape::of_categories(&before, &now), words::of_categories(&before, &now));
    }
    let (before, now) = (steps(a), steps(b));
    let shape = shape::of_numbers(before.as_ref(), now.as_ref());
    let change = match (&shape, before, now) {
        (Some(categories @ Shape::Categories { .. }), ..) => words::of_shape(categories),
        (_, Some(before), Some(now)) => words::of_numbers(&before, &now),
        _ => None,
    };
    (shape, change)
}

fn steps(content: &Content) -> Option<Steps> {
    match content {
        Content::Numbers { values, .. } => Steps::of_values(values),
        Content::Sketched(sketch) => Steps::of_sketch(sketch.quantiles()?),
        _ => None,
    }
}

/// The counts of categories; none of a column of nulls beside one of categories.
fn counts<'a>(content: &'a Content, like: &Content) -> Option<Cow<'a, BTreeMap<String, u64>>> {
    match content {
        Content::Categories { counts, .. } => Some(Cow::Borrowed(counts)),
        Content::Sketched(sketch) => sketch.frequent().map(|f| Cow::Borrowed(f.counts())),
        Content::Nulls { .. } if like.kind() == "category" => Some(Cow::Owned(BTreeMap::new())),
        _ => None,
    }
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

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn table(columns: &[(&str, Content)]) -> Table {
        Table { rows: 1_000, columns: columns.iter().map(|(n, c)| ((*n).to_owned(), c.clone())).collect() }
    }

    fn side(name: &str) -> Side {
        Side { name: name.into(), rows: 1_000, is_sketched: false, model: None }
    }

    fn numbers(shift: f64) -> Content {
        Content::Numbers { values: (0..1_000).map(|i| f64::from(i * 7_919 % 911) + shift).collect(), nulls: 0 }
    }

    fn categories(pairs: &[(&str, u64)]) -> Content {
        Content::Categories { counts: pairs.iter().map(|(k, v)| ((*k).to_owned(), *v)).collect(), nulls: 0 }
    }

    fn ids(n: u32) -> Content {
        Content::Categories { counts: (0..n).map(|i| (format!("{n}-{i}"), 1)).collect(), nulls: 0 }
    }

    /// A reference and a current state with everything that can be odd.
    pub(in crate::drift) fn odd() -> (Table, Table) {
        let time = Content::Other { name: "Timestamp".into() };
        let reference = table(&[
            ("same", numbers(0.0)),
            ("moved", numbers(0.0)),
            ("gone", numbers(0.0)),
            ("id", ids(1_000)),
            ("t", time.clone()),
            ("typed", numbers(0.0)),
            ("dry", numbers(0.0)),
            ("pay<ment>", categories(&[("card", 410), ("cash", 590)])),
            ("few", Content::Numbers { values: vec![1.5, 2.5, 1.5, 3.25, 4.5, 7.0, 8.0], nulls: 0 }),
        ]);
        let current = table(&[
            ("same", numbers(1.0)),
            ("moved", numbers(300.0)),
            ("new", numbers(0.0)),
            ("id", ids(999)),
            ("t", time),
            ("typed", categories(&[("a", 1_000)])),
            ("dry", Content::Nulls { nulls: 1_000 }),
            ("pay<ment>", categories(&[("card", 120), ("cash", 580), ("gift", 300)])),
            ("few", Content::Numbers { values: vec![1.25, 2.5, 1.75, 3.5, 4.0, 7.5, 8.5], nulls: 0 }),
        ]);
        (reference, current)
    }

    pub(in crate::drift) fn account(question: &Question) -> Account {
        let (reference, current) = odd();
        compare((side("then.csv"), &reference), (side("now.csv"), &current), question)
    }

    fn question() -> Question {
        Question { bins: 10, ..Question::default() }
    }

    fn row<'a>(account: &'a Account, name: &str) -> &'a Row {
        account.columns.iter().find(|r| r.column == name).unwrap()
    }

    #[test]
    fn every_column_of_either_side_has_a_verdict() {
        let found = account(&question());
        let verdicts: BTreeMap<&str, Verdict> = found.columns.iter().map(|r| (r.column.as_str(), r.verdict)).collect();
        let expected = [
            ("dry", Verdict::Fail),
            ("few", Verdict::Inconclusive),
            ("gone", Verdict::Fail),
            ("id", Verdict::Inconclusive),
            ("moved", Verdict::Fail),
            ("new", Verdict::Inconclusive),
            ("pay<ment>", Verdict::Fail),
            ("same", Verdict::Pass),
            ("t", Verdict::Inconclusive),
            ("typed", Verdict::Fail),
        ];
        assert_eq!(verdicts, expected.into());
        assert_eq!((found.drifted, found.verdict), (5, Verdict::Fail));
        assert!(found.columns[..5].iter().all(|r| r.verdict == Verdict::Fail), "the most drifted come first");
        let moved = row(&found, "moved");
        assert!(moved.p.unwrap() < 1e-6 && moved.effect.unwrap() > 0.2 && moved.measure == Some(Measure::KolmogorovSmirnov));
        assert!(moved.change.as_ref().unwrap().starts_with("moved up by 1.14 standard deviations"), "{:?}", moved.change);
        let pay = row(&found, "pay<ment>");
        assert_eq!(pay.change.as_deref(), Some("the share of `gift` rose from 0 % to 30 %, that of `card` fell from 41 % to 12 %"));
        assert_eq!(pay.findings, [r#"new category "gift" (30 %)"#]);
        let few = row(&found, "few");
        assert!(few.findings[0].starts_with("only 7 values now and 7 before"), "{:?}", few.findings);
        assert!(row(&found, "id").findings[0].contains("names rows") && row(&found, "id").shape.is_none());
    }

    #[test]
    fn sketches_say_the_same_with_an_error() {
        let (reference, current) = odd();
        let profile = bellwether_pipelines::columns::sketched::of_table(&reference, None, 3);
        let found = compare((side("profile"), &profile), (side("now.csv"), &current), &question());
        let exact = account(&question());
        for name in ["same", "moved", "gone", "new", "t", "typed", "dry", "pay<ment>"] {
            assert_eq!(row(&found, name).verdict, row(&exact, name).verdict, "{name}");
        }
        let (a, b) = (row(&found, "moved"), row(&exact, "moved"));
        assert!((a.effect.unwrap() - b.effect.unwrap()).abs() <= a.error.unwrap() + 1e-9, "{a:?}");
        assert!(a.change.as_ref().unwrap().starts_with("moved up by 1.14 "), "{:?}", a.change);
    }

    #[test]
    fn a_question_may_be_narrower() {
        let only = account(&Question { columns: vec!["same".into()], ..question() });
        assert_eq!((only.columns.len(), only.verdict), (1, Verdict::Pass));
        let measures = vec![(None, Measure::Psi), (Some("same".to_owned()), Measure::Energy)];
        let asked = account(&Question { measures, ..question() });
        assert_eq!((row(&asked, "moved").measure, row(&asked, "same").measure), (Some(Measure::Psi), Some(Measure::Energy)));
        let weights = vec![("same".to_owned(), 100.0)];
        let weighted = account(&Question { weights, ..question() });
        assert!(weighted.share < 0.1 && weighted.verdict == Verdict::Pass);
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
