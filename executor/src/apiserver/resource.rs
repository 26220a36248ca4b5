//! The kinds of objects that the simulated API serves. One entry of [`RESOURCES`] adds a kind.

use serde_json::Value;

/// A kind of object.
#[derive(Debug)]
pub struct Resource {
    /// API group; empty for the core group.
    pub group: &'static str,
    /// Version within the group.
    pub version: &'static str,
    /// Name in paths, such as `inferenceservices`.
    pub plural: &'static str,
    /// Name in objects, such as `InferenceService`.
    pub kind: &'static str,
    /// Whether its objects live in a namespace.
    pub namespaced: bool,
    /// Whether it has `/status`: then writes to the object itself leave the status alone.
    pub status: bool,
    /// Whether it has `/scale`, over `spec.replicas`.
    pub scale: bool,
    /// Whether the API server knows its types and takes strategic merge patches; custom resources do not.
    pub built_in: bool,
    /// What is wrong with an object.
    pub(crate) problems: fn(&Value) -> Vec<Problem>,
}

/// One invalid field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Path of the field, such as `spec.predictor.minReplicas`.
    pub field: String,
    /// What is wrong, with the value.
    pub message: String,
}

/// Every kind that is served.
pub static RESOURCES: [Resource; 5] = [
    Resource {
        group: "serving.kserve.io",
        version: "v1beta1",
        plural: "inferenceservices",
        kind: "InferenceService",
        namespaced: true,
        status: true,
        scale: false,
        built_in: false,
        problems: inference_service,
    },
    Resource {
        group: "karpenter.sh",
        version: "v1",
        plural: "nodepools",
        kind: "NodePool",
        namespaced: false,
        status: true,
        scale: true,
        built_in: false,
        problems: node_pool,
    },
    Resource {
        group: "",
        version: "v1",
        plural: "nodes",
        kind: "Node",
        namespaced: false,
        status: true,
        scale: false,
        built_in: true,
        problems: node,
    },
    Resource {
        group: "",
        version: "v1",
        plural: "namespaces",
        kind: "Namespace",
        namespaced: false,
        status: true,
        scale: false,
        built_in: true,
        problems: |_| Vec::new(),
    },
    Resource {
        group: "apps",
        version: "v1",
        plural: "deployments",
        kind: "Deployment",
        namespaced: true,
        status: true,
        scale: true,
        built_in: true,
        problems: deployment,
    },
];

impl Resource {
    /// The kind that an object's `apiVersion` and `kind` name.
    pub fn of_kind(api_version: &str, kind: &str) -> Option<&'static Self> {
        RESOURCES.iter().find(|r| r.kind == kind && r.api_version() == api_version)
    }
    /// `group/version`, or the version alone in the core group.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.to_owned() } else { format!("{}/{}", self.group, self.version) }
    }
    /// `plural.group`, as messages name it.
    pub fn qualified(&self) -> String {
        if self.group.is_empty() { self.plural.to_owned() } else { format!("{}.{}", self.plural, self.group) }
    }
}

fn problem(field: &str, message: impl Into<String>) -> Problem {
    Problem { field: field.to_owned(), message: message.into() }
}

/// A count that must be a whole number of at least 0, where it is there at all.
fn count(object: &Value, pointer: &str, problems: &mut Vec<Problem>) -> Option<i64> {
    let value = object.pointer(pointer)?;
    let field = pointer.trim_start_matches('/').replace('/', ".");
    match value.as_i64() {
        Some(n) if (0..=i64::from(i32::MAX)).contains(&n) => return Some(n),
        Some(n) => problems.push(problem(&field, format!("Invalid value: {n}: must be greater than or equal to 0"))),
        None => problems.push(problem(&field, format!("Invalid value: {value}: must be of type integer"))),
    }
    None
}

fn inference_service(object: &Value) -> Vec<Problem> {
    let mut problems = Vec::new();
    if !object.pointer("/spec/predictor").is_some_and(Value::is_object) {
        problems.push(problem("spec.predictor", "Required value"));
    }
    let min = count(object, "/spec/predictor/minReplicas", &mut problems);
    let max = count(object, "/spec/predictor/maxReplicas", &mut problems);
    if let (Some(min), Some(max)) = (min, max)
        && max > 0
        && min > max
    {
        problems.push(problem(
            "spec.predictor.minReplicas",
            format!("Invalid value: {min}: MinReplicas cannot be greater than MaxReplicas ({max})"),
        ));
    }
    if let Some(percent) = count(object, "/spec/predictor/canaryTrafficPercent", &mut problems)
        && percent > 100
    {
        problems
            .push(problem("spec.predictor.canaryTrafficPercent", format!("Invalid value: {percent}: must be less than or equal to 100")));
    }
    problems
}

fn node_pool(object: &Value) -> Vec<Problem> {
    let mut problems = Vec::new();
    count(object, "/spec/replicas", &mut problems);
    if let Some(limits) = object.pointer("/spec/limits") {
        match limits.as_object() {
            None => problems.push(problem("spec.limits", "Invalid value: must be a map of quantities")),
            Some(limits) => {
                for (name, quantity) in limits {
                    let text = quantity.as_str().map_or_else(|| quantity.to_string(), str::to_owned);
                    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
                    if digits.parse::<f64>().is_ok_and(|n| n >= 0.0) {
                        continue;
                    }
                    problems.push(problem(
                        &format!("spec.limits[{name}]"),
                        format!("Invalid value: {text:?}: must be a quantity of at least 0"),
                    ));
                }
            }
        }
    }
    problems
}

fn node(object: &Value) -> Vec<Problem> {
    match object.pointer("/spec/unschedulable") {
        Some(v) if !v.is_boolean() => vec![problem("spec.unschedulable", format!("Invalid value: {v}: must be of type boolean"))],
        _ => Vec::new(),
    }
}

fn deployment(object: &Value) -> Vec<Problem> {
    let mut problems = Vec::new();
    count(object, "/spec/replicas", &mut problems);
    problems
}
