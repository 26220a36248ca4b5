//! Why a playbook scores what it scores, in lines.

use bellwether_model::recommendation::{Candidate, Reckoning, Recommendation};

use crate::report::words;

/// For each of the first `top` candidates and what came near: the features, the past runs, and what the score rests on.
pub fn lines(recommendation: &Recommendation, top: usize) -> Vec<String> {
    let candidates = recommendation.candidates.iter().take(top).chain(recommendation.near_misses.iter().take(top));
    candidates.flat_map(of).collect()
}

fn of(candidate: &Candidate) -> Vec<String> {
    let Some(reckoning) = &candidate.reckoning else {
        return vec![format!("why {}: its row is of before scores were told in numbers", candidate.playbook_id)];
    };
    let odds = reckoning.intercept + reckoning.terms.iter().map(|term| term.adds).sum::<f64>();
    let mut lines = vec![
        format!("why {} scores {}:", candidate.playbook_id, words::score(candidate.score)),
        format!("  {} to begin with, in log-odds", signed(reckoning.intercept)),
    ];
    for term in &reckoning.terms {
        lines.push(format!("  {} {} ({:.2})", signed(term.adds), meaning(&term.feature, reckoning), term.value));
    }
    lines.push(format!("  {} in all, which is a probability of {:.2}", signed(odds), reckoning.before));
    if (candidate.score - reckoning.before).abs() >= 0.005 {
        let how = if reckoning.helped > 0.0 { "by the calibration" } else { "because no run of it helped in a case like this" };
        lines.push(format!("  told as {} {how}", words::score(candidate.score)));
    }
    lines.push(format!("  calibration {}", reckoning.calibration));
    for run in &reckoning.cited {
        let same = if run.same.is_empty() { String::new() } else { format!(", the same {}", run.same.join(", ")) };
        lines.push(format!(
            "  {}  {}  {}, similarity {:.2}{same}, weighs {:.3}",
            words::when(run.ran_at),
            run.run_id,
            if run.outcome.is_empty() { "unknown" } else { &run.outcome },
            run.similarity,
            run.weight
        ));
    }
    lines
}

/// What a feature says, in words.
fn meaning(feature: &str, reckoning: &Reckoning) -> String {
    match feature {
        "success" => format!("for its past: {:.2} speaks for it by weight, {:.2} against", reckoning.helped, reckoning.failed),
        "share" => "for its part of all that helped in cases like this, as a logarithm".to_owned(),
        "symptoms" => "for how well its symptoms fit".to_owned(),
        "words" => "for the words of its description that are told".to_owned(),
        other => format!("for {other}"),
    }
}

fn signed(value: f64) -> String {
    format!("{value:+.2}")
}

#[cfg(test)]
mod tests {
    use bellwether_model::recommendation::{Cited, Term};
    use bellwether_model::time::Timestamp;

    use super::*;
    use crate::report::fixture;

    #[test]
    fn every_number_of_a_score_is_told() {
        let data = fixture::fleet();
        let mut recommendation = data.incidents.iter().find_map(|card| card.recommendation.clone()).unwrap();
        recommendation.candidates.truncate(1);
        recommendation.near_misses.clear();
        assert!(lines(&recommendation, 3)[0].contains("before scores were told"));
        recommendation.candidates[0].score = 0.5;
        recommendation.candidates[0].reckoning = Some(Reckoning {
            before: 0.62,
            calibration: "learned from 40 verified recommendations of this ledger".into(),
            intercept: -1.0,
            terms: vec![Term { feature: "success".into(), value: 2.0, adds: 1.5 }],
            helped: 3.0,
            failed: 0.25,
            cited: vec![Cited {
                run_id: "run-7".into(),
                outcome: "effective".into(),
                ran_at: Timestamp::from_secs(0),
                similarity: 0.81,
                weight: 0.5,
                same: vec!["ml/iris".into()],
            }],
        });
        let text = lines(&recommendation, 3).join("\n");
        for part in [
            "+1.50 for its past: 3.00 speaks for it by weight, 0.25 against (2.00)",
            "+0.50 in all, which is a probability of 0.62",
            "by the calibration",
            "learned from 40 verified",
            "run-7  effective, similarity 0.81, the same ml/iris, weighs 0.500",
        ] {
            assert!(text.contains(part), "{text}");
        }
    }
}
