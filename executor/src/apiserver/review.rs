//! `SelfSubjectAccessReview`: whether whoever asks may do something. Nothing is stored.
//!
//! The simulated server checks no tokens and refuses nobody, so it says yes to every well-formed question, as a real one does to a cluster
//! administrator: whether there is such a resource does not matter to the answer.

use serde_json::{Value, json};

use super::status::ApiError;

/// Path of the API group and version that reviews belong to.
pub(crate) const GROUP: &str = "authorization.k8s.io";
/// The version of the group.
pub(crate) const VERSION: &str = "v1";
/// Name in paths.
pub(crate) const PLURAL: &str = "selfsubjectaccessreviews";
/// Name in objects.
pub(crate) const KIND: &str = "SelfSubjectAccessReview";

/// The object that was posted, with the verdict in its `status`.
///
/// # Errors
/// The object is of another kind, or does not ask for exactly one of a resource and a path.
pub(crate) fn review(mut object: Value) -> Result<Value, ApiError> {
    let api_version = format!("{GROUP}/{VERSION}");
    if object["kind"] != KIND || object["apiVersion"] != api_version.as_str() {
        return Err(ApiError::bad_request(format!("{}, Kind={} cannot be handled as a {KIND}", object["apiVersion"], object["kind"])));
    }
    let spec = &object["spec"];
    if spec["resourceAttributes"].is_object() == spec["nonResourceAttributes"].is_object() {
        return Err(ApiError::unprocessable(
            KIND,
            GROUP,
            "spec.resourceAttributes",
            "exactly one of nonResourceAttributes or resourceAttributes must be specified",
        ));
    }
    object["metadata"] = json!({});
    object["status"] = json!({"allowed": true, "reason": "the simulated API server refuses nobody"});
    Ok(object)
}
