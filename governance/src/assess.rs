//! What an executed plan did: compared with the checks before it, not only with their bounds.

use bellwether_model::execution::CheckResult;
use bellwether_model::outcome::Effect;
use bellwether_model::plan::PlannedCheck;
use bellwether_model::unit::Comparison;
use bellwether_model::verdict::Verdict;

/// The relative change, in the wrong direction, from which a failing check counts as worse than before.
pub const WORSE_BY: f64 = 0.1;

/// What was measured around an execution.
#[derive(Clone, Copy, Debug)]
pub struct Measured<'a> {
    /// The plan's checks.
    pub checks: &'a [PlannedCheck],
    /// Their results before the first step.
    pub before: &'a [CheckResult],
    /// Their results after the last measurement; for an undone plan, the one that triggered the undo.
    pub after: &'a [CheckResult],
    /// The verdict of each measurement since the last step, the last one included, oldest first.
    pub verdicts: &'a [Verdict],
}

/// The effect of an execution, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assessment {
    /// The effect.
    pub effect: Effect,
    /// In words, with the values.
    pub text: String,
}

/// What happened to one check.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Change {
    Holds,
    Unknown,
    StillFails,
    Worse,
}

/// The effect of an execution.
///
/// * harmful: a check fails that passed before, or that failed before and is worse by [`WORSE_BY`];
/// * ineffective: a check still fails;
/// * no_data: nothing was measured, or one check could not be;
/// * effective: every check passes.
///
/// The first that applies counts. Without a value from before, a failing check is ineffective: nothing shows that the plan
/// did it. A value that is not a number is never a success.
pub fn assess(measured: &Measured<'_>) -> Assessment {
    let mut worst = if measured.checks.is_empty() { Change::Unknown } else { Change::Holds };
    let mut words = Vec::new();
    for check in measured.checks {
        let after = measured.after.iter().find(|r| r.name == check.name);
        let before = measured.before.iter().find(|r| r.name == check.name).and_then(|r| r.value).or(after.and_then(|r| r.before));
        let (change, text) = compare(check, before.filter(|v| v.is_finite()), after);
        worst = worst.max(change);
        words.push(text);
    }
    if measured.checks.is_empty() {
        words.push("nothing was measured".to_owned());
    }
    let failed = measured.verdicts.iter().rev().skip(1).filter(|v| **v == Verdict::Fail).count();
    if failed > 0 && worst == Change::Holds {
        words.push(format!("after {failed} failed {}", if failed == 1 { "measurement" } else { "measurements" }));
    }
    let effect = match worst {
        Change::Holds => Effect::Effective,
        Change::Unknown => Effect::NoData,
        Change::StillFails => Effect::Ineffective,
        Change::Worse => Effect::Harmful,
    };
    Assessment { effect, text: words.join("; ") }
}

fn compare(check: &PlannedCheck, before: Option<f64>, after: Option<&CheckResult>) -> (Change, String) {
    let show = |value: f64| check.target.unit.show(value);
    let was = before.map_or_else(|| "unknown".to_owned(), show);
    let Some(value) = after.filter(|r| matches!(r.verdict, Verdict::Pass | Verdict::Fail)).and_then(|r| r.value).filter(|v| v.is_finite())
    else {
        return (Change::Unknown, after.map_or_else(|| format!("{} was not measured", check.name), |r| r.text.clone()));
    };
    let (change, word) = match before {
        _ if check.target.holds(value) => (Change::Holds, "holds"),
        None => (Change::StillFails, "fails"),
        Some(before) if check.target.holds(before) => (Change::Worse, "fails, and held before"),
        Some(before) if worsened(check.target.comparison, before, value) => (Change::Worse, "fails worse than before"),
        Some(_) => (Change::StillFails, "still fails"),
    };
    (change, format!("{} {was} → {} {word} ({})", check.name, show(value), check.target))
}

fn worsened(comparison: Comparison, before: f64, after: f64) -> bool {
    let wrong_way = match comparison {
        Comparison::Below | Comparison::AtMost => after - before,
        Comparison::Above | Comparison::AtLeast => before - after,
    };
    wrong_way > before.abs() * WORSE_BY
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, target: &str) -> PlannedCheck {
        PlannedCheck { name: name.into(), target: target.parse().unwrap(), query: String::new(), critical: true, rollback_trigger: true }
    }

    fn assessed(target: &str, before: Option<f64>, after: Option<f64>, verdicts: &[Verdict]) -> (Effect, String) {
        let check = check("latency_p95", target);
        let results = |value: Option<f64>| [CheckResult::judge(&check, value)];
        let (before, after) = (results(before), results(after));
        let a = assess(&Measured { checks: &[check], before: &before, after: &after, verdicts });
        (a.effect, a.text)
    }

    #[test]
    fn effects_follow_from_before_and_after() {
        use Verdict::{Fail, Pass};
        type Row<'a> = (&'a str, Option<f64>, Option<f64>, &'a [Verdict], Effect, &'a str);
        let table: [Row<'_>; 11] = [
            ("< 200ms", Some(0.28), Some(0.125), &[Pass], Effect::Effective, "latency_p95 280 ms → 125 ms holds (< 200ms)"),
            (
                "< 200ms",
                Some(0.28),
                Some(0.125),
                &[Fail, Fail, Pass],
                Effect::Effective,
                "latency_p95 280 ms → 125 ms holds (< 200ms); after 2 failed measurements",
            ),
            ("< 200ms", Some(0.12), Some(0.13), &[Pass], Effect::Effective, "latency_p95 120 ms → 130 ms holds (< 200ms)"),
            ("< 200ms", Some(0.125), Some(0.28), &[Fail], Effect::Harmful, "latency_p95 125 ms → 280 ms fails, and held before (< 200ms)"),
            ("< 200ms", Some(0.28), Some(0.40), &[Fail], Effect::Harmful, "latency_p95 280 ms → 400 ms fails worse than before (< 200ms)"),
            ("< 200ms", Some(0.28), Some(0.29), &[Fail], Effect::Ineffective, "latency_p95 280 ms → 290 ms still fails (< 200ms)"),
            ("< 200ms", None, Some(0.28), &[Fail], Effect::Ineffective, "latency_p95 unknown → 280 ms fails (< 200ms)"),
            ("< 200ms", Some(0.28), None, &[], Effect::NoData, "latency_p95: the query returned nothing"),
            ("< 200ms", Some(0.28), Some(f64::NAN), &[], Effect::NoData, "latency_p95: the query returned NaN"),
            (">= 50%", Some(0.4), Some(0.3), &[Fail], Effect::Harmful, "latency_p95 40 % → 30 % fails worse than before (>= 50%)"),
            (">= 50%", Some(f64::INFINITY), Some(0.3), &[Fail], Effect::Ineffective, "latency_p95 unknown → 30 % fails (>= 50%)"),
        ];
        for (target, before, after, verdicts, effect, text) in table {
            assert_eq!(assessed(target, before, after, verdicts), (effect, text.to_owned()));
        }
    }

    #[test]
    fn the_worst_check_decides_and_silence_is_no_success() {
        let checks = [check("a", "< 1"), check("b", "< 1")];
        let result = |name: &str, value: Option<f64>| CheckResult::judge(checks.iter().find(|c| c.name.as_str() == name).unwrap(), value);
        let effect =
            |before: &[CheckResult], after: &[CheckResult]| assess(&Measured { checks: &checks, before, after, verdicts: &[] }).effect;
        let held = [result("a", Some(0.5)), result("b", Some(0.5))];
        assert_eq!(effect(&held, &[result("a", Some(0.5)), result("b", Some(2.0))]), Effect::Harmful);
        assert_eq!(effect(&held, &[result("a", Some(0.5)), result("b", None)]), Effect::NoData);
        assert_eq!(effect(&held, &[result("a", Some(0.5))]), Effect::NoData, "a check without a result");
        assert_eq!(effect(&held, &[]), Effect::NoData);
        assert_eq!(effect(&[], &[result("a", Some(2.0)), result("b", None)]), Effect::Ineffective);
        assert_eq!(assess(&Measured { checks: &[], before: &[], after: &held, verdicts: &[] }).effect, Effect::NoData);
    }
}
