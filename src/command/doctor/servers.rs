//! Other servers: whether they answer.

use std::time::Duration;

use bellwether_pipelines::notify::Receiver;
use bellwether_pipelines::prometheus::Prometheus;
use bellwether_pipelines::runs::postgres::Table;
use url::Url;

use super::Item;
use crate::config::Config;
use crate::failure::chain;

/// The longest wait for one server.
const PATIENCE: Duration = Duration::from_secs(10);

/// Prometheus, PostgreSQL, and whoever is told of incidents.
pub async fn items(config: &Config) -> Vec<Item> {
    let mut items = vec![prometheus(config).await, postgres(config).await];
    let Some(notify) = &config.notify else {
        items.push(Item::optional("notify", "server", Err("not configured: nobody is told of incidents".into())));
        return items;
    };
    if let Some(receiver) = &notify.alertmanager {
        items.push(Item::needed("notify.alertmanager", "server", "telling Alertmanager", receiver_answers(receiver).await));
    }
    for (i, receiver) in notify.webhooks.iter().enumerate() {
        items.push(Item::needed(format!("notify.webhooks[{i}]"), "server", "telling the webhook", receiver_answers(receiver).await));
    }
    items
}

async fn prometheus(config: &Config) -> Item {
    let Some(settings) = &config.prometheus else {
        return Item::optional("prometheus", "server", Err("not configured: set `prometheus: {url: …}` or PROM_URL".into()));
    };
    let asking = async {
        let client = Prometheus::new(settings.clone()).map_err(|e| chain(&e))?;
        // Its neighbours (Thanos, Mimir, VictoriaMetrics) may not say a version, but all name their metrics.
        let metrics = client.metric_names().await.map_err(|e| chain(&e))?;
        let version = client.build_info().await.map(|b| format!(" {}", b.version)).unwrap_or_default();
        Ok(format!("Prometheus{version} at {} has {} metrics", client.address(), metrics.len()))
    };
    Item::needed("prometheus", "server", "ingest prometheus", patiently(asking).await)
}

async fn postgres(config: &Config) -> Item {
    let Some(settings) = &config.runs.postgres else {
        return Item::optional(
            "runs.postgres",
            "server",
            Err("not configured: recommendations rest on files of runs and on outcomes of our own".into()),
        );
    };
    let asking = async {
        let table = Table::open(settings).await.map_err(|e| chain(&e))?;
        drop(table);
        Ok("PostgreSQL answers".to_owned())
    };
    Item::needed("runs.postgres", "server", "ingest runs", patiently(asking).await)
}

/// Whether somebody listens there: nothing is sent, because a receiver would take it for a message.
async fn receiver_answers(receiver: &Receiver) -> Result<String, String> {
    if let Some(path) = &receiver.bearer_token_file
        && let Err(e) = std::fs::metadata(path)
    {
        return Err(format!("the token file {} cannot be read: {e}", path.display()));
    }
    let (shown, host, port) = place(&receiver.url)?;
    let asking = async {
        tokio::net::TcpStream::connect((host.as_str(), port)).await.map_err(|e| format!("nobody listens at {shown}: {e}"))?;
        Ok(format!("{shown} is reachable"))
    };
    patiently(asking).await
}

/// An address as it may be shown, its host and its port. The path is left out: of a webhook it is often the secret.
fn place(url: &Url) -> Result<(String, String, u16), String> {
    let host = url.host_str().ok_or("the address names no host")?.trim_matches(['[', ']']).to_owned();
    let port = url.port_or_known_default().ok_or("the address names no port")?;
    Ok((format!("{}://{}:{port}", url.scheme(), url.host_str().unwrap_or_default()), host, port))
}

async fn patiently(asking: impl Future<Output = Result<String, String>>) -> Result<String, String> {
    tokio::time::timeout(PATIENCE, asking).await.unwrap_or_else(|_| Err(format!("no answer within {} s", PATIENCE.as_secs())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_of_a_webhook_is_not_shown() {
        let (shown, host, port) = place(&"https://user:pw@chat.example.com/hooks/s3cret?t=1".parse().unwrap()).unwrap();
        assert_eq!((shown.as_str(), host.as_str(), port), ("https://chat.example.com:443", "chat.example.com", 443));
        assert_eq!(place(&"http://[::1]:9093".parse().unwrap()).unwrap().1, "::1");
    }
}
