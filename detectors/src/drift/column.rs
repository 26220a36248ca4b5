//! Two samples of one column, and everything that is odd about them, by name.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// A sample of a column.
#[derive(Clone, Copy, Debug)]
pub enum Column<'a> {
    /// Numbers; NaN and infinities may be among them, and are counted apart.
    Numbers {
        /// The values that are not null.
        values: &'a [f64],
        /// How many nulls there are.
        nulls: u64,
    },
    /// Categories.
    Categories {
        /// How often each occurs.
        counts: &'a BTreeMap<String, u64>,
        /// How many nulls there are.
        nulls: u64,
    },
}

impl Column<'_> {
    /// Whether it holds numbers.
    pub fn is_numbers(&self) -> bool {
        matches!(self, Self::Numbers { .. })
    }

    /// How many values and how many nulls.
    pub fn values_and_nulls(&self) -> (u64, u64) {
        match self {
            Self::Numbers { values, nulls } => (values.len() as u64, *nulls),
            Self::Categories { counts, nulls } => (counts.values().sum(), *nulls),
        }
    }
}

/// Values on either side below which only a large change can be seen.
const FEW_ROWS: u64 = 30;

/// Something odd about a column. Each is worth saying, whether or not the column drifted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "note", rename_all = "snake_case")]
#[allow(missing_docs)] // the fields say what their names say
pub enum Note {
    /// The reference has no row.
    NoReference,
    /// There is no row at all.
    Empty,
    /// There are rows, but only nulls.
    AllNull,
    /// All values are the same, and those of the reference are not.
    BecameConstant { value: f64 },
    /// Values that are no numbers (NaN, infinite, a text among numbers), which take no part in the statistics.
    NotNumbers { count: u64 },
    /// The share of nulls changed by five points or more.
    NullShare { before: f64, now: f64 },
    /// A category that the reference does not have.
    NewCategory { name: String, share: f64 },
    /// A category of the reference that is gone.
    VanishedCategory { name: String, share_before: f64 },
    /// Numbers became categories or the other way round.
    TypeChanged,
    /// The column names its rows, so that its values say nothing of drift.
    NamesRows,
    /// So few values that only a change of this difference of shares would show.
    FewRows { before: u64, now: u64, visible: f64 },
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |share: f64| bellwether_model::unit::Unit::Ratio.show(share);
        match self {
            Self::NoReference => f.write_str("nothing to compare with"),
            Self::Empty => f.write_str("no rows"),
            Self::AllNull => f.write_str("only nulls"),
            Self::BecameConstant { value } => write!(f, "all values are {value}"),
            Self::NotNumbers { count } => write!(f, "{count} values are no numbers"),
            Self::NullShare { before, now } => write!(f, "nulls {}, were {}", percent(*now), percent(*before)),
            Self::NewCategory { name, share } => write!(f, "new category {name:?} ({})", percent(*share)),
            Self::VanishedCategory { name, share_before } => write!(f, "category {name:?} is gone (was {})", percent(*share_before)),
            Self::TypeChanged => f.write_str("the type changed"),
            Self::NamesRows => f.write_str("not compared: every row has a value of its own, so the column names rows"),
            Self::FewRows { before, now, visible } => {
                write!(f, "only {now} values now and {before} before: a change must be a difference of {} to show", percent(*visible))
            }
        }
    }
}

/// A statistic with its p-value.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Statistic {
    /// Its value.
    pub value: f64,
    /// Probability of at least this value without drift.
    pub p_value: f64,
}

/// What is odd about the sorted finite numbers of a column that now has `rows` values that are not null.
pub(crate) fn number_notes(before: &[f64], now: &[f64], rows: usize) -> Vec<Note> {
    let mut notes = Vec::new();
    if now.len() < rows {
        notes.push(Note::NotNumbers { count: (rows - now.len()) as u64 });
    }
    let varies = |sorted: &[f64]| sorted.first() != sorted.last();
    if let (true, false, Some(value)) = (varies(before), varies(now), now.first()) {
        notes.push(Note::BecameConstant { value: *value });
    }
    notes
}

/// Which categories are gone, and which are new; nothing while a side has none at all.
pub(crate) fn category_notes(before: &BTreeMap<String, u64>, now: &BTreeMap<String, u64>) -> Vec<Note> {
    let (n, m) = (before.values().sum::<u64>(), now.values().sum::<u64>());
    if n == 0 || m == 0 {
        return Vec::new();
    }
    let there = |counts: &BTreeMap<String, u64>, name: &str| counts.get(name).is_some_and(|c| *c > 0);
    let only = |one: &BTreeMap<String, u64>, other: &BTreeMap<String, u64>, total: u64| {
        let missing = one.iter().filter(|(name, count)| **count > 0 && !there(other, name));
        missing.map(|(name, count)| (name.clone(), *count as f64 / total as f64)).collect::<Vec<_>>()
    };
    let gone = only(before, now, n).into_iter().map(|(name, share_before)| Note::VanishedCategory { name, share_before });
    gone.chain(only(now, before, m).into_iter().map(|(name, share)| Note::NewCategory { name, share })).collect()
}

/// What is to say of numbers of values that are few; nothing where there are none.
pub(crate) fn few_rows(before: u64, now: u64) -> Option<Note> {
    // The critical value of the Kolmogorov–Smirnov test at 5 %.
    let visible = || (1.358 * (1.0 / before as f64 + 1.0 / now as f64).sqrt()).min(1.0);
    (before.min(now) > 0 && before.min(now) < FEW_ROWS).then(|| Note::FewRows { before, now, visible: visible() })
}

/// What is odd about numbers of values and nulls.
pub(crate) fn rows_and_nulls((n, n_nulls): (u64, u64), (m, m_nulls): (u64, u64)) -> Vec<Note> {
    let mut notes = Vec::new();
    let share = |values: u64, nulls: u64| nulls as f64 / (values + nulls) as f64;
    if n + n_nulls == 0 {
        notes.push(Note::NoReference);
    }
    if m + m_nulls == 0 {
        notes.push(Note::Empty);
    } else if m == 0 {
        notes.push(Note::AllNull);
    }
    if n + n_nulls > 0 && m + m_nulls > 0 {
        let (before, now) = (share(n, n_nulls), share(m, m_nulls));
        if (now - before).abs() >= 0.05 {
            notes.push(Note::NullShare { before, now });
        }
    }
    notes
}
