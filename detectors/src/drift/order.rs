//! Putting numbers in order, as fast as the machine allows: every exact statistic begins with it.
//!
//! A number's bits are turned into an unsigned key that has the same order (the sign bit is flipped, or all bits of a negative
//! number). The highest 33 bits in which keys differ at all are sorted digit by digit, lowest first (radix sort; Knuth, *TAOCP* 3, §5.2.5). That
//! leaves few neighbours that agree in all of them, which are then put right among themselves; of whole and of rounded numbers
//! none. Cost: O(n) for values with any spread, O(n log n) at worst; 16 bytes of scratch a value.

/// Bits of a digit.
const BITS: u32 = 11;
/// Values of a digit.
const RADIX: usize = 1 << BITS;
/// Digits that are sorted by.
const DIGITS: u32 = 3;
/// Below this many values a comparison sort is faster than counting digits.
const FEW: usize = 4_096;

/// Room for sorting, to be used again.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    keys: Vec<u64>,
    other: Vec<u64>,
}

/// Sorts ascending in the total order of IEEE 754 (as [`f64::total_cmp`]): −NaN, −∞, …, −0, 0, …, ∞, NaN.
pub fn sort(values: &mut [f64], scratch: &mut Scratch) {
    if values.len() < FEW {
        values.sort_unstable_by(f64::total_cmp);
        return;
    }
    let Scratch { keys, other } = scratch;
    keys.clear();
    keys.extend(values.iter().map(|v| key(*v)));
    let differing = keys.iter().fold(0, |bits, k| bits | (k ^ keys[0]));
    let above = 64 - differing.leading_zeros();
    let lowest = above.saturating_sub(BITS * DIGITS);
    let shifts: Vec<u32> = (0..DIGITS).map(|i| lowest + BITS * i).filter(|s| digit(differing, *s) != 0).collect();
    let mut counts = vec![[0_u32; RADIX]; shifts.len()];
    for key in keys.iter() {
        for (counts, shift) in counts.iter_mut().zip(&shifts) {
            counts[digit(*key, *shift)] += 1;
        }
    }
    other.resize(keys.len(), 0);
    for (counts, shift) in counts.iter_mut().zip(&shifts) {
        let mut start = 0;
        for count in counts.iter_mut() {
            start += std::mem::replace(count, start);
        }
        for key in keys.iter() {
            let place = &mut counts[digit(*key, *shift)];
            other[*place as usize] = *key;
            *place += 1;
        }
        std::mem::swap(keys, other);
    }
    if differing & ((1 << lowest) - 1) != 0 {
        for alike in keys.chunk_by_mut(|a, b| a >> lowest == b >> lowest).filter(|k| k.len() > 1) {
            alike.sort_unstable();
        }
    }
    for (value, key) in values.iter_mut().zip(keys.iter()) {
        *value = of_key(*key);
    }
}

/// The values in order, in a list of their own.
pub fn sorted(values: &[f64]) -> Vec<f64> {
    let mut values = values.to_vec();
    sort(&mut values, &mut Scratch::default());
    values
}

#[inline]
fn digit(key: u64, shift: u32) -> usize {
    (key >> (shift & 63)) as usize & (RADIX - 1)
}

#[inline]
fn key(value: f64) -> u64 {
    let bits = value.to_bits();
    bits ^ (((bits as i64) >> 63) as u64 | 1 << 63)
}

#[inline]
fn of_key(key: u64) -> f64 {
    f64::from_bits(key ^ ((!(key as i64) >> 63) as u64 | 1 << 63))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_is_the_total_order(few in prop::collection::vec(prop::num::f64::ANY, 1..200), times in 1..60usize, scale in -3..3i32) {
            let mut values: Vec<f64> = (0..times).flat_map(|t| few.iter().map(move |v| v * (t as f64 * 0.37 + 1.0) * 10_f64.powi(scale))).collect();
            let mut want = values.clone();
            want.sort_by(f64::total_cmp);
            sort(&mut values, &mut Scratch::default());
            prop_assert!(values.iter().zip(&want).all(|(a, b)| a.to_bits() == b.to_bits()));
        }
    }

    #[test]
    fn values_that_differ_in_their_last_bits_only() {
        for (offset, step) in [(1e9, 1e-7), (-1.0, f64::EPSILON / 2.0), (0.0, 5e-324), (3.0, 0.0)] {
            let mut values: Vec<f64> = (0..9_000).map(|i| offset + f64::from(i * 7_919 % 9_000) * step).chain([offset - 1.0]).collect();
            sort(&mut values, &mut Scratch::default());
            assert!(values.windows(2).all(|w| w[0] <= w[1]), "{offset} {step}");
        }
    }

    #[test]
    fn scratch_is_used_again() {
        let mut scratch = Scratch::default();
        for n in [10_000, 5_000, 20_000] {
            let mut values: Vec<f64> = (0..n).map(|i| f64::from((i * 7_919) % n) - 100.5).collect();
            sort(&mut values, &mut scratch);
            assert!(values.windows(2).all(|w| w[0] <= w[1]));
        }
        assert_eq!(sorted(&[2.0, f64::NAN, -1.0])[..2], [-1.0, 2.0]);
    }
}
