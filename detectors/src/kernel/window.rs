//! The values of the latest stretch of time, with their exact order: rolling mean and standard deviation, median, MAD and
//! quantiles (Shewhart, 1931; Hampel, 1974; Iglewicz & Hoaglin, 1993).
//!
//! Sums of differences from a pivot are added and removed (Chan, Golub & LeVeque, 1983) and taken anew once as many values as
//! the window holds have come, so roundings do not pile up. Cost: see [`super::ordered`]. State: the window.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::ordered::Ordered;

/// The values of the latest span, at most so many.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Window {
    span: i64,
    most: usize,
    held: VecDeque<(i64, f64)>,
    ordered: Ordered,
    pivot: f64,
    first: f64,
    second: f64,
    changes: usize,
}

impl Window {
    /// Values at most `span` old, and at most `most` of them.
    pub fn new(span: i64, most: usize) -> Self {
        let most = most.max(2);
        Self { span, most, held: VecDeque::new(), ordered: Ordered::default(), pivot: 0.0, first: 0.0, second: 0.0, changes: 0 }
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// The values in order.
    pub fn ordered(&self) -> &Ordered {
        &self.ordered
    }

    /// Lets go what is older than the span at `t`.
    pub fn forget(&mut self, t: i64) {
        while self.held.front().is_some_and(|(at, _)| t.saturating_sub(*at) > self.span) {
            self.drop_oldest();
        }
    }

    /// Takes in a measurement ([`crate::band::is_measurement`]) at time `t`, not before the latest.
    pub fn push(&mut self, t: i64, x: f64) {
        self.forget(t);
        if self.held.is_empty() {
            (self.pivot, self.first, self.second, self.changes) = (x, 0.0, 0.0, 0);
        }
        if self.held.len() == self.most
            && let Some((_, oldest)) = self.held.pop_front()
        {
            self.ordered.replace(oldest, x);
            self.add(oldest, -1.0);
        } else {
            self.ordered.insert(x);
        }
        self.held.push_back((t, x));
        self.add(x, 1.0);
        self.changes += 1;
        if self.changes > self.held.len() {
            self.refresh();
        }
    }

    fn drop_oldest(&mut self) {
        if let Some((_, oldest)) = self.held.pop_front() {
            self.ordered.remove(oldest);
            self.add(oldest, -1.0);
            self.changes += 1;
        }
    }

    fn add(&mut self, x: f64, sign: f64) {
        let d = x - self.pivot;
        self.first += sign * d;
        self.second += sign * d * d;
    }

    /// Takes the sums anew, around the median.
    fn refresh(&mut self) {
        self.pivot = self.ordered.median().unwrap_or_default();
        (self.first, self.second, self.changes) = (0.0, 0.0, 0);
        for (_, x) in &self.held {
            let d = x - self.pivot;
            self.first += d;
            self.second += d * d;
        }
    }

    /// Mean and standard deviation (n − 1); `None` for fewer than two.
    pub fn moments(&self) -> Option<(f64, f64)> {
        let n = self.held.len() as f64;
        (n >= 2.0).then(|| {
            let squares = (self.second - self.first * self.first / n).max(0.0);
            (self.pivot + self.first / n, (squares / (n - 1.0)).sqrt())
        })
    }

    /// Median, and 1.4826 times the MAD, which for normal values is their standard deviation; no less than `floor` of the
    /// distance between the quantiles .02 and .98. `None` for fewer than two.
    pub fn robust(&self, floor: f64) -> Option<(f64, f64)> {
        let set = &self.ordered;
        let median = set.median().filter(|_| self.held.len() >= 2)?;
        let (low, high) = (set.quantile(0.02)?, set.quantile(0.98)?);
        Some((median, (1.4826 * set.mad(median)?).max(floor * (high - low))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn empty_constant_and_gapped() {
        let mut window = Window::new(10, 100);
        assert_eq!((window.is_empty(), window.moments(), window.robust(0.2)), (true, None, None));
        (0..50).for_each(|t| window.push(t, 0.1));
        assert_eq!((window.len(), window.moments(), window.robust(0.2)), (11, Some((0.1, 0.0)), Some((0.1, 0.0))));
        window.push(1_000, 4.0);
        assert_eq!((window.len(), window.moments()), (1, None));
    }

    proptest! {
        #[test]
        fn it_is_what_a_look_at_its_values_gives(
            steps in prop::collection::vec(1i64..30, 120), values in prop::collection::vec(-50.0f64..50.0, 120), most in 2usize..40,
        ) {
            let mut window = Window::new(200, most);
            let mut t = 0;
            let mut all: Vec<(i64, f64)> = Vec::new();
            for (step, x) in steps.iter().zip(values) {
                t += step;
                window.push(t, 1e6 + x);
                all.push((t, x));
                let held: Vec<f64> = all.iter().rev().take(most).take_while(|(at, _)| t - at <= 200).map(|(_, x)| *x).collect();
                prop_assert_eq!(window.len(), held.len());
                let n = held.len() as f64;
                let mean = held.iter().sum::<f64>() / n;
                if let Some((got, sd)) = window.moments() {
                    let wanted = (held.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt();
                    prop_assert!((got - 1e6 - mean).abs() < 1e-6 && (sd - wanted).abs() < 1e-6);
                }
                prop_assert_eq!(window.ordered().len(), held.len());
            }
        }
    }
}
