//! What columns explain of each other: principal components of standardised columns (through linfa), the squared prediction error of a
//! row with its decision line (Jackson & Mudholkar, *Control procedures for residuals associated with principal component analysis*, 1979), and
//! the value that a column should have had by the others (reconstruction: Dunia, Qin, Edgar & McAvoy, 1996).
//!
//! Components are kept whose variance is more than that of one column (Kaiser, 1960), at least one and at least two fewer than there are columns.
//! Cost: rows · width² once, width² a row. State: a matrix of width².

use linfa::DatasetBase;
use linfa::traits::Fit as _;
use linfa_reduction::Pca;
use ndarray::ArrayView2;

/// The normal quantile of the line: one row in a thousand is beyond it without a change.
const QUANTILE: f64 = 3.090_232_306_167_813;
/// A column that the components explain in full cannot be told from the others.
const LEAST: f64 = 1e-6;
/// No standardised value is larger: sums of squares stay far from overflow.
const LARGEST: f64 = 1e50;
/// Steps of the relaxation that fills several columns together.
const STEPS: usize = 20;

/// What is learned from rows.
#[derive(Clone, Debug)]
pub struct Principal {
    /// The projection onto what no component explains, row by row; symmetric.
    rest: Vec<f64>,
    width: usize,
    line: f64,
}

impl Principal {
    /// Learns from rows of standardised values, one after the other. `None` for values that are no numbers or absurdly large, for fewer than three columns, for fewer rows than twice
    /// the columns, and where the columns explain nothing of each other.
    pub fn learn(rows: &[f64], width: usize) -> Option<Self> {
        let count = rows.len().checked_div(width)?;
        if width < 3 || count < 2 * width || rows.len() != count * width || !rows.iter().all(|x| x.abs() <= LARGEST) {
            return None;
        }
        let view = ArrayView2::from_shape((count, width), rows).ok()?;
        let found = Pca::params(width).fit(&DatasetBase::from(view)).ok()?;
        let variances: Vec<f64> = found.singular_values().iter().map(|s| s * s / count as f64).collect();
        let mean = variances.iter().sum::<f64>() / width as f64;
        let strong = variances.iter().filter(|v| **v > mean).count();
        let kept = strong.clamp(1, width - 2);
        let mut rest = vec![0.0; width * width];
        for i in 0..width {
            for j in 0..width {
                let explained: f64 = found.components().outer_iter().take(kept).map(|c| c[i] * c[j]).sum();
                rest[i * width + j] = f64::from(u8::from(i == j)) - explained;
            }
        }
        let line = line(variances.get(kept..)?)?;
        (rest.iter().all(|x| x.is_finite()) && line.is_finite()).then_some(Self { rest, width, line })
    }

    /// The squared prediction error at the decision line.
    pub fn line(&self) -> f64 {
        self.line
    }

    fn along(&self, row: &[f64], column: usize) -> f64 {
        self.rest[column * self.width..][..self.width].iter().zip(row).map(|(c, x)| c * x).sum()
    }

    /// The squared prediction error of a row: the square of what no component explains.
    pub fn error(&self, row: &[f64]) -> f64 {
        row.iter().enumerate().map(|(i, x)| x * self.along(row, i)).sum::<f64>().max(0.0)
    }

    /// How far the value of a column is from what the others of the row explain; 0 where the others cannot say.
    pub fn departure(&self, row: &[f64], column: usize) -> f64 {
        let own = self.rest[column * self.width + column];
        if own > LEAST { self.along(row, column) / own } else { 0.0 }
    }

    /// How much smaller the error of a row would be, were this column as the others explain it.
    pub fn share(&self, row: &[f64], column: usize) -> f64 {
        self.departure(row, column) * self.along(row, column)
    }

    /// Puts what the others explain into these columns.
    pub fn fill(&self, row: &mut [f64], columns: &[usize]) {
        for _ in 0..STEPS {
            for column in columns {
                row[*column] -= self.departure(row, *column);
            }
        }
    }
}

/// The line for the variances that no component explains; `None` where they are none.
fn line(rest: &[f64]) -> Option<f64> {
    let power = |n: i32| rest.iter().map(|v| v.max(0.0).powi(n)).sum::<f64>();
    let (first, second, third) = (power(1), power(2), power(3));
    if first <= 1e-9 {
        return None;
    }
    let h = (1.0 - 2.0 * first * third / (3.0 * second * second)).max(0.05);
    let base = QUANTILE * (2.0 * second * h * h).sqrt() / first + 1.0 + second * h * (h - 1.0) / (first * first);
    Some(first * base.max(0.0).powf(1.0 / h))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drift::stream::Stream;

    /// Five columns that follow one, with noise.
    fn rows(n: usize, seed: u64) -> Vec<f64> {
        let mut stream = Stream::new(seed);
        (0..n)
            .flat_map(|_| {
                let common = stream.normal();
                [0; 5].map(|_| 0.9 * common + 0.435_889_894_354_067_4 * stream.normal())
            })
            .collect()
    }

    #[test]
    fn one_row_in_a_thousand_is_beyond_the_line() {
        let found = Principal::learn(&rows(4_000, 1), 5).unwrap();
        let fresh = rows(40_000, 2);
        let beyond = fresh.chunks(5).filter(|row| found.error(row) > found.line()).count();
        assert!((20..=70).contains(&beyond), "{beyond} of 40 expected");
    }

    #[test]
    fn the_column_that_departs_is_named_and_filled() {
        let found = Principal::learn(&rows(4_000, 1), 5).unwrap();
        let mut row = [1.0, 1.1, -2.0, 0.9, 1.0];
        assert!(found.error(&row) > found.line());
        let shares: Vec<f64> = (0..5).map(|c| found.share(&row, c)).collect();
        assert!((0..5).all(|c| c == 2 || shares[c] < shares[2]), "{shares:?}");
        let before = found.error(&row);
        found.fill(&mut row, &[2]);
        assert!((before - found.error(&row) - shares[2]).abs() < 1e-9 && (row[2] - 1.0).abs() < 0.1, "{row:?}");
        assert!(found.error(&row) < found.line());
    }

    #[test]
    fn too_little_is_no_model() {
        assert!(Principal::learn(&[], 5).is_none() && Principal::learn(&rows(9, 1), 5).is_none());
        assert!(Principal::learn(&[0.0; 500], 5).is_none(), "constant columns explain nothing");
        assert!(Principal::learn(&[1.0; 40], 2).is_none() && Principal::learn(&[f64::NAN; 50], 5).is_none());
    }

    /// `numpy`: eigenvalues of the correlation of 1·ρ with ρ = .8 and four columns are 3.4, .2, .2, .2; Jackson & Mudholkar's line at .999.
    #[test]
    fn the_line_is_the_published_one() {
        // python: t1=.6;t2=.12;t3=.024;h=1-2*t1*t3/(3*t2**2);t1*(3.090232306167813*(2*t2*h*h)**.5/t1+1+t2*h*(h-1)/t1**2)**(1/h)
        assert!((line(&[0.2, 0.2, 0.2]).unwrap() - 3.310_141_937_332_884_4).abs() < 1e-9, "{:?}", line(&[0.2, 0.2, 0.2]));
        assert_eq!(line(&[0.0, 0.0]), None);
    }
}
