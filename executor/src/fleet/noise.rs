//! Randomness that is a function of seed, stream and time, so that any value can be computed at any moment, in any order.

/// A stream of noise: all draws of one series for one purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Noise(u64);

/// The finaliser of splitmix64: every input bit moves every output bit.
const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Noise {
    pub(crate) fn new(seed: u64, name: &str) -> Self {
        name.bytes().fold(Self(mix(seed ^ 0x9e37_79b9_7f4a_7c15)), |n, b| n.stream(u64::from(b)))
    }
    /// The stream for a further purpose or thing.
    pub(crate) const fn stream(self, purpose: u64) -> Self {
        Self(mix(self.0 ^ purpose.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(0x1656_67b1_9e37_79f9)))
    }
    /// 64 random bits for time step `t`.
    pub(crate) const fn bits(self, t: i64) -> u64 {
        mix(self.0 ^ (t as u64).wrapping_mul(0xd1b5_4a32_d192_ed03))
    }
    /// Uniform in [0, 1).
    pub(crate) fn uniform(self, t: i64) -> f64 {
        (self.bits(t) >> 11) as f64 / (1u64 << 53) as f64
    }
    /// Near a standard normal: the sum of four uniform numbers, so never beyond 3.5.
    pub(crate) fn normal(self, t: i64) -> f64 {
        let bits = self.bits(t);
        let sum = (bits & 0xffff) + (bits >> 16 & 0xffff) + (bits >> 32 & 0xffff) + (bits >> 48);
        (sum as f64 / 65_536.0 - 2.0) * 3.0_f64.sqrt()
    }
    /// Normal numbers at every multiple of `knot`, joined smoothly between: noise that wanders.
    pub(crate) fn smooth(self, t: i64, knot: i64) -> f64 {
        let k = t.div_euclid(knot);
        let x = t.rem_euclid(knot) as f64 / knot as f64;
        let w = x * x * (3.0 - 2.0 * x);
        self.normal(k) * (1.0 - w) + self.normal(k + 1) * w
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_have_their_distribution_and_depend_on_nothing_else() {
        let n = Noise::new(7, "latency").stream(3);
        let draws: Vec<f64> = (0..20_000).map(|t| n.normal(t)).collect();
        let mean = draws.iter().sum::<f64>() / 20_000.0;
        let var = draws.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / 20_000.0;
        assert!(mean.abs() < 0.03 && (var - 1.0).abs() < 0.05, "{mean} {var}");
        assert_eq!(n.uniform(5).to_bits(), Noise::new(7, "latency").stream(3).uniform(5).to_bits());
        assert_ne!(n.bits(5), Noise::new(8, "latency").stream(3).bits(5));
        assert!((n.smooth(59, 60) - n.smooth(60, 60)).abs() < 0.1);
    }
}
