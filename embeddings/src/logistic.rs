//! Logistic regression: which line through features makes outcomes most likely.

use linfa::DatasetBase;
use linfa::traits::Fit as _;
use linfa_logistic::LogisticRegression;
use ndarray::{Array1, Array2};

/// The intercept and the weights under which the outcomes are most likely, with `penalty` on the squares of the weights.
///
/// None where there is nothing to fit: one outcome alone, a number that is not finite, or no convergence.
pub fn fit<const N: usize>(rows: &[[f64; N]], outcomes: &[bool], penalty: f64) -> Option<(f64, [f64; N])> {
    if rows.len() != outcomes.len()
        || !rows.iter().flatten().all(|x| x.is_finite())
        || !(outcomes.contains(&true) && outcomes.contains(&false))
    {
        return None;
    }
    let records = Array2::from_shape_fn((rows.len(), N), |(row, column)| rows[row][column]);
    let targets = Array1::from_iter(outcomes.iter().copied());
    let fitted = LogisticRegression::default()
        .alpha(penalty)
        .max_iterations(1_000)
        .gradient_tolerance(1e-8)
        .fit(&DatasetBase::new(records, targets))
        .ok()?;
    // Weights speak for the class that linfa calls positive, which is not always `true`.
    let sign = if fitted.labels().pos.class { 1.0 } else { -1.0 };
    let weights: [f64; N] = std::array::from_fn(|i| sign * fitted.params().get(i).copied().unwrap_or(f64::NAN));
    let intercept = sign * fitted.intercept();
    (intercept.is_finite() && weights.iter().all(|w| w.is_finite())).then_some((intercept, weights))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_finds_the_odds() {
        // 1 of 4 at 0, 3 of 4 at 1: log-odds -ln 3 and ln 3.
        let rows: Vec<[f64; 1]> = (0..8).map(|i| [if i < 4 { 0.0 } else { 1.0 }]).collect();
        let outcomes = [true, false, false, false, true, true, true, false];
        let (intercept, [weight]) = fit(&rows, &outcomes, 0.0).unwrap();
        assert!((intercept + 3.0_f64.ln()).abs() < 1e-4 && (weight - 2.0 * 3.0_f64.ln()).abs() < 1e-4, "{intercept} {weight}");
        assert_eq!(fit(&rows, &[true; 8], 0.0), None);
        assert_eq!(fit(&[[f64::NAN], [1.0]], &[true, false], 0.0), None);
        assert_eq!(fit::<1>(&[], &[], 0.0), None);
    }
}
