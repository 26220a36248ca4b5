//! What a report holds, made of the ledger's own nouns, and the order in which incidents are told.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use bellwether_model::audit::BrokenChain;
use bellwether_model::cost::{Cost, CostKind};
use bellwether_model::decision::{Approval, Decision};
use bellwether_model::digest::Digest;
use bellwether_model::execution::{Execution, ExecutionState};
use bellwether_model::id::{EndpointId, IncidentId, PlaybookId, PoolName, RunId};
use bellwether_model::incident::Incident;
use bellwether_model::label::{Label, LabelKind};
use bellwether_model::outcome::{Effect, Outcome};
use bellwether_model::plan::Plan;
use bellwether_model::recommendation::Recommendation;
use bellwether_model::signal::Signal;
use bellwether_model::time::{TimeRange, Timestamp};
use bellwether_model::unit::MicroUsd;
use serde::Serialize;

use super::chart::Chart;
use crate::program::Program;

/// Everything a report says. Serialises as the JSON form of the report; drawings are left out of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct ReportData {
    /// What it is about, such as the name of the fleet.
    pub title: String,
    /// When it was made.
    pub generated_at: Timestamp,
    /// Event time up to which the ledger was judged.
    pub as_of: Timestamp,
    /// The stretch of event time it covers.
    pub range: TimeRange,
    /// How much was looked at.
    pub fleet: Fleet,
    /// The incidents, in the order of [`rank`].
    pub incidents: Vec<IncidentCard>,
    /// What each pool cost, dearest first; empty when no prices are known.
    pub costs: Vec<CostLine>,
    /// Where the audit chain stands.
    pub audit: AuditStanding,
    /// Series and columns that the last round did not judge, each counted once, by reason; under `no_series` rules without a series.
    pub skipped: BTreeMap<String, i64>,
    /// Rows that were offered and refused.
    pub rejects: i64,
    /// How the findings compare with known faults; only a simulated fleet knows them.
    pub against_labels: Option<AgainstLabels>,
    /// What to type next, most useful first.
    pub next_commands: Vec<NextCommand>,
    /// What commands in it begin with.
    #[serde(skip)]
    pub program: Program,
}

/// How much was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Fleet {
    /// Whether anything tells which endpoints and pools there are: a cluster, or the configuration.
    pub has_inventory: bool,
    /// Model endpoints in the inventory.
    pub endpoints: i64,
    /// GPU pools in the inventory.
    pub pools: i64,
    /// Series that are known.
    pub series: i64,
    /// Those of them that a rule judges.
    pub judged: i64,
    /// Samples in the report's range, of all series.
    pub samples: i64,
}

/// One incident with all that is known of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct IncidentCard {
    /// Its newest row.
    pub incident: Incident,
    /// The newest row of each of its signals, highest score first.
    pub signals: Vec<Signal>,
    /// Its drawn series, most telling first.
    #[serde(skip)]
    pub charts: Vec<Chart>,
    /// The newest recommendation.
    pub recommendation: Option<Recommendation>,
    /// What was planned, and what came of it, oldest first.
    pub attempts: Vec<Attempt>,
    /// Past runs that resemble it, nearest first.
    pub past: Vec<PastRun>,
    /// What changed while it lasted, in words.
    pub also_changed: Vec<String>,
    /// The way from its root to the endpoints, in words: `s3://raw:orders → etl:features → ml/iris`.
    pub lineage_path: Option<String>,
    /// What a person said of it.
    pub label: Option<Label>,
}

/// One plan for an incident and everything that followed from it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Attempt {
    /// The plan.
    pub plan: Plan,
    /// What governance said of it, with reasons.
    pub decision: Option<Decision>,
    /// What people said of it, oldest first.
    pub approvals: Vec<Approval>,
    /// The transitions of its execution, oldest first; empty when nothing began.
    pub transitions: Vec<Execution>,
    /// What it verifiably did.
    pub outcome: Option<Outcome>,
}

impl Attempt {
    /// The state its execution is in; none when nothing began.
    pub(crate) fn state(&self) -> Option<ExecutionState> {
        self.transitions.last().map(|t| t.state)
    }
    /// When patches were first sent to the cluster.
    pub(crate) fn executed_at(&self) -> Option<Timestamp> {
        self.entered(ExecutionState::Executing).map(|t| t.recorded_at)
    }
    /// The transition into this state, where it happened.
    pub(crate) fn entered(&self, state: ExecutionState) -> Option<&Execution> {
        self.transitions.iter().find(|t| t.state == state)
    }
}

/// A past run that resembles an incident.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct PastRun {
    /// The run.
    pub run_id: RunId,
    /// The playbook it ran.
    pub playbook_id: PlaybookId,
    /// Its outcome, as [`Effect`] text or the source's own word; empty when unknown.
    pub outcome: String,
    /// When it ran.
    pub ran_at: Timestamp,
    /// Cosine similarity to the incident, 0 to 1.
    pub similarity: f64,
    /// The symptom it was started for.
    pub summary: String,
}

/// What one pool cost in the report's range.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct CostLine {
    /// The pool.
    pub pool: PoolName,
    /// GPU-hours, idle ones too.
    pub gpu_hours: f64,
    /// What they cost, idle ones too.
    pub cost: MicroUsd,
    /// The part that nothing held.
    pub idle: MicroUsd,
    /// The part of which nobody knows who held it: neither used nor idle.
    pub unknown: MicroUsd,
    /// The dearest endpoints, at most three.
    pub top_endpoints: Vec<(EndpointId, MicroUsd)>,
}

impl CostLine {
    /// The idle part of the cost whose use is known, 0 to 1; none when the use of nothing is known.
    pub(crate) fn idle_share(&self) -> Option<f64> {
        let known = self.cost.0 - self.unknown.0;
        (known > 0).then(|| (self.idle.0 as f64 / known as f64).clamp(0.0, 1.0))
    }
}

/// Where the audit chain stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(tag = "standing", rename_all = "snake_case")]
pub(crate) enum AuditStanding {
    /// There is no entry yet.
    #[default]
    Empty,
    /// Every entry was checked and holds.
    Verified {
        /// How many entries there are.
        entries: i64,
        /// Digest of the last one.
        head: Digest,
    },
    /// The chain does not hold.
    Broken {
        /// The first wrong entry.
        sequence: i64,
        /// What is wrong with it.
        problem: String,
    },
}

impl AuditStanding {
    /// The standing that [`bellwether_model::audit::verify`] found.
    pub(crate) fn of(verified: Result<(i64, Digest), BrokenChain>) -> Self {
        match verified {
            Ok((0, _)) => Self::Empty,
            Ok((entries, head)) => Self::Verified { entries, head },
            Err(BrokenChain { sequence, problem }) => Self::Broken { sequence, problem },
        }
    }
}

/// How the findings compare with the known faults of a simulated fleet.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct AgainstLabels {
    /// Each fault in words, with the incident that found it.
    pub faults: Vec<(String, Option<IncidentId>)>,
    /// Incidents that answer to no fault.
    pub false_incidents: i64,
}

impl AgainstLabels {
    /// How many faults were found.
    pub(crate) fn found(&self) -> usize {
        self.faults.iter().filter(|(_, incident)| incident.is_some()).count()
    }
}

/// A command to type next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct NextCommand {
    /// The command line.
    pub command: String,
    /// What it does.
    pub purpose: String,
}

/// Orders incidents as they are told: those a person called false last; open before closed; then by severity, score,
/// and how many endpoints feel it; newer first.
pub(crate) fn rank(cards: &mut [IncidentCard]) {
    cards.sort_by(|a, b| key(a).cmp(&key(b)).then_with(|| a.incident.incident_id.cmp(&b.incident.incident_id)));
}

fn key(card: &IncidentCard) -> impl Ord + use<> {
    let i = &card.incident;
    // Scores are never negative: the bits of a non-negative float order as the float does.
    let score = if i.score > 0.0 { i.score.to_bits() } else { 0 };
    (card.is_called_false(), !i.is_open(), Reverse(i.severity), Reverse(score), Reverse(i.endpoints.len()), Reverse(i.opened_at))
}

impl IncidentCard {
    /// Whether a person said that it was none.
    pub(crate) fn is_called_false(&self) -> bool {
        self.label.as_ref().is_some_and(|l| l.label == LabelKind::NotAnIncident)
    }
}

/// What became of all plans of a report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ActionCounts {
    /// Plans whose patches were sent.
    pub executed: usize,
    /// Those that verifiably helped.
    pub helped: usize,
    /// Those that were undone.
    pub undone: usize,
    /// Plans that wait for a person.
    pub awaiting: usize,
}

/// Counts what became of all plans.
pub(crate) fn action_counts(data: &ReportData) -> ActionCounts {
    let mut counts = ActionCounts::default();
    for attempt in data.incidents.iter().flat_map(|c| &c.attempts) {
        counts.executed += usize::from(attempt.executed_at().is_some());
        counts.helped += usize::from(attempt.outcome.as_ref().is_some_and(|o| o.effect == Effect::Effective));
        counts.undone += usize::from(attempt.state() == Some(ExecutionState::RolledBack));
        counts.awaiting += usize::from(attempt.state() == Some(ExecutionState::AwaitingApproval));
    }
    counts
}

/// One line a pool from cost rows, dearest pool first. Money adds up exactly.
pub(crate) fn cost_lines(costs: &[Cost]) -> Vec<CostLine> {
    let mut pools: BTreeMap<&PoolName, Vec<&Cost>> = BTreeMap::new();
    for row in costs {
        pools.entry(&row.pool).or_default().push(row);
    }
    let mut lines: Vec<_> = pools.into_iter().map(|(pool, rows)| cost_line(pool, &rows)).collect();
    lines.sort_by_key(|line| Reverse(line.cost));
    lines
}

fn cost_line(pool: &PoolName, rows: &[&Cost]) -> CostLine {
    const MOST_ENDPOINTS: usize = 3;
    let mut endpoints: BTreeMap<&EndpointId, MicroUsd> = BTreeMap::new();
    for (endpoint, row) in rows.iter().filter_map(|row| Some((row.endpoint.as_ref()?, row))) {
        let sum = endpoints.entry(endpoint).or_default();
        *sum = *sum + row.cost_micro_usd;
    }
    let mut top_endpoints: Vec<_> = endpoints.into_iter().map(|(endpoint, usd)| (endpoint.clone(), usd)).collect();
    top_endpoints.sort_by_key(|(_, usd)| Reverse(*usd));
    top_endpoints.truncate(MOST_ENDPOINTS);
    let of_kind = |kind| rows.iter().filter(|row| row.kind == kind).map(|row| row.cost_micro_usd).sum();
    CostLine {
        pool: pool.clone(),
        gpu_hours: rows.iter().map(|row| row.gpu_hours).sum(),
        cost: rows.iter().map(|row| row.cost_micro_usd).sum(),
        idle: of_kind(CostKind::Idle),
        unknown: of_kind(CostKind::Unknown),
        top_endpoints,
    }
}

#[cfg(test)]
mod tests {
    use bellwether_model::incident::IncidentState;
    use bellwether_model::signal::Severity;

    use super::*;
    use crate::report::fixture;

    #[test]
    fn open_and_severe_incidents_come_first_and_false_ones_last() {
        let base = fixture::fleet().incidents.remove(0);
        let card = |id: &str, open: bool, severity, score, called_false: bool| {
            let mut c = base.clone();
            c.incident.incident_id = id.into();
            c.incident.state = if open { IncidentState::Opened } else { IncidentState::Closed };
            (c.incident.severity, c.incident.score) = (severity, score);
            c.label = called_false.then(|| fixture::label(id, LabelKind::NotAnIncident));
            c
        };
        let mut cards = vec![
            card("false", true, Severity::Critical, 99.0, true),
            card("closed", false, Severity::Critical, 50.0, false),
            card("mild", true, Severity::Warning, 9.0, false),
            card("bad", true, Severity::Critical, 2.0, false),
            card("worse", true, Severity::Critical, 10.5, false),
            card("odd", true, Severity::Warning, f64::NAN, false),
        ];
        rank(&mut cards);
        let order: Vec<_> = cards.iter().map(|c| c.incident.incident_id.as_str()).collect();
        assert_eq!(order, ["worse", "bad", "mild", "odd", "closed", "false"]);
    }

    #[test]
    fn the_audit_chain_stands_as_its_check_says() {
        let head = Digest::of_bytes(b"x");
        assert_eq!(AuditStanding::of(Ok((0, Digest::ZERO))), AuditStanding::Empty);
        assert_eq!(AuditStanding::of(Ok((7, head))), AuditStanding::Verified { entries: 7, head });
        let broken = BrokenChain { sequence: 3, problem: "was edited".into() };
        assert_eq!(AuditStanding::of(Err(broken)), AuditStanding::Broken { sequence: 3, problem: "was edited".into() });
    }

    #[test]
    fn pool_costs_add_up_to_the_cent() {
        let row = |pool: &str, endpoint: Option<&str>, micro: i64| Cost {
            period_start: Timestamp::EPOCH,
            period_end: Timestamp::from_secs(3_600),
            pool: pool.into(),
            endpoint: endpoint.map(|e| e.parse().unwrap()),
            kind: if endpoint.is_some() { CostKind::Workload } else { CostKind::Idle },
            gpu_hours: 1.0,
            usd_per_gpu_hour: MicroUsd(micro),
            cost_micro_usd: MicroUsd(micro),
            recorded_at: Timestamp::EPOCH,
        };
        let lines = cost_lines(&[
            row("a", Some("ml/x"), 1_000_001),
            row("b", Some("ml/y"), 9),
            row("a", None, 999_999),
            row("a", Some("ml/x"), 2),
            row("a", Some("ml/z"), 5_000_000),
        ]);
        assert_eq!(
            lines.iter().map(|l| (l.pool.as_str(), l.cost.0, l.idle.0)).collect::<Vec<_>>(),
            [("a", 7_000_002, 999_999), ("b", 9, 0)]
        );
        assert_eq!(
            lines[0].top_endpoints,
            [("ml/z".parse().unwrap(), MicroUsd(5_000_000)), ("ml/x".parse().unwrap(), MicroUsd(1_000_003))]
        );
        assert!((lines[0].idle_share().unwrap() - 0.142_857).abs() < 1e-4);
        // What nobody knows is neither idle nor used.
        let unknown = |cost| Cost { kind: CostKind::Unknown, ..row("a", None, cost) };
        let lines = cost_lines(&[unknown(7_000_000)]);
        assert_eq!((lines[0].idle, lines[0].unknown, lines[0].idle_share()), (MicroUsd(0), MicroUsd(7_000_000), None));
        let lines = cost_lines(&[unknown(7_000_000), row("a", None, 1_000_000), row("a", Some("ml/x"), 3_000_000)]);
        assert_eq!(lines[0].idle_share(), Some(0.25));
        assert!(cost_lines(&[]).is_empty());
    }
}
