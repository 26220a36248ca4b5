//! What was not judged, in words. Each series and column is counted once, so that the numbers add up.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::words::{grouped, many};

/// What a reason of a round's `skipped` counts, and how it is said after the number.
fn said(reason: &str) -> (&'static str, String) {
    let (noun, words) = match reason {
        "no_data" => ("series", "without new samples"),
        "not_enough_history" => ("series", "with too little history"),
        "not_numbers" => ("series", "whose new samples are no numbers"),
        "no_earlier_profile" => ("column", "without an earlier profile"),
        "no_quantiles" => ("column", "without quantiles"),
        "no_count" => ("column", "without a count"),
        "no_series" => ("rule", "without any series"),
        other => return ("series", other.replace('_', " ")),
    };
    (noun, words.to_owned())
}

/// How many series were not judged; columns, and rules without a series, are none.
pub(crate) fn count(skipped: &BTreeMap<String, i64>) -> i64 {
    skipped.iter().filter(|(reason, _)| said(reason).0 == "series").map(|(_, n)| (*n).max(0)).sum()
}

/// All of it in one line, the most first: `19 series (16 with too little history, 3 without new samples), 8 rules without any
/// series`; none when nothing was left out.
pub(crate) fn text(skipped: &BTreeMap<String, i64>) -> Option<String> {
    let mut groups = Vec::new();
    for noun in ["series", "column", "rule"] {
        let mut reasons: Vec<(i64, String)> = skipped
            .iter()
            .map(|(reason, n)| (*n, said(reason)))
            .filter(|(n, (of, _))| *n > 0 && *of == noun)
            .map(|(n, (_, w))| (n, w))
            .collect();
        reasons.sort_by(|a, b| (Reverse(a.0), &a.1).cmp(&(Reverse(b.0), &b.1)));
        match reasons.as_slice() {
            [] => {}
            [(n, words)] => groups.push(format!("{} {words}", many(*n, noun))),
            several => {
                let all = many(several.iter().map(|(n, _)| n).sum(), noun);
                let each = several.iter().map(|(n, words)| format!("{} {words}", grouped(*n))).collect::<Vec<_>>();
                groups.push(format!("{all} ({})", each.join(", ")));
            }
        }
    }
    (!groups.is_empty()).then(|| groups.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skipped(counts: &[(&str, i64)]) -> BTreeMap<String, i64> {
        counts.iter().map(|(reason, n)| ((*reason).to_owned(), *n)).collect()
    }

    #[test]
    fn the_parts_add_up_and_the_most_comes_first() {
        let counts = skipped(&[("no_data", 3), ("not_enough_history", 16), ("no_series", 8), ("no_quantiles", 1), ("not_numbers", 0)]);
        assert_eq!(
            text(&counts).unwrap(),
            "19 series (16 with too little history, 3 without new samples), 1 column without quantiles, 8 rules without any series"
        );
        assert_eq!(count(&counts), 19);
        assert_eq!(text(&skipped(&[("no_data", 1)])).unwrap(), "1 series without new samples");
        assert_eq!(text(&skipped(&[("no_data", 0)])), None);
    }
}
