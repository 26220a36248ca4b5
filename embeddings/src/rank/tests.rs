use bellwether_model::digest::Digest;
use bellwether_model::id::{IncidentId, PlaybookId, RoundId, RunId};
use bellwether_model::incident::IncidentState;
use bellwether_model::playbook::{Action, Safety, TargetKind};
use bellwether_model::signal::Severity;
use proptest::prelude::*;

use super::*;
use crate::experience::Experience;

const NOW: Timestamp = Timestamp::from_secs(2_000_000_000);

pub(crate) fn incident() -> Incident {
    Incident {
        incident_id: IncidentId::new("inc-1"),
        state: IncidentState::Opened,
        opened_at: NOW,
        last_at: NOW,
        closed_at: None,
        severity: Severity::Warning,
        score: 3.0,
        title: "ml/iris: p95 latency 3.4 × expected, and 1 more".into(),
        summary: "latency_p95 up, queue_depth up on endpoint ml/iris (gpu A100). latency_p95 is 680 ms, 200 ms expected.".into(),
        root: None,
        entities: Vec::new(),
        endpoints: Vec::new(),
        signals: Vec::new(),
        symptoms: vec!["latency_p95".into(), "queue_depth".into()],
        preceding_changes: Vec::new(),
        round_id: RoundId::new("rnd-1"),
        recorded_at: NOW,
    }
}

fn playbook(id: &str, symptoms: &[&str]) -> Playbook {
    Playbook {
        id: PlaybookId::new(id),
        name: id.into(),
        description: String::new(),
        version: "1".into(),
        target: TargetKind::Endpoint,
        symptoms: symptoms.iter().map(|s| (*s).to_owned()).collect(),
        tags: Vec::new(),
        safety: Safety::default(),
        preconditions: Vec::new(),
        actions: vec![Action::Advise { text: "look".into() }],
        digest: Digest::ZERO,
    }
}

fn past(run: usize, playbook: &str, similarity: f64, outcome: &str, days_ago: i64) -> Match {
    Match {
        incident_id: IncidentId::new("inc-1"),
        run_id: RunId::new(format!("run-{run}")),
        playbook_id: PlaybookId::new(playbook),
        similarity,
        outcome: outcome.into(),
        ran_at: Timestamp::from_secs(NOW.secs() - days_ago * 86_400),
        embedder_id: "hashing-v1-512".into(),
        round_id: RoundId::new("rnd-1"),
        recorded_at: NOW,
    }
}

fn at() -> Moment {
    Moment { round_id: RoundId::new("rnd-1"), now: NOW }
}

/// Ranks what happened, without a context and as shipped.
fn ranked(matches: &[Match], playbooks: &[Playbook], exclusions: &[Exclusion], top: usize) -> Recommendation {
    let (experience, calibration) = (Runs::default(), Calibration::default());
    rank(&incident(), &Grounds { matches, experience: &experience, playbooks, exclusions, calibration: &calibration }, &at(), top)
}

fn score(matches: &[Match], id: &str) -> f64 {
    let books = [playbook("scale-up", &[]), playbook("rollback", &[])];
    let found = ranked(matches, &books, &[], 9);
    found.candidates.iter().chain(&found.near_misses).find(|c| c.playbook_id.as_str() == id).map_or(0.0, |c| c.score)
}

#[test]
fn experience_wins_and_is_cited() {
    let mut matches: Vec<Match> = (0..14).map(|i| past(i, "scale-up", 0.81, "effective", 3 + i as i64)).collect();
    matches.extend([
        past(14, "scale-up", 0.8, "ineffective", 9),
        past(15, "scale-up", 0.8, "harmful", 9),
        past(16, "scale-up", 0.8, "no_data", 1),
    ]);
    matches.push(past(17, "rollback", 0.5, "effective", 10));
    let books = [playbook("rollback", &[]), playbook("scale-up", &["latency_*", "queue_depth", "request_rate"])];
    let found = ranked(&matches, &books, &[], 5);
    let best = &found.candidates[0];
    assert_eq!(best.playbook_id.as_str(), "scale-up");
    assert!((0.4..0.9).contains(&best.score), "{}", best.score);
    assert_eq!(
        best.justification,
        "worked in 14 of 16 similar past incidents (run-0, run-1, run-10, …; similarity 0.81); made things worse in 1; matches latency_p95, queue_depth; last used 3d ago"
    );
    assert_eq!(best.evidence.len(), 16);
    assert_eq!(found.abstained, None);
}

#[test]
fn scores_say_how_sure_it_is() {
    let many = |n: usize, outcome: &str, similarity: f64, days: i64| {
        (0..n).map(|i| past(i, "scale-up", similarity, outcome, days)).collect::<Vec<_>>()
    };
    let one = score(&many(1, "effective", 0.9, 1), "scale-up");
    let ten = score(&many(10, "effective", 0.9, 1), "scale-up");
    assert!(one > LEAST_SCORE && one < 0.5 && ten > 0.7, "{one} {ten}");
    assert!(score(&many(10, "effective", 0.4, 1), "scale-up") < ten - 0.15, "unlike runs say less");
    assert!(score(&many(3, "effective", 0.9, 400), "scale-up") < score(&many(3, "effective", 0.9, 1), "scale-up"), "old runs say less");
    assert_eq!(score(&many(10, "ineffective", 0.9, 1), "scale-up"), 0.0);
    assert_eq!(score(&many(10, "no_data", 0.9, 1), "scale-up"), 0.0);
    assert_eq!(score(&many(10, "", 0.9, 1), "scale-up"), 0.0);
    assert_eq!(score(&many(10, "effective", 0.2, 1), "scale-up"), 0.0, "too unlike to count");
    assert_eq!(score(&many(10, "effective", 0.9, -1), "scale-up"), 0.0, "the future is not seen");
    let mixed = |word: &str| score(&[many(4, "effective", 0.9, 1), vec![past(9, "scale-up", 0.9, word, 1)]].concat(), "scale-up");
    assert!(mixed("harmful") < mixed("ineffective") && mixed("ineffective") < mixed("no_data"));
    let alike_failures = [vec![past(99, "scale-up", 0.81, "effective", 1)], many(10, "ineffective", 0.8, 1)].concat();
    assert!(score(&alike_failures, "scale-up") < LEAST_SCORE, "one lucky run does not hide ten failures");
}

#[test]
fn the_wilson_bound_solves_its_equation() {
    // The bound is the p below p̂ = 0.8 for which (p̂ - p)² = z² p (1 - p) / n.
    let p = wilson(8.0, 2.0);
    assert!(p < 0.8 && ((0.8 - p) * (0.8 - p) - Z * Z * p * (1.0 - p) / 10.0).abs() < 1e-12, "{p}");
    assert_eq!(wilson(0.0, 0.0), 0.0);
    assert!(wilson(0.0, 5.0) < 1e-12);
}

#[test]
fn without_experience_the_playbooks_own_words_decide() {
    let mut talks = playbook("talks", &[]);
    talks.description = "queue depth and latency up".into();
    let books = [
        playbook("fits", &["latency_p95", "queue_depth"]),
        playbook("half", &["latency_*", "gpu_xid_errors"]),
        talks,
        playbook("other", &["disk_full"]),
    ];
    let found = ranked(&[], &books, &[], 5);
    let names: Vec<&str> = found.candidates.iter().map(|c| c.playbook_id.as_str()).collect();
    assert_eq!(names, ["fits", "talks", "half"]);
    assert!((0.25..=COLD_START).contains(&found.candidates[0].score), "{}", found.candidates[0].score);
    assert_eq!(found.candidates[0].justification, "no past run of it resembles this; matches latency_p95, queue_depth");
    // Failures take the benefit of the doubt away.
    let failures: Vec<Match> = (0..3).map(|i| past(i, "fits", 0.9, "harmful", 1)).collect();
    let after = ranked(&failures, &books, &[], 5);
    let after: Vec<&Candidate> = after.candidates.iter().chain(&after.near_misses).filter(|c| c.playbook_id.as_str() == "fits").collect();
    assert!(after[0].score < found.candidates[0].score / 2.0, "{}", after[0].score);
}

#[test]
fn it_abstains_and_says_why() {
    let none = ranked(&[], &[playbook("other", &["disk_full"])], &[], 3);
    assert!(none.candidates.is_empty() && none.near_misses.is_empty());
    assert!(none.abstained.unwrap().starts_with("nothing like this is known"));

    let failures: Vec<Match> = (0..9).map(|i| past(i, "other", 0.9, "ineffective", 1)).collect();
    let weak = ranked(&failures, &[playbook("other", &[])], &[], 3);
    assert_eq!(weak.abstained.unwrap(), "the best of 1 playbooks, other, scores 0.00; 0.10 is needed");
    assert!(weak.near_misses[0].justification.starts_with("worked in 0 of 9"));

    let exclusion = Exclusion { playbook_id: PlaybookId::new("fits"), reason: "max_replicas < 20 does not hold".into() };
    let shut = ranked(&[], &[playbook("fits", &["latency_p95"])], std::slice::from_ref(&exclusion), 3);
    let why = shut.abstained.unwrap();
    assert!(
        why.starts_with("none of the 1 playbooks applies; fits would score 0.") && why.ends_with("but max_replicas < 20 does not hold"),
        "{why}"
    );
    assert_eq!(shut.excluded, std::slice::from_ref(&exclusion));
    let runs: Vec<Match> = (0..9).map(|i| past(i, "fits", 0.9, "effective", 1)).collect();
    let other = [playbook("fits", &[]), playbook("other", &["disk_full"])];
    let why = ranked(&runs, &other, std::slice::from_ref(&exclusion), 3).abstained.unwrap();
    assert!(
        why.starts_with("none of 1 playbooks that apply was run in anything like this") && why.contains("fits would score 0."),
        "{why}"
    );
    assert_eq!(ranked(&[], &[], &[], 3).abstained.as_deref(), Some("there are no playbooks to choose from (docs/playbooks.md)"));
}

#[test]
fn of_many_only_the_best_are_named() {
    let books: Vec<Playbook> = (0..6).map(|i| playbook(&format!("p{i}"), &["latency_p95"])).collect();
    let found = ranked(&[], &books, &[], 2);
    assert_eq!(found.candidates.iter().map(|c| c.playbook_id.as_str()).collect::<Vec<_>>(), ["p0", "p1"]);
    assert_eq!(found.recommendation_id, ranked(&[], &books, &[], 2).recommendation_id);
    assert_ne!(found.recommendation_id, ranked(&[], &books, &[], 1).recommendation_id);
}

fn any_match() -> impl Strategy<Value = Match> {
    let word = prop_oneof![Just("effective"), Just("ineffective"), Just("harmful"), Just("no_data"), Just("")];
    (0_usize..40, prop_oneof![Just("scale-up"), Just("rollback")], 0.0_f64..1.0, word, -2_i64..400)
        .prop_map(|(r, p, s, w, d)| past(r, p, s, w, d))
}

proptest! {
    #[test]
    fn the_order_of_matches_does_not_matter((a, b) in proptest::collection::vec(any_match(), 0..30).prop_flat_map(|v| (Just(v.clone()), Just(v).prop_shuffle()))) {
        let books = [playbook("scale-up", &["latency_*"]), playbook("rollback", &[])];
        let reversed: Vec<Playbook> = books.iter().rev().cloned().collect();
        let found = ranked(&a, &books, &[], 9);
        prop_assert_eq!(&found, &ranked(&b, &reversed, &[], 9));
        prop_assert!(found.candidates.iter().chain(&found.near_misses).all(|c| (0.0..=1.0).contains(&c.score) && c.similarity.is_finite()));
    }

    #[test]
    fn success_never_lowers_and_harm_never_raises(matches in proptest::collection::vec(any_match(), 0..20), similarity in 0.0_f64..1.0, days in 0_i64..400) {
        let before = score(&matches, "scale-up");
        let with = |word| score(&[matches.clone(), vec![past(1000, "scale-up", similarity, word, days)]].concat(), "scale-up");
        prop_assert!(with("effective") >= before - 1e-12);
        prop_assert!(with("ineffective") <= before + 1e-12);
        prop_assert!(with("harmful") <= before + 1e-12);
        prop_assert_eq!(with("no_data"), before);
    }
}

/// Incidents as correlation words them, and past runs as people word them: each finds what helped.
#[test]
fn each_kind_of_trouble_finds_its_playbook() {
    let incidents = [
        (
            "scale-up",
            "latency_p95 up, queue_depth up, request_rate up, gpu_utilization up on endpoint ml/iris (gpu A100, runtime kserve-vllmserver). latency_p95 of ml/iris is 680 ms, 210 ms expected, for 15m. queue_depth of ml/iris is 42, 3 expected, for 15m.",
        ),
        (
            "cordon-node",
            "gpu_xid_errors up, gpu_throttle_ratio up, latency_p95 up on endpoint ml/rose, node gpu-b-3 (gpu H100). gpu_xid_errors of gpu-b-3 is 4, 0 expected.",
        ),
        (
            "rollback-canary",
            "error_ratio up, latency_p95 up on endpoint ml/tulip (gpu L4, runtime kserve-tritonserver). Shortly after a change of canary, revision. error_ratio of ml/tulip is 6.2 %, 0.3 % expected.",
        ),
        (
            "retrain",
            "amount drift, error_ratio up on dataset s3://raw:orders, endpoint ml/fraud (gpu L4). Column amount of s3://raw:orders drifted, PSI 0.61.",
        ),
        ("shrink-pool", "pool_gpu_utilization down on pool gpu-c (gpu A10). pool_gpu_utilization of gpu-c is 4 %, 55 % expected, for 3h."),
    ];
    let told = [
        (
            "scale-up",
            [
                "traffic surge: p95 latency and queue depth high",
                "request rate spike on endpoint, queue growing, gpu saturated",
                "slow responses under load, backlog rising",
            ],
        ),
        (
            "cordon-node",
            [
                "gpu xid errors on node, thermal throttling",
                "node with ecc errors slowed its endpoints",
                "gpu throttling on one node, latency up",
            ],
        ),
        (
            "rollback-canary",
            [
                "error ratio up after canary rollout",
                "bad revision: errors and latency rose after release",
                "canary failing, errors above normal",
            ],
        ),
        (
            "retrain",
            [
                "feature drift in upstream dataset",
                "column distribution shifted, model errors up",
                "drift in raw data upstream of the model",
            ],
        ),
        ("shrink-pool", ["idle gpu pool, utilization low", "pool gpu utilization dropped, gpus unused", "wasted gpus: pool underutilized"]),
    ];
    let embedder = crate::embed::Embedder::default();
    let experience = (0..60).flat_map(|copy| {
        told.into_iter().map(move |(playbook, texts)| Experience {
            run_id: RunId::new(format!("{playbook}-{copy}")),
            playbook_id: PlaybookId::new(playbook),
            outcome: if copy % 5 == 4 { "ineffective" } else { "effective" }.into(),
            ran_at: Timestamp::from_secs(NOW.secs() - 86_400 * copy),
            summary: format!("{} on ml/svc-{}", texts[copy as usize % 3], copy % 7),
            context: Context::default(),
        })
    });
    let runs: Runs = experience.collect();
    let index = runs.index(&embedder).unwrap();
    let books: Vec<Playbook> = told.iter().map(|(id, _)| playbook(id, &[])).collect();
    for (expected, summary) in incidents {
        let incident = Incident { summary: summary.into(), ..incident() };
        let matches = crate::neighbours::neighbours(&index, &embedder, &incident, &runs, 50, &at()).unwrap();
        let calibration = Calibration::default();
        let grounds = Grounds { matches: &matches, experience: &runs, playbooks: &books, exclusions: &[], calibration: &calibration };
        let found = rank(&incident, &grounds, &at(), 3);
        let scored: Vec<String> =
            found.candidates.iter().map(|c| format!("{} {:.2} ({:.2})", c.playbook_id, c.score, c.similarity)).collect();
        let best = &found.candidates[0];
        assert_eq!(best.playbook_id.as_str(), expected, "{scored:?}");
        assert!(best.score > 0.3, "{scored:?}");
    }
}

/// Whatever experience there is, a playbook that helped outranks one that merely reads well.
#[test]
fn cold_start_never_outranks_experience() {
    let books = [playbook("reads-well", &["latency_p95", "queue_depth"]), playbook("helped", &["latency_p95", "request_rate"])];
    let helped: Vec<Match> = (0..38).map(|i| past(i, "helped", 0.45, if i < 36 { "effective" } else { "ineffective" }, 30)).collect();
    let found = ranked(&helped, &books, &[], 3);
    assert_eq!(found.candidates[0].playbook_id.as_str(), "helped");
    assert!(found.candidates[0].score > 0.5, "what helped in 36 of 38 is likelier to help than not: {}", found.candidates[0].score);
    assert!(found.candidates.iter().chain(&found.near_misses).all(|c| c.playbook_id.as_str() == "helped" || c.score <= COLD_START));
}

#[test]
fn a_persons_word_counts_half_and_is_told() {
    let four: Vec<Match> = (0..4).map(|i| past(i, "scale-up", 0.8, "effective", 1)).collect();
    let with = |word: &str| [four.clone(), vec![past(9, "scale-up", 0.8, word, 1)]].concat();
    let score = |word: &str| score(&with(word), "scale-up");
    assert!(score("ineffective") < score(score::REJECTED) && score(score::REJECTED) < score("no_data"));
    assert!(score("no_data") < score(score::CHOSEN) && score(score::CHOSEN) < score("effective"));
    let told = |word: &str| ranked(&with(word), &[playbook("scale-up", &[])], &[], 1).candidates[0].justification.clone();
    assert!(
        told(score::REJECTED).contains("worked in 4 of 4 similar past incidents")
            && told(score::REJECTED).contains("a person turned it down once")
    );
    assert!(told(score::CHOSEN).contains("a person chose it over another once"), "{}", told(score::CHOSEN));
}

#[test]
fn the_same_endpoint_gpu_and_error_say_more_and_are_cited() {
    let of = |service: &str, text: &str| Experience {
        run_id: RunId::new("run-0"),
        playbook_id: PlaybookId::new("scale-up"),
        outcome: "effective".into(),
        ran_at: NOW,
        summary: text.into(),
        context: Context::of(&[service.to_owned()], &[], text),
    };
    let here = Incident { summary: "latency_p95 up on endpoint ml/iris (gpu A100). upstream request timeout".into(), ..incident() };
    let ranked = |one: Experience| {
        let experience = Runs::from_iter([one]);
        let (books, calibration, matches) =
            ([playbook("scale-up", &[])], Calibration::default(), [past(0, "scale-up", 0.6, "effective", 1)]);
        let grounds = Grounds { matches: &matches, experience: &experience, playbooks: &books, exclusions: &[], calibration: &calibration };
        let found = rank(&here, &grounds, &at(), 1);
        found.candidates.into_iter().chain(found.near_misses).next().unwrap()
    };
    let (same, other) = (ranked(of("ml/iris", "on A100, timed out")), ranked(of("ml/rose", "on T4, certificate expired")));
    assert!(same.score > other.score + 0.1, "{} {}", same.score, other.score);
    let cited = &same.reckoning.as_ref().unwrap().cited[0];
    assert_eq!(cited.same, ["ml/iris", "A100", "time-out"]);
    assert!(same.justification.contains("the same A100 in 1, ml/iris in 1, time-out in 1"), "{}", same.justification);
    assert!(other.reckoning.unwrap().cited[0].same.is_empty());
}

#[test]
fn the_score_is_what_its_reckoning_adds_up_to() {
    let matches: Vec<Match> = (0..14).map(|i| past(i, "scale-up", 0.8, if i < 12 { "effective" } else { "harmful" }, 3)).collect();
    let found = ranked(&matches, &[playbook("scale-up", &["latency_p95"])], &[], 1);
    let (best, reckoning) = (&found.candidates[0], found.candidates[0].reckoning.as_ref().unwrap());
    let odds = reckoning.intercept + reckoning.terms.iter().map(|t| t.adds).sum::<f64>();
    assert!((best.score - 1.0 / (1.0 + (-odds).exp())).abs() < 1e-12 && best.score == reckoning.before);
    assert_eq!(reckoning.terms.iter().map(|t| t.feature.as_str()).collect::<Vec<_>>(), FEATURES);
    assert_eq!(reckoning.cited.len(), 10);
    assert!(reckoning.calibration.starts_with("as shipped: this ledger has 0 verified"), "{}", reckoning.calibration);
}
