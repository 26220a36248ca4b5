//! What a classifier said, row by row: out of files, and out of the ledger.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use bellwether_governance::yaml::suggestion;
use bellwether_pipelines::columns::cells;
use bellwether_pipelines::file::FileError;

use super::blocking;
use crate::cli::PredictionArgs;
use crate::drift::predictions::{Logged, Predictions, judge};
use crate::failure::Failure;

/// Values that are named where one was wrong.
const NAMED: usize = 8;

/// The threshold where none was named.
const THRESHOLD: f64 = 0.5;

/// The columns of logged predictions that one side has.
#[derive(Debug, Default)]
pub struct Cells {
    /// The file, or the table and the stretch of time.
    pub source: String,
    /// By name, row by row; a null is `None`.
    pub columns: BTreeMap<String, Vec<Option<String>>>,
}

/// The columns that were asked for, each with its option and whether it may come later than the rows.
pub fn asked(told: &PredictionArgs) -> impl Iterator<Item = (&'static str, &str, bool)> {
    let all = [
        ("--probability", &told.probability, false),
        ("--prediction", &told.prediction, false),
        ("--group", &told.group, false),
        ("--label", &told.label, true),
    ];
    all.into_iter().filter_map(|(option, name, may_come_later)| Some((option, name.as_deref()?.trim(), may_come_later)))
}

impl Cells {
    /// Those of a file.
    pub async fn of_file(path: &Path, told: &PredictionArgs) -> Result<Self, Failure> {
        let mut columns = BTreeMap::new();
        for (_, name, _) in asked(told) {
            let (path, owned) = (path.to_owned(), name.to_owned());
            match blocking(move || cells::read(&path, &[&owned])).await? {
                Ok(mut found) => columns.insert(name.to_owned(), found.pop().unwrap_or_default()),
                Err(FileError::NoColumn { .. }) => continue,
                Err(error) => return Err(Failure::of(crate::failure::Kind::User, &error)),
            };
        }
        Ok(Self { source: path.display().to_string(), columns })
    }

    fn column(&self, name: Option<&String>) -> &[Option<String>] {
        name.and_then(|name| self.columns.get(name.trim())).map_or(&[], Vec::as_slice)
    }

    fn logged(&self, told: &PredictionArgs) -> Result<Logged, Failure> {
        let is_positive = |cell: &Option<String>| cell.as_ref().map(|c| told.positive.as_ref() == Some(c) || is_yes(c));
        let probabilities = self.column(told.probability.as_ref()).iter().enumerate();
        Ok(Logged {
            probabilities: probabilities.map(|(i, cell)| self.probability(told, i, cell.as_deref())).collect::<Result<_, _>>()?,
            decisions: self.column(told.prediction.as_ref()).iter().map(is_positive).collect(),
            labels: self.column(told.label.as_ref()).iter().map(is_positive).collect(),
            groups: self.column(told.group.as_ref()).to_vec(),
        })
    }

    /// The probability of a cell; not a number where there is none.
    fn probability(&self, told: &PredictionArgs, row: usize, cell: Option<&str>) -> Result<f64, Failure> {
        let Some(text) = cell.map(str::trim).filter(|t| !t.is_empty()) else { return Ok(f64::NAN) };
        match text.parse::<f64>() {
            Ok(p) if p.is_nan() || (0.0..=1.0).contains(&p) => Ok(p),
            _ => {
                let name = told.probability.as_deref().unwrap_or_default();
                let wrong = format!("{}, row {}: {name} holds {text:?}, but a probability is 0 to 1", self.source, row + 1);
                Err(Failure::user(wrong).hint("rows are counted from 1, the head is none; leave a cell empty where there is no prediction"))
            }
        }
    }
}

/// What both sides tell; nothing where no column of predictions was named.
///
/// # Errors
/// A column is missing that the current side must have, a probability is none, or no label is positive. `known` are the names that the
/// current side has.
pub fn predictions(before: &Cells, now: &Cells, told: &PredictionArgs, known: &BTreeSet<&str>) -> Result<Option<Predictions>, Failure> {
    for (option, name, may_come_later) in asked(told) {
        let is_there = now.columns.contains_key(name) || (may_come_later && before.columns.contains_key(name));
        if !is_there {
            let hint = suggestion(name, known.iter().copied());
            return Err(Failure::user(format!("{option}: the current data has no column {name:?}")).hint(hint));
        }
    }
    if told.probability.is_none() && told.prediction.is_none() && told.group.is_none() {
        return Ok(None);
    }
    occurs(told, [before, now])?;
    Ok(Some(judge(&before.logged(told)?, &now.logged(told)?, told.threshold)))
}

/// Refuses options without those that they say something of.
///
/// # Errors
/// An option would have no effect, or the threshold is no probability.
pub fn usable(told: &PredictionArgs) -> Result<(), Failure> {
    let decides = told.probability.is_some() || told.prediction.is_some();
    let is_judged = told.probability.is_some() || (told.prediction.is_some() && told.group.is_some());
    let needs = match () {
        () if !(0.0..=1.0).contains(&told.threshold) => {
            return Err(Failure::user(format!("--threshold is {}, but a probability is 0 to 1", told.threshold)));
        }
        () if told.group.is_some() && !decides => "--group needs --probability or --prediction COLUMN",
        () if told.prediction.is_some() && told.group.is_none() => "--prediction needs --group COLUMN",
        () if told.label.is_some() && !is_judged => "--label needs --probability COLUMN",
        () if told.positive.is_some() && told.label.is_none() && told.prediction.is_none() => {
            "--positive needs --label or --prediction COLUMN"
        }
        () if told.threshold != THRESHOLD && told.probability.is_none() => "--threshold needs --probability COLUMN",
        () => return Ok(()),
    };
    Err(Failure::user(needs))
}

/// Refuses labels and decisions of which none would be positive: a value of `--positive` that does not occur, or names of classes without it.
fn occurs(told: &PredictionArgs, sides: [&Cells; 2]) -> Result<(), Failure> {
    let values = |names: &mut dyn Iterator<Item = &String>| -> BTreeSet<&str> {
        names.flat_map(|name| sides.iter().flat_map(|side| side.column(Some(name)))).filter_map(Option::as_deref).collect()
    };
    let Some(positive) = &told.positive else {
        return [("label", &told.label), ("decision", &told.prediction)].into_iter().try_for_each(|(what, column)| {
            let found = values(&mut column.iter());
            if found.iter().any(|v| is_yes(v)) || found.iter().all(|v| is_no(v)) {
                return Ok(());
            }
            let named: Vec<String> = found.iter().take(NAMED).map(|v| format!("{v:?}")).collect();
            let more = if found.len() > NAMED { ", …" } else { "" };
            let wrong = format!("no {what} is 1, true or yes: they are {}{more}", named.join(", "));
            Err(Failure::user(wrong).hint("--positive VALUE says which of them is positive"))
        });
    };
    let mut names = told.label.iter().chain(&told.prediction);
    let values = values(&mut names);
    if values.contains(positive.as_str()) {
        return Ok(());
    }
    let known: Vec<&str> = values.into_iter().take(NAMED).collect();
    Err(Failure::user(format!("--positive: no label and no decision is {positive:?}")).hint(suggestion(positive, known)))
}

fn is_no(cell: &str) -> bool {
    ["0", "0.0", "false", "False", "FALSE", "no", ""].contains(&cell.trim())
}

fn is_yes(cell: &str) -> bool {
    ["1", "1.0", "true", "True", "TRUE", "yes"].contains(&cell.trim())
}
