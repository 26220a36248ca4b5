//! Accepting connections: a bounded number of them, each with a deadline for its request's head, and an orderly end.
//!
//! `axum::serve` sets no timer for hyper, so that a client that never finishes its head would hold a connection for ever; hence a loop of
//! our own. HTTP/1 only: a proxy in front speaks whatever else is wanted.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

/// How connections are bounded.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Connections at a time; further ones wait to be accepted. Default 512.
    pub connections: usize,
    /// Longest wait for a request's head, also between two requests of one connection. Default 10 s.
    pub head: Duration,
    /// Largest head of a request in bytes. Default 32 KiB.
    pub head_bytes: usize,
    /// How long requests that are under way may take to end after shutdown began. Default 25 s.
    pub grace: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { connections: 512, head: Duration::from_secs(10), head_bytes: 32 << 10, grace: Duration::from_secs(25) }
    }
}

/// Serves `app` until `shutdown` ends; then accepts nothing more, and returns when the requests that are under way have ended, at the
/// latest after [`Bounds::grace`].
pub async fn listen(listener: TcpListener, app: Router, bounds: Bounds, shutdown: impl Future<Output = ()>) {
    let places = Arc::new(Semaphore::new(bounds.connections));
    let (closing, closed) = watch::channel(false);
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = accept(&listener, &places) => accepted,
        };
        let Some((stream, place)) = accepted else { break };
        let (app, closed) = (app.clone(), closed.clone());
        tokio::spawn(async move {
            serve(stream, app, bounds, closed).await;
            drop(place);
        });
    }
    drop(listener);
    // Nobody listens when there is no connection: then there is nothing to end either.
    let _ = closing.send(true);
    drop(closed);
    let _ = tokio::time::timeout(bounds.grace, closing.closed()).await;
}

type Place = tokio::sync::OwnedSemaphorePermit;

/// The next connection, once there is room for it; none never, because the semaphore is never closed.
async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> Option<(TcpStream, Place)> {
    let place = places.clone().acquire_owned().await.ok()?;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return Some((stream, place)),
            Err(error) => {
                // The client is gone already, or this process has no descriptor left: both pass.
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, app: Router, bounds: Bounds, mut closed: watch::Receiver<bool>) {
    let _ = stream.set_nodelay(true);
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(bounds.head).max_buf_size(bounds.head_bytes.max(8 << 10));
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(app)));
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = told(&mut closed) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

async fn told(closed: &mut watch::Receiver<bool>) {
    // An error means that the loop above is gone, which closes as well.
    let _ = closed.wait_for(|closing| *closing).await;
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::sync::oneshot;
    use tokio::time::Instant;

    use super::*;

    async fn up(bounds: Bounds) -> (std::net::SocketAddr, oneshot::Sender<()>, tokio::task::JoinHandle<()>) {
        let slow = get(|| async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            "done"
        });
        let app = Router::new().route("/", get(|| async { "hello" })).route("/slow", slow);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let served = tokio::spawn(listen(listener, app, bounds, async {
            let _ = stopped.await;
        }));
        (address, stop, served)
    }

    async fn ask(address: std::net::SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn clients_that_say_nothing_or_only_a_part_are_hung_up_on_and_others_are_served() {
        let (address, _stop, _) = up(Bounds { head: Duration::from_millis(200), connections: 3, ..Bounds::default() }).await;
        let mut silent = TcpStream::connect(address).await.unwrap();
        let mut slow = TcpStream::connect(address).await.unwrap();
        slow.write_all(b"GET / HTTP/1.1\r\nhost:").await.unwrap();
        assert!(ask(address, "/").await.ends_with("hello"));
        let began = Instant::now();
        let (mut a, mut b) = (Vec::new(), Vec::new());
        silent.read_to_end(&mut a).await.unwrap();
        slow.read_to_end(&mut b).await.unwrap();
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    }

    #[tokio::test]
    async fn requests_under_way_end_before_it_stops() {
        let (address, stop, served) = up(Bounds::default()).await;
        let idle = TcpStream::connect(address).await.unwrap();
        let asked = tokio::spawn(ask(address, "/slow"));
        tokio::time::sleep(Duration::from_millis(100)).await;
        stop.send(()).unwrap();
        assert!(asked.await.unwrap().ends_with("done"));
        tokio::time::timeout(Duration::from_secs(5), served).await.unwrap().unwrap();
        assert!(TcpStream::connect(address).await.is_err());
        drop(idle);
    }
}
