//! Reading the configuration: defaults, file, environment.

use std::path::{Path, PathBuf};

use bellwether_governance::yaml;
use serde_json::Value;

use super::Config;
use crate::failure::Failure;

/// Prefix of environment variables that override the file: `BELLWETHER__ACT__MODE=dry_run`.
const PREFIX: &str = "BELLWETHER__";

/// Reads the configuration file and what the environment overrides.
///
/// # Errors
/// The file is missing, unreadable or wrong (with file, line and column), or an override is wrong (with its name).
pub fn load(path: &Path) -> Result<Config, Failure> {
    let text = std::fs::read_to_string(path).map_err(|e| {
        let failure = Failure::config(format!("cannot read the configuration {}: {e}", path.display()));
        match e.kind() {
            std::io::ErrorKind::NotFound => failure.hint(
                "write one with `bellwether init --prom URL`, name another with --config, or try `bellwether demo`, which needs none",
            ),
            _ => failure,
        }
    })?;
    let environment = std::env::vars().filter(|(name, _)| setting(name).is_some());
    let mut config = read(&path.display().to_string(), &text, environment)?;
    let folder = path.parent().map_or_else(PathBuf::new, Path::to_owned);
    config.rebase(&folder);
    Ok(config)
}

/// Reads a configuration's text, with overrides by environment variables.
///
/// # Errors
/// As [`load`].
pub fn read(name: &str, text: &str, environment: impl Iterator<Item = (String, String)>) -> Result<Config, Failure> {
    let wrong =
        |e: yaml::LoadError| Failure { kind: crate::failure::Kind::Config, message: format!("{}: {}", e.place, e.message), hint: e.hint };
    let config: Config = if text.trim().is_empty() { Config::default() } else { yaml::parse(name, text).map_err(wrong)? };
    if config.version != 1 {
        return Err(Failure::config(format!("{name}: version {} of the configuration is not known", config.version))
            .hint("this program reads version: 1"));
    }
    let mut overrides: Vec<_> = environment.collect();
    if overrides.is_empty() {
        return Ok(config);
    }
    overrides.sort();
    let tree: Value =
        if text.trim().is_empty() { Value::Object(serde_json::Map::new()) } else { yaml::parse(name, text).map_err(wrong)? };
    let all = overridden(&tree, overrides.iter())?;
    match read_tree(name, &all) {
        Ok(config) => Ok(config),
        Err(error) => {
            // The variable without which the rest is right; where there are several, the first that is wrong by itself.
            let without = |i: usize| overrides.iter().enumerate().filter(move |(j, _)| i != *j).map(|(_, o)| o);
            let right = |tree: Result<Value, Failure>| tree.is_ok_and(|tree| read_tree(name, &tree).is_ok());
            let culprit = (0..overrides.len())
                .find(|i| right(overridden(&tree, without(*i))))
                .or_else(|| (0..overrides.len()).find(|i| !right(overridden(&tree, overrides[*i..=*i].iter()))));
            let places: Vec<&str> = culprit
                .map_or_else(|| overrides.iter().map(|(variable, _)| variable.as_str()).collect(), |i| vec![overrides[i].0.as_str()]);
            let message = format!("environment variable {}: {}", places.join(", "), error.message);
            Err(Failure { kind: crate::failure::Kind::Config, message, hint: error.hint })
        }
    }
}

/// The setting that a variable overrides, as path of keys.
pub fn setting(variable: &str) -> Option<Vec<String>> {
    match variable {
        "PROM_URL" => Some(vec!["prometheus".into(), "url".into()]),
        "POSTGRES_DSN" => Some(vec!["runs".into(), "postgres".into(), "dsn".into()]),
        _ => variable.strip_prefix(PREFIX).map(|path| path.to_ascii_lowercase().split("__").map(str::to_owned).collect()),
    }
}

/// The tree with these overrides, each a variable and its value.
fn overridden<'a>(tree: &Value, overrides: impl Iterator<Item = &'a (String, String)>) -> Result<Value, Failure> {
    let mut tree = tree.clone();
    for (variable, value) in overrides {
        let parsed: Value = yaml::parse(variable, value).unwrap_or_else(|_| Value::String(value.clone()));
        let mut place = &mut tree;
        for key in setting(variable).unwrap_or_default() {
            if place.is_null() {
                *place = Value::Object(serde_json::Map::new());
            }
            place = match place {
                Value::Object(map) => map.entry(key).or_insert(Value::Null),
                _ => return Err(Failure::config(format!("environment variable {variable}: {key:?} is below a value, not a section"))),
            };
        }
        *place = parsed;
    }
    Ok(tree)
}

/// Reads a tree as the file is read, so that mistakes are told in the same words.
fn read_tree(name: &str, tree: &Value) -> Result<Config, yaml::LoadError> {
    yaml::parse(name, &tree.to_string())
}

impl Config {
    /// Makes relative paths relative to this folder.
    fn rebase(&mut self, folder: &Path) {
        if folder.as_os_str().is_empty() {
            return;
        }
        let at = |path: &mut PathBuf| {
            if path.is_relative() {
                *path = folder.join(&*path);
            }
        };
        if !self.lake.url.contains("://") {
            let mut path = PathBuf::from(&self.lake.url);
            at(&mut path);
            self.lake.url = path.display().to_string();
        }
        at(&mut self.journal.path);
        at(&mut self.serve.key_file);
        at(&mut self.redaction.key_file);
        self.lineage.files.iter_mut().for_each(at);
        let embeddings = &mut self.embeddings;
        let key = embeddings.qdrant.as_mut().and_then(|q| q.api_key_file.as_mut());
        let token = embeddings.endpoint.as_mut().and_then(|e| e.token_file.as_mut());
        [embeddings.model.as_mut(), embeddings.runtime.as_mut(), key, token].into_iter().flatten().for_each(at);
        let governance = &mut self.governance;
        let named = [&mut governance.blueprints, &mut governance.playbooks, &mut governance.checks, &mut self.serve.public_key_file];
        named.into_iter().flatten().for_each(at);
        self.runs.files.iter_mut().for_each(at);
        if let Some(path) = self.runs.postgres.as_mut().and_then(|p| p.dsn_file.as_mut()) {
            at(path);
        }
        if let Some(path) = self.kubernetes.as_mut().and_then(|k| k.kubeconfig.as_mut()) {
            at(path);
        }
        if let Some(prometheus) = &mut self.prometheus {
            prometheus.rules.iter_mut().for_each(at);
            prometheus.bearer_token_file.iter_mut().for_each(at);
            prometheus.basic_auth.iter_mut().for_each(|b| at(&mut b.password_file));
        }
        if let Some(notify) = &mut self.notify {
            let receivers = notify.alertmanager.iter_mut().chain(&mut notify.webhooks);
            receivers.filter_map(|r| r.bearer_token_file.as_mut()).for_each(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn none() -> impl Iterator<Item = (String, String)> {
        std::iter::empty()
    }

    #[test]
    fn unknown_keys_are_refused_with_the_nearest_known() {
        let failure = read("b.yaml", "version: 1\nlakes:\n  url: x\n", none()).unwrap_err();
        assert!(failure.message.starts_with("b.yaml:2:1"), "{}", failure.message);
        assert!(failure.to_string().contains("lake"), "{failure}");
    }

    #[test]
    fn the_environment_overrides_the_file_and_is_named_when_wrong() {
        let set = |n: &str, v: &str| vec![(n.to_owned(), v.to_owned())].into_iter();
        let config = read("b.yaml", "version: 1\nact: {mode: plan}\n", set("BELLWETHER__ACT__MODE", "dry_run")).unwrap();
        assert_eq!(config.act.mode, super::super::ActMode::DryRun);
        let config = read("b.yaml", "", set("PROM_URL", "http://prom:9090")).unwrap();
        assert_eq!(config.prometheus.unwrap().url.as_str(), "http://prom:9090/");
        let wrong = [
            ("BELLWETHER__ACT__MODE", "yolo", "\"yolo\" is not known here", "known: plan, dry_run, execute"),
            ("BELLWETHER__ACT__MOED", "plan", "unknown key \"moed\"", "did you mean mode?"),
            ("BELLWETHER__LAKES__URL", "x", "unknown key \"lakes\"", "did you mean lake?"),
            ("BELLWETHER__JUDGE__TOP", "many", "this is not a whole number from 0 up", ""),
            ("BELLWETHER__VERSION__MAJOR", "1", "\"major\" is below a value, not a section", ""),
            ("PROM_URL", "prom:9090", "\"prom:9090\" names no scheme; write it as http://prom:9090", ""),
        ];
        for (variable, value, says, hint) in wrong {
            // Another variable beside it is not blamed.
            let both = [("BELLWETHER__LAKE__URL", "elsewhere"), (variable, value)].map(|(n, v)| (n.to_owned(), v.to_owned()));
            let failure = read("b.yaml", "version: 1\n", both.into_iter()).unwrap_err();
            assert!(failure.message.starts_with(&format!("environment variable {variable}: {says}")), "{failure}");
            assert!(failure.hint.clone().unwrap_or_default().contains(hint), "{failure}");
        }
    }

    #[test]
    fn variables_of_one_section_are_read_together() {
        let both = [("BELLWETHER__PROMETHEUS__TIMEOUT", "5s"), ("PROM_URL", "http://prom:9090")].map(|(n, v)| (n.to_owned(), v.to_owned()));
        let prometheus = read("b.yaml", "", both.clone().into_iter()).unwrap().prometheus.unwrap();
        assert_eq!((prometheus.timeout.secs(), prometheus.url.as_str()), (5, "http://prom:9090/"));
        let failure = read("b.yaml", "", both.into_iter().take(1)).unwrap_err();
        assert!(failure.message.starts_with("environment variable BELLWETHER__PROMETHEUS__TIMEOUT: url is missing"), "{failure}");
    }

    #[test]
    fn a_pack_that_there_is_not_is_shown_where_it_is_written() {
        let failure = read("b.yaml", "prometheus:\n  url: http://p\n  packs:\n    - node\n    - kserv\n", none()).unwrap_err();
        assert!(failure.message.starts_with("b.yaml:5:7: \"kserv\" is not known here"), "{failure}");
        assert!(failure.hint.clone().unwrap_or_default().starts_with("did you mean kserve?"), "{failure}");
        let failure = read("b.yaml", "prometheus:\n  url: p:9090\n", none()).unwrap_err();
        assert!(failure.message.starts_with("b.yaml:2:8: \"p:9090\" names no scheme"), "{failure}");
        let failure = read("b.yaml", "version: 1\nprometheus:\n  packs: [node]\n", none()).unwrap_err();
        assert!(failure.message.starts_with("b.yaml:3:") && failure.message.contains("url is missing"), "{failure}");
    }

    #[test]
    fn every_file_is_named_from_the_configurations_folder() {
        let text = "version: 1\nprometheus: {url: 'http://p', rules: [r.yaml], bearer_token_file: p.token}\nlineage: {files: [l.jsonl]}\n\
                    notify: {alertmanager: {url: 'http://a', bearer_token_file: a.token}, webhooks: [{url: 'http://w', bearer_token_file: w.token}]}\n\
                    embeddings: {model: minilm, runtime: ort.so, endpoint: {url: 'http://e', model: m, dimensions: 3, token_file: e.token}, qdrant: {url: 'http://q', api_key_file: q.key}}\n";
        let mut config = read("b.yaml", text, none()).unwrap();
        config.rebase(Path::new("/etc/bw"));
        let told = serde_json::to_string(&config).unwrap();
        for name in ["r.yaml", "p.token", "l.jsonl", "a.token", "w.token", "minilm", "ort.so", "e.token", "q.key"] {
            assert!(told.contains(&format!("/etc/bw/{name}")), "{name} in {told}");
        }
    }
}
