//! A column in little room, to be stored with a model's version: drift over months then needs no raw rows.
//!
//! Rows, nulls, the histogram and the number of different values of parts merge to exactly those of the whole; so do categories while they
//! are few; quantiles merge within their stated error. A sketch of a million numbers takes about 100 KiB.

use serde::{Deserialize, Serialize};

use crate::band::is_measurement;
use crate::drift::column::{Note, Statistic, category_notes, few_rows, rows_and_nulls};
use crate::drift::distinct::Distinct;
use crate::drift::examine::{Examination, Settings, Test, null_test};
use crate::drift::frequent::Frequent;
use crate::drift::histogram::{self, Estimate, Grid, GridError, Histogram};
use crate::drift::identifier::sketch_names_rows;
use crate::drift::measure::{self, Measure};
use crate::drift::quantiles::{self, Quantiles};
use crate::drift::shape::Steps;
use crate::drift::{ks, psi};

/// The probability with which a stated error may be exceeded.
pub const DOUBT: f64 = 0.01;

/// A column's sketch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sketch {
    rows: u64,
    nulls: u64,
    not_numbers: u64,
    distinct: Distinct,
    values: Values,
}

/// What the column holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Values {
    Numbers { histogram: Histogram, quantiles: Quantiles },
    Categories(Frequent),
}

/// Two sketches that cannot be merged.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum SketchError {
    /// One holds numbers, the other categories.
    #[error("one column holds numbers, the other categories")]
    Types,
    /// Their histograms have different grids.
    #[error(transparent)]
    Grid(#[from] GridError),
}

impl Sketch {
    /// An empty sketch of a column of numbers. The grid is best made from the reference and kept; `k` and `seed` are those of
    /// [`Quantiles::new`].
    pub fn of_numbers(grid: Grid, k: usize, seed: u64) -> Self {
        Self::new(Values::Numbers { histogram: Histogram::new(grid), quantiles: Quantiles::new(k, seed) })
    }

    /// An empty sketch of a column of categories; `capacity` as of [`Frequent::new`].
    pub fn of_categories(capacity: usize) -> Self {
        Self::new(Values::Categories(Frequent::new(capacity)))
    }

    fn new(values: Values) -> Self {
        Self { rows: 0, nulls: 0, not_numbers: 0, distinct: Distinct::default(), values }
    }

    /// Takes in numbers; what is NaN, infinite or beyond any measurement is counted apart.
    ///
    /// # Errors
    /// [`SketchError::Types`], and nothing is taken.
    pub fn add_numbers(&mut self, values: &[f64]) -> Result<(), SketchError> {
        let Values::Numbers { histogram, quantiles } = &mut self.values else { return Err(SketchError::Types) };
        let kept: Vec<f64>;
        let finite = if values.iter().all(|v| is_measurement(*v)) {
            values
        } else {
            kept = values.iter().copied().filter(|v| is_measurement(*v)).collect();
            &kept
        };
        histogram.add(finite);
        quantiles.add(finite);
        finite.iter().for_each(|v| self.distinct.add_number(*v));
        self.rows += values.len() as u64;
        self.not_numbers += (values.len() - finite.len()) as u64;
        Ok(())
    }

    /// Takes in a category that occurs so many times.
    ///
    /// # Errors
    /// [`SketchError::Types`], and nothing is taken.
    pub fn add_category(&mut self, category: &str, times: u64) -> Result<(), SketchError> {
        let Values::Categories(frequent) = &mut self.values else { return Err(SketchError::Types) };
        frequent.add(category, times);
        self.rows += times;
        if times > 0 {
            self.distinct.add_text(category);
        }
        Ok(())
    }

    /// Takes in so many nulls.
    pub fn add_nulls(&mut self, times: u64) {
        self.rows += times;
        self.nulls += times;
    }

    /// Takes in what another sketch holds.
    ///
    /// # Errors
    /// When the types or the grids differ, and nothing is taken.
    pub fn merge(&mut self, other: &Self) -> Result<(), SketchError> {
        match (&mut self.values, &other.values) {
            (Values::Numbers { histogram, quantiles }, Values::Numbers { histogram: more, quantiles: more_quantiles }) => {
                histogram.merge(more)?;
                quantiles.merge(more_quantiles);
            }
            (Values::Categories(frequent), Values::Categories(more)) => frequent.merge(more),
            _ => return Err(SketchError::Types),
        }
        self.rows += other.rows;
        self.nulls += other.nulls;
        self.not_numbers += other.not_numbers;
        self.distinct.merge(&other.distinct);
        Ok(())
    }

    /// How many rows, nulls included.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// How many nulls.
    pub fn nulls(&self) -> u64 {
        self.nulls
    }

    /// How many different values, about.
    pub fn distinct(&self) -> u64 {
        self.distinct.count()
    }

    /// The histogram of a column of numbers.
    pub fn histogram(&self) -> Option<&Histogram> {
        match &self.values {
            Values::Numbers { histogram, .. } => Some(histogram),
            Values::Categories(_) => None,
        }
    }

    /// The quantiles of a column of numbers.
    pub fn quantiles(&self) -> Option<&Quantiles> {
        match &self.values {
            Values::Numbers { quantiles, .. } => Some(quantiles),
            Values::Categories(_) => None,
        }
    }

    /// The categories of a column of categories.
    pub fn frequent(&self) -> Option<&Frequent> {
        match &self.values {
            Values::Numbers { .. } => None,
            Values::Categories(frequent) => Some(frequent),
        }
    }
}

/// What two sketches say of a column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Compared {
    /// As of the values themselves, so that [`crate::drift::dataset::decide`] takes it. Its test of numbers is Wasserstein's in deviations for
    /// large references whose values lie on the grid, otherwise Kolmogorov–Smirnov's; the p-value is that of the smallest
    /// distance that the error allows. That of categories is chosen as always.
    pub examination: Examination,
    /// By how much the effect of its test may be wrong; `None` without a test.
    pub error: Option<f64>,
    /// The Kolmogorov–Smirnov distance of numbers, wrong by more than its error at most once in a hundred times.
    pub ks: Option<Estimate>,
    /// The Wasserstein distance of numbers from the histograms; `None` where values lie beside the grid.
    pub wasserstein: Option<Estimate>,
    /// The population stability index over the reference's quantiles (numbers) or categories.
    pub psi: Option<f64>,
}

/// Compares two sketches of a column. Different types are a finding; where grids differ, the ranks tell alone.
pub fn compare(reference: &Sketch, current: &Sketch, settings: &Settings) -> Compared {
    let values = |s: &Sketch| s.rows - s.nulls;
    let mut notes = rows_and_nulls((values(reference), reference.nulls), (values(current), current.nulls));
    notes.extend(few_rows(values(reference), values(current)));
    let nulls = null_test((values(reference), reference.nulls), (values(current), current.nulls), settings.nulls);
    let without = |values: Vec<Test>, notes| Compared {
        examination: Examination { values, nulls, notes },
        error: None,
        ks: None,
        wasserstein: None,
        psi: None,
    };
    if sketch_names_rows(reference) && sketch_names_rows(current) {
        notes.push(Note::NamesRows);
        return without(Vec::new(), notes);
    }
    match (&reference.values, &current.values) {
        (Values::Numbers { histogram: x, quantiles: a }, Values::Numbers { histogram: y, quantiles: b }) => {
            if current.not_numbers > 0 {
                notes.push(Note::NotNumbers { count: current.not_numbers });
            }
            let varies = |q: &Quantiles| q.range().is_some_and(|(low, high)| low < high);
            if let (true, false, Some((value, _))) = (varies(a), varies(b), b.range()) {
                notes.push(Note::BecameConstant { value });
            }
            let by_cells = histogram::distances(x, y).ok().flatten();
            let by_ranks = quantiles::ks(a, b)
                .map(|value| Estimate { value, error: a.error_everywhere(DOUBT / 2.0) + b.error_everywhere(DOUBT / 2.0) });
            let ks = by_cells.map(|(ks, _)| ks).into_iter().chain(by_ranks).min_by(|p, q| p.error.total_cmp(&q.error));
            let wasserstein = by_cells.and_then(|(_, w)| w);
            let test = ks.map(|ks| number_test((a, b), ks, wasserstein, settings));
            Compared {
                examination: Examination { values: test.iter().map(|(t, _)| *t).collect(), nulls, notes },
                error: test.map(|(_, error)| error),
                ks,
                wasserstein,
                psi: ks.map(|_| stability(a, b, settings.bins)),
            }
        }
        (Values::Categories(a), Values::Categories(b)) => {
            if a.missing() + b.missing() == 0 {
                notes.extend(category_notes(a.counts(), b.counts()));
            }
            let (before, now) = counts(a, b);
            let measure = Measure::for_categories(before.len(), a.total() as usize);
            let measured: Option<Statistic> = measure::categories(measure, &before, &now);
            let test = measured.map(|s| Test { measure, effect: s.value, line: measure.line(), p_value: s.p_value });
            let psi = measured.map(|_| psi::of_shares(&psi::shares(&before), &psi::shares(&now)));
            let missing = |f: &Frequent| f.missing() as f64 / f.total().max(1) as f64;
            let error = test.map(|_| missing(a) + missing(b));
            Compared { error, psi, ..without(test.into_iter().collect(), notes) }
        }
        _ => without(Vec::new(), vec![Note::TypeChanged]),
    }
}

/// The test of numbers, and by how much its effect may be wrong.
fn number_test((a, b): (&Quantiles, &Quantiles), ks: Estimate, wasserstein: Option<Estimate>, settings: &Settings) -> (Test, f64) {
    let p_value = ks::p_value((ks.value - ks.error).max(0.0), a.count() as f64, b.count() as f64);
    let wanted = settings.measure.unwrap_or(Measure::for_numbers(a.count() as usize));
    let deviation = Steps::of_sketch(a).map(|s| s.summary().deviation).filter(|d| *d > 0.0);
    let (measure, effect, error) = match (wasserstein, deviation) {
        (Some(w), Some(deviation)) if wanted == Measure::Wasserstein => (wanted, w.value / deviation, w.error / deviation),
        _ => (Measure::KolmogorovSmirnov, ks.value, ks.error),
    };
    let line = settings.line.filter(|_| settings.measure.is_none_or(|m| m == measure)).unwrap_or(measure.line());
    (Test { measure, effect, line, p_value }, error)
}

/// The index over bins between the reference's quantiles.
fn stability(reference: &Quantiles, current: &Quantiles, bins: usize) -> f64 {
    let (before, now) = (reference.steps(), current.steps());
    let mut edges: Vec<f64> = (1..bins).filter_map(|i| reference.quantile(i as f64 / bins as f64)).collect();
    edges.dedup();
    let shares = |steps: &[(f64, f64)]| {
        let upto = |e: &f64| steps.partition_point(|(v, _)| v <= e).checked_sub(1).map_or(0.0, |i| steps[i].1);
        let levels: Vec<f64> = std::iter::once(0.0).chain(edges.iter().map(upto)).chain([1.0]).collect();
        levels.windows(2).map(|w| w[1] - w[0]).collect::<Vec<f64>>()
    };
    psi::of_shares(&shares(&before), &shares(&now))
}

/// Counts of all categories that either knows, and of the rest together where a side has lost some.
fn counts(a: &Frequent, b: &Frequent) -> (Vec<u64>, Vec<u64>) {
    let names: Vec<&String> = a.counts().keys().chain(b.counts().keys().filter(|k| !a.counts().contains_key(*k))).collect();
    // A category without a counter on the one side may have been there; then it cannot be told from the rest.
    let told = |frequent: &Frequent, name: &String| frequent.missing() == 0 || frequent.counts().contains_key(name);
    let of = |frequent: &Frequent| {
        let own = names.iter().filter(|n| told(a, n) && told(b, n));
        let mut counts: Vec<u64> = own.map(|n| frequent.counts().get(*n).copied().unwrap_or(0)).collect();
        let rest = frequent.total() - counts.iter().sum::<u64>();
        if a.missing() + b.missing() > 0 {
            counts.push(rest);
        }
        counts
    };
    (of(a), of(b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drift::between;
    use crate::drift::order::sorted;
    use crate::drift::stream::Stream;
    use proptest::prelude::*;

    fn numbers(values: &[f64], grid: Grid, seed: u64) -> Sketch {
        let mut sketch = Sketch::of_numbers(grid, quantiles::SMALLEST, seed);
        sketch.add_numbers(values).unwrap();
        sketch
    }

    #[test]
    fn days_tell_what_the_rows_would() {
        let mut stream = Stream::new(21);
        let mut sample = |shift: f64| (0..30_000).map(|_| stream.normal() + shift).collect::<Vec<f64>>();
        let (a, b) = (sample(0.0), sample(0.25));
        let grid = Grid::around(&a, 4_096).unwrap();
        let days = |values: &[f64], seed: u64| {
            let mut whole = Sketch::of_numbers(grid, quantiles::SMALLEST, seed);
            for (day, chunk) in values.chunks(3_000).enumerate() {
                whole.merge(&numbers(chunk, grid, seed + 1 + day as u64)).unwrap();
            }
            whole
        };
        let (before, now) = (days(&a, 100), days(&b, 200));
        let found = compare(&before, &now, &Settings::default());
        let exact = between::distances(&sorted(&a), &sorted(&b)).unwrap();
        let (ks, wasserstein) = (found.ks.unwrap(), found.wasserstein.unwrap());
        assert!((ks.value - exact.ks).abs() <= ks.error && ks.error < 0.003, "{ks:?} {exact:?}");
        assert!((wasserstein.value - exact.wasserstein).abs() <= wasserstein.error, "{wasserstein:?} {exact:?}");
        let cut = psi::edges(&sorted(&a), 10);
        let index = psi::of_shares(&psi::shares(&psi::counts(&cut, &a)), &psi::shares(&psi::counts(&cut, &b)));
        assert!((found.psi.unwrap() / index - 1.0).abs() < 0.1, "{:?} {index}", found.psi);
        assert!(found.examination.values[0].p_value < 1e-50);
        let size = serde_json::to_string(&before).unwrap().len();
        assert!(size < 150_000 && (before.distinct() as f64 / 30_000.0 - 1.0).abs() < 0.05, "{size} {}", before.distinct());
    }

    #[test]
    fn categories_and_types() {
        let of = |pairs: &[(&str, u64)], capacity: usize, nulls: u64| {
            let mut sketch = Sketch::of_categories(capacity);
            pairs.iter().for_each(|(c, n)| sketch.add_category(c, *n).unwrap());
            sketch.add_nulls(nulls);
            sketch
        };
        let (a, b) = (of(&[("x", 50), ("y", 30), ("z", 20)], 9, 0), of(&[("x", 20), ("y", 30), ("w", 50)], 9, 50));
        let found = compare(&a, &b, &Settings::default());
        let names: Vec<String> = found.examination.notes.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["nulls 33.3 %, were 0 %", r#"category "z" is gone (was 20 %)"#, r#"new category "w" (50 %)"#]);
        assert!(found.examination.tests().count() == 2 && found.examination.tests().all(|t| t.p_value < 1e-6 && t.matters()));
        let many: Vec<(String, u64)> = (0..100).map(|i| (format!("c{i:02}"), 1 + 200 / (i + 1))).collect();
        let many: Vec<(&str, u64)> = many.iter().map(|(c, n)| (c.as_str(), *n)).collect();
        let lossy = of(&many, 4, 0);
        let same = compare(&lossy, &lossy, &Settings::default()).examination;
        assert!(lossy.frequent().unwrap().missing() > 0 && same.values[0].effect == 0.0 && same.notes.is_empty());
        let number = numbers(&[1.0], Grid::new(0.0, 2.0, 4).unwrap(), 0);
        assert_eq!(compare(&a, &number, &Settings::default()).examination.notes, [Note::TypeChanged]);
        assert_eq!(number.clone().merge(&a), Err(SketchError::Types));
        let other_grid = numbers(&[1.0], Grid::new(0.0, 3.0, 4).unwrap(), 0);
        assert_eq!(number.clone().merge(&other_grid), Err(SketchError::Grid(GridError::Different)));
    }

    proptest! {
        #[test]
        fn merged_parts_are_the_whole(values in prop::collection::vec(prop::num::f64::ANY, 0..400), cut in 0.0..1.0f64, nulls in 0..9u64) {
            let grid = Grid::new(-10.0, 10.0, 16).unwrap();
            let (a, b) = values.split_at((values.len() as f64 * cut) as usize);
            let mut merged = numbers(a, grid, 1);
            merged.add_nulls(nulls);
            merged.merge(&numbers(b, grid, 1)).unwrap();
            let mut whole = numbers(&values, grid, 1);
            whole.add_nulls(nulls);
            prop_assert_eq!(&merged, &whole);
            prop_assert_eq!(serde_json::from_str::<Sketch>(&serde_json::to_string(&merged).unwrap()).unwrap(), merged);
            for compared in [compare(&whole, &numbers(a, grid, 2), &Settings::default()), compare(&numbers(b, grid, 3), &whole, &Settings::default())] {
                prop_assert!(compared.examination.tests().all(|t| t.effect.is_finite() && (0.0..=1.0).contains(&t.p_value)), "{compared:?}");
                prop_assert!(compared.psi.is_none_or(f64::is_finite));
            }
        }
    }
}
