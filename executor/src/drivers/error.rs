//! What a call to the cluster can come to, sorted by what it says about the effect.

use kube::core::Status;

/// A field that the step would change, and who owns it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Ownership {
    /// The other field manager, such as `argocd-controller`.
    pub manager: String,
    /// The field, such as `.spec.predictor.minReplicas`.
    pub field: String,
}

/// A call to the cluster did not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// No cluster is configured: judge and plan only.
    #[error("no cluster is configured, so nothing can be done")]
    NoCluster,
    /// This program cannot act on such objects.
    #[error("objects of kind {kind} ({api_version}) cannot be acted on")]
    UnknownKind {
        /// Group and version.
        api_version: String,
        /// Kind.
        kind: String,
    },
    /// The object does not exist.
    #[error("{object} does not exist")]
    Gone {
        /// The object.
        object: String,
    },
    /// The object was deleted and made anew since the plan was made.
    #[error("{object} was made anew since: its uid is {found}, not {expected}")]
    Replaced {
        /// The object.
        object: String,
        /// The plan's uid.
        expected: String,
        /// The live one.
        found: String,
    },
    /// Other field managers own fields that the step would change. We never force.
    #[error("{object}: {}", list(.conflicts))]
    Owned {
        /// The object.
        object: String,
        /// Fields and owners.
        conflicts: Vec<Ownership>,
    },
    /// The object changed between our read and our write: read again and decide anew.
    #[error("{object} changed while it was being written: {message}")]
    Moved {
        /// The object.
        object: String,
        /// What the API server said.
        message: String,
    },
    /// The API server refused: admission, validation, rights.
    #[error("the cluster refused {object}: {message}")]
    Denied {
        /// The object.
        object: String,
        /// What the API server said.
        message: String,
    },
    /// No answer, or none that says what happened: the call may or may not have taken effect.
    #[error("no answer about {what}")]
    Unreachable {
        /// What was asked about.
        what: String,
        /// What went wrong.
        #[source]
        source: kube::Error,
    },
}

impl DriverError {
    /// Whether trying again later, after a fresh read, may help. Everything else is an answer.
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Moved { .. } | Self::Unreachable { .. })
    }

    /// Sorts what the client reports about this object.
    pub(crate) fn of(object: &impl std::fmt::Display, error: kube::Error) -> Self {
        let object = object.to_string();
        match error {
            kube::Error::Api(status) => match status.code {
                404 => Self::Gone { object },
                409 => match owners(&status) {
                    conflicts if conflicts.is_empty() => Self::Moved { object, message: status.message.clone() },
                    conflicts => Self::Owned { object, conflicts },
                },
                // Too many requests, or a timeout: nothing is said about the object.
                408 | 429 | 500.. => Self::Unreachable { what: object, source: kube::Error::Api(status) },
                _ => Self::Denied { object, message: status.message.clone() },
            },
            source => Self::Unreachable { what: object, source },
        }
    }
}

/// The owners that a conflict of server-side apply names.
fn owners(status: &Status) -> Vec<Ownership> {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    causes
        .filter(|cause| cause.reason == "FieldManagerConflict")
        .map(|cause| Ownership {
            manager: cause.message.split('"').nth(1).unwrap_or(&cause.message).to_owned(),
            field: cause.field.clone(),
        })
        .collect()
}

fn list(conflicts: &[Ownership]) -> String {
    let said: Vec<String> = conflicts.iter().map(|c| format!("{} is owned by {}", c.field, c.manager)).collect();
    said.join(", ")
}
