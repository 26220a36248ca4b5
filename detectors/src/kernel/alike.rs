//! Which columns behave alike: density-based clusters (Ester, Kriegel, Sander & Xu, *DBSCAN*, 1996; through linfa) of standardised columns,
//! where the distance of two columns follows from their correlation r alone: √(2 − 2r).
//!
//! It needs no number of clusters and no seed, and a column like no other is in none. Cost: columns² · rows. No state.

use linfa::ParamGuard as _;
use linfa::traits::Transformer as _;
use linfa_clustering::Dbscan;
use ndarray::Array2;

/// Two columns are neighbours from this correlation on: half of what one does is told by the other where both follow one cause
/// (.7² of the variance).
pub const CORRELATION: f64 = 0.7;

/// The positions of the columns of each cluster of two or more, in order. `rows`: finite values, row by row.
pub fn alike(rows: &[f64], width: usize) -> Vec<Vec<usize>> {
    let count = rows.len().checked_div(width).unwrap_or(0);
    if width < 2 || count < 2 {
        return Vec::new();
    }
    let columns: Vec<Option<Vec<f64>>> = (0..width).map(|c| unit(rows.iter().skip(c).step_by(width).copied().take(count))).collect();
    let living: Vec<usize> = (0..width).filter(|c| columns[*c].is_some()).collect();
    let flat: Vec<f64> = columns.into_iter().flatten().flatten().collect();
    let distance = (2.0 - 2.0 * CORRELATION).sqrt();
    let Ok(points) = Array2::from_shape_vec((living.len(), count), flat) else { return Vec::new() };
    let Ok(params) = Dbscan::params(2).tolerance(distance).check() else { return Vec::new() };
    let mut clusters: Vec<Vec<usize>> = Vec::new();
    for (column, cluster) in living.iter().zip(params.transform(&points)) {
        let Some(cluster) = cluster else { continue };
        if clusters.len() <= cluster {
            clusters.resize(cluster + 1, Vec::new());
        }
        clusters[cluster].push(*column);
    }
    clusters
}

/// A column around its mean, of length 1; `None` for a constant one.
fn unit(column: impl Iterator<Item = f64>) -> Option<Vec<f64>> {
    let column: Vec<f64> = column.collect();
    let mean = column.iter().sum::<f64>() / column.len() as f64;
    let length = column.iter().map(|x| (x - mean).powi(2)).sum::<f64>().sqrt();
    (length.is_finite() && length > 1e-9 * mean.abs().max(1e-9)).then(|| column.iter().map(|x| (x - mean) / length).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drift::stream::Stream;

    /// Columns 0, 2, 4 follow one cause, 1 and 5 another, 3 none, 6 is constant.
    fn rows(scale: f64, shift: f64) -> Vec<f64> {
        let mut noise = Stream::new(5);
        let mut row = || {
            let (a, b) = (noise.normal(), noise.normal());
            [a, b, a, noise.normal(), a, -b].map(|x| x + 0.3 * noise.normal())
        };
        let all = (0..300).flat_map(|_| {
            let mut row = row();
            row[5] = -row[5];
            row.into_iter().chain([7.0]).collect::<Vec<_>>()
        });
        all.map(|x| x * scale + shift).collect()
    }

    #[test]
    fn causes_are_told_apart_and_the_odd_one_is_in_no_cluster() {
        let together = vec![vec![0, 2, 4], vec![1, 5]];
        assert_eq!(alike(&rows(1.0, 0.0), 7), together);
        assert_eq!(alike(&rows(250.0, 1e4), 7), together, "units do not matter");
        // Columns in another order are in the same clusters.
        let turned: Vec<f64> = rows(1.0, 0.0).chunks(7).flat_map(|r| r.iter().rev().copied().collect::<Vec<_>>()).collect();
        let mut back: Vec<Vec<usize>> = alike(&turned, 7).into_iter().map(|c| c.into_iter().rev().map(|i| 6 - i).collect()).collect();
        back.sort();
        assert_eq!(back, together);
    }

    #[test]
    fn nothing_is_alike_in_nothing() {
        assert_eq!((alike(&[], 3), alike(&[1.0; 30], 3), alike(&[1.0, 2.0], 1)), (vec![], vec![], vec![]));
    }
}
