//! Two states of a dataset compared, as a person does it: files, profiles, tables, pages, exit codes.

use serde_json::Value;

use crate::bellwether::Desk;

/// Orders: an amount, how it was paid, a number of their own, and what a classifier said of them.
fn orders(rows: u32, shift: u32, card: u32, right: u32) -> String {
    let row = |n: u32| {
        let probability = f64::from(n * 37 % 100) / 100.0 + 0.005;
        let label = (f64::from(n * 61 % 97) / 97.0 < probability) == (n * 13 % 100 < right);
        let paid = if n * 17 % 100 < card { "card" } else { "cash" };
        format!(
            "{},{paid},{},{probability},{},{}\n",
            n * 7_919 % 911 + shift,
            100_000 + n,
            u8::from(label),
            if n.is_multiple_of(3) { "a" } else { "b" }
        )
    };
    format!("amount,paid,order,probability,label,group\n{}", (0..rows).map(row).collect::<String>())
}

fn column<'a>(told: &'a Value, name: &str) -> &'a Value {
    told["columns"].as_array().and_then(|all| all.iter().find(|c| c["column"] == name)).unwrap_or_else(|| panic!("no {name} in {told:#}"))
}

fn desk() -> Desk {
    let desk = Desk::new();
    desk.write("then.csv", &orders(4_000, 0, 41, 100));
    desk.write("now.csv", &orders(3_000, 100, 12, 80));
    desk
}

#[test]
fn two_files_are_compared_in_words_in_json_and_as_a_page() {
    let desk = desk();
    let told = desk.run("drift then.csv now.csv --html --output json").expect(0).json();
    assert_eq!((column(&told, "amount")["verdict"].as_str(), column(&told, "paid")["verdict"].as_str()), (Some("fail"), Some("fail")));
    assert_eq!(column(&told, "paid")["change"], "the share of `cash` rose from 59 % to 88 %");
    assert_eq!(
        (column(&told, "order")["verdict"].as_str(), column(&told, "group")["verdict"].as_str()),
        (Some("inconclusive"), Some("pass"))
    );
    assert!(column(&told, "order")["findings"][0].as_str().is_some_and(|f| f.contains("names rows")), "{told:#}");
    let page = desk.read("bellwether-drift.html");
    assert!(page.contains("<svg") && page.contains("Moved up by 0.3") && !page.contains("http"), "{page}");
    let text = desk.run("drift then.csv now.csv").expect(0).out;
    assert!(text.contains("moved up by 0.3") && text.contains("of 5 columns drifted: "), "{text}");

    desk.run("drift then.csv now.csv --fail-on column").expect(3).says(&["of 5 columns drifted"]);
    desk.run("drift then.csv now.csv --fail-on dataset --share 90%").expect(0);
    desk.run("drift then.csv now.csv --fail-on dataset --share 10%").expect(3).says(&["the whole has drifted"]);
    desk.run("drift then.csv then.csv --fail-on column,dataset").expect(0);
    let asked = desk.run("drift then.csv now.csv --column amount --measure amount=psi --output json").expect(0).json();
    assert_eq!((asked["columns"].as_array().map(Vec::len), asked["columns"][0]["measure"].as_str()), (Some(1), Some("psi")));
    desk.run("drift then.csv now.csv --column amuont").expect(1).says(&["neither side has a column \"amuont\"", "amount"]);
    desk.run("drift then.csv now.csv --measure psy").expect(2).says(&["no statistic is called \"psy\"", "wasserstein"]);
    desk.run("drift then.csv").expect(2);
}

#[test]
fn a_profile_stands_for_its_file() {
    let desk = desk();
    desk.run("drift then.csv --save-profile then.profile --model orders@7")
        .expect(0)
        .says(&["then.profile written: 6 columns and 4000 rows"]);
    let exact = desk.run("drift then.csv now.csv --output json").expect(0).json();
    let told = desk.run("drift then.profile now.csv --output json").expect(0).json();
    assert_eq!((told["reference"]["model"].as_str(), told["current"]["is_sketched"].as_bool()), (Some("orders@7"), Some(true)));
    for name in ["amount", "paid", "order", "probability", "group"] {
        assert_eq!(column(&told, name)["verdict"], column(&exact, name)["verdict"], "{name}: {told:#}");
    }
    let effect = |told: &Value| column(told, "amount")["effect"].as_f64().expect("a number");
    let error = column(&told, "amount")["error"].as_f64().expect("a number");
    assert!((effect(&told) - effect(&exact)).abs() <= error && error < 0.01, "{told:#}");
    let text = desk.run("drift then.profile now.csv").expect(0).out;
    assert!(text.contains("± ") && text.contains("effects are within ") && text.contains("the profile of orders@7"), "{text}");
    assert_eq!(desk.run("drift then.profile now.csv").expect(0).out, text, "the same files give the same answer");
    desk.run("drift now.csv --save-profile now.profile").expect(0);
    desk.run("drift then.profile now.profile --fail-on column").expect(3);
    desk.write("then.profile", "{\"bellwether_profile\":1,\"rows\":3}");
    desk.run("drift then.profile now.csv").expect(1).says(&["then.profile is not a profile that can be read"]);
}

#[test]
fn logged_predictions_tell_performance_and_fairness() {
    let desk = desk();
    let all = "--probability probability --label label --group group";
    let told = desk.run(&format!("drift then.csv now.csv {all} --output json")).expect(0).json();
    let performance = &told["predictions"]["performance"];
    let accuracy = |of: &str| performance["now"][of]["accuracy"]["value"].as_f64().expect("a number");
    assert!((accuracy("estimated") - accuracy("realised")).abs() > 0.05 && performance["verdict"] == "fail", "{performance:#}");
    desk.run(&format!("drift then.csv now.csv {all} --fail-on performance")).expect(3).says(&["does worse"]);
    let unlabelled = orders(3_000, 0, 41, 100).replace("label", "later");
    desk.write("unlabelled.csv", &unlabelled);
    let text = desk.run(&format!("drift then.csv unlabelled.csv {all}")).expect(0).out;
    assert!(text.contains("No row has its label yet") && text.contains("demographic parity: pass"), "{text}");
    desk.run("drift then.csv now.csv --prediction group --group group --positive a --fail-on fairness")
        .expect(3)
        .says(&["not treated alike"]);
}

#[test]
fn a_table_is_compared_with_its_past() {
    let desk = Desk::with("version: 1\nruns: {files: [runs.jsonl]}\n");
    let run = |n: u32| {
        let (day, status) = if n < 200 { (1 + n / 10, "succeeded") } else { (21 + (n - 200) / 40, "failed") };
        format!(
            "{{\"run_id\": \"r{n}\", \"workflow_id\": \"w{}\", \"status\": \"{status}\", \"updated_at\": \"2026-06-{day:02}T10:00:00Z\"}}\n",
            n % 3
        )
    };
    desk.write("runs.jsonl", &(0..400).map(run).collect::<String>());
    desk.run("ingest").expect(0);
    let told = desk.run("drift --table runs --before 2026-06-01..2026-06-21 --after 2026-06-21..2026-07-01 --output json").expect(0).json();
    assert_eq!((told["reference"]["rows"].as_u64(), told["current"]["rows"].as_u64()), (Some(200), Some(200)));
    assert_eq!(
        (column(&told, "status")["verdict"].as_str(), column(&told, "workflow_id")["verdict"].as_str()),
        (Some("fail"), Some("pass"))
    );
    desk.run("drift --table rnus --before 2026-06-01..2026-06-21 --after 2026-06-21..2026-07-01")
        .expect(1)
        .says(&["no table rnus", "runs"]);
    desk.run("drift --table runs --before 2026-06-21..2026-06-01 --after 2026-06-21..2026-07-01").expect(2).says(&["is not before"]);
}

#[test]
fn what_cannot_be_judged_does_not_pass() {
    let desk = desk();
    let run = |more: &str, code: i32, words: &[&str]| {
        desk.run(&format!("drift then.csv now.csv {more}")).expect(code).says(words);
    };
    run("--fail-on performance", 1, &["needs --probability"]);
    run("--fail-on fairness --group group", 1, &["needs --group COLUMN"]);
    run("--probability probabilty", 1, &["no column \"probabilty\"", "did you mean probability"]);
    run("--probability probability --label labl", 1, &["no column \"labl\""]);
    run("--probability amount", 1, &["a probability is 0 to 1"]);
    run("--probability probability --label label --positive maybe", 1, &["no label and no decision is \"maybe\"", "known: 0, 1"]);
    run("--share 2", 1, &["a share is 0 to 1"]);
    run("--prediction label --group paid --positive 1 --column order --fail-on column", 3, &["no column could be judged"]);
    desk.write("few.csv", &orders(9, 0, 41, 100));
    desk.run("drift then.csv few.csv --prediction label --group group --fail-on fairness")
        .expect(3)
        .says(&["fairness could not be judged"]);
    desk.run("drift then.csv now.csv --html other.html").expect(0);
    assert!(desk.read("other.html").contains("<svg"));
}

#[test]
fn a_column_that_drifted_by_its_nulls_says_so_first() {
    let desk = Desk::new();
    let rows = |gaps: u32| {
        let cell = |n: u32| if n % 10 < gaps { String::new() } else { (n * 7_919 % 911).to_string() };
        format!("amount,other\n{}", (0..2_000).map(|n| format!("{},{}\n", cell(n), n % 7)).collect::<String>())
    };
    desk.write("then.csv", &rows(0));
    desk.write("now.csv", &rows(3));
    let told = desk.run("drift then.csv now.csv --output json").expect(0).json();
    let amount = column(&told, "amount");
    assert!(amount["change"].as_str().is_some_and(|c| c.starts_with("the share of nulls rose from 0 % to 30 %")), "{amount:#}");
    assert_eq!((amount["measure"].as_str(), amount["verdict"].as_str()), (Some("z"), Some("fail")));
}
