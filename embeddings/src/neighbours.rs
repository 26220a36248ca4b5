//! The past runs that resemble an incident.

use bellwether_model::id::{RoundId, RunId};
use bellwether_model::incident::Incident;
use bellwether_model::recommendation::Match;
use bellwether_model::time::Timestamp;

use crate::context::Context;
use crate::embed::Embedder;
use crate::experience::{Experience, Runs};
use crate::index::{Index, IndexError};

/// When and in which round experience is consulted.
#[derive(Clone, Debug)]
pub struct Moment {
    /// The round, named in every row.
    pub round_id: RoundId,
    /// Nothing that happened after this counts; also when rows are recorded.
    pub now: Timestamp,
}

/// The `k` past runs whose summaries are most like the incident's, and the `k` most like it of those about the same endpoint, pool, node or
/// dataset, most similar first, as rows of the table `matches`.
///
/// Runs after `at.now` are not seen, nor those that `runs` does not hold. Errs when the index is of another embedder, or the embedder's model fails.
pub fn neighbours(
    index: &Index,
    embedder: &Embedder,
    incident: &Incident,
    runs: &Runs,
    k: usize,
    at: &Moment,
) -> Result<Vec<Match>, IndexError> {
    let past = |id: &str| runs.get(&RunId::new(id)).filter(|one| one.ran_at <= at.now);
    let embedder_id = embedder.id();
    let query = embedder.embed(&[incident.summary.as_str()])?.pop().unwrap_or_default();
    let here = Context::of_incident(incident);
    let mut hits = index.top(&embedder_id, &query, k, |id| past(id).is_some())?;
    let kin = runs.about(&here).filter(|one| one.ran_at <= at.now).map(|one| one.run_id.as_str());
    hits.extend(index.top_of(&embedder_id, &query, k, kin)?);
    hits.sort_by(|a, b| b.similarity.total_cmp(&a.similarity).then_with(|| a.id.cmp(&b.id)));
    hits.dedup_by(|a, b| a.id == b.id);
    let row = |similarity: f32, one: &Experience| Match {
        incident_id: incident.incident_id.clone(),
        run_id: one.run_id.clone(),
        playbook_id: one.playbook_id.clone(),
        similarity: f64::from(similarity),
        outcome: one.outcome.clone(),
        ran_at: one.ran_at,
        embedder_id: embedder_id.clone(),
        round_id: at.round_id.clone(),
        recorded_at: at.now,
    };
    Ok(hits.iter().filter(|hit| hit.similarity > 0.0).filter_map(|hit| past(&hit.id).map(|one| row(hit.similarity, one))).collect())
}

#[cfg(test)]
mod tests {
    use bellwether_model::id::PlaybookId;

    use super::*;
    use crate::rank::tests::incident;

    fn experience(id: &str, days_ago: i64, summary: &str) -> Experience {
        Experience {
            run_id: RunId::new(id),
            playbook_id: PlaybookId::new("scale-up"),
            outcome: "effective".into(),
            ran_at: Timestamp::from_secs(2_000_000_000 - days_ago * 86_400),
            summary: summary.into(),
            context: Context::default(),
        }
    }

    fn at(secs: i64) -> Moment {
        Moment { round_id: RoundId::new("rnd-1"), now: Timestamp::from_secs(secs) }
    }

    #[test]
    fn the_most_similar_past_runs_come_first_and_the_future_is_not_seen() {
        let embedder = Embedder::default();
        let all = [
            experience("other", 5, "thermal throttling of a gpu node"),
            experience("near", 5, "p95 latency high, queue depth growing"),
            experience("future", -1, "latency_p95 up, queue_depth up"),
            experience("empty", 5, ""),
        ];
        let runs: Runs = all.into_iter().collect();
        let index = runs.index(&embedder).unwrap();
        let found = neighbours(&index, &embedder, &incident(), &runs, 3, &at(2_000_000_000)).unwrap();
        assert_eq!(found[0].run_id.as_str(), "near");
        assert!(found.iter().all(|m| !["future", "empty"].contains(&m.run_id.as_str()) && m.similarity > 0.0 && m.similarity <= 1.0));
        assert_eq!((found[0].embedder_id.as_str(), found[0].round_id.as_str()), ("hashing-v1-512", "rnd-1"));
        let later = neighbours(&index, &embedder, &incident(), &runs, 3, &at(2_000_100_000)).unwrap();
        assert_eq!(later[0].run_id.as_str(), "future");
    }

    #[test]
    fn an_index_of_another_embedder_is_refused() {
        let error =
            neighbours(&Index::new("fastembed-384", 384), &Embedder::default(), &incident(), &Runs::default(), 3, &at(0)).unwrap_err();
        assert!(error.to_string().contains("fastembed-384"), "{error}");
    }
}
