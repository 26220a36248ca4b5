//! The comparison at the terminal.

use std::fmt::Write as _;

use bellwether_detectors::drift::interval::Interval;
use bellwether_detectors::drift::words::percent;
use bellwether_model::verdict::Verdict;
use serde_json::{Map, Value, json};

use super::account::{Account, Row};
use super::predictions::{self, Standing};
use crate::output;

/// Columns that are named in a sentence.
const NAMED: usize = 4;

/// What was found, in a sentence.
pub(crate) fn headline(account: &Account) -> String {
    let drifted: Vec<&str> = account.columns.iter().filter(|r| r.verdict == Verdict::Fail).map(|r| r.column.as_str()).collect();
    let judged = account.columns.iter().filter(|r| matches!(r.verdict, Verdict::Pass | Verdict::Fail)).count();
    let of = if judged == 1 { "1 column".to_owned() } else { format!("{judged} columns") };
    if judged == 0 {
        return "No column could be judged, so nothing is known of drift.".into();
    }
    if drifted.is_empty() {
        return format!("None of {of} drifted.");
    }
    let more = if drifted.len() > NAMED { format!(" and {} more", drifted.len() - NAMED) } else { String::new() };
    format!("{} of {of} drifted: {}{more}.", drifted.len(), drifted[..drifted.len().min(NAMED)].join(", "))
}

/// How it was judged, in sentences.
pub(crate) fn how(account: &Account) -> String {
    let whole = match account.verdict {
        Verdict::Fail => {
            format!("The whole has drifted: {} of it did, and {} is the line.", percent(account.share), percent(account.share_line))
        }
        Verdict::Pass => {
            format!("The whole has not: {} of it did, and {} is the line.", percent(account.share), percent(account.share_line))
        }
        Verdict::NoData | Verdict::Inconclusive => "Of the whole nothing can be said.".into(),
    };
    let mut words = format!(
        "{whole} A column drifts when its change is both large (effect at or above its line) and real (p at most {}, corrected for all columns).",
        account.q
    );
    let errors = account.columns.iter().filter_map(|r| r.error).filter(|e| *e > 0.0);
    if let Some(worst) = errors.reduce(f64::max) {
        let _ = write!(words, " Read in one pass into profiles: effects are within {} of the exact ones.", rounded(worst));
    } else if account.reference.is_sketched || account.current.is_sketched {
        words.push_str(" Read in one pass into profiles, which are exact here.");
    }
    words
}

/// The table and the sentences.
pub(crate) fn render(account: &Account) -> String {
    let rows: Vec<Map<String, Value>> = account.columns.iter().map(row).collect();
    let mut text = if rows.is_empty() { "no columns".to_owned() } else { output::table(&rows, &[]) };
    let side = |s: &super::account::Side| {
        let model = s.model.as_ref().map(|m| format!(", the profile of {m}")).unwrap_or_default();
        format!("{} ({} rows{model})", s.name, grouped(s.rows))
    };
    let _ = write!(text, "\n{}\n{}\n", headline(account), how(account));
    let _ = write!(text, "Reference: {}; now: {}.", side(&account.reference), side(&account.current));
    if let Some(found) = &account.predictions {
        if let Some(standing) = &found.performance {
            let _ = write!(text, "\n\n{}", performance(standing));
        }
        if let Some(fairness) = &found.fairness {
            let _ = write!(text, "\n\n{}", fairness_table(fairness));
        }
    }
    text
}

fn row(r: &Row) -> Map<String, Value> {
    let mut row = Map::new();
    row.insert("column".into(), json!(r.column));
    row.insert("type".into(), json!(r.r#type));
    row.insert("verdict".into(), json!(verdict(r.verdict)));
    row.insert("change".into(), json!(r.change.clone().unwrap_or_default().replace('`', "")));
    row.insert("effect".into(), json!(effect(r)));
    row.insert("p".into(), json!(r.p.map(p_value).unwrap_or_default()));
    row.insert("findings".into(), json!(r.findings.join("; ")));
    row
}

/// What a verdict means for a column.
pub(crate) fn verdict(verdict: Verdict) -> String {
    if verdict == Verdict::Fail { "drifted".into() } else { verdict.to_string().replace('_', " ") }
}

/// The effect beside its line: "wasserstein 0.42, line 0.1".
pub(crate) fn effect(r: &Row) -> String {
    match (r.measure, r.effect, r.line) {
        (Some(measure), Some(effect), Some(line)) => {
            let error = r.error.filter(|e| *e > 0.0).map(|e| format!(" ± {}", rounded(e))).unwrap_or_default();
            format!("{} {}{error}, line {line}", measure.to_string().replace('_', "-"), rounded(effect))
        }
        _ => String::new(),
    }
}

/// A whole number with its thousands apart.
pub(crate) fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let apart = |(i, c): (usize, char)| if i > 0 && (digits.len() - i).is_multiple_of(3) { format!(",{c}") } else { c.to_string() };
    digits.chars().enumerate().map(apart).collect()
}

/// A number with three digits after the point, smaller ones in powers of ten.
pub(crate) fn rounded(value: f64) -> String {
    if value >= 5e-4 || value == 0.0 { format!("{value:.3}") } else { format!("{value:.0e}") }
}

/// A p-value; below what matters to anyone it is just small.
pub(crate) fn p_value(p: f64) -> String {
    if p < 1e-12 { "< 1e-12".into() } else { rounded(p) }
}

fn performance(standing: &Standing) -> String {
    let (before, now) = (Standing::known(&standing.before), &standing.now);
    let all = predictions::figures(before).into_iter().zip(predictions::figures(&now.estimated)).zip(predictions::figures(&now.realised));
    let rows: Vec<Map<String, Value>> = all
        .map(|(((name, was), (_, estimated)), (_, truth))| {
            let mut row = Map::new();
            row.insert("performance".into(), json!(name));
            row.insert("reference".into(), json!(predictions::interval(was)));
            row.insert("now, estimated".into(), json!(predictions::interval(estimated)));
            row.insert("now, true".into(), json!(predictions::interval(truth)));
            row
        })
        .collect();
    format!("{}\n{}", output::table(&rows, &[]), performance_words(standing))
}

/// What is to be thought of the performance, in sentences.
pub(crate) fn performance_words(standing: &Standing) -> String {
    let mut words = match standing.verdict {
        Verdict::Fail => "Judged by accuracy, the classifier does worse than on the reference.".to_owned(),
        Verdict::Pass => "Judged by accuracy, the classifier does as well as on the reference, as far as can be told.".into(),
        Verdict::Inconclusive => {
            "Accuracy has not fallen, but labels contradict the estimate: the classifier is no longer calibrated.".into()
        }
        Verdict::NoData => "There is no reference to compare the performance with.".into(),
    };
    if standing.now.realised.rows == 0 {
        words.push_str(" No row has its label yet, so this rests on the classifier's own confidence");
        words.push_str(if standing.is_calibrated { ", calibrated on the reference." } else { ", which nothing shows to be calibrated." });
    } else {
        let _ = write!(words, " {} of {} rows have labels.", standing.now.realised.rows, standing.now.estimated.rows);
        let lower = |a: Option<Interval>, b: Option<Interval>| a.zip(b).is_some_and(|(a, b)| a.upper < b.lower);
        let known = Standing::known(&standing.before).accuracy;
        if standing.now.contradict() == Some(true) {
            let (estimated, realised) = (standing.now.estimated_of_labelled.accuracy, standing.now.realised.accuracy);
            words.push_str(match () {
                () if !lower(realised, estimated) => " The truth is better than the estimate.",
                () if lower(estimated, known) => " The estimate saw a part of it; the rest is that inputs no longer mean what they did.",
                () => " The estimate did not see it: inputs no longer mean what they did.",
            });
        }
    }
    words
}

fn fairness_table(fairness: &bellwether_detectors::drift::fairness::Fairness) -> String {
    let mut groups: Vec<Map<String, Value>> = Vec::new();
    let (shown, more) = predictions::largest(fairness);
    for (name, rates) in shown {
        let mut row = Map::new();
        row.insert("group".into(), json!(name));
        row.insert("rows".into(), json!(rates.rows));
        row.insert("chosen".into(), json!(predictions::interval(rates.selection)));
        row.insert("chosen of the positive".into(), json!(predictions::interval(rates.true_positive)));
        row.insert("chosen of the negative".into(), json!(predictions::interval(rates.false_positive)));
        row.insert("".into(), json!(if rates.is_compared { "" } else { "too few rows" }));
        groups.push(row);
    }
    let mut text = if groups.is_empty() { "no row has a group and a decision".to_owned() } else { output::table(&groups, &[]) };
    if let Some(more) = more_groups(more) {
        let _ = write!(text, "\n{more}");
    }
    for line in fairness_words(fairness) {
        let _ = write!(text, "\n{line}");
    }
    text
}

/// How many smaller groups are not shown.
pub(crate) fn more_groups(more: usize) -> Option<String> {
    (more > 0).then(|| format!("… and {} smaller groups, which --output json names.", grouped(more as u64)))
}

/// Each gap between groups, in a sentence.
pub(crate) fn fairness_words(fairness: &bellwether_detectors::drift::fairness::Fairness) -> Vec<String> {
    let all = predictions::gaps(fairness).into_iter();
    all.map(|(name, what, gap)| match gap {
        None => format!("{name}: no data (two groups with 30 rows each are needed)."),
        Some(gap) => {
            let ratio = gap.ratio.map(|r| format!(", ratio {}", predictions::interval(Some(r)))).unwrap_or_default();
            let difference = predictions::interval(Some(gap.difference));
            format!(
                "{name}: {}. The {what} is highest for {} and lowest for {}: difference {difference}{ratio}.",
                gap.verdict, gap.highest, gap.lowest
            )
        }
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drift::account::{Question, tests::account};

    #[test]
    fn the_terminal_says_what_changed() {
        let found = account(&Question { bins: 10, ..Question::default() });
        let text = render(&found);
        for words in [
            "5 of 6 columns drifted: ",
            "The whole has drifted: ",
            "moved up by 1.14 standard deviations",
            "the share of gift rose from 0 % to 30 %",
            "kolmogorov-smirnov 0.",
            "names rows",
            "only 7 values now",
            "Reference: then.csv (1,000 rows); now: now.csv (1,000 rows).",
        ] {
            assert!(text.contains(words), "{words:?} is not in\n{text}");
        }
        assert!(!text.contains("NaN") && !text.contains("profiles"));
        let none = account(&Question { columns: vec!["t".into()], ..Question::default() });
        assert!(render(&none).contains("No column could be judged"), "{}", render(&none));
        assert_eq!([grouped(7), grouped(1_000), grouped(12_345_678)], ["7", "1,000", "12,345,678"]);
        assert_eq!((p_value(1e-300), p_value(0.0123), p_value(2e-5)), ("< 1e-12".into(), "0.012".into(), "2e-5".into()));
    }
}
