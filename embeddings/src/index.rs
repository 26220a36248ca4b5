//! The nearest vectors, exactly.

use std::cmp::Ordering;
use std::collections::BTreeMap;

/// Vectors of one space with their ids, searched exactly by cosine similarity.
///
/// A search reads every vector once: 100,000 vectors of 512 numbers are 200 MB and take tens of milliseconds.
#[derive(Clone, Debug)]
pub struct Index {
    embedder_id: String,
    dimensions: usize,
    ids: Vec<String>,
    /// Row `i` is `rows[i * dimensions..(i + 1) * dimensions]`, of length 1 or all zeros.
    rows: Vec<f32>,
    position: BTreeMap<String, usize>,
}

/// One result of a search.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    /// The vector's id.
    pub id: String,
    /// Cosine of the angle to the query, -1 to 1.
    pub similarity: f32,
}

/// The vector does not belong into this index.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IndexError {
    /// Vectors of different embedders lie in different spaces; a number that compares them means nothing.
    #[error("a vector of embedder {found} cannot be compared with vectors of {expected}; embed it again")]
    Embedder {
        /// The index's embedder.
        expected: String,
        /// The vector's.
        found: String,
    },
    /// The embedder is the same, but the vector is cut or padded.
    #[error("a vector of {found} dimensions does not fit an index of {expected}")]
    Dimensions {
        /// The index's.
        expected: usize,
        /// The vector's.
        found: usize,
    },
    /// A NaN or an infinity.
    #[error("the vector of {id:?} holds a number that is not finite")]
    NotFinite {
        /// The vector's id; `query` for a query.
        id: String,
    },
}

impl Index {
    /// An empty index for vectors of this embedder.
    pub fn new(embedder_id: impl Into<String>, dimensions: usize) -> Self {
        Self { embedder_id: embedder_id.into(), dimensions, ids: Vec::new(), rows: Vec::new(), position: BTreeMap::new() }
    }

    /// The embedder whose vectors it holds.
    pub fn embedder_id(&self) -> &str {
        &self.embedder_id
    }

    /// How many vectors there are.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Adds a vector, or replaces the one of this id. It need not be of length 1.
    pub fn put(&mut self, id: &str, embedder_id: &str, vector: &[f32]) -> Result<(), IndexError> {
        let unit = self.unit(id, embedder_id, vector)?;
        match self.position.get(id) {
            Some(&row) => self.rows[row * self.dimensions..(row + 1) * self.dimensions].copy_from_slice(&unit),
            None => {
                self.position.insert(id.to_owned(), self.ids.len());
                self.ids.push(id.to_owned());
                self.rows.extend(unit);
            }
        }
        Ok(())
    }

    /// The `k` nearest of those that `wanted` lets through, most similar first, then by id. Vectors of zeros resemble nothing and
    /// are never found; a query of zeros finds nothing.
    pub fn top(&self, embedder_id: &str, query: &[f32], k: usize, wanted: impl Fn(&str) -> bool) -> Result<Vec<Hit>, IndexError> {
        let query = self.unit("query", embedder_id, query)?;
        let is_zero = |row: &[f32]| row.iter().all(|v| *v == 0.0);
        if k == 0 || is_zero(&query) {
            return Ok(Vec::new());
        }
        let rank = |a: &(f32, usize), b: &(f32, usize)| -> Ordering { b.0.total_cmp(&a.0).then_with(|| self.ids[a.1].cmp(&self.ids[b.1])) };
        let mut best: Vec<(f32, usize)> = Vec::new();
        for (row, vector) in self.rows.chunks_exact(self.dimensions.max(1)).enumerate() {
            if !wanted(&self.ids[row]) || is_zero(vector) {
                continue;
            }
            best.push((dot(&query, vector), row));
            // Kept short, so that memory does not grow with the index.
            if best.len() >= k.saturating_mul(2).max(1024) {
                best.select_nth_unstable_by(k - 1, rank);
                best.truncate(k);
            }
        }
        best.sort_unstable_by(rank);
        best.truncate(k);
        Ok(best.into_iter().map(|(similarity, row)| Hit { id: self.ids[row].clone(), similarity: similarity.clamp(-1.0, 1.0) }).collect())
    }

    fn unit(&self, id: &str, embedder_id: &str, vector: &[f32]) -> Result<Vec<f32>, IndexError> {
        if embedder_id != self.embedder_id {
            return Err(IndexError::Embedder { expected: self.embedder_id.clone(), found: embedder_id.to_owned() });
        }
        if vector.len() != self.dimensions {
            return Err(IndexError::Dimensions { expected: self.dimensions, found: vector.len() });
        }
        if !vector.iter().all(|v| v.is_finite()) {
            return Err(IndexError::NotFinite { id: id.to_owned() });
        }
        let norm = vector.iter().map(|v| f64::from(*v) * f64::from(*v)).sum::<f64>().sqrt();
        Ok(vector.iter().map(|v| if norm > 0.0 { (f64::from(*v) / norm) as f32 } else { 0.0 }).collect())
    }
}

/// Sixteen sums side by side, which the compiler turns into vector instructions, added up in a fixed order.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0_f32; 16];
    let (blocks_a, rest_a) = a.as_chunks::<16>();
    let (blocks_b, rest_b) = b.as_chunks::<16>();
    for (x, y) in blocks_a.iter().zip(blocks_b) {
        for lane in 0..16 {
            lanes[lane] += x[lane] * y[lane];
        }
    }
    let rest: f32 = rest_a.iter().zip(rest_b).map(|(x, y)| x * y).sum();
    lanes.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn index(rows: &[(&str, [f32; 3])]) -> Index {
        let mut index = Index::new("e", 3);
        for (id, vector) in rows {
            index.put(id, "e", vector).unwrap();
        }
        index
    }

    fn found(index: &Index, query: [f32; 3], k: usize) -> Vec<String> {
        index.top("e", &query, k, |_| true).unwrap().into_iter().map(|h| h.id).collect()
    }

    #[test]
    fn nearest_first_ties_by_id_zeros_never() {
        let rows = index(&[
            ("far", [0.0, 1.0, 0.0]),
            ("b", [2.0, 0.0, 0.0]),
            ("a", [9.0, 0.0, 0.0]),
            ("none", [0.0; 3]),
            ("between", [1.0, 1.0, 0.0]),
        ]);
        assert_eq!(found(&rows, [1.0, 0.0, 0.0], 3), ["a", "b", "between"]);
        assert_eq!(found(&rows, [1.0, 0.0, 0.0], 99), ["a", "b", "between", "far"]);
        assert!(found(&rows, [0.0; 3], 3).is_empty());
        assert!(found(&rows, [1.0, 0.0, 0.0], 0).is_empty());
        let only = rows.top("e", &[1.0, 0.0, 0.0], 1, |id| id != "a").unwrap();
        assert_eq!((only[0].id.as_str(), only[0].similarity), ("b", 1.0));
    }

    #[test]
    fn putting_again_replaces() {
        let mut rows = index(&[("a", [1.0, 0.0, 0.0]), ("b", [0.0, 1.0, 0.0])]);
        rows.put("a", "e", &[0.0, 0.0, 1.0]).unwrap();
        assert_eq!((rows.len(), found(&rows, [0.0, 0.0, 1.0], 1)), (2, vec!["a".to_owned()]));
    }

    #[test]
    fn strangers_are_refused() {
        let rows = index(&[("a", [1.0, 0.0, 0.0])]);
        let error = rows.top("other", &[1.0, 0.0, 0.0], 1, |_| true).unwrap_err();
        assert_eq!(error.to_string(), "a vector of embedder other cannot be compared with vectors of e; embed it again");
        assert_eq!(rows.top("e", &[1.0], 1, |_| true), Err(IndexError::Dimensions { expected: 3, found: 1 }));
        assert_eq!(rows.clone().put("x", "e", &[f32::NAN, 0.0, 0.0]), Err(IndexError::NotFinite { id: "x".into() }));
    }

    proptest! {
        #[test]
        fn the_same_as_sorting_everything(rows in proptest::collection::vec(proptest::collection::vec(-1.0_f32..1.0, 20), 1..60), k in 1_usize..70) {
            let mut index = Index::new("e", 20);
            for (i, row) in rows.iter().enumerate() {
                index.put(&format!("{i:03}"), "e", row).unwrap();
            }
            let hits = index.top("e", &rows[0], k, |_| true).unwrap();
            prop_assert_eq!(hits.len(), k.min(rows.len()));
            prop_assert!(hits.windows(2).all(|w| w[0].similarity > w[1].similarity || (w[0].similarity == w[1].similarity && w[0].id < w[1].id)));
            prop_assert_eq!(&hits[0].id, "000");
        }
    }
}
