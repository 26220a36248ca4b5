//! How the data that feeds a model stands.

use bellwether_lake::tables;
use bellwether_model::dataset::{ColumnProfile, Flow, RunIo};
use bellwether_model::id::EndpointId;
use bellwether_model::inventory::Endpoint;
use bellwether_model::signal::{Direction, Method, Severity, Signal, SignalState, Subject};
use bellwether_model::time::{Span, Timestamp};
use bellwether_model::unit::Unit;
use bellwether_pipelines::act::Reach;
use serde_json::{Value, json};

use super::world::{NOW, World};

/// A profile of `s3://raw:orders`, whose values lie evenly between `low` and `low + 10`.
fn profile(column: &str, low: f64, at: Timestamp) -> ColumnProfile {
    ColumnProfile {
        dataset_namespace: "s3://raw".into(),
        dataset_name: "orders".into(),
        column: column.into(),
        event_time: at,
        count: 1_000,
        null_count: 0,
        distinct_count: None,
        min: Some(low),
        max: Some(low + 10.0),
        sum: None,
        quantiles: (1..10).map(|k| (format!("0.{k}"), low + f64::from(k))).collect(),
        event_id: format!("event-{column}-{}", at.micros()),
        recorded_at: NOW,
    }
}

/// Data flows from `s3://raw:orders` into the model of `ml/lily`; the column `amount` moved two days ago and `quantity` did not; `discount` has
/// not been profiled for a month.
async fn fill(world: &World) {
    let lake = &world.services.lake;
    let io = |flow, namespace: &str, name: &str| RunIo {
        run_id: "r".into(),
        job_namespace: "etl".into(),
        job_name: "train".into(),
        flow,
        dataset_namespace: namespace.into(),
        dataset_name: name.into(),
        dataset_version: None,
        event_time: NOW - Span::from_days(50),
        event_id: "e".into(),
        recorded_at: NOW,
    };
    let rows = [io(Flow::Input, "s3://raw", "orders"), io(Flow::Output, "s3://models", "lily/1")];
    lake.append_rows(&tables::RUN_IO, &rows, &[]).await.unwrap();
    let session = crate::api::ledger::session(lake, NOW).await.unwrap();
    let iris: Endpoint = session.rows("SELECT * FROM endpoints_current").await.unwrap().remove(0);
    let named = |namespace: &str, name: &str, model: Option<&str>| Endpoint {
        endpoint: EndpointId::new(namespace, name),
        model_uri: model.map(str::to_owned),
        recorded_at: NOW - Span::from_days(40),
        ..iris.clone()
    };
    let endpoints =
        [named("ml", "lily", Some("s3://models/lily/1")), named("test", "iris", None), named("ml", "fern", Some("s3://models/fern"))];
    lake.append_rows(&tables::ENDPOINTS, &endpoints, &[]).await.unwrap();
    let day = |d: i64| NOW - Span::from_days(d);
    let mut profiles: Vec<ColumnProfile> = (0..10).map(|d| profile("amount", if d < 2 { 6.0 } else { 0.0 }, day(d))).collect();
    profiles.extend((0..10).map(|d| profile("quantity", 0.0, day(d))));
    profiles.extend((30..35).map(|d| profile("discount", 0.0, day(d))));
    lake.append_rows(&tables::COLUMN_PROFILES, &profiles, &[]).await.unwrap();
    let signal = Signal {
        signal_id: "sig-drift".into(),
        fingerprint: "fp".into(),
        rule: "drift".into(),
        method: Method::Psi,
        subject: Subject::Column { dataset: profiles[0].dataset(), column: "amount".into() },
        state: SignalState::Opened,
        opened_at: day(1),
        last_at: day(1),
        closed_at: None,
        score: 9.0,
        value: 1.8,
        expected: 0.0,
        lower: 0.0,
        upper: 0.2,
        p_value: Some(0.0),
        direction: Direction::Shape,
        severity: Severity::Warning,
        unit: Unit::Number,
        hint: "column amount of s3://raw:orders has drifted".into(),
        round_id: "rnd-1".into(),
        recorded_at: NOW,
    };
    lake.append_rows(&tables::SIGNALS, &[signal], &[]).await.unwrap();
}

#[tokio::test]
async fn the_columns_that_feed_a_model_stand_as_a_round_judges_them() {
    let world = World::new(Reach::Suggest).await;
    fill(&world).await;
    let answer = world.get("viewer", "/drift/ml/lily").await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert!(!answer.text.contains("NaN"));
    let found = answer.json;
    assert_eq!(
        (&found["model"], &found["verdict"], &found["why"], &found["last_evaluation"]["round_id"]),
        (&json!("endpoint:ml/lily"), &json!("fail"), &Value::Null, &json!("rnd-1"))
    );
    assert_eq!(found["datasets"], json!(["s3://models:lily/1", "s3://raw:orders"]));
    assert_eq!((&found["thresholds"]["psi"], &found["thresholds"]["q"]), (&json!(0.2), &json!(0.05)));
    let columns: Vec<(&str, &str)> =
        found["columns"].as_array().unwrap().iter().map(|c| (c["column"].as_str().unwrap(), c["verdict"].as_str().unwrap())).collect();
    assert_eq!(columns, [("amount", "fail"), ("discount", "no_data"), ("quantity", "pass")]);
    let amount = &found["columns"][0];
    // The signal opened a day ago, so what is normal ends there: today is compared with the eight days before it.
    assert_eq!((&amount["reference"]["profiles"], &amount["reference"]["values"]), (&json!(8), &json!(8_000)));
    assert_eq!(amount["current"]["profile_id"], format!("event-amount-{}", NOW.micros()));
    assert_eq!(amount["reference"]["profile_id"].as_str().unwrap().len(), 64);
    assert_eq!((&amount["reference"]["median"], &amount["current"]["median"]), (&json!(5.0), &json!(11.0)));
    let ks = &amount["tests"][1];
    assert_eq!((&ks["method"], &ks["threshold"]), (&json!("kolmogorov_smirnov"), &json!(0.1)));
    assert!((ks["value"].as_f64().unwrap() - 0.6).abs() < 1e-9 && ks["p_value"].as_f64().unwrap() < 1e-9, "{ks}");
    assert!(amount["p_corrected"].as_f64().unwrap() < 1e-9 && amount["score"].as_f64().unwrap() > 5.0);
    let most = &amount["evidence"][0];
    assert!(most["now"].as_f64().unwrap() - most["before"].as_f64().unwrap() > 0.5, "the highest bin holds what moved up: {most}");
    assert!(found["columns"][1]["why"].as_str().unwrap().starts_with("no profile since "));
    let signal = &found["signals"][0];
    assert_eq!((&signal["signal_id"], &signal["endpoints"]), (&json!("sig-drift"), &json!(["ml/lily"])));
    assert_eq!(
        world.get("viewer", "/drift/lily").await.json["columns"],
        found["columns"],
        "the short name is enough where it is one's alone"
    );
    assert_eq!(world.get("viewer", "/drift/s3:%2F%2Fmodels:lily%2F1").await.json["columns"], found["columns"]);
}

#[tokio::test]
async fn an_unknown_model_is_not_one_without_data() {
    let world = World::new(Reach::Suggest).await;
    fill(&world).await;
    let unknown = world.get("viewer", "/drift/ml/lilly").await;
    assert_eq!((unknown.problem(), unknown.json["hint"].as_str()), ((404, "not-found"), Some("did you mean ml/lily?")));
    assert_eq!(world.get("viewer", "/drift/lly").await.json["hint"].as_str(), Some("did you mean ml/lily?"));
    let several = world.get("viewer", "/drift/iris").await;
    assert_eq!(several.problem(), (400, "bad-request"));
    assert!(several.text.contains("ml/iris, test/iris"), "{}", several.text);
    let no_lineage = world.get("viewer", "/drift/ml/iris").await;
    assert_eq!((no_lineage.status.as_u16(), &no_lineage.json["verdict"]), (200, &json!("no_data")));
    assert!(no_lineage.json["why"].as_str().unwrap().starts_with("no lineage leads to endpoint:ml/iris"));
    let no_profile = world.get("viewer", "/drift/fern").await;
    assert_eq!((no_profile.status.as_u16(), &no_profile.json["verdict"]), (200, &json!("no_data")));
    assert!(no_profile.json["why"].as_str().unwrap().contains("nothing was profiled yet"), "{}", no_profile.text);
    assert_eq!(world.get("", "/drift/ml/lily").await.problem(), (401, "unauthorized"));
}
