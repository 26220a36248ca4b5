//! Who may call what, and what everyone else is told.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use bellwether_model::time::Span;
use bellwether_pipelines::act::Reach;
use serde_json::{Value, json};

use super::world::{NOW, World};
use crate::api::access::Access;
use crate::api::openapi;
use crate::api::routes::routes;
use crate::auth;

/// The whole matrix, written down once more by hand: a route that is added, or opened to another role, must be added here too.
const MATRIX: &[(&str, &str, &str)] = &[
    ("POST", "/analyze", "viewer operator admin org-admin"),
    ("GET", "/signals", "viewer operator admin org-admin"),
    ("GET", "/incidents", "viewer operator admin org-admin"),
    ("GET", "/incidents/{id}", "viewer operator admin org-admin"),
    ("GET", "/incidents/{id}/explain", "viewer operator admin org-admin"),
    ("GET", "/drift/{model}", "viewer operator admin org-admin"),
    ("GET", "/drift/{namespace}/{name}", "viewer operator admin org-admin"),
    ("POST", "/recommend", "viewer operator admin org-admin"),
    ("GET", "/recommendations/{id}/why", "viewer operator admin org-admin"),
    ("POST", "/orchestrate", "operator org-admin"),
    ("POST", "/approve", "org-admin"),
    ("GET", "/executions", "viewer operator admin org-admin"),
    ("GET", "/executions/{id}", "viewer operator admin org-admin"),
    ("POST", "/api/v1/lineage", "operator org-admin"),
    ("POST", "/api/v1/lineage/batch", "operator org-admin"),
    ("POST", "/api/v1/sql", "viewer operator admin org-admin"),
    ("GET", "/openapi.json", "anyone"),
    ("GET", "/metrics", "anyone"),
    ("GET", "/livez", "anyone"),
    ("GET", "/readyz", "anyone"),
];

#[tokio::test]
async fn every_route_lets_in_exactly_the_roles_of_the_table() {
    let world = World::new(Reach::Suggest).await;
    let listed: Vec<(String, &str)> = routes().iter().map(|r| (r.method.to_string(), r.path)).collect();
    assert_eq!(listed, MATRIX.iter().map(|(method, path, _)| ((*method).to_owned(), *path)).collect::<Vec<_>>());
    for (method, path, permitted) in MATRIX {
        let method: Method = method.parse().unwrap();
        for role in ["", "viewer", "operator", "admin", "org-admin"] {
            // No body: those who are let in meet the handler's own errors, and change nothing.
            let status = world.send(role, method.clone(), &path.replace("{id}", "nothing"), Body::empty()).await.status;
            let let_in = !matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
            let may = *permitted == "anyone" || permitted.split(' ').any(|p| p == role);
            assert_eq!(let_in, may, "{method} {path} as {role:?}: {status}");
            assert!(may || status == if role.is_empty() { StatusCode::UNAUTHORIZED } else { StatusCode::FORBIDDEN });
        }
    }
}

#[tokio::test]
async fn metrics_ask_for_a_token_where_other_hosts_can_ask() {
    let mut world = World::new(Reach::Suggest).await;
    std::sync::Arc::get_mut(&mut world.services).unwrap().settings.only_here = false;
    assert_eq!(world.get("", "/metrics").await.problem(), (401, "unauthorized"));
    assert_eq!(world.get("viewer", "/metrics").await.status, 200);
    assert_eq!(world.get("", "/livez").await.text, "ok");
}

#[tokio::test]
async fn a_token_that_does_not_count_is_told_little() {
    let world = World::new(Reach::Suggest).await;
    let elsewhere = tempfile::tempdir().unwrap();
    let forged = auth::issue(&elsewhere.path().join("k.pem"), "eve", &["org-admin".to_owned()], Span::from_hours(1), NOW).unwrap();
    let good = world.token("viewer");
    let cases = [
        (vec![format!("Bearer {forged}")], "the token is not valid"),
        (vec!["Bearer".to_owned()], "holds no bearer token"),
        (vec![format!("Basic {good}")], "holds no bearer token"),
        (vec![format!("Bearer {good}"), format!("Bearer {forged}")], "one Authorization header"),
        (vec![format!("Bearer {}", "x".repeat(10_000))], "the token is not valid"),
        (vec![], "one Authorization header"),
    ];
    for (headers, detail) in cases {
        let request = headers.iter().fold(Request::get("/signals"), |r, h| r.header(header::AUTHORIZATION, h));
        let answer = world.raw(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.problem(), (401, "unauthorized"));
        assert!(answer.json["detail"].as_str().unwrap().contains(detail), "{}", answer.text);
        assert_eq!(answer.headers[header::WWW_AUTHENTICATE], "Bearer");
    }
    let lower = Request::get("/signals").header(header::AUTHORIZATION, format!("bearer {good}")).body(Body::empty()).unwrap();
    assert_eq!(world.raw(lower).await.status, 200);
}

#[tokio::test]
async fn spellings_of_a_path_open_no_way_around() {
    let world = World::new(Reach::Suggest).await;
    let tricks = [
        "//approve",
        "/./approve",
        "/approve/",
        "/APPROVE",
        "/approve;x",
        "/%61pprove",
        "/livez/../approve",
        "/approve/livez",
        "/livez/approve",
        "/approve%2flivez",
    ];
    for path in tricks {
        let answer = world.send("", Method::POST, path, "{}").await;
        assert!(
            matches!(answer.problem(), (404, "not-found") | (401, "unauthorized") | (405, "method-not-allowed")),
            "{path}: {}",
            answer.text
        );
    }
    for header in ["x-original-url", "x-rewrite-url", "x-http-method-override"] {
        let request = Request::get("/livez").header(header, "/approve").body(Body::empty()).unwrap();
        assert_eq!(world.raw(request).await.text, "ok");
    }
    let answer = world.send("viewer", Method::PUT, "/approve", "{}").await;
    assert_eq!((answer.problem(), answer.headers[header::ALLOW].as_bytes()), ((405, "method-not-allowed"), b"POST".as_slice()));
    let head = world.send("", Method::HEAD, "/signals", Body::empty()).await;
    assert_eq!(head.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn every_answer_has_an_id_and_is_not_kept() {
    let world = World::new(Reach::Suggest).await;
    let request = Request::get("/livez").header("x-request-id", "mine-1").body(Body::empty()).unwrap();
    let answer = world.raw(request).await;
    assert_eq!(
        (&answer.headers["x-request-id"], &answer.headers[header::CACHE_CONTROL]),
        (&"mine-1".parse().unwrap(), &"no-store".parse().unwrap())
    );
    let other = world.get("", "/nothing").await;
    assert_eq!(other.headers["x-request-id"].len(), 36);
    assert_eq!(other.problem(), (404, "not-found"));
}

#[test]
fn the_description_has_every_route_with_its_roles_and_is_checked_in() {
    let document: Value = serde_json::from_str(&openapi::text()).unwrap();
    let mut described = BTreeMap::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let roles: Vec<&str> =
                operation["x-roles"].as_array().map(|r| r.iter().filter_map(Value::as_str).collect()).unwrap_or_default();
            described.insert((method.to_uppercase(), path.clone()), roles.join(" "));
        }
    }
    let wanted: BTreeMap<_, _> = routes()
        .iter()
        .map(|r| {
            let roles = match r.access {
                Access::Everyone => String::new(),
                Access::EveryoneHere => crate::api::access::READ.join(" "),
                Access::Roles(roles) => roles.join(" "),
            };
            ((r.method.to_string(), r.path.to_owned()), roles)
        })
        .collect();
    assert_eq!(described, wanted);
    assert_eq!(
        document["components"]["schemas"]["Signal"]["properties"]["opened_at"],
        json!({"type": "string", "format": "date-time", "description": "Time of the first sample outside the band."})
    );

    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi.json");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(path, openapi::text()).unwrap();
    }
    let checked_in = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        checked_in == openapi::text(),
        "docs/openapi.json is not what the handlers say: run this test with BLESS=1 and look at the difference"
    );
}
