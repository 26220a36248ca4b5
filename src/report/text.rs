//! The report for a terminal: the same findings, short, in aligned columns, coloured only when asked.

use bellwether_model::decision::Tier;
use bellwether_model::execution::ExecutionState;
use bellwether_model::outcome::Effect;
use bellwether_model::signal::Severity;
use bellwether_model::unit::Unit;

use super::data::{Attempt, AuditStanding, IncidentCard, ReportData};
use super::{unjudged, words};
use crate::output::{plain, wrapped};

/// How a terminal wants its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Terminal {
    /// Whether it shows ANSI colours.
    pub ansi: bool,
    /// Columns; fewer than 60 count as 60.
    pub width: usize,
}

/// How many incidents are told in detail; the others stand in the table only.
const DETAILED: usize = 5;
/// Width of the words that name a line of detail.
const NAME: usize = 11;

#[derive(Clone, Copy)]
enum Ink {
    Plain,
    Bold,
    Dim,
    Red,
    Yellow,
    Blue,
    Green,
}

/// One cell of a table.
struct Cell {
    text: String,
    ink: Ink,
    right: bool,
}

/// The report as text with a line break at its end. What came from outside cannot move the cursor or change colours.
pub(crate) fn render(data: &ReportData, terminal: Terminal) -> String {
    let pen = Pen { ansi: terminal.ansi, width: terminal.width.max(60) };
    let mut out = pen.ink(Ink::Bold, &format!("Bellwether · {}", plain(&data.title))) + "\n";
    out += &pen.wrapped("", 0, &words::headline(data));
    out += &pen.wrapped("", 0, &format!("{} · {}", words::range(&data.range), words::looked_at(data)));
    out += &pen.faults(data);
    if data.incidents.is_empty() {
        out += &format!("\n{}", pen.wrapped("", 0, &words::quiet(data)));
    } else {
        out += &format!("\n{}", pen.glance(data));
        for (i, card) in data.incidents.iter().take(DETAILED).enumerate() {
            out += &format!("\n{}", pen.incident(data, i + 1, card));
        }
    }
    out += &pen.costs(data);
    out += &format!("\n{}", pen.standing(data));
    out += &pen.next(data);
    out
}

fn left(text: impl AsRef<str>) -> Cell {
    Cell { text: plain(text.as_ref()), ink: Ink::Plain, right: false }
}

fn right(text: impl AsRef<str>) -> Cell {
    Cell { right: true, ..left(text) }
}

impl Cell {
    fn ink(self, ink: Ink) -> Self {
        Self { ink, ..self }
    }
}

struct Pen {
    ansi: bool,
    width: usize,
}

impl Pen {
    fn ink(&self, ink: Ink, text: &str) -> String {
        let code = match ink {
            Ink::Plain => return text.to_owned(),
            Ink::Bold => "1",
            Ink::Dim => "2",
            Ink::Red => "1;31",
            Ink::Yellow => "33",
            Ink::Blue => "34",
            Ink::Green => "32",
        };
        if self.ansi { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// Words from column `indent` on, after `name` in the first line, broken at the terminal's width.
    fn wrapped(&self, name: &str, indent: usize, text: &str) -> String {
        let room = self.width.saturating_sub(indent).max(20);
        let lines = wrapped(&plain(text), room);
        let name_part = format!("{}{}", self.ink(Ink::Dim, name), " ".repeat(indent.saturating_sub(name.chars().count())));
        lines
            .into_iter()
            .enumerate()
            .map(|(i, l)| if i == 0 { format!("{name_part}{l}\n") } else { format!("{}{l}\n", " ".repeat(indent)) })
            .collect()
    }

    /// Rows with aligned columns under their heads, where there are any; the last column is wrapped at the terminal's width.
    fn table(&self, head: &[&str], rows: Vec<Vec<Cell>>) -> String {
        let rights: Vec<bool> = rows.first().map(|r| r.iter().map(|c| c.right).collect()).unwrap_or_default();
        let head: Vec<Cell> = head.iter().zip(rights).map(|(h, right)| Cell { text: (*h).to_owned(), ink: Ink::Dim, right }).collect();
        let columns = head.len();
        let head = head.iter().any(|h| !h.text.is_empty()).then_some(head);
        let rows: Vec<Vec<Cell>> = head.into_iter().chain(rows).collect();
        let widths: Vec<usize> =
            (0..columns).map(|c| rows.iter().filter_map(|r| r.get(c)).map(|cell| cell.text.chars().count()).max().unwrap_or(0)).collect();
        let mut out = String::new();
        for row in rows {
            let mut line = String::from(" ");
            let mut used = 1;
            let mut more = Vec::new();
            for (c, cell) in row.into_iter().enumerate() {
                let last = c + 1 == columns;
                let mut parts = if last { wrapped(&cell.text, self.width.saturating_sub(used + 1).max(24)) } else { vec![cell.text] };
                more = parts.split_off(1);
                let pad = if last && !cell.right { 0 } else { widths[c].saturating_sub(parts[0].chars().count()) };
                let inked = self.ink(cell.ink, &parts[0]);
                line += &if cell.right { format!(" {}{inked} ", " ".repeat(pad)) } else { format!(" {inked}{} ", " ".repeat(pad)) };
                used += widths[c] + 2;
            }
            out += line.trim_end();
            out.push('\n');
            let indent = " ".repeat(used - widths.last().copied().unwrap_or(0) - 1);
            out.extend(more.into_iter().map(|part| format!("{indent}{part}\n")));
        }
        out
    }

    fn faults(&self, data: &ReportData) -> String {
        let Some(labels) = &data.against_labels else { return String::new() };
        let mut out = format!(
            "\n{}\n",
            self.ink(
                Ink::Bold,
                &format!(
                    "Known faults: {} of {} found, {}",
                    labels.found(),
                    labels.faults.len(),
                    words::many(labels.false_incidents, "false incident")
                )
            )
        );
        let number =
            |id| data.incidents.iter().position(|c| &c.incident.incident_id == id).map_or_else(String::new, |i| format!("#{}", i + 1));
        let rows = labels.faults.iter().map(|(fault, found)| match found {
            Some(id) => vec![left("found").ink(Ink::Green), left(number(id)), left(fault)],
            None => vec![left("missed").ink(Ink::Yellow), left(""), left(fault)],
        });
        out += &self.table(&["", "", ""], rows.collect());
        out
    }

    fn glance(&self, data: &ReportData) -> String {
        let row = |(i, card): (usize, &IncidentCard)| {
            let incident = &card.incident;
            let answer = match (card.attempts.last(), &card.recommendation) {
                (Some(a), _) => words::standing(a),
                (None, Some(r)) => if r.candidates.is_empty() { "nothing fits" } else { "recommended" }.into(),
                (None, None) => "none yet".into(),
            };
            let severity = match incident.severity {
                Severity::Critical => Ink::Red,
                Severity::Warning => Ink::Yellow,
                Severity::Info => Ink::Blue,
            };
            vec![
                right((i + 1).to_string()),
                left(incident.severity.to_string()).ink(severity),
                right(words::score(incident.score)),
                left(words::when(incident.opened_at)),
                left(words::lasted(incident, data.as_of)),
                left(answer),
                left(match &card.label {
                    Some(label) if card.is_called_false() => format!("{} (not an incident, says {})", incident.title, label.actor),
                    _ => incident.title.clone(),
                }),
            ]
        };
        self.table(&["#", "severity", "score", "opened", "", "answer", "incident"], data.incidents.iter().enumerate().map(row).collect())
    }

    fn incident(&self, data: &ReportData, rank: usize, card: &IncidentCard) -> String {
        let mut out = self.ink(Ink::Bold, &format!("{rank}  {}", plain(&card.incident.title))) + "\n";
        let indent = 3 + NAME;
        let mut say = |name: &str, text: String| out += &self.wrapped(&format!("   {name}"), indent, &text);
        for signal in card.signals.iter().take(2) {
            say("seen", signal.hint_at(data.as_of));
        }
        if let Some(label) = &card.label {
            say("said", words::said(label));
        }
        if let Some(change) = card.incident.preceding_changes.first() {
            say("before", change.clone());
        }
        if let Some(r) = &card.recommendation {
            match r.candidates.first() {
                Some(best) => say("fits", format!("{}, score {}: {}", best.playbook_id, words::score(best.score), best.justification)),
                None => say("fits", format!("nothing: {}", r.abstained.as_deref().unwrap_or("no playbook fits"))),
            }
        }
        for attempt in &card.attempts {
            for (name, text) in self.attempt(attempt) {
                say(name, text);
            }
        }
        say("more", data.program.command(&format!("incidents show {}", card.incident.incident_id)));
        out
    }

    fn attempt(&self, attempt: &Attempt) -> Vec<(&'static str, String)> {
        let plan = &attempt.plan.body;
        let steps = plan.steps.iter().map(|s| s.summary.as_str()).collect::<Vec<_>>().join("; ");
        let mut lines = Vec::new();
        if let Some(d) = &attempt.decision {
            let deciding = d.reasons.iter().filter(|r| r.tier == d.tier).map(|r| r.text.as_str()).collect::<Vec<_>>();
            let why = if d.tier == Tier::Allowed { deciding.first().copied().unwrap_or_default().to_owned() } else { deciding.join("; ") };
            lines.push(("decided", format!("{}: {}: {why}", plan.playbook_id, d.tier)));
        }
        match (attempt.executed_at(), attempt.transitions.last()) {
            (Some(at), Some(last)) => {
                let end = if last.state == ExecutionState::Executing {
                    String::new()
                } else {
                    format!("; {} {}", words::state(last.state), words::when(last.recorded_at))
                };
                lines.push(("done", format!("{} {}: {steps}{end}", words::when(at), plan.playbook_id)));
            }
            (None, Some(last)) => lines.push(("done", format!("nothing yet: {}, {}", words::state(last.state), last.detail))),
            _ => {}
        }
        if let Some(o) = &attempt.outcome {
            let changed = o.checks.iter().filter_map(|c| {
                let unit = plan.verification.checks.iter().find(|p| p.name == c.name).map_or(Unit::Number, |p| p.target.unit);
                Some(format!(
                    "{} {} → {}",
                    c.name,
                    unit.show(c.before.filter(|v| v.is_finite())?),
                    unit.show(c.value.filter(|v| v.is_finite())?)
                ))
            });
            let effect = if o.effect == Effect::NoData { "could not be measured".into() } else { words::effect(o.effect).to_owned() };
            lines.push(("changed", [effect].into_iter().chain(changed).collect::<Vec<_>>().join(", ")));
        }
        lines
    }

    fn costs(&self, data: &ReportData) -> String {
        if data.costs.is_empty() {
            return String::new();
        }
        let row = |c: &super::data::CostLine| {
            let share = c.idle_share();
            let meter = share.map_or_else(
                || "no data".to_owned(),
                |share| {
                    let filled = (share * 10.0).round() as usize;
                    format!("{}{} {}", "█".repeat(filled), "░".repeat(10 - filled), words::share(share))
                },
            );
            let top: Vec<_> = c.top_endpoints.iter().map(|(e, usd)| format!("{e} {}", words::usd(*usd))).collect();
            vec![
                left(c.pool.as_str()),
                right(words::compact(c.gpu_hours.round() as i64)),
                right(words::usd(c.cost)),
                right(words::idle(c)),
                left(meter).ink(if share.is_some_and(|share| share > 0.5) { Ink::Yellow } else { Ink::Plain }),
                left(top.join(", ")),
            ]
        };
        format!(
            "\n{}",
            self.table(&["pool", "GPU-hours", "cost", "idle", "idle share", "dearest endpoints"], data.costs.iter().map(row).collect())
        )
    }

    fn standing(&self, data: &ReportData) -> String {
        let mut out = String::new();
        let mut say = |name: &str, text: String| out += &self.wrapped(name, 9, &text);
        let left_out = unjudged::text(&data.skipped).map(|what| format!("; the last round left out {what}: no data is not health"));
        let left_out = left_out.unwrap_or_default();
        say("judged", format!("{} up to {} UTC{left_out}", words::judged_of_all(data), words::when_in_full(data.as_of)));
        if !data.fleet.has_inventory {
            say("fleet", words::INVENTORY_HINT.to_owned());
        }
        if data.rejects > 0 {
            say("refused", format!("{} on the way in; the table rejects says why", words::many(data.rejects, "row")));
        }
        say("audit", words::audit(&data.audit));
        if matches!(data.audit, AuditStanding::Broken { .. }) { self.ink(Ink::Red, out.trim_end()) + "\n" } else { out }
    }

    fn next(&self, data: &ReportData) -> String {
        if data.next_commands.is_empty() {
            return String::new();
        }
        let mut out = format!("\n{}\n", self.ink(Ink::Bold, "Next"));
        let widest = data.next_commands.iter().map(|c| c.command.chars().count()).max().unwrap_or(0);
        for c in &data.next_commands {
            // A command is never cut or broken: it is there to be copied.
            let pad = " ".repeat(widest.min(56).saturating_sub(c.command.chars().count()));
            out += &format!("  {}{pad}  {}\n", self.ink(Ink::Green, &plain(&c.command)), self.ink(Ink::Dim, &plain(&c.purpose)));
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    #[test]
    fn it_tells_the_story_within_the_width() {
        let text = render(&fixture::fleet(), Terminal { ansi: false, width: 100 });
        for part in [
            "4 incidents, 2 still open (1 critical)",
            "Known faults: 4 of 5 found, 0 false incidents",
            "1 critical 3.40 21 Nov 09:05 open for 2h 35m awaiting approval",
            "ml/checkout-ranker: p95 latency 3.4 × expected, and 2 more",
            "3.4 × the expected 181 ms (usual up to 244 ms) for 2h 35m",
            "scale-out: allowed: scale_within_limits is allowed for ranker",
            "it made things worse, latency_p95 512 ms → 720 ms",
            "nothing: no past run is similar enough",
            "gpu-c",
            "81 %",
            "380 of 412 series up to",
            "All 57 entries of the audit chain hold",
            "the last round left out 19 series (16 with too little history, 3 without new samples), 8 rules without any series: no data is",
            "bellwether approve plan-4f1d2a9c33b0e871",
        ] {
            let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(flat.contains(part), "{part}\n{text}");
        }
        assert!(!text.contains('\x1b'));
        for line in text.lines() {
            assert!(line.chars().count() <= 100 || line.contains("bellwether "), "{line}");
        }
    }

    #[test]
    fn colour_adds_nothing_but_colour() {
        let data = fixture::fleet();
        let mut coloured = render(&data, Terminal { ansi: true, width: 100 });
        assert!(coloured.contains("\x1b[1;31mcritical\x1b[0m"));
        for code in ["1;31", "1", "2", "33", "34", "32", "0"] {
            coloured = coloured.replace(&format!("\x1b[{code}m"), "");
        }
        assert_eq!(coloured, render(&data, Terminal { ansi: false, width: 100 }));
    }

    #[test]
    fn what_came_from_outside_cannot_drive_the_terminal() {
        let mut data = fixture::fleet();
        data.incidents[0].incident.title = "\x1b[2J\x1b]0;owned\x07 title\n\u{202e}x".into();
        data.incidents[0].signals[0].hint = "a\u{9b}31mb".into();
        let text = render(&data, Terminal { ansi: false, width: 80 });
        assert!(!text.chars().any(|c| c.is_control() && c != '\n') && !text.contains('\u{202e}'));
    }

    #[test]
    fn an_empty_ledger_says_what_to_do() {
        let mut data = fixture::fleet();
        data.incidents.clear();
        data.fleet = Default::default();
        data.against_labels = None;
        data.costs.clear();
        let text = render(&data, Terminal { ansi: false, width: 40 });
        assert!(text.contains("Nothing was judged") && text.contains("bellwether ingest --backfill 14d"), "{text}");
    }
}
