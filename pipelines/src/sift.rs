//! What a round tells of its signals, and what it keeps to itself.
//!
//! Every signal is stored. One that maintenance or a key of its rule holds back ([`bellwether_detectors::silence`]) makes no incident,
//! so nobody is told of it, and each such suppression is a row. When its cause ends first, the signal is told in that round. A signal
//! that was told stays told: what begins later does not silence it.

use std::collections::{BTreeMap, BTreeSet};

use bellwether_detectors::detect::Evaluation;
use bellwether_detectors::rule::Rule;
use bellwether_detectors::silence::{self, Life};
use bellwether_model::id::{Fingerprint, RuleName, SignalId};
use bellwether_model::signal::Signal;
use bellwether_model::suppression::{Suppression, SuppressionState};
use bellwether_model::time::{Span, Timestamp};
use bellwether_sql::literal::instant;
use bellwether_sql::{Session, SqlError};
use serde::Deserialize;

use crate::maintenance::Maintenance;

/// By what signals are held back.
#[derive(Clone, Copy, Debug)]
pub struct Sieve<'a> {
    /// The rules that judge, with their keys.
    pub rules: &'a [Rule],
    /// Maintenance windows.
    pub windows: &'a [Maintenance],
}

/// What was known before the round.
#[derive(Clone, Debug, Default)]
pub struct Before {
    /// Signals that are open, in their newest state.
    pub open: Vec<Signal>,
    /// Of those, the ones that are not told.
    pub silenced: Vec<Suppression>,
    /// Lives of signals that are over, by fingerprint: as far back as [`Sieve::reaches_back_to`] says.
    pub past: BTreeMap<Fingerprint, Vec<Life>>,
}

/// The signals of a round, sifted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sifted {
    /// All transitions, told or not.
    pub signals: Vec<Signal>,
    /// What incidents are made of: the transitions of signals that are told, and those that were held back until now.
    pub told: Vec<Signal>,
    /// Transitions of suppressions.
    pub suppressions: Vec<Suppression>,
    /// How many signals are open and not told now.
    pub silent: usize,
}

impl Sieve<'_> {
    /// How far back the lives of earlier signals matter, given the signals that were not told and the transitions of the round.
    pub fn reaches_back_to(&self, silenced: &[Suppression], transitions: &[Signal]) -> Option<Timestamp> {
        let opened = silenced.iter().map(|s| s.since).chain(transitions.iter().map(|s| s.opened_at)).min()?;
        Some(opened - self.rules.iter().map(silence::reach).max().unwrap_or(Span::ZERO))
    }

    /// Sifts the transitions of a round, in order of time.
    pub fn sift(&self, mut before: Before, transitions: Vec<Signal>, at: &Evaluation) -> Sifted {
        let rules: BTreeMap<&RuleName, &Rule> = self.rules.iter().map(|r| (&r.name, r)).collect();
        let newest = newest(&before.open, &transitions);
        for signal in newest.values().filter(|s| !s.is_open()) {
            before.past.entry(signal.fingerprint.clone()).or_default().push(Life::of(signal));
        }
        let was_open: BTreeSet<&SignalId> = before.open.iter().map(|s| &s.signal_id).collect();
        let silenced: BTreeMap<&SignalId, &Suppression> = before.silenced.iter().map(|s| (&s.signal_id, s)).collect();
        let fresh = transitions.iter().map(|s| &s.signal_id).filter(|id| !was_open.contains(id));
        let doubtful: BTreeSet<&SignalId> = fresh.chain(silenced.keys().copied().filter(|id| newest.contains_key(id))).collect();

        let (mut held, mut released) = (BTreeSet::new(), Vec::new());
        let mut sifted = Sifted::default();
        for id in doubtful {
            let (signal, known) = (newest[id], silenced.get(id).copied());
            let life = Life::of(signal);
            let earlier = before.past.get(&signal.fingerprint).map_or(&[][..], Vec::as_slice);
            let mut holds = rules.get(&signal.rule).map(|rule| silence::holds(rule, earlier, signal.opened_at)).unwrap_or_default();
            let to = signal.closed_at.unwrap_or(at.now).min(at.now);
            holds.extend(self.windows.iter().flat_map(|window| window.holds(signal, to)));
            let stamped = |row: Suppression| Suppression { round_id: at.round_id.clone(), recorded_at: at.now, ..row };
            match (silence::silenced(&holds, life, at.now), known) {
                (Some(hold), known) => {
                    held.insert(id.clone());
                    let row = Suppression::of(signal, hold.kind, hold.cause.clone(), hold.detail.clone(), hold.until);
                    let same = |k: &Suppression| (k.kind, &k.cause, k.until) == (row.kind, &row.cause, row.until);
                    if !signal.is_open() {
                        sifted.suppressions.push(stamped(Suppression { state: SuppressionState::Ended, until: signal.closed_at, ..row }));
                    } else {
                        sifted.silent += 1;
                        if !known.is_some_and(same) {
                            sifted.suppressions.push(stamped(row));
                        }
                    }
                }
                (None, Some(known)) => {
                    released.push(id.clone());
                    let row = Suppression::of(signal, known.kind, known.cause.clone(), known.detail.clone(), Some(at.now));
                    sifted.suppressions.push(stamped(Suppression { state: SuppressionState::Told, ..row }));
                }
                (None, None) => {}
            }
        }
        sifted.told = transitions.iter().filter(|s| !held.contains(&s.signal_id)).cloned().collect();
        let moved: BTreeSet<&SignalId> = transitions.iter().map(|s| &s.signal_id).collect();
        sifted.told.extend(released.iter().filter(|id| !moved.contains(id)).map(|id| newest[id].clone()));
        drop(newest);
        sifted.signals = transitions;
        sifted
    }
}

/// The newest row of each signal.
fn newest<'a>(open: &'a [Signal], transitions: &'a [Signal]) -> BTreeMap<&'a SignalId, &'a Signal> {
    let age = |s: &Signal| (!s.is_open(), s.last_at, s.recorded_at);
    let mut found: BTreeMap<&SignalId, &Signal> = BTreeMap::new();
    for row in open.iter().chain(transitions) {
        let slot = found.entry(&row.signal_id).or_insert(row);
        if age(row) >= age(slot) {
            *slot = row;
        }
    }
    found
}

/// The suppressions that hold, as a session sees them, by signal.
pub async fn holding(session: &Session) -> Result<Vec<Suppression>, SqlError> {
    session.rows("SELECT * FROM suppressions_current WHERE state = 'silenced' ORDER BY signal_id").await
}

/// Lives of signals that ended at this time or later, by fingerprint, in order of opening.
pub async fn lives(session: &Session, from: Timestamp) -> Result<BTreeMap<Fingerprint, Vec<Life>>, SqlError> {
    #[derive(Deserialize)]
    struct Ended {
        fingerprint: Fingerprint,
        opened_at: Timestamp,
        last_at: Timestamp,
        closed_at: Timestamp,
    }
    let sql = format!(
        "SELECT fingerprint, opened_at, last_at, closed_at FROM signals_current WHERE state = 'closed' AND closed_at >= {} \
         ORDER BY opened_at, fingerprint",
        instant(from)
    );
    let mut lives: BTreeMap<Fingerprint, Vec<Life>> = BTreeMap::new();
    for Ended { fingerprint, opened_at, last_at, closed_at } in session.rows::<Ended>(&sql).await? {
        lives.entry(fingerprint).or_default().push(Life { opened_at, ended_at: Some(closed_at.min(last_at).max(opened_at)) });
    }
    Ok(lives)
}

#[cfg(test)]
pub(crate) mod tests;
