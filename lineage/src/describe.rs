//! The words of an incident: for a person to read, and for the embedder to compare with what was seen before.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use bellwether_model::id::SignalId;
use bellwether_model::incident::Incident;
use bellwether_model::inventory::{Change, Entity, Inventory};
use bellwether_model::signal::{Direction, Method, Signal, Subject};
use bellwether_model::time::{Span, Timestamp};

use crate::after::without_change;
use crate::relation::Trace;

/// How long before an incident a change may lie and still be told.
const PRECEDING: Span = Span::from_hours(2);
/// How many signals' hints a summary quotes: each symptom once, the worst first.
const HINTS: usize = 8;

/// What title and summary are made of.
pub(crate) struct Words<'a> {
    /// The signals at hand, in order of opening.
    pub signals: &'a [&'a Signal],
    /// What each is about.
    pub abouts: &'a BTreeMap<&'a SignalId, Entity>,
    /// Where and when each is.
    pub traces: &'a [Trace],
    /// The entity that stands out.
    pub root: Option<&'a Entity>,
    /// The fleet.
    pub inventory: &'a Inventory,
    /// How many signals there are, at hand or not.
    pub count: usize,
    /// The incident's former row, where not all of its signals are at hand.
    pub kept: Option<&'a Incident>,
}

impl Words<'_> {
    /// One line: the root, its worst deviation, and how many more.
    pub(crate) fn title(&self) -> String {
        let headline = self.signals.iter().max_by_key(|s| {
            let of_root = Some(&self.abouts[&s.signal_id]) == self.root;
            (of_root, s.severity, bits(s.score), Reverse(&s.signal_id))
        });
        let Some(signal) = headline.filter(|s| self.kept.is_none_or(|k| s.score > k.score)) else {
            return self.kept.map(|k| k.title.clone()).unwrap_or_default();
        };
        let more = if self.count > 1 { format!(", and {} more", self.count - 1) } else { String::new() };
        format!("{}: {}{more}", name(&self.abouts[&signal.signal_id]), deviation(signal))
    }

    /// What the signals say: symptoms with direction, where, on what hardware, after which kinds of change, then hints.
    pub(crate) fn summary(&self, preceding: &[String]) -> String {
        let mut symptoms: BTreeMap<(&str, &str), &Signal> = BTreeMap::new();
        for signal in self.signals {
            let slot = symptoms.entry((symptom(signal), direction(signal))).or_insert(signal);
            if (signal.severity, bits(signal.score)) > (slot.severity, bits(slot.score)) {
                *slot = signal;
            }
        }
        let mut worst: Vec<(&(&str, &str), &&Signal)> = symptoms.iter().collect();
        worst.sort_by_key(|(key, s)| (Reverse(s.severity), Reverse(bits(s.score)), *key));
        let phrases: Vec<String> = worst.iter().map(|((symptom, direction), _)| format!("{symptom} {direction}")).collect();
        let places = self.places();
        let mut sentences = vec![if places.is_empty() { phrases.join(", ") } else { format!("{} on {places}", phrases.join(", ")) }];
        let kinds: BTreeSet<&str> = preceding.iter().filter_map(|text| text.split_whitespace().next()).collect();
        if !kinds.is_empty() {
            sentences.push(format!("Shortly after a change of {}", kinds.into_iter().collect::<Vec<_>>().join(", ")));
        }
        sentences.extend(
            worst
                .iter()
                .take(HINTS)
                .map(|(_, s)| without_change(s.hint.trim()).trim_end_matches('.').to_owned())
                .filter(|hint| !hint.is_empty()),
        );
        match self.kept {
            None => sentences.join(". ") + ".",
            Some(kept) => {
                let new: Vec<&str> = sentences.iter().map(String::as_str).filter(|s| !kept.summary.contains(s)).collect();
                if new.is_empty() { kept.summary.clone() } else { format!("{} {}.", kept.summary, new.join(". ")) }
            }
        }
    }

    /// The entities by kind, at most three names of each, with GPU models and runtimes.
    fn places(&self) -> String {
        let mut names: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        let mut hardware: BTreeSet<String> = BTreeSet::new();
        for trace in self.traces {
            let (kind, name) = match &trace.about {
                Entity::Endpoint(id) => ("endpoint", id.to_string()),
                Entity::Pool(name) => ("pool", name.to_string()),
                Entity::Node(name) => ("node", name.to_string()),
                Entity::Dataset(id) => ("dataset", id.to_string()),
                Entity::Other(label, value) => (label.as_str(), value.clone()),
            };
            names.entry(kind).or_default().insert(name);
            if let Some(pool) = trace.pool.as_ref().and_then(|p| self.inventory.pool(p)).filter(|p| !p.gpu_model.is_empty()) {
                hardware.insert(format!("gpu {}", pool.gpu_model));
            }
            if let Entity::Endpoint(id) = &trace.about
                && let Some(endpoint) = self.inventory.endpoint(id).filter(|e| !e.runtime.is_empty())
            {
                hardware.insert(format!("runtime {}", endpoint.runtime));
            }
        }
        let listed = names.into_iter().map(|(kind, names)| {
            let (count, shown) = (names.len(), names.into_iter().take(3).collect::<Vec<_>>().join(", "));
            if count > 3 { format!("{kind} {shown} and {} more", count - 3) } else { format!("{kind} {shown}") }
        });
        let places = listed.collect::<Vec<_>>().join(", ");
        if hardware.is_empty() { places } else { format!("{places} ({})", hardware.into_iter().collect::<Vec<_>>().join(", ")) }
    }
}

/// Whether an incident's title tells of this signal: of its metric or column, and of the entity that it is about. More than one signal may
/// answer to that.
pub fn is_headline(incident: &Incident, signal: &Signal) -> bool {
    let Some((place, told)) = incident.title.split_once(": ") else { return false };
    match &signal.subject {
        Subject::Column { column, .. } => told.starts_with(&format!("column {column} drifted")),
        Subject::Series { metric, labels, .. } => {
            // The place is a label's value, alone or after a kind or namespace: `node gpu-3`, `ml/iris`.
            let last = place.rsplit(['/', ' ']).next().unwrap_or(place);
            told.starts_with(&format!("{} ", spoken(metric))) && (last == metric || labels.values().any(|value| value == last))
        }
    }
}

/// The metrics and columns that deviate, sorted, each once; for a column also the rule that watches it, because playbooks
/// seldom know columns by name.
pub(crate) fn symptoms(signals: &[&Signal], priors: &[&Incident]) -> Vec<String> {
    let mut found: BTreeSet<String> = priors.iter().flat_map(|p| &p.symptoms).cloned().collect();
    for signal in signals {
        found.insert(symptom(signal).to_owned());
        if matches!(signal.subject, Subject::Column { .. }) {
            found.insert(signal.rule.to_string());
        }
    }
    found.into_iter().collect()
}

/// Changes of the incident's entities, and of the pools and nodes they run on, in the two hours before it opened: newest
/// first, as `revision iris-00041 → iris-00042, 6m before`. A change of something other than the root names it.
pub(crate) fn preceding(
    changes: &[Change],
    traces: &[Trace],
    root: Option<&Entity>,
    opened_at: Timestamp,
    prior: Option<&Incident>,
) -> Vec<String> {
    let concerned: BTreeSet<Entity> = traces
        .iter()
        .flat_map(|t| [Some(t.about.clone()), t.node.clone().map(Entity::Node), t.pool.clone().map(Entity::Pool)])
        .flatten()
        .collect();
    let mut found: Vec<&Change> =
        changes.iter().filter(|c| c.at <= opened_at && opened_at.since(c.at) <= PRECEDING && concerned.contains(&c.entity)).collect();
    found.sort_by(|a, b| b.at.cmp(&a.at).then_with(|| (&a.entity, &a.kind, &a.summary).cmp(&(&b.entity, &b.kind, &b.summary))));
    found.dedup_by(|a, b| (a.at, &a.entity, &a.kind, &a.summary) == (b.at, &b.entity, &b.kind, &b.summary));
    let told = |c: &&Change| {
        let what = if c.summary.starts_with(c.kind.as_str()) { c.summary.clone() } else { format!("{} {}", c.kind, c.summary) };
        let lag = opened_at.since(c.at);
        if Some(&c.entity) == root { format!("{what}, {lag} before") } else { format!("{what} on {}, {lag} before", c.entity) }
    };
    let words: Vec<String> = found.iter().map(told).collect();
    if words.is_empty() { prior.map(|p| p.preceding_changes.clone()).unwrap_or_default() } else { words }
}

/// An entity as people say it: `ml/iris`, `pool gpu-a`.
fn name(entity: &Entity) -> String {
    match entity {
        Entity::Endpoint(id) => id.to_string(),
        Entity::Pool(name) => format!("pool {name}"),
        Entity::Node(name) => format!("node {name}"),
        Entity::Dataset(id) => id.to_string(),
        Entity::Other(label, value) => format!("{label} {value}"),
    }
}

fn symptom(signal: &Signal) -> &str {
    match &signal.subject {
        Subject::Series { metric, .. } => metric,
        Subject::Column { column, .. } => column,
    }
}

fn direction(signal: &Signal) -> &'static str {
    match signal.direction {
        Direction::Up => "up",
        Direction::Down => "down",
        Direction::Shape => "drift",
    }
}

/// `p95 latency 3.4 × expected`, `queue depth 40, expected 0`, `gpu xid errors 8, above its bound of 2`, `column amount drifted`.
fn deviation(signal: &Signal) -> String {
    let metric = match &signal.subject {
        Subject::Column { column, .. } => return format!("column {column} drifted"),
        Subject::Series { metric, .. } => spoken(metric),
    };
    if signal.method == Method::Bound {
        let (side, bound) = if signal.direction == Direction::Down { ("below", signal.lower) } else { ("above", signal.upper) };
        return format!("{metric} {}, {side} its bound of {}", signal.unit.show(signal.value), signal.unit.show(bound));
    }
    let ratio = signal.value / signal.expected;
    let told = ratio.is_finite() && signal.expected > 0.0 && (1.2..1000.0).contains(&ratio);
    if told {
        format!("{metric} {ratio:.1} × expected")
    } else {
        format!("{metric} {}, expected {}", signal.unit.show(signal.value), signal.unit.show(signal.expected))
    }
}

/// A metric's name as people say it: `latency_p95` is `p95 latency`.
fn spoken(metric: &str) -> String {
    let mut words: Vec<&str> = metric.split(['_', ':', '.']).filter(|w| !w.is_empty()).collect();
    let is_quantile = |w: &&str| w.strip_prefix('p').is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
    if words.last().is_some_and(is_quantile) {
        words.rotate_right(1);
    }
    words.join(" ")
}

/// Scores as keys: they are never negative or NaN, so their bits sort as they do.
fn bits(score: f64) -> u64 {
    if score > 0.0 { score.to_bits() } else { 0 }
}
