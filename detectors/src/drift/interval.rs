//! Intervals of shares that hold for small groups too.

use serde::{Deserialize, Serialize};

use crate::special::normal_sf;

/// A figure between two limits.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The figure itself.
    pub value: f64,
    /// It is hardly below this.
    pub lower: f64,
    /// It is hardly above this.
    pub upper: f64,
}

/// The normal deviate that is exceeded, up or down, with this probability: 1.96 for 0.05. Between 0 and 38.
pub fn deviate(probability: f64) -> f64 {
    let (mut low, mut high) = (0.0, 38.0);
    for _ in 0..80 {
        let middle = f64::midpoint(low, high);
        if 2.0 * normal_sf(middle) > probability { low = middle } else { high = middle }
    }
    f64::midpoint(low, high)
}

/// The interval of Wilson (1927) of `hits` out of `total` at a normal deviate; `None` without any, or with more hits than that.
pub fn share(hits: u64, total: u64, deviate: f64) -> Option<Interval> {
    if total == 0 || hits > total {
        return None;
    }
    let (n, z2) = (total as f64, deviate * deviate);
    let value = hits as f64 / n;
    let centre = (value + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let half = deviate * (value * (1.0 - value) / n + z2 / (4.0 * n * n)).sqrt() / (1.0 + z2 / n);
    let lower = if hits == 0 { 0.0 } else { (centre - half).max(0.0) };
    let upper = if hits == total { 1.0 } else { (centre + half).min(1.0) };
    Some(Interval { value, lower, upper })
}

/// The difference of two independent shares (Newcombe, 1998, method 10).
pub fn difference(a: Interval, b: Interval) -> Interval {
    let value = a.value - b.value;
    let below = (a.value - a.lower).hypot(b.upper - b.value);
    let above = (a.upper - a.value).hypot(b.value - b.lower);
    Interval { value, lower: (value - below).max(-1.0), upper: (value + above).min(1.0) }
}

/// The ratio of two independent shares (Donner & Zou, 2012); `None` when the second is 0. The upper limit is the largest number there is
/// where the second may be 0.
pub fn ratio(a: Interval, b: Interval) -> Option<Interval> {
    if b.value <= 0.0 {
        return None;
    }
    let both = a.value * b.value;
    let limit = |own: f64, other: f64, sign: f64| {
        let inner = both * both - own * other * (2.0 * a.value - own) * (2.0 * b.value - other);
        let below = other * (2.0 * b.value - other);
        if below > 0.0 { (both + sign * inner.max(0.0).sqrt()) / below } else { f64::MAX }
    };
    let value = a.value / b.value;
    let (lower, upper) = (limit(a.lower, b.upper, -1.0).clamp(0.0, value), limit(a.upper, b.lower, 1.0).max(value));
    Some(Interval { value, lower, upper })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drift::stream::Stream;
    use proptest::prelude::*;

    /// Newcombe (1998), tables of both papers: 81 of 263, and 56/70 − 48/80.
    #[test]
    fn the_papers_examples() {
        let z = deviate(0.05);
        assert!((z - 1.959963984540054).abs() < 1e-9);
        let near = |got: Interval, lower: f64, upper: f64| {
            assert!((got.lower - lower).abs() < 5e-5 && (got.upper - upper).abs() < 5e-5, "{got:?}")
        };
        near(share(81, 263, z).unwrap(), 0.2553, 0.3662);
        near(share(0, 20, z).unwrap(), 0.0, 0.1611);
        near(share(15, 148, z).unwrap(), 0.0624, 0.1605);
        near(difference(share(56, 70, z).unwrap(), share(48, 80, z).unwrap()), 0.0524, 0.3339);
        near(difference(share(9, 10, z).unwrap(), share(3, 10, z).unwrap()), 0.1705, 0.8090);
        near(difference(share(0, 10, z).unwrap(), share(0, 20, z).unwrap()), -0.1611, 0.2775);
        assert_eq!((share(1, 0, z), share(2, 1, z)), (None, None));
    }

    #[test]
    fn intervals_hold_as_often_as_they_say() {
        let (mut stream, z) = (Stream::new(4), deviate(0.05));
        let mut hits = |p: f64, n: u64| (0..n).filter(|_| stream.share() < p).count() as u64;
        let (mut differences, mut ratios) = (0, 0);
        for _ in 0..2_000 {
            let (a, b) = (share(hits(0.3, 40), 40, z).unwrap(), share(hits(0.5, 60), 60, z).unwrap());
            let holds = |i: Interval, truth: f64| usize::from((i.lower..=i.upper).contains(&truth));
            differences += holds(difference(a, b), -0.2);
            ratios += ratio(a, b).map_or(1, |r| holds(r, 0.6));
        }
        assert!((1_860..=1_960).contains(&differences) && (1_860..=1_970).contains(&ratios), "{differences} {ratios}");
    }

    proptest! {
        #[test]
        fn limits_enclose_the_figure(a in (0..50u64, 1..50u64), b in (0..50u64, 1..50u64), p in 0.0..1.0f64) {
            let z = deviate(p);
            let of = |(hits, total): (u64, u64)| share(hits.min(total), total, z).unwrap();
            let (a, b) = (of(a), of(b));
            for i in [Some(a), Some(difference(a, b)), ratio(a, b)].into_iter().flatten() {
                prop_assert!(i.lower <= i.value + 1e-9 && i.value <= i.upper + 1e-9 && i.upper.is_finite() && i.lower.is_finite(), "{i:?}");
            }
            let (there, back) = (difference(a, b), difference(b, a));
            prop_assert!((there.lower + back.upper).abs() < 1e-12 && (there.upper + back.lower).abs() < 1e-12);
        }
    }
}
