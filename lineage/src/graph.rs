//! The lineage graph: dataset → job → dataset → endpoint, with the time of the evidence on every edge.

use std::collections::BTreeMap;

use bellwether_model::dataset::{DatasetId, Flow, JobId, RunIo};
use bellwether_model::id::EndpointId;
use bellwether_model::inventory::Endpoint;
use bellwether_model::time::Timestamp;
use serde::Serialize;

use crate::vertex::Vertex;

/// The graph of everything that is known of lineage, walked as of any time.
///
/// Data flows along an edge: a dataset that a run read → the run's job → a dataset that it wrote; a model (the dataset that
/// an endpoint's `model_uri` names) → the endpoint.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    /// Sorted, each once: comparing positions compares vertices.
    vertices: Vec<Vertex>,
    /// Sorted by `(from, to, first)`.
    links: Vec<Link>,
    /// The links out of vertex `v` are `links[out_at[v]..out_at[v + 1]]`.
    out_at: Vec<usize>,
    /// Positions in `links`, sorted by `(to, from, first)`; those into vertex `v` are `into[in_at[v]..in_at[v + 1]]`.
    into: Vec<usize>,
    in_at: Vec<usize>,
}

#[derive(Clone, Copy, Debug)]
struct Link {
    from: u32,
    to: u32,
    first: Timestamp,
    last: Timestamp,
    until: Option<Timestamp>,
}

impl Link {
    fn holds(&self, as_of: Timestamp) -> bool {
        self.first <= as_of && self.until.is_none_or(|until| as_of < until)
    }
}

/// One edge of the graph.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Edge {
    /// Where data comes from.
    pub from: Vertex,
    /// Where it goes.
    pub to: Vertex,
    /// Time of the first evidence: the edge does not exist before it.
    pub first: Timestamp,
    /// Time of the latest evidence.
    pub last: Timestamp,
    /// When the edge ceased to be true: an endpoint was seen with another model. None for edges of jobs, which do not say so.
    pub until: Option<Timestamp>,
}

/// One vertex that a walk reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Hop {
    /// What was reached.
    pub vertex: Vertex,
    /// Edges between the start and this vertex by the shortest way; from dataset to dataset through one job is 2.
    pub depth: usize,
    /// The vertex before it on that way.
    pub via: Vertex,
    /// Time of the first evidence of the last edge of that way.
    pub first: Timestamp,
    /// Time of its latest evidence.
    pub last: Timestamp,
}

#[derive(Clone, Copy, PartialEq)]
enum Way {
    Up,
    Down,
}

/// A vertex that borrows its texts, so that a hundred thousand rows are sorted without copying them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Name<'a> {
    Dataset(&'a str, &'a str),
    Job(&'a str, &'a str),
    Endpoint(&'a str, &'a str),
}

impl Name<'_> {
    fn own(self) -> Vertex {
        match self {
            Self::Dataset(namespace, name) => Vertex::Dataset(DatasetId::new(namespace, name)),
            Self::Job(namespace, name) => Vertex::Job(JobId { namespace: namespace.into(), name: name.into() }),
            Self::Endpoint(namespace, name) => Vertex::Endpoint(EndpointId::new(namespace, name)),
        }
    }
}

/// An edge on its way into the graph.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Draft<'a> {
    from: Name<'a>,
    to: Name<'a>,
    first: Timestamp,
    last: Timestamp,
    until: Option<Timestamp>,
}

impl Graph {
    /// The time that cuts nothing: everything that is known and still true.
    pub const LATEST: Timestamp = Timestamp::from_micros(i64::MAX);

    /// The graph of these rows, which may come in any order and more than once.
    ///
    /// A run is cumulative: whatever any of its events names as input or output counts. `endpoints` may hold one row of each
    /// endpoint or its whole history; with a history, an edge from a model ends when the endpoint is seen with another one.
    pub fn build(io: &[RunIo], endpoints: &[Endpoint]) -> Self {
        let models: Vec<Option<DatasetId>> = endpoints.iter().map(|e| e.model_uri.as_deref().map(DatasetId::from_uri)).collect();
        let mut found: Vec<Draft<'_>> = Vec::with_capacity(io.len() + endpoints.len());
        for row in io {
            let dataset = Name::Dataset(&row.dataset_namespace, &row.dataset_name);
            let job = Name::Job(&row.job_namespace, &row.job_name);
            let (from, to) = match row.flow {
                Flow::Input => (dataset, job),
                Flow::Output => (job, dataset),
            };
            found.push(Draft { from, to, first: row.event_time, last: row.event_time, until: None });
        }
        found.sort_unstable();
        found.dedup_by(|next, edge| {
            edge.last = if (edge.from, edge.to) == (next.from, next.to) { edge.last.max(next.last) } else { return false };
            true
        });
        found.extend(deployments(endpoints, &models));
        found.sort_unstable();

        let mut positions: BTreeMap<Name<'_>, u32> = found.iter().flat_map(|edge| [(edge.from, 0), (edge.to, 0)]).collect();
        for (position, slot) in positions.values_mut().enumerate() {
            *slot = u32::try_from(position).expect("a graph in memory has fewer than 2^32 vertices");
        }
        let vertices: Vec<Vertex> = positions.keys().map(|name| name.own()).collect();
        let link = |d: &Draft<'_>| Link { from: positions[&d.from], to: positions[&d.to], first: d.first, last: d.last, until: d.until };
        let links: Vec<Link> = found.iter().map(link).collect();
        let mut into: Vec<usize> = (0..links.len()).collect();
        into.sort_unstable_by_key(|i| (links[*i].to, links[*i].from, *i));
        let out_at = offsets(vertices.len(), links.iter().map(|l| l.from));
        let in_at = offsets(vertices.len(), links.iter().map(|l| l.to));
        Self { vertices, links, out_at, into, in_at }
    }

    /// Every vertex, sorted.
    pub fn vertices(&self) -> &[Vertex] {
        &self.vertices
    }

    /// The vertices that this text names: whole, as `dataset:s3://raw:orders`, or without its kind, as `s3://raw:orders`,
    /// `etl:features` or `ml/iris`; several where kinds share a name. Exact also where colons make the text ambiguous.
    pub fn find(&self, text: &str) -> Vec<&Vertex> {
        let named = |v: &&Vertex| {
            let whole = v.to_string();
            whole == text || whole.split_once(':').is_some_and(|(_, rest)| rest == text)
        };
        self.vertices.iter().filter(named).collect()
    }

    /// The vertices whose text ends with this one, after a `:` or a `/`: `iris` for `endpoint:ml/iris`.
    pub fn ending(&self, text: &str) -> Vec<&Vertex> {
        let ends = |v: &&Vertex| v.to_string().strip_suffix(text).is_some_and(|before| before.ends_with([':', '/']));
        self.vertices.iter().filter(ends).collect()
    }

    /// Every edge that was true at `as_of`, sorted.
    pub fn edges(&self, as_of: Timestamp) -> Vec<Edge> {
        let edge = |l: &Link| Edge { from: self.vertex(l.from), to: self.vertex(l.to), first: l.first, last: l.last, until: l.until };
        self.links.iter().filter(|l| l.holds(as_of)).map(edge).collect()
    }

    /// Where the data of `start` comes from: at most `depth` edges away, nearest first, then sorted. `start` itself is left
    /// out, also where a cycle returns to it. Empty when nothing is known of `start`.
    pub fn upstream(&self, start: &Vertex, depth: usize, as_of: Timestamp) -> Vec<Hop> {
        self.hops(start, depth, as_of, Way::Up)
    }

    /// Where the data of `start` goes; otherwise as [`Graph::upstream`].
    pub fn downstream(&self, start: &Vertex, depth: usize, as_of: Timestamp) -> Vec<Hop> {
        self.hops(start, depth, as_of, Way::Down)
    }

    /// The live endpoints that a dataset reaches, however far, sorted.
    pub fn impact(&self, dataset: &DatasetId, as_of: Timestamp) -> Vec<EndpointId> {
        let reached = self.walk(&Vertex::Dataset(dataset.clone()), usize::MAX, as_of, Way::Down);
        let mut endpoints: Vec<EndpointId> = reached
            .into_iter()
            .filter_map(|step| match &self.vertices[step.vertex as usize] {
                Vertex::Endpoint(id) => Some(id.clone()),
                Vertex::Dataset(_) | Vertex::Job(_) => None,
            })
            .collect();
        endpoints.sort_unstable();
        endpoints
    }

    /// The shortest way along which data flows from one vertex to the other, both included; none when there is no way. Of
    /// several equally short ones always the same.
    pub fn path(&self, from: &Vertex, to: &Vertex, as_of: Timestamp) -> Option<Vec<Vertex>> {
        let start = self.position(from)?;
        let goal = self.position(to)?;
        if start == goal {
            return Some(vec![from.clone()]);
        }
        Some(self.trace(start, goal, &self.walk(from, usize::MAX, as_of, Way::Down))?.into_iter().map(|v| self.vertex(v)).collect())
    }

    /// For people: one line for each endpoint that `from` reaches, as
    /// `s3://raw:orders -> job etl:features -> s3://features:orders -> endpoint ml/iris`.
    pub fn paths(&self, from: &Vertex, as_of: Timestamp) -> Vec<String> {
        let Some(start) = self.position(from) else { return Vec::new() };
        let steps = self.walk(from, usize::MAX, as_of, Way::Down);
        let mut goals: Vec<u32> =
            steps.iter().map(|s| s.vertex).filter(|v| matches!(self.vertices[*v as usize], Vertex::Endpoint(_))).collect();
        goals.sort_unstable();
        goals
            .into_iter()
            .filter_map(|goal| self.trace(start, goal, &steps))
            .map(|way| in_words(way.iter().map(|v| &self.vertices[*v as usize])))
            .collect()
    }

    fn vertex(&self, position: u32) -> Vertex {
        self.vertices[position as usize].clone()
    }

    fn position(&self, vertex: &Vertex) -> Option<u32> {
        self.vertices.binary_search(vertex).ok().map(|p| p as u32)
    }

    fn hops(&self, start: &Vertex, depth: usize, as_of: Timestamp, way: Way) -> Vec<Hop> {
        let hop = |s: Step| Hop {
            vertex: self.vertex(s.vertex),
            depth: s.depth,
            via: self.vertex(s.via),
            first: self.links[s.link].first,
            last: self.links[s.link].last,
        };
        self.walk(start, depth, as_of, way).into_iter().map(hop).collect()
    }

    /// Breadth first. Every level is sorted before it is left, so the vertex before another is the smallest possible one.
    fn walk(&self, start: &Vertex, depth: usize, as_of: Timestamp, way: Way) -> Vec<Step> {
        let Some(start) = self.position(start) else { return Vec::new() };
        let mut seen = vec![false; self.vertices.len()];
        seen[start as usize] = true;
        let mut steps: Vec<Step> = Vec::new();
        let mut level = vec![start];
        let mut distance = 0;
        while !level.is_empty() && distance < depth {
            distance += 1;
            let begin = steps.len();
            for &via in &level {
                for link in self.touching(via, way) {
                    let next = if way == Way::Down { self.links[link].to } else { self.links[link].from };
                    if self.links[link].holds(as_of) && !std::mem::replace(&mut seen[next as usize], true) {
                        steps.push(Step { vertex: next, depth: distance, via, link });
                    }
                }
            }
            steps[begin..].sort_unstable_by_key(|s| s.vertex);
            level = steps[begin..].iter().map(|s| s.vertex).collect();
        }
        steps
    }

    /// Positions of the links that leave `vertex` in this direction.
    fn touching(&self, vertex: u32, way: Way) -> impl Iterator<Item = usize> + '_ {
        let at = if way == Way::Down { &self.out_at } else { &self.in_at };
        (at[vertex as usize]..at[vertex as usize + 1]).map(move |i| if way == Way::Down { i } else { self.into[i] })
    }

    fn trace(&self, start: u32, goal: u32, steps: &[Step]) -> Option<Vec<u32>> {
        let before: BTreeMap<u32, u32> = steps.iter().map(|s| (s.vertex, s.via)).collect();
        let mut way = vec![goal];
        let mut here = goal;
        while here != start {
            here = *before.get(&here)?;
            way.push(here);
        }
        way.reverse();
        Some(way)
    }
}

#[derive(Clone, Copy)]
struct Step {
    vertex: u32,
    depth: usize,
    via: u32,
    link: usize,
}

/// The edges model → endpoint: one for each stretch of time in which an endpoint was seen with the same model.
fn deployments<'a>(endpoints: &'a [Endpoint], models: &'a [Option<DatasetId>]) -> Vec<Draft<'a>> {
    let mut rows: Vec<(&EndpointId, Timestamp, Option<&DatasetId>)> =
        endpoints.iter().zip(models).map(|(e, model)| (&e.endpoint, e.recorded_at, model.as_ref())).collect();
    rows.sort_unstable();
    let mut edges: Vec<Draft<'a>> = Vec::new();
    let mut open: Option<usize> = None;
    for (i, &(id, at, model)) in rows.iter().enumerate() {
        if i > 0 && rows[i - 1].0 != id {
            open = None;
        }
        let from = model.map(|m| Name::Dataset(&m.namespace, &m.name));
        match (open, from) {
            (Some(edge), Some(from)) if edges[edge].from == from => edges[edge].last = at,
            (previous, from) => {
                if let Some(edge) = previous {
                    edges[edge].until = Some(at);
                }
                open = from.map(|from| {
                    edges.push(Draft { from, to: Name::Endpoint(&id.namespace, &id.name), first: at, last: at, until: None });
                    edges.len() - 1
                });
            }
        }
    }
    edges
}

/// Where each vertex's links begin in a list sorted by vertex, and the end of the list.
fn offsets(vertices: usize, of_link: impl Iterator<Item = u32>) -> Vec<usize> {
    let mut at = vec![0; vertices + 1];
    for vertex in of_link {
        at[vertex as usize + 1] += 1;
    }
    for v in 0..vertices {
        at[v + 1] += at[v];
    }
    at
}

fn in_words<'a>(way: impl Iterator<Item = &'a Vertex>) -> String {
    let texts: Vec<String> = way
        .map(|vertex| match vertex {
            Vertex::Dataset(id) => id.to_string(),
            Vertex::Job(id) => format!("job {id}"),
            Vertex::Endpoint(id) => format!("endpoint {id}"),
        })
        .collect();
    texts.join(" -> ")
}

#[cfg(test)]
mod tests;
