//! `bellwether detect`

use std::collections::{BTreeMap, BTreeSet};

use bellwether_detectors::course::Courses;
use bellwether_detectors::crowd::Crowds;
use bellwether_detectors::detect::{
    Evaluation, Findings, Newcomers, Skip, SkipReason, detect, detect_among, detect_grown_up, reaches_back_to, taken_together,
};
use bellwether_detectors::hint;
use bellwether_detectors::history::History;
use bellwether_detectors::judging::Judging;
use bellwether_detectors::rule::Rule;
use bellwether_governance::yaml::suggestion;
use bellwether_model::id::{RoundId, RuleName, SignalId};
use bellwether_model::series::{Labels, Window};
use bellwether_model::signal::{Method, Severity, Signal, Subject};
use bellwether_model::suppression::Suppression;
use bellwether_model::time::{TimeRange, Timestamp};
use bellwether_model::unit::Unit;
use bellwether_pipelines::sift::{Before, Sieve};
use bellwether_sql::{Session, WindowSpec, windows};
use clap::error::ErrorKind;
use futures::{StreamExt as _, TryStreamExt as _};
use serde::Serialize;

use super::ingest::newest_sample;
use super::{session, silence, sql_failure, usage};
use crate::cli::{DetectArgs, FailOn, Output};
use crate::config::Config;
use crate::failure::{Failure, Kind};
use crate::output::{Cell, Table};
use crate::report::{unjudged, words};
use crate::{open, output};

/// Windows that are judged side by side.
const THREADS: usize = 2;

/// What deviates.
#[derive(Debug, Serialize)]
struct Account {
    since: Timestamp,
    as_of: Timestamp,
    series: u64,
    samples: u64,
    skipped: BTreeMap<String, i64>,
    /// What is there and what is needed, of series with too little history.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    lacking: Vec<Lacking>,
    signals: Vec<Signal>,
    /// Those of the signals that a round would not tell, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    silenced: Option<Vec<Suppression>>,
}

/// A series with too little history for a rule.
#[derive(Debug, Serialize)]
struct Lacking {
    rule: RuleName,
    metric: String,
    labels: Labels,
    history: History,
}

/// Runs the command.
pub async fn run(config: &Config, args: DetectArgs, output: Output) -> Result<(), Failure> {
    let methods: Vec<Method> = args.methods.iter().map(|m| method(m)).collect();
    let lake = open::lake(config).await?;
    let session = session(&lake, args.as_of).await?;
    let Some(newest) = newest_sample(session.snapshot()) else {
        return Err(Failure::user("the ledger has no sample to judge").hint("bring some in with `bellwether ingest --backfill 14d`"));
    };
    let as_of = args.as_of.unwrap_or(newest);
    let rules = rules(config, &session, &args.metrics, &methods).await?;
    let at = Evaluation { round_id: RoundId::new("detect"), since: as_of - args.last, now: as_of };
    let (findings, seen) = judge(&session, &rules, &at).await?;
    let silenced = args.explain_silence.then(|| silenced(config, &rules, &findings, &at));
    let account = Account { silenced, ..account(findings, &rules, &seen, &at) };
    output::print(output, &account, || text(&account))?;
    let is_told = |s: &&Signal| !account.silenced.iter().flatten().any(|quiet| quiet.signal_id == s.signal_id);
    let told: Vec<&Signal> = account.signals.iter().filter(is_told).collect();
    let worst = told.iter().map(|s| s.severity).max();
    let line = args.fail_on.map(|f| match f {
        FailOn::Info => Severity::Info,
        FailOn::Warning => Severity::Warning,
        FailOn::Critical => Severity::Critical,
    });
    match (line, worst) {
        (Some(line), Some(worst)) if worst >= line => {
            let n = told.iter().filter(|s| s.severity >= line).count();
            Err(Failure::new(Kind::Findings, format!("{n} signals of severity {line} or worse")))
        }
        _ => Ok(()),
    }
}

fn method(word: &str) -> Method {
    match word {
        "zscore" => Method::Zscore,
        "ewma" => Method::Ewma,
        "novelty" => Method::Novelty,
        "telemetry" => Method::Telemetry,
        "auto" => Method::Auto,
        "seasonal" => Method::Seasonal,
        "mstl" => Method::Mstl,
        "peers" => Method::Peers,
        other => usage(
            ErrorKind::InvalidValue,
            &format!("{other:?} is no method for --method: write zscore, ewma, seasonal, mstl, peers, novelty, telemetry or auto"),
        ),
    }
}

/// The configured rules, or the defaults of these methods for every metric of the ledger; of the wanted metrics only.
async fn rules(config: &Config, session: &Session, wanted: &[String], methods: &[Method]) -> Result<Vec<Rule>, Failure> {
    #[derive(serde::Deserialize)]
    struct Metric {
        metric: String,
    }
    let stored: Vec<Metric> = session.rows("SELECT DISTINCT metric FROM series ORDER BY metric").await.map_err(|e| sql_failure(&e))?;
    let configured = open::rules(config)?;
    let unknown = |name: &&String| !stored.iter().any(|m| m.metric == **name) && !configured.iter().any(|r| r.name == **name);
    if let Some(name) = wanted.iter().find(unknown) {
        return Err(Failure::user(format!("neither the ledger nor a rule has a metric {name:?}"))
            .hint(suggestion(name, stored.iter().map(|m| m.metric.as_str()))));
    }
    let is_wanted = |metric: &str| wanted.is_empty() || wanted.iter().any(|w| w == metric);
    if methods.is_empty() {
        let mut rules = open::detection(&configured)?;
        rules.retain(|rule| is_wanted(&rule.metric));
        if rules.is_empty() {
            return Err(Failure::config("no rule says how these metrics are judged")
                .hint("judge by a method's defaults with --method zscore, or name packs or files of rules under `prometheus`"));
        }
        return Ok(rules);
    }
    let units: BTreeMap<&str, Unit> = configured.iter().map(|r| (r.name.as_str(), r.unit)).collect();
    let mut rules = Vec::new();
    for Metric { metric } in stored.iter().filter(|m| is_wanted(&m.metric)) {
        for method in methods {
            let name = RuleName::new(format!("{metric}_{method}"));
            let judging = Judging { method: Some(*method), ..Judging::default() };
            rules.push(
                judging
                    .rule(&name, metric, units.get(metric.as_str()).copied().unwrap_or_default())
                    .map_err(|e| Failure::of(Kind::Internal, &e))?,
            );
        }
    }
    Ok(rules)
}

/// Judges window by window, some side by side while the next ones are read, and at the end what takes all series of a metric. Also gives
/// the metrics that have samples.
async fn judge(session: &Session, rules: &[Rule], at: &Evaluation) -> Result<(Findings, BTreeSet<String>), Failure> {
    let mut metrics: Vec<String> = rules.iter().map(|r| r.metric.clone()).collect();
    metrics.dedup();
    let range = TimeRange::new(reaches_back_to(rules, &[], at.since), Timestamp::from_micros(at.now.micros().saturating_add(1)));
    let spec = WindowSpec { metrics: Some(metrics), series: windows::Which::All, range };
    let stream = windows::windows(session, &spec).await.map_err(|e| sql_failure(&e))?;
    let aside = taken_together(rules);
    let (together, alone): (Vec<Rule>, Vec<Rule>) = rules.iter().cloned().partition(|rule| aside.contains(&rule.metric));
    let judged = stream.map(|window| {
        let (rules, aside, at) = (alone.clone(), aside.clone(), at.clone());
        async move {
            let window = window.map_err(|e| sql_failure(&e))?;
            let judging = tokio::task::spawn_blocking(move || {
                let aside = window.only(|series| aside.contains(&series.metric));
                Windowed { aside, ..judge_window(&rules, &window, &at) }
            });
            judging.await.map_err(|e| Failure::new(Kind::Internal, format!("judging stopped unexpectedly: {e}")))
        }
    });
    let begun = Windowed { crowds: Crowds::new(&alone, &[], at), ..Windowed::default() };
    let all = judged.buffered(THREADS).try_fold(begun, |all, one| async move { Ok(all.and(one)) }).await?;
    Ok(all.end(&alone, &together, at))
}

/// What some windows gave.
#[derive(Default)]
struct Windowed {
    findings: Findings,
    /// Series that wait for what all windows know of their peers.
    newcomers: Newcomers,
    crowds: Crowds,
    /// Series that are compared with each other.
    aside: Window,
    /// Metrics that have samples.
    seen: BTreeSet<String>,
}

impl Windowed {
    fn and(mut self, other: Self) -> Self {
        self.findings.extend(other.findings);
        self.newcomers.extend(other.newcomers);
        self.crowds.merge(other.crowds);
        self.aside.extend(&other.aside);
        self.seen.extend(other.seen);
        self
    }

    /// After the last window: newcomers are judged by their peers, and series that are compared with each other together.
    fn end(mut self, rules: &[Rule], together: &[Rule], at: &Evaluation) -> (Findings, BTreeSet<String>) {
        if !self.newcomers.window.series.is_empty() {
            let mut late = detect_among(&self.crowds, rules, &[], &self.newcomers.window, at);
            late.skipped.retain(|skip| skip.subject.is_some());
            self.findings.extend(late);
        }
        let met = |rule: &&Rule| self.aside.series.iter().any(|series| series.metric == rule.metric);
        let together: Vec<Rule> = together.iter().filter(met).cloned().collect();
        self.findings.extend(detect(&together, &[], &self.aside, at));
        (self.findings, self.seen)
    }
}

fn judge_window(rules: &[Rule], window: &Window, at: &Evaluation) -> Windowed {
    let metrics: BTreeSet<&str> = window.series.iter().map(|s| s.metric.as_str()).collect();
    let own: Vec<Rule> = rules.iter().filter(|r| metrics.contains(r.metric.as_str())).cloned().collect();
    let mut crowds = Crowds::new(&own, &[], at);
    crowds.take_in(&own, window);
    let (findings, newcomers) = detect_grown_up(&own, &[], &mut Courses::default(), window, at);
    Windowed { findings, newcomers, crowds, aside: Window::new(), seen: metrics.into_iter().map(str::to_owned).collect() }
}

/// What a round would not tell of these findings, had it looked at them as a whole.
fn silenced(config: &Config, rules: &[Rule], findings: &Findings, at: &Evaluation) -> Vec<Suppression> {
    let mut signals = findings.signals.clone();
    signals.sort_by(|a, b| (a.last_at, &a.signal_id, a.opened_at).cmp(&(b.last_at, &b.signal_id, b.opened_at)));
    let sieve = Sieve { rules, windows: &config.maintenance };
    let mut silenced = sieve.sift(Before::default(), signals, at).suppressions;
    silenced.sort_by(|a, b| b.severity.cmp(&a.severity).then(b.score.total_cmp(&a.score)).then_with(|| a.signal_id.cmp(&b.signal_id)));
    silenced
}

/// The newest transition of each signal, worst first.
fn account(findings: Findings, rules: &[Rule], seen: &BTreeSet<String>, at: &Evaluation) -> Account {
    let mut skipped = findings.skipped_by_reason();
    let mut newest: BTreeMap<SignalId, Signal> = BTreeMap::new();
    for signal in findings.signals {
        newest.insert(signal.signal_id.clone(), signal);
    }
    let mut signals: Vec<Signal> = newest.into_values().collect();
    signals.sort_by(|a, b| {
        (b.severity, b.is_open())
            .cmp(&(a.severity, a.is_open()))
            .then(b.score.total_cmp(&a.score))
            .then_with(|| a.signal_id.cmp(&b.signal_id))
    });
    let silent = rules.iter().filter(|r| !seen.contains(&r.metric)).count() as i64;
    if silent > 0 {
        skipped.insert(SkipReason::NoSeries.to_string(), silent);
    }
    let lacks = |skip: Skip| match (skip.subject, skip.history) {
        (Some(Subject::Series { metric, labels, .. }), Some(history)) => Some(Lacking { rule: skip.rule, metric, labels, history }),
        _ => None,
    };
    let lacking = findings.skipped.into_iter().filter_map(lacks).collect();
    Account {
        since: at.since,
        as_of: at.now,
        series: findings.series,
        samples: findings.samples,
        skipped,
        lacking,
        signals,
        silenced: None,
    }
}

/// Signals that are printed at most; JSON has all.
const PRINTED: usize = 50;
/// Series with too little history that are printed at most; JSON has all.
const LACKING: usize = 5;

fn text(account: &Account) -> String {
    let mut out = String::new();
    if !account.signals.is_empty() {
        let mut table = Table::new(&["severity", "state", "opened", "score", "rule", "what"]);
        for s in account.signals.iter().take(PRINTED) {
            let state = if s.is_open() { "open" } else { "ended" };
            table.row(vec![
                Cell::word(s.severity.to_string()),
                Cell::word(state),
                Cell::time(s.opened_at),
                Cell::score(s.score),
                Cell::word(s.rule.as_str()),
                Cell::prose(s.hint_at(account.as_of)),
            ]);
        }
        out = format!("{}\n\n", table.render(output::width()));
        if account.signals.len() > PRINTED {
            out.push_str(&format!("and {} more: --output json has all\n", account.signals.len() - PRINTED));
        }
    }
    let open = account.signals.iter().filter(|s| s.is_open()).count();
    out.push_str(&format!(
        "{}, {open} open, in {} judged from {} to {} UTC; nothing was recorded",
        words::many(account.signals.len() as i64, "signal"),
        words::many(account.series as i64, "series"),
        words::when_in_full(account.since),
        words::when_in_full(account.as_of)
    ));
    if let Some(what) = unjudged::text(&account.skipped) {
        out.push_str(&format!("\nnot judged: {what}"));
    }
    for Lacking { rule, metric, labels, history } in account.lacking.iter().take(LACKING) {
        out.push_str(&format!("\n  {metric} of {} by {rule}: {history}", hint::place(labels)));
    }
    if let Some(silenced) = &account.silenced {
        out.push_str(&format!("\n\nwhat a round would not tell of them:\n\n{}", silence::text(silenced, account.as_of)));
    }
    out
}

#[cfg(test)]
mod tests {
    use bellwether_model::series::Series;
    use bellwether_model::time::Span;

    use super::*;

    #[test]
    fn defaults_find_a_jump_and_say_what_was_not_judged() {
        let minutes = |n: i64| Timestamp::from_secs(n * 60);
        let mut window = Window::new();
        let ts: Vec<i64> = (0..600).map(|i| minutes(i).micros()).collect();
        let values: Vec<f64> = (0..600).map(|i| if i >= 590 { 50.0 } else { f64::from(i % 7) }).collect();
        window.push(Series::new("queue", [("service".to_owned(), "a".to_owned())].into()), &ts, &values);
        window.push(Series::new("queue", [("service".to_owned(), "b".to_owned())].into()), &ts[595..], &values[595..]);
        let rule = |metric: &str| {
            Judging { method: Some(Method::Zscore), ..Judging::default() }
                .rule(&RuleName::new(format!("{metric}_zscore")), metric, Unit::Number)
                .unwrap()
        };
        let rules = [rule("queue"), rule("other")];
        let at = Evaluation { round_id: RoundId::new("detect"), since: minutes(599) - Span::from_hours(2), now: minutes(599) };
        let (findings, seen) = judge_window(&rules, &window, &at).end(&rules, &[], &at);
        let account = account(findings, &rules, &seen, &at);
        assert_eq!((account.signals.len(), account.series), (1, 1));
        assert_eq!(account.skipped, BTreeMap::from([("no_series".to_owned(), 1), ("not_enough_history".to_owned(), 1)]));
        let text = text(&account);
        assert!(text.contains("\n  queue of service b by queue_zscore: 2 of 16 samples"), "{text}");
        assert!(text.contains("1 signal, 1 open") && text.contains("1 rule without any series"), "{text}");
    }
}
