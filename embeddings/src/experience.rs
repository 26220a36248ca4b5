//! What was done before and what came of it: one use of a playbook, and all of them.

use std::collections::BTreeMap;

use bellwether_model::id::{PlaybookId, RunId};
use bellwether_model::outcome::{Effect, Outcome};
use bellwether_model::run::Run;
use bellwether_model::time::Timestamp;

use crate::context::Context;
use crate::embed::Embedder;
use crate::index::{Index, IndexError};
use crate::rank::score::{CHOSEN, REJECTED};

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
}

/// Past runs by id and by what they were about. Of several with one id the newest counts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Runs {
    by_id: BTreeMap<RunId, Experience>,
    /// The runs about each endpoint, pool, node and dataset.
    by_thing: BTreeMap<String, Vec<RunId>>,
}

impl Runs {
    /// The run of this id.
    pub fn get(&self, id: &RunId) -> Option<&Experience> {
        self.by_id.get(id)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// All, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Experience> {
        self.by_id.values()
    }

    /// Those that are about any of the same things as this context; one that shares several comes as often. Cost grows with what is found.
    pub fn about<'a>(&'a self, here: &'a Context) -> impl Iterator<Item = &'a Experience> {
        here.things.iter().filter_map(|thing| self.by_thing.get(thing)).flatten().filter_map(|id| self.by_id.get(id))
    }

    /// Takes in a run, where it is not older than the one of the same id.
    pub fn insert(&mut self, one: Experience) {
        if let Some(old) = self.by_id.get(&one.run_id) {
            if (old.ran_at, &old.outcome) > (one.ran_at, &one.outcome) {
                return;
            }
            for thing in &old.context.things {
                self.by_thing.entry(thing.clone()).or_default().retain(|id| *id != one.run_id);
            }
        }
        for thing in &one.context.things {
            self.by_thing.entry(thing.clone()).or_default().push(one.run_id.clone());
        }
        self.by_id.insert(one.run_id.clone(), one);
    }

    /// An index over the summaries, by run id.
    pub fn index(&self, embedder: &Embedder) -> Result<Index, IndexError> {
        let texts: Vec<&str> = self.iter().map(|one| one.summary.as_str()).collect();
        let mut index = Index::new(embedder.id(), embedder.dimensions());
        for (run, vector) in self.by_id.keys().zip(embedder.embed(&texts)?) {
            index.put(run.as_str(), &embedder.id(), &vector)?;
        }
        Ok(index)
    }
}

impl FromIterator<Experience> for Runs {
    fn from_iter<I: IntoIterator<Item = Experience>>(experience: I) -> Self {
        let mut runs = Self::default();
        experience.into_iter().for_each(|one| runs.insert(one));
        runs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_one_run_the_newest_counts_also_for_what_it_is_about() {
        let run = |id: &str, secs: i64, thing: &str| Experience {
            run_id: RunId::new(id),
            playbook_id: PlaybookId::new("scale-up"),
            outcome: String::new(),
            ran_at: Timestamp::from_secs(secs),
            summary: String::new(),
            context: Context::of(&[thing.into()], &[], ""),
        };
        let runs: Runs =
            [run("a", 1, "ml/iris"), run("b", 1, "ml/iris"), run("a", 3, "ml/rose"), run("a", 2, "ml/iris")].into_iter().collect();
        let about = |thing: &str| {
            let here = Context::of(&[thing.into()], &[], "");
            runs.about(&here).map(|one| one.run_id.to_string()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!([about("ml/iris"), about("ml/rose"), about("ml/lily")], ["b", "a", ""]);
        assert_eq!((runs.len(), runs.get(&RunId::new("a")).unwrap().ran_at.secs()), (2, 3));
    }
}
