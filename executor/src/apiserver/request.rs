//! What the path and the query of a request ask for.

use http::{Method, Uri};
use serde_json::Value;

use super::resource::{RESOURCES, Resource};
use super::review;

/// What a path names.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    /// `/livez`, `/readyz`, `/healthz`
    Health,
    /// `/version`
    Version,
    /// `/api`
    CoreVersions,
    /// `/apis`
    Groups,
    /// `/api/v1`, `/apis/group/version`
    GroupVersion(String),
    /// `/apis/authorization.k8s.io/v1/selfsubjectaccessreviews`
    AccessReview,
    /// All objects of a kind, or those of one namespace.
    Collection(&'static Resource, Option<String>),
    /// One object, or its `status` or `scale`.
    Object(&'static Resource, Option<String>, String, &'static str),
}

impl Target {
    /// What the path names; none when nothing does.
    pub(crate) fn of(uri: &Uri) -> Option<Self> {
        let parts: Vec<String> = uri.path().split('/').filter(|p| !p.is_empty()).map(|p| decode(p, false)).collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let (group, version, rest) = match parts.as_slice() {
            ["livez" | "readyz" | "healthz"] => return Some(Self::Health),
            ["version"] => return Some(Self::Version),
            ["api"] => return Some(Self::CoreVersions),
            ["apis"] => return Some(Self::Groups),
            ["api", version, rest @ ..] => ("", *version, rest),
            ["apis", group, version, rest @ ..] => (*group, *version, rest),
            _ => return None,
        };
        let find = |plural: &str| RESOURCES.iter().find(|r| r.group == group && r.version == version && r.plural == plural);
        if (group, version) == (review::GROUP, review::VERSION) {
            return match rest {
                [] => Some(Self::GroupVersion(format!("{group}/{version}"))),
                [review::PLURAL] => Some(Self::AccessReview),
                _ => None,
            };
        }
        match rest {
            [] => RESOURCES.iter().find(|r| r.group == group && r.version == version).map(|r| Self::GroupVersion(r.api_version())),
            ["namespaces", namespace, plural, rest @ ..] if *plural != "status" => {
                let resource = find(plural).filter(|r| r.namespaced)?;
                Self::within(resource, Some((*namespace).to_owned()), rest)
            }
            [plural, rest @ ..] => {
                let resource = find(plural)?;
                if resource.namespaced && !rest.is_empty() { None } else { Self::within(resource, None, rest) }
            }
        }
    }

    fn within(resource: &'static Resource, namespace: Option<String>, rest: &[&str]) -> Option<Self> {
        match rest {
            [] => Some(Self::Collection(resource, namespace)),
            [name] => Some(Self::Object(resource, namespace, (*name).to_owned(), "")),
            [name, "status"] if resource.status => Some(Self::Object(resource, namespace, (*name).to_owned(), "status")),
            [name, "scale"] if resource.scale => Some(Self::Object(resource, namespace, (*name).to_owned(), "scale")),
            _ => None,
        }
    }
}

/// The query parameters that are understood.
#[derive(Clone, Debug, Default)]
pub(crate) struct Params {
    pub(crate) dry_run: bool,
    pub(crate) force: bool,
    pub(crate) field_manager: Option<String>,
    pub(crate) labels: Vec<Requirement>,
    pub(crate) fields: Vec<Requirement>,
    pub(crate) limit: Option<usize>,
    pub(crate) cursor: Option<String>,
    pub(crate) watch: bool,
    pub(crate) bookmarks: bool,
    pub(crate) resource_version: Option<u64>,
    pub(crate) timeout_seconds: Option<u64>,
}

impl Params {
    pub(crate) fn of(uri: &Uri) -> Result<Self, String> {
        let mut params = Self::default();
        for (name, value) in pairs(uri.query().unwrap_or_default()) {
            let number = || value.parse::<u64>().map_err(|_| format!("invalid {name}: {value:?}"));
            match name.as_str() {
                "dryRun" if value == "All" => params.dry_run = true,
                "dryRun" => return Err(format!("invalid dryRun: {value:?}; only \"All\" is supported")),
                "force" => params.force = value == "true",
                "fieldManager" if value.len() > 128 => return Err("fieldManager may not be longer than 128 characters".into()),
                "fieldManager" => params.field_manager = Some(value).filter(|m| !m.is_empty()),
                "labelSelector" => params.labels = Requirement::parse(&value),
                "fieldSelector" => params.fields = Requirement::parse(&value),
                "limit" => params.limit = usize::try_from(number()?).ok().filter(|n| *n > 0),
                "continue" => params.cursor = Some(value).filter(|c| !c.is_empty()),
                "watch" => params.watch = matches!(value.as_str(), "true" | "1"),
                "allowWatchBookmarks" => params.bookmarks = value == "true",
                "resourceVersion" if !value.is_empty() => params.resource_version = Some(number()?),
                "timeoutSeconds" => params.timeout_seconds = Some(number()?),
                _ => {}
            }
        }
        Ok(params)
    }

    /// Whether the selectors let an object through.
    pub(crate) fn selects(&self, object: &Value) -> bool {
        let label = |name: &str| object["metadata"]["labels"].get(name).and_then(Value::as_str);
        let field = |path: &str| path.split('.').try_fold(object, |v, key| v.get(key)).and_then(Value::as_str);
        self.labels.iter().all(|r| r.holds(label(&r.name))) && self.fields.iter().all(|r| r.holds(field(&r.name)))
    }

    /// Who writes: the parameter, or the product in the user agent.
    pub(crate) fn manager(&self, headers: &http::HeaderMap) -> String {
        let agent =
            || headers.get(http::header::USER_AGENT).and_then(|v| v.to_str().ok()).and_then(|v| v.split('/').next()).map(str::to_owned);
        self.field_manager.clone().or_else(agent).filter(|m| !m.is_empty()).unwrap_or_else(|| "unknown".into())
    }
}

/// One term of a selector: `a=b`, `a!=b`, `a` or `!a`. Set-based terms are not understood and select nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Requirement {
    name: String,
    value: Option<String>,
    negated: bool,
}

impl Requirement {
    fn parse(text: &str) -> Vec<Self> {
        let terms = text.split(',').map(str::trim).filter(|t| !t.is_empty());
        let new = |name: &str, value: Option<&str>, negated| Self {
            name: name.trim().to_owned(),
            value: value.map(|v| v.trim().to_owned()),
            negated,
        };
        terms
            .map(|term| {
                if let Some((name, value)) = term.split_once("!=") {
                    new(name, Some(value), true)
                } else if let Some((name, value)) = term.split_once("==").or_else(|| term.split_once('=')) {
                    new(name, Some(value), false)
                } else if let Some(name) = term.strip_prefix('!') {
                    new(name, None, true)
                } else {
                    new(term, None, false)
                }
            })
            .collect()
    }
    fn holds(&self, found: Option<&str>) -> bool {
        let is = match &self.value {
            Some(value) => found == Some(value),
            None => found.is_some(),
        };
        is != self.negated
    }
}

/// Whether a method writes.
pub(crate) fn is_write(method: &Method) -> bool {
    matches!(*method, Method::POST | Method::PUT | Method::PATCH | Method::DELETE)
}

/// The pairs of an `application/x-www-form-urlencoded` text, decoded, in order.
pub(crate) fn pairs(text: &str) -> Vec<(String, String)> {
    let parts = text.split('&').filter(|p| !p.is_empty());
    parts.map(|p| p.split_once('=').unwrap_or((p, ""))).map(|(k, v)| (decode(k, true), decode(v, true))).collect()
}

/// Undoes percent encoding; in forms a plus is a space. Bytes that are no UTF-8 become replacement characters.
pub(crate) fn decode(text: &str, form: bool) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        let hex = |b: u8| (b as char).to_digit(16);
        match bytes[i] {
            b'%' if i + 2 < bytes.len() => match (hex(bytes[i + 1]), hex(bytes[i + 2])) {
                (Some(high), Some(low)) => {
                    out.push((high * 16 + low) as u8);
                    i += 2;
                }
                _ => out.push(b'%'),
            },
            b'+' if form => out.push(b' '),
            b => out.push(b),
        }
        i += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_decode() {
        assert_eq!(
            pairs("query=up%7Ba%3D%22b+c%22%7D&x=%&y&=z"),
            [("query", "up{a=\"b c\"}"), ("x", "%"), ("y", ""), ("", "z")].map(|(k, v)| (k.to_owned(), v.to_owned()))
        );
    }

    #[test]
    fn selectors_select() {
        let object = serde_json::json!({"metadata": {"name": "iris", "labels": {"team": "vision", "tier": "gold"}}});
        for (labels, fields, wanted) in [
            ("team=vision", "", true),
            ("team==vision,tier!=silver", "metadata.name=iris", true),
            ("team=speech", "", false),
            ("team,!gone", "", true),
            ("!team", "", false),
            ("", "metadata.name=rose", false),
        ] {
            let uri: Uri = format!("/apis?labelSelector={labels}&fieldSelector={fields}").parse().unwrap();
            assert_eq!(Params::of(&uri).unwrap().selects(&object), wanted, "{labels} {fields}");
        }
    }
}
