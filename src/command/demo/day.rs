//! The last day of the simulated fleet: thirteen days in bulk, then rounds against the simulated clock.

use bellwether_embeddings::Redactor;
use bellwether_executor::fleet::Fleet;
use bellwether_model::decision::Approval;
use bellwether_model::execution::ExecutionState;
use bellwether_model::id::Actor;
use bellwether_model::outcome::Outcome;
use bellwether_model::time::{Span, TimeRange, Timestamp};
use bellwether_pipelines::ingest::{Progress, Summary};
use bellwether_pipelines::openlineage;

use super::folder::Folder;
use super::show::Show;
use crate::cycle::Cycle;
use crate::failure::{Failure, Kind, chain};
use crate::open;

/// Time from round to round.
const ROUND: Span = Span::from_mins(15);
/// How long the simulated person takes to approve.
const THINKING: Span = Span::from_mins(4);
/// How long the approval counts.
const VALID: Span = Span::from_hours(1);
/// Who approves. There is no such person, and the audit chain says so.
pub(super) const APPROVER: &str = "robin.sato (simulated)";

/// The day on which rounds run.
pub(super) struct Day {
    /// From its midnight to the next.
    pub(super) range: TimeRange,
}

/// What happened on it, beside what is in the ledger.
#[derive(Default)]
pub(super) struct Told {
    /// Rounds that were judged.
    pub(super) rounds: usize,
    /// Samples that were ingested.
    pub(super) samples: u64,
    /// Plans that the simulated person approved.
    pub(super) approvals: usize,
    /// From when to when the rounds judged.
    pub(super) judged: Option<TimeRange>,
    /// What the executions did, as it was assessed.
    pub(super) outcomes: Vec<Outcome>,
}

impl Day {
    /// The last day of the fleet's script.
    pub(super) fn of(fleet: &Fleet) -> Self {
        Self { range: TimeRange::before(fleet.range().end, Span::from_days(1)) }
    }

    /// Loads what came before, and lives through the day.
    pub(super) async fn live(&self, fleet: &Fleet, folder: &Folder, cycle: &mut Cycle, show: &Show) -> Result<Told, Failure> {
        let mut told = Told::default();
        self.load(fleet, folder, cycle, show, &mut told).await?;
        let redactor = open::redactor(&cycle.config)?;
        let rounds = self.range.length().micros() / ROUND.micros();
        show.phase(&format!("Living through {}: {rounds} rounds, one every {ROUND}", self.range.start.utc().format("%-d %B %Y")));
        let mut last = self.range.start;
        for n in 1..=rounds {
            let at = self.range.start + ROUND.times(n);
            fleet.advance(at);
            post_lineage(fleet, cycle, &redactor, TimeRange::new(last, at), at).await?;
            last = at;
            self.round(cycle, at, show, &mut told).await?;
            self.between(fleet, cycle, at, show, &mut told).await?;
            show.at(&format!("{} · {} rounds", at.utc().format("%H:%M"), told.rounds), n as u64, rounds as u64);
        }
        told.judged = Some(TimeRange::new(self.range.start + ROUND - cycle.config.judge.first_round, self.range.end));
        Ok(told)
    }

    /// Everything before the day, through the same ingest.
    async fn load(&self, fleet: &Fleet, folder: &Folder, cycle: &mut Cycle, show: &Show, told: &mut Told) -> Result<(), Failure> {
        let before = TimeRange::new(fleet.range().start, self.range.start);
        show.phase(&format!(
            "Loading {} of metrics, 2,000 past runs and the lineage of a fleet with {} endpoints",
            before.length(),
            fleet.cast().endpoints.len()
        ));
        fleet.advance(before.end);
        folder.write_lineage(&fleet.lineage_events(before))?;
        let progress = |p: Progress| show.at(&format!("Loading {}", p.source), p.done, p.total);
        let summary = cycle.ingest(before.end, Some(before.length()), &progress).await;
        told.take(&summary, show)?;
        // What comes from now on comes by scraping and over the API, as it would at a user's.
        cycle.sources.run_files.clear();
        cycle.sources.lineage_files.clear();
        Ok(())
    }

    /// One turn: ingest, judge, suggest, act.
    async fn round(&self, cycle: &mut Cycle, at: Timestamp, show: &Show, told: &mut Told) -> Result<(), Failure> {
        let summary = cycle.ingest(at, None, &|_| ()).await;
        told.take(&summary, show)?;
        let judged = cycle.judge(at, at, true).await?;
        cycle.suggest(&judged, at).await?;
        told.rounds += 1;
        for incident in &judged.conclusions.incidents {
            if incident.state == bellwether_model::incident::IncidentState::Opened {
                show.note(&format!("{}  {}", at.utc().format("%H:%M"), incident.title));
            }
        }
        self.act(cycle, at, show, told).await
    }

    /// The minutes up to the next round, as long as something is under way.
    async fn between(&self, fleet: &Fleet, cycle: &mut Cycle, round: Timestamp, show: &Show, told: &mut Told) -> Result<(), Failure> {
        let minute = Span::from_mins(1);
        let mut at = round + minute;
        while at < round + ROUND {
            fleet.advance(at);
            if approve(cycle, at, show, told).await? || self.due(cycle, at).await? {
                self.act(cycle, at, show, told).await?;
            }
            at = at + minute;
        }
        Ok(())
    }

    /// Whether anything is being carried out.
    async fn due(&self, cycle: &Cycle, _at: Timestamp) -> Result<bool, Failure> {
        let open = cycle.journal.open_executions().await.map_err(|e| open::upstream(&e))?;
        Ok(open.iter().any(|r| {
            matches!(
                r.state,
                ExecutionState::Approved | ExecutionState::Executing | ExecutionState::Verifying | ExecutionState::RollingBack
            )
        }))
    }

    /// Does what can be done at this instant; what was sent is looked at again at once.
    async fn act(&self, cycle: &Cycle, at: Timestamp, show: &Show, told: &mut Told) -> Result<(), Failure> {
        while self.act_once(cycle, at, show, told).await?.is_some_and(|next| next <= at) {}
        Ok(())
    }

    /// One call; gives when to look again.
    async fn act_once(&self, cycle: &Cycle, at: Timestamp, show: &Show, told: &mut Told) -> Result<Option<Timestamp>, Failure> {
        let (acted, outcomes) = cycle.act(at).await?;
        for (id, state) in &acted.executions {
            tracing::debug!(%id, %state, %at, "acted");
        }
        for (id, why) in &acted.held {
            tracing::debug!(%id, why, %at, "held");
        }
        for outcome in outcomes {
            show.note(&format!("{}  {}: {}, {}", at.utc().format("%H:%M"), outcome.playbook_id, outcome.effect, outcome.detail));
            told.outcomes.push(outcome);
        }
        Ok(acted.next_at)
    }
}

impl Told {
    /// Counts what came in. A source that did not answer ends the demo: there is nothing to show without it.
    fn take(&mut self, summary: &Summary, show: &Show) -> Result<(), Failure> {
        for source in &summary.sources {
            self.samples += source.rows.get("samples").copied().unwrap_or(0) as u64;
            if let Some(error) = source.errors.first() {
                show.done();
                return Err(Failure::new(Kind::Internal, format!("{}: {}", source.source, chain(error))));
            }
        }
        Ok(())
    }
}

/// Posts what the fleet's pipelines emitted, as their OpenLineage clients would: into the inbox.
async fn post_lineage(fleet: &Fleet, cycle: &Cycle, redactor: &Redactor, range: TimeRange, now: Timestamp) -> Result<(), Failure> {
    let mut contents = Vec::new();
    for event in fleet.lineage_events(range) {
        let parsed = openlineage::parse(&event, redactor, now).map_err(|e| Failure::of(Kind::Internal, &e))?;
        contents.push(serde_json::to_string(&parsed).map_err(|e| Failure::of(Kind::Internal, &e))?);
    }
    if !contents.is_empty() {
        cycle.journal.receive("openlineage", &contents, now).await.map_err(|e| open::upstream(&e))?;
    }
    Ok(())
}

/// The simulated person approves what has waited for long enough. Says whether anything was approved.
async fn approve(cycle: &Cycle, now: Timestamp, show: &Show, told: &mut Told) -> Result<bool, Failure> {
    let open = cycle.journal.open_executions().await.map_err(|e| open::upstream(&e))?;
    let mut any = false;
    for record in open.iter().filter(|r| r.state == ExecutionState::AwaitingApproval && r.entered_at + THINKING <= now) {
        let approval = Approval {
            plan_id: record.plan.plan_id.clone(),
            plan_digest: record.plan.digest,
            approver: Actor::new(APPROVER),
            role: crate::auth::APPROVER.into(),
            approved: true,
            comment: Some("approved by the demo's simulated person".into()),
            expires_at: now + VALID,
            recorded_at: now,
        };
        cycle.journal.approve(&record.execution_id, &approval, now).await.map_err(|e| open::upstream(&e))?;
        show.note(&format!("{}  {APPROVER} approves {}", now.utc().format("%H:%M"), record.plan.body.playbook_id));
        told.approvals += 1;
        any = true;
    }
    Ok(any)
}
