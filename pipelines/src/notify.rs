//! Telling others of incidents: Alertmanager and webhooks.
//!
//! Nothing here blocks a round: a round hands its incidents to [`Notifier::tell`], which never waits, and a task of its own delivers
//! them. A delivery that fails is tried again by policy ([`retry_after`]). Alertmanager forgets an alert that is not repeated, so open
//! incidents are posted again until they close.

mod delivery;

use std::collections::BTreeMap;
use std::path::PathBuf;

use bellwether_model::incident::{Incident, IncidentState};
use bellwether_model::inventory::Entity;
use bellwether_model::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use url::Url;

pub use delivery::{Courier, Notifier, NotifyError, retry_after};

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
            let annotations = [
                ("summary", incident.title.clone()),
                ("description", incident.summary.clone()),
                ("severity", incident.severity.to_string()),
                ("score", format!("{:.2}", incident.score)),
            ];
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
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !name.starts_with("__")
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

#[cfg(test)]
mod tests;
