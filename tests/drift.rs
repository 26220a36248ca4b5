//! Two states of a dataset compared, as a person does it: files, profiles, tables, pages, exit codes.

use serde_json::Value;

use bellwether_model::time::{Span, Timestamp};

use crate::bellwether::Desk;
use crate::servers::now;

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
    let (rows, kept) = (desk.read("now.csv"), desk.read("then.profile"));
    desk.run("drift then.csv --save-profile now.csv").expect(1).says(&["now.csv is there already and is not a profile", "another file"]);
    let other = "drift now.csv --save-profile then.profile --model orders@8";
    desk.run(other).expect(1).says(&["is the profile of orders@7, not the profile of orders@8", "delete this one first"]);
    assert!(desk.read("now.csv") == rows && desk.read("then.profile") == kept, "nothing is lost");
    desk.run("drift now.csv --save-profile then.profile --model orders@7").expect(0);
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
    desk.run(&format!("drift then.csv now.csv {all} --fail-on performance")).expect(3).says(&["judged by accuracy", "does worse"]);
    let own = |text: &str| {
        let lines =
            text.lines().enumerate().map(|(i, line)| if i == 0 { format!("{line},own") } else { format!("{line},{}", i.min(1_000)) });
        lines.map(|line| line + "\n").collect::<String>()
    };
    desk.write("many.csv", &own(&orders(3_000, 0, 41, 100)));
    let ask = "drift many.csv many.csv --column amount --probability probability --group own";
    let many = desk.run(&format!("{ask} --html many.html")).expect(0).out;
    assert!(many.lines().count() < 100 && many.contains("… and 970 smaller groups") && many.contains(" 1000  2001  "), "{many}");
    assert!(desk.read("many.html").contains("… and 970 smaller groups"));
    assert_eq!(desk.run(&format!("{ask} --output json")).expect(0).json()["predictions"]["fairness"]["groups"]["17"]["rows"], 1);
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
    let days = "--before 2026-06-01..2026-06-21 --after 2026-06-21..2026-07-01";
    let view = desk.run(&format!("drift --table workflow_runs {days} --output json")).expect(0).json();
    assert_eq!(column(&view, "status")["verdict"], "fail");
    desk.run(&format!("drift --table rnus {days}")).expect(1).says(&["no table rnus", "did you mean runs?", "metric_samples"]);
    desk.run(&format!("drift --table metric_samples {days}")).expect(0);
    desk.run(&format!("drift --table series {days}")).expect(1).says(&["no time of their own", "--time"]);
    let overlapping = "--before 2026-06-01..2026-06-22 --after 2026-06-21..2026-07-01";
    desk.run(&format!("drift --table runs {overlapping}")).expect(1).says(&["overlap from 2026-06-21", "to 2026-06-22"]);
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
    for share in ["0", "2"] {
        run(&format!("--share {share}"), 1, &["above 0 and at most 1"]);
    }
    for (options, words) in [
        ("--group group", "--group needs --probability or --prediction"),
        ("--label label", "--label needs --probability"),
        ("--prediction label", "--prediction needs --group"),
        ("--positive 1", "--positive needs --label or --prediction"),
        ("--threshold 0.7", "--threshold needs --probability"),
        ("--threshold 2", "--threshold is 2, but a probability is 0 to 1"),
        ("--probability probability --label paid", "no label is 1, true or yes: they are \"card\", \"cash\""),
        ("--prediction paid --group group", "no decision is 1, true or yes"),
        ("--prediction paid --group group", "--positive VALUE says which"),
    ] {
        run(options, 1, &[words]);
    }
    desk.run("drift then.csv --save-profile p.profile --html").expect(1).says(&["need something to compare with"]);
    desk.write("none.csv", &orders(3_000, 0, 41, 100).replace(",1,", ",0,"));
    desk.run("drift none.csv none.csv --probability probability --label label").expect(0);
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

/// Numbers that are not finite are odd numbers; another text makes a column one of texts, and is named.
#[test]
fn a_stray_text_among_numbers_is_named() {
    let desk = Desk::new();
    let rows = |odd: &str| {
        let cell = |n: u32| if n == 56 || n == 99 { odd.to_owned() } else { (n * 7_919 % 911).to_string() };
        format!("amount,paid\n{}", (0..200).map(|n| format!("{},{}\n", cell(n), n % 7)).collect::<String>())
    };
    desk.write("then.csv", &rows("5"));
    desk.write("now.csv", &rows("oops"));
    desk.write("nan.csv", &rows("nan"));
    desk.run("drift then.csv --save-profile then.profile").expect(0);
    let finding = |files: &str| {
        let told = desk.run(&format!("drift {files} --output json")).expect(0).json();
        let amount = column(&told, "amount");
        (amount["verdict"].as_str().unwrap_or_default().to_owned(), amount["findings"][0].as_str().unwrap_or_default().to_owned())
    };
    let stray = ("fail".to_owned(), "the type changed: \"oops\" in row 57 is no number".to_owned());
    for files in ["then.csv now.csv", "now.csv then.csv", "then.profile now.csv"] {
        assert_eq!(finding(files), stray, "{files}");
    }
    for files in ["then.csv nan.csv", "nan.csv nan.csv", "then.profile nan.csv"] {
        assert_eq!(finding(files), ("pass".to_owned(), "2 values are no numbers".to_owned()), "{files}");
    }
    desk.write("semicolons.csv", &rows("5").replace(',', ";"));
    desk.run("drift then.csv semicolons.csv").expect(1).says(&["semicolons.csv", "look separated by \";\""]);
}

/// What a classifier said of rows may lie in the ledger, in members of a JSON column too.
#[test]
fn predictions_are_judged_on_tables_as_in_files() {
    let desk = Desk::with("version: 1\nruns: {files: [runs.jsonl]}\n");
    let rows = |from: u32, to: u32, day: u32, wrong: u32| -> String {
        let run = |n: u32| {
            let probability = f64::from(n * 37 % 100) / 100.0 + 0.005;
            let label = (f64::from(n * 61 % 97) / 97.0 < probability) != (n * 13 % 100 < wrong);
            format!(
                "{{\"run_id\": \"r{n}\", \"workflow_id\": \"w\", \"status\": \"succeeded\", \"updated_at\": \"2026-06-{day:02}T10:00:00Z\", \"p\": {probability}, \"fraud\": {label}, \"region\": \"{}\"}}\n",
                if n.is_multiple_of(3) { "north" } else { "south" }
            )
        };
        (from..to).map(run).collect()
    };
    desk.write("runs.jsonl", &(rows(0, 3_000, 1, 0) + &rows(3_000, 6_000, 2, 30)));
    desk.run("ingest").expect(0);
    let ask = "drift --table runs --before 2026-06-01..2026-06-02 --after 2026-06-02..2026-06-03 --column status";
    let named = "--probability attributes.p --label attributes.fraud --group attributes.region";
    let told = desk.run(&format!("{ask} {named} --output json")).expect(0).json();
    let performance = &told["predictions"]["performance"];
    assert_eq!((&performance["verdict"], &performance["now"]["realised"]["rows"]), (&Value::from("fail"), &Value::from(3_000)));
    assert_eq!(told["predictions"]["fairness"]["groups"]["north"]["rows"], 1_000);
    desk.run(&format!("{ask} {named} --fail-on performance")).expect(3).says(&["does worse"]);
    desk.run(&format!("{ask} --probability attributes.q")).expect(1).says(&["no column \"attributes.q\""]);
    desk.run(&format!("{ask} --probability attributes.region")).expect(1).says(&["row 1", "holds \"", "a probability is 0 to 1"]);
}

/// The columns that feed a model, by what its jobs report.
#[test]
fn a_model_is_told_by_the_profiles_of_what_feeds_it() {
    let desk = Desk::with("version: 1\nlineage: {files: [events.jsonl]}\nendpoints: [{name: ml/iris, model_uri: s3://models/iris/3}]\n");
    let event = |days_ago: i64| {
        let low = |column: &str| if column == "amount" && days_ago < 2 { 6.0 } else { 0.0 };
        let metrics = |column: &str| {
            let low = low(column);
            let quantiles: Vec<String> = (1..10).map(|k| format!("\"0.{k}\": {}", low + f64::from(k))).collect();
            format!(
                "\"{column}\": {{\"count\": 1000, \"nullCount\": 0, \"min\": {low}, \"max\": {}, \"quantiles\": {{{}}}}}",
                low + 10.0,
                quantiles.join(", ")
            )
        };
        let at = Timestamp::from_secs(now()) - Span::from_days(days_ago) - Span::from_mins(1);
        format!(
            "{{\"eventType\": \"COMPLETE\", \"eventTime\": \"{at}\", \"producer\": \"https://example.com\", \"schemaURL\": \"https://openlineage.io/spec/2-0-2/OpenLineage.json\", \"run\": {{\"runId\": \"01890a5d-ac96-774b-bcce-{days_ago:012}\"}}, \"job\": {{\"namespace\": \"etl\", \"name\": \"train\"}}, \"inputs\": [{{\"namespace\": \"s3://raw\", \"name\": \"orders\", \"inputFacets\": {{\"dataQualityMetrics\": {{\"columnMetrics\": {{{}, {}}}}}}}}}], \"outputs\": [{{\"namespace\": \"s3://models\", \"name\": \"iris/3\"}}]}}\n",
            metrics("amount"),
            metrics("quantity")
        )
    };
    desk.write("events.jsonl", &(0..9).rev().map(event).collect::<String>());
    desk.run("ingest").expect(0);
    desk.run("round --no-ingest").expect(0);
    let told = desk.run("drift --model iris --output json").expect(0).json();
    assert_eq!((&told["verdict"], &told["model"]), (&Value::from("fail"), &Value::from("endpoint:ml/iris")));
    assert_eq!((column(&told, "amount")["verdict"].as_str(), column(&told, "quantity")["verdict"].as_str()), (Some("fail"), Some("pass")));
    assert_eq!(column(&told, "amount")["reference"]["profiles"], 7, "the open signal keeps its reference: {told:#}");
    assert_eq!(told["signals"][0]["column"], "s3://raw:orders#amount");
    let text = desk.run("drift --model iris").expect(0).out;
    for words in
        ["s3://raw:orders#amount", "drifted", "1 of 2 columns of 2 datasets upstream drifted.", "Newest round: ", "which reaches ml/iris"]
    {
        assert!(text.contains(words), "{words:?} is not in\n{text}");
    }
    desk.run("drift --model iris --fail-on column").expect(3).says(&["1 of 2 columns drifted"]);
    desk.run("drift --model iris --html").expect(1).says(&["of a model, --html", "--output json"]);
    desk.run("drift --model rose").expect(1).says(&["there is no model or endpoint \"rose\""]);
    desk.write("a.csv", "a\n1\n");
    desk.run("drift a.csv a.csv --model rose").expect(1).says(&["--save-profile"]);
}
