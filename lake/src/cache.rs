//! Rows of small files, kept in memory between snapshots. Files never change, so what was read once is right for ever.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;

/// Bytes of rows that are kept.
const MOST_BYTES: usize = 128 << 20;

/// A file's rows.
pub type FileRows = Arc<Vec<RecordBatch>>;

/// The files that were read last, by path below the ledger.
#[derive(Debug, Default)]
pub(crate) struct RowCache {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    files: BTreeMap<String, Entry>,
    bytes: usize,
    clock: u64,
}

#[derive(Debug)]
struct Entry {
    rows: FileRows,
    bytes: usize,
    used: u64,
}

impl RowCache {
    pub(crate) fn get(&self, path: &str) -> Option<FileRows> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.clock += 1;
        let now = kept.clock;
        let entry = kept.files.get_mut(path)?;
        entry.used = now;
        Some(entry.rows.clone())
    }

    /// Keeps a file's rows, and lets go of those unused for longest when there are too many.
    pub(crate) fn put(&self, path: String, rows: &FileRows) {
        let bytes = rows.iter().map(RecordBatch::get_array_memory_size).sum();
        if bytes > MOST_BYTES / 4 {
            return;
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.clock += 1;
        let entry = Entry { rows: rows.clone(), bytes, used: kept.clock };
        kept.bytes += bytes;
        if let Some(old) = kept.files.insert(path, entry) {
            kept.bytes -= old.bytes;
        }
        while kept.bytes > MOST_BYTES {
            let Some(oldest) = kept.files.iter().min_by_key(|(_, e)| e.used).map(|(path, _)| path.clone()) else { break };
            if let Some(gone) = kept.files.remove(&oldest) {
                kept.bytes -= gone.bytes;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int64Array};

    use super::*;

    #[test]
    fn what_is_unused_for_longest_goes_first() {
        let cache = RowCache::default();
        let rows: FileRows =
            Arc::new(vec![RecordBatch::try_from_iter([("n", Arc::new(Int64Array::from(vec![0; 2 << 20])) as ArrayRef)]).unwrap()]);
        for path in ["a", "b", "c", "d", "e", "f", "g"] {
            cache.put(path.into(), &rows);
        }
        assert!(cache.get("a").is_some());
        cache.put("h".into(), &rows);
        assert!(cache.get("a").is_some() && cache.get("b").is_none() && cache.get("h").is_some());
    }
}
