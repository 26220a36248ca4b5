//! Verifying: wait, measure, judge. Silence is never success.

use bellwether_model::execution::{CheckResult, ExecutionState};
use bellwether_model::plan::PlannedCheck;
use bellwether_model::time::{Span, Timestamp};
use bellwether_model::verdict::Verdict;

use super::{Next, Observations, StepError, enter};
use crate::journal::Journal;
use crate::journal::record::Record;

/// What the checks say together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Judgement {
    /// Everything that counts was measured and is as it should be.
    Good,
    /// A check that counts failed.
    Bad {
        /// Whether one of those that failed triggers rollback.
        rollback: bool,
    },
    /// Something that counts was not measured, or decides nothing.
    Open,
}

pub(super) async fn go_on(journal: &Journal, record: &Record, observed: &Observations, now: Timestamp) -> Result<Option<Next>, StepError> {
    let verification = &record.plan.body.verification;
    let due = record.entered_at + verification.stabilization;
    let last = due + verification.stabilization;
    let measured = observed.measured_at >= due && verification.checks.iter().all(|check| observed.values.contains_key(&check.name));
    if now < due || !measured {
        return Ok(Some(Next::Measure { at: due.max(now), checks: verification.checks.clone() }));
    }
    let results: Vec<CheckResult> = verification.checks.iter().map(|check| result(record, check, observed)).collect();
    let judgement = judge(&verification.checks, &results);
    if judgement == Judgement::Open && now < last {
        let again = Span::from_micros((verification.stabilization.micros() / 6).max(1_000_000));
        return Ok(Some(Next::Measure { at: (now + again).min(last), checks: verification.checks.clone() }));
    }
    let (to, why) = match judgement {
        Judgement::Good => (ExecutionState::Succeeded, "verified"),
        Judgement::Bad { rollback: true } if verification.automatic_rollback => {
            (ExecutionState::RollingBack, "it made things worse or did not help")
        }
        Judgement::Bad { .. } => (ExecutionState::Failed, "verification failed, and the blueprint asks for no rollback"),
        Judgement::Open if verification.automatic_rollback => (ExecutionState::RollingBack, "it could not be verified in time"),
        Judgement::Open => (ExecutionState::Failed, "it could not be verified in time, and the blueprint asks for no rollback"),
    };
    enter(journal, record, to, format!("{why}: {}", told(&results)), results, now).await?;
    Ok(None)
}

fn result(record: &Record, check: &PlannedCheck, observed: &Observations) -> CheckResult {
    let mut result = CheckResult::judge(check, observed.values.get(&check.name).copied().flatten());
    result.before = record.baseline.get(&check.name).copied();
    result
}

/// Checks that are neither critical nor trigger rollback do not count, unless there are no others.
fn judge(checks: &[PlannedCheck], results: &[CheckResult]) -> Judgement {
    let counts = |check: &PlannedCheck| check.critical || check.rollback_trigger;
    let none_counts = !checks.iter().any(counts);
    let counted: Vec<(&PlannedCheck, Verdict)> = checks
        .iter()
        .zip(results)
        .filter(|(check, _)| none_counts || counts(check))
        .map(|(check, result)| (check, result.verdict))
        .collect();
    match Verdict::all(counted.iter().map(|(_, verdict)| *verdict)) {
        Verdict::Pass => Judgement::Good,
        Verdict::Fail => {
            Judgement::Bad { rollback: counted.iter().any(|(check, verdict)| check.rollback_trigger && *verdict == Verdict::Fail) }
        }
        Verdict::NoData | Verdict::Inconclusive => Judgement::Open,
    }
}

fn told(results: &[CheckResult]) -> String {
    let texts: Vec<&str> = results.iter().map(|result| result.text.as_str()).collect();
    if texts.is_empty() { "the plan has no checks".to_owned() } else { texts.join("; ") }
}

#[cfg(test)]
mod tests {
    use bellwether_model::id::CheckName;

    use super::Judgement::*;
    use super::*;

    #[test]
    fn only_a_measured_pass_of_all_that_counts_is_good() {
        let check = |name: &str, critical: bool, rollback_trigger: bool| PlannedCheck {
            name: CheckName::new(name),
            target: "< 1".parse().unwrap(),
            query: name.into(),
            critical,
            rollback_trigger,
        };
        let checks = [check("a", true, true), check("b", true, false), check("c", false, false)];
        let (pass, fail, nan) = (Some(0.5), Some(2.0), Some(f64::NAN));
        for (values, says) in [
            ([pass, pass, pass], Good),
            ([pass, pass, fail], Good),
            ([pass, pass, None], Good),
            ([fail, pass, pass], Bad { rollback: true }),
            ([pass, fail, pass], Bad { rollback: false }),
            ([fail, None, pass], Bad { rollback: true }),
            ([None, pass, pass], Open),
            ([nan, pass, pass], Open),
            ([pass, None, pass], Open),
        ] {
            let results: Vec<CheckResult> = checks.iter().zip(values).map(|(c, v)| CheckResult::judge(c, v)).collect();
            assert_eq!(judge(&checks, &results), says, "{values:?}");
        }
        assert_eq!(judge(&[], &[]), Open, "nothing to check proves nothing");
        let minor = [check("c", false, false)];
        assert_eq!(judge(&minor, &[CheckResult::judge(&minor[0], None)]), Open);
    }
}
