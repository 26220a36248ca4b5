//! Texts found by the words they share with a question, and two rankings made into one.

use std::collections::BTreeMap;

use crate::embed::words;

/// How soon one more occurrence of a word stops to matter.
const K1: f64 = 1.2;
/// How much longer texts are discounted.
const B: f64 = 0.75;
/// How little the first ranks of a fused list count above the next.
const RRF_K: f64 = 60.0;

/// Texts by their words, ranked by Okapi BM25 (Robertson and Zaragoza, 2009, doi:10.1561/1500000019) with k₁ = 1.2 and b = 0.75. Words are
/// compared as the hashing embedder does: split, without endings, synonyms of incidents as one.
#[derive(Clone, Debug, Default)]
pub struct Lexicon {
    ids: Vec<String>,
    /// Words in each text.
    lengths: Vec<f64>,
    /// For each word, the texts that have it, in order, and how often.
    postings: BTreeMap<String, Vec<(usize, u32)>>,
}

impl Lexicon {
    /// The texts with their ids. Of two with one id both are found.
    pub fn new<'a>(texts: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut lexicon = Self::default();
        texts.into_iter().for_each(|(id, text)| lexicon.add(id, text));
        lexicon
    }

    /// One more text.
    pub fn add(&mut self, id: &str, text: &str) {
        let (row, words) = (self.ids.len(), words(text));
        self.ids.push(id.to_owned());
        self.lengths.push(words.len() as f64);
        for word in words {
            let rows = self.postings.entry(word).or_default();
            match rows.last_mut() {
                Some((last, count)) if *last == row => *count += 1,
                _ => rows.push((row, 1)),
            }
        }
    }

    /// The `k` best of those that share a word with the question and that `wanted` lets through, with their scores above 0, best
    /// first, then by id.
    pub fn top(&self, question: &str, k: usize, wanted: impl Fn(&str) -> bool) -> Vec<(String, f64)> {
        let n = self.ids.len() as f64;
        let average = self.lengths.iter().sum::<f64>() / n.max(1.0);
        let mut scores: BTreeMap<usize, f64> = BTreeMap::new();
        for rows in words(question).iter().filter_map(|word| self.postings.get(word)) {
            let found = rows.len() as f64;
            let rarity = (1.0 + (n - found + 0.5) / (found + 0.5)).ln();
            for (row, count) in rows {
                let count = f64::from(*count);
                let length = self.lengths[*row] / average;
                *scores.entry(*row).or_default() += rarity * count * (K1 + 1.0) / (count + K1 * (1.0 - B + B * length));
            }
        }
        let mut best: Vec<(String, f64)> =
            scores.into_iter().map(|(row, score)| (self.ids[row].clone(), score)).filter(|(id, _)| wanted(id)).collect();
        best.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        best.truncate(k);
        best
    }
}

/// Reciprocal rank fusion (Cormack, Clarke and Büttcher, 2009, doi:10.1145/1571941.1572114): an id scores the sum of `1 / (60 + rank)` over the
/// lists that have it, ranks counted from 1. Best first, then by id.
pub fn fuse(lists: &[Vec<String>]) -> Vec<(String, f64)> {
    let mut scores: BTreeMap<&str, f64> = BTreeMap::new();
    for list in lists {
        for (rank, id) in list.iter().enumerate() {
            *scores.entry(id).or_default() += 1.0 / (RRF_K + 1.0 + rank as f64);
        }
    }
    let mut fused: Vec<(String, f64)> = scores.into_iter().map(|(id, score)| (id.to_owned(), score)).collect();
    fused.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    fused
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(question: &str) -> Vec<String> {
        let texts = [
            ("rare", "the etcd quorum was lost"),
            ("long", "latency was high, and after some time of much latency the pods of the other team were restarted and restarted again"),
            ("short", "latency high"),
            ("other", "certificate of the webhook expired"),
        ];
        Lexicon::new(texts).top(question, 3, |id| id != "other").into_iter().map(|(id, _)| id).collect()
    }

    #[test]
    fn rare_words_and_short_texts_count_more() {
        assert_eq!(found("slow"), ["short", "long"]);
        assert_eq!(found("high latency since etcd quorum is gone"), ["rare", "short", "long"]);
        assert!(found("certificate").is_empty(), "it is filtered");
        assert!(found("").is_empty());
        assert!(Lexicon::default().top("latency", 3, |_| true).is_empty());
        assert!(Lexicon::new([("empty", "")]).top("latency", 3, |_| true).is_empty());
    }

    #[test]
    fn fusing_prefers_what_both_lists_have() {
        let list = |ids: [&str; 3]| ids.map(str::to_owned).to_vec();
        let fused = fuse(&[list(["a", "b", "c"]), list(["d", "b", "a"])]);
        let ids: Vec<&str> = fused.iter().map(|(id, _)| id.as_str()).collect();
        assert_eq!(ids, ["a", "b", "d", "c"]);
        assert!((fused[0].1 - (1.0 / 61.0 + 1.0 / 63.0)).abs() < 1e-12);
        assert!(fuse(&[]).is_empty());
    }
}
