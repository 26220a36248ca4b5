//! The nearest vectors, exactly.

use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, BinaryHeap};

use crate::coarse::Coarse;
use crate::embed::EmbedError;

/// Vectors of one space with their ids, searched exactly by cosine similarity.
///
/// A search reads every vector once in eight bits a number, which bounds how similar it can be, and exactly only what may be among
/// the best: the answer is that of reading everything exactly. 100,000 vectors of 384 numbers are 200 MB in memory, of which a search
/// reads 40 MB.
#[derive(Clone, Debug)]
pub struct Index {
    embedder_id: String,
    dimensions: usize,
    ids: Vec<String>,
    /// Row `i` is `rows[i * dimensions..(i + 1) * dimensions]`, of length 1 or all zeros.
    rows: Vec<f32>,
    coarse: Coarse,
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
    /// There is no vector.
    #[error("there is no vector to search with")]
    NoVector(#[from] EmbedError),
}

impl Index {
    /// An empty index for vectors of this embedder.
    pub fn new(embedder_id: impl Into<String>, dimensions: usize) -> Self {
        let (ids, rows, position) = (Vec::new(), Vec::new(), BTreeMap::new());
        Self { embedder_id: embedder_id.into(), dimensions, ids, rows, coarse: Coarse::new(dimensions), position }
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

    /// Makes room for so many more vectors.
    pub fn reserve(&mut self, more: usize) {
        self.ids.reserve(more);
        self.rows.reserve(more * self.dimensions);
        self.coarse.reserve(more);
    }

    /// Adds a vector, or replaces the one of this id. It need not be of length 1.
    pub fn put(&mut self, id: &str, embedder_id: &str, vector: &[f32]) -> Result<(), IndexError> {
        let unit = self.unit(id, embedder_id, vector)?;
        match self.position.get(id) {
            Some(&row) => {
                self.rows[row * self.dimensions..(row + 1) * self.dimensions].copy_from_slice(&unit);
                self.coarse.set(row, &unit);
            }
            None => {
                self.coarse.set(self.ids.len(), &unit);
                self.position.insert(id.to_owned(), self.ids.len());
                self.ids.push(id.to_owned());
                self.rows.extend(unit);
            }
        }
        Ok(())
    }

    /// The vector of this id, of length 1 or all zeros.
    pub fn vector(&self, id: &str) -> Option<&[f32]> {
        let row = *self.position.get(id)?;
        self.rows.get(row * self.dimensions..(row + 1) * self.dimensions)
    }

    /// The `k` nearest of those that `wanted` lets through, most similar first, then by id. Vectors of zeros resemble nothing and
    /// are never found; a query of zeros finds nothing.
    pub fn top(&self, embedder_id: &str, query: &[f32], k: usize, wanted: impl Fn(&str) -> bool) -> Result<Vec<Hit>, IndexError> {
        let query = self.unit("query", embedder_id, query)?;
        if k == 0 || query.iter().all(|v| *v == 0.0) {
            return Ok(Vec::new());
        }
        Ok(self.nearest(&query, k, self.candidates(&query, k, wanted)))
    }

    /// The `k` nearest of these ids, as [`Index::top`] finds them. Made for few ids of many: cost grows with the ids, not with the index.
    pub fn top_of<'a>(
        &self,
        embedder_id: &str,
        query: &[f32],
        k: usize,
        ids: impl Iterator<Item = &'a str>,
    ) -> Result<Vec<Hit>, IndexError> {
        let query = self.unit("query", embedder_id, query)?;
        if k == 0 || query.iter().all(|v| *v == 0.0) {
            return Ok(Vec::new());
        }
        let is_told = |row: &usize| self.rows[row * self.dimensions..(row + 1) * self.dimensions].iter().any(|v| *v != 0.0);
        let mut rows: Vec<usize> = ids.filter_map(|id| self.position.get(id).copied()).filter(is_told).collect();
        rows.sort_unstable();
        rows.dedup();
        Ok(self.nearest(&query, k, rows))
    }

    fn nearest(&self, query: &[f32], k: usize, rows: Vec<usize>) -> Vec<Hit> {
        let of = |row: usize| (dot(query, &self.rows[row * self.dimensions..(row + 1) * self.dimensions]), row);
        let mut best: Vec<(f32, usize)> = rows.into_iter().map(of).collect();
        best.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then_with(|| self.ids[a.1].cmp(&self.ids[b.1])));
        best.truncate(k);
        best.into_iter().map(|(similarity, row)| Hit { id: self.ids[row].clone(), similarity: similarity.clamp(-1.0, 1.0) }).collect()
    }

    /// The rows that may be among the `k` nearest: none is surely less similar than `k` others.
    fn candidates(&self, query: &[f32], k: usize, wanted: impl Fn(&str) -> bool) -> Vec<usize> {
        let mut candidates: Vec<(f32, usize)> = Vec::new();
        // The `k` greatest similarities that are sure, the least of them on top.
        let mut sure: BinaryHeap<Reverse<Sure>> = BinaryHeap::new();
        let mut least = f32::NEG_INFINITY;
        self.coarse.bounds(&self.coarse.query(query), |row, low, high| {
            if high < least || !wanted(&self.ids[row]) {
                return;
            }
            candidates.push((high, row));
            sure.push(Reverse(Sure(low)));
            if sure.len() > k {
                sure.pop();
            }
            if sure.len() == k {
                least = sure.peek().map_or(least, |s| s.0.0);
            }
            // Kept short, so that memory does not grow with the index.
            if candidates.len() >= k.saturating_mul(4).max(4096) {
                candidates.retain(|(high, _)| *high >= least);
            }
        });
        candidates.into_iter().filter(|(high, _)| *high >= least).map(|(_, row)| row).collect()
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

/// A similarity in the order of numbers.
#[derive(PartialEq)]
struct Sure(f32);

impl Eq for Sure {}

impl Ord for Sure {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl PartialOrd for Sure {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
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
        assert_eq!((rows.vector("a"), rows.vector("z")), (Some([0.0, 0.0, 1.0].as_slice()), None));
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
        fn the_same_as_sorting_everything(
            rows in proptest::collection::vec(proptest::collection::vec(-1.0_f32..1.0, 20), 1..60),
            query in proptest::collection::vec(-1.0_f32..1.0, 20),
            k in 1_usize..70,
            skip in 1_usize..5,
        ) {
            let mut index = Index::new("e", 20);
            for (i, row) in rows.iter().enumerate() {
                index.put(&format!("{i:03}"), "e", row).unwrap();
            }
            let wanted = |id: &str| id.parse::<usize>().unwrap() % skip == 0;
            let hits = index.top("e", &query, k, wanted).unwrap();
            let ids = index.ids.iter().map(String::as_str).filter(|id| wanted(id)).chain(["unknown", "000"]);
            prop_assert_eq!(&index.top_of("e", &query, k, ids).unwrap(), &hits, "few ids of many, some told twice");
            let query = index.unit("query", "e", &query).unwrap();
            let mut all: Vec<(f32, &String)> = index.rows.chunks(20).map(|row| dot(&query, row)).zip(&index.ids).filter(|(_, id)| wanted(id)).collect();
            all.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1)));
            let expected: Vec<&String> = all.iter().take(k).map(|(_, id)| *id).collect();
            prop_assert_eq!(hits.iter().map(|h| &h.id).collect::<Vec<_>>(), expected);
        }
    }
}
