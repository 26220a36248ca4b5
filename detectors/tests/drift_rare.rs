//! Columns of many rare categories: replaced they have changed, drawn anew they have not.

#![allow(clippy::unwrap_used)] // tests

use bellwether_detectors::drift::measure::Measure;
use bellwether_detectors::drift::stream::Stream;
use bellwether_detectors::drift::{contingency, measure};

/// Values of skewed categories, the first of which are the most frequent.
fn sample(rows: usize, categories: usize, stream: &mut Stream) -> Vec<u64> {
    let mut counts = vec![0; categories];
    for _ in 0..rows {
        counts[((stream.share().powi(2) * categories as f64) as usize).min(categories - 1)] += 1;
    }
    counts
}

#[test]
fn rare_categories_that_were_all_replaced_have_changed() {
    let mut stream = Stream::new(11);
    let (before, now) = (sample(800, 300, &mut stream), sample(800, 300, &mut stream));
    let none = vec![0; 300];
    let (a, b) = ([before, none.clone()].concat(), [none, now].concat());
    for measure in [Measure::ChiSquare, Measure::G, Measure::JensenShannon] {
        let found = measure::categories(measure, &a, &b).unwrap();
        assert!(found.p_value < 1e-9 && found.value > measure.line(), "{measure}: {found:?}");
    }
}

#[test]
fn rare_categories_of_one_distribution_have_not() {
    let mut stream = Stream::new(5);
    for (rows, kinds) in [(800, 300), (800, 2_000), (200, 60)] {
        let mut alarms = 0;
        for _ in 0..200 {
            let (a, b) = (sample(rows, kinds, &mut stream), sample(rows / 2, kinds, &mut stream));
            alarms += usize::from(measure::categories(Measure::ChiSquare, &a, &b).unwrap().p_value <= 0.05);
        }
        assert!(alarms <= 18, "{alarms} of 200 for {rows} rows of {kinds}");
    }
    assert_eq!(contingency::sparse_p(&[1, 1, 1, 0, 0, 0], &[0, 0, 0, 1, 1, 1]), Some(1.0), "no value occurs twice on either side");
}
