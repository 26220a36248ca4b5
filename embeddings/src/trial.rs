//! How well the ranking foresees: a simulated history is lived through in order of time, and each method is asked before the answer is known.
//!
//! What happens later cannot be seen: at each incident a method has been told what ended before it opened, and nothing else.

mod baselines;
mod causes;
mod measure;
mod world;

use std::collections::VecDeque;

use bellwether_model::id::{PlaybookId, RoundId};
use bellwether_model::outcome::Effect;
use bellwether_model::playbook::Playbook;
use bellwether_model::recommendation::{Candidate, Match};
use bellwether_model::time::{Span, Timestamp};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

pub use measure::{Bin, Level, Measured, measure};
pub use world::{Episode, history, playbooks};

use crate::calibration::{Calibration, Stated};
use crate::embed::Embedder;
use crate::experience::{Experience, Runs};
use crate::index::{Index, IndexError};
use crate::lexicon::Lexicon;
use crate::neighbours::neighbours;
use crate::rank::{Grounds, Moment, NEIGHBOURS, rank};

/// Share of recommendations that are carried out and verified.
const VERIFIED: f64 = 0.3;
/// Share of those of which nothing can be measured.
const UNMEASURED: f64 = 0.05;
/// How long after an incident its verified outcome is known.
const VERIFYING: Span = Span::from_hours(1);
/// How often the calibration is learned anew.
const LEARNING: Span = Span::from_days(7);

/// Who is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Method {
    /// The program's ranking, calibrated by its own verified recommendations as it goes.
    Ranking,
    /// The same, its scores as shipped.
    Shipped,
    /// Similarity × the lower end of the Wilson interval of success.
    Wilson,
    /// The playbooks of the past runs that helped and share most words (BM25).
    Words,
    /// The playbooks that helped most often so far.
    Frequent,
    /// Any.
    Random,
}

impl Method {
    /// All, in the order in which they are told.
    pub const ALL: [Self; 6] = [Self::Ranking, Self::Shipped, Self::Wilson, Self::Words, Self::Frequent, Self::Random];

    /// Its name, as it is shown.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ranking => "ranking",
            Self::Shipped => "ranking, not calibrated",
            Self::Wilson => "similarity x Wilson",
            Self::Words => "BM25 alone",
            Self::Frequent => "most frequent",
            Self::Random => "random",
        }
    }
}

/// What a trial found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Trial {
    /// The history's seed.
    pub seed: u64,
    /// Incidents in all.
    pub incidents: usize,
    /// The first of them, which only taught.
    pub learned: usize,
    /// The next, whose recommendations the calibration learned from, too.
    pub calibrated: usize,
    /// The last, which were asked about.
    pub held_out: usize,
    /// Each method, in the order of [`Method::ALL`].
    pub methods: Vec<Tried>,
}

/// What a method is measured at.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Tried {
    /// Its name.
    pub method: &'static str,
    /// Its figures.
    #[serde(flatten)]
    pub measured: Measured,
}

/// Lives through a history of so many incidents. The first 45 % only teach, recommendations begin with the next 15 %, and the last 40 % are
/// held out.
///
/// # Errors
/// When an embedder's model fails.
pub fn run(seed: u64, incidents: usize, embedder: &Embedder) -> Result<Trial, IndexError> {
    let episodes = history(seed, incidents);
    let (since, from) = (incidents * 45 / 100, incidents * 60 / 100);
    let asked = live(&episodes, embedder, since, from, seed)?;
    let methods = results(&episodes, &asked).into_iter().map(|(method, measured)| Tried { method: method.name(), measured }).collect();
    Ok(Trial { seed, incidents, learned: since, calibrated: from - since, held_out: asked.len(), methods })
}

/// Playbooks with the probability that each is said to help, best first; empty where a method abstains.
pub type Answer = Vec<(PlaybookId, f64)>;

/// What was answered for one incident, by method in the order of [`Method::ALL`].
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// The incident's place in the history.
    pub episode: usize,
    /// One answer for each method.
    pub answers: Vec<Answer>,
}

/// Lives through a history and asks every method about the incidents from place `from` on. Recommendations are made, and a third of them
/// verified, from place `since` on: what the calibration is learned from.
///
/// # Errors
/// When an embedder's model fails.
pub fn live(episodes: &[Episode], embedder: &Embedder, since: usize, from: usize, seed: u64) -> Result<Vec<Asked>, IndexError> {
    let books = playbooks();
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x7472_6961_6c00);
    let (mut verified, mut verifying) = (Vec::new(), VecDeque::new());
    let (mut calibration, mut learned_at) = (Calibration::default(), None::<Timestamp>);
    let mut asked = Vec::new();
    walk(episodes, embedder, since, |place, memory, matches, at| {
        while verifying.front().is_some_and(|(known_at, _)| *known_at <= at.now) {
            verified.extend(verifying.pop_front().map(|(_, stated)| stated));
        }
        if learned_at.is_none_or(|learned| at.now.since(learned) >= LEARNING) {
            (calibration, learned_at) = (Calibration::learn(&verified), Some(at.now));
        }
        let (episode, experience) = (&episodes[place], &memory.known);
        let grounds = Grounds { matches, experience, playbooks: &books, exclusions: &[], calibration: &calibration };
        let found = rank(&episode.incident, &grounds, at, books.len());
        let before = |c: &Candidate| c.reckoning.as_ref().map_or(c.score, |r| r.before);
        let (is_verified, dice) = (rng.random_bool(VERIFIED * (1.0 - UNMEASURED)), rng.random::<u64>());
        if let Some(first) = found.candidates.first().filter(|_| is_verified) {
            let effective = episode.effects.get(&first.playbook_id) == Some(&Effect::Effective);
            verifying.push_back((at.now + VERIFYING, Stated { score: before(first), effective }));
        }
        if place >= from {
            let answers = vec![
                found.candidates.iter().map(|c| (c.playbook_id.clone(), c.score)).collect(),
                found.candidates.iter().map(|c| (c.playbook_id.clone(), before(c))).collect(),
                baselines::wilson(matches, at.now, &books),
                baselines::words(&memory.lexicon, experience, &episode.incident.summary, &books),
                baselines::frequent(experience, &books),
                baselines::random(dice, &books),
            ];
            asked.push(Asked { episode: place, answers });
        }
    })?;
    Ok(asked)
}

/// Lives through a history, and at each incident from place `since` on tells what is known then: its place, what was learned up to then, and the
/// past runs that resemble it.
///
/// # Errors
/// When an embedder's model fails.
pub fn walk(
    episodes: &[Episode],
    embedder: &Embedder,
    since: usize,
    mut each: impl FnMut(usize, &Memory<'_>, &[Match], &Moment),
) -> Result<(), IndexError> {
    let mut memory = Memory::new(embedder, episodes);
    for (place, episode) in episodes.iter().enumerate() {
        let at = Moment { round_id: RoundId::new("trial"), now: episode.incident.opened_at };
        memory.learn(at.now)?;
        if place >= since {
            let matches = neighbours(&memory.index, embedder, &episode.incident, &memory.known, NEIGHBOURS, &at)?;
            each(place, &memory, &matches, &at);
        }
    }
    Ok(())
}

/// What is known at a moment of the history.
pub struct Memory<'a> {
    embedder: &'a Embedder,
    /// Runs that are not over yet, by the time they will be.
    ahead: VecDeque<&'a Experience>,
    index: Index,
    lexicon: Lexicon,
    /// The runs that are over.
    pub known: Runs,
}

impl<'a> Memory<'a> {
    fn new(embedder: &'a Embedder, episodes: &'a [Episode]) -> Self {
        let mut ahead: Vec<&Experience> = episodes.iter().map(|e| &e.run).collect();
        ahead.sort_by(|a, b| (a.ran_at, &a.run_id).cmp(&(b.ran_at, &b.run_id)));
        let index = Index::new(embedder.id(), embedder.dimensions());
        Self { embedder, ahead: ahead.into(), index, lexicon: Lexicon::default(), known: Runs::default() }
    }

    /// Takes in what is over by now.
    fn learn(&mut self, now: Timestamp) -> Result<(), IndexError> {
        while let Some(run) = self.ahead.pop_front_if(|run| run.ran_at <= now) {
            let vector = self.embedder.embed(&[run.summary.as_str()])?.pop().unwrap_or_default();
            self.index.put(run.run_id.as_str(), &self.embedder.id(), &vector)?;
            if Effect::of_word(&run.outcome) == Some(Effect::Effective) {
                self.lexicon.add(run.run_id.as_str(), &run.summary);
            }
            self.known.insert(run.clone());
        }
        Ok(())
    }
}

/// What each method is measured at, in the order of [`Method::ALL`].
pub fn results(episodes: &[Episode], asked: &[Asked]) -> Vec<(Method, Measured)> {
    let of = |(n, method): (usize, &Method)| {
        let answers: Vec<(&Episode, &Answer)> = asked.iter().filter_map(|a| Some((episodes.get(a.episode)?, a.answers.get(n)?))).collect();
        (*method, measure(&answers))
    };
    Method::ALL.iter().enumerate().map(of).collect()
}

/// Ids of playbooks in their order.
fn ids(books: &[Playbook]) -> impl Iterator<Item = &PlaybookId> {
    books.iter().map(|book| &book.id)
}

#[cfg(test)]
mod tests;
