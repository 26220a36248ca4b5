//! Which of an incident's entities is most likely at fault.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use bellwether_model::id::SignalId;
use bellwether_model::incident::Incident;
use bellwether_model::inventory::Entity;
use bellwether_model::signal::Signal;

use crate::relation::{Reach, Trace};

/// The entity that stands out, none for no signal.
///
/// A drifted dataset comes before all else, the one furthest upstream first; then a node that signals itself; then a pool that
/// signals together with at least two of its endpoints; then whatever signalled first, and of those the highest score.
/// `kept` is the incident's former row where not all of its signals are at hand: its root stays unless one of a higher kind
/// appears.
pub(crate) fn stands_out(
    signals: &[&Signal],
    abouts: &BTreeMap<&SignalId, Entity>,
    traces: &[Trace],
    reach: &Reach,
    kept: Option<&Incident>,
) -> Option<Entity> {
    let mut found: BTreeMap<&Entity, (i64, u64)> = BTreeMap::new();
    for signal in signals {
        let score = if signal.score > 0.0 { signal.score.to_bits() } else { 0 };
        let slot = found.entry(&abouts[&signal.signal_id]).or_insert((i64::MAX, 0));
        *slot = (slot.0.min(signal.opened_at.micros()), slot.1.max(score));
    }
    let fed = |entity: &Entity| found.keys().any(|other| reach.contains(other, entity) && !reach.contains(entity, other));
    let best = found
        .iter()
        .min_by_key(|(entity, (first, score))| (kind(entity, traces), fed(entity), *first, Reverse(*score), **entity))
        .map(|(e, _)| *e);
    let former = kept.and_then(|k| k.root.as_ref());
    match (best, former) {
        (Some(new), Some(old)) if kind(new, traces) < kind(old, traces) => Some(new.clone()),
        (_, Some(old)) => Some(old.clone()),
        (new, None) => new.cloned(),
    }
}

fn kind(entity: &Entity, traces: &[Trace]) -> u8 {
    match entity {
        Entity::Dataset(_) => 0,
        Entity::Node(_) => 1,
        Entity::Pool(pool) => {
            let mut on_it: Vec<&Entity> = traces
                .iter()
                .filter(|t| t.pool.as_ref() == Some(pool) && matches!(t.about, Entity::Endpoint(_)))
                .map(|t| &t.about)
                .collect();
            on_it.sort_unstable();
            on_it.dedup();
            if on_it.len() >= 2 { 2 } else { 3 }
        }
        Entity::Endpoint(_) | Entity::Other(..) => 3,
    }
}
