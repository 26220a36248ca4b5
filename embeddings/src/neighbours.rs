//! The past runs that resemble an incident.

use std::collections::BTreeMap;

use bellwether_model::id::{PlaybookId, RoundId, RunId};
use bellwether_model::incident::Incident;
use bellwether_model::outcome::{Effect, Outcome};
use bellwether_model::recommendation::Match;
use bellwether_model::run::Run;
use bellwether_model::time::Timestamp;

use crate::context::Context;
use crate::embed::Embedder;
use crate::index::{Index, IndexError};
use crate::rank::score::{CHOSEN, REJECTED};

/// When and in which round experience is consulted.
#[derive(Clone, Debug)]
pub struct Moment {
    /// The round, named in every row.
    pub round_id: RoundId,
    /// Nothing that happened after this counts; also when rows are recorded.
    pub now: Timestamp,
}

/// One use of a playbook in the past, and what came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Experience {
    /// The run, or the execution of our own as a run.
    pub run_id: RunId,
    /// The playbook it ran.
    pub playbook_id: PlaybookId,
    /// The name of an [`Effect`], or [`CHOSEN`] or [`REJECTED`] where a person decided; empty when unknown.
    pub outcome: String,
    /// When it ran.
    pub ran_at: Timestamp,
    /// What it was run for, in words: what incidents are compared with.
    pub summary: String,
    /// What it was about, beside the words.
    pub context: Context,
}

impl Experience {
    /// A past run as experience; none when it ran no playbook. That a run ended well does not say that it helped: without an
    /// outcome the outcome is unknown.
    pub fn of_run(run: &Run) -> Option<Self> {
        let outcome = run.outcome.as_deref().and_then(Effect::of_word).map_or("", Effect::name);
        Some(Self {
            run_id: run.run_id.clone(),
            playbook_id: run.playbook_id.clone()?,
            outcome: outcome.to_owned(),
            ran_at: run.finished_at.or(run.started_at).unwrap_or(run.updated_at),
            summary: run.summary.clone(),
            context: Context::of_run(run),
        })
    }

    /// The verified outcome of an execution of our own.
    pub fn of_outcome(outcome: &Outcome) -> Self {
        Self {
            run_id: RunId::new(outcome.execution_id.as_str()),
            playbook_id: outcome.playbook_id.clone(),
            outcome: outcome.effect.name().to_owned(),
            ran_at: outcome.recorded_at,
            summary: outcome.summary.clone(),
            context: Context::of(&[], &[], &outcome.summary),
        }
    }

    /// A person's word on a playbook for an incident: one that was rejected or passed over, or chosen over what was recommended. `id` names the
    /// word, not a run.
    pub fn of_word(id: String, playbook_id: PlaybookId, is_chosen: bool, said_at: Timestamp, summary: &str) -> Self {
        Self {
            run_id: RunId::new(id),
            playbook_id,
            outcome: if is_chosen { CHOSEN } else { REJECTED }.to_owned(),
            ran_at: said_at,
            summary: summary.to_owned(),
            context: Context::of(&[], &[], summary),
        }
    }

    /// Experience by run id. Of several rows with one run id the newest counts.
    pub fn newest(experience: impl IntoIterator<Item = Self>) -> BTreeMap<RunId, Self> {
        let mut by_run: BTreeMap<RunId, Self> = BTreeMap::new();
        for one in experience {
            let newer = by_run.get(&one.run_id).is_none_or(|old| (old.ran_at, &old.outcome) <= (one.ran_at, &one.outcome));
            if newer {
                by_run.insert(one.run_id.clone(), one);
            }
        }
        by_run
    }

    /// An index over the summaries, by run id, and the experience that [`neighbours`] looks hits up in: the newest of each run.
    pub fn index(embedder: &Embedder, experience: impl IntoIterator<Item = Self>) -> Result<(Index, BTreeMap<RunId, Self>), IndexError> {
        let by_run = Self::newest(experience);
        let texts: Vec<&str> = by_run.values().map(|one| one.summary.as_str()).collect();
        let mut index = Index::new(embedder.id(), embedder.dimensions());
        for (run, vector) in by_run.keys().zip(embedder.embed(&texts)?) {
            index.put(run.as_str(), &embedder.id(), &vector)?;
        }
        Ok((index, by_run))
    }
}

/// The `k` past runs whose summaries are most like the incident's, and the `k` most like it of those about the same endpoint, pool, node or
/// dataset, most similar first, as rows of the table `matches`.
///
/// Runs after `at.now` are not seen, nor those that `experience` does not hold. Errs when the index is of another embedder, or the embedder's model fails.
pub fn neighbours(
    index: &Index,
    embedder: &Embedder,
    incident: &Incident,
    experience: &BTreeMap<RunId, Experience>,
    k: usize,
    at: &Moment,
) -> Result<Vec<Match>, IndexError> {
    let past = |id: &str| experience.get(&RunId::new(id)).filter(|one| one.ran_at <= at.now);
    let embedder_id = embedder.id();
    let query = embedder.embed(&[incident.summary.as_str()])?.pop().unwrap_or_default();
    let here = Context::of_incident(incident);
    let mut hits = index.top(&embedder_id, &query, k, |id| past(id).is_some())?;
    let is_kin = |one: &&Experience| one.ran_at <= at.now && !one.context.things.is_disjoint(&here.things);
    hits.extend(index.top_of(&embedder_id, &query, k, experience.values().filter(is_kin).map(|one| one.run_id.as_str()))?);
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
        let (index, by_run) = Experience::index(&embedder, all).unwrap();
        let found = neighbours(&index, &embedder, &incident(), &by_run, 3, &at(2_000_000_000)).unwrap();
        assert_eq!(found[0].run_id.as_str(), "near");
        assert!(found.iter().all(|m| !["future", "empty"].contains(&m.run_id.as_str()) && m.similarity > 0.0 && m.similarity <= 1.0));
        assert_eq!((found[0].embedder_id.as_str(), found[0].round_id.as_str()), ("hashing-v1-512", "rnd-1"));
        let later = neighbours(&index, &embedder, &incident(), &by_run, 3, &at(2_000_100_000)).unwrap();
        assert_eq!(later[0].run_id.as_str(), "future");
    }

    #[test]
    fn an_index_of_another_embedder_is_refused() {
        let error =
            neighbours(&Index::new("fastembed-384", 384), &Embedder::default(), &incident(), &BTreeMap::new(), 3, &at(0)).unwrap_err();
        assert!(error.to_string().contains("fastembed-384"), "{error}");
    }
}
