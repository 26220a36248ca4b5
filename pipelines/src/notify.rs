//! Telling others of incidents: Alertmanager and webhooks.
//!
//! Nothing here blocks a round: a round hands its incidents to [`Notifier::tell`], which never waits, and a task of its own delivers
//! them. A delivery that fails is tried again by policy ([`retry_after`]). Alertmanager forgets an alert that is not repeated, so open
//! incidents are posted again until they close.

use std::collections::BTreeMap;
use std::path::PathBuf;

use bellwether_model::id::IncidentId;
use bellwether_model::incident::{Incident, IncidentState};
use bellwether_model::inventory::Entity;
use bellwether_model::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use url::Url;

use crate::prometheus::shown;

/// Who is told of incidents.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NotifySettings {
    /// An Alertmanager.
    pub alertmanager: Option<Receiver>,
    /// Addresses that get a JSON document when an incident opens and when it closes.
    pub webhooks: Vec<Receiver>,
    /// Labels added to every alert, such as `cluster: eu-1`.
    pub labels: BTreeMap<String, String>,
    /// Where people reach this program's API, for links in messages.
    pub external_url: Option<Url>,
    /// How often an open incident is posted to Alertmanager again. Default 1m; its own default is to resolve after 5m of silence.
    pub repeat: Repeat,
}

/// The span between two posts of one open incident. Default 1m.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Repeat(pub Span);

impl Default for Repeat {
    fn default() -> Self {
        Self(Span::from_mins(1))
    }
}

/// One address that is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receiver {
    /// Address: of Alertmanager the base (`http://alertmanager:9093`), of a webhook the whole.
    pub url: Url,
    /// File that holds a bearer token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bearer_token_file: Option<PathBuf>,
    /// Longest wait for its answer. Default 10s.
    #[serde(default = "default_timeout")]
    pub timeout: Span,
}

fn default_timeout() -> Span {
    Span::from_secs(10)
}

/// An alert as Alertmanager takes it (`POST /api/v2/alerts`, an array of these).
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Alert {
    /// What identifies it: the same labels are the same alert.
    pub labels: BTreeMap<String, String>,
    /// What people read.
    pub annotations: BTreeMap<String, String>,
    /// When the incident opened.
    pub starts_at: Timestamp,
    /// When it is over: the closing time, or, while it is open, a time after which silence means it is over.
    pub ends_at: Timestamp,
    /// Where to read more.
    #[serde(rename = "generatorURL", skip_serializing_if = "Option::is_none")]
    pub generator_url: Option<Url>,
}

/// What a webhook gets.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WebhookMessage<'a> {
    /// Version of this format: `1`.
    pub version: u8,
    /// `incident.opened` or `incident.closed`.
    pub event: &'static str,
    /// The incident, with the field names of the table `incidents`.
    pub incident: &'a Incident,
    /// Where to read more.
    pub url: Option<Url>,
}

/// A delivery that failed.
#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    /// The address did not take it: no connection, or no answer in time.
    #[error("{url} cannot be told of incidents")]
    Unreachable {
        /// The address, without credentials.
        url: String,
        /// What the network said.
        source: reqwest::Error,
    },
    /// It answered with something else than success.
    #[error("{url} answered {status}: {message}")]
    Refused {
        /// The address, without credentials.
        url: String,
        /// HTTP status.
        status: u16,
        /// Its words, at most 500 characters.
        message: String,
    },
    /// The token cannot be read.
    #[error("the token file {} cannot be read", path.display())]
    Token {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl NotifyError {
    /// Whether trying again can help: not when the receiver understood and said no.
    pub fn is_transient(&self) -> bool {
        !matches!(self, Self::Refused { status: 400..=499, .. }) || matches!(self, Self::Refused { status: 408 | 429, .. })
    }
}

/// When a delivery that failed `attempts` times is tried again: after 1 s, 2 s, 4 s … at most 5 minutes; no more after 12 attempts.
pub fn retry_after(attempts: u32) -> Option<Span> {
    (attempts < 12).then(|| Span::from_secs(1i64 << attempts.saturating_sub(1).min(9)).min(Span::from_mins(5)))
}

/// The alerts for these incidents at `now`.
///
/// Labels are what stays the same for the life of an incident; entities that its root names come as the labels that other alerts use
/// (`namespace`, `service`, `pool`, `node`), so that routing and inhibition rules fit.
pub fn alerts(settings: &NotifySettings, incidents: &[Incident], now: Timestamp) -> Vec<Alert> {
    incidents
        .iter()
        .map(|incident| {
            let about: Vec<(&str, String)> = match incident.root.as_ref().or(incident.entities.first()) {
                Some(Entity::Endpoint(id)) => vec![("namespace", id.namespace.clone()), ("service", id.name.clone())],
                Some(Entity::Pool(name)) => vec![("pool", name.to_string())],
                Some(Entity::Node(name)) => vec![("node", name.to_string())],
                Some(Entity::Dataset(id)) => vec![("dataset", id.to_string())],
                Some(Entity::Other(name, value)) if is_label_name(name) => vec![(name, value.clone())],
                Some(Entity::Other(..)) | None => vec![],
            };
            let mut labels = settings.labels.clone();
            labels.extend(about.into_iter().map(|(name, value)| (name.to_owned(), value)));
            labels.insert("alertname".into(), "BellwetherIncident".into());
            labels.insert("incident_id".into(), incident.incident_id.to_string());
            let annotations = [("summary", incident.title.clone()), ("description", incident.summary.clone()), ("severity", incident.severity.to_string()), ("score", format!("{:.2}", incident.score))];
            Alert {
                labels,
                annotations: annotations.map(|(k, v)| (k.to_owned(), v)).into(),
                starts_at: incident.opened_at,
                ends_at: incident.closed_at.unwrap_or(now + settings.repeat.0.times(5)),
                generator_url: link(settings, incident),
            }
        })
        .collect()
}

fn is_label_name(name: &str) -> bool {
    !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit()) && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') && !name.starts_with("__")
}

fn link(settings: &NotifySettings, incident: &Incident) -> Option<Url> {
    let mut url = settings.external_url.clone()?;
    url.path_segments_mut().ok()?.pop_if_empty().extend(["incidents", incident.incident_id.as_str()]);
    Some(url)
}

/// What the webhooks get of an incident's transition: its opening and its closing, not what lies between.
pub fn webhook_message<'a>(settings: &NotifySettings, incident: &'a Incident) -> Option<WebhookMessage<'a>> {
    let event = match incident.state {
        IncidentState::Opened => "incident.opened",
        IncidentState::Closed => "incident.closed",
        IncidentState::Updated => return None,
    };
    Some(WebhookMessage { version: 1, event, incident, url: link(settings, incident) })
}

/// Delivers. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Courier {
    settings: NotifySettings,
    http: reqwest::Client,
}

impl Courier {
    /// A courier for these receivers. Connects to nothing yet. Fails only when no TLS provider can be set up.
    pub fn new(settings: NotifySettings) -> Result<Self, reqwest::Error> {
        Ok(Self { settings, http: reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()? })
    }

    /// Posts alerts for these incidents to Alertmanager, where one is configured. One request, whatever their number.
    pub async fn post_alerts(&self, incidents: &[Incident], now: Timestamp) -> Result<(), NotifyError> {
        let Some(receiver) = self.settings.alertmanager.as_ref().filter(|_| !incidents.is_empty()) else { return Ok(()) };
        let mut url = receiver.url.clone();
        url.set_path(&format!("{}/api/v2/alerts", url.path().trim_end_matches('/')));
        self.post(receiver, url, &alerts(&self.settings, incidents, now), None).await
    }

    /// Posts a transition to the webhook at `position`. The header `Idempotency-Key` is the same when it is posted again.
    pub async fn post_webhook(&self, position: usize, incident: &Incident) -> Result<(), NotifyError> {
        let (Some(receiver), Some(message)) = (self.settings.webhooks.get(position), webhook_message(&self.settings, incident)) else { return Ok(()) };
        self.post(receiver, receiver.url.clone(), &message, Some(format!("{}-{}", incident.incident_id, message.event))).await
    }

    async fn post<T: Serialize>(&self, receiver: &Receiver, url: Url, body: &T, key: Option<String>) -> Result<(), NotifyError> {
        let mut request = self.http.post(url).timeout(receiver.timeout.to_std()).json(body);
        if let Some(path) = &receiver.bearer_token_file {
            let token = tokio::fs::read_to_string(path).await.map_err(|source| NotifyError::Token { path: path.clone(), source })?;
            request = request.bearer_auth(token.trim());
        }
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        let url = || shown(&receiver.url);
        let response = request.send().await.map_err(|e| NotifyError::Unreachable { url: url(), source: e.without_url() })?;
        let status = response.status();
        if status.is_success() {
            return Ok(());
        }
        let message = response.text().await.unwrap_or_default().chars().take(500).collect();
        Err(NotifyError::Refused { url: url(), status: status.as_u16(), message })
    }
}

/// The delivering task's end of the line.
#[derive(Clone, Debug)]
pub struct Notifier {
    line: mpsc::Sender<Vec<Incident>>,
}

impl Notifier {
    /// Starts the delivering task; it ends, after a last attempt, when every `Notifier` is dropped. Await the handle to be sure that what
    /// was told is delivered or given up.
    pub fn start(courier: Courier) -> (Self, tokio::task::JoinHandle<()>) {
        let (line, told) = mpsc::channel(64);
        (Self { line }, tokio::spawn(deliver(courier, told)))
    }

    /// Hands over transitions of incidents. Never waits: false means that the line is full and they were not taken, which leaves
    /// Alertmanager without them until their next transition.
    pub fn tell(&self, transitions: Vec<Incident>) -> bool {
        transitions.is_empty() || self.line.try_send(transitions).is_ok()
    }
}

/// Something to be delivered to one webhook.
struct Errand {
    webhook: usize,
    incident: Incident,
    attempts: u32,
    at: tokio::time::Instant,
}

async fn deliver(courier: Courier, mut told: mpsc::Receiver<Vec<Incident>>) {
    // What Alertmanager is to know: the newest transition of each incident, until a closing was delivered.
    let mut known: BTreeMap<IncidentId, Incident> = BTreeMap::new();
    let mut errands: Vec<Errand> = Vec::new();
    let mut alerts_at: Option<tokio::time::Instant> = None;
    let mut failures = 0u32;
    loop {
        let next = errands.iter().map(|e| e.at).chain(alerts_at).min();
        let open = tokio::select! {
            batch = told.recv() => {
                let now = tokio::time::Instant::now();
                if let Some(batch) = &batch {
                    alerts_at = Some(now);
                    for incident in batch {
                        known.insert(incident.incident_id.clone(), incident.clone());
                        errands.extend((0..courier.settings.webhooks.len()).map(|webhook| Errand { webhook, incident: incident.clone(), attempts: 0, at: now }));
                    }
                }
                batch.is_some()
            }
            () = async { match next { Some(at) => tokio::time::sleep_until(at).await, None => std::future::pending().await } } => true,
        };
        let now = tokio::time::Instant::now();
        if alerts_at.is_some_and(|at| at <= now || !open) {
            let batch: Vec<Incident> = known.values().cloned().collect();
            match courier.post_alerts(&batch, chrono::Utc::now().into()).await {
                Ok(()) => {
                    failures = 0;
                    known.retain(|_, incident| incident.is_open());
                    alerts_at = (!known.is_empty()).then(|| now + courier.settings.repeat.0.to_std());
                }
                Err(error) => {
                    failures += 1;
                    tracing::warn!(%error, source = error_source(&error), failures, "Alertmanager was not told");
                    // Open incidents are posted again anyway, so this never gives up: it only slows down.
                    alerts_at = Some(now + retry_after(failures).unwrap_or(Span::from_mins(5)).to_std());
                }
            }
        }
        let (due, later): (Vec<_>, Vec<_>) = errands.into_iter().partition(|e| e.at <= now || !open);
        errands = later;
        for mut errand in due {
            if let Err(error) = courier.post_webhook(errand.webhook, &errand.incident).await {
                errand.attempts += 1;
                let again = retry_after(errand.attempts).filter(|_| error.is_transient());
                tracing::warn!(%error, source = error_source(&error), attempts = errand.attempts, incident = %errand.incident.incident_id, gives_up = again.is_none(), "a webhook was not told");
                if let Some(span) = again {
                    errand.at = now + span.to_std();
                    errands.push(errand);
                }
            }
        }
        if !open {
            return;
        }
    }
}

fn error_source(error: &NotifyError) -> String {
    std::error::Error::source(error).map(ToString::to_string).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use axum::Router;
    use axum::http::{HeaderMap, StatusCode};
    use axum::routing::post;
    use bellwether_model::id::EndpointId;
    use bellwether_model::signal::Severity;
    use serde_json::Value;

    use super::*;
    use crate::test_server::{nowhere, serve};

    fn incident(state: IncidentState) -> Incident {
        Incident {
            incident_id: "inc-1".into(),
            state,
            opened_at: Timestamp::from_secs(60),
            last_at: Timestamp::from_secs(90),
            closed_at: (state == IncidentState::Closed).then(|| Timestamp::from_secs(120)),
            severity: Severity::Critical,
            score: 3.25,
            title: "ml/iris: p95 latency 3.4 × expected".into(),
            summary: "latency_p95 is 680 ms, 200 ms expected".into(),
            root: Some(Entity::Endpoint(EndpointId::new("ml", "iris"))),
            entities: vec![],
            endpoints: vec![],
            signals: vec![],
            symptoms: vec![],
            preceding_changes: vec![],
            round_id: "rnd-1".into(),
            recorded_at: Timestamp::from_secs(90),
        }
    }

    type Seen = Arc<Mutex<Vec<(HeaderMap, Value)>>>;

    /// A receiver that fails `failing` times before it takes what it gets.
    async fn receiver(path: &'static str, failing: usize) -> (Url, Seen) {
        let seen = Seen::default();
        let store = seen.clone();
        let handler = move |headers: HeaderMap, axum::Json(body): axum::Json<Value>| async move {
            let mut seen = store.lock().unwrap();
            seen.push((headers, body));
            if seen.len() <= failing { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK }
        };
        (serve(Router::new().route(path, post(handler))).await, seen)
    }

    fn to(url: Url) -> Receiver {
        Receiver { url, bearer_token_file: None, timeout: default_timeout() }
    }

    async fn until(seen: &Seen, count: usize) {
        for _ in 0..500 {
            if seen.lock().unwrap().len() >= count {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("{count} messages were expected, {} came", seen.lock().unwrap().len());
    }

    #[test]
    fn an_open_incident_is_an_alert_that_ends_later_and_a_closed_one_has_ended() {
        let settings = NotifySettings { external_url: Some("http://us/base/".parse().unwrap()), labels: [("cluster".to_owned(), "eu".to_owned())].into(), ..Default::default() };
        let now = Timestamp::from_secs(100);
        let [open, closed] = [IncidentState::Updated, IncidentState::Closed].map(|state| alerts(&settings, &[incident(state)], now).remove(0));
        assert_eq!(open.labels, closed.labels);
        assert_eq!((open.labels["service"].as_str(), open.labels["cluster"].as_str()), ("iris", "eu"));
        assert_eq!((open.ends_at, closed.ends_at), (Timestamp::from_secs(400), Timestamp::from_secs(120)));
        let json = serde_json::to_value(&open).unwrap();
        assert_eq!((json["startsAt"].as_str(), json["generatorURL"].as_str()), (Some("1970-01-01T00:01:00Z"), Some("http://us/base/incidents/inc-1")));
    }

    #[tokio::test]
    async fn alerts_are_repeated_until_they_resolve() {
        let (url, seen) = receiver("/am/api/v2/alerts", 0).await;
        let settings = NotifySettings { alertmanager: Some(to(url.join("am").unwrap())), repeat: Repeat("20ms".parse().unwrap()), ..Default::default() };
        let (notifier, task) = Notifier::start(Courier::new(settings).unwrap());
        assert!(notifier.tell(vec![incident(IncidentState::Opened)]));
        until(&seen, 3).await;
        assert!(notifier.tell(vec![incident(IncidentState::Closed)]));
        drop(notifier);
        task.await.unwrap();
        let seen = seen.lock().unwrap();
        assert_eq!(seen.last().unwrap().1[0]["endsAt"], "1970-01-01T00:02:00Z");
        assert!(seen[0].1[0]["endsAt"].as_str().unwrap() > "2020");
    }

    #[tokio::test]
    async fn a_webhook_that_fails_is_told_again_with_the_same_key() {
        let (url, seen) = receiver("/hook", 1).await;
        let settings = NotifySettings { webhooks: vec![to(url.join("hook").unwrap()), to(nowhere().await)], ..Default::default() };
        let (notifier, task) = Notifier::start(Courier::new(settings).unwrap());
        assert!(notifier.tell(vec![incident(IncidentState::Opened), incident(IncidentState::Updated)]));
        until(&seen, 2).await;
        drop(notifier);
        task.await.unwrap();
        let seen = seen.lock().unwrap();
        assert_eq!(seen.len(), 2);
        assert!(seen.iter().all(|(headers, body)| headers["idempotency-key"] == "inc-1-incident.opened" && body["incident"]["title"] == "ml/iris: p95 latency 3.4 × expected"));
    }

    #[test]
    fn retries_slow_down_and_end() {
        let spans: Vec<i64> = (1..=12).map_while(retry_after).map(Span::secs).collect();
        assert_eq!(spans, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        assert!(!NotifyError::Refused { url: String::new(), status: 400, message: String::new() }.is_transient());
        assert!(NotifyError::Refused { url: String::new(), status: 429, message: String::new() }.is_transient());
    }
}
