//! How well texts are found by questions whose answers are known.

use serde::Serialize;

use crate::embed::Embedder;
use crate::index::{Index, IndexError};
use crate::lexicon::{Lexicon, fuse};

/// A text that can be found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Its id.
    pub id: String,
    /// What it says.
    pub text: String,
}

/// A question with all of its right answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// What is asked.
    pub text: String,
    /// Ids of the pages that answer it.
    pub right: Vec<String>,
}

/// How pages are ranked.
#[derive(Clone, Copy, Debug)]
pub enum Method<'a> {
    /// By the words they share with the question: BM25.
    Words,
    /// By the similarity of vectors: of all passages of a page the most similar one counts.
    Vectors(&'a Embedder),
}

/// How good rankings are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Quality {
    /// Questions.
    pub questions: usize,
    /// Share of questions with a right page in first place.
    pub hit_at_1: f64,
    /// Share of questions with a right page among the first three.
    pub hit_at_3: f64,
    /// Mean of one over the place of the first right page (mean reciprocal rank); a page that is not found counts 0.
    pub mrr: f64,
}

/// Words in a passage. Models of sentences read little more, and a short passage is about one thing.
const PASSAGE: usize = 120;

/// The ids of all pages that a method finds for each question, best first.
pub fn rankings(method: Method<'_>, pages: &[Page], questions: &[Question]) -> Result<Vec<Vec<String>>, IndexError> {
    match method {
        Method::Words => {
            let lexicon = Lexicon::new(pages.iter().map(|page| (page.id.as_str(), page.text.as_str())));
            let ranked = |question: &Question| lexicon.top(&question.text, pages.len(), |_| true).into_iter().map(|(id, _)| id).collect();
            Ok(questions.iter().map(ranked).collect())
        }
        Method::Vectors(embedder) => by_vectors(embedder, pages, questions),
    }
}

/// One ranking for each question out of those of several methods, by reciprocal rank fusion.
pub fn hybrid(methods: &[&[Vec<String>]]) -> Vec<Vec<String>> {
    let questions = methods.iter().map(|rankings| rankings.len()).max().unwrap_or(0);
    let own = |question: usize| methods.iter().filter_map(|rankings| rankings.get(question).cloned()).collect::<Vec<_>>();
    (0..questions).map(|question| fuse(&own(question)).into_iter().map(|(id, _)| id).collect()).collect()
}

fn by_vectors(embedder: &Embedder, pages: &[Page], questions: &[Question]) -> Result<Vec<Vec<String>>, IndexError> {
    let passages: Vec<(String, String)> = pages
        .iter()
        .flat_map(|page| passages(&page.text).into_iter().enumerate().map(|(i, text)| (format!("{i}:{}", page.id), text)))
        .collect();
    let texts: Vec<&str> = passages.iter().map(|(_, text)| text.as_str()).collect();
    let id = embedder.id();
    let mut index = Index::new(id.clone(), embedder.dimensions());
    for ((passage, _), vector) in passages.iter().zip(embedder.embed(&texts)?) {
        index.put(passage, &id, &vector)?;
    }
    let asked: Vec<&str> = questions.iter().map(|question| question.text.as_str()).collect();
    let mut ranked = Vec::new();
    for vector in embedder.embed(&asked)? {
        let mut found: Vec<String> = Vec::new();
        for hit in index.top(&id, &vector, index.len(), |_| true)? {
            let page = hit.id.split_once(':').map_or(hit.id.as_str(), |(_, page)| page);
            if !found.iter().any(|known| known == page) {
                found.push(page.to_owned());
            }
        }
        ranked.push(found);
    }
    Ok(ranked)
}

/// A text in passages of at most 120 words, each but the first beginning where the one before is half over.
fn passages(text: &str) -> Vec<String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let last = words.len().saturating_sub(PASSAGE).div_ceil(PASSAGE / 2);
    (0..=last).map(|i| words[i * PASSAGE / 2..(i * PASSAGE / 2 + PASSAGE).min(words.len())].join(" ")).collect()
}

/// Measures rankings, one for each question in the same order. All zeros without questions.
pub fn quality(rankings: &[Vec<String>], questions: &[Question]) -> Quality {
    let places: Vec<Option<usize>> =
        rankings.iter().zip(questions).map(|(ranking, question)| ranking.iter().position(|id| question.right.contains(id))).collect();
    let mean = |worth: &dyn Fn(usize) -> f64| places.iter().flatten().map(|place| worth(*place)).sum::<f64>() / places.len().max(1) as f64;
    let within = |n: usize| mean(&|place| if place < n { 1.0 } else { 0.0 });
    Quality { questions: places.len(), hit_at_1: within(1), hit_at_3: within(3), mrr: mean(&|place| 1.0 / (place as f64 + 1.0)) }
}

/// The text without a name, in any case and in any of its spellings: `KubePodCrashLooping`, `Kube Pod Crash Looping`, `kube-pod-crash-looping`.
/// Without it a page is found by what it says and not by what it is called.
pub fn without_name(text: &str, name: &str) -> String {
    let sound: Vec<char> = name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    let letters: Vec<(usize, char)> = text.char_indices().collect();
    let mut result = String::with_capacity(text.len());
    let mut at = 0;
    while at < letters.len() {
        if let Some(end) = spelled(&letters[at..], &sound).filter(|_| at == 0 || !letters[at - 1].1.is_alphanumeric()) {
            at += end;
            result.push(' ');
        } else {
            result.push(letters[at].1);
            at += 1;
        }
    }
    result
}

/// How many letters the name takes at the beginning of the text, signs between its words included; none when it is not there.
fn spelled(text: &[(usize, char)], sound: &[char]) -> Option<usize> {
    let mut left = sound.iter();
    let mut next = left.next()?;
    for (i, (_, letter)) in text.iter().enumerate() {
        if letter.to_lowercase().eq([*next]) {
            match left.next() {
                Some(following) => next = following,
                None => return text.get(i + 1).is_none_or(|(_, c)| !c.is_alphanumeric()).then_some(i + 1),
            }
        } else if i == 0 || !matches!(letter, ' ' | '-' | '_') {
            return None;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pages() -> Vec<Page> {
        let page = |id: &str, text: &str| Page { id: id.into(), text: text.into() };
        vec![
            page("disk", "The volume is nearly full. Delete old files or enlarge it."),
            page("latency", &format!("{} The p95 latency is high. Add replicas.", "Background that says little. ".repeat(60))),
            page("cert", "A certificate expires. Renew it."),
        ]
    }

    fn ask(text: &str, right: &str) -> Question {
        Question { text: text.into(), right: vec![right.into()] }
    }

    #[test]
    fn each_method_finds_the_page_that_answers() {
        let questions = [ask("volume full", "disk"), ask("latency rising", "latency"), ask("certificate expired", "cert")];
        let embedder = Embedder::default();
        let words = rankings(Method::Words, &pages(), &questions).unwrap();
        let vectors = rankings(Method::Vectors(&embedder), &pages(), &questions).unwrap();
        for found in [&words, &vectors, &hybrid(&[&words, &vectors])] {
            assert_eq!(quality(found, &questions), Quality { questions: 3, hit_at_1: 1.0, hit_at_3: 1.0, mrr: 1.0 }, "{found:?}");
        }
        assert!(rankings(Method::Vectors(&embedder), &[], &questions).unwrap().iter().all(Vec::is_empty));
        assert!(hybrid(&[]).is_empty());
    }

    #[test]
    fn places_count_by_their_inverse() {
        let questions = [ask("", "a"), ask("", "b"), ask("", "z")];
        let ranking = || ["x", "a", "y", "b"].map(str::to_owned).to_vec();
        let found = quality(&[ranking(), ranking(), ranking()], &questions);
        assert_eq!((found.hit_at_1, found.hit_at_3, found.mrr), (0.0, 1.0 / 3.0, 0.25));
        assert_eq!(quality(&[], &[]), Quality::default());
    }

    #[test]
    fn a_name_is_taken_out_in_every_spelling() {
        let text = "# KubePodDown\nThe alert `kube_pod_down`, or Kube Pod  Down, is no KubePodDownAgain; a kube pod is down.";
        assert_eq!(without_name(text, "KubePodDown"), "#  \nThe alert ` `, or  , is no KubePodDownAgain; a kube pod is down.");
        assert_eq!(without_name("über ÜBER", "Über"), "   ");
        assert_eq!(without_name("text", ""), "text");
    }

    #[test]
    fn passages_overlap_by_half_and_leave_nothing_out() {
        let words: Vec<String> = (0..250).map(|i| i.to_string()).collect();
        let found = passages(&words.join(" "));
        assert_eq!(found.len(), 4);
        assert!(found[0].starts_with("0 1 ") && found[1].starts_with("60 61 ") && found[3].ends_with(" 249"));
        assert_eq!(passages(""), [""]);
    }
}
