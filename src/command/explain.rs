//! `bellwether explain`

use std::fmt::Write as _;
use std::path::Path;

use bellwether_model::incident::Incident;
use bellwether_model::time::Timestamp;
use bellwether_pipelines::explain::{Cause, ChangedSeries, Drifted, Explanation, PrecedingChange, Relation, drifted_by, explain, lagging};
use bellwether_sql::{Session, literal};
use serde::Deserialize;

use super::{incidents, session, sql_failure};
use crate::cli::{ExplainArgs, Output};
use crate::config::Config;
use crate::failure::Failure;
use crate::output::{Cell, Table, wrapped};
use crate::report::{explained, words};
use crate::{open, output};

/// Runs the command.
pub async fn run(config: &Config, args: ExplainArgs, output: Output) -> Result<(), Failure> {
    if args.top == 0 {
        return Err(Failure::user("--top 0 asks for nothing; ask for at least 1"));
    }
    let lake = open::lake(config).await?;
    let known = session(&lake, args.as_of).await?;
    let id = match (incidents::pick(&known, &args.incident).await, args.as_of) {
        (Err(failure), Some(as_of)) => {
            return Err(recorded_later(&session(&lake, None).await?, &args.incident, as_of).await?.unwrap_or(failure));
        }
        (picked, _) => picked?,
    };
    let session = known;
    let sql = format!("SELECT * FROM incidents_current WHERE incident_id = {}", literal::text(&id));
    let found: Vec<Incident> = session.rows(&sql).await.map_err(|e| sql_failure(&e))?;
    let incident = found.first().ok_or_else(|| Failure::user(format!("there is no incident {id:?}")))?;
    let explanation = explain(&session, incident).await.map_err(|e| sql_failure(&e))?;
    if let Some(path) = &args.svg {
        draw(path, &explanation, output)?;
    }
    output::print(output, &explanation, || text(&explanation, args.top))
}

/// What to say of an incident that the ledger did not have yet at `as_of`; nothing where it has none to this day.
async fn recorded_later(session: &Session, wanted: &str, as_of: Timestamp) -> Result<Option<Failure>, Failure> {
    #[derive(Deserialize)]
    struct First {
        at: Option<Timestamp>,
    }
    let Ok(id) = incidents::pick(session, wanted).await else { return Ok(None) };
    let sql = format!("SELECT min(recorded_at) AS at FROM incidents WHERE incident_id = {}", literal::text(&id));
    let found: Vec<First> = session.rows(&sql).await.map_err(|e| sql_failure(&e))?;
    let first = found.first().and_then(|f| f.at).filter(|at| *at > as_of);
    Ok(first.map(|at| {
        Failure::user(format!("at {as_of} there was no incident {id} yet: it was recorded later, at {at}"))
            .hint(format!("`--as-of {at}`, or a later time, has it"))
    }))
}

fn draw(path: &Path, explanation: &Explanation, output: Output) -> Result<(), Failure> {
    let picture = explained::svg(explanation);
    std::fs::write(path, picture).map_err(|e| Failure::user(format!("cannot write the picture to {}: {e}", path.display())))?;
    if output == Output::Table {
        eprintln!("{} written", path.display());
    }
    Ok(())
}

/// The explanation for people, at most `top` lines of each list.
fn text(found: &Explanation, top: usize) -> String {
    let width = output::width();
    let mut out = format!("{}  {}\n", found.incident_id, found.title);
    for line in wrapped(&found.headline, width.unwrap_or(usize::MAX)) {
        let _ = writeln!(out, "{line}");
    }
    let (window, compared) = (found.window, &found.compared);
    let _ = writeln!(
        out,
        "\nlooked at {} – {} UTC against the {} before: {} compared, {} changed",
        words::when(window.start),
        words::when(window.end),
        found.baseline.length(),
        words::many(compared.compared as i64, "series"),
        compared.changed
    );
    let mut section = |name: &str, table: Table, rows: usize| {
        if rows > 0 {
            let more = if rows > top { format!("\n… and {} more; --top or --output json has them", rows - top) } else { String::new() };
            let _ = write!(out, "\n{name}\n{}{more}\n", table.render(width));
        }
    };
    section("changes that precede it", changes(&found.changes, top), found.changes.len());
    section("columns that drifted", drifted(&found.drifted, top), found.drifted.len());
    section("where it may come from", causes(&found.causes, top), found.causes.len());
    section("series that changed with it", together(&found.together, top), found.together.len());
    let mut table = Table::new(&["signal", "of", "opened", "score", "what"]);
    for n in found.neighbours.iter().take(top) {
        let when = lagging(-n.lead_seconds);
        table.row(vec![
            Cell::word(n.signal_id.as_str()),
            Cell::word(words::entity(&n.entity)),
            Cell::word(when),
            Cell::score(n.score),
            Cell::prose(&n.hint),
        ]);
    }
    section("signals of what it rests on", table, found.neighbours.len());
    for note in &found.notes {
        let _ = write!(out, "\nnote: {note}");
    }
    out
}

fn related(relation: Relation) -> &'static str {
    match relation {
        Relation::Own => "its own",
        Relation::RestsOn => "rests on",
        Relation::Affected => "affected",
        Relation::Elsewhere => "elsewhere",
    }
}

fn changes(changes: &[PrecedingChange], top: usize) -> Table {
    let mut table = Table::new(&["before", "score", "of", "", "what"]);
    for c in changes.iter().take(top) {
        let lead = lagging(-c.lead_seconds);
        let lead = lead.strip_suffix(" before").unwrap_or(&lead);
        table.row(vec![
            Cell::word(lead),
            Cell::score(c.score),
            Cell::word(words::entity(&c.entity)),
            Cell::word(related(c.relation)),
            Cell::prose(if c.summary.starts_with(c.kind.as_str()) { c.summary.clone() } else { format!("{}: {}", c.kind, c.summary) }),
        ]);
    }
    table
}

fn drifted(drifted: &[Drifted], top: usize) -> Table {
    let mut table = Table::new(&["column", "of", "how far"]);
    for d in drifted.iter().take(top) {
        table.row(vec![Cell::word(&d.column), Cell::word(d.dataset.to_string()), Cell::prose(drifted_by(d))]);
    }
    table
}

fn causes(causes: &[Cause], top: usize) -> Table {
    let mut table = Table::new(&["thing", "score", "deviation", "way", "says"]);
    for c in causes.iter().take(top) {
        let way = match c.path.as_slice() {
            [] => "no way between them is known".to_owned(),
            [_] => "the thing itself".to_owned(),
            path => path.iter().map(words::entity).collect::<Vec<_>>().join(" › "),
        };
        let later = c.lag_seconds.filter(|lag| *lag > 0.0).map(|lag| format!("; moved {}", lagging(lag))).unwrap_or_default();
        let by = c.explained_by.as_ref().map(|by| format!("; explained by {}", words::entity(by))).unwrap_or_default();
        let way = format!("{way}{by}{later}");
        let (score, deviation) = (Cell::score(c.score), Cell::score(c.deviation));
        table.row(vec![Cell::word(words::entity(&c.entity)), score, deviation, Cell::prose(way), Cell::prose(&c.evidence)]);
    }
    table
}

fn together(changed: &[ChangedSeries], top: usize) -> Table {
    let mut table = Table::new(&["series", "of", "from", "to", "effect", "p", "when", "alike"]);
    for c in changed.iter().take(top) {
        let sign = if c.effect < 0.0 { "−" } else { "+" };
        let effect = if c.effect.abs() > 1000.0 { format!("{sign}>1000") } else { format!("{sign}{:.1}", c.effect.abs()) };
        let p = if c.adjusted_p < 1e-4 { "<.0001".to_owned() } else { format!("{:.4}", c.adjusted_p) };
        table.row(vec![
            Cell::word(words::series(&c.identity)),
            Cell::word(related(c.relation)),
            Cell::word(c.unit.show(c.before)),
            Cell::word(c.unit.show(c.after)),
            Cell::word(effect),
            Cell::word(p),
            Cell::word(c.lag_seconds.map(lagging).unwrap_or_default()),
            Cell::word(c.correlation.map(|r| format!("{r:.2}")).unwrap_or_default()),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn to_ask_for_no_line_is_refused() {
        let args = ExplainArgs { incident: "inc-1".into(), svg: None, top: 0, as_of: None };
        let refused = run(&Config::default(), args, Output::Table).await.unwrap_err();
        assert!(refused.message.contains("--top 0"), "{}", refused.message);
    }
}
