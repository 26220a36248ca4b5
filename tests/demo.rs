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

    incidents_are_explained(&desk, &incidents);
}

/// What may have caused each incident is told with numbers and drawn; what cannot be told is said.
fn incidents_are_explained(desk: &Desk, incidents: &Value) {
    let there = |command: &str| desk.run(&format!("--config fleet/bellwether.yaml {command}"));
    let ids: Vec<&str> = incidents.as_array().into_iter().flatten().filter_map(|i| i["incident_id"].as_str()).collect();
    let explained: Vec<Value> = ids.iter().map(|id| there(&format!("explain {id} --output json")).expect(0).json()).collect();
    for found in &explained {
        assert!(found["headline"].as_str().is_some_and(|h| !h.is_empty()), "{found:#}");
        for changed in found["together"].as_array().expect("changed series are a list") {
            assert!(
                changed["adjusted_p"].as_f64() <= Some(0.05) && changed["effect"].is_number() && changed["ks"].is_number(),
                "{changed:#}"
            );
        }
        for change in found["changes"].as_array().expect("changes are a list") {
            assert!(change["lead_seconds"].as_f64() >= Some(0.0), "a change precedes: {change:#}");
        }
    }
    // Of the demo's faults one follows a deployment; others are felt by series that moved together, with a lag.
    let said = |words: &str| explained.iter().filter(|f| f["headline"].as_str().is_some_and(|h| h.contains(words))).count();
    assert!(said("began ") >= 1, "{:#?}", explained.iter().map(|f| &f["headline"]).collect::<Vec<_>>());
    let lagged = |f: &&Value| f["together"].as_array().is_some_and(|t| t.iter().any(|s| s["lag_seconds"].is_number()));
    let told = explained.iter().find(lagged).expect("series changed together with an incident");
    let id = told["incident_id"].as_str().expect("an id");
    let shown = there(&format!("explain {} --svg why.svg", &id[..12])).expect(0);
    for part in [id, told["headline"].as_str().unwrap_or_default(), "series that changed with it", "effect"] {
        assert!(shown.out.contains(part), "{part}\n{}", shown.out);
    }
    let drawn = desk.read("why.svg");
    assert!(drawn.starts_with("<svg") && drawn.contains("class=\"line first\"") && drawn.contains("class=\"line\""), "{drawn}");

    there("explain inc-").expect(1).says(&["is the beginning of", ids[0]]);
    there("explain nothing-like-it").expect(1).says(&["there is no incident \"nothing-like-it\"", "hint: "]);
    there(&format!("explain {id} --svg no/such/folder.svg")).expect(1).says(&["cannot write the picture"]);
}
