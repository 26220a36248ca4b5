//! Tests of the page.

use bellwether_model::signal::Subject;

use super::*;
use crate::report::{fixture, xml};

fn read(data: &ReportData) -> (String, String) {
    let page = page(data);
    let text = xml::well_formed(&page).unwrap_or_else(|e| panic!("{e}"));
    assert!(!page.contains("NaN") && !page.contains("<script"));
    (page, text.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[test]
fn the_page_tells_the_whole_story_and_asks_for_nothing() {
    let (page, text) = read(&fixture::fleet());
    for part in [
        "4 incidents, 2 still open (1 critical).",
        "p95 latency of ml/checkout-ranker is 612 ms, 3.4 × the expected 181 ms",
        "revision checkout-ranker-00041 → checkout-ranker-00042, canary 20 %",
        "score 0.82",
        "9 past runs resemble this",
        "rollback_release needs approval for ranker",
        "latency_p95 720 ms is not &lt; 300ms",
        "latency_p95 512 ms 720 ms &lt; 300ms fail",
        "made it worse",
        "Nothing is recommended: no past run is similar enough",
        "cordon_node is forbidden for asr",
        "Permitted instead: scale within limits",
        "idle pool gpu-c missed",
        "19 series (16 with too little history, 3 without new samples), 8 rules without any series",
        "All 57 entries of the audit chain hold",
        "7 rows were refused on the way in",
        "bellwether approve plan-4f1d2a9c33b0e871",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    for asks in ["http://", "https://", "src=", "url(", "@import"] {
        let outside = page.replace("http://www.w3.org/2000/svg", "");
        assert!(!outside.contains(asks), "{asks}");
    }
    assert_eq!(page, super::page(&fixture::fleet()));
}

#[test]
fn nothing_from_outside_becomes_markup() {
    const EVIL: &str = "</title></style><script>alert('x')</script>\"'&`<img/onerror=x>`";
    let mut data = fixture::fleet();
    data.title = EVIL.into();
    data.skipped.insert(EVIL.into(), 5);
    data.next_commands[0].command = EVIL.into();
    data.costs[0].pool = EVIL.into();
    let card = &mut data.incidents[0];
    card.incident.incident_id = EVIL.into();
    card.incident.title = EVIL.into();
    card.incident.preceding_changes[0] = EVIL.into();
    card.also_changed[0] = EVIL.into();
    card.lineage_path = Some(EVIL.into());
    card.past[0].outcome = EVIL.into();
    card.past[0].summary = EVIL.into();
    card.charts[0].title = EVIL.into();
    card.charts[0].marks[0].text = EVIL.into();
    for signal in &mut card.signals {
        signal.hint = EVIL.into();
        if let Subject::Series { labels, .. } = &mut signal.subject {
            labels.insert("service".into(), EVIL.into());
        }
    }
    let recommendation = card.recommendation.as_mut().unwrap();
    recommendation.candidates[0].justification = EVIL.into();
    recommendation.candidates[0].playbook_id = EVIL.into();
    recommendation.excluded[0].reason = EVIL.into();
    let attempt = &mut card.attempts[0];
    attempt.plan.plan_id = EVIL.into();
    attempt.plan.body.steps[0].summary = EVIL.into();
    attempt.plan.body.steps[0].object.name = EVIL.into();
    attempt.decision.as_mut().unwrap().reasons[0].text = EVIL.into();
    attempt.transitions[0].detail = EVIL.into();
    attempt.transitions[0].actor = EVIL.into();
    attempt.outcome.as_mut().unwrap().checks[0].name = EVIL.into();
    attempt.outcome.as_mut().unwrap().detail = EVIL.into();
    data.audit = AuditStanding::Broken { sequence: 3, problem: EVIL.into() };
    let (page, _) = read(&data);
    assert!(!page.contains("<img") && page.matches("</style>").count() == 1);
}

#[test]
fn nothing_found_is_told_apart_from_nothing_known() {
    let mut data = fixture::fleet();
    data.incidents.clear();
    data.costs.clear();
    data.audit = AuditStanding::Empty;
    let (_, text) = read(&data);
    for part in [
        "No incident in 380 series. Of 19 of them nothing is known.",
        "no data is not health",
        "usd_per_gpu_hour",
        "nothing was planned, approved or done",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    data.fleet = Default::default();
    data.skipped.clear();
    let (_, text) = read(&data);
    for part in ["Nothing was judged: there are no samples in this range", "bellwether ingest --backfill 14d", "Incidents unknown"] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert!(!text.contains("None was left out"));
}

#[test]
fn numbers_that_are_none_are_not_shown() {
    let mut data = fixture::fleet();
    data.incidents[0].incident.score = f64::NAN;
    data.incidents[0].attempts[0].outcome.as_mut().unwrap().checks[0].before = Some(f64::NAN);
    data.incidents[0].recommendation.as_mut().unwrap().candidates[0].score = f64::INFINITY;
    data.costs[0].gpu_hours = f64::NAN;
    read(&data);
}

#[test]
fn a_person_can_call_an_incident_false() {
    let mut data = fixture::fleet();
    data.incidents[0].label = Some(fixture::label(fixture::first_id().as_str(), bellwether_model::label::LabelKind::NotAnIncident));
    let (_, text) = read(&data);
    assert!(text.contains("not an incident, says ann") && text.contains("3 incidents, 1 still open."), "{text}");
}
