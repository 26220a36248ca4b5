//! `bellwether signals`, and `signals show`

use std::collections::BTreeMap;
use std::fmt::Write as _;

use bellwether_detectors::scan::Ending;
use bellwether_model::id::RuleName;
use bellwether_model::incident::Incident;
use bellwether_model::label::{Label, LabelKind};
use bellwether_model::signal::{Direction, Method, Signal, SignalState, Subject};
use bellwether_model::suppression::Suppression;
use bellwether_model::time::{Span, Timestamp};
use bellwether_pipelines::sift;
use bellwether_sql::{Session, literal};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{present, session, silence, sql_failure};
use crate::cli::{ListArgs, Output, SignalsArgs, SignalsCommand};
use crate::config::Config;
use crate::failure::Failure;
use crate::output::{Cell, Table};
use crate::report::words;
use crate::{open, output};

/// Runs the command.
pub async fn run(config: &Config, args: SignalsArgs, output: Output) -> Result<(), Failure> {
    let lake = open::lake(config).await?;
    let session = session(&lake, None).await?;
    let gaps = Gaps::of(config);
    match args.command {
        Some(SignalsCommand::Show { id }) => {
            let shown = find(&session, &gaps, &id).await?;
            output::print(output, &shown, || show(&shown, present(&session)))
        }
        None if args.explain_silence => explain(&session, &args.list, output).await,
        None => list(&session, &gaps, &args.list, output).await,
    }
}

/// Where a signal stands, as a person asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It goes on.
    Open,
    /// It is over.
    Ended,
    /// Its series fell silent: nothing is known of how it is now.
    NoData,
    /// It lasted so long that its level counts as normal.
    NewNormal,
}

impl Standing {
    fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Ended => "ended",
            Self::NoData => "no data",
            Self::NewNormal => "new normal",
        }
    }
}

/// After how long without a sample each rule ends its signals: it tells how a signal ended.
struct Gaps(BTreeMap<RuleName, Span>);

impl Gaps {
    /// Of the rules of the configuration. Where they cannot be read, signals are listed all the same.
    fn of(config: &Config) -> Self {
        let rules = open::rules(config).and_then(|metrics| open::detection(&metrics)).unwrap_or_default();
        let drift = &config.judge.drift;
        Self(rules.into_iter().map(|r| (r.name, r.gap)).chain([(drift.name.clone(), drift.gap)]).collect())
    }

    fn standing(&self, signal: &Signal) -> Standing {
        if signal.is_open() {
            return Standing::Open;
        }
        match self.0.get(&signal.rule).and_then(|gap| Ending::of(signal, *gap)) {
            Some(Ending::Gone) => Standing::NoData,
            Some(Ending::NewNormal) => Standing::NewNormal,
            Some(Ending::Calm) | None => Standing::Ended,
        }
    }
}

async fn list(session: &Session, gaps: &Gaps, args: &ListArgs, output: Output) -> Result<(), Failure> {
    let present = present(session);
    let sql = format!("SELECT * FROM signals_current{} ORDER BY opened_at DESC, signal_id LIMIT {}", filter(args, present), args.limit);
    let signals: Vec<Signal> = session.rows(&sql).await.map_err(|e| sql_failure(&e))?;
    let labels: Vec<Label> = session.rows("SELECT * FROM labels_current").await.map_err(|e| sql_failure(&e))?;
    let silenced = sift::holding(session).await.map_err(|e| sql_failure(&e))?;
    let silence = |signal: &Signal| silenced.iter().find(|s| s.signal_id == signal.signal_id);
    let mut rows = Vec::new();
    for signal in &signals {
        let mut row = output::row(signal)?;
        row.insert("standing".into(), json!(gaps.standing(signal)));
        row.insert("label".into(), json!(label(&labels, signal.signal_id.as_str())));
        row.insert("silenced".into(), json!(silence(signal)));
        rows.push(row);
    }
    output::print(output, &rows, || {
        if signals.is_empty() {
            return nothing("signal", args);
        }
        let mut listing = Listing::new(&["signal", "severity", "state", "opened", "score", "what"], args);
        for signal in &signals {
            let cells = vec![
                Cell::word(signal.signal_id.as_str()),
                Cell::word(signal.severity.to_string()),
                Cell::word(if silence(signal).is_some() { "silenced" } else { gaps.standing(signal).word() }),
                Cell::time(signal.opened_at),
                Cell::score(signal.score),
                Cell::prose(signal.hint_at(present)),
            ];
            listing.row(cells, label(&labels, signal.signal_id.as_str()), signal.is_open());
        }
        listing.text("signal", present)
    })
}

/// The signals that were silenced, each with its cause: what would have fired.
async fn explain(session: &Session, args: &ListArgs, output: Output) -> Result<(), Failure> {
    let present = present(session);
    let signals = format!("SELECT signal_id FROM signals_current{}", filter(args, present));
    let held = if args.open { " AND state = 'silenced'" } else { "" };
    let sql = format!(
        "SELECT * FROM suppressions_current WHERE signal_id IN ({signals}){held} ORDER BY since DESC, signal_id LIMIT {}",
        args.limit
    );
    let suppressions: Vec<Suppression> = session.rows(&sql).await.map_err(|e| sql_failure(&e))?;
    output::print(output, &suppressions, || silence::text(&suppressions, present))
}

/// What the arguments of a list ask for, as SQL. What was open at a time or later was not closed before it.
pub fn filter(args: &ListArgs, present: Timestamp) -> String {
    let mut conditions = Vec::new();
    if args.open {
        conditions.push("state <> 'closed'".to_owned());
    }
    if let Some(since) = args.since {
        conditions.push(format!("(state <> 'closed' OR coalesce(closed_at, last_at) >= {})", literal::instant(since.start(present))));
    }
    if conditions.is_empty() { String::new() } else { format!(" WHERE {}", conditions.join(" AND ")) }
}

/// What a person said of a signal or incident, in words.
pub fn label(labels: &[Label], id: &str) -> Option<&'static str> {
    labels.iter().find(|l| l.subject_id == id).map(|l| words::labelled(l.label))
}

/// What to say of an empty list.
pub fn nothing(noun: &str, args: &ListArgs) -> String {
    match (args.open, args.since.is_some()) {
        (true, _) => format!("no {noun} is open"),
        (false, true) => format!("no {noun} was open since then"),
        (false, false) => format!("no {noun} is known; `bellwether round` judges what the ledger has"),
    }
}

/// A list of signals or incidents, with a last column for what people said where they said something.
pub struct Listing<'a> {
    head: Vec<&'a str>,
    rows: Vec<(Vec<Cell>, Option<&'static str>)>,
    open: usize,
    called_none: usize,
    limit: usize,
}

impl<'a> Listing<'a> {
    /// Without a row yet.
    pub fn new(head: &[&'a str], args: &ListArgs) -> Self {
        Self { head: head.to_vec(), rows: Vec::new(), open: 0, called_none: 0, limit: args.limit }
    }

    /// Adds a row. What a person called none counts as such, whether it is open or not.
    pub fn row(&mut self, cells: Vec<Cell>, label: Option<&'static str>, is_open: bool) {
        let called_none = label == Some(words::labelled(LabelKind::NotAnIncident));
        self.called_none += usize::from(called_none);
        self.open += usize::from(is_open && !called_none);
        self.rows.push((cells, label));
    }

    /// The table, and below it what it holds.
    pub fn text(mut self, noun: &str, present: Timestamp) -> String {
        let count = self.rows.len();
        let labelled = self.rows.iter().any(|(_, label)| label.is_some());
        if labelled {
            self.head.push("label");
        }
        let mut table = Table::new(&self.head);
        for (mut cells, label) in self.rows {
            if labelled {
                cells.push(Cell::word(label.unwrap_or_default()));
            }
            table.row(cells);
        }
        let called_none = match self.called_none {
            0 => String::new(),
            n => format!(", and {n} labelled {}", words::labelled(LabelKind::NotAnIncident)),
        };
        let newest = if count == self.limit { "the newest " } else { "" };
        format!(
            "{}\n\n{newest}{}, {} open{called_none}, as of {} UTC; `bellwether {noun}s show ID` tells all of one, the beginning of its id will do",
            table.render(output::width()),
            words::many((count - self.called_none) as i64, noun),
            self.open,
            words::when_in_full(present)
        )
    }
}

/// One signal, and how it went.
#[derive(Debug, Serialize)]
struct Shown {
    /// Its newest row.
    signal: Signal,
    /// Where it stands.
    standing: Standing,
    /// Its rows, oldest first.
    transitions: Vec<Signal>,
    /// The incident that it belongs to, in its newest state.
    incident: Option<Incident>,
    /// What a person said of it.
    label: Option<Label>,
    /// Why it was not told, where it was silenced.
    silence: Option<Suppression>,
}

async fn find(session: &Session, gaps: &Gaps, wanted: &str) -> Result<Shown, Failure> {
    #[derive(Deserialize)]
    struct Id {
        id: String,
    }
    let failure = |e| sql_failure(&e);
    let known: Vec<Id> = session.rows("SELECT signal_id AS id FROM signals_current").await.map_err(failure)?;
    let id = literal::text(&open::pick(wanted, known.iter().map(|k| k.id.as_str()), "signal")?);
    let sql = format!("SELECT * FROM signals WHERE signal_id = {id} ORDER BY recorded_at, last_at, closed_at NULLS FIRST");
    let transitions: Vec<Signal> = session.rows(&sql).await.map_err(failure)?;
    let signal = transitions.last().cloned().ok_or_else(|| Failure::user(format!("there is no signal {wanted:?}")))?;
    let sql = format!(
        "SELECT i.* FROM incidents_current i JOIN incident_signals s ON s.incident_id = i.incident_id WHERE s.signal_id = {id} \
         ORDER BY i.opened_at DESC, i.incident_id LIMIT 1"
    );
    let incidents: Vec<Incident> = session.rows(&sql).await.map_err(failure)?;
    let labels: Vec<Label> = session.rows(&format!("SELECT * FROM labels_current WHERE subject_id = {id}")).await.map_err(failure)?;
    let silenced: Vec<Suppression> =
        session.rows(&format!("SELECT * FROM suppressions_current WHERE signal_id = {id}")).await.map_err(failure)?;
    Ok(Shown {
        silence: silenced.into_iter().next(),
        standing: gaps.standing(&signal),
        signal,
        transitions,
        incident: incidents.into_iter().next(),
        label: labels.into_iter().next(),
    })
}

fn show(shown: &Shown, present: Timestamp) -> String {
    let s = &shown.signal;
    let value = |v: f64| s.unit.show(v);
    let mut out = format!("{}  [{}]  {}\n", s.signal_id, s.severity, output::plain(&s.hint_at(present)));
    let mut line = |name: &str, text: String| {
        let _ = writeln!(out, "{name:<12} {}", output::plain(&text));
    };
    let until = s.closed_at.unwrap_or(present).since(s.opened_at);
    line(
        "state",
        match shown.standing {
            Standing::Open => format!("open for {until}, as of {} UTC", words::when_in_full(present)),
            Standing::Ended => format!("ended after {until}"),
            Standing::NoData => format!("no data since {} UTC: nothing is known of how it is now", words::when_in_full(s.last_at)),
            Standing::NewNormal => format!("new normal: it lasted {until}, and its level counts as usual now"),
        },
    );
    line("subject", s.subject.to_string());
    line("rule", format!("{} ({})", s.rule, s.method));
    line("opened", format!("{} UTC", words::when_in_full(s.opened_at)));
    if let Some(at) = s.closed_at {
        line("closed", format!("{} UTC", words::when_in_full(at)));
    }
    line("score", format!("{:.2} (1.0 is the line)", s.score));
    match s.subject {
        Subject::Column { .. } => line("at worst", format!("{} {}, line {}", s.method, value(s.value), value(s.upper))),
        Subject::Series { .. } if s.method == Method::Bound => {
            line("at worst", value(s.value));
            line(
                "bound",
                if s.direction == Direction::Down { format!("at least {}", value(s.lower)) } else { format!("at most {}", value(s.upper)) },
            );
        }
        Subject::Series { .. } => {
            line("at worst", value(s.value));
            line("expected", format!("{}, between {} and {}", value(s.expected), value(s.lower), value(s.upper)));
        }
    }
    if let Some(p) = s.p_value {
        line("chance", format!("{p:.1e} without a change"));
    }
    if let Some(suppression) = &shown.silence {
        line("silenced", silence::line(suppression));
    }
    match &shown.incident {
        Some(i) => {
            line("incident", format!("{}  [{}]  {}", i.incident_id, i.severity, i.title));
            line("", format!("`bellwether incidents show {}`", i.incident_id));
        }
        None => line("incident", "none".into()),
    }
    if let Some(label) = &shown.label {
        line("label", words::said(label));
    }
    let mut table = Table::new(&["seen up to", "what", "score", "at worst", "told then"]);
    for t in &shown.transitions {
        let what = match t.state {
            SignalState::Opened => "opened",
            SignalState::Worsened => "worsened",
            SignalState::Closed => "ended",
        };
        table.row(vec![Cell::time(t.last_at), Cell::word(what), Cell::score(t.score), Cell::word(value(t.value)), Cell::prose(&t.hint)]);
    }
    format!("{out}\n{}", table.render(output::width()))
}

#[cfg(test)]
mod tests {
    use bellwether_model::time::Since;

    use super::*;
    use crate::report::fixture;

    fn args(open: bool, since: Option<Since>) -> ListArgs {
        ListArgs { open, since, limit: 50 }
    }

    #[test]
    fn the_end_of_a_signal_says_where_it_stands() {
        let mut signal = fixture::fleet().incidents[0].signals[0].clone();
        let gaps = Gaps([(signal.rule.clone(), Span::from_hours(1))].into());
        signal.state = SignalState::Worsened;
        assert_eq!(gaps.standing(&signal), Standing::Open);
        signal.state = SignalState::Closed;
        for (after, standing) in [(0, Standing::Ended), (5, Standing::NewNormal), (60, Standing::NoData)] {
            signal.closed_at = Some(signal.last_at + Span::from_mins(after));
            assert_eq!(gaps.standing(&signal), standing);
        }
        assert_eq!(Gaps(BTreeMap::new()).standing(&signal), Standing::Ended, "an unknown rule tells no more");
    }

    #[test]
    fn a_signal_is_shown_with_its_way_and_its_incident() {
        let card = &fixture::fleet().incidents[0];
        let signal = card.signals[0].clone();
        let shown = Shown {
            standing: Standing::Open,
            transitions: vec![signal.clone()],
            signal,
            incident: Some(card.incident.clone()),
            label: None,
            silence: None,
        };
        let text = show(&shown, shown.signal.opened_at + Span::from_mins(155));
        for part in [card.incident.incident_id.as_str(), "open for 2h 35m", "(1.0 is the line)", "expected", "opened", "incidents show"] {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }

    #[test]
    fn lists_ask_for_what_their_arguments_say() {
        let present = Timestamp::from_secs(86_400);
        assert_eq!(filter(&args(false, None), present), "");
        let both = filter(&args(true, Some(Since::Ago(Span::from_hours(24)))), present);
        assert!(both.contains("state <> 'closed' AND (") && both.contains("arrow_cast(0,"), "{both}");
        assert_eq!(nothing("signal", &args(true, None)), "no signal is open");
    }
}
