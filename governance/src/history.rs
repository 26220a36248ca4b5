//! What the journal knows about one service, and the waits that follow from it.
//!
//! Every function takes `now`. A wait ends at a fixed instant, so a clock that goes backwards never shortens it: an
//! operation that seems to lie in the future still counts.

use bellwether_model::playbook::Operation;
use bellwether_model::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};

use crate::blueprint::Safety;

/// How far back the rate limit looks.
pub const RATE_WINDOW: Span = Span::from_hours(1);

/// What was done to a service and its objects, and how its breaker stands.
///
/// Holds every operation of at least the last [`RATE_WINDOW`] and of the cooldown, whoever asked for it, undo included.
/// It does not hold the operations of the execution that is being judged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// The operations, in any order.
    pub operations: Vec<PastOperation>,
    /// Failed verifications and ineffective outcomes since the last success.
    pub consecutive_failures: u32,
    /// The breaker.
    pub breaker: Breaker,
}

/// One operation that was sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastOperation {
    /// When.
    pub at: Timestamp,
    /// The object, as [`bellwether_model::plan::ObjectRef`] shows it.
    pub object: String,
    /// Whether it was a safety operation, which went through without waiting.
    pub safety: bool,
}

/// The state of a service's breaker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Breaker {
    /// Operations pass.
    #[default]
    Closed,
    /// Operations are blocked until the probe time has passed.
    Open {
        /// Since when.
        since: Timestamp,
    },
    /// One operation was let through to try, and its result is awaited; all others are blocked.
    HalfOpen {
        /// Since when.
        since: Timestamp,
    },
}

/// What happens to a breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerEvent {
    /// An operation was verified as effective.
    Succeeded,
    /// A verification failed, or an outcome was ineffective or harmful.
    Failed,
    /// An open breaker lets one operation through.
    ProbeStarted,
    /// A person closed it, with a reason that the audit keeps.
    Reset,
}

/// What a breaker says of the next operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerVerdict {
    /// It passes.
    Pass,
    /// It passes as the one probe: apply [`BreakerEvent::ProbeStarted`] in the transaction that lets it through.
    Probe,
    /// It is blocked for this long; for an awaited probe, until its result.
    Blocked {
        /// Time until a probe may pass; zero while a probe is under way.
        left: Span,
    },
}

/// Whether an operation restores safety: such operations never wait for cooldown, rate limit or breaker, and are recorded
/// as what they are. Undoing a step is one too, but is never admitted at all.
pub const fn is_safety(operation: Operation) -> bool {
    matches!(operation, Operation::RollbackRelease | Operation::CordonNode)
}

impl History {
    /// How long the service must still rest; zero when it need not. The last operation of any kind counts.
    pub fn cooldown_left(&self, limits: &Safety, now: Timestamp) -> Span {
        let last = self.operations.iter().map(|op| op.at).max();
        last.map_or(Span::ZERO, |last| remaining(last, limits.cooldown, now))
    }

    /// How many operations the last hour still permits. Operations that seem to lie in the future count too.
    pub fn rate_left(&self, limits: &Safety, now: Timestamp) -> u32 {
        let recent = self.recent(now).count();
        limits.max_operations_per_hour.saturating_sub(u32::try_from(recent).unwrap_or(u32::MAX))
    }

    /// How long until the rate permits an operation; zero when it does now.
    pub fn rate_wait(&self, limits: &Safety, now: Timestamp) -> Span {
        if self.rate_left(limits, now) > 0 {
            return Span::ZERO;
        }
        let mut recent: Vec<Timestamp> = self.recent(now).collect();
        recent.sort_unstable();
        // The operation whose leaving makes room: with n operations and room for m, the one with m-1 younger than it.
        let room = limits.max_operations_per_hour.max(1) as usize;
        recent.len().checked_sub(room).and_then(|i| recent.get(i)).map_or(RATE_WINDOW, |at| remaining(*at, RATE_WINDOW, now))
    }

    fn recent(&self, now: Timestamp) -> impl Iterator<Item = Timestamp> + '_ {
        self.operations.iter().map(|op| op.at).filter(move |at| remaining(*at, RATE_WINDOW, now) > Span::ZERO)
    }

    /// What the breaker says of the next operation.
    pub fn breaker_verdict(&self, limits: &Safety, now: Timestamp) -> BreakerVerdict {
        match self.breaker {
            Breaker::Closed => BreakerVerdict::Pass,
            Breaker::HalfOpen { .. } => BreakerVerdict::Blocked { left: Span::ZERO },
            Breaker::Open { since } => match remaining(since, limits.breaker_probe_after, now) {
                Span::ZERO => BreakerVerdict::Probe,
                left => BreakerVerdict::Blocked { left },
            },
        }
    }

    /// The breaker and the count of failures after an event.
    ///
    /// It opens at the limit of failures in a row; a probe that fails opens it anew; only success or a person closes it.
    #[must_use]
    pub fn breaker_after(&self, event: BreakerEvent, limits: &Safety, now: Timestamp) -> (Breaker, u32) {
        match (event, self.breaker) {
            (BreakerEvent::Succeeded | BreakerEvent::Reset, _) => (Breaker::Closed, 0),
            (BreakerEvent::Failed, breaker) => {
                let failures = self.consecutive_failures.saturating_add(1);
                let breaker = match breaker {
                    Breaker::Closed if failures >= limits.breaker_failures => Breaker::Open { since: now },
                    Breaker::HalfOpen { .. } => Breaker::Open { since: now },
                    other => other,
                };
                (breaker, failures)
            }
            (BreakerEvent::ProbeStarted, Breaker::Open { .. }) => (Breaker::HalfOpen { since: now }, self.consecutive_failures),
            (BreakerEvent::ProbeStarted, other) => (other, self.consecutive_failures),
        }
    }
}

/// What is left at `now` of a wait that began at `from`, which may lie in the future.
fn remaining(from: Timestamp, wait: Span, now: Timestamp) -> Span {
    (from + wait).since(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Safety = Safety {
        cooldown: Span::from_secs(60),
        max_operations_per_hour: 10,
        breaker_failures: 3,
        breaker_probe_after: Span::from_secs(600),
        min_confidence: 0.5,
        max_objects: 3,
    };

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(1_800_000_000 + secs)
    }

    fn done(times: &[i64]) -> History {
        let operations =
            times.iter().map(|t| PastOperation { at: at(*t), object: "InferenceService ml/iris".into(), safety: false }).collect();
        History { operations, ..History::default() }
    }

    #[test]
    fn a_service_rests_60_seconds() {
        let history = done(&[0]);
        for (now, left) in [(0, 60), (1, 59), (59, 1), (60, 0), (3_600, 0), (-1, 61), (-86_400, 86_460)] {
            assert_eq!(history.cooldown_left(&LIMITS, at(now)).secs(), left, "{now}");
        }
        assert_eq!(History::default().cooldown_left(&LIMITS, at(0)), Span::ZERO);
    }

    #[test]
    fn exactly_ten_operations_pass_in_any_hour() {
        let history = done(&[0, 100, 200, 300, 400, 500, 600, 700, 800, 900]);
        assert_eq!(done(&[0, 100, 200]).rate_left(&LIMITS, at(1_000)), 7);
        for (now, left, wait) in [(1_000, 0, 2_600), (3_599, 0, 1), (3_600, 1, 0), (3_700, 2, 0), (4_500, 10, 0), (-86_400, 0, 90_000)] {
            assert_eq!((history.rate_left(&LIMITS, at(now)), history.rate_wait(&LIMITS, at(now)).secs()), (left, wait), "{now}");
        }
    }

    #[test]
    fn three_failures_open_the_breaker_and_one_probe_tries_again() {
        let mut history = History::default();
        let apply = |history: &mut History, event, now| {
            (history.breaker, history.consecutive_failures) = history.breaker_after(event, &LIMITS, at(now))
        };
        for now in [0, 1] {
            apply(&mut history, BreakerEvent::Failed, now);
            assert_eq!(history.breaker_verdict(&LIMITS, at(now)), BreakerVerdict::Pass);
        }
        apply(&mut history, BreakerEvent::Failed, 2);
        assert_eq!(history.breaker, Breaker::Open { since: at(2) });
        assert_eq!(history.breaker_verdict(&LIMITS, at(100)), BreakerVerdict::Blocked { left: Span::from_secs(502) });
        assert_eq!(
            history.breaker_verdict(&LIMITS, at(-100)),
            BreakerVerdict::Blocked { left: Span::from_secs(702) },
            "a clock that went back"
        );
        assert_eq!(history.breaker_verdict(&LIMITS, at(602)), BreakerVerdict::Probe);
        apply(&mut history, BreakerEvent::ProbeStarted, 602);
        assert_eq!(history.breaker_verdict(&LIMITS, at(9_999)), BreakerVerdict::Blocked { left: Span::ZERO }, "one probe at a time");
        apply(&mut history, BreakerEvent::Failed, 700);
        assert_eq!(history.breaker, Breaker::Open { since: at(700) });
        apply(&mut history, BreakerEvent::ProbeStarted, 1_300);
        apply(&mut history, BreakerEvent::Succeeded, 1_400);
        assert_eq!((history.breaker, history.consecutive_failures), (Breaker::Closed, 0));
    }

    #[test]
    fn success_between_failures_starts_the_count_anew_and_a_person_may_reset() {
        let mut history = History { consecutive_failures: 2, ..History::default() };
        (history.breaker, history.consecutive_failures) = history.breaker_after(BreakerEvent::Succeeded, &LIMITS, at(0));
        assert_eq!(history.breaker_after(BreakerEvent::Failed, &LIMITS, at(1)), (Breaker::Closed, 1));
        let open = History { breaker: Breaker::Open { since: at(0) }, consecutive_failures: 5, ..History::default() };
        assert_eq!(
            open.breaker_after(BreakerEvent::Failed, &LIMITS, at(9)),
            (Breaker::Open { since: at(0) }, 6),
            "a late failure does not prolong the wait"
        );
        assert_eq!(open.breaker_after(BreakerEvent::Reset, &LIMITS, at(1)), (Breaker::Closed, 0));
    }

    proptest::proptest! {
        #[test]
        fn a_clock_that_goes_backwards_never_shortens_a_wait(times in proptest::collection::vec(0i64..7_200, 0..20), now in 0i64..7_200, back in 0i64..100_000) {
            let history = done(&times);
            let (early, late) = (at(now - back), at(now));
            proptest::prop_assert!(history.cooldown_left(&LIMITS, early) >= history.cooldown_left(&LIMITS, late));
            proptest::prop_assert!(history.rate_left(&LIMITS, early) <= history.rate_left(&LIMITS, late));
            proptest::prop_assert_eq!(history.rate_wait(&LIMITS, late) == Span::ZERO, history.rate_left(&LIMITS, late) > 0);
            let wait = history.rate_wait(&LIMITS, late);
            proptest::prop_assert!(history.rate_left(&LIMITS, late + wait) > 0);
        }

        #[test]
        fn asking_and_doing_never_exceeds_ten_in_any_hour(asks in proptest::collection::vec(0i64..900, 0..80)) {
            let (mut history, mut now, mut passed) = (History::default(), 0, Vec::new());
            for pause in asks {
                now += pause;
                if history.rate_left(&LIMITS, at(now)) > 0 && history.cooldown_left(&LIMITS, at(now)) == Span::ZERO {
                    history.operations.push(PastOperation { at: at(now), object: String::new(), safety: false });
                    passed.push(now);
                }
            }
            for (i, t) in passed.iter().enumerate() {
                proptest::prop_assert!(passed[i..].iter().filter(|u| **u < t + 3_600).count() <= 10);
                proptest::prop_assert!(passed.get(i + 1).is_none_or(|next| next - t >= 60));
            }
        }
    }
}
