//! Signals into incidents: what belongs together becomes one thing that a person looks at.

use std::collections::{BTreeMap, BTreeSet};

use bellwether_model::id::{EndpointId, IncidentId, RoundId, SignalId};
use bellwether_model::incident::{Incident, IncidentState};
use bellwether_model::inventory::{Change, Entity, Inventory};
use bellwether_model::signal::{Severity, Signal};
use bellwether_model::time::{Span, Timestamp};

use crate::describe;
use crate::graph::Graph;
use crate::relation::{Reach, Tie, Trace, about};
use crate::root;

/// When and in which round signals are correlated.
#[derive(Clone, Debug)]
pub struct Moment {
    /// The round, named in every row.
    pub round_id: RoundId,
    /// The event time up to which signals were judged; also when the rows are recorded.
    pub now: Timestamp,
    /// How far apart two signals may lie and still belong together.
    pub gap: Span,
}

impl Moment {
    /// The default gap: half an hour.
    pub const GAP: Span = Span::from_mins(30);

    /// This round and time with the default gap.
    pub fn new(round_id: RoundId, now: Timestamp) -> Self {
        Self { round_id, now, gap: Self::GAP }
    }
}

/// The transitions of incidents that this round's signals bring about: at most one row for each incident, in order of
/// opening.
///
/// Two signals belong together when their times, widened by `at.gap`, overlap and they are about the same entity; or when
/// they began within `at.gap` of each other and one is about a node or pool that the other's endpoint runs on (labels say so,
/// or the inventory); or when they began within six hours of each other and data flows from the dataset of one to the dataset
/// or endpoint of the other; unless a new version of that endpoint (revision, canary, model) went live within `at.gap` before, which
/// is then the likelier cause. Sharing a pool alone joins nothing. The strongest of these ties decides: the same entity, then what
/// something runs on, then data; so a node or pool and a dataset are never causes of one incident. A signal that belongs to several incidents merges them: the
/// older takes the signals, the newer closes and its title and summary say where they went.
///
/// An incident closes when all its signals are over. One that began and ended within the round gets one row, closed.
///
/// * `graph` and `inventory` hold what was known at `at.now`: nothing is cut again.
/// * `changes` are those since two hours before the earliest open incident or new signal; more do no harm.
/// * `open` are the incidents that are open. Those closed less than `at.gap` ago may be among them: a related new signal
///   opens such a one again, so that a fault that flickers stays one incident.
/// * `signals` are the transitions of this round, several for one signal if need be.
/// * `open_signals` are the signals that are open. The closed ones of open incidents may be among them and make title and
///   summary more exact; without them, what the incident's row says of them is kept.
///
/// The order of rows in any argument does not matter.
pub fn correlate(
    graph: &Graph,
    inventory: &Inventory,
    changes: &[Change],
    open: &[Incident],
    signals: &[Signal],
    open_signals: &[Signal],
    at: &Moment,
) -> Vec<Incident> {
    let known = newest(open_signals.iter().chain(signals));
    let touched: BTreeSet<&SignalId> = signals.iter().map(|s| &s.signal_id).collect();
    let abouts: BTreeMap<&SignalId, Entity> = known.iter().map(|(id, signal)| (*id, about(signal, inventory))).collect();
    let reach = Reach::of(abouts.values().chain(open.iter().flat_map(|i| &i.entities)), graph);
    let scene = Scene { inventory, changes, known, abouts, reach, at };

    let mut groups: Vec<Group<'_>> = scene.stored_groups(open);
    let members: BTreeSet<&SignalId> = groups.iter().flat_map(|g| &g.members).copied().collect();
    let mut newcomers: Vec<&Signal> = touched.iter().filter(|id| !members.contains(*id)).map(|id| scene.known[*id]).collect();
    newcomers.sort_by_key(|s| (s.opened_at, &s.signal_id));
    for signal in newcomers {
        scene.place(signal, &mut groups);
    }

    let mut rows: Vec<Incident> = groups.iter().filter_map(|group| scene.row(group, &groups, &touched)).collect();
    rows.sort_by(|a, b| (a.opened_at, &a.incident_id).cmp(&(b.opened_at, &b.incident_id)));
    rows
}

/// The newest row of each signal.
fn newest<'a>(rows: impl Iterator<Item = &'a Signal>) -> BTreeMap<&'a SignalId, &'a Signal> {
    let age = |s: &Signal| (!s.is_open(), s.last_at, s.recorded_at, s.score.to_bits());
    let mut found: BTreeMap<&SignalId, &Signal> = BTreeMap::new();
    for row in rows {
        let slot = found.entry(&row.signal_id).or_insert(row);
        if age(row) > age(slot) {
            *slot = row;
        }
    }
    found
}

/// Everything that placing and describing looks at.
struct Scene<'a> {
    inventory: &'a Inventory,
    changes: &'a [Change],
    known: BTreeMap<&'a SignalId, &'a Signal>,
    abouts: BTreeMap<&'a SignalId, Entity>,
    reach: Reach,
    at: &'a Moment,
}

/// An incident in the making.
struct Group<'a> {
    id: IncidentId,
    /// Its newest stored row, where there is one.
    prior: Option<&'a Incident>,
    opened_at: Timestamp,
    members: BTreeSet<&'a SignalId>,
    traces: Vec<Trace>,
    /// End of its longest trace: what begins long after need not be compared with any.
    ended_at: Timestamp,
    grew: bool,
    /// The incident that took its signals.
    merged_into: Option<IncidentId>,
}

impl Group<'_> {
    /// The strongest tie of this trace to any of the group's. A group that has a cause takes no cause of another kind, nor what only such
    /// a cause would explain: a sick node and drifted data are two troubles, also where one endpoint suffers from both.
    fn tie(&self, trace: &Trace, reach: &Reach, gap: Span) -> Option<Tie> {
        let tie = self.traces.iter().filter_map(|t| t.tie(trace, reach, gap)).max()?;
        let other = self.traces.iter().filter_map(Trace::cause).any(|cause| cause != tie);
        (tie == Tie::Same || !other).then_some(tie)
    }

    fn was_closed(&self) -> bool {
        self.prior.is_some_and(|p| !p.is_open())
    }
}

impl<'a> Scene<'a> {
    fn stored_groups(&self, open: &'a [Incident]) -> Vec<Group<'a>> {
        let mut stored: BTreeMap<&IncidentId, &Incident> = BTreeMap::new();
        for row in open {
            let slot = stored.entry(&row.incident_id).or_insert(row);
            if row.recorded_at > slot.recorded_at {
                *slot = row;
            }
        }
        let group = |prior: &'a Incident| {
            let mut traces: Vec<Trace> = prior.signals.iter().filter_map(|id| self.known.get(id)).map(|s| self.trace(s)).collect();
            if traces.len() < prior.signals.len() {
                let ended_at = prior.closed_at.unwrap_or(prior.last_at);
                traces.extend(prior.entities.iter().map(|e| Trace::of_entity(e.clone(), prior.opened_at, ended_at, self.inventory)));
            }
            Group {
                id: prior.incident_id.clone(),
                prior: Some(prior),
                opened_at: prior.opened_at,
                members: prior.signals.iter().collect(),
                ended_at: traces.iter().map(|t| t.ended_at).max().unwrap_or(prior.last_at),
                traces,
                grew: false,
                merged_into: None,
            }
        };
        stored.into_values().map(group).collect()
    }

    fn trace(&self, signal: &Signal) -> Trace {
        Trace::of(signal, self.inventory, self.at.now).after(self.changes, self.at.gap)
    }

    /// Adds the signal to the groups it belongs to, which makes them one; or begins a new group.
    fn place(&self, signal: &'a Signal, groups: &mut Vec<Group<'a>>) {
        let trace = self.trace(signal);
        let near = |g: &Group<'_>| g.merged_into.is_none() && signal.opened_at <= g.ended_at + self.at.gap;
        let tie = |g: &Group<'_>| near(g).then(|| g.tie(&trace, &self.reach, self.at.gap)).flatten();
        // One that is going on is likelier than one that is over; then the strongest tie decides.
        let fit = |i: usize| tie(&groups[i]).map(|tie| (!groups[i].was_closed(), tie));
        let best = (0..groups.len()).filter_map(fit).max();
        let mut fitting: Vec<usize> = (0..groups.len()).filter(|i| best.is_some() && fit(*i) == best).collect();
        // The stored and the older come first: they keep their id.
        fitting.sort_by(|a, b| {
            let key = |i: &usize| (groups[*i].was_closed(), groups[*i].prior.is_none(), groups[*i].opened_at, groups[*i].id.clone());
            key(a).cmp(&key(b))
        });
        let Some((&survivor, others)) = fitting.split_first() else {
            groups.push(Group {
                id: Incident::id_of(&signal.signal_id),
                prior: None,
                opened_at: signal.opened_at,
                members: BTreeSet::from([&signal.signal_id]),
                ended_at: trace.ended_at,
                traces: vec![trace],
                grew: true,
                merged_into: None,
            });
            return;
        };
        for &other in others {
            if groups[other].was_closed() {
                continue;
            }
            groups[other].merged_into = Some(groups[survivor].id.clone());
            let (members, traces, opened_at) =
                (std::mem::take(&mut groups[other].members), std::mem::take(&mut groups[other].traces), groups[other].opened_at);
            groups[survivor].members.extend(members);
            groups[survivor].traces.extend(traces);
            groups[survivor].opened_at = groups[survivor].opened_at.min(opened_at);
            groups[survivor].ended_at = groups[survivor].ended_at.max(groups[other].ended_at);
        }
        let group = &mut groups[survivor];
        group.members.insert(&signal.signal_id);
        group.ended_at = group.ended_at.max(trace.ended_at);
        group.traces.push(trace);
        group.opened_at = group.opened_at.min(signal.opened_at);
        group.grew = true;
    }

    /// The group's row, where this round changed anything.
    fn row(&self, group: &Group<'a>, groups: &[Group<'a>], touched: &BTreeSet<&SignalId>) -> Option<Incident> {
        if let Some(survivor) = &group.merged_into {
            return group.prior.map(|prior| self.merged(prior, survivor));
        }
        let signals = self.known_members(group);
        let over = signals.iter().all(|s| !s.is_open());
        let touched = group.members.iter().any(|id| touched.contains(id));
        let ends = over && group.prior.is_some_and(Incident::is_open);
        if !(group.grew || touched || ends) {
            return None;
        }
        let absorbed: Vec<&Incident> =
            groups.iter().filter(|g| g.merged_into.as_ref() == Some(&group.id)).filter_map(|g| g.prior).collect();
        let priors: Vec<&Incident> = group.prior.into_iter().chain(absorbed).collect();
        let last_at = signals.iter().map(|s| s.last_at).chain(priors.iter().map(|p| p.last_at)).max().unwrap_or(group.opened_at);
        let ended = signals.iter().filter_map(|s| s.closed_at).chain(priors.iter().filter_map(|p| p.closed_at)).max();
        let entities: BTreeSet<Entity> =
            signals.iter().map(|s| &self.abouts[&s.signal_id]).chain(priors.iter().flat_map(|p| &p.entities)).cloned().collect();
        let complete = signals.len() == group.members.len();
        let root = root::stands_out(&signals, &self.abouts, &group.traces, &self.reach, if complete { None } else { group.prior });
        let words = describe::Words {
            signals: &signals,
            abouts: &self.abouts,
            traces: &group.traces,
            root: root.as_ref(),
            inventory: self.inventory,
            count: group.members.len(),
            kept: if complete { None } else { group.prior },
        };
        let preceding_changes = describe::preceding(self.changes, &group.traces, root.as_ref(), group.opened_at, group.prior);
        Some(Incident {
            incident_id: group.id.clone(),
            state: match (over, group.prior) {
                (true, _) => IncidentState::Closed,
                (false, Some(_)) => IncidentState::Updated,
                (false, None) => IncidentState::Opened,
            },
            opened_at: group.opened_at,
            last_at,
            closed_at: over.then(|| ended.unwrap_or(last_at)),
            severity: signals.iter().map(|s| s.severity).chain(priors.iter().map(|p| p.severity)).max().unwrap_or(Severity::Info),
            score: signals.iter().map(|s| s.score).chain(priors.iter().map(|p| p.score)).fold(0.0, f64::max),
            title: words.title(),
            summary: words.summary(&preceding_changes),
            endpoints: self.affected(&entities, &priors),
            entities: entities.into_iter().collect(),
            signals: self.in_order(group),
            symptoms: describe::symptoms(&signals, &priors),
            preceding_changes,
            root,
            round_id: self.at.round_id.clone(),
            recorded_at: self.at.now,
        })
    }

    /// The last row of an incident whose signals another one took.
    fn merged(&self, prior: &Incident, survivor: &IncidentId) -> Incident {
        Incident {
            state: IncidentState::Closed,
            closed_at: Some(self.at.now),
            title: format!("{} (merged into {survivor})", prior.title),
            summary: format!("Merged into {survivor}. {}", prior.summary),
            signals: Vec::new(),
            round_id: self.at.round_id.clone(),
            recorded_at: self.at.now,
            ..prior.clone()
        }
    }

    fn known_members(&self, group: &Group<'a>) -> Vec<&'a Signal> {
        let mut signals: Vec<&Signal> = group.members.iter().filter_map(|id| self.known.get(id).copied()).collect();
        signals.sort_by_key(|s| (s.opened_at, &s.signal_id));
        signals
    }

    fn in_order(&self, group: &Group<'a>) -> Vec<SignalId> {
        let mut ids: Vec<&SignalId> = group.members.iter().copied().collect();
        ids.sort_by_key(|id| (self.known.get(id).map_or(group.opened_at, |s| s.opened_at), *id));
        ids.into_iter().cloned().collect()
    }

    /// The endpoints among the entities, and the live ones that their data reaches.
    fn affected(&self, entities: &BTreeSet<Entity>, priors: &[&Incident]) -> Vec<EndpointId> {
        let mut found: BTreeSet<EndpointId> = priors.iter().flat_map(|p| &p.endpoints).cloned().collect();
        for entity in entities {
            if let Entity::Endpoint(id) = entity {
                found.insert(id.clone());
            }
            found.extend(self.reach.endpoints(entity).filter(|id| self.inventory.endpoint(id).is_some()).cloned());
        }
        found.into_iter().collect()
    }
}

#[cfg(test)]
mod tests;
