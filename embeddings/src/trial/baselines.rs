//! Plainer methods, to compare with.

use std::collections::BTreeMap;

use bellwether_model::id::{PlaybookId, RunId};
use bellwether_model::outcome::Effect;
use bellwether_model::playbook::Playbook;
use bellwether_model::recommendation::Match;
use bellwether_model::time::Timestamp;
use rand::SeedableRng;
use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;

use super::{Answer, ids};
use crate::experience::Runs;
use crate::lexicon::Lexicon;
use crate::rank::{NEIGHBOURS, wilson as lower_bound};

/// Best first, then by id.
fn ranked(scores: BTreeMap<&PlaybookId, f64>) -> Answer {
    let mut found: Answer = scores.into_iter().map(|(id, score)| (id.clone(), score)).collect();
    found.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    found
}

/// `t × success`, where `success` is the lower end of the Wilson interval of the successes that are at least `t` similar against all
/// failures, and `t` is where that is highest; runs count by similarity squared, half after 180 days.
pub(super) fn wilson(matches: &[Match], now: Timestamp, books: &[Playbook]) -> Answer {
    let score = |id: &PlaybookId| {
        let (mut failed, mut helped, mut best) = (0.0, 0.0, 0.0_f64);
        let own = || matches.iter().filter(|m| m.playbook_id == *id && m.similarity >= 0.25);
        let weight = |m: &Match| m.similarity * m.similarity * 0.5_f64.powf(now.since(m.ran_at).hours_f64() / 24.0 / 180.0);
        for run in own() {
            failed += match Effect::of_word(&run.outcome) {
                Some(Effect::Ineffective) => weight(run),
                Some(Effect::Harmful) => 2.0 * weight(run),
                _ => 0.0,
            };
        }
        for run in own().filter(|m| Effect::of_word(&m.outcome) == Some(Effect::Effective)) {
            helped += weight(run);
            best = best.max(run.similarity * lower_bound(helped, failed));
        }
        best
    };
    let mut found = ranked(ids(books).map(|id| (id, score(id))).collect());
    found.retain(|(_, score)| *score >= crate::rank::LEAST_SCORE);
    found
}

/// By the words that past runs share with the incident: of each playbook the run that shares most. Its part of all scores is taken for the
/// probability.
pub(super) fn words(helped: &Lexicon, known: &Runs, text: &str, books: &[Playbook]) -> Answer {
    let mut scores: BTreeMap<&PlaybookId, f64> = BTreeMap::new();
    for (run, score) in helped.top(text, NEIGHBOURS, |_| true) {
        if let Some(playbook) = known.get(&RunId::new(run)).and_then(|one| ids(books).find(|id| **id == one.playbook_id)) {
            let best = scores.entry(playbook).or_default();
            *best = best.max(score);
        }
    }
    let all: f64 = scores.values().sum();
    ranked(scores.into_iter().map(|(id, score)| (id, score / all)).collect())
}

/// By how often each helped so far. How often it did when it was run is taken for the probability.
pub(super) fn frequent(known: &Runs, books: &[Playbook]) -> Answer {
    let mut counts: BTreeMap<&PlaybookId, (f64, f64)> = ids(books).map(|id| (id, (0.0, 0.0))).collect();
    let all = known.len().max(1) as f64;
    for one in known.iter() {
        if let Some((ran, helped)) = counts.get_mut(&one.playbook_id) {
            *ran += 1.0;
            *helped += f64::from(u8::from(Effect::of_word(&one.outcome) == Some(Effect::Effective)));
        }
    }
    ranked(counts.into_iter().map(|(id, (_, helped))| (id, helped / all)).collect())
}

/// In any order, each as likely.
pub(super) fn random(dice: u64, books: &[Playbook]) -> Answer {
    let mut found: Answer = ids(books).map(|id| (id.clone(), 1.0 / books.len().max(1) as f64)).collect();
    found.shuffle(&mut ChaCha8Rng::seed_from_u64(dice));
    found
}
