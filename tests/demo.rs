//! `bellwether demo`: the whole job with nothing but the binary, and what it promises to tell.

use serde_json::Value;

use crate::bellwether::Desk;
use crate::serving::Serving;

#[test]
fn the_demo_finds_its_faults_and_tells_what_was_done_about_them() {
    let desk = Desk::new();
    let serving = Serving::demo(&desk);
    let told: Value = serde_json::from_str(&desk.read("demo.json")).expect("the demo prints one JSON document");
    // The API that stays up answers the request that was printed.
    let printed = desk.read("demo.err");
    let token = printed.split("Bearer ").nth(1).and_then(|rest| rest.split('\'').next()).expect("a token is printed");
    assert_ne!(serving.get("/signals", token).expect(200)["signals"], Value::Array(vec![]));
    // The simulated API server says what may be done, so that nothing seems to be missing.
    let doctor = desk.run("--config fleet/bellwether.yaml doctor").expect(0);
    assert!(doctor.out.contains("kubernetes: patch nodepools") && !doctor.out.contains("MISSING"), "{}", doctor.out);
    assert_eq!(serving.stop(), 0, "{}", desk.read("demo.err"));
    let number = |field: &str| told[field].as_f64().unwrap_or_else(|| panic!("{field} is no number: {told:#}"));
    let count = |field: &str| told[field].as_u64().unwrap_or_else(|| panic!("{field} is no count: {told:#}"));

    assert_eq!(count("faults_labelled"), 5);
    assert!((4..=5).contains(&count("faults_found")), "{told:#}");
    assert!(count("false_incidents") <= 5, "{told:#}");
    assert!(count("executions") >= 1 && count("rollbacks") <= count("executions"), "{told:#}");
    // 13 days in bulk of 24 endpoints, every five minutes.
    assert!(count("samples") > 13 * 288 * 24, "{told:#}");
    assert!(number("wall_seconds") > 0.0);
    assert!((1 << 20..4 << 30).contains(&count("peak_rss_bytes")), "{told:#}");
    assert_eq!(told["audit_verified"], true);

    let faults = told["faults"].as_array().expect("the faults are a list");
    let found: Vec<&Value> = faults.iter().filter(|fault| fault["incident"].is_string()).collect();
    assert_eq!((faults.len() as u64, found.len() as u64), (count("faults_labelled"), count("faults_found")));
    let page = desk.read("fleet/report.html");
    for outside in ["src=\"http", "href=\"http", "url(http", "@import"] {
        assert!(!page.contains(outside), "the page loads {outside}");
    }
    assert!(page.contains("<svg"), "the page draws");
    for fault in found {
        let (_, name) = fault["entity"].as_str().and_then(|entity| entity.split_once(':')).expect("an entity has a kind and a name");
        assert!(page.contains(name), "the page does not tell of {name}");
    }

    // What it leaves behind is a ledger like any other.
    let there = |command: &str| desk.run(&format!("--config fleet/bellwether.yaml {command}")).expect(0);
    there("audit verify");
    there("lake stat --check");
    let incidents = there("incidents --output json").json();
    assert!(incidents.to_string().contains("inc-"), "{incidents:#}");
    // What a person says of its incidents are labels for a backtest of the configured rules.
    desk.run("--config fleet/bellwether.yaml backtest --feedback").expect(1).says(&["nobody has labelled", "bellwether label"]);
    for incident in incidents.as_array().expect("incidents are a list") {
        there(&format!("label {} incident", incident["incident_id"].as_str().expect("an incident has an id")));
    }
    let report = there("backtest --feedback --output json").json();
    assert!(report["events"].as_u64() >= Some(4) && report["at_line"]["recall"].as_f64() > Some(0.5), "{:#}", report["at_line"]);
    let signals = there("signals --output json").json();
    let ids: std::collections::BTreeSet<&str> = signals.as_array().into_iter().flatten().filter_map(|s| s["signal_id"].as_str()).collect();
    assert_eq!(Some(ids.len()), signals.as_array().map(Vec::len), "each signal is listed once");
    let id = ids.first().expect("a fault has a signal");
    let shown = there(&format!("signals show {}", &id[..12]));
    for part in [*id, "opened", "(1.0 is the line)", "bellwether -c fleet/bellwether.yaml incidents show inc-"] {
        assert!(shown.out.contains(part), "{part}\n{}", shown.out);
    }
    assert!(page.contains("-c fleet/bellwether.yaml incidents show inc-"), "commands on the page can be pasted");
}
