//! What a round did, as a person reads it and as JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use bellwether_executor::Journal;
use bellwether_model::decision::{Decision, Tier};
use bellwether_model::execution::ExecutionState;
use bellwether_model::id::{ExecutionId, IncidentId, PlanId, PlaybookId};
use bellwether_model::incident::{Incident, IncidentState};
use bellwether_model::outcome::Outcome;
use bellwether_model::plan::Plan;
use bellwether_model::recommendation::Recommendation;
use bellwether_model::round::Round;
use bellwether_model::signal::{Signal, SignalState};
use bellwether_model::suppression::{Suppression, SuppressionState};
use bellwether_model::time::Timestamp;
use bellwether_pipelines::act::Acted;
use bellwether_pipelines::freshness::Silence;
use bellwether_pipelines::judge::Conclusions;
use bellwether_pipelines::round::Judged;
use bellwether_pipelines::rules::NONE_IN_FORCE;
use serde::Serialize;

use crate::command::{ingest, plan};
use crate::config::ActMode;
use crate::failure::Failure;
use crate::open;
use crate::report::unjudged;
use crate::report::words::{self, entity, many};

/// Incidents told in full, and closed ones named, at most.
const TOLD: usize = 10;

/// What a round did.
#[derive(Debug, Serialize)]
pub struct Account {
    /// Whether nothing was recorded.
    pub dry_run: bool,
    /// How far acting may go.
    pub act_mode: ActMode,
    /// What was ingested before; none when nothing was.
    pub ingest: Option<ingest::Account>,
    /// The round's own row.
    pub round: Option<Round>,
    /// Transitions of signals in the round.
    pub signals: SignalCounts,
    /// Signals of the round that nobody is told of.
    pub silenced: SilencedCounts,
    /// Incidents that opened, changed or closed, worst first.
    pub incidents: Vec<Told>,
    /// Incidents that began in the round, those among them that ended in it too.
    pub opened: usize,
    /// Incidents that are open after the round and that nobody called none.
    pub open: usize,
    /// Executions that were looked at.
    pub executions: BTreeMap<ExecutionId, ExecutionState>,
    /// What held executions back.
    pub held: BTreeMap<ExecutionId, String>,
    /// What earlier executions did.
    pub outcomes: Vec<Outcome>,
    /// Plans that wait for a person, oldest first.
    pub awaiting_approval: Vec<Waiting>,
    /// When something is due again.
    pub next_at: Option<Timestamp>,
    /// Receivers that could not be told.
    pub notify_errors: Vec<String>,
    /// Metrics that have had no samples for longer than their rules allow.
    pub silent: Vec<Silence>,
}

/// How many signals opened, worsened and ended.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct SignalCounts {
    /// Signals that began.
    pub opened: usize,
    /// Rises of the score of signals that were open.
    pub worsened: usize,
    /// Signals that are over.
    pub ended: usize,
}

impl SignalCounts {
    fn of(signals: &[Signal]) -> Self {
        let count = |state| signals.iter().filter(|s| s.state == state).count();
        Self { opened: count(SignalState::Opened), worsened: count(SignalState::Worsened), ended: count(SignalState::Closed) }
    }
}

/// How many signals were silenced, and how many are.
#[derive(Debug, Clone, Default, Serialize)]
pub struct SilencedCounts {
    /// Signals that were silenced in the round, those among them that ended in it too, by kind.
    pub by: BTreeMap<String, usize>,
    /// Signals that were silenced and are told now.
    pub told: usize,
    /// Signals that are open and silenced after the round.
    pub open: usize,
}

impl SilencedCounts {
    fn of(conclusions: &Conclusions) -> Self {
        let mut counts = Self { open: conclusions.silent, ..Self::default() };
        let began = |row: &Suppression| conclusions.signals.iter().any(|s| s.signal_id == row.signal_id && s.state == SignalState::Opened);
        for row in &conclusions.suppressions {
            if row.state == SuppressionState::Told {
                counts.told += 1;
            } else if began(row) {
                *counts.by.entry(row.kind.to_string()).or_insert(0) += 1;
            }
        }
        counts
    }

    /// In words; nothing when there is nothing to say.
    fn text(&self) -> Option<String> {
        let by: Vec<String> = self.by.iter().map(|(kind, n)| format!("{n} by {kind}")).collect();
        let told = (self.told > 0).then(|| format!("{} told now", self.told));
        let said: Vec<String> = by.into_iter().chain(told).collect();
        let open = (self.open > 0).then(|| format!("{} open and not told", self.open));
        let all: Vec<String> = said.into_iter().chain(open).collect();
        (!all.is_empty()).then(|| format!("silenced: {}; `bellwether signals --explain-silence` says why", all.join(", ")))
    }
}

/// One incident, what is recommended for it, and what governance says of that.
#[derive(Debug, Serialize)]
pub struct Told {
    /// The incident's new row.
    pub incident: Incident,
    /// What is recommended now; none when nothing new was thought of.
    pub recommendation: Option<Recommendation>,
    /// Why the recommended playbook has no plan, when it has none.
    pub unplanned: Option<String>,
    /// The plan.
    pub plan: Option<Plan>,
    /// What governance says of it.
    pub decision: Option<Decision>,
    /// Where its execution stands.
    pub state: Option<ExecutionState>,
    /// What the last transition of its execution says.
    pub detail: Option<String>,
}

/// A plan that waits for a person.
#[derive(Debug, Serialize)]
pub struct Waiting {
    /// The plan.
    pub plan_id: PlanId,
    /// Its incident.
    pub incident_id: IncidentId,
    /// Its playbook.
    pub playbook_id: PlaybookId,
    /// Since when.
    pub since: Timestamp,
}

impl Account {
    /// An empty account.
    pub fn of(dry_run: bool, act_mode: ActMode) -> Self {
        Self {
            dry_run,
            act_mode,
            ingest: None,
            round: None,
            signals: SignalCounts::default(),
            silenced: SilencedCounts::default(),
            incidents: Vec::new(),
            opened: 0,
            open: 0,
            executions: BTreeMap::new(),
            held: BTreeMap::new(),
            outcomes: Vec::new(),
            awaiting_approval: Vec::new(),
            next_at: None,
            notify_errors: Vec::new(),
            silent: Vec::new(),
        }
    }

    /// Takes the conclusions in.
    pub fn judged(&mut self, judged: &Judged, open: &BTreeMap<IncidentId, Incident>) {
        let c = &judged.conclusions;
        // An incident that did not change is told too when something is newly recommended for it.
        let mut incidents: BTreeMap<&IncidentId, &Incident> = c.incidents.iter().map(|i| (&i.incident_id, i)).collect();
        for recommendation in &c.recommendations {
            if let Some(incident) = open.get(&recommendation.incident_id) {
                incidents.entry(&recommendation.incident_id).or_insert(incident);
            }
        }
        let told = |incident: &Incident| {
            let id = &incident.incident_id;
            let plan = c.plans.iter().find(|p| &p.body.incident_id == id).cloned();
            Told {
                recommendation: c.recommendations.iter().find(|r| &r.incident_id == id).cloned(),
                unplanned: c.unplanned.iter().find(|u| &u.incident_id == id).map(|u| crate::failure::chain(&u.reason)),
                decision: plan.as_ref().and_then(|p| c.decisions.iter().find(|d| d.plan_id == p.plan_id)).cloned(),
                plan,
                incident: incident.clone(),
                state: None,
                detail: None,
            }
        };
        self.incidents = incidents.into_values().map(told).collect();
        self.incidents.sort_by(|a, b| {
            let (a, b) = (&a.incident, &b.incident);
            (b.is_open(), b.severity)
                .cmp(&(a.is_open(), a.severity))
                .then_with(|| b.score.total_cmp(&a.score))
                .then_with(|| a.incident_id.cmp(&b.incident_id))
        });
        self.signals = SignalCounts::of(&c.signals);
        self.silenced = SilencedCounts::of(c);
        self.round = Some(judged.round.clone());
    }

    /// Takes in what was done.
    pub fn acted(&mut self, acted: &Acted, outcomes: Vec<Outcome>) {
        self.executions.extend(acted.executions.iter().cloned());
        self.held = acted.held.iter().cloned().collect();
        self.next_at = acted.next_at;
        self.outcomes.extend(outcomes);
    }

    /// Looks up where everything stands now.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub async fn finish(&mut self, journal: &Journal) -> Result<(), Failure> {
        for record in journal.open_executions().await.map_err(|e| open::upstream(&e))? {
            if record.state == ExecutionState::AwaitingApproval {
                let body = &record.plan.body;
                self.awaiting_approval.push(Waiting {
                    plan_id: record.plan.plan_id.clone(),
                    incident_id: body.incident_id.clone(),
                    playbook_id: body.playbook_id.clone(),
                    since: record.entered_at,
                });
            }
        }
        for told in &mut self.incidents {
            let Some(plan) = told.plan.as_ref().filter(|_| !self.dry_run) else { continue };
            if let Some(record) = journal.of_plan(&plan.plan_id).await.map_err(|e| open::upstream(&e))? {
                told.state = Some(record.state);
                let transitions = journal.transitions(&record.execution_id).await.map_err(|e| open::upstream(&e))?;
                told.detail = transitions.last().map(|t| t.detail.clone());
            }
        }
        Ok(())
    }

    /// The account in words.
    pub fn text(&self) -> String {
        let mut out = String::new();
        if let Some(ingest) = &self.ingest {
            let _ = writeln!(out, "{}\n", ingest::text(ingest));
        }
        if let Some(round) = &self.round {
            let _ = writeln!(
                out,
                "judged {} as of {} UTC{}",
                many(round.series, "series"),
                words::when_in_full(round.as_of),
                if self.dry_run { ", recording nothing".to_owned() } else { format!(": round {}", round.round_id) }
            );
            if let Some(what) = unjudged::text(&round.skipped) {
                let _ = writeln!(out, "not judged: {what}");
            }
            let signals = &self.signals;
            let _ = writeln!(out, "signals: {} opened, {} worsened, {} ended", signals.opened, signals.worsened, signals.ended);
            if let Some(silenced) = self.silenced.text() {
                let _ = writeln!(out, "{silenced}");
            }
            let count = |state| self.incidents.iter().filter(|t| t.incident.state == state).count();
            let (opened, updated, closed) = (self.opened, count(IncidentState::Updated), count(IncidentState::Closed));
            let _ = writeln!(out, "incidents: {opened} opened, {updated} updated, {closed} ended, {} open now", self.open);
        }
        out.push_str(&silent(&self.silent));
        let (open, closed): (Vec<_>, Vec<_>) = self.incidents.iter().partition(|t| t.incident.is_open());
        for told in open.iter().take(TOLD) {
            let _ = write!(out, "\n{}", self.told(told));
        }
        if open.len() > TOLD {
            let _ = writeln!(out, "\nand {} more: `bellwether incidents --open`", open.len() - TOLD);
        }
        for (i, told) in closed.iter().take(TOLD).enumerate() {
            let _ = writeln!(out, "{}ended    {}  {}", if i == 0 { "\n" } else { "" }, told.incident.incident_id, told.incident.title);
        }
        if closed.len() > TOLD {
            let _ = writeln!(out, "and {} more that are over: `bellwether incidents`", closed.len() - TOLD);
        }
        for outcome in &self.outcomes {
            let _ = writeln!(out, "\noutcome  {} for {}: {}. {}", outcome.playbook_id, outcome.incident_id, outcome.effect, outcome.detail);
        }
        for (id, why) in &self.held {
            let _ = writeln!(out, "\nheld back  {id}: {why}");
        }
        out.push_str(&self.next());
        out.trim_end().to_owned()
    }

    fn told(&self, told: &Told) -> String {
        let incident = &told.incident;
        let word = match incident.state {
            IncidentState::Opened => "opened ",
            IncidentState::Updated => "updated",
            IncidentState::Closed => "ended  ",
        };
        let mut out = format!("{word}  {}  [{}]  {}\n", incident.incident_id, incident.severity, incident.title);
        let mut line = |name: &str, text: String| {
            let _ = writeln!(out, "  {name:<12} {text}");
        };
        let Some(recommendation) = &told.recommendation else { return out };
        match (recommendation.candidates.first(), &recommendation.abstained) {
            (Some(best), _) => {
                line("recommended", format!("{} (score {})", best.playbook_id, words::score(best.score)));
                line("because", best.justification.clone());
            }
            (None, Some(why)) => line("recommended", format!("nothing: {why}")),
            (None, None) => line("recommended", "nothing".into()),
        }
        if let Some(why) = &told.unplanned {
            line("no plan", why.clone());
        }
        if let (Some(plan), Some(decision)) = (&told.plan, &told.decision) {
            let steps: Vec<&str> = plan.body.steps.iter().map(|s| s.summary.as_str()).collect();
            line("plan", format!("{}  {}", plan.plan_id, steps.join("; ")));
            line("decision", says(decision));
            line("next", self.next_of(told, plan, decision));
        }
        out
    }

    /// What a person does next about a plan.
    fn next_of(&self, told: &Told, plan: &Plan, decision: &Decision) -> String {
        let detail = told.detail.as_deref().unwrap_or_default();
        match told.state {
            Some(ExecutionState::Refused) => format!("nothing is carried out: {detail}"),
            None if self.dry_run => "nothing was recorded: `bellwether round` records it".into(),
            state => plan::next(plan, Some(decision), state, self.act_mode),
        }
    }

    fn next(&self) -> String {
        let told: Vec<&PlanId> = self.incidents.iter().filter_map(|t| t.plan.as_ref().map(|p| &p.plan_id)).collect();
        let others: Vec<&Waiting> = self.awaiting_approval.iter().filter(|w| !told.contains(&&w.plan_id)).collect();
        let mut out = String::new();
        for waiting in &others {
            let _ = writeln!(
                out,
                "\nwaits for approval since {}: {} ({} for {})",
                words::when(waiting.since),
                waiting.plan_id,
                waiting.playbook_id,
                waiting.incident_id
            );
        }
        match (self.incidents.is_empty(), self.open) {
            (true, 0) if self.round.as_ref().is_some_and(|r| r.samples == 0) => {
                let why = self.round.as_ref().and_then(|r| unjudged::text(&r.skipped));
                let why = why.unwrap_or_else(|| match self.silent.len() {
                    0 => NONE_IN_FORCE.to_owned(),
                    1 => "its one rule has had no sample yet; `bellwether doctor` looks at the Prometheus".to_owned(),
                    n => format!("none of its {n} rules has had a sample yet; `bellwether doctor` looks at the Prometheus"),
                });
                let _ = writeln!(out, "\nnothing was judged, so nothing is known: {why}");
            }
            (true, 0) if self.silent.iter().any(Silence::fell_silent) => {
                out.push_str("\nnothing of what was judged deviates; of what is silent nothing is known\n");
            }
            (true, 0) if self.silenced.open > 0 => out.push_str("\nnothing deviates but what is silenced\n"),
            (true, 0) if self.round.as_ref().is_some_and(|r| !r.skipped.is_empty()) => {
                out.push_str("\nnothing of what was judged deviates\n");
            }
            (true, 0) => out.push_str("\nnothing deviates\n"),
            (true, 1) => out.push_str("\nnothing new; 1 incident is still open: `bellwether incidents --open`\n"),
            (true, n) => {
                let _ = writeln!(out, "\nnothing new; {n} incidents are still open: `bellwether incidents --open`");
            }
            (false, _) => {}
        }
        if !self.dry_run {
            let example = self.incidents.iter().find(|t| t.incident.is_open());
            match example {
                Some(told) => {
                    let _ = writeln!(
                        out,
                        "\nlook closer: `bellwether incidents show {}`, or `bellwether report --html`",
                        told.incident.incident_id
                    );
                }
                None if self.open == 0 && self.incidents.is_empty() => {}
                None => out.push_str("\nlook closer: `bellwether report`\n"),
            }
        }
        out
    }
}

/// One silence in a line: what is silent, where its rule is written, and since when.
pub fn silence(silence: &Silence) -> String {
    let of = silence.entity.as_ref().map(|e| format!(" of {}", entity(e))).unwrap_or_default();
    format!("{}{of} ({}): {}", silence.metric, silence.place, silence.since)
}

/// What fell silent, line by line, and what never had a sample, by name.
fn silent(silences: &[Silence]) -> String {
    let mut out = String::new();
    let (fell, never): (Vec<&Silence>, Vec<&Silence>) = silences.iter().partition(|s| s.fell_silent());
    for told in fell.iter().take(TOLD) {
        let _ = writeln!(out, "silent   {}, allowed is {}", silence(told), told.allowed);
    }
    if fell.len() > TOLD {
        let _ = writeln!(out, "silent   and {} more: `bellwether round --output json` names all", fell.len() - TOLD);
    }
    if !never.is_empty() {
        let names: Vec<&str> = never.iter().take(TOLD).map(|s| s.metric.as_str()).collect();
        let more = if never.len() > TOLD { format!(" and {} more", never.len() - TOLD) } else { String::new() };
        let _ = writeln!(out, "never had a sample: {}{more}", names.join(", "));
    }
    out
}

/// What governance says, with the strictest reasons.
pub fn says(decision: &Decision) -> String {
    let reasons: Vec<&str> = decision.reasons.iter().filter(|r| r.tier == decision.tier).map(|r| r.text.as_str()).collect();
    let unattended =
        if decision.tier == Tier::Allowed { if decision.unattended { ", unattended" } else { ", with a person's approval" } } else { "" };
    format!("{}{unattended}: {}", decision.tier, reasons.join("; "))
}
