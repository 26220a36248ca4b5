//! When two signals are about the same trouble: they are near in time, and they are about the same thing or about things
//! of which one can cause the other's trouble.

use std::collections::{BTreeMap, BTreeSet};

use bellwether_model::id::{EndpointId, NodeName, PoolName};
use bellwether_model::inventory::{Change, Entity, Inventory};
use bellwether_model::series::Labels;
use bellwether_model::signal::{Signal, Subject};
use bellwether_model::time::{Span, Timestamp};

use crate::graph::{Graph, Hop};
use crate::vertex::Vertex;

/// How far apart in time a drift and the deviation of what is made from its data may begin: pipelines run by the hour, and a
/// drift is only seen when the next run profiles the data.
const LINEAGE_LAG: Span = Span::from_hours(6);

/// Kinds of changes after which an endpoint runs something new.
pub(crate) const RENEWS: [&str; 3] = ["revision", "canary", "model_uri"];

/// A stretch of time in which something is wrong with one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trace {
    /// The thing.
    pub about: Entity,
    /// The node it runs on, where its labels say so.
    pub node: Option<NodeName>,
    /// The pool it runs on or belongs to, where labels or inventory say so.
    pub pool: Option<PoolName>,
    /// When it began.
    pub opened_at: Timestamp,
    /// When it ended, or now.
    pub ended_at: Timestamp,
    /// Whether a new version of the thing went live shortly before: then that is the likelier cause than data upstream.
    pub renewed: bool,
}

impl Trace {
    /// The trace of a signal; one that is still open reaches to `now`.
    pub(crate) fn of(signal: &Signal, inventory: &Inventory, now: Timestamp) -> Self {
        let ended_at = if signal.is_open() { now.max(signal.last_at) } else { signal.closed_at.unwrap_or(signal.last_at) };
        let mut trace = Self::of_entity(about(signal, inventory), signal.opened_at, ended_at, inventory);
        if let Subject::Series { labels, .. } = &signal.subject {
            for entity in Entity::of_labels(labels) {
                match entity {
                    Entity::Node(node) => trace.node = Some(node),
                    Entity::Pool(pool) => trace.pool = Some(pool),
                    Entity::Endpoint(_) | Entity::Dataset(_) | Entity::Other(..) => {}
                }
            }
        }
        trace
    }

    /// The trace of trouble with an entity of which no more is known than the inventory says.
    pub(crate) fn of_entity(about: Entity, opened_at: Timestamp, ended_at: Timestamp, inventory: &Inventory) -> Self {
        let (node, pool) = match &about {
            Entity::Endpoint(id) => (None, inventory.endpoint(id).and_then(|e| e.pool.clone())),
            Entity::Node(name) => (Some(name.clone()), inventory.node(name).and_then(|n| n.pool.clone())),
            Entity::Pool(name) => (None, Some(name.clone())),
            Entity::Dataset(_) | Entity::Other(..) => (None, None),
        };
        Self { about, node, pool, opened_at, ended_at, renewed: false }
    }

    /// The same trace, knowing whether one of these changes made the thing new within `gap` before the trouble began.
    pub(crate) fn after(self, changes: &[Change], gap: Span) -> Self {
        let before = |c: &Change| c.at <= self.opened_at && self.opened_at.since(c.at) <= gap;
        let renewed = changes.iter().any(|c| c.entity == self.about && RENEWS.contains(&c.kind.as_str()) && before(c));
        Self { renewed, ..self }
    }

    /// What makes the two one trouble, the strongest there is; none when they are not. Symmetric.
    pub(crate) fn tie(&self, other: &Self, reach: &Reach, gap: Span) -> Option<Tie> {
        if self.opened_at > other.ended_at + gap || other.opened_at > self.ended_at + gap {
            return None;
        }
        if self.about == other.about {
            return Some(Tie::Same);
        }
        let apart = self.opened_at.since(other.opened_at).max(other.opened_at.since(self.opened_at));
        let causes = |cause: &Self, effect: &Self| {
            cause.causes(effect, reach).filter(|tie| apart <= if *tie == Tie::Data { LINEAGE_LAG } else { gap })
        };
        causes(self, other).max(causes(other, self))
    }

    /// How trouble of this one can be the cause of the other's; none when it cannot be.
    ///
    /// That two endpoints share a pool says nothing: the pool or one of its nodes has to signal itself.
    fn causes(&self, effect: &Self, reach: &Reach) -> Option<Tie> {
        let same_pool = self.pool.is_some() && self.pool == effect.pool;
        let hosts = match (&self.about, &effect.about) {
            (Entity::Dataset(_), _) => return (!effect.renewed && reach.contains(&self.about, &effect.about)).then_some(Tie::Data),
            (Entity::Node(node), Entity::Endpoint(_) | Entity::Other(..)) => effect.node.as_ref().map_or(same_pool, |on| on == node),
            (Entity::Node(_), Entity::Pool(_)) => same_pool,
            (Entity::Pool(_), Entity::Endpoint(_) | Entity::Other(..)) => same_pool,
            _ => false,
        };
        hosts.then_some(Tie::Host)
    }

    /// What kind of cause trouble with this thing can be for others.
    pub(crate) fn cause(&self) -> Option<Tie> {
        match self.about {
            Entity::Dataset(_) => Some(Tie::Data),
            Entity::Node(_) | Entity::Pool(_) => Some(Tie::Host),
            Entity::Endpoint(_) | Entity::Other(..) => None,
        }
    }
}

/// What makes two traces one trouble, the weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tie {
    /// Data flows from one to the other.
    Data,
    /// One runs on the other.
    Host,
    /// Both are about the same thing.
    Same,
}

/// What a signal is about: its dataset, or what [`entity_of`] says of its series.
pub(crate) fn about(signal: &Signal, inventory: &Inventory) -> Entity {
    match &signal.subject {
        Subject::Column { dataset, .. } => Entity::Dataset(dataset.clone()),
        Subject::Series { metric, labels, .. } => entity_of(metric, labels, inventory),
    }
}

/// What a series is about: the most specific thing that its labels name, or else its metric. A service without a namespace is the endpoint
/// of that name where the inventory has exactly one.
pub fn entity_of(metric: &str, labels: &Labels, inventory: &Inventory) -> Entity {
    match Entity::of_labels(labels).into_iter().next() {
        Some(Entity::Other(label, name)) if label == "service" => {
            let mut named = inventory.endpoints.iter().map(|e| &e.endpoint).filter(|id| id.name == name);
            match (named.next(), named.next()) {
                (Some(only), None) => Entity::Endpoint(only.clone()),
                _ => Entity::Other(label, name),
            }
        }
        Some(entity) => entity,
        None => Entity::Other("metric".into(), metric.to_owned()),
    }
}

/// What lies downstream of the datasets at hand.
pub(crate) struct Reach {
    downstream: BTreeMap<Entity, BTreeSet<Entity>>,
}

impl Reach {
    /// Walks the graph once for each dataset among `entities`.
    pub(crate) fn of<'a>(entities: impl Iterator<Item = &'a Entity>, graph: &Graph) -> Self {
        let mut downstream = BTreeMap::new();
        for entity in entities.filter(|e| matches!(e, Entity::Dataset(_))) {
            let Some(start) = Vertex::of_entity(entity) else { continue };
            let walk = |_: &Entity| -> BTreeSet<Entity> {
                graph.downstream(&start, usize::MAX, Graph::LATEST).iter().filter_map(landed).collect()
            };
            downstream.entry(entity.clone()).or_insert_with_key(walk);
        }
        Self { downstream }
    }

    /// Whether data flows from one to the other.
    pub(crate) fn contains(&self, from: &Entity, to: &Entity) -> bool {
        self.downstream.get(from).is_some_and(|reached| reached.contains(to))
    }

    /// The endpoints that an entity's data reaches.
    pub(crate) fn endpoints(&self, from: &Entity) -> impl Iterator<Item = &EndpointId> {
        self.downstream.get(from).into_iter().flatten().filter_map(|entity| match entity {
            Entity::Endpoint(id) => Some(id),
            _ => None,
        })
    }
}

fn landed(hop: &Hop) -> Option<Entity> {
    match hop.vertex {
        Vertex::Dataset(_) | Vertex::Endpoint(_) => Some(hop.vertex.entity()),
        Vertex::Job(_) => None,
    }
}
