//! What can go wrong with a query.

use arrow::error::ArrowError;
use bellwether_lake::LakeError;
use bellwether_lake::rows::RowError;
use bellwether_model::time::Span;
use datafusion::error::DataFusionError;

/// A query that gave no answer. `Display` says what; the source chain says why.
#[derive(Debug, thiserror::Error)]
pub enum SqlError {
    /// The SQL is wrong: syntax, a table, column or function that is not there, types that do not fit.
    #[error("the query is wrong: {}", words(.0))]
    Query(Box<DataFusionError>),
    /// The SQL would change something. The ledger is read-only for queries.
    #[error("queries are read-only: {what}")]
    ReadOnly {
        /// What it would do.
        what: String,
    },
    /// The answer is longer than the limit.
    #[error("the answer has more than {limit} rows; add a LIMIT, a condition on time, or an aggregate")]
    TooManyRows {
        /// The limit.
        limit: usize,
    },
    /// The query took longer than the limit.
    #[error("the query took longer than {0} and was stopped; narrow it by time")]
    Timeout(Span),
    /// The query needs more memory than the limit, and cannot spill to disk.
    #[error("the query needs more memory than its limit; narrow it by time, or aggregate less at once")]
    Memory(#[source] Box<DataFusionError>),
    /// The answer does not fit the wanted type.
    #[error("rows do not fit the wanted type")]
    Rows(#[from] RowError),
    /// The ledger could not be read.
    #[error("the ledger could not be read")]
    Lake(#[from] LakeError),
    /// The query is right, and running it failed.
    #[error("the query failed")]
    Run(#[source] Box<DataFusionError>),
    /// A bug of this program; please report it.
    #[error("a query of this program is wrong ({0}); please report this")]
    Bug(String, #[source] Box<DataFusionError>),
}

/// What a statement that writes begins with.
const WRITES: [&str; 10] = ["INSERT", "UPDATE", "DELETE", "MERGE", "CREATE", "DROP", "ALTER", "TRUNCATE", "COPY", "SET"];

/// What is wrong with a query, said once and without the names of our library's layers.
fn words(error: &DataFusionError) -> String {
    let root = error.find_root();
    if let DataFusionError::SQL(parser, _) = root {
        return parser.to_string().trim_start_matches("sql parser error: ").to_owned();
    }
    let text = root.strip_backtrace();
    ["Error during planning: ", "Schema error: ", "Execution error: ", "Arrow error: "]
        .iter()
        .find_map(|p| text.strip_prefix(p))
        .unwrap_or(&text)
        .to_owned()
}

impl SqlError {
    /// Whether the one who asked can mend it.
    pub fn is_users(&self) -> bool {
        matches!(self, Self::Query(_) | Self::ReadOnly { .. } | Self::TooManyRows { .. } | Self::Timeout(_) | Self::Memory(_))
    }

    /// What planning this query failed with. One that would write is refused as such, whatever else is wrong with it.
    pub(crate) fn planning(sql: &str, error: DataFusionError) -> Self {
        let verb = sql.split_whitespace().next().unwrap_or_default().to_uppercase();
        if WRITES.contains(&verb.as_str()) {
            Self::ReadOnly { what: format!("{verb} is not permitted") }
        } else {
            Self::Query(error.into())
        }
    }

    pub(crate) fn running(error: DataFusionError) -> Self {
        match error.find_root() {
            DataFusionError::ResourcesExhausted(_) => Self::Memory(error.into()),
            // A division by zero, a text that is no number or time: found when constants are computed, or when rows are.
            DataFusionError::ArrowError(e, _)
                if matches!(
                    **e,
                    ArrowError::DivideByZero
                        | ArrowError::CastError(_)
                        | ArrowError::ParseError(_)
                        | ArrowError::ComputeError(_)
                        | ArrowError::ArithmeticOverflow(_)
                        | ArrowError::InvalidArgumentError(_)
                ) =>
            {
                Self::Query(error.into())
            }
            DataFusionError::SQL(..)
            | DataFusionError::Plan(_)
            | DataFusionError::SchemaError(..)
            | DataFusionError::Execution(_)
            | DataFusionError::NotImplemented(_) => Self::Query(error.into()),
            _ => Self::Run(error.into()),
        }
    }

    pub(crate) fn bug(what: &str) -> impl FnOnce(DataFusionError) -> Self {
        let what = what.to_owned();
        move |e| Self::Bug(what, e.into())
    }
}
