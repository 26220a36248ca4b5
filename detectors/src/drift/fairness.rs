//! Whether a classifier treats groups alike: demographic parity, equal opportunity, equalised odds (Hardt et al., 2016).
//!
//! A rate of a small group is known badly, so every figure has limits, and the verdict is of the limits: unfair or fair only where both of them
//! say so, inconclusive between. With more than two groups the limits are widened for the number of pairs (Bonferroni).

use std::collections::BTreeMap;

use bellwether_model::verdict::Verdict;
use serde::{Deserialize, Serialize};

use crate::drift::interval::{Interval, deviate, difference, ratio, share};

/// What counts as fair; every key may be left out.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FairnessRule {
    /// The smallest ratio of selection rates that is fair (the four-fifths rule of the US EEOC, 1978). Default 0.8.
    pub ratio: f64,
    /// The largest difference of rates that is fair, for opportunity and odds. Default 0.1.
    pub difference: f64,
    /// The fewest rows a group needs to be compared. Default 30.
    pub rows: u64,
    /// The probability with which a true figure lies outside its limits. Default 0.05.
    pub doubt: f64,
}

impl Default for FairnessRule {
    fn default() -> Self {
        Self { ratio: 0.8, difference: 0.1, rows: 30, doubt: 0.05 }
    }
}

/// One decision about someone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decided<'a> {
    /// The group, a value of the protected attribute.
    pub group: &'a str,
    /// Whether the classifier chose them.
    pub chosen: bool,
    /// Whether it should have, once that is known.
    pub label: Option<bool>,
}

/// A group's rates; `None` without rows to have one of.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rates {
    /// How many rows.
    pub rows: u64,
    /// Share that was chosen.
    pub selection: Option<Interval>,
    /// Share that was chosen of those who should have been.
    pub true_positive: Option<Interval>,
    /// Share that was chosen of those who should not have been.
    pub false_positive: Option<Interval>,
    /// Whether it has enough rows to be compared.
    pub is_compared: bool,
}

/// The largest gap of a rate between two groups.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gap {
    /// The group with the highest rate.
    pub highest: String,
    /// The group with the lowest rate.
    pub lowest: String,
    /// Highest less lowest.
    pub difference: Interval,
    /// Lowest divided by highest; `None` when both are 0.
    pub ratio: Option<Interval>,
    /// `pass` or `fail` where both limits are on that side of the rule's line, else `inconclusive`.
    pub verdict: Verdict,
}

/// How alike groups are treated. A gap is `None` with fewer than two groups that can be compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fairness {
    /// Each group.
    pub groups: BTreeMap<String, Rates>,
    /// Demographic parity: selection rates; judged by their ratio.
    pub parity: Option<Gap>,
    /// Equal opportunity: true positive rates; judged by their difference.
    pub opportunity: Option<Gap>,
    /// What equalised odds adds: false positive rates; judged by their difference.
    pub false_alarms: Option<Gap>,
}

impl Fairness {
    /// Equalised odds: the worse of both its gaps; no data where one is missing.
    pub fn odds(&self) -> Verdict {
        match (&self.opportunity, &self.false_alarms) {
            (Some(a), Some(b)) => worse(a.verdict, b.verdict),
            _ => Verdict::NoData,
        }
    }
}

fn worse(a: Verdict, b: Verdict) -> Verdict {
    match (a, b) {
        (Verdict::Fail, _) | (_, Verdict::Fail) => Verdict::Fail,
        (Verdict::Pass, Verdict::Pass) => Verdict::Pass,
        _ => Verdict::Inconclusive,
    }
}

#[derive(Clone, Copy, Default)]
struct Tally {
    rows: u64,
    chosen: u64,
    positive: u64,
    chosen_positive: u64,
    negative: u64,
    chosen_negative: u64,
}

/// Judges how groups are treated.
pub fn fairness<'a>(decisions: impl IntoIterator<Item = Decided<'a>>, rule: &FairnessRule) -> Fairness {
    let mut tallies: BTreeMap<&str, Tally> = BTreeMap::new();
    for Decided { group, chosen, label } in decisions {
        let tally = tallies.entry(group).or_default();
        let hit = u64::from(chosen);
        tally.rows += 1;
        tally.chosen += hit;
        match label {
            Some(true) => (tally.positive, tally.chosen_positive) = (tally.positive + 1, tally.chosen_positive + hit),
            Some(false) => (tally.negative, tally.chosen_negative) = (tally.negative + 1, tally.chosen_negative + hit),
            None => {}
        }
    }
    let compared = tallies.values().filter(|t| t.rows >= rule.rows).count();
    let pairs = (compared * compared.saturating_sub(1) / 2).max(1);
    let z = deviate(rule.doubt / pairs as f64);
    let rates = |t: &Tally| Rates {
        rows: t.rows,
        selection: share(t.chosen, t.rows, z),
        true_positive: share(t.chosen_positive, t.positive, z),
        false_positive: share(t.chosen_negative, t.negative, z),
        is_compared: t.rows >= rule.rows,
    };
    let groups: BTreeMap<String, Rates> = tallies.iter().map(|(name, tally)| ((*name).to_owned(), rates(tally))).collect();
    let by_difference = |gap: &Gap| judged(-gap.difference.upper, -gap.difference.lower, -rule.difference);
    let by_ratio = |gap: &Gap| gap.ratio.map_or(Verdict::Pass, |r| judged(r.lower, r.upper, rule.ratio));
    Fairness {
        parity: gap(&groups, |r| r.selection, by_ratio),
        opportunity: gap(&groups, |r| r.true_positive, by_difference),
        false_alarms: gap(&groups, |r| r.false_positive, by_difference),
        groups,
    }
}

/// Where a figure that may be from `lower` to `upper` is to be at least `line`.
fn judged(lower: f64, upper: f64, line: f64) -> Verdict {
    match () {
        () if lower >= line => Verdict::Pass,
        () if upper < line => Verdict::Fail,
        () => Verdict::Inconclusive,
    }
}

fn gap(groups: &BTreeMap<String, Rates>, rate: impl Fn(&Rates) -> Option<Interval>, verdict: impl Fn(&Gap) -> Verdict) -> Option<Gap> {
    let known: Vec<(&String, Interval)> =
        groups.iter().filter(|(_, r)| r.is_compared).filter_map(|(name, r)| Some((name, rate(r)?))).collect();
    if known.len() < 2 {
        return None;
    }
    let highest = known.iter().max_by(|a, b| a.1.value.total_cmp(&b.1.value).then(b.0.cmp(a.0)))?;
    let lowest = known.iter().filter(|k| k.0 != highest.0).min_by(|a, b| a.1.value.total_cmp(&b.1.value))?;
    let mut gap = Gap {
        highest: highest.0.clone(),
        lowest: lowest.0.clone(),
        difference: difference(highest.1, lowest.1),
        ratio: ratio(lowest.1, highest.1),
        verdict: Verdict::Inconclusive,
    };
    gap.verdict = verdict(&gap);
    Some(gap)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many of a group: chosen and right, chosen and wrong, passed over and wrong, passed over and right.
    fn group(name: &str, counts: [usize; 4]) -> Vec<Decided<'_>> {
        let kinds = [(true, true), (true, false), (false, true), (false, false)];
        let of = |((chosen, label), n): ((bool, bool), usize)| vec![Decided { group: name, chosen, label: Some(label) }; n];
        kinds.into_iter().zip(counts).flat_map(of).collect()
    }

    fn judge(groups: &[(&'static str, [usize; 4])]) -> Fairness {
        fairness(groups.iter().flat_map(|(name, counts)| group(name, *counts)), &FairnessRule::default())
    }

    /// By hand: selection .6 and .3, true positive rates .8 and .5, false positive rates .4 and .1.
    #[test]
    fn known_gaps() {
        let found = judge(&[("men", [400, 200, 100, 300]), ("women", [250, 50, 250, 450])]);
        let parity = found.parity.clone().unwrap();
        assert_eq!((parity.highest.as_str(), parity.lowest.as_str(), parity.verdict), ("men", "women", Verdict::Fail));
        assert!((parity.difference.value - 0.3).abs() < 1e-12 && (parity.ratio.unwrap().value - 0.5).abs() < 1e-12);
        assert!((found.opportunity.as_ref().unwrap().difference.value - 0.3).abs() < 1e-12);
        assert!((found.false_alarms.as_ref().unwrap().difference.value - 0.3).abs() < 1e-12);
        assert_eq!(found.odds(), Verdict::Fail);
    }

    #[test]
    fn small_groups_prove_little() {
        let alike = judge(&[("a", [4_000, 1_000, 1_000, 4_000]), ("b", [2_000, 500, 500, 2_000])]);
        assert_eq!((alike.parity.as_ref().map(|g| g.verdict), alike.odds()), (Some(Verdict::Pass), Verdict::Pass));
        let few = judge(&[("a", [400, 100, 100, 400]), ("b", [12, 2, 6, 15])]);
        assert_eq!(few.parity.unwrap().verdict, Verdict::Inconclusive);
        let fewer = judge(&[("a", [400, 100, 100, 400]), ("b", [2, 0, 6, 5])]);
        assert!(fewer.parity.is_none() && !fewer.groups["b"].is_compared && fewer.groups["b"].selection.is_some());
        assert_eq!((fewer.odds(), judge(&[]).odds()), (Verdict::NoData, Verdict::NoData));
    }

    #[test]
    fn nobody_chosen_and_no_labels() {
        let none = judge(&[("a", [0, 0, 50, 50]), ("b", [0, 0, 50, 50])]).parity.unwrap();
        assert!(none.ratio.is_none() && none.verdict == Verdict::Pass && none.difference.value == 0.0);
        let unlabelled = ["a", "b"].into_iter().flat_map(|group| vec![Decided { group, chosen: true, label: None }; 40]);
        let found = fairness(unlabelled, &FairnessRule::default());
        assert!(found.opportunity.is_none() && found.parity.is_some_and(|g| g.verdict == Verdict::Pass));
    }

    #[test]
    fn more_groups_need_wider_limits() {
        let two = judge(&[("a", [60, 0, 0, 40]), ("b", [40, 0, 0, 60])]).parity.unwrap().difference;
        let four =
            judge(&[("a", [60, 0, 0, 40]), ("b", [40, 0, 0, 60]), ("c", [50, 0, 0, 50]), ("d", [50, 0, 0, 50])]).parity.unwrap().difference;
        assert!(four.lower < two.lower && four.upper > two.upper && four.value == two.value);
    }
}
