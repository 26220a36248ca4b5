//! The sentences and words that all forms of the report share.

use bellwether_model::execution::ExecutionState;
use bellwether_model::incident::Incident;
use bellwether_model::inventory::Entity;
use bellwether_model::label::{Label, LabelKind};
use bellwether_model::outcome::Effect;
use bellwether_model::series::Series;
use bellwether_model::signal::{Severity, Subject};
use bellwether_model::time::{Span, TimeRange, Timestamp};
use bellwether_model::unit::MicroUsd;
pub(crate) use bellwether_pipelines::explain::name as entity;

use super::data::{Attempt, AuditStanding, CostLine, ReportData, action_counts};
use super::unjudged;

/// What was found and what was done about it, in one or two sentences.
pub(super) fn headline(data: &ReportData) -> String {
    [found(data)].into_iter().chain(answered(data)).collect::<Vec<_>>().join(" ")
}

/// What was found, in a sentence. Nothing judged is said to be nothing known, never to be well.
pub(super) fn found(data: &ReportData) -> String {
    let told: Vec<_> = data.incidents.iter().filter(|c| !c.is_called_false()).collect();
    if told.is_empty() {
        return if data.fleet.series == 0 {
            "Nothing was judged: there are no samples in this range, so nothing is known of the fleet.".into()
        } else if data.fleet.judged == 0 {
            format!("Nothing was judged: no rule judges any of the {} that are known.", many(data.fleet.series, "series"))
        } else {
            format!(
                "No incident in {}.{}",
                many(data.fleet.judged, "series"),
                left_out(data).map(|n| format!(" Of {n} of them nothing is known.")).unwrap_or_default()
            )
        };
    }
    let open: Vec<_> = told.iter().filter(|c| c.incident.is_open()).collect();
    let critical = open.iter().filter(|c| c.incident.severity == Severity::Critical).count();
    let critical = if critical > 0 { format!(" ({critical} critical)") } else { String::new() };
    match (told.len(), open.len()) {
        (n, 0) => format!("{}, none open.", many(n as i64, "incident")),
        (n, o) if n == o => format!("{}{critical}.", many(n as i64, "open incident")),
        (n, o) => format!("{}, {o} still open{critical}.", many(n as i64, "incident")),
    }
}

/// What was done about it, in a sentence; none where nothing was done or waits.
pub(super) fn answered(data: &ReportData) -> Option<String> {
    let counts = action_counts(data);
    let mut acts = Vec::new();
    if counts.executed > 0 {
        acts.push(format!("{} taken", many(counts.executed as i64, "action")));
    }
    let more = [(counts.helped, "helped"), (counts.undone, "undone"), (counts.awaiting, "waiting for approval")];
    acts.extend(more.into_iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")));
    (!acts.is_empty()).then(|| format!("{}.", sentence(&acts.join(", "))))
}

/// How many series the last round did not judge; none when it judged all.
pub(super) fn left_out(data: &ReportData) -> Option<String> {
    let n = unjudged::count(&data.skipped);
    (n > 0).then(|| grouped(n))
}

/// What to do about a report without incidents.
pub(super) fn quiet(data: &ReportData) -> String {
    let mut text = if data.fleet.series == 0 {
        "No series was judged in this range. Load some with `bellwether ingest --backfill 14d`, then run `bellwether round`.".to_owned()
    } else {
        format!("{}, and none left its band for long enough to be an incident.", sentence(&judged(data)))
    };
    if let Some(left_out) = unjudged::text(&data.skipped) {
        text += &format!(" Not judged in the last round: {left_out}. No data is not health.");
    }
    data.program.told(&text)
}

/// How many series were judged, and of how many: `111 of 183 series were judged`.
pub(super) fn judged(data: &ReportData) -> String {
    let were = if data.fleet.judged == 1 { "was" } else { "were" };
    format!("{} {were} judged", judged_of_all(data))
}

/// The series that a rule judges, and all where some have none: `111 of 183 series`.
pub(super) fn judged_of_all(data: &ReportData) -> String {
    let (judged, all) = (data.fleet.judged, many(data.fleet.series, "series"));
    if judged == data.fleet.series { all } else { format!("{} of {all}", grouped(judged)) }
}

/// What was looked at in the report's range: `24 endpoints · 3 pools · 412 series · 1.6 M samples`.
pub(super) fn looked_at(data: &ReportData) -> String {
    let f = &data.fleet;
    let inventory =
        if f.has_inventory { vec![many(f.endpoints, "endpoint"), many(f.pools, "pool")] } else { vec![NO_INVENTORY.to_owned()] };
    [inventory, vec![many(f.series, "series"), many(f.samples, "sample")]].concat().join(" · ")
}

/// What stands where endpoints and pools would be counted.
pub(super) const NO_INVENTORY: &str = "no inventory configured";

/// What to do so that endpoints and pools are known.
pub(super) const INVENTORY_HINT: &str = "No inventory is configured, so it is not known which endpoints an incident affects, nor what they cost: set `kubernetes: {}`, or \
     list `endpoints:` and `pools:` in the configuration.";

/// Where the audit chain stands, in a sentence.
pub(super) fn audit(standing: &AuditStanding) -> String {
    match standing {
        AuditStanding::Empty => "The audit chain has no entry yet: nothing was planned, approved or done.".into(),
        AuditStanding::Verified { entries, head } => {
            format!("All {} entries of the audit chain hold; the last is {}.", grouped(*entries), head.short())
        }
        AuditStanding::Broken { sequence, problem } => format!("The audit chain is broken at entry {sequence}: {problem}."),
    }
}

/// An instant to the minute in UTC: `20 Nov 14:05`.
pub(crate) fn when(at: Timestamp) -> String {
    at.utc().format("%-d %b %H:%M").to_string()
}

/// An instant to the minute in UTC with its year.
pub(crate) fn when_in_full(at: Timestamp) -> String {
    at.utc().format("%-d %b %Y %H:%M").to_string()
}

/// A range in UTC; a time of day only where it is not midnight.
pub(super) fn range(range: &TimeRange) -> String {
    let date = |t: Timestamp| t.utc().format(if t.secs().rem_euclid(86_400) == 0 { "%-d %b %Y" } else { "%-d %b %Y %H:%M" }).to_string();
    format!("{} – {} UTC", date(range.start), date(range.end))
}

/// How long an incident lasted; an open one lasts until `as_of`.
pub(crate) fn length(incident: &Incident, as_of: Timestamp) -> Span {
    let until = if incident.is_open() { as_of } else { incident.closed_at.unwrap_or(incident.last_at) };
    until.since(incident.opened_at)
}

/// The same in words: `open for 2h 10m`, `lasted 45m`.
pub(crate) fn lasted(incident: &Incident, as_of: Timestamp) -> String {
    format!("{} {}", if incident.is_open() { "open for" } else { "lasted" }, length(incident, as_of))
}

/// A number with its thousands apart: `1,612,800`.
pub(crate) fn grouped(n: i64) -> String {
    let digits = n.unsigned_abs().to_string();
    let mut text = String::from(if n < 0 { "−" } else { "" });
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(c);
    }
    text
}

/// A number short enough for a headline: `412`, `9,214`, `1.6 M`.
pub(super) fn compact(n: i64) -> String {
    match n.unsigned_abs() {
        0..100_000 => grouped(n),
        100_000..1_000_000 => format!("{} k", n / 1_000),
        1_000_000..1_000_000_000 => format!("{:.1} M", n as f64 / 1e6),
        _ => format!("{:.1} G", n as f64 / 1e9),
    }
}

/// A score to the hundredth.
pub(crate) fn score(score: f64) -> String {
    if score.is_finite() { format!("{score:.2}") } else { "–".into() }
}

/// A count with its noun: `1 pool`, `3 pools`, `2 entries`, `412 series`.
pub(crate) fn many(n: i64, noun: &str) -> String {
    match noun.strip_suffix('y') {
        _ if n == 1 || noun.ends_with("series") => format!("{} {noun}", compact(n)),
        Some(stem) => format!("{} {stem}ies", compact(n)),
        None => format!("{} {noun}s", compact(n)),
    }
}

/// What a label says, in words.
pub(crate) fn labelled(label: LabelKind) -> &'static str {
    match label {
        LabelKind::Incident => "an incident",
        LabelKind::NotAnIncident => "not an incident",
    }
}

/// `not an incident, says ann: load test`.
pub(crate) fn said(label: &Label) -> String {
    let what = labelled(label.label);
    let why = label.comment.as_deref().map(|c| format!(": {c}")).unwrap_or_default();
    format!("{what}, says {}{why}", label.actor)
}

/// Money in whole dollars from a hundred on, with cents below.
pub(super) fn usd(money: MicroUsd) -> String {
    if money.usd().abs() >= 100.0 { format!("${}", grouped(money.usd().round() as i64)) } else { money.to_string() }
}

/// What of a pool's cost was idle; "no data" where nobody knows.
pub(super) fn idle(line: &CostLine) -> String {
    if line.idle_share().is_some() { usd(line.idle) } else { "no data".into() }
}

/// A share as a whole percentage.
pub(super) fn share(ratio: f64) -> String {
    if ratio.is_finite() { format!("{:.0} %", ratio * 100.0) } else { "–".into() }
}

/// A subject as people say it: `latency_p95 of ml/iris`.
pub(super) fn subject(subject: &Subject) -> String {
    match subject {
        Subject::Series { metric, labels, .. } => match Entity::of_labels(labels).first() {
            Some(of) => format!("{metric} of {}", entity(of)),
            None => metric.clone(),
        },
        Subject::Column { dataset, column } => format!("column {column} of {dataset}"),
    }
}

/// A series as people say it: `latency_p95 of ml/iris`.
pub(crate) fn series(series: &Series) -> String {
    match Entity::of_labels(&series.labels).first() {
        Some(of) => format!("{} of {}", series.metric, entity(of)),
        None => series.metric.clone(),
    }
}

/// A state of the journal as people say it.
pub(crate) fn state(state: ExecutionState) -> &'static str {
    match state {
        ExecutionState::Suggested => "suggested",
        ExecutionState::DryRun => "dry run passed",
        ExecutionState::AwaitingApproval => "awaiting approval",
        ExecutionState::Approved => "approved",
        ExecutionState::Executing => "applied",
        ExecutionState::Verifying => "verifying",
        ExecutionState::RollingBack => "rolling back",
        ExecutionState::Succeeded => "succeeded",
        ExecutionState::RolledBack => "rolled back",
        ExecutionState::Failed => "failed",
        ExecutionState::Refused => "refused",
        ExecutionState::NeedsHuman => "needs a person",
    }
}

/// An effect as people say it.
pub(super) fn effect(effect: Effect) -> &'static str {
    match effect {
        Effect::Effective => "it helped",
        Effect::Ineffective => "no effect",
        Effect::Harmful => "it made things worse",
        Effect::NoData => "could not be measured",
    }
}

/// A past outcome as people say it; the source's own word where it is none of ours.
pub(super) fn past_outcome(outcome: &str) -> String {
    match Effect::of_word(outcome) {
        Some(Effect::Effective) => "helped".into(),
        Some(Effect::Ineffective) => "no effect".into(),
        Some(Effect::Harmful) => "made it worse".into(),
        Some(Effect::NoData) => "not measured".into(),
        None if outcome.trim().is_empty() => "unknown".into(),
        None => outcome.to_owned(),
    }
}

/// Where an attempt stands, in one or two words.
pub(super) fn standing(attempt: &Attempt) -> String {
    match (&attempt.outcome, attempt.state()) {
        (_, Some(ExecutionState::RolledBack)) => "rolled back".into(),
        (Some(outcome), _) => effect(outcome.effect).into(),
        (None, Some(s)) => state(s).into(),
        (None, None) => attempt.decision.as_ref().map_or_else(|| "planned".into(), |d| d.tier.to_string()),
    }
}

/// The same text with its first letter in upper case.
pub(super) fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|c| c.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::report::fixture;

    #[test]
    fn numbers_read_easily() {
        assert_eq!([0, 999, 1_000, 1_612_800, -12_345].map(grouped), ["0", "999", "1,000", "1,612,800", "−12,345"]);
        assert_eq!([412, 99_999, 161_280, 1_612_800].map(compact), ["412", "99,999", "161 k", "1.6 M"]);
        assert_eq!((many(1, "pool"), many(3, "pool"), many(1, "series")), ("1 pool".into(), "3 pools".into(), "1 series".into()));
        assert_eq!((usd(MicroUsd(1_234_560_000)), usd(MicroUsd(12_345_000))), ("$1,235".into(), "$12.35".into()));
        assert_eq!(share(f64::NAN), "–");
    }

    #[test]
    fn silence_is_not_called_health() {
        let mut data = fixture::fleet();
        data.incidents.clear();
        assert!(headline(&data).starts_with("No incident in 380 series. Of 19 of them nothing is known."), "{}", headline(&data));
        assert!(quiet(&data).contains("3 without new samples), 8 rules without any series. No data is not health."), "{}", quiet(&data));
        assert_eq!(judged_of_all(&data), "380 of 412 series", "a series without a rule is not judged");
        data.fleet.judged = 0;
        assert_eq!(headline(&data).split(". ").next(), Some("Nothing was judged: no rule judges any of the 412 series that are known."));
        data.fleet.series = 0;
        assert!(headline(&data).starts_with("Nothing was judged"));
        assert!(quiet(&data).contains("bellwether ingest --backfill 14d"));
        data.skipped = BTreeMap::new();
        assert_eq!(left_out(&data), None);
    }

    #[test]
    fn an_inventory_that_is_not_configured_is_not_counted() {
        let mut data = fixture::fleet();
        assert_eq!(looked_at(&data), "24 endpoints · 3 pools · 412 series · 1.6 M samples");
        (data.fleet.has_inventory, data.fleet.endpoints, data.fleet.pools) = (false, 0, 0);
        assert_eq!(looked_at(&data), "no inventory configured · 412 series · 1.6 M samples");
    }

    #[test]
    fn the_headline_counts_what_is_told() {
        assert_eq!(
            headline(&fixture::fleet()),
            "4 incidents, 2 still open (1 critical). 2 actions taken, 1 helped, 1 undone, 1 waiting for approval."
        );
    }
}
