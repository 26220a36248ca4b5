//! Every route: method, path, who may, and what answers. A route that is not in this table does not exist.

use std::sync::Arc;

use axum::Router;
use axum::http::Method;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{MethodRouter, get, post};

use super::Services;
use super::access::{APPROVE, Access, Guard, OPERATE, READ, guard};
use super::edge::{edge, explain};
use super::{analyze, approve, drift, executions, health, incidents, lineage, metrics, openapi, orchestrate, recommend, signals, sql};

/// One route.
#[derive(Debug)]
pub struct Route {
    /// `GET` or `POST`.
    pub method: Method,
    /// The path; `{id}` stands for one segment.
    pub path: &'static str,
    /// Who may.
    pub access: Access,
    /// What answers.
    pub handler: MethodRouter<Arc<Services>>,
}

/// The table of routes.
pub fn routes() -> Vec<Route> {
    let reading = |path, handler| Route { method: Method::GET, path, access: Access::Roles(READ), handler };
    let asking = |path, handler| Route { method: Method::POST, path, access: Access::Roles(READ), handler };
    let doing = |path, roles, handler| Route { method: Method::POST, path, access: Access::Roles(roles), handler };
    let open = |path, access, handler| Route { method: Method::GET, path, access, handler };
    vec![
        asking("/analyze", post(analyze::ask)),
        reading("/signals", get(signals::list)),
        reading("/incidents", get(incidents::list)),
        reading("/incidents/{id}", get(incidents::show)),
        reading("/incidents/{id}/explain", get(incidents::explain)),
        reading("/drift/{model}", get(drift::of_model)),
        reading("/drift/{namespace}/{name}", get(drift::of_endpoint)),
        asking("/recommend", post(recommend::recommend)),
        reading("/recommendations/{id}/why", get(recommend::why)),
        doing("/orchestrate", OPERATE, post(orchestrate::orchestrate)),
        doing("/approve", APPROVE, post(approve::approve)),
        reading("/executions", get(executions::list)),
        reading("/executions/{id}", get(executions::show)),
        doing("/api/v1/lineage", OPERATE, post(lineage::event)),
        doing("/api/v1/lineage/batch", OPERATE, post(lineage::batch)),
        asking("/api/v1/sql", post(sql::query)),
        open("/openapi.json", Access::Everyone, get(openapi::show)),
        open("/metrics", Access::EveryoneHere, get(metrics::show)),
        open("/livez", Access::Everyone, get(health::live)),
        open("/readyz", Access::Everyone, get(health::ready)),
    ]
}

/// The API as a service.
pub fn router(services: Arc<Services>) -> Router {
    let mut router = Router::new();
    for route in routes() {
        let before = Guard {
            access: route.access,
            verifier: services.verifier.clone(),
            only_here: services.settings.only_here,
            clock: services.clock,
        };
        router = router.route(route.path, route.handler.route_layer(from_fn_with_state(before, guard)));
    }
    router.layer(from_fn(explain)).layer(from_fn_with_state(services.meter.clone(), edge)).with_state(services)
}
