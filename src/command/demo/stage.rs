//! The simulated fleet on loopback ports: a Prometheus and a Kubernetes API that real clients talk to.

use std::convert::Infallible;
use std::net::SocketAddr;

use axum::Router;
use axum::extract::Request;
use axum::response::IntoResponse;
use bellwether_executor::fleet::Fleet;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tower::Service;

use super::folder::Folder;
use crate::failure::{Failure, Kind};

/// Both servers. They end with it.
pub(super) struct Stage {
    prometheus: Server,
    kubernetes: Server,
}

struct Server {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Stage {
    /// Serves the fleet's two interfaces.
    pub(super) async fn open(fleet: &Fleet) -> Result<Self, Failure> {
        Ok(Self { prometheus: serve(fleet.prometheus()).await?, kubernetes: serve(fleet.api().service()).await? })
    }

    /// Address of the Prometheus.
    pub(super) fn prometheus_url(&self) -> String {
        format!("http://{}", self.prometheus.address)
    }

    /// How to reach the Kubernetes API.
    pub(super) fn kubeconfig(&self) -> String {
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: demo\nclusters:\n- name: demo\n  cluster: {{server: 'http://{}'}}\nusers:\n- name: demo\n  user: {{}}\ncontexts:\n- name: demo\n  context: {{cluster: demo, user: demo, namespace: default}}\n",
            self.kubernetes.address
        )
    }

    /// Says what stays up beside the API, and how to ask both. The token is for this demo's API alone.
    pub(super) fn announce(&self, folder: &Folder, api: SocketAddr, token: &str) {
        eprintln!("The fleet and the API stay up until Ctrl-C; the fleet's clock stands still where the demo ended.");
        eprintln!("  Prometheus  {}", self.prometheus_url());
        eprintln!("  Kubernetes  kubectl --kubeconfig {} get inferenceservices -A", folder.path("kubeconfig.yaml").display());
        eprintln!("  API         curl -H 'Authorization: Bearer {token}' http://{api}/signals");
    }
}

async fn serve<S>(service: S) -> Result<Server, Failure>
where
    S: Service<Request, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Response: IntoResponse,
    S::Future: Send + 'static,
{
    let failure = |e: std::io::Error| Failure::new(Kind::Upstream, format!("cannot listen on a loopback port: {e}"));
    let listener = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await.map_err(failure)?;
    let address = listener.local_addr().map_err(failure)?;
    let router = Router::new().fallback_service(service);
    let task = tokio::spawn(async move {
        if let Err(e) = axum::serve(listener, router).await {
            tracing::error!(error = %e, "the simulated fleet stopped answering");
        }
    });
    Ok(Server { address, task })
}
