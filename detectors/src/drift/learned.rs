//! Lines that are learned: what a statistic is between chunks of the reference tells what it is without drift.

use serde::{Deserialize, Serialize};

use crate::band::is_measurement;
use crate::drift::measure::{self, Measure};
use crate::drift::order::sorted;

/// Fewer chunks than this teach nothing.
pub const CHUNKS: usize = 3;

/// The usual range of a statistic.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Usual {
    /// Its mean over the chunks.
    pub mean: f64,
    /// Its standard deviation, with one degree of freedom less than there are chunks.
    pub deviation: f64,
    /// Mean − width · deviation, but not below 0.
    pub lower: f64,
    /// Mean + width · deviation: the line.
    pub upper: f64,
    /// How many chunks it was learned from.
    pub chunks: usize,
}

/// Learns a range from a statistic's values over chunks; `width` in deviations, usually 3. `None` from fewer than [`CHUNKS`] finite values.
pub fn learn(statistics: &[f64], width: f64) -> Option<Usual> {
    let finite: Vec<f64> = statistics.iter().copied().filter(|v| v.is_finite()).collect();
    if finite.len() < CHUNKS || !width.is_finite() {
        return None;
    }
    let count = finite.len() as f64;
    let mean = finite.iter().sum::<f64>() / count;
    let deviation = (finite.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (count - 1.0)).sqrt();
    let (lower, upper) = ((mean - width * deviation).max(0.0), mean + width * deviation);
    (mean.is_finite() && upper.is_finite()).then_some(Usual { mean, deviation, lower, upper, chunks: finite.len() })
}

/// The usual effect of a measure between chunks of numbers and the rest of the reference; its upper end is the line for chunks of that size
/// ([`crate::drift::examine::Settings`]). `psi_bins` as there. Values that are not finite are passed over.
pub fn usual_effect(measure: Measure, chunks: &[&[f64]], psi_bins: usize, width: f64) -> Option<Usual> {
    let finite: Vec<Vec<f64>> = chunks.iter().map(|c| c.iter().copied().filter(|v| is_measurement(*v)).collect()).collect();
    let finite: Vec<&[f64]> = finite.iter().map(Vec::as_slice).collect();
    learn(&over_chunks(&finite, |others, chunk| measure::numbers(measure, others, chunk, psi_bins).map(|s| s.value)), width)
}

/// The statistic of each chunk against all others together, which it gets as two sorted lists: the others, the chunk. Chunks in which it
/// has no value are left out.
pub fn over_chunks(chunks: &[&[f64]], statistic: impl Fn(&[f64], &[f64]) -> Option<f64>) -> Vec<f64> {
    let one = |i: usize| {
        let others: Vec<f64> = chunks.iter().enumerate().filter(|(j, _)| *j != i).flat_map(|(_, c)| c.iter().copied()).collect();
        statistic(&sorted(&others), &sorted(chunks[i]))
    };
    (0..chunks.len()).filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drift::ks;
    use crate::drift::stream::Stream;

    #[test]
    fn a_line_is_what_chunks_do_not_cross() {
        let mut stream = Stream::new(11);
        let mut sample = |n: usize, shift: f64| (0..n).map(|_| stream.normal() + shift).collect::<Vec<f64>>();
        let chunks: Vec<Vec<f64>> = (0..20).map(|_| sample(500, 0.0)).collect();
        let slices: Vec<&[f64]> = chunks.iter().map(Vec::as_slice).collect();
        let usual = learn(&over_chunks(&slices, ks::of_sorted), 3.0).unwrap();
        let reference = sorted(&chunks.concat());
        let distance = |values: &[f64]| ks::of_sorted(&reference, &sorted(values)).unwrap();
        assert!(distance(&sample(500, 0.0)) < usual.upper && distance(&sample(500, 0.3)) > usual.upper, "{usual:?}");
        assert_eq!(usual.chunks, 20);
        let by_measure = usual_effect(Measure::KolmogorovSmirnov, &slices, 10, 3.0);
        assert_eq!(by_measure, Some(usual));
        for measure in Measure::ALL.into_iter().filter(|m| m.takes_numbers()) {
            let usual = usual_effect(measure, &slices, 10, 3.0).unwrap();
            assert!(usual.upper > usual.mean && usual.upper < measure.line() * 1.5, "{measure} {usual:?}");
        }
    }

    #[test]
    fn known_answers_and_too_little() {
        let usual = learn(&[1.0, 2.0, 3.0], 3.0).unwrap();
        assert_eq!((usual.mean, usual.deviation, usual.lower, usual.upper), (2.0, 1.0, 0.0, 5.0));
        assert_eq!((learn(&[1.0, 2.0], 3.0), learn(&[1.0, f64::NAN, 2.0], 3.0), learn(&[1.0; 3], f64::NAN)), (None, None, None));
        assert!(over_chunks(&[&[1.0], &[]], ks::of_sorted).is_empty());
    }
}
