//! The report as one self-contained page: no script, no request to anywhere, light and dark, wide and narrow, and on paper.

use bellwether_model::signal::Severity;
use bellwether_model::time::Timestamp;

use super::card;
use super::data::{AgainstLabels, AuditStanding, CostLine, IncidentCard, ReportData, action_counts};
use super::escape::esc;
use super::{unjudged, words};

/// How many incidents are unfolded when the page opens.
const UNFOLDED: usize = 5;

/// The report as an HTML document. Everything that came from outside is escaped.
pub(crate) fn page(data: &ReportData) -> String {
    let sections = [
        header(data),
        "<main>".into(),
        tiles(data),
        glance(data),
        incidents(data),
        costs(data),
        judged(data),
        audit(data),
        next(data),
        "</main>".into(),
        footer(data),
    ];
    format!(
        r#"<!doctype html><html lang="en"><head><meta charset="utf-8"/><meta name="viewport" content="width=device-width, initial-scale=1"/><meta name="color-scheme" content="light dark"/><title>{} · Bellwether</title><style>{}{}</style></head><body>{}</body></html>"#,
        esc(&data.title),
        include_str!("chart.css"),
        include_str!("style.css"),
        sections.concat(),
    )
}

/// Our own prose as HTML: escaped, with `backticks` as code.
pub(crate) fn prose(text: &str) -> String {
    let parts = text.split('`').enumerate();
    parts.map(|(i, part)| if i % 2 == 1 { format!("<code>{}</code>", esc(part)) } else { esc(part) }).collect()
}

/// A word on a tinted ground; `class` is a name of ours.
pub(crate) fn badge(class: &str, word: &str) -> String {
    format!(r#"<span class="badge {class}">{}</span>"#, esc(word))
}

/// An instant as a `time` element.
pub(super) fn time(at: Timestamp) -> String {
    format!(r#"<time datetime="{at}">{}</time>"#, words::when(at))
}

/// A share of one as a bar.
pub(super) fn meter(class: &str, ratio: f64) -> String {
    let width = if ratio.is_finite() { (ratio.clamp(0.0, 1.0) * 1e3).round() / 10.0 } else { 0.0 };
    format!(r#"<span class="meter {class}" role="img" aria-label="{}"><i style="width:{width}%"></i></span>"#, words::share(ratio))
}

/// A list of lines; nothing for an empty list.
pub(super) fn list(class: &str, items: impl IntoIterator<Item = String>) -> String {
    let items: String = items.into_iter().map(|i| format!("<li>{i}</li>")).collect();
    if items.is_empty() { items } else { format!(r#"<ul class="{class}">{items}</ul>"#) }
}

fn header(data: &ReportData) -> String {
    const BELL: &str = r#"<svg width="18" height="18" viewBox="0 0 18 18" fill="none" stroke="currentColor" stroke-width="1.6" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true"><path d="M4 12.5V8a5 5 0 0 1 10 0v4.5l1.5 1.5h-13zM7.5 16.2h3M9 3V1.4"/></svg>"#;
    format!(
        r#"<header class="top"><p class="name">{BELL}<span>Bellwether · {}</span></p><h1>{}</h1>{}<p class="soft">{}<br/>{}</p></header>"#,
        esc(&data.title),
        esc(&words::found(data)),
        words::answered(data).map(|a| format!(r#"<p class="lead">{}</p>"#, esc(&a))).unwrap_or_default(),
        esc(&words::range(&data.range)),
        esc(&words::looked_at(data)),
    )
}

fn tiles(data: &ReportData) -> String {
    let told: Vec<_> = data.incidents.iter().filter(|c| !c.is_called_false()).collect();
    let open: Vec<_> = told.iter().filter(|c| c.incident.is_open()).collect();
    let mut endpoints: Vec<_> = open.iter().flat_map(|c| &c.incident.endpoints).collect();
    endpoints.sort();
    endpoints.dedup();
    let worst = open.iter().map(|c| c.incident.severity).max();
    let counts = action_counts(data);
    let did = if counts == Default::default() {
        "nothing was done".into()
    } else {
        let parts = [(counts.helped, "helped"), (counts.undone, "undone"), (counts.awaiting, "waiting")];
        let told: Vec<_> = parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
        if told.is_empty() { "none verified yet".into() } else { told.join(", ") }
    };
    let mut tiles = if data.fleet.series == 0 && data.incidents.is_empty() {
        // Of a fleet without data not even "no incident" is known.
        vec![tile("warning", "Incidents", "unknown", "nothing was judged")]
    } else {
        let unjudged = words::left_out(data).map_or_else(|| "none left out".into(), |n| format!("{n} of them not judged"));
        vec![
            tile(
                worst.map_or("", severity_class),
                "Open incidents",
                &open.len().to_string(),
                &format!("{} in all", words::many(told.len() as i64, "incident")),
            ),
            if data.fleet.has_inventory {
                tile("", "Endpoints affected", &endpoints.len().to_string(), &format!("now, of {}", words::compact(data.fleet.endpoints)))
            } else {
                tile("", "Endpoints affected", "unknown", words::NO_INVENTORY)
            },
            tile("", "Series judged", &words::compact(data.fleet.judged), &unjudged),
        ]
    };
    tiles.push(tile("", "Actions taken", &counts.executed.to_string(), &did));
    if !data.costs.is_empty() {
        let cost = data.costs.iter().map(|c| c.cost).sum();
        let idle = data.costs.iter().map(|c| c.idle).sum();
        let unknown = data.costs.iter().all(|c| c.idle_share().is_none());
        let of_it = if unknown { "idle share: no data".into() } else { format!("{} of it idle", words::usd(idle)) };
        tiles.push(tile("", "GPU spend", &words::usd(cost), &of_it));
    }
    tiles.push(match &data.audit {
        AuditStanding::Empty => tile("", "Audit chain", "empty", "nothing was done yet"),
        AuditStanding::Verified { entries, .. } => {
            tile("good", "Audit chain", "holds", &format!("{} checked", words::many(*entries, "entry")))
        }
        AuditStanding::Broken { sequence, .. } => tile("critical", "Audit chain", "broken", &format!("at entry {sequence}")),
    });
    format!(r#"<section class="tiles" aria-label="In short">{}</section>"#, tiles.concat())
}

fn tile(class: &str, name: &str, figure: &str, note: &str) -> String {
    format!(r#"<dl class="tile {class}"><dt>{}</dt><dd>{}</dd><dd>{}</dd></dl>"#, esc(name), esc(figure), esc(note))
}

/// The CSS class of a severity, which is its name.
pub(super) fn severity_class(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "info",
        Severity::Warning => "warning",
        Severity::Critical => "critical",
    }
}

/// All incidents in one table, where there are several, and how they compare with known faults.
fn glance(data: &ReportData) -> String {
    let mut out = data.against_labels.as_ref().map(|l| against_labels(data, l)).unwrap_or_default();
    if data.incidents.len() > 1 {
        let rows: String = data.incidents.iter().enumerate().map(|(i, c)| glance_row(data, i + 1, c)).collect();
        out += &format!(
            r#"<h2>At a glance</h2><div class="panel"><table class="glance fold"><thead><tr><th class="num">#</th><th>Severity</th><th>Incident</th><th class="when">When</th><th class="num">Score</th><th>Answer</th></tr></thead><tbody>{rows}</tbody></table></div>"#
        );
    }
    out
}

fn glance_row(data: &ReportData, rank: usize, card: &IncidentCard) -> String {
    let i = &card.incident;
    let class = severity_class(i.severity);
    let answer = match (card.attempts.last(), &card.recommendation) {
        (Some(attempt), _) => format!(
            r#"<code>{}</code> <span class="whole">{}</span>"#,
            esc(attempt.plan.body.playbook_id.as_str()),
            esc(&words::standing(attempt))
        ),
        (None, Some(r)) if r.candidates.is_empty() => "no playbook fits".into(),
        (None, Some(r)) => format!("<code>{}</code> recommended", esc(r.candidates[0].playbook_id.as_str())),
        (None, None) => "none yet".into(),
    };
    format!(
        r##"<tr><td class="num wide">{rank}</td><td>{}</td><td class="full"><a href="#{}">{}</a></td><td class="when">{}<span class="small soft">{}, {}</span></td><td class="num" data-is="score">{}</td><td>{answer}</td></tr>"##,
        badge(class, &i.severity.to_string()),
        card::anchor(card),
        esc(&i.title),
        strip(data, card, class),
        words::when(i.opened_at),
        esc(&words::lasted(i, data.as_of)),
        words::score(i.score),
    )
}

/// A number that is shown: zero where it is none.
pub(super) fn finite(v: f64) -> f64 {
    if v.is_finite() { v } else { 0.0 }
}

/// Where in the report's range an incident lies.
fn strip(data: &ReportData, card: &IncidentCard, class: &str) -> String {
    let length = data.range.length().micros().max(1) as f64;
    let share = |t: Timestamp| ((t.micros().saturating_sub(data.range.start.micros())) as f64 / length).clamp(0.0, 1.0) * 100.0;
    let (from, to) = (share(card.incident.opened_at), share(card.incident.closed_at.unwrap_or(data.range.end)));
    let width = (to - from).max(2.0);
    format!(
        r#"<svg width="100%" height="10" aria-hidden="true"><rect class="track" width="100%" height="10" rx="3"/><rect class="bar {class}" x="{:.1}%" width="{width:.1}%" height="10" rx="3"/></svg>"#,
        from.min(100.0 - width)
    )
}

fn against_labels(data: &ReportData, labels: &AgainstLabels) -> String {
    let line = |(fault, found): &(String, Option<_>)| match found {
        Some(id) => {
            let title = data.incidents.iter().find(|c| &c.incident.incident_id == id);
            let link = title
                .map_or_else(|| esc(&id.to_string()), |c| format!(r##"<a href="#{}">{}</a>"##, card::anchor(c), esc(&c.incident.title)));
            format!(r#"<tr><td>{}</td><td>{}</td><td class="full">{link}</td></tr>"#, esc(fault), badge("good", "found"))
        }
        None => format!("<tr><td>{}</td><td>{}</td><td class=\"soft\">no incident</td></tr>", esc(fault), badge("warning", "missed")),
    };
    format!(
        r#"<h2>Against the known faults: {} of {} found, {}</h2><div class="panel"><table class="fold"><thead><tr><th>Fault that was set</th><th></th><th>Incident that found it</th></tr></thead><tbody>{}</tbody></table></div>"#,
        labels.found(),
        labels.faults.len(),
        esc(&words::many(labels.false_incidents, "false incident")),
        labels.faults.iter().map(line).collect::<String>(),
    )
}

fn incidents(data: &ReportData) -> String {
    let cards: String =
        data.incidents.iter().enumerate().map(|(i, c)| card::card(data, c, i + 1, i < UNFOLDED && !c.is_called_false())).collect();
    let body = if cards.is_empty() { format!(r#"<div class="panel"><p>{}</p></div>"#, prose(&words::quiet(data))) } else { cards };
    format!("<h2>Incidents</h2>{body}")
}

fn costs(data: &ReportData) -> String {
    if data.costs.is_empty() {
        let why = if data.fleet.has_inventory {
            "No cost is known: give each pool its `usd_per_gpu_hour` under `pools:` in the configuration, then run `bellwether round`."
        } else {
            words::INVENTORY_HINT
        };
        return format!("<h2>Cost</h2><div class=\"panel\"><p>{}</p></div>", prose(&data.program.told(why)));
    }
    let row = |c: &CostLine| {
        let top: Vec<_> = c.top_endpoints.iter().map(|(e, usd)| format!("{} {}", esc(&e.to_string()), words::usd(*usd))).collect();
        format!(
            r#"<tr><td>{}</td><td class="num" data-is="GPU-hours">{}</td><td class="num" data-is="cost">{}</td><td class="num" data-is="idle">{}</td><td><span class="num">{}</span> {}</td><td class="small">{}</td></tr>"#,
            esc(c.pool.as_str()),
            words::compact(finite(c.gpu_hours).round() as i64),
            words::usd(c.cost),
            words::idle(c),
            c.idle_share().map_or_else(|| "no data".into(), words::share),
            c.idle_share().map_or_else(String::new, |share| meter("idle", share)),
            top.join("<br/>"),
        )
    };
    format!(
        r#"<h2>Cost</h2><div class="panel"><table class="fold"><thead><tr><th>Pool</th><th class="num">GPU-hours</th><th class="num">Cost</th><th class="num">Idle</th><th>Idle share</th><th>Dearest endpoints</th></tr></thead><tbody>{}</tbody></table></div>"#,
        data.costs.iter().map(row).collect::<String>(),
    )
}

fn judged(data: &ReportData) -> String {
    let mut lines = vec![format!("{}, up to {} UTC.", words::sentence(&words::judged(data)), words::when_in_full(data.as_of))];
    lines.push(match unjudged::text(&data.skipped) {
        Some(what) => format!("The last round left out {what}. Of these nothing is known: no data is not health."),
        None if data.fleet.series == 0 => "Of the fleet nothing is known: no data is not health.".into(),
        None => "None was left out.".into(),
    });
    if data.rejects > 0 {
        lines.push(format!(
            "{} refused on the way in: `bellwether sql \"SELECT source, place, reason FROM rejects\"` says why.",
            if data.rejects == 1 { "1 row was".into() } else { format!("{} rows were", words::grouped(data.rejects)) }
        ));
    }
    format!(
        r#"<h2>What was judged, and what was not</h2><div class="panel">{}</div>"#,
        lines.iter().map(|l| format!("<p>{}</p>", prose(&data.program.told(l)))).collect::<String>()
    )
}

fn audit(data: &ReportData) -> String {
    let class = if matches!(data.audit, AuditStanding::Broken { .. }) { "panel bad" } else { "panel" };
    let after = match &data.audit {
        AuditStanding::Verified { head, .. } => {
            let check = esc(&data.program.command("audit verify"));
            format!("<p class=\"small soft\">Head <code>{head}</code>. Check it yourself with <code>{check}</code>.</p>")
        }
        AuditStanding::Broken { .. } => {
            "<p>Entries from there on prove nothing. Compare with a copy of the ledger, and find out who wrote to the journal.</p>".into()
        }
        AuditStanding::Empty => String::new(),
    };
    format!(r#"<h2>Audit</h2><div class="{class}"><p>{}</p>{after}</div>"#, esc(&words::audit(&data.audit)))
}

fn next(data: &ReportData) -> String {
    let items = data
        .next_commands
        .iter()
        .map(|c| format!("<li><code>{}</code><span class=\"small soft\">{}</span></li>", esc(&c.command), esc(&c.purpose)));
    let items: String = items.collect();
    if items.is_empty() { items } else { format!(r#"<h2>What to type next</h2><div class="panel"><ol class="next">{items}</ol></div>"#) }
}

fn footer(data: &ReportData) -> String {
    format!(
        r#"<footer class="foot">Made by Bellwether on {} UTC from one ledger. All times are UTC; a score of 1.0 is the line at which a deviation counts.</footer>"#,
        words::when_in_full(data.generated_at)
    )
}

#[cfg(test)]
mod tests;
