//! Samples in any order, brought into the order of files: by series, then time, without duplicates.

use bellwether_model::series::Samples;

use crate::block::Block;
use crate::encode::Segment;
use crate::error::LakeError;
use crate::file::FileStats;

/// Orders a batch by counting: one pass to count, one to place. Series that arrive in order of time are not compared at all.
pub(crate) fn sort(samples: &Samples) -> Result<Block, LakeError> {
    let n = samples.len();
    if samples.index.len() != n || samples.values.len() != n {
        return Err(LakeError::Bug("columns of samples differ in length".into()));
    }
    let (ranks, ids) = ranks(samples);
    let mut starts = vec![0usize; ids.len() + 1];
    let mut i = 0;
    while i < n {
        let series = samples.index[i] as usize;
        if series >= ranks.len() {
            return Err(LakeError::Bug(format!("sample {i} belongs to no series of its batch")));
        }
        if !samples.values[i].is_finite() {
            return Err(LakeError::NotFinite {
                series: Box::new(samples.series[series].clone()),
                ts: samples.ts[i],
                value: samples.values[i],
            });
        }
        starts[ranks[series] as usize + 1] += 1;
        i += 1;
    }
    for rank in 0..ids.len() {
        starts[rank + 1] += starts[rank];
    }
    let mut block = Block { ids: Vec::with_capacity(ids.len()), ends: Vec::with_capacity(ids.len()), ts: vec![0; n], values: vec![0.0; n] };
    let mut next = starts.clone();
    i = 0;
    while i < n {
        let slot = &mut next[ranks[samples.index[i] as usize] as usize];
        block.ts[*slot] = samples.ts[i];
        block.values[*slot] = samples.values[i];
        *slot += 1;
        i += 1;
    }
    let mut kept = 0;
    for (rank, id) in ids.iter().enumerate() {
        let end = settle(&mut block, starts[rank], starts[rank + 1], kept);
        if end > kept {
            block.ids.push(*id);
            block.ends.push(end);
        }
        kept = end;
    }
    block.ts.truncate(kept);
    block.values.truncate(kept);
    Ok(block)
}

/// Orders one series' samples, drops all but the last of equal times, and moves them to `to`. Gives the new end.
fn settle(block: &mut Block, start: usize, end: usize, to: usize) -> usize {
    let (ts, values) = (&mut block.ts, &mut block.values);
    if !ts[start..end].is_sorted() {
        let mut pairs: Vec<_> = ts[start..end].iter().copied().zip(values[start..end].iter().copied()).collect();
        pairs.sort_by_key(|(t, _)| *t);
        for (i, (t, v)) in pairs.into_iter().enumerate() {
            (ts[start + i], values[start + i]) = (t, v);
        }
    }
    let mut kept = to;
    for i in start..end {
        if kept > to && ts[kept - 1] == ts[i] {
            kept -= 1;
        }
        (ts[kept], values[kept]) = (ts[i], values[i]);
        kept += 1;
    }
    kept
}

/// The log's statistics of a file of these segments.
pub(crate) fn stats(segments: &[Segment<'_>]) -> String {
    let rows = segments.iter().map(|s| s.ts.len()).sum();
    let series = (segments.first().map_or(0, |s| s.series_id), segments.last().map_or(0, |s| s.series_id));
    let first = segments.iter().filter_map(|s| s.ts.first()).min().copied().unwrap_or(0);
    let last = segments.iter().filter_map(|s| s.ts.last()).max().copied().unwrap_or(0);
    FileStats::json_of_samples(rows, series, (first, last))
}

/// For each series of the batch its rank in order of id, and the ids in that order.
fn ranks(samples: &Samples) -> (Vec<u32>, Vec<i64>) {
    let mut order: Vec<usize> = (0..samples.series.len()).collect();
    order.sort_by_key(|i| samples.series[*i].series_id);
    let mut ids: Vec<i64> = Vec::with_capacity(order.len());
    let mut ranks = vec![0; order.len()];
    for i in order {
        let id = samples.series[i].series_id.0;
        if ids.last() != Some(&id) {
            ids.push(id);
        }
        ranks[i] = (ids.len() - 1) as u32;
    }
    (ranks, ids)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bellwether_model::series::{Labels, Series};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_order_becomes_the_order_of_files(raw in prop::collection::vec((0u32..4, 0i64..6, 0i64..3, -5i32..5), 1..60)) {
            let mut samples = Samples { series: (0..4).map(|i| Series::new(format!("m{i}"), Labels::new())).collect(), ..Samples::default() };
            let mut expected = BTreeMap::new();
            for (series, tick, day, value) in raw {
                let ts = day * 86_400_000_000 + tick;
                samples.index.push(series);
                samples.ts.push(ts);
                samples.values.push(f64::from(value));
                expected.insert((day as i32, samples.series[series as usize].series_id.0, ts), f64::from(value));
            }
            let sorted = sort(&samples).unwrap();
            let mut found = Vec::new();
            for (day, segments) in sorted.days() {
                for s in segments {
                    found.extend(s.ts.iter().zip(s.values).map(|(t, v)| ((day, s.series_id, *t), *v)));
                }
            }
            prop_assert_eq!(sorted.rows(), expected.len());
            prop_assert_eq!(found, expected.into_iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn what_is_no_number_is_refused_by_name() {
        let mut samples = Samples::default();
        samples.push(Series::new("up", Labels::new()), &[1, 2], &[1.0, f64::NAN]);
        assert!(matches!(sort(&samples), Err(LakeError::NotFinite { series, ts: 2, .. }) if series.metric == "up"));
    }
}
