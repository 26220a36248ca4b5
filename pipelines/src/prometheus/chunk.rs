//! How a long range is asked for in pieces: aligned to the step, at most 10,000 points each (the server refuses above 11,000).

use bellwether_model::time::{Span, Timestamp};

/// Points a series in one request.
pub(super) const POINTS: i64 = 10_000;
/// How often a chunk that is too large or too slow is halved.
const HALVINGS: u8 = 6;

/// One request: `points` instants from `start`, `step` apart.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Chunk {
    pub(super) start: Timestamp,
    pub(super) step: Span,
    points: i64,
    halved: u8,
}

impl Chunk {
    /// The last instant asked for. Prometheus includes it, so the next chunk starts one step later.
    pub(super) fn end(&self) -> Timestamp {
        self.start + self.step.times(self.points - 1)
    }

    /// The same points in two requests; none when there is one point left or it was halved often enough.
    pub(super) fn halves(&self) -> Option<(Self, Self)> {
        if self.points < 2 || self.halved >= HALVINGS {
            return None;
        }
        let half = self.points / 2;
        let halved = self.halved + 1;
        let first = Self { points: half, halved, ..self.clone() };
        let second = Self { start: self.start + self.step.times(half), points: self.points - half, halved, ..self.clone() };
        Some((first, second))
    }
}

/// The chunks from the first multiple of `step` that is not before `start` to the last that is not after `end`, in order of time. None
/// when there is no such multiple or `step` is zero.
pub(super) fn chunks(start: Timestamp, end: Timestamp, step: Span) -> Vec<Chunk> {
    if step == Span::ZERO {
        return Vec::new();
    }
    let aligned = start.floor(step);
    let mut next = if aligned < start { aligned + step } else { aligned };
    let mut chunks = Vec::new();
    while next <= end {
        let points = (end.since(next).micros() / step.micros() + 1).min(POINTS);
        chunks.push(Chunk { start: next, step, points, halved: 0 });
        next = next + step.times(points);
    }
    chunks
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn instants(chunks: &[Chunk]) -> Vec<i64> {
        chunks.iter().flat_map(|c| (0..c.points).map(|i| (c.start + c.step.times(i)).micros())).collect()
    }

    proptest! {
        #[test]
        fn every_aligned_instant_is_asked_for_once(start in 0i64..10_000_000, length in 0i64..40_000, step in 1i64..120) {
            let (start, end, step) = (Timestamp::from_secs(start), Timestamp::from_secs(start + length), Span::from_secs(step));
            let chunks = chunks(start, end, step);
            let expected: Vec<i64> = (start.secs()..=end.secs()).filter(|s| s % step.secs() == 0).map(|s| s * 1_000_000).collect();
            prop_assert_eq!(instants(&chunks), expected);
            prop_assert!(chunks.iter().all(|c| c.points <= POINTS));
        }

        #[test]
        fn halves_are_the_whole(points in 2i64..10_000) {
            let whole = Chunk { start: Timestamp::from_secs(60), step: Span::from_secs(60), points, halved: 0 };
            let (first, second) = whole.halves().unwrap();
            prop_assert_eq!(first.end() + whole.step, second.start);
            prop_assert_eq!(instants(&[first, second]), instants(&[whole]));
        }
    }

    #[test]
    fn halving_ends() {
        let mut chunk = Chunk { start: Timestamp::EPOCH, step: Span::from_secs(1), points: POINTS, halved: 0 };
        let mut times = 0;
        while let Some((first, _)) = chunk.halves() {
            (chunk, times) = (first, times + 1);
        }
        assert_eq!(times, HALVINGS);
    }
}
