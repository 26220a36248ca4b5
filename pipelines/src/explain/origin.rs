//! Where an incident may come from: what deviates, ranked over what rests on what.

use std::collections::{BTreeMap, BTreeSet};

use bellwether_detectors::cause::blame::{self, Limits, Node};
use bellwether_model::inventory::Entity;

use super::Scene;
use super::found::{Cause, ChangedSeries, Neighbour};
use super::words::moved;

/// Most causes.
const CAUSES: usize = 10;

/// What is known of how a thing deviates.
#[derive(Default)]
struct Evidence {
    deviation: f64,
    words: String,
    /// When it first moved, in seconds after the incident.
    lag_seconds: Option<f64>,
}

impl Scene<'_> {
    /// What deviates, ranked over what rests on what: changed series and signals in robust standard deviations. What moved only after the
    /// incident explains nothing and comes last.
    pub(super) fn causes(&self, together: &[ChangedSeries], neighbours: &[Neighbour]) -> Vec<Cause> {
        let limits = Limits::default();
        let Some(target) = self.target() else { return Vec::new() };
        let evidence = self.evidence(together, neighbours, &limits);
        let mut entities: BTreeSet<&Entity> = evidence.keys().chain(&self.own).chain(&self.below).collect();
        entities.insert(target);
        let entities: Vec<&Entity> = entities.into_iter().collect();
        let place = |e: &Entity| entities.binary_search(&e).ok();
        let Some(at) = place(target) else { return Vec::new() };
        let of = |v: usize| evidence.get(entities[v]);
        let later = |v: usize| v != at && of(v).and_then(|e| e.lag_seconds).is_some_and(|lag| lag > 0.0);
        let nodes: Vec<Node> = (0..entities.len()).map(|v| Node { score: of(v).map_or(0.0, |e| e.deviation), change: None }).collect();
        let rests: Vec<(usize, usize)> = self.rests.iter().filter_map(|(a, b)| Some((place(a)?, place(b)?))).collect();
        let may_explain: Vec<(usize, usize)> = rests.iter().copied().filter(|(_, on)| !later(*on)).collect();
        let anyway: BTreeMap<usize, Vec<usize>> =
            blame::causes(&nodes, &rests, at, &limits).into_iter().map(|c| (c.node, c.path)).collect();
        let mut ranked = blame::causes(&nodes, &may_explain, at, &limits);
        ranked.sort_by_key(|c| later(c.node));
        let told = ranked.into_iter().filter_map(|c| {
            let own = self.own.contains(entities[c.node]);
            let below = if c.path.is_empty() { anyway.get(&c.node).cloned().unwrap_or_default() } else { c.path };
            let path = match below {
                below if below.is_empty() && own => way(&rests, c.node, at),
                below => below,
            };
            (nodes[c.node].score > 0.0 && (own || !path.is_empty())).then(|| Cause {
                entity: entities[c.node].clone(),
                score: c.score,
                deviation: nodes[c.node].score,
                path: path.iter().map(|v| entities[*v].clone()).collect(),
                explained_by: c.explained_by.map(|v| entities[v].clone()),
                lag_seconds: of(c.node).and_then(|e| e.lag_seconds).filter(|_| c.node != at),
                evidence: of(c.node).map(|e| e.words.clone()).unwrap_or_default(),
            })
        });
        told.take(CAUSES).collect()
    }

    fn evidence(&self, together: &[ChangedSeries], neighbours: &[Neighbour], limits: &Limits) -> BTreeMap<Entity, Evidence> {
        let mut found: BTreeMap<Entity, Evidence> = BTreeMap::new();
        let mut heard = |entity: &Entity, deviation: f64, lag: Option<f64>, words: &dyn Fn() -> String| {
            let slot = found.entry(entity.clone()).or_default();
            if deviation > limits.weak {
                slot.lag_seconds = slot.lag_seconds.into_iter().chain(lag).reduce(f64::min);
            }
            if deviation > slot.deviation {
                (slot.deviation, slot.words) = (deviation, words());
            }
        };
        for changed in together {
            heard(&changed.entity, changed.effect.abs(), changed.lag_seconds, &|| {
                format!("{} {}", changed.identity.metric, moved(changed))
            });
        }
        // A signal is beyond its line of decision, and so a cause, whatever its kernel: its score counts in that measure.
        let opened = self.incident.opened_at.micros();
        for signal in &self.signals {
            let lag = (signal.opened_at.micros() - opened) as f64 / 1e6;
            heard(&self.about(signal), signal.score * limits.strong, Some(lag), &|| signal.hint.clone());
        }
        for neighbour in neighbours {
            heard(&neighbour.entity, neighbour.score * limits.strong, Some(-neighbour.lead_seconds), &|| neighbour.hint.clone());
        }
        found
    }

    /// What the incident is about: its root, or else an endpoint of it.
    fn target(&self) -> Option<&Entity> {
        let suffers = |e: &&Entity| matches!(e, Entity::Endpoint(_));
        self.incident.root.as_ref().or_else(|| self.incident.entities.iter().find(suffers)).or_else(|| self.own.first())
    }
}

/// The shortest way from what rests to what it rests on, both included; empty where there is none.
fn way(rests: &[(usize, usize)], from: usize, to: usize) -> Vec<usize> {
    let mut ways = vec![vec![from]];
    let mut seen = BTreeSet::from([from]);
    while !ways.is_empty() {
        if let Some(found) = ways.iter().find(|w| w.last() == Some(&to)) {
            return found.clone();
        }
        let further = |w: &Vec<usize>| -> Vec<Vec<usize>> {
            let ends = rests.iter().filter(|(what, _)| w.last() == Some(what)).map(|(_, on)| *on);
            ends.filter(|on| seen.insert(*on)).map(|on| w.iter().copied().chain([on]).collect()).collect()
        };
        ways = ways.iter().flat_map(further).collect();
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use bellwether_model::incident::{Incident, IncidentState};
    use bellwether_model::inventory::Inventory;
    use bellwether_model::series::Series;
    use bellwether_model::signal::{Direction, Severity};
    use bellwether_model::time::Timestamp;
    use bellwether_model::unit::Unit;

    use super::super::{Relation, in_order};
    use super::*;

    fn entity(text: &str) -> Entity {
        text.parse().unwrap()
    }

    fn incident(root: &str, others: &[&str]) -> Incident {
        Incident {
            incident_id: "inc-1".into(),
            state: IncidentState::Opened,
            opened_at: Timestamp::from_secs(0),
            last_at: Timestamp::from_secs(0),
            closed_at: None,
            severity: Severity::Warning,
            score: 1.0,
            title: String::new(),
            summary: String::new(),
            root: Some(entity(root)),
            entities: others.iter().chain([&root]).map(|e| entity(e)).collect(),
            endpoints: Vec::new(),
            signals: Vec::new(),
            symptoms: Vec::new(),
            preceding_changes: Vec::new(),
            round_id: "rnd-1".into(),
            recorded_at: Timestamp::from_secs(0),
        }
    }

    fn scene<'a>(incident: &'a Incident, rests: &[(&str, &str)]) -> Scene<'a> {
        let mut scene = Scene {
            incident,
            signals: Vec::new(),
            near: Vec::new(),
            inventory: Inventory::default(),
            own: incident.entities.iter().cloned().collect(),
            rests: rests.iter().map(|(a, b)| (entity(a), entity(b))).collect(),
            below: BTreeSet::new(),
            above: BTreeSet::new(),
            run_io: Vec::new(),
        };
        scene.relate();
        scene
    }

    fn moved_by(scene: &Scene<'_>, of: &str, effect: f64, lag: Option<f64>) -> ChangedSeries {
        let identity = Series::new(format!("level{effect}").as_str(), Default::default());
        ChangedSeries {
            series: identity.to_string(),
            entity: entity(of),
            relation: scene.relation(&entity(of)),
            signalled: false,
            direction: Direction::Up,
            before: 1.0,
            after: 2.0,
            unit: Unit::Number,
            effect,
            volume: None,
            ks: 1.0,
            adjusted_p: 0.0,
            lag_seconds: lag,
            correlation: lag.map(|_| 0.9),
            identity,
        }
    }

    /// The causes as `thing: way`, in their order.
    fn told(scene: &Scene<'_>, together: &[ChangedSeries]) -> Vec<String> {
        let way = |c: &Cause| c.path.iter().map(Entity::to_string).collect::<Vec<_>>().join(" › ");
        scene.causes(together, &[]).iter().map(|c| format!("{}: {}", c.entity, way(c))).collect()
    }

    #[test]
    fn the_root_is_the_thing_itself_whatever_rests_on_it() {
        let incident = incident("node:n1", &["endpoint:ml/a"]);
        let scene = scene(&incident, &[("endpoint:ml/a", "pool:p"), ("endpoint:ml/b", "pool:p"), ("pool:p", "node:n1")]);
        let together = [moved_by(&scene, "endpoint:ml/a", 30.0, Some(0.0)), moved_by(&scene, "node:n1", 9.0, Some(0.0))];
        assert_eq!(told(&scene, &together), ["node:n1: node:n1", "endpoint:ml/a: endpoint:ml/a › pool:p › node:n1"]);
        let related = |e: &str| scene.relation(&entity(e));
        assert_eq!(
            [related("endpoint:ml/a"), related("pool:p"), related("endpoint:ml/b"), related("endpoint:ml/c")],
            [Relation::Own, Relation::RestsOn, Relation::Affected, Relation::Elsewhere]
        );
    }

    #[test]
    fn what_moved_afterwards_explains_nothing_and_comes_last() {
        let incident = incident("endpoint:ml/a", &[]);
        let scene = scene(&incident, &[("endpoint:ml/a", "pool:p")]);
        let of = |lag: f64| {
            let together = [moved_by(&scene, "endpoint:ml/a", 30.0, None), moved_by(&scene, "pool:p", 13.0, Some(lag))];
            let causes = scene.causes(&together, &[]);
            (causes[0].entity.to_string(), causes[0].explained_by.is_some(), causes.len())
        };
        assert_eq!(of(-300.0), ("pool:p".to_owned(), false, 2));
        assert_eq!(of(900.0), ("endpoint:ml/a".to_owned(), false, 2));
    }

    #[test]
    fn series_are_ranked_by_nearness_then_time_then_effect() {
        let incident = incident("endpoint:ml/a", &[]);
        let scene = scene(&incident, &[("endpoint:ml/a", "pool:p")]);
        let mut together = [
            moved_by(&scene, "endpoint:ml/x", 90.0, Some(-60.0)),
            moved_by(&scene, "pool:p", 13.0, Some(900.0)),
            moved_by(&scene, "endpoint:ml/a", 50.0, Some(60.0)),
            moved_by(&scene, "endpoint:ml/a", 36.0, Some(0.0)),
            moved_by(&scene, "endpoint:ml/a", -82.0, None),
        ];
        in_order(&mut together);
        assert_eq!(together.map(|t| t.effect), [-82.0, 36.0, 50.0, 13.0, 90.0]);
    }
}
