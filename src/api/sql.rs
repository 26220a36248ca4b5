//! `POST /api/v1/sql`

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use bellwether_lake::rows::objects;
use bellwether_model::time::{Span, Timestamp};
use bellwether_sql::{Limits, Session, SessionOptions};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::Services;
use super::body::Json;
use super::problem::{Kind, Problem, ProblemBody};

/// Rows of an answer when nothing else is asked for.
const ROWS: usize = 1_000;
/// Longest query in bytes.
const LONGEST: usize = 64 << 10;
/// Largest answer in bytes of JSON; rows beyond it are left out.
const LARGEST: usize = 32 << 20;
/// Longest time of a query.
const TIME: Span = Span::from_secs(30);
/// Memory that one query may use.
const MEMORY: usize = 512 << 20;

/// A query.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SqlRequest {
    /// One SELECT over the ledger's tables and views.
    query: String,
    /// Most rows of the answer; 1,000 when absent, at most what the configuration says.
    #[serde(default)]
    limit: Option<usize>,
    /// See only what had happened by this time.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    as_of: Option<Timestamp>,
}

/// A column of an answer.
#[derive(Debug, Serialize, ToSchema)]
pub struct SqlColumn {
    /// Its name.
    name: String,
    /// Its Arrow type.
    #[serde(rename = "type")]
    kind: String,
}

/// An answer.
#[derive(Debug, Serialize, ToSchema)]
pub struct SqlAnswer {
    /// Its columns, in order.
    columns: Vec<SqlColumn>,
    /// Its rows; each has the columns that are not null.
    #[schema(value_type = Vec<Object>)]
    rows: Vec<Map<String, Value>>,
    /// Whether there are more rows than the answer holds.
    truncated: bool,
}

/// Queries the ledger in SQL, read-only.
#[utoipa::path(
    post, path = "/api/v1/sql", tag = "ledger",
    request_body = SqlRequest,
    responses((status = 200, body = SqlAnswer), (status = "4XX", body = ProblemBody, content_type = "application/problem+json")),
)]
pub async fn query(State(services): State<Arc<Services>>, Json(request): Json<SqlRequest>) -> Result<axum::Json<SqlAnswer>, Problem> {
    if request.query.len() > LONGEST {
        return Err(Problem::new(Kind::TooLarge, format!("a query has at most {LONGEST} bytes")).at("/query"));
    }
    let rows = request.limit.unwrap_or(ROWS).clamp(1, services.settings.sql_rows.max(1));
    let limits = Limits { rows, timeout: TIME };
    let options = SessionOptions { as_of: request.as_of, memory_bytes: MEMORY, ..SessionOptions::at(services.now()) };
    let lake = services.lake.clone();
    let answer = async move {
        let session = Session::open(&lake.snapshot().await?, options).await?;
        let first = session.first_rows(&request.query, limits).await.map_err(|e| Problem::from(e).at("/query"))?;
        let columns = first.schema.fields().iter().map(|f| SqlColumn { name: f.name().clone(), kind: f.data_type().to_string() }).collect();
        let mut answer = SqlAnswer { columns, rows: Vec::new(), truncated: first.has_more };
        let mut bytes = 0;
        'batches: for batch in &first.batches {
            for row in objects(batch).map_err(|e| Problem::of(Kind::Internal, &e))? {
                bytes += size(&row);
                if bytes > LARGEST {
                    answer.truncated = true;
                    break 'batches;
                }
                answer.rows.push(row);
            }
        }
        Ok(answer)
    };
    services.workers.run(TIME.to_std() + Duration::from_secs(1), answer).await.map(axum::Json)
}

/// About how many bytes of JSON a row is.
fn size(row: &Map<String, Value>) -> usize {
    fn of(value: &Value) -> usize {
        match value {
            Value::String(text) => text.len() + 2,
            Value::Array(items) => items.iter().map(of).sum::<usize>() + 2,
            Value::Object(fields) => size(fields),
            _ => 8,
        }
    }
    row.iter().map(|(name, value)| name.len() + of(value) + 4).sum()
}
