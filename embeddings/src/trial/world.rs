//! The simulated history: incidents as this program words them, and what people did about them, as people write it down.

use std::collections::{BTreeMap, BTreeSet};

use bellwether_model::digest::Digest;
use bellwether_model::id::{EndpointId, IncidentId, PlaybookId, RoundId, RunId};
use bellwether_model::incident::{Incident, IncidentState};
use bellwether_model::inventory::Entity;
use bellwether_model::outcome::Effect;
use bellwether_model::playbook::{Action, Playbook, Safety, TargetKind};
use bellwether_model::signal::Severity;
use bellwether_model::time::{Span, Timestamp};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::causes::{ASIDES, CAUSES, Cause, FAMILIES, GPUS, SERVICES};
use crate::context::Context;
use crate::experience::Experience;

/// When the simulated history begins.
const BEGIN: Timestamp = Timestamp::from_secs(1_700_000_000);
/// How long it is.
const DAYS: i64 = 400;
/// How often a person picks the right playbook.
const RIGHT: f64 = 0.75;
/// How often a playbook that is not the right one helps all the same.
const LUCK: f64 = 0.06;
/// How often an incident is of a kind that no playbook mends.
const STRANGE: f64 = 0.02;

/// One incident of the simulated history.
#[derive(Clone, Debug, PartialEq)]
pub struct Episode {
    /// As the program tells it.
    pub incident: Incident,
    /// The playbook that fits its cause; none where none does. For scoring only.
    pub right: Option<PlaybookId>,
    /// What each playbook would have done. For scoring only.
    pub effects: BTreeMap<PlaybookId, Effect>,
    /// What a person ran then, as it stands in the run history afterwards.
    pub run: Experience,
}

/// A service of the simulated fleet.
struct Service {
    name: &'static str,
    gpu: usize,
    /// Weight of each cause, before and after the day on which the service was rebuilt.
    tempers: [Vec<f64>; 2],
    rebuilt: Timestamp,
}

/// The twelve playbooks of the simulated fleet.
pub fn playbooks() -> Vec<Playbook> {
    let book = |cause: &Cause| Playbook {
        id: PlaybookId::new(cause.playbook),
        name: cause.playbook.replace('-', " "),
        description: cause.description.to_owned(),
        version: "1".to_owned(),
        target: TargetKind::Endpoint,
        symptoms: cause.symptoms.iter().filter(|(_, _, often)| *often >= 0.5).map(|(metric, _, _)| (*metric).to_owned()).collect(),
        tags: Vec::new(),
        safety: Safety::default(),
        preconditions: Vec::new(),
        actions: vec![Action::Advise { text: cause.description.to_owned() }],
        digest: Digest::ZERO,
    };
    CAUSES.iter().map(book).collect()
}

/// A history of `count` incidents over 400 days, in order of time. Equal seeds give equal histories.
///
/// Which cause a service suffers from, of those that look alike, is a matter of the service and its GPU; two of five services are
/// rebuilt once and then suffer from others. Texts are noisy: symptoms are missing or do not belong, people use the words of the whole
/// family, misspell, digress or write nothing. So are labels: outcomes are missing or wrong, a right playbook fails at times, and another
/// one helps at times.
pub fn history(seed: u64, count: usize) -> Vec<Episode> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let services: Vec<Service> = SERVICES.iter().map(|name| service(&mut rng, name)).collect();
    let mut times: Vec<i64> = (0..count).map(|_| rng.random_range(0..DAYS * 86_400)).collect();
    times.sort_unstable();
    times.into_iter().enumerate().map(|(n, secs)| episode(&mut rng, &services, n, BEGIN + Span::from_secs(secs))).collect()
}

fn service(rng: &mut impl Rng, name: &'static str) -> Service {
    let gpu = rng.random_range(0..GPUS.len());
    let temper = |rng: &mut dyn Rng| {
        let mut weights = vec![0.0; CAUSES.len()];
        for family in 0..FAMILIES.len() {
            let of: Vec<usize> = (0..CAUSES.len()).filter(|i| CAUSES[*i].family == family).collect();
            // Most services have one weak spot in each family.
            let weak = weighted(rng, &of.iter().map(|i| CAUSES[*i].on[gpu]).collect::<Vec<_>>());
            for (n, cause) in of.iter().enumerate() {
                weights[*cause] = if n == weak { 1.0 } else { 0.012 * CAUSES[*cause].on[gpu] };
            }
        }
        weights
    };
    let tempers = [temper(rng), temper(rng)];
    let rebuilt = if rng.random_bool(0.4) { rng.random_range(DAYS / 5..DAYS * 9 / 10) } else { DAYS };
    Service { name, gpu, tempers, rebuilt: BEGIN + Span::from_days(rebuilt) }
}

fn episode(rng: &mut ChaCha8Rng, services: &[Service], n: usize, at: Timestamp) -> Episode {
    let service = &services[rng.random_range(0..services.len())];
    let family = weighted(rng, &FAMILIES.map(|f| f.weight));
    let temper = &service.tempers[usize::from(at >= service.rebuilt)];
    let of: Vec<usize> = (0..CAUSES.len()).filter(|i| CAUSES[*i].family == family).collect();
    let cause = &CAUSES[of[weighted(rng, &of.iter().map(|i| temper[*i]).collect::<Vec<_>>())]];
    let right = (!rng.random_bool(STRANGE)).then_some(cause);
    let effects: BTreeMap<PlaybookId, Effect> = CAUSES
        .iter()
        .map(|other| {
            let chance = if right.is_some_and(|c| c.playbook == other.playbook) { cause.mended } else { LUCK };
            (PlaybookId::new(other.playbook), effect(rng, chance))
        })
        .collect();
    let incident = incident(rng, service, cause, n, at);
    let run = run(rng, service, cause, &effects, &incident);
    Episode { incident, right: right.map(|c| PlaybookId::new(c.playbook)), effects, run }
}

fn effect(rng: &mut impl Rng, chance: f64) -> Effect {
    if rng.random_bool(chance) {
        Effect::Effective
    } else if rng.random_bool(0.12) {
        Effect::Harmful
    } else {
        Effect::Ineffective
    }
}

/// The incident as rounds word it, or as somebody tells it over the API.
fn incident(rng: &mut ChaCha8Rng, service: &Service, cause: &Cause, n: usize, at: Timestamp) -> Incident {
    let mut symptoms: Vec<(&str, &str)> = cause.symptoms.iter().filter(|s| rng.random_bool(0.95 * s.2)).map(|s| (s.0, s.1)).collect();
    if symptoms.len() < 2 && rng.random_bool(0.5) || symptoms.is_empty() || rng.random_bool(0.1) {
        // What has little to do with it.
        let other = &CAUSES[rng.random_range(0..CAUSES.len())];
        let (metric, direction, _) = other.symptoms[rng.random_range(0..other.symptoms.len())];
        symptoms.push((metric, direction));
    }
    symptoms.sort_unstable();
    symptoms.dedup_by_key(|s| s.0);
    let gpu = GPUS[service.gpu];
    let mut summary = if rng.random_bool(0.3) {
        told(rng, service, cause)
    } else {
        let phrases: Vec<String> = symptoms.iter().map(|(metric, direction)| format!("{metric} {direction}")).collect();
        let mut text = format!("{} on endpoint {} (gpu {gpu}).", phrases.join(", "), service.name);
        let changes = FAMILIES[cause.family].changes;
        if rng.random_bool(0.3) {
            text = format!("{text} Shortly after a change of {}.", changes[rng.random_range(0..changes.len())]);
        }
        for (metric, _) in &symptoms {
            text = format!("{text} {metric} of {} is {}, {} expected.", service.name, rng.random_range(20..900), rng.random_range(1..400));
        }
        text
    };
    if rng.random_bool(0.45) {
        summary = format!("{summary} {}", log(rng, cause));
    }
    let endpoint = service.name.split_once('/').map(|(namespace, name)| EndpointId::new(namespace, name));
    let entities: Vec<Entity> = endpoint.iter().cloned().map(Entity::Endpoint).collect();
    Incident {
        incident_id: IncidentId::new(format!("inc-{n:05}")),
        state: IncidentState::Opened,
        opened_at: at,
        last_at: at,
        closed_at: None,
        severity: Severity::Warning,
        score: 3.0,
        title: format!("{}: trouble", service.name),
        summary,
        root: entities.first().cloned(),
        entities,
        endpoints: endpoint.into_iter().collect(),
        signals: Vec::new(),
        symptoms: symptoms.iter().map(|s| s.0.to_owned()).collect::<BTreeSet<_>>().into_iter().collect(),
        preceding_changes: Vec::new(),
        round_id: RoundId::new("trial"),
        recorded_at: at,
    }
}

/// What a person ran, and what the record says of it.
fn run(rng: &mut ChaCha8Rng, service: &Service, cause: &Cause, effects: &BTreeMap<PlaybookId, Effect>, incident: &Incident) -> Experience {
    let picked = if rng.random_bool(RIGHT) {
        cause
    } else {
        // Mostly one of those that look alike.
        let near: Vec<&Cause> = CAUSES.iter().filter(|c| c.family == cause.family && c.playbook != cause.playbook).collect();
        if rng.random_bool(0.7) { near[rng.random_range(0..near.len())] } else { &CAUSES[rng.random_range(0..CAUSES.len())] }
    };
    let playbook_id = PlaybookId::new(picked.playbook);
    let outcome = match rng.random_range(0.0..1.0) {
        x if x < 0.04 => "",
        x if x < 0.08 => Effect::NoData.name(),
        x if x < 0.11 => [Effect::Effective, Effect::Ineffective, Effect::Harmful][rng.random_range(0..3)].name(),
        _ => effects.get(&playbook_id).map_or("", |effect| effect.name()),
    };
    // What an alert started names its metrics; what a person started, that person's.
    let mut summary = if rng.random_bool(0.45) { format!("{} up", incident.symptoms.join(", ")) } else { told(rng, service, cause) };
    if rng.random_bool(0.25) {
        summary = format!("{summary} {}", log(rng, cause));
    }
    let target = rng.random_bool(0.9).then(|| service.name.to_owned());
    let gpu = rng.random_bool(0.7).then(|| GPUS[service.gpu].to_owned());
    Experience {
        run_id: RunId::new(incident.incident_id.as_str().replace("inc-", "run-")),
        playbook_id,
        outcome: outcome.to_owned(),
        ran_at: incident.opened_at + Span::from_secs(rng.random_range(40..2_700)),
        context: Context::of(target.as_slice(), gpu.as_slice(), &summary),
        summary,
    }
}

/// As a tired person writes it: mostly in words that fit the whole family.
fn told(rng: &mut ChaCha8Rng, service: &Service, cause: &Cause) -> String {
    if rng.random_bool(0.03) {
        return String::new();
    }
    let family = &FAMILIES[cause.family];
    let target = if rng.random_bool(0.5) { service.name } else { "the endpoint" };
    let mut parts = vec![one(rng, family.what).replace('@', target)];
    if rng.random_bool(0.4) {
        parts.push(one(rng, cause.told).to_owned());
    }
    for _ in 0..rng.random_range(0..=2) {
        parts.push(one(rng, family.seen).replace('#', &rng.random_range(2..90).to_string()));
    }
    if rng.random_bool(0.25) {
        parts.push(one(rng, &ASIDES).to_owned());
    }
    let text = parts.join(one(rng, &[". ", "; ", ", ", " - "]));
    if rng.random_bool(0.2) { misspelt(rng, &text) } else { text }
}

/// A line of a log: now and then one that has nothing to do with it.
fn log(rng: &mut ChaCha8Rng, cause: &Cause) -> &'static str {
    let of = if rng.random_bool(0.85) { cause } else { &CAUSES[rng.random_range(0..CAUSES.len())] };
    one(rng, of.logs)
}

fn one<'a>(rng: &mut ChaCha8Rng, from: &[&'a str]) -> &'a str {
    from[rng.random_range(0..from.len())]
}

/// Swaps two neighbouring letters at three places.
fn misspelt(rng: &mut ChaCha8Rng, text: &str) -> String {
    let mut letters: Vec<char> = text.chars().collect();
    for _ in 0..3 {
        let i = rng.random_range(1..letters.len().max(2));
        if letters.get(i).is_some_and(char::is_ascii_lowercase) && letters[i - 1].is_ascii_lowercase() {
            letters.swap(i - 1, i);
        }
    }
    letters.into_iter().collect()
}

/// The place of one weight, drawn in proportion to it.
fn weighted<R: Rng + ?Sized>(rng: &mut R, weights: &[f64]) -> usize {
    let mut left = rng.random_range(0.0..weights.iter().sum::<f64>());
    for (i, weight) in weights.iter().enumerate() {
        if left < *weight {
            return i;
        }
        left -= weight;
    }
    weights.len().saturating_sub(1)
}
