//! The scoring of the Numenta Anomaly Benchmark (Lavin & Ahmad, *Evaluating Real-time Anomaly Detection Algorithms*, 2015).
//!
//! The first alarm in a labelled window earns the more the earlier it comes; a window without one costs; a false alarm
//! costs the less the closer it follows a window. 100 is every window found at its first point without a false alarm, 0 is
//! a detector that never speaks. Details that decide the second digit:
//! * points of the probation, the first `min(0.15 n, 750)`, neither earn nor cost;
//! * of the alarms in a window the one that earns most counts;
//! * an alarm after a window is weighed by its distance from the window's right end over the window's width less one
//!   point; it costs in full beyond three of them, and before the first window;
//! * a score at the threshold is an alarm.

use super::labelled::LabelledSeries;

/// What an alarm earns and costs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Profile {
    /// The profile's name in NAB.
    pub name: &'static str,
    /// What an alarm at the beginning of a window earns.
    pub true_positive: f64,
    /// What an alarm far from any window costs.
    pub false_positive: f64,
    /// What a window without alarm costs.
    pub false_negative: f64,
}

/// The three profiles of NAB.
pub const PROFILES: [Profile; 3] = [
    Profile { name: "standard", true_positive: 1.0, false_positive: 0.11, false_negative: 1.0 },
    Profile { name: "reward_low_FP_rate", true_positive: 1.0, false_positive: 0.22, false_negative: 1.0 },
    Profile { name: "reward_low_FN_rate", true_positive: 1.0, false_positive: 0.11, false_negative: 2.0 },
];

/// How many of a series' first points are only there to learn from.
pub fn probation(points: usize) -> usize {
    (points * 15 / 100).min(750)
}

/// A threshold, and the score of NAB that it gives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fit {
    /// Alarms are scores at or above this; infinite where silence is best.
    pub threshold: f64,
    /// At most 100; 0 is silence.
    pub score: f64,
}

/// What a point is worth.
#[derive(Clone, Copy, Debug)]
enum Worth {
    /// In the series' window of this number: what an alarm here earns, from 1 at its beginning down to almost 0.
    In(usize, f64),
    /// Outside: what an alarm costs, from -1 up to 0, in units of the profile.
    Out(f64),
}

/// 1 far to the left, 0 at 0, -1 far to the right.
fn sigmoid(x: f64) -> f64 {
    if x > 3.0 { -1.0 } else { 2.0 / (1.0 + (5.0 * x).exp()) - 1.0 }
}

/// The worth of each point after the probation, with its position.
fn worths(series: &LabelledSeries) -> impl Iterator<Item = (usize, Worth)> + '_ {
    let n = series.values.len();
    (probation(n)..n).map(|i| {
        let next = series.events.partition_point(|e| e.end <= i);
        let worth = match series.events.get(next).filter(|e| e.contains(&i)) {
            Some(event) => {
                let position = -((event.end - i) as f64) / event.len() as f64;
                Worth::In(next, sigmoid(position) / sigmoid(-1.0))
            }
            None => Worth::Out(match next.checked_sub(1).map(|last| &series.events[last]) {
                Some(event) => sigmoid((i + 1 - event.end) as f64 / (event.len().max(2) - 1) as f64),
                None => -1.0,
            }),
        };
        (i, worth)
    })
}

/// The sum over some series of what a threshold earns, and how many windows they have.
///
/// `scores` has one slice for each series, as long as its values.
pub fn raw(series: &[&LabelledSeries], scores: &[&[f64]], profile: &Profile, threshold: f64) -> (f64, usize) {
    let (mut sum, mut windows) = (0.0, 0);
    for (series, scores) in series.iter().zip(scores) {
        let mut best = vec![-profile.false_negative; series.events.len()];
        for (_, worth) in worths(series).filter(|(i, _)| scores[*i] >= threshold) {
            match worth {
                Worth::In(window, share) => best[window] = best[window].max(share * profile.true_positive),
                Worth::Out(share) => sum += share * profile.false_positive,
            }
        }
        sum += best.iter().sum::<f64>();
        windows += series.events.len();
    }
    (sum, windows)
}

/// A sum of [`raw`] on the scale from 0 (silence) to 100 (perfect); 0 where there are no windows.
pub fn normalised(raw: f64, windows: usize, profile: &Profile) -> f64 {
    let windows = windows as f64;
    let silence = -profile.false_negative * windows;
    if windows == 0.0 { 0.0 } else { 100.0 * (raw - silence) / (profile.true_positive * windows - silence) }
}

/// The threshold that gives the best score on these series: the highest of several.
pub fn fit(series: &[&LabelledSeries], scores: &[&[f64]], profile: &Profile) -> Fit {
    let mut first_window = 0;
    let mut points: Vec<(f64, Worth)> = Vec::new();
    for (series, scores) in series.iter().zip(scores) {
        points.extend(worths(series).filter(|(i, _)| !scores[*i].is_nan()).map(|(i, worth)| match worth {
            Worth::In(window, share) => (scores[i], Worth::In(first_window + window, share)),
            Worth::Out(share) => (scores[i], Worth::Out(share)),
        }));
        first_window += series.events.len();
    }
    points.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut earned = vec![-profile.false_negative; first_window];
    let mut sum = -profile.false_negative * first_window as f64;
    let (mut best, mut threshold) = (sum, f64::INFINITY);
    for (k, (score, worth)) in points.iter().enumerate() {
        match worth {
            Worth::In(window, share) => {
                let gain = (share * profile.true_positive - earned[*window]).max(0.0);
                earned[*window] += gain;
                sum += gain;
            }
            Worth::Out(share) => sum += share * profile.false_positive,
        }
        if sum > best && points.get(k + 1).is_none_or(|next| next.0 < *score) {
            (best, threshold) = (sum, *score);
        }
    }
    Fit { threshold, score: normalised(best, first_window, profile) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 100 points, probation 15, one window of ten points at 50.
    fn series() -> LabelledSeries {
        LabelledSeries { name: "s".into(), ts: (0..100).collect(), values: vec![0.0; 100], events: std::iter::once(50..60).collect() }
    }

    fn score(alarms: &[usize], profile: &Profile) -> f64 {
        let mut scores = vec![0.0; 100];
        alarms.iter().for_each(|i| scores[*i] = 1.0);
        let series = series();
        let (sum, windows) = raw(&[&series], &[&scores], profile, 0.5);
        let at_threshold = normalised(sum, windows, profile);
        let fitted = fit(&[&series], &[&scores], profile);
        assert!((fitted.score - at_threshold.max(0.0).max(fitted.score)).abs() < 1e-12);
        at_threshold
    }

    #[test]
    fn by_hand() {
        let [standard, low_fp, low_fn] = &PROFILES;
        assert_eq!(score(&[], standard), 0.0);
        assert_eq!(score(&[50], standard), 100.0);
        assert_eq!(score(&[0, 14, 50, 51, 59], standard), 100.0);
        // Far before the window: 0.11 of the two points between silence and perfection; in the probation nothing.
        assert!((score(&[15, 50], standard) - (100.0 - 5.5)).abs() < 1e-9);
        assert!((score(&[15, 50], low_fp) - (100.0 - 11.0)).abs() < 1e-9);
        assert!((score(&[15], low_fn) + 100.0 * 0.11 / 3.0).abs() < 1e-9);
        // The last point of the window is a tenth of its width before its end: (2/(1+e^-0.5)-1) / (2/(1+e^-5)-1).
        let late = 0.244_918_662_403_709_1 / 0.986_614_298_151_430_3;
        assert!((score(&[59], standard) - 100.0 * (1.0 + late) / 2.0).abs() < 1e-9);
        // Nine points beyond its right end is one width: 2/(1+e^5)-1 of the cost; twenty-eight is beyond three.
        assert!((score(&[50, 68], standard) - (100.0 - 5.5 * 0.986_614_298_151_430_3)).abs() < 1e-9);
        assert!((score(&[50, 87], standard) - (100.0 - 5.5)).abs() < 1e-9);
    }

    #[test]
    fn the_best_threshold_is_found_among_ties() {
        let series = series();
        let mut scores = vec![0.1; 100];
        (scores[20], scores[55], scores[50], scores[30]) = (0.9, 0.8, 0.7, f64::NAN);
        let fitted = fit(&[&series], &[&scores], &PROFILES[0]);
        assert_eq!((fitted.threshold, fitted.score), (0.7, 94.5));
        assert_eq!(fit(&[&series], &[&[0.5; 100]], &PROFILES[1]).threshold, f64::INFINITY);
    }
}
