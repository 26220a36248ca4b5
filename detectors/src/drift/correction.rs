//! Many tests at once (Benjamini & Hochberg, 1995).

/// Which hypotheses are rejected so that at most a share `q` of the rejections is expected to be wrong. NaN never is.
pub fn benjamini_hochberg(p_values: &[f64], q: f64) -> Vec<bool> {
    let mut order: Vec<usize> = (0..p_values.len()).filter(|i| !p_values[*i].is_nan()).collect();
    order.sort_by(|a, b| p_values[*a].total_cmp(&p_values[*b]));
    let tests = order.len() as f64;
    let passed = order.iter().enumerate().rposition(|(rank, i)| p_values[*i] <= q * (rank + 1) as f64 / tests).map_or(0, |rank| rank + 1);
    let mut rejected = vec![false; p_values.len()];
    for i in &order[..passed] {
        rejected[*i] = true;
    }
    rejected
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the paper's section 3.2: Bonferroni rejects three of fifteen, this procedure four.
    #[test]
    fn the_papers_example() {
        let p = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0];
        assert_eq!(benjamini_hochberg(&p, 0.05).iter().filter(|r| **r).count(), 4);
        assert_eq!(benjamini_hochberg(&[0.04, f64::NAN, 0.03], 0.05), [true, false, true]);
        assert!(benjamini_hochberg(&[], 0.05).is_empty());
    }
}
