//! `bellwether incidents`, and `incidents show`

use std::fmt::Write as _;

use bellwether_model::incident::Incident;
use bellwether_model::label::{Label, LabelKind};
use bellwether_model::recommendation::{Candidate, Recommendation};
use bellwether_model::time::TimeRange;
use bellwether_sql::Session;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{plan, session, sql_failure};
use crate::cli::{IncidentsArgs, IncidentsCommand, Output};
use crate::clock;
use crate::config::Config;
use crate::failure::{Failure, Kind};
use crate::report::data::IncidentCard;
use crate::report::gather::gather_cards;
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
            output::print(output, &card, || show(&card))
        }
        None => list(&session, &args, output).await,
    }
}

async fn list(session: &Session, args: &IncidentsArgs, output: Output) -> Result<(), Failure> {
    let filter = if args.open { "WHERE state <> 'closed'" } else { "" };
    let sql = format!("SELECT * FROM incidents_current {filter} ORDER BY opened_at DESC, incident_id LIMIT {}", args.limit);
    let incidents: Vec<Incident> = session.rows(&sql).await.map_err(|e| sql_failure(&e))?;
    if incidents.is_empty() && output == Output::Table {
        return output::print(output, &Value::Null, || nothing(args.open).to_owned());
    }
    let labels: Vec<Label> = session.rows("SELECT * FROM labels_current").await.map_err(|e| sql_failure(&e))?;
    let mut rows = Vec::new();
    for incident in &incidents {
        let mut row = output::row(incident)?;
        let word = labels.iter().find(|l| l.subject_id == incident.incident_id.as_str()).map(|l| match l.label {
            LabelKind::Incident => "incident",
            LabelKind::NotAnIncident => "not an incident",
        });
        row.insert("label".into(), json!(word));
        rows.push(row);
    }
    let labelled = rows.iter().any(|r| !r["label"].is_null());
    let columns = ["incident_id", "severity", "state", "opened_at", "closed_at", "score", "title", "label"];
    output::print_rows(output, &rows, if labelled { &columns } else { &columns[..7] })
}

fn nothing(open: bool) -> &'static str {
    if open { "no incident is open" } else { "no incident is known; `bellwether round` judges what the ledger has" }
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
    let sql = format!("SELECT * FROM incidents_current WHERE incident_id = '{}'", id.replace('\'', "''"));
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

fn show(card: &IncidentCard) -> String {
    let i = &card.incident;
    let mut out = format!("{}  [{}]  {}\n", i.incident_id, i.severity, i.title);
    let mut line = |name: &str, text: String| {
        if !text.is_empty() {
            let _ = writeln!(out, "{name:<12} {text}");
        }
    };
    let ended = i.closed_at.map_or_else(|| "still open".to_owned(), |t| format!("over since {t}, after {}", t.since(i.opened_at)));
    line("opened", format!("{}, {ended}", i.opened_at));
    line("score", format!("{:.2} (1.0 is the line)", i.score));
    line("root", i.root.as_ref().map(ToString::to_string).unwrap_or_default());
    line("affects", i.endpoints.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "));
    line("by way of", card.lineage_path.clone().unwrap_or_default());
    if let Some(label) = &card.label {
        let word = if label.label == LabelKind::Incident { "an incident" } else { "not an incident" };
        line("label", format!("{word}, says {}{}", label.actor, label.comment.as_ref().map(|c| format!(": {c}")).unwrap_or_default()));
    }
    section(
        &mut out,
        "signals",
        card.signals.iter().map(|s| format!("{}  [{}]  score {:.2}  {}", s.opened_at, s.severity, s.score, s.hint)).collect(),
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
                p.ran_at,
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
                a.recorded_at,
                a.approver,
                a.role,
                a.comment.as_ref().map(|c| format!(": {c}")).unwrap_or_default()
            )
        });
        section(&mut out, "approvals", approvals.collect());
        let mut steps = Vec::new();
        for t in &attempt.transitions {
            steps.push(format!("{}  {}  {}  {}", t.recorded_at, t.state, t.actor, t.detail));
            steps.extend(t.checks.iter().map(|c| format!("    {}: {}", c.verdict, c.text)));
        }
        section(&mut out, "execution", steps);
        section(&mut out, "outcome", attempt.outcome.iter().map(|o| format!("{}: {}", o.effect, o.detail)).collect());
    }
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
    let candidate = |c: &Candidate| format!("{}  score {:.2}  {}", c.playbook_id, c.score, c.justification);
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
            let text = show(card);
            assert!(text.starts_with(card.incident.incident_id.as_str()) && text.contains("\nsignals\n"), "{text}");
            for attempt in &card.attempts {
                assert!(text.contains(attempt.plan.plan_id.as_str()) && text.contains(&attempt.plan.body.steps[0].summary), "{text}");
            }
        }
        let executed = data.incidents.iter().find(|c| c.attempts.iter().any(|a| a.outcome.is_some())).unwrap();
        assert!(show(executed).contains("\noutcome\n"));
    }
}
