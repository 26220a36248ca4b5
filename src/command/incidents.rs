//! `bellwether incidents`, and `incidents show`

use std::collections::BTreeSet;
use std::fmt::Write as _;

use bellwether_model::incident::Incident;
use bellwether_model::label::{Label, LabelKind};
use bellwether_model::recommendation::{Candidate, Recommendation};
use bellwether_model::time::{TimeRange, Timestamp};
use bellwether_sql::{Session, literal};
use serde::Deserialize;
use serde_json::json;

use super::signals::{Listing, filter, label, nothing};
use super::{plan, present, session, sql_failure};
use crate::cli::{IncidentsArgs, IncidentsCommand, ListArgs, Output};
use crate::clock;
use crate::config::Config;
use crate::failure::{Failure, Kind};
use crate::output::Cell;
use crate::report::data::IncidentCard;
use crate::report::gather::gather_cards;
use crate::report::words;
use crate::{open, output};

/// Past runs and excluded playbooks that are named at most.
const NAMED: usize = 8;

/// Runs the command.
pub async fn run(config: &Config, args: IncidentsArgs, output: Output) -> Result<(), Failure> {
    let lake = open::lake(config).await?;
    let session = session(&lake, None).await?;
    match args.command {
        Some(IncidentsCommand::Show { id }) => {
            let id = pick(&session, &id).await?;
            let card = card(&session, &id).await?;
            output::print(output, &card, || show(&card, present(&session)))
        }
        None => list(&session, &args.list, output).await,
    }
}

async fn list(session: &Session, args: &ListArgs, output: Output) -> Result<(), Failure> {
    let present = present(session);
    let sql = format!("SELECT * FROM incidents_current{} ORDER BY opened_at DESC, incident_id LIMIT {}", told(args, present), args.limit);
    let incidents: Vec<Incident> = session.rows(&sql).await.map_err(|e| sql_failure(&e))?;
    let labels: Vec<Label> = session.rows("SELECT * FROM labels_current").await.map_err(|e| sql_failure(&e))?;
    let mut rows = Vec::new();
    for incident in &incidents {
        let mut row = output::row(incident)?;
        row.insert("label".into(), json!(label(&labels, incident.incident_id.as_str())));
        rows.push(row);
    }
    output::print(output, &rows, || {
        if incidents.is_empty() {
            return nothing("incident", args);
        }
        let mut listing = Listing::new(&["incident", "severity", "state", "opened", "lasted", "score", "what"], args);
        for incident in &incidents {
            let cells = vec![
                Cell::word(incident.incident_id.as_str()),
                Cell::word(incident.severity.to_string()),
                Cell::word(if incident.is_open() { "open" } else { "ended" }),
                Cell::time(incident.opened_at),
                Cell::word(words::length(incident, present).to_string()),
                Cell::score(incident.score),
                Cell::prose(&incident.title),
            ];
            listing.row(cells, label(&labels, incident.incident_id.as_str()), incident.is_open());
        }
        listing.text("incident", present)
    })
}

/// What the arguments ask for, as SQL. What a person called none is listed with its label, but not among what is open.
fn told(args: &ListArgs, present: Timestamp) -> String {
    let asked = filter(args, present);
    if args.open {
        format!("{asked} AND incident_id NOT IN (SELECT subject_id FROM labels_current WHERE label = 'not-an-incident')")
    } else {
        asked
    }
}

/// The incidents that a person called none.
///
/// # Errors
/// The ledger cannot be read.
pub async fn called_none(session: &Session) -> Result<BTreeSet<String>, Failure> {
    let labels: Vec<Label> = session.rows("SELECT * FROM labels_current").await.map_err(|e| sql_failure(&e))?;
    Ok(labels.into_iter().filter(|l| l.label == LabelKind::NotAnIncident).map(|l| l.subject_id).collect())
}

/// The full id of an incident that was given by its beginning.
pub async fn pick(session: &Session, wanted: &str) -> Result<String, Failure> {
    #[derive(Deserialize)]
    struct Id {
        id: String,
    }
    let known: Vec<Id> = session.rows("SELECT incident_id AS id FROM incidents_current").await.map_err(|e| sql_failure(&e))?;
    open::pick(wanted, known.iter().map(|k| k.id.as_str()), "incident")
}

/// All that is known of an incident.
///
/// # Errors
/// The ledger cannot be read.
pub async fn card(session: &Session, id: &str) -> Result<IncidentCard, Failure> {
    let sql = format!("SELECT * FROM incidents_current WHERE incident_id = {}", literal::text(id));
    let found: Vec<Incident> = session.rows(&sql).await.map_err(|e| sql_failure(&e))?;
    let opened_at = found.first().map(|i| i.opened_at).ok_or_else(|| Failure::user(format!("there is no incident {id:?}")))?;
    let cards = gather_cards(session, TimeRange::new(opened_at, clock::now().max(opened_at))).await.map_err(|e| sql_failure(&e))?;
    cards
        .into_iter()
        .find(|c| c.incident.incident_id.as_str() == id)
        .ok_or_else(|| Failure::new(Kind::Internal, format!("incident {id} has no card")))
}

/// The cards of every open incident, worst first.
///
/// # Errors
/// The ledger cannot be read.
pub async fn open_cards(session: &Session) -> Result<Vec<IncidentCard>, Failure> {
    let now = clock::now();
    let known = session.evidence().await.map_err(|e| sql_failure(&e))?;
    let Some(first) = known.open_incidents.iter().map(|i| i.opened_at).min() else { return Ok(Vec::new()) };
    let mut cards = gather_cards(session, TimeRange::new(first, now.max(first))).await.map_err(|e| sql_failure(&e))?;
    cards.retain(|c| c.incident.is_open());
    Ok(cards)
}

fn show(card: &IncidentCard, present: Timestamp) -> String {
    let i = &card.incident;
    let mut out = format!("{}  [{}]  {}\n", i.incident_id, i.severity, i.title);
    let mut line = |name: &str, text: String| {
        if !text.is_empty() {
            let _ = writeln!(out, "{name:<12} {text}");
        }
    };
    line("opened", format!("{} UTC, {}", words::when_in_full(i.opened_at), words::lasted(i, present)));
    line("score", format!("{:.2} (1.0 is the line)", i.score));
    line("root", i.root.as_ref().map(ToString::to_string).unwrap_or_default());
    line("affects", i.endpoints.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "));
    line("by way of", card.lineage_path.clone().unwrap_or_default());
    if let Some(label) = &card.label {
        line("label", words::said(label));
    }
    section(
        &mut out,
        "signals",
        card.signals
            .iter()
            .map(|s| {
                let opened = words::when(s.opened_at);
                format!("{}  {opened}  [{}]  score {}  {}", s.signal_id, s.severity, words::score(s.score), s.hint_at(present))
            })
            .collect(),
    );
    section(&mut out, "changed shortly before", i.preceding_changes.clone());
    section(&mut out, "changed since", card.also_changed.clone());
    let past = card.past.iter().take(NAMED);
    section(
        &mut out,
        "past runs like it",
        past.map(|p| {
            format!(
                "{:.2} alike  {}  {}  {}  {}",
                p.similarity,
                words::when_in_full(p.ran_at),
                p.playbook_id,
                if p.outcome.is_empty() { "unknown outcome" } else { &p.outcome },
                p.summary
            )
        })
        .collect(),
    );
    match &card.recommendation {
        Some(recommendation) => section(&mut out, "recommended", recommended(recommendation, usize::MAX)),
        None => section(&mut out, "recommended", vec!["nothing yet; `bellwether round` recommends for incidents that open or grow".into()]),
    }
    for attempt in &card.attempts {
        section(&mut out, &format!("plan {}", attempt.plan.plan_id), plan::lines(&attempt.plan, attempt.decision.as_ref()));
        let approvals = attempt.approvals.iter().map(|a| {
            let word = if a.approved { "approved" } else { "rejected" };
            format!(
                "{}  {word} by {} as {}{}",
                words::when(a.recorded_at),
                a.approver,
                a.role,
                a.comment.as_ref().map(|c| format!(": {c}")).unwrap_or_default()
            )
        });
        section(&mut out, "approvals", approvals.collect());
        let mut steps = Vec::new();
        for t in &attempt.transitions {
            steps.push(format!("{}  {}  {}  {}", words::when(t.recorded_at), words::state(t.state), t.actor, t.detail));
            steps.extend(t.checks.iter().map(|c| format!("    {}: {}", c.verdict, c.text)));
        }
        section(&mut out, "execution", steps);
        section(&mut out, "outcome", attempt.outcome.iter().map(|o| format!("{}: {}", o.effect, o.detail)).collect());
    }
    let _ = write!(out, "\nwhat may have caused it: `bellwether explain {}`", i.incident_id);
    out.trim_end().to_owned()
}

fn section(out: &mut String, name: &str, lines: Vec<String>) {
    if !lines.is_empty() {
        let _ = write!(out, "\n{name}\n");
        for line in lines {
            let _ = writeln!(out, "  {line}");
        }
    }
}

/// A recommendation in lines: candidates, what came near, what does not apply.
pub fn recommended(recommendation: &Recommendation, top: usize) -> Vec<String> {
    let candidate = |c: &Candidate| format!("{}  score {}  {}", c.playbook_id, words::score(c.score), c.justification);
    let mut lines: Vec<String> = recommendation.candidates.iter().take(top).map(candidate).collect();
    if recommendation.candidates.is_empty() {
        lines.push(format!("nothing: {}", recommendation.abstained.as_deref().unwrap_or("no playbook fits")));
    }
    lines.extend(recommendation.near_misses.iter().take(top).map(|c| format!("not good enough: {}", candidate(c))));
    lines.extend(recommendation.excluded.iter().take(NAMED).map(|e| format!("does not apply: {}  {}", e.playbook_id, e.reason)));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    #[test]
    fn a_card_says_all_that_is_known() {
        let data = fixture::fleet();
        for card in &data.incidents {
            let text = show(card, data.as_of);
            assert!(text.starts_with(card.incident.incident_id.as_str()) && text.contains("\nsignals\n"), "{text}");
            for attempt in &card.attempts {
                assert!(text.contains(attempt.plan.plan_id.as_str()) && text.contains(&attempt.plan.body.steps[0].summary), "{text}");
            }
        }
        let executed = data.incidents.iter().find(|c| c.attempts.iter().any(|a| a.outcome.is_some())).unwrap();
        assert!(show(executed, data.as_of).contains("\noutcome\n"));
    }
}
