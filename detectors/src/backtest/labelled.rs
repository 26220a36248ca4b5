//! A series that somebody has looked through: its values, and where the anomalies are.

use std::ops::Range;

/// A series with its labelled events.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LabelledSeries {
    /// What it is called in reports, such as the path of its file.
    pub name: String,
    /// Times, microseconds since the epoch.
    pub ts: Vec<i64>,
    /// Values; as many as times. NaN and infinities may occur and are scored 0.
    pub values: Vec<f64>,
    /// Labelled events as positions, in order, not overlapping.
    pub events: Vec<Range<usize>>,
}

impl LabelledSeries {
    /// A series whose events are given as intervals of time, both ends included (NAB's windows). Intervals without a point are left
    /// out; those that overlap are one event.
    pub fn with_intervals(name: String, ts: Vec<i64>, values: Vec<f64>, intervals: &[(i64, i64)]) -> Self {
        let events = intervals.iter().filter_map(|(from, to)| {
            let first = ts.iter().position(|t| t >= from)?;
            let last = ts.iter().rposition(|t| t <= to)?;
            (first <= last).then_some(first..last + 1)
        });
        let mut sorted: Vec<Range<usize>> = events.collect();
        sorted.sort_by_key(|e| e.start);
        let mut events: Vec<Range<usize>> = Vec::with_capacity(sorted.len());
        for event in sorted {
            match events.last_mut() {
                Some(last) if event.start < last.end => last.end = last.end.max(event.end),
                _ => events.push(event),
            }
        }
        Self { name, ts, values, events }
    }

    /// A series whose every point is labelled: an event is a run of labelled points.
    pub fn with_flags(name: String, ts: Vec<i64>, values: Vec<f64>, flags: &[bool]) -> Self {
        let mut events: Vec<Range<usize>> = Vec::new();
        for (i, _) in flags.iter().enumerate().filter(|(_, flag)| **flag) {
            match events.last_mut() {
                Some(event) if event.end == i => event.end = i + 1,
                _ => events.push(i..i + 1),
            }
        }
        Self { name, ts, values, events }
    }

    /// The group it belongs to: its name up to the first slash, which is a folder or a metric; empty where there is none.
    pub fn group(&self) -> &str {
        self.name.split_once('/').map_or("", |(group, _)| group)
    }

    /// Whether each point belongs to an event.
    pub fn flags(&self) -> Vec<bool> {
        let mut flags = vec![false; self.values.len()];
        for event in &self.events {
            flags[event.clone()].fill(true);
        }
        flags
    }

    /// How long the series is, in days; 0 for fewer than two points.
    pub fn days(&self) -> f64 {
        match (self.ts.first(), self.ts.last()) {
            (Some(first), Some(last)) => last.saturating_sub(*first).max(0) as f64 / 86_400e6,
            _ => 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_from_intervals_and_from_flags() {
        let ts: Vec<i64> = (0..10).map(|i| i * 10).collect();
        let series = LabelledSeries::with_intervals("a".into(), ts.clone(), vec![0.0; 10], &[(65, 70), (15, 30), (66, 80), (31, 39)]);
        assert_eq!(series.events, [2..4, 7..9]);
        let again = LabelledSeries::with_flags("a".into(), ts, vec![0.0; 10], &series.flags());
        assert_eq!(series, again);
    }
}
