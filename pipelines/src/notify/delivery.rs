//! Delivering: what fails is tried again by policy, and open incidents are repeated until they close.

use std::collections::BTreeMap;
use std::path::PathBuf;

use bellwether_model::id::IncidentId;
use bellwether_model::incident::Incident;
use bellwether_model::time::{Span, Timestamp};
use serde::Serialize;
use tokio::sync::mpsc;
use url::Url;

use super::{NotifySettings, Receiver, alerts, webhook_message};
use crate::prometheus::shown;

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
        let (Some(receiver), Some(message)) = (self.settings.webhooks.get(position), webhook_message(&self.settings, incident)) else {
            return Ok(());
        };
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
    /// Starts the delivering task, which reads the time from `clock`; it ends, after a last attempt, when every `Notifier` is dropped. Await the handle to be sure that what
    /// was told is delivered or given up.
    pub fn start(courier: Courier, clock: fn() -> Timestamp) -> (Self, tokio::task::JoinHandle<()>) {
        let (line, told) = mpsc::channel(64);
        (Self { line }, tokio::spawn(deliver(courier, clock, told)))
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

async fn deliver(courier: Courier, clock: fn() -> Timestamp, mut told: mpsc::Receiver<Vec<Incident>>) {
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
            match courier.post_alerts(&batch, clock()).await {
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
