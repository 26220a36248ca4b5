//! Explaining an incident: which series changed together with it, which changes precede it, what drifted below it, and where it began.
//!
//! A bounded part of the ledger is read, however long its history: at most [`MOST_SERIES`] series, the incident's own and what it rests
//! on first, over at most five times [`LONGEST`] and two hours.

mod drifted;
mod found;
mod origin;
mod words;

use std::collections::{BTreeMap, BTreeSet};

use bellwether_detectors::cause::correlate::{Together, baseline, correlate};
use bellwether_lineage::dependency::dependencies;
use bellwether_lineage::{Graph, entity_of, is_headline};
use bellwether_model::dataset::{Flow, RunIo};
use bellwether_model::id::SeriesId;
use bellwether_model::incident::Incident;
use bellwether_model::inventory::{Change, Entity, Inventory};
use bellwether_model::series::{Series, SeriesSlice, Window};
use bellwether_model::signal::{Signal, Subject};
use bellwether_model::time::{Span, TimeRange, Timestamp};
use bellwether_model::unit::Unit;
use bellwether_sql::literal::{instant, text};
use bellwether_sql::{Session, SqlError};

pub use found::{Cause, ChangedSeries, Compared, Drifted, Explanation, Neighbour, PrecedingChange, Relation};
pub use words::{drifted_by, lagging, moved, name};

/// Most series that are read.
pub const MOST_SERIES: usize = 400;
/// Most of an incident that is looked at: what caused it is near its beginning.
pub const LONGEST: Span = Span::from_hours(6);
/// An incident that has just opened is looked at for this long, the time before it included.
const SHORTEST: Span = Span::from_mins(10);
/// … or for this many of its series' steps.
const STEPS: i64 = 8;
/// The steps of a series are looked for in this stretch before.
const BEFORE: Span = Span::from_hours(2);
/// How long before an incident a change of the fleet, and one of data, is told.
const FLEET_BEFORE: Span = Span::from_hours(2);
const DATA_BEFORE: Span = Span::from_hours(24);
/// A change of this age counts half; one of data, whose effect waits for the next run, of this.
const FLEET_HALF: Span = Span::from_mins(30);
const DATA_HALF: Span = Span::from_hours(6);
/// How far apart a signal below and the incident may open.
const NEAR: Span = Span::from_hours(6);
/// Most changes that precede, and most signals near. Of changed series all are listed: no more are read than [`MOST_SERIES`].
const MOST: usize = 50;
/// How many changed series are drawn.
const DRAWN: usize = 5;
/// A change from this score on is named in the headline: one of the incident's own entity within the hour.
const TELLING: f64 = 0.25;
/// The kind of a change of data. Pipelines write by the hour, so alone it is no headline: a drifted column is a signal.
const DATASET_VERSION: &str = "dataset_version";

/// What is known of an incident's surroundings.
struct Scene<'a> {
    incident: &'a Incident,
    signals: Vec<Signal>,
    inventory: Inventory,
    /// Signals that opened near it, its own among them.
    near: Vec<Signal>,
    own: BTreeSet<Entity>,
    /// Pairs (what rests, on what); the things that the own ones rest on, and those that rest on them.
    rests: Vec<(Entity, Entity)>,
    below: BTreeSet<Entity>,
    above: BTreeSet<Entity>,
    run_io: Vec<RunIo>,
}

/// Explains an incident from what the session sees.
///
/// # Errors
/// The ledger cannot be read.
pub async fn explain(session: &Session, incident: &Incident) -> Result<Explanation, SqlError> {
    let mut scene = scene(session, incident).await?;
    let end = incident
        .closed_at
        .unwrap_or_else(|| session.horizon())
        .min(incident.opened_at + LONGEST)
        .max(incident.last_at.min(incident.opened_at + LONGEST));
    let asked = scene.headline();
    let (chosen, left_out) = scene.choose(session.series().await?, asked);
    scene.rest_on_labels(&chosen);
    let widest = end.since(incident.opened_at).max(BEFORE);
    let range = TimeRange::new(incident.opened_at - widest.times(4) - BEFORE, incident.opened_at + widest + BEFORE);
    let samples = session.samples_of(&chosen, range).await?;
    let place = asked.and_then(|id| samples.series.iter().position(|s| s.series_id == id));
    let window = window(incident.opened_at, end, place.and_then(|i| samples.iter().nth(i)), newest(&samples));
    let found = correlate(&samples, place, window);

    let mut together: Vec<ChangedSeries> = found.together.iter().map(|t| scene.changed(t, &samples.series[t.index])).collect();
    in_order(&mut together);
    let changes = scene.preceding(session).await?;
    let neighbours = scene.neighbours();
    let (drifted, profiles) = scene.drifted(session, range, window).await?;
    let causes = scene.causes(&together, &neighbours);
    let compared = Compared {
        compared: found.compared,
        changed: found.together.len(),
        thin: found.thin + chosen.len() - samples.len(),
        silent: found.silent.iter().map(|i| samples.series[*i].to_string()).collect(),
        left_out,
    };
    let notes = words::notes(&compared, place.is_some(), asked.is_some(), &together, &changes);
    let near = together.iter().filter(|t| t.relation != Relation::Elsewhere).take(DRAWN);
    let drawn: BTreeSet<SeriesId> = asked.into_iter().chain(near.map(|t| t.identity.series_id)).collect();
    let mut kept = profiles;
    for one in samples.iter().filter(|s| drawn.contains(&s.series.series_id)) {
        kept.push(one.series.clone(), one.ts, one.values);
    }
    Ok(Explanation {
        incident_id: incident.incident_id.clone(),
        title: incident.title.clone(),
        opened_at: incident.opened_at,
        headline: words::headline(&drifted, &changes, &causes, &together, &compared),
        series: place.map(|i| samples.series[i].to_string()),
        unit: place.map_or(Unit::Number, |i| scene.unit(&samples.series[i], f64::INFINITY)),
        window,
        baseline: baseline(window),
        compared,
        drifted,
        causes,
        together,
        changes,
        neighbours,
        notes,
        samples: kept,
    })
}

async fn scene<'a>(session: &Session, incident: &'a Incident) -> Result<Scene<'a>, SqlError> {
    let id = text(incident.incident_id.as_str());
    let signals = session
        .rows(&format!(
            "SELECT s.* FROM signals_current s JOIN incident_signals i ON i.signal_id = s.signal_id WHERE i.incident_id = {id} ORDER BY s.opened_at, s.signal_id"
        ))
        .await?;
    let inventory = Inventory {
        endpoints: session.rows("SELECT * FROM endpoints_current ORDER BY endpoint").await?,
        pools: session.rows("SELECT * FROM pools_current ORDER BY pool").await?,
        nodes: session.rows("SELECT * FROM nodes_current ORDER BY node").await?,
    };
    let run_io: Vec<RunIo> = session.rows("SELECT * FROM run_io_current").await?;
    let graph = Graph::build(&run_io, &inventory.endpoints);
    let near = session
        .rows(&format!(
            "SELECT * FROM signals_current WHERE opened_at BETWEEN {} AND {} ORDER BY opened_at, signal_id",
            instant(incident.opened_at - NEAR),
            instant(incident.opened_at + NEAR)
        ))
        .await?;
    let own: BTreeSet<Entity> = incident.entities.iter().cloned().chain(incident.root.clone()).collect();
    // The endpoints that its data reaches suffer from it: they are followed down to it, and are none of its own.
    let reached = incident.endpoints.iter().cloned().map(Entity::Endpoint);
    let of: BTreeSet<Entity> = own.iter().cloned().chain(reached).collect();
    let rests = dependencies(&graph, &inventory, &of.into_iter().collect::<Vec<_>>(), incident.opened_at);
    let mut scene = Scene { incident, signals, near, inventory, own, rests, below: BTreeSet::new(), above: BTreeSet::new(), run_io };
    scene.relate();
    Ok(scene)
}

/// What is nearest to the incident first; of that what did not move after it, since no cause does; and of that what moved furthest.
fn in_order(together: &mut [ChangedSeries]) {
    let afterwards = |t: &ChangedSeries| t.lag_seconds.is_some_and(|lag| lag > 0.0);
    together.sort_by(|a, b| {
        (a.relation, afterwards(a)).cmp(&(b.relation, afterwards(b))).then_with(|| b.effect.abs().total_cmp(&a.effect.abs()))
    });
}

impl Scene<'_> {
    /// Tells what is below and above the incident's own things from what rests on what.
    fn relate(&mut self) {
        let reached = |next: &BTreeMap<&Entity, Vec<&Entity>>| -> BTreeSet<Entity> {
            let mut seen: BTreeSet<&Entity> = self.own.iter().collect();
            let mut edge: Vec<&Entity> = self.own.iter().collect();
            while let Some(entity) = edge.pop() {
                edge.extend(next.get(entity).into_iter().flatten().copied().filter(|other| seen.insert(other)));
            }
            seen.into_iter().filter(|e| !self.own.contains(e)).cloned().collect()
        };
        let mut down: BTreeMap<&Entity, Vec<&Entity>> = BTreeMap::new();
        let mut up: BTreeMap<&Entity, Vec<&Entity>> = BTreeMap::new();
        for (what, on) in &self.rests {
            down.entry(what).or_default().push(on);
            up.entry(on).or_default().push(what);
        }
        (self.below, self.above) = (reached(&down), reached(&up));
    }

    fn relation(&self, entity: &Entity) -> Relation {
        if self.own.contains(entity) {
            Relation::Own
        } else if self.below.contains(entity) {
            Relation::RestsOn
        } else if self.above.contains(entity) {
            Relation::Affected
        } else {
            Relation::Elsewhere
        }
    }

    /// The series that the incident's title tells of, or else the one that deviates most.
    fn headline(&self) -> Option<SeriesId> {
        let series = |s: &&Signal| matches!(s.subject, Subject::Series { .. });
        let best = self.signals.iter().filter(series).max_by(|a, b| {
            let key = |s: &Signal| is_headline(self.incident, s);
            key(a).cmp(&key(b)).then(a.score.total_cmp(&b.score)).then_with(|| b.signal_id.cmp(&a.signal_id))
        });
        best.and_then(|s| series_id(&s.subject))
    }

    /// The series to be read: the one asked about, then those of the incident's own entities, of what they rest on, and of the rest; and how
    /// many are left out.
    fn choose(&self, all: Vec<Series>, asked: Option<SeriesId>) -> (Vec<Series>, usize) {
        let mut ranked: Vec<(bool, Relation, Series)> = all
            .into_iter()
            .map(|s| (Some(s.series_id) != asked, self.relation(&entity_of(&s.metric, &s.labels, &self.inventory)), s))
            .collect();
        ranked.sort_by_key(|(other, relation, series)| (*other, *relation, series.series_id));
        let left_out = ranked.len().saturating_sub(MOST_SERIES);
        ranked.truncate(MOST_SERIES);
        (ranked.into_iter().map(|(_, _, s)| s).collect(), left_out)
    }

    /// Adds what the labels of series say of what runs where: of things that the inventory does not have, only they know.
    fn rest_on_labels(&mut self, series: &[Series]) {
        for one in series {
            let entity = entity_of(&one.metric, &one.labels, &self.inventory);
            let named = Entity::of_labels(&one.labels);
            let node = named.iter().find(|e| matches!(e, Entity::Node(_)));
            let pool = named.iter().find(|e| matches!(e, Entity::Pool(_)));
            let runs = matches!(entity, Entity::Endpoint(_)).then_some(&entity);
            for (what, on) in [(pool, node), (runs, node), (runs, pool)] {
                if let (Some(what), Some(on)) = (what, on) {
                    self.rests.push((what.clone(), on.clone()));
                }
            }
        }
        // Which of a pool's nodes a pod is on, nobody says: it may be any, also where the pool as a whole looks well.
        let hosts: Vec<(Entity, Entity)> = self.rests.iter().filter(|(what, _)| matches!(what, Entity::Pool(_))).cloned().collect();
        let on_pools = self.rests.clone();
        for (what, pool) in on_pools.iter().filter(|(what, on)| matches!((what, on), (Entity::Endpoint(_), Entity::Pool(_)))) {
            self.rests.extend(hosts.iter().filter(|(of, _)| of == pool).map(|(_, node)| (what.clone(), node.clone())));
        }
        self.rests.sort();
        self.rests.dedup();
        self.relate();
    }

    /// The unit of a series: a signal of it or of its metric knows it; else its name, where that says a share of one.
    fn unit(&self, series: &Series, level: f64) -> Unit {
        let told = |s: &&Signal| matches!(&s.subject, Subject::Series { metric, .. } if *metric == series.metric);
        let own = self.signals.iter().find(|s| series_id(&s.subject) == Some(series.series_id));
        let known = own.or_else(|| self.signals.iter().chain(&self.near).find(told)).map(|s| s.unit);
        known.unwrap_or_else(|| words::unit_of_name(&series.metric, level))
    }

    fn changed(&self, together: &Together, series: &Series) -> ChangedSeries {
        let entity = entity_of(&series.metric, &series.labels, &self.inventory);
        let signal = self.signals.iter().find(|s| series_id(&s.subject) == Some(series.series_id));
        ChangedSeries {
            series: series.to_string(),
            relation: self.relation(&entity),
            entity,
            signalled: signal.is_some(),
            direction: together.shift.direction,
            before: together.shift.before,
            after: together.shift.after,
            unit: self.unit(series, together.shift.before.abs().max(together.shift.after.abs())),
            effect: together.shift.effect,
            volume: together.shift.volume,
            ks: together.shift.ks,
            adjusted_p: together.adjusted_p,
            lag_seconds: together.lag.map(|l| l.micros as f64 / 1e6),
            correlation: together.lag.map(|l| l.correlation),
            identity: series.clone(),
        }
    }

    /// Changes of the fleet and of data before the incident, the likeliest first.
    async fn preceding(&self, session: &Session) -> Result<Vec<PrecedingChange>, SqlError> {
        let opened = self.incident.opened_at;
        let since = instant(opened - FLEET_BEFORE);
        let changes: Vec<Change> = session
            .rows(&format!(
                "SELECT * FROM changes_current WHERE at BETWEEN {since} AND {} ORDER BY at, kind, entity, summary",
                instant(opened)
            ))
            .await?;
        let of_fleet = changes.into_iter().map(|c| {
            let relation = self.relation(&c.entity);
            let lead = opened.since(c.at);
            PrecedingChange {
                at: c.at,
                lead_seconds: lead.secs_f64(),
                kind: c.kind,
                summary: c.summary,
                relation,
                score: weight(relation) * faded(lead, FLEET_HALF),
                entity: c.entity,
            }
        });
        // Of each dataset below, the newest version that was written before.
        let mut versions: BTreeMap<Entity, &RunIo> = BTreeMap::new();
        for io in
            self.run_io.iter().filter(|io| io.flow == Flow::Output && io.event_time <= opened && opened.since(io.event_time) <= DATA_BEFORE)
        {
            let entity = Entity::Dataset(io.dataset());
            if self.own.contains(&entity) || self.below.contains(&entity) {
                let slot = versions.entry(entity).or_insert(io);
                if io.event_time > slot.event_time {
                    *slot = io;
                }
            }
        }
        let of_data = versions.into_iter().map(|(entity, io)| {
            let (relation, lead) = (self.relation(&entity), opened.since(io.event_time));
            let version = io.dataset_version.as_ref().map(|v| format!(" as version {v}")).unwrap_or_default();
            PrecedingChange {
                at: io.event_time,
                lead_seconds: lead.secs_f64(),
                kind: DATASET_VERSION.to_owned(),
                summary: format!("{} was written by {}{version}", io.dataset(), io.job()),
                relation,
                score: weight(relation) * faded(lead, DATA_HALF) / 2.0,
                entity,
            }
        });
        let mut found: Vec<PrecedingChange> = of_fleet.chain(of_data).collect();
        found.sort_by(|a, b| {
            b.score.total_cmp(&a.score).then_with(|| (&a.entity, &a.kind, &a.summary).cmp(&(&b.entity, &b.kind, &b.summary)))
        });
        found.truncate(MOST);
        Ok(found)
    }

    /// Signals of what the incident rests on, and of its own datasets, that opened near it.
    fn neighbours(&self) -> Vec<Neighbour> {
        let opened = self.incident.opened_at;
        let neighbour = |s: &Signal| {
            let entity = self.about(s);
            let data_of_own = matches!(entity, Entity::Dataset(_)) && self.own.contains(&entity);
            (self.below.contains(&entity) || data_of_own).then(|| Neighbour {
                signal_id: s.signal_id.clone(),
                entity,
                score: s.score,
                opened_at: s.opened_at,
                lead_seconds: (opened.micros() - s.opened_at.micros()) as f64 / 1e6,
                hint: s.hint.clone(),
            })
        };
        let mut found: Vec<Neighbour> = self.near.iter().filter_map(neighbour).collect();
        found.sort_by(|a, b| a.lead_seconds.abs().total_cmp(&b.lead_seconds.abs()).then_with(|| a.signal_id.cmp(&b.signal_id)));
        found.truncate(MOST);
        found
    }

    /// What a signal is about.
    fn about(&self, signal: &Signal) -> Entity {
        match &signal.subject {
            Subject::Column { dataset, .. } => Entity::Dataset(dataset.clone()),
            Subject::Series { metric, labels, .. } => entity_of(metric, labels, &self.inventory),
        }
    }
}

fn series_id(subject: &Subject) -> Option<SeriesId> {
    match subject {
        Subject::Series { series_id, .. } => Some(*series_id),
        Subject::Column { .. } => None,
    }
}

fn weight(relation: Relation) -> f64 {
    match relation {
        Relation::Own => 1.0,
        Relation::RestsOn => 0.7,
        Relation::Affected | Relation::Elsewhere => 0.2,
    }
}

/// 1 at once, half after `half`.
fn faded(lead: Span, half: Span) -> f64 {
    0.5_f64.powf(lead.secs_f64() / half.secs_f64())
}

fn newest(samples: &Window) -> Option<Timestamp> {
    samples.ts.iter().max().map(|t| Timestamp::from_micros(*t))
}

/// The stretch that is compared: the incident, as long as there are samples; a short one is made longer, at its beginning where there is
/// nothing after it.
fn window(opened_at: Timestamp, end: Timestamp, asked: Option<SeriesSlice<'_>>, newest: Option<Timestamp>) -> TimeRange {
    let step = asked.map(|s| {
        let mut steps: Vec<i64> = s.ts.windows(2).map(|w| w[1] - w[0]).collect();
        steps.sort_unstable();
        steps.get(steps.len() / 2).copied().unwrap_or_default()
    });
    let least = SHORTEST.max(Span::from_micros(step.unwrap_or_default().saturating_mul(STEPS))).min(LONGEST);
    let known = newest.map_or(end, |t| t + Span::from_micros(1)).max(opened_at);
    let end = end.max(opened_at + least).min(known);
    TimeRange::new(opened_at.min(end - least), end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_has_enough_samples_and_ends_with_what_is_known() {
        let minute = |n: i64| Timestamp::from_secs(n * 60);
        let of = |opened, end, newest: Option<i64>| {
            let found = window(minute(opened), minute(end), None, newest.map(minute));
            (found.start.secs() / 60, found.end.secs() / 60)
        };
        assert_eq!(of(100, 160, Some(500)), (100, 160));
        assert_eq!(of(100, 103, Some(500)), (100, 110), "longer than the incident");
        assert_eq!(of(100, 103, Some(103)), (93, 103), "nothing after it: it begins earlier");
        assert_eq!(of(100, 160, None), (100, 160));
        let series = Series::new("x", Default::default());
        let ts: Vec<i64> = (0..50).map(|i| i * 300_000_000).collect();
        let values = vec![1.0; 50];
        let slow = SeriesSlice { series: &series, ts: &ts, values: &values };
        let found = window(minute(100), minute(105), Some(slow), Some(minute(245)));
        assert_eq!((found.start.secs() / 60, found.end.secs() / 60), (100, 140), "eight steps of five minutes");
    }

    #[test]
    fn a_change_counts_less_the_longer_ago_and_the_further_away() {
        assert!((faded(Span::from_mins(30), FLEET_HALF) - 0.5).abs() < 1e-12);
        // Of the incident's own entity up to an hour before: named in the headline.
        assert!(weight(Relation::Own) * faded(Span::from_mins(59), FLEET_HALF) > TELLING);
        assert!(weight(Relation::Elsewhere) < TELLING);
    }
}
