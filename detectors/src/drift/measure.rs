//! Which statistic says how large a change is, chosen by the column's type and the size of its reference.
//!
//! Two questions are kept apart. *Is it real?* is answered by a p-value that holds at any size. *Does it matter?* is answered by an
//! effect that does not grow with the sample, in units in which a fixed line makes sense. Where a statistic has no distribution of its
//! own under "no drift", the p-value is that of the Kolmogorov–Smirnov test (numbers) or of Pearson's χ² (categories): they ask
//! the same, whether both samples come from one distribution.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::drift::column::Statistic;
use crate::drift::{between, bins, contingency, cramer_von_mises, hellinger, jensen_shannon, ks, kullback_leibler, psi, wasserstein};

/// From this many values of the reference the effect is measured in the column's own unit rather than in ranks.
pub const LARGE: usize = 1_000;
/// A column of numbers with at most this many different values is compared as categories.
pub const FEW: usize = 5;
/// Bins of equal width for the statistics that compare shares of numbers.
const BINS: usize = 30;

/// A statistic that measures how far two samples are apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // the fields are the statistics' names
pub enum Measure {
    KolmogorovSmirnov,
    Wasserstein,
    Energy,
    CramerVonMises,
    Psi,
    JensenShannon,
    Hellinger,
    KullbackLeibler,
    ChiSquare,
    G,
    Z,
}

impl Measure {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::KolmogorovSmirnov,
        Self::Wasserstein,
        Self::Energy,
        Self::CramerVonMises,
        Self::Psi,
        Self::JensenShannon,
        Self::Hellinger,
        Self::KullbackLeibler,
        Self::ChiSquare,
        Self::G,
        Self::Z,
    ];

    /// The measure for a column of numbers with this many values in the reference.
    pub fn for_numbers(reference: usize) -> Self {
        if reference > LARGE { Self::Wasserstein } else { Self::KolmogorovSmirnov }
    }

    /// The measure for a column with so many categories on either side and so many values in the reference.
    pub fn for_categories(categories: usize, reference: usize) -> Self {
        match categories {
            ..=2 => Self::Z,
            _ if reference > LARGE => Self::JensenShannon,
            _ => Self::ChiSquare,
        }
    }

    /// Whether it can measure numbers.
    pub fn takes_numbers(self) -> bool {
        !matches!(self, Self::ChiSquare | Self::G | Self::Z)
    }

    /// Whether it can measure categories.
    pub fn takes_categories(self) -> bool {
        !matches!(self, Self::KolmogorovSmirnov | Self::Wasserstein | Self::Energy | Self::CramerVonMises)
    }

    /// The effect from which a change matters, unless a rule says otherwise.
    pub fn line(self) -> f64 {
        match self {
            Self::Psi | Self::ChiSquare | Self::G => 0.2,
            Self::Z => 0.05,
            Self::CramerVonMises => 0.005,
            _ => 0.1,
        }
    }

    /// What the effect is, in words.
    pub fn unit(self) -> &'static str {
        match self {
            Self::KolmogorovSmirnov => "largest difference of shares",
            Self::Wasserstein => "standard deviations that a value moved",
            Self::Energy => "energy distance after division by the deviation",
            Self::CramerVonMises => "mean squared difference of shares",
            Self::Psi => "population stability index",
            Self::JensenShannon | Self::Hellinger => "distance from 0 to 1",
            Self::KullbackLeibler => "nats",
            Self::ChiSquare | Self::G => "root of the relative squared difference of shares",
            Self::Z => "difference of shares",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::KolmogorovSmirnov => "kolmogorov_smirnov",
            Self::Wasserstein => "wasserstein",
            Self::Energy => "energy",
            Self::CramerVonMises => "cramer_von_mises",
            Self::Psi => "psi",
            Self::JensenShannon => "jensen_shannon",
            Self::Hellinger => "hellinger",
            Self::KullbackLeibler => "kullback_leibler",
            Self::ChiSquare => "chi_square",
            Self::G => "g",
            Self::Z => "z",
        }
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A word that names no measure.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no statistic is called {name:?}")]
pub struct UnknownMeasure {
    /// The word.
    pub name: String,
}

impl FromStr for Measure {
    type Err = UnknownMeasure;

    fn from_str(name: &str) -> Result<Self, UnknownMeasure> {
        Self::ALL.into_iter().find(|m| m.name() == name).ok_or_else(|| UnknownMeasure { name: name.to_owned() })
    }
}

/// Effect and p-value of two sorted lists of finite numbers. `None` when one is empty, when the measure does not take numbers, and for
/// a distance in deviations when the reference has none and something moved.
pub fn numbers(measure: Measure, a: &[f64], b: &[f64], psi_bins: usize) -> Option<Statistic> {
    let (n, m) = (a.len() as f64, b.len() as f64);
    let found = between::distances(a, b)?;
    let p_value = || ks::p_value(found.ks, n, m);
    let of_shares = |distance: fn(&[f64], &[f64]) -> f64| {
        let (p, q) = bins::shares(a, b, BINS)?;
        Some(Statistic { value: distance(&p, &q), p_value: p_value() })
    };
    match measure {
        Measure::KolmogorovSmirnov => Some(Statistic { value: found.ks, p_value: p_value() }),
        Measure::Wasserstein => Some(Statistic { value: wasserstein::in_deviations(a, b)?, p_value: p_value() }),
        Measure::Energy => {
            let deviation = if found.wasserstein > 0.0 { found.wasserstein / wasserstein::in_deviations(a, b)? } else { 1.0 };
            let value = found.energy / deviation.sqrt();
            value.is_finite().then(|| Statistic { value, p_value: p_value() })
        }
        Measure::CramerVonMises => {
            let tested = cramer_von_mises::of_sorted(a, b)?;
            Some(Statistic { value: tested.value * (n + m) / (n * m), p_value: tested.p_value })
        }
        Measure::Psi => {
            let edges = psi::edges(a, psi_bins);
            let (p, q) = (psi::shares(&psi::counts_sorted(&edges, a)), psi::shares(&psi::counts_sorted(&edges, b)));
            Some(Statistic { value: psi::of_shares(&p, &q), p_value: psi::p_value(&p, &q, n, m) })
        }
        Measure::JensenShannon => of_shares(jensen_shannon::of_shares),
        Measure::Hellinger => of_shares(hellinger::of_shares),
        Measure::KullbackLeibler => of_shares(kullback_leibler::of_shares),
        Measure::ChiSquare | Measure::G | Measure::Z => None,
    }
}

/// Effect and p-value of two lists of counts of the same categories. `None` when one has no count, and when the measure does not take
/// categories or is Z of more than two.
pub fn categories(measure: Measure, a: &[u64], b: &[u64]) -> Option<Statistic> {
    let (n, m) = (a.iter().sum::<u64>(), b.iter().sum::<u64>());
    let (common_a, common_b) = contingency::without_rare(a, b);
    let chi_square = contingency::chi_square(&common_a, &common_b)?;
    let (p, q) = (psi::shares(a), psi::shares(b));
    // What is put together may hide that every rare category was replaced, so the cells are looked at one by one as well: two tests.
    let is_pooled = common_a.len() < a.iter().zip(b).filter(|(x, y)| **x + **y > 0).count();
    let apart = if is_pooled { contingency::sparse_p(a, b) } else { None };
    let with_rare = |p_value: f64| apart.map_or(p_value, |apart| (2.0 * p_value.min(apart)).min(1.0));
    let relative = |statistic: Statistic| {
        let all = if measure == Measure::G { contingency::g(a, b) } else { contingency::chi_square(a, b) };
        let value = (all?.value * (1.0 / n as f64 + 1.0 / m as f64)).sqrt();
        Some(Statistic { value, p_value: with_rare(statistic.p_value) })
    };
    let of_shares =
        |distance: fn(&[f64], &[f64]) -> f64| Some(Statistic { value: distance(&p, &q), p_value: with_rare(chi_square.p_value) });
    match measure {
        Measure::ChiSquare => relative(chi_square),
        Measure::G => relative(contingency::g(&common_a, &common_b)?),
        Measure::Z if a.len() <= 2 => {
            let first = |counts: &[u64]| counts.first().copied().unwrap_or(0);
            let tested = contingency::z((first(a), n), (first(b), m))?;
            Some(Statistic { value: (p.first()? - q.first()?).abs(), p_value: tested.p_value })
        }
        Measure::Psi => of_shares(psi::of_shares),
        Measure::JensenShannon => of_shares(jensen_shannon::of_shares),
        Measure::Hellinger => of_shares(hellinger::of_shares),
        Measure::KullbackLeibler => of_shares(kullback_leibler::of_shares),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drift::order::sorted;
    use proptest::prelude::*;

    #[test]
    fn a_measure_has_one_name() {
        for measure in Measure::ALL {
            assert_eq!(measure.to_string().parse(), Ok(measure));
            assert_eq!(serde_json::to_value(measure).unwrap(), measure.to_string());
            assert!(measure.takes_numbers() || measure.takes_categories());
        }
        assert_eq!("psy".parse::<Measure>().unwrap_err().to_string(), r#"no statistic is called "psy""#);
    }

    #[test]
    fn the_choice_is_by_type_and_size() {
        assert_eq!((Measure::for_numbers(1_000), Measure::for_numbers(1_001)), (Measure::KolmogorovSmirnov, Measure::Wasserstein));
        let of = Measure::for_categories;
        assert_eq!([of(2, 9), of(3, 1_000), of(3, 1_001)], [Measure::Z, Measure::ChiSquare, Measure::JensenShannon]);
    }

    /// Doubling both samples makes p smaller and leaves the effect.
    #[test]
    fn an_effect_does_not_grow_with_the_sample() {
        let a: Vec<f64> = (0..400).map(|i| f64::from(i * 7 % 400)).collect();
        let b: Vec<f64> = a.iter().map(|v| v + 40.0).collect();
        let thrice = |list: &[f64]| sorted(&[list, list, list].concat());
        for measure in Measure::ALL.into_iter().filter(|m| m.takes_numbers()) {
            let one = numbers(measure, &sorted(&a), &sorted(&b), 10).unwrap();
            let more = numbers(measure, &thrice(&a), &thrice(&b), 10).unwrap();
            assert!((one.value - more.value).abs() < 0.02 * one.value, "{measure}: {one:?} {more:?}");
            assert!(more.p_value < one.p_value && one.value >= measure.line(), "{measure}: {one:?} {more:?}");
        }
        let (a, b) = ([300, 500, 200], [200, 500, 300]);
        for measure in Measure::ALL.into_iter().filter(|m| m.takes_categories() && *m != Measure::Z) {
            let (one, more) = (categories(measure, &a, &b).unwrap(), categories(measure, &a.map(|c| 3 * c), &b.map(|c| 3 * c)).unwrap());
            assert!((one.value - more.value).abs() < 1e-9 && more.p_value < one.p_value, "{measure}: {one:?} {more:?}");
        }
        assert!((categories(Measure::Z, &[30, 70], &[40, 60]).unwrap().value - 0.1).abs() < 1e-12);
        assert_eq!(categories(Measure::Z, &a, &b), None);
    }

    proptest! {
        #[test]
        fn no_measure_gives_nan(a in prop::collection::vec(-1e150..1e150f64, 0..30), b in prop::collection::vec(-2..2i8, 0..30), c in prop::collection::vec(0..9u64, 3), d in prop::collection::vec(0..9u64, 3)) {
            let (a, b) = (sorted(&a), sorted(&b.into_iter().map(f64::from).collect::<Vec<_>>()));
            for measure in Measure::ALL {
                let found = [numbers(measure, &a, &b, 10), numbers(measure, &b, &a, 10), categories(measure, &c, &d)];
                for Statistic { value, p_value } in found.into_iter().flatten() {
                    prop_assert!(value.is_finite() && value >= 0.0 && (0.0..=1.0).contains(&p_value), "{measure} {value} {p_value}");
                }
            }
        }
    }
}
