//! Principal components of the reference, and how badly they reconstruct a row: columns that no longer go together (Jackson & Mudholkar, 1979).
//!
//! Columns are standardised with the reference's mean and deviation. Components are taken until they explain the wanted share of variance;
//! what they leave of a row is its error. Errors of current rows are compared with those of the reference as any column of numbers is.
//! Cost: rows · width², and width³ once (Jacobi's method); for up to a few hundred columns.

use serde::{Deserialize, Serialize};

use crate::drift::embedding::{Rows, product};

/// The share of variance that components usually have to explain.
pub const EXPLAINED: f64 = 0.65;

/// What a reference looks like, in its own directions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Components {
    means: Vec<f64>,
    /// 0 for a column that does not vary, which takes no part.
    deviations: Vec<f64>,
    directions: Vec<Vec<f64>>,
    explained: f64,
}

impl Components {
    /// Learns from reference rows; `explained` is above 0 and at most 1, usually [`EXPLAINED`]. `None` with fewer than two rows.
    pub fn learn(rows: Rows<'_>, explained: f64) -> Option<Self> {
        if rows.len() < 2 {
            return None;
        }
        let (count, width) = (rows.len() as f64, rows.width());
        let mean = |column: usize| rows.iter().map(|r| r[column] / count).sum::<f64>();
        let means: Vec<f64> = (0..width).map(mean).collect();
        let deviation = |column: usize| rows.iter().map(|r| ((r[column] - means[column]) / count.sqrt()).powi(2)).sum::<f64>().sqrt();
        let usable = |deviation: f64, mean: f64| deviation.is_finite() && deviation > mean.abs() * 1e-12;
        let deviations: Vec<f64> = (0..width).map(|c| Some(deviation(c)).filter(|d| usable(*d, means[c])).unwrap_or(0.0)).collect();
        let mut components = Self { means, deviations, directions: Vec::new(), explained: 0.0 };
        let mut correlation = vec![0.0; width * width];
        for row in rows.iter() {
            let row = components.standardised(row);
            for (i, x) in row.iter().enumerate() {
                correlation[i * width..][..width].iter_mut().zip(&row).for_each(|(c, y)| *c += x * y / count);
            }
        }
        let mut found = eigen(correlation, width);
        found.sort_by(|a, b| b.0.total_cmp(&a.0));
        let total: f64 = found.iter().map(|(value, _)| value.max(0.0)).sum();
        for (value, direction) in found {
            if total <= 0.0 || components.explained >= explained.min(1.0 - 1e-9) {
                break;
            }
            components.explained += value.max(0.0) / total;
            components.directions.push(direction);
        }
        Some(components)
    }

    /// How many components there are.
    pub fn count(&self) -> usize {
        self.directions.len()
    }

    /// The share of the reference's variance that they explain.
    pub fn explained(&self) -> f64 {
        self.explained
    }

    /// For each row the root of what the components leave of it, in deviations; `None` when rows have another width.
    pub fn errors(&self, rows: Rows<'_>) -> Option<Vec<f64>> {
        (rows.width() == self.means.len()).then(|| rows.iter().map(|row| self.error(row)).collect())
    }

    fn error(&self, row: &[f64]) -> f64 {
        let mut rest = self.standardised(row);
        for direction in &self.directions {
            let along = product(&rest, direction);
            rest.iter_mut().zip(direction).for_each(|(r, d)| *r -= along * d);
        }
        product(&rest, &rest).sqrt().min(f64::MAX)
    }

    fn standardised(&self, row: &[f64]) -> Vec<f64> {
        // No measurement is so many deviations away that a square of it is too large.
        let scaled = |v: f64, mean: f64, deviation: f64| if deviation > 0.0 { ((v - mean) / deviation).clamp(-1e100, 1e100) } else { 0.0 };
        row.iter().zip(&self.means).zip(&self.deviations).map(|((v, m), d)| scaled(*v, *m, *d)).collect()
    }
}

/// Values and directions of a symmetric matrix by Jacobi's rotations (1846).
fn eigen(mut matrix: Vec<f64>, size: usize) -> Vec<(f64, Vec<f64>)> {
    let mut directions: Vec<Vec<f64>> = (0..size).map(|i| (0..size).map(|j| f64::from(u8::from(i == j))).collect()).collect();
    for _ in 0..60 {
        let beside: f64 = (0..size).flat_map(|i| (0..i).map(move |j| (i, j))).map(|(i, j)| matrix[i * size + j].powi(2)).sum();
        if beside < 1e-22 {
            break;
        }
        for i in 0..size {
            for j in 0..i {
                let apex = matrix[i * size + j];
                if apex.abs() < 1e-300 {
                    continue;
                }
                let ratio = (matrix[i * size + i] - matrix[j * size + j]) / (2.0 * apex);
                let tangent = ratio.signum() / (ratio.abs() + ratio.hypot(1.0));
                let cosine = 1.0 / tangent.hypot(1.0);
                let sine = tangent * cosine;
                let turn = |x: f64, y: f64| (cosine * x + sine * y, cosine * y - sine * x);
                for k in 0..size {
                    let (x, y) = turn(matrix[k * size + i], matrix[k * size + j]);
                    (matrix[k * size + i], matrix[k * size + j]) = (x, y);
                }
                for k in 0..size {
                    let (x, y) = turn(matrix[i * size + k], matrix[j * size + k]);
                    (matrix[i * size + k], matrix[j * size + k]) = (x, y);
                    (directions[i][k], directions[j][k]) = turn(directions[i][k], directions[j][k]);
                }
            }
        }
    }
    directions.into_iter().enumerate().map(|(i, direction)| (matrix[i * size + i], direction)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drift::ks;
    use crate::drift::order::sorted;
    use crate::drift::stream::Stream;

    /// Four columns out of two hidden ones; `broken` columns follow nothing but have the same spread.
    fn rows(n: usize, broken: bool, seed: u64) -> Vec<f64> {
        let mut stream = Stream::new(seed);
        let mut row = || {
            let (a, b) = (stream.normal(), stream.normal());
            let last = if broken { stream.normal() * 2.0_f64.sqrt() } else { a - b };
            [10.0 * a, 5.0 + b, a + b, last, 3.0]
        };
        (0..n).flat_map(|_| row()).collect()
    }

    #[test]
    fn columns_that_no_longer_go_together_are_found() {
        let reference = rows(2_000, false, 1);
        let components = Components::learn(Rows::new(&reference, 5).unwrap(), 0.99).unwrap();
        assert!(components.count() == 2 && components.explained() > 0.999);
        let errors = |values: &[f64]| sorted(&components.errors(Rows::new(values, 5).unwrap()).unwrap());
        let broken = rows(500, true, 2);
        assert!(errors(&reference).iter().all(|e| *e < 1e-6));
        assert!(ks::of_sorted(&errors(&reference), &errors(&broken)).unwrap() > 0.95);
        // No column alone shows it.
        let column = |values: &[f64]| sorted(&values.iter().copied().skip(3).step_by(5).collect::<Vec<_>>());
        assert!(ks::of_sorted(&column(&reference), &column(&broken)).unwrap() < 0.08);
        assert_eq!(components.errors(Rows::new(&[1.0; 4], 4).unwrap()), None);
    }

    #[test]
    fn eigenvalues_are_right() {
        let mut found = eigen(vec![4.0, 1.0, 2.0, 1.0, 3.0, 0.0, 2.0, 0.0, 1.0], 3);
        found.sort_by(|a, b| a.0.total_cmp(&b.0));
        let matrix = [[4.0, 1.0, 2.0], [1.0, 3.0, 0.0], [2.0, 0.0, 1.0]];
        for (value, direction) in &found {
            for (row, d) in matrix.iter().zip(direction) {
                assert!((product(row, direction) - value * d).abs() < 1e-9);
            }
            assert!((product(direction, direction) - 1.0).abs() < 1e-12);
        }
        assert!((found.iter().map(|f| f.0).sum::<f64>() - 8.0).abs() < 1e-9);
    }

    #[test]
    fn constant_and_wild_columns_are_borne() {
        let learn = |values: &[f64], width: usize| Components::learn(Rows::new(values, width).unwrap(), EXPLAINED);
        let constant = learn(&[7.0; 12], 3).unwrap();
        assert_eq!((constant.count(), constant.errors(Rows::new(&[1e300; 3], 3).unwrap())), (0, Some(vec![0.0])));
        assert_eq!(learn(&[1.0, 2.0], 2), None);
        let wild = learn(&[1e300, -1e300, -1e300, 1e300, 5.0, 7.0], 2).unwrap();
        assert!(wild.errors(Rows::new(&[1e308, -1e308], 2).unwrap()).unwrap()[0].is_finite());
    }
}
