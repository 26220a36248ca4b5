//! Histograms on a fixed grid: what profiles of months are made of, because they merge exactly.
//!
//! The grid is chosen once, from the reference, and kept. Counts are whole numbers, so histograms of parts add up to that of the whole
//! in any order. Statistics read from one are off by at most what one cell holds. Cost: a few instructions a value; 8 bytes a cell.

use serde::{Deserialize, Serialize};

use crate::drift::stored::Damaged;

/// Cells of equal width from `low` to `high`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "StoredGrid")]
pub struct Grid {
    low: f64,
    high: f64,
    cells: usize,
}

#[derive(Deserialize)]
struct StoredGrid {
    low: f64,
    high: f64,
    cells: usize,
}

impl TryFrom<StoredGrid> for Grid {
    type Error = GridError;

    fn try_from(stored: StoredGrid) -> Result<Self, GridError> {
        Self::new(stored.low, stored.high, stored.cells)
    }
}

/// A grid that cannot be.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum GridError {
    /// The ends are not finite, or the second is not above the first.
    #[error("a grid from {low} to {high} has no width")]
    NoWidth {
        /// The lower end.
        low: f64,
        /// The upper end.
        high: f64,
    },
    /// There must be 1 to 1,048,576 cells.
    #[error("{cells} cells, but there must be 1 to 1048576")]
    Cells {
        /// What was asked for.
        cells: usize,
    },
    /// Only histograms of one grid can be added or compared.
    #[error("the histograms have different grids")]
    Different,
}

impl Grid {
    /// A grid of `cells` cells.
    ///
    /// # Errors
    /// When there is no width, or a number of cells that is none.
    pub fn new(low: f64, high: f64, cells: usize) -> Result<Self, GridError> {
        if !(low < high && low.is_finite() && high.is_finite() && (high - low).is_finite()) {
            return Err(GridError::NoWidth { low, high });
        }
        if !(1..=1 << 20).contains(&cells) {
            return Err(GridError::Cells { cells });
        }
        Ok(Self { low, high, cells })
    }

    /// A grid for values like these, with as much room again on both sides as they span. Infinities and NaN do not count. A column
    /// without a span has a grid around its value.
    ///
    /// # Errors
    /// When there is no finite value, or the values span more than a number can hold.
    pub fn around(values: &[f64], cells: usize) -> Result<Self, GridError> {
        let finite = values.iter().copied().filter(|v| v.is_finite());
        let (low, high) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
        let room = if low < high { high - low } else { low.abs().max(1.0) };
        Self::new(low - room / 2.0, high + room / 2.0, cells)
    }

    /// Width of a cell.
    pub fn width(&self) -> f64 {
        (self.high - self.low) / self.cells as f64
    }
}

/// How many values lie in each cell of a grid, closed on the left (to a millionth of its width), and how many beside it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "StoredHistogram")]
pub struct Histogram {
    grid: Grid,
    /// Below the grid, its cells, above it.
    counts: Vec<u64>,
    not_numbers: u64,
}

#[derive(Deserialize)]
struct StoredHistogram {
    grid: Grid,
    counts: Vec<u64>,
    not_numbers: u64,
}

impl TryFrom<StoredHistogram> for Histogram {
    type Error = Damaged;

    fn try_from(StoredHistogram { grid, counts, not_numbers }: StoredHistogram) -> Result<Self, Damaged> {
        Damaged::unless(counts.len() == grid.cells + 2, "histogram", "it has another number of cells than its grid")?;
        Ok(Self { grid, counts, not_numbers })
    }
}

/// Tables that are counted into in turn, so that equal neighbours do not wait for each other.
const LANES: usize = 4;

impl Histogram {
    /// An empty histogram.
    pub fn new(grid: Grid) -> Self {
        Self { grid, counts: vec![0; grid.cells + 2], not_numbers: 0 }
    }

    /// Counts values. NaN is counted apart, infinities lie beside the grid.
    pub fn add(&mut self, values: &[f64]) {
        let slots = self.counts.len();
        let scale = self.grid.cells as f64 / (self.grid.high - self.grid.low);
        // Cell 0 is below the grid, and so is NaN for the time being.
        let top = (slots - 1) as f64;
        let cell = |v: f64| {
            let place = (v - self.grid.low) * scale + 1.0;
            let place = if place > 0.0 { place } else { 0.0 };
            let place = if place < top { place } else { top };
            // The whole part, out of the bits: at 2³² a number counts in steps of 2⁻²⁰.
            ((place + 4_294_967_296.0).to_bits() >> 20) as u32 as usize
        };
        let mut tables = vec![0_u32; slots * LANES];
        let mut lowest = 0_u64;
        for many in values.chunks(u32::MAX as usize) {
            let (first, rest) = tables.split_at_mut(slots);
            let (second, rest) = rest.split_at_mut(slots);
            let (third, fourth) = rest.split_at_mut(slots);
            let (fours, rest) = many.as_chunks::<LANES>();
            for [a, b, c, d] in fours {
                first[cell(*a)] += 1;
                second[cell(*b)] += 1;
                third[cell(*c)] += 1;
                fourth[cell(*d)] += 1;
            }
            for value in rest {
                first[cell(*value)] += 1;
            }
            for table in tables.chunks_exact_mut(slots) {
                lowest += u64::from(table[0]);
                self.counts.iter_mut().zip(table).for_each(|(count, more)| *count += u64::from(std::mem::take(more)));
            }
        }
        if lowest > 0 {
            let not_numbers = values.iter().map(|v| u64::from(v.is_nan())).sum::<u64>();
            self.counts[0] -= not_numbers;
            self.not_numbers += not_numbers;
        }
    }

    /// Adds another histogram of the same grid: exactly the histogram of both lists of values.
    ///
    /// # Errors
    /// [`GridError::Different`], and nothing is added.
    pub fn merge(&mut self, other: &Self) -> Result<(), GridError> {
        if self.grid != other.grid {
            return Err(GridError::Different);
        }
        self.counts.iter_mut().zip(&other.counts).for_each(|(count, more)| *count += more);
        self.not_numbers += other.not_numbers;
        Ok(())
    }

    /// How many values, NaN not counted.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// How many NaN.
    pub fn not_numbers(&self) -> u64 {
        self.not_numbers
    }

    /// Its grid.
    pub fn grid(&self) -> Grid {
        self.grid
    }

    /// How many values lie below the grid, in each cell, and above it.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// The share of values in each of these; all 0 when there is none.
    pub fn shares(&self) -> Vec<f64> {
        crate::drift::psi::shares(&self.counts)
    }
}

/// A distance that is known within limits.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The estimate.
    pub value: f64,
    /// The true value is at most this far away.
    pub error: f64,
}

/// Kolmogorov–Smirnov distance and Wasserstein distance of two histograms of one grid; `None` when one is empty. The error of the first is
/// what one cell can hide; of the second one cell's width, and it is not known (`None`) where values lie beside the grid.
///
/// # Errors
/// [`GridError::Different`].
pub fn distances(a: &Histogram, b: &Histogram) -> Result<Option<(Estimate, Option<Estimate>)>, GridError> {
    if a.grid != b.grid {
        return Err(GridError::Different);
    }
    if a.count() == 0 || b.count() == 0 {
        return Ok(None);
    }
    let (n, m) = (a.count() as f64, b.count() as f64);
    let (mut passed_a, mut passed_b, mut largest, mut area, mut possible) = (0, 0, 0.0_f64, 0.0, 0.0_f64);
    for (cell, (x, y)) in a.counts.iter().zip(&b.counts).enumerate() {
        let gap = |i: u64, j: u64| i as f64 / n - j as f64 / m;
        // Within a cell one list may come before the other.
        possible = possible.max(gap(passed_a + x, passed_b)).max(-gap(passed_a, passed_b + y));
        passed_a += x;
        passed_b += y;
        largest = largest.max(gap(passed_a, passed_b).abs());
        if cell + 1 < a.counts.len() {
            area += gap(passed_a, passed_b).abs() * a.grid.width();
        }
    }
    let beside = |h: &Histogram| h.counts[0] + h.counts[h.counts.len() - 1];
    let wasserstein = (beside(a) + beside(b) == 0).then(|| Estimate { value: area, error: a.grid.width() });
    Ok(Some((Estimate { value: largest, error: possible - largest }, wasserstein)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drift::{between, order::sorted};
    use proptest::prelude::*;

    fn histogram(grid: Grid, values: &[f64]) -> Histogram {
        let mut histogram = Histogram::new(grid);
        histogram.add(values);
        histogram
    }

    #[test]
    fn values_lie_in_their_cells() {
        let grid = Grid::new(0.0, 4.0, 4).unwrap();
        let found = histogram(grid, &[0.0, 0.5, 1.0, 3.999, 4.0, -0.1, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 1e300]);
        assert_eq!((found.counts(), found.not_numbers(), found.count()), (&[2, 2, 1, 0, 1, 3][..], 1, 9));
        assert!(Grid::new(1.0, 1.0, 4).is_err() && Grid::new(0.0, f64::NAN, 4).is_err() && Grid::new(0.0, 1.0, 0).is_err());
        assert!(Grid::around(&[], 8).is_err() && Grid::around(&[f64::NAN], 8).is_err());
        assert_eq!(histogram(Grid::around(&[7.0; 3], 8).unwrap(), &[7.0; 3]).counts()[5], 3);
        assert_eq!(histogram(grid, &[]).merge(&Histogram::new(Grid::new(0.0, 4.0, 5).unwrap())), Err(GridError::Different));
    }

    proptest! {
        #[test]
        fn merged_parts_are_the_whole(values in prop::collection::vec(prop::num::f64::ANY, 0..300), cut in 0.0..1.0f64) {
            let grid = Grid::new(-10.0, 10.0, 32).unwrap();
            let (a, b) = values.split_at((values.len() as f64 * cut) as usize);
            let (mut one, mut other) = (histogram(grid, a), histogram(grid, b));
            one.merge(&histogram(grid, b)).unwrap();
            prop_assert_eq!(&one, &histogram(grid, &values));
            other.merge(&histogram(grid, a)).unwrap();
            prop_assert_eq!(&one, &other);
            prop_assert_eq!(one.count() + one.not_numbers(), values.len() as u64);
            let text = serde_json::to_string(&one).unwrap();
            prop_assert_eq!(serde_json::from_str::<Histogram>(&text).unwrap(), one);
        }

        #[test]
        fn distances_are_within_their_errors(a in prop::collection::vec(-9.0..9.0f64, 1..200), b in prop::collection::vec(-9.0..9.0f64, 1..200), cells in 1..200usize) {
            let grid = Grid::new(-10.0, 10.0, cells).unwrap();
            let (ks, wasserstein) = distances(&histogram(grid, &a), &histogram(grid, &b)).unwrap().unwrap();
            let exact = between::distances(&sorted(&a), &sorted(&b)).unwrap();
            prop_assert!(exact.ks >= ks.value - 1e-12 && exact.ks <= ks.value + ks.error + 1e-12, "{ks:?} {exact:?}");
            let wasserstein = wasserstein.unwrap();
            prop_assert!((exact.wasserstein - wasserstein.value).abs() <= wasserstein.error + 1e-9, "{wasserstein:?} {exact:?}");
        }
    }
}
