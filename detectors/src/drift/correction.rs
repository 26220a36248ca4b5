//! Many tests at once (Benjamini & Hochberg, 1995).

/// The smallest rate of false discoveries at which each hypothesis is rejected: at most a share `q` of those with at most `q` is expected
/// to be wrong. NaN gives 1.
pub fn adjusted(p_values: &[f64]) -> Vec<f64> {
    let order = ascending(p_values);
    let tests = order.len() as f64;
    let mut adjusted = vec![1.0; p_values.len()];
    let mut least = 1.0_f64;
    for (rank, i) in order.iter().enumerate().rev() {
        least = least.min(p_values[*i] * tests / (rank + 1) as f64);
        adjusted[*i] = least;
    }
    adjusted
}

/// Adjusted so that the probability of even one wrong rejection is the level (Holm, 1979). NaN gives 1.
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let order = ascending(p_values);
    let mut adjusted = vec![1.0; p_values.len()];
    let mut largest = 0.0_f64;
    for (rank, i) in order.iter().enumerate() {
        largest = largest.max(p_values[*i] * (order.len() - rank) as f64).min(1.0);
        adjusted[*i] = largest;
    }
    adjusted
}

/// The places of p-values that are numbers, smallest first.
fn ascending(p_values: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..p_values.len()).filter(|i| !p_values[*i].is_nan()).collect();
    order.sort_by(|a, b| p_values[*a].total_cmp(&p_values[*b]));
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the paper's section 3.2: Bonferroni rejects three of fifteen, this procedure four.
    #[test]
    fn the_papers_example() {
        let p = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0];
        assert_eq!(adjusted(&p).iter().filter(|p| **p <= 0.05).count(), 4);
        assert!(adjusted(&[]).is_empty());
    }

    /// scipy and statsmodels: `false_discovery_control` and Holm's method.
    #[test]
    fn adjusted_values_decide_alike() {
        let p = [0.01, 0.04, f64::NAN, 0.03, 0.005];
        let close = |got: Vec<f64>, want: [f64; 5]| assert!(got.iter().zip(want).all(|(g, w)| (g - w).abs() < 1e-12), "{got:?}");
        close(adjusted(&p), [0.02, 0.04, 1.0, 0.04, 0.02]);
        close(holm(&p), [0.03, 0.06, 1.0, 0.06, 0.02]);
    }
}
