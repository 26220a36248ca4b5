//! A past run of a workflow: the raw material of experience.

use serde::{Deserialize, Serialize};

use crate::id::{PlaybookId, RunId};
use crate::time::Timestamp;

/// The state of a run, the same for every source; the source's own word is kept beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Waiting to start.
    Queued,
    /// Under way.
    Running,
    /// Ended well.
    Succeeded,
    /// Ended badly.
    Failed,
    /// Stopped by someone.
    Cancelled,
    /// Never started, on purpose.
    Skipped,
    /// Stopped by a time limit.
    TimedOut,
    /// A word of the source that this program does not know.
    Unknown,
}

impl RunStatus {
    /// The status that a source's word means.
    pub fn of_word(word: &str) -> Self {
        match word.trim().to_ascii_lowercase().as_str() {
            "queued" | "pending" | "scheduled" | "waiting" | "requested" => Self::Queued,
            "running" | "in_progress" | "executing" => Self::Running,
            "succeeded" | "success" | "completed" | "complete" | "finished" | "ok" | "passed" => Self::Succeeded,
            "failed" | "failure" | "error" | "errored" | "fail" => Self::Failed,
            "cancelled" | "canceled" | "killed" | "aborted" | "abort" => Self::Cancelled,
            "skipped" | "omitted" | "neutral" => Self::Skipped,
            "timed_out" | "timeout" => Self::TimedOut,
            _ => Self::Unknown,
        }
    }
}

/// A past run. A row of the table `runs`; the view `workflow_runs` has its newest row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// The run's id at its source.
    pub run_id: RunId,
    /// The workflow it ran.
    pub workflow_id: String,
    /// The playbook it ran, where it was one.
    pub playbook_id: Option<PlaybookId>,
    /// Canonical status.
    pub status: RunStatus,
    /// The source's own word.
    pub source_status: String,
    /// When it started.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// What started it.
    pub trigger: Option<String>,
    /// Who started it, redacted to a pseudonym.
    pub actor: Option<String>,
    /// What it worked on: a service or model.
    pub target: Option<String>,
    /// The symptom it was started for, in words, redacted.
    pub summary: String,
    /// `effective`, `ineffective`, `harmful`, or the source's word; empty when unknown.
    pub outcome: Option<String>,
    /// Its error, redacted.
    pub error: Option<String>,
    /// The source's further columns as JSON, redacted.
    pub attributes: serde_json::Value,
    /// The source's time of last change: half of the cursor.
    pub updated_at: Timestamp,
    /// The source it came from.
    pub source: String,
    /// When the row was written.
    pub recorded_at: Timestamp,
}
