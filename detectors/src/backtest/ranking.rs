//! How well scores put labelled points first, whatever the threshold.

/// Average precision: the mean over labelled points of the precision at their score, ties taken together (Zhu, 2004; the same
/// as scikit-learn's). `None` without a labelled point; a score that is NaN ranks last.
pub fn average_precision(points: impl IntoIterator<Item = (f64, bool)>) -> Option<f64> {
    let mut points: Vec<(f64, bool)> = points.into_iter().map(|(s, y)| (if s.is_nan() { f64::NEG_INFINITY } else { s }, y)).collect();
    let labelled = points.iter().filter(|(_, y)| *y).count();
    if labelled == 0 {
        return None;
    }
    points.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (mut sum, mut seen, mut hits, mut from) = (0.0, 0, 0, 0);
    while from < points.len() {
        let ties = points[from..].iter().take_while(|(s, _)| *s == points[from].0).count();
        let found = points[from..from + ties].iter().filter(|(_, y)| *y).count();
        (from, seen, hits) = (from + ties, seen + ties, hits + found);
        sum += found as f64 * hits as f64 / seen as f64;
    }
    Some(sum / labelled as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        let ap = |scores: &[f64], labels: &[u8]| average_precision(scores.iter().copied().zip(labels.iter().map(|l| *l == 1)));
        assert_eq!(ap(&[0.9, 0.1], &[1, 0]), Some(1.0));
        assert_eq!(ap(&[0.9, 0.1], &[0, 1]), Some(0.5));
        assert_eq!(ap(&[0.9, 0.8, 0.7, 0.6], &[1, 0, 1, 0]), Some((1.0 + 2.0 / 3.0) / 2.0));
        assert_eq!(ap(&[0.5; 4], &[1, 0, 0, 0]), Some(0.25));
        assert_eq!(ap(&[f64::NAN, 0.0], &[1, 0]), Some(0.5));
        assert_eq!((ap(&[0.5], &[0]), ap(&[], &[])), (None, None));
    }
}
