//! The audit chain: every step that matters, each entry holding the digest of the one before.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::digest::{CanonicalError, Digest};
use crate::id::Actor;
use crate::time::Timestamp;

/// One entry. A row of the table `audit` (view `audit_logs`), relayed from the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// Position in the chain, from 1 without gaps.
    pub sequence: i64,
    /// When.
    pub at: Timestamp,
    /// Who did it.
    pub actor: Actor,
    /// What: `recommend`, `plan`, `dry_run`, `approve`, `execute`, `verify`, `rollback`, `refuse`, and so on.
    pub action: String,
    /// On what: the id of a plan, execution or object.
    pub subject: String,
    /// Particulars. Never a secret.
    pub detail: Value,
    /// Digest of the entry before; zeros for the first.
    pub previous: Digest,
    /// SHA-256 over `previous` and the canonical JSON of the fields above.
    pub digest: Digest,
}

#[derive(Serialize)]
struct Sealed<'a> {
    sequence: i64,
    at: Timestamp,
    actor: &'a Actor,
    action: &'a str,
    subject: &'a str,
    detail: &'a Value,
    previous: Digest,
}

impl AuditEntry {
    /// The entry that follows `previous` (sequence 0 and zeros begin a chain).
    pub fn following(
        previous: (i64, Digest),
        at: Timestamp,
        actor: Actor,
        action: &str,
        subject: &str,
        detail: Value,
    ) -> Result<Self, CanonicalError> {
        let mut entry = Self {
            sequence: previous.0 + 1,
            at,
            actor,
            action: action.to_owned(),
            subject: subject.to_owned(),
            detail,
            previous: previous.1,
            digest: Digest::ZERO,
        };
        entry.digest = entry.computed()?;
        Ok(entry)
    }
    /// The digest that this entry should have.
    pub fn computed(&self) -> Result<Digest, CanonicalError> {
        Digest::of(&Sealed {
            sequence: self.sequence,
            at: self.at,
            actor: &self.actor,
            action: &self.action,
            subject: &self.subject,
            detail: &self.detail,
            previous: self.previous,
        })
    }
}

/// The first place where a chain does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("entry {sequence}: {problem}")]
pub struct BrokenChain {
    /// Position of the first wrong entry.
    pub sequence: i64,
    /// What is wrong with it.
    pub problem: String,
}

/// Checks a chain that begins after `start`; gives its last position and digest.
pub fn verify<'a>(start: (i64, Digest), entries: impl IntoIterator<Item = &'a AuditEntry>) -> Result<(i64, Digest), BrokenChain> {
    let mut last = start;
    for entry in entries {
        let broken = |problem: String| BrokenChain { sequence: last.0 + 1, problem };
        if entry.sequence != last.0 + 1 {
            return Err(broken(format!("expected here, found entry {} (removed, inserted or reordered)", entry.sequence)));
        }
        if entry.previous != last.1 {
            return Err(broken("does not follow from the entry before it".into()));
        }
        if entry.computed().map_err(|e| broken(e.to_string()))? != entry.digest {
            return Err(broken("was edited: its digest does not fit its content".into()));
        }
        last = (entry.sequence, entry.digest);
    }
    Ok(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(n: i64) -> Vec<AuditEntry> {
        let mut last = (0, Digest::ZERO);
        (0..n)
            .map(|i| {
                let e =
                    AuditEntry::following(last, Timestamp::from_secs(i), "ann".into(), "approve", "plan-1", serde_json::json!({"i": i}))
                        .unwrap();
                last = (e.sequence, e.digest);
                e
            })
            .collect()
    }

    proptest::proptest! {
        #[test]
        fn any_edit_removal_insertion_or_reorder_is_found(n in 2i64..20, at in 0usize..19, how in 0u8..5) {
            let whole = chain(n);
            proptest::prop_assert!(verify((0, Digest::ZERO), &whole).is_ok());
            let at = at % (whole.len() - 1);
            let mut bad = whole.clone();
            match how {
                0 => bad[at].actor = "eve".into(),
                1 => { bad.remove(at); }
                2 => { let e = bad[at].clone(); bad.insert(at, e); }
                3 => bad.swap(at, at + 1),
                _ => bad[at].detail = serde_json::json!({"i": -1}),
            }
            let broken = verify((0, Digest::ZERO), &bad).unwrap_err();
            proptest::prop_assert!(broken.sequence > at as i64 && broken.sequence <= at as i64 + 2);
        }
    }
}
