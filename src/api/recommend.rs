//! `POST /recommend` and `GET /recommendations/{id}/why`

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use axum::Json as JsonAnswer;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use bellwether_embeddings::{Grounds, rank};
use bellwether_lake::Snapshot;
use bellwether_model::id::{IncidentId, PlaybookId, RoundId, SignalId};
use bellwether_model::incident::{Incident, IncidentState};
use bellwether_model::inventory::Entity;
use bellwether_model::playbook::Playbook;
use bellwether_model::recommendation::{Match, Recommendation};
use bellwether_model::series::Labels;
use bellwether_model::signal::{Severity, Signal, Subject};
use bellwether_model::time::Timestamp;
use bellwether_pipelines::stored::Stored;
use bellwether_sql::literal::text;
use bellwether_sql::{Session, SessionOptions};
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use super::Services;
use super::body::Json;
use super::experience::Found;
use super::ledger;
use super::problem::{Problem, ProblemBody};
use super::wire::{MatchRow, RecommendationRow};

/// Candidates of an answer when nothing else is asked for, and at most.
const TOP: (usize, usize) = (3, 20);
/// Longest text of a payload in characters.
const LONGEST: usize = 20_000;

/// Names the recommendation that an answer is taken from.
pub const RECOMMENDATION: HeaderName = HeaderName::from_static("bellwether-recommendation");
/// Says which index found the past runs of an answer that was made just now: `memory` or `qdrant`, and why not Qdrant where it should have.
pub const INDEX: HeaderName = HeaderName::from_static("bellwether-index");
/// Says why an answer is empty.
pub const ABSTAINED: HeaderName = HeaderName::from_static("bellwether-abstained");

/// What to recommend for: exactly one of `signal_id`, `incident_id` and `payload`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RecommendRequest {
    /// A signal; its incident counts, where it belongs to one.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    signal_id: Option<SignalId>,
    /// An incident.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    incident_id: Option<IncidentId>,
    /// An incident that the ledger does not know, in words.
    #[serde(default)]
    payload: Option<Payload>,
    /// Most playbooks of the answer; 3 when absent, at most 20.
    #[serde(default)]
    top: Option<usize>,
}

/// An incident that the ledger does not know: in words alone, or with what is known besides.
#[derive(Debug, ToSchema)]
#[schema(as = Payload)]
pub enum Payload {
    /// In words alone.
    #[schema(value_type = String)]
    Words(String),
    /// In words, with what is known besides.
    Described(Described),
}

/// An incident in words, with what is known besides.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Described {
    /// What is wrong, in words.
    summary: String,
    /// Metrics or columns that deviate; those that playbooks name and the words hold when absent.
    #[serde(default)]
    symptoms: Vec<String>,
    /// What it is about, as labels: `namespace`, `service`, `node`, `pool`.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, String>)]
    labels: Labels,
}

// By hand, because an untagged enum cannot say which field is wrong.
impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Payload;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, or an object with summary, symptoms and labels")
            }
            fn visit_str<E: serde::de::Error>(self, words: &str) -> Result<Payload, E> {
                Ok(Payload::Words(words.to_owned()))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Payload, A::Error> {
                Described::deserialize(MapAccessDeserializer::new(map)).map(Payload::Described)
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// A recommended playbook.
#[derive(Debug, Serialize, ToSchema)]
pub struct Recommended {
    /// The playbook.
    #[schema(value_type = String)]
    playbook_id: PlaybookId,
    /// Estimated probability, 0 to 1, that it will be effective; at least 0.1.
    score: f64,
    /// Why: past incidents, how they ended, what matches.
    justification: String,
}

/// Why a recommendation says what it says.
#[derive(Debug, Serialize, ToSchema)]
pub struct Why {
    /// The recommendation: candidates with evidence, near misses, and playbooks that do not apply.
    #[schema(value_type = RecommendationRow)]
    recommendation: Recommendation,
    /// The past runs that it rests on, most similar first.
    #[schema(value_type = Vec<MatchRow>)]
    matches: Vec<Match>,
}

/// Says which playbooks fit an incident, best first.
///
/// The list is empty when nothing fits; the header `bellwether-abstained` says why. The header `bellwether-recommendation` names a
/// recommendation that `GET /recommendations/{id}/why` explains; without it, the header `bellwether-index` says where past runs were
/// looked for: `memory`, `qdrant`, or `memory` and why not Qdrant.
#[utoipa::path(
    post, path = "/recommend", tag = "judge",
    request_body = RecommendRequest,
    responses((status = 200, body = Vec<Recommended>), (status = "4XX", body = ProblemBody, content_type = "application/problem+json")),
)]
pub async fn recommend(
    State(services): State<Arc<Services>>,
    Json(request): Json<RecommendRequest>,
) -> Result<(HeaderMap, JsonAnswer<Vec<Recommended>>), Problem> {
    let top = request.top.unwrap_or(TOP.0);
    if !(1..=TOP.1).contains(&top) {
        return Err(Problem::bad(format!("top is {top}; it is a number from 1 to {}", TOP.1)).at("/top"));
    }
    let session = async || ledger::session(&services.lake, services.now()).await;
    let found = match (request.signal_id, request.incident_id, request.payload) {
        (Some(id), None, None) => {
            let session = session().await?;
            newest(&services, &session, &of_signal_id(&session, &id).await?).await?
        }
        (None, Some(id), None) => {
            let session = session().await?;
            newest(&services, &session, &ledger::incident(&session, id.as_str()).await?).await?
        }
        (None, None, Some(payload)) => made(&services, &services.lake.snapshot().await?, &described(&services, payload)?).await?,
        _ => return Err(Problem::bad("give exactly one of signal_id, incident_id and payload")),
    };
    let Newest { recommendation, is_stored, index } = found;
    let mut headers = HeaderMap::new();
    if is_stored && let Ok(id) = HeaderValue::from_str(recommendation.recommendation_id.as_str()) {
        headers.insert(RECOMMENDATION, id);
    }
    if let Some(why) = &recommendation.abstained {
        headers.insert(ABSTAINED, plain(why).unwrap_or(HeaderValue::from_static("nothing fits")));
    }
    headers.extend(index.as_deref().and_then(plain).map(|index| (INDEX, index)));
    let candidates = recommendation.candidates.into_iter().take(top);
    Ok((
        headers,
        JsonAnswer(
            candidates.map(|c| Recommended { playbook_id: c.playbook_id, score: c.score, justification: c.justification }).collect(),
        ),
    ))
}

/// Words as a header carries them.
fn plain(words: &str) -> Option<HeaderValue> {
    let plain: String = words.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).collect();
    HeaderValue::from_str(&plain).ok()
}

/// Explains a recommendation of a round: evidence, near misses, and what does not apply.
#[utoipa::path(
    get, path = "/recommendations/{id}/why", tag = "judge",
    params(("id" = String, Path, description = "Its id.")),
    responses((status = 200, body = Why), (status = "4XX", body = ProblemBody, content_type = "application/problem+json")),
)]
pub async fn why(State(services): State<Arc<Services>>, Path(id): Path<String>) -> Result<JsonAnswer<Why>, Problem> {
    let session = ledger::session(&services.lake, services.now()).await?;
    let found: Vec<Recommendation> = session
        .rows(&format!("SELECT * FROM recommendations WHERE recommendation_id = {} ORDER BY recorded_at DESC LIMIT 1", text(&id)))
        .await?;
    let recommendation = found
        .into_iter()
        .next()
        .ok_or_else(|| Problem::missing("recommendation", &id).hint("GET /incidents/{id} names the newest of an incident"))?;
    let (incident, round) = (text(recommendation.incident_id.as_str()), text(recommendation.round_id.as_str()));
    let matches = format!("SELECT * FROM matches WHERE incident_id = {incident} AND round_id = {round} ORDER BY similarity DESC, run_id");
    Ok(JsonAnswer(Why { matches: session.rows(&matches).await?, recommendation }))
}

/// A recommendation, and whether the ledger has it.
#[derive(Debug)]
pub struct Newest {
    /// The recommendation.
    pub recommendation: Recommendation,
    /// Whether a round made it; otherwise it was made just now.
    pub is_stored: bool,
    /// Which index found past runs, where it was made just now.
    pub index: Option<String>,
}

/// The newest recommendation for an incident: a round's, or one made now by the same ranking where no round made one.
pub async fn newest(services: &Services, session: &Session, incident: &Incident) -> Result<Newest, Problem> {
    let sql = format!("SELECT * FROM recommendations_current WHERE incident_id = {}", text(incident.incident_id.as_str()));
    let stored: Vec<Recommendation> = session.rows(&sql).await?;
    if let Some(recommendation) = stored.into_iter().next() {
        return Ok(Newest { recommendation, is_stored: true, index: None });
    }
    made(services, session.snapshot(), incident).await
}

/// A recommendation made now. A session over the ledger is opened only where something is to be asked that is not remembered.
async fn made(services: &Services, snapshot: &Snapshot, incident: &Incident) -> Result<Newest, Problem> {
    let now = services.now();
    let at = rank::Moment { round_id: incident.round_id.clone(), now };
    let Found { matches, learned, index } = services.remembered.neighbours(snapshot, incident, &at).await?;
    let playbooks: Vec<Playbook> = services.governance.playbooks().map(|p| p.playbook.clone()).collect();
    // Of what is only told in words, without labels, it is not known which object it is: preconditions cannot be looked at.
    let told = incident.root.is_none() && incident.signals.is_empty();
    let exclusions = if told {
        Vec::new()
    } else {
        let session = Session::open(snapshot, SessionOptions::at(now)).await?;
        services.governance.exclusions(incident, &Stored::of(session, now).inventory().await?)
    };
    let (experience, calibration) = (learned.past.runs(), &*learned.calibration);
    let grounds = Grounds { matches: &matches, experience, playbooks: &playbooks, exclusions: &exclusions, calibration };
    Ok(Newest { recommendation: rank::rank(incident, &grounds, &at, TOP.1), is_stored: false, index: Some(index) })
}

/// The incident of a signal; one made of the signal alone where it belongs to none.
pub async fn of_signal_id(session: &Session, id: &SignalId) -> Result<Incident, Problem> {
    if let Some(incident) = ledger::incident_of_signal(session, id.as_str()).await? {
        return Ok(incident);
    }
    let signal = ledger::signal(session, id.as_str()).await?;
    let (symptom, labels) = match &signal.subject {
        Subject::Series { metric, labels, .. } => (metric.clone(), labels.clone()),
        Subject::Column { column, .. } => (column.clone(), Labels::new()),
    };
    Ok(alone(&signal, symptom, &labels))
}

fn alone(signal: &Signal, symptom: String, labels: &Labels) -> Incident {
    Incident {
        incident_id: Incident::id_of(&signal.signal_id),
        severity: signal.severity,
        score: signal.score,
        signals: vec![signal.signal_id.clone()],
        symptoms: vec![symptom],
        ..unknown(signal.hint.clone(), labels, signal.round_id.clone(), signal.opened_at)
    }
}

/// An incident that is told of in words.
fn described(services: &Services, payload: Payload) -> Result<Incident, Problem> {
    let Described { summary, mut symptoms, labels } = match payload {
        Payload::Words(summary) => Described { summary, ..Described::default() },
        Payload::Described(described) => described,
    };
    let summary = summary.trim();
    let length = summary.chars().count();
    if !(1..=LONGEST).contains(&length) {
        return Err(Problem::bad(format!("a payload has 1 to {LONGEST} characters of text, and this one has {length}")).at("/payload"));
    }
    let summary = services.redactor.text(summary).into_owned();
    if symptoms.is_empty() {
        let words: BTreeSet<&str> = summary.split(|c: char| !(c.is_alphanumeric() || c == '_')).collect();
        let named = services.governance.playbooks().flat_map(|p| &p.playbook.symptoms).filter(|s| words.contains(s.as_str()));
        symptoms = named.cloned().collect::<BTreeSet<_>>().into_iter().collect();
    }
    let now = services.now();
    let id = IncidentId::of(&["payload", &summary]);
    Ok(Incident { incident_id: id, symptoms, ..unknown(summary, &labels, RoundId::new("none"), now) })
}

fn unknown(summary: String, labels: &Labels, round_id: RoundId, at: Timestamp) -> Incident {
    let entities = Entity::of_labels(labels);
    Incident {
        incident_id: IncidentId::new(""),
        state: IncidentState::Opened,
        opened_at: at,
        last_at: at,
        closed_at: None,
        severity: Severity::Warning,
        score: 1.0,
        title: summary.chars().take(120).collect(),
        summary,
        root: entities.first().cloned(),
        endpoints: entities.iter().filter_map(|e| if let Entity::Endpoint(id) = e { Some(id.clone()) } else { None }).collect(),
        entities,
        signals: Vec::new(),
        symptoms: Vec::new(),
        preceding_changes: Vec::new(),
        round_id,
        recorded_at: at,
    }
}
