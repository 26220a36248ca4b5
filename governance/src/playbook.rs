//! Loading playbooks: typed verbs only, preconditions compiled, nothing that may run unattended without an owner.

use std::collections::BTreeMap;

use bellwether_model::digest::Digest;
use bellwether_model::id::PlaybookId;
use bellwether_model::playbook::{Action, Playbook, Safety, SafetyMode, TargetKind};
use serde::Deserialize;
use serde_json::Value;
use serde_saphyr::Spanned;

use crate::condition::Condition;
use crate::target;
use crate::yaml::{self, LoadError, LoadErrors, Place, nearest, suggestion};

/// The role that a playbook with `safety.mode: auto` must name, and that every approval must carry.
pub const ORG_ADMIN: &str = "org-admin";

/// A playbook whose file was read and proved.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadedPlaybook {
    /// The playbook; its digest is SHA-256 of the file's bytes.
    pub playbook: Playbook,
    /// Its preconditions, compiled, in order.
    pub preconditions: Vec<Condition>,
    /// Its file.
    pub place: Place,
}

impl LoadedPlaybook {
    /// Whether governance may let it run without a person: `safety.mode: auto`, `org-admin` among its roles, an owner who
    /// answers for it.
    pub fn may_run_unattended(&self) -> bool {
        let safety = &self.playbook.safety;
        safety.mode == SafetyMode::Auto && safety.allowed_roles.iter().any(|r| r == ORG_ADMIN) && self.owner().is_some()
    }

    /// Who answers for it when it runs unattended.
    pub fn owner(&self) -> Option<&str> {
        self.playbook.safety.owner.as_deref().filter(|o| !o.trim().is_empty())
    }

    /// What a person is told to do, when the playbook has nothing else.
    pub fn advice_only(&self) -> Option<String> {
        let texts: Option<Vec<&str>> =
            self.playbook.actions.iter().map(|a| if let Action::Advise { text } = a { Some(text.as_str()) } else { None }).collect();
        texts.filter(|t| !t.is_empty()).map(|t| t.join(" "))
    }
}

/// Every verb with the keys it takes.
const VERBS: &[(&str, &[&str])] = &[
    ("scale_endpoint", &["add_min", "add_max", "min_replicas", "max_replicas"]),
    ("rollback_canary", &[]),
    ("scale_pool", &["add_gpus", "gpu_limit"]),
    ("cordon_node", &[]),
    ("advise", &["text"]),
    ("delete_deployment", &[]),
    ("modify_namespace", &[]),
    ("change_rbac", &[]),
];

/// An action before its verb is known, every value with its place.
type RawAction = Spanned<BTreeMap<String, Spanned<Value>>>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    id: Spanned<String>,
    name: String,
    description: String,
    #[serde(default)]
    version: String,
    target: TargetKind,
    #[serde(default)]
    symptoms: Vec<String>,
    #[serde(default)]
    tags: Vec<String>,
    safety: Option<Spanned<Safety>>,
    #[serde(default)]
    preconditions: Vec<Spanned<String>>,
    actions: Spanned<Vec<RawAction>>,
}

/// Reads a playbook. `file` is only a name for messages; the digest is over the bytes of `text`.
///
/// # Errors
/// Unknown keys, verbs and words with the nearest known one; a verb that does not act on the target; a verb twice; a bound
/// given both relative and absolute; `mode: auto` without `owner` or without `org-admin`; a precondition that does not
/// compile. Each with its place.
pub fn load(file: &str, text: &str) -> Result<LoadedPlaybook, LoadErrors> {
    let raw: Raw = yaml::parse(file, text)?;
    let mut errors = Vec::new();
    if raw.id.value.trim().is_empty() {
        errors.push(LoadError::new(Place::of(file, &raw.id), "id is empty"));
    }
    let safety = raw.safety.as_ref().map(|s| s.value.clone()).unwrap_or_default();
    if let Some(written) = &raw.safety {
        errors.extend(unattended_problem(&safety).map(|(message, hint)| LoadError::new(Place::of(file, written), message).hint(hint)));
    }
    let mut preconditions = Vec::new();
    for text in &raw.preconditions {
        match Condition::compile(&text.value, target::variables_of(raw.target)) {
            Ok(condition) => preconditions.push(condition),
            Err(e) => {
                let error = LoadError::new(Place::of(file, text), e.to_string());
                errors.push(match e.hint() {
                    Some(hint) => error.hint(hint),
                    None => error,
                });
            }
        }
    }
    let mut actions: Vec<Action> = Vec::new();
    for written in &raw.actions.value {
        match action(file, written, raw.target) {
            Ok(action) if actions.iter().any(|a| a.verb() == action.verb() && action.verb() != "advise") => {
                errors.push(
                    LoadError::new(Place::of(file, written), format!("{} is listed twice", action.verb()))
                        .hint("say all of it in one action"),
                );
            }
            Ok(action) => actions.push(action),
            Err(error) => errors.push(error),
        }
    }
    if raw.actions.value.is_empty() {
        errors
            .push(LoadError::new(Place::of(file, &raw.actions), "a playbook needs an action").hint("actions: [{verb: advise, text: ...}]"));
    }
    LoadErrors::check(errors)?;
    let playbook = Playbook {
        id: PlaybookId::new(raw.id.value),
        name: raw.name,
        description: raw.description,
        version: raw.version,
        target: raw.target,
        symptoms: raw.symptoms,
        tags: raw.tags,
        safety,
        preconditions: preconditions.iter().map(|c| c.text().to_owned()).collect(),
        actions,
        digest: Digest::of_bytes(text.as_bytes()),
    };
    Ok(LoadedPlaybook { playbook, preconditions, place: Place::whole(file) })
}

fn unattended_problem(safety: &Safety) -> Option<(&'static str, &'static str)> {
    if safety.mode != SafetyMode::Auto {
        return None;
    }
    if safety.owner.as_deref().is_none_or(|o| o.trim().is_empty()) {
        return Some(("mode auto needs an owner, who is recorded as the approver of what runs unattended", "owner: ann@example.com"));
    }
    if safety.allowed_roles.iter().all(|r| r != ORG_ADMIN) {
        return Some(("mode auto needs org-admin among allowed_roles", "allowed_roles: [org-admin]"));
    }
    None
}

fn action(file: &str, written: &RawAction, target: TargetKind) -> Result<Action, LoadError> {
    let place = Place::of(file, written);
    let Some(verb) = written.value.get("verb") else {
        return Err(LoadError::new(place, "an action needs a verb").hint(format!("known: {}", verb_names())));
    };
    let verb_place = Place::of(file, verb);
    let name = verb.value.as_str().unwrap_or_default();
    let Some((_, keys)) = VERBS.iter().find(|(known, _)| *known == name) else {
        let near = nearest(name, VERBS.iter().map(|(v, _)| *v)).map(|v| format!("did you mean {v}? ")).unwrap_or_default();
        return Err(
            LoadError::new(verb_place, format!("verb {} does not exist", verb.value)).hint(format!("{near}known: {}", verb_names()))
        );
    };
    for (key, value) in &written.value {
        if key != "verb" && !keys.contains(&key.as_str()) {
            let error = LoadError::new(Place::of(file, value), format!("{name} has no key {key:?}"));
            return Err(if keys.is_empty() {
                error.hint(format!("{name} takes none"))
            } else {
                error.hint(suggestion(key, keys.iter().copied()))
            });
        }
    }
    let object: serde_json::Map<String, Value> = written.value.iter().map(|(k, v)| (k.clone(), v.value.clone())).collect();
    let action: Action =
        serde_json::from_value(Value::Object(object)).map_err(|e| LoadError::new(place.clone(), format!("{name}: {e}")))?;
    if let Some(message) = unfit(&action, target) {
        return Err(LoadError::new(verb_place, message));
    }
    Ok(action)
}

/// Why an action makes no sense for a target, where it makes none.
fn unfit(action: &Action, target: TargetKind) -> Option<String> {
    let wanted = match action {
        Action::ScaleEndpoint { .. } | Action::RollbackCanary {} => Some(TargetKind::Endpoint),
        Action::ScalePool { .. } => Some(TargetKind::Pool),
        Action::CordonNode {} => Some(TargetKind::Node),
        Action::Advise { .. } | Action::DeleteDeployment {} | Action::ModifyNamespace {} | Action::ChangeRbac {} => None,
    };
    if let Some(wanted) = wanted.filter(|w| *w != target) {
        return Some(format!("{} acts on {}, but the playbook's target is {}", action.verb(), target::name(wanted), target::name(target)));
    }
    match action {
        Action::ScaleEndpoint { add_min, min_replicas: Some(_), .. } if *add_min != 0 => {
            Some("give add_min or min_replicas, not both".into())
        }
        Action::ScaleEndpoint { add_max, max_replicas: Some(_), .. } if *add_max != 0 => {
            Some("give add_max or max_replicas, not both".into())
        }
        Action::ScaleEndpoint { add_min: 0, add_max: 0, min_replicas: None, max_replicas: None } => {
            Some("scale_endpoint changes nothing".into())
        }
        Action::ScaleEndpoint { max_replicas: Some(0), .. } => Some("max_replicas must be at least 1".into()),
        Action::ScalePool { add_gpus, gpu_limit: Some(_) } if *add_gpus != 0 => Some("give add_gpus or gpu_limit, not both".into()),
        Action::ScalePool { add_gpus: 0, gpu_limit: None } => Some("scale_pool changes nothing".into()),
        Action::Advise { text } if text.trim().is_empty() => Some("the advice is empty".into()),
        _ => None,
    }
}

fn verb_names() -> String {
    VERBS.iter().map(|(v, _)| *v).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCALE: &str = include_str!("../samples/playbooks/scale-out.yaml");

    #[test]
    fn a_playbook_loads_with_the_digest_of_its_bytes() {
        let loaded = load("scale-out.yaml", SCALE).unwrap();
        assert_eq!(loaded.playbook.digest, Digest::of_bytes(SCALE.as_bytes()));
        assert_eq!(loaded.playbook.actions, [Action::ScaleEndpoint { add_min: 1, add_max: 2, min_replicas: None, max_replicas: None }]);
        assert!(loaded.may_run_unattended());
        assert_eq!(loaded.owner(), Some("ann@example.com"));
        assert_ne!(load("x", &format!("{SCALE}\n")).unwrap().playbook.digest, loaded.playbook.digest);
    }

    #[test]
    fn manual_is_the_default_and_auto_needs_owner_and_role() {
        let manual = load("x", "id: a\nname: a\ndescription: a\ntarget: endpoint\nactions: [{verb: rollback_canary}]").unwrap();
        assert!(!manual.may_run_unattended());
        assert_eq!(manual.playbook.safety.mode, SafetyMode::Manual);
        for (text, expected) in [
            (SCALE.replace("  owner: ann@example.com\n", ""), "mode auto needs an owner"),
            (SCALE.replace("[org-admin]", "[org-viewer]"), "mode auto needs org-admin among allowed_roles"),
        ] {
            let errors = load("p.yaml", &text).unwrap_err().to_string();
            assert!(errors.contains(expected), "{errors}");
        }
    }

    #[test]
    fn mistakes_are_named_with_line_and_hint() {
        let table = [
            (
                SCALE.replace("verb: scale_endpoint", "verb: scale_endpont"),
                "p.yaml:19:11: verb \"scale_endpont\" does not exist\nhint: did you mean scale_endpoint? known: scale_endpoint,",
            ),
            (
                SCALE.replace("verb: scale_endpoint", "verb: obliterate"),
                "p.yaml:19:11: verb \"obliterate\" does not exist\nhint: known: scale_endpoint, rollback_canary,",
            ),
            (SCALE.replace("add_min", "add_mim"), "p.yaml:20:14: scale_endpoint has no key \"add_mim\"\nhint: did you mean add_min?"),
            (SCALE.replace("add_min: 1", "add_min: one"), "p.yaml:19:5: scale_endpoint: "),
            (SCALE.replace("add_max: 2", "min_replicas: 2"), "p.yaml:19:11: give add_min or min_replicas, not both"),
            (SCALE.replace("target: endpoint", "target: pool"), "p.yaml:17:5: \"max_replicas < 20\" uses max_replicas"),
            (
                SCALE.replace("max_replicas < 20", "max_replica < 20"),
                "p.yaml:17:5: \"max_replica < 20\" uses max_replica, which is not a variable here\nhint: did you mean max_replicas?",
            ),
            (SCALE.replace("description:", "descripton:"), "p.yaml:4:1: unknown key \"descripton\"\nhint: did you mean description?"),
            (SCALE.replace("mode: auto", "mode: automatic"), "p.yaml:13:9: \"automatic\" is not known here\nhint: known: manual, auto"),
            (
                SCALE
                    .replace("  - verb: scale_endpoint\n", "  - verb: rollback_canary\n  - verb: scale_endpoint\n")
                    .replace("verb: rollback_canary", "verb: cordon_node"),
                "p.yaml:19:11: cordon_node acts on a node, but the playbook's target is an endpoint",
            ),
        ];
        for (text, expected) in table {
            let errors = load("p.yaml", &text).unwrap_err().to_string();
            assert!(errors.starts_with(expected), "wanted {expected}\n   got {errors}");
        }
    }

    #[test]
    fn every_verb_of_the_table_is_a_verb_and_takes_its_keys() {
        for (verb, keys) in VERBS {
            let mut object = serde_json::json!({"verb": verb});
            for key in *keys {
                object[*key] = if *key == "text" { "x".into() } else { 1.into() };
            }
            let action: Action = serde_json::from_value(object).unwrap();
            assert_eq!(action.verb(), *verb);
        }
    }

    #[test]
    fn advice_alone_is_known_as_such() {
        let advice = load("x", "id: a\nname: a\ndescription: a\ntarget: dataset\nactions: [{verb: advise, text: Ask the owner.}]").unwrap();
        assert_eq!(advice.advice_only().as_deref(), Some("Ask the owner."));
        assert_eq!(load("x", SCALE).unwrap().advice_only(), None);
    }
}
