//! Environment variables: which are set, what each overrides, and what overrides it. Never what they hold.

use std::collections::BTreeSet;

use super::Item;
use crate::config::{Config, setting};

/// Variables that this program or its neighbours read, and what each is for.
const VARIABLES: [(&str, &str); 8] = [
    ("POSTGRES_DSN", "address of the run history, in place of runs.postgres.dsn"),
    ("PROM_URL", "address of Prometheus, in place of prometheus.url"),
    ("VAULT_ADDR", "a Vault or OpenBao; keys are in files without it"),
    ("VAULT_ROLE", "the role under which Vault is asked; keys are in files without it"),
    ("VECTOR_DB_URL", "a vector database; past runs are searched in memory without it"),
    ("OPENAI_KEY", "an embedding service; texts are embedded by hashing without it"),
    ("GITHUB_TOKEN", "a GitHub account; nothing is proposed there without it"),
    ("S3_BUCKET", "a bucket; the ledger lies where lake.url says"),
];

/// One item for each variable that is known, and for each that is set and looks as if it was meant for this program. `config` is the
/// configuration in force, where it could be read.
pub fn items(config: Option<&Config>) -> Vec<Item> {
    let set = std::env::vars_os().filter(|(_, value)| !value.is_empty()).filter_map(|(name, _)| name.into_string().ok()).collect();
    of(&set, config)
}

fn of(set: &BTreeSet<String>, config: Option<&Config>) -> Vec<Item> {
    let known = VARIABLES.iter().map(|(name, purpose)| known(name, purpose, set.contains(*name)));
    let others = set.iter().filter(|name| VARIABLES.iter().all(|(known, _)| known != name));
    known.chain(others.filter_map(|name| Some(Item::optional(name, "environment", other(name, set, config)?)))).collect()
}

fn known(name: &str, purpose: &str, is_set: bool) -> Item {
    let found = match (is_set, setting(name)) {
        (true, Some(_)) => Ok(format!("set, and in force: {purpose} of the file")),
        (true, None) => Ok(format!("set, and nothing in the configuration uses it: {purpose}")),
        (false, _) => Err(format!("not set: {purpose}")),
    };
    Item::optional(name, "environment", found)
}

/// What a variable that is set does; none for those that are no business of this program.
fn other(name: &str, set: &BTreeSet<String>, config: Option<&Config>) -> Option<Result<String, String>> {
    if let Some(path) = setting(name) {
        // Of two variables for one setting, the one whose name comes later is taken last.
        let over = set.iter().rev().find(|other| other.as_str() > name && setting(other).as_ref() == Some(&path));
        return Some(match over {
            Some(over) => Err(format!("set, and not in force: {over} overrides it")),
            None => Ok(format!("set, and in force: {} in place of what the file says", path.join("."))),
        });
    }
    match name {
        "BELLWETHER_CONFIG" => Some(Ok("set: names the configuration file, unless --config does".into())),
        "BELLWETHER_TOKEN_FILE" => Some(Ok("set: the file of the token for approve, unless --token-file names one".into())),
        "RUST_LOG" => Some(Ok("set: says what is logged, in place of -v".into())),
        "KUBECONFIG" => config.and_then(|c| c.kubernetes.as_ref()).map(|kubernetes| match kubernetes.kubeconfig {
            Some(_) => Err("set, and not in force: kubernetes.kubeconfig names a file".into()),
            None => Ok("set, and in force: the cluster's kubeconfig".into()),
        }),
        _ if name.starts_with("BELLWETHER_") => Some(Err(
            "set, and nothing reads it; a setting is written with two underscores between its parts, as BELLWETHER__ACT__MODE".into(),
        )),
        _ if name.starts_with("AWS_") => config
            .filter(|c| c.lake.url.contains("://"))
            .map(|_| Ok("set: the ledger's object store takes it where lake.options does not say it".into())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, set: &[&str], config: Option<&Config>) -> Option<(bool, String)> {
        let set = set.iter().map(|n| (*n).to_owned()).collect();
        of(&set, config).into_iter().find(|item| item.name == name).map(|item| {
            assert!(!item.required && item.kind == "environment");
            (item.present, item.detail)
        })
    }

    #[test]
    fn a_variable_is_named_with_what_it_overrides_and_what_overrides_it() {
        let set = [
            "PROM_URL",
            "BELLWETHER__PROMETHEUS__URL",
            "BELLWETHER__ACT__MODE",
            "BELLWETHER_ACT_MODE",
            "BELLWETHER_CONFIG",
            "OPENAI_KEY",
            "PATH",
        ];
        for (name, present, says) in [
            ("PROM_URL", true, "set, and in force: address of Prometheus, in place of prometheus.url"),
            ("BELLWETHER__PROMETHEUS__URL", false, "set, and not in force: PROM_URL overrides it"),
            ("BELLWETHER__ACT__MODE", true, "set, and in force: act.mode in place of what the file says"),
            ("BELLWETHER_ACT_MODE", false, "set, and nothing reads it; a setting is written with two underscores"),
            ("BELLWETHER_CONFIG", true, "set: names the configuration file"),
            ("OPENAI_KEY", true, "set, and nothing in the configuration uses it"),
            ("POSTGRES_DSN", false, "not set"),
        ] {
            let (is_present, detail) = row(name, &set, None).unwrap_or_else(|| panic!("{name}"));
            assert!(is_present == present && detail.starts_with(says), "{name}: {detail}");
        }
        assert_eq!(row("PATH", &set, None), None);
    }

    #[test]
    fn what_others_read_too_counts_where_the_configuration_leaves_it_open() {
        let set = ["KUBECONFIG", "AWS_REGION"];
        let mut config = Config::default();
        assert_eq!((row("KUBECONFIG", &set, Some(&config)), row("AWS_REGION", &set, Some(&config))), (None, None));
        config.kubernetes = Some(Default::default());
        config.lake.url = "s3://bucket/ledger".into();
        assert!(row("KUBECONFIG", &set, Some(&config)).is_some_and(|(present, _)| present));
        assert!(row("AWS_REGION", &set, Some(&config)).is_some_and(|(present, _)| present));
    }
}
