//! Some numbers side by side, one for each series of a block. Every operation is a short loop without branches over an array
//! of fixed length, which the compiler turns into vector instructions.

use std::array::from_fn;
use std::ops::{Add, Mul, Sub};

/// Series that go side by side: as many as keep their state in the registers that every x86-64 has.
pub const LANES: usize = 4;

/// One number for each of [`LANES`] series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Lanes(pub(crate) [f64; LANES]);

impl Lanes {
    /// The larger in each lane.
    #[inline(always)]
    pub(crate) fn larger(self, other: Self) -> Self {
        Self(from_fn(|i| if self.0[i] > other.0[i] { self.0[i] } else { other.0[i] }))
    }

    /// A distance in standard deviations; 0 where the variance is no more than rounding.
    #[inline(always)]
    pub(crate) fn over_root(self, variance: Self, rounding: Self) -> Self {
        let root: [f64; LANES] = from_fn(|i| variance.0[i].sqrt());
        let score: [f64; LANES] = from_fn(|i| self.0[i] / root[i]);
        Self(from_fn(|i| if variance.0[i] > rounding.0[i] { score[i] } else { 0.0 }))
    }
}

impl Add for Lanes {
    type Output = Self;
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Self(from_fn(|i| self.0[i] + other.0[i]))
    }
}

impl Sub for Lanes {
    type Output = Self;
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        Self(from_fn(|i| self.0[i] - other.0[i]))
    }
}

impl Mul for Lanes {
    type Output = Self;
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        Self(from_fn(|i| self.0[i] * other.0[i]))
    }
}

impl Mul<f64> for Lanes {
    type Output = Self;
    #[inline(always)]
    fn mul(self, x: f64) -> Self {
        Self(from_fn(|i| self.0[i] * x))
    }
}
