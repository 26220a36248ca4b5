//! `GET /openapi.json`: the description of the API, made from the handlers and the table of routes. `docs/openapi.json` is a copy that a test
//! compares.

use axum::http::Method;
use utoipa::OpenApi;
use utoipa::openapi::RefOr;
use utoipa::openapi::extensions::ExtensionsBuilder;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};

use super::access::{Access, READ};
use super::problem::ProblemBody;
use super::routes::routes;
use super::{analyze, approve, drift, executions, health, incidents, lineage, metrics, orchestrate, recommend, signals, sql};

/// Name of the one way to say who asks.
const BEARER: &str = "bearer";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Bellwether",
        description = "One ledger of everything an ML fleet does: what deviates, what to do about it, what was done under governance, and what came of it. Every path but health and this description asks for a bearer token (JWT: EdDSA, ES256 or RS256, with issuer, audience `bellwether` and roles). Errors are application/problem+json (RFC 9457)."
    ),
    paths(
        analyze::ask, signals::list, incidents::list, incidents::show, incidents::explain, drift::of_model, drift::of_endpoint, recommend::recommend, recommend::why, orchestrate::orchestrate, approve::approve,
        executions::list, executions::show, lineage::event, lineage::batch, sql::query, metrics::show, health::live, health::ready, show,
    ),
    components(schemas(ProblemBody)),
    tags(
        (name = "judge", description = "What deviates, and what to do about it."),
        (name = "act", description = "Plans, approvals and executions."),
        (name = "ingest", description = "What comes in."),
        (name = "ledger", description = "Everything, in SQL."),
        (name = "operate", description = "Health and numbers of this process."),
    ),
)]
struct Handlers;

/// The description, with who may call what from the table of routes.
pub fn document() -> utoipa::openapi::OpenApi {
    let mut document = Handlers::openapi();
    let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
    let components = document.components.get_or_insert_default();
    components.security_schemes.insert(BEARER.to_owned(), SecurityScheme::Http(scheme).into());
    for route in routes() {
        let Some(item) = document.paths.paths.get_mut(route.path) else { continue };
        let operation = if route.method == Method::POST { item.post.as_mut() } else { item.get.as_mut() };
        if let Some(operation) = operation {
            operation.operation_id = Some(name(&route.method, route.path));
            permit(operation, route.access);
            explain(operation);
        }
    }
    document
}

/// The name of an operation: `post_api_v1_sql`.
fn name(method: &Method, path: &str) -> String {
    let words: Vec<&str> = path.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).collect();
    format!("{}_{}", method.as_str().to_lowercase(), words.join("_"))
}

/// Describes every answer, and says that what goes wrong on this side has the form of what is wrong with a request.
fn explain(operation: &mut Operation) {
    let answers = &mut operation.responses.responses;
    if let Some(wrong) = answers.get("4XX").cloned() {
        answers.entry("5XX".to_owned()).or_insert(wrong);
    }
    for (status, answer) in answers {
        if let RefOr::T(answer) = answer
            && answer.description.is_empty()
        {
            let words = match status.as_str() {
                "4XX" => "The request is wrong, or not permitted.",
                "5XX" => "It cannot be answered now, or another system failed.",
                _ => "The answer.",
            };
            answer.description = words.to_owned();
        }
    }
}

fn permit(operation: &mut Operation, access: Access) {
    let roles = match access {
        Access::Everyone => return,
        Access::EveryoneHere => READ,
        Access::Roles(roles) => roles,
    };
    let mut ways = vec![SecurityRequirement::new::<_, [String; 0], String>(BEARER, [])];
    if access == Access::EveryoneHere {
        // Nothing is asked for while only this host can ask.
        ways.push(SecurityRequirement::default());
    }
    operation.security = Some(ways);
    operation.extensions.get_or_insert_default().merge(ExtensionsBuilder::new().add("x-roles", roles).build());
}

/// The description as it is served and checked in.
pub fn text() -> String {
    let mut text = document().to_pretty_json().unwrap_or_else(|e| format!("{{\"error\": \"{e}\"}}"));
    text.push('\n');
    text
}

/// This description.
#[utoipa::path(get, path = "/openapi.json", tag = "operate", responses((status = 200, description = "OpenAPI 3.1.", body = Object)))]
pub async fn show() -> impl axum::response::IntoResponse {
    ([(axum::http::header::CONTENT_TYPE, "application/json")], text())
}
