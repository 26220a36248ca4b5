//! Samples of several series, in order: what files of samples hold, and what reading them gives.

use std::collections::BTreeMap;

use bellwether_model::time::Timestamp;

use crate::encode::Segment;

/// Samples in order of `(series_id, ts)`, each pair once.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Block {
    /// Series ids, ascending.
    pub ids: Vec<i64>,
    /// Series `i` owns the samples up to `ends[i]`, from where the one before it ends.
    pub ends: Vec<usize>,
    /// Times in microseconds since the epoch.
    pub ts: Vec<i64>,
    /// Values.
    pub values: Vec<f64>,
}

impl Block {
    /// How many samples there are.
    pub fn rows(&self) -> usize {
        self.ts.len()
    }

    /// Where series `i` begins and ends.
    pub fn bounds(&self, i: usize) -> (usize, usize) {
        (if i == 0 { 0 } else { self.ends[i - 1] }, self.ends[i])
    }

    /// Adds samples that come after all that are here: of the last series, or of one with a higher id.
    pub(crate) fn push(&mut self, id: i64, ts: &[i64], values: &[f64]) {
        if ts.is_empty() {
            return;
        }
        self.ts.extend_from_slice(ts);
        self.values.extend_from_slice(values);
        self.close(id);
    }

    /// Says that the samples added since the last call belong to this series.
    pub(crate) fn close(&mut self, id: i64) {
        if self.ids.last() == Some(&id) {
            self.ends.pop();
        } else {
            self.ids.push(id);
        }
        self.ends.push(self.ts.len());
    }

    /// The samples of each day, in order of series.
    pub(crate) fn days(&self) -> BTreeMap<i32, Vec<Segment<'_>>> {
        let mut days: BTreeMap<i32, Vec<Segment<'_>>> = BTreeMap::new();
        for (i, &series_id) in self.ids.iter().enumerate() {
            let (mut start, end) = self.bounds(i);
            while start < end {
                let day = Timestamp::from_micros(self.ts[start]).day();
                let stop = start + self.ts[start..end].partition_point(|t| Timestamp::from_micros(*t).day() <= day);
                days.entry(day).or_default().push(Segment { series_id, ts: &self.ts[start..stop], values: &self.values[start..stop] });
                start = stop;
            }
        }
        days
    }

    /// Several blocks as one. Where blocks share a series and time, the later block's value counts.
    pub(crate) fn merge(mut blocks: Vec<Self>) -> Self {
        blocks.retain(|b| b.rows() > 0);
        if blocks.len() < 2 {
            return blocks.pop().unwrap_or_default();
        }
        let rows = blocks.iter().map(Self::rows).sum();
        let mut merged = Self { ts: Vec::with_capacity(rows), values: Vec::with_capacity(rows), ..Self::default() };
        let mut next = vec![0; blocks.len()];
        let mut slices: Vec<(&[i64], &[f64])> = Vec::with_capacity(blocks.len());
        while let Some(id) = blocks.iter().zip(&next).filter_map(|(b, n)| b.ids.get(*n).copied()).min() {
            slices.clear();
            for (block, n) in blocks.iter().zip(&mut next) {
                if block.ids.get(*n) == Some(&id) {
                    let (start, end) = block.bounds(*n);
                    slices.push((&block.ts[start..end], &block.values[start..end]));
                    *n += 1;
                }
            }
            merged.push_slices(&mut slices);
            merged.close(id);
        }
        merged
    }

    /// Adds the samples of one series from several places, the newest place last.
    fn push_slices(&mut self, slices: &mut [(&[i64], &[f64])]) {
        let apart = |s: &[(&[i64], &[f64])]| s.windows(2).all(|w| w[0].0.last() < w[1].0.first());
        let in_order = if apart(slices) {
            true
        } else {
            let mut sorted = slices.to_vec();
            sorted.sort_by_key(|(ts, _)| ts.first().copied());
            let ok = apart(&sorted);
            if ok {
                slices.copy_from_slice(&sorted);
            }
            ok
        };
        if in_order {
            for (ts, values) in slices.iter() {
                self.ts.extend_from_slice(ts);
                self.values.extend_from_slice(values);
            }
            return;
        }
        let mut newest = BTreeMap::new();
        for (ts, values) in slices.iter() {
            newest.extend(ts.iter().copied().zip(values.iter().copied()));
        }
        self.ts.extend(newest.keys());
        self.values.extend(newest.values());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn block(samples: &BTreeMap<(i64, i64), f64>) -> Block {
        let mut block = Block::default();
        for ((id, ts), value) in samples {
            block.push(*id, &[*ts], &[*value]);
        }
        block
    }

    proptest! {
        #[test]
        fn merging_keeps_every_pair_once_and_the_newest_value(parts in prop::collection::vec(prop::collection::btree_map((0i64..4, 0i64..8), -9f64..9.0, 0..12), 0..5)) {
            let mut expected = BTreeMap::new();
            for part in &parts {
                expected.extend(part.iter().map(|(k, v)| (*k, *v)));
            }
            prop_assert_eq!(Block::merge(parts.iter().map(block).collect()), block(&expected));
        }
    }
}
