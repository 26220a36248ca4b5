//! The demo's report as one JSON object, and the last lines of its text.

use bellwether_model::outcome::Effect;
use bellwether_model::time::Span;
use serde::Serialize;

use super::day::{APPROVER, Told};
use super::folder::Folder;
use super::score::{Score, Scored};
use crate::cli::DemoArgs;
use crate::report::data::{AuditStanding, ReportData, action_counts};

/// Numbers for machines.
#[derive(Serialize)]
pub(super) struct Summary {
    seed: u64,
    faults_labelled: usize,
    faults_found: usize,
    false_incidents: usize,
    executions: usize,
    rollbacks: usize,
    approvals: usize,
    rounds: usize,
    incidents: usize,
    samples: u64,
    wall_seconds: f64,
    peak_rss_bytes: Option<u64>,
    audit_verified: bool,
    gpu_hours: f64,
    cost_usd: f64,
    idle_usd: f64,
    outcomes: Vec<Done>,
    faults: Vec<Scored>,
    false_incident_titles: Vec<String>,
}

#[derive(Serialize)]
struct Done {
    playbook: String,
    effect: Effect,
    detail: String,
}

impl Summary {
    pub(super) fn of(args: &DemoArgs, report: &ReportData, score: &Score, told: &Told, wall: Span) -> Self {
        let counts = action_counts(report);
        Self {
            seed: args.seed,
            faults_labelled: score.faults.len(),
            faults_found: score.found(),
            false_incidents: score.false_incidents.len(),
            executions: counts.executed,
            rollbacks: counts.undone,
            approvals: told.approvals,
            rounds: told.rounds,
            incidents: report.incidents.len(),
            samples: told.samples,
            wall_seconds: wall.secs_f64(),
            peak_rss_bytes: peak_rss_bytes(),
            audit_verified: matches!(report.audit, AuditStanding::Verified { .. }),
            gpu_hours: report.costs.iter().map(|c| c.gpu_hours).sum(),
            cost_usd: report.costs.iter().map(|c| c.cost.usd()).sum(),
            idle_usd: report.costs.iter().map(|c| c.idle.usd()).sum(),
            outcomes: told
                .outcomes
                .iter()
                .map(|o| Done { playbook: o.playbook_id.to_string(), effect: o.effect, detail: o.detail.clone() })
                .collect(),
            faults: score.faults.clone(),
            false_incident_titles: score.false_incidents.clone(),
        }
    }

    /// The last lines of the text.
    pub(super) fn closing(&self, folder: &Folder) -> String {
        let mut lines = Vec::new();
        if self.approvals > 0 {
            lines.push(format!("{} plans needed a person: {APPROVER} approved them, as the audit chain says.", self.approvals));
        }
        let memory = self.peak_rss_bytes.map_or(String::new(), |b| format!(", {:.0} MB of memory", b as f64 / 1e6));
        lines.push(format!("{} rounds, {} samples, {:.0} s{memory}.", self.rounds, self.samples, self.wall_seconds));
        lines.push(format!("The whole story: {}", folder.path("report.html").display()));
        lines.join("\n")
    }
}

/// The most memory that this process held, where the system tells.
fn peak_rss_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kb| kb * 1024)
}
