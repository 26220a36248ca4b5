//! A window of values against the baseline before it: whether the distribution changed, by how much, and which way.
//!
//! The comparison is that of Netdata's metric correlations: the two-sample Kolmogorov–Smirnov test ("KS2") and the change of the
//! mean ("volume"), the baseline four times as long as the window. A p-value alone finds trifles in long windows, so the
//! distance of the medians in robust standard deviations of the baseline stands beside it.

use bellwether_model::signal::Direction;

use crate::band::is_measurement;
use crate::drift::ks;
use crate::kernel::robust::NORMAL;

/// A baseline is this many times as long as its window.
pub const BASELINE: u32 = 4;
/// A window with fewer values says nothing: no distance of four values from sixteen is improbable enough among many series.
pub const LEAST_WINDOW: usize = 4;
/// A baseline with fewer values says nothing.
pub const LEAST_BASELINE: usize = 12;
/// The scale is at least this share of the level. Small, because an availability that is always 100 % has dropped with 99.5 %.
const LEVEL: f64 = 0.0005;
/// The scale of whole counts is at least this: one replica more is two deviations, not a thousand.
const COUNT: f64 = 0.5;
/// No effect is larger, so that all can be summed: a baseline of nothing but zeros has no scale of its own.
pub const FAR: f64 = 1e6;

/// How a baseline came about, and so how far out its values say what is usual. In both cases the floor is about .8 standard deviations of
/// normal values; it keeps series with rare high values from standing out for each of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Past {
    /// Known to be calm: the scale is at least .2 of the distance between the quantiles .02 and .98.
    Calm,
    /// Just before the window: what caused the trouble may have moved in it already, and must not hide itself. At least .3 of the distance
    /// between the quantiles .1 and .9.
    Recent,
}

/// What is usual: the median, and the distance from it that counts as one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usual {
    /// The median.
    pub median: f64,
    /// The robust standard deviation, with floors; 0 only where every value is 0.
    pub scale: f64,
}

impl Usual {
    /// Of these values, which are sorted and finite; `None` for none. Cost: O(n log n) for the deviations.
    pub fn of_sorted(sorted: &[f64], past: Past) -> Option<Self> {
        let median = quantile(sorted, 0.5)?;
        let mut deviations: Vec<f64> = sorted.iter().map(|x| (x - median).abs()).collect();
        deviations.sort_by(f64::total_cmp);
        let mad = quantile(&deviations, 0.5)?;
        let (tail, share) = match past {
            Past::Calm => (0.02, 0.2),
            Past::Recent => (0.1, 0.3),
        };
        let spread = quantile(sorted, 1.0 - tail)? - quantile(sorted, tail)?;
        Some(Self { median, scale: (NORMAL * mad).max(share * spread).max(LEVEL * median.abs()) })
    }

    /// How far a value is off, in units of the scale, with its sign and no farther than [`FAR`].
    pub fn z(&self, value: f64) -> f64 {
        let distance = value - self.median;
        if distance == 0.0 { 0.0 } else { (distance / self.scale).clamp(-FAR, FAR) }
    }
}

/// How a window differs from its baseline.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shift {
    /// The largest distance of the two distribution functions, 0 to 1.
    pub ks: f64,
    /// Probability of at least that distance without a change; of values that depend on their predecessors it is too small.
    pub p_value: f64,
    /// Median of the baseline.
    pub before: f64,
    /// Median of the window.
    pub after: f64,
    /// Change of the mean as a share of the baseline's: 1.5 for two and a half times as much. `None` where that mean is 0.
    pub volume: Option<f64>,
    /// Distance of the medians in robust standard deviations of the baseline, with its sign: at most [`FAR`].
    pub effect: f64,
    /// Up or down where the medians differ by at least one such deviation, otherwise a change of shape.
    pub direction: Direction,
}

/// Compares a window with its baseline; `None` where either has too few measurements ([`LEAST_WINDOW`], [`LEAST_BASELINE`]). What is no
/// measurement (NaN, an infinity) is passed over. Cost: O(n log n), and n·m steps for an exact p-value of small samples.
pub fn shift(baseline: &[f64], window: &[f64]) -> Option<Shift> {
    let (before, after) = (sorted(baseline), sorted(window));
    if before.len() < LEAST_BASELINE || after.len() < LEAST_WINDOW {
        return None;
    }
    let mut usual = Usual::of_sorted(&before, Past::Recent)?;
    if before.iter().chain(&after).all(|v| v.fract() == 0.0) {
        usual.scale = usual.scale.max(COUNT);
    }
    let median = quantile(&after, 0.5)?;
    let ks = ks::of_sorted(&before, &after)?;
    let (mean, now) = (mean(&before), mean(&after));
    let effect = usual.z(median);
    let direction = match effect {
        e if e >= 1.0 => Direction::Up,
        e if e <= -1.0 => Direction::Down,
        _ => Direction::Shape,
    };
    let volume = (now - mean) / mean.abs();
    Some(Shift {
        ks,
        p_value: ks::p_value(ks, before.len() as f64, after.len() as f64).clamp(0.0, 1.0),
        before: usual.median,
        after: median,
        volume: volume.is_finite().then_some(volume),
        effect,
        direction,
    })
}

/// The farthest of some values from what is usual, of that which is new: a value that was as far off just before counts only by how far it
/// moved since, and not at all if it came back. As (robust standard deviations without sign, change with sign). `just_before` may be empty.
pub fn departure(usual: &Usual, just_before: &[f64], values: &[f64]) -> (f64, f64) {
    let level = quantile(&sorted(just_before), 0.5);
    let new = |value: &f64| {
        let change = value - usual.median;
        match level.map(|level| value - level) {
            Some(since) if since * change <= 0.0 => 0.0,
            Some(since) if since.abs() < change.abs() => since,
            _ => change,
        }
    };
    let changes = values.iter().filter(|v| is_measurement(**v)).map(new);
    let farthest = changes.max_by(|a, b| a.abs().total_cmp(&b.abs())).unwrap_or_default();
    (usual.z(usual.median + farthest).abs(), farthest)
}

/// The measurements in order of size.
pub(crate) fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|v| is_measurement(*v)).collect();
    sorted.sort_by(f64::total_cmp);
    sorted
}

fn mean(values: &[f64]) -> f64 {
    // Each divided before the sum: a sum of large values would overflow.
    let n = values.len() as f64;
    values.iter().map(|v| v / n).sum()
}

/// The quantile between its two neighbours, as most libraries take it; `None` of nothing.
fn quantile(sorted: &[f64], q: f64) -> Option<f64> {
    let at = q * sorted.len().checked_sub(1)? as f64;
    let (low, high) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
    Some(low + (high - low) * at.fract())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// scipy 1.17: `ks_2samp([10, 11] * 8, [14, 15, 14, 15])` gives D 1 and p 2/C(20, 4).
    #[test]
    fn a_step_by_hand() {
        let baseline: Vec<f64> = (0..16).map(|i| f64::from(10 + i % 2)).collect();
        let found = shift(&baseline, &[14.0, 15.0, f64::NAN, 14.0, 15.0]).unwrap();
        assert_eq!((found.ks, found.before, found.after, found.direction), (1.0, 10.5, 14.5, Direction::Up));
        assert!((found.p_value - 2.0 / 4845.0).abs() < 1e-12, "{}", found.p_value);
        assert!((found.effect - 4.0 / (NORMAL * 0.5)).abs() < 1e-12, "{}", found.effect);
        assert!((found.volume.unwrap() - 4.0 / 10.5).abs() < 1e-12);
        let back = shift(&baseline, &[1.0; 4]).unwrap();
        assert!(back.effect < -1.0 && back.direction == Direction::Down && back.volume.unwrap() < 0.0);
    }

    #[test]
    fn constants_and_gaps_are_answered() {
        let same = shift(&[7.0; 20], &[7.0; 5]).unwrap();
        assert_eq!((same.ks, same.p_value, same.effect, same.direction), (0.0, 1.0, 0.0, Direction::Shape));
        assert_eq!(shift(&[2.0; 20], &[3.0; 5]).unwrap().effect, 2.0, "one replica more");
        let zeros = shift(&[0.0; 20], &[3.5; 5]).unwrap();
        assert_eq!((zeros.effect, zeros.volume, zeros.direction), (FAR, None, Direction::Up));
        // Availability: half a per cent of the level is ten scales.
        let dropped = shift(&[100.0; 20], &[99.5; 5]).unwrap();
        assert!((dropped.effect + 10.0).abs() < 1e-9);
        assert_eq!(shift(&[1.0; 20], &[]), None);
        assert_eq!(shift(&[], &[1.0; 20]), None);
        assert_eq!(shift(&[f64::NAN; 20], &[f64::INFINITY; 20]), None);
        let wide: Vec<f64> = (0..40).map(f64::from).collect();
        assert_eq!(shift(&wide, &[18.0, 19.0, 20.0, 21.0]).unwrap().direction, Direction::Shape);
    }

    #[test]
    fn what_was_off_before_is_no_news() {
        let usual = Usual { median: 10.0, scale: 2.0 };
        assert_eq!(departure(&usual, &[], &[11.0, f64::NAN, 6.0]), (2.0, -4.0));
        assert_eq!(departure(&usual, &[10.0, 10.0], &[30.0]), (10.0, 20.0));
        assert_eq!(departure(&usual, &[26.0], &[30.0]), (2.0, 4.0), "it was off by eight scales already");
        assert_eq!(departure(&usual, &[30.0], &[20.0]), (0.0, 0.0), "it comes back");
        assert_eq!(departure(&usual, &[9.0], &[]), (0.0, 0.0));
    }

    proptest! {
        #[test]
        fn nothing_is_nan_and_units_do_not_matter(
            baseline in prop::collection::vec(-1000i32..1000, 12..60), window in prop::collection::vec(-1000i32..1000, 4..20), power in 0u32..12,
        ) {
            let unit = f64::from(1u32 << power);
            let of = |list: &[i32], by: f64| list.iter().map(|v| f64::from(*v) * by).collect::<Vec<_>>();
            // Halves, so that they are no counts.
            let unit = unit / 8192.0;
            let one = shift(&of(&baseline, 1.0 / 8192.0), &of(&window, 1.0 / 8192.0)).unwrap();
            let other = shift(&of(&baseline, unit), &of(&window, unit)).unwrap();
            prop_assert!(one.effect.is_finite() && one.p_value.is_finite() && (0.0..=1.0).contains(&one.ks));
            prop_assert_eq!((one.ks, one.p_value, one.direction), (other.ks, other.p_value, other.direction));
            prop_assert!((one.effect - other.effect).abs() < 1e-9);
            let mirrored = shift(&of(&baseline, -1.0 / 8192.0), &of(&window, -1.0 / 8192.0)).unwrap();
            prop_assert!((one.effect + mirrored.effect).abs() < 1e-9);
        }
    }
}
