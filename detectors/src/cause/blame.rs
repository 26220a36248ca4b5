//! Nodes of a call or dependency graph, ranked as causes of a target's trouble.
//!
//! Trouble travels against the arrows: who calls a sick service looks sick too. So a cause is a node that deviates, that the target
//! reaches through nodes that deviate, and that calls nothing sicker than itself. That is the traversal of Hardt et al., "The PetShop
//! Dataset: Finding Causes of Performance Issues across Microservices" (CLeaR 2024), with four differences that `bellwether eval rca`
//! measures: every score is capped, because beyond a point a larger one says nothing of who began; a candidate is credited with all
//! deviating nodes that it explains, not with one path; the path may be weaker than its end; and nothing is dropped: what is
//! not reached, weak, or explained by what it calls comes later in the list.

use std::collections::BTreeSet;

/// When a node deviates, and how much that counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// From here on a node may lie on the way to a cause. In robust standard deviations, default 3.
    pub weak: f64,
    /// From here on it may be a cause itself. Default 8.
    pub strong: f64,
    /// A score counts no more than this. Default 20.
    pub cap: f64,
    /// A callee explains its caller when it moved the same way by at least this share of the caller's change, in the metric's own unit. Default .3.
    pub share: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { weak: 3.0, strong: 8.0, cap: 20.0, share: 0.3 }
    }
}

/// One node as it was in the window.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Node {
    /// How far off it is, in robust standard deviations without sign; 0 where nothing is known.
    pub score: f64,
    /// By how much its value changed, with sign, where all nodes share one unit.
    pub change: Option<f64>,
}

/// One node as a possible cause.
#[derive(Clone, Debug, PartialEq)]
pub struct Cause {
    /// Its place among the nodes.
    pub node: usize,
    /// Sum of the capped scores of the deviating nodes that it explains, step by step, its own included.
    pub score: f64,
    /// The shortest way from the target, both included; empty where no way goes through deviating nodes only.
    pub path: Vec<usize>,
    /// The callee that explains it, the one that deviates most.
    pub explained_by: Option<usize>,
}

/// The deviating nodes in order of how likely each is the cause of the target's trouble, the likeliest first.
///
/// `calls` are pairs (caller, callee), or (what depends, what it depends on); pairs of nodes that are not there are passed over, and
/// cycles do no harm. The target counts as deviating whatever its score: that is why somebody asks. Cost: O(deviating nodes × calls).
pub fn causes(nodes: &[Node], calls: &[(usize, usize)], target: usize, limits: &Limits) -> Vec<Cause> {
    if target >= nodes.len() {
        return Vec::new();
    }
    let deviates = |v: usize| v == target || nodes[v].score > limits.weak;
    let calls: BTreeSet<(usize, usize)> =
        calls.iter().copied().filter(|(a, b)| a != b && *a < nodes.len() && *b < nodes.len() && deviates(*a) && deviates(*b)).collect();
    let explains = |callee: usize, caller: usize| match (nodes[callee].change, nodes[caller].change) {
        (Some(own), Some(of_caller)) => own * of_caller > 0.0 && own.abs() >= limits.share * of_caller.abs(),
        _ => true,
    };
    // Ways go along every call; credit only to what moved enough to explain its caller.
    let (mut callees, mut explained) = (vec![Vec::new(); nodes.len()], vec![Vec::new(); nodes.len()]);
    for (caller, callee) in calls {
        callees[caller].push(callee);
        if explains(callee, caller) {
            explained[callee].push(caller);
        }
    }
    let before = walk(target, &callees);
    let mut found: Vec<Cause> = (0..nodes.len())
        .filter(|v| deviates(*v))
        .map(|v| {
            let credited = walk(v, &explained).into_iter().enumerate().filter(|(_, reached)| reached.is_some());
            let score = credited.map(|(u, _)| nodes[u].score.clamp(0.0, limits.cap)).sum();
            let sicker = callees[v].iter().copied().filter(|c| nodes[*c].score > limits.strong && explains(*c, v));
            let explained_by = sicker.max_by(|a, b| nodes[*a].score.total_cmp(&nodes[*b].score).then(b.cmp(a)));
            Cause { node: v, score, path: way(target, v, &before), explained_by }
        })
        .collect();
    let weak = |c: &Cause| nodes[c.node].score <= limits.strong;
    found.sort_by(|a, b| {
        let tier = |c: &Cause| (c.path.is_empty(), weak(c), c.explained_by.is_some());
        let own = |c: &Cause| nodes[c.node].score;
        tier(a).cmp(&tier(b)).then(b.score.total_cmp(&a.score)).then(own(b).total_cmp(&own(a))).then(a.node.cmp(&b.node))
    });
    found
}

/// From which node each node was first reached, breadth first; the start from itself.
fn walk(start: usize, next: &[Vec<usize>]) -> Vec<Option<usize>> {
    let mut before = vec![None; next.len()];
    before[start] = Some(start);
    let mut edge = vec![start];
    while !edge.is_empty() {
        let mut further = Vec::new();
        for v in edge {
            for &u in &next[v] {
                if before[u].is_none() {
                    before[u] = Some(v);
                    further.push(u);
                }
            }
        }
        edge = further;
    }
    before
}

fn way(start: usize, end: usize, before: &[Option<usize>]) -> Vec<usize> {
    let mut path = vec![end];
    while let Some(previous) = before[path[path.len() - 1]].filter(|_| path[path.len() - 1] != start) {
        path.push(previous);
    }
    path.reverse();
    if path[0] == start { path } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn nodes(scores: &[f64]) -> Vec<Node> {
        scores.iter().map(|s| Node { score: *s, change: None }).collect()
    }

    fn order(nodes: &[Node], calls: &[(usize, usize)]) -> Vec<usize> {
        causes(nodes, calls, 0, &Limits::default()).iter().map(|c| c.node).collect()
    }

    #[test]
    fn the_deepest_sick_node_comes_first_and_the_healthy_are_not_there() {
        // 0 calls 1 and 2, 1 calls 3; 2 and 4 are well.
        let found = causes(&nodes(&[9.0, 30.0, 1.0, 12.0, 0.0]), &[(0, 1), (0, 2), (1, 3), (3, 4)], 0, &Limits::default());
        assert_eq!(found.iter().map(|c| c.node).collect::<Vec<_>>(), [3, 1, 0]);
        assert_eq!((found[0].score, found[0].path.as_slice(), found[0].explained_by), (9.0 + 20.0 + 12.0, [0, 1, 3].as_slice(), None));
        assert_eq!((found[1].explained_by, found[2].explained_by), (Some(3), Some(1)));
    }

    #[test]
    fn a_weak_node_leads_to_a_strong_one_and_what_is_apart_comes_last() {
        assert_eq!(order(&nodes(&[1.0, 4.0, 15.0, 500.0]), &[(0, 1), (1, 2)]), [2, 0, 1, 3]);
    }

    #[test]
    fn of_two_equally_sick_the_one_that_explains_more_nodes() {
        // 3 is sick too, and calls only 2.
        assert_eq!(order(&nodes(&[9.0, 400.0, 40.0, 10.0]), &[(0, 1), (0, 2), (3, 2)])[0], 2);
    }

    #[test]
    fn a_callee_that_moved_a_little_does_not_explain_its_caller() {
        let slow = |score, change| Node { score, change: Some(change) };
        let calls = [(0, 1), (1, 2)];
        let first = |of_callee: f64| order(&[slow(9.0, 0.03), slow(30.0, 0.03), slow(15.0, of_callee)], &calls)[0];
        assert_eq!((first(0.003), first(0.02), first(-0.02)), (1, 2, 1));
        let explained = |of_callee: f64| {
            let found = causes(&[slow(9.0, 0.03), slow(30.0, 0.03), slow(15.0, of_callee)], &calls, 0, &Limits::default());
            found.iter().find(|c| c.node == 1).unwrap().explained_by
        };
        assert_eq!((explained(0.003), explained(0.02), explained(-0.02)), (None, Some(2), None));
    }

    #[test]
    fn odd_graphs_are_answered() {
        assert!(order(&[], &[]).is_empty());
        assert_eq!(order(&nodes(&[0.0]), &[(0, 0), (0, 7)]), [0]);
        assert_eq!(order(&nodes(&[9.0, 9.0]), &[(0, 1), (1, 0)]).len(), 2, "a cycle");
    }

    proptest! {
        #[test]
        fn every_deviating_node_is_ranked_once_and_paths_are_walks(
            scores in prop::collection::vec(0.0..50.0f64, 1..12), calls in prop::collection::vec((0usize..12, 0usize..12), 0..40),
        ) {
            let nodes = nodes(&scores);
            let found = causes(&nodes, &calls, 0, &Limits::default());
            let mut named: Vec<usize> = found.iter().map(|c| c.node).collect();
            named.sort_unstable();
            let want: Vec<usize> = (0..scores.len()).filter(|v| *v == 0 || scores[*v] > 3.0).collect();
            prop_assert_eq!(named, want);
            for cause in &found {
                prop_assert!(cause.score.is_finite());
                prop_assert!(cause.path.windows(2).all(|p| calls.contains(&(p[0], p[1]))));
                prop_assert!(cause.path.is_empty() || (cause.path[0], *cause.path.last().unwrap()) == (0, cause.node));
            }
        }
    }
}
