//! How often a ranking names the known cause of an issue first, or among the first three, beside two others in the same run.
//!
//! * **blame** is ours: [`super::blame`] on [`departure`]s while the target suffers. Its limits are chosen on the issues of the other scenarios (of one scenario alone: on
//!   the other issues), never on the issue that is scored.
//! * **traversal** is the baseline of the set's own paper (Hardt et al. 2024) as its notebook sets it: absolute distance from the median in
//!   MADs above 5, at the first anomalous time from the third on, deviating nodes without a deviating callee, by their best path sum.
//! * **plain** ranks all nodes by their largest absolute robust z after the issue began, without the graph.
//!
//! A tie counts for the others and against ours.

use std::collections::{BTreeMap, BTreeSet};

use bellwether_model::time::{Span, Timestamp};
use serde::Serialize;

use super::blame::{Limits, Node, causes};
use super::issue::{Issue, Seen};
use super::shift::{Past, Usual, departure, sorted};
use crate::drift::interval::{Interval, deviate, share};
use crate::kernel::robust::NORMAL;

/// A node with fewer usual values is not judged.
const LEAST: usize = 10;
/// A sample speaks of the five minutes from its time on, so the one before the complaint may hold it already.
const STEP: Span = Span::from_secs(300);
/// The target suffers while it is at least this share as far off as at its worst.
const SUFFERS: f64 = 0.5;
/// The threshold of the notebook.
const TRAVERSAL: f64 = 5.0;

/// How often a method named the cause.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Standing {
    /// Issues whose cause it named first, as a share with the interval of Wilson at 95 %.
    pub top1: Interval,
    /// Issues whose cause was among its first three.
    pub top3: Interval,
}

/// One issue, as each method ranked it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Ranked {
    /// Its name.
    pub issue: String,
    /// The metric that was complained about.
    pub metric: String,
    /// The node at fault.
    pub cause: String,
    /// The nodes that blame named first, at most three.
    pub named: Vec<String>,
    /// Where blame, traversal and plain ranking put the cause, from 1; `None` where it is not in the list.
    pub blame: Option<usize>,
    /// See `blame`.
    pub traversal: Option<usize>,
    /// See `blame`.
    pub plain: Option<usize>,
    /// From which score on a node was on the way to a cause, chosen on other issues.
    pub weak: f64,
    /// From which score on it was one.
    pub strong: f64,
    /// Up to which its score counted.
    pub cap: f64,
}

/// What the trial found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Trial {
    /// How many issues were ranked.
    pub issues: usize,
    /// Ours.
    pub blame: Standing,
    /// The set's own baseline.
    pub traversal: Standing,
    /// Without the graph.
    pub plain: Standing,
    /// Issue by issue, by name.
    pub ranked: Vec<Ranked>,
}

/// Ranks the causes of all issues; `None` without an issue. Cost: some milliseconds an issue.
pub fn trial(issues: &[Issue]) -> Option<Trial> {
    let departures: Vec<Vec<Node>> = issues.iter().map(nodes).collect();
    let grid = grid();
    // Of each issue: where each choice of limits puts its cause.
    let positions: Vec<Vec<Option<usize>>> =
        issues.iter().zip(&departures).map(|(issue, nodes)| grid.iter().map(|limits| blamed(issue, nodes, limits).0).collect()).collect();
    let several = issues.iter().map(|i| &i.scenario).collect::<BTreeSet<_>>().len() > 1;
    let mut chosen: BTreeMap<String, usize> = BTreeMap::new();
    let ranked: Vec<Ranked> = issues
        .iter()
        .enumerate()
        .map(|(i, issue)| {
            let fold = if several { issue.scenario.clone() } else { issue.name.clone() };
            let others = |j: &usize| if several { issues[*j].scenario != issue.scenario } else { *j != i };
            let choice =
                *chosen.entry(fold).or_insert_with(|| best(grid.len(), &positions, &(0..issues.len()).filter(others).collect::<Vec<_>>()));
            let limits = grid[choice];
            Ranked {
                issue: issue.name.clone(),
                metric: issue.metric.clone(),
                cause: issue.nodes[issue.cause].clone(),
                named: blamed(issue, &departures[i], &limits).1,
                blame: positions[i][choice],
                traversal: traversal(issue),
                plain: plain(issue),
                weak: limits.weak,
                strong: limits.strong,
                cap: limits.cap,
            }
        })
        .collect();
    Some(Trial {
        issues: issues.len(),
        blame: standing(ranked.iter().map(|r| r.blame))?,
        traversal: standing(ranked.iter().map(|r| r.traversal))?,
        plain: standing(ranked.iter().map(|r| r.plain))?,
        ranked,
    })
}

/// The limits that are tried, the default first: of equals the first is taken.
fn grid() -> Vec<Limits> {
    let mut grid = vec![Limits::default()];
    for weak in [2.0, 3.0, 5.0] {
        for strong in [5.0, 6.0, 8.0, 10.0] {
            grid.extend([10.0, 20.0, 50.0].map(|cap| Limits { weak, strong, cap, ..Limits::default() }));
        }
    }
    grid
}

/// The place in the grid with the highest mean reciprocal rank over these issues; the first where there is none.
fn best(choices: usize, positions: &[Vec<Option<usize>>], issues: &[usize]) -> usize {
    let quality = |choice: usize| issues.iter().filter_map(|i| positions[*i][choice]).map(|at| 1.0 / at as f64).sum::<f64>();
    (0..choices).fold(0, |best, choice| if quality(choice) > quality(best) + 1e-9 { choice } else { best })
}

/// The nodes of an issue as they departed from what is usual while the target suffered.
fn nodes(issue: &Issue) -> Vec<Node> {
    let times = suffering(issue);
    let of = |seen: &Seen| {
        let during: Vec<f64> = seen.values.iter().filter(|(at, _)| times.contains(at)).map(|(_, v)| *v).collect();
        let (score, change) = departed(seen, issue.at, &during);
        Node { score, change: Some(change) }
    };
    issue.seen.iter().map(of).collect()
}

/// The times at which the target is at least half as far off as at its worst; all times since the complaint where it is not off at all.
fn suffering(issue: &Issue) -> Vec<Timestamp> {
    let target = &issue.seen[issue.target];
    let times = || issue.times.iter().copied().filter(|at| *at > issue.at - STEP);
    let off = |at: Timestamp| {
        let value: Vec<f64> = target.values.iter().filter(|(t, _)| *t == at).map(|(_, v)| *v).collect();
        departed(target, issue.at, &value).0
    };
    let worst = times().map(off).fold(0.0, f64::max);
    times().filter(|at| off(*at) >= worst * SUFFERS).collect()
}

/// How far some values of a node are from what is usual for it and from what they were just before the complaint.
fn departed(seen: &Seen, complaint: Timestamp, values: &[f64]) -> (f64, f64) {
    let usual = Some(&seen.normal).filter(|n| n.len() >= LEAST).and_then(|n| Usual::of_sorted(&sorted(n), Past::Calm));
    let Some(usual) = usual else { return (0.0, 0.0) };
    let before: Vec<f64> = seen.values.iter().filter(|(at, _)| *at <= complaint - STEP).map(|(_, v)| *v).collect();
    departure(&usual, &before, values)
}

/// Where the cause is, and the first three names.
fn blamed(issue: &Issue, nodes: &[Node], limits: &Limits) -> (Option<usize>, Vec<String>) {
    let found = causes(nodes, &issue.calls, issue.target, limits);
    let at = found.iter().position(|c| c.node == issue.cause).map(|i| i + 1);
    (at, found.iter().take(3).map(|c| issue.nodes[c.node].clone()).collect())
}

/// The baseline of the set's paper.
fn traversal(issue: &Issue) -> Option<usize> {
    let scores_at = |at: Timestamp| -> Vec<Option<f64>> { issue.seen.iter().map(|seen| anomalous(seen, at)).collect() };
    let rows: Vec<Vec<Option<f64>>> = issue.times.iter().skip(2).map(|at| scores_at(*at)).collect();
    let scores = rows.iter().find(|row| row[issue.target].is_some())?;
    let mut callees = vec![Vec::new(); issue.nodes.len()];
    for (caller, callee) in issue.calls.iter().filter(|(a, b)| scores[*a].is_some() && scores[*b].is_some()) {
        callees[*caller].push(*callee);
    }
    let mut sums = BTreeMap::new();
    paths(issue.target, 0.0, scores, &callees, &mut Vec::new(), &mut sums);
    position(&sums, issue.cause)
}

/// The distance from the median in MADs, where it is above the notebook's threshold; for what never varied: any distance.
fn anomalous(seen: &Seen, at: Timestamp) -> Option<f64> {
    let value = seen.values.iter().find(|(t, _)| *t == at)?.1;
    let normal = Some(sorted(&seen.normal)).filter(|n| n.len() >= LEAST)?;
    let middle = |list: &[f64]| f64::midpoint(list[(list.len() - 1) / 2], list[list.len() / 2]);
    let median = middle(&normal);
    let distance = (value - median).abs();
    if normal[0] == normal[normal.len() - 1] {
        return Some(distance).filter(|d| *d > 0.0);
    }
    let mad = NORMAL * middle(&sorted(&normal.iter().map(|x| (x - median).abs()).collect::<Vec<_>>()));
    let score = if distance == 0.0 { 0.0 } else { distance / mad };
    Some(score).filter(|s| *s > TRAVERSAL)
}

/// The largest sum of scores along a simple path to each node that has no callee.
fn paths(at: usize, sum: f64, scores: &[Option<f64>], callees: &[Vec<usize>], way: &mut Vec<usize>, sums: &mut BTreeMap<usize, f64>) {
    let sum = sum + scores[at].unwrap_or_default();
    if callees[at].is_empty() {
        let best = sums.entry(at).or_insert(sum);
        *best = best.max(sum);
        return;
    }
    way.push(at);
    for next in &callees[at] {
        if !way.contains(next) {
            paths(*next, sum, scores, callees, way, sums);
        }
    }
    way.pop();
}

/// All nodes by absolute robust z.
fn plain(issue: &Issue) -> Option<usize> {
    let mut scores = BTreeMap::new();
    for (node, seen) in issue.seen.iter().enumerate().filter(|(_, s)| s.normal.len() >= LEAST) {
        let Some(usual) = Usual::of_sorted(&sorted(&seen.normal), Past::Calm) else { continue };
        let after = seen.values.iter().filter(|(at, _)| *at > issue.at - STEP);
        if let Some(score) = after.map(|(_, v)| usual.z(*v).abs()).max_by(f64::total_cmp) {
            scores.insert(node, score);
        }
    }
    position(&scores, issue.cause)
}

/// Where a node is in the order of scores, before all that have the same.
fn position(scores: &BTreeMap<usize, f64>, node: usize) -> Option<usize> {
    let own = scores.get(&node)?;
    Some(1 + scores.values().filter(|s| *s > own).count())
}

fn standing(positions: impl Iterator<Item = Option<usize>> + Clone) -> Option<Standing> {
    let total = positions.clone().count() as u64;
    let within = |k: usize| positions.clone().flatten().filter(|at| *at <= k).count() as u64;
    let z = deviate(0.05);
    Some(Standing { top1: share(within(1), total, z)?, top3: share(within(3), total, z)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A shop that calls search and cart, and search that calls an index; the cause is search. Values by node: usual and around the issue.
    fn issue(scenario: &str, name: &str, around: [[f64; 5]; 4]) -> Issue {
        let at = |i: i64| Timestamp::from_secs(300 * i);
        let normal: Vec<f64> = (0..40).map(|i| 1.0 + f64::from(i % 5) / 100.0).collect();
        Issue {
            name: format!("{scenario}/{name}"),
            scenario: scenario.to_owned(),
            nodes: ["shop", "search", "cart", "index"].map(str::to_owned).to_vec(),
            calls: vec![(0, 1), (0, 2), (1, 3)],
            seen: around
                .map(|values| Seen { normal: normal.clone(), values: values.iter().zip(0..).map(|(v, i)| (at(i), *v)).collect() })
                .to_vec(),
            times: (0..5).map(at).collect(),
            target: 0,
            metric: "latency Average".to_owned(),
            at: Timestamp::from_secs(610),
            cause: 1,
        }
    }

    const CALM: [f64; 5] = [1.02; 5];
    const SLOW: [f64; 5] = [1.02, 1.02, 1.5, 1.6, 1.1];

    #[test]
    fn each_method_ranks_by_its_own_light() {
        // The cart has been slow all along: plain ranking falls for it, blame does not.
        let chronic = issue("low", "a", [SLOW, SLOW, [3.0, 3.0, 3.0, 3.0, 3.0], CALM]);
        let clear = issue("high", "b", [SLOW, SLOW, CALM, CALM]);
        let found = trial(&[chronic, clear]).unwrap();
        let at: Vec<_> = found.ranked.iter().map(|r| (r.blame, r.traversal, r.plain)).collect();
        assert_eq!(at, [(Some(1), Some(2), Some(2)), (Some(1), Some(1), Some(1))]);
        assert_eq!((found.blame.top1.value, found.traversal.top1.value, found.plain.top3.value), (1.0, 0.5, 1.0));
        assert!(found.blame.top1.lower > 0.3 && found.blame.top1.upper == 1.0);
        assert_eq!(found.ranked[0].named[0], "search");
        assert_eq!(trial(&[]), None);
    }

    #[test]
    fn limits_come_from_other_issues() {
        // Whatever is done to one issue, its own limits stay: they are chosen on the other scenario.
        let steady = issue("low", "a", [SLOW, SLOW, CALM, CALM]);
        let limits = |other: [[f64; 5]; 4]| {
            let found = trial(&[steady.clone(), issue("high", "b", other)]).unwrap();
            found.ranked.iter().map(|r| (r.weak, r.strong, r.cap)).collect::<Vec<_>>()
        };
        assert_eq!(limits([SLOW, SLOW, CALM, CALM])[1], limits([CALM, CALM, SLOW, SLOW])[1]);
    }

    #[test]
    fn missing_values_leave_a_node_out() {
        let mut bare = issue("low", "a", [SLOW, SLOW, CALM, CALM]);
        bare.seen[1] = Seen::default();
        let found = trial(&[bare]).unwrap();
        assert_eq!((found.ranked[0].blame, found.ranked[0].traversal, found.ranked[0].plain), (None, None, None));
    }
}
