//! Everything that the ledger has learned of playbooks: past runs, verified outcomes, persons' words, and how stated scores came true.

use bellwether_embeddings::Experience;
use bellwether_embeddings::calibration::{Calibration, stated};
use bellwether_model::id::{PlanId, PlaybookId};
use bellwether_model::outcome::Outcome;
use bellwether_model::recommendation::Recommendation;
use bellwether_model::run::Run;
use bellwether_model::time::{Span, Timestamp};
use bellwether_sql::literal::instant;
use bellwether_sql::{Session, SqlError};
use serde::Deserialize;

/// How far back stated scores are held against what came of them.
const CALIBRATED_OVER: Span = Span::from_days(180);

/// A person's word on a playbook, by a plan.
#[derive(Debug, Deserialize)]
struct Word {
    plan_id: PlanId,
    /// The plan's playbook.
    playbook_id: PlaybookId,
    /// What was recommended first, where anything was.
    recommended: Option<PlaybookId>,
    summary: String,
    said_at: Timestamp,
    is_rejected: bool,
}

/// A plan whose playbook is not the one that was recommended first was made by a person: rounds plan the first alone. A rejected approval
/// is a person's word, too. The words of one plan are each one row.
const WORDS: &str = "\
    WITH planned AS (SELECT plan_id, min(recorded_at) AS planned_at, max(json_get(body, 'incident_id')) AS incident_id, \
      max(json_get(body, 'playbook_id')) AS playbook_id, max(json_get(body, 'recommendation_id')) AS recommendation_id \
      FROM plans GROUP BY plan_id), \
    first AS (SELECT recommendation_id, max(json_get(candidates, '0.playbook_id')) AS recommended FROM recommendations GROUP BY recommendation_id), \
    known AS (SELECT p.plan_id, p.planned_at, p.incident_id, p.playbook_id, f.recommended, i.summary FROM planned p \
      JOIN incidents_current i ON i.incident_id = p.incident_id LEFT JOIN first f ON f.recommendation_id = p.recommendation_id) \
    SELECT plan_id, playbook_id, recommended, summary, planned_at AS said_at, false AS is_rejected FROM known \
      WHERE recommended IS NULL OR recommended <> playbook_id \
    UNION ALL \
    SELECT k.plan_id, k.playbook_id, k.recommended, k.summary, a.recorded_at AS said_at, true AS is_rejected \
      FROM known k JOIN approvals_current a ON a.plan_id = k.plan_id WHERE NOT a.approved \
    ORDER BY said_at, plan_id, is_rejected";

/// Past runs and verified outcomes as experience, and with them what persons said of plans: who rejects a plan speaks against its playbook;
/// who plans another playbook than the one recommended first speaks for that one and against the first.
///
/// # Errors
/// The ledger cannot be read.
pub async fn experience(session: &Session, runs: &[Run], outcomes: &[Outcome]) -> Result<Vec<Experience>, SqlError> {
    let words: Vec<Word> = session.rows(WORDS).await?;
    let ran = runs.iter().filter_map(Experience::of_run).chain(outcomes.iter().map(Experience::of_outcome));
    Ok(ran.chain(words.iter().flat_map(said)).collect())
}

fn said(word: &Word) -> Vec<Experience> {
    let of = |how: &str, playbook: &PlaybookId, is_chosen: bool| {
        Experience::of_word(format!("{}:{how}", word.plan_id), playbook.clone(), is_chosen, word.said_at, &word.summary)
    };
    if word.is_rejected {
        return vec![of("rejected", &word.playbook_id, false)];
    }
    let passed_over = word.recommended.iter().map(|first| of("passed-over", first, false));
    std::iter::once(of("chosen", &word.playbook_id, true)).chain(passed_over).collect()
}

/// What the scores that were stated in the last 180 days came to.
///
/// # Errors
/// The ledger cannot be read.
pub async fn calibration(session: &Session, outcomes: &[Outcome]) -> Result<Calibration, SqlError> {
    let since = instant(session.horizon() - CALIBRATED_OVER);
    let recommendations: Vec<Recommendation> = session
        .rows(&format!(
            "SELECT * FROM recommendations WHERE recorded_at >= {since} AND incident_id IN (SELECT incident_id FROM outcomes_current) \
             ORDER BY recorded_at, recommendation_id"
        ))
        .await?;
    Ok(Calibration::learn(&stated(&recommendations, outcomes)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bellwether_lake::{Lake, tables};
    use bellwether_model::decision::Approval;
    use bellwether_model::digest::Digest;
    use bellwether_model::id::EndpointId;
    use bellwether_model::incident::Incident;
    use bellwether_model::inventory::Entity;
    use bellwether_model::plan::{Plan, PlanBody, Verification};
    use bellwether_model::round::Round;
    use bellwether_sql::SessionOptions;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_person_speaks_for_what_was_chosen_and_against_what_was_not() {
        let word = |recommended: Option<&str>, is_rejected: bool| Word {
            plan_id: PlanId::new("plan-1"),
            playbook_id: PlaybookId::new("scale-up"),
            recommended: recommended.map(PlaybookId::new),
            summary: "latency_p95 up on endpoint ml/iris".into(),
            said_at: Timestamp::from_secs(9),
            is_rejected,
        };
        let told =
            |word: &Word| said(word).into_iter().map(|e| format!("{} {} {}", e.run_id, e.playbook_id, e.outcome)).collect::<Vec<_>>();
        assert_eq!(told(&word(Some("rollback"), false)), ["plan-1:chosen scale-up chosen", "plan-1:passed-over rollback rejected"]);
        assert_eq!(told(&word(None, false)), ["plan-1:chosen scale-up chosen"]);
        assert_eq!(told(&word(Some("scale-up"), true)), ["plan-1:rejected scale-up rejected"]);
        assert!(said(&word(None, true))[0].context.things.contains("ml/iris"));
    }

    fn of<T: serde::de::DeserializeOwned>(value: serde_json::Value) -> T {
        serde_json::from_value(value).unwrap()
    }

    #[tokio::test]
    async fn a_ledgers_plans_and_rejections_become_experience() {
        let dir = tempfile::tempdir().unwrap();
        let lake = Lake::open(dir.path().to_str().unwrap(), &BTreeMap::new()).await.unwrap();
        let at = |minute: i64| Timestamp::from_secs(1_700_000_000 + 60 * minute);
        let incident: Incident = of(json!({
            "incident_id": "inc-1", "state": "opened", "opened_at": at(0), "last_at": at(0), "closed_at": null, "severity": "warning", "score": 2.0,
            "title": "slow", "summary": "latency_p95 up on endpoint ml/iris", "root": null, "entities": [], "endpoints": [], "signals": [],
            "symptoms": [], "preceding_changes": [], "round_id": "rnd-1", "recorded_at": at(1)
        }));
        lake.append_rows(&tables::INCIDENTS, &[incident], &[]).await.unwrap();
        let recommendation: Recommendation = of(json!({
            "recommendation_id": "rec-1", "incident_id": "inc-1", "abstained": null, "near_misses": [], "excluded": [], "round_id": "rnd-1",
            "recorded_at": at(1), "candidates": [{"playbook_id": "scale-up", "score": 0.8, "justification": "", "similarity": 0.9,
                "success_rate": 0.8, "evidence": []}]
        }));
        lake.append_rows(&tables::RECOMMENDATIONS, &[recommendation], &[]).await.unwrap();
        let plan = |playbook: &str, minute: i64| {
            let body = PlanBody {
                incident_id: "inc-1".into(),
                recommendation_id: "rec-1".into(),
                playbook_id: playbook.into(),
                playbook_digest: Digest::ZERO,
                service: "iris".into(),
                blueprint_version: "1".into(),
                blueprint_digest: Digest::ZERO,
                target: Entity::Endpoint(EndpointId::new("ml", "iris")),
                steps: Vec::new(),
                verification: Verification { stabilization: Span::from_secs(60), checks: Vec::new(), automatic_rollback: true },
                confidence: 0.8,
            };
            Plan::seal(body, "rnd-1".into(), at(minute)).unwrap()
        };
        let (first, other) = (plan("scale-up", 2), plan("rollback", 3));
        lake.append_rows(&tables::PLANS, &[first.clone(), other.clone()], &[]).await.unwrap();
        let rejected: Approval = of(json!({
            "plan_id": first.plan_id, "plan_digest": first.digest, "approver": "ann", "role": "org-admin", "approved": false, "comment": null,
            "expires_at": at(9), "recorded_at": at(4)
        }));
        lake.append_rows(&tables::APPROVALS, &[rejected], &[]).await.unwrap();
        let round: Round = of(json!({
            "round_id": "rnd-1", "as_of": at(1), "versions": {}, "seed": 0, "config_digest": Digest::ZERO, "result_digest": Digest::ZERO,
            "series": 0, "samples": 0, "signals": 0, "incidents": 1, "recommendations": 1, "skipped": {}, "started_at": at(1), "recorded_at": at(1)
        }));
        lake.append_rows(&tables::ROUNDS, &[round], &[]).await.unwrap();
        let session = Session::open(&lake.snapshot().await.unwrap(), SessionOptions::at(at(60))).await.unwrap();
        let found = experience(&session, &[], &[]).await.unwrap();
        let told: Vec<String> = found.iter().map(|e| format!("{} {} {}", e.run_id, e.playbook_id, e.outcome)).collect();
        let expected = [
            format!("{}:chosen rollback chosen", other.plan_id),
            format!("{}:passed-over scale-up rejected", other.plan_id),
            format!("{}:rejected scale-up rejected", first.plan_id),
        ];
        assert_eq!(told, expected);
        assert_eq!(found[2].ran_at, at(4));
        assert!(!calibration(&session, &[]).await.unwrap().is_learned());
    }
}
