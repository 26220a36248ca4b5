//! Threads for other people's queries, so that a heavy one neither holds up the rest of the API nor outlives its deadline's answer.

use std::future::Future;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::Semaphore;

use super::problem::{Kind, Problem};

/// Queries under way at a time.
const AT_A_TIME: usize = 4;
/// How long a query waits for its turn.
const TURN: Duration = Duration::from_secs(5);

/// A small runtime of its own.
#[derive(Debug)]
pub struct Workers {
    runtime: Option<Runtime>,
    turns: Semaphore,
}

impl Workers {
    /// Starts the threads.
    ///
    /// # Errors
    /// When the operating system gives none.
    pub fn start() -> std::io::Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(2).thread_name("query").thread_stack_size(8 << 20).enable_all().build()?;
        Ok(Self { runtime: Some(runtime), turns: Semaphore::new(AT_A_TIME) })
    }

    /// Runs a query on these threads.
    ///
    /// *Guarantees:* the answer comes within `deadline`, or a [`Kind::Timeout`] does, even while the query computes without a pause; it is
    /// stopped at its next pause. *Errors:* also [`Kind::Unavailable`] while too many are under way, and what `query` gives.
    pub async fn run<T: Send + 'static>(
        &self,
        deadline: Duration,
        query: impl Future<Output = Result<T, Problem>> + Send + 'static,
    ) -> Result<T, Problem> {
        let busy = || Problem::new(Kind::Unavailable, format!("{AT_A_TIME} queries are under way already"));
        let _turn = tokio::time::timeout(TURN, self.turns.acquire()).await.map_err(|_| busy())?.map_err(|_| busy())?;
        let Some(runtime) = &self.runtime else { return Err(busy()) };
        let running = runtime.spawn(query);
        let stop = running.abort_handle();
        match tokio::time::timeout(deadline, running).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(stopped)) => Err(Problem::of(Kind::Internal, &stopped)),
            Err(_) => {
                stop.abort();
                Err(Problem::new(Kind::Timeout, format!("the query took longer than {} s and was stopped", deadline.as_secs()))
                    .hint("narrow it by time"))
            }
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // A runtime must not be waited for inside another.
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_query_that_never_pauses_still_gets_its_answer_in_time() {
        let workers = Workers::start().unwrap();
        let stubborn = async {
            std::thread::sleep(Duration::from_millis(400));
            Ok(1)
        };
        let problem = workers.run(Duration::from_millis(50), stubborn).await.unwrap_err();
        assert_eq!(problem.status(), 504);
        assert_eq!(workers.run(Duration::from_secs(5), async { Ok(2) }).await, Ok(2));
        let panics = workers.run(Duration::from_secs(5), async { if true { panic!("ours") } else { Ok(3) } }).await.unwrap_err();
        assert_eq!(panics.status(), 500);
    }
}
