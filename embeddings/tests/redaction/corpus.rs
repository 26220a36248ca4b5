//! The labelled corpus of redaction, and how a redactor is scored on it.

use std::collections::BTreeMap;

use bellwether_embeddings::Redactor;

/// One text, and what in it is to be replaced.
pub(crate) struct Case {
    /// The text without marks.
    pub(crate) text: String,
    /// Kind and value of each mark.
    pub(crate) marked: Vec<(String, String)>,
}

/// How many findings of one kind there are, are found, and are claimed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Score {
    /// Marks.
    pub(crate) marked: usize,
    /// Marks that are replaced, by the pseudonym of just this kind and value.
    pub(crate) found: usize,
    /// Replacements, right ones included.
    pub(crate) claimed: usize,
}

impl Score {
    /// Share of the marks that are found.
    pub(crate) fn recall(&self) -> f64 {
        self.found as f64 / self.marked.max(1) as f64
    }

    /// Share of the replacements that are right.
    pub(crate) fn precision(&self) -> f64 {
        self.found as f64 / self.claimed.max(1) as f64
    }
}

/// The redactor that the corpus is written for.
pub(crate) fn redactor() -> Redactor {
    let names = ["Anna Smith", "Zoë Müller", "Zoë", "Okonkwo", "李雷", "Dmitri Ivanov"];
    Redactor::new(b"a key of the ledger", &names.map(str::to_owned)).expect("the key is not empty")
}

/// All cases of `corpus.txt`, whose first lines say how it is written.
pub(crate) fn cases() -> Vec<Case> {
    let lines = include_str!("corpus.txt").lines().filter(|line| !line.is_empty() && !line.starts_with("# "));
    lines.map(case).collect()
}

fn case(line: &str) -> Case {
    let line = line.replace('¦', "").replace("\\\\", "\0").replace("\\n", "\n").replace('\0', "\\");
    let mut case = Case { text: String::new(), marked: Vec::new() };
    let mut pieces = line.split('‹');
    case.text.extend(pieces.next());
    for piece in pieces {
        let (mark, after) = piece.split_once('›').expect("every mark ends");
        let (kind, value) = mark.split_once('|').expect("every mark has a kind");
        case.marked.push((kind.to_owned(), value.to_owned()));
        case.text += value;
        case.text += after;
    }
    case
}

/// The score of each kind, and what went wrong, a line a case.
pub(crate) fn score(redactor: &Redactor, cases: &[Case]) -> (BTreeMap<String, Score>, Vec<String>) {
    let mut scores: BTreeMap<String, Score> = BTreeMap::new();
    let mut wrong = Vec::new();
    for case in cases {
        let redacted = redactor.text(&case.text);
        let mut expected: Vec<String> = case.marked.iter().map(|(kind, value)| redactor.pseudonym(kind, value)).collect();
        case.marked.iter().for_each(|(kind, _)| scores.entry(kind.clone()).or_default().marked += 1);
        let mut right = true;
        for (kind, pseudonym) in pseudonyms(&redacted) {
            let score = scores.entry(kind.to_owned()).or_default();
            score.claimed += 1;
            if let Some(place) = expected.iter().position(|e| e == pseudonym) {
                expected.swap_remove(place);
                score.found += 1;
            } else {
                right = false;
            }
        }
        if !right || !expected.is_empty() {
            wrong.push(format!("{:?} became {redacted:?}, {} not found", case.text, expected.len()));
        }
    }
    (scores, wrong)
}

/// The sum over all kinds.
pub(crate) fn total(scores: &BTreeMap<String, Score>) -> Score {
    scores.values().fold(Score::default(), |sum, s| Score {
        marked: sum.marked + s.marked,
        found: sum.found + s.found,
        claimed: sum.claimed + s.claimed,
    })
}

/// Kind and text of each `<kind:digits>`.
fn pseudonyms(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.match_indices('<').filter_map(|(at, _)| {
        let inner = &text[at + 1..];
        let (kind, rest) = inner.split_once(':')?;
        let digits = rest.get(..12)?;
        let is_one = kind.bytes().all(|b| b.is_ascii_lowercase() || b == b'-') && digits.bytes().all(|b| b.is_ascii_hexdigit());
        (is_one && rest[12..].starts_with('>')).then(|| (kind, &text[at..at + kind.len() + 15]))
    })
}
