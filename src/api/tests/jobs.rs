//! What happens by itself, on the real clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bellwether_pipelines::act::Reach;
use bellwether_pipelines::schedule::{Job, Task};
use futures::FutureExt as _;
use tokio::sync::oneshot;

use super::world::World;
use crate::api::jobs::Runner;
use crate::api::{Services, run};
use crate::failure::Failure;

fn job(name: &str, cron: &str, task: &str) -> Job {
    serde_saphyr::from_str(&format!("{{name: {name}, cron: '{cron}', task: {task}, timeout: 1s}}")).unwrap()
}

#[tokio::test]
async fn jobs_run_when_due_one_at_a_time_and_failures_are_counted() {
    let mut world = World::new(Reach::Suggest).await;
    let services: &mut Services = Arc::get_mut(&mut world.services).unwrap();
    services.clock = crate::clock::now;
    let (running, most, rounds) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (r, m, n) = (running.clone(), most.clone(), rounds.clone());
    let runner: Runner = Arc::new(move |task, _| {
        let (running, most, rounds) = (r.clone(), m.clone(), n.clone());
        async move {
            match task {
                Task::Round => {
                    most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    tokio::time::sleep(Duration::from_millis(300)).await;
                    running.fetch_sub(1, Ordering::SeqCst);
                    rounds.fetch_add(1, Ordering::SeqCst);
                    Ok(())
                }
                Task::Ingest => Err(Failure::user("no")),
                _ => {
                    tokio::time::sleep(Duration::from_secs(60)).await;
                    Ok(())
                }
            }
        }
        .boxed()
    });
    let schedule = vec![job("rounds", "* * * * * *", "round"), job("pull", "* * * * * *", "ingest"), job("slow", "* * * * * *", "report")];
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(run(world.services.clone(), schedule, runner, listener, async {
        let _ = stopped.await;
    }));
    tokio::time::sleep(Duration::from_millis(3_500)).await;
    let text = reqwest::get(format!("http://{address}/metrics")).await.unwrap().text().await.unwrap();
    assert!(rounds.load(Ordering::SeqCst) >= 2, "{}", rounds.load(Ordering::SeqCst));
    assert_eq!(most.load(Ordering::SeqCst), 1);
    for part in [
        "bellwether_job_runs_total{job=\"remember\",result=\"done\"}",
        "bellwether_job_runs_total{job=\"ingest\",result=\"failed\"}",
        "bellwether_job_runs_total{job=\"report\",result=\"stopped\"}",
        "bellwether_last_success_timestamp_seconds{job=\"round\"}",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    stop.send(()).unwrap();
    tokio::time::timeout(Duration::from_secs(20), serving).await.unwrap().unwrap();
    assert_eq!(running.load(Ordering::SeqCst), 0);
}
