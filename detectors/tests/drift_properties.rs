//! What every drift statistic does when its input is swapped, shuffled, moved or stretched.

#![allow(clippy::unwrap_used)] // tests

use bellwether_detectors::drift::order::sorted;
use bellwether_detectors::drift::{
    between, bins, contingency, cramer_von_mises, energy, hellinger, jensen_shannon, ks, kullback_leibler, psi, wasserstein,
};
use proptest::prelude::*;

/// Few values, so that there are ties, in no order.
fn sample() -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec((-60..60i32).prop_map(|v| f64::from(v) / 4.0), 1..60)
}

fn counts() -> impl Strategy<Value = Vec<u64>> {
    prop::collection::vec(0..50u64, 5)
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * (1.0 + a.abs())
}

proptest! {
    #[test]
    fn distances_of_samples(a in sample(), b in sample(), shift in -20..20i32, stretch in 1..9i32) {
        let (a, b) = (sorted(&a), sorted(&b));
        let found = between::distances(&a, &b).unwrap();
        let cvm = cramer_von_mises::of_sorted(&a, &b).unwrap();
        // Nothing lies between a sample and itself.
        let itself = between::distances(&a, &a).unwrap();
        prop_assert_eq!((itself.ks, itself.wasserstein, itself.energy), (0.0, 0.0, 0.0));
        // Symmetry.
        let other = between::distances(&b, &a).unwrap();
        prop_assert!(found.ks == other.ks && near(found.wasserstein, other.wasserstein) && near(found.energy, other.energy));
        prop_assert!(near(cvm.value, cramer_von_mises::of_sorted(&b, &a).unwrap().value));
        // One definition of each.
        prop_assert_eq!(Some(found.ks), ks::of_sorted(&a, &b));
        prop_assert_eq!(Some(found.wasserstein), wasserstein::of_sorted(&a, &b));
        prop_assert_eq!(Some(found.energy), energy::of_sorted(&a, &b));
        // All of it against the definition.
        let share = |list: &[f64], v: f64| list.iter().filter(|x| **x <= v).count() as f64 / list.len() as f64;
        let all = sorted(&[a.clone(), b.clone()].concat());
        let gap = |v: f64| (share(&a, v) - share(&b, v)).abs();
        prop_assert!(near(found.ks, all.iter().map(|v| gap(*v)).fold(0.0, f64::max)));
        prop_assert!(near(found.wasserstein, all.windows(2).map(|w| gap(w[0]) * (w[1] - w[0])).sum()));
        prop_assert!(near(found.energy.powi(2), all.windows(2).map(|w| 2.0 * gap(w[0]).powi(2) * (w[1] - w[0])).sum()));
        // Both moved and stretched: ranks do not see it, lengths are stretched.
        let moved = |list: &[f64]| list.iter().map(|v| v * f64::from(stretch) + f64::from(shift)).collect::<Vec<_>>();
        let after = between::distances(&moved(&a), &moved(&b)).unwrap();
        prop_assert!(after.ks == found.ks && near(after.wasserstein, found.wasserstein * f64::from(stretch)));
        prop_assert!(near(after.energy, found.energy * f64::from(stretch).sqrt()));
        prop_assert!(near(cvm.value, cramer_von_mises::of_sorted(&moved(&a), &moved(&b)).unwrap().value));
        // One moved: the mean way is at least the way of the mean, and the way itself from the same sample.
        prop_assert!(near(wasserstein::of_sorted(&a, &moved(&a)).unwrap_or(0.0) * f64::from(u8::from(stretch == 1)), f64::from(shift.abs()) * f64::from(u8::from(stretch == 1))));
        prop_assert!((0.0..=1.0).contains(&cvm.p_value));
    }

    #[test]
    fn distances_of_shares(a in counts(), b in counts(), turn in 0..5usize) {
        let (p, q) = (psi::shares(&a), psi::shares(&b));
        let turned = |list: &[f64]| [&list[turn..], &list[..turn]].concat();
        for distance in [psi::of_shares, jensen_shannon::of_shares, hellinger::of_shares] {
            prop_assert!(near(distance(&p, &q), distance(&q, &p)));
            prop_assert!(near(distance(&p, &q), distance(&turned(&p), &turned(&q))));
            prop_assert!(distance(&p, &p).abs() < 1e-12 && distance(&p, &q) >= 0.0);
        }
        prop_assert!(kullback_leibler::of_shares(&p, &q).is_finite() && kullback_leibler::of_shares(&p, &p) == 0.0);
        prop_assert!(jensen_shannon::of_shares(&p, &q) <= 1.0 && hellinger::of_shares(&p, &q) <= 1.0);
    }

    #[test]
    fn tests_of_counts(a in counts(), b in counts(), turn in 0..5usize) {
        let turned = |list: &[u64]| [&list[turn..], &list[..turn]].concat();
        for test in [contingency::chi_square, contingency::g] {
            prop_assert_eq!(test(&a, &b).is_none(), a.iter().sum::<u64>() == 0 || b.iter().sum::<u64>() == 0);
            let Some(found) = test(&a, &b) else { continue };
            let (other, turned) = (test(&b, &a).unwrap(), test(&turned(&a), &turned(&b)).unwrap());
            prop_assert!(near(found.value, other.value) && near(found.value, turned.value));
            prop_assert!(found.value >= 0.0 && (0.0..=1.0).contains(&found.p_value) && test(&a, &a).unwrap().value.abs() < 1e-9);
        }
        let (kept_a, kept_b) = contingency::without_rare(&a, &b);
        prop_assert_eq!((kept_a.iter().sum::<u64>(), kept_b.iter().sum::<u64>()), (a.iter().sum(), b.iter().sum()));
        let z = contingency::z((a[0], a.iter().sum()), (b[0], b.iter().sum()));
        let back = contingency::z((b[0], b.iter().sum()), (a[0], a.iter().sum()));
        if let (Some(z), Some(back)) = (z, back) {
            // Two categories: Z² is χ².
            let two = |list: &[u64]| [list[0], list[1..].iter().sum()];
            prop_assert!(near(z.value, -back.value) && near(z.value * z.value, contingency::chi_square(&two(&a), &two(&b)).unwrap().value));
        }
    }

    #[test]
    fn bins_hold_all(a in sample(), b in sample(), bins_wanted in 1..40usize) {
        let (a, b) = (sorted(&a), sorted(&b));
        let (p, q) = bins::shares(&a, &b, bins_wanted).unwrap();
        prop_assert!(p.len() == bins_wanted && near(p.iter().sum(), 1.0) && near(q.iter().sum(), 1.0));
    }
}
