use std::collections::BTreeMap;

use super::*;

/// A short history, asked about from its 500th incident on.
fn lived(episodes: &[Episode]) -> Vec<Asked> {
    live(episodes, &Embedder::default(), 300, 500, 1).unwrap()
}

#[test]
fn the_ranking_is_better_than_what_is_plainer_and_says_how_sure_it_is() {
    let episodes = history(4_000_001, 1_200);
    let results: BTreeMap<Method, Measured> = results(&episodes, &lived(&episodes)).into_iter().collect();
    let (ranking, told) = (&results[&Method::Ranking], format!("{results:#?}"));
    for method in [Method::Wilson, Method::Words, Method::Frequent, Method::Random] {
        assert!(ranking.top_1 > results[&method].top_1 + 0.05 && ranking.mrr > results[&method].mrr, "{method:?} {told}");
    }
    assert!(ranking.top_1 > 0.7 && ranking.top_3 > 0.9 && ranking.ece < 0.1, "{told}");
    assert!((results[&Method::Random].top_1 - 1.0 / 12.0).abs() < 0.04, "{told}");
    // The surest are right more often than all are.
    let (surest, all) = (ranking.abstention[3], ranking.abstention[ranking.abstention.len() - 1]);
    assert!(surest.coverage < 0.25 && surest.right > all.right && surest.least > all.least, "{told}");
}

#[test]
fn what_happens_later_changes_no_answer() {
    let episodes = history(7, 700);
    let before = lived(&episodes);
    let now = episodes[650].incident.opened_at;
    let mut other = episodes.clone();
    for episode in other.iter_mut().filter(|e| e.run.ran_at > now) {
        episode.run.outcome = "harmful".into();
        episode.run.summary = "something else altogether".into();
        episode.run.playbook_id = playbooks()[0].id.clone();
    }
    // What would have come of the recommendations that are verified after that.
    for episode in other.iter_mut().filter(|e| e.incident.opened_at + VERIFYING > now) {
        episode.effects.values_mut().for_each(|effect| *effect = Effect::Harmful);
        episode.right = None;
    }
    assert_ne!(other, episodes);
    let after = lived(&other);
    assert_eq!(before[..=150], after[..=150]);
    assert_ne!(before[151..], after[151..], "later answers do learn of it");
}

#[test]
fn equal_seeds_give_equal_histories_and_no_text_names_its_playbook() {
    let episodes = history(3, 400);
    assert_eq!(episodes, history(3, 400));
    assert_ne!(episodes, history(4, 400));
    assert!(episodes.iter().zip(&episodes[1..]).all(|(a, b)| a.incident.opened_at <= b.incident.opened_at));
    for episode in &episodes {
        for book in playbooks() {
            assert!(!episode.incident.summary.contains(book.id.as_str()) && !episode.run.summary.contains(book.id.as_str()));
        }
    }
    let of = |word: &str| episodes.iter().filter(|e| e.run.outcome == word).count();
    assert!(of("effective") > 200 && of("ineffective") > 50 && of("harmful") > 3 && of("no_data") > 3 && of("") > 3);
    assert!(episodes.iter().any(|e| e.right.is_none()));
}

#[test]
fn nothing_asked_is_all_zeros() {
    assert_eq!(live(&[], &Embedder::default(), 0, 0, 1).unwrap(), []);
    let measured = measure(&[]);
    assert_eq!((measured.incidents, measured.top_1, measured.ece, measured.answered), (0, 0.0, 0.0, 0.0));
    assert!(measured.reliability.is_empty() && measured.abstention.is_empty());
}
