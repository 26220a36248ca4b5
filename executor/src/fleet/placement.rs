//! On which node a replica runs.

use super::noise::Noise;

/// Gives every replica the node it likes best among those that take pods (rendezvous hashing): when a node stops taking
/// pods, only its own replicas move, and they come back when it is open again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Placement(Noise);

impl Placement {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Noise::new(seed, "placement"))
    }

    /// The node of replica `replica` of endpoint `endpoint`; none when no node takes pods.
    pub(crate) fn node(&self, endpoint: usize, replica: u32, open: &[usize]) -> Option<usize> {
        let liking = self.0.stream((endpoint as u64) << 16 | u64::from(replica));
        open.iter().copied().max_by_key(|node| liking.bits(*node as i64))
    }

    /// Which share of an endpoint's replicas runs on `node`.
    pub(crate) fn share(&self, endpoint: usize, replicas: u32, node: usize, open: &[usize]) -> f64 {
        let there = (0..replicas).filter(|r| self.node(endpoint, *r, open) == Some(node)).count();
        if replicas == 0 { 0.0 } else { there as f64 / f64::from(replicas) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_a_node_moves_its_own_replicas_only() {
        let placement = Placement::new(3);
        let (all, rest) = ([0, 1, 2, 3], [0, 1, 3]);
        for e in 0..24 {
            for r in 0..6 {
                let before = placement.node(e, r, &all).unwrap();
                let after = placement.node(e, r, &rest).unwrap();
                assert!(after == before || before == 2);
            }
        }
        assert_eq!(placement.node(0, 0, &[]), None);
    }
}
