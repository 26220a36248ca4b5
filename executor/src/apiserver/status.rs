//! Kubernetes `Status` objects: how the API says no.

use serde_json::{Value, json};

use super::managed::Conflict;
use super::resource::{Problem, Resource};

/// A request that was refused. [`ApiError::body`] is the `Status` object a client receives.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{reason} ({code}): {message}")]
pub struct ApiError {
    /// HTTP status code.
    pub code: u16,
    /// Machine-readable reason, such as `Conflict`.
    pub reason: &'static str,
    /// For people.
    pub message: String,
    /// `details` of the `Status`; null where there are none.
    pub details: Value,
}

impl ApiError {
    fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), details: Value::Null }
    }
    fn about(mut self, resource: &Resource, name: &str) -> Self {
        self.details = json!({"name": name, "group": resource.group, "kind": resource.plural});
        self
    }

    pub(crate) fn not_found(resource: &Resource, name: &str) -> Self {
        Self::new(404, "NotFound", format!("{} {name:?} not found", resource.qualified())).about(resource, name)
    }
    pub(crate) fn no_such_path() -> Self {
        Self::new(404, "NotFound", "the server could not find the requested resource")
    }
    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }
    pub(crate) fn method_not_allowed() -> Self {
        Self::new(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
    }
    pub(crate) fn unsupported_media_type(found: &str) -> Self {
        Self::new(415, "UnsupportedMediaType", format!("the body of the request was in an unknown format - {found:?} is not accepted here"))
    }
    pub(crate) fn already_exists(resource: &Resource, name: &str) -> Self {
        Self::new(409, "AlreadyExists", format!("{} {name:?} already exists", resource.qualified())).about(resource, name)
    }
    pub(crate) fn modified(resource: &Resource, name: &str) -> Self {
        let why = "the object has been modified; please apply your changes to the latest version and try again";
        Self::new(409, "Conflict", format!("Operation cannot be fulfilled on {} {name:?}: {why}", resource.qualified()))
            .about(resource, name)
    }
    pub(crate) fn other_uid(resource: &Resource, name: &str, wanted: &str, found: &str) -> Self {
        let why = format!("Precondition failed: UID in precondition: {wanted}, UID in object meta: {found}");
        Self::new(409, "Conflict", format!("Operation cannot be fulfilled on {} {name:?}: {why}", resource.qualified()))
            .about(resource, name)
    }
    pub(crate) fn apply_conflicts(resource: &Resource, name: &str, conflicts: &[Conflict]) -> Self {
        let causes: Vec<Value> = conflicts
            .iter()
            .map(|c| json!({"reason": "FieldManagerConflict", "message": format!("conflict with {}", c.manager), "field": c.field}))
            .collect();
        let mut managers: Vec<(&str, Vec<&str>)> = Vec::new();
        for c in conflicts {
            match managers.iter_mut().find(|(m, _)| *m == c.manager) {
                Some((_, fields)) => fields.push(&c.field),
                None => managers.push((&c.manager, vec![&c.field])),
            }
        }
        let listed: Vec<String> = managers
            .iter()
            .map(|(manager, fields)| match fields.as_slice() {
                [field] => format!("conflict with {manager}: {field}"),
                fields => format!("conflicts with {manager}:\n- {}", fields.join("\n- ")),
            })
            .collect();
        let plural = if conflicts.len() == 1 { "" } else { "s" };
        let mut e = Self::new(409, "Conflict", format!("Apply failed with {} conflict{plural}: {}", conflicts.len(), listed.join("\n")))
            .about(resource, name);
        e.details["causes"] = Value::Array(causes);
        e
    }
    pub(crate) fn invalid(resource: &Resource, name: &str, problems: &[Problem]) -> Self {
        let listed: Vec<String> = problems.iter().map(|p| format!("{}: {}", p.field, p.message)).collect();
        let listed = if let [one] = listed.as_slice() { one.clone() } else { format!("[{}]", listed.join(", ")) };
        let kind = if resource.group.is_empty() { resource.kind.to_owned() } else { format!("{}.{}", resource.kind, resource.group) };
        let mut e = Self::new(422, "Invalid", format!("{kind} {name:?} is invalid: {listed}"));
        let causes: Vec<Value> =
            problems.iter().map(|p| json!({"reason": "FieldValueInvalid", "message": p.message, "field": p.field})).collect();
        e.details = json!({"name": name, "group": resource.group, "kind": resource.kind, "causes": causes});
        e
    }
    /// A question that makes no sense, with the field that is wrong.
    pub(crate) fn unprocessable(kind: &str, group: &str, field: &str, message: &str) -> Self {
        let mut e = Self::new(422, "Invalid", format!("{kind}.{group} \"\" is invalid: {field}: Invalid value: {message}"));
        let causes = json!([{"reason": "FieldValueInvalid", "message": message, "field": field}]);
        e.details = json!({"group": group, "kind": kind, "causes": causes});
        e
    }
    pub(crate) fn denied(message: &str) -> Self {
        Self::new(403, "Forbidden", format!("admission webhook \"simulated.policy\" denied the request: {message}"))
    }
    pub(crate) fn expired() -> Self {
        Self::new(410, "Expired", "too old resource version")
    }
    pub(crate) fn injected(code: u16) -> Self {
        match code {
            429 => Self {
                details: json!({"retryAfterSeconds": 1}),
                ..Self::new(429, "TooManyRequests", "too many requests, please try again later")
            },
            503 => Self::new(503, "ServiceUnavailable", "the server is currently unable to handle the request"),
            504 => Self::new(504, "Timeout", "the request timed out"),
            code => Self::new(code, "InternalError", "an error on the server has prevented the request from succeeding"),
        }
    }

    /// The `Status` object that a client receives.
    pub fn body(&self) -> Value {
        let mut body = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "reason": self.reason, "code": self.code,
        });
        if !self.details.is_null() {
            body["details"] = self.details.clone();
        }
        body
    }
}
