//! Which categories are frequent, in bounded room: the counters of Misra & Gries (1982), merged as in Agarwal et al. (2012).
//!
//! While there are at most twice `capacity` categories all counts are exact, and parts merge exactly. Beyond that a count may be too
//! small by at most [`Frequent::missing`], which is never more than the total divided by `capacity` + 1, merged or not.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::drift::stored::Damaged;

/// Counters of categories.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct Frequent {
    capacity: usize,
    counts: BTreeMap<String, u64>,
    total: u64,
    missing: u64,
}

#[derive(Deserialize)]
struct Stored {
    capacity: usize,
    counts: BTreeMap<String, u64>,
    total: u64,
    missing: u64,
}

impl TryFrom<Stored> for Frequent {
    type Error = Damaged;

    fn try_from(Stored { capacity, counts, total, missing }: Stored) -> Result<Self, Damaged> {
        let counted = counts.values().try_fold(0_u64, |sum, c| sum.checked_add(*c));
        Damaged::unless(counted.is_some_and(|c| c <= total), "table of categories", "its counts are more than the total")?;
        Ok(Self { capacity: capacity.max(1), counts, total, missing })
    }
}

impl Frequent {
    /// Empty counters; `capacity` is at least 1.
    pub fn new(capacity: usize) -> Self {
        Self { capacity: capacity.max(1), counts: BTreeMap::new(), total: 0, missing: 0 }
    }

    /// Counts a category so many times.
    pub fn add(&mut self, category: &str, times: u64) {
        if times == 0 {
            return;
        }
        self.total += times;
        match self.counts.get_mut(category) {
            Some(count) => *count += times,
            None => {
                self.counts.insert(category.to_owned(), times);
                self.trim();
            }
        }
    }

    /// Counts what others have counted; the smaller capacity of both remains.
    pub fn merge(&mut self, other: &Self) {
        self.capacity = self.capacity.min(other.capacity);
        self.total += other.total;
        self.missing += other.missing;
        for (category, count) in &other.counts {
            *self.counts.entry(category.clone()).or_default() += count;
        }
        self.trim();
    }

    /// Takes the same from all counters so that at most `capacity` are left, when there are more than twice as many.
    fn trim(&mut self) {
        if self.counts.len() <= 2 * self.capacity {
            return;
        }
        let mut counts: Vec<u64> = self.counts.values().copied().collect();
        let (_, taken, _) = counts.select_nth_unstable_by(self.capacity, |a, b| b.cmp(a));
        let taken = *taken;
        self.missing += taken;
        self.counts.retain(|_, count| {
            *count = count.saturating_sub(taken);
            *count > 0
        });
    }

    /// The categories and their counts, each at most [`Frequent::missing`] too small.
    pub fn counts(&self) -> &BTreeMap<String, u64> {
        &self.counts
    }

    /// How many were counted in all.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// By how much a count may be too small, and how often a category without a counter may have occurred; 0 while all is exact.
    pub fn missing(&self) -> u64 {
        self.missing
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn counted(capacity: usize, list: &[u8]) -> Frequent {
        let mut counters = Frequent::new(capacity);
        list.iter().for_each(|c| counters.add(&c.to_string(), 1));
        counters
    }

    proptest! {
        #[test]
        fn few_categories_merge_exactly(a in prop::collection::vec(0..20u8, 0..200), b in prop::collection::vec(0..20u8, 0..200)) {
            let mut merged = counted(10, &a);
            merged.merge(&counted(10, &b));
            prop_assert_eq!(merged.missing(), 0);
            prop_assert_eq!(&merged, &counted(10, &[a, b].concat()));
            prop_assert_eq!(serde_json::from_str::<Frequent>(&serde_json::to_string(&merged).unwrap()).unwrap(), merged);
        }

        #[test]
        fn counts_are_within_their_bound(parts in prop::collection::vec(prop::collection::vec(prop::num::u8::ANY, 0..200), 1..5), capacity in 1..20usize) {
            let mut merged = counted(capacity, &[]);
            parts.iter().for_each(|p| merged.merge(&counted(capacity, p)));
            let all = parts.concat();
            for counters in [merged, counted(capacity, &all)] {
                prop_assert_eq!(counters.total(), all.len() as u64);
                prop_assert!(counters.missing() <= counters.total() / (capacity as u64 + 1));
                for category in 0..=u8::MAX {
                    let truth = all.iter().filter(|c| **c == category).count() as u64;
                    let found = counters.counts().get(&category.to_string()).copied().unwrap_or(0);
                    prop_assert!(found <= truth && truth <= found + counters.missing());
                }
            }
        }
    }
}
