//! `bellwether serve`

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use bellwether_lake::maintain::Upkeep;
use bellwether_model::time::Span;
use bellwether_pipelines::schedule::Task;
use futures::FutureExt as _;
use tokio::sync::Mutex;

use super::{ingest, report, round};
use crate::cli::{Output, ReportArgs, Role, ServeArgs};
use crate::clock::now;
use crate::config::Config;
use crate::cycle::Cycle;
use crate::failure::{Failure, Kind};
use crate::{api, open};

/// Where the job `report` writes its page.
const PAGE: &str = "bellwether-report.html";

/// Runs the command until the process is told to stop.
pub async fn run(config: Config, args: &ServeArgs) -> Result<(), Failure> {
    let listen = address(&config, args);
    // Rounds and ingests take turns: both pull from the sources.
    let cycle = Arc::new(Mutex::new(Cycle::open(config.clone()).await?));
    let at_work = config.clone();
    // A task keeps a thread of its own busy: it computes for long, and the API's threads must stay free.
    let runner: api::jobs::Runner = Arc::new(move |task, _| {
        let (cycle, config) = (cycle.clone(), at_work.clone());
        let thread = tokio::task::spawn_blocking(move || tokio::runtime::Handle::current().block_on(work(cycle, config, task)));
        async move { thread.await.unwrap_or_else(|e| Err(Failure::new(Kind::Internal, format!("a task stopped unexpectedly: {e}")))) }
            .boxed()
    });
    if config.schedule.is_empty() {
        eprintln!("no schedule is configured: nothing is ingested or judged by itself (docs/configuration.md#schedule)");
    }
    api::serve(&config, listen, runner).await
}

/// The address of the command line, of the role, or of the configuration.
fn address(config: &Config, args: &ServeArgs) -> SocketAddr {
    let mut listen = args.listen.unwrap_or(config.serve.listen);
    if let Some(role) = args.role {
        listen.set_port(match role {
            Role::Insight => 8002,
            Role::Recommend => 8003,
            Role::Orchestrate => 8004,
        });
    }
    listen
}

/// Does one task of the schedule.
async fn work(cycle: Arc<Mutex<Cycle>>, config: Config, task: Task) -> Result<(), Failure> {
    match task {
        Task::Ingest => {
            let summary = cycle.lock().await.ingest(now(), None, &|_| {}).await;
            ingest::failure(&ingest::account(&summary)).map_or(Ok(()), Err)
        }
        Task::Round => round::once(&mut *cycle.lock().await).await,
        Task::Act => cycle.lock().await.act(now()).await.map(drop),
        Task::Maintain => {
            let lake = open::lake(&config).await?;
            lake.maintain(Upkeep::default(), now()).await.map(drop).map_err(|e| open::lake_failure(&e))
        }
        Task::Report => {
            report::run(&config, &ReportArgs { html: Some(PathBuf::from(PAGE)), last: Span::from_days(7), as_of: None }, Output::Table)
                .await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_means_its_port_on_the_configured_address() {
        let config = Config::default();
        let port =
            |listen: Option<&str>, role| address(&config, &ServeArgs { listen: listen.map(|l| l.parse().unwrap()), role }).to_string();
        assert_eq!(port(None, None), "127.0.0.1:8000");
        assert_eq!(
            [Role::Insight, Role::Recommend, Role::Orchestrate].map(|r| port(None, Some(r))),
            ["127.0.0.1:8002", "127.0.0.1:8003", "127.0.0.1:8004"]
        );
        assert_eq!(port(Some("127.0.0.1:9"), None), "127.0.0.1:9");
    }
}
