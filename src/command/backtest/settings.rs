//! Detectors in files: the detect blocks that a backtest judges by, and the one that it chose.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use bellwether_detectors::backtest::Report;
use bellwether_detectors::backtest::fit::{Choice, Setting};
use bellwether_detectors::backtest::labelled::LabelledSeries;
use bellwether_detectors::judging::Judging;
use bellwether_detectors::rule::Rule;
use bellwether_model::id::RuleName;
use bellwether_model::signal::Method;
use bellwether_model::time::Span;
use bellwether_model::unit::Unit;
use bellwether_pipelines::rules::{self, fitted::Fitted};
use serde_saphyr::Spanned;

use crate::failure::{Failure, Kind};
use crate::open;

/// Rules for all series, and those of groups that have their own.
#[derive(Clone, Debug, Default)]
pub(super) struct Rules {
    pub all: Vec<Rule>,
    pub groups: BTreeMap<String, Vec<Rule>>,
}

/// The rules of a file: of metric rules their detect blocks, or a list `detect` alone, with those of groups as `--fit` writes them.
pub(super) fn read(path: &Path) -> Result<Rules, Failure> {
    let text = std::fs::read_to_string(path).map_err(|e| Failure::user(format!("{} cannot be read: {e}", path.display())))?;
    if text.lines().any(|line| line.starts_with("rules:")) {
        let all = alone(path, open::detection(&rules::load(&[path.to_owned()]).map_err(|e| Failure::of(Kind::User, &e))?)?)?;
        return Ok(Rules { all, ..Rules::default() });
    }
    let wrong = |line: u64, message: String| {
        Failure::user(format!("{}:{line}: {message}", path.display()))
            .hint("write metric rules under `rules:`, or a list of entries such as {method: auto} under `detect:`")
    };
    let file = Fitted::parse(&text).map_err(|(line, message)| wrong(line, message))?;
    let rule = |(i, judging): (usize, Spanned<Judging>)| {
        let (line, judging) = (judging.referenced.line(), judging.value);
        let method = judging.method.unwrap_or(Method::Zscore);
        let name = RuleName::new(if i == 0 { method.to_string() } else { format!("{method}_{}", i + 1) });
        judging.rule(&name, "value", Unit::Number).map_err(|e| wrong(line, e.to_string()))
    };
    let rules =
        |judgings: Vec<Spanned<Judging>>| alone(path, judgings.into_iter().enumerate().map(rule).collect::<Result<Vec<Rule>, Failure>>()?);
    let groups = file.groups.into_iter().map(|(group, judgings)| Ok((group, rules(judgings)?)));
    Ok(Rules { groups: groups.collect::<Result<_, Failure>>()?, all: rules(file.detect)? })
}

/// The rules, if each judges a series alone, as labelled series are judged.
fn alone(path: &Path, rules: Vec<Rule>) -> Result<Vec<Rule>, Failure> {
    match rules.iter().find(|rule| rule.is_together()) {
        None => Ok(rules),
        Some(rule) => {
            let method = rule.method_name();
            let why =
                format!("{}: rule {} judges by {method}, and a backtest judges each labelled series alone", path.display(), rule.name);
            Err(Failure::user(why)
                .hint("take the rule out; `bellwether detect` shows what it finds in the ledger without recording anything"))
        }
    }
}

/// An entry of a detect block that means this setting.
pub(super) fn entry(setting: &Setting) -> String {
    let threshold = format!("{:.3}", setting.threshold);
    match setting.novelty {
        None => format!("{{method: auto, threshold: {threshold}}}"),
        Some(0.0) => format!("{{method: telemetry, threshold: {threshold}}}"),
        Some(1.0) => format!("{{method: novelty, threshold: {threshold}}}"),
        Some(share) => format!("{{method: auto, weight: {share}, threshold: {threshold}}}"),
    }
}

/// The file that says what was chosen.
pub(super) fn text(source: &str, choice: &Choice, report: &Report) -> String {
    let mut text = format!(
        "# Chosen by `bellwether backtest --fit` from {} series with {} labelled events: {source}\n\
         # F1 of events, each fifth of the series judged by what the others chose: {:.3}.\n\
         # In the detect block of a metric `{{method: auto, fit: FILE}}` takes the entry of the metric's group, or the first.\n\
         detect:\n  - {}   # F1 {:.3} by cross-validation\n",
        report.series.len(),
        report.events,
        report.eventwise.f1,
        entry(&choice.all),
        choice.all.event_f1
    );
    if !choice.groups.is_empty() {
        text.push_str("groups:\n");
    }
    for (group, setting) in &choice.groups {
        let _ = writeln!(text, "  {group:?}:\n    - {}   # F1 {:.3} from {} events", entry(setting), setting.event_f1, setting.events);
    }
    text
}

/// Where rules take the distance between points for silence: they would judge each point alone.
pub(super) fn rare_points(rules: &[Rule], series: &[LabelledSeries]) -> Option<String> {
    let typical = |s: &LabelledSeries| {
        let mut steps: Vec<i64> = s.ts.windows(2).map(|p| p[1].saturating_sub(p[0])).collect();
        steps.sort_unstable();
        steps.get(steps.len() / 2).copied().unwrap_or(0)
    };
    let shortest = rules.iter().min_by_key(|r| r.gap)?;
    let rare = series.iter().filter(|s| Span::from_micros(typical(s)) >= shortest.gap).count();
    (rare > 0).then(|| {
        format!(
            "{rare} of {} series have points no closer than the gap of rule {} ({}), which takes that for silence; give it a longer gap",
            series.len(),
            shortest.name,
            shortest.gap
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting(novelty: Option<f64>) -> Setting {
        Setting { novelty, threshold: 0.9, event_f1: 0.6, events: 12 }
    }

    #[test]
    fn what_was_chosen_can_be_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("chosen.yaml");
        for novelty in [None, Some(0.0), Some(0.25), Some(1.0)] {
            let choice = Choice { all: setting(novelty), groups: BTreeMap::from([("a \"b\"".to_owned(), setting(Some(0.5)))]) };
            let report = bellwether_detectors::backtest::evaluate(&[], &[]);
            std::fs::write(&path, text("x", &choice, &report)).unwrap();
            let Rules { all: rules, groups } = read(&path).unwrap();
            assert_eq!((rules.len(), groups["a \"b\""].len()), (1, 1), "{novelty:?}");
            let method = match novelty {
                Some(0.0) => Method::Telemetry,
                Some(1.0) => Method::Novelty,
                _ => Method::Auto,
            };
            assert_eq!(rules[0].method_name(), method);
        }
        for (text, says) in [
            ("detect:\n  - {method: auto, wieght: 1}\n", "chosen.yaml:2"),
            ("detect:\n  - {method: auto}\n  - {method: bound}\n", "chosen.yaml:3: method bound needs"),
        ] {
            std::fs::write(&path, text).unwrap();
            let failure = read(&path).unwrap_err();
            assert!(failure.message.contains(says), "{failure}");
        }
        std::fs::write(&path, "detect:\n  - {method: peers}\n").unwrap();
        assert!(read(&path).unwrap_err().message.contains("rule peers judges by peers, and a backtest judges each labelled series alone"));
        std::fs::write(&path, "rules:\n  - {name: m, expr: up, detect: [{method: ewma}]}\n").unwrap();
        assert_eq!(read(&path).unwrap().all[0].name.as_str(), "m_ewma");
    }

    #[test]
    fn hourly_points_are_told_to_rules_with_a_gap_of_an_hour() {
        let hourly = LabelledSeries { ts: (0..9).map(|t| t * 3_600_000_000).collect(), values: vec![0.0; 9], ..LabelledSeries::default() };
        let rule = Rule::new("r", "m", Unit::Number);
        assert!(rare_points(std::slice::from_ref(&rule), std::slice::from_ref(&hourly)).unwrap().starts_with("1 of 1 series"));
        assert_eq!(rare_points(&[Rule { gap: Span::from_hours(3), ..rule }], &[hourly]), None);
    }
}
