//! One incident on the page: what was seen, what preceded it, what fits, what was decided and done, and what that changed.

use bellwether_model::decision::Tier;
use bellwether_model::execution::{CheckResult, ExecutionState};
use bellwether_model::outcome::{Effect, Outcome};
use bellwether_model::recommendation::{Candidate, Recommendation};
use bellwether_model::unit::Unit;
use bellwether_model::verdict::Verdict;

use super::chart::{self, Chart, MarkKind, Place};
use super::data::{Attempt, IncidentCard, PastRun, ReportData};
use super::escape::esc;
use super::html::{badge, list, meter, prose, severity_class, time};
use super::words;

/// The page's anchor of an incident: its id without what an address cannot hold.
pub(super) fn anchor(card: &IncidentCard) -> String {
    card.incident.incident_id.as_str().chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '-' }).collect()
}

/// The card of an incident at this rank, counted from 1.
pub(super) fn card(data: &ReportData, card: &IncidentCard, rank: usize, unfolded: bool) -> String {
    let i = &card.incident;
    let class = severity_class(i.severity);
    let said = card
        .label
        .as_ref()
        .filter(|_| card.is_called_false())
        .map(|l| format!("<span>{}</span>", badge("", &words::said(l))))
        .unwrap_or_default();
    let body = [
        story(card),
        charts(card),
        evidence(data, card),
        recommended(data, card),
        past(card),
        card.attempts.iter().map(attempt).collect(),
        ids(data, card),
    ]
    .concat();
    format!(
        r#"<details class="card" id="{}"{}><summary><span class="rank {class}">{rank}</span><span><h3>{}</h3><span class="meta">{}<span>{} UTC, {}</span><span>score {}</span><span>{} affected</span>{said}</span></span></summary><div class="body">{body}</div></details>"#,
        anchor(card),
        if unfolded { " open" } else { "" },
        esc(&i.title),
        badge(class, &i.severity.to_string()),
        time(i.opened_at),
        esc(&words::lasted(i, data.as_of)),
        words::score(i.score),
        words::many(i.endpoints.len() as i64, "endpoint"),
    )
}

/// The five steps from seeing to knowing, as far as they went.
fn story(card: &IncidentCard) -> String {
    let last = card.attempts.last();
    let found = format!(
        "{}, score {}",
        words::many(card.signals.len().max(card.incident.signals.len()) as i64, "signal"),
        words::score(card.incident.score)
    );
    let recommended = match &card.recommendation {
        Some(r) => match r.candidates.first() {
            Some(c) => Ok((esc(c.playbook_id.as_str()), format!("score {}", words::score(c.score)))),
            None => Ok(("nothing fits".into(), "the reason is below".into())),
        },
        None => Err("no recommendation yet"),
    };
    let decided = match last.and_then(|a| a.decision.as_ref()) {
        Some(d) => {
            let how = match (d.tier, last.and_then(|a| a.entered(ExecutionState::Approved))) {
                (Tier::Forbidden, _) => "will not run".to_owned(),
                (_, Some(t)) => format!("approved by {}", t.actor),
                (Tier::Restricted, None) => format!("needs {}", d.approvers.join(" or ")),
                (Tier::Allowed, None) => {
                    if d.unattended {
                        "may run unattended".into()
                    } else {
                        "once approved".into()
                    }
                }
            };
            Ok((d.tier.to_string(), esc(&how)))
        }
        None => Err("nothing to decide"),
    };
    let done = match last.and_then(|a| a.executed_at()) {
        Some(at) => Ok((time(at), last.map(|a| esc(&steps_in_words(a))).unwrap_or_default())),
        None => Err(match last.and_then(Attempt::state) {
            Some(ExecutionState::AwaitingApproval) => "waits for approval",
            Some(ExecutionState::Refused) => "refused",
            _ => "nothing was done",
        }),
    };
    let result = match last.and_then(|a| a.outcome.as_ref()) {
        Some(o) => Ok((words::effect(o.effect).to_owned(), format!("verified {}", time(o.recorded_at)))),
        None => Err("not known yet"),
    };
    let steps = [
        ("Found", Ok((time(card.incident.opened_at), found))),
        ("Recommended", recommended),
        ("Decided", decided),
        ("Done", done),
        ("Result", result),
    ];
    let cell = |(name, step): (&str, Result<(String, String), &str>)| match step {
        Ok((what, note)) => format!(r#"<li>{name}<b>{what}</b><span class="soft">{note}</span></li>"#),
        Err(why) => format!(r#"<li class="todo">{name}<b>{}</b></li>"#, esc(why)),
    };
    format!(r#"<ol class="story">{}</ol>"#, steps.into_iter().map(cell).collect::<String>())
}

fn steps_in_words(attempt: &Attempt) -> String {
    attempt.plan.body.steps.iter().map(|s| s.summary.clone()).collect::<Vec<_>>().join("; ")
}

fn charts(card: &IncidentCard) -> String {
    let mut out = String::new();
    for (i, chart) in card.charts.iter().enumerate() {
        const LEGEND: &str = r#"<span class="legend" aria-hidden="true"><span>measured</span><span class="hot">outside the band</span><span class="expected">expected</span><span class="band">expected band</span><span class="gap">no data</span></span>"#;
        let legend = if i == 0 { LEGEND } else { "" };
        // Charts of one incident often share their marks: they are explained once.
        let shared = i > 0 && card.charts[i - 1].numbered_marks() == chart.numbered_marks();
        let marks = if shared { String::new() } else { marks(chart) };
        out += &format!(
            "<figure><figcaption><b>{}</b>{legend}</figcaption>{}{marks}</figure>",
            esc(&chart.title),
            chart::svg(chart, Place::Fluid)
        );
    }
    out
}

fn marks(chart: &Chart) -> String {
    let item = |(i, m): (usize, &chart::Mark)| {
        let class = match m.kind {
            MarkKind::Change => "change",
            MarkKind::Action => "action",
            MarkKind::Undo => "undo",
        };
        format!(r#"<li class="{class}"><b>{}</b>{}<span>{}</span></li>"#, i + 1, time(m.at), esc(&m.text))
    };
    let items: String = chart.numbered_marks().into_iter().enumerate().map(item).collect();
    if items.is_empty() { items } else { format!(r#"<ol class="marks">{items}</ol>"#) }
}

/// What was seen, beside what else happened.
fn evidence(data: &ReportData, card: &IncidentCard) -> String {
    const MOST: usize = 4;
    let line = |s: &bellwether_model::signal::Signal| {
        format!(r#"<li class="{}">{}</li>"#, severity_class(s.severity), esc(&s.hint_at(data.as_of)))
    };
    let first: String = card.signals.iter().take(MOST).map(line).collect();
    let rest: String = card.signals.iter().skip(MOST).map(line).collect();
    let more = if rest.is_empty() {
        rest
    } else {
        format!(r#"<details class="more"><summary>{} more</summary><ul class="lines">{rest}</ul></details>"#, card.signals.len() - MOST)
    };
    let seen = if first.is_empty() {
        format!("<p>{}</p>", esc(&card.incident.summary))
    } else {
        format!(r#"<ul class="lines">{first}</ul>{more}"#)
    };
    let before = list("lines", card.incident.preceding_changes.iter().map(|c| esc(c)));
    let before = if before.is_empty() {
        r#"<p class="soft small">No change of the fleet is known from the time before.</p>"#.to_owned()
    } else {
        before
    };
    let mut beside = format!("<section><h4>What changed before</h4>{before}</section>");
    if !card.also_changed.is_empty() {
        beside += &format!("<section><h4>What changed meanwhile</h4>{}</section>", list("lines", card.also_changed.iter().map(|c| esc(c))));
    }
    if let Some(path) = &card.lineage_path {
        beside += &format!(r#"<section><h4>Lineage</h4><p class="path">{}</p></section>"#, esc(path));
    }
    if !card.incident.endpoints.is_empty() {
        let names: Vec<_> = card.incident.endpoints.iter().map(ToString::to_string).collect();
        beside += &format!(r#"<section><h4>Live endpoints affected</h4><p class="path">{}</p></section>"#, esc(&names.join(", ")));
    }
    format!(r#"<div class="two"><section><h4>What was seen</h4>{seen}</section><div>{beside}</div></div>"#)
}

fn recommended(data: &ReportData, card: &IncidentCard) -> String {
    let body = match &card.recommendation {
        None => format!(
            r#"<p class="soft">{}</p>"#,
            prose(&data.program.told(&format!("None yet. `bellwether recommend {}` makes one.", card.incident.incident_id)))
        ),
        Some(r) => recommendation(r),
    };
    format!("<section><h4>Recommended</h4>{body}</section>")
}

fn recommendation(r: &Recommendation) -> String {
    let pick = match r.candidates.first() {
        Some(best) => format!(
            r#"<div class="pick"><div class="head"><code>{}</code>{}<span class="small">score {}</span></div><p>{}</p></div>"#,
            esc(best.playbook_id.as_str()),
            meter("", best.score),
            words::score(best.score),
            esc(&best.justification)
        ),
        None => format!(
            r#"<div class="pick"><p>Nothing is recommended: {}.</p></div>"#,
            esc(r.abstained.as_deref().unwrap_or("no playbook fits").trim_end_matches('.'))
        ),
    };
    let other =
        |c: &Candidate| format!("<code>{}</code> score {}: {}", esc(c.playbook_id.as_str()), words::score(c.score), esc(&c.justification));
    let others = r.candidates.iter().skip(1).map(other);
    let near = r.near_misses.iter().map(|c| format!("came nearest: {}", other(c)));
    let excluded = r.excluded.iter().map(|e| format!("<code>{}</code> does not apply: {}", esc(e.playbook_id.as_str()), esc(&e.reason)));
    let rest = list("lines", others.chain(near).chain(excluded));
    let more = if rest.is_empty() {
        rest
    } else {
        format!(r#"<details class="more"><summary>What else was considered</summary>{rest}</details>"#)
    };
    pick + &more
}

fn past(card: &IncidentCard) -> String {
    if card.past.is_empty() {
        return String::new();
    }
    let row = |p: &PastRun| {
        let class = match Effect::of_word(&p.outcome) {
            Some(Effect::Effective) => "good",
            Some(Effect::Harmful) => "bad",
            _ => "",
        };
        format!(
            r#"<tr><td>{}</td><td><code>{}</code></td><td class="num" data-is="similarity">{}</td><td class="num">{}</td><td class="full">{} <span class="small soft">{}</span></td></tr>"#,
            badge(class, &words::past_outcome(&p.outcome)),
            esc(p.playbook_id.as_str()),
            words::share(p.similarity),
            p.ran_at.utc().format("%-d %b %Y"),
            esc(&p.summary),
            esc(p.run_id.as_str()),
        )
    };
    format!(
        r#"<section><h4>What was tried before in like cases</h4><table class="fold"><thead><tr><th>Outcome</th><th>Playbook</th><th class="num">Alike</th><th class="num">When</th><th>For</th></tr></thead><tbody>{}</tbody></table></section>"#,
        card.past.iter().map(row).collect::<String>()
    )
}

/// One plan: what governance said, what was done, what it changed.
fn attempt(attempt: &Attempt) -> String {
    let plan = &attempt.plan;
    let decision = match &attempt.decision {
        Some(d) => {
            let reasons = d.reasons.iter().map(|r| {
                format!(
                    r#"{}<span><span class="soft">{}:</span> {}</span>"#,
                    badge(&r.tier.to_string(), &r.tier.to_string()),
                    esc(&r.rule.replace('_', " ")),
                    esc(&r.text)
                )
            });
            let instead = if d.alternatives.is_empty() {
                String::new()
            } else {
                format!(
                    r#"<p class="small soft">Permitted instead: {}.</p>"#,
                    d.alternatives.iter().map(|o| o.name().replace('_', " ")).collect::<Vec<_>>().join(", ")
                )
            };
            format!("<div><h4>Why it is {}</h4>{}{instead}</div>", d.tier, list("reasons", reasons))
        }
        None => r#"<div><h4>Decision</h4><p class="soft small">Governance has not ruled on it yet.</p></div>"#.into(),
    };
    let did = attempt.transitions.iter().map(|t| {
        let by = if t.actor.as_str() == "bellwether" {
            String::new()
        } else {
            format!(r#" <span class="soft">by {}</span>"#, esc(t.actor.as_str()))
        };
        format!("{}<span><b>{}</b>{by}<br/>{}</span>", time(t.recorded_at), words::sentence(words::state(t.state)), esc(&t.detail))
    });
    let did = list("steps", did);
    let did = if did.is_empty() { r#"<p class="soft small">Nothing.</p>"#.to_owned() } else { did };
    let steps = plan.body.steps.iter().map(|s| format!("{}: {}", esc(&s.object.to_string()), esc(&s.summary)));
    let state = badge(standing_class(attempt), &words::standing(attempt));
    format!(
        r#"<section class="attempt"><div class="head"><span class="soft small">Plan</span><code>{}</code>{state}</div>{}<div class="two">{decision}<div><h4>What happened</h4>{did}</div></div>{}<p class="ids"><span>plan <code>{}</code></span><span>SHA-256 <code>{}</code></span></p></section>"#,
        esc(plan.body.playbook_id.as_str()),
        list("lines", steps),
        attempt.outcome.as_ref().map(|o| outcome(attempt, o)).unwrap_or_default(),
        esc(plan.plan_id.as_str()),
        plan.digest,
    )
}

fn standing_class(attempt: &Attempt) -> &'static str {
    match (&attempt.outcome, attempt.state()) {
        (_, Some(ExecutionState::RolledBack | ExecutionState::Failed | ExecutionState::NeedsHuman)) => "bad",
        (Some(o), _) if o.effect == Effect::Effective => "good",
        (Some(o), _) if o.effect == Effect::Harmful => "bad",
        (_, Some(ExecutionState::AwaitingApproval)) => "warning",
        _ => "",
    }
}

fn outcome(attempt: &Attempt, outcome: &Outcome) -> String {
    let row = |c: &CheckResult| {
        let planned = attempt.plan.body.verification.checks.iter().find(|p| p.name == c.name);
        let unit = planned.map_or(Unit::Number, |p| p.target.unit);
        let show = |v: Option<f64>| v.filter(|v| v.is_finite()).map_or_else(|| "–".into(), |v| unit.show(v));
        let class = match c.verdict {
            Verdict::Pass => "good",
            Verdict::Fail => "bad",
            Verdict::NoData | Verdict::Inconclusive => "",
        };
        format!(
            r#"<tr><td class="full">{}</td><td class="num" data-is="before">{}</td><td class="num" data-is="after">{}</td><td class="num" data-is="wanted">{}</td><td>{}</td></tr>"#,
            esc(c.name.as_str()),
            esc(&show(c.before)),
            esc(&show(c.value)),
            esc(&planned.map_or_else(|| "–".into(), |p| p.target.to_string())),
            badge(class, &c.verdict.to_string().replace('_', " ")),
        )
    };
    let rows: String = outcome.checks.iter().map(row).collect();
    let table = if rows.is_empty() {
        rows
    } else {
        format!(
            r#"<table class="fold"><thead><tr><th>Check</th><th class="num">Before</th><th class="num">After</th><th class="num">Wanted</th><th></th></tr></thead><tbody>{rows}</tbody></table>"#
        )
    };
    format!(
        r#"<div class="result"><h4>What it changed</h4><p>{}: {}</p>{table}</div>"#,
        words::sentence(words::effect(outcome.effect)),
        esc(&outcome.detail)
    )
}

fn ids(data: &ReportData, card: &IncidentCard) -> String {
    let id = esc(card.incident.incident_id.as_str());
    let program = esc(&data.program.to_string());
    format!(
        r#"<p class="ids"><span>incident <code>{id}</code></span><span><code>{program} incidents show {id}</code></span><span>not one? <code>{program} label {id} not-an-incident</code></span></p>"#
    )
}
