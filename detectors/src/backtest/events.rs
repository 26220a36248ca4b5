//! Events found, missed and invented.
//!
//! An event is found by any alarm from [`BEFORE`] points before it to [`AFTER`] points after it. Alarms elsewhere are false;
//! those at most [`APART`] points from the one before are one false alarm, because a person is called once. Were nothing
//! else asked, an alarm that never ends would be one mistake that finds everything: so thresholds are only looked for among the
//! highest tenth of scores.

use super::labelled::LabelledSeries;

/// An alarm this many points before an event still finds it.
pub const BEFORE: usize = 1;
/// An alarm this many points after an event still finds it.
pub const AFTER: usize = 3;
/// The score at which detectors decide.
pub const LINE: f64 = 1.0;
/// False alarms at most this many points apart are one.
pub const APART: usize = 3;

/// What alarms were worth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Events found.
    pub found: usize,
    /// Events there are.
    pub events: usize,
    /// False alarms, grouped.
    pub invented: usize,
}

impl Counts {
    /// Share of alarms that belong to an event, 1 without any alarm.
    pub fn precision(&self) -> f64 {
        share(self.found, self.found + self.invented)
    }
    /// Share of events that were found, 1 without any event.
    pub fn recall(&self) -> f64 {
        share(self.found, self.events)
    }
    /// Harmonic mean of precision and recall.
    pub fn f1(&self) -> f64 {
        share(2 * self.found, self.found + self.invented + self.events)
    }
    /// Adds those of another series.
    pub fn add(&mut self, other: Self) {
        self.found += other.found;
        self.events += other.events;
        self.invented += other.invented;
    }
}

fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 { 1.0 } else { part as f64 / whole as f64 }
}

/// The number of the event that an alarm at each point finds; the earlier where two claim it; `None` where it is false.
pub fn claims(series: &LabelledSeries) -> Vec<Option<u32>> {
    let n = series.values.len();
    let mut claims = vec![None; n];
    for (k, event) in series.events.iter().enumerate().rev() {
        claims[event.start.saturating_sub(BEFORE)..(event.end + AFTER).min(n)].fill(Some(k as u32));
    }
    for (k, event) in series.events.iter().enumerate() {
        claims[event.clone()].fill(Some(k as u32));
    }
    claims
}

/// What scores at or above a threshold were worth.
pub fn counts(series: &LabelledSeries, scores: &[f64], threshold: f64) -> Counts {
    Claims::new(series).count(scores, threshold)
}

/// The threshold with the best F1 over all events of some series (the highest of several), and that F1.
///
/// Tried are the scores of rank 1, 2, 3, … up to 64, and then each a twentieth further down, as long as no more than the tenth
/// part of all points are alarms: who calls more often is not listened to. The decision line is tried in any case, because a detector whose
/// scores end in a plateau, such as a bound's, has no other.
pub fn fit(series: &[&LabelledSeries], scores: &[&[f64]]) -> (f64, f64) {
    let mut ranked: Vec<f64> = scores.iter().flat_map(|s| s.iter().copied()).filter(|s| s.is_finite()).collect();
    ranked.sort_by(|a, b| b.total_cmp(a));
    let mut claims: Vec<Claims> = series.iter().map(|s| Claims::new(s)).collect();
    let mut f1 = |threshold: f64| {
        let mut total = Counts::default();
        claims.iter_mut().zip(scores).for_each(|(claims, scores)| total.add(claims.count(scores, threshold)));
        total.f1()
    };
    let (mut threshold, mut best) = (f64::INFINITY, f1(f64::INFINITY));
    // A detector that always alarms has no line at all.
    if ranked.last().is_some_and(|lowest| *lowest < LINE) {
        let at_line = f1(LINE);
        (threshold, best) = if at_line > best { (LINE, at_line) } else { (threshold, best) };
    }
    let most = ranked.len().div_ceil(10);
    let mut rank = 0;
    while rank < most {
        let tried = ranked[rank];
        // Past all that are equal to it.
        let end = rank + ranked[rank..].partition_point(|s| *s >= tried);
        if end > most {
            break;
        }
        let f1 = f1(tried);
        (threshold, best) = if f1 > best { (tried, f1) } else { (threshold, best) };
        rank = end.max(rank + 1 + if rank < 64 { 0 } else { rank / 20 });
    }
    (threshold, best)
}

/// Which event an alarm at each point finds.
struct Claims {
    claims: Vec<Option<u32>>,
    found: Vec<bool>,
}

impl Claims {
    fn new(series: &LabelledSeries) -> Self {
        Self { claims: claims(series), found: vec![false; series.events.len()] }
    }

    fn count(&mut self, scores: &[f64], threshold: f64) -> Counts {
        self.found.fill(false);
        let (mut invented, mut called_until) = (0, None);
        for (i, _) in scores.iter().enumerate().filter(|(_, s)| **s >= threshold) {
            match self.claims[i] {
                Some(event) => self.found[event as usize] = true,
                None => {
                    invented += usize::from(called_until.is_none_or(|until| i > until));
                    called_until = Some(i + APART);
                }
            }
        }
        Counts { found: self.found.iter().filter(|f| **f).count(), events: self.found.len(), invented }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series() -> LabelledSeries {
        LabelledSeries { name: "s".into(), ts: (0..40).collect(), values: vec![0.0; 40], events: vec![10..12, 30..31] }
    }

    #[test]
    fn by_hand() {
        let series = series();
        let count = |alarms: &[usize]| {
            let mut scores = vec![0.0; 40];
            alarms.iter().for_each(|i| scores[*i] = 1.0);
            counts(&series, &scores, 0.5)
        };
        assert_eq!(count(&[]), Counts { found: 0, events: 2, invented: 0 });
        assert_eq!(count(&[9, 14, 33]), Counts { found: 2, events: 2, invented: 0 });
        assert_eq!(count(&[8, 15, 18, 19, 25, 28]), Counts { found: 0, events: 2, invented: 3 });
        assert_eq!(count(&[10, 20]).f1(), 0.5);
    }

    #[test]
    fn the_best_threshold_weighs_both_errors() {
        let series = series();
        let mut scores = vec![0.0; 40];
        (scores[10], scores[30], scores[20]) = (0.9, 0.3, 0.5);
        assert_eq!(fit(&[&series], &[&scores]), (0.3, 0.8));
        assert_eq!(fit(&[&series], &[&[1.0; 40]]), (f64::INFINITY, 0.0));
        // A plateau of more than a tenth, which finds everything.
        let mut plateau = vec![0.0; 40];
        plateau[9..13].fill(100.0);
        plateau[30..34].fill(100.0);
        assert_eq!(fit(&[&series], &[&plateau]), (LINE, 1.0));
        assert_eq!(fit(&[], &[]), (f64::INFINITY, 1.0));
    }
}
