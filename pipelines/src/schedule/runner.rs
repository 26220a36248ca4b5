//! Running jobs when they are due, each once over all processes that share a journal.
//!
//! A lease of the journal keeps a job to one run at a time; while a run lasts, its lease is renewed, so a process that died frees the job
//! after [`LEASE`] and one that is alive keeps it. The lease also remembers when the job last ran, for this process and its successors.

use std::fmt::Display;

use bellwether_executor::journal::lease::Lease;
use bellwether_executor::journal::{Journal, StoreError};
use bellwether_model::time::{Span, Timestamp};

use super::{Job, Task};

/// How long a lease lasts without a heartbeat.
pub const LEASE: Span = Span::from_secs(60);
/// How often it is renewed.
const HEARTBEAT: Span = Span::from_secs(20);
/// Longest sleep: a clock that was set is noticed after this.
const NAP: Span = Span::from_secs(60);
/// Wait after the journal could not be used, or while another process runs the job.
const PAUSE: Span = Span::from_secs(5);

/// How a run ended.
enum Ended {
    Done,
    Failed(String),
    TimedOut,
    /// This process had been paused, and another one took over.
    LostLease,
}

/// Runs the jobs for as long as this future is polled. Drop it to stop; a job that is under way is then stopped too, and its lease runs out.
///
/// `owner` names this process in the journal, `clock` tells the time, `work` does a task for a due time.
///
/// *Guarantees:* for each due time of a job at most one process begins a run; no job waits for another.
pub async fn run<F, W, E>(jobs: &[Job], journal: &Journal, owner: &str, clock: fn() -> Timestamp, work: F)
where
    F: Fn(Task, Timestamp) -> W,
    W: Future<Output = Result<(), E>>,
    E: Display,
{
    let begun = clock();
    let one = |job| Runner { job, journal, owner, clock, begun };
    futures::future::join_all(jobs.iter().map(|job| one(job).keep_running(&work))).await;
}

/// One job in this process.
struct Runner<'a> {
    job: &'a Job,
    journal: &'a Journal,
    owner: &'a str,
    clock: fn() -> Timestamp,
    begun: Timestamp,
}

impl Runner<'_> {
    async fn keep_running<F, W, E>(self, work: &F)
    where
        F: Fn(Task, Timestamp) -> W,
        W: Future<Output = Result<(), E>>,
        E: Display,
    {
        let mut told = 0;
        loop {
            let pause = match self.once(work, &mut told).await {
                Ok(pause) => pause,
                Err(error) => {
                    tracing::error!(job = self.job.name, %error, "the journal cannot be used; the job waits");
                    PAUSE
                }
            };
            tokio::time::sleep(pause.to_std()).await;
        }
    }

    /// Runs the job if it is due, and says how long to sleep then. `told` is the number of skipped runs that was logged last.
    async fn once<F, W, E>(&self, work: &F, told: &mut u32) -> Result<Span, StoreError>
    where
        F: Fn(Task, Timestamp) -> W,
        W: Future<Output = Result<(), E>>,
        E: Display,
    {
        let Self { job, journal, .. } = self;
        let known = journal.leases().await?.into_iter().find(|lease| lease.job == job.name);
        let (last, term) = known.map_or((self.begun, 0), |lease| (lease.renewed_at, lease.term));
        let now = (self.clock)();
        let due = job.due(last, now);
        if std::mem::replace(told, due.skipped) < due.skipped {
            tracing::warn!(job = job.name, skipped = due.skipped, "runs were missed and are not made up for");
        }
        let Some(at) = due.run else { return Ok(due.next.map_or(NAP, |next| next.since(now)).min(NAP)) };
        let Some(mut lease) = journal.lease(&job.name, self.owner, LEASE, now).await? else { return Ok(PAUSE) };
        if lease.term != term + 1 {
            // Another process ran the job between the look and the lease.
            journal.release(&lease).await?;
            return Ok(Span::ZERO);
        }
        let started = tokio::time::Instant::now();
        let ended = self.guarded(&mut lease, work(job.task, at)).await?;
        journal.release(&lease).await?;
        let seconds = started.elapsed().as_secs_f64();
        match &ended {
            Ended::Done => tracing::info!(job = job.name, due = %at, seconds, "job done"),
            Ended::Failed(error) => tracing::error!(job = job.name, due = %at, seconds, error, "job failed"),
            Ended::TimedOut => tracing::error!(job = job.name, due = %at, limit = %job.timeout, "job stopped after its time limit"),
            Ended::LostLease => tracing::error!(job = job.name, due = %at, "job stopped: another process took it over"),
        }
        Ok(Span::ZERO)
    }

    /// Carries the work on until it ends, its time is over, or the lease is lost.
    async fn guarded<W, E>(&self, lease: &mut Lease, work: W) -> Result<Ended, StoreError>
    where
        W: Future<Output = Result<(), E>>,
        E: Display,
    {
        let mut work = std::pin::pin!(tokio::time::timeout(self.job.timeout.to_std(), work));
        loop {
            tokio::select! {
                ended = &mut work => return Ok(match ended {
                    Ok(Ok(())) => Ended::Done,
                    Ok(Err(error)) => Ended::Failed(error.to_string()),
                    Err(_) => Ended::TimedOut,
                }),
                () = tokio::time::sleep(HEARTBEAT.to_std()) => {
                    if !self.journal.heartbeat(lease, LEASE, (self.clock)()).await? {
                        return Ok(Ended::LostLease);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Mutex;
    use std::time::Duration;

    use super::*;
    use bellwether_model::zone::Zone;

    use crate::schedule::Missed;

    /// The wall clock, by the standard library.
    fn clock() -> Timestamp {
        Timestamp::from_micros(std::time::UNIX_EPOCH.elapsed().unwrap().as_micros() as i64)
    }

    fn job(name: &str, task: Task, timeout: Span) -> Job {
        Job { name: name.into(), task, cron: "* * * * * *".parse().unwrap(), timezone: Zone::default(), timeout, missed: Missed::Skip }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn two_processes_share_a_job_and_a_slow_one_is_stopped() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal.db");
        let jobs = [job("quick", Task::Ingest, Span::from_secs(10)), job("slow", Task::Round, "300ms".parse().unwrap())];
        let runs: Mutex<BTreeMap<(Task, Timestamp), usize>> = Mutex::default();
        let process = async |owner: &'static str| {
            let journal = Journal::open(&path).await.unwrap();
            let work = async |task: Task, due: Timestamp| {
                *runs.lock().unwrap().entry((task, due)).or_default() += 1;
                if task == Task::Round {
                    tokio::time::sleep(Duration::from_secs(60)).await;
                }
                if owner == "a" { Ok(()) } else { Err("a job that fails runs again") }
            };
            run(&jobs, &journal, owner, clock, work).await;
        };
        let both = async { tokio::join!(process("a"), process("b")) };
        let _ = tokio::time::timeout(Duration::from_millis(3_800), both).await;
        let runs = runs.lock().unwrap();
        assert!(runs.values().all(|n| *n == 1), "{runs:?}");
        for task in [Task::Ingest, Task::Round] {
            assert!((2..=4).contains(&runs.keys().filter(|(t, _)| *t == task).count()), "{runs:?}");
        }
    }
}
