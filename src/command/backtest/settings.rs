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
use serde_saphyr::{Location, Spanned};

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
    const SHAPE: &str = "write metric rules under `rules:`, or a list of entries such as {method: auto} under `detect:`";
    if !text.lines().any(|line| line.starts_with("detect:")) {
        return Err(Failure::user(format!("{} has neither `rules:` nor `detect:`", path.display())).hint(SHAPE));
    }
    let file = Fitted::parse(&path.display().to_string(), &text)
        .map_err(|e| Failure::user(e.to_string()).hint(e.hint.unwrap_or_else(|| SHAPE.to_owned())))?;
    let wrong = |at: Location, message: String| Failure::user(format!("{}:{}:{}: {message}", path.display(), at.line(), at.column()));
    let rule = |(i, judging): (usize, Spanned<Judging>)| {
        let (at, judging) = (judging.referenced, judging.value);
        let method = judging.method.unwrap_or(Method::Zscore);
        let name = RuleName::new(if i == 0 { method.to_string() } else { format!("{method}_{}", i + 1) });
        judging.rule(&name, "value", Unit::Number).map_err(|e| wrong(at, e.to_string()))
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

/// An entry of a detect block that means this setting, with a gap where that of rules would be too short for the series.
pub(super) fn entry(setting: &Setting, gap: Option<Span>) -> String {
    let what = match setting.novelty {
        None => "method: auto".to_owned(),
        Some(0.0) => "method: telemetry".to_owned(),
        Some(1.0) => "method: novelty".to_owned(),
        Some(share) => format!("method: auto, weight: {share}"),
    };
    let gap = gap.map(|gap| format!(", gap: {gap}")).unwrap_or_default();
    format!("{{{what}, threshold: {:.3}{gap}}}", setting.threshold)
}

/// How long a gap series want whose points lie far apart: three times the longest usual distance; none where that of rules is long enough.
pub(super) fn gap(series: &[LabelledSeries]) -> Option<Span> {
    let longest = series.iter().map(typical_step).max()?;
    (longest >= Rule::new("r", "m", Unit::Number).gap).then(|| longest.times(3))
}

/// The median distance of a series' points.
fn typical_step(series: &LabelledSeries) -> Span {
    let mut steps: Vec<i64> = series.ts.windows(2).map(|p| p[1].saturating_sub(p[0])).collect();
    steps.sort_unstable();
    Span::from_micros(steps.get(steps.len() / 2).copied().unwrap_or(0))
}

/// The file that says what was chosen.
pub(super) fn text(source: &str, choice: &Choice, report: &Report, gap: Option<Span>) -> String {
    let worth = match report.eventwise {
        Some(quality) if report.series.len() > 1 => {
            format!("F1 of events, each fifth of the series judged by what the others chose: {:.3}", quality.f1)
        }
        Some(_) => "What that is worth is not known: one series alone cannot be cross-validated".to_owned(),
        None => "Nothing is labelled: this is what is chosen without labels".to_owned(),
    };
    let how = if report.series.len() > 1 { "by cross-validation" } else { "on the series that chose it" };
    let mut text = format!(
        "{CHOSEN} from {} series with {} labelled events: {source}\n# {worth}.\n\
         # In the detect block of a metric `{{method: auto, fit: FILE}}` takes the entry of the metric's group, or the first.\n\
         detect:\n  - {}   # F1 {:.3} {how}\n",
        report.series.len(),
        report.events,
        entry(&choice.all, gap),
        choice.all.event_f1
    );
    if !choice.groups.is_empty() {
        text.push_str("groups:\n");
    }
    for (group, setting) in &choice.groups {
        let _ = writeln!(text, "  {group:?}:\n    - {}   # F1 {:.3} from {} events", entry(setting, gap), setting.event_f1, setting.events);
    }
    text
}

/// The first words of a file of choices.
const CHOSEN: &str = "# Chosen by `bellwether backtest --fit`";

/// Writes the file that says what was chosen; over nothing but such a file.
pub(super) fn save(path: &Path, text: &str) -> Result<(), Failure> {
    let is_other = std::fs::read(path).is_ok_and(|old| !old.is_empty() && !old.starts_with(CHOSEN.as_bytes()));
    if is_other {
        return Err(Failure::user(format!("{} is there already, and --fit did not write it", path.display()))
            .hint("give --fit the name of a new file, or remove this one"));
    }
    super::write(path, text)
}

/// Where rules take the distance between points for silence: they would judge each point alone.
pub(super) fn rare_points(rules: &[Rule], series: &[LabelledSeries]) -> Option<String> {
    let shortest = rules.iter().min_by_key(|r| r.gap)?;
    let rare = series.iter().filter(|s| typical_step(s) >= shortest.gap).count();
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
            std::fs::write(&path, text("x", &choice, &report, Some(Span::from_hours(3)))).unwrap();
            let Rules { all: rules, groups } = read(&path).unwrap();
            assert_eq!((rules.len(), groups["a \"b\""].len()), (1, 1), "{novelty:?}");
            let method = match novelty {
                Some(0.0) => Method::Telemetry,
                Some(1.0) => Method::Novelty,
                _ => Method::Auto,
            };
            assert_eq!((rules[0].method_name(), rules[0].gap), (method, Span::from_hours(3)));
        }
        for (text, says) in [
            ("detect:\n  - {method: auto, wieght: 1}\n", "chosen.yaml:2:"),
            ("- {method: auto}\n", "chosen.yaml has neither `rules:` nor `detect:`"),
            ("", "chosen.yaml has neither"),
            ("detect:\n  - {method: auto}\n  - {method: bound}\n", "chosen.yaml:3:5: method bound needs"),
        ] {
            std::fs::write(&path, text).unwrap();
            let failure = read(&path).unwrap_err();
            assert!(failure.message.contains(says), "{failure}");
        }
        let refused = save(&path, "new").unwrap_err();
        assert!(refused.message.contains("--fit did not write it"), "{refused}");
        assert!(std::fs::read_to_string(&path).unwrap().starts_with("detect:"), "nothing is lost");
        std::fs::write(&path, format!("{CHOSEN} from 1 series")).unwrap();
        save(&path, "new").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "new");
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
