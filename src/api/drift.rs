//! `GET /drift/{model}` and `GET /drift/{namespace}/{name}`

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};

use super::Services;
use super::ledger;
use super::problem::{Kind, Problem, ProblemBody};
use crate::drift::model::{ModelDrift, ModelError, drift};

/// How the data that feeds a model stands: of every column upstream of it the newest profile, judged as the newest round judges, with its
/// tests, thresholds, windows, profile ids and the values that moved most. A model of which nothing was profiled yet has the verdict
/// `no_data` and says why.
#[utoipa::path(
    get, path = "/drift/{model}", tag = "judge",
    params(("model" = String, Path, description = "An endpoint where only one has this name, or the address of a model; `/` is written %2F.")),
    responses((status = 200, body = ModelDrift), (status = "4XX", body = ProblemBody, content_type = "application/problem+json")),
)]
pub async fn of_model(State(services): State<Arc<Services>>, Path(model): Path<String>) -> Result<Json<ModelDrift>, Problem> {
    answer(&services, &model).await
}

/// The same of an endpoint by its namespace and name.
#[utoipa::path(
    get, path = "/drift/{namespace}/{name}", tag = "judge",
    params(("namespace" = String, Path, description = "Its namespace."), ("name" = String, Path, description = "Its name.")),
    responses((status = 200, body = ModelDrift), (status = "4XX", body = ProblemBody, content_type = "application/problem+json")),
)]
pub async fn of_endpoint(
    State(services): State<Arc<Services>>,
    Path((namespace, name)): Path<(String, String)>,
) -> Result<Json<ModelDrift>, Problem> {
    answer(&services, &format!("{namespace}/{name}")).await
}

async fn answer(services: &Services, model: &str) -> Result<Json<ModelDrift>, Problem> {
    let session = ledger::session(&services.lake, services.now()).await?;
    drift(&session, &services.drift, model).await.map(Json).map_err(|error| match error {
        ModelError::Unknown { name, hint } => Problem::missing("model or endpoint", &name).hint(hint),
        ModelError::Several { .. } => Problem::bad(error.to_string()).hint("write one of them whole"),
        ModelError::Sql(error) => error.into(),
        ModelError::Digest(_) => Problem::of(Kind::Internal, &error),
    })
}
