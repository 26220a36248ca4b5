//! All past runs with their vectors, kept up to date.

use std::collections::BTreeMap;

use bellwether_model::id::RunId;

use crate::embed::digest;
use crate::experience::{Experience, Runs};
use crate::index::{Index, IndexError};

/// Past runs by id, and the index over their summaries. A vector is asked for once: as long as a run's summary stays, so does its vector.
#[derive(Clone, Debug)]
pub struct Past {
    index: Index,
    runs: Runs,
    /// The digest of each run's summary.
    told: BTreeMap<RunId, String>,
    /// The digest of the text whose vector the index holds.
    held: BTreeMap<RunId, String>,
}

/// A run whose vector is not there yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing<'a> {
    /// The run.
    pub run_id: &'a RunId,
    /// The digest of its summary.
    pub digest: &'a str,
    /// Its summary.
    pub text: &'a str,
}

impl Past {
    /// No runs, in the space of this embedder.
    pub fn new(embedder_id: impl Into<String>, dimensions: usize) -> Self {
        Self { index: Index::new(embedder_id, dimensions), runs: Runs::default(), told: BTreeMap::new(), held: BTreeMap::new() }
    }

    /// The vectors of the runs' summaries, by run id. May hold runs that are no longer known.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// The runs.
    pub fn runs(&self) -> &Runs {
        &self.runs
    }

    /// The digest of each run's summary.
    pub fn digests(&self) -> &BTreeMap<RunId, String> {
        &self.told
    }

    /// Takes this for all that is known of past runs from now on; of several rows with one run id the newest counts.
    pub fn learn(&mut self, experience: impl IntoIterator<Item = Experience>) {
        let runs: Runs = experience.into_iter().collect();
        self.told = runs
            .iter()
            .map(|run| {
                let id = &run.run_id;
                let same = self.runs.get(id).filter(|old| old.summary == run.summary).and_then(|_| self.told.get(id));
                (id.clone(), same.cloned().unwrap_or_else(|| digest(&run.summary)))
            })
            .collect();
        self.runs = runs;
    }

    /// The runs whose summary has no vector here, by id.
    pub fn missing(&self) -> Vec<Missing<'_>> {
        let without = self.told.iter().filter(|(id, digest)| self.held.get(*id) != Some(digest));
        without.filter_map(|(run_id, digest)| Some(Missing { run_id, digest, text: &self.runs.get(run_id)?.summary })).collect()
    }

    /// Makes room for so many more vectors.
    pub fn reserve(&mut self, more: usize) {
        self.index.reserve(more);
    }

    /// Takes a vector, where it is that of the run's summary: whether it is.
    ///
    /// # Errors
    /// It is of another embedder, of other dimensions, or not finite.
    pub fn put(&mut self, run_id: &str, digest: &str, embedder_id: &str, vector: &[f32]) -> Result<bool, IndexError> {
        let Some((id, _)) = self.told.get_key_value(&RunId::new(run_id)).filter(|(_, told)| *told == digest) else { return Ok(false) };
        self.index.put(run_id, embedder_id, vector)?;
        self.held.insert(id.clone(), digest.to_owned());
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use bellwether_model::id::PlaybookId;
    use bellwether_model::time::Timestamp;

    use super::*;

    fn run(id: &str, secs: i64, summary: &str) -> Experience {
        Experience {
            run_id: RunId::new(id),
            playbook_id: PlaybookId::new("scale-up"),
            outcome: String::new(),
            ran_at: Timestamp::from_secs(secs),
            summary: summary.into(),
            context: crate::context::Context::default(),
        }
    }

    fn missing(past: &Past) -> Vec<&str> {
        past.missing().iter().map(|m| m.run_id.as_str()).collect()
    }

    #[test]
    fn only_what_is_new_or_changed_is_missing() {
        let mut past = Past::new("e", 1);
        past.learn([run("a", 1, "slow"), run("a", 2, "slower"), run("b", 1, "hot")]);
        assert_eq!((missing(&past), past.missing()[0].text), (vec!["a", "b"], "slower"));
        assert!(!past.put("a", &digest("slow"), "e", &[1.0]).unwrap(), "it says something else now");
        assert!(!past.put("z", &digest("hot"), "e", &[1.0]).unwrap(), "nobody knows it");
        assert!(past.put("a", &digest("slower"), "e", &[1.0]).unwrap());
        assert_eq!(missing(&past), ["b"]);
        assert!(matches!(past.put("b", &digest("hot"), "other", &[1.0]), Err(IndexError::Embedder { .. })));
        past.learn([run("a", 3, "slower"), run("c", 1, "full")]);
        assert_eq!((missing(&past), past.runs().len(), past.digests().len()), (vec!["c"], 2, 2), "the same text needs no other vector");
        past.learn([run("a", 3, "gone")]);
        assert_eq!(missing(&past), ["a"]);
    }
}
